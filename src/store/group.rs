//! What a group of operations writes, and what is held in memory so that it can be said without reading.
//!
//! Nothing is taken over before the group is durable: [`Books::stage`] only writes into a batch and says what
//! changed, [`Books::apply`] takes it over.

use super::keys::{self, Meta, RecordParts, Tag};
use super::{Deliver, Operation, StoreError};
use crate::directory::Change;
use crate::limits;
use crate::types::{AccountId, MailId, Uid};
use std::collections::{BTreeMap, BTreeSet};

/// Takes the writes of one group, to be made together.
pub trait Batch {
    /// Adds or replaces a record.
    fn put_record(&mut self, key: &[u8], value: &[u8]);
    /// Removes a record, if it is there.
    fn remove_record(&mut self, key: &[u8]);
    /// Adds a slice of a body.
    fn put_slice(&mut self, key: &[u8], octets: &[u8]);
    /// Removes a slice of a body, if it is there.
    fn remove_slice(&mut self, key: &[u8]);
}

/// One account's copy of a message, as a reference names it.
pub type CopyKey = (MailId, AccountId, Uid);

/// What is held in memory. Grows with accounts and unfinished bodies, never with mail.
#[derive(Debug, Default)]
pub struct Books {
    /// Accounts there are.
    pub live: BTreeSet<AccountId>,
    /// The smallest account id never used.
    pub next_account: u32,
    /// Next uid of accounts that got mail since the store was opened.
    pub next_uids: BTreeMap<AccountId, Uid>,
    /// Slices of bodies that are not committed yet.
    pub pending: BTreeMap<MailId, u32>,
    /// Removed accounts whose mail has to go, and the uid up to which it is gone.
    pub emptying: BTreeMap<AccountId, Uid>,
}

/// What a group changes in memory once it is durable.
#[derive(Debug)]
pub struct Staged {
    added: BTreeSet<AccountId>,
    removed: BTreeSet<AccountId>,
    next_account: u32,
    /// Next uid of accounts that got mail in this group.
    next_uids: BTreeMap<AccountId, Uid>,
    /// Bodies that are pending no more.
    settled: Vec<MailId>,
}

/// What staging a group needs from outside.
pub struct Stage<'a, B> {
    /// Where the writes go.
    pub batch: &'a mut B,
    /// Reads the next uid of an account from the store.
    pub next_uid: &'a dyn Fn(AccountId) -> Result<Uid, StoreError>,
    /// Reused for encoding records.
    pub scratch: &'a mut Vec<u8>,
}

impl<B> std::fmt::Debug for Stage<'_, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stage(…)")
    }
}

/// Octets of mail in a group; `None` if it brings none.
#[must_use]
pub fn mail_octets(group: &[Operation]) -> Option<usize> {
    let mut sum = None;
    for operation in group {
        match operation {
            Operation::Deliver(deliver) => {
                let copies = deliver.commit.deliveries.len();
                let prefixes = deliver.commit.prefix.len().saturating_mul(copies);
                let octets = deliver.last_slice.len().saturating_add(prefixes);
                sum = Some(sum.unwrap_or(0_usize).saturating_add(octets));
            }
            Operation::Change(_) | Operation::Report(_) | Operation::Throttle(_) => {}
        }
    }
    sum
}

/// Messages in a group.
#[must_use]
pub fn messages_in(group: &[Operation]) -> u32 {
    let is_message = |operation: &&Operation| match operation {
        Operation::Deliver(_) => true,
        Operation::Change(_) | Operation::Report(_) | Operation::Throttle(_) => false,
    };
    u32::try_from(group.iter().filter(is_message).count()).unwrap_or(u32::MAX)
}

impl Books {
    /// Writes a group into a batch. After an error the batch must be thrown away.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if a message lacks slices or cannot be written, or what reading a uid says.
    pub fn stage<B: Batch>(
        &self,
        stage: &mut Stage<'_, B>,
        group: &[Operation],
    ) -> Result<Staged, StoreError> {
        let mut staged = Staged {
            added: BTreeSet::new(),
            removed: BTreeSet::new(),
            next_account: self.next_account,
            next_uids: BTreeMap::new(),
            settled: Vec::new(),
        };
        for operation in group {
            match operation {
                Operation::Deliver(deliver) => self.stage_message(stage, &mut staged, deliver)?,
                Operation::Change(changes) => {
                    for change in changes {
                        self.check_change(&staged, change)?;
                        if !self.is_for_nobody(&staged, change) {
                            stage_change(stage.batch, &mut staged, change)?;
                        }
                    }
                }
                Operation::Report(save) => {
                    for day in &save.put {
                        stage.batch.put_record(&keys::report_key(day.day), &keys::encode_report(day)?);
                    }
                    for day in &save.remove {
                        stage.batch.remove_record(&keys::report_key(*day));
                    }
                }
                Operation::Throttle(snapshot) => {
                    stage.batch.put_record(&keys::throttle_key(), &keys::encode_throttle(snapshot)?);
                }
            }
        }
        for (account, uid) in &staged.next_uids {
            let key = keys::account_key(Tag::NextUid, *account);
            stage.batch.put_record(&key, &keys::encode_u64(uid.0));
        }
        if staged.next_account != self.next_account {
            let key = keys::meta_key(Meta::NextAccount);
            stage.batch.put_record(&key, &keys::encode_u32(staged.next_account));
        }
        Ok(staged)
    }

