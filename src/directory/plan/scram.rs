//! SCRAM keys that came with a password.

use super::{KeysOf, Plan, PlanError, account_of, changing};
use crate::directory::scram::{MadeOf, ScramEntry};
use crate::directory::{Change, Directory};
use crate::types::{Address, AddressKey, ScramKeys};

/// Keys of a password or address that the account has no longer are left out: making them took a while, and
/// somebody else may have changed it meanwhile.
pub(super) fn keys(
    directory: &Directory,
    address: &Address,
    of: &KeysOf,
    keys: &[(AddressKey, ScramKeys)],
) -> Result<Plan, PlanError> {
    let account = account_of(directory, address)?;
    let made_of = match of {
        KeysOf::MainPassword(hash) => MadeOf::MainPassword(hash.clone()),
        KeysOf::AppPassword(tag) => {
            match account.app_passwords.list.iter().find(|credential| credential.tag == *tag) {
                Some(credential) => MadeOf::AppPassword(credential.id),
                None => return Ok(Plan::default()),
            }
        }
    };
    if !made_of.is_of(account) {
        return Ok(Plan::default());
    }
    let before = directory.scram(account.id).cloned().unwrap_or_default();
    let mut after = before.clone();
    for (login, keys) in keys.iter().cloned() {
        after.put(ScramEntry { login, made_of: made_of.clone(), keys });
    }
    let after = after.pruned(account);
    Ok(if after == before { Plan::default() } else { changing(Change::PutScram(account.id, after)) })
}

#[cfg(test)]
mod tests {
    use super::super::{Request, plan};
    use super::*;
    use crate::directory::DomainEntry;
    use crate::directory::credential::{CredentialId, CredentialTag};
    use crate::types::{AccountId, UnixTime};

    const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$dGFnIHRhZyB0YWcg";

    fn me() -> Address {
        "me@example.org".parse().unwrap()
    }

    fn after(directory: &Directory, request: &Request) -> Directory {
        let mut after = directory.clone();
        plan(directory, request).unwrap().changes.iter().for_each(|change| after.apply(change));
        after
    }

    fn main(hash: &str) -> Request {
        let keys = ScramKeys { stored: [1; 32], server: [2; 32] };
        Request::ScramKeys(me(), KeysOf::MainPassword(hash.to_owned()), vec![(me().key(), keys)])
    }

    fn with_keys() -> Directory {
        let mut directory = Directory::default();
        directory.apply(&Change::PutDomain(DomainEntry { name: me().domain, catch_all: None }));
        let directory = after(&directory, &Request::AccountAdd(me(), Some(HASH.to_owned())));
        after(&directory, &main(HASH))
    }

    fn count(directory: &Directory) -> usize {
        directory.scram(AccountId(1)).map_or(0, |record| record.entries.len())
    }

    #[test]
    fn keys_are_kept_beside_the_account_and_go_with_its_password() {
        let directory = with_keys();
        assert_eq!(count(&directory), 1);
        let other = HASH.replace("m=8", "m=16");
        assert_eq!(count(&after(&directory, &Request::AccountPassword(me(), other))), 0);
        assert_eq!(count(&after(&directory, &Request::AccountRemove(me()))), 0);
    }

    #[test]
    fn keys_of_a_password_that_was_changed_meanwhile_are_left_out() {
        let directory = with_keys();
        for late in [main("another hash"), main(HASH)] {
            assert_eq!(plan(&directory, &late), Ok(Plan::default()));
        }
    }

    #[test]
    fn keys_of_an_application_password_go_when_it_is_revoked() {
        let tag = CredentialTag([4; 32]);
        let add = Request::CredentialAdd(me(), "phone".to_owned(), UnixTime(1), tag);
        let directory = after(&with_keys(), &add);
        let keys = ScramKeys { stored: [3; 32], server: [3; 32] };
        let enrol =
            |tag| Request::ScramKeys(me(), KeysOf::AppPassword(tag), vec![(me().key(), keys.clone())]);
        assert_eq!(plan(&directory, &enrol(CredentialTag([5; 32]))), Ok(Plan::default()));
        let directory = after(&directory, &enrol(tag));
        assert_eq!(count(&directory), 2);
        assert_eq!(count(&after(&directory, &Request::CredentialRevoke(me(), CredentialId(1)))), 1);
    }
}
