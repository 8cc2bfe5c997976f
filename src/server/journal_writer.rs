//! The thread that writes the files of the journal: nobody waits for it, and what it cannot write is counted.
//!
//! It plays each recording before it writes it, so that every file plays as it was recorded. The directory is a
//! ring: the oldest files go when there are too many octets or days. What else somebody keeps in it stays.
#![expect(clippy::disallowed_methods, reason = "this room starts the thread and touches the files")]

use crate::config::journal::JournalConfig;
use crate::journal::{Recording, write};
use crate::limits::{JOURNAL_FILES_PER_SECOND_MAX, JOURNAL_QUEUE_MAX};
use crate::smtp::session::Settings;
use crate::store::disk;
use crate::telemetry::line::Line;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant, SystemTime};

#[cfg(test)]
mod tests;

/// The directory, in the data directory.
pub const DIRECTORY: &str = "journal";
/// How often old files are looked for while nothing is written.
const LOOK: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What became of recordings.
#[derive(Debug, Default)]
pub struct Counts {
    written: AtomicU64,
    shortened: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    /// All of them, by their word.
    pub fn list(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = [
            ("written", &self.written),
            ("shortened", &self.shortened),
            ("dropped", &self.dropped),
            ("failed", &self.failed),
        ];
        all.map(|(name, count)| (name, count.load(Ordering::Relaxed)))
            .into_iter()
            .filter(|(_, count)| *count > 0)
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What the thread needs to know.
#[derive(Debug, Clone)]
pub struct Place {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Octets of the disk that stay free.
    pub reserve_octets: u64,
    /// How long and how much is kept.
    pub config: JournalConfig,
    /// What sessions are played with.
    pub settings: Arc<Settings>,
}

/// The thread, seen by the loop.
#[derive(Debug)]
pub struct JournalWriter {
    queue: Option<SyncSender<Vec<Recording>>>,
    done: Receiver<()>,
    counts: Arc<Counts>,
}

impl JournalWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(place: Place) -> io::Result<Self> {
        let (queue, jobs) = mpsc::sync_channel(JOURNAL_QUEUE_MAX);
        let (over, done) = mpsc::channel();
        let counts = Arc::new(Counts::default());
        let theirs = Arc::clone(&counts);
        std::thread::Builder::new().name("journal".to_owned()).spawn(move || {
            Writer::new(place, theirs).run(&jobs);
            // Nobody may be waiting any more.
            let _ = over.send(());
        })?;
        Ok(Self { queue: Some(queue), done, counts })
    }

    /// Hands recordings of one source over, or drops and counts them.
    pub fn hand_over(&self, recordings: Vec<Recording>) {
        let handed = self.queue.as_ref().is_some_and(|queue| queue.try_send(recordings).is_ok());
        if !handed {
            add(&self.counts.dropped);
        }
    }

    /// What became of recordings so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Lets the thread write what it has, for so long.
    pub fn close(&mut self, patience: Duration) {
        self.queue = None;
        // What is not written by then is lost, and may be.
        let _ = self.done.recv_timeout(patience);
    }
}

/// The thread's side.
struct Writer {
    place: Place,
    dir: PathBuf,
    counts: Arc<Counts>,
    /// Files by name, which begins with their time, and their octets.
    files: BTreeMap<String, (u64, SystemTime)>,
    octets: u64,
    /// How many were written since when.
    second: (Instant, u32),
    /// Whether the last one could not be written, which was told.
    fails: bool,
}

impl Writer {
    fn new(place: Place, counts: Arc<Counts>) -> Self {
        let dir = place.data_dir.join(DIRECTORY);
        Self {
            place,
            dir,
            counts,
            files: BTreeMap::new(),
            octets: 0,
            second: (Instant::now(), 0),
            fails: false,
        }
    }