    /// Takes over what is durable now.
    pub fn apply(&mut self, staged: Staged) {
        for id in &staged.removed {
            self.live.remove(id);
            self.emptying.insert(*id, Uid(0));
        }
        self.live.extend(staged.added);
        self.next_account = staged.next_account;
        self.next_uids.extend(staged.next_uids);
        for body in staged.settled {
            self.pending.remove(&body);
        }
    }

    /// Refuses an account under an id whose mail still has to go: it would go too.
    fn check_change(&self, staged: &Staged, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::PutAccount(account)
                if staged.removed.contains(&account.id) || self.emptying.contains_key(&account.id) =>
            {
                Err(StoreError::Damaged(format!("account id {} was used before", account.id.0)))
            }
            Change::PutAccount(_)
            | Change::RemoveAccount(_)
            | Change::PutDomain(_)
            | Change::RemoveDomain(_)
            | Change::PutAlias(_)
            | Change::RemoveAlias(_)
            | Change::PutHistory(..)
            | Change::PutScram(..) => Ok(()),
        }
    }

    /// Whether it is about the logins of an account that was removed meanwhile: nothing is kept of it then.
    fn is_for_nobody(&self, staged: &Staged, change: &Change) -> bool {
        match change {
            Change::PutHistory(id, _) | Change::PutScram(id, _) => {
                staged.removed.contains(id) || !(staged.added.contains(id) || self.live.contains(id))
            }
            Change::PutAccount(_)
            | Change::RemoveAccount(_)
            | Change::PutDomain(_)
            | Change::RemoveDomain(_)
            | Change::PutAlias(_)
            | Change::RemoveAlias(_) => false,
        }
    }

    /// Whether an account gets its copies. One that was removed while a message was on its way gets none: it
    /// is as if the message had come just before. An id that was never given out cannot come from a lookup;
    /// its copy is kept rather than lost.
    fn takes_mail(&self, staged: &Staged, account: AccountId) -> bool {
        !staged.removed.contains(&account)
            && (staged.added.contains(&account)
                || self.live.contains(&account)
                || account.0 >= staged.next_account)
    }

    /// Gives the next uid of an account; looked up once, so that a full account costs no more than an empty one.
    fn take_uid<B>(
        &self,
        stage: &Stage<'_, B>,
        staged: &mut Staged,
        account: AccountId,
    ) -> Result<Uid, StoreError> {
        let uid = match staged.next_uids.get(&account).or_else(|| self.next_uids.get(&account)) {
            Some(uid) => *uid,
            None => (stage.next_uid)(account)?,
        };
        let following = uid.0.checked_add(1).ok_or_else(|| {
            StoreError::Damaged(format!("account {} has the highest uid there is", account.0))
        })?;
        staged.next_uids.insert(account, Uid(following));
        Ok(uid)
    }

    /// Checks that the slices before the last were put, and ends their being pending.
    fn stage_slices_before(
        &self,
        batch: &mut impl Batch,
        staged: &mut Staged,
        deliver: &Deliver,
    ) -> Result<(), StoreError> {
        let body = deliver.commit.id;
        if deliver.slices_before == 0 {
            return Ok(());
        }
        let put = self.pending.get(&body).copied().unwrap_or(0);
        if put != deliver.slices_before {
            return Err(StoreError::Damaged(format!(
                "message {body} needs {} slices before its last, {put} were put",
                deliver.slices_before
            )));
        }
        batch.remove_record(&keys::body_key(Tag::Pending, body));
        staged.settled.push(body);
        Ok(())
    }

    /// A record and a reference per copy, and the last slice; or, with no copy left, no body.
    fn stage_message<B: Batch>(
        &self,
        stage: &mut Stage<'_, B>,
        staged: &mut Staged,
        deliver: &Deliver,
    ) -> Result<(), StoreError> {
        let Deliver { commit, last_slice, slices_before } = deliver;
        let body = commit.id;
        self.stage_slices_before(stage.batch, staged, deliver)?;
        let slices = slices_before.saturating_add(u32::from(!last_slice.is_empty()));
        let sender = commit.sender.to_string();
        let mut copies = 0_usize;
        for delivery in &commit.deliveries {
            if !self.takes_mail(staged, delivery.account) {
                continue;
            }
            copies = copies.saturating_add(1);
            let uid = self.take_uid(stage, staged, delivery.account)?;
            let parts = RecordParts {
                body,
                received: commit.received,
                sender: &sender,
                recipient: &delivery.recipient,
                prefix: &commit.prefix,
                body_octets: commit.body_octets,
                slices,
            };
            keys::encode_record(stage.scratch, parts)?;
            stage.batch.put_record(&keys::mail_key(delivery.account, uid), stage.scratch);
            let reference = keys::reference_key(body, delivery.account, uid);
            stage.batch.put_record(&reference, &keys::encode_marker());
        }
        if copies == 0 {
            for index in 0..*slices_before {
                stage.batch.remove_slice(&keys::slice_key(body, index));
            }
        } else if !last_slice.is_empty() {
            stage.batch.put_slice(&keys::slice_key(body, *slices_before), last_slice);
        }
        Ok(())
    }
}

