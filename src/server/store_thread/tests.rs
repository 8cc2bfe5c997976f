//! The store thread alone: a test plays the loop.

use super::*;
use crate::contract::Delivery;
use crate::limits::{BODY_SLICE_OCTETS, GROUP_MESSAGES_MAX};
use crate::store::Operation;
use crate::store::memory::{Fault, MemoryStore};
use crate::types::{ReversePath, UnixTime};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn commit(number: u64, octets: usize) -> Box<Commit> {
    Box::new(Commit {
        id: MailId::new(UnixTime(7), number),
        received: UnixTime(7),
        sender: ReversePath::Null,
        deliveries: vec![Delivery { account: AccountId(1), recipient: "me@example.org".into() }],
        prefix: b"Return-Path: <>\r\n".to_vec(),
        body_octets: u64::try_from(octets).unwrap(),
    })
}

/// Notes what reaches the store.
struct Watched {
    store: MemoryStore,
    seen: Sender<Seen>,
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Slice(MailId, u32),
    Dropped(MailId, u32),
    Group(usize),
}

impl Store for Watched {
    fn put_slice(&mut self, body: MailId, index: u32, octets: &[u8]) -> Result<(), StoreError> {
        let _ = self.seen.send(Seen::Slice(body, index));
        self.store.put_slice(body, index, octets)
    }
    fn drop_slices(&mut self, body: MailId, count: u32) -> Result<(), StoreError> {
        let _ = self.seen.send(Seen::Dropped(body, count));
        self.store.drop_slices(body, count)
    }
    fn commit(&mut self, group: &[Operation]) -> Result<(), StoreError> {
        let _ = self.seen.send(Seen::Group(group.len()));
        self.store.commit(group)
    }
    fn directory(&self) -> Result<Directory, StoreError> {
        self.store.directory()
    }
    fn report(&self) -> Result<Vec<crate::auth::report::Day>, StoreError> {
        self.store.report()
    }
    fn throttle(&self) -> Result<Option<crate::auth::throttle::Snapshot>, StoreError> {
        self.store.throttle()
    }
    fn server_key(&self) -> [u8; 32] {
        self.store.server_key()
    }
    fn list(&self, account: AccountId, after: Uid, rows: usize) -> Result<Vec<MessageRecord>, StoreError> {
        self.store.list(account, after, rows)
    }
    fn message(&self, account: AccountId, uid: Uid) -> Result<Option<MessageRecord>, StoreError> {
        self.store.message(account, uid)
    }
    fn slice(&self, body: MailId, index: u32) -> Result<Vec<u8>, StoreError> {
        self.store.slice(body, index)
    }
    fn tidy(&mut self) -> Result<bool, StoreError> {
        self.store.tidy()
    }
    fn write_buffer_octets(&self) -> u64 {
        self.store.write_buffer_octets()
    }
    fn intake_must_wait(&self) -> bool {
        self.store.intake_must_wait()
    }
    fn is_poisoned(&self) -> bool {
        self.store.is_poisoned()
    }
}

/// A thread that finds `requests` waiting when it begins, and is left at once. Gives what the store saw and
/// what was answered.
fn run(requests: Vec<ToStore>, reserve: u64, faults: Vec<Fault>) -> (Vec<Seen>, Vec<FromStore>) {
    let (seen_outbox, seen) = mpsc::channel();
    let (begin, may_begin) = mpsc::channel::<()>();
    let open = move |_: &Path| {
        let mut store = MemoryStore::new([1; 32]);
        store.script(faults);
        let _ = may_begin.recv();
        Ok(Box::new(Watched { store, seen: seen_outbox }) as Box<dyn Store>)
    };
    let thread = start(std::env::temp_dir(), reserve, WakerSlot::default(), Box::new(open)).unwrap();
    for request in requests {
        thread.requests.try_send(request).unwrap();
    }
    drop(thread.requests);
    begin.send(()).unwrap();
    let mut answers = Vec::new();
    while let Ok(answer) = thread.answers.recv_timeout(PATIENCE) {
        answers.push(answer);
    }
    thread.thread.join().unwrap();
    (seen.try_iter().collect(), answers)
}

fn small(number: u64) -> ToStore {
    let body = BodySource::Memory(b"Hello\r\n".to_vec());
    ToStore::Commit { key: CommitKey(number), commit: commit(number, 7), body }
}

/// A body of so many whole slices and one octet, in a file.
fn large(number: u64, slices: usize) -> Vec<ToStore> {
    let octets = slices * BODY_SLICE_OCTETS + 1;
    let key = SpoolKey(number);
    let spool = ToStore::Spool { session: SessionId(number), key, octets: vec![b'x'; octets] };
    let commit = commit(number, octets);
    vec![spool, ToStore::Commit { key: CommitKey(number), commit, body: BodySource::Spool(key) }]
}

fn answers_of_commits(answers: &[FromStore]) -> Vec<(u64, CommitAnswer)> {
    let of = |answer: &FromStore| match answer {
        FromStore::Committed(key, answer) => Some((key.0, *answer)),
        FromStore::Spooled(..)
        | FromStore::Changed(_)
        | FromStore::Reported(_)
        | FromStore::ThrottleKept(_)
        | FromStore::Remembered(_)
        | FromStore::Listed(..)
        | FromStore::Message(..)
        | FromStore::Slice(..)
        | FromStore::Verified(..)
        | FromStore::Failed(_) => None,
    };
    answers.iter().filter_map(of).collect()
}

