//! Domains: served or not, and who takes what no address takes.

use super::{Plan, PlanError, account_of, changing, served};
use crate::directory::{AccountState, Change, Directory, DomainEntry};
use crate::limits::DOMAINS_MAX;
use crate::types::{Address, Domain};

pub(super) fn add(directory: &Directory, name: &Domain) -> Result<Plan, PlanError> {
    if directory.domain(name).is_some() {
        return Err(PlanError(format!("the domain {name} is served already: see `gatepost domain list`")));
    }
    if directory.domains().count() >= DOMAINS_MAX {
        return Err(PlanError(format!(
            "{DOMAINS_MAX} domains are served already, and that is the most: \
             remove one first with `gatepost domain remove`"
        )));
    }
    Ok(changing(Change::PutDomain(DomainEntry { name: name.clone(), catch_all: None })))
}

pub(super) fn remove(directory: &Directory, name: &Domain) -> Result<Plan, PlanError> {
    served(directory, name)?;
    let of_accounts = directory
        .accounts()
        .flat_map(|account| &account.addresses)
        .filter(|address| address.domain == *name)
        .count();
    let aliases = directory.aliases().filter(|alias| alias.address.domain == *name).count();
    if of_accounts > 0 || aliases > 0 {
        return Err(PlanError(format!(
            "the domain {name} cannot be removed while addresses are in it ({of_accounts} of accounts, \
             {aliases} of aliases): remove them first, see `gatepost account list` and `gatepost alias list`"
        )));
    }
    let mut plan = changing(Change::RemoveDomain(name.clone()));
    plan.warnings = directory
        .aliases()
        .filter(|alias| alias.members.iter().any(|member| member.domain == *name))
        .map(|alias| format!("the alias {} still lists an address at {name}", alias.address))
        .collect();
    Ok(plan)
}

pub(super) fn catch_all(
    directory: &Directory,
    name: &Domain,
    target: Option<&Address>,
) -> Result<Plan, PlanError> {
    let entry = served(directory, name)?;
    let account = match target {
        Some(address) => Some(account_of(directory, address).map_err(|PlanError(why)| {
            PlanError(format!("the catch-all of {name} must be an account, and {why}"))
        })?),
        None => None,
    };
    let catch_all = account.map(|account| account.id);
    let mut plan = Plan::default();
    if entry.catch_all != catch_all {
        plan.changes.push(Change::PutDomain(DomainEntry { name: name.clone(), catch_all }));
    }
    if let Some(address) = target
        && account.is_some_and(|account| account.state == AccountState::Suspended)
    {
        plan.warnings.push(format!(
            "{address} is suspended, so what the catch-all of {name} takes is answered 450 until \
             `gatepost account enable {address}`"
        ));
    }
    Ok(plan)
}
