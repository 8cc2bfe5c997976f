//! Where a recipient leads. No relay for strangers: what is not ours is [`RecipientLookup::NotOurDomain`].

use crate::directory::{AccountState, Directory, DomainEntry, Target, is_role};
use crate::limits::{ALIAS_DEPTH_MAX, ALIAS_EXPANSION_MAX};
use crate::types::{AccountId, Address, AddressKey, ForwardPath, LocalPart};
use std::collections::BTreeSet;

/// What a recipient turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipientLookup {
    /// An account.
    Account(AccountId),
    /// An account that takes no mail for now: 450 4.2.1.
    SuspendedAccount(AccountId),
    /// An alias, expanded once.
    Alias(Expansion),
    /// Nobody of that name, and the domain's catch-all takes it.
    CatchAll(AccountId),
    /// A domain of ours, nobody there of that name: 550 5.1.1.
    NoSuchAddress,
    /// Not a domain of ours: 550 5.7.1.
    NotOurDomain,
    /// The directory cannot be asked: 451 4.3.0.
    Unavailable,
}

/// An alias, expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expansion {
    /// The accounts, each once, in ascending order; at least one.
    Members(Vec<AccountId>),
    /// No member is an account that takes mail (all unknown, elsewhere, suspended, or the alias leads only
    /// back to itself): 451 4.3.5.
    NoLivingMember,
    /// Aliases within aliases beyond [`ALIAS_DEPTH_MAX`], and nobody living before that: 451 4.3.5.
    TooDeep,
    /// More than [`ALIAS_EXPANSION_MAX`] accounts: 451 4.3.5.
    TooMany,
}

/// Looks a recipient up. `directory` is `None` while the store is not there.
#[must_use]
pub fn look_up(directory: Option<&Directory>, path: &ForwardPath) -> RecipientLookup {
    let Some(directory) = directory else { return RecipientLookup::Unavailable };
    let mailbox = match path {
        ForwardPath::Postmaster => return bare_postmaster(directory),
        ForwardPath::Mailbox(mailbox) => mailbox,
    };
    let Some(address) = mailbox.address() else { return RecipientLookup::NotOurDomain };
    look_up_address(directory, &address)
}

/// The same for an address.
#[must_use]
pub fn look_up_address(directory: &Directory, address: &Address) -> RecipientLookup {
    let Some(domain) = directory.domain(&address.domain) else { return RecipientLookup::NotOurDomain };
    match directory.resolve(address) {
        Some((Target::Account(id), _)) => account(directory, id),
        Some((Target::Alias, key)) => RecipientLookup::Alias(expand(directory, key)),
        None if is_role(&address.local) => role(directory),
        // What old systems routed by never reaches a catch-all: it was aimed at somebody else.
        None if address.local.has_routing_character() => RecipientLookup::NoSuchAddress,
        None => match domain.catch_all {
            Some(id) => match account(directory, id) {
                RecipientLookup::Account(id) => RecipientLookup::CatchAll(id),
                other @ (RecipientLookup::SuspendedAccount(_)
                | RecipientLookup::Alias(_)
                | RecipientLookup::CatchAll(_)
                | RecipientLookup::NoSuchAddress
                | RecipientLookup::NotOurDomain
                | RecipientLookup::Unavailable) => other,
            },
            None => RecipientLookup::NoSuchAddress,
        },
    }
}

fn account(directory: &Directory, id: AccountId) -> RecipientLookup {
    match directory.account(id).map(|account| account.state) {
        Some(AccountState::Active | AccountState::Disabled) => RecipientLookup::Account(id),
        Some(AccountState::Suspended) => RecipientLookup::SuspendedAccount(id),
        None => RecipientLookup::NoSuchAddress,
    }
}

/// `<postmaster>` without a domain is the postmaster of the first domain that names one, else the default.
fn bare_postmaster(directory: &Directory) -> RecipientLookup {
    let named = |domain: &DomainEntry| {
        let local = LocalPart::new("postmaster").ok()?;
        let address = Address { local, domain: domain.name.clone() };
        directory.target(&address).map(|_| look_up_address(directory, &address))
    };
    directory.domains().find_map(named).unwrap_or_else(|| role(directory))
}

/// `postmaster` and `abuse` lead to the oldest account that takes mail, unless an address or alias says
/// otherwise (RFC 5321 section 4.5.1, RFC 2142).
fn role(directory: &Directory) -> RecipientLookup {
    let oldest = directory.accounts().find(|account| account.state != AccountState::Suspended);
    RecipientLookup::Alias(match oldest {
        Some(account) => Expansion::Members(vec![account.id]),
        None => Expansion::NoLivingMember,
    })
}

/// Follows an alias to its accounts. Every alias is entered once, so a loop ends; it is not an error in
/// itself, since those beside it still get their copy.
fn expand(directory: &Directory, alias: AddressKey) -> Expansion {
    let mut seen = BTreeSet::from([alias.clone()]);
    let mut found = BTreeSet::new();
    let mut too_deep = false;
    let mut level = vec![alias];
    for depth in 0..=ALIAS_DEPTH_MAX {
        let next = members_of(directory, &level, &mut seen, &mut found);
        if found.len() > ALIAS_EXPANSION_MAX {
            return Expansion::TooMany;
        }
        if next.is_empty() {
            break;
        }
        too_deep = depth == ALIAS_DEPTH_MAX;
        level = next;
    }
    match (found.is_empty(), too_deep) {
        (false, _) => Expansion::Members(found.into_iter().collect()),
        (true, true) => Expansion::TooDeep,
        (true, false) => Expansion::NoLivingMember,
    }
}

/// One level: the accounts go into `found`, the aliases not yet seen are returned.
fn members_of(
    directory: &Directory,
    level: &[AddressKey],
    seen: &mut BTreeSet<AddressKey>,
    found: &mut BTreeSet<AccountId>,
) -> Vec<AddressKey> {
    let mut next = Vec::new();
    for alias in level {
        let members = directory.alias(alias).map_or(&[][..], |alias| &alias.members);
        for member in members {
            match directory.resolve(member) {
                Some((Target::Account(id), _)) => {
                    if let RecipientLookup::Account(id) = account(directory, id) {
                        found.insert(id);
                    }
                }
                Some((Target::Alias, key)) if seen.insert(key.clone()) => next.push(key),
                Some((Target::Alias, _)) | None => {}
            }
        }
    }
    next
}

#[cfg(test)]
mod tests;
