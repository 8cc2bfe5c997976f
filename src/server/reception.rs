//! What the loop does for its connections: gives them their turns, carries out their deeds, brings them
//! answers, and lets them go. [`super::entrance`] lets them in.

use super::bodies::Body;
use super::connection::Connection;
use super::desk::Deed;
use super::store_thread::{CommitKey, FromStore, SpoolKey, ToStore};
use super::timers::Deadline;
use super::turn::Loop;
use crate::auth::report::{self, names};
use crate::auth::verdict::LoginVerdict;
use crate::auth::verifier::{Attempt, Decided, ProofAttempt};
use crate::contract::{Answer, Cause, CommitAnswer, Event, Listener, PeerFacts, Ticket, Timer};
use crate::journal::Sight;
use crate::limits::{HANDSHAKES_PER_HOST_AND_TURN, HANDSHAKES_PER_TURN, IDLE_CROWDED_MS};
use crate::smtp::outcome::MessageRefusal;
use crate::telemetry::line::Line;
use crate::telemetry::note::{Note, Noted};
use crate::telemetry::probing::mail_offence;
use crate::types::{Moment, Prefix, SessionId};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Handshake flights of one turn.
#[derive(Debug, Default)]
struct HandshakeBudget {
    all: usize,
    by_host: BTreeMap<Prefix, usize>,
}

impl HandshakeBudget {
    fn take(&mut self, address: IpAddr) -> bool {
        let of_host = self.by_host.entry(Prefix::host(address)).or_default();
        if self.all >= HANDSHAKES_PER_TURN || *of_host >= HANDSHAKES_PER_HOST_AND_TURN {
            return false;
        }
        self.all = self.all.saturating_add(1);
        *of_host = of_host.saturating_add(1);
        true
    }
}

impl Loop {
    /// Counts and logs an event of a session, and keeps logins for the report.
    pub(super) fn note(&mut self, peer: PeerFacts, note: Note) {
        let now = self.now;
        if let Note::Login { mechanism, login, verdict } = &note {
            let name = names::kept(Some(&self.directory), login);
            let PeerFacts { session, address: source, .. } = peer;
            self.ledger.login(now, report::Attempt { source, session, mechanism, name, verdict: *verdict });
            self.remember_login(peer, mechanism, *verdict);
            match verdict {
                LoginVerdict::Accepted(..) => {
                    self.side_door.leave(session);
                    self.has_borne_fruit(session);
                }
                LoginVerdict::Refused(_) | LoginVerdict::Disabled(_) | LoginVerdict::Unavailable(_) => {}
            }
        }
        if matches!(note, Note::Accepted { .. }) {
            self.has_borne_fruit(peer.session);
        }
        // What a dry run would have turned away was let through.
        if let Note::TurnedAway { rule, enforced: true } = &note {
            self.ledger.turned_away(now, peer.address, rule.name());
        }
        if let Note::MessageRefused { reason, .. } = &note
            && *reason == MessageRefusal::DiskFull.name()
        {
            self.tell_disk_full();
        }
        let app_password = self.name_of_app_password(&note);
        self.recorder.note(now, &Noted { peer, note, app_password });
    }

    fn has_borne_fruit(&mut self, session: SessionId) {
        let key = self.by_session.get(&session);
        if let Some(connection) = key.and_then(|key| self.connections.get_mut(*key)) {
            connection.fruitful = true;
        }
    }

    /// A message found no room on the disk. What each of them costs is the peers' budget; that it is so is the
    /// administrator's line.
    fn tell_disk_full(&mut self) {
        let free = self.room().free_octets;
        if let Some((level, line)) = self.disk.refused(self.now.moment, free) {
            self.recorder.operation(self.now, level, line);
        }
    }

    /// Says once that there is room again.
    pub(super) fn look_at_disk(&mut self) {
        let room = self.room();
        let most = self.config.message_octets_max;
        let needed = room.reserve_octets.saturating_add(most);
        if let Some((level, line)) = self.disk.look(self.now.moment, room.free_octets, needed) {
            self.recorder.operation(self.now, level, line);
        }
    }

