//! What is true of an owner, and since when: administrators change it in the middle, and between the order and
//! its end, or after a death in between, either may be true.

use super::*;
use crate::directory::Directory;
use crate::types::Moment;

/// What is true of an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) struct Facts {
    pub(in crate::sim) password: Option<String>,
    /// Application passwords, the oldest first.
    pub(in crate::sim) apps: Vec<String>,
    pub(in crate::sim) state: AccountState,
    pub(in crate::sim) lives: bool,
}

#[derive(Debug)]
struct Era {
    from: Moment,
    until: Option<Moment>,
    facts: Facts,
}

#[derive(Debug)]
pub(super) struct Owner {
    pub(super) id: AccountId,
    addresses: Vec<&'static str>,
    /// The oldest first. Those without an end may be true now.
    eras: Vec<Era>,
}

/// What a name and a password are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::sim) struct Told {
    /// They may have been right: as the main password, as an application password.
    pub(in crate::sim) main: bool,
    pub(in crate::sim) app: bool,
    /// They may have been right, and the logins stopped.
    pub(in crate::sim) stopped: bool,
    /// They may have been wrong.
    pub(in crate::sim) wrong: bool,
    pub(in crate::sim) account: Option<AccountId>,
}

impl Told {
    /// Nothing but right.
    pub(in crate::sim) fn is_right(self) -> bool {
        (self.main || self.app) && !self.stopped && !self.wrong
    }
}

impl Owner {
    pub(super) fn new(id: AccountId, addresses: &[&'static str], facts: Facts) -> Self {
        let eras = vec![Era { from: Moment(0), until: None, facts }];
        Self { id, addresses: addresses.to_vec(), eras }
    }

    pub(super) fn name(&self) -> &'static str {
        self.addresses.first().copied().unwrap_or_default()
    }

    pub(super) fn has(&self, address: &[u8]) -> bool {
        self.addresses.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(address))
    }

    /// What was ordered last.
    pub(super) fn latest(&self) -> &Facts {
        static NOBODY: Facts =
            Facts { password: None, apps: Vec::new(), state: AccountState::Suspended, lives: false };
        self.eras.last().map_or(&NOBODY, |era| &era.facts)
    }

    /// The account of the first era.
    pub(super) fn account(&self, key: &[u8; 32]) -> Account {
        let Facts { password, apps, state, .. } = self.latest();
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let mut app_passwords = AppPasswords::default();
        for password in apps {
            let tag = credential::seal(&key, credential::digest(password.as_bytes()));
            app_passwords = app_passwords.with("phone", UnixTime(0), tag).unwrap_or(app_passwords);
        }
        Account {
            id: self.id,
            addresses: addresses(&self.addresses),
            password: password.as_deref().map(|password| phc(self.id, password)),
            state: *state,
            app_passwords,
        }
    }

    /// SCRAM keys of the first address; only every other owner has them from the beginning.
    pub(super) fn scram_record(&self, key: &[u8; 32], account: &Account) -> Option<ScramRecord> {
        let (password, address) = (self.latest().password.as_deref()?, account.addresses.first()?);
        if self.id.0.is_multiple_of(2) {
            return None;
        }
        let made_of = MadeOf::MainPassword(account.password.clone()?);
        let salt = Salts::with_iterations(key, ROUNDS).of_address(address);
        let keys = derive_salted(password.as_bytes(), &salt);
        Some(ScramRecord { entries: vec![ScramEntry { login: address.key(), made_of, keys }] })
    }

    /// Whether the account is as these facts say.
    fn is_as(&self, facts: &Facts, account: Option<&Account>) -> bool {
        let Some(account) = account else { return !facts.lives };
        let password = facts.password.as_deref().map(|password| phc(self.id, password));
        facts.lives
            && account.state == facts.state
            && account.password == password
            && account.app_passwords.list.len() == facts.apps.len()
    }
}

impl Town {
    /// An owner by number, for orders.
    pub(in crate::sim) fn owner(&self, number: usize) -> Option<(AccountId, &'static str, Facts)> {
        let owner = self.owners.get(number)?;
        Some((owner.id, owner.name(), owner.latest().clone()))
    }

    /// Whether nobody waits for the end of an order about this owner.
    pub(in crate::sim) fn is_settled(&self, number: usize) -> bool {
        let open = |owner: &Owner| owner.eras.iter().filter(|era| era.until.is_none()).count();
        self.owners.get(number).is_some_and(|owner| open(owner) == 1)
    }

    /// An order was given: from now on this may be true.
    pub(in crate::sim) fn may_become(&mut self, number: usize, facts: Facts, now: Moment) {
        if let Some(owner) = self.owners.get_mut(number) {
            owner.eras.push(Era { from: now, until: None, facts });
        }
    }

    /// It was said to be done, or to have failed.
    pub(in crate::sim) fn has_become(&mut self, account: AccountId, done: bool, now: Moment) {
        let Some(owner) = self.owners.iter_mut().find(|owner| owner.id == account) else { return };
        let mut open: Vec<&mut Era> = owner.eras.iter_mut().filter(|era| era.until.is_none()).collect();
        let Some(last) = open.pop() else { return };
        if done {
            open.into_iter().for_each(|era| era.until = Some(now));
        } else if !open.is_empty() {
            last.until = Some(now);
        }
        owner.eras.sort_by_key(|era| (era.until.is_none(), era.from));
    }

    /// A process has read the directory: what may be true is what it read. Says whose account is as nobody said.
    pub(in crate::sim) fn was_read(&mut self, directory: &Directory, now: Moment) -> Vec<String> {
        let mut strange = Vec::new();
        for owner in &mut self.owners {
            let account = directory.account(owner.id);
            let fitting: Vec<bool> = owner
                .eras
                .iter()
                .map(|era| era.until.is_none() && owner.is_as(&era.facts, account))
                .collect();
            if !fitting.contains(&true) {
                strange.push(format!("{} is {:?}", owner.name(), account.map(Account::without_secrets)));
                continue;
            }
            for (era, fits) in owner.eras.iter_mut().zip(fitting) {
                if !fits && era.until.is_none() {
                    era.until = Some(now);
                }
            }
            owner.eras.sort_by_key(|era| (era.until.is_none(), era.from));
        }
        strange
    }

    /// What a name and a password may have been worth between two moments.
    pub(in crate::sim) fn truth(&self, login: &[u8], password: &[u8], from: Moment, to: Moment) -> Told {
        let mut told = Told::default();
        for owner in self.owners.iter().filter(|owner| owner.has(login)) {
            for era in &owner.eras {
                if era.from > to || era.until.is_some_and(|until| until < from) {
                    continue;
                }
                let Facts { password: main, apps, state, lives } = &era.facts;
                let is_main = *lives && main.as_deref().is_some_and(|own| own.as_bytes() == password);
                let is_app = *lives && apps.iter().any(|own| own.as_bytes() == password);
                told.account = told.account.or((is_main || is_app).then_some(owner.id));
                match (is_main || is_app, *state == AccountState::Active) {
                    (true, true) => {
                        told.main |= is_main;
                        told.app |= is_app;
                    }
                    (true, false) => told.stopped = true,
                    (false, _) => told.wrong = true,
                }
            }
        }
        told.wrong |= !(told.main || told.app || told.stopped);
        told
    }
}
