//! Acknowledged commits that are missing when a store is opened, whatever took them.

use super::*;
use crate::store::count::{Lost, LostPart};
use crate::store::counter::{self, CounterState};
use crate::store::journal::scan;

/// A store with one account and so many messages, one a commit, closed. The account is commit 1.
fn kept(messages: u64) -> tempfile::TempDir {
    let dir = scratch();
    let mut store = open(dir.path());
    add_accounts(&mut store, &[1]);
    for number in 1..=messages {
        store.commit(&[message(number, &[1], 0, b"a body")]).unwrap();
    }
    drop(store);
    dir
}

/// Where the last `count` batches of the newest journal begin.
fn end_without(dir: &Path, count: u32) -> usize {
    let octets = std::fs::read(newest_journal(dir)).unwrap();
    let mut end = scan(octets.as_slice(), None).unwrap().whole_octets;
    for _ in 0..count {
        let before = usize::try_from(end - 1).unwrap();
        end = scan(&octets[..before], None).unwrap().whole_octets;
    }
    usize::try_from(end).unwrap()
}

fn ranges(lost: &[Lost]) -> Vec<(u64, u64, Option<u64>)> {
    lost.iter().map(|lost| (lost.first, lost.last, lost.messages)).collect()
}

#[test]
fn nothing_is_missing_after_a_kill() {
    let dir = scratch();
    let live = dir.path().join("live");
    let mut store = open(&live);
    add_accounts(&mut store, &[1]);
    for number in 1..=3 {
        store.commit(&[message(number, &[1], 0, b"a body")]).unwrap();
        let copy = dir.path().join(format!("copy{number}"));
        copy_directory(&live, &copy);
        assert_eq!(open_report(&copy).1, OpenReport::default());
    }
}

#[test]
fn a_journal_cut_between_two_commits_is_told_at_each_start() {
    let dir = kept(5);
    let at = end_without(dir.path(), 2);
    let journal = std::fs::File::options().write(true).open(newest_journal(dir.path())).unwrap();
    journal.set_len(u64::try_from(at).unwrap()).unwrap();
    let (mut store, report) = open_report(dir.path());
    assert_eq!((report.torn, report.counter), (None, CounterState::Good));
    assert_eq!(ranges(&report.lost), [(5, 6, Some(2))]);
    assert_eq!(store.lost(), report.lost);
    assert_eq!(uids(&store, 1), [1, 2, 3]);
    store.commit(&[message(9, &[1], 0, b"mail goes on")]).unwrap();
    drop(store);
    let (store, report) = open_report(dir.path());
    assert_eq!(ranges(&report.lost), [(5, 6, Some(2))], "now a hole in the middle");
    assert_eq!(uids(&store, 1), [1, 2, 3, 4]);
}

#[test]
fn batches_cut_out_of_the_middle_of_a_journal_are_told() {
    let dir = kept(6);
    let path = newest_journal(dir.path());
    let octets = std::fs::read(&path).unwrap();
    let (from, to) = (end_without(dir.path(), 4), end_without(dir.path(), 2));
    std::fs::write(&path, [&octets[..from], &octets[to..]].concat()).unwrap();
    let (store, report) = open_report(dir.path());
    assert_eq!((report.torn, report.counter), (None, CounterState::Good));
    assert_eq!(ranges(&report.lost), [(4, 5, Some(2))]);
    assert_eq!(uids(&store, 1), [1, 2, 5, 6]);
}

#[test]
fn bodies_that_are_gone_while_their_records_are_there_are_told() {
    let dir = kept(4);
    let store = open(dir.path());
    for number in [2, 3] {
        let part = crate::store::verify::Part::Bodies;
        store.plant(part, &crate::store::keys::slice_key(id(number), 0), None);
        store.plant(part, &crate::store::keys::count_slice_key(number + 1), None);
    }
    drop(store);
    let (_, report) = open_report(dir.path());
    assert_eq!(ranges(&report.lost), [(3, 4, Some(2))]);
    assert_eq!(report.lost[0].part, LostPart::Bodies);
}

#[test]
fn an_end_of_zeros_is_told() {
    let dir = kept(5);
    let at = end_without(dir.path(), 3);
    let path = newest_journal(dir.path());
    let mut octets = std::fs::read(&path).unwrap();
    octets[at..].fill(0);
    std::fs::write(&path, octets).unwrap();
    let (_, report) = FjallStore::open(dir.path(), OpenMode::Read).unwrap();
    assert_eq!(ranges(&report.lost), [(4, 6, Some(3))]);
    assert_eq!(report.lost[0].part, LostPart::Commits);
}

#[test]
fn a_torn_last_commit_that_was_acknowledged_is_told_with_the_repair() {
    let dir = kept(3);
    let path = newest_journal(dir.path());
    let octets = std::fs::read(&path).unwrap();
    let end = end_without(dir.path(), 0);
    std::fs::write(&path, &octets[..end - 9]).unwrap();
    let (_, report) = open_report(dir.path());
    assert!(report.torn.is_some());
    assert_eq!(ranges(&report.lost), [(4, 4, Some(1))]);
}

#[test]
fn a_store_put_back_from_an_older_copy_says_what_came_since() {
    let dir = kept(2);
    let old = dir.path().join("old");
    copy_directory(&dir.path().join("store"), &old);
    let mut store = open(dir.path());
    for number in 3..=6 {
        store.commit(&[message(number, &[1], 0, b"since"), message(number + 10, &[1], 0, b"since")]).unwrap();
    }
    drop(store);
    std::fs::remove_dir_all(dir.path().join("store")).unwrap();
    std::fs::rename(&old, dir.path().join("store")).unwrap();
    let (_, report) = open_report(dir.path());
    assert_eq!(ranges(&report.lost), [(4, 7, Some(8))]);
}

#[test]
fn a_counter_behind_the_store_is_no_loss() {
    let dir = kept(2);
    let old = std::fs::read(counter::path(dir.path())).unwrap();
    let mut store = open(dir.path());
    for number in 3..=6 {
        store.commit(&[message(number, &[1], 0, b"since")]).unwrap();
    }
    drop(store);
    std::fs::write(counter::path(dir.path()), old).unwrap();
    assert_eq!(open_report(dir.path()).1, OpenReport::default());
}

#[test]
fn a_counter_that_is_gone_or_spoiled_is_said_once_and_made_anew() {
    let dir = kept(2);
    let path = counter::path(dir.path());
    std::fs::remove_file(&path).unwrap();
    let (_, report) = FjallStore::open(dir.path(), OpenMode::Read).unwrap();
    assert_eq!((report.counter, path.exists()), (CounterState::Missing, false));
    assert_eq!(open_report(dir.path()).1.counter, CounterState::Missing);
    assert_eq!(open_report(dir.path()).1.counter, CounterState::Good);
    std::fs::write(&path, b"something else").unwrap();
    assert_eq!(open_report(dir.path()).1.counter, CounterState::Unreadable);
    assert_eq!(open_report(dir.path()).1, OpenReport::default());
}

#[test]
fn a_commit_that_failed_is_not_counted() {
    let dir = kept(1);
    let mut store = open(dir.path());
    let refused = store.commit(&[message(2, &[1], 3, b"slices that were never put")]);
    assert!(matches!(refused, Err(StoreError::Damaged(_))));
    drop(store);
    assert_eq!(open_report(dir.path()).1, OpenReport::default());
}
