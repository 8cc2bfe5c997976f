//! The store thread in small: what waits is made durable in groups, later, or not.

use super::Law;
use super::archive::Weather;
use super::census::Fault as Seen;
use super::desk::{Desk, Happening};
use super::gate::Config;
use super::planted::PlantedBug;
use super::platter::Platter;
use crate::auth::throttle::Snapshot;
use crate::contract::{Commit, CommitAnswer, Delivery, Ticket};
use crate::directory::Change;
use crate::limits::STORE_MS_MAX;
use crate::store::memory::Fault;
use crate::store::{Deliver, Operation, Store, StoreError};
use crate::types::{AccountId, MailId, Prefix, Uid};
use std::collections::{BTreeMap, VecDeque};

/// Octets of a slice here; small, so that small bodies have several.
const SLICE_OCTETS: usize = 1_024;
/// Messages of one group.
const GROUP_MESSAGES_MAX: usize = 6;
/// Accounts in this town.
const ACCOUNTS: std::ops::RangeInclusive<u32> = 1..=6;

/// What survives the process.
pub(super) struct Disk {
    pub(super) store: Platter,
    /// The configuration.
    pub(super) config: Config,
    pub(super) is_full: bool,
    pub(super) is_behind: bool,
    /// What goes wrong where the journal is written.
    pub(super) weather: Weather,
    /// What the next commit comes to.
    pub(super) next_commit: Option<Fault>,
}

/// What else than mail is kept.
#[derive(Debug, Clone)]
pub(super) enum Record {
    /// What the throttle must not forget.
    Throttle(Box<Snapshot>),
    /// That a login succeeded in a network.
    Place(Vec<u8>, Prefix, Change),
    /// SCRAM keys.
    Keys(Change),
    /// An administrator's change, by its number.
    Order(u64, Vec<Change>),
}

/// A message to be made durable.
#[derive(Debug)]
struct Request {
    conn: usize,
    ticket: Ticket,
    commit: Commit,
    body: Vec<u8>,
    slices: u32,
    refused: Option<CommitAnswer>,
}

/// What a group came to.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) answers: Vec<(usize, Ticket, CommitAnswer)>,
    /// Records, and whether they were kept; of those whose fate is not known nothing is said.
    pub(super) records: Vec<(Record, bool)>,
    /// The store failed; the process has to start again.
    pub(super) failed: bool,
    /// The process died in a write. Nobody hears anything.
    pub(super) died: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    waiting: VecDeque<Request>,
    flight: Vec<Request>,
    records: Vec<Record>,
    records_in_flight: Vec<Record>,
    is_busy: bool,
}

impl Disk {
    /// Every message of an account.
    pub(super) fn messages(&self, account: AccountId) -> Vec<crate::store::MessageRecord> {
        self.store.list(account, Uid(0), usize::MAX).unwrap_or_default()
    }

    /// Every account of the town.
    pub(super) fn accounts() -> impl Iterator<Item = AccountId> {
        ACCOUNTS.map(AccountId)
    }

    /// Whether each of the accounts has the message.
    pub(super) fn holds(&self, id: MailId, accounts: &[AccountId]) -> bool {
        accounts.iter().all(|account| self.messages(*account).iter().any(|record| record.body == id))
    }

    /// No slice may belong to nothing. True while nothing is on its way into the store.
    pub(super) fn judge_leftovers(&self, desk: &mut Desk) {
        let mut needed = BTreeMap::new();
        for account in Self::accounts() {
            needed.extend(self.messages(account).iter().map(|record| (record.body, record.slices)));
        }
        let needed: usize = needed.values().filter_map(|slices| usize::try_from(*slices).ok()).sum();
        let there = self.store.slice_count();
        desk.check(Law::NoLeftovers, there == needed, || format!("{there} slices are there for {needed}"));
    }
}

impl Keeper {
    pub(super) fn push(&mut self, conn: usize, ticket: Ticket, commit: Commit, body: Vec<u8>) {
        self.waiting.push_back(Request { conn, ticket, commit, body, slices: 0, refused: None });
    }

