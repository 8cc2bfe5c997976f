//! Journals checked before the database sees them, and a torn end cut off.
//!
//! Only the newest journal can have an end that was never synced: the database syncs a journal before it
//! begins the next. Damage in an older one is therefore damage, and nothing is cut. In the newest, the one
//! thread that writes goes on only when a commit is synced; so a commit with something behind it was synced,
//! and so was all in front of it. Commits begin with a mark, by which they are found behind damage. Not told
//! from an unsynced end in this way is only damage with no more than one commit behind it, at the very end:
//! that is copied aside, cut and reported.
#![expect(clippy::disallowed_methods, reason = "journals are plain files here")]

use super::StoreError;
use super::disk::{copy_sparse, end_of_nonzero, find_two, sync_directory};
use super::journal::{MARK_OFFSET, Scan, scan, whole_batch};
use super::keys::SyncMark;
use super::place::{OpenMode, io_error, make_directory};
use std::fs::File;
use std::io::{self, Seek};
use std::path::{Path, PathBuf};

/// How a journal file's name ends.
const JOURNAL_SUFFIX: &str = ".jnl";

/// The end of a journal that was cut off when the store was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The journal.
    pub journal: PathBuf,
    /// Octets that were whole and stayed.
    pub kept_octets: u64,
    /// Octets after them up to the last that was not zero: gone from the journal, still in the copy.
    pub cut_octets: u64,
    /// What was found there.
    pub reason: &'static str,
    /// The journal as it was.
    pub copy: PathBuf,
}

impl std::fmt::Display for TornTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the end of {} was torn ({}): {} octets after octet {} were cut off; the whole file is kept as {}",
            self.journal.display(),
            self.reason,
            self.cut_octets,
            self.kept_octets,
            self.copy.display()
        )
    }
}

/// Checks the journals in `store`, oldest first; `mark` begins its synced batches. For writing, a torn end of the newest is cut after the file
/// was copied into `torn`; for reading nothing is changed.
///
/// # Errors
/// [`StoreError::Torn`] for a torn end found for reading; [`StoreError::Damaged`] for anything wrong elsewhere;
/// [`StoreError::DiskFull`] if the copy does not fit; [`StoreError::Io`].
pub fn check_journals(
    store: &Path,
    torn: &Path,
    mark: SyncMark,
    mode: OpenMode,
) -> Result<Option<TornTail>, StoreError> {
    let mut journals = journals_in(store)?;
    let Some((_, newest)) = journals.pop() else { return Ok(None) };
    let mut sequence = None;
    for (_, sealed) in journals {
        let found = check(&sealed, sequence)?;
        if found.tail_octets > 0 {
            return Err(StoreError::Damaged(format!(
                "journal {} is not whole after octet {} ({}), although it was synced before the next was begun: \
                 the disk or the file system lost data; restore the directory from a backup",
                sealed.display(),
                found.scan.whole_octets,
                found.scan.stop.reason()
            )));
        }
        sequence = found.scan.sequence;
    }
    let mut found = check(&newest, sequence)?;
    if found.tail_octets == 0 {
        return Ok(None);
    }
    if was_synced(&mut found, mark).map_err(|error| io_error("reading", &newest, error))? {
        let (journal, at) = (newest.display(), found.scan.whole_octets);
        return Err(StoreError::Damaged(format!(
            "journal {journal} is not whole after octet {at} ({}), and more was synced behind that: the disk or \
             the file system lost data; restore the directory from a backup, or copy the journal and give up \
             all behind the damage with `truncate -s {at} {journal}`",
            found.scan.stop.reason()
        )));
    }
    match mode {
        OpenMode::Read => Err(StoreError::Torn(format!(
            "{} octets after octet {} of {} ({}); start the server, or open the store for writing, to repair it",
            found.tail_octets,
            found.scan.whole_octets,
            newest.display(),
            found.scan.stop.reason()
        ))),
        OpenMode::Write => cut(&newest, torn, &mut found).map(Some),
    }
}

