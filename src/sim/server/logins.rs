//! Logins: asked, decided, remembered, as `server/` does it with the same verifier and throttle.

use super::entrance::number_of;
use super::*;
use crate::auth::verdict::ProvenBy;
use crate::auth::verifier::Enrolled;
use crate::directory::Change;
use crate::sim::keeper::Record;
use crate::sim::promises::LOGIN_MS_MAX;
use crate::telemetry::note::Note;
use crate::telemetry::probing::mail_offence;
use crate::types::{Prefix, Secret};

impl Server {
    pub(super) fn ask_login(
        &mut self,
        conn: &mut Conn,
        ticket: Ticket,
        (login, password, authorize_as): (Vec<u8>, Secret, Option<Vec<u8>>),
        desk: &mut Desk,
    ) {
        self.note_worth(conn, (&login, password.reveal()), authorize_as.is_none(), false, desk);
        if desk.has(PlantedBug::RecordsPassword) {
            self.typed = password.reveal().to_vec();
        }
        let session = conn.facts.session;
        let source = conn.facts.address;
        let attempt = Attempt { session, ticket, source, login, password, authorize_as };
        let (verifier, directory) = (&mut self.verifier, self.directory.as_ref());
        self.gate.logins(conn.facts.address, desk, |throttle, desk| {
            verifier.submit_through(desk.now, throttle, directory, attempt);
        });
    }

    pub(super) fn ask_proof(
        &mut self,
        conn: &mut Conn,
        ticket: Ticket,
        proof: Box<crate::auth::scram::ScramProof>,
        desk: &mut Desk,
    ) {
        if let Some(who) = desk.proofs.get(&conn.number).cloned() {
            let worth = (who.login.as_bytes(), who.password.as_bytes());
            self.note_worth(conn, worth, proof.authorize_as.is_none(), true, desk);
        }
        let (session, source) = (conn.facts.session, conn.facts.address);
        let attempt = ProofAttempt { session, ticket, source, proof };
        let (verifier, directory) = (&mut self.verifier, self.directory.as_ref());
        self.gate.logins(source, desk, |throttle, desk| {
            verifier.submit_proof_through(desk.now, throttle, directory, &attempt);
        });
    }

    /// Writes down what the owners were promised about this login.
    fn note_worth(
        &self,
        conn: &mut Conn,
        (login, password): (&[u8], &[u8]),
        is_own: bool,
        is_scram: bool,
        desk: &mut Desk,
    ) {
        let (now, source) = (desk.now.moment, conn.facts.address);
        let told = desk.town.truth(login, password, now, now);
        let is_denied = self.config.rules.deny.contains(&Prefix::host(source));
        let excused = self.directory.is_none() || self.is_crowded(conn);
        let by_app = told.app && !told.main && !is_scram && self.directory.is_some();
        let by_place = desk.promises.gets_in(login, source) && !is_denied;
        if let Some(open) = &mut conn.open {
            open.excused = excused;
            open.promised = is_own && told.is_right() && (by_app || by_place);
        }
        desk.promises.guessed(login, source);
    }

    /// Whether so many logins wait that one more may be turned away.
    fn is_crowded(&self, conn: &Conn) -> bool {
        let waits = |other: &&Conn| other.open.as_ref().is_some_and(|open| open.is_login);
        let waiting = self.conns.values().map(Box::as_ref).filter(waits);
        let net = Prefix::net(conn.facts.address);
        let near = waiting.clone().filter(|other| Prefix::net(other.facts.address) == net);
        near.count() >= HASH_QUEUE_PER_PREFIX_MAX || waiting.count() >= HASH_QUEUE_OTHERS_MAX
    }

    pub(super) fn decided(&mut self, decided: Decided, disk: &Disk, desk: &mut Desk) {
        let Decided { session, ticket, mut verdict, mut signature } = decided;
        let number = number_of(session);
        if desk.has(PlantedBug::AliasIsAnError) && verdict == LoginVerdict::Refused(Refusal::Alias) {
            verdict = LoginVerdict::Unavailable(Unavailability::Directory);
        }
        if desk.has(PlantedBug::ThrottledIsRefused)
            && matches!(verdict, LoginVerdict::Unavailable(Unavailability::Throttled(_)))
        {
            verdict = LoginVerdict::Refused(Refusal::WrongPassword);
        }
        if let Some(signature) = signature.as_mut().filter(|_| desk.has(PlantedBug::SignsWithNothing)) {
            signature.0 = [0; 32];
        }
        if let Some(open) = self.conns.get(&number).and_then(|conn| conn.open.as_ref()) {
            judge_verdict(open, verdict, desk);
        }
        let answer = match signature {
            None => Answer::Login(verdict),
            Some(signature) => Answer::Proof(verdict, signature),
        };
        self.answer(number, ticket, answer, disk, desk);
    }

    /// What the verifier does by itself in a turn.
    pub(super) fn check_passwords(&mut self, disk: &Disk, desk: &mut Desk) {
        let due = self.verifier.due(desk.now.moment);
        due.into_iter().for_each(|decided| self.decided(decided, disk, desk));
        let now = desk.now;
        self.verifier.settle(now, &mut self.gate.throttle);
        if desk.has(PlantedBug::ForgetsSuccesses) {
            for login in ["ada", "ben", "gus"] {
                self.gate.throttle.forget_login(format!("{login}@home.example").as_bytes());
            }
        }
        if let Some(directory) = &self.directory {
            self.verifier.enrol(now.moment, directory);
        }
    }

