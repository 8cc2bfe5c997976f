//! Becoming the owner of the data: root must leave no files behind that the server cannot open.

use super::failure::{Exit, Failure};
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// If this is root and the directory is another's, becomes that user, for good. Nothing happens otherwise, nor
/// if there is no such directory yet.
///
/// # Errors
/// When that user cannot be become: nothing may be opened then.
pub fn become_owner_of(dir: &Path) -> Result<(), Failure> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let Ok(metadata) = std::fs::metadata(dir) else { return Ok(()) };
    if metadata.uid() == 0 {
        return Ok(());
    }
    let refused = |why: String| {
        Failure::new(
            Exit::Permission,
            format!(
                "{} belongs to user {}, who cannot be become: {why}; run this as that user",
                dir.display(),
                metadata.uid()
            ),
        )
    };
    // The kernel changes one thread at a time; a second one would stay root.
    let threads = std::fs::read_dir("/proc/self/task").map(Iterator::count);
    if !matches!(threads, Ok(1)) {
        return Err(refused("the process has more than one thread".to_owned()));
    }
    let (user, group) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    // Groups first: without root they could not be dropped any more.
    set_thread_groups(&[group])
        .and_then(|()| set_thread_res_gid(group, group, group))
        .and_then(|()| set_thread_res_uid(user, user, user))
        .map_err(|error| refused(error.to_string()))?;
    if geteuid() == user { Ok(()) } else { Err(refused("the kernel kept us root".to_owned())) }
}
