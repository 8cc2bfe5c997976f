//! What the store on disk promises.

use super::*;
use crate::directory::history::LoginHistory;
use crate::directory::{Alias, DomainEntry};
use crate::limits;
use crate::types::Domain;

#[test]
fn a_message_comes_back_as_it_was_kept() {
    let dir = scratch();
    let mut store = open(dir.path());
    add_accounts(&mut store, &[1, 2]);
    store.commit(&[message(7, &[1, 2], 0, b"Subject: hi\r\n\r\nbody\r\n")]).unwrap();
    let expected = MessageRecord {
        uid: Uid(1),
        body: id(7),
        received: UnixTime(1_000_007),
        sender: "<>".to_owned(),
        recipient: "a2@example.org".to_owned(),
        prefix: b"Return-Path: <>\r\nX-Number: 7\r\n".to_vec(),
        body_octets: 21,
        slices: 1,
    };
    assert_eq!(store.message(AccountId(2), Uid(1)), Ok(Some(expected.clone())));
    assert_eq!(contents(&store, 2), [(expected, b"Subject: hi\r\n\r\nbody\r\n".to_vec())]);
    assert_eq!(store.message(AccountId(2), Uid(2)), Ok(None));
    assert_eq!(store.message(AccountId(3), Uid(1)), Ok(None));
}

#[test]
fn a_list_is_cut_into_pages() {
    let dir = scratch();
    let mut store = open(dir.path());
    add_accounts(&mut store, &[1, 2]);
    let group: Vec<_> = (0..10).map(|number| message(number, &[1, 2], 0, b"x")).collect();
    store.commit(&group).unwrap();
    let page = store.list(AccountId(1), Uid(3), 4).unwrap();
    assert_eq!(page.iter().map(|record| record.uid.0).collect::<Vec<_>>(), [4, 5, 6, 7]);
    assert_eq!(store.list(AccountId(1), Uid(10), 4), Ok(vec![]));
    assert_eq!(store.list(AccountId(1), Uid(u64::MAX), 4), Ok(vec![]));
}

#[test]
fn an_empty_body_has_no_slice() {
    let dir = scratch();
    let mut store = open(dir.path());
    add_accounts(&mut store, &[1]);
    store.commit(&[message(1, &[1], 0, b"")]).unwrap();
    assert_eq!(contents(&store, 1)[0].1, b"");
    assert!(matches!(store.slice(id(1), 0), Err(StoreError::Damaged(_))));
}

#[test]
fn everything_committed_is_there_after_a_kill() {
    let dir = scratch();
    let live = dir.path().join("live");
    let mut store = open(&live);
    add_accounts(&mut store, &[1]);
    for number in 0..8 {
        let long = vec![b'x'; usize::try_from(number * 900).unwrap()];
        store.commit(&[message(number, &[1], 0, &long), message(100 + number, &[1], 0, b"y")]).unwrap();
        let copy = dir.path().join(format!("copy{number}"));
        copy_directory(&live, &copy);
        let (after, report) = open_report(&copy);
        assert_eq!(report.torn, None);
        assert_eq!(contents(&after, 1), contents(&store, 1));
        assert_eq!(uids(&after, 1), (1..=2 * (number + 1)).collect::<Vec<_>>());
    }
}

#[test]
fn a_refused_group_leaves_nothing_behind() {
    let dir = scratch();
    let mut store = open(dir.path());
    add_accounts(&mut store, &[1]);
    let group = [
        message(1, &[1], 0, b"fine"),
        Operation::Change(vec![add_account(2)]),
        message(2, &[1], 3, b"lacks slices"),
    ];
    assert!(matches!(store.commit(&group), Err(StoreError::Damaged(_))));
    assert!(!store.is_poisoned());
    assert_eq!(contents(&store, 1), []);
    assert_eq!(store.directory().unwrap().accounts().count(), 1);
    drop(store);
    assert_eq!(contents(&open(dir.path()), 1), []);
}

