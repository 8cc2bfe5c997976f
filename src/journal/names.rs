//! Stand-ins for names, and what of the world a recording needs to be played again.
//!
//! Addresses that exist stay, in the directory's spelling. What resolves to nothing is numbered, so that the same
//! name stays the same and nothing of it is kept: people type passwords where a name is wanted.

use crate::auth::lookup::{self, LoginLookup};
use crate::dialog::{AccountFact, WorldFact};
use crate::directory::{Account, Directory, Target, is_role};
use crate::limits::{JOURNAL_FACTS_MAX, JOURNAL_MEMBERS_MAX, JOURNAL_NAMES_MAX};
use crate::policy::recipient::{Expansion, RecipientLookup};
use crate::types::{AccountId, Address, Domain, ForwardPath, Host, Mailbox, ReversePath};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

/// A domain that is nobody's (RFC 2606 section 2).
const ELSEWHERE: &str = "elsewhere.invalid";
/// The password of every account that has one and was not opened.
const NOBODY_TYPES: &str = "not typed in this session";

/// Names told apart without keeping them.
#[derive(Debug, Default)]
pub(super) struct Names {
    seen: Vec<u64>,
}

impl Names {
    /// The number of a name, from 1.
    fn number(&mut self, name: &[u8]) -> usize {
        let mut hasher = std::hash::DefaultHasher::new();
        name.hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(at) = self.seen.iter().position(|seen| *seen == hash) {
            return at.saturating_add(1);
        }
        if self.seen.len() < JOURNAL_NAMES_MAX {
            self.seen.push(hash);
        }
        self.seen.len()
    }

    /// What stands for a login name.
    pub(super) fn login(&mut self, directory: Option<&Directory>, login: &[u8], facts: &mut Facts) -> String {
        let parsed = std::str::from_utf8(login).ok().and_then(|text| text.parse::<Address>().ok());
        let (Some(address), Some(directory)) = (parsed, directory) else {
            return format!("unknown-{}", self.number(login));
        };
        match lookup::look_up(Some(directory), login) {
            LoginLookup::Malformed | LoginLookup::Unavailable => format!("unknown-{}", self.number(login)),
            LoginLookup::Account(..)
            | LoginLookup::DisabledAccount(..)
            | LoginLookup::MainPasswordForbidden(_)
            | LoginLookup::AccountWithoutPassword(_)
            | LoginLookup::Alias
            | LoginLookup::CatchAll
            | LoginLookup::NoSuchAddress
            | LoginLookup::NoSuchDomain => self.address(directory, &address, false, facts),
        }
    }

    /// What stands for an address. `resolves`: what is behind a `+` may be left out to find it.
    fn address(
        &mut self,
        directory: &Directory,
        address: &Address,
        resolves: bool,
        facts: &mut Facts,
    ) -> String {
        let key = address.key();
        if directory.domain(&address.domain).is_none() {
            return format!("unknown-{}@{ELSEWHERE}", self.number(key.as_str().as_bytes()));
        }
        facts.domain(directory, &address.domain);
        if let Some(target) = directory.target(address) {
            return facts.target(directory, target, address).to_string();
        }
        if let (true, Some((target, found))) = (resolves, directory.resolve(address)) {
            let base = found.as_str().rsplit_once('@').map_or("", |(local, _)| local);
            let whole = format!("{base}@{}", address.domain);
            if let Ok(base) = whole.parse::<Address>() {
                let known = facts.target(directory, target, &base).to_string();
                if let Some((local, domain)) = known.rsplit_once('@') {
                    return format!("{local}+{}@{domain}", self.number(key.as_str().as_bytes()));
                }
            }
        }
        if is_role(&address.local) {
            return format!("{}@{}", address.local.key(), address.domain);
        }
        let number = self.number(key.as_str().as_bytes());
        let routing = if address.local.has_routing_character() { "%elsewhere" } else { "" };
        format!("unknown-{number}{routing}@{}", address.domain)
    }

