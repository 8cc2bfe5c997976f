//! The store in memory and its faults.

use super::*;
use crate::store::memory::{Fault, MemoryStore};

fn store() -> MemoryStore {
    let mut store = MemoryStore::new([7; 32]);
    add_accounts(&mut store, &[1]);
    store
}

#[test]
fn the_script_is_followed_call_by_call() {
    let mut store = store();
    store.script([
        Fault::None,
        Fault::Refuse(StoreError::DiskFull),
        Fault::KeepAndFail(StoreError::Io("sync".to_owned())),
    ]);
    assert_eq!(store.commit(&[message(1, &[1], 0, b"a")]), Ok(()));
    assert_eq!(store.commit(&[message(2, &[1], 0, b"b")]), Err(StoreError::DiskFull));
    assert_eq!(store.commit(&[message(3, &[1], 0, b"c")]), Err(StoreError::Io("sync".to_owned())));
    assert_eq!(store.commit(&[message(4, &[1], 0, b"d")]), Ok(()));
    let bodies: Vec<_> = contents(&store, 1).into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, [b"a", b"c", b"d"]);
}

#[test]
fn a_poisoned_store_takes_nothing_until_it_is_opened_again() {
    let mut store = store();
    let poison = StoreError::Poisoned("fsync".to_owned());
    store.script([Fault::Refuse(poison.clone())]);
    assert_eq!(store.put_slice(id(1), 0, b"x"), Err(poison.clone()));
    assert!(store.is_poisoned());
    assert_eq!(store.commit(&[message(1, &[1], 0, b"a")]), Err(poison.clone()));
    assert_eq!(store.tidy(), Err(poison));
    store.power_cut();
    assert_eq!(store.commit(&[message(1, &[1], 0, b"a")]), Ok(()));
}

#[test]
fn a_power_cut_takes_slices_without_a_message_and_nothing_else() {
    let mut store = store();
    store.put_slice(id(1), 0, b"lost").unwrap();
    store.put_slice(id(2), 0, b"kept").unwrap();
    store.commit(&[message(2, &[1], 1, b"too")]).unwrap();
    store.power_cut();
    assert_eq!(store.slice_count(), 2);
    assert!(matches!(store.slice(id(1), 0), Err(StoreError::Damaged(_))));
    assert_eq!(contents(&store, 1)[0].1, b"kepttoo");
}

#[test]
fn a_full_disk_refuses_mail_and_lets_an_account_be_removed() {
    let mut store = store();
    store.set_disk_full(true);
    assert_eq!(store.commit(&[message(1, &[1], 0, b"a")]), Err(StoreError::DiskFull));
    assert_eq!(store.put_slice(id(1), 0, b"x"), Err(StoreError::DiskFull));
    assert_eq!(store.commit(&[Operation::Change(vec![Change::RemoveAccount(AccountId(1))])]), Ok(()));
}