    fn run(&mut self, jobs: &Receiver<Vec<Recording>>) {
        self.look();
        loop {
            match jobs.recv_timeout(LOOK) {
                Ok(recordings) => self.take(recordings),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.tidy();
        }
    }

    /// What is in the directory from earlier.
    fn look(&mut self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        for entry in entries.flatten() {
            let (name, meta) = (entry.file_name(), entry.metadata());
            let (Some(name), Ok(meta)) = (name.to_str(), meta) else { continue };
            let part = name.strip_suffix(".part");
            if part.is_some_and(is_ours) {
                // Half of a file of a process that is no more.
                let _ = fs::remove_file(entry.path());
            } else if is_ours(name) && meta.is_file() {
                self.files
                    .insert(name.to_owned(), (meta.len(), meta.modified().unwrap_or(SystemTime::UNIX_EPOCH)));
                self.octets = self.octets.saturating_add(meta.len());
            }
        }
        self.tidy();
    }

    fn take(&mut self, recordings: Vec<Recording>) {
        let now = Instant::now();
        if now.duration_since(self.second.0) >= Duration::from_secs(1) {
            self.second = (now, 0);
        }
        if self.second.1 >= JOURNAL_FILES_PER_SECOND_MAX {
            return add(&self.counts.dropped);
        }
        self.second.1 = self.second.1.saturating_add(1);
        // What panicked once may do so again.
        let settings = Arc::clone(&self.place.settings);
        let made = catch_unwind(AssertUnwindSafe(|| write::file(recordings, &settings)));
        let Ok(Ok(file)) = made else { return add(&self.counts.failed) };
        if file.shortened.is_some() {
            add(&self.counts.shortened);
        }
        match self.write(&file.name, file.text.as_bytes()) {
            Ok(()) => {
                add(&self.counts.written);
                self.fails = false;
            }
            Err(error) => {
                add(&self.counts.failed);
                if !std::mem::replace(&mut self.fails, true) {
                    let why = format!("{}: {error}", self.dir.display());
                    log::warn!("{}", Line::new("journal-not-written").text("reason", &why).finish());
                }
            }
        }
    }

    /// Writes a file whole or not at all. It is no mail: nothing is synced.
    fn write(&mut self, name: &str, octets: &[u8]) -> io::Result<()> {
        let count = u64::try_from(octets.len()).unwrap_or(u64::MAX);
        let free = disk::free_octets(&self.place.data_dir).unwrap_or(0);
        if free < self.place.reserve_octets.saturating_add(count) {
            return Err(io::Error::new(ErrorKind::StorageFull, "the reserve of the disk is for mail"));
        }
        make_private(&self.dir)?;
        let path = self.dir.join(name);
        let part = self.dir.join(format!("{name}.part"));
        let written = write_new(&part, octets).and_then(|()| fs::rename(&part, &path));
        if written.is_err() {
            // There may be none.
            let _ = fs::remove_file(&part);
        }
        written?;
        if let Some((before, _)) = self.files.insert(name.to_owned(), (count, SystemTime::now())) {
            self.octets = self.octets.saturating_sub(before);
        }
        self.octets = self.octets.saturating_add(count);
        Ok(())
    }

    /// Removes what is too old, and the oldest of what is too much.
    fn tidy(&mut self) {
        let days = u32::try_from(self.place.config.days).unwrap_or(u32::MAX);
        let limit = SystemTime::now().checked_sub(DAY.saturating_mul(days));
        let is_old = |time: &SystemTime| limit.is_some_and(|limit| *time < limit);
        while let Some((name, (octets, time))) = self.files.first_key_value() {
            if self.octets <= self.place.config.octets && !is_old(time) {
                return;
            }
            let (name, octets) = (name.clone(), *octets);
            // Whoever took it away did the same.
            let _ = fs::remove_file(self.dir.join(&name));
            self.files.remove(&name);
            self.octets = self.octets.saturating_sub(octets);
        }
    }
}

/// Whether a file of this name is one of the journal: `20261124T044737Z-000000000abc.txt`.
fn is_ours(name: &str) -> bool {
    let Some((stamp, session)) = name.strip_suffix(".txt").and_then(|name| name.split_once('-')) else {
        return false;
    };
    let is_stamp = |(at, octet): (usize, u8)| match at {
        8 => octet == b'T',
        15 => octet == b'Z',
        _ => octet.is_ascii_digit(),
    };
    stamp.len() == 16
        && stamp.bytes().enumerate().all(is_stamp)
        && !session.is_empty()
        && session.bytes().all(|octet| octet.is_ascii_hexdigit())
}

/// The directory, readable for its owner alone; a link in its place is not followed.
fn make_private(dir: &Path) -> io::Result<()> {
    match fs::symlink_metadata(dir) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(io::Error::new(ErrorKind::AlreadyExists, "it is not a directory")),
        Err(error) if error.kind() == ErrorKind::NotFound => DirBuilder::new().mode(0o700).create(dir),
        Err(error) => Err(error),
    }
}

fn write_new(path: &Path, octets: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(octets)
}
