//! SCRAM keys of passwords that were right: made when nobody waits, of no other password, and they open.

use super::login::{KEY, RIGHT, directory};
use super::{Verdict, promise};
use crate::auth::scram::keys::derive_salted;
use crate::auth::scram::salts::Salts;
use crate::auth::verdict::{LoginVerdict, ProvenBy};
use crate::auth::verifier::{Attempt, Verifier};
use crate::contract::Ticket;
use crate::directory::credential::MainPassword;
use crate::directory::scram::{MadeOf, ScramRecord};
use crate::directory::{Change, Directory};
use crate::limits::{SCRAM_ENROL_QUEUE_MAX, SCRAM_ENROL_WAIT_MS_MAX};
use crate::types::{AccountId, Chance, Moment, ScramUse, Secret, SessionId};
use std::net::{IpAddr, Ipv4Addr};

/// The account whose keys are missing, and its name.
const ACCOUNT: AccountId = AccountId(1);
const LOGIN: &str = "me@example.org";
/// Rounds of PBKDF2 in this world.
const ROUNDS: u32 = 2;

/// Each octet is something that happens.
pub(super) fn enrol(data: &[u8]) -> Verdict {
    let uses = [ScramUse::All, ScramUse::AppPasswords, ScramUse::Off];
    let Some((how, deeds)) = data.split_first() else { return Ok(()) };
    let pick = usize::from(*how).checked_rem(uses.len()).unwrap_or_default();
    let mut world = World::new(uses.get(pick).copied().unwrap_or(ScramUse::All))?;
    for deed in deeds.iter().take(64) {
        world.deed(*deed)?;
    }
    Ok(())
}

struct World {
    directory: Directory,
    verifier: Verifier,
    scram: ScramUse,
    now: Moment,
    tickets: u64,
    /// Whether a password was right since keys were last looked for, and is the account's still.
    right: bool,
    /// How many were since then, the account's or not: more than have a place wait for a later login.
    remembered: usize,
    /// Whether one ever was.
    ever_right: bool,
}

impl World {
    fn new(scram: ScramUse) -> Result<Self, String> {
        let mut directory = directory()?;
        directory.apply(&Change::PutScram(ACCOUNT, ScramRecord { entries: Vec::new() }));
        let salts = Salts::with_iterations(&KEY, ROUNDS);
        let mut verifier = Verifier::new(KEY, Chance::from_seed([1; 32])).with_scram(scram, salts);
        verifier.worker_up(Moment(0));
        Ok(Self {
            directory,
            verifier,
            scram,
            now: Moment(1_000),
            tickets: 0,
            right: false,
            remembered: 0,
            ever_right: false,
        })
    }

    fn deed(&mut self, deed: u8) -> Verdict {
        match deed % 8 {
            0 | 1 => self.log_in(RIGHT),
            2 => self.log_in(b"a wrong one"),
            3 | 4 => self.derive(false),
            // The worker dies over it.
            5 => self.derive(true),
            6 => {
                self.now = self.now.plus_ms(SCRAM_ENROL_WAIT_MS_MAX / 2);
                Ok(())
            }
            _ => {
                self.change_password();
                Ok(())
            }
        }
    }

    fn log_in(&mut self, password: &[u8]) -> Verdict {
        self.tickets = self.tickets.saturating_add(1);
        let attempt = Attempt {
            session: SessionId(self.tickets),
            ticket: Ticket(self.tickets),
            source: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
            login: LOGIN.as_bytes().to_vec(),
            password: Secret::new(password.to_vec()),
            authorize_as: None,
        };
        self.verifier.submit(self.now, Some(&self.directory), attempt);
        while let Some(job) = self.verifier.next_job(self.now) {
            let matched = job.password == Secret::new(RIGHT.to_vec());
            self.verifier.hashed(self.now, job.id, matched);
        }
        self.now = self.verifier.next_deadline().unwrap_or(self.now).max(self.now);
        let decided = self.verifier.due(self.now);
        promise(decided.len() == 1, "a login has no verdict, or two")?;
        let accepted = |one: &LoginVerdict| *one == LoginVerdict::Accepted(ACCOUNT, ProvenBy::MainPassword);
        let was_right = decided.iter().any(|one| accepted(&one.verdict));
        self.remembered = self.remembered.saturating_add(usize::from(was_right));
        self.right |= was_right && self.remembered <= SCRAM_ENROL_QUEUE_MAX;
        self.ever_right |= was_right;
        Ok(())
    }

    /// Keys are made, if any are missing.
    fn derive(&mut self, worker_dies: bool) -> Verdict {
        self.verifier.enrol(self.now, &self.directory);
        let right = std::mem::take(&mut self.right);
        self.remembered = 0;
        let had_them = self.directory.scram(ACCOUNT).is_some_and(|record| !record.entries.is_empty());
        let mut jobs = 0usize;
        while let Some(job) = self.verifier.next_derivation(self.now) {
            jobs = jobs.saturating_add(1);
            promise(self.scram == ScramUse::All, "keys are made of a password that may have none")?;
            promise(job.password.reveal() == RIGHT, "keys are made of a wrong password")?;
            promise(jobs <= SCRAM_ENROL_QUEUE_MAX, "keys are made without end")?;
            if worker_dies {
                self.verifier.worker_lost(self.now);
                let lost = self.verifier.derived(job.id, derive_salted(RIGHT, &job.salt));
                promise(lost.is_none(), "keys of a worker that died are kept")?;
                self.verifier.worker_up(self.now);
                return Ok(());
            }
            let keys = derive_salted(job.password.reveal(), &job.salt);
            let made =
                self.verifier.derived(job.id, keys.clone()).ok_or("keys that were asked for are nobody's")?;
            promise(made.account == ACCOUNT, "keys are made for another account")?;
            promise(self.verifier.derived(job.id, keys).is_none(), "keys are taken twice")?;
            let account = self.directory.account(ACCOUNT).ok_or("the account is gone")?;
            let current = account.password.clone().map(MadeOf::MainPassword);
            let record = self.directory.scram(ACCOUNT).cloned().unwrap_or_default();
            if current.as_ref() == Some(&made.entry.made_of) {
                promise(!had_them, "keys are made that are there")?;
                let entries = record.entries.into_iter().chain([made.entry]).collect();
                self.directory.apply(&Change::PutScram(ACCOUNT, ScramRecord { entries }));
            }
        }
        promise(jobs == 0 || self.ever_right, "keys are made of no login")?;
        let has_them = self.directory.scram(ACCOUNT).is_some_and(|record| !record.entries.is_empty());
        promise(
            !right || self.scram != ScramUse::All || has_them,
            "a password was right, and its keys are still missing",
        )
    }

    /// An administrator sets the same password anew: another salt, another hash.
    fn change_password(&mut self) {
        let Some(account) = self.directory.account(ACCOUNT) else { return };
        let mut account = account.clone();
        let salt = u8::try_from(self.tickets % 250).unwrap_or_default();
        let hash = crate::auth::phc::PasswordHash {
            memory_kib: crate::limits::ARGON2_MEMORY_KIB,
            passes: crate::limits::ARGON2_PASSES,
            lanes: crate::limits::ARGON2_LANES,
            salt: vec![salt; 16],
            tag: vec![7; 32],
        };
        account.password = Some(hash.to_string());
        account.app_passwords.main = MainPassword::Allowed;
        self.directory.apply(&Change::PutAccount(account));
        self.directory.apply(&Change::PutScram(ACCOUNT, ScramRecord { entries: Vec::new() }));
        self.right = false;
    }
}
