//! Temporary files for large bodies: without a name, so that nothing is left of them whatever happens.
#![expect(clippy::disallowed_methods, reason = "this is where temporary files are made")]

use crate::limits::BODY_SLICE_OCTETS;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// One body in a file.
#[derive(Debug)]
pub struct Spool {
    file: Option<File>,
    octets: u64,
    failed: Option<ErrorKind>,
}

impl Spool {
    /// A new file in `dir`. A failure is kept and found by [`Spool::failed`], so that the session hears of
    /// it when it asks for the commit.
    #[must_use]
    pub fn create(dir: &Path) -> Self {
        match unnamed_file(dir) {
            Ok(file) => Self { file: Some(file), octets: 0, failed: None },
            Err(error) => Self { file: None, octets: 0, failed: Some(error.kind()) },
        }
    }

    /// Appends octets, unless something failed before.
    pub fn append(&mut self, octets: &[u8]) {
        let Some(file) = &mut self.file else { return };
        match file.write_all(octets) {
            Ok(()) => {
                let count = u64::try_from(octets.len()).unwrap_or(u64::MAX);
                self.octets = self.octets.saturating_add(count);
            }
            Err(error) => self.fail(error.kind()),
        }
    }

    /// Gives the file up; its space is free again.
    pub fn fail(&mut self, why: ErrorKind) {
        self.failed.get_or_insert(why);
        self.file = None;
    }

    /// Why it cannot be committed, if so.
    #[must_use]
    pub fn failed(&self) -> Option<ErrorKind> {
        self.failed
    }

    /// Octets in the file.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Reads the slice that begins at `offset`; shorter than a slice only at the end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn slice(&self, offset: u64) -> io::Result<Vec<u8>> {
        let Some(file) = &self.file else { return Err(ErrorKind::NotFound.into()) };
        let left = usize::try_from(self.octets.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut octets = vec![0; left.min(BODY_SLICE_OCTETS)];
        file.read_exact_at(&mut octets, offset)?;
        Ok(octets)
    }
}

/// A file that has no name. Not every file system can make one at once; then the name is removed at once.
fn unnamed_file(dir: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(File::from(file)),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => named_file(dir),
        Err(error) => Err(error.into()),
    }
}

fn named_file(dir: &Path) -> io::Result<File> {
    let path = dir.join(format!(".spool-{}", std::process::id()));
    // One left by a process that ended between the two calls below.
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_in_comes_out_in_slices_and_no_name_is_left() {
        let dir = std::env::temp_dir();
        for make in [unnamed_file, named_file] {
            let mut spool = Spool { file: Some(make(&dir).unwrap()), octets: 0, failed: None };
            let octets: Vec<u8> = (0..=250).cycle().take(BODY_SLICE_OCTETS + 10).collect();
            spool.append(&octets[..1_000]);
            spool.append(&octets[1_000..]);
            assert_eq!(spool.octets(), octets.len() as u64);
            let mut back = spool.slice(0).unwrap();
            assert_eq!(back.len(), BODY_SLICE_OCTETS);
            back.extend(spool.slice(BODY_SLICE_OCTETS as u64).unwrap());
            assert!(back == octets);
        }
        assert!(!dir.join(format!(".spool-{}", std::process::id())).exists());
    }

    #[test]
    fn a_file_that_cannot_be_made_is_found_out_at_the_commit() {
        let mut spool = Spool::create(Path::new("/nowhere/at/all"));
        spool.append(b"lost");
        assert!(spool.failed().is_some());
        assert!(spool.slice(0).is_err());
    }
}
