//! Checks passwords at equal work and equal time: a short fair queue before the hash worker, a decoy where
//! there is no account, and a timer grid on which refusals leave.
//!
//! A machine of its own: attempts, the worker's answers and the time go in; jobs and verdicts come out.

mod enrol;
mod proof;
mod tuning;

pub use enrol::{DeriveJob, Enrolled};
pub use proof::ProofAttempt;
pub(crate) use tuning::Tuning;

use super::credential;
use super::lookup::{LoginLookup, look_up};
use super::password::{PasswordHash, normalise};
use super::queue::{FairQueue, Full};
use super::scram::keys::ServerSignature;
use super::scram::salts::Salts;
use super::throttle::{Because, LoginGate, LoginOutcome, QueueClass, Reservation, Throttle, Try};
use super::verdict::{LoginVerdict, ProvenBy, Refusal, Unavailability};
use crate::contract::Ticket;
use crate::directory::credential::CredentialId;
use crate::directory::{Account, AccountState, Directory, Target};
use crate::limits::{ARGON2_LANES, ARGON2_SALT_OCTETS, HASH_MS_MAX, LOGIN_OCTETS_MAX, PASSWORD_OCTETS_MAX};
use crate::types::{Address, Chance, Moment, Now, Prefix, ScramUse, Secret, SessionId};
use aws_lc_rs::hmac;
use enrol::{Checked, Enrolment};
use std::collections::BTreeMap;
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
    /// For a SCRAM proof, what proves to the client that the server knows it. Worth something with
    /// [`LoginVerdict::Accepted`] alone.
    pub signature: Option<ServerSignature>,
}

/// The machine.
///
/// An attempt is in one of three places: waiting for the worker, in flight, or decided and waiting for its
/// time to leave. Each session has one attempt at the most, so all three together are bounded by the number
/// of connections; the part that holds passwords is bounded by [`HASH_QUEUE_MAX`](crate::limits::HASH_QUEUE_MAX).
#[derive(Debug)]
pub struct Verifier {
    tuning: Tuning,
    key: hmac::Key,
    chance: Chance,
    worker: Worker,
    queue: FairQueue<Waiting>,
    in_flight: Option<InFlight>,
    scram: ScramUse,
    salts: Salts,
    /// Passwords that were right, and keys that are made of them.
    enrolment: Enrolment,
    decided: Vec<Leaving>,
    /// What the throttle reserved for attempts that are not decided yet, and how much later their refusal
    /// leaves. A session has one attempt at the most.
    held: BTreeMap<SessionId, Held>,
    /// Reservations whose attempt was decided, for [`Verifier::settle`].
    ended: Vec<(Reservation, LoginOutcome)>,
    next_id: u64,
}

/// What the throttle said of an attempt.
#[derive(Debug, Default)]
struct Held {
    reservation: Option<Reservation>,
    delay_ms: u64,
}

/// Whether there is somebody to hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worker {
    Up,
    Gone,
}

/// An attempt that needs a hash.
#[derive(Debug)]
struct Waiting {
    who: Who,
    login: Vec<u8>,
    password: Secret,
    hash: PasswordHash,
    if_right: LoginVerdict,
    if_wrong: LoginVerdict,
}

/// Whose verdict it is and when it was asked for.
#[derive(Debug, Clone, Copy)]
struct Who {
    session: SessionId,
    ticket: Ticket,
    asked: Moment,
}

/// An attempt the worker has.
#[derive(Debug)]
struct InFlight {
    id: JobId,
    /// `None`: the session is over. The worker is busy all the same.
    who: Option<Who>,
    since: Moment,
    /// What was checked, for making SCRAM keys of it if it is right.
    checked: Checked,
    if_right: LoginVerdict,
    if_wrong: LoginVerdict,
}

/// A verdict and when it leaves.
#[derive(Debug)]
struct Leaving {
    at: Moment,
    decided: Decided,
}

/// What a login needs before it is decided.
enum Need {
    /// One argon2id run, and what it says.
    Hash { phc: Option<String>, if_right: LoginVerdict, if_wrong: LoginVerdict },
    /// Nothing: it cannot be checked.
    Nothing(Unavailability),
}

