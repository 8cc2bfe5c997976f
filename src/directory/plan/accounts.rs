//! Accounts and their addresses.

use super::{
    Plan, PlanError, account_of, changing, changing_account, name_of, name_of_id, served,
    warn_of_aliases_that_list,
};
use crate::directory::credential::AppPasswords;
use crate::directory::{Account, AccountState, Change, DETAIL_SEPARATOR, Directory, DomainEntry, Target};
use crate::limits::{ACCOUNTS_MAX, ADDRESSES_PER_ACCOUNT_MAX, PHC_OCTETS_MAX};
use crate::types::{AccountId, Address};

pub(super) fn add(directory: &Directory, name: &Address, password: Option<&str>) -> Result<Plan, PlanError> {
    can_be_an_accounts(directory, name)?;
    match directory.target(name) {
        Some(Target::Account(id)) if directory.account(id).is_some_and(|account| is_name(account, name)) => {
            return Err(PlanError(format!(
                "the account {name} is there already: change it with `gatepost account passwd {name}`"
            )));
        }
        Some(target) => return Err(taken(directory, name, target)),
        None => {}
    }
    if let Some(password) = password {
        is_a_hash(password)?;
    }
    if directory.accounts().count() >= ACCOUNTS_MAX {
        return Err(PlanError(format!(
            "there are {ACCOUNTS_MAX} accounts already, and that is the most: \
             remove one first with `gatepost account remove`"
        )));
    }
    let id = AccountId(directory.next_account());
    if id.0 == u32::MAX {
        return Err(PlanError(format!("{name} cannot be added: every number for accounts was used once")));
    }
    Ok(changing(Change::PutAccount(Account {
        id,
        addresses: vec![name.clone()],
        password: password.map(str::to_owned),
        state: AccountState::Active,
        app_passwords: AppPasswords::default(),
    })))
}

/// Wants the account's name: whoever gives a further address may mean that address alone, and the mail of
/// an account does not come back.
pub(super) fn remove(directory: &Directory, name: &Address) -> Result<Plan, PlanError> {
    let account = account_of(directory, name)?;
    if !is_name(account, name) {
        let account = name_of(account);
        return Err(PlanError(format!(
            "{name} is a further address of the account {account}: give `gatepost account remove {account}` to \
             remove the account and its mail, or `gatepost account address remove {account} {name}` for the \
             address alone"
        )));
    }
    let mut plan = Plan::default();
    for domain in directory.domains().filter(|domain| domain.catch_all == Some(account.id)) {
        plan.changes.push(Change::PutDomain(DomainEntry { name: domain.name.clone(), catch_all: None }));
        plan.warnings.push(format!("{name} was the catch-all of {0}; {0} has none now", domain.name));
    }
    plan.changes.push(Change::RemoveAccount(account.id));
    let id = account.id;
    plan.warnings.extend(warn_of_aliases_that_list(directory, &name.to_string(), |target, _| {
        *target == Target::Account(id)
    }));
    if directory.accounts().count() == 1 && directory.domains().next().is_some() {
        plan.warnings.push(
            "no account is left, so mail to postmaster and abuse is answered 451 until there is one"
                .to_owned(),
        );
    }
    Ok(plan)
}

pub(super) fn password(directory: &Directory, address: &Address, hash: &str) -> Result<Plan, PlanError> {
    is_a_hash(hash)?;
    let account = account_of(directory, address)?;
    if account.password.as_deref() == Some(hash) {
        return Ok(Plan::default());
    }
    Ok(changing_account(directory, Account { password: Some(hash.to_owned()), ..account.clone() }))
}

pub(super) fn state(
    directory: &Directory,
    address: &Address,
    state: AccountState,
) -> Result<Plan, PlanError> {
    let account = account_of(directory, address)?;
    if account.state == state {
        return Ok(Plan::default());
    }
    Ok(changing(Change::PutAccount(Account { state, ..account.clone() })))
}

pub(super) fn address_add(
    directory: &Directory,
    account: &Address,
    address: &Address,
) -> Result<Plan, PlanError> {
    let account = account_of(directory, account)?;
    can_be_an_accounts(directory, address)?;
    match directory.target(address) {
        Some(Target::Account(id)) if id == account.id => return Ok(Plan::default()),
        Some(target) => return Err(taken(directory, address, target)),
        None => {}
    }
    if account.addresses.len() >= ADDRESSES_PER_ACCOUNT_MAX {
        return Err(PlanError(format!(
            "the account {0} has {ADDRESSES_PER_ACCOUNT_MAX} addresses already, and that is the most: \
             remove one first with `gatepost account address remove {0} ADDRESS`, or make an alias",
            name_of(account)
        )));
    }
    let mut changed = account.clone();
    changed.addresses.push(address.clone());
    Ok(changing(Change::PutAccount(changed)))
}

pub(super) fn address_remove(
    directory: &Directory,
    account: &Address,
    address: &Address,
) -> Result<Plan, PlanError> {
    let account = account_of(directory, account)?;
    let name = name_of(account);
    if is_name(account, address) {
        return Err(PlanError(format!(
            "{address} is the account's name and stays as long as the account: \
             `gatepost account remove {name}` removes both, with the mail"
        )));
    }
    match directory.target(address) {
        Some(Target::Account(id)) if id == account.id => {}
        Some(Target::Account(_) | Target::Alias) | None => {
            return Err(PlanError(format!(
                "{address} is not an address of the account {name}: see `gatepost account list`"
            )));
        }
    }
    let key = address.key();
    let mut changed = account.clone();
    changed.addresses.retain(|own| own.key() != key);
    let mut plan = changing_account(directory, changed);
    plan.warnings = warn_of_aliases_that_list(directory, &address.to_string(), |_, found| *found == key);
    Ok(plan)
}

/// Whether an address is the account's name, however it is spelt.
fn is_name(account: &Account, address: &Address) -> bool {
    account.addresses.first().is_some_and(|name| name.key() == address.key())
}

/// Whether an account may have an address, whoever has it now.
fn can_be_an_accounts(directory: &Directory, address: &Address) -> Result<(), PlanError> {
    served(directory, &address.domain)?;
    if address.local.as_str().contains(DETAIL_SEPARATOR) {
        return Err(PlanError(format!(
            "{address} has a {DETAIL_SEPARATOR} before the @, which separates a name from a detail: \
             mail to name{DETAIL_SEPARATOR}detail goes to name, so use an address without it (an alias may have one)"
        )));
    }
    Ok(())
}

/// Why an address that somebody has cannot be given to another.
fn taken(directory: &Directory, address: &Address, target: Target) -> PlanError {
    PlanError(match target {
        Target::Account(id) => {
            let owner = name_of_id(directory, id);
            format!(
                "{address} is an address of the account {owner}: \
                 take it away first with `gatepost account address remove {owner} {address}`"
            )
        }
        Target::Alias => {
            format!("{address} is an alias: remove it first with `gatepost alias remove {address}`")
        }
    })
}

/// Whether a text can be a PHC string: passwords arrive hashed, and a plain one must never be kept.
fn is_a_hash(text: &str) -> Result<(), PlanError> {
    let whole = text.len() <= PHC_OCTETS_MAX && text.bytes().all(|octet| octet.is_ascii_graphic());
    if whole && text.starts_with("$argon2id$") {
        return Ok(());
    }
    Err(PlanError(
        "the password was not hashed with argon2id: use the `gatepost` of the same version".to_owned(),
    ))
}
