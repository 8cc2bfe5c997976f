//! Aliases. A member that leads nowhere is no error: an administrator may write the list first and the
//! accounts later. It is worth a sentence, though.

use super::{Plan, PlanError, name_of_id, served, warn_of_aliases_that_list};
use crate::directory::{AccountState, Alias, Change, Directory, Target};
use crate::limits::{ALIAS_DEPTH_MAX, ALIAS_EXPANSION_MAX, ALIAS_MEMBERS_MAX, ALIASES_MAX};
use crate::types::{AccountId, Address, AddressKey};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn add(directory: &Directory, address: &Address, members: &[Address]) -> Result<Plan, PlanError> {
    served(directory, &address.domain)?;
    if let Some(Target::Account(id)) = directory.target(address) {
        let owner = name_of_id(directory, id);
        return Err(PlanError(format!(
            "{address} is an address of the account {owner}, and an address belongs to one thing only: \
             choose another for the alias"
        )));
    }
    let key = address.key();
    let old = directory.alias(&key);
    if old.is_none() && directory.aliases().count() >= ALIASES_MAX {
        return Err(PlanError(format!(
            "there are {ALIASES_MAX} aliases already, and that is the most: \
             remove one first with `gatepost alias remove`"
        )));
    }
    let alias = Alias { address: address.clone(), members: each_once(members) };
    if alias.members.is_empty() {
        return Err(PlanError(format!(
            "the alias {address} needs at least one member: give it with --to ADDRESS"
        )));
    }
    if alias.members.len() > ALIAS_MEMBERS_MAX {
        return Err(PlanError(format!(
            "the alias {address} would have {} members, and {ALIAS_MEMBERS_MAX} are the most: \
             make several aliases and one that lists them",
            alias.members.len()
        )));
    }
    let mut plan = Plan { changes: Vec::new(), warnings: warnings(directory, &alias) };
    if old != Some(&alias) {
        plan.changes.push(Change::PutAlias(alias));
    }
    Ok(plan)
}

pub(super) fn remove(directory: &Directory, address: &Address) -> Result<Plan, PlanError> {
    let key = address.key();
    let Some(alias) = directory.alias(&key) else {
        return Err(PlanError(match directory.target(address) {
            Some(Target::Account(id)) => format!(
                "{address} is an address of the account {}, not an alias: see `gatepost account list`",
                name_of_id(directory, id)
            ),
            Some(Target::Alias) | None => {
                format!("there is no alias {address}: see `gatepost alias list`")
            }
        }));
    };
    let mut plan = super::changing(Change::RemoveAlias(alias.address.clone()));
    plan.warnings =
        warn_of_aliases_that_list(directory, &alias.address.to_string(), |_, found| *found == key);
    Ok(plan)
}

/// The members without those that are there already in another spelling.
fn each_once(members: &[Address]) -> Vec<Address> {
    let mut seen = BTreeSet::new();
    members.iter().filter(|member| seen.insert(member.key())).cloned().collect()
}

/// A sentence for each member that will not get the mail, and for the alias when nobody or too many will.
fn warnings(directory: &Directory, alias: &Alias) -> Vec<String> {
    let reach = Reach::of(directory, alias);
    let mut warnings: Vec<String> =
        alias.members.iter().filter_map(|member| member_warning(directory, &reach, member)).collect();
    let address = &alias.address;
    if reach.living.is_empty() {
        warnings.push(format!(
            "no member of {address} takes mail now, so mail to it is answered 451 until one does"
        ));
    }
    if reach.living.len() > ALIAS_EXPANSION_MAX {
        warnings.push(format!(
            "{address} leads to {} accounts, and mail to more than {ALIAS_EXPANSION_MAX} is answered 451",
            reach.living.len()
        ));
    }
    if reach.too_deep {
        warnings.push(format!(
            "{address} leads through more than {ALIAS_DEPTH_MAX} aliases one inside the other, and what is \
             deeper gets no mail"
        ));
    }
    warnings
}

fn member_warning(directory: &Directory, reach: &Reach, member: &Address) -> Option<String> {
    match directory.resolve(member) {
        // An alias that does not exist yet may list itself.
        _ if member.key() == reach.alias => {
            Some(format!("{member} is the alias itself, and gets nothing by that"))
        }
        Some((Target::Account(id), _)) => match directory.account(id).map(|account| account.state) {
            Some(AccountState::Active | AccountState::Disabled) => None,
            Some(AccountState::Suspended) => Some(format!(
                "{member} is suspended, and gets no mail until `gatepost account enable {member}`"
            )),
            None => Some(format!("{member} is nobody's address yet, and gets no mail until it is")),
        },
        Some((Target::Alias, key)) if reach.leading_back.contains(&key) => {
            Some(format!("{member} is an alias that leads back here, and is not followed a second time"))
        }
        Some((Target::Alias, _)) => None,
        None if directory.domain(&member.domain).is_none() => Some(format!(
            "{member} is at a domain that is not served here, and gets nothing until gatepost sends mail to others"
        )),
        None => Some(format!("{member} is nobody's address yet, and gets no mail until it is")),
    }
}

/// Where an alias would lead.
struct Reach {
    /// The alias itself.
    alias: AddressKey,
    /// The accounts that would get its mail.
    living: BTreeSet<AccountId>,
    /// The aliases among those it leads to that lead back to it.
    leading_back: BTreeSet<AddressKey>,
    /// Whether there are more aliases inside aliases than are followed.
    too_deep: bool,
}

impl Reach {
    /// Every alias is looked into once, so this ends, and costs no more than there are members.
    fn of(directory: &Directory, alias: &Alias) -> Self {
        let start = alias.address.key();
        let mut reach = Self {
            alias: start.clone(),
            living: BTreeSet::new(),
            leading_back: BTreeSet::new(),
            too_deep: false,
        };
        let mut listed_by: BTreeMap<AddressKey, Vec<AddressKey>> = BTreeMap::new();
        let mut seen = BTreeSet::from([start.clone()]);
        let mut level = vec![start.clone()];
        let mut depth: usize = 0;
        while !level.is_empty() {
            reach.too_deep |= depth > ALIAS_DEPTH_MAX;
            let mut next = Vec::new();
            for lister in level {
                let members = if lister == start {
                    alias.members.as_slice()
                } else {
                    directory.alias(&lister).map_or(&[][..], |alias| &alias.members)
                };
                for member in members {
                    let Some((target, key)) = reach.resolve(directory, member) else { continue };
                    match target {
                        Target::Account(id) => reach.count(directory, id, depth),
                        Target::Alias => {
                            listed_by.entry(key.clone()).or_default().push(lister.clone());
                            if seen.insert(key.clone()) {
                                next.push(key);
                            }
                        }
                    }
                }
            }
            level = next;
            depth = depth.saturating_add(1);
        }
        let mut back = vec![start];
        while let Some(key) = back.pop() {
            for lister in listed_by.remove(&key).unwrap_or_default() {
                if reach.leading_back.insert(lister.clone()) {
                    back.push(lister);
                }
            }
        }
        reach
    }

    /// As the directory does once the alias is in it.
    fn resolve(&self, directory: &Directory, member: &Address) -> Option<(Target, AddressKey)> {
        let key = member.key();
        if key == self.alias { Some((Target::Alias, key)) } else { directory.resolve(member) }
    }

    fn count(&mut self, directory: &Directory, id: AccountId, depth: usize) {
        let takes_mail =
            directory.account(id).is_some_and(|account| account.state != AccountState::Suspended);
        if takes_mail && depth <= ALIAS_DEPTH_MAX {
            self.living.insert(id);
        }
    }
}
