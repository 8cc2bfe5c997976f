//! What survives. Knows accounts, messages and the directory; knows no protocol and no socket.
//!
//! One thread owns a store and makes a group of requests durable with one sync. [`keys`] has every layout,
//! [`group`] says what a group writes, [`memory`] keeps all of it in maps with faults on demand, [`fjall`] is the
//! one place that names the database.
//! Before the database is opened, [`place`] finds out whose directory it is, and [`repair`] cuts a torn end
//! off the journal that [`journal`] can read; [`disk`] is what they need of plain files. [`count`] says which
//! acknowledged commits are missing, by numbers in the database and one outside it, in [`counter`]; [`verify`]
//! looks at all there is and says what is wrong.
//! [`fjall`], [`place`], [`repair`], [`counter`] and [`disk`] touch the world, the others do not.

pub mod count;
pub mod counter;
pub mod disk;
pub mod fjall;
pub mod group;
pub mod journal;
pub mod keys;
pub mod memory;
pub mod place;
pub mod repair;
#[cfg(test)]
pub(crate) mod tests;
pub mod verify;

use crate::auth::report::{Day, Save};
use crate::auth::throttle::Snapshot;
use crate::contract::Commit;
use crate::directory::{Change, Directory};
use crate::types::{AccountId, MailId, Uid, UnixTime};
use count::Lost;
use verify::{Cursor, Page};

/// A message to be made durable.
#[derive(Debug)]
pub struct Deliver {
    /// Envelope, prefix and copies.
    pub commit: Commit,
    /// The body's last slice; slices before it were put by [`Store::put_slice`]. Empty for an empty body.
    pub last_slice: Vec<u8>,
    /// Slices put before the last one.
    pub slices_before: u32,
}

/// One request of a group.
#[derive(Debug)]
pub enum Operation {
    /// Keep a message, one record per copy.
    Deliver(Box<Deliver>),
    /// Change the directory, all steps or none.
    Change(Vec<Change>),
    /// Keep days of the report of logins, and remove those that are too old.
    Report(Box<Save>),
    /// Keep what the throttle must not forget.
    Throttle(Box<Snapshot>),
}

/// A message as one account has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRecord {
    /// Within the account.
    pub uid: Uid,
    /// The body it shares with other copies.
    pub body: MailId,
    /// When it was received.
    pub received: UnixTime,
    /// Envelope sender with its angle brackets.
    pub sender: String,
    /// The envelope recipient that led here.
    pub recipient: String,
    /// Header fields put in front of the body.
    pub prefix: Vec<u8>,
    /// Octets of the body.
    pub body_octets: u64,
    /// Slices of the body.
    pub slices: u32,
}

impl MessageRecord {
    /// Octets of prefix and body.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.body_octets.saturating_add(u64::try_from(self.prefix.len()).unwrap_or(u64::MAX))
    }
}

/// Why the store did not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// The disk is full or its reserve would be touched. Nothing was kept.
    DiskFull,
    /// A write or sync failed, and the store will take no more: end the process and start again.
    Poisoned(String),
    /// Another process has the directory open.
    Locked,
    /// The directory was written by a newer version, or is no store.
    Layout(String),
    /// A record cannot be read; what and where.
    Damaged(String),
    /// The end of the journal was torn by a crash; opening for writing repairs it, reading does not.
    Torn(String),
    /// The operating system said no; what, where and why.
    Io(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DiskFull => f.write_str("the disk is full"),
            Self::Poisoned(why) => write!(f, "the store failed and must be opened again: {why}"),
            Self::Locked => f.write_str("another process has the store open"),
            Self::Layout(why) => write!(f, "the store cannot be used by this version: {why}"),
            Self::Damaged(what) => write!(f, "the store is damaged: {what}"),
            Self::Torn(what) => write!(f, "the end of the journal is torn: {what}"),
            Self::Io(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for StoreError {}

/// What every store does. All calls block; only the store thread and the command line make them.
pub trait Store: Send {
    /// Writes one slice of a body that is not yet committed; not synced. Slices count from 0.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn put_slice(&mut self, body: MailId, index: u32, octets: &[u8]) -> Result<(), StoreError>;

    /// Removes slices of a body that will not be committed.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn drop_slices(&mut self, body: MailId, count: u32) -> Result<(), StoreError>;

    /// Makes a group durable: one batch, all of it or nothing, one sync, then return. Uids are given here.
    /// An account that was removed while a message was on its way gets no copy, as if the message had come
    /// just before the removal.
    ///
    /// # Errors
    /// See [`StoreError`]; after one the group may or may not be there when the store is opened again.
    fn commit(&mut self, group: &[Operation]) -> Result<(), StoreError>;

    /// The directory.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn directory(&self) -> Result<Directory, StoreError>;

    /// The days of the report of logins, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn report(&self) -> Result<Vec<Day>, StoreError>;

    /// What the throttle had to keep last.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn throttle(&self) -> Result<Option<Snapshot>, StoreError>;

    /// The secret of this installation, made when the store was.
    fn server_key(&self) -> [u8; 32];

    /// Acknowledged commits that were missing when the store was opened, oldest first.
    fn lost(&self) -> &[Lost] {
        &[]
    }

    /// One step of looking at everything. A store that keeps no octets has nothing to look at.
    fn verify(&self, _from: &Cursor) -> Page {
        Page::default()
    }

    /// Messages of an account with a uid above `after`, ascending, at most `rows`.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn list(&self, account: AccountId, after: Uid, rows: usize) -> Result<Vec<MessageRecord>, StoreError>;

    /// One message.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn message(&self, account: AccountId, uid: Uid) -> Result<Option<MessageRecord>, StoreError>;

    /// One slice of a body.
    ///
    /// # Errors
    /// See [`StoreError`]; a slice that should be there and is not is [`StoreError::Damaged`].
    fn slice(&self, body: MailId, index: u32) -> Result<Vec<u8>, StoreError>;

    /// Does one bounded step of what was put off: the mail of removed accounts goes, and bodies with the last
    /// copy that needs them. True: call it again. To be called when nothing waits; what is not done goes on
    /// after the next opening. A step is not synced and needs not be: it is done again if it is lost. The counter
    /// of acknowledged commits is synced here too.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn tidy(&mut self) -> Result<bool, StoreError>;

    /// Octets of write buffers not yet flushed; intake stops above a ceiling.
    fn write_buffer_octets(&self) -> u64;

    /// Whether new mail should wait: write buffers are over their ceiling, or the next commit could be made
    /// to sleep until flushes and compactions catch up. It becomes false by itself.
    fn intake_must_wait(&self) -> bool;

    /// Whether a write failed, here or in the background, so that no further one can succeed until the
    /// process was started again. What is read stays right.
    fn is_poisoned(&self) -> bool;
}