#[test]
fn uids_ascend_and_are_never_used_again() {
    let dir = scratch();
    let mut store = open(dir.path());
    add_accounts(&mut store, &[1, 2]);
    store.commit(&[message(1, &[1], 0, b"x"), message(2, &[1, 2], 0, b"x")]).unwrap();
    assert_eq!(uids(&store, 1), [1, 2]);
    drop(store);
    let mut store = open(dir.path());
    store.commit(&[message(3, &[2, 1], 0, b"x")]).unwrap();
    assert_eq!(uids(&store, 1), [1, 2, 3]);
    assert_eq!(uids(&store, 2), [1, 2]);
}

#[test]
fn the_directory_comes_back_after_a_kill() {
    let dir = scratch();
    let live = dir.path().join("live");
    let mut store = open(&live);
    let name = Domain::parse("example.org").unwrap();
    let alias = Alias {
        address: "all@example.org".parse().unwrap(),
        members: vec!["a1@example.org".parse().unwrap()],
    };
    let other = Alias { address: "gone@example.org".parse().unwrap(), members: vec![] };
    store
        .commit(&[Operation::Change(vec![
            Change::PutDomain(DomainEntry { name: name.clone(), catch_all: None }),
            Change::PutDomain(DomainEntry { name: Domain::parse("gone.example").unwrap(), catch_all: None }),
            add_account(1),
            add_account(5),
            Change::PutAlias(alias.clone()),
            Change::PutAlias(other.clone()),
        ])])
        .unwrap();
    store
        .commit(&[Operation::Change(vec![
            Change::RemoveDomain(Domain::parse("gone.example").unwrap()),
            Change::RemoveAccount(AccountId(5)),
            Change::RemoveAlias(other.address),
        ])])
        .unwrap();
    let copy = dir.path().join("copy");
    copy_directory(&live, &copy);
    let after = open(&copy);
    let directory = after.directory().unwrap();
    assert_eq!(directory.domains().map(|entry| entry.name.clone()).collect::<Vec<_>>(), [name]);
    assert_eq!(directory.accounts().map(|account| account.id.0).collect::<Vec<_>>(), [1]);
    assert_eq!(directory.aliases().cloned().collect::<Vec<_>>(), [alias]);
    assert_eq!(directory.next_account(), 6, "the id of a removed account is never given out again");
    assert_eq!(after.server_key(), store.server_key());
}

#[test]
fn what_is_remembered_of_logins_survives_a_kill_and_goes_with_its_account() {
    let dir = scratch();
    let mut store = open(dir.path());
    add_accounts(&mut store, &[1, 2]);
    let mut history = LoginHistory::default();
    history.learn(UnixTime(1_000_000), [192, 0, 2, 1].into(), None);
    let remember = |account| Change::PutHistory(AccountId(account), history.clone());
    store.commit(&[Operation::Change(vec![remember(1), remember(2), remember(9)])]).unwrap();
    drop(store);
    let mut store = open(dir.path());
    let known = |store: &FjallStore| -> Vec<(u32, LoginHistory)> {
        store.directory().unwrap().histories().map(|(id, history)| (id.0, history.clone())).collect()
    };
    assert_eq!(known(&store), [(1, history.clone()), (2, history.clone())], "9 is nobody");
    // Written behind a removal that was under way: it is nobody's then.
    store
        .commit(&[
            Operation::Change(vec![Change::RemoveAccount(AccountId(1))]),
            Operation::Change(vec![remember(1)]),
        ])
        .unwrap();
    drop(store);
    assert_eq!(known(&open(dir.path())), [(2, history.clone())]);
}

#[test]
fn every_store_has_a_secret_of_its_own() {
    let dir = scratch();
    let one = open(&dir.path().join("one"));
    let two = open(&dir.path().join("two"));
    assert_ne!(one.server_key(), two.server_key());
    assert_ne!(one.server_key(), [0; 32]);
}

