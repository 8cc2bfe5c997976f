//! Commands that list the directory.

use super::access::{Access, Intent, unexpected};
use super::arguments::Form;
use super::failure::Failure;
use super::output::{json, table, write_out};
use crate::control::{Request, Response};
use crate::directory::{Account, AccountState, Directory};
use crate::types::AccountId;
use serde::Serialize;
use std::path::Path;

/// The directory, without password hashes.
///
/// # Errors
/// When there is none to be had.
pub fn directory(dir: &Path) -> Result<Directory, Failure> {
    match Access::open(dir, Intent::Read)?.ask(&Request::Directory)? {
        Response::Directory(changes) => Ok(Directory::load(changes, 0)),
        Response::Changed { .. }
        | Response::ReportDay(_)
        | Response::ScramSalts(..)
        | Response::Messages { .. }
        | Response::Message(_)
        | Response::Explained(_)
        | Response::Verified(_)
        | Response::NoThrottle
        | Response::Status(_)
        | Response::Refused(..) => Err(unexpected()),
    }
}

/// An account's name, for people and scripts.
#[must_use]
pub fn name_of(directory: &Directory, id: AccountId) -> String {
    let name = directory.account(id).and_then(|account| account.addresses.first());
    name.map_or_else(|| format!("account {}", id.0), ToString::to_string)
}

/// The word for what an account may do, as in JSON.
#[must_use]
pub fn state_name(state: AccountState) -> &'static str {
    match state {
        AccountState::Active => "active",
        AccountState::Disabled => "disabled",
        AccountState::Suspended => "suspended",
    }
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct DomainRow {
    domain: String,
    catch_all: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct AccountRow {
    account: String,
    addresses: Vec<String>,
    state: &'static str,
    has_password: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct AliasRow {
    alias: String,
    members: Vec<String>,
}

fn domain_rows(directory: &Directory) -> Vec<DomainRow> {
    let row = |entry: &crate::directory::DomainEntry| DomainRow {
        domain: entry.name.to_string(),
        catch_all: entry.catch_all.map(|id| name_of(directory, id)),
    };
    directory.domains().map(row).collect()
}

fn account_rows(directory: &Directory) -> Vec<AccountRow> {
    let row = |account: &Account| AccountRow {
        account: name_of(directory, account.id),
        addresses: account.addresses.iter().map(ToString::to_string).collect(),
        state: state_name(account.state),
        has_password: account.password.is_some(),
    };
    directory.accounts().map(row).collect()
}

fn alias_rows(directory: &Directory) -> Vec<AliasRow> {
    let row = |alias: &crate::directory::Alias| AliasRow {
        alias: alias.address.to_string(),
        members: alias.members.iter().map(ToString::to_string).collect(),
    };
    directory.aliases().map(row).collect()
}

/// Lists the domains.
///
/// # Errors
/// When they cannot be read or written out.
pub fn domains(dir: &Path, form: Form) -> Result<(), Failure> {
    let rows = domain_rows(&directory(dir)?);
    show(form, &rows, &["DOMAIN", "CATCH-ALL"], |row| {
        vec![row.domain.clone(), row.catch_all.clone().unwrap_or_else(|| "-".to_owned())]
    })
}

/// Lists the accounts.
///
/// # Errors
/// When they cannot be read or written out.
pub fn accounts(dir: &Path, form: Form) -> Result<(), Failure> {
    let rows = account_rows(&directory(dir)?);
    show(form, &rows, &["ACCOUNT", "STATE", "PASSWORD", "FURTHER ADDRESSES"], |row| {
        let password = if row.has_password { "yes" } else { "no" };
        let further: Vec<&str> = row.addresses.iter().skip(1).map(String::as_str).collect();
        vec![row.account.clone(), row.state.to_owned(), password.to_owned(), further.join(" ")]
    })
}

/// Lists the aliases.
///
/// # Errors
/// When they cannot be read or written out.
pub fn aliases(dir: &Path, form: Form) -> Result<(), Failure> {
    let rows = alias_rows(&directory(dir)?);
    show(form, &rows, &["ALIAS", "MEMBERS"], |row| vec![row.alias.clone(), row.members.join(" ")])
}

/// Writes rows out.
///
/// # Errors
/// When standard output takes them not.
pub fn show<T: Serialize>(
    form: Form,
    rows: &[T],
    head: &[&str],
    cells: impl Fn(&T) -> Vec<String>,
) -> Result<(), Failure> {
    match form {
        Form::Scripts => json(rows),
        Form::People => {
            let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
            let text = table(head, &cells);
            write_out(|out| out.write_all(text.as_bytes()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{Alias, Change, DomainEntry};
    use crate::types::{Address, Domain};

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn small() -> Directory {
        let account = |id: u32, names: &[&str], password: Option<&str>, state: AccountState| {
            Change::PutAccount(Account {
                id: AccountId(id),
                addresses: names.iter().map(|name| address(name)).collect(),
                password: password.map(str::to_owned),
                state,
                app_passwords: Default::default(),
            })
        };
        let domain = |name: &str, catch_all: Option<u32>| {
            let name = Domain::parse(name).unwrap();
            Change::PutDomain(DomainEntry { name, catch_all: catch_all.map(AccountId) })
        };
        Directory::load(
            [
                domain("a.example", Some(1)),
                domain("b.example", None),
                account(1, &["ann@a.example", "annie@b.example"], Some("*"), AccountState::Active),
                account(2, &["bob@a.example"], None, AccountState::Suspended),
                Change::PutAlias(Alias {
                    address: address("info@a.example"),
                    members: vec![address("ann@a.example"), address("x@y.example")],
                }),
            ],
            3,
        )
    }

    #[test]
    fn scripts_get_these_shapes() {
        let directory = small();
        let text = |rows: serde_json::Value| rows.to_string();
        assert_eq!(
            text(serde_json::to_value(domain_rows(&directory)).unwrap()),
            r#"[{"catch_all":"ann@a.example","domain":"a.example"},{"catch_all":null,"domain":"b.example"}]"#
        );
        assert_eq!(
            text(serde_json::to_value(account_rows(&directory)).unwrap()),
            concat!(
                r#"[{"account":"ann@a.example","addresses":["ann@a.example","annie@b.example"],"#,
                r#""has_password":true,"state":"active"},"#,
                r#"{"account":"bob@a.example","addresses":["bob@a.example"],"has_password":false,"state":"suspended"}]"#
            )
        );
        assert_eq!(
            text(serde_json::to_value(alias_rows(&directory)).unwrap()),
            r#"[{"alias":"info@a.example","members":["ann@a.example","x@y.example"]}]"#
        );
    }

    #[test]
    fn no_hash_is_in_any_row() {
        let text = serde_json::to_string(&account_rows(&small())).unwrap();
        assert!(!text.contains('*') && !text.contains("argon2"));
    }
}
