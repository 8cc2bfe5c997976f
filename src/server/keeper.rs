//! The work of the store thread: groups, slices, and whether there is room.
#![expect(clippy::disallowed_methods, reason = "this thread waits by the clock")]

use super::spool::Spool;
use super::store_thread::{Answers, BodySource, CommitKey, FromStore, Gauges, SpoolKey, ToStore};
use crate::auth::report::Save;
use crate::auth::throttle::Snapshot;
use crate::contract::{Commit, CommitAnswer};
use crate::directory::Change;
use crate::limits::{
    BODY_SLICE_OCTETS, GROUP_MESSAGES_MAX, GROUP_OCTETS_MAX, STORE_BEHIND_MS_MAX, STORE_IDLE_MS,
};
use crate::store::{Deliver, Operation, Store, StoreError, disk};
use crate::telemetry::direct::PEER_CAUSED;
use crate::telemetry::line::Line;
use crate::types::{AccountId, MailId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// A commit under way.
struct Job {
    key: CommitKey,
    commit: Box<Commit>,
    body: JobBody,
    slices: u32,
    done: u64,
    since: Instant,
}

enum JobBody {
    Memory(Vec<u8>),
    Spool(Spool),
}

/// How many of a group are to be answered.
struct Counts {
    changes: usize,
    reports: usize,
    /// 0 or 1.
    offenders: usize,
    memories: usize,
}

/// What one step made of a job.
enum Stepped {
    /// Its last slice goes with the group.
    Last(Vec<u8>),
    /// A slice was put; there are more.
    More,
    /// It cannot be kept.
    No(CommitAnswer),
}

/// Owns the store, and does what is asked of it.
pub(super) struct Keeper<'a> {
    store: Box<dyn Store>,
    dir: PathBuf,
    reserve_octets: u64,
    gauges: Arc<Gauges>,
    pub(super) answers: &'a mut Answers,
    spools: BTreeMap<SpoolKey, Spool>,
    jobs: VecDeque<Job>,
    changes: Vec<Vec<Change>>,
    reports: Vec<Save>,
    /// What the throttle must not forget; only the last counts.
    offenders: Option<Box<Snapshot>>,
    /// What is remembered of logins.
    memories: Vec<Change>,
    /// Accounts removed since this process began; their numbers are never used again.
    removed: BTreeSet<AccountId>,
    /// Octets free when last looked, less what was written since.
    free: u64,
    behind: bool,
    tidy: bool,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(
        store: Box<dyn Store>,
        dir: PathBuf,
        reserve_octets: u64,
        gauges: Arc<Gauges>,
        answers: &'a mut Answers,
    ) -> Self {
        Self {
            store,
            dir,
            reserve_octets,
            gauges,
            answers,
            spools: BTreeMap::new(),
            jobs: VecDeque::new(),
            changes: Vec::new(),
            reports: Vec::new(),
            offenders: None,
            memories: Vec::new(),
            removed: BTreeSet::new(),
            free: 0,
            behind: false,
            // A removal that was under way when the last process ended.
            tidy: true,
        }
    }

    /// Works until the loop has left and everything asked for is done.
    pub(super) fn run(&mut self, requests: &Receiver<ToStore>) -> Result<(), StoreError> {
        self.look();
        let mut left = false;
        while !left || !self.jobs.is_empty() {
            let first = self.wait(requests, &mut left);
            let idle = first.is_none() && self.jobs.is_empty();
            self.look();
            if let Some(request) = first {
                self.take(request);
            }
            while self.jobs.len() < GROUP_MESSAGES_MAX {
                let Ok(request) = requests.try_recv() else { break };
                self.take(request);
            }
            self.round()?;
            self.answers.wake();
            self.gauges.step();
            if self.store.is_poisoned() {
                return Err(StoreError::Poisoned("a write failed in the background".into()));
            }
            if idle && self.tidy && !left {
                self.tidy = match self.store.tidy() {
                    Ok(more) => more,
                    Err(StoreError::DiskFull) => false,
                    Err(error) => return Err(error),
                };
            }
        }
        Ok(())
    }

    fn wait(&mut self, requests: &Receiver<ToStore>, left: &mut bool) -> Option<ToStore> {
        let ms = match (self.jobs.is_empty(), self.behind) {
            (true, _) if self.tidy => 20,
            (true, _) => STORE_IDLE_MS,
            (false, true) => 10,
            (false, false) => return requests.try_recv().ok(),
        };
        let patience = Duration::from_millis(ms);
        if *left {
            std::thread::sleep(patience);
            return None;
        }
        match requests.recv_timeout(patience) {
            Ok(request) => Some(request),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                *left = true;
                None
            }
        }
    }

    /// Looks at disk and store, and says what it saw.
    fn look(&mut self) {
        self.free = free_octets(&self.dir);
        self.behind = self.store.intake_must_wait();
        self.gauges.free_octets.store(self.free, Ordering::Relaxed);
        self.gauges.is_behind.store(self.behind, Ordering::Relaxed);
    }

    fn take(&mut self, request: ToStore) {
        self.gauges.step();
        match request {
            ToStore::Spool { session, key, octets } => {
                self.spool(key, &octets);
                self.answers.send(FromStore::Spooled(session, key, octets.len()));
            }
            ToStore::Forget(key) => {
                self.spools.remove(&key);
            }
            ToStore::Commit { key, commit, body } => self.begin(key, commit, body),
            ToStore::Change(changes) => self.changes.push(changes),
            ToStore::Report(save) => self.reports.push(*save),
            ToStore::Throttle(snapshot) => {
                if self.offenders.replace(snapshot).is_some() {
                    self.answers.send(FromStore::ThrottleKept(Ok(())));
                }
            }
            ToStore::Remember(change) => self.memories.push(*change),
            ToStore::List(ask, account, after, rows) => {
                let listed = self.store.list(account, after, rows);
                self.answers.send(FromStore::Listed(ask, listed));
            }
            ToStore::Message(ask, account, uid) => {
                let message = self.store.message(account, uid).map(|found| found.map(Box::new));
                self.answers.send(FromStore::Message(ask, message));
            }
            ToStore::Slice(ask, body, index) => {
                let slice = self.store.slice(body, index);
                self.answers.send(FromStore::Slice(ask, slice));
            }
            ToStore::Verify(ask, from) => {
                let page = Box::new(self.store.verify(&from));
                self.answers.send(FromStore::Verified(ask, page));
            }
        }
    }

    fn spool(&mut self, key: SpoolKey, octets: &[u8]) {
        let spool = self.spools.entry(key).or_insert_with(|| Spool::create(&self.dir));
        let size = u64::try_from(octets.len()).unwrap_or(u64::MAX);
        if self.free < self.reserve_octets.saturating_add(size) {
            spool.fail(ErrorKind::StorageFull);
            return;
        }
        self.free = self.free.saturating_sub(size);
        spool.append(octets);
    }

    fn begin(&mut self, key: CommitKey, commit: Box<Commit>, body: BodySource) {
        let (body, octets) = match body {
            BodySource::Memory(octets) => {
                let length = u64::try_from(octets.len()).unwrap_or(u64::MAX);
                (JobBody::Memory(octets), length)
            }
            BodySource::Spool(spool) => match self.spools.remove(&spool) {
                Some(spool) => {
                    let length = spool.octets();
                    if let Some(why) = spool.failed() {
                        spool_failed(commit.id, why);
                        let full = matches!(why, ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
                        let answer = if full { CommitAnswer::DiskFull } else { CommitAnswer::Failed };
                        return self.answers.send(FromStore::Committed(key, answer));
                    }
                    (JobBody::Spool(spool), length)
                }
                None => (JobBody::Memory(Vec::new()), 0),
            },
        };
        if octets != commit.body_octets {
            let line = Line::new("body-lost").field("mail", commit.id).field("kept", octets);
            log::error!(target: PEER_CAUSED, "{}", line.field("announced", commit.body_octets).finish());
            return self.answers.send(FromStore::Committed(key, CommitAnswer::Failed));
        }
        self.jobs.push_back(Job { key, commit, body, slices: 0, done: 0, since: Instant::now() });
    }

    /// Whether anything waits that is no mail.
    fn has_records(&self) -> bool {
        let lists = [self.changes.is_empty(), self.reports.is_empty(), self.memories.is_empty()];
        lists.contains(&false) || self.offenders.is_some()
    }

    /// One group: what is whole is committed together, large bodies get one slice further each.
    fn round(&mut self) -> Result<(), StoreError> {
        if self.behind {
            self.give_up_the_oldest()?;
            if !self.has_records() {
                return Ok(());
            }
        }
        let mut group = Vec::new();
        let mut committed = Vec::new();
        let mut later = VecDeque::new();
        let mut octets = 0_usize;
        while !self.behind && group.len() < GROUP_MESSAGES_MAX && octets < GROUP_OCTETS_MAX {
            let Some(mut job) = self.jobs.pop_front() else { break };
            octets = octets.saturating_add(BODY_SLICE_OCTETS);
            match self.advance(&mut job)? {
                Stepped::More => later.push_back(job),
                Stepped::No(answer) => self.refuse(&job, answer)?,
                Stepped::Last(last_slice) => {
                    octets = octets.saturating_sub(BODY_SLICE_OCTETS).saturating_add(last_slice.len());
                    committed.push((job.key, job.commit.id, job.slices));
                    let commit = *job.commit;
                    group.push(Operation::Deliver(Box::new(Deliver {
                        commit,
                        last_slice,
                        slices_before: job.slices,
                    })));
                }
            }
        }
        self.jobs.append(&mut later);
        let waiting = std::mem::take(&mut self.changes);
        let changes = waiting.len();
        group.extend(waiting.into_iter().map(Operation::Change));
        let waiting = std::mem::take(&mut self.reports);
        let reports = waiting.len();
        group.extend(waiting.into_iter().map(|save| Operation::Report(Box::new(save))));
        let offenders = self.offenders.take();
        let offender_count = usize::from(offenders.is_some());
        group.extend(offenders.map(Operation::Throttle));
        let memories = std::mem::take(&mut self.memories);
        let memory_count = memories.len();
        group.extend((memory_count > 0).then_some(Operation::Change(memories)));
        self.commit(
            &group,
            &committed,
            Counts { changes, reports, offenders: offender_count, memories: memory_count },
        )
    }

    fn commit(
        &mut self,
        group: &[Operation],
        committed: &[(CommitKey, MailId, u32)],
        Counts { changes, reports, offenders, memories }: Counts,
    ) -> Result<(), StoreError> {
        if group.is_empty() {
            return Ok(());
        }
        let result = self.store.commit(group);
        self.gauges.step();
        let answer = match &result {
            Ok(()) => CommitAnswer::Durable,
            Err(StoreError::DiskFull) => CommitAnswer::DiskFull,
            Err(
                StoreError::Poisoned(_)
                | StoreError::Locked
                | StoreError::Layout(_)
                | StoreError::Damaged(_)
                | StoreError::Torn(_)
                | StoreError::Io(_),
            ) => return result,
        };
        if answer == CommitAnswer::Durable {
            self.removed.extend(group.iter().flat_map(changes_of).filter_map(removed_account));
        }
        for (key, body, slices) in committed {
            if answer == CommitAnswer::DiskFull && *slices > 0 {
                self.drop_slices(*body, *slices)?;
            }
            self.answers.send(FromStore::Committed(*key, answer));
        }
        for _ in 0..changes {
            self.answers.send(FromStore::Changed(result.clone()));
        }
        for _ in 0..reports {
            self.answers.send(FromStore::Reported(result.clone()));
        }
        for _ in 0..offenders {
            self.answers.send(FromStore::ThrottleKept(result.clone()));
        }
        for _ in 0..memories {
            self.answers.send(FromStore::Remembered(result.clone()));
        }
        // What is put off now: what a change leaves to do, and the sync of the counter of commits.
        self.tidy = true;
        Ok(())
    }

    /// Puts slices until the last one, or, of a body in a file, a single one.
    fn advance(&mut self, job: &mut Job) -> Result<Stepped, StoreError> {
        // A recipient can have been removed since RCPT. Nobody is told 250 for a message that nobody gets.
        job.commit.deliveries.retain(|copy| !self.removed.contains(&copy.account));
        if job.commit.deliveries.is_empty() {
            return Ok(Stepped::No(CommitAnswer::Failed));
        }
        let body_left = job.commit.body_octets.saturating_sub(job.done);
        if self.free < self.reserve_octets.saturating_add(body_left) {
            return Ok(Stepped::No(CommitAnswer::DiskFull));
        }
        loop {
            let slice = match next_slice(&mut job.body, job.done) {
                Ok(slice) => slice,
                Err(error) => {
                    spool_failed(job.commit.id, error.kind());
                    return Ok(Stepped::No(CommitAnswer::Failed));
                }
            };
            let size = u64::try_from(slice.len()).unwrap_or(u64::MAX);
            self.free = self.free.saturating_sub(size);
            job.done = job.done.saturating_add(size);
            if job.done >= job.commit.body_octets {
                return Ok(Stepped::Last(slice));
            }
            match self.store.put_slice(job.commit.id, job.slices, &slice) {
                Ok(()) => {}
                Err(StoreError::DiskFull) => return Ok(Stepped::No(CommitAnswer::DiskFull)),
                Err(error) => return Err(error),
            }
            self.gauges.step();
            job.slices = job.slices.saturating_add(1);
            if let JobBody::Spool(_) = job.body {
                return Ok(Stepped::More);
            }
        }
    }

    fn refuse(&mut self, job: &Job, answer: CommitAnswer) -> Result<(), StoreError> {
        if job.slices > 0 {
            self.drop_slices(job.commit.id, job.slices)?;
        }
        self.answers.send(FromStore::Committed(job.key, answer));
        Ok(())
    }

    fn drop_slices(&mut self, body: MailId, count: u32) -> Result<(), StoreError> {
        match self.store.drop_slices(body, count) {
            // They cost space and nothing else.
            Ok(()) | Err(StoreError::DiskFull) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The store asks for no new mail: those who waited too long for it are answered 451.
    fn give_up_the_oldest(&mut self) -> Result<(), StoreError> {
        let patience = Duration::from_millis(STORE_BEHIND_MS_MAX);
        let (late, waiting): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.jobs).into_iter().partition(|job| job.since.elapsed() > patience);
        self.jobs = waiting;
        for job in late {
            self.refuse(&job, CommitAnswer::Failed)?;
        }
        Ok(())
    }
}

fn changes_of(operation: &Operation) -> &[Change] {
    match operation {
        Operation::Change(changes) => changes,
        Operation::Deliver(_) | Operation::Report(_) | Operation::Throttle(_) => &[],
    }
}

fn removed_account(change: &Change) -> Option<AccountId> {
    match change {
        Change::RemoveAccount(account) => Some(*account),
        Change::PutDomain(_)
        | Change::RemoveDomain(_)
        | Change::PutAccount(_)
        | Change::PutAlias(_)
        | Change::RemoveAlias(_)
        | Change::PutHistory(..)
        | Change::PutScram(..) => None,
    }
}

fn spool_failed(mail: MailId, why: ErrorKind) {
    let line = Line::new("spool-failed").field("mail", mail).text("reason", &why.to_string());
    log::error!(target: PEER_CAUSED, "{}", line.finish());
}

fn next_slice(body: &mut JobBody, done: u64) -> std::io::Result<Vec<u8>> {
    match body {
        JobBody::Spool(spool) => spool.slice(done),
        JobBody::Memory(octets) if octets.len() <= BODY_SLICE_OCTETS => Ok(std::mem::take(octets)),
        JobBody::Memory(octets) => {
            let (slice, rest) = octets.split_at_checked(BODY_SLICE_OCTETS).unwrap_or((octets, &[]));
            let (slice, rest) = (slice.to_vec(), rest.to_vec());
            *octets = rest;
            Ok(slice)
        }
    }
}

/// One that cannot be asked counts as full: mail waits with its sender then, which is safe.
pub(super) fn free_octets(dir: &Path) -> u64 {
    disk::free_octets(dir).unwrap_or(0)
}
