//! The same store in maps, for tests and for the simulated world: faults come when they are asked for.
//!
//! Written apart from the layouts on purpose: the two stores check each other.

use super::{Deliver, MessageRecord, Operation, Store, StoreError};
use crate::auth::report::{Day, DayNumber};
use crate::auth::throttle::Snapshot;
use crate::directory::{Change, Directory};
use crate::limits;
use crate::types::{AccountId, MailId, Uid};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What the next writing call comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It works.
    None,
    /// It fails and nothing is kept.
    Refuse(StoreError),
    /// It fails, and yet everything is kept, as when a sync fails after the octets are out.
    KeepAndFail(StoreError),
}

/// A store in memory.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    server_key: [u8; 32],
    directory: Directory,
    mail: BTreeMap<(AccountId, Uid), MessageRecord>,
    next_uids: BTreeMap<AccountId, u64>,
    slices: BTreeMap<(MailId, u32), Vec<u8>>,
    /// Copies that need a body.
    copies: BTreeMap<MailId, u64>,
    /// Slices of bodies that are not committed yet.
    pending: BTreeMap<MailId, u32>,
    emptying: BTreeSet<AccountId>,
    report: BTreeMap<DayNumber, Day>,
    throttle: Option<Snapshot>,
    faults: VecDeque<Fault>,
    disk_full: bool,
    intake_must_wait: bool,
    failed: Option<String>,
    commits: u64,
}

impl MemoryStore {
    /// An empty store with this secret.
    #[must_use]
    pub fn new(server_key: [u8; 32]) -> Self {
        Self {
            server_key,
            directory: Directory::load([], 1),
            mail: BTreeMap::new(),
            next_uids: BTreeMap::new(),
            slices: BTreeMap::new(),
            copies: BTreeMap::new(),
            pending: BTreeMap::new(),
            emptying: BTreeSet::new(),
            report: BTreeMap::new(),
            throttle: None,
            faults: VecDeque::new(),
            disk_full: false,
            intake_must_wait: false,
            failed: None,
            commits: 0,
        }
    }

    /// What the next calls of `put_slice`, `drop_slices` and `commit` come to, one each; after them, all work.
    pub fn script(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.extend(faults);
    }

    /// Whether the disk is full: mail is refused with [`StoreError::DiskFull`], nothing of it is kept.
    pub fn set_disk_full(&mut self, full: bool) {
        self.disk_full = full;
    }

    /// What [`Store::intake_must_wait`] says.
    pub fn set_intake_must_wait(&mut self, wait: bool) {
        self.intake_must_wait = wait;
    }

    /// The power goes and comes back, and the store is opened for writing again: what was committed is there,
    /// slices that were not are gone, and a poisoned store works again.
    pub fn power_cut(&mut self) {
        for (body, count) in std::mem::take(&mut self.pending) {
            self.remove_slices(body, count);
        }
        self.failed = None;
    }

    /// Groups that were kept.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Slices there are, of committed bodies and others.
    #[must_use]
    pub fn slice_count(&self) -> usize {
        self.slices.len()
    }

    /// The script's next line. An error that poisons stays until [`MemoryStore::power_cut`].
    fn next_fault(&mut self) -> Result<Fault, StoreError> {
        if let Some(why) = &self.failed {
            return Err(StoreError::Poisoned(why.clone()));
        }
        let fault = self.faults.pop_front().unwrap_or(Fault::None);
        if let Fault::Refuse(StoreError::Poisoned(why)) | Fault::KeepAndFail(StoreError::Poisoned(why)) =
            &fault
        {
            self.failed = Some(why.clone());
        }
        Ok(fault)
    }

    /// Does a write as its fault says.
    fn write(&mut self, work: impl FnOnce(&mut Self) -> Result<(), StoreError>) -> Result<(), StoreError> {
        match self.next_fault()? {
            Fault::None => work(self),
            Fault::Refuse(error) => Err(error),
            Fault::KeepAndFail(error) => work(self).and(Err(error)),
        }
    }

