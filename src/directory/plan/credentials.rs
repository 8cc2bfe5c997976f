//! Application passwords, and whether the main password is forbidden.

use super::{Plan, PlanError, account_of, changing_account, name_of};
use crate::directory::credential::{AppPasswords, CredentialId, CredentialTag, MainPassword};
use crate::directory::{Account, Change, Directory};
use crate::limits::{CREDENTIAL_NAME_CHARS_MAX, CREDENTIALS_PER_ACCOUNT_MAX};
use crate::types::{Address, UnixTime};

pub(super) fn add(
    directory: &Directory,
    address: &Address,
    name: &str,
    created: UnixTime,
    tag: CredentialTag,
) -> Result<Plan, PlanError> {
    let account = account_of(directory, address)?;
    if name.chars().count() > CREDENTIAL_NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(PlanError(format!(
            "the name of an application password has at most {CREDENTIAL_NAME_CHARS_MAX} characters, and no \
             control characters: give a shorter --name, such as the device it is for"
        )));
    }
    let Some(app_passwords) = account.app_passwords.with(name, created, tag) else {
        return Err(PlanError(format!(
            "{0} has {CREDENTIALS_PER_ACCOUNT_MAX} application passwords, and that is the most: take one back first \
             with `gatepost account credential revoke {0} ID`",
            name_of(account)
        )));
    };
    Ok(changed(directory, account, app_passwords))
}

pub(super) fn revoke(directory: &Directory, address: &Address, id: CredentialId) -> Result<Plan, PlanError> {
    let account = account_of(directory, address)?;
    let name = name_of(account);
    if account.app_passwords.get(id).is_none() {
        return Err(PlanError(format!(
            "{name} has no application password {id}: see `gatepost account credential list {name}`"
        )));
    }
    let mut plan = changed(directory, account, account.app_passwords.without(id));
    warn_if_locked_out(&mut plan, &name);
    Ok(plan)
}

pub(super) fn main_password(
    directory: &Directory,
    address: &Address,
    main: MainPassword,
) -> Result<Plan, PlanError> {
    let account = account_of(directory, address)?;
    if account.app_passwords.main == main {
        return Ok(Plan::default());
    }
    let mut plan = changed(directory, account, AppPasswords { main, ..account.app_passwords.clone() });
    warn_if_locked_out(&mut plan, &name_of(account));
    Ok(plan)
}

fn changed(directory: &Directory, account: &Account, app_passwords: AppPasswords) -> Plan {
    changing_account(directory, Account { app_passwords, ..account.clone() })
}

/// Warns when a planned account has no way in left.
fn warn_if_locked_out(plan: &mut Plan, name: &str) {
    let locked_out = |change: &Change| match change {
        Change::PutAccount(account) => {
            account.app_passwords.list.is_empty() && account.app_passwords.main == MainPassword::Forbidden
        }
        Change::PutDomain(_)
        | Change::RemoveDomain(_)
        | Change::RemoveAccount(_)
        | Change::PutAlias(_)
        | Change::RemoveAlias(_)
        | Change::PutHistory(..)
        | Change::PutScram(..) => false,
    };
    if plan.changes.iter().any(locked_out) {
        plan.warnings.push(format!(
            "nobody can log in as {name} now: its main password is forbidden and it has no application password; \
             make one with `gatepost account credential add {name}`"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Request, plan};
    use super::*;
    use crate::directory::DomainEntry;

    const TAG: CredentialTag = CredentialTag([5; 32]);

    fn me() -> Address {
        "me@example.org".parse().unwrap()
    }

    fn small() -> Directory {
        let mut directory = Directory::default();
        directory.apply(&Change::PutDomain(DomainEntry { name: me().domain, catch_all: None }));
        after(&directory, &Request::AccountAdd(me(), None))
    }

    fn after(directory: &Directory, request: &Request) -> Directory {
        let mut after = directory.clone();
        plan(directory, request).unwrap().changes.iter().for_each(|change| after.apply(change));
        after
    }

    fn add(name: &str) -> Request {
        Request::CredentialAdd(me(), name.to_owned(), UnixTime(9), TAG)
    }

    #[test]
    fn they_are_added_and_revoked_by_number() {
        let two = after(&after(&small(), &add("phone")), &add("laptop"));
        let one = after(&two, &Request::CredentialRevoke(me(), CredentialId(1)));
        let account = account_of(&one, &me()).unwrap();
        let names: Vec<_> =
            account.app_passwords.list.iter().map(|one| (one.id.0, one.name.as_str())).collect();
        assert_eq!(names, [(2, "laptop")]);
        let error = plan(&one, &Request::CredentialRevoke(me(), CredentialId(1))).unwrap_err();
        assert!(error.0.contains("no application password 1"), "{error}");
    }

    #[test]
    fn there_are_not_more_than_may_be() {
        let mut directory = small();
        for _ in 0..CREDENTIALS_PER_ACCOUNT_MAX {
            directory = after(&directory, &add(""));
        }
        assert!(plan(&directory, &add("")).unwrap_err().0.contains("that is the most"));
    }

    #[test]
    fn a_name_is_short_text() {
        for bad in ["x".repeat(65), "a\nb".to_owned(), "\u{1b}[2J".to_owned()] {
            assert!(plan(&small(), &add(&bad)).is_err(), "{bad:?}");
        }
        assert!(plan(&small(), &add(&"é".repeat(64))).is_ok());
    }

    #[test]
    fn whoever_is_locked_out_by_a_change_is_named() {
        let forbid = Request::MainPassword(me(), MainPassword::Forbidden);
        assert_eq!(plan(&small(), &forbid).unwrap().warnings.len(), 1);
        let with_one = after(&small(), &add("phone"));
        assert!(plan(&with_one, &forbid).unwrap().warnings.is_empty());
        let forbidden = after(&with_one, &forbid);
        let revoke = Request::CredentialRevoke(me(), CredentialId(1));
        assert_eq!(plan(&forbidden, &revoke).unwrap().warnings.len(), 1);
        assert_eq!(plan(&forbidden, &forbid).unwrap(), Plan::default());
    }
}