    // ---- Turns ----

    /// Gives every connection on the ready list one turn. What is not finished goes to its end.
    pub(super) fn work_some(&mut self) {
        let mut handshakes = HandshakeBudget::default();
        for _ in 0..self.ready.len() {
            let Some(key) = self.ready.pop_front() else { return };
            let Some(connection) = self.connections.get_mut(key) else { continue };
            if connection.has_handshake_work() && !handshakes.take(connection.facts.address) {
                self.ready.push_back(key);
                continue;
            }
            connection.listed = false;
            self.with(key, |connection, desk, scratch, deeds| connection.work(desk, scratch, deeds));
        }
    }

    fn list(&mut self, key: usize) {
        if let Some(connection) = self.connections.get_mut(key)
            && !std::mem::replace(&mut connection.listed, true)
        {
            self.ready.push_back(key);
        }
    }

    /// Puts a connection on the ready list if a turn would get it anywhere.
    pub(super) fn list_if_useful(&mut self, key: usize) {
        self.with(key, |_, _, _, _| {});
    }

    /// Fires the deadlines that have passed.
    pub(super) fn fire_timers(&mut self) {
        let now = self.now.moment;
        while let Some(key) = self.timers.due(now) {
            while let Some(which) =
                self.connections.get_mut(key).and_then(|connection| connection.deadlines.take_due(now))
            {
                self.with(key, |connection, desk, _, deeds| connection.late(which, desk, deeds));
            }
            match self.connections.get_mut(key) {
                Some(connection) => self.timers.looked(key, &mut connection.deadlines),
                None => self.timers.drop_first(),
            }
        }
    }