#[test]
fn a_body_of_fifty_mebibytes_goes_in_by_slices() {
    let dir = scratch();
    let mut store = open(dir.path());
    add_accounts(&mut store, &[1]);
    let slices = u32::try_from(50 * 1024 * 1024 / limits::BODY_SLICE_OCTETS).unwrap();
    let slice = |index: u32| -> Vec<u8> {
        let mut octets = Chance::from_seed([u8::try_from(index % 256).unwrap(); 32]).octets().to_vec();
        octets.resize(limits::BODY_SLICE_OCTETS, u8::try_from(index % 251).unwrap());
        octets
    };
    for index in 0..slices {
        store.put_slice(id(1), index, &slice(index)).unwrap();
    }
    store.commit(&[message(1, &[1], slices, b"the end")]).unwrap();
    for again in [false, true] {
        let record = store.message(AccountId(1), Uid(1)).unwrap().unwrap();
        assert_eq!(record.slices, slices + 1);
        for index in 0..slices {
            assert_eq!(store.slice(id(1), index).unwrap(), slice(index), "{index}, {again}");
        }
        assert_eq!(store.slice(id(1), slices).unwrap(), b"the end");
        if !again {
            drop(store);
            let (opened, report) = open_report(dir.path());
            assert_eq!((report.torn, report.unfinished_bodies), (None, 0));
            store = opened;
        }
    }
}

#[test]
fn a_body_that_was_never_committed_is_gone_after_a_kill() {
    let dir = scratch();
    let live = dir.path().join("live");
    let mut store = open(&live);
    add_accounts(&mut store, &[1]);
    for index in 0..limits::DROP_SLICES_PER_BATCH + 3 {
        store.put_slice(id(1), u32::try_from(index).unwrap(), b"unfinished").unwrap();
    }
    store.put_slice(id(2), 0, b"finished").unwrap();
    store.commit(&[message(2, &[1], 1, b"too")]).unwrap();
    let copy = dir.path().join("copy");
    copy_directory(&live, &copy);
    let (after, report) = open_report(&copy);
    assert_eq!(report.unfinished_bodies, 1);
    assert_eq!(after.slice_count(), 2);
    assert_eq!(contents(&after, 1)[0].1, b"finishedtoo");
    drop(after);
    assert_eq!(open_report(&copy).1.unfinished_bodies, 0);
}

#[test]
fn dropped_slices_leave_nothing() {
    let dir = scratch();
    let mut store = open(dir.path());
    let many = u32::try_from(limits::DROP_SLICES_PER_BATCH).unwrap();
    for count in [1, many, many + 1] {
        for index in 0..count {
            store.put_slice(id(1), index, b"x").unwrap();
        }
        store.drop_slices(id(1), count).unwrap();
        assert_eq!(store.slice_count(), 0);
    }
    store.drop_slices(id(9), 0).unwrap();
    drop(store);
    assert_eq!(open_report(dir.path()).1.unfinished_bodies, 0);
}

#[test]
fn slices_out_of_order_are_refused() {
    let dir = scratch();
    let mut store = open(dir.path());
    assert!(matches!(store.put_slice(id(1), 1, b"x"), Err(StoreError::Damaged(_))));
    store.put_slice(id(1), 0, b"x").unwrap();
    assert!(matches!(store.put_slice(id(1), 0, b"x"), Err(StoreError::Damaged(_))));
    assert!(!store.is_poisoned());
}

