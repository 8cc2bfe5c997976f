//! Whom a login name names. No `Option`, no error that stands for an answer: each outcome is a variant.

use crate::directory::{AccountState, Directory, Target};
use crate::limits::LOGIN_OCTETS_MAX;
use crate::types::{AccountId, Address};

/// What a login name turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginLookup {
    /// An account that may log in, and the PHC string of its password hash.
    Account(AccountId, String),
    /// An account whose logins are stopped, and the PHC string of its password hash.
    DisabledAccount(AccountId, String),
    /// An account that was never given a password.
    AccountWithoutPassword(AccountId),
    /// An alias (or a role address that leads to an account): never a login.
    Alias,
    /// An address that only a catch-all takes: never a login.
    CatchAll,
    /// A domain of ours, nobody there of that name.
    NoSuchAddress,
    /// Not a domain of ours.
    NoSuchDomain,
    /// Not an address.
    Malformed,
    /// The directory cannot be asked.
    Unavailable,
}

/// Looks a login name up. `directory` is `None` while the store is not there.
#[must_use]
pub fn look_up(directory: Option<&Directory>, login: &[u8]) -> LoginLookup {
    let Some(directory) = directory else { return LoginLookup::Unavailable };
    if login.len() > LOGIN_OCTETS_MAX {
        return LoginLookup::Malformed;
    }
    let Ok(text) = std::str::from_utf8(login) else { return LoginLookup::Malformed };
    let Ok(address) = text.parse::<Address>() else { return LoginLookup::Malformed };
    let Some(domain) = directory.domain(&address.domain) else { return LoginLookup::NoSuchDomain };
    match directory.target(&address) {
        Some(Target::Account(id)) => match directory.account(id) {
            Some(account) => match (&account.password, account.state) {
                (None, AccountState::Active | AccountState::Disabled | AccountState::Suspended) => {
                    LoginLookup::AccountWithoutPassword(id)
                }
                (Some(hash), AccountState::Active) => LoginLookup::Account(id, hash.clone()),
                (Some(hash), AccountState::Disabled | AccountState::Suspended) => {
                    LoginLookup::DisabledAccount(id, hash.clone())
                }
            },
            None => LoginLookup::NoSuchAddress,
        },
        Some(Target::Alias) => LoginLookup::Alias,
        None if crate::directory::is_role(&address.local) => LoginLookup::Alias,
        None => match domain.catch_all {
            Some(_) => LoginLookup::CatchAll,
            None => LoginLookup::NoSuchAddress,
        },
    }
}
