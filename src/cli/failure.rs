//! How a command ends when it does not end well: an exit code and what to say.

use crate::control::Refusal;
use crate::server::bind::BindError;
use crate::store::StoreError;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Exit codes after sysexits(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Exit {
    /// 64: the command line is not understood.
    Usage,
    /// 65: what was given does not fit what there is.
    Data,
    /// 66: a file or directory that should be there is not.
    NoInput,
    /// 69: the server that is asked for does not run.
    Unavailable,
    /// 70: our own fault.
    Software,
    /// 73: something cannot be made.
    CannotCreate,
    /// 74: reading or writing failed.
    Io,
    /// 75: try again later.
    Temporary,
    /// 77: not allowed.
    Permission,
    /// 78: the configuration, or what it leads to, is wrong.
    Config,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Usage => 64,
            Self::Data => 65,
            Self::NoInput => 66,
            Self::Unavailable => 69,
            Self::Software => 70,
            Self::CannotCreate => 73,
            Self::Io => 74,
            Self::Temporary => 75,
            Self::Permission => 77,
            Self::Config => 78,
        }
    }
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// With one or more lines on standard error.
    Told(Exit, Vec<String>),
    /// Whoever read our output is gone and wants no more: no failure worth a word.
    OutputClosed,
}

impl Failure {
    /// A failure of one line.
    #[must_use]
    pub fn new(exit: Exit, line: impl Into<String>) -> Self {
        Self::Told(exit, vec![line.into()])
    }

    /// The operating system refused something about a path; `other` is the code for what is neither absent
    /// nor forbidden.
    #[must_use]
    pub fn of_path(other: Exit, doing: &str, path: &Path, error: &io::Error) -> Self {
        let exit = if error.kind() == io::ErrorKind::PermissionDenied {
            Exit::Permission
        } else if error.kind() == io::ErrorKind::NotFound && other == Exit::Io {
            Exit::NoInput
        } else {
            other
        };
        Self::new(exit, format!("cannot {doing} {}: {}", path.display(), reason(error)))
    }

    /// The store of a directory did not do something.
    #[must_use]
    pub fn of_store(dir: &Path, error: &StoreError) -> Self {
        let exit = match error {
            StoreError::Locked | StoreError::Poisoned(_) | StoreError::Torn(_) => Exit::Temporary,
            StoreError::Layout(_) => Exit::Config,
            StoreError::DiskFull | StoreError::Damaged(_) | StoreError::Io(_) => Exit::Io,
        };
        let mend = match error {
            StoreError::Locked => "; wait until it is done",
            StoreError::Torn(_) => {
                "; start the server, which repairs it and keeps a copy of what it cuts off"
            }
            StoreError::DiskFull => "; nothing was changed: make room first",
            StoreError::Poisoned(_) => "; look at the state with a list before you try again",
            StoreError::Layout(_) | StoreError::Damaged(_) | StoreError::Io(_) => "",
        };
        Self::new(exit, format!("{}: {error}{mend}", dir.display()))
    }

    /// A listener cannot be; `mend` is what else can be done about a port that is taken.
    #[must_use]
    pub fn of_listener(error: &BindError, mend: &str) -> Self {
        match error.exit_code() {
            77 => Self::new(Exit::Permission, error.to_string()),
            78 => Self::new(Exit::Config, error.to_string()),
            _ => Self::new(Exit::Temporary, format!("{error}{mend}")),
        }
    }

    /// The server, or the plan, refused it.
    #[must_use]
    pub fn of_refusal(refusal: Refusal, why: String) -> Self {
        let exit = match refusal {
            Refusal::Data => Exit::Data,
            Refusal::Temporary => Exit::Temporary,
        };
        Self::new(exit, why)
    }

    /// What it says, in one line.
    #[must_use]
    pub fn to_line(&self) -> String {
        match self {
            Self::OutputClosed => "nobody reads the output".to_owned(),
            Self::Told(_, lines) => lines.join("; "),
        }
    }

    /// Says it on standard error and turns it into the process's exit code.
    #[must_use]
    pub fn end(self) -> ExitCode {
        match self {
            Self::OutputClosed => ExitCode::SUCCESS,
            Self::Told(exit, lines) => {
                for line in lines {
                    super::output::tell(&line);
                }
                ExitCode::from(exit.code())
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(_, lines) => f.write_str(&lines.join("\n")),
            Self::OutputClosed => f.write_str("the output was closed"),
        }
    }
}

/// What the operating system says, without the number it adds.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
