//! An administrator's request against the current directory: what changes, or why not.

mod accounts;
mod aliases;
mod credentials;
mod domains;
mod scram;

use super::credential::{CredentialId, CredentialTag, MainPassword};
use super::{Account, AccountState, Alias, Change, Directory, DomainEntry, Target};
use crate::types::{AccountId, Address, AddressKey, Domain, ScramKeys, UnixTime};
use serde::{Deserialize, Serialize};

/// What an administrator asks for. Passwords arrive hashed: whoever asks has checked and hashed them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Serve a domain.
    DomainAdd(Domain),
    /// Serve it no longer; refused while addresses are in it.
    DomainRemove(Domain),
    /// Let an account take what no address of the domain takes; `None` ends that.
    DomainCatchAll(Domain, Option<Address>),
    /// Make an account of this name, with the PHC string of its password if it has one.
    AccountAdd(Address, Option<String>),
    /// Remove an account and its mail.
    AccountRemove(Address),
    /// Give it another password (a PHC string).
    AccountPassword(Address, String),
    /// Give it an application password of this name, made now, with this digest (which whoever has the
    /// server's key seals before this is planned).
    CredentialAdd(Address, String, UnixTime, CredentialTag),
    /// Take an application password back.
    CredentialRevoke(Address, CredentialId),
    /// Let its main password open mail, or application passwords alone.
    MainPassword(Address, MainPassword),
    /// Keep SCRAM keys, by login name, that were made of a password of this account. Nothing happens if it has
    /// another password by now. The digest of an application password is sealed as that of a new one is.
    ScramKeys(Address, KeysOf, Vec<(AddressKey, ScramKeys)>),
    /// Stop or allow logins and mail.
    AccountState(Address, AccountState),
    /// Give the account (first) a further address (second).
    AddressAdd(Address, Address),
    /// Take an address (second) from the account (first).
    AddressRemove(Address, Address),
    /// Make an alias, or replace its members.
    AliasAdd(Address, Vec<Address>),
    /// Remove an alias.
    AliasRemove(Address),
}

/// Which password keys were made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeysOf {
    /// The main password with this PHC string.
    MainPassword(String),
    /// The application password with this digest.
    AppPassword(CredentialTag),
}

/// A request that can be done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What to make durable and then apply; empty when everything is so already.
    pub changes: Vec<Change>,
    /// What the administrator should know although it is done, one sentence each.
    pub warnings: Vec<String>,
}

/// Why a request cannot be done: one sentence with what, where and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanError(pub String);

impl std::fmt::Display for PlanError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PlanError {}

/// Plans a request. Nothing changes here.
///
/// # Errors
/// When the request contradicts the directory or a ceiling.
pub fn plan(directory: &Directory, request: &Request) -> Result<Plan, PlanError> {
    match request {
        Request::DomainAdd(name) => domains::add(directory, name),
        Request::DomainRemove(name) => domains::remove(directory, name),
        Request::DomainCatchAll(name, target) => domains::catch_all(directory, name, target.as_ref()),
        Request::AccountAdd(name, password) => accounts::add(directory, name, password.as_deref()),
        Request::AccountRemove(name) => accounts::remove(directory, name),
        Request::AccountPassword(address, password) => accounts::password(directory, address, password),
        Request::CredentialAdd(address, name, created, tag) => {
            credentials::add(directory, address, name, *created, *tag)
        }
        Request::CredentialRevoke(address, id) => credentials::revoke(directory, address, *id),
        Request::MainPassword(address, main) => credentials::main_password(directory, address, *main),
        Request::ScramKeys(address, of, keys) => scram::keys(directory, address, of, keys),
        Request::AccountState(address, state) => accounts::state(directory, address, *state),
        Request::AddressAdd(account, address) => accounts::address_add(directory, account, address),
        Request::AddressRemove(account, address) => accounts::address_remove(directory, account, address),
        Request::AliasAdd(address, members) => aliases::add(directory, address, members),
        Request::AliasRemove(address) => aliases::remove(directory, address),
    }
}

/// The account that has this address.
///
/// # Errors
/// When there is none, with what the address is instead.
pub fn account_of<'d>(directory: &'d Directory, address: &Address) -> Result<&'d Account, PlanError> {
    match directory.target(address) {
        Some(Target::Account(id)) => directory
            .account(id)
            .ok_or_else(|| PlanError(format!("{address} belongs to account {}, which is not there", id.0))),
        Some(Target::Alias) => {
            Err(PlanError(format!("{address} is an alias, not an account: see `gatepost alias list`")))
        }
        None => Err(PlanError(format!(
            "there is no account with the address {address}: see `gatepost account list`, \
             or make it with `gatepost account add {address}`"
        ))),
    }
}

/// A plan that changes something, without warnings.
fn changing(change: Change) -> Plan {
    Plan { changes: vec![change], warnings: Vec::new() }
}

/// A plan that changes an account, and lets the SCRAM keys go that are worth nothing then.
fn changing_account(directory: &Directory, account: Account) -> Plan {
    let record = directory.scram(account.id);
    let pruned = record.map(|record| (record, record.pruned(&account)));
    let scram = pruned.filter(|(before, after)| *before != after).map(|(_, after)| after);
    let id = account.id;
    let mut plan = changing(Change::PutAccount(account));
    plan.changes.extend(scram.map(|record| Change::PutScram(id, record)));
    plan
}

/// A domain that is served, or the sentence that tells how to serve it.
fn served<'d>(directory: &'d Directory, name: &Domain) -> Result<&'d DomainEntry, PlanError> {
    directory.domain(name).ok_or_else(|| {
        PlanError(format!("the domain {name} is not served: add it first with `gatepost domain add {name}`"))
    })
}

/// An account's name: its first address.
fn name_of(account: &Account) -> String {
    account.addresses.first().map_or_else(|| format!("account {}", account.id.0), Address::to_string)
}

/// The name of an account that is known by its id only.
fn name_of_id(directory: &Directory, id: AccountId) -> String {
    directory.account(id).map_or_else(|| format!("account {}", id.0), name_of)
}

/// Aliases with a member that leads straight to what `is_meant` picks, as a warning each.
fn warn_of_aliases_that_list(
    directory: &Directory,
    what: &str,
    is_meant: impl Fn(&Target, &AddressKey) -> bool,
) -> Vec<String> {
    let lists = |alias: &&Alias| {
        alias
            .members
            .iter()
            .any(|member| directory.resolve(member).is_some_and(|(target, key)| is_meant(&target, &key)))
    };
    directory
        .aliases()
        .filter(lists)
        .map(|alias| {
            format!(
                "the alias {0} still lists {what}, which leads to nobody now: \
                 give it other members with `gatepost alias add {0} --to …`",
                alias.address
            )
        })
        .collect()
}

#[cfg(test)]
mod tests;