/// Every outcome of the lookup, and what a hash would say for it. Where the password cannot be right, both
/// verdicts are the same refusal: even a tag that happened to fit would open nothing.
fn need(lookup: LoginLookup) -> Need {
    let never = |refusal| {
        let verdict = LoginVerdict::Refused(refusal);
        Need::Hash { phc: None, if_right: verdict, if_wrong: verdict }
    };
    let stored = |phc, right, wrong| Need::Hash {
        phc: Some(phc),
        if_right: right,
        if_wrong: LoginVerdict::Refused(wrong),
    };
    match lookup {
        LoginLookup::Account(id, phc) => {
            stored(phc, LoginVerdict::Accepted(id, ProvenBy::MainPassword), Refusal::WrongPassword)
        }
        LoginLookup::DisabledAccount(id, phc) => {
            stored(phc, LoginVerdict::Disabled(id), Refusal::WrongPasswordOfDisabledAccount)
        }
        LoginLookup::MainPasswordForbidden(_) => never(Refusal::MainPasswordForbidden),
        LoginLookup::AccountWithoutPassword(_) => never(Refusal::NoPassword),
        LoginLookup::Alias => never(Refusal::Alias),
        LoginLookup::CatchAll => never(Refusal::CatchAll),
        LoginLookup::NoSuchAddress => never(Refusal::NoSuchAddress),
        LoginLookup::NoSuchDomain => never(Refusal::NoSuchDomain),
        LoginLookup::Malformed => never(Refusal::Malformed),
        LoginLookup::Unavailable => Need::Nothing(Unavailability::Directory),
    }
}

impl Verifier {
    /// `server_key` makes decoy salts that stay the same for a name; `chance` shuffles within a tick.
    #[must_use]
    pub fn new(server_key: [u8; 32], chance: Chance) -> Self {
        Self {
            tuning: Tuning::current(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &server_key),
            chance,
            worker: Worker::Gone,
            queue: FairQueue::default(),
            in_flight: None,
            scram: ScramUse::default(),
            salts: Salts::new(&server_key),
            enrolment: Enrolment::default(),
            decided: Vec::new(),
            held: BTreeMap::new(),
            ended: Vec::new(),
            next_id: 0,
        }
    }

    /// The same with other rules for SCRAM.
    #[must_use]
    pub fn with_scram(mut self, scram: ScramUse, salts: Salts) -> Self {
        self.scram = scram;
        self.salts = salts;
        self
    }

    /// The salt of every name.
    #[must_use]
    pub fn salts(&self) -> &Salts {
        &self.salts
    }

    /// Takes a login through the throttle. Its verdict comes from [`Verifier::due`]; call
    /// [`Verifier::settle`] after whatever decides logins. In a dry run the rule that would have turned it
    /// away is returned.
    pub fn submit_through(
        &mut self,
        now: Now,
        throttle: &mut Throttle,
        directory: Option<&Directory>,
        attempt: Attempt,
    ) -> Option<Because> {
        let name = canonical(&attempt.login);
        if let Some(verdict) = self.by_app_password(directory, &attempt) {
            // Verified, not merely of that look: no rule of the throttle and no queue stands before it.
            if let LoginVerdict::Accepted(account, by) = verdict {
                throttle.login_proven(now, attempt.source, &name);
                self.enrolment.app_password_was_right(account, by, name, &attempt.password);
            }
            let who = Who { session: attempt.session, ticket: attempt.ticket, asked: now.moment };
            self.decide(now.moment, who, verdict);
            return None;
        }
        let wanted = Try {
            session: attempt.session,
            source: attempt.source,
            login: &name,
            password: Some(attempt.password.reveal()),
        };
        match throttle.at_login(now, wanted) {
            LoginGate::Pass { class, delay_ms, reservation, would_refuse } => {
                self.held.insert(attempt.session, Held { reservation, delay_ms });
                self.submit_as(now.moment, directory, attempt, class);
                would_refuse
            }
            LoginGate::TooMany(because) => {
                let who = Who { session: attempt.session, ticket: attempt.ticket, asked: now.moment };
                let why = Unavailability::Throttled(because.rule.kind());
                self.decide(now.moment, who, LoginVerdict::Unavailable(why));
                None
            }
        }
    }

