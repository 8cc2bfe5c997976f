//! The disk: the records that the real layouts make ([`Books`], [`keys`]), in maps, with what was synced apart
//! from what was only written.
//!
//! A killed process loses nothing that it wrote. A power cut loses any number of the last writes that were not
//! synced; the first of those lost may be torn, which for a journal with checksums is the same. The n-th write
//! can be chosen to be the one in which the process dies.

use crate::auth::report::Day;
use crate::auth::throttle::Snapshot;
use crate::directory::{Change, Directory};
use crate::store::group::{Batch, Books, Stage, mail_octets, stage_emptying};
use crate::store::keys::{self, Tag};
use crate::store::memory::Fault;
use crate::store::{MessageRecord, Operation, Store, StoreError};
use crate::types::{AccountId, MailId, Uid};
use std::collections::{BTreeMap, VecDeque};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// Where in a write the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Before it, or in the middle of it.
    Before,
    /// Behind it, and before its sync.
    BeforeSync,
    /// Behind its sync, and before anybody hears of it.
    BeforeAnswer,
}

#[derive(Debug, Clone)]
enum Write {
    PutRecord(Vec<u8>, Vec<u8>),
    RemoveRecord(Vec<u8>),
    PutSlice(Vec<u8>, Vec<u8>),
    RemoveSlice(Vec<u8>),
}

#[derive(Debug, Default)]
struct Writes(Vec<Write>);

/// Both keyspaces.
#[derive(Debug, Clone, Default)]
struct Keyspaces {
    records: Map,
    bodies: Map,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Platter {
    server_key: [u8; 32],
    live: Keyspaces,
    synced: Keyspaces,
    /// Written since the last sync, oldest first.
    unsynced: Vec<Vec<Write>>,
    books: Books,
    failed: Option<String>,
    faults: VecDeque<Fault>,
    is_full: bool,
    /// Writes so far.
    writes: u64,
    dies_at: Option<(u64, Cut)>,
    has_died: bool,
    /// A planted bug: nothing is ever synced.
    pub(super) never_syncs: bool,
}

impl Batch for Writes {
    fn put_record(&mut self, key: &[u8], value: &[u8]) {
        self.0.push(Write::PutRecord(key.to_vec(), value.to_vec()));
    }

    fn remove_record(&mut self, key: &[u8]) {
        self.0.push(Write::RemoveRecord(key.to_vec()));
    }

    fn put_slice(&mut self, key: &[u8], octets: &[u8]) {
        self.0.push(Write::PutSlice(key.to_vec(), octets.to_vec()));
    }

    fn remove_slice(&mut self, key: &[u8]) {
        self.0.push(Write::RemoveSlice(key.to_vec()));
    }
}

impl Keyspaces {
    fn apply(&mut self, writes: &[Write]) {
        for write in writes {
            match write {
                Write::PutRecord(key, value) => drop(self.records.insert(key.clone(), value.clone())),
                Write::RemoveRecord(key) => drop(self.records.remove(key)),
                Write::PutSlice(key, octets) => drop(self.bodies.insert(key.clone(), octets.clone())),
                Write::RemoveSlice(key) => drop(self.bodies.remove(key)),
            }
        }
    }

    fn with_prefix<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = (&'a Vec<u8>, &'a Vec<u8>)> {
        self.records.range(prefix.to_vec()..).take_while(move |(key, _)| key.starts_with(prefix))
    }

    fn keys_of<T>(&self, tag: Tag, decode: impl Fn(&[u8]) -> Result<T, StoreError>) -> Vec<T> {
        self.with_prefix(&[tag.octet()]).filter_map(|(key, _)| decode(key).ok()).collect()
    }

    /// An account's records with a uid above `after`, ascending.
    fn mail(&self, account: AccountId, after: Uid) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
        let from = keys::mail_key(account, Uid(after.0.saturating_add(1))).to_vec();
        let to = keys::mail_key(account, Uid(u64::MAX)).to_vec();
        self.records.range(from..=to)
    }

