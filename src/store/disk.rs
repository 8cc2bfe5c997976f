//! Plain files under the store: free space, directories that are synced, and octets looked for in holes.
#![expect(clippy::disallowed_methods, reason = "this file looks at the disk for the rest of the store")]

use crate::limits::JOURNAL_READ_OCTETS;
use rustix::fs::SeekFrom;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::path::Path;

/// Octets an unprivileged process may still write to the file system that holds `path`.
///
/// # Errors
/// What `statvfs` says.
pub fn free_octets(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The same by an open file or directory, without a path to walk.
///
/// # Errors
/// What `fstatvfs` says.
pub fn free_octets_of(file: impl AsFd) -> io::Result<u64> {
    let stat = rustix::fs::fstatvfs(file)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Makes the names in a directory durable.
///
/// # Errors
/// What opening or syncing says.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The next stretch of data at or after `from`: its first octet and the first after it. Holes are skipped, so
/// that a sparse file costs what it holds and not what it measures.
fn next_data(file: &File, from: u64) -> io::Result<Option<(u64, u64)>> {
    let start = match rustix::fs::seek(file, SeekFrom::Data(from)) {
        Ok(start) => start,
        Err(rustix::io::Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let end = rustix::fs::seek(file, SeekFrom::Hole(start))?;
    Ok((end > start).then_some((start, end)))
}

/// Calls `each` with every piece of data at or after `from` and its position. Nothing else is but zeros.
fn each_piece(
    file: &mut File,
    from: u64,
    mut each: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = vec![0; JOURNAL_READ_OCTETS];
    let mut at = from;
    while let Some((start, end)) = next_data(file, at)? {
        file.seek(io::SeekFrom::Start(start))?;
        at = start;
        while at < end {
            let most = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
            let room = buffer.len().min(most);
            let count = match file.read(buffer.get_mut(..room).unwrap_or_default()) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if count == 0 {
                return Ok(());
            }
            each(at, buffer.get(..count).unwrap_or_default())?;
            at = at.saturating_add(u64::try_from(count).unwrap_or(0));
        }
    }
    Ok(())
}

/// The position after the last octet at or after `from` that is not zero.
///
/// # Errors
/// What reading says.
pub fn end_of_nonzero(file: &mut File, from: u64) -> io::Result<Option<u64>> {
    let mut end = None;
    each_piece(file, from, |at, piece| {
        if let Some(last) = piece.iter().rposition(|octet| *octet != 0) {
            let last = u64::try_from(last).unwrap_or(0);
            end = Some(at.saturating_add(last).saturating_add(1));
        }
        Ok(())
    })?;
    Ok(end)
}

/// The positions of the first two occurrences of `needle` at or after `from`.
///
/// # Errors
/// What reading says.
pub fn find_two(file: &mut File, from: u64, needle: &[u8]) -> io::Result<(Option<u64>, Option<u64>)> {
    let finder = memchr::memmem::Finder::new(needle);
    let (mut first, mut second) = (None, None);
    // The end of the piece before, too short to hold the needle, and where it stands.
    let mut window: Vec<u8> = Vec::new();
    let mut window_at = from;
    each_piece(file, from, |at, piece| {
        let window_end = window_at.saturating_add(u64::try_from(window.len()).unwrap_or(0));
        if at != window_end {
            window.clear();
            window_at = at;
        }
        window.extend_from_slice(piece);
        for found in finder.find_iter(&window) {
            let position = Some(window_at.saturating_add(u64::try_from(found).unwrap_or(0)));
            if first.is_none() {
                first = position;
            } else if second.is_none() {
                second = position;
            }
        }
        let spent = window.len().saturating_sub(needle.len().saturating_sub(1));
        window = window.get(spent..).unwrap_or_default().to_vec();
        window_at = window_at.saturating_add(u64::try_from(spent).unwrap_or(0));
        Ok(())
    })?;
    Ok((first, second))
}

/// Copies the first `octets` of a file to a new one, holes as holes, and syncs the copy.
///
/// # Errors
/// When the copy exists already, or what reading and writing say; then no part of a copy is left.
pub fn copy_sparse(from: &mut File, to: &Path, octets: u64) -> io::Result<()> {
    let mut copy = File::options().write(true).create_new(true).open(to)?;
    let done = write_copy(from, &mut copy, octets);
    if done.is_err() {
        // The first error is the one worth telling.
        std::fs::remove_file(to).ok();
    }
    done
}

fn write_copy(from: &mut File, copy: &mut File, octets: u64) -> io::Result<()> {
    each_piece(from, 0, |at, piece| {
        let left = usize::try_from(octets.saturating_sub(at)).unwrap_or(usize::MAX);
        let piece = piece.get(..left).unwrap_or(piece);
        copy.seek(io::SeekFrom::Start(at))?;
        copy.write_all(piece)
    })?;
    copy.set_len(octets)?;
    copy.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sparse(dir: &Path) -> File {
        let mut file =
            File::options().read(true).write(true).create_new(true).open(dir.join("sparse")).unwrap();
        file.write_all(b"head").unwrap();
        file.set_len(64 * 1024 * 1024).unwrap();
        file.seek(io::SeekFrom::Start(40_000_000)).unwrap();
        file.write_all(b"middle\0\0").unwrap();
        file
    }

    #[test]
    fn the_last_octet_that_is_not_zero_is_found_across_holes() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = sparse(dir.path());
        assert_eq!(end_of_nonzero(&mut file, 0).unwrap(), Some(40_000_006));
        assert_eq!(end_of_nonzero(&mut file, 40_000_005).unwrap(), Some(40_000_006));
        assert_eq!(end_of_nonzero(&mut file, 40_000_006).unwrap(), None);
        assert_eq!(end_of_nonzero(&mut file, 1 << 40).unwrap(), None);
    }

    #[test]
    fn a_needle_is_found_twice_wherever_pieces_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut file =
            File::options().read(true).write(true).create_new(true).open(dir.path().join("f")).unwrap();
        let border = u64::try_from(JOURNAL_READ_OCTETS).unwrap();
        for at in [border - 6, border - 1, border, border + 1] {
            file.set_len(0).unwrap();
            file.set_len(border * 4).unwrap();
            file.seek(io::SeekFrom::Start(at)).unwrap();
            file.write_all(b"needle").unwrap();
            assert_eq!(find_two(&mut file, 0, b"needle").unwrap(), (Some(at), None));
            assert_eq!(find_two(&mut file, at + 1, b"needle").unwrap(), (None, None));
            file.seek(io::SeekFrom::Start(border * 3)).unwrap();
            file.write_all(b"needle needle").unwrap();
            assert_eq!(find_two(&mut file, 9, b"needle").unwrap(), (Some(at), Some(border * 3)));
        }
    }

    #[test]
    fn a_copy_has_the_same_octets_and_the_same_holes() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = sparse(dir.path());
        let to = dir.path().join("copy");
        copy_sparse(&mut file, &to, 40_000_003).unwrap();
        let mut copy = File::open(&to).unwrap();
        assert_eq!(copy.metadata().unwrap().len(), 40_000_003);
        assert_eq!(end_of_nonzero(&mut copy, 0).unwrap(), Some(40_000_003));
        let mut start = [1; 8];
        copy.seek(io::SeekFrom::Start(0)).unwrap();
        copy.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"head\0\0\0\0");
        use std::os::unix::fs::MetadataExt;
        assert!(copy.metadata().unwrap().blocks() < 1_000, "holes were filled");
    }

    #[test]
    fn a_copy_never_replaces_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = sparse(dir.path());
        let to = dir.path().join("copy");
        std::fs::write(&to, b"precious").unwrap();
        assert!(copy_sparse(&mut file, &to, 4).is_err());
        assert_eq!(std::fs::read(&to).unwrap(), b"precious");
    }

    #[test]
    fn free_space_is_known_by_path_and_by_file() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free_octets(dir.path()).unwrap() > 0);
        assert!(free_octets_of(File::open(dir.path()).unwrap()).unwrap() > 0);
        assert!(free_octets(&dir.path().join("nothing")).is_err());
    }
}
