//! Where the store lies in the data directory, whether what lies there is ours, and who may open it.
//!
//! `<dir>/store` is the database; the file `layout` in it says so in words and with a number, and is read
//! before the database may touch anything; so is the secret mark of its synced batches, which stands there too. A new store is made as `<dir>/store.new` and renamed when it is
//! complete, so that a crash leaves either none or a whole one. `<dir>/torn` keeps journals as they were
//! before a torn end was cut off. The lock is on `<dir>` itself and needs no file.
#![expect(clippy::disallowed_methods, reason = "this file looks at the data directory")]

use super::StoreError;
use super::disk::sync_directory;
use super::keys::{LAYOUT, SyncMark};
use super::repair::stray;
use crate::types::MailId;
use std::fs::{DirBuilder, File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The database.
const STORE: &str = "store";
/// The database while it is made.
pub const UNFINISHED_NAME: &str = "store.new";
/// Journals as they were before a torn end was cut off.
const TORN: &str = "torn";
/// Says whose directory it is and in which layout.
const MARKER: &str = "layout";
/// What the marker says in front of the number.
const MARKER_TEXT: &str = "gatepost store, layout ";
/// What the marker says between the number and the sync mark.
const MARKER_MARK: &str = ", mark ";
/// Directories within directories of a new database: `keyspaces/1/tables` are three.
const STORE_DEPTH_MAX: usize = 8;
/// Octets of a marker that are looked at.
const MARKER_OCTETS_MAX: u64 = 128;
/// Files and directories the database makes for itself, journals aside.
const DATABASE_NAMES: [&str; 3] = ["version", "keyspaces", "lock"];

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// To keep mail: makes a store where there is none, repairs a torn end, removes what a crash left over.
    Write,
    /// To look: never makes, repairs or removes anything.
    Read,
}

/// What lies where the store should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or an empty directory.
    Nothing,
    /// A store of this layout, and what begins its synced batches.
    Store(SyncMark),
}

/// Whether a write failed for want of space.
#[must_use]
pub fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// An error of the operating system in our words.
#[must_use]
pub fn io_error(doing: &str, path: &Path, error: std::io::Error) -> StoreError {
    if is_full(&error) {
        StoreError::DiskFull
    } else {
        StoreError::Io(format!("{doing} {}: {error}", path.display()))
    }
}

/// The directory of the database.
#[must_use]
pub fn store_path(dir: &Path) -> PathBuf {
    dir.join(STORE)
}

/// The directory of journals that had a torn end.
#[must_use]
pub fn torn_path(dir: &Path) -> PathBuf {
    dir.join(TORN)
}

/// Makes a directory that only its owner can look into, durably, unless it is there.
///
/// # Errors
/// [`StoreError::Io`], [`StoreError::DiskFull`].
pub fn make_directory(path: &Path) -> Result<(), StoreError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => {
                sync_directory(parent).map_err(|error| io_error("syncing", parent, error))
            }
            Some(_) | None => Ok(()),
        },
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(io_error("making the directory", path, error)),
    }
}

/// Takes the data directory for this process; let go when the file is dropped. For writing, the directory is
/// made if only its last part is missing.
///
/// # Errors
/// [`StoreError::Locked`]; [`StoreError::Layout`] if there is no such directory to read;
/// [`StoreError::Io`], [`StoreError::DiskFull`].
pub fn lock(dir: &Path, mode: OpenMode) -> Result<File, StoreError> {
    if mode == OpenMode::Write {
        make_directory(dir)?;
    }
    let file = match File::open(dir) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(nothing(dir)),
        Err(error) => return Err(io_error("opening", dir, error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked),
        Err(TryLockError::Error(error)) => Err(io_error("locking", dir, error)),
    }
}

/// There is nothing to read.
#[must_use]
pub fn nothing(dir: &Path) -> StoreError {
    StoreError::Layout(format!(
        "there is no store in {}: give another directory, or start the server once to make one",
        dir.display()
    ))
}

/// Looks at what lies in `<dir>/store`, without touching it.
///
/// # Errors
/// [`StoreError::Layout`] if it is not ours or of another layout; [`StoreError::Damaged`] if parts are
/// missing or strange; [`StoreError::Io`].
pub fn find(dir: &Path) -> Result<Found, StoreError> {
    let store = store_path(dir);
    let mut entries = match std::fs::read_dir(&store) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Err(foreign(&store)),
        Err(error) => return Err(io_error("listing", &store, error)),
    };
    if entries.next().is_none() {
        return Ok(Found::Nothing);
    }
    let mark = match read_marker(&store)? {
        Some((LAYOUT, Some(mark))) => mark,
        Some((LAYOUT, None)) => {
            return Err(StoreError::Damaged(format!(
                "{} cannot be read: restore it from a backup",
                store.join(MARKER).display()
            )));
        }
        Some((newer, _)) if newer > LAYOUT => {
            return Err(StoreError::Layout(format!(
                "{} has layout {newer}, this program knows layouts up to {LAYOUT}: use the newer program",
                store.display()
            )));
        }
        Some(_) | None => return Err(foreign(&store)),
    };
    for name in DATABASE_NAMES {
        let path = store.join(name);
        // Without its version file the database would take the directory for an empty one.
        if !path.try_exists().map_err(|error| io_error("looking for", &path, error))? {
            return Err(StoreError::Damaged(format!(
                "{} is missing: restore the directory from a backup",
                path.display()
            )));
        }
    }
    check_keyspaces(&store.join("keyspaces"))?;
    Ok(Found::Store(mark))
}

