//! SCRAM proofs: checked by the loop itself, a fixed number of hashes each, without the worker.

use super::{Held, Verifier, Who, account, canonical, is_same_identity, opened_by_app_password};
use crate::auth::lookup::{LoginLookup, look_up};
use crate::auth::scram::ScramProof;
use crate::auth::scram::keys::{ServerSignature, hash, try_proof};
use crate::auth::throttle::{Because, LoginGate, Throttle, Try};
use crate::auth::verdict::{LoginVerdict, ProvenBy, Refusal, Unavailability};
use crate::contract::Ticket;
use crate::directory::credential::MainPassword;
use crate::directory::scram::{MadeOf, ScramEntry};
use crate::directory::{Account, Directory};
use crate::limits::{SCRAM_KEYS_PER_ACCOUNT_MAX, SCRAM_KEYS_TRIED};
use crate::types::{Moment, Now, ScramKeys, ScramUse, SessionId};
use std::hint::black_box;
use std::net::IpAddr;

/// A proof to be checked.
#[derive(Debug)]
pub struct ProofAttempt {
    /// Whose.
    pub session: SessionId,
    /// What the verdict answers.
    pub ticket: Ticket,
    /// From where.
    pub source: IpAddr,
    /// What the client claims, and what it proves it with.
    pub proof: Box<ScramProof>,
}

/// What a proof is worth.
struct Judged {
    verdict: LoginVerdict,
    signature: ServerSignature,
    /// What it proves the knowledge of.
    by: Option<ProvenBy>,
}

impl Verifier {
    /// Takes a proof through the throttle, as [`Verifier::submit_through`] does a password. An application
    /// password that is proven passes whatever the throttle says; a proof tells nothing of the password it was
    /// made with, so every wrong one counts as a guess of its own.
    pub fn submit_proof_through(
        &mut self,
        now: Now,
        throttle: &mut Throttle,
        directory: Option<&Directory>,
        attempt: &ProofAttempt,
    ) -> Option<Because> {
        let ProofAttempt { session, ticket, source, proof } = attempt;
        let who = Who { session: *session, ticket: *ticket, asked: now.moment };
        let name = canonical(&proof.login);
        let Judged { verdict, signature, by } = self.judge(directory, proof);
        // Of a stopped account too: whoever knows the password hears that, as with PLAIN.
        if let Some(ProvenBy::AppPassword(_)) = by {
            if let LoginVerdict::Accepted(..) = verdict {
                throttle.login_proven(now, *source, &name);
            }
            self.decide_signed(now.moment, who, verdict, Some(signature));
            return None;
        }
        let wanted = Try { session: *session, source: *source, login: &name, password: None };
        match throttle.at_login(now, wanted) {
            LoginGate::Pass { class: _, delay_ms, reservation, would_refuse } => {
                self.held.insert(*session, Held { reservation, delay_ms });
                self.decide_signed(now.moment, who, verdict, Some(signature));
                would_refuse
            }
            LoginGate::TooMany(because) => {
                let why = Unavailability::Throttled(because.rule.kind());
                self.decide_signed(now.moment, who, LoginVerdict::Unavailable(why), Some(signature));
                None
            }
        }
    }

    /// Takes a proof without a throttle.
    pub fn submit_proof(&mut self, now: Moment, directory: Option<&Directory>, attempt: &ProofAttempt) {
        let Judged { verdict, signature, .. } = self.judge(directory, &attempt.proof);
        let who = Who { session: attempt.session, ticket: attempt.ticket, asked: now };
        self.decide_signed(now, who, verdict, Some(signature));
    }

    /// What a proof is worth. The same number of hashes for every name, every proof and every flaw.
    fn judge(&self, directory: Option<&Directory>, proof: &ScramProof) -> Judged {
        let found = look_up(directory, &proof.login);
        let account = directory.and_then(|directory| account(directory, &proof.login));
        let entries = self.entries_of(directory.zip(account), &canonical(&proof.login));
        let decoy = self.decoy_keys(&proof.login);
        let keys = entries.iter().map(|entry| (proven_by(&entry.made_of), &entry.keys));
        let (by, signature) =
            try_proof(keys, &decoy, &proof.auth_message, &proof.proof, self.tries(entries.len()));
        let is_other =
            proof.authorize_as.as_ref().is_some_and(|other| !is_same_identity(&proof.login, other));
        let flaw = proof.flaw.or(is_other.then_some(Refusal::OtherIdentity));
        let has_main = entries.iter().any(|entry| proven_by(&entry.made_of) == ProvenBy::MainPassword);
        let verdict = match (found, flaw) {
            (LoginLookup::Unavailable, _) => LoginVerdict::Unavailable(Unavailability::Directory),
            (_, Some(flaw)) => LoginVerdict::Refused(flaw),
            (found, None) => verdict(found, account, by, has_main),
        };
        Judged { verdict, signature, by: if flaw.is_none() { by } else { None } }
    }