/// A journal that was read to its end.
struct Found {
    file: File,
    scan: Scan,
    /// Octets from the end of the last whole batch to the last octet that is not zero.
    tail_octets: u64,
}

fn check(journal: &Path, after: Option<u64>) -> Result<Found, StoreError> {
    let failed = |error| io_error("reading", journal, error);
    let mut file = File::open(journal).map_err(failed)?;
    let scan = scan(&file, after).map_err(failed)?;
    let end = end_of_nonzero(&mut file, scan.whole_octets).map_err(failed)?;
    let tail_octets = end.unwrap_or(scan.whole_octets).saturating_sub(scan.whole_octets);
    Ok(Found { file, scan, tail_octets })
}

/// Whether what follows the last whole batch was synced once. Two commits behind it say so, and one that is
/// whole and has something behind it.
fn was_synced(found: &mut Found, mark: SyncMark) -> io::Result<bool> {
    let Found { file, scan, .. } = found;
    let first = match find_two(file, scan.whole_octets, &mark.0)? {
        (Some(_), Some(_)) => return Ok(true),
        (None, _) => return Ok(false),
        (Some(first), None) => first,
    };
    let start = first.saturating_sub(u64::try_from(MARK_OFFSET).unwrap_or(0));
    file.seek(io::SeekFrom::Start(start))?;
    match whole_batch(&*file)? {
        Some(octets) => Ok(end_of_nonzero(file, start.saturating_add(octets))?.is_some()),
        None => Ok(false),
    }
}

/// Copies the journal aside, then cuts it. The copy is durable before anything is cut.
fn cut(journal: &Path, torn: &Path, found: &mut Found) -> Result<TornTail, StoreError> {
    make_directory(torn)?;
    let kept_octets = found.scan.whole_octets;
    let copy = unused_name(torn, journal)?;
    copy_sparse(&mut found.file, &copy, kept_octets.saturating_add(found.tail_octets))
        .map_err(|error| io_error("copying the torn journal to", &copy, error))?;
    sync_directory(torn).map_err(|error| io_error("syncing", torn, error))?;
    let failed = |error| io_error("cutting the torn end of", journal, error);
    let file = File::options().write(true).open(journal).map_err(failed)?;
    file.set_len(kept_octets).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(TornTail {
        journal: journal.to_owned(),
        kept_octets,
        cut_octets: found.tail_octets,
        reason: found.scan.stop.reason(),
        copy,
    })
}

/// `torn/0001-3.jnl`: a number higher than all before it, and the journal's own name.
fn unused_name(torn: &Path, journal: &Path) -> Result<PathBuf, StoreError> {
    let failed = |error| io_error("listing", torn, error);
    let mut highest = 0_u64;
    for entry in std::fs::read_dir(torn).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let number = name.to_str().and_then(|name| name.split_once('-')).and_then(|(n, _)| n.parse().ok());
        highest = highest.max(number.unwrap_or(0));
    }
    let name = journal.file_name().and_then(|name| name.to_str()).unwrap_or("journal");
    Ok(torn.join(format!("{:04}-{name}", highest.saturating_add(1))))
}

/// The journals of a store, oldest first. Anything that ends like a journal and is none is an error here,
/// because the database would take it for one.
fn journals_in(store: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let failed = |error| io_error("listing", store, error);
    let mut journals = Vec::new();
    for entry in std::fs::read_dir(store).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let name = entry.file_name();
        let Some(name) = name.to_str() else { return Err(stray(&path)) };
        let Some(number) = name.strip_suffix(JOURNAL_SUFFIX) else {
            if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("jnl")) {
                return Err(stray(&path));
            }
            continue;
        };
        let number: u64 = number.parse().map_err(|_| stray(&path))?;
        if !entry.file_type().map_err(failed)?.is_file() {
            return Err(stray(&path));
        }
        journals.push((number, path));
    }
    journals.sort_unstable();
    Ok(journals)
}

