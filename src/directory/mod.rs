//! Domains, accounts, aliases: what an administrator changes and every lookup reads.
//!
//! The whole directory is small and held in memory by whoever decides; the store keeps a copy. A change is
//! data ([`Change`]): planned against the current directory by [`plan`](crate::directory::plan), made durable
//! by the store, and then applied.

pub mod credential;
pub mod described;
pub mod history;
pub mod plan;
pub mod scram;

use crate::types::{AccountId, Address, AddressKey, Domain, LocalPart};
use credential::{AppPasswords, CredentialTag};
use history::LoginHistory;
use scram::ScramRecord;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The separator between a user and a detail: `user+detail@domain` is `user@domain`'s (RFC 5233).
pub const DETAIL_SEPARATOR: char = '+';

/// The number of the first account a store ever has.
pub const FIRST_ACCOUNT: u32 = 1;

/// A domain served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainEntry {
    /// Its name.
    pub name: Domain,
    /// The account that takes what no address of the domain takes.
    pub catch_all: Option<AccountId>,
}

/// Whether an account may log in and whether it takes mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountState {
    /// Both.
    Active,
    /// No login; mail is still kept.
    Disabled,
    /// Neither; mail is answered 450 4.2.1.
    Suspended,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Never reused.
    pub id: AccountId,
    /// The first is the account's name; there is always one.
    pub addresses: Vec<Address>,
    /// The PHC string of its argon2id hash.
    pub password: Option<String>,
    /// What it may do.
    pub state: AccountState,
    /// Its application passwords.
    #[serde(default, skip_serializing_if = "AppPasswords::is_unused")]
    pub app_passwords: AppPasswords,
}

impl Account {
    /// The account without what tells a password from others: what may be shown to an administrator.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        let mut shown = self.clone();
        shown.password = shown.password.map(|_| "*".to_owned());
        for credential in &mut shown.app_passwords.list {
            credential.tag = CredentialTag([0; 32]);
        }
        shown
    }
}

/// An alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// What is written to.
    pub address: Address,
    /// Who gets it: addresses of accounts, other aliases, or addresses nobody has (yet).
    pub members: Vec<Address>,
}

/// What an address leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// An account.
    Account(AccountId),
    /// An alias; its members are found by [`Directory::alias`].
    Alias,
}

/// One step of a change; durable in the store before it is applied in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Add or replace a domain.
    PutDomain(DomainEntry),
    /// Remove a domain.
    RemoveDomain(Domain),
    /// Add or replace an account.
    PutAccount(Account),
    /// Remove an account; the store removes its mail in the same batch or marks it for removal.
    RemoveAccount(AccountId),
    /// Add or replace an alias.
    PutAlias(Alias),
    /// Remove an alias.
    RemoveAlias(Address),
    /// Replace what is remembered of an account's logins; nothing happens for an account that is not there.
    PutHistory(AccountId, LoginHistory),
    /// Replace an account's SCRAM keys; nothing happens for an account that is not there.
    PutScram(AccountId, ScramRecord),
}

/// All of it, with the index that lookups use.
#[derive(Debug, Clone)]
pub struct Directory {
    domains: BTreeMap<Domain, DomainEntry>,
    accounts: BTreeMap<AccountId, Account>,
    aliases: BTreeMap<AddressKey, Alias>,
    histories: BTreeMap<AccountId, LoginHistory>,
    scram: BTreeMap<AccountId, ScramRecord>,
    targets: BTreeMap<AddressKey, Target>,
    /// The smallest id never used.
    next_account: u32,
}

impl Default for Directory {
    /// Nothing in it, and nothing ever was.
    fn default() -> Self {
        Self {
            domains: BTreeMap::new(),
            accounts: BTreeMap::new(),
            aliases: BTreeMap::new(),
            histories: BTreeMap::new(),
            scram: BTreeMap::new(),
            targets: BTreeMap::new(),
            next_account: FIRST_ACCOUNT,
        }
    }
}

