//! `auth report` after logins that really failed and succeeded.

use crate::world::{World, binary};
use gatepost::auth::report::{Attempt, Ledger, names::KeptName};
use gatepost::auth::verdict::{LoginVerdict, Refusal};
use gatepost::limits::DAY_SECONDS;
use gatepost::store::fjall::FjallStore;
use gatepost::store::place::OpenMode;
use gatepost::store::{Operation, Store};
use gatepost::types::{Moment, Now, SessionId, UnixTime};
use lettre::SmtpTransport;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Tls, TlsParameters};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

struct Server {
    child: Child,
    /// Kept open, so that the server never finds its output closed.
    _out: BufReader<ChildStdout>,
    password: String,
    port: u16,
}

impl Server {
    fn start(world: &World) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let listeners = format!("listener=[{{kind=\"submissions\",address=\"127.0.0.1:{port}\"}}]");
        let mut command = binary();
        command.args(["localserve", "--set", &listeners, "--dir"]).arg(world.dir());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("Ctrl-C") {
            assert_ne!(out.read_line(&mut text).unwrap(), 0, "it ended: {text}");
        }
        let word = |line: &str| line.trim().strip_prefix("password").map(|rest| rest.trim().to_owned());
        let password = text.lines().find_map(word).unwrap();
        Self { child, _out: out, password, port }
    }

    /// Whether this login succeeds.
    fn login(&self, name: &str, password: &str) -> bool {
        let trust = TlsParameters::builder("localhost".to_owned());
        let trust = trust.dangerous_accept_invalid_certs(true).build().unwrap();
        let client = SmtpTransport::builder_dangerous("127.0.0.1").port(self.port).tls(Tls::Wrapper(trust));
        let client = client.authentication(vec![Mechanism::Plain]);
        let client = client.credentials(Credentials::new(name.to_owned(), password.to_owned())).build();
        client.test_connection().unwrap_or(false)
    }

    fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// A refused login ten days ago.
fn put_an_earlier_day(world: &World) {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now = Now { moment: Moment(0), unix: UnixTime(seconds - 10 * DAY_SECONDS) };
    let mut ledger = Ledger::load([], 30, now);
    let name = KeptName { text: "old".to_owned(), account: None };
    let verdict = LoginVerdict::Refused(Refusal::Malformed);
    let source = "192.0.2.1".parse().unwrap();
    ledger.login(now, Attempt { source, session: SessionId(1), mechanism: "PLAIN", name, verdict });
    let (mut store, _) = FjallStore::open(&world.dir(), OpenMode::Write).unwrap();
    store.commit(&[Operation::Report(Box::new(ledger.save_now().unwrap()))]).unwrap();
}

#[test]
fn logins_are_in_the_report_while_the_server_runs_and_after_it_stopped() {
    let world = World::new();
    Server::start(&world).stop();
    put_an_earlier_day(&world);
    let server = Server::start(&world);
    assert!(!server.login("me@localhost", "wrong"));
    assert!(!server.login("Secret7@localhost", "wrong"));
    assert!(!server.login("info@elsewhere.example", "wrong"));
    assert!(server.login("me@localhost", &server.password));
    let report = world.run("auth report --json").json();
    let text = world.run("auth report");
    server.stop();
    let only = &report[0];
    assert_eq!(only["compared_days"], 1);
    assert_eq!(only["total"]["attempts"], 4);
    assert_eq!((&only["total"]["accepted"], &only["total"]["refused"]), (&1.into(), &3.into()));
    assert_eq!(only["unusual"][0]["kind"], "success-from-new-place");
    assert_eq!(only["unusual"][0]["login"], "me@localhost");
    assert_eq!(only["unusual"][0]["source"], "127.0.0.0/24");
    assert_eq!(only["sources"][0]["sessions"], 4);
    assert_eq!(only["mechanisms"][0]["mechanism"], "PLAIN");
    let logins = only["logins"].to_string();
    for kept in ["me@localhost", "xxxxxx0@localhost", "info@xxxxxxxxx.xxxxxxx"] {
        assert!(logins.contains(kept), "{kept}: {logins}");
    }
    assert!(!report.to_string().to_lowercase().contains("secret7"));
    assert!(text.text().contains("me@localhost logged in from 127.0.0.0/24, a new place"), "{text:?}");
    assert_eq!(world.run("auth report --json").json(), report);
    assert_eq!(world.run("auth report --since 30 --json").json()[0]["total"]["attempts"], 5);
}

#[test]
fn a_store_where_nobody_logged_in_has_a_report_of_nothing() {
    let world = World::small();
    let report = world.run("auth report");
    report.silent();
    assert!(report.text().contains(": 0\n") && report.text().contains("  nothing\n"), "{report:?}");
}