#[test]
fn a_removed_account_takes_only_bodies_that_nobody_else_needs() {
    let dir = scratch();
    let mut store = open(dir.path());
    add_accounts(&mut store, &[1, 2, 3]);
    store.put_slice(id(4), 0, b"large ").unwrap();
    store
        .commit(&[
            message(1, &[1], 0, b"one alone"),
            message(2, &[1, 2], 0, b"shared"),
            message(3, &[2, 3], 0, b"others"),
            message(4, &[1], 1, b"body"),
        ])
        .unwrap();
    let others = (contents(&store, 2), contents(&store, 3));
    store.commit(&[Operation::Change(vec![Change::RemoveAccount(AccountId(1))])]).unwrap();
    assert_eq!(contents(&store, 1), [], "gone at once for whoever looks");
    assert_eq!(store.message(AccountId(1), Uid(1)), Ok(None));
    assert_eq!(store.slice_count(), 5);
    tidy_all(&mut store);
    assert_eq!(store.slice_count(), 2);
    assert_eq!((contents(&store, 2), contents(&store, 3)), others);
    store.commit(&[Operation::Change(vec![Change::RemoveAccount(AccountId(2))])]).unwrap();
    tidy_all(&mut store);
    assert_eq!(store.slice_count(), 1);
    assert_eq!(contents(&store, 3), others.1);
    assert_eq!(store.tidy(), Ok(false));
}

#[test]
fn two_copies_of_one_account_hold_a_body_together() {
    let dir = scratch();
    let mut store = open(dir.path());
    add_accounts(&mut store, &[1]);
    store.commit(&[message(1, &[1, 1], 0, b"twice")]).unwrap();
    store.commit(&[Operation::Change(vec![Change::RemoveAccount(AccountId(1))])]).unwrap();
    tidy_all(&mut store);
    assert_eq!(store.slice_count(), 0);
}

#[test]
fn emptying_an_account_goes_on_after_a_kill_in_the_middle() {
    let dir = scratch();
    let live = dir.path().join("live");
    let mut store = open(&live);
    add_accounts(&mut store, &[1, 2]);
    let count = limits::TIDY_RECORDS_PER_STEP * 2 + 5;
    let group: Vec<_> = (0..count)
        .map(|number| {
            message(u64::try_from(number).unwrap(), if number % 50 == 0 { &[1, 2] } else { &[1] }, 0, b"x")
        })
        .collect();
    store.commit(&group).unwrap();
    let shared = contents(&store, 2);
    store.commit(&[Operation::Change(vec![Change::RemoveAccount(AccountId(1))])]).unwrap();
    assert_eq!(store.tidy(), Ok(true));
    let left = store.slice_count();
    assert!(left > shared.len() && left < count, "one step is bounded and does something");
    let copy = dir.path().join("copy");
    copy_directory(&live, &copy);
    drop(store);
    let (mut after, report) = open_report(&copy);
    assert_eq!(report.accounts_to_empty, 1);
    assert_eq!(contents(&after, 1), []);
    tidy_all(&mut after);
    assert_eq!(after.slice_count(), shared.len());
    assert_eq!(contents(&after, 2), shared);
    drop(after);
    assert_eq!(open_report(&copy).1.accounts_to_empty, 0);
}

#[test]
fn mail_on_its_way_to_a_removed_account_is_not_kept() {
    let dir = scratch();
    let mut store = open(dir.path());
    add_accounts(&mut store, &[1, 2]);
    store.put_slice(id(3), 0, b"large").unwrap();
    store
        .commit(&[
            Operation::Change(vec![Change::RemoveAccount(AccountId(1))]),
            message(1, &[1], 0, b"late"),
            message(2, &[1, 2], 0, b"late for one"),
            message(3, &[1], 1, b"late too"),
        ])
        .unwrap();
    tidy_all(&mut store);
    store.commit(&[message(4, &[1], 0, b"later still")]).unwrap();
    assert_eq!(store.slice_count(), 1);
    assert_eq!(uids(&store, 1), [0; 0]);
    assert_eq!(contents(&store, 2)[0].1, b"late for one");
    drop(store);
    let (after, report) = open_report(dir.path());
    assert_eq!(report, OpenReport::default());
    assert_eq!(after.slice_count(), 1);
}

