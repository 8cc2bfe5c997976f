//! The store thread as the loop sees it: requests, answers, and how it starts. Its work is in `keeper`: it
//! takes all that waits, makes one batch, syncs once, answers. It names no socket and decides nothing but
//! whether there is room.

use super::keeper::{Keeper, free_octets};
use crate::auth::report::{Day, Save};
use crate::auth::throttle::Snapshot;
use crate::contract::{Commit, CommitAnswer};
use crate::directory::{Change, Directory};
use crate::limits::{LOST_TOLD_MAX, STORE_QUEUE_MAX};
use crate::store::count::Lost;
use crate::store::verify::{Cursor, Page};
use crate::store::{MessageRecord, Store, StoreError};
use crate::types::{AccountId, MailId, SessionId, Uid};
use mio::Waker;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Names a temporary file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpoolKey(pub u64);

/// Names a commit in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommitKey(pub u64);

/// Names a question of the administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskKey(pub u64);

/// Where the body of a commit is.
#[derive(Debug)]
pub enum BodySource {
    /// Here.
    Memory(Vec<u8>),
    /// In a temporary file.
    Spool(SpoolKey),
}

/// A request.
#[derive(Debug)]
pub enum ToStore {
    /// Append to a temporary file, which the first one makes. Answered by [`FromStore::Spooled`].
    Spool {
        /// Whose; comes back with the answer.
        session: SessionId,
        /// Which file.
        key: SpoolKey,
        /// What.
        octets: Vec<u8>,
    },
    /// Drop a temporary file. Not answered.
    Forget(SpoolKey),
    /// Make a message durable. Answered by [`FromStore::Committed`].
    Commit {
        /// Comes back with the answer.
        key: CommitKey,
        /// Envelope, prefix and copies.
        commit: Box<Commit>,
        /// The body.
        body: BodySource,
    },
    /// Change the directory. Answered by [`FromStore::Changed`].
    Change(Vec<Change>),
    /// Keep what is remembered of an account's logins. Answered by [`FromStore::Remembered`].
    Remember(Box<Change>),
    /// Keep days of the report. Answered by [`FromStore::Reported`].
    Report(Box<Save>),
    /// Keep what the throttle must not forget; a later one replaces it. Answered by
    /// [`FromStore::ThrottleKept`].
    Throttle(Box<Snapshot>),
    /// List messages. Answered by [`FromStore::Listed`].
    List(AskKey, AccountId, Uid, usize),
    /// Find one message. Answered by [`FromStore::Message`].
    Message(AskKey, AccountId, Uid),
    /// Read a slice. Answered by [`FromStore::Slice`].
    Slice(AskKey, MailId, u32),
    /// One step of looking at everything. Answered by [`FromStore::Verified`].
    Verify(AskKey, Cursor),
}

/// An answer.
#[derive(Debug)]
pub enum FromStore {
    /// So many octets are no longer waiting.
    Spooled(SessionId, SpoolKey, usize),
    /// What became of a commit.
    Committed(CommitKey, CommitAnswer),
    /// What became of a change.
    Changed(Result<(), StoreError>),
    /// What became of the days of the report.
    Reported(Result<(), StoreError>),
    /// What became of what the throttle must not forget.
    ThrottleKept(Result<(), StoreError>),
    /// What became of what was to be remembered.
    Remembered(Result<(), StoreError>),
    /// The messages.
    Listed(AskKey, Result<Vec<MessageRecord>, StoreError>),
    /// The message.
    Message(AskKey, Result<Option<Box<MessageRecord>>, StoreError>),
    /// The slice.
    Slice(AskKey, Result<Vec<u8>, StoreError>),
    /// What the step came to.
    Verified(AskKey, Box<Page>),
    /// The store is not to be used any more; nothing else will be answered.
    Failed(String),
}

/// What the loop may know without asking.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Octets free on the disk.
    pub free_octets: AtomicU64,
    /// The store asks for no new mail.
    pub is_behind: AtomicBool,
    /// Counts up with every piece of work: a store that stands still is seen.
    pub progress: AtomicU64,
}

