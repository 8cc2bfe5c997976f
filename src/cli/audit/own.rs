//! A server of our own to audit, with accounts and aliases, in a directory that goes when it is done.

use super::site::{Entrance, Secure};
use crate::cli::failure::{Exit, Failure, reason};
use crate::limits::AUDIT_SERIES_TRIES;
use crate::types::Chance;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{DirBuilder, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Those who exist there.
pub const ACCOUNTS: [&str; 4] =
    ["anna.berg@audit.example", "karl42@audit.example", "office@audit.example", "m.lindqvist@audit.example"];
/// And the aliases of the first.
pub const ALIASES: [&str; 3] = ["info@audit.example", "sales@audit.example", "newsletter@audit.example"];

/// The running server.
pub struct Own {
    child: Child,
    /// Kept open, so that the server never finds its output closed.
    _out: Option<BufReader<ChildStdout>>,
    dir: PathBuf,
    ports: [u16; 2],
}

impl Own {
    /// Starts it and makes its accounts.
    ///
    /// # Errors
    /// What stood in the way.
    pub fn start(chance: &mut Chance) -> Result<Self, Failure> {
        let dir = std::env::temp_dir().join(format!("gatepost-audit-{:016x}", chance.u64()));
        DirBuilder::new()
            .mode(0o700)
            .create(&dir)
            .map_err(|error| Failure::of_path(Exit::CannotCreate, "make", &dir, &error))?;
        let made = Self::run(&dir);
        if made.is_err() {
            let _ = std::fs::remove_dir_all(&dir);
        }
        let own = made?;
        own.populate(chance)?;
        Ok(own)
    }

    fn run(dir: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::new(Exit::Temporary, format!("cannot start a server to audit: {}", reason(&error)))
        };
        let ports = [free_port().map_err(failed)?, free_port().map_err(failed)?];
        let [mail, login] = ports;
        let listeners = format!(
            "listener=[{{kind=\"smtp\",address=\"127.0.0.1:{mail}\"}},\
             {{kind=\"submissions\",address=\"127.0.0.1:{login}\"}}]"
        );
        // One try less than a series has, so that its end is seen too.
        let guesses = format!("throttle.guesses-per-host={}", AUDIT_SERIES_TRIES.saturating_sub(1));
        let log = File::create(dir.join("log")).map_err(failed)?;
        let mut child = itself(&dir.join("data"))
            .args(["--set", &listeners, "--set", &guesses])
            .arg("localserve")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        let out = child.stdout.take().map(BufReader::new);
        let mut own = Self { child, _out: None, dir: dir.to_path_buf(), ports };
        let Some(mut out) = out else { return Err(failed(io::Error::other("it has no output"))) };
        let mut line = String::new();
        while !line.contains("Ctrl-C") {
            line.clear();
            if out.read_line(&mut line).unwrap_or(0) == 0 {
                let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
                let why = log.lines().last().unwrap_or("it ended at once").to_owned();
                return Err(Failure::new(
                    Exit::Temporary,
                    format!("the server to audit did not start: {why}"),
                ));
            }
        }
        own._out = Some(out);
        Ok(own)
    }

    fn populate(&self, chance: &mut Chance) -> Result<(), Failure> {
        self.command(&["domain", "add", "audit.example"], "")?;
        for account in ACCOUNTS {
            let password = format!("{:016x}{:016x}\n", chance.u64(), chance.u64());
            self.command(&["account", "add", account, "--password-stdin"], &password)?;
        }
        let [first, ..] = ACCOUNTS;
        for alias in ALIASES {
            self.command(&["alias", "add", alias, "--to", first], "")?;
        }
        Ok(())
    }

    fn command(&self, words: &[&str], input: &str) -> Result<(), Failure> {
        let failed = |why: String| Failure::new(Exit::Software, format!("cannot {}: {why}", words.join(" ")));
        let mut command = itself(&self.dir.join("data"));
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // Who reads no input is gone before it is written.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }

    /// Its doors for mail and for logins.
    #[must_use]
    pub fn entrances(&self) -> [Entrance; 2] {
        let [mail, login] = self.ports;
        [(mail, Secure::IfOffered), (login, Secure::AtOnce)].map(|(port, secure)| Entrance {
            host: "localhost".to_owned(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            secure,
        })
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// This program again, on this directory.
fn itself(dir: &Path) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.env_remove("GATEPOST_DIR").arg("--dir").arg(dir);
    command
}

/// A port that nobody has now.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