    fn next_uid(&self, account: AccountId) -> Result<Uid, StoreError> {
        let key = keys::account_key(Tag::NextUid, account).to_vec();
        let counter = self.records.get(&key);
        let counter = counter.map_or(Ok(1), |value| keys::decode_u64("a uid counter", &key, value))?;
        let last = self.mail(account, Uid(0)).next_back_key();
        let after = last.map_or(Ok(0), |key| keys::decode_mail_key(&key).map(|(_, uid)| uid.0))?;
        Ok(Uid(counter.max(after + 1)))
    }
}

/// The last key of an ascending range.
trait LastKey {
    fn next_back_key(self) -> Option<Vec<u8>>;
}

impl<'a, I: Iterator<Item = (&'a Vec<u8>, &'a Vec<u8>)>> LastKey for I {
    fn next_back_key(self) -> Option<Vec<u8>> {
        self.last().map(|(key, _)| key.clone())
    }
}

impl Platter {
    pub(super) fn new(server_key: [u8; 32]) -> Self {
        Self {
            server_key,
            live: Keyspaces::default(),
            synced: Keyspaces::default(),
            unsynced: Vec::new(),
            books: Books { next_account: 1, ..Books::default() },
            failed: None,
            faults: VecDeque::new(),
            is_full: false,
            writes: 0,
            dies_at: None,
            has_died: false,
            never_syncs: false,
        }
    }

    /// What the next writes come to, one each; after them, all work.
    pub(super) fn script(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.extend(faults);
    }

    pub(super) fn set_full(&mut self, full: bool) {
        self.is_full = full;
    }

    /// The process dies in this write, counted from the first there ever was.
    pub(super) fn die_at(&mut self, write: u64, cut: Cut) {
        self.dies_at = Some((write, cut));
    }

    /// Nothing goes wrong any more.
    pub(super) fn dies_no_more(&mut self) {
        self.dies_at = None;
    }

    /// Writes so far.
    pub(super) fn writes(&self) -> u64 {
        self.writes
    }

    /// Whether the process died in a write just now.
    pub(super) fn has_died(&self) -> bool {
        self.has_died
    }

    /// Slices there are, of committed bodies and others.
    pub(super) fn slice_count(&self) -> usize {
        self.live.bodies.len()
    }

    /// The process is gone and the next one opens the store. What was written is still there, and is synced before
    /// anything is read of it.
    pub(super) fn reopen(&mut self) {
        self.sync();
        self.failed = None;
        self.has_died = false;
        self.faults.clear();
        self.dies_at = self.dies_at.filter(|(at, _)| *at > self.writes);
        let account = |tag| move |key: &[u8]| keys::decode_account_key(tag, key);
        let live = self.live.keys_of(Tag::Account, account(Tag::Account));
        let emptying = self.live.keys_of(Tag::Emptying, account(Tag::Emptying));
        let next_account = live.iter().map(|id| id.0 + 1).max().unwrap_or(1).max(self.books.next_account);
        self.books = Books {
            live: live.into_iter().collect(),
            next_account,
            emptying: emptying.into_iter().map(|account| (account, Uid(0))).collect(),
            ..Books::default()
        };
        for body in self.live.keys_of(Tag::Pending, |key| keys::decode_body_key(Tag::Pending, key)) {
            let slices = self.live.bodies.keys().filter(|key| key.starts_with(&body.0));
            let mut writes = Writes(slices.map(|key| Write::RemoveSlice(key.clone())).collect());
            writes.remove_record(&keys::body_key(Tag::Pending, body));
            // What is done in opening is not counted: the systematic search is for writes of a running server.
            self.live.apply(&writes.0);
            self.unsynced.push(writes.0);
        }
    }

    /// The power goes: of the writes that were not synced so many are left, in their order. Returns how many
    /// were lost.
    pub(super) fn power_cut(&mut self, left: usize) -> usize {
        let unsynced = std::mem::take(&mut self.unsynced);
        let lost = unsynced.len().saturating_sub(left);
        self.live = self.synced.clone();
        for writes in unsynced.into_iter().take(left) {
            self.live.apply(&writes);
        }
        self.synced = self.live.clone();
        lost
    }

    /// Writes that a power cut could lose.
    pub(super) fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    fn writable(&self) -> Result<(), StoreError> {
        self.failed.as_ref().map_or(Ok(()), |why| Err(StoreError::Poisoned(why.clone())))
    }