    fn remove_slices(&mut self, body: MailId, count: u32) {
        for index in 0..count {
            self.slices.remove(&(body, index));
        }
    }

    fn takes_mail(&self, account: AccountId) -> bool {
        !self.emptying.contains(&account)
            && (self.directory.account(account).is_some() || account.0 >= self.directory.next_account())
    }

    /// Whether the slices that a message needs were put. All of a group is checked before any of it is kept.
    fn check(&self, deliver: &Deliver) -> Result<(), StoreError> {
        let body = deliver.commit.id;
        let put = self.pending.get(&body).copied().unwrap_or(0);
        if deliver.slices_before > 0 && put != deliver.slices_before {
            return Err(StoreError::Damaged(format!(
                "message {body} needs {} slices before its last, {put} were put",
                deliver.slices_before
            )));
        }
        Ok(())
    }

    fn keep(&mut self, deliver: &Deliver) {
        let Deliver { commit, last_slice, slices_before } = deliver;
        let body = commit.id;
        if *slices_before > 0 {
            self.pending.remove(&body);
        }
        let slices = slices_before.saturating_add(u32::from(!last_slice.is_empty()));
        let mut copies = 0_u64;
        for delivery in &commit.deliveries {
            if !self.takes_mail(delivery.account) {
                continue;
            }
            copies = copies.saturating_add(1);
            let next = self.next_uids.entry(delivery.account).or_insert(1);
            let uid = Uid(*next);
            *next = next.saturating_add(1);
            let record = MessageRecord {
                uid,
                body,
                received: commit.received,
                sender: commit.sender.to_string(),
                recipient: delivery.recipient.clone(),
                prefix: commit.prefix.clone(),
                body_octets: commit.body_octets,
                slices,
            };
            self.mail.insert((delivery.account, uid), record);
        }
        if copies == 0 {
            self.remove_slices(body, *slices_before);
            return;
        }
        self.copies.insert(body, copies);
        if !last_slice.is_empty() {
            self.slices.insert((body, *slices_before), last_slice.clone());
        }
    }

    fn change(&mut self, changes: &[Change]) {
        for change in changes {
            self.directory.apply(change);
            match change {
                Change::RemoveAccount(id) => {
                    self.emptying.insert(*id);
                }
                Change::PutDomain(_)
                | Change::RemoveDomain(_)
                | Change::PutAccount(_)
                | Change::PutAlias(_)
                | Change::RemoveAlias(_)
                | Change::PutHistory(..)
                | Change::PutScram(..) => {}
            }
        }
    }

    /// A group happens as a whole or not at all.
    fn keep_group(&mut self, group: &[Operation]) -> Result<(), StoreError> {
        let mut removed = self.emptying.clone();
        for operation in group {
            match operation {
                Operation::Deliver(deliver) => self.check(deliver)?,
                Operation::Change(changes) => check_changes(changes, &mut removed)?,
                Operation::Report(_) | Operation::Throttle(_) => {}
            }
        }
        for operation in group {
            match operation {
                Operation::Deliver(deliver) => self.keep(deliver),
                Operation::Change(changes) => self.change(changes),
                Operation::Report(save) => {
                    self.report.extend(save.put.iter().map(|day| (day.day, day.clone())));
                    self.report.retain(|day, _| !save.remove.contains(day));
                }
                Operation::Throttle(snapshot) => self.throttle = Some((**snapshot).clone()),
            }
        }
        self.commits = self.commits.saturating_add(1);
        Ok(())
    }
}

/// Refuses an account under an id whose mail still has to go.
fn check_changes(changes: &[Change], removed: &mut BTreeSet<AccountId>) -> Result<(), StoreError> {
    for change in changes {
        match change {
            Change::RemoveAccount(id) => {
                removed.insert(*id);
            }
            Change::PutAccount(account) if removed.contains(&account.id) => {
                return Err(StoreError::Damaged(format!("account id {} was used before", account.id.0)));
            }
            Change::PutAccount(_)
            | Change::PutDomain(_)
            | Change::RemoveDomain(_)
            | Change::PutAlias(_)
            | Change::RemoveAlias(_)
            | Change::PutHistory(..)
            | Change::PutScram(..) => {}
        }
    }
    Ok(())
}

