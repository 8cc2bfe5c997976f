//! Checks passwords at equal work and equal time: a short fair queue before the hash worker, a decoy where
//! there is no account, and a timer grid on which refusals leave.
//!
//! A machine of its own: attempts, the worker's answers and the time go in; jobs and verdicts come out.

use super::verdict::LoginVerdict;
use crate::contract::Ticket;
use crate::directory::Directory;
use crate::types::{Chance, Moment, Secret, SessionId};
use std::net::IpAddr;

/// A login to be checked.
#[derive(Debug)]
pub struct Attempt {
    /// Whose.
    pub session: SessionId,
    /// What the verdict answers.
    pub ticket: Ticket,
    /// From where; the queue is fair by its prefix.
    pub source: IpAddr,
    /// The authentication identity as sent.
    pub login: Vec<u8>,
    /// The password as sent.
    pub password: Secret,
    /// The authorization identity as sent, if not empty.
    pub authorize_as: Option<Vec<u8>>,
}

/// Names a job in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// One argon2id run for the worker.
#[derive(Debug)]
pub struct HashJob {
    /// Comes back with the result.
    pub id: JobId,
    /// What to hash.
    pub password: Secret,
    /// Salt.
    pub salt: Vec<u8>,
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// The tag it must give to be right. The worker compares in constant time.
    pub tag: Vec<u8>,
}

/// A verdict whose time to leave has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Whose.
    pub session: SessionId,
    /// What it answers.
    pub ticket: Ticket,
    /// The verdict.
    pub verdict: LoginVerdict,
}

/// The machine.
#[derive(Debug)]
pub struct Verifier {
    _chance: Chance,
}

impl Verifier {
    /// `server_key` makes decoy salts that stay the same for a name; `chance` shuffles within a tick.
    #[must_use]
    pub fn new(server_key: [u8; 32], chance: Chance) -> Self {
        let _ = server_key;
        Self { _chance: chance }
    }

    /// Takes a login. Its verdict comes from [`Verifier::due`].
    pub fn submit(&mut self, now: Moment, directory: Option<&Directory>, attempt: Attempt) {
        let _ = (now, directory, attempt);
    }

    /// A worker is there (the first, or one after a death).
    pub fn worker_up(&mut self, now: Moment) {
        let _ = now;
    }

    /// The worker is gone; the job in flight, if any, is lost.
    pub fn worker_lost(&mut self, now: Moment) {
        let _ = now;
    }

    /// The job to give to the worker now, if it is idle and something waits. At most one is in flight.
    pub fn next_job(&mut self, now: Moment) -> Option<HashJob> {
        let _ = now;
        None
    }

    /// The worker answered.
    pub fn hashed(&mut self, now: Moment, job: JobId, matched: bool) {
        let _ = (now, job, matched);
    }

    /// Whether the job in flight is older than the worker may take: replace it (and call
    /// [`Verifier::worker_lost`]).
    #[must_use]
    pub fn worker_is_late(&self, now: Moment) -> bool {
        let _ = now;
        false
    }

    /// The verdicts that leave now: all that share a tick, in an order of chance.
    pub fn due(&mut self, now: Moment) -> Vec<Decided> {
        let _ = now;
        Vec::new()
    }

    /// When to call [`Verifier::due`] (or look at [`Verifier::worker_is_late`]) next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        None
    }

    /// The session is over: its attempts need no verdict.
    pub fn forget(&mut self, session: SessionId) {
        let _ = session;
    }
}
