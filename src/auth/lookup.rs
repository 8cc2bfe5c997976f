//! Whom a login name names. No `Option`, no error that stands for an answer: each outcome is a variant.

use crate::directory::credential::MainPassword;
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
    /// An account that only application passwords open, whatever its state.
    MainPasswordForbidden(AccountId),
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
    // Looked for at domains that are not ours too: no name is quicker than another.
    let target = directory.target(&address);
    let Some(domain) = directory.domain(&address.domain) else { return LoginLookup::NoSuchDomain };
    match target {
        Some(Target::Account(id)) => match directory.account(id) {
            Some(account) => match (&account.password, account.state) {
                _ if account.app_passwords.main == MainPassword::Forbidden => {
                    LoginLookup::MainPasswordForbidden(id)
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{Account, Alias, Change, DomainEntry};

    fn directory() -> Directory {
        let account = |id, password: Option<&str>, state, names: &[&str]| {
            Change::PutAccount(Account {
                id: AccountId(id),
                addresses: names.iter().map(|name| name.parse().unwrap()).collect(),
                password: password.map(ToOwned::to_owned),
                state,
                app_passwords: Default::default(),
            })
        };
        let domain = |name: &str, catch_all| {
            Change::PutDomain(DomainEntry { name: name.to_owned().try_into().unwrap(), catch_all })
        };
        let alias = |name: &str| {
            Change::PutAlias(Alias {
                address: name.parse().unwrap(),
                members: vec!["me@example.org".parse().unwrap()],
            })
        };
        Directory::load(
            [
                domain("example.org", None),
                domain("all.example", Some(AccountId(1))),
                account(1, Some("hash 1"), AccountState::Active, &["me@example.org", "myself@all.example"]),
                account(2, Some("hash 2"), AccountState::Disabled, &["off@example.org"]),
                account(3, Some("hash 3"), AccountState::Suspended, &["away@example.org"]),
                account(4, None, AccountState::Active, &["new@example.org"]),
                account(5, None, AccountState::Disabled, &["never@example.org"]),
                account(6, Some("hash 6"), AccountState::Active, &["abuse@all.example"]),
                alias("info@example.org"),
                alias("postmaster@all.example"),
            ],
            7,
        )
    }

    fn found(login: &str) -> LoginLookup {
        look_up(Some(&directory()), login.as_bytes())
    }

    #[test]
    fn every_address_of_an_account_is_a_login_in_any_case() {
        for login in ["me@example.org", "ME@Example.ORG", "myself@all.example", "\"me\"@example.org"] {
            assert_eq!(found(login), LoginLookup::Account(AccountId(1), "hash 1".into()), "{login}");
        }
    }

    #[test]
    fn accounts_whose_logins_are_stopped_are_told_apart_from_those_that_may() {
        assert_eq!(found("off@example.org"), LoginLookup::DisabledAccount(AccountId(2), "hash 2".into()));
        assert_eq!(found("away@example.org"), LoginLookup::DisabledAccount(AccountId(3), "hash 3".into()));
    }

    #[test]
    fn an_account_without_password_is_no_login_whatever_its_state() {
        assert_eq!(found("new@example.org"), LoginLookup::AccountWithoutPassword(AccountId(4)));
        assert_eq!(found("never@example.org"), LoginLookup::AccountWithoutPassword(AccountId(5)));
    }

    #[test]
    fn an_alias_is_never_a_login() {
        assert_eq!(found("info@example.org"), LoginLookup::Alias);
        assert_eq!(found("postmaster@all.example"), LoginLookup::Alias);
    }

    #[test]
    fn a_role_address_is_only_a_login_where_it_is_an_account_of_its_own() {
        assert_eq!(found("postmaster@example.org"), LoginLookup::Alias);
        assert_eq!(found("Abuse@example.org"), LoginLookup::Alias);
        assert_eq!(found("abuse@all.example"), LoginLookup::Account(AccountId(6), "hash 6".into()));
    }

    #[test]
    fn what_only_a_catch_all_takes_is_no_login() {
        assert_eq!(found("anybody@all.example"), LoginLookup::CatchAll);
        assert_eq!(found("myself+detail@all.example"), LoginLookup::CatchAll);
    }

    #[test]
    fn unknown_names_and_domains_are_told_apart_for_the_log_alone() {
        assert_eq!(found("who@example.org"), LoginLookup::NoSuchAddress);
        assert_eq!(found("me+detail@example.org"), LoginLookup::NoSuchAddress);
        assert_eq!(found("me@elsewhere.example"), LoginLookup::NoSuchDomain);
    }

    #[test]
    fn what_is_no_address_is_malformed() {
        for login in [
            "",
            "me",
            "@",
            "me@",
            "@example.org",
            "me@exa mple.org",
            "me@example.org\r\n",
            "me\0@example.org",
        ] {
            assert_eq!(found(login), LoginLookup::Malformed, "{login:?}");
        }
        assert_eq!(look_up(Some(&directory()), b"\xff@example.org"), LoginLookup::Malformed);
        let long = format!("{}@example.org", "x".repeat(LOGIN_OCTETS_MAX));
        assert_eq!(found(&long), LoginLookup::Malformed);
    }

    #[test]
    fn without_a_directory_nothing_is_said_about_any_name() {
        for login in [&b"me@example.org"[..], b"who@example.org", b"\xff"] {
            assert_eq!(look_up(None, login), LoginLookup::Unavailable);
        }
    }
}