    /// What stands for a mailbox in a path, without angle brackets.
    fn mailbox(
        &mut self,
        directory: Option<&Directory>,
        mailbox: &Mailbox,
        needs_utf8: bool,
        facts: &mut Facts,
    ) -> String {
        let written = match (&mailbox.host, mailbox.address(), directory) {
            (Host::Domain(_), Some(address), Some(directory)) => {
                self.address(directory, &address, true, facts)
            }
            (Host::Domain(_), _, _) => {
                format!("unknown-{}@{ELSEWHERE}", self.number(mailbox.to_string().as_bytes()))
            }
            (Host::Literal(_), _, _) => {
                format!("unknown-{}@[192.0.2.1]", self.number(mailbox.to_string().as_bytes()))
            }
        };
        if needs_utf8 && written.is_ascii() {
            let (local, domain) = written.rsplit_once('@').unwrap_or((&written, ""));
            let shown = Domain::parse(domain)
                .map_or_else(|_| domain.to_owned(), |domain| idna::domain_to_unicode(domain.as_str()).0);
            // Not every domain has another form.
            let sign = if shown.is_ascii() { "\u{fc}" } else { "" };
            return format!("{sign}{local}@{shown}");
        }
        written
    }

    /// What stands for a reverse-path.
    pub(super) fn reverse(
        &mut self,
        directory: Option<&Directory>,
        path: &ReversePath,
        needs_utf8: bool,
        facts: &mut Facts,
    ) -> String {
        match path {
            ReversePath::Null => "<>".to_owned(),
            ReversePath::Mailbox(mailbox) => {
                format!("<{}>", self.mailbox(directory, mailbox, needs_utf8, facts))
            }
        }
    }

    /// What stands for a forward-path.
    pub(super) fn forward(
        &mut self,
        directory: Option<&Directory>,
        path: &ForwardPath,
        needs_utf8: bool,
        facts: &mut Facts,
    ) -> String {
        match path {
            ForwardPath::Postmaster => "<postmaster>".to_owned(),
            ForwardPath::Mailbox(mailbox) => {
                format!("<{}>", self.mailbox(directory, mailbox, needs_utf8, facts))
            }
        }
    }
}

/// The part of the directory that a recording met, with passwords that are stand-ins.
#[derive(Debug, Default, Clone)]
pub struct Facts {
    domains: BTreeMap<Domain, Option<Address>>,
    accounts: BTreeMap<AccountId, AccountFact>,
    aliases: BTreeMap<String, (Address, Vec<Address>)>,
    /// There were more than a recording may have.
    pub(super) are_too_many: bool,
}

impl Facts {
    fn has_room(&mut self) -> bool {
        let all = self.domains.len().saturating_add(self.accounts.len()).saturating_add(self.aliases.len());
        self.are_too_many |= all >= JOURNAL_FACTS_MAX;
        !self.are_too_many
    }

    /// A domain of ours, and the account that catches all there.
    fn domain(&mut self, directory: &Directory, name: &Domain) {
        if self.domains.contains_key(name) || !self.has_room() {
            return;
        }
        let catcher = directory.domain(name).and_then(|entry| entry.catch_all);
        let caught = catcher.and_then(|id| self.account(directory, id));
        self.domains.insert(name.clone(), caught);
    }

    /// An account by its first address, which is its name.
    pub(super) fn account(&mut self, directory: &Directory, id: AccountId) -> Option<Address> {
        if let Some(fact) = self.accounts.get(&id) {
            return Some(fact.name.clone());
        }
        let account = directory.account(id)?;
        let name = account.addresses.first()?.clone();
        if !self.has_room() {
            return None;
        }
        self.accounts.insert(id, projected(account, &name));
        self.domain(directory, &name.domain);
        Some(name)
    }