#[test]
fn all_that_waits_is_committed_with_one_sync() {
    let (seen, answers) = run((1..=100).map(small).collect(), 0, Vec::new());
    assert_eq!(seen, [Seen::Group(100)]);
    let expected: Vec<_> = (1..=100).map(|number| (number, CommitAnswer::Durable)).collect();
    assert_eq!(answers_of_commits(&answers), expected);
}

#[test]
fn a_group_has_a_ceiling() {
    let count = u64::try_from(GROUP_MESSAGES_MAX).unwrap() + 10;
    let (seen, answers) = run((1..=count).map(small).collect(), 0, Vec::new());
    assert_eq!(seen, [Seen::Group(GROUP_MESSAGES_MAX), Seen::Group(10)]);
    assert_eq!(answers_of_commits(&answers).len(), GROUP_MESSAGES_MAX + 10);
}

#[test]
fn a_large_body_delays_a_small_message_by_one_slice_at_the_most() {
    let mut requests = large(1, 20);
    requests.push(small(2));
    let (seen, answers) = run(requests, 0, Vec::new());
    let large = MailId::new(UnixTime(7), 1);
    assert_eq!(seen[..2], [Seen::Slice(large, 0), Seen::Group(1)]);
    assert_eq!(seen.len(), 22, "twenty slices, and a group for each message");
    assert_eq!(answers_of_commits(&answers), [(2, CommitAnswer::Durable), (1, CommitAnswer::Durable)]);
}

#[test]
fn large_bodies_take_turns() {
    let mut requests = large(1, 3);
    requests.extend(large(2, 3));
    let (seen, _) = run(requests, 0, Vec::new());
    let (one, two) = (MailId::new(UnixTime(7), 1), MailId::new(UnixTime(7), 2));
    let turns: Vec<_> = (0..3).flat_map(|index| [Seen::Slice(one, index), Seen::Slice(two, index)]).collect();
    assert_eq!(seen[..6], turns);
    assert_eq!(seen[6..], [Seen::Group(2)], "their last slices share a sync");
}

#[test]
fn below_the_reserve_the_store_is_not_touched() {
    let mut requests = large(1, 3);
    requests.push(small(2));
    let (seen, answers) = run(requests, u64::MAX, Vec::new());
    assert_eq!(seen, []);
    assert_eq!(answers_of_commits(&answers), [(1, CommitAnswer::DiskFull), (2, CommitAnswer::DiskFull)]);
}

#[test]
fn a_disk_that_fills_up_within_a_body_takes_its_slices_back() {
    let faults = vec![Fault::None, Fault::None, Fault::Refuse(StoreError::DiskFull)];
    let (seen, answers) = run(large(1, 5), 0, faults);
    assert_eq!(seen.last(), Some(&Seen::Dropped(MailId::new(UnixTime(7), 1), 2)));
    assert_eq!(answers_of_commits(&answers), [(1, CommitAnswer::DiskFull)]);
}

#[test]
fn a_group_that_finds_the_disk_full_is_refused_whole_and_work_goes_on() {
    let mut requests = large(1, 1);
    requests.push(small(2));
    let faults = vec![Fault::None, Fault::Refuse(StoreError::DiskFull)];
    let (_, answers) = run(requests, 0, faults);
    assert_eq!(answers_of_commits(&answers), [(2, CommitAnswer::DiskFull), (1, CommitAnswer::Durable)]);
}

#[test]
fn a_body_shorter_than_announced_is_never_committed() {
    let body = BodySource::Memory(b"Hell".to_vec());
    let short = ToStore::Commit { key: CommitKey(1), commit: commit(1, 7), body };
    let (seen, answers) = run(vec![short], 0, Vec::new());
    assert_eq!(seen, []);
    assert_eq!(answers_of_commits(&answers), [(1, CommitAnswer::Failed)]);
}

#[test]
fn a_forgotten_file_is_gone_and_every_spooled_octet_is_answered() {
    let mut requests = large(1, 1);
    let commit = requests.pop().unwrap();
    requests.push(ToStore::Forget(SpoolKey(1)));
    requests.push(commit);
    let (seen, answers) = run(requests, 0, Vec::new());
    assert_eq!(seen, []);
    assert!(matches!(&answers[..], [
        FromStore::Spooled(SessionId(1), SpoolKey(1), octets),
        FromStore::Committed(_, CommitAnswer::Failed),
    ] if *octets == BODY_SLICE_OCTETS + 1));
}

#[test]
fn a_failed_store_says_so_and_answers_no_more() {
    let faults = vec![Fault::Refuse(StoreError::Poisoned("planted".into()))];
    let (_, answers) = run(vec![small(1), small(2)], 0, faults);
    assert!(matches!(&answers[..], [FromStore::Failed(why)] if why.contains("planted")), "{answers:?}");
}

#[test]
fn a_message_whose_only_account_is_removed_meanwhile_is_never_told_to_be_kept() {
    let mut requests = large(1, 2);
    requests.push(ToStore::Change(vec![Change::RemoveAccount(AccountId(1))]));
    let (seen, answers) = run(requests, 0, Vec::new());
    assert_eq!(answers_of_commits(&answers), [(1, CommitAnswer::Failed)]);
    let id = MailId::new(UnixTime(7), 1);
    assert_eq!(seen, [Seen::Slice(id, 0), Seen::Group(1), Seen::Dropped(id, 1)]);
}
