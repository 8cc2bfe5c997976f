//! What a power cut does to the end of a journal that was not synced.

use super::*;
use crate::store::journal::{Stop, scan};

/// A data directory as a power cut finds it: three synced messages, then slices that were written and not
/// synced.
struct Cut {
    dir: tempfile::TempDir,
    /// Octets of the journal that were synced.
    synced: usize,
    /// The journal.
    octets: Vec<u8>,
    /// What the account has.
    kept: Vec<(MessageRecord, Vec<u8>)>,
}

fn cut() -> Cut {
    let dir = scratch();
    let live = dir.path().join("live");
    let mut store = open(&live);
    add_accounts(&mut store, &[1]);
    // Opened again, the database appends to a journal that is no longer preallocated.
    drop(store);
    let mut store = open(&live);
    for number in 0..3 {
        store.commit(&[message(number, &[1], 0, &[b'm'; 700])]).unwrap();
    }
    let synced = usize::try_from(std::fs::metadata(newest_journal(&live)).unwrap().len()).unwrap();
    for (index, octets) in [10, 6_000, 9_000, 300].into_iter().enumerate() {
        store.put_slice(id(99), u32::try_from(index).unwrap(), &vec![b's'; octets]).unwrap();
    }
    copy_directory(&live, &dir.path().join("cut"));
    let octets = std::fs::read(newest_journal(&dir.path().join("cut"))).unwrap();
    assert!(octets.len() > synced + 15_000, "the tail has pages of its own");
    let kept = contents(&store, 1);
    assert_eq!(kept.len(), 3);
    Cut { dir, synced, octets, kept }
}

impl Cut {
    /// Opens the store with this journal and checks that nothing synced is missing and that it works on.
    fn survives(&self, what: &str, journal: &[u8]) -> OpenReport {
        let copy = self.dir.path().join("copy");
        copy_directory(&self.dir.path().join("cut"), &copy);
        let path = newest_journal(&copy);
        std::fs::write(&path, journal).unwrap();
        let (mut store, report) = open_report(&copy);
        assert_eq!(contents(&store, 1), self.kept, "{what}");
        assert_eq!(store.slice_count(), self.kept.len(), "{what}");
        store.commit(&[message(50, &[1], 0, b"after")]).unwrap();
        drop(store);
        let (store, again) = open_report(&copy);
        assert_eq!(uids(&store, 1), [1, 2, 3, 4], "{what}");
        assert_eq!(again, OpenReport::default(), "{what}");
        if let Some(torn) = &report.torn {
            assert_eq!(
                std::fs::read(&torn.copy).unwrap(),
                journal[..std::fs::read(&torn.copy).unwrap().len()]
            );
            assert!(usize::try_from(torn.kept_octets).unwrap() >= self.synced, "{what}");
        }
        drop(store);
        std::fs::remove_dir_all(&copy).unwrap();
        report
    }
}

#[test]
fn a_journal_of_the_database_is_read_to_its_last_octet() {
    let cut = cut();
    let found = scan(cut.octets.as_slice(), None).unwrap();
    assert_eq!(found.whole_octets, u64::try_from(cut.octets.len()).unwrap());
    assert_eq!(found.stop, Stop::EndOfFile);
    let synced = scan(&cut.octets[..cut.synced], None).unwrap();
    assert_eq!(synced.whole_octets, u64::try_from(cut.synced).unwrap());
    assert_eq!(found.batches, synced.batches + 4);
}

#[test]
fn whatever_octet_of_the_tail_is_lost_the_synced_part_is_whole() {
    let cut = cut();
    let synced = u64::try_from(cut.synced).unwrap();
    for at in cut.synced..cut.octets.len() {
        let found = scan(&cut.octets[..at], None).unwrap();
        assert!(found.whole_octets >= synced && found.whole_octets <= u64::try_from(at).unwrap(), "{at}");
    }
    let mut flipped = cut.octets.clone();
    for at in (cut.synced..cut.octets.len()).step_by(7) {
        flipped[at] ^= 1 << (at % 8);
        assert!(scan(flipped.as_slice(), None).unwrap().whole_octets >= synced, "{at}");
        flipped[at] ^= 1 << (at % 8);
    }
}

#[test]
fn a_store_whose_tail_was_cut_short_opens_with_all_that_was_synced() {
    let cut = cut();
    let tail = cut.octets.len() - cut.synced;
    for part in 0..=12 {
        let at = cut.synced + tail * part / 12;
        let report = cut.survives(&format!("cut at {at}"), &cut.octets[..at]);
        assert_eq!(report.torn.is_some(), part != 0 && part != 12, "{at}");
    }
}

#[test]
fn a_store_whose_tail_lost_a_page_opens_with_all_that_was_synced() {
    let cut = cut();
    for page in cut.synced / 4_096..=cut.octets.len() / 4_096 {
        let from = (page * 4_096).max(cut.synced);
        let to = ((page + 1) * 4_096).min(cut.octets.len());
        let mut journal = cut.octets.clone();
        journal[from..to].fill(0);
        cut.survives(&format!("page {page}"), &journal);
    }
}

