//! What was promised to whom, by the clients' books, held against what the store has.

use super::Law;
use super::desk::{Desk, shown};
use super::keeper::Disk;
use crate::store::{MessageRecord, Store};
use crate::types::{AccountId, MailId};
use std::collections::{BTreeMap, BTreeSet};

/// What a client was told of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Promise {
    /// 250 and this name.
    Kept(MailId),
    /// Nothing, or to try again.
    Perhaps,
    /// That it was refused.
    Refused,
}

#[derive(Debug)]
struct Entry {
    accounts: BTreeSet<AccountId>,
    promise: Promise,
}

/// Messages by their bodies: no two are alike.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: BTreeMap<Vec<u8>, Entry>,
    kept: u64,
}

impl Ledger {
    /// Notes the answer to the end of a message.
    pub(super) fn answered(
        &mut self,
        body: Vec<u8>,
        accounts: BTreeSet<AccountId>,
        code: u16,
        id: &str,
        desk: &mut Desk,
    ) {
        let promise = match (code, MailId::parse(id)) {
            (250, Some(id)) => {
                self.kept += 1;
                Promise::Kept(id)
            }
            (250, None) => {
                desk.break_law(Law::HonestYes, format!("a yes without a name: {id}"));
                return;
            }
            (452 | 500..=599, _) => Promise::Refused,
            _ => Promise::Perhaps,
        };
        self.entries.insert(body, Entry { accounts, promise });
    }

    /// Notes a message of which nothing was said.
    pub(super) fn unanswered(&mut self, body: Vec<u8>, accounts: BTreeSet<AccountId>) {
        self.entries.entry(body).or_insert(Entry { accounts, promise: Promise::Perhaps });
    }

    /// Messages that were answered 250.
    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    /// Holds the store against the promises. While clients are still there, messages may be in it that
    /// nobody has heard of yet.
    pub(super) fn audit(&self, disk: &Disk, is_final: bool, desk: &mut Desk) {
        let mut found: BTreeMap<Vec<u8>, Vec<(AccountId, MailId)>> = BTreeMap::new();
        for account in Disk::accounts() {
            for record in disk.messages(account) {
                match body_of(disk, &record) {
                    Ok(body) => found.entry(body).or_default().push((account, record.body)),
                    Err(why) => desk.break_law(Law::HonestYes, why),
                }
            }
        }
        for (body, entry) in &self.entries {
            entry.judge(body, found.remove(body).unwrap_or_default(), desk);
        }
        if is_final && let Some(body) = found.keys().next() {
            desk.break_law(Law::NoFalseMail, format!("nobody sent {}", shown(body)));
        }
    }
}

impl Entry {
    fn judge(&self, body: &[u8], mut copies: Vec<(AccountId, MailId)>, desk: &mut Desk) {
        copies.sort_unstable();
        let had: Vec<AccountId> = copies.iter().map(|(account, _)| *account).collect();
        let once: BTreeSet<AccountId> = had.iter().copied().collect();
        let told = || {
            format!("{:?} for {:?}, and {copies:?} are there: {}", self.promise, self.accounts, shown(body))
        };
        match &self.promise {
            Promise::Kept(id) => {
                let all = had.iter().eq(&self.accounts) && copies.iter().all(|(_, found)| found == id);
                desk.check(Law::HonestYes, all, told);
            }
            Promise::Perhaps => {
                let fits = once.len() == had.len() && once.is_subset(&self.accounts);
                desk.check(Law::NoFalseMail, fits, told);
            }
            Promise::Refused => desk.check(Law::NoFalseMail, had.is_empty(), told),
        }
    }
}

/// A body put together from its slices, its head looked at.
fn body_of(disk: &Disk, record: &MessageRecord) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    for index in 0..record.slices {
        body.extend(disk.store.slice(record.body, index).map_err(|error| error.to_string())?);
    }
    let prefix = String::from_utf8_lossy(&record.prefix);
    let expected = format!("Return-Path: {}\r\n", record.sender);
    if !prefix.starts_with(&expected) || !prefix.contains(&record.body.to_string()) {
        return Err(format!("{} has a strange head: {prefix}", record.body));
    }
    if u64::try_from(body.len()) != Ok(record.body_octets) {
        return Err(format!(
            "{} has {} octets, its record says {}",
            record.body,
            body.len(),
            record.body_octets
        ));
    }
    Ok(body)
}
