//! Which files are played, and what they say.

use crate::cli::failure::{Exit, Failure};
use crate::cli::output;
use crate::dialog::Dialog;
use crate::dialog::parse::parse;
use crate::limits::DIALOG_FILE_OCTETS_MAX;
use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

/// The files, and of directories every file that ends in `.txt`, in order.
///
/// # Errors
/// A path that is not there, a directory that cannot be read or has no such file.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        let facts = fs::metadata(path).map_err(|error| Failure::of_path(Exit::Io, "read", path, &error))?;
        if !facts.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        walk(path, &mut files)?;
        if files.len() == before {
            let what = format!("{} has no file that ends in .txt: there is nothing to play", path.display());
            return Err(Failure::new(Exit::NoInput, what));
        }
    }
    Ok(files)
}

/// Links to directories are not followed: there would be no end to a loop of them.
fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |error: &io::Error| Failure::of_path(Exit::Io, "read", dir, error);
    let entries = fs::read_dir(dir).map_err(|error| failed(&error))?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(|error| failed(&error))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type().map_err(|error| failed(&error))?.is_dir() {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|name| name == "txt") && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// A file, read.
#[derive(Debug)]
pub enum Loaded {
    /// A dialogue.
    Dialog(Dialog),
    /// None, and why: a line and what is wrong there.
    NoDialog(usize, String),
}

/// Reads a file.
///
/// # Errors
/// When it cannot be read.
pub fn load(path: &Path) -> Result<Loaded, Failure> {
    let failed = |error: &io::Error| Failure::of_path(Exit::Io, "read", path, error);
    let file = fs::File::open(path).map_err(|error| failed(&error))?;
    let most = u64::try_from(DIALOG_FILE_OCTETS_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut octets = Vec::new();
    file.take(most).read_to_end(&mut octets).map_err(|error| failed(&error))?;
    let text = match String::from_utf8(octets) {
        Ok(text) => text,
        Err(error) => {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = memchr::memchr_iter(b'\n', good).count().saturating_add(1);
            return Ok(Loaded::NoDialog(line, "this is not UTF-8 text".to_owned()));
        }
    };
    Ok(match parse(&text) {
        Ok(dialog) => Loaded::Dialog(dialog),
        Err(error) => Loaded::NoDialog(error.line, error.what),
    })
}

/// Puts another text in the place of a file's, whole or not at all.
///
/// # Errors
/// When it cannot be written; the file is as it was then.
pub fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        // It is of no use to anybody.
        let _ = fs::remove_file(&beside);
        Failure::of_path(Exit::CannotCreate, "write", path, &error)
    })
}

/// How far it has come, on a terminal.
#[derive(Debug)]
pub struct Progress {
    total: usize,
    is_shown: bool,
}

impl Progress {
    /// Nothing yet of so many.
    #[must_use]
    pub fn new(total: usize) -> Self {
        Self { total, is_shown: io::stderr().is_terminal() && total > 1 }
    }

    /// This one begins.
    pub fn at(&self, done: usize, path: &Path) {
        if self.is_shown {
            let name = output::printable(&path.file_name().unwrap_or_default().to_string_lossy());
            let _ = write!(io::stderr().lock(), "\r\x1b[K{done}/{} {name}", self.total);
        }
    }

    /// The line is cleared for something else.
    pub fn clear(&self) {
        if self.is_shown {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}
