//! A `localserve` of a test's own.

use crate::world::{World, binary};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Stdio};

pub struct Server {
    pub child: Child,
    /// Kept open, so that the server never finds its output closed.
    _out: BufReader<ChildStdout>,
    /// What it printed until it was ready.
    pub text: String,
    pub port: u16,
}

impl Server {
    /// Starts one on a port of its own and waits until it is ready; `listeners` says which doors that port has.
    pub fn start(world: &World, listeners: impl FnOnce(u16) -> String) -> Self {
        Self::start_with(world, listeners, &[])
    }

    /// The same with more settings.
    pub fn start_with(world: &World, listeners: impl FnOnce(u16) -> String, settings: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = binary();
        command.args(["localserve", "--set", &listeners(port), "--dir"]).arg(world.dir());
        command.args(settings.iter().flat_map(|setting| ["--set", setting]));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("Ctrl-C") && !text.contains("was removed") {
            assert_ne!(out.read_line(&mut text).unwrap(), 0, "it ended: {text}");
        }
        Self { child, _out: out, text, port }
    }

    pub fn stop(mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }

    /// Ends every process of it, as a machine does that loses power, but for what the disk has.
    pub fn kill(mut self) {
        let child = Pid::from_child(&self.child);
        let list = format!("/proc/{0}/task/{0}/children", child.as_raw_nonzero());
        let children = std::fs::read_to_string(list).unwrap();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        for pid in children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().unwrap())) {
            // It may have seen that its parent is gone.
            let _ = kill_process(pid, Signal::KILL);
            // On a busy machine it takes a moment to go, and holds the directory until then. One that is gone and
            // not yet fetched has an empty command line.
            let line = format!("/proc/{}/cmdline", pid.as_raw_nonzero());
            while std::fs::read(&line).is_ok_and(|line| !line.is_empty()) {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
    }

    /// The word behind a name in the text it printed.
    pub fn shown(&self, name: &str) -> &str {
        let line = self.text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.trim_start().strip_prefix(name).unwrap().trim()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After a failed assertion nothing is left running; the children of the parent end with it.
        let _ = self.child.kill();
    }
}
