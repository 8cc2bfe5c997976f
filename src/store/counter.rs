//! The number of the last acknowledged commit, outside the database: `<dir>/acknowledged`.
//!
//! Two slots of a page each, written in turn, each with a checksum: a write that is torn leaves the other. The
//! number is written when the batch is synced and before anybody is told, so a process that is killed leaves it
//! exact. It is synced when the store has nothing else to do, or after [`COUNTER_UNSYNCED_MAX`] commits: a sync
//! of its own for each commit would double what a message costs. What a power cut can take of it is a number
//! that is a little too low, which misses nothing unless the disk lost synced octets of the database in the
//! very same cut, and never raises a false alarm: it is never above what was synced.
//!
//! | octets | what |
//! |---|---|
//! | 8 | `gpcount1` |
//! | 8 | which store: XXH3-64 of its sync mark |
//! | 8 each | number, time, messages in all, big-endian |
//! | 8 | XXH3-64 of what stands before |
#![expect(clippy::disallowed_methods, reason = "the counter is a plain file and knows what time it is")]

use super::StoreError;
use super::count::Entry;
use super::disk::sync_directory;
use super::keys::SyncMark;
use super::place::{OpenMode, io_error};
use crate::limits::COUNTER_UNSYNCED_MAX;
use crate::types::UnixTime;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use xxhash_rust::xxh3::xxh3_64;

/// The file's name in the data directory.
pub const NAME: &str = "acknowledged";
/// Begins a slot.
const MAGIC: [u8; 8] = *b"gpcount1";
/// Octets of a slot that are used.
const SLOT_OCTETS: usize = 48;
/// Octets of a slot that its checksum covers.
const CHECKED_OCTETS: usize = 40;
/// Octets between slots: no write of one can tear the other.
const SLOT_STRIDE: u64 = 4_096;

/// What the file was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CounterState {
    /// As it should be; or it is not there and nothing was ever counted.
    #[default]
    Good,
    /// It is not there although commits were counted.
    Missing,
    /// Neither slot can be read.
    Unreadable,
    /// It belongs to another store.
    Foreign,
}

impl CounterState {
    /// The state in words, after "the counter of acknowledged commits".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Good => "is as it should be",
            Self::Missing => "is missing",
            Self::Unreadable => "cannot be read",
            Self::Foreign => "belongs to another store",
        }
    }
}

/// The file, open.
#[derive(Debug)]
pub struct Counter {
    path: PathBuf,
    /// None when it was opened for reading or cannot be written.
    file: Option<File>,
    store: u64,
    unsynced: u32,
}

/// What reading found.
struct Slots {
    entry: Option<Entry>,
    state: CounterState,
}

/// The time, in seconds.
#[must_use]
pub fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime(since.as_secs())
}

/// The file of a data directory.
#[must_use]
pub fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

fn encode(store: u64, entry: Entry) -> [u8; SLOT_OCTETS] {
    let mut out = [0; SLOT_OCTETS];
    let numbers = [store, entry.number, entry.at.0, entry.messages_total].map(u64::to_be_bytes);
    let parts = MAGIC.iter().chain(numbers.iter().flatten());
    for (to, from) in out.iter_mut().zip(parts) {
        *to = *from;
    }
    let checksum = xxh3_64(out.get(..CHECKED_OCTETS).unwrap_or_default()).to_be_bytes();
    for (to, from) in out.iter_mut().skip(CHECKED_OCTETS).zip(checksum) {
        *to = from;
    }
    out
}