    /// Tells the throttle what became of the logins it let pass.
    pub fn settle(&mut self, now: Now, throttle: &mut Throttle) {
        for (reservation, outcome) in std::mem::take(&mut self.ended) {
            throttle.login_decided(now, reservation, outcome);
        }
    }

    /// Takes a login without a throttle. Its verdict comes from [`Verifier::due`].
    pub fn submit(&mut self, now: Moment, directory: Option<&Directory>, attempt: Attempt) {
        if let Some(verdict) = self.by_app_password(directory, &attempt) {
            let who = Who { session: attempt.session, ticket: attempt.ticket, asked: now };
            return self.decide(now, who, verdict);
        }
        self.submit_as(now, directory, attempt, QueueClass::Clean);
    }

    /// What an application password opens, if one was sent; `None` for the ordinary way. Costs the same for
    /// every name and every password.
    fn by_app_password(&self, directory: Option<&Directory>, attempt: &Attempt) -> Option<LoginVerdict> {
        let account = directory.and_then(|directory| account(directory, &attempt.login));
        let kept = account.map(|account| &account.app_passwords);
        let id = credential::find(&self.key, kept, &attempt.password)?;
        let account = account?;
        if attempt.authorize_as.as_ref().is_some_and(|other| !is_same_identity(&attempt.login, other)) {
            return None;
        }
        Some(opened_by_app_password(account, id))
    }

    fn submit_as(&mut self, now: Moment, directory: Option<&Directory>, attempt: Attempt, class: QueueClass) {
        let Attempt { session, ticket, source, login, password, authorize_as } = attempt;
        let who = Who { session, ticket, asked: now };
        // Made and written for every name, so that having an account saves no work.
        let decoy = self.decoy(&login);
        let decoy_phc = format!("{decoy}");
        let (phc, mut if_right, mut if_wrong) = match need(look_up(directory, &login)) {
            #[cfg(test)]
            Need::Hash { phc: None, if_wrong, .. } if self.tuning.skips_decoys => {
                return self.decide(now, who, if_wrong);
            }
            Need::Hash { phc, if_right, if_wrong } => (phc, if_right, if_wrong),
            Need::Nothing(why) => return self.decide(now, who, LoginVerdict::Unavailable(why)),
        };
        // One text is read for every name, so that having an account costs none either.
        let hash = match PasswordHash::parse(phc.as_deref().unwrap_or(&decoy_phc)) {
            Ok(hash) => hash,
            // A hash that cannot be read is no password: nobody logs in with it, and nobody sees a difference.
            Err(_) => {
                if_wrong = LoginVerdict::Refused(Refusal::NoPassword);
                if_right = if_wrong;
                decoy
            }
        };
        if authorize_as.is_some_and(|other| !is_same_identity(&login, &other)) {
            if_wrong = LoginVerdict::Refused(Refusal::OtherIdentity);
            if_right = if_wrong;
        }
        let name = canonical(&login);
        let mut password = normalise(password.reveal());
        if let Some(beginning) = password.reveal().get(..PASSWORD_OCTETS_MAX)
            && beginning.len() < password.reveal().len()
        {
            // Nobody can have set it. Its beginning costs what any other wrong password costs.
            password = Secret::new(beginning.to_vec());
            if_right = if_wrong;
        }
        let waiting = Waiting { who, login: name, password, hash, if_right, if_wrong };
        if let Err(Full) = self.queue.push(class, Prefix::net(source), waiting) {
            self.decide(now, who, LoginVerdict::Unavailable(Unavailability::QueueFull));
        }
    }

    /// A worker is there (the first, or one after a death).
    pub fn worker_up(&mut self, now: Moment) {
        // One that replaces another unannounced brings no answer to what that one was asked.
        self.worker_lost(now);
        self.worker = Worker::Up;
    }

    /// The worker is gone; the job in flight, if any, is lost. What waits is left for the next worker.
    pub fn worker_lost(&mut self, now: Moment) {
        self.worker = Worker::Gone;
        self.enrolment.worker_lost();
        if let Some(InFlight { who: Some(who), .. }) = self.in_flight.take() {
            self.decide(now, who, LoginVerdict::Unavailable(Unavailability::Worker));
        }
    }