impl Directory {
    /// A directory as the store holds it. `next_account` is the smallest account id never used.
    #[must_use]
    pub fn load(changes: impl IntoIterator<Item = Change>, next_account: u32) -> Self {
        let mut directory = Self { next_account, ..Self::default() };
        for change in changes {
            directory.apply(&change);
        }
        directory
    }

    /// Applies a change that is durable.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::PutDomain(entry) => {
                self.domains.insert(entry.name.clone(), entry.clone());
            }
            Change::RemoveDomain(name) => {
                self.domains.remove(name);
            }
            Change::PutAccount(account) => {
                self.forget_addresses(account.id);
                for address in &account.addresses {
                    self.targets.insert(address.key(), Target::Account(account.id));
                }
                self.next_account = self.next_account.max(account.id.0.saturating_add(1));
                self.accounts.insert(account.id, account.clone());
            }
            Change::RemoveAccount(id) => {
                self.forget_addresses(*id);
                self.accounts.remove(id);
                self.histories.remove(id);
                self.scram.remove(id);
            }
            Change::PutAlias(alias) => {
                self.targets.insert(alias.address.key(), Target::Alias);
                self.aliases.insert(alias.address.key(), alias.clone());
            }
            Change::RemoveAlias(address) => {
                self.targets.remove(&address.key());
                self.aliases.remove(&address.key());
            }
            Change::PutHistory(id, history) => {
                if self.accounts.contains_key(id) {
                    self.histories.insert(*id, history.clone());
                }
            }
            Change::PutScram(id, record) => {
                if self.accounts.contains_key(id) {
                    self.scram.insert(*id, record.clone());
                }
            }
        }
    }

    fn forget_addresses(&mut self, id: AccountId) {
        if let Some(old) = self.accounts.get(&id) {
            for address in &old.addresses {
                self.targets.remove(&address.key());
            }
        }
    }

    /// A domain, if it is ours.
    #[must_use]
    pub fn domain(&self, name: &Domain) -> Option<&DomainEntry> {
        self.domains.get(name)
    }

    /// An account by its id.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// What is remembered of an account's logins, if there were any.
    #[must_use]
    pub fn history(&self, id: AccountId) -> Option<&LoginHistory> {
        self.histories.get(&id)
    }

    /// The SCRAM keys of an account, if there are any.
    #[must_use]
    pub fn scram(&self, id: AccountId) -> Option<&ScramRecord> {
        self.scram.get(&id)
    }

    /// Everything that is remembered of logins.
    pub fn histories(&self) -> impl Iterator<Item = (AccountId, &LoginHistory)> {
        self.histories.iter().map(|(id, history)| (*id, history))
    }

    /// An alias by the key of its address.
    #[must_use]
    pub fn alias(&self, key: &AddressKey) -> Option<&Alias> {
        self.aliases.get(key)
    }

    /// Who has exactly this address.
    #[must_use]
    pub fn target(&self, address: &Address) -> Option<Target> {
        self.targets.get(&address.key()).copied()
    }

    /// Who has this address, or else the address in front of its `+` detail; with the key it was found under.
    #[must_use]
    pub fn resolve(&self, address: &Address) -> Option<(Target, AddressKey)> {
        let exact = address.key();
        if let Some(target) = self.targets.get(&exact) {
            return Some((*target, exact));
        }
        let local = address.local.key();
        let (user, _) = local.split_once(DETAIL_SEPARATOR)?;
        let key = AddressKey::of(user, &address.domain);
        self.targets.get(&key).map(|target| (*target, key))
    }

    /// Domains in alphabetical order.
    pub fn domains(&self) -> impl Iterator<Item = &DomainEntry> {
        self.domains.values()
    }

    /// Accounts, oldest first.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Aliases in alphabetical order.
    pub fn aliases(&self) -> impl Iterator<Item = &Alias> {
        self.aliases.values()
    }

    /// The smallest account id never used.
    #[must_use]
    pub fn next_account(&self) -> u32 {
        self.next_account
    }
}

/// Whether a local part is one that every domain must have somebody for.
#[must_use]
pub fn is_role(local: &LocalPart) -> bool {
    matches!(local.key().as_str(), "postmaster" | "abuse")
}