/// Something lies where only the database's own files may.
pub(super) fn stray(path: &Path) -> StoreError {
    StoreError::Damaged(format!("{} does not belong there: move it away", path.display()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::arithmetic_side_effects, reason = "tests may fail on overflow")]

    use super::super::journal::tests::batch;
    use super::super::keys::{Meta, encode_sync_mark, meta_key};
    use super::*;

    const MARK: SyncMark = SyncMark(*b"sixteen  octets.");

    /// A commit as the store writes it.
    fn commit(sequence: u64) -> Vec<u8> {
        batch(sequence, &[(&meta_key(Meta::SyncMark), &encode_sync_mark(MARK)), (b"key", b"value")])
    }

    /// A directory with journals of these contents, and the directory for copies.
    fn journals(contents: &[&[u8]]) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        std::fs::create_dir(&store).unwrap();
        for (index, octets) in contents.iter().enumerate() {
            std::fs::write(store.join(format!("{}.jnl", index + 9)), octets).unwrap();
        }
        let torn = dir.path().join("torn");
        (dir, store, torn)
    }

    fn torn_octets() -> (Vec<u8>, usize) {
        let mut octets = batch(1, &[(b"a", b"1")]);
        let whole = octets.len();
        octets.extend_from_slice(&batch(2, &[(b"b", b"2")]));
        octets[whole + 20] ^= 1;
        (octets, whole)
    }

    #[test]
    fn a_torn_end_is_copied_aside_and_cut_once() {
        let (octets, whole) = torn_octets();
        let (_dir, store, torn) = journals(&[&octets]);
        let tail = check_journals(&store, &torn, MARK, OpenMode::Write).unwrap().unwrap();
        assert_eq!(std::fs::read(store.join("9.jnl")).unwrap(), octets[..whole]);
        assert_eq!(std::fs::read(&tail.copy).unwrap(), octets);
        assert_eq!(tail.copy, torn.join("0001-9.jnl"));
        assert_eq!(tail.kept_octets, u64::try_from(whole).unwrap());
        assert_eq!(tail.cut_octets, u64::try_from(octets.len() - whole).unwrap());
        assert_eq!(check_journals(&store, &torn, MARK, OpenMode::Write), Ok(None));
    }

    #[test]
    fn a_second_torn_end_does_not_replace_the_first_copy() {
        let (octets, _) = torn_octets();
        let (_dir, store, torn) = journals(&[&octets]);
        check_journals(&store, &torn, MARK, OpenMode::Write).unwrap().unwrap();
        std::fs::write(store.join("9.jnl"), &octets).unwrap();
        let tail = check_journals(&store, &torn, MARK, OpenMode::Write).unwrap().unwrap();
        assert_eq!(tail.copy, torn.join("0002-9.jnl"));
        assert_eq!(std::fs::read_dir(&torn).unwrap().count(), 2);
    }

    #[test]
    fn reading_says_torn_and_changes_nothing() {
        let (octets, _) = torn_octets();
        let (_dir, store, torn) = journals(&[&octets]);
        assert!(matches!(check_journals(&store, &torn, MARK, OpenMode::Read), Err(StoreError::Torn(_))));
        assert_eq!(std::fs::read(store.join("9.jnl")).unwrap(), octets);
        assert!(!torn.exists());
    }

    #[test]
    fn a_sealed_journal_that_is_not_whole_is_damage_and_stays() {
        let (octets, _) = torn_octets();
        let newest = batch(7, &[(b"c", b"3")]);
        let (_dir, store, torn) = journals(&[&octets, &newest]);
        for mode in [OpenMode::Write, OpenMode::Read] {
            assert!(matches!(check_journals(&store, &torn, MARK, mode), Err(StoreError::Damaged(_))));
        }
        assert_eq!(std::fs::read(store.join("9.jnl")).unwrap(), octets);
    }

    #[test]
    fn a_hole_in_front_of_whole_batches_is_torn_there() {
        let mut octets = batch(1, &[(b"a", b"1")]);
        let whole = octets.len();
        octets.extend_from_slice(&vec![0; batch(2, &[(b"b", b"2")]).len()]);
        octets.extend_from_slice(&batch(3, &[(b"c", b"3")]));
        let (_dir, store, torn) = journals(&[&octets]);
        let tail = check_journals(&store, &torn, MARK, OpenMode::Write).unwrap().unwrap();
        assert_eq!(tail.kept_octets, u64::try_from(whole).unwrap());
    }

    #[test]
    fn damage_in_front_of_what_was_synced_later_is_not_cut() {
        let slice = batch(2, &[(b"b", b"2")]);
        let cases = [
            // Where a batch is damaged, the batch, and what stands behind it.
            (40, slice.clone(), [commit(3), commit(4)].concat()),
            (40, slice.clone(), [commit(3), batch(4, &[(b"d", b"4")])].concat()),
            (60, commit(2), commit(3)),
            (40, commit(2), [commit(3), commit(4)].concat()),
        ];
        for (at, mut damaged, behind) in cases {
            for whole in [true, false] {
                damaged[at] ^= 1;
                let mut octets = [commit(1), damaged.clone(), behind.clone()].concat();
                octets.resize(octets.len() + if whole { 0 } else { 9_000 }, 0);
                let (_dir, store, torn) = journals(&[&octets]);
                for mode in [OpenMode::Write, OpenMode::Read] {
                    let error = check_journals(&store, &torn, MARK, mode).unwrap_err();
                    assert!(matches!(&error, StoreError::Damaged(_)), "{error}");
                }
                assert_eq!(std::fs::read(store.join("9.jnl")).unwrap(), octets);
                damaged[at] ^= 1;
            }
        }
    }

    #[test]
    fn a_commit_that_nothing_follows_may_never_have_been_synced() {
        let mut slice = batch(2, &[(b"b", b"2")]);
        slice[20] ^= 1;
        let mut torn_commit = commit(3);
        torn_commit[60] ^= 1;
        let cases = [
            [slice.clone(), commit(3)].concat(),
            [slice, torn_commit.clone()].concat(),
            [torn_commit, batch(4, &[(b"d", b"4")])].concat(),
        ];
        for tail in cases {
            let (_dir, store, torn) = journals(&[&[commit(1), tail].concat()]);
            let found = check_journals(&store, &torn, MARK, OpenMode::Write).unwrap().unwrap();
            assert_eq!(std::fs::read(store.join("9.jnl")).unwrap(), commit(1), "{found}");
        }
    }

    #[test]
    fn the_mark_stands_where_it_is_looked_for() {
        let octets = commit(7);
        assert_eq!(octets[MARK_OFFSET..MARK_OFFSET + 16], MARK.0);
    }

    #[test]
    fn a_preallocated_end_is_clean_and_quickly_seen() {
        let (_dir, store, torn) = journals(&[&batch(1, &[(b"a", b"1")])]);
        let path = store.join("9.jnl");
        File::options().write(true).open(&path).unwrap().set_len(1 << 36).unwrap();
        assert_eq!(check_journals(&store, &torn, MARK, OpenMode::Read), Ok(None));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 1 << 36);
    }

    #[test]
    fn journals_are_ordered_by_number_and_not_by_name() {
        let (_dir, store, _) = journals(&[b"", b"", b""]);
        let names: Vec<u64> = journals_in(&store).unwrap().into_iter().map(|(number, _)| number).collect();
        assert_eq!(names, [9, 10, 11]);
    }

    #[test]
    fn a_stray_file_is_named() {
        for name in ["x.jnl", "1.JNL", "-1.jnl"] {
            let (_dir, store, torn) = journals(&[b""]);
            std::fs::write(store.join(name), b"").unwrap();
            let error = check_journals(&store, &torn, MARK, OpenMode::Write).unwrap_err();
            assert!(matches!(&error, StoreError::Damaged(what) if what.contains(name)), "{error}");
        }
    }
}