/// Which store and which commit a slot names, if it is whole.
fn decode(slot: &[u8]) -> Option<(u64, Entry)> {
    let (words, _) = slot.as_chunks::<8>();
    let [magic, rest @ ..] = words.get(..SLOT_OCTETS / 8)? else { return None };
    let [store, number, at, messages_total, checksum] = rest else { return None };
    let whole = xxh3_64(slot.get(..CHECKED_OCTETS)?) == u64::from_be_bytes(*checksum);
    (*magic == MAGIC && whole).then_some(())?;
    let entry = Entry {
        number: u64::from_be_bytes(*number),
        at: UnixTime(u64::from_be_bytes(*at)),
        messages_total: u64::from_be_bytes(*messages_total),
        messages: 0,
    };
    Some((u64::from_be_bytes(*store), entry))
}

fn read(path: &Path, store: u64) -> Result<Slots, StoreError> {
    let failed = |error| io_error("reading", path, error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Slots { entry: None, state: CounterState::Missing });
        }
        Err(error) => return Err(failed(error)),
    };
    let mut octets = Vec::new();
    file.take(SLOT_STRIDE.saturating_mul(2)).read_to_end(&mut octets).map_err(failed)?;
    let second = usize::try_from(SLOT_STRIDE).unwrap_or(usize::MAX);
    let slots = [Some(octets.as_slice()), octets.get(second..)];
    let found: Vec<(u64, Entry)> = slots.into_iter().flatten().filter_map(decode).collect();
    let ours = found.iter().filter(|(of, _)| *of == store).map(|(_, entry)| *entry);
    let entry = ours.max_by_key(|entry| entry.number);
    let state = match (entry, found.is_empty()) {
        (Some(_), _) => CounterState::Good,
        (None, true) => CounterState::Unreadable,
        (None, false) => CounterState::Foreign,
    };
    Ok(Slots { entry, state })
}

impl Counter {
    /// Reads the counter of a store. For writing, the caller says with [`Counter::begin`] where it goes on.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it is there and the operating system does not let us read it.
    pub fn open(dir: &Path, mark: SyncMark) -> Result<(Self, Option<Entry>, CounterState), StoreError> {
        let store = xxh3_64(&mark.0);
        let path = path(dir);
        let Slots { entry, state } = read(&path, store)?;
        Ok((Self { path, file: None, store, unsynced: 0 }, entry, state))
    }

    /// Makes the file whole, with `last` in both slots, and opens it for writing. A counter that cannot be
    /// written is told and costs nothing else: mail goes on.
    pub fn begin(&mut self, dir: &Path, mode: OpenMode, last: Entry) {
        if mode == OpenMode::Read {
            return;
        }
        match self.make(dir, last) {
            Ok(file) => self.file = Some(file),
            Err(error) => self.give_up(&error),
        }
    }