impl Store for MemoryStore {
    fn put_slice(&mut self, body: MailId, index: u32, octets: &[u8]) -> Result<(), StoreError> {
        self.write(|store| {
            if store.disk_full {
                return Err(StoreError::DiskFull);
            }
            if store.pending.get(&body).copied().unwrap_or(0) != index {
                return Err(StoreError::Damaged(format!("slice {index} of {body} was put out of order")));
            }
            store.slices.insert((body, index), octets.to_vec());
            store.pending.insert(body, index.saturating_add(1));
            Ok(())
        })
    }

    fn drop_slices(&mut self, body: MailId, count: u32) -> Result<(), StoreError> {
        self.write(|store| {
            let put = store.pending.remove(&body).unwrap_or(0);
            store.remove_slices(body, put.max(count));
            Ok(())
        })
    }

    fn commit(&mut self, group: &[Operation]) -> Result<(), StoreError> {
        self.write(|store| {
            let brings_mail = group.iter().any(|operation| match operation {
                Operation::Deliver(_) => true,
                Operation::Change(_) | Operation::Report(_) | Operation::Throttle(_) => false,
            });
            if store.disk_full && brings_mail {
                return Err(StoreError::DiskFull);
            }
            store.keep_group(group)
        })
    }

    fn directory(&self) -> Result<Directory, StoreError> {
        Ok(self.directory.clone())
    }

    fn report(&self) -> Result<Vec<Day>, StoreError> {
        Ok(self.report.values().cloned().collect())
    }

    fn throttle(&self) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.throttle.clone())
    }

    fn server_key(&self) -> [u8; 32] {
        self.server_key
    }

    fn list(&self, account: AccountId, after: Uid, rows: usize) -> Result<Vec<MessageRecord>, StoreError> {
        if self.emptying.contains(&account) {
            return Ok(Vec::new());
        }
        let Some(from) = after.0.checked_add(1) else { return Ok(Vec::new()) };
        let range = (account, Uid(from))..=(account, Uid(u64::MAX));
        Ok(self.mail.range(range).take(rows).map(|(_, record)| record.clone()).collect())
    }

    fn message(&self, account: AccountId, uid: Uid) -> Result<Option<MessageRecord>, StoreError> {
        if self.emptying.contains(&account) {
            return Ok(None);
        }
        Ok(self.mail.get(&(account, uid)).cloned())
    }

    fn slice(&self, body: MailId, index: u32) -> Result<Vec<u8>, StoreError> {
        self.slices
            .get(&(body, index))
            .cloned()
            .ok_or_else(|| StoreError::Damaged(format!("slice {index} of body {body} is missing")))
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        if let Some(why) = &self.failed {
            return Err(StoreError::Poisoned(why.clone()));
        }
        let Some(account) = self.emptying.first().copied() else { return Ok(false) };
        let range = (account, Uid(0))..=(account, Uid(u64::MAX));
        let some: Vec<_> = self.mail.range(range).take(limits::TIDY_RECORDS_PER_STEP).collect();
        let some: Vec<_> = some.into_iter().map(|(key, record)| (*key, record.body, record.slices)).collect();
        for (key, body, slices) in some {
            self.mail.remove(&key);
            let left = self.copies.get(&body).copied().unwrap_or(0).saturating_sub(1);
            if left == 0 {
                self.copies.remove(&body);
                self.remove_slices(body, slices);
            } else {
                self.copies.insert(body, left);
            }
        }
        if self.mail.range((account, Uid(0))..=(account, Uid(u64::MAX))).next().is_none() {
            self.emptying.remove(&account);
            self.next_uids.remove(&account);
        }
        Ok(!self.emptying.is_empty())
    }

    fn write_buffer_octets(&self) -> u64 {
        0
    }

    fn intake_must_wait(&self) -> bool {
        self.intake_must_wait
    }

    fn is_poisoned(&self) -> bool {
        self.failed.is_some()
    }
}