    fn fail(&mut self, error: StoreError) -> Result<(), StoreError> {
        match &error {
            StoreError::DiskFull => {}
            StoreError::Poisoned(why) | StoreError::Io(why) => self.failed = Some(why.clone()),
            StoreError::Locked | StoreError::Layout(_) | StoreError::Damaged(_) | StoreError::Torn(_) => {
                self.failed = Some(error.to_string());
            }
        }
        Err(error)
    }

    /// Does a write, as the script says.
    fn write(&mut self, writes: Writes, sync: bool) -> Result<(), StoreError> {
        self.writes += 1;
        if let Some((_, cut)) = self.dies_at.take_if(|(at, _)| *at <= self.writes) {
            self.has_died = true;
            match cut {
                Cut::Before => {}
                Cut::BeforeSync => self.put(writes, false),
                Cut::BeforeAnswer => self.put(writes, sync),
            }
            return self.fail(StoreError::Poisoned("the process died in a write".into()));
        }
        match self.faults.pop_front().unwrap_or(Fault::None) {
            Fault::None => {
                self.put(writes, sync);
                Ok(())
            }
            Fault::Refuse(error) => self.fail(error),
            Fault::KeepAndFail(error) => {
                self.put(writes, false);
                self.fail(error)
            }
        }
    }

    fn put(&mut self, writes: Writes, sync: bool) {
        self.live.apply(&writes.0);
        self.unsynced.push(writes.0);
        if sync {
            self.sync();
        }
    }

    fn sync(&mut self) {
        if !self.never_syncs {
            for writes in std::mem::take(&mut self.unsynced) {
                self.synced.apply(&writes);
            }
        }
    }

    /// On a full disk a write does not come, and what was to go wrong in it goes wrong in no other.
    fn has_room(&mut self) -> Result<(), StoreError> {
        if !self.is_full {
            return Ok(());
        }
        self.faults.clear();
        Err(StoreError::DiskFull)
    }
}

impl Store for Platter {
    fn put_slice(&mut self, body: MailId, index: u32, octets: &[u8]) -> Result<(), StoreError> {
        self.writable()?;
        self.has_room()?;
        let put = self.books.pending.get(&body).copied();
        if put.unwrap_or(0) != index {
            return Err(StoreError::Damaged(format!("slice {index} of body {body} was put out of order")));
        }
        let mut writes = Writes::default();
        if put.is_none() {
            writes.put_record(&keys::body_key(Tag::Pending, body), &keys::encode_marker());
        }
        writes.put_slice(&keys::slice_key(body, index), octets);
        self.write(writes, false)?;
        self.books.pending.insert(body, index + 1);
        Ok(())
    }

    fn drop_slices(&mut self, body: MailId, count: u32) -> Result<(), StoreError> {
        self.writable()?;
        let count = self.books.pending.get(&body).copied().unwrap_or(0).max(count);
        let mut writes = Writes::default();
        (0..count).for_each(|index| writes.remove_slice(&keys::slice_key(body, index)));
        writes.remove_record(&keys::body_key(Tag::Pending, body));
        self.write(writes, false)?;
        self.books.pending.remove(&body);
        Ok(())
    }

    fn commit(&mut self, group: &[Operation]) -> Result<(), StoreError> {
        self.writable()?;
        if group.is_empty() {
            return Ok(());
        }
        if mail_octets(group).is_some() {
            self.has_room()?;
        }
        let mut writes = Writes::default();
        let mut scratch = Vec::new();
        let live = &self.live;
        let mut stage =
            Stage { batch: &mut writes, next_uid: &|account| live.next_uid(account), scratch: &mut scratch };
        let staged = self.books.stage(&mut stage, group)?;
        self.write(writes, true)?;
        self.books.apply(staged);
        Ok(())
    }

