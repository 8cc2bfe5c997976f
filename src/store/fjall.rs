//! The store on disk: the one place that names the database.
//!
//! One thread owns it. A group of operations becomes one batch and one sync. Slices of large bodies are put
//! before that without a sync, into the same journal: the sync of the batch covers them, and a journal is
//! synced before the database begins the next. The database's journal is not compressed, because it checks a
//! batch by compressing the values again: another version of the compressor would refuse its own journal.
//!
//! A panic in the database is caught and becomes an error; after a failed write it takes no more
//! ([`Store::is_poisoned`]), and the cure is to end the process and open it again.

mod counted;
mod database;
mod source;
#[cfg(test)]
mod tests;

use self::database::{BODIES, RECORDS, create, guarded, keyspace, meta, open_database, tagged_keys};
use super::count::{Entry, Lost};
use super::counter::{self, Counter, CounterState};
use super::group::{Batch, Books, CopyKey, Stage, mail_octets, messages_in, stage_emptying};
use super::keys::{self, Meta, SyncMark, Tag};
use super::place::{self, Found};
use super::repair::check_journals;
use super::verify::{self, Cursor, Page};
use super::{MessageRecord, Operation, Store, StoreError};
use crate::auth::report::Day;
use crate::auth::throttle::Snapshot;
use crate::directory::{Change, Directory};
use crate::limits;
use crate::types::{AccountId, MailId, Uid};
use ::fjall::{AbstractTree, Database, Error, Guard, Keyspace, OwnedWriteBatch, PersistMode};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

pub use super::place::OpenMode;
pub use super::repair::TornTail;

/// What opening a store came to, for the administrator's eyes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenReport {
    /// There was none; it was made.
    pub created: bool,
    /// A torn end was cut off the journal. Worth shouting: part of it may have been acknowledged if the disk
    /// lost what it said it had synced.
    pub torn: Option<TornTail>,
    /// Bodies that a crash left without a message; removed.
    pub unfinished_bodies: usize,
    /// Removed accounts whose mail still has to go, see [`Store::tidy`].
    pub accounts_to_empty: usize,
    /// Acknowledged commits that are missing, oldest first. Worth shouting.
    pub lost: Vec<Lost>,
    /// What the counter outside the database was found to be.
    pub counter: CounterState,
}

/// The store on disk. Fields drop in order: the lock is let go when the database is closed.
pub struct FjallStore {
    records: Keyspace,
    bodies: Keyspace,
    db: Database,
    mode: OpenMode,
    /// Begins every synced batch.
    mark: SyncMark,
    server_key: [u8; 32],
    books: Books,
    /// Why no further write can succeed.
    failed: Option<String>,
    /// Reused for encoding records.
    scratch: Vec<u8>,
    /// Free octets below which no mail is taken.
    floor_octets: u64,
    /// The number of the last acknowledged commit, outside the database.
    counter: Counter,
    /// The last acknowledged commit.
    last_commit: Entry,
    /// Acknowledged commits that were missing when it was opened.
    lost: Vec<Lost>,
    /// Those of which the administrator said that they are known.
    accepted_losses: Vec<Lost>,
    /// What the counter outside was found to be.
    counter_state: CounterState,
    lock: File,
}

impl std::fmt::Debug for FjallStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FjallStore").field("mode", &self.mode).field("failed", &self.failed).finish()
    }
}

/// A batch of the database and where its writes go.
struct Writes<'a> {
    batch: OwnedWriteBatch,
    records: &'a Keyspace,
    bodies: &'a Keyspace,
}

impl Batch for Writes<'_> {
    fn put_record(&mut self, key: &[u8], value: &[u8]) {
        self.batch.insert(self.records, key, value);
    }

    fn remove_record(&mut self, key: &[u8]) {
        self.batch.remove(self.records, key);
    }

    fn put_slice(&mut self, key: &[u8], octets: &[u8]) {
        self.batch.insert(self.bodies, key, octets);
    }

    fn remove_slice(&mut self, key: &[u8]) {
        self.batch.remove(self.bodies, key);
    }
}