#[test]
fn a_store_whose_tail_has_a_wrong_bit_opens_with_all_that_was_synced() {
    let cut = cut();
    let mut chance = Chance::from_seed([9; 32]);
    let tail = u64::try_from(cut.octets.len() - cut.synced).unwrap();
    for _ in 0..12 {
        let at = cut.synced + usize::try_from(chance.below(tail)).unwrap();
        let mut journal = cut.octets.clone();
        journal[at] ^= 1 << chance.below(8);
        cut.survives(&format!("bit at {at}"), &journal);
    }
}

#[test]
fn a_torn_tail_in_front_of_preallocated_zeros_is_cut_too() {
    let cut = cut();
    let mut journal = cut.octets.clone();
    journal[cut.synced + 4_000] ^= 1;
    journal.resize(1 << 20, 0);
    let report = cut.survives("zeros behind", &journal);
    let torn = report.torn.unwrap();
    assert_eq!(
        usize::try_from(torn.kept_octets + torn.cut_octets).unwrap(),
        cut.octets.len(),
        "zeros are nothing that was lost"
    );
    assert!(torn.to_string().contains("torn"));
}

#[test]
fn reading_a_torn_store_says_so_and_changes_no_file() {
    let cut = cut();
    let dir = cut.dir.path().join("cut");
    let path = newest_journal(&dir);
    for at in [cut.synced + 1, cut.octets.len() - 1] {
        std::fs::write(&path, &cut.octets[..at]).unwrap();
        let before = snapshot(&dir);
        assert!(matches!(FjallStore::open(&dir, OpenMode::Read), Err(StoreError::Torn(_))));
        assert_eq!(snapshot(&dir), before);
    }
}

#[test]
fn damage_in_front_of_a_synced_commit_is_told_and_not_cut() {
    let cut = cut();
    let dir = cut.dir.path().join("cut");
    let path = newest_journal(&dir);
    let mut chance = Chance::from_seed([11; 32]);
    // In front of the last commit, which is a little longer than its body.
    let reach = u64::try_from(cut.synced - 1_300).unwrap();
    for _ in 0..40 {
        let at = usize::try_from(chance.below(reach)).unwrap();
        let mut octets = cut.octets.clone();
        octets[at] ^= 1 << chance.below(8);
        // A raised sequence number is seen at the batch after it.
        if scan(octets.as_slice(), None).unwrap().stop == Stop::EndOfFile {
            continue;
        }
        std::fs::write(&path, &octets).unwrap();
        for mode in [OpenMode::Write, OpenMode::Read] {
            let error = FjallStore::open(&dir, mode).unwrap_err();
            assert!(matches!(&error, StoreError::Damaged(_)), "{at}: {error}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), octets);
        assert!(!dir.join("torn").exists());
    }
}

#[test]
fn a_commit_that_was_being_synced_when_the_power_went_is_torn() {
    let dir = scratch();
    let live = dir.path().join("live");
    let mut store = open(&live);
    add_accounts(&mut store, &[1]);
    drop(store);
    let mut store = open(&live);
    store.commit(&[message(1, &[1], 0, b"synced")]).unwrap();
    let kept = contents(&store, 1);
    let synced = usize::try_from(std::fs::metadata(newest_journal(&live)).unwrap().len()).unwrap();
    store.put_slice(id(2), 0, &[b's'; 9_000]).unwrap();
    store.commit(&[message(2, &[1], 1, &[b'e'; 9_000])]).unwrap();
    copy_directory(&live, &dir.path().join("cut"));
    let octets = std::fs::read(newest_journal(&dir.path().join("cut"))).unwrap();
    let cut = Cut { synced, octets, kept, dir };
    // Its last page is there, one in front of it is not.
    for page in cut.synced / 4_096 + 1..cut.octets.len() / 4_096 {
        let copy = cut.dir.path().join("copy");
        copy_directory(&cut.dir.path().join("cut"), &copy);
        let mut journal = cut.octets.clone();
        journal[page * 4_096..(page + 1) * 4_096].fill(0);
        std::fs::write(newest_journal(&copy), &journal).unwrap();
        let (store, report) = open_report(&copy);
        assert!(report.torn.is_some(), "page {page}");
        assert_eq!(contents(&store, 1), cut.kept, "page {page}");
        assert_eq!(store.slice_count(), 1, "page {page}");
        drop(store);
        std::fs::remove_dir_all(&copy).unwrap();
    }
}

#[test]
fn damage_in_front_of_the_newest_journal_is_not_cut_but_told() {
    let cut = cut();
    let dir = cut.dir.path().join("cut");
    let path = newest_journal(&dir);
    let mut octets = cut.octets.clone();
    octets[cut.synced - 30] ^= 1;
    std::fs::write(&path, &octets).unwrap();
    std::fs::write(dir.join("store/77.jnl"), b"").unwrap();
    for mode in [OpenMode::Write, OpenMode::Read] {
        assert!(matches!(FjallStore::open(&dir, mode), Err(StoreError::Damaged(_))));
    }
    assert_eq!(std::fs::read(&path).unwrap(), octets);
}
