//! A data directory of its own for each test, and the binary run on it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

pub const PASSWORD: &str = "seven lanterns drift";

pub struct World {
    root: TempDir,
}

/// What a run came to.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: Vec<u8>,
    pub told: String,
}

impl Run {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: output.stdout,
            told: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }

    /// It went well and had nothing to say.
    pub fn silent(&self) {
        assert_eq!((self.code, self.told.as_str()), (0, ""), "{self:?}");
    }

    /// It went well and told this one thing.
    pub fn told_only(&self, sentence: &str) {
        let told = format!("gatepost: {sentence}\n");
        assert_eq!((self.code, self.told.as_str()), (0, told.as_str()), "{self:?}");
    }

    /// It failed with this code and one line that has these parts.
    pub fn failed(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.out.is_empty(), "{self:?}");
        assert_eq!(self.told.lines().count(), 1, "{self:?}");
        assert!(self.told.starts_with("gatepost: "), "{self:?}");
        for part in parts {
            assert!(self.told.contains(part), "{part:?} is missing: {self:?}");
        }
    }
}

impl World {
    pub fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    /// `example.org` with the accounts ann and bob, who have no password.
    pub fn small() -> Self {
        let world = Self::new();
        world.run("domain add example.org");
        world.run("account add ann@example.org");
        world.run("account add bob@example.org");
        world
    }

    /// Gives ann [`PASSWORD`].
    pub fn give_password(&self) {
        self.run_with("account passwd ann@example.org --password-stdin", PASSWORD.as_bytes()).silent();
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn dir(&self) -> PathBuf {
        self.root().join("data")
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.root().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The binary with `--dir` of this world put at the end.
    pub fn run(&self, line: &str) -> Run {
        self.run_with(line, b"")
    }

    pub fn run_with(&self, line: &str, input: &[u8]) -> Run {
        let mut command = binary();
        command.args(line.split_whitespace()).arg("--dir").arg(self.dir()).current_dir(self.root());
        run(&mut command, input)
    }

    /// The binary with these arguments alone.
    pub fn bare(&self, line: &str) -> Run {
        run(binary().args(line.split_whitespace()).current_dir(self.root()), b"")
    }
}

pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    command.env_remove("GATEPOST_DIR");
    command
}

pub fn run(command: &mut Command, input: &[u8]) -> Run {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that does not read its input is gone before it is written; that is no fault.
    let _ = child.stdin.take().unwrap().write_all(input);
    Run::of(child.wait_with_output().unwrap())
}

/// Every file under a directory with its octets.
pub fn files(dir: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap_or_default());
        }
    }
    found
}
