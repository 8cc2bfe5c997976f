//! The built binary as a server with the world of a dialogue, made by the commands an administrator has.

use gatepost::auth::credential;
use gatepost::contract::Listener;
use gatepost::control::{Request, Response, SOCKET_NAME};
use gatepost::dialog::kept::LiveMessage;
use gatepost::dialog::{Dialog, Head, Kind, WorldFact};
use gatepost::directory::credential::MainPassword;
use gatepost::directory::{AccountState, plan};
use gatepost::mail::date;
use gatepost::types::{Address, MailId, UnixTime};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything here should take on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Ports are taken from here on: above the well-known ones, and below those the system gives away itself.
const FIRST_BASE: u16 = 10_000;
/// … and up to here.
const BASES: u16 = 20_000;
/// What `localserve` adds for each door.
const DOORS: [(Listener, u16); 3] =
    [(Listener::Smtp, 25), (Listener::Submission, 587), (Listener::Submissions, 465)];

/// What has to be the same for dialogues to be played with the same server.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    hostname: String,
    message_octets_max: u64,
    tls_available: bool,
    scram_offered: bool,
    facts: Vec<WorldFact>,
}

impl Setting {
    pub fn of(dialog: &Dialog) -> Self {
        let Head { hostname, message_octets_max, tls_available, scram_offered, .. } = &dialog.head;
        let facts = dialog.entries.iter().filter_map(|entry| match &entry.kind {
            Kind::World(fact) => Some(fact.clone()),
            _ => None,
        });
        Self {
            hostname: hostname.to_string(),
            message_octets_max: *message_octets_max,
            tls_available: *tls_available,
            scram_offered: *scram_offered,
            facts: facts.collect(),
        }
    }
}

pub struct Server {
    child: Child,
    base: u16,
    root: TempDir,
    accounts: Vec<Address>,
    /// Every message kept, by account and its number there.
    mail: Mutex<BTreeMap<(usize, u64), LiveMessage>>,
}

impl Server {
    /// Starts one and makes its world.
    pub fn start(setting: &Setting) -> Self {
        let root = tempfile::tempdir().unwrap();
        let (child, base) = run(setting, root.path());
        let mut server = Self { child, base, root, accounts: Vec::new(), mail: Mutex::default() };
        server.await_ready();
        if setting.tls_available {
            // What `localserve` makes is no part of the world, and would be asked for the bare postmaster.
            server.command(&["account", "remove", "me@localhost"], "");
            server.command(&["domain", "remove", "localhost"], "");
        }
        server.make_world(&setting.facts);
        server
    }

