//! The login book of a dialogue: the throttle and the verifier of the server, with a worker that takes no time.

use super::AccountFact;
use super::world::{SERVER_KEY, World, key, salts};
use crate::auth::credential;
use crate::auth::password::{PasswordHash, normalise};
use crate::auth::scram::keys::{derive_salted, mac};
use crate::auth::throttle::{Rules, Throttle};
use crate::auth::verifier::{Attempt, ProofAttempt, Verifier};
use crate::contract::{Answer, PeerFacts, Question, Ticket};
use crate::directory::scram::{MadeOf, ScramEntry, ScramRecord};
use crate::directory::{Account, Change, Directory, Target};
use crate::limits::{
    ARGON2_LANES, ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_SALT_OCTETS, SCRAM_KEYS_PER_ACCOUNT_MAX,
};
use crate::types::{Chance, Moment, Now, ScramUse, Secret, SessionId};

/// Judges the logins of a dialogue.
#[derive(Debug)]
pub(super) struct Book {
    throttle: Throttle,
    verifier: Verifier,
    directory: Option<Directory>,
}

/// A login judged.
#[derive(Debug)]
pub(super) struct Judged {
    pub session: SessionId,
    pub ticket: Ticket,
    pub answer: Answer,
}

impl Book {
    /// Nobody has tried anything.
    pub(super) fn new(now: Moment, world: &World, seed: u64) -> Self {
        let mut octets = [0; 32];
        for (to, from) in octets.iter_mut().zip(seed.to_be_bytes()) {
            *to = from;
        }
        let mut verifier =
            Verifier::new(SERVER_KEY, Chance::from_seed(octets)).with_scram(ScramUse::All, salts());
        verifier.worker_up(now);
        let throttle = Throttle::new(Rules::default(), octets);
        Self { throttle, verifier, directory: directory(world) }
    }

    /// A session asks about a login. Any other question is none for the book.
    pub(super) fn ask(&mut self, now: Now, facts: PeerFacts, ticket: Ticket, question: Question) {
        let PeerFacts { session, address: source, listener: _ } = facts;
        let directory = self.directory.as_ref();
        match question {
            Question::Login { login, password, authorize_as } => {
                let attempt = Attempt { session, ticket, source, login, password, authorize_as };
                self.verifier.submit_through(now, &mut self.throttle, directory, attempt);
            }
            Question::Proof(proof) => {
                let attempt = ProofAttempt { session, ticket, source, proof };
                self.verifier.submit_proof_through(now, &mut self.throttle, directory, &attempt);
            }
            Question::Room(_)
            | Question::Sender(..)
            | Question::Recipient(_)
            | Question::Salt(_)
            | Question::Commit(_) => {}
        }
        while let Some(job) = self.verifier.next_job(now.moment) {
            let is_right = tag(&job.salt, &job.password) == job.tag;
            self.verifier.hashed(now.moment, job.id, is_right);
        }
    }

    /// What leaves now.
    pub(super) fn due(&mut self, now: Now) -> Vec<Judged> {
        let decided = self.verifier.due(now.moment);
        self.verifier.settle(now, &mut self.throttle);
        let judged = decided.into_iter().map(|one| Judged {
            session: one.session,
            ticket: one.ticket,
            answer: match one.signature {
                None => Answer::Login(one.verdict),
                Some(signature) => Answer::Proof(one.verdict, signature),
            },
        });
        judged.collect()
    }

    /// When something leaves next.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.verifier.next_deadline()
    }

    /// A session is over.
    pub(super) fn forget(&mut self, session: SessionId) {
        self.verifier.forget(session);
    }
}

/// The hash of a dialogue's worker: no work, since nobody guesses here.
fn tag(salt: &[u8], password: &Secret) -> Vec<u8> {
    mac(salt, password.reveal()).to_vec()
}

/// The directory of a world with its passwords hashed, and with keys for SCRAM.
fn directory(world: &World) -> Option<Directory> {
    let (directory, facts) = world.accounts();
    let mut directory = directory?.clone();
    for fact in facts {
        let account = match directory.target(&fact.name) {
            Some(Target::Account(id)) => directory.account(id).cloned(),
            Some(Target::Alias) | None => None,
        };
        if let Some(account) = account {
            hashed(account, fact).iter().for_each(|change| directory.apply(change));
        }
    }
    Some(directory)
}

fn hashed(mut account: Account, fact: &AccountFact) -> [Change; 2] {
    account.password = fact.password.as_ref().map(|password| {
        let salt = vec![0; ARGON2_SALT_OCTETS];
        let hash = PasswordHash {
            memory_kib: ARGON2_MEMORY_KIB,
            passes: ARGON2_PASSES,
            lanes: ARGON2_LANES,
            tag: tag(&salt, &normalise(password.as_bytes())),
            salt,
        };
        format!("{hash}")
    });
    let main = account.password.iter().zip(&fact.password);
    let main = main.map(|(hash, password)| (MadeOf::MainPassword(hash.clone()), password));
    let apps = fact.app_passwords.iter().filter_map(|password| {
        let text = Secret::new(password.clone().into_bytes());
        let id = credential::find(&key(), Some(&account.app_passwords), &text)?;
        Some((MadeOf::AppPassword(id), password))
    });
    let passwords: Vec<(MadeOf, &String)> = main.chain(apps).collect();
    let entries = account.addresses.iter().flat_map(|address| {
        passwords.iter().map(move |(made_of, password)| ScramEntry {
            login: address.key(),
            made_of: made_of.clone(),
            keys: derive_salted(password.as_bytes(), &salts().of_address(address)),
        })
    });
    let entries = entries.take(SCRAM_KEYS_PER_ACCOUNT_MAX).collect();
    let id = account.id;
    [Change::PutAccount(account), Change::PutScram(id, ScramRecord { entries })]
}
