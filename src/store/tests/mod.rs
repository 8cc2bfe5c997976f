//! Tests of the store as its callers see it.
#![expect(clippy::disallowed_methods, reason = "tests look at files and wait for the database's threads")]
#![expect(clippy::arithmetic_side_effects, reason = "tests may fail on overflow")]

mod behaviour;
mod lost;
mod memory;
mod model;
mod torn;

use super::disk::copy_sparse;
use super::fjall::{FjallStore, OpenMode, OpenReport};
use super::*;
use crate::contract::Delivery;
use crate::directory::{Account, AccountState};
use crate::types::{Chance, ReversePath};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A directory for one test: in memory where there is room, because hundreds of openings sync thousands of
/// times and a busy disk would make the suite slow; what is tested is the same.
pub(super) fn scratch() -> tempfile::TempDir {
    const ROOM_OCTETS: u64 = 2 << 30;
    let memory = Path::new("/dev/shm");
    let roomy = crate::store::disk::free_octets(memory).is_ok_and(|octets| octets > ROOM_OCTETS);
    if roomy && let Ok(dir) = tempfile::tempdir_in(memory) { dir } else { tempfile::tempdir().unwrap() }
}

fn id(number: u64) -> MailId {
    MailId::new(UnixTime(1_000_000), number)
}

/// A message with this body for these accounts.
fn message(number: u64, accounts: &[u32], slices_before: u32, last_slice: &[u8]) -> Operation {
    let deliveries = accounts
        .iter()
        .map(|account| Delivery {
            account: AccountId(*account),
            recipient: format!("a{account}@example.org"),
        })
        .collect();
    Operation::Deliver(Box::new(Deliver {
        commit: Commit {
            id: id(number),
            received: UnixTime(1_000_000 + number),
            sender: ReversePath::Null,
            deliveries,
            prefix: format!("Return-Path: <>\r\nX-Number: {number}\r\n").into_bytes(),
            body_octets: u64::try_from(last_slice.len()).unwrap(),
        },
        last_slice: last_slice.to_vec(),
        slices_before,
    }))
}

fn add_account(account: u32) -> Change {
    Change::PutAccount(Account {
        id: AccountId(account),
        addresses: vec![format!("a{account}@example.org").parse().unwrap()],
        password: None,
        state: AccountState::Active,
        app_passwords: Default::default(),
    })
}

fn add_accounts(store: &mut dyn Store, accounts: &[u32]) {
    let changes = accounts.iter().map(|account| add_account(*account)).collect();
    store.commit(&[Operation::Change(changes)]).unwrap();
}

fn open(dir: &Path) -> FjallStore {
    open_report(dir).0
}

fn open_report(dir: &Path) -> (FjallStore, OpenReport) {
    FjallStore::open(dir, OpenMode::Write).unwrap()
}

/// Everything an account has, bodies read through their slices.
fn contents(store: &dyn Store, account: u32) -> Vec<(MessageRecord, Vec<u8>)> {
    let mut out = Vec::new();
    for record in store.list(AccountId(account), Uid(0), usize::MAX).unwrap() {
        let body = body(store, &record);
        out.push((record, body));
    }
    out
}

fn body(store: &dyn Store, record: &MessageRecord) -> Vec<u8> {
    (0..record.slices).flat_map(|index| store.slice(record.body, index).unwrap()).collect()
}

fn uids(store: &dyn Store, account: u32) -> Vec<u64> {
    store.list(AccountId(account), Uid(0), usize::MAX).unwrap().iter().map(|record| record.uid.0).collect()
}

fn tidy_all(store: &mut dyn Store) {
    let mut steps = 0;
    while store.tidy().unwrap() {
        steps += 1;
        assert!(steps < 1_000, "tidying never ends");
    }
}

/// Copies a directory as a crash of the process would leave it: what was written is there, synced or not.
fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            let octets = entry.metadata().unwrap().len();
            copy_sparse(&mut File::open(entry.path()).unwrap(), &target, octets).unwrap();
        }
    }
}

/// Every file under a directory with its octets.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.insert(path.clone(), Vec::new());
            out.extend(snapshot(&path));
        } else {
            let octets = std::fs::read(&path).unwrap();
            out.insert(path, octets);
        }
    }
    out
}

/// The newest journal of the store in a data directory.
fn newest_journal(dir: &Path) -> PathBuf {
    let journals = std::fs::read_dir(dir.join("store")).unwrap().map(|entry| entry.unwrap().path());
    journals.filter(|path| path.extension().is_some_and(|end| end == "jnl")).max().unwrap()
}
