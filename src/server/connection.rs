//! One connection: a wire, a session, and what ties them.
//!
//! Everything in here concerns this connection alone, so the wall of the loop can be drawn around it: if it
//! panics, nothing shared is half changed. What touches others is handed out as [`Deed`]s. `session_side` has
//! what is done for the session, this file what is done for the wire.

mod session_side;

use super::bodies::Body;
use super::desk::{Deed, Desk};
use super::timers::{Deadline, Deadlines};
use super::tls;
use super::wire::{Arrived, Wire};
use crate::contract::{Actions, Answer, Cause, Event, Listener, PeerFacts, Timer};
use crate::journal::{Arena, Sight, Tape};
use crate::limits::{HANDSHAKE_MS_MAX, LINGER_MS};
use crate::smtp::session::Session;
use crate::types::{Enhanced, Moment, Now, Reply};
use mio::net::TcpStream;
use std::sync::Arc;

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The reply to STARTTLS is to be sent, then the handshake begins.
    TlsWanted,
    /// A handshake is under way.
    Handshaking,
    /// The session has the word.
    Talking,
    /// What is queued is sent.
    Closing,
    /// Everything is sent; the peer's end is awaited, so that no reset overtakes the last reply.
    Draining,
    /// To be dropped.
    Gone,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    /// Who it is.
    pub facts: PeerFacts,
    /// What is kept of the message being received.
    pub body: Body,
    /// Its deadlines.
    pub deadlines: Deadlines,
    /// When octets last came.
    pub active: Moment,
    /// Whether it stands on the ready list.
    pub listed: bool,
    wire: Wire,
    session: Session,
    state: State,
    /// So much output waits that the peer is not read.
    blocked: bool,
    /// The session knows that the peer closed.
    told_end: bool,
    /// The session's end was noted.
    noted_end: bool,
    /// The store is about to answer.
    committing: bool,
    /// Whether a message was taken or a login accepted.
    pub(super) fruitful: bool,
    /// What the journal has of it.
    pub(super) tape: Tape,
}

impl Connection {
    /// A connection just accepted. Call [`Connection::open`] next.
    #[must_use]
    pub fn new(
        stream: TcpStream,
        facts: PeerFacts,
        session: Session,
        now: Now,
        journal: Option<Arc<Arena>>,
    ) -> Self {
        Self {
            facts,
            body: Body::default(),
            deadlines: Deadlines::default(),
            active: now.moment,
            listed: false,
            wire: Wire::new(stream),
            session,
            state: State::Talking,
            blocked: false,
            told_end: false,
            noted_end: false,
            committing: false,
            fruitful: false,
            tape: Tape::new(journal, facts, now),
        }
    }