    pub(super) fn give_worker_its_job(&mut self, desk: &mut Desk) {
        if let Some(job) = self.verifier.next_job(desk.now.moment) {
            self.hasher.take(self.epoch, &job, desk);
        } else if let Some(job) = self.verifier.next_derivation(desk.now.moment) {
            self.hasher.derive(self.epoch, &job, desk);
        }
    }

    pub(super) fn keep_scram_keys(&mut self, enrolled: Enrolled, desk: &mut Desk) {
        let Enrolled { account: id, entry } = enrolled;
        let Some(directory) = &mut self.directory else { return };
        let Some(account) = directory.account(id) else { return };
        let mut record = directory.scram(id).cloned().unwrap_or_default();
        record.put(entry);
        let change = Change::PutScram(id, record.pruned(account));
        directory.apply(&change);
        self.publish(desk);
        self.keeper.push_record(Record::Keys(change));
    }

    /// Hears what a session noted: who logged in, who brought mail, and what the mail book has to know.
    pub(super) fn hear_notes(&mut self, conn: &mut Conn, disk: &Disk, desk: &mut Desk) {
        for note in std::mem::take(&mut conn.notes) {
            match &note {
                Note::Login { login, verdict: LoginVerdict::Accepted(account, by), .. } => {
                    conn.fruitful = true;
                    conn.beside_since = None;
                    self.gate.side_door.leave(conn.facts.session);
                    self.remember_login(conn.facts.address, login.as_bytes(), *account, *by, desk);
                }
                Note::Accepted { deliveries, .. } => {
                    conn.fruitful = true;
                    if conn.facts.listener == Listener::Smtp {
                        let recipients = u64::try_from(*deliveries).unwrap_or(u64::MAX);
                        let source = conn.facts.address;
                        self.gate.mail(source, desk, |throttle, desk| {
                            throttle.mail_accepted(desk.now, source, recipients);
                        });
                    }
                }
                Note::Login { .. }
                | Note::MessageRefused { .. }
                | Note::RecipientRefused { .. }
                | Note::Offence(_)
                | Note::Verify
                | Note::EarlyTalk
                | Note::Encrypted
                | Note::TurnedAway { .. }
                | Note::Closed { .. } => {}
            }
            if conn.facts.listener == Listener::Smtp
                && let Some(offence) = mail_offence(&note)
            {
                let source = conn.facts.address;
                self.gate.mail(source, desk, |throttle, desk| {
                    throttle.mail_offence(desk.now, source, offence);
                });
                let pace = self.gate.throttle.pace(desk.now, source);
                if pace != Pace::NEUTRAL {
                    desk.fault(Fault::Slowed);
                }
                if !conn.is_over() {
                    let stepped = conn.pace(pace.of_session(), desk);
                    self.carry(conn, stepped, disk, desk);
                }
            }
        }
    }

    fn remember_login(
        &mut self,
        source: IpAddr,
        login: &[u8],
        account: AccountId,
        by: ProvenBy,
        desk: &mut Desk,
    ) {
        desk.promises.succeeded(login, source, desk.now.unix);
        let Some(directory) = &mut self.directory else { return };
        let mut history = directory.history(account).cloned().unwrap_or_default();
        if !history.learn(desk.now.unix, source, by.app_password()).is_changed {
            return;
        }
        let change = Change::PutHistory(account, history);
        directory.apply(&change);
        self.publish(desk);
        self.keeper.push_record(Record::Place(login.to_vec(), Prefix::net(source), change));
    }
}

/// When a verdict leaves, and whether this one may.
fn judge_verdict(open: &super::super::conn::Open, verdict: LoginVerdict, desk: &mut Desk) {
    let now = desk.now.moment;
    let waited = now.since_ms(open.asked);
    let is_throttled = matches!(verdict, LoginVerdict::Unavailable(Unavailability::Throttled(_)));
    match verdict {
        LoginVerdict::Accepted(..) | LoginVerdict::Disabled(_) => {}
        LoginVerdict::Refused(_) | LoginVerdict::Unavailable(_) => {
            let on_grid = now.0.is_multiple_of(REFUSAL_TICK_MS) && waited >= REFUSAL_MS_MIN;
            desk.check(Law::EqualRefusals, on_grid, || format!("{verdict:?} left after {waited} ms"));
        }
    }
    if matches!(verdict, LoginVerdict::Unavailable(_)) && !is_throttled {
        let excused = open.excused || waited >= HASH_MS_MAX;
        desk.check(Law::EqualRefusals, excused, || format!("{verdict:?}, and nothing was missing"));
    }
    if is_throttled {
        desk.fault(Fault::Throttled);
    }
    if open.promised {
        desk.check(Law::OwnersGetIn, !is_throttled, || format!("an owner was told {verdict:?}"));
    }
    desk.check(Law::OwnersGetIn, waited <= LOGIN_MS_MAX, || format!("{verdict:?} took {waited} ms"));
}