#[test]
fn a_store_has_one_owner_at_a_time() {
    let dir = scratch();
    let store = open(dir.path());
    for mode in [OpenMode::Write, OpenMode::Read] {
        assert_eq!(FjallStore::open(dir.path(), mode).unwrap_err(), StoreError::Locked);
    }
    drop(store);
    open(dir.path());
}

#[test]
fn reading_makes_no_store_and_writes_to_none() {
    let dir = scratch();
    let nowhere = dir.path().join("nowhere");
    assert!(matches!(FjallStore::open(&nowhere, OpenMode::Read), Err(StoreError::Layout(_))));
    assert!(!nowhere.exists());
    assert!(matches!(FjallStore::open(dir.path(), OpenMode::Read), Err(StoreError::Layout(_))));
    assert!(snapshot(dir.path()).is_empty());

    let mut store = open(dir.path());
    add_accounts(&mut store, &[1]);
    store.commit(&[message(1, &[1], 0, b"x")]).unwrap();
    let kept = contents(&store, 1);
    store.put_slice(id(2), 0, b"unfinished").unwrap();
    drop(store);
    let (mut store, report) = FjallStore::open(dir.path(), OpenMode::Read).unwrap();
    assert_eq!(report, OpenReport::default());
    assert_eq!(contents(&store, 1), kept);
    assert!(matches!(store.commit(&[message(3, &[1], 0, b"x")]), Err(StoreError::Io(_))));
    assert!(matches!(store.put_slice(id(3), 0, b"x"), Err(StoreError::Io(_))));
    assert!(matches!(store.drop_slices(id(2), 1), Err(StoreError::Io(_))));
    assert!(matches!(store.tidy(), Err(StoreError::Io(_))));
    drop(store);
    assert_eq!(open_report(dir.path()).1.unfinished_bodies, 1);
}

#[test]
fn a_newer_layout_is_refused_untouched() {
    let dir = scratch();
    drop(open(dir.path()));
    drop(open(dir.path()));
    std::fs::write(dir.path().join("store/layout"), b"gatepost store, layout 2\n").unwrap();
    let before = snapshot(dir.path());
    for mode in [OpenMode::Write, OpenMode::Read] {
        let error = FjallStore::open(dir.path(), mode).unwrap_err();
        assert!(matches!(&error, StoreError::Layout(why) if why.contains("layout 2")), "{error}");
    }
    assert_eq!(snapshot(dir.path()), before);
}

#[test]
fn a_foreign_directory_is_left_alone() {
    for (name, octets) in
        [("notes.txt", "mine"), ("version", "FJL\x03"), ("layout", "gatepost store, layout x")]
    {
        let dir = scratch();
        std::fs::create_dir(dir.path().join("store")).unwrap();
        std::fs::write(dir.path().join("store").join(name), octets).unwrap();
        let before = snapshot(dir.path());
        for mode in [OpenMode::Write, OpenMode::Read] {
            assert!(matches!(FjallStore::open(dir.path(), mode), Err(StoreError::Layout(_))), "{name}");
        }
        assert_eq!(snapshot(dir.path()), before);
    }
    let dir = scratch();
    std::fs::write(dir.path().join("store"), b"a file").unwrap();
    assert!(matches!(FjallStore::open(dir.path(), OpenMode::Write), Err(StoreError::Layout(_))));
}

#[test]
fn a_store_without_its_parts_is_damaged_and_not_made_anew() {
    for part in ["version", "keyspaces", "lock"] {
        let dir = scratch();
        drop(open(dir.path()));
        let path = dir.path().join("store").join(part);
        if path.is_dir() {
            std::fs::remove_dir_all(&path).unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
        }
        let error = FjallStore::open(dir.path(), OpenMode::Write).unwrap_err();
        assert!(matches!(&error, StoreError::Damaged(what) if what.contains(part)), "{error}");
    }
}