impl Gauges {
    pub(super) fn step(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }
}

/// Opens the store; called in the store thread.
pub type Opener = Box<dyn FnOnce(&Path) -> Result<Box<dyn Store>, StoreError> + Send>;

/// What the loop needs of a store before it begins.
#[derive(Debug)]
pub struct Opened {
    /// The directory.
    pub directory: Directory,
    /// The secret of this installation.
    pub server_key: [u8; 32],
    /// The report of logins.
    pub report: Vec<Day>,
    /// What the throttle had to keep.
    pub throttle: Option<Snapshot>,
    /// Acknowledged commits that are missing; the first few.
    pub lost: Vec<Lost>,
}

/// The loop's end of the thread.
#[derive(Debug)]
pub struct StoreThread {
    /// Where requests go.
    pub requests: SyncSender<ToStore>,
    /// Where answers come from.
    pub answers: Receiver<FromStore>,
    /// What is known without asking.
    pub gauges: Arc<Gauges>,
    /// Says once how opening went.
    pub opened: Receiver<Result<Opened, StoreError>>,
    /// To see it end.
    pub thread: JoinHandle<()>,
}

/// Wakes the loop; empty until the loop has a poll.
pub type WakerSlot = Arc<Mutex<Option<Waker>>>;

/// Starts the thread, which opens the store.
///
/// # Errors
/// When the system gives no thread.
pub fn start(
    dir: PathBuf,
    reserve_octets: u64,
    waker: WakerSlot,
    open: Opener,
) -> std::io::Result<StoreThread> {
    let (requests, inbox) = mpsc::sync_channel(STORE_QUEUE_MAX);
    let (outbox, answers) = mpsc::channel();
    let (opened_outbox, opened) = mpsc::channel();
    let gauges = Arc::new(Gauges::default());
    let shared = Arc::clone(&gauges);
    let thread = std::thread::Builder::new().name("store".into()).spawn(move || {
        let mut answers = Answers { outbox, waker, pending: false };
        let work = AssertUnwindSafe(|| {
            let store = match prepare(&dir, open) {
                Ok((store, opened)) => {
                    shared.free_octets.store(free_octets(&dir), Ordering::Relaxed);
                    let _ = opened_outbox.send(Ok(opened));
                    store
                }
                Err(error) => {
                    let _ = opened_outbox.send(Err(error));
                    return;
                }
            };
            let mut keeper = Keeper::new(store, dir, reserve_octets, shared, &mut answers);
            if let Err(error) = keeper.run(&inbox) {
                keeper.answers.send(FromStore::Failed(error.to_string()));
            }
        });
        if catch_unwind(work).is_err() {
            answers.send(FromStore::Failed("the store thread panicked".into()));
        }
        answers.wake();
    })?;
    Ok(StoreThread { requests, answers, gauges, opened, thread })
}

fn prepare(dir: &Path, open: Opener) -> Result<(Box<dyn Store>, Opened), StoreError> {
    let store = open(dir)?;
    let opened = Opened {
        directory: store.directory()?,
        server_key: store.server_key(),
        report: store.report()?,
        throttle: store.throttle()?,
        lost: store.lost().iter().take(LOST_TOLD_MAX).copied().collect(),
    };
    Ok((store, opened))
}

/// Answers on their way; the loop is woken once for all of a round.
pub(super) struct Answers {
    outbox: Sender<FromStore>,
    waker: WakerSlot,
    pending: bool,
}

impl Answers {
    pub(super) fn send(&mut self, answer: FromStore) {
        // A loop that left listens no more.
        let _ = self.outbox.send(answer);
        self.pending = true;
    }

    pub(super) fn wake(&mut self) {
        if !std::mem::take(&mut self.pending) {
            return;
        }
        if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            // A waker that fails cannot be told to anybody; the loop looks for answers on its own as well.
            let _ = waker.wake();
        }
    }
}

#[cfg(test)]
mod tests;