    /// While places are scarce, silence is borne for a shorter time.
    pub(super) fn send_silent_away(&mut self) {
        if !self.admission.is_crowded() {
            return;
        }
        let Some(since) = self.now.moment.0.checked_sub(IDLE_CROWDED_MS).map(Moment) else { return };
        let silent: Vec<usize> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.is_silent_since(since))
            .map(|(key, _)| key)
            .collect();
        for key in silent {
            self.with(key, |connection, desk, _, deeds| {
                connection.late(Deadline::Session(Timer::Idle), desk, deeds);
            });
        }
    }

    // ---- Deeds ----

    /// Carries out what a connection wants of others, then sees what becomes of it. `more`: it has work.
    pub(super) fn settle(&mut self, key: usize, deeds: Vec<Deed>, more: bool) {
        for deed in deeds {
            self.carry_out(key, deed);
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.is_gone() {
            return self.remove(key);
        }
        self.timers.follow(key, &mut connection.deadlines);
        if more {
            self.list(key);
        }
    }

    fn carry_out(&mut self, key: usize, deed: Deed) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let facts = connection.facts;
        let now = self.now.moment;
        let mut requests = Vec::new();
        match deed {
            Deed::Note(note) => return self.note_of_session(facts, note),
            Deed::Keep(octets) => {
                self.bodies.keep(facts.session, &mut connection.body, octets, &mut requests);
            }
            Deed::Forget => self.bodies.forget(&mut connection.body, &mut requests),
            Deed::Commit(ticket, commit) => {
                let body = self.bodies.take(facts.session, &mut connection.body, &mut requests);
                self.send_all(requests);
                if self.store_is_down {
                    self.bodies.release(body.1);
                    return self.answer_commit(facts.session, ticket, CommitAnswer::Failed);
                }
                return self.store.commit(now, facts.session, ticket, commit, body);
            }
            Deed::Login { ticket, login, password, authorize_as } => {
                let attempt = Attempt {
                    session: facts.session,
                    ticket,
                    source: facts.address,
                    login,
                    password,
                    authorize_as,
                };
                let Self { verifier, throttle, directory, .. } = self;
                let would_refuse = verifier.submit_through(self.now, throttle, Some(directory), attempt);
                self.tell_would_refuse(facts, would_refuse);
                self.give_worker_its_job();
            }
            Deed::Proof(ticket, proof) => {
                let attempt = ProofAttempt { session: facts.session, ticket, source: facts.address, proof };
                let Self { verifier, throttle, directory, .. } = self;
                let would_refuse =
                    verifier.submit_proof_through(self.now, throttle, Some(directory), &attempt);
                self.tell_would_refuse(facts, would_refuse);
            }
        }
        self.send_all(requests);
    }

    /// Counts and logs, and lets the mail book of the throttle see what was done on port 25.
    fn note_of_session(&mut self, peer: PeerFacts, note: Note) {
        if peer.listener == Listener::Smtp {
            if let Note::Accepted { deliveries, .. } = &note {
                let recipients = u64::try_from(*deliveries).unwrap_or(u64::MAX);
                self.throttle.mail_accepted(self.now, peer.address, recipients);
            }
            if let Some(offence) = mail_offence(&note) {
                self.throttle.mail_offence(self.now, peer.address, offence);
                let pace = self.throttle.pace(self.now, peer.address).of_session();
                self.note(peer, note);
                // What the session does with it is nothing but to be slower.
                if let Some(key) = self.by_session.get(&peer.session) {
                    self.with(*key, |connection, desk, _, deeds| {
                        connection.tell(Event::Paced(pace), desk, deeds);
                    });
                }
                return;
            }
        }
        self.note(peer, note);
    }

    fn send_all(&mut self, requests: Vec<ToStore>) {
        for request in requests {
            self.store.send(self.now.moment, request);
        }
    }

    /// A panic was caught in the work of this connection. It hears 421 if that still works.
    pub(super) fn caught(&mut self, key: usize, deeds: Vec<Deed>) {
        let Some(facts) = self.connections.get(key).map(|connection| connection.facts) else { return };
        // What happened before the panic did happen; what it asked of others is dropped with it.
        for deed in deeds {
            match deed {
                Deed::Note(note) => self.note(facts, note),
                Deed::Keep(_) | Deed::Forget | Deed::Commit(..) | Deed::Login { .. } | Deed::Proof(..) => {}
            }
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        let apology = std::panic::AssertUnwindSafe(|| connection.apologize());
        if std::panic::catch_unwind(apology).is_err() {
            let line = Line::new("apology-failed").field("session", facts.session);
            self.recorder.trouble(self.now, log::Level::Error, line);
        }
        let sight =
            Sight { now: self.now.moment, directory: Some(&self.directory), settings: &self.settings };
        connection.give_up(&sight);
        let note = Note::Closed { cause: Cause::Fault, errors: 0, offence: "" };
        self.note(facts, note);
        self.remove(key);
    }

    fn remove(&mut self, key: usize) {
        let Some(mut connection) = self.connections.try_remove(key) else { return };
        let PeerFacts { session, address, .. } = connection.facts;
        self.timers.forget(key, &mut connection.deadlines);
        self.admission.leave(session, address);
        self.by_session.remove(&session);
        self.side_door.leave(session);
        let recording = connection.tape.finish(self.now.moment, self.recordings.wanted);
        let others = self.admission.connections_of_host(address) > 0;
        self.recordings.ended(self.now.moment, address, recording, others);
        if !connection.fruitful {
            self.throttle.fruitless_visit(self.now, address);
        }
        self.verifier.forget(session);
        let mut requests = Vec::new();
        self.bodies.forget(&mut connection.body, &mut requests);
        self.send_all(requests);
    }

    // ---- Answers ----

    /// Brings the store's answers to those who wait for them.
    pub(super) fn take_answers(&mut self) {
        let were_behind = self.bodies.are_behind();
        while let Some(answer) = self.store.next_answer() {
            match answer {
                FromStore::Committed(key, answer) => self.committed(key, answer),
                FromStore::Spooled(session, key, octets) => self.spooled(session, key, octets),
                FromStore::Changed(result) => {
                    self.with_control(|control, office| control.changed(result, office));
                }
                FromStore::Reported(Ok(())) => {}
                FromStore::Reported(Err(error)) => {
                    let line = Line::new("report-not-kept").text("reason", &error.to_string());
                    self.recorder.operation(self.now, log::Level::Warn, line);
                }
                FromStore::ThrottleKept(Ok(())) => {}
                FromStore::ThrottleKept(Err(error)) => {
                    self.throttle.save_again();
                    let line = Line::new("throttle-not-kept").text("reason", &error.to_string());
                    self.recorder.operation(self.now, log::Level::Warn, line);
                }
                FromStore::Remembered(Ok(())) => {}
                FromStore::Remembered(Err(error)) => {
                    let line = Line::new("login-not-remembered").text("reason", &error.to_string());
                    self.recorder.operation(self.now, log::Level::Warn, line);
                }
                FromStore::Listed(ask, rows) => {
                    self.with_control(|control, office| control.listed(ask, rows, office));
                }
                FromStore::Message(ask, found) => {
                    self.with_control(|control, office| control.found(ask, found, office));
                }
                FromStore::Slice(ask, slice) => {
                    self.with_control(|control, office| control.slice(ask, slice, office));
                }
                FromStore::Verified(ask, page) => {
                    self.with_control(|control, office| control.verified(ask, *page, office));
                }
                FromStore::Failed(why) => {
                    if !self.store_is_down {
                        self.store_failed(&why);
                    }
                }
            }
        }
        if were_behind && !self.bodies.are_behind() {
            self.wake_spooling();
        }
    }

    fn committed(&mut self, key: CommitKey, answer: CommitAnswer) {
        if let Some(found) = self.store.settle(key) {
            self.bodies.release(found.memory_octets);
            self.tell_lost_notice(found.session, answer);
            self.answer_commit(found.session, found.ticket, answer);
        }
    }

    /// Nobody will hear of these commits any more but this.
    pub(super) fn fail_commits(&mut self) {
        for found in self.store.settle_all() {
            self.bodies.release(found.memory_octets);
            self.answer_commit(found.session, found.ticket, CommitAnswer::Failed);
        }
    }

    fn answer_commit(&mut self, session: SessionId, ticket: Ticket, answer: CommitAnswer) {
        self.tell(session, ticket, Answer::Commit(answer));
    }

    pub(super) fn bring_verdict(&mut self, decided: &Decided) {
        let answer = match decided.signature {
            None => Answer::Login(decided.verdict),
            Some(signature) => Answer::Proof(decided.verdict, signature),
        };
        self.tell(decided.session, decided.ticket, answer);
    }

    fn tell(&mut self, session: SessionId, ticket: Ticket, answer: Answer) {
        if let Some(key) = self.by_session.get(&session) {
            self.with(*key, |connection, desk, _, deeds| {
                connection.tell(Event::Answered(ticket, answer), desk, deeds);
            });
        }
    }

    fn spooled(&mut self, session: SessionId, spool: SpoolKey, octets: usize) {
        let key = self.by_session.get(&session).copied();
        let body = key.and_then(|key| self.connections.get_mut(key)).map(|connection| &mut connection.body);
        self.bodies.written(spool, octets, body);
        if let Some(key) = key {
            self.list_if_useful(key);
        }
    }

    /// All bodies together are no longer behind: whoever waited for that goes on.
    fn wake_spooling(&mut self) {
        let spooling = |connection: &Connection| matches!(connection.body, Body::Spooled(_));
        let waiting = self.connections.iter().filter(|(_, connection)| spooling(connection));
        for key in waiting.map(|(key, _)| key).collect::<Vec<_>>() {
            self.list_if_useful(key);
        }
    }
}
