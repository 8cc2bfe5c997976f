//! As whom an authenticated account may send.

use crate::directory::{Directory, Target};
use crate::types::{AccountId, ReversePath};

/// Whether an account may send as a reverse-path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SenderLookup {
    /// The null reverse-path, for notifications a mail program writes (RFC 3798 section 3).
    Null,
    /// One of its own addresses, or one of them with a `+` detail.
    Own,
    /// Another address: 553 5.7.1.
    NotOwn,
    /// The directory cannot be asked: 451 4.3.0.
    Unavailable,
}

/// Decides it. `directory` is `None` while the store is not there.
#[must_use]
pub fn look_up(directory: Option<&Directory>, account: AccountId, path: &ReversePath) -> SenderLookup {
    let Some(directory) = directory else { return SenderLookup::Unavailable };
    let mailbox = match path {
        ReversePath::Null => return SenderLookup::Null,
        ReversePath::Mailbox(mailbox) => mailbox,
    };
    let Some(address) = mailbox.address() else { return SenderLookup::NotOwn };
    match directory.resolve(&address) {
        Some((Target::Account(owner), _)) if owner == account => SenderLookup::Own,
        Some((Target::Account(_) | Target::Alias, _)) | None => SenderLookup::NotOwn,
    }
}