/// A step of a change of the directory.
fn stage_change(batch: &mut impl Batch, staged: &mut Staged, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::PutDomain(entry) => {
            batch.put_record(&keys::domain_key(&entry.name), &keys::encode_domain(entry)?);
        }
        Change::RemoveDomain(name) => batch.remove_record(&keys::domain_key(name)),
        Change::PutAccount(account) => {
            let key = keys::account_key(Tag::Account, account.id);
            batch.put_record(&key, &keys::encode_account(account)?);
            staged.added.insert(account.id);
            staged.next_account = staged.next_account.max(account.id.0.saturating_add(1));
        }
        Change::RemoveAccount(id) => {
            batch.remove_record(&keys::account_key(Tag::Account, *id));
            batch.remove_record(&keys::account_key(Tag::History, *id));
            batch.remove_record(&keys::account_key(Tag::Scram, *id));
            batch.put_record(&keys::account_key(Tag::Emptying, *id), &keys::encode_marker());
            staged.added.remove(id);
            staged.removed.insert(*id);
        }
        Change::PutAlias(alias) => {
            batch.put_record(&keys::alias_key(&alias.address.key()), &keys::encode_alias(alias)?);
        }
        Change::RemoveAlias(address) => batch.remove_record(&keys::alias_key(&address.key())),
        Change::PutHistory(id, history) => {
            let key = keys::account_key(Tag::History, *id);
            batch.put_record(&key, &keys::encode_history(*id, history)?);
        }
        Change::PutScram(id, record) => {
            let key = keys::account_key(Tag::Scram, *id);
            batch.put_record(&key, &keys::encode_scram(*id, record)?);
        }
    }
    Ok(())
}

/// Writes the removal of a bounded number of a removed account's messages into a batch, and with the last of
/// them of its marker. `mail` is its records above `after`, ascending; `is_needed` says whether a copy other
/// than these needs a body. Gives the last uid removed, or `None` when none is left.
///
/// # Errors
/// What reading says.
pub fn stage_emptying<O: AsRef<[u8]>>(
    batch: &mut impl Batch,
    account: AccountId,
    after: Uid,
    mail: impl Iterator<Item = Result<(O, O), StoreError>>,
    is_needed: impl Fn(MailId, &BTreeSet<CopyKey>) -> Result<bool, StoreError>,
) -> Result<Option<Uid>, StoreError> {
    let mut gone = BTreeSet::new();
    let (mut records, mut slices) = (0_usize, 0_usize);
    let mut last = after;
    for entry in mail {
        if records >= limits::TIDY_RECORDS_PER_STEP || slices >= limits::TIDY_SLICES_PER_STEP {
            return Ok(Some(last));
        }
        let (key, value) = entry?;
        (_, last) = keys::decode_mail_key(key.as_ref())?;
        batch.remove_record(key.as_ref());
        records = records.saturating_add(1);
        let record = match keys::decode_record(key.as_ref(), value.as_ref()) {
            Ok(record) => record,
            Err(error) => {
                // Its body is not known. That space is lost; the rest of the account still goes.
                log::warn!("while emptying a removed account: {error}");
                continue;
            }
        };
        batch.remove_record(&keys::reference_key(record.body, account, last));
        gone.insert((record.body, account, last));
        if !is_needed(record.body, &gone)? {
            for index in 0..record.slices {
                batch.remove_slice(&keys::slice_key(record.body, index));
            }
            slices = slices.saturating_add(usize::try_from(record.slices).unwrap_or(usize::MAX));
        }
    }
    batch.remove_record(&keys::account_key(Tag::NextUid, account));
    batch.remove_record(&keys::account_key(Tag::Emptying, account));
    Ok(None)
}
