//! SCRAM keys of a password that was right: made by the hash worker when nobody waits for it.
//!
//! Whether keys are missing is looked up after the verdict is decided, so that it costs no login any time.

use super::super::queue::take_out;
use super::{JobId, Verifier};
use crate::auth::password::PasswordHash;
use crate::auth::verdict::ProvenBy;
use crate::directory::credential::CredentialId;
use crate::directory::scram::{MadeOf, ScramEntry};
use crate::directory::{Account, Directory};
use crate::limits::{SCRAM_ENROL_QUEUE_MAX, SCRAM_ENROL_WAIT_MS_MAX};
use crate::types::{AccountId, Address, AddressKey, Moment, ScramKeys, ScramSalt, ScramUse, Secret};
use std::collections::VecDeque;

/// One PBKDF2 run for the worker.
#[derive(Debug)]
pub struct DeriveJob {
    /// Comes back with the keys.
    pub id: JobId,
    /// What to make keys of.
    pub password: Secret,
    /// The salt of the login name.
    pub salt: ScramSalt,
}

/// Keys that were made and are to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// Whose.
    pub account: AccountId,
    /// The keys.
    pub entry: ScramEntry,
}

/// A name and password that the worker compares with a hash.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) login: Vec<u8>,
    pub(super) password: Secret,
    pub(super) hash: PasswordHash,
}

/// A password that was right.
#[derive(Debug)]
struct Right {
    account: AccountId,
    /// The login name in its canonical form.
    login: Vec<u8>,
    password: Secret,
    by: RightFor,
}

/// What it was right for.
#[derive(Debug)]
enum RightFor {
    /// This hash of a main password.
    Hash(PasswordHash),
    /// This application password.
    AppPassword(CredentialId),
}

/// Keys that are missing.
#[derive(Debug)]
struct Wanted {
    account: AccountId,
    login: AddressKey,
    made_of: MadeOf,
    password: Secret,
    since: Moment,
}

/// Keys that the worker makes.
#[derive(Debug)]
struct Making {
    id: JobId,
    since: Moment,
    account: AccountId,
    login: AddressKey,
    made_of: MadeOf,
}

/// See the module. Passwords are held for [`SCRAM_ENROL_WAIT_MS_MAX`] at most, and of
/// [`SCRAM_ENROL_QUEUE_MAX`] logins.
#[derive(Debug, Default)]
pub(super) struct Enrolment {
    right: Vec<Right>,
    wanted: VecDeque<Wanted>,
    making: Option<Making>,
}

impl Enrolment {
    /// The worker found a main password right.
    pub(super) fn password_was_right(&mut self, account: AccountId, checked: Checked) {
        let Checked { login, password, hash } = checked;
        self.remember(Right { account, login, password, by: RightFor::Hash(hash) });
    }

    /// An application password was right.
    pub(super) fn app_password_was_right(
        &mut self,
        account: AccountId,
        by: ProvenBy,
        login: Vec<u8>,
        password: &Secret,
    ) {
        match by {
            ProvenBy::AppPassword(id) => {
                let by = RightFor::AppPassword(id);
                self.remember(Right { account, login, password: password.clone(), by });
            }
            ProvenBy::MainPassword => {}
        }
    }

    /// One that finds no place is made keys of at a later login.
    fn remember(&mut self, right: Right) {
        if self.right.len() < SCRAM_ENROL_QUEUE_MAX {
            self.right.push(right);
        }
    }

    /// The worker is gone, and with it what it made.
    pub(super) fn worker_lost(&mut self) {
        self.making = None;
    }

    pub(super) fn is_in_flight(&self) -> bool {
        self.making.is_some()
    }

    /// Since when the worker makes keys.
    pub(super) fn since(&self) -> Option<Moment> {
        self.making.as_ref().map(|making| making.since)
    }

    fn want(&mut self, wanted: Wanted) {
        let is_same = |other: &Wanted| {
            (&other.account, &other.login, &other.made_of)
                == (&wanted.account, &wanted.login, &wanted.made_of)
        };
        if self.wanted.len() < SCRAM_ENROL_QUEUE_MAX && !self.wanted.iter().any(is_same) {
            self.wanted.push_back(wanted);
        }
    }
}

impl Verifier {
    /// Looks which of the passwords that were right have no keys yet. To be called after verdicts have left.
    pub fn enrol(&mut self, now: Moment, directory: &Directory) {
        for right in std::mem::take(&mut self.enrolment.right) {
            if let Some(wanted) = missing(self.scram, directory, right, now) {
                self.enrolment.want(wanted);
            }
        }
        drop(take_out(&mut self.enrolment.wanted, |wanted| {
            now >= wanted.since.plus_ms(SCRAM_ENROL_WAIT_MS_MAX)
        }));
    }

    /// The keys to make now: only while the worker is idle and no login waits for it.
    pub fn next_derivation(&mut self, now: Moment) -> Option<DeriveJob> {
        if !self.worker_is_idle() || self.queue.iter().next().is_some() {
            return None;
        }
        let Wanted { account, login, made_of, password, since: _ } = self.enrolment.wanted.pop_front()?;
        let id = self.take_id();
        let salt = self.salts.of(login.as_str().as_bytes());
        self.enrolment.making = Some(Making { id, since: now, account, login, made_of });
        Some(DeriveJob { id, password, salt })
    }

    /// The worker made keys. Those that were not waited for are nobody's.
    pub fn derived(&mut self, job: JobId, keys: ScramKeys) -> Option<Enrolled> {
        let Making { account, login, made_of, .. } =
            self.enrolment.making.take_if(|making| making.id == job)?;
        Some(Enrolled { account, entry: ScramEntry { login, made_of, keys } })
    }
}

/// The keys that a right password lacks, if the rules let it have any.
fn missing(scram: ScramUse, directory: &Directory, right: Right, now: Moment) -> Option<Wanted> {
    let Right { account: id, login, password, by } = right;
    let account = directory.account(id)?;
    let may_have = match (scram, &by) {
        (ScramUse::All, RightFor::Hash(_) | RightFor::AppPassword(_))
        | (ScramUse::AppPasswords, RightFor::AppPassword(_)) => true,
        (ScramUse::AppPasswords, RightFor::Hash(_)) | (ScramUse::Off, _) => false,
    };
    let made_of = made_of(account, by).filter(|_| may_have)?;
    let login = account.addresses.iter().map(Address::key).find(|key| key.as_str().as_bytes() == login)?;
    let has_them = directory
        .scram(id)
        .is_some_and(|record| record.of(account, &login).any(|entry| entry.made_of == made_of));
    (!has_them).then_some(Wanted { account: id, login, made_of, password, since: now })
}

/// What keys are to be bound to. A main password that was changed while it was checked is nobody's any more.
fn made_of(account: &Account, by: RightFor) -> Option<MadeOf> {
    match by {
        RightFor::AppPassword(id) => Some(MadeOf::AppPassword(id)),
        RightFor::Hash(hash) => account
            .password
            .as_ref()
            .filter(|text| PasswordHash::parse(text).is_ok_and(|current| current == hash))
            .map(|text| MadeOf::MainPassword(text.clone())),
    }
}
