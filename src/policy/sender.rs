//! As whom an authenticated account may send.

use crate::directory::credential::{CredentialId, MainPassword};
use crate::directory::{Account, AccountState, Directory, Target};
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
    /// The account was stopped or removed since it logged in, or what it logged in with was taken back: 550
    /// 5.7.13, whatever the reverse-path.
    AccountStopped,
    /// The directory cannot be asked: 451 4.3.0.
    Unavailable,
}

/// Decides it. `directory` is `None` while the store is not there; `app_password` is what the account logged in
/// with, if not its main password.
#[must_use]
pub fn look_up(
    directory: Option<&Directory>,
    account: AccountId,
    app_password: Option<CredentialId>,
    path: &ReversePath,
) -> SenderLookup {
    let Some(directory) = directory else { return SenderLookup::Unavailable };
    match directory.account(account) {
        Some(found) if found.state == AccountState::Active && opens(found, app_password) => {}
        Some(_) | None => return SenderLookup::AccountStopped,
    }
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

/// Whether what opened an account opens it still.
fn opens(account: &Account, app_password: Option<CredentialId>) -> bool {
    match app_password {
        Some(id) => account.app_passwords.get(id).is_some(),
        None => account.app_passwords.main == MainPassword::Allowed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::credential::{AppPasswords, CredentialTag};
    use crate::directory::{Alias, Change, DomainEntry};
    use crate::types::{Address, Host, Mailbox, UnixTime};

    const ME: AccountId = AccountId(1);

    fn directory() -> Directory {
        let account = |id, names: &[&str]| {
            Change::PutAccount(Account {
                id,
                addresses: names.iter().map(|name| name.parse().unwrap()).collect(),
                password: None,
                state: AccountState::Active,
                app_passwords: Default::default(),
            })
        };
        let name = "example.org".to_owned().try_into().unwrap();
        let members = vec!["me@example.org".parse().unwrap()];
        Directory::load(
            [
                Change::PutDomain(DomainEntry { name, catch_all: Some(ME) }),
                account(ME, &["me@example.org", "myself@example.org"]),
                account(AccountId(2), &["you@example.org"]),
                Change::PutAlias(Alias { address: "info@example.org".parse().unwrap(), members }),
            ],
            3,
        )
    }

    fn sends_as(text: &str) -> SenderLookup {
        let Address { local, domain } = text.parse().unwrap();
        let path = ReversePath::Mailbox(Mailbox { local, host: Host::Domain(domain) });
        look_up(Some(&directory()), ME, None, &path)
    }

    #[test]
    fn an_account_sends_as_any_of_its_addresses_and_their_details() {
        for own in ["me@example.org", "ME@EXAMPLE.ORG", "myself@example.org", "me+list@example.org"] {
            assert_eq!(sends_as(own), SenderLookup::Own, "{own}");
        }
    }

    #[test]
    fn an_account_sends_as_nobody_else() {
        for other in [
            "you@example.org",
            "you+me@example.org",
            // An alias it is a member of and a name its catch-all takes lead to it, and are not it.
            "info@example.org",
            "whoever@example.org",
            "postmaster@example.org",
            "me@elsewhere.example",
        ] {
            assert_eq!(sends_as(other), SenderLookup::NotOwn, "{other}");
        }
    }

    #[test]
    fn an_account_that_was_stopped_or_removed_sends_as_nobody_in_a_session_still_open() {
        let own = ReversePath::Mailbox(Mailbox {
            local: "me@example.org".parse::<Address>().unwrap().local,
            host: Host::Domain("example.org".to_owned().try_into().unwrap()),
        });
        for state in [Some(AccountState::Disabled), Some(AccountState::Suspended), None] {
            let mut directory = directory();
            let mut me = directory.account(ME).unwrap().clone();
            match state {
                Some(state) => {
                    me.state = state;
                    directory.apply(&Change::PutAccount(me));
                }
                None => directory.apply(&Change::RemoveAccount(ME)),
            }
            for path in [&own, &ReversePath::Null] {
                assert_eq!(
                    look_up(Some(&directory), ME, None, path),
                    SenderLookup::AccountStopped,
                    "{state:?}"
                );
            }
        }
    }

    #[test]
    fn the_null_path_is_for_notifications() {
        assert_eq!(look_up(Some(&directory()), ME, None, &ReversePath::Null), SenderLookup::Null);
    }

    #[test]
    fn a_literal_is_nobodys_address() {
        let path = ReversePath::Mailbox(Mailbox {
            local: "me@example.org".parse::<Address>().unwrap().local,
            host: Host::Literal("192.0.2.1".parse().unwrap()),
        });
        assert_eq!(look_up(Some(&directory()), ME, None, &path), SenderLookup::NotOwn);
    }

    #[test]
    fn without_a_directory_nobody_sends() {
        assert_eq!(look_up(None, ME, None, &ReversePath::Null), SenderLookup::Unavailable);
    }

    #[test]
    fn who_logged_in_with_what_was_taken_back_sends_as_nobody_in_a_session_still_open() {
        let path = ReversePath::Null;
        let mut directory = directory();
        let mut me = directory.account(ME).unwrap().clone();
        me.app_passwords = me.app_passwords.with("phone", UnixTime(1), CredentialTag([1; 32])).unwrap();
        directory.apply(&Change::PutAccount(me.clone()));
        let phone = Some(CredentialId(1));
        assert_eq!(look_up(Some(&directory), ME, phone, &path), SenderLookup::Null);
        me.app_passwords = AppPasswords { main: MainPassword::Forbidden, ..me.app_passwords };
        directory.apply(&Change::PutAccount(me.clone()));
        assert_eq!(look_up(Some(&directory), ME, None, &path), SenderLookup::AccountStopped);
        assert_eq!(look_up(Some(&directory), ME, phone, &path), SenderLookup::Null);
        me.app_passwords = me.app_passwords.without(CredentialId(1));
        directory.apply(&Change::PutAccount(me));
        assert_eq!(look_up(Some(&directory), ME, phone, &path), SenderLookup::AccountStopped);
    }
}