    /// What an address leads to, and the address as the directory spells it.
    fn target(&mut self, directory: &Directory, target: Target, address: &Address) -> Address {
        let key = address.key();
        match target {
            Target::Account(id) => {
                self.account(directory, id);
                let own = directory.account(id).map_or(&[][..], |account| &account.addresses);
                let spelt = own.iter().find(|one| one.key() == key).unwrap_or(address).clone();
                if let Some(fact) = self.accounts.get_mut(&id) {
                    let known = fact.name.key() == key || fact.addresses.iter().any(|one| one.key() == key);
                    if !known && fact.addresses.len() < JOURNAL_MEMBERS_MAX {
                        fact.addresses.push(spelt.clone());
                    }
                }
                spelt
            }
            Target::Alias => {
                let Some(alias) = directory.alias(&key) else { return address.clone() };
                if !self.aliases.contains_key(key.as_str()) && self.has_room() {
                    let nobody = format!("nobody@{ELSEWHERE}").parse().ok();
                    let members = nobody.into_iter().collect();
                    self.aliases.insert(key.as_str().to_owned(), (alias.address.clone(), members));
                }
                alias.address.clone()
            }
        }
    }

    /// Whom a recipient turned out to lead to.
    pub(super) fn recipient(
        &mut self,
        directory: Option<&Directory>,
        path: &ForwardPath,
        lookup: &RecipientLookup,
    ) {
        let Some(directory) = directory else { return };
        let RecipientLookup::Alias(Expansion::Members(ids)) = lookup else { return };
        let named: Vec<Address> =
            ids.iter().take(JOURNAL_MEMBERS_MAX).filter_map(|id| self.account(directory, *id)).collect();
        let ForwardPath::Mailbox(mailbox) = path else { return };
        let Some(address) = mailbox.address() else { return };
        if let Some((Target::Alias, key)) = directory.resolve(&address)
            && let Some((_, members)) = self.aliases.get_mut(key.as_str())
            && !named.is_empty()
        {
            *members = named;
        }
    }

    /// A password that was right, by its stand-in.
    pub(super) fn opens(&mut self, directory: Option<&Directory>, id: AccountId, password: &str) {
        if let Some(directory) = directory {
            self.account(directory, id);
        }
        if let Some(fact) = self.accounts.get_mut(&id)
            && !fact.app_passwords.iter().any(|known| known == password)
        {
            fact.app_passwords.push(password.to_owned());
        }
    }

    /// The main password of an account is the one SCRAM stand-ins prove.
    pub(super) fn main_password(&mut self, directory: Option<&Directory>, id: AccountId, password: &str) {
        if let Some(directory) = directory {
            self.account(directory, id);
        }
        if let Some(fact) = self.accounts.get_mut(&id) {
            fact.password = Some(password.to_owned());
        }
    }

    /// Puts another recording's facts beside these. Sessions of one file share a world.
    pub fn join(&mut self, other: Self) {
        for (name, caught) in other.domains {
            self.domains.entry(name).or_insert(caught);
        }
        for (id, fact) in other.accounts {
            match self.accounts.get_mut(&id) {
                None => {
                    self.accounts.insert(id, fact);
                }
                Some(known) => {
                    for address in fact.addresses {
                        if !known.addresses.contains(&address) {
                            known.addresses.push(address);
                        }
                    }
                    for password in fact.app_passwords {
                        if !known.app_passwords.contains(&password) {
                            known.app_passwords.push(password);
                        }
                    }
                }
            }
        }
        for (key, alias) in other.aliases {
            self.aliases.entry(key).or_insert(alias);
        }
    }

    /// The lines of the world.
    #[must_use]
    pub fn lines(&self) -> Vec<WorldFact> {
        let domains =
            self.domains.iter().map(|(name, caught)| WorldFact::Domain(name.clone(), caught.clone()));
        let accounts = self.accounts.values().cloned().map(WorldFact::Account);
        let aliases =
            self.aliases.values().cloned().map(|(address, members)| WorldFact::Alias(address, members));
        domains.chain(accounts).chain(aliases).collect()
    }
}

/// An account without what is secret of it.
fn projected(account: &Account, name: &Address) -> AccountFact {
    AccountFact {
        name: name.clone(),
        password: account.password.as_ref().map(|_| NOBODY_TYPES.to_owned()),
        app_passwords: Vec::new(),
        main_password: account.app_passwords.main,
        addresses: Vec::new(),
        state: account.state,
    }
}