    /// The job to give to the worker now, if it is idle and something waits. At most one is in flight.
    pub fn next_job(&mut self, now: Moment) -> Option<HashJob> {
        self.give_up_waiting(now);
        if !self.worker_is_idle() {
            return None;
        }
        let Waiting { who, login, password, hash, if_right, if_wrong } = self.queue.pop()?;
        let id = self.take_id();
        let checked = Checked { login, password: password.clone(), hash: hash.clone() };
        self.in_flight = Some(InFlight { id, who: Some(who), since: now, checked, if_right, if_wrong });
        let PasswordHash { memory_kib, passes, lanes, salt, tag } = hash;
        Some(HashJob { id, password, salt, memory_kib, passes, lanes, tag })
    }

    /// The worker answered. An answer that was not waited for is ignored.
    pub fn hashed(&mut self, now: Moment, job: JobId, matched: bool) {
        let Some(answered) = self.in_flight.take_if(|flying| flying.id == job) else { return };
        let verdict = if matched { answered.if_right } else { answered.if_wrong };
        match verdict {
            LoginVerdict::Accepted(account, ProvenBy::MainPassword) => {
                self.enrolment.password_was_right(account, answered.checked);
            }
            LoginVerdict::Accepted(_, ProvenBy::AppPassword(_))
            | LoginVerdict::Refused(_)
            | LoginVerdict::Disabled(_)
            | LoginVerdict::Unavailable(_) => {}
        }
        if let Some(who) = answered.who {
            self.decide(now, who, verdict);
        }
    }

    fn worker_is_idle(&self) -> bool {
        match self.worker {
            Worker::Up => self.in_flight.is_none() && !self.enrolment.is_in_flight(),
            Worker::Gone => false,
        }
    }

    fn take_id(&mut self) -> JobId {
        let id = JobId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        id
    }

    /// Whether the job in flight is older than the worker may take: replace it (and call
    /// [`Verifier::worker_lost`]).
    #[must_use]
    pub fn worker_is_late(&self, now: Moment) -> bool {
        let since = self.in_flight.as_ref().map(|flying| flying.since).or(self.enrolment.since());
        since.is_some_and(|since| now >= since.plus_ms(HASH_MS_MAX))
    }

    /// The verdicts that leave now: all that share a tick, in an order of chance.
    pub fn due(&mut self, now: Moment) -> Vec<Decided> {
        self.give_up_waiting(now);
        let mut leaving: Vec<Decided> =
            self.decided.extract_if(.., |one| one.at <= now).map(|one| one.decided).collect();
        self.chance.shuffle(&mut leaving);
        leaving
    }