    pub fn address(&self, door: Listener) -> SocketAddr {
        let (_, port) = DOORS.iter().find(|(kind, _)| *kind == door).unwrap();
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.base + port)
    }

    pub fn certificate(&self) -> PathBuf {
        self.dir().join("tls/certificate.pem")
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.root.path().join("log")).unwrap()
    }

    fn await_ready(&mut self) {
        let since = Instant::now();
        // Its ports are open before that, and a command would still find a directory that no server has open.
        while !self.log().contains("event=ready") {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended ({status}): {}", self.log());
            }
            assert!(since.elapsed() < PATIENCE, "the server was never ready: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops it, and sees that it was whole until then.
    pub fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let status = self.await_end();
        assert_eq!(status.map(|status| status.code()), Some(Some(0)), "{}", self.log());
        let log = self.log();
        for (event, times) in [("server-started", 1), ("hash-worker-started", 1), ("panic", 0)] {
            let is_it = |line: &&str| line.split(' ').any(|word| word == format!("event={event}"));
            assert_eq!(log.lines().filter(is_it).count(), times, "{event}: {log}");
        }
    }

    fn await_end(&mut self) -> Option<std::process::ExitStatus> {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// The binary with these arguments on the server's data.
    fn command(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = binary();
        command.args(arguments).arg("--dir").arg(self.dir());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that does not read its input is gone before it is written; that is no fault.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {told}");
        output
    }

    fn make_world(&mut self, facts: &[WorldFact]) {
        for fact in facts {
            match fact {
                WorldFact::Domain(name, _) => {
                    self.command(&["domain", "add", name.as_str()], "");
                }
                WorldFact::Account(fact) => {
                    let name = fact.name.to_string();
                    let add = ["account", "add", &name, "--password-stdin"];
                    let with_password = if fact.password.is_some() { &add[..] } else { &add[..3] };
                    self.command(with_password, fact.password.as_deref().unwrap_or_default());
                    for address in &fact.addresses {
                        self.command(&["account", "address", "add", &name, &address.to_string()], "");
                    }
                    for password in &fact.app_passwords {
                        self.add_app_password(fact.name.clone(), password);
                    }
                    if fact.main_password == MainPassword::Forbidden {
                        self.command(&["account", "passwd", &name, "--app-passwords-only", "on"], "");
                    }
                    match fact.state {
                        AccountState::Active => {}
                        AccountState::Disabled => drop(self.command(&["account", "disable", &name], "")),
                        AccountState::Suspended => {
                            drop(self.command(&["account", "disable", &name, "--suspend"], ""));
                        }
                    }
                    self.accounts.push(fact.name.clone());
                }
                WorldFact::Alias(address, members) => {
                    let mut words = vec!["alias".to_owned(), "add".to_owned(), address.to_string()];
                    words.extend(members.iter().flat_map(|to| ["--to".to_owned(), to.to_string()]));
                    let words: Vec<&str> = words.iter().map(String::as_str).collect();
                    self.command(&words, "");
                }
                WorldFact::Unavailable => panic!("no command makes a directory that cannot be asked"),
            }
        }
        // A catch-all may stand before its account.
        for fact in facts {
            if let WorldFact::Domain(name, Some(account)) = fact {
                self.command(&["domain", "catch-all", name.as_str(), &account.to_string()], "");
            }
        }
    }

    /// Gives an account an application password that is known beforehand, which no command does.
    fn add_app_password(&self, account: Address, password: &str) {
        let digest = credential::digest(password.as_bytes());
        let request =
            Request::Change(plan::Request::CredentialAdd(account, String::new(), UnixTime(1), digest));
        let mut stream = BufReader::new(UnixStream::connect(self.dir().join(SOCKET_NAME)).unwrap());
        serde_json::to_writer(stream.get_mut(), &request).unwrap();
        stream.get_mut().write_all(b"\n").unwrap();
        let mut answer = String::new();
        stream.read_line(&mut answer).unwrap();
        let answer: Response = serde_json::from_str(&answer).unwrap();
        assert!(matches!(answer, Response::Changed { anything: true, .. }), "{answer:?}");
    }

    /// Every message that came from this address, in the order in which the lists first had it; `known` is
    /// what the last call returned.
    pub fn messages_from(&self, peer: IpAddr, known: &[LiveMessage]) -> Vec<LiveMessage> {
        let mut mail = self.mail.lock().unwrap();
        for (index, account) in self.accounts.iter().enumerate() {
            let name = account.to_string();
            let listed = self.command(&["mail", "list", &name, "--json"], "").stdout;
            for row in serde_json::from_slice::<Vec<Value>>(&listed).unwrap() {
                let id = row["id"].as_u64().unwrap();
                mail.entry((index, id)).or_insert_with(|| self.message(&name, id, &row));
            }
        }
        let mut found: Vec<LiveMessage> = known.to_vec();
        for message in &mut found {
            message.copies.clear();
        }
        let mut rows: Vec<_> = mail.iter().filter(|(_, message)| message.came_from(peer)).collect();
        rows.sort_by_key(|((_, id), message)| (message.received, *id));
        for (_, row) in rows {
            match found.iter_mut().find(|message| message.id == row.id) {
                Some(message) => message.copies.extend(row.copies.iter().cloned()),
                None => found.push(row.clone()),
            }
        }
        found
    }

    fn message(&self, account: &str, id: u64, row: &Value) -> LiveMessage {
        let octets = self.command(&["mail", "show", account, &id.to_string()], "").stdout;
        assert_eq!(row["size"].as_u64(), u64::try_from(octets.len()).ok(), "{row}");
        let text = |key: &str| row[key].as_str().unwrap();
        LiveMessage {
            sender: text("from").to_owned(),
            copies: vec![account.to_owned()],
            id: MailId::parse(text("mail")).unwrap(),
            received: date::from_rfc3339(text("received")).unwrap(),
            octets,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After a failed assertion nothing is left running; the children of the parent end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    command.env_remove("GATEPOST_DIR");
    command
}

/// A base at which every door is free. Where to begin differs from run to run, so that two at once do not meet.
fn free_base() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id() % u32::from(BASES)).unwrap();
    loop {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed).checked_add(begin).unwrap() % BASES;
        let base = FIRST_BASE + offset;
        if DOORS.iter().all(|(_, port)| TcpListener::bind(("127.0.0.1", base + port)).is_ok()) {
            return base;
        }
    }
}

/// `localserve`, which always has a certificate, or else `serve` with the one door that needs none.
fn run(setting: &Setting, root: &Path) -> (Child, u16) {
    let base = free_base();
    let data = root.join("data");
    let mut command = binary();
    let set = |command: &mut Command, key: &str, value: String| {
        command.arg("--set").arg(format!("{key}={value}"));
    };
    if setting.tls_available {
        command.args(["localserve", "--port-base", &base.to_string(), "--dir"]).arg(&data);
        set(&mut command, "hostname", setting.hostname.clone());
    } else {
        let file = root.join("gatepost.toml");
        let text = format!(
            "hostname = \"{}\"\ndata-dir = \"data\"\n[[listener]]\nkind = \"smtp\"\naddress = \"127.0.0.1:{}\"\n",
            setting.hostname,
            base + 25
        );
        std::fs::write(&file, text).unwrap();
        std::fs::create_dir(&data).unwrap();
        command.args(["serve", "--config"]).arg(file);
    }
    set(&mut command, "limits.message-octets", setting.message_octets_max.to_string());
    if !setting.scram_offered {
        set(&mut command, "scram", "off".to_owned());
    }
    // Many dialogues come from one address, and each is to find a server that never saw it before.
    set(&mut command, "throttle.allow", "127.0.0.0/8".to_owned());
    set(&mut command, "limits.stop-grace-seconds", "0".to_owned());
    let log = File::create(root.join("log")).unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    (command.spawn().unwrap(), base)
}
