//! A change in words, for the log: what was changed and how it is called, never a password.

use super::credential::MainPassword;
use super::{Account, AccountState, Change, Directory, DomainEntry};
use crate::types::AccountId;

/// What one step of a change does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// `account-added` and the like.
    pub what: &'static str,
    /// The domain, the account's first address, or the alias.
    pub name: String,
    /// What of it is another than before; empty where the word above says it all.
    pub parts: Vec<&'static str>,
}

/// A change that is about to be applied to this directory, in words. What the server keeps of logins itself is no
/// administrator's act and has none.
#[must_use]
pub fn describe(before: &Directory, change: &Change) -> Option<Described> {
    Some(match change {
        Change::PutDomain(entry) => match before.domain(&entry.name) {
            None => plain("domain-added", &entry.name),
            Some(old) => Described {
                what: "domain-changed",
                name: entry.name.to_string(),
                parts: parts_of_domain(old, entry),
            },
        },
        Change::RemoveDomain(name) => plain("domain-removed", name),
        Change::PutAccount(account) => match before.account(account.id) {
            None => Described { what: "account-added", name: name_of(account), parts: Vec::new() },
            Some(old) => Described {
                what: "account-changed",
                name: name_of(account),
                parts: parts_of_account(old, account),
            },
        },
        Change::RemoveAccount(id) => plain("account-removed", removed_name(before, *id)),
        Change::PutAlias(alias) => match before.alias(&alias.address.key()) {
            None => plain("alias-added", &alias.address),
            Some(_) => {
                Described { what: "alias-changed", name: alias.address.to_string(), parts: vec!["members"] }
            }
        },
        Change::RemoveAlias(address) => plain("alias-removed", address),
        Change::PutHistory(..) | Change::PutScram(..) => return None,
    })
}

fn plain(what: &'static str, name: impl std::fmt::Display) -> Described {
    Described { what, name: name.to_string(), parts: Vec::new() }
}

fn name_of(account: &Account) -> String {
    account.addresses.first().map_or_else(|| account.id.0.to_string(), ToString::to_string)
}

fn removed_name(before: &Directory, id: AccountId) -> String {
    before.account(id).map_or_else(|| id.0.to_string(), name_of)
}

fn parts_of_domain(old: &DomainEntry, new: &DomainEntry) -> Vec<&'static str> {
    if old.catch_all == new.catch_all { Vec::new() } else { vec!["catch-all"] }
}

fn parts_of_account(old: &Account, new: &Account) -> Vec<&'static str> {
    let Account { id: _, addresses, password, state, app_passwords } = new;
    let state_word = match state {
        AccountState::Active => "active",
        AccountState::Disabled => "disabled",
        AccountState::Suspended => "suspended",
    };
    let main_word = match app_passwords.main {
        MainPassword::Allowed => "main-password-allowed",
        MainPassword::Forbidden => "main-password-forbidden",
    };
    let parts = [
        (old.addresses != *addresses, "addresses"),
        (old.password != *password, "password"),
        (old.state != *state, state_word),
        (old.app_passwords.list != app_passwords.list, "app-passwords"),
        (old.app_passwords.main != app_passwords.main, main_word),
    ];
    parts.into_iter().filter(|(changed, _)| *changed).map(|(_, part)| part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Alias;
    use crate::types::{Address, Domain};

    fn account() -> Account {
        Account {
            id: AccountId(7),
            addresses: vec!["me@example.org".parse::<Address>().unwrap()],
            password: Some("$argon2id$secret".into()),
            state: AccountState::Active,
            app_passwords: crate::directory::credential::AppPasswords::default(),
        }
    }

    /// Applies a change; how it was described, in one string.
    fn told(directory: &mut Directory, change: Change) -> String {
        let described = describe(directory, &change).unwrap();
        directory.apply(&change);
        format!("{} {} {}", described.what, described.name, described.parts.join(","))
    }

    #[test]
    fn every_change_is_told_by_kind_and_name() {
        let name = Domain::parse("example.org").unwrap();
        let alias = Alias { address: "all@example.org".parse().unwrap(), members: Vec::new() };
        let directory = &mut Directory::default();
        let domain = |catch_all| Change::PutDomain(DomainEntry { name: name.clone(), catch_all });
        assert_eq!(told(directory, domain(None)), "domain-added example.org ");
        assert_eq!(told(directory, Change::PutAccount(account())), "account-added me@example.org ");
        let catch_all = domain(Some(AccountId(7)));
        assert_eq!(told(directory, catch_all), "domain-changed example.org catch-all");
        assert_eq!(told(directory, Change::PutAlias(alias.clone())), "alias-added all@example.org ");
        assert_eq!(told(directory, Change::PutAlias(alias.clone())), "alias-changed all@example.org members");
        assert_eq!(told(directory, Change::RemoveAlias(alias.address)), "alias-removed all@example.org ");
        let removed = Change::RemoveAccount(AccountId(7));
        assert_eq!(told(directory, removed), "account-removed me@example.org ");
        assert_eq!(told(directory, Change::RemoveDomain(name.clone())), "domain-removed example.org ");
    }

    #[test]
    fn a_changed_account_is_told_by_what_changed_and_no_password_is_in_it() {
        let directory = &mut Directory::default();
        directory.apply(&Change::PutAccount(account()));
        let mut changed = account();
        changed.password = Some("$argon2id$other".into());
        changed.state = AccountState::Disabled;
        changed.addresses.push("second@example.org".parse().unwrap());
        changed.app_passwords.main = MainPassword::Forbidden;
        let text = told(directory, Change::PutAccount(changed));
        assert_eq!(
            text,
            "account-changed me@example.org addresses,password,disabled,main-password-forbidden"
        );
    }

    #[test]
    fn what_the_server_remembers_of_logins_is_no_line() {
        let history = crate::directory::history::LoginHistory::default();
        assert_eq!(describe(&Directory::default(), &Change::PutHistory(AccountId(7), history)), None);
    }
}