    pub(super) fn push_record(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Octets of bodies that wait here.
    pub(super) fn octets(&self) -> usize {
        self.waiting.iter().chain(&self.flight).map(|one| one.body.len()).sum()
    }

    /// Requests that wait here.
    pub(super) fn requests(&self) -> usize {
        self.waiting.len() + self.flight.len() + self.records.len() + self.records_in_flight.len()
    }

    /// Begins a group, if none is under way. True: the store failed.
    pub(super) fn begin(&mut self, epoch: u32, disk: &mut Disk, desk: &mut Desk) -> bool {
        if self.is_busy || (self.waiting.is_empty() && self.records.is_empty()) {
            return false;
        }
        self.is_busy = true;
        let many = self.waiting.len().min(1 + desk.below(GROUP_MESSAGES_MAX));
        self.flight = self.waiting.drain(..many).collect();
        self.records_in_flight = std::mem::take(&mut self.records);
        for request in &mut self.flight {
            if request.put_slices(disk, desk).is_err() {
                return true;
            }
        }
        match desk.below(40) {
            0 if !desk.calm => {
                desk.fault(Seen::StoreStuck);
                desk.later(STORE_MS_MAX, Happening::StoreStuck(epoch));
            }
            1..=6 => {
                desk.fault(Seen::GroupSlow);
                let ms = desk.between(100, STORE_MS_MAX - 1);
                desk.later(ms, Happening::GroupDone(epoch));
            }
            _ => {
                let ms = desk.between(1, 20);
                desk.later(ms, Happening::GroupDone(epoch));
            }
        }
        false
    }

    /// Syncs the group.
    pub(super) fn finish(&mut self, disk: &mut Disk, desk: &mut Desk) -> Done {
        let mut done = Done::default();
        let flight = std::mem::take(&mut self.flight);
        let records = std::mem::take(&mut self.records_in_flight);
        self.is_busy = false;
        let had_slices = flight.iter().any(|request| request.slices > 0);
        if !desk.has(PlantedBug::DurableWithoutStoring) {
            done = commit(&flight, records, disk, desk);
        } else {
            done.answers.extend(flight.iter().map(|one| (one.conn, one.ticket, CommitAnswer::Durable)));
        }
        if done.died {
            return done;
        }
        if done.failed && desk.has(PlantedBug::FailureIsDurable) {
            done.answers.iter_mut().for_each(|(_, _, answer)| *answer = CommitAnswer::Durable);
        }
        if desk.has(PlantedBug::SaysFullButKeeps) && !desk.calm {
            done.answers.iter_mut().for_each(|(_, _, answer)| *answer = CommitAnswer::DiskFull);
        }
        if desk.has(PlantedBug::StoresTwice) && !done.failed && !had_slices {
            commit(&flight, Vec::new(), disk, desk);
        }
        if had_slices && !done.failed {
            disk.judge_leftovers(desk);
        }
        done
    }

    /// All that waits gets this answer: the process is about to end.
    pub(super) fn give_up(&mut self) -> Vec<(usize, Ticket, CommitAnswer)> {
        self.waiting
            .iter()
            .chain(&self.flight)
            .map(|one| (one.conn, one.ticket, CommitAnswer::Failed))
            .collect()
    }

    /// The process is killed. What is under way may still get to the disk, or not. With the power cut, what was
    /// not synced may be lost.
    pub(super) fn killed(self, disk: &mut Disk, power_cut: bool, desk: &mut Desk) {
        if !self.flight.is_empty() && !disk.store.has_died() {
            desk.fault(Seen::KilledInCommit);
            if desk.one_in(2) {
                commit(&self.flight, self.records_in_flight, disk, desk);
            }
        }
        if power_cut {
            desk.fault(Seen::PowerCut);
            let unsynced = disk.store.unsynced();
            let left = if desk.one_in(4) { unsynced } else { desk.below(unsynced) };
            if disk.store.power_cut(left) > 0 {
                desk.fault(Seen::UnsyncedLost);
                desk.tell(&format!("the power goes: {left} of {unsynced} unsynced writes are left"));
            }
        }
        disk.store.reopen();
    }
}

/// Commits a group as a whole.
fn commit(flight: &[Request], records: Vec<Record>, disk: &mut Disk, desk: &mut Desk) -> Done {
    let mut group: Vec<Operation> =
        flight.iter().filter(|one| one.refused.is_none()).map(|one| one.operation(desk)).collect();
    let messages = group.len();
    group.extend(records.iter().map(Record::operation));
    let fault = disk.next_commit.take_if(|_| messages > 0);
    match &fault {
        Some(Fault::Refuse(_)) => desk.fault(Seen::GroupRefused),
        Some(Fault::KeepAndFail(_)) => desk.fault(Seen::GroupKeptAndFailed),
        Some(Fault::None) | None => {}
    }
    disk.store.script(fault);
    disk.store.never_syncs = desk.has(PlantedBug::NeverSyncs);
    let outcome = if group.is_empty() { Ok(()) } else { disk.store.commit(&group) };
    let answer = match &outcome {
        Ok(()) => CommitAnswer::Durable,
        Err(StoreError::DiskFull) => CommitAnswer::DiskFull,
        Err(_) => CommitAnswer::Failed,
    };
    if !group.is_empty() {
        desk.tell(&format!("a group of {messages} messages, {} records: {answer:?}", records.len()));
    }
    if answer == CommitAnswer::DiskFull {
        flight.iter().filter(|one| one.refused.is_none()).for_each(|one| one.drop_slices(disk, desk));
    }
    let answers = flight.iter().map(|one| (one.conn, one.ticket, one.refused.unwrap_or(answer))).collect();
    let known = match answer {
        CommitAnswer::Durable => Some(true),
        CommitAnswer::DiskFull => Some(false),
        CommitAnswer::Failed => None,
    };
    let records = known.map_or(Vec::new(), |kept| records.into_iter().map(|one| (one, kept)).collect());
    Done { answers, records, failed: answer == CommitAnswer::Failed, died: disk.store.has_died() }
}

impl Record {
    fn operation(&self) -> Operation {
        match self {
            Self::Throttle(snapshot) => Operation::Throttle(snapshot.clone()),
            Self::Place(_, _, change) | Self::Keys(change) => Operation::Change(vec![change.clone()]),
            Self::Order(_, changes) => Operation::Change(changes.clone()),
        }
    }
}

impl Request {
    /// Puts all slices of a large body but the last.
    fn put_slices(&mut self, disk: &mut Disk, desk: &mut Desk) -> Result<(), StoreError> {
        while self.body.len() > SLICE_OCTETS && self.refused.is_none() {
            let (slice, rest) = self.body.split_at_checked(SLICE_OCTETS).unwrap_or((&self.body, &[]));
            if !desk.calm && desk.one_in(200) {
                desk.fault(Seen::GroupRefused);
                disk.store.script([Fault::Refuse(StoreError::Io("a slice could not be written".into()))]);
            }
            if !desk.calm && self.slices > 0 && desk.one_in(60) {
                desk.fault(Seen::DiskFilled);
                disk.store.script([Fault::Refuse(StoreError::DiskFull)]);
            }
            match disk.store.put_slice(self.commit.id, self.slices, slice) {
                Ok(()) => {}
                Err(StoreError::DiskFull) => {
                    self.drop_slices(disk, desk);
                    self.refused = Some(CommitAnswer::DiskFull);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            self.slices += 1;
            self.body = rest.to_vec();
        }
        Ok(())
    }

    fn drop_slices(&self, disk: &mut Disk, desk: &Desk) {
        if self.slices > 0 && !desk.has(PlantedBug::LeaksSlices) {
            // A failure here is found by whoever opens the store next.
            let _ = disk.store.drop_slices(self.commit.id, self.slices);
        }
    }

    fn operation(&self, desk: &Desk) -> Operation {
        let mut commit = self.commit.clone();
        if desk.has(PlantedBug::DeliversToAnother) {
            let taken: Vec<AccountId> = commit.deliveries.iter().map(|copy| copy.account).collect();
            let other = Disk::accounts().find(|account| !taken.contains(account));
            commit.deliveries.extend(other.map(|account| Delivery { account, recipient: String::new() }));
        }
        Operation::Deliver(Box::new(Deliver {
            commit,
            last_slice: self.body.clone(),
            slices_before: self.slices,
        }))
    }
}
