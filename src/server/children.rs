//! The parent's children as processes: how they are started, what is said to them, how they end.

use super::channel::{Channel, ToParent, ToServer, pair};
use super::hash_worker;
use rustix::process::Signal;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

/// The program that runs, whatever has become of its file: after an upgrade the parent restarts the version
/// it is itself.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// glibc's allocator keeps freed memory once a large block was freed; a fixed threshold makes it give large
/// blocks back. Measured on an idle worker after a few runs: 5 MiB resident with it, 44 MiB without. Other
/// allocators do not look at it.
const GIVE_MEMORY_BACK: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "1048576");

/// How children are started: arguments, and variables on top of the parent's.
#[derive(Debug, Clone)]
pub(super) struct Launcher {
    pub(super) server: Vec<OsString>,
    pub(super) worker: Vec<OsString>,
    pub(super) server_environment: Vec<(OsString, OsString)>,
    pub(super) worker_environment: Vec<(OsString, OsString)>,
}

impl Default for Launcher {
    fn default() -> Self {
        let (name, value) = GIVE_MEMORY_BACK;
        Self {
            server: vec!["serve-child".into()],
            worker: vec!["hash-worker-child".into()],
            server_environment: Vec::new(),
            worker_environment: vec![(name.into(), value.into())],
        }
    }
}

impl Launcher {
    /// Starts a server and gives the parent's end of the channel to it.
    pub(super) fn server(&self) -> io::Result<(Process, Channel<ToParent, ToServer>)> {
        let (ours, theirs) = pair()?;
        let channel = Channel::from_fd(ours)?;
        let mut command = command(&self.server, &self.server_environment, theirs);
        Ok((Process(command.spawn()?), channel))
    }

    /// Starts a hash worker and gives the loop's end of its socket.
    pub(super) fn worker(&self) -> io::Result<(Process, OwnedFd)> {
        let (loops, theirs) = hash_worker::pair()?;
        let mut command = command(&self.worker, &self.worker_environment, theirs);
        Ok((Process(command.spawn()?), loops))
    }
}

fn command(arguments: &[OsString], environment: &[(OsString, OsString)], socket: OwnedFd) -> Command {
    let mut command = Command::new(OWN_PROGRAM);
    command
        .arg0("gatepost")
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        // Said to the parent and to nobody else (sd_listen_fds(3), sd_notify(3)).
        .env_remove("LISTEN_PID")
        .env_remove("LISTEN_FDS")
        .env_remove("LISTEN_FDNAMES")
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        // A Ctrl-C on the terminal is for the parent alone; it tells the others in order.
        .process_group(0);
    command
}

/// A child that was started here. Only through this is anything ever killed: while the child is not reaped,
/// its number belongs to no other process.
#[derive(Debug)]
pub(super) struct Process(Child);

impl Process {
    /// Its number.
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it did; it is reaped then.
    pub(super) fn ended(&mut self) -> Option<Ended> {
        match self.0.try_wait() {
            Ok(status) => status.map(Ended),
            // It cannot be asked about: nothing is there to wait for.
            Err(_) => Some(Ended(ExitStatus::from_raw(0))),
        }
    }

    /// Ends it at once; [`Process::ended`] tells when it is over.
    pub(super) fn kill(&mut self) {
        // The one error is that it has ended already.
        let _ = self.0.kill();
    }
}

impl Drop for Process {
    /// No child outlives the parent's interest in it, and none stays a zombie.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended(ExitStatus);

impl Ended {
    /// The exit code, unless a signal ended it.
    pub(super) fn code(self) -> Option<i32> {
        self.0.code()
    }
}

impl fmt::Display for Ended {
    /// `exit:75` or `signal:SIGKILL`, without spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.code(), self.0.signal()) {
            (Some(code), _) => write!(f, "exit:{code}"),
            (None, Some(number)) => match Signal::from_named_raw(number) {
                Some(Signal::KILL) => f.write_str("signal:SIGKILL"),
                Some(Signal::SEGV) => f.write_str("signal:SIGSEGV"),
                Some(Signal::ABORT) => f.write_str("signal:SIGABRT"),
                Some(Signal::BUS) => f.write_str("signal:SIGBUS"),
                Some(Signal::SYS) => f.write_str("signal:SIGSYS"),
                Some(Signal::TERM) => f.write_str("signal:SIGTERM"),
                Some(_) | None => write!(f, "signal:{number}"),
            },
            (None, None) => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_one_word() {
        assert_eq!(Ended(ExitStatus::from_raw(75 << 8)).to_string(), "exit:75");
        assert_eq!(Ended(ExitStatus::from_raw(9)).to_string(), "signal:SIGKILL");
        assert_eq!(Ended(ExitStatus::from_raw(34)).to_string(), "signal:34");
        assert_eq!(Ended(ExitStatus::from_raw(9)).code(), None);
    }
}
