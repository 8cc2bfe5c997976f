//! What only the inside of the store can show.

use super::database::from_database;
use super::*;
use crate::contract::{Commit, Delivery};
use crate::directory::{Account, AccountState};
use crate::store::Deliver;
use crate::store::tests::scratch;
use crate::types::{ReversePath, UnixTime};
use ::fjall::LsmError;

const ACCOUNT: AccountId = AccountId(1);

fn store(dir: &Path) -> FjallStore {
    let (mut store, _) = FjallStore::open(dir, OpenMode::Write).unwrap();
    let account = Account {
        id: ACCOUNT,
        addresses: vec![],
        password: None,
        state: AccountState::Active,
        app_passwords: Default::default(),
    };
    store.commit(&[Operation::Change(vec![Change::PutAccount(account)])]).unwrap();
    store
}

fn message(number: u64) -> Operation {
    Operation::Deliver(Box::new(Deliver {
        commit: Commit {
            id: MailId::new(UnixTime(1), number),
            received: UnixTime(1),
            sender: ReversePath::Null,
            deliveries: vec![Delivery { account: ACCOUNT, recipient: String::new() }],
            prefix: Vec::new(),
            body_octets: 4,
        },
        last_slice: b"body".to_vec(),
        slices_before: 0,
    }))
}

fn uids(store: &FjallStore) -> Vec<u64> {
    store.list(ACCOUNT, Uid(0), 99).unwrap().iter().map(|record| record.uid.0).collect()
}

#[test]
fn the_uid_of_a_deleted_message_is_not_given_again() {
    let dir = scratch();
    let mut store = store(dir.path());
    store.commit(&[message(1), message(2)]).unwrap();
    store.records.remove(keys::mail_key(ACCOUNT, Uid(2))).unwrap();
    drop(store);
    let (mut store, _) = FjallStore::open(dir.path(), OpenMode::Write).unwrap();
    store.commit(&[message(3)]).unwrap();
    assert_eq!(uids(&store), [1, 3]);
}

#[test]
fn a_lost_uid_counter_overwrites_no_message() {
    let dir = scratch();
    let mut store = store(dir.path());
    store.commit(&[message(1), message(2)]).unwrap();
    store.records.remove(keys::account_key(Tag::NextUid, ACCOUNT)).unwrap();
    drop(store);
    let (mut store, _) = FjallStore::open(dir.path(), OpenMode::Write).unwrap();
    store.commit(&[message(3)]).unwrap();
    assert_eq!(uids(&store), [1, 2, 3]);
}

#[test]
fn a_disk_below_the_floor_refuses_mail_and_nothing_else() {
    let dir = scratch();
    let mut store = store(dir.path());
    store.floor_octets = u64::MAX;
    let mixed = [Operation::Change(vec![Change::RemoveAccount(ACCOUNT)]), message(1)];
    assert_eq!(store.commit(&mixed), Err(StoreError::DiskFull));
    assert_eq!(store.put_slice(MailId([1; 16]), 0, b"x"), Err(StoreError::DiskFull));
    assert!(!store.is_poisoned());
    assert_eq!(store.directory().unwrap().accounts().count(), 1);
    let removal = [Operation::Change(vec![Change::RemoveAccount(ACCOUNT)])];
    assert_eq!(store.commit(&removal), Ok(()));
    assert_eq!(store.tidy(), Ok(false));
    store.floor_octets = 0;
    assert_eq!(store.commit(&[message(1)]), Ok(()));
}

#[test]
fn a_damaged_record_is_named_and_does_not_stop_its_account_from_being_emptied() {
    let dir = scratch();
    let mut store = store(dir.path());
    store.commit(&[message(1), message(2)]).unwrap();
    store.records.insert(keys::mail_key(ACCOUNT, Uid(1)), b"\x01short").unwrap();
    let error = store.list(ACCOUNT, Uid(0), 9).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged(what) if what.contains("message 1 of account 1")));
    store.commit(&[Operation::Change(vec![Change::RemoveAccount(ACCOUNT)])]).unwrap();
    assert_eq!(store.tidy(), Ok(false));
    assert_eq!(store.slice_count(), 1, "the body that the damaged record named is not known");
}

#[test]
fn records_of_a_newer_layout_are_refused() {
    let dir = scratch();
    let store = store(dir.path());
    let key = keys::meta_key(Meta::Layout);
    store.records.insert(key, keys::encode_u32(keys::LAYOUT + 1)).unwrap();
    drop(store);
    let error = FjallStore::open(dir.path(), OpenMode::Write).unwrap_err();
    assert!(matches!(error, StoreError::Layout(_)), "{error}");
}

#[test]
fn a_panic_of_the_database_is_an_error_and_the_store_takes_no_more() {
    let dir = scratch();
    let mut store = store(dir.path());
    let error = store.write("testing", || panic!("on purpose")).unwrap_err();
    assert!(matches!(error, StoreError::Poisoned(_)), "{error}");
    assert!(store.is_poisoned());
    assert!(matches!(store.commit(&[message(1)]), Err(StoreError::Poisoned(_))));
    assert_eq!(uids(&store), [0; 0], "reading goes on");
}

#[test]
fn errors_of_the_database_keep_their_meaning() {
    let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
    assert_eq!(from_database("x", Error::Io(full())), StoreError::DiskFull);
    assert_eq!(from_database("x", Error::Storage(LsmError::Io(full()))), StoreError::DiskFull);
    assert_eq!(from_database("x", Error::Locked), StoreError::Locked);
    assert!(matches!(from_database("x", Error::Poisoned), StoreError::Poisoned(_)));
    assert!(matches!(from_database("x", Error::InvalidVersion(None)), StoreError::Layout(_)));
    assert!(matches!(from_database("x", Error::Unrecoverable), StoreError::Damaged(_)));
}