impl FjallStore {
    /// Opens the store in `dir`. For writing, makes one where there is none, cuts a torn end off the journal
    /// (after a copy), syncs what it found, and removes bodies that a crash left unfinished. For reading, does none of this; the
    /// database itself still tidies its files.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while another process has it open; [`StoreError::Layout`] if what lies there is
    /// newer, not ours, or (for reading) nothing; [`StoreError::Torn`] (reading only);
    /// [`StoreError::Damaged`], [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn open(dir: &Path, mode: OpenMode) -> Result<(Self, OpenReport), StoreError> {
        let lock = place::lock(dir, mode)?;
        let mut report = OpenReport::default();
        let mut found = place::find(dir)?;
        if found == Found::Nothing && mode == OpenMode::Write {
            create(dir)?;
            report.created = true;
            found = place::find(dir)?;
        }
        let mark = match found {
            Found::Store(mark) => mark,
            Found::Nothing => return Err(place::nothing(dir)),
        };
        let path = place::store_path(dir);
        report.torn = check_journals(&path, &place::torn_path(dir), mark, mode)?;
        let db = open_database(&path)?;
        let (counter, outside, state) = Counter::open(dir, mark)?;
        let mut store = Self::load(db, lock, mark, mode, counter)?;
        if mode == OpenMode::Write {
            store.sync_what_was_found()?;
        }
        store.count(dir, outside, state)?;
        report.counter = store.counter_state;
        report.lost.clone_from(&store.lost);
        if mode == OpenMode::Write {
            report.unfinished_bodies = store.remove_unfinished()?;
        }
        report.accounts_to_empty = store.books.emptying.len();
        Ok((store, report))
    }

    /// Reads what is held in memory.
    fn load(
        db: Database,
        lock: File,
        mark: SyncMark,
        mode: OpenMode,
        counter: Counter,
    ) -> Result<Self, StoreError> {
        let records = keyspace(&db, RECORDS)?;
        let bodies = keyspace(&db, BODIES)?;
        let key = keys::meta_key(Meta::Layout);
        let layout = keys::decode_u32("the layout", &key, &meta(&records, Meta::Layout)?)?;
        if layout != keys::LAYOUT {
            return Err(StoreError::Layout(format!(
                "its records have layout {layout}, this program knows {}: use the program that wrote them",
                keys::LAYOUT
            )));
        }
        let server_key = keys::decode_server_key(&meta(&records, Meta::ServerKey)?)?;
        let key = keys::meta_key(Meta::NextAccount);
        let next_account = keys::decode_u32("the next account", &key, &meta(&records, Meta::NextAccount)?)?;
        let live = tagged_keys(&records, Tag::Account, |key| keys::decode_account_key(Tag::Account, key))?;
        let emptying =
            tagged_keys(&records, Tag::Emptying, |key| keys::decode_account_key(Tag::Emptying, key))?;
        Ok(Self {
            records,
            bodies,
            db,
            mode,
            mark,
            server_key,
            books: Books {
                live: live.into_iter().collect(),
                next_account,
                emptying: emptying.into_iter().map(|account| (account, Uid(0))).collect(),
                ..Books::default()
            },
            failed: None,
            scratch: Vec::new(),
            floor_octets: limits::STORE_DISK_FLOOR_OCTETS,
            counter,
            last_commit: Entry::default(),
            lost: Vec::new(),
            accepted_losses: Vec::new(),
            counter_state: CounterState::Good,
            lock,
        })
    }

    /// Makes durable what a process wrote that died before its sync. The system still has it, so it was read just
    /// now: answers will be given from it and the counter will count it, and no power cut may take it away then.
    /// The journals before the last one were synced when the next was begun.
    fn sync_what_was_found(&mut self) -> Result<(), StoreError> {
        let db = self.db.clone();
        self.write("syncing what was found", || db.persist(PersistMode::SyncAll))
    }

    /// Removes the slices of bodies whose commit never came.
    fn remove_unfinished(&mut self) -> Result<usize, StoreError> {
        let bodies =
            tagged_keys(&self.records, Tag::Pending, |key| keys::decode_body_key(Tag::Pending, key))?;
        for body in &bodies {
            let mut slices = self.bodies.prefix(body.0);
            loop {
                let mut batch = self.db.batch();
                let found = guarded("reading an unfinished body", || {
                    let mut found = 0_usize;
                    for guard in slices.by_ref().take(limits::DROP_SLICES_PER_BATCH) {
                        batch.remove(&self.bodies, guard.key()?);
                        found = found.saturating_add(1);
                    }
                    Ok(found)
                })?;
                let last = found < limits::DROP_SLICES_PER_BATCH;
                if last {
                    batch.remove(&self.records, keys::body_key(Tag::Pending, *body));
                }
                self.write("removing an unfinished body", || batch.commit())?;
                if last {
                    break;
                }
            }
        }
        Ok(bodies.len())
    }

    /// Runs a write. Whatever goes wrong in one, the database takes no more afterwards.
    fn write(&mut self, doing: &str, work: impl FnOnce() -> Result<(), Error>) -> Result<(), StoreError> {
        guarded(doing, work).map_err(|error| {
            let why = match error {
                StoreError::Poisoned(why) => why,
                StoreError::DiskFull => format!("{doing}: the disk is full"),
                StoreError::Locked
                | StoreError::Layout(_)
                | StoreError::Damaged(_)
                | StoreError::Torn(_)
                | StoreError::Io(_) => error.to_string(),
            };
            self.failed = Some(why.clone());
            StoreError::Poisoned(why)
        })
    }

    /// Whether anything may be written.
    fn writable(&self) -> Result<(), StoreError> {
        match (&self.failed, self.mode) {
            (Some(why), _) => Err(StoreError::Poisoned(why.clone())),
            (None, OpenMode::Read) => Err(StoreError::Io("the store is open for reading only".to_owned())),
            (None, OpenMode::Write) => Ok(()),
        }
    }

    /// Refuses mail while the disk is so full that the database could fail on it. A body is written twice:
    /// to the journal and, flushed, to its place.
    fn check_disk(&self, octets: usize) -> Result<(), StoreError> {
        let free = super::disk::free_octets_of(&self.lock)
            .map_err(|error| StoreError::Io(format!("asking for free space: {error}")))?;
        let needed = u64::try_from(octets).unwrap_or(u64::MAX).saturating_mul(2);
        if free < self.floor_octets.saturating_add(needed) { Err(StoreError::DiskFull) } else { Ok(()) }
    }

    /// The next uid of an account as the store has it. The last record counts beside the counter, should that
    /// have been lost with a damaged part of the journal.
    fn look_up_next_uid(&self, account: AccountId) -> Result<Uid, StoreError> {
        let key = keys::account_key(Tag::NextUid, account);
        let prefix = keys::account_key(Tag::Mail, account);
        let (counter, last) = guarded("looking for the next uid", || {
            let counter = self.records.get(key)?;
            let last = self.records.prefix(prefix).next_back().map(Guard::key).transpose()?;
            Ok((counter, last))
        })?;
        let counter = counter.map_or(Ok(1), |value| keys::decode_u64("a uid counter", &key, &value))?;
        let after = last.map_or(Ok(0), |key| keys::decode_mail_key(&key).map(|(_, uid)| uid.0))?;
        Ok(Uid(counter.max(after.saturating_add(1))))
    }

    /// Whether a copy other than those in `gone` needs a body. The first other reference is answer enough.
    fn is_needed(&self, body: MailId, gone: &BTreeSet<CopyKey>) -> Result<bool, StoreError> {
        let prefix = keys::body_key(Tag::Reference, body);
        for guard in self.records.prefix(prefix) {
            let key = guarded("reading references", || guard.key())?;
            if !gone.contains(&keys::decode_reference_key(&key)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// An account's records with a uid above `after`, ascending.
    fn mail_after(&self, account: AccountId, after: Uid) -> impl Iterator<Item = Guard> {
        let from = after.0.checked_add(1).map(|uid| keys::mail_key(account, Uid(uid)));
        let to = keys::mail_key(account, Uid(u64::MAX));
        from.into_iter().flat_map(move |from| self.records.range(from..=to))
    }
}

impl Store for FjallStore {
    fn put_slice(&mut self, body: MailId, index: u32, octets: &[u8]) -> Result<(), StoreError> {
        self.writable()?;
        self.check_disk(octets.len())?;
        let put = self.books.pending.get(&body).copied();
        if put.unwrap_or(0) != index {
            return Err(StoreError::Damaged(format!("slice {index} of body {body} was put out of order")));
        }
        let mut batch = self.db.batch();
        if put.is_none() {
            batch.insert(&self.records, keys::body_key(Tag::Pending, body), keys::encode_marker());
        }
        batch.insert(&self.bodies, keys::slice_key(body, index), octets);
        self.write("putting a slice", || batch.commit())?;
        self.books.pending.insert(body, index.saturating_add(1));
        Ok(())
    }

    fn drop_slices(&mut self, body: MailId, count: u32) -> Result<(), StoreError> {
        self.writable()?;
        let count = self.books.pending.get(&body).copied().unwrap_or(0).max(count);
        let mut indices = 0..count;
        loop {
            let mut batch = self.db.batch();
            for index in indices.by_ref().take(limits::DROP_SLICES_PER_BATCH) {
                batch.remove(&self.bodies, keys::slice_key(body, index));
            }
            let last = indices.is_empty();
            if last {
                batch.remove(&self.records, keys::body_key(Tag::Pending, body));
            }
            self.write("dropping slices", || batch.commit())?;
            if last {
                break;
            }
        }
        self.books.pending.remove(&body);
        Ok(())
    }

    fn commit(&mut self, group: &[Operation]) -> Result<(), StoreError> {
        self.writable()?;
        if group.is_empty() {
            return Ok(());
        }
        // A group that only changes the directory may be what frees the disk.
        if let Some(octets) = mail_octets(group) {
            self.check_disk(octets)?;
        }
        let batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        let mut writes = Writes { batch, records: &self.records, bodies: &self.bodies };
        // The repair of journals relies on this: first in every batch that is synced, and in no other.
        writes.put_record(&keys::meta_key(Meta::SyncMark), &keys::encode_sync_mark(self.mark));
        let entry = self.last_commit.next(counter::now(), messages_in(group));
        writes.put_record(&keys::count_key(entry.number), &keys::encode_count(entry));
        writes.put_slice(&keys::count_slice_key(entry.number), &keys::encode_count(entry));
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut stage = Stage {
            batch: &mut writes,
            next_uid: &|account| self.look_up_next_uid(account),
            scratch: &mut scratch,
        };
        let staged = self.books.stage(&mut stage, group);
        let batch = writes.batch;
        self.scratch = scratch;
        let staged = staged?;
        self.write("committing", || batch.commit())?;
        // In this order: the number outside is never above what was synced.
        self.counter.count(entry);
        self.last_commit = entry;
        self.books.apply(staged);
        Ok(())
    }

    fn directory(&self) -> Result<Directory, StoreError> {
        let mut changes = Vec::new();
        for tag in [Tag::Domain, Tag::Account, Tag::Alias, Tag::History, Tag::Scram] {
            for guard in self.records.prefix([tag.octet()]) {
                let (key, value) = guarded("reading the directory", || guard.into_inner())?;
                changes.push(match tag {
                    Tag::Domain => Change::PutDomain(keys::decode_domain(&key, &value)?),
                    Tag::Account => Change::PutAccount(keys::decode_account(&key, &value)?),
                    Tag::History => {
                        let (account, history) = keys::decode_history(&key, &value)?;
                        Change::PutHistory(account, history)
                    }
                    Tag::Scram => {
                        let (account, record) = keys::decode_scram(&key, &value)?;
                        Change::PutScram(account, record)
                    }
                    Tag::Alias
                    | Tag::Meta
                    | Tag::Count
                    | Tag::Report
                    | Tag::Throttle
                    | Tag::Mail
                    | Tag::NextUid
                    | Tag::Reference
                    | Tag::Pending
                    | Tag::Emptying => Change::PutAlias(keys::decode_alias(&key, &value)?),
                });
            }
        }
        Ok(Directory::load(changes, self.books.next_account))
    }

    /// A day that cannot be read is left out with a warning: no server stays down for the sake of a report.
    fn report(&self) -> Result<Vec<Day>, StoreError> {
        let mut days = Vec::new();
        for guard in self.records.prefix([Tag::Report.octet()]) {
            let (key, value) = guarded("reading the report", || guard.into_inner())?;
            match keys::decode_report(&key, &value) {
                Ok(day) => days.push(day),
                Err(error) => log::warn!("{error}"),
            }
        }
        Ok(days)
    }

    /// One that cannot be read is left out with a warning, as with the report.
    fn throttle(&self) -> Result<Option<Snapshot>, StoreError> {
        let value = guarded("reading the record of the throttle", || self.records.get(keys::throttle_key()))?;
        Ok(value.and_then(|value| match keys::decode_throttle(&value) {
            Ok(snapshot) => Some(snapshot),
            Err(error) => {
                log::warn!("{error}");
                None
            }
        }))
    }

    fn server_key(&self) -> [u8; 32] {
        self.server_key
    }

    fn lost(&self) -> &[Lost] {
        &self.lost
    }

    fn verify(&self, from: &Cursor) -> Page {
        verify::step(self, from)
    }

    fn list(&self, account: AccountId, after: Uid, rows: usize) -> Result<Vec<MessageRecord>, StoreError> {
        if self.books.emptying.contains_key(&account) {
            return Ok(Vec::new());
        }
        let mut out = Vec::new();
        for guard in self.mail_after(account, after).take(rows) {
            let (key, value) = guarded("reading messages", || guard.into_inner())?;
            out.push(keys::decode_record(&key, &value)?);
        }
        Ok(out)
    }

    fn message(&self, account: AccountId, uid: Uid) -> Result<Option<MessageRecord>, StoreError> {
        if self.books.emptying.contains_key(&account) {
            return Ok(None);
        }
        let key = keys::mail_key(account, uid);
        let value = guarded("reading a message", || self.records.get(key))?;
        value.map(|value| keys::decode_record(&key, &value)).transpose()
    }

    fn slice(&self, body: MailId, index: u32) -> Result<Vec<u8>, StoreError> {
        guarded("reading a body", || self.bodies.get(keys::slice_key(body, index)))?
            .map(|octets| octets.to_vec())
            .ok_or_else(|| StoreError::Damaged(format!("slice {index} of body {body} is missing")))
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        self.writable()?;
        self.counter.sync();
        let Some((&account, &after)) = self.books.emptying.first_key_value() else { return Ok(false) };
        let mut writes = Writes { batch: self.db.batch(), records: &self.records, bodies: &self.bodies };
        let mail = self
            .mail_after(account, after)
            .map(|guard| guarded("reading a removed account's mail", || guard.into_inner()));
        let last =
            stage_emptying(&mut writes, account, after, mail, |body, gone| self.is_needed(body, gone))?;
        let batch = writes.batch;
        self.write("emptying a removed account", || batch.commit())?;
        match last {
            Some(uid) => {
                self.books.emptying.insert(account, uid);
            }
            None => {
                self.books.emptying.remove(&account);
                self.books.next_uids.remove(&account);
            }
        }
        Ok(!self.books.emptying.is_empty())
    }

    fn write_buffer_octets(&self) -> u64 {
        self.db.write_buffer_size()
    }

    fn intake_must_wait(&self) -> bool {
        self.write_buffer_octets() > limits::STORE_WRITE_BUFFER_OCTETS_MAX
            || [&self.records, &self.bodies].into_iter().any(|keyspace| {
                keyspace.sealed_memtable_count() >= limits::STORE_SEALED_MEMTABLES_HIGH
                    || keyspace.tree.l0_run_count() >= limits::STORE_LEVEL0_RUNS_HIGH
            })
    }

    fn is_poisoned(&self) -> bool {
        // Asking for a flush to the operating system is how the database tells of a failed worker.
        self.failed.is_some() || guarded("asking", || self.db.persist(PersistMode::Buffer)).is_err()
    }
}

#[cfg(test)]
impl FjallStore {
    /// Writes or removes a record behind the store's back.
    pub(crate) fn plant(&self, part: verify::Part, key: &[u8], value: Option<&[u8]>) {
        let keyspace = match part {
            verify::Part::Records => &self.records,
            verify::Part::Bodies => &self.bodies,
        };
        match value {
            Some(value) => keyspace.insert(key, value).unwrap(),
            None => keyspace.remove(key).unwrap(),
        }
    }

    /// Slices there are, of committed bodies and others.
    pub(crate) fn slice_count(&self) -> usize {
        self.bodies
            .iter()
            .map(|guard| guard.key().unwrap().len())
            .filter(|octets| *octets == keys::SLICE_KEY_OCTETS)
            .count()
    }
}