#[test]
fn damage_inside_the_database_is_an_error_and_no_panic() {
    let dir = scratch();
    drop(open(dir.path()));
    for entry in std::fs::read_dir(dir.path().join("store/keyspaces")).unwrap() {
        let current = entry.unwrap().path().join("current");
        let octets = std::fs::read(&current).unwrap();
        std::fs::write(&current, b"").unwrap();
        assert!(FjallStore::open(dir.path(), OpenMode::Write).is_err());
        std::fs::write(&current, octets).unwrap();
    }
    open(dir.path());
}

#[test]
fn what_a_crash_left_of_a_store_being_made_is_no_obstacle() {
    let dir = scratch();
    std::fs::create_dir_all(dir.path().join("store.new/keyspaces/0")).unwrap();
    std::fs::write(dir.path().join("store.new/0.jnl"), b"half").unwrap();
    std::fs::create_dir(dir.path().join("store")).unwrap();
    let (_store, report) = open_report(dir.path());
    assert!(report.created);
    assert!(!dir.path().join("store.new").exists());
}

#[test]
fn something_foreign_where_a_store_would_be_made_is_left_alone() {
    let dir = scratch();
    std::fs::create_dir(dir.path().join("store.new")).unwrap();
    std::fs::write(dir.path().join("store.new/thesis.txt"), b"mine").unwrap();
    assert!(matches!(FjallStore::open(dir.path(), OpenMode::Write), Err(StoreError::Layout(_))));
    assert_eq!(std::fs::read(dir.path().join("store.new/thesis.txt")).unwrap(), b"mine");
}

#[test]
fn only_the_owner_can_look_into_a_store() {
    use std::os::unix::fs::PermissionsExt;
    let dir = scratch();
    drop(open(&dir.path().join("data")));
    for path in ["data", "data/store"] {
        let mode = std::fs::metadata(dir.path().join(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{path}");
    }
}

#[test]
fn an_id_is_not_given_again_while_its_mail_has_to_go() {
    let dir = scratch();
    let mut store = open(dir.path());
    add_accounts(&mut store, &[1]);
    let again = [Operation::Change(vec![Change::RemoveAccount(AccountId(1)), add_account(1)])];
    assert!(matches!(store.commit(&again), Err(StoreError::Damaged(_))));
    store.commit(&[Operation::Change(vec![Change::RemoveAccount(AccountId(1))])]).unwrap();
    let again = [Operation::Change(vec![add_account(1)])];
    assert!(matches!(store.commit(&again), Err(StoreError::Damaged(_))));
    assert!(!store.is_poisoned());
}

#[test]
fn nothing_is_lost_when_the_journal_is_begun_anew_and_write_buffers_drain() {
    let dir = scratch();
    let live = dir.path().join("live");
    let mut store = open(&live);
    add_accounts(&mut store, &[1]);
    assert!(!store.intake_must_wait());
    let slice = vec![b'x'; limits::BODY_SLICE_OCTETS];
    let slices = 560;
    for index in 0..slices {
        store.put_slice(id(1), index, &slice).unwrap();
    }
    store.commit(&[message(1, &[1], slices, b"the end")]).unwrap();
    let copy = dir.path().join("copy");
    let mut rounds = 0;
    while store.intake_must_wait() || store.write_buffer_octets() > limits::STORE_MEMTABLE_OCTETS * 2 {
        rounds += 1;
        assert!(rounds < 2_000, "write buffers never drained: {}", store.write_buffer_octets());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(!store.is_poisoned());
    assert_ne!(newest_journal(&live).file_name().unwrap(), "0.jnl", "the journal was begun anew");
    drop(store);
    copy_directory(&live, &copy);
    let (after, report) = open_report(&copy);
    assert_eq!(report, OpenReport::default());
    assert_eq!(after.slice_count(), usize::try_from(slices).unwrap() + 1);
    for index in [0, 300, slices - 1] {
        assert!(after.slice(id(1), index).unwrap() == slice, "{index}");
    }
}