    fn directory(&self) -> Result<Directory, StoreError> {
        let mut changes = Vec::new();
        let tags = [Tag::Domain, Tag::Account, Tag::Alias, Tag::History, Tag::Scram].map(Tag::octet);
        let [domains, accounts, aliases, histories, scrams] = &tags;
        let of = |tag| self.live.with_prefix(std::slice::from_ref(tag));
        for (key, value) in of(domains) {
            changes.push(Change::PutDomain(keys::decode_domain(key, value)?));
        }
        for (key, value) in of(accounts) {
            changes.push(Change::PutAccount(keys::decode_account(key, value)?));
        }
        for (key, value) in of(aliases) {
            changes.push(Change::PutAlias(keys::decode_alias(key, value)?));
        }
        for (key, value) in of(histories) {
            let (account, history) = keys::decode_history(key, value)?;
            changes.push(Change::PutHistory(account, history));
        }
        for (key, value) in of(scrams) {
            let (account, record) = keys::decode_scram(key, value)?;
            changes.push(Change::PutScram(account, record));
        }
        Ok(Directory::load(changes, self.books.next_account))
    }

    fn report(&self) -> Result<Vec<Day>, StoreError> {
        Ok(Vec::new())
    }

    fn throttle(&self) -> Result<Option<Snapshot>, StoreError> {
        self.live.records.get(&keys::throttle_key()[..]).map(|value| keys::decode_throttle(value)).transpose()
    }

    fn server_key(&self) -> [u8; 32] {
        self.server_key
    }

    fn list(&self, account: AccountId, after: Uid, rows: usize) -> Result<Vec<MessageRecord>, StoreError> {
        if self.books.emptying.contains_key(&account) {
            return Ok(Vec::new());
        }
        let mail = self.live.mail(account, after).take(rows);
        mail.map(|(key, value)| keys::decode_record(key, value)).collect()
    }

    fn message(&self, account: AccountId, uid: Uid) -> Result<Option<MessageRecord>, StoreError> {
        let key = keys::mail_key(account, uid);
        self.live.records.get(&key[..]).map(|value| keys::decode_record(&key, value)).transpose()
    }

    fn slice(&self, body: MailId, index: u32) -> Result<Vec<u8>, StoreError> {
        let found = self.live.bodies.get(&keys::slice_key(body, index)[..]);
        found.cloned().ok_or_else(|| StoreError::Damaged(format!("slice {index} of body {body} is missing")))
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        self.writable()?;
        let Some((&account, &after)) = self.books.emptying.first_key_value() else { return Ok(false) };
        let mut writes = Writes::default();
        let mail = self.live.mail(account, after).map(|(key, value)| Ok((key.clone(), value.clone())));
        let last = stage_emptying(&mut writes, account, after, mail, |body, gone| {
            let prefix = keys::body_key(Tag::Reference, body);
            let references = self.live.with_prefix(&prefix);
            let others = references.filter_map(|(key, _)| keys::decode_reference_key(key).ok());
            let mut others = others;
            Ok(others.any(|other| !gone.contains(&other)))
        })?;
        self.write(writes, false)?;
        match last {
            Some(uid) => drop(self.books.emptying.insert(account, uid)),
            None => {
                self.books.emptying.remove(&account);
                self.books.next_uids.remove(&account);
            }
        }
        Ok(!self.books.emptying.is_empty())
    }

    fn write_buffer_octets(&self) -> u64 {
        0
    }

    fn intake_must_wait(&self) -> bool {
        false
    }

    fn is_poisoned(&self) -> bool {
        self.failed.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platter() -> Platter {
        Platter::new([0; 32])
    }

    #[test]
    fn a_fault_that_met_a_full_disk_meets_no_later_write() {
        let mut platter = platter();
        platter.set_full(true);
        platter.script([Fault::Refuse(StoreError::Io("a slice could not be written".into()))]);
        assert_eq!(platter.put_slice(MailId([1; 16]), 0, b"x"), Err(StoreError::DiskFull));
        platter.set_full(false);
        assert_eq!(platter.put_slice(MailId([1; 16]), 0, b"x"), Ok(()));
    }

    #[test]
    fn what_a_dead_process_left_unsynced_is_durable_once_the_next_one_has_read_it() {
        let mut platter = platter();
        platter.die_at(1, Cut::BeforeSync);
        assert!(platter.put_slice(MailId([1; 16]), 0, b"x").is_err());
        assert_eq!((platter.slice_count(), platter.unsynced()), (1, 1));
        // A body without a message; the next process reads it and removes it.
        platter.reopen();
        assert_eq!((platter.slice_count(), platter.unsynced()), (0, 1));
        platter.power_cut(0);
        assert_eq!(platter.slice_count(), 1);
    }
}