    /// How many keys a proof is tried against: always as many, whatever there is.
    #[cfg(not(test))]
    fn tries(&self, _real: usize) -> usize {
        SCRAM_KEYS_TRIED
    }

    /// The same, but for the fault that the tests of timing plant.
    #[cfg(test)]
    fn tries(&self, real: usize) -> usize {
        if self.tuning.skips_decoys { real } else { SCRAM_KEYS_TRIED }
    }

    /// The keys that open this account under this name. As many steps for every name: where there is no entry,
    /// the name is compared with itself.
    fn entries_of<'d>(
        &self,
        found: Option<(&'d Directory, &'d Account)>,
        name: &[u8],
    ) -> Vec<&'d ScramEntry> {
        let record = found.and_then(|(directory, account)| Some((account, directory.scram(account.id)?)));
        let mut entries = Vec::with_capacity(SCRAM_KEYS_TRIED);
        for slot in 0..SCRAM_KEYS_PER_ACCOUNT_MAX {
            let entry = record.and_then(|(account, record)| Some((account, record.entries.get(slot)?)));
            let login = entry.map_or_else(|| black_box(name), |(_, entry)| entry.login.as_str().as_bytes());
            let is_named = black_box(login == name);
            entries.extend(
                entry
                    .filter(|(account, entry)| is_named && self.opens(account, entry))
                    .map(|(_, entry)| entry),
            );
        }
        entries
    }

    /// Whether a proof with these keys may open the account.
    fn opens(&self, account: &Account, entry: &ScramEntry) -> bool {
        let is_allowed = match entry.made_of {
            MadeOf::MainPassword(_) => {
                self.scram == ScramUse::All && account.app_passwords.main == MainPassword::Allowed
            }
            MadeOf::AppPassword(_) => true,
        };
        is_allowed && entry.made_of.is_of(account)
    }

    /// Keys that nobody knows a password for, for a name.
    fn decoy_keys(&self, login: &[u8]) -> ScramKeys {
        let name = canonical(login);
        let of = |purpose: &[u8]| hash(&self.derive(purpose, &name));
        ScramKeys { stored: of(b"decoy stored key\0"), server: of(b"decoy server key\0") }
    }
}

/// Every outcome of the lookup, and what a proof says for it.
fn verdict(
    found: LoginLookup,
    account: Option<&Account>,
    by: Option<ProvenBy>,
    has_main: bool,
) -> LoginVerdict {
    let app = |refusal| match (account, by) {
        (Some(account), Some(ProvenBy::AppPassword(id))) => opened_by_app_password(account, id),
        (_, Some(ProvenBy::MainPassword) | None) | (None, Some(ProvenBy::AppPassword(_))) => {
            LoginVerdict::Refused(refusal)
        }
    };
    let wrong = |refusal| LoginVerdict::Refused(if has_main { refusal } else { Refusal::NoScramKeys });
    match found {
        LoginLookup::Account(id, _) => match by {
            Some(by) => LoginVerdict::Accepted(id, by),
            None => wrong(Refusal::WrongPassword),
        },
        LoginLookup::DisabledAccount(id, _) => match by {
            Some(_) => LoginVerdict::Disabled(id),
            None => wrong(Refusal::WrongPasswordOfDisabledAccount),
        },
        LoginLookup::MainPasswordForbidden(_) => app(Refusal::MainPasswordForbidden),
        LoginLookup::AccountWithoutPassword(_) => app(Refusal::NoPassword),
        LoginLookup::Alias => LoginVerdict::Refused(Refusal::Alias),
        LoginLookup::CatchAll => LoginVerdict::Refused(Refusal::CatchAll),
        LoginLookup::NoSuchAddress => LoginVerdict::Refused(Refusal::NoSuchAddress),
        LoginLookup::NoSuchDomain => LoginVerdict::Refused(Refusal::NoSuchDomain),
        LoginLookup::Malformed => LoginVerdict::Refused(Refusal::Malformed),
        LoginLookup::Unavailable => LoginVerdict::Unavailable(Unavailability::Directory),
    }
}

fn proven_by(made_of: &MadeOf) -> ProvenBy {
    match made_of {
        MadeOf::MainPassword(_) => ProvenBy::MainPassword,
        MadeOf::AppPassword(id) => ProvenBy::AppPassword(*id),
    }
}