    /// When to call [`Verifier::due`] (or look at [`Verifier::worker_is_late`]) next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        let leaves = self.decided.iter().map(|one| one.at).min();
        let since = self.in_flight.as_ref().map(|flying| flying.since).or(self.enrolment.since());
        let late = since.map(|since| since.plus_ms(HASH_MS_MAX));
        let waited = self.queue.iter().map(|waiting| waiting.who.asked.plus_ms(HASH_MS_MAX)).min();
        [leaves, late, waited].into_iter().flatten().min()
    }

    /// The session is over: its attempts need no verdict.
    pub fn forget(&mut self, session: SessionId) {
        self.queue.extract(|waiting| waiting.who.session == session);
        self.decided.retain(|one| one.decided.session != session);
        if let Some(flying) = &mut self.in_flight {
            flying.who = flying.who.filter(|who| who.session != session);
        }
        self.end(session, LoginOutcome::GaveUp);
    }

    /// The throttle is to hear what became of this session's attempt. Returns how much later a refusal leaves.
    fn end(&mut self, session: SessionId, outcome: LoginOutcome) -> u64 {
        let Held { reservation, delay_ms } = self.held.remove(&session).unwrap_or_default();
        self.ended.extend(reservation.map(|reservation| (reservation, outcome)));
        delay_ms
    }

    /// Nobody waits longer for a worker than a worker may take.
    fn give_up_waiting(&mut self, now: Moment) {
        for waiting in self.queue.extract(|waiting| now >= waiting.who.asked.plus_ms(HASH_MS_MAX)) {
            self.decide(now, waiting.who, LoginVerdict::Unavailable(Unavailability::Worker));
        }
    }

    /// Attempts that wait for the worker or that it has.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.queue.iter().count().saturating_add(usize::from(self.in_flight.is_some()))
    }

    /// Sets the time a verdict leaves. Only the one who knows the password is answered at once; every other
    /// answer leaves on the grid, so that it tells neither what was looked up, nor how long the worker took,
    /// nor who else waited.
    fn decide(&mut self, now: Moment, who: Who, verdict: LoginVerdict) {
        self.decide_signed(now, who, verdict, None);
    }

    fn decide_signed(
        &mut self,
        now: Moment,
        who: Who,
        verdict: LoginVerdict,
        signature: Option<ServerSignature>,
    ) {
        let delay_ms = self.end(who.session, outcome_of(verdict));
        let at = match verdict {
            LoginVerdict::Accepted(..) | LoginVerdict::Disabled(_) => now,
            LoginVerdict::Refused(_) | LoginVerdict::Unavailable(_) => {
                let earliest =
                    who.asked.plus_ms(self.tuning.refusal_ms_min.saturating_add(delay_ms)).max(now);
                Moment(earliest.0.checked_next_multiple_of(self.tuning.refusal_tick_ms).unwrap_or(u64::MAX))
            }
        };
        let decided = Decided { session: who.session, ticket: who.ticket, verdict, signature };
        self.decided.push(Leaving { at, decided });
    }

    /// What is hashed where there is nothing to compare with: a salt and a tag that belong to the name, so
    /// that asking twice is the same work twice. Nobody can find a password for the tag.
    fn decoy(&self, login: &[u8]) -> PasswordHash {
        let name = canonical(login);
        let tag = self.derive(b"decoy tag\0", &name);
        let mut salt = self.derive(b"decoy salt\0", &name);
        salt.truncate(ARGON2_SALT_OCTETS);
        let Tuning { memory_kib, passes, .. } = self.tuning;
        PasswordHash { memory_kib, passes, lanes: ARGON2_LANES, salt, tag }
    }

    fn derive(&self, purpose: &[u8], name: &[u8]) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(purpose);
        context.update(name);
        context.sign().as_ref().to_vec()
    }
}

/// What an application password opens.
fn opened_by_app_password(account: &Account, id: CredentialId) -> LoginVerdict {
    match account.state {
        AccountState::Active => LoginVerdict::Accepted(account.id, ProvenBy::AppPassword(id)),
        AccountState::Disabled | AccountState::Suspended => LoginVerdict::Disabled(account.id),
    }
}

/// What the throttle learns of a verdict.
fn outcome_of(verdict: LoginVerdict) -> LoginOutcome {
    match verdict {
        LoginVerdict::Accepted(account, _) => LoginOutcome::Accepted(account),
        LoginVerdict::Refused(_) => LoginOutcome::Refused,
        LoginVerdict::Disabled(_) => LoginOutcome::Disabled,
        LoginVerdict::Unavailable(_) => LoginOutcome::Unavailable,
    }
}

/// A login name in the form under which it would be found; the octets themselves if it is no address.
#[must_use]
pub fn canonical(login: &[u8]) -> Vec<u8> {
    match address(login) {
        Some(address) => address.key().as_str().as_bytes().to_vec(),
        None => login.to_vec(),
    }
}

fn address(octets: &[u8]) -> Option<Address> {
    std::str::from_utf8(octets).ok()?.parse().ok()
}

/// The account that a login name names.
fn account<'d>(directory: &'d Directory, login: &[u8]) -> Option<&'d Account> {
    if login.len() > LOGIN_OCTETS_MAX {
        return None;
    }
    let address = address(login)?;
    match directory.target(&address)? {
        Target::Account(id) => directory.account(id),
        Target::Alias => None,
    }
}

/// Whether an authorization identity names the one who authenticates (RFC 4616 section 2).
fn is_same_identity(login: &[u8], other: &[u8]) -> bool {
    login == other
        || address(login).zip(address(other)).is_some_and(|(login, other)| login.key() == other.key())
}

#[cfg(test)]
mod tests;
