//! Where the data is, and whether it is data of ours.

use super::arguments::Place;
use super::failure::{Exit, Failure};
use super::files;
use crate::control::SOCKET_NAME;
use crate::types::ScramUse;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The environment variable that names the data directory when no option does.
pub const DIR_VARIABLE: &str = "GATEPOST_DIR";

/// What the store calls its own directory in the data directory.
pub const STORE_NAME: &str = "store";

/// Where a data directory may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Wherever it was said: a configuration file names the place.
    Anywhere,
    /// In a directory that is empty or not there: a path on a command line may be a slip.
    OnEmptyGround,
}

impl Begin {
    /// What is right for a place.
    #[must_use]
    pub fn at(place: &Place) -> Self {
        match place {
            Place::Config(_) => Self::Anywhere,
            Place::Dir(_) | Place::Unsaid => Self::OnEmptyGround,
        }
    }
}

/// The data directory, and whose logins SCRAM is for if a configuration says so.
///
/// # Errors
/// When nobody said where it is, or the configuration that should say so is wrong.
pub fn data_and_scram(place: &Place) -> Result<(PathBuf, ScramUse), Failure> {
    match place {
        Place::Dir(dir) => Ok((dir.clone(), ScramUse::default())),
        Place::Config(file) => {
            let config = files::read_config(file, &[])?.0;
            Ok((config.data_dir, config.scram))
        }
        Place::Unsaid => match std::env::var_os(DIR_VARIABLE) {
            Some(dir) if !dir.is_empty() => Ok((PathBuf::from(dir), ScramUse::default())),
            Some(_) | None => Err(Failure::new(
                Exit::Usage,
                format!("where is the data? Give --dir DIR or --config FILE, or set {DIR_VARIABLE}"),
            )),
        },
    }
}

/// Whether a directory holds data of ours.
///
/// # Errors
/// When there is none, or it cannot be looked into, or it is something else.
pub fn must_be_ours(dir: &Path) -> Result<(), Failure> {
    let entries = std::fs::read_dir(dir)
        .map_err(|error| Failure::of_path(Exit::Io, "open the data directory", dir, &error))?;
    let ours = |name: &std::ffi::OsStr| name == STORE_NAME || name == SOCKET_NAME;
    if entries.flatten().any(|entry| ours(&entry.file_name())) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::NoInput,
        format!(
            "{} is not a data directory of gatepost: give the right one, or begin one with \
             `gatepost domain add DOMAIN --dir {0}`",
            dir.display()
        ),
    ))
}

/// Makes a data directory that only its owner can enter, unless it is there. True if it was made.
///
/// # Errors
/// When it cannot be made (the directory it is in must be there), or what is there is no place for it.
pub fn make(dir: &Path, begin: Begin) -> Result<bool, Failure> {
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => return Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Failure::of_path(Exit::CannotCreate, "make the directory", dir, &error)),
    }
    let entries = std::fs::read_dir(dir)
        .map_err(|error| Failure::of_path(Exit::CannotCreate, "use as a data directory", dir, &error))?;
    let names: Vec<std::ffi::OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
    // A store that is still being made is called `store.new`; a file system of its own has `lost+found`.
    let is_empty_ground = names.iter().all(|name| name == "store.new" || name == "lost+found");
    let is_ours = names.iter().any(|name| name == STORE_NAME || name == SOCKET_NAME);
    if is_ours || is_empty_ground || begin == Begin::Anywhere {
        return Ok(false);
    }
    Err(Failure::new(
        Exit::CannotCreate,
        format!(
            "{} is not empty and not a data directory of gatepost: give one that is empty or not there yet",
            dir.display()
        ),
    ))
}