    /// The wire, for the poll.
    pub fn wire_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// Whether it is to be dropped.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.state == State::Gone
    }

    /// Since when it has been idle; `None` if it may not be sent away for a stranger.
    #[must_use]
    pub fn idle_since(&self) -> Option<Moment> {
        match self.state {
            State::Closing | State::Draining | State::Gone => Some(Moment(0)),
            State::TlsWanted | State::Handshaking | State::Talking => {
                (!self.committing && !self.session.is_authenticated()).then_some(self.active)
            }
        }
    }

    /// Whether the session waits for its peer, and has been doing so since before `since`.
    #[must_use]
    pub fn is_silent_since(&self, since: Moment) -> bool {
        self.state == State::Talking
            && self.session.wants_read()
            && !self.session.is_authenticated()
            && self.active <= since
    }

    /// Whether the next piece of work is a flight of a handshake, which costs more than others.
    pub fn has_handshake_work(&mut self) -> bool {
        self.state == State::Handshaking && (self.wire.readable() || self.wire.has_input())
    }

    /// Whether a turn would get anywhere.
    pub fn has_work(&mut self, desk: &Desk<'_>) -> bool {
        if self.wire.writable() && self.wire.has_output() {
            return true;
        }
        match self.state {
            State::TlsWanted => !self.wire.has_output(),
            State::Handshaking => self.wire.readable() || self.wire.has_input(),
            State::Talking => {
                self.may_take(desk)
                    && (self.wire.readable()
                        || self.wire.has_input()
                        || (self.wire.ended() && !self.told_end))
            }
            State::Closing => !self.wire.has_output(),
            State::Draining => self.wire.readable(),
            State::Gone => false,
        }
    }

    /// Whether the session would take octets of its peer now, and may.
    fn may_take(&self, desk: &Desk<'_>) -> bool {
        self.state == State::Talking
            && !self.blocked
            && self.session.wants_read()
            && !self.body.must_wait(desk.spools_are_behind)
    }

    /// Begins: a handshake, or the greeting.
    pub fn open(&mut self, desk: &Desk<'_>, deeds: &mut Vec<Deed>) {
        match self.facts.listener {
            Listener::Smtp | Listener::Submission => {
                self.step(Event::Opened, desk, deeds);
            }
            Listener::Submissions => self.begin_handshake(desk, deeds),
        }
        self.push_out(desk, deeds);
    }

    /// Does what can be done now, within the budget of a turn: at most one read of `scratch`'s size.
    pub fn work(&mut self, desk: &Desk<'_>, scratch: &mut [u8], deeds: &mut Vec<Deed>) {
        self.push_out(desk, deeds);
        match self.state {
            State::Talking | State::Handshaking => {
                self.take_in(desk, scratch, deeds);
                self.push_out(desk, deeds);
            }
            State::TlsWanted | State::Closing | State::Gone => {}
            State::Draining => self.drain(scratch),
        }
    }

    /// Gives the session an event that is not octets, and sends what it says.
    pub fn tell(&mut self, event: Event<'_>, desk: &Desk<'_>, deeds: &mut Vec<Deed>) {
        if let Event::Answered(_, Answer::Commit(_)) = &event {
            self.committing = false;
        }
        if self.state == State::Talking {
            self.step(event, desk, deeds);
            self.push_out(desk, deeds);
        }
    }

    /// A deadline passed.
    pub fn late(&mut self, which: Deadline, desk: &Desk<'_>, deeds: &mut Vec<Deed>) {
        match which {
            Deadline::Session(timer) => self.tell(Event::Due(timer), desk, deeds),
            Deadline::Handshake => self.end(Cause::TlsFailed, desk, deeds),
            Deadline::Linger => self.state = State::Gone,
        }
    }

    /// The server is leaving: idle sessions say 421, transactions go on.
    pub fn stop(&mut self, desk: &Desk<'_>, deeds: &mut Vec<Deed>) {
        match self.state {
            State::TlsWanted | State::Handshaking => self.end(Cause::Stopping, desk, deeds),
            State::Talking => self.tell(Event::Stopping, desk, deeds),
            State::Closing | State::Draining | State::Gone => {}
        }
    }

    /// Sends the peer away with 421 where it can hear that, and drops the connection at once.
    pub fn turn_out(&mut self, cause: Cause, desk: &Desk<'_>, deeds: &mut Vec<Deed>) {
        if self.state == State::Talking {
            self.tape.gone(&desk.sight(), cause);
            let mut actions = Actions::new();
            self.session.end(desk.now, cause, &mut actions);
            self.carry_out(actions, desk, deeds);
            // It is gone either way.
            let _ = self.wire.flush();
        }
        self.end(cause, desk, deeds);
        self.state = State::Gone;
    }

    /// What remains to be done after a panic was caught in here: say so, if that is still possible.
    pub fn apologize(&mut self) {
        Reply::new(421, Enhanced(4, 3, 0), "Local error, closing the connection")
            .encode(self.wire.output_mut());
        self.wire.say_goodbye();
        let _ = self.wire.flush();
        let _ = self.wire.shut();
    }

    /// Marks it to be dropped after a panic was caught in here.
    pub fn give_up(&mut self, sight: &Sight<'_>) {
        self.tape.gone(sight, Cause::Fault);
        self.state = State::Gone;
    }

    /// Whether its end was noted already.
    #[must_use]
    pub fn end_is_noted(&self) -> bool {
        self.noted_end
    }

    // ---- Input ----

    fn take_in(&mut self, desk: &Desk<'_>, scratch: &mut [u8], deeds: &mut Vec<Deed>) {
        let kept = self.wire.take_inbox();
        if kept.is_empty() {
            match self.read_if_wanted(desk, scratch) {
                Ok(count) => {
                    let octets = scratch.get(..count).unwrap_or_default();
                    self.digest(octets, desk, deeds);
                }
                Err(_) => return self.end(Cause::Broken, desk, deeds),
            }
        } else {
            self.digest(&kept, desk, deeds);
        }
        self.see_end(desk, deeds);
    }

    fn read_if_wanted(&mut self, desk: &Desk<'_>, scratch: &mut [u8]) -> std::io::Result<usize> {
        let wanted = self.state == State::Handshaking || self.may_take(desk);
        if !wanted || self.wire.has_input() {
            return Ok(0);
        }
        Ok(match self.wire.read(scratch)? {
            Arrived::Octets(count) => {
                self.active = desk.now.moment;
                count
            }
            Arrived::Nothing | Arrived::End => 0,
        })
    }

    /// Uses what can be used of the octets of the socket, and keeps the rest.
    fn digest(&mut self, octets: &[u8], desk: &Desk<'_>, deeds: &mut Vec<Deed>) {
        let mut rest = octets;
        while let Some(used) = self.digest_some(rest, desk, deeds) {
            rest = rest.get(used..).unwrap_or_default();
            self.mind_output(desk, deeds);
        }
        match self.state {
            State::TlsWanted | State::Handshaking | State::Talking => {
                if !rest.is_empty() {
                    self.wire.keep_inbox(rest);
                }
            }
            // Nobody will ever want them.
            State::Closing | State::Draining | State::Gone => {}
        }
    }

    /// One step of the above; `None` when nothing more can be used.
    fn digest_some(&mut self, rest: &[u8], desk: &Desk<'_>, deeds: &mut Vec<Deed>) -> Option<usize> {
        if self.state == State::Handshaking {
            return (!rest.is_empty()).then(|| self.shake(rest, desk, deeds));
        }
        if !self.may_take(desk) {
            return None;
        }
        if self.wire.tls().is_some() {
            return self
                .take_decrypted(desk, deeds)
                .or_else(|| (!rest.is_empty()).then(|| self.decrypt(rest, desk, deeds)));
        }
        if rest.is_empty() {
            return None;
        }
        let taken = self.step(Event::Bytes(rest), desk, deeds);
        self.check_progress(taken, desk, deeds);
        Some(taken)
    }

    /// Offers decrypted octets; these are none of the octets of the socket, so it answers zero.
    fn take_decrypted(&mut self, desk: &Desk<'_>, deeds: &mut Vec<Deed>) -> Option<usize> {
        let mut actions = Actions::new();
        let (session, tape) = (&mut self.session, &mut self.tape);
        let taken = self
            .wire
            .with_plaintext(|octets| session_side::offer(session, tape, octets, desk, &mut actions))?;
        self.carry_out(actions, desk, deeds);
        self.check_progress(taken, desk, deeds);
        Some(0)
    }

    /// A session that wants octets and takes none would be offered them for ever.
    fn check_progress(&mut self, taken: usize, desk: &Desk<'_>, deeds: &mut Vec<Deed>) {
        if taken == 0 && self.may_take(desk) {
            self.end(Cause::Fault, desk, deeds);
        }
    }

    fn decrypt(&mut self, rest: &[u8], desk: &Desk<'_>, deeds: &mut Vec<Deed>) -> usize {
        match self.wire.decrypt(rest) {
            Ok(used) => used,
            Err(_) => {
                self.end(Cause::TlsFailed, desk, deeds);
                rest.len()
            }
        }
    }

    /// More output than a peer may let wait is first offered to the socket, then stops the reading.
    fn mind_output(&mut self, desk: &Desk<'_>, deeds: &mut Vec<Deed>) {
        if self.wire.is_high() {
            match self.wire.flush() {
                Ok(()) => self.blocked = self.wire.is_high(),
                Err(_) => self.end(Cause::Broken, desk, deeds),
            }
        }
    }

    /// Tells the session that its peer closed, once everything the peer sent was taken.
    fn see_end(&mut self, desk: &Desk<'_>, deeds: &mut Vec<Deed>) {
        if !self.wire.ended() {
            return;
        }
        match self.state {
            State::Handshaking => self.end(Cause::TlsFailed, desk, deeds),
            State::Talking if self.may_take(desk) && !self.wire.has_input() && !self.told_end => {
                self.told_end = true;
                self.step(Event::PeerClosed, desk, deeds);
            }
            State::Talking | State::TlsWanted | State::Closing | State::Draining | State::Gone => {}
        }
    }

    // ---- TLS ----

    fn begin_handshake(&mut self, desk: &Desk<'_>, deeds: &mut Vec<Deed>) {
        match desk.tls.map(|shared| self.wire.begin_tls(shared)) {
            Some(Ok(())) => {
                self.state = State::Handshaking;
                let deadline = desk.now.moment.plus_ms(HANDSHAKE_MS_MAX);
                self.deadlines.arm(Deadline::Handshake, Some(deadline));
            }
            Some(Err(_)) | None => self.end(Cause::TlsFailed, desk, deeds),
        }
    }

    fn shake(&mut self, rest: &[u8], desk: &Desk<'_>, deeds: &mut Vec<Deed>) -> usize {
        let used = self.decrypt(rest, desk, deeds);
        if self.state == State::Handshaking && !self.wire.is_handshaking() {
            self.state = State::Talking;
            self.deadlines.arm(Deadline::Handshake, None);
            if let Some((tls, shared)) = self.wire.tls().zip(desk.tls) {
                let facts = tls::facts(tls, shared);
                self.step(Event::TlsUp(facts), desk, deeds);
            }
            if self.facts.listener == Listener::Submissions {
                self.step(Event::Opened, desk, deeds);
            }
        }
        used
    }

    // ---- The end ----

    fn begin_close(&mut self, now: Now) {
        self.state = State::Closing;
        for timer in Timer::ALL {
            self.deadlines.arm(Deadline::Session(timer), None);
        }
        self.deadlines.arm(Deadline::Handshake, None);
        self.deadlines.arm(Deadline::Linger, Some(now.moment.plus_ms(LINGER_MS)));
        self.wire.say_goodbye();
    }

    /// The connection ends for a reason the session cannot know, without another word.
    fn end(&mut self, cause: Cause, desk: &Desk<'_>, deeds: &mut Vec<Deed>) {
        self.tape.gone(&desk.sight(), cause);
        self.note(self.session.closed_note(cause), deeds);
        if cause == Cause::TlsFailed {
            // The alert that says why is still to be sent.
            self.begin_close(desk.now);
        } else {
            self.state = State::Gone;
        }
    }

    // ---- Output ----

    /// Sends what can be sent, and does what waited for that.
    fn push_out(&mut self, desk: &Desk<'_>, deeds: &mut Vec<Deed>) {
        if self.state == State::Gone {
            return;
        }
        if self.wire.has_output() && self.wire.flush().is_err() {
            return self.end(Cause::Broken, desk, deeds);
        }
        if self.blocked && self.wire.is_low() {
            self.blocked = false;
        } else if self.wire.is_high() {
            self.blocked = true;
        }
        if self.wire.has_output() {
            return;
        }
        match self.state {
            State::TlsWanted => self.begin_handshake(desk, deeds),
            State::Closing if self.wire.ended() || self.wire.shut().is_err() => self.state = State::Gone,
            State::Closing => self.state = State::Draining,
            State::Handshaking | State::Talking | State::Draining | State::Gone => {}
        }
    }

    fn drain(&mut self, scratch: &mut [u8]) {
        match self.wire.read(scratch) {
            Ok(Arrived::Octets(_) | Arrived::Nothing) => {}
            Ok(Arrived::End) | Err(_) => self.state = State::Gone,
        }
    }
}

#[cfg(test)]
mod tests;
