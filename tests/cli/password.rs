//! Passwords from standard input and from a terminal.

use crate::world::{PASSWORD, World, binary};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStderr, Stdio};

#[test]
fn a_password_must_keep_the_rules() {
    let world = World::small();
    for (password, part) in [("short", "shorter"), ("password12", "common"), ("ann@example.org", "name")] {
        let run = world.run_with("account passwd ann@example.org --password-stdin", password.as_bytes());
        run.failed(65, &["password"]);
        assert!(run.told.contains(part), "{run:?}");
    }
    world.run_with("account passwd ann@example.org --password-stdin", b"").failed(65, &["empty"]);
    world.run_with("account passwd ann@example.org --password-stdin", b"four brass kettles\n").silent();
}

#[test]
fn a_password_for_nobody_is_told_so() {
    let world = World::small();
    world
        .run_with("account passwd nobody@example.org --password-stdin", PASSWORD.as_bytes())
        .failed(65, &["no account", "nobody@example.org"]);
}

#[test]
fn without_a_terminal_and_without_the_option_there_is_no_password_to_set() {
    let world = World::small();
    world.run("account passwd ann@example.org").failed(64, &["--password-stdin"]);
    let added = world.run("account add carl@example.org");
    assert_eq!(added.code, 0);
    assert!(added.told.contains("has no password"), "{added:?}");
}

/// Somebody at a terminal, with the program on the other end of it.
struct Typist {
    terminal: File,
    /// Kept open: a terminal whose last user is gone forgets what it was set to.
    program_side: OwnedFd,
    child: Child,
    told: ChildStderr,
}

impl Typist {
    fn at(world: &World, line: &str) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let program_side = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
        let mut command = binary();
        command.args(line.split_whitespace()).arg("--dir").arg(world.dir());
        command.stdin(program_side.try_clone().unwrap()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let told = child.stderr.take().unwrap();
        Self { terminal: File::from(terminal), program_side, child, told }
    }

    fn waits_for(&mut self, prompt: &str) {
        let mut seen = Vec::new();
        let mut octet = [0; 1];
        while !seen.ends_with(prompt.as_bytes()) {
            assert_eq!(self.told.read(&mut octet).unwrap(), 1, "{}", String::from_utf8_lossy(&seen));
            seen.extend(octet);
        }
    }

    fn types(&mut self, keys: &[u8]) {
        self.terminal.write_all(keys).unwrap();
    }

    /// The exit code, what else was told, and what the terminal showed.
    fn leaves(mut self) -> (i32, String, String) {
        let mut told = String::new();
        self.told.read_to_string(&mut told).unwrap();
        let code = self.child.wait().unwrap().code().unwrap();
        let modes = tcgetattr(&self.program_side).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ISIG | LocalModes::ICANON), "{modes:?}");
        rustix::io::ioctl_fionbio(&self.terminal, true).unwrap();
        let mut shown = Vec::new();
        let mut piece = [0; 4_096];
        while let Ok(count @ 1..) = self.terminal.read(&mut piece) {
            shown.extend(&piece[..count]);
        }
        (code, told, String::from_utf8_lossy(&shown).into_owned())
    }
}

#[test]
fn a_password_is_typed_twice_and_never_shown() {
    let world = World::small();
    let mut typist = Typist::at(&world, "account passwd bob@example.org");
    typist.waits_for("Password for bob@example.org: ");
    typist.types(b"four brasz\x7fs kettles\r");
    typist.waits_for("The same again: ");
    typist.types(b"wrong\x15four brass kettles\n");
    let (code, told, shown) = typist.leaves();
    assert_eq!((code, told.trim(), shown.as_str()), (0, "", ""));
    assert_eq!(world.run("account list --json").json()[1]["has_password"], true);
}

#[test]
fn passwords_that_differ_change_nothing() {
    let world = World::small();
    let mut typist = Typist::at(&world, "account passwd bob@example.org");
    typist.waits_for("Password for bob@example.org: ");
    typist.types(b"four brass kettles\n");
    typist.waits_for("The same again: ");
    typist.types(b"five brass kettles\n");
    let (code, told, shown) = typist.leaves();
    assert_eq!((code, shown.as_str()), (65, ""));
    assert!(told.contains("differ"), "{told}");
    assert_eq!(world.run("account list --json").json()[1]["has_password"], false);
}

#[test]
fn an_interrupt_at_the_prompt_gives_the_terminal_its_echo_back() {
    let world = World::small();
    for keys in [&b"half a pass\x03"[..], b"\x04", b"\x1c"] {
        let mut typist = Typist::at(&world, "account add carl@example.org");
        typist.waits_for("Password for carl@example.org: ");
        typist.types(keys);
        let (code, told, shown) = typist.leaves();
        assert_eq!((code, shown.as_str()), (65, ""));
        assert!(told.contains("nothing was changed"), "{told}");
    }
    assert_eq!(world.run("account list --json").json().as_array().unwrap().len(), 2);
}