    fn make(&self, dir: &Path, last: Entry) -> std::io::Result<File> {
        let options = || {
            let mut options = File::options();
            options.read(true).write(true).mode(0o600);
            options
        };
        let (file, is_new) = match options().create_new(true).open(&self.path) {
            Ok(file) => (file, true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => (options().open(&self.path)?, false),
            Err(error) => return Err(error),
        };
        // Whatever happens in between, one slot stays whole.
        for slot in [last.number.wrapping_add(1), last.number] {
            self.put(&file, slot, last)?;
            file.sync_data()?;
        }
        file.sync_all()?;
        if is_new {
            sync_directory(dir)?;
        }
        Ok(file)
    }

    fn put(&self, file: &File, slot: u64, entry: Entry) -> std::io::Result<()> {
        file.write_all_at(&encode(self.store, entry), (slot % 2).saturating_mul(SLOT_STRIDE))
    }

    fn give_up(&mut self, error: &std::io::Error) {
        log::warn!(
            "{} cannot be written ({error}): lost mail may go unnoticed until the next start",
            self.path.display()
        );
        self.file = None;
    }

    /// Says that a commit is synced. It is on its way to the disk when this returns, and no power cut was
    /// between.
    pub fn count(&mut self, entry: Entry) {
        let Some(file) = &self.file else { return };
        if let Err(error) = self.put(file, entry.number, entry) {
            return self.give_up(&error);
        }
        self.unsynced = self.unsynced.saturating_add(1);
        if self.unsynced >= COUNTER_UNSYNCED_MAX {
            self.sync();
        }
    }

    /// Makes what was counted durable, if it is not.
    pub fn sync(&mut self) {
        if self.unsynced == 0 {
            return;
        }
        self.unsynced = 0;
        if let Some(Err(error)) = self.file.as_ref().map(File::sync_data) {
            self.give_up(&error);
        }
    }

    /// Whether something was counted that is not durable yet.
    #[must_use]
    pub fn is_unsynced(&self) -> bool {
        self.unsynced > 0
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.sync();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: SyncMark = SyncMark(*b"sixteen  octets.");

    fn entry(number: u64) -> Entry {
        Entry { number, at: UnixTime(7), messages_total: number * 2, messages: 0 }
    }

    /// A counter that counted to `last`, closed.
    fn counted(last: u64) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (mut counter, found, state) = Counter::open(dir.path(), MARK).unwrap();
        assert_eq!((found, state), (None, CounterState::Missing));
        counter.begin(dir.path(), OpenMode::Write, Entry::default());
        for number in 1..=last {
            counter.count(entry(number));
        }
        let path = path(dir.path());
        (dir, path)
    }

    fn found(dir: &Path) -> (Option<u64>, CounterState) {
        let (_, found, state) = Counter::open(dir, MARK).unwrap();
        (found.map(|entry| entry.number), state)
    }

    #[test]
    fn what_was_counted_is_read_again() {
        for last in [0, 1, 2, 65, 200] {
            let (dir, _) = counted(last);
            assert_eq!(found(dir.path()), (Some(last), CounterState::Good));
        }
    }

    #[test]
    fn it_is_exact_before_it_is_synced() {
        let (dir, _) = counted(1);
        let (mut counter, last, _) = Counter::open(dir.path(), MARK).unwrap();
        counter.begin(dir.path(), OpenMode::Write, last.unwrap());
        counter.count(entry(2));
        assert!(counter.is_unsynced());
        assert_eq!(found(dir.path()).0, Some(2));
    }

    #[test]
    fn a_torn_slot_leaves_the_one_before() {
        let (dir, path) = counted(9);
        let whole = std::fs::read(&path).unwrap();
        for (slot, left) in [(0, 9), (1, 8)] {
            for at in 0..SLOT_OCTETS {
                let mut torn = whole.clone();
                torn[slot * 4_096 + at] ^= 0x10;
                std::fs::write(&path, &torn).unwrap();
                assert_eq!(found(dir.path()), (Some(left), CounterState::Good), "{slot} {at}");
            }
        }
    }

    #[test]
    fn a_file_of_which_nothing_is_left_is_said_to_be_so() {
        let (dir, path) = counted(9);
        for octets in [vec![], vec![0; 9_000], vec![0xff; 9_000], b"gpcount1".to_vec()] {
            std::fs::write(&path, octets).unwrap();
            assert_eq!(found(dir.path()), (None, CounterState::Unreadable));
        }
    }

    #[test]
    fn the_counter_of_another_store_is_not_ours() {
        let (dir, _) = counted(9);
        let (_, found, state) = Counter::open(dir.path(), SyncMark([1; 16])).unwrap();
        assert_eq!((found, state), (None, CounterState::Foreign));
    }

    #[test]
    fn reading_makes_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let (mut counter, ..) = Counter::open(dir.path(), MARK).unwrap();
        counter.begin(dir.path(), OpenMode::Read, entry(3));
        counter.count(entry(4));
        assert!(!path(dir.path()).exists());
    }

    #[test]
    fn a_counter_that_cannot_be_written_stops_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(path(dir.path())).unwrap();
        let mut counter = Counter { path: path(dir.path()), file: None, store: 1, unsynced: 0 };
        counter.begin(dir.path(), OpenMode::Write, entry(3));
        counter.count(entry(4));
        counter.sync();
    }
}