fn foreign(store: &Path) -> StoreError {
    StoreError::Layout(format!(
        "{} is no store of gatepost's and is left alone: give another directory, or move it away",
        store.display()
    ))
}

/// Layout number and sync mark of the marker; `None` if there is no marker that could be ours.
fn read_marker(store: &Path) -> Result<Option<(u32, Option<SyncMark>)>, StoreError> {
    let path = store.join(MARKER);
    let failed = |error| io_error("reading", &path, error);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut octets = Vec::new();
    file.take(MARKER_OCTETS_MAX).read_to_end(&mut octets).map_err(failed)?;
    let text = std::str::from_utf8(&octets).unwrap_or_default();
    let Some(rest) = text.strip_prefix(MARKER_TEXT) else { return Ok(None) };
    let (number, mark) = rest.trim_end().split_once(MARKER_MARK).unwrap_or((rest.trim_end(), ""));
    // Written as a mail id is: 32 hexadecimal digits for 16 octets.
    let mark = MailId::parse(mark).map(|mark| SyncMark(mark.0));
    Ok(number.parse().ok().map(|number| (number, mark)))
}

/// Every directory under `keyspaces` has a number for a name; the database panics at another.
fn check_keyspaces(keyspaces: &Path) -> Result<(), StoreError> {
    let failed = |error| io_error("listing", keyspaces, error);
    for entry in std::fs::read_dir(keyspaces).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let numbered = entry.file_name().to_str().is_some_and(|name| name.parse::<u64>().is_ok());
        if !numbered && !entry.file_type().map_err(failed)?.is_file() {
            return Err(stray(&entry.path()));
        }
    }
    Ok(())
}

/// Makes an empty directory for a store to be made in. What an earlier attempt left there is removed, and
/// nothing else is.
///
/// # Errors
/// [`StoreError::Layout`] if something foreign lies there; [`StoreError::Io`], [`StoreError::DiskFull`].
pub fn make_staging(dir: &Path) -> Result<PathBuf, StoreError> {
    let staging = dir.join(UNFINISHED_NAME);
    match std::fs::read_dir(&staging) {
        Ok(entries) => {
            for entry in entries {
                let name = entry.map_err(|error| io_error("listing", &staging, error))?.file_name();
                let ours = name.to_str().is_some_and(|name| {
                    name == MARKER || DATABASE_NAMES.contains(&name) || name.ends_with(".jnl")
                });
                if !ours {
                    return Err(foreign(&staging));
                }
            }
            std::fs::remove_dir_all(&staging).map_err(|error| io_error("removing", &staging, error))?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(io_error("listing", &staging, error)),
    }
    make_directory(&staging)?;
    Ok(staging)
}

/// Syncs a directory with all that is in it, names included, to this depth of directories. The database syncs
/// its files, and not every directory it made for them.
fn sync_tree(dir: &Path, depth: usize) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        match (entry.file_type()?.is_dir(), depth.checked_sub(1)) {
            (true, Some(depth)) => sync_tree(&entry.path(), depth)?,
            (true, None) => return Err(std::io::Error::other("directories in it lie too deep")),
            (false, _) => File::open(entry.path())?.sync_all()?,
        }
    }
    sync_directory(dir)
}

/// Marks a complete and closed store as ours and puts it in its place.
///
/// # Errors
/// [`StoreError::Io`], [`StoreError::DiskFull`].
pub fn settle(dir: &Path, mark: SyncMark) -> Result<(), StoreError> {
    let staging = dir.join(UNFINISHED_NAME);
    let marker = staging.join(MARKER);
    let failed = |error| io_error("writing", &marker, error);
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&marker).map_err(failed)?;
    let text = format!("{MARKER_TEXT}{LAYOUT}{MARKER_MARK}{}\n", MailId(mark.0));
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    sync_tree(&staging, STORE_DEPTH_MAX).map_err(|error| io_error("syncing", &staging, error))?;
    let store = store_path(dir);
    std::fs::rename(&staging, &store).map_err(|error| io_error("making", &store, error))?;
    sync_directory(dir).map_err(|error| io_error("syncing", dir, error))
}
