//! The receiving session: events in, actions out (see `contract`).
//!
//! What a session waits for is a [`Phase`], a value that owns what belongs to it: leaving a phase drops
//! sender, recipients and half a message together, and no reset can be forgotten. While a phase is worked on,
//! `Over` stands in its place, so a forgotten case would close the session, not go on with it.

mod body;
mod commands;
mod core;
mod login;
mod phase;
mod transaction;

use self::core::{Core, Ctx, Held};
use self::phase::Phase;
use crate::contract::{Actions, Answer, Cause, Event, Pace, PeerFacts, Ticket, Timer};
use crate::frame::line::LineCutter;
use crate::limits;
use crate::telemetry::note::Note;
use crate::types::{Chance, Domain, Now, ScramUse};
use std::sync::Arc;

/// What every session of a server shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The name this server greets with.
    pub hostname: Domain,
    /// Octets of the largest message.
    pub message_octets_max: u64,
    /// Whether there is a certificate, so that STARTTLS can be offered.
    pub tls_available: bool,
    /// Whose logins SCRAM is for.
    pub scram: ScramUse,
    /// Milliseconds of silence after which a session is closed.
    pub idle_ms: u64,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    core: Core,
    line: LineCutter,
    phase: Phase,
}

impl Session {
    /// A session for a connection just accepted. `chance` names its messages.
    #[must_use]
    pub fn new(facts: PeerFacts, settings: Arc<Settings>, chance: Chance) -> Self {
        Self { core: Core::new(facts, settings, chance), line: LineCutter::new(), phase: Phase::Unopened }
    }

    /// Feeds one event. Returns how many octets of an [`Event::Bytes`] were taken (0 for any other event);
    /// those not taken are offered again when [`Session::wants_read`] says so, since either an answer is
    /// awaited or `out` is full.
    pub fn step(&mut self, now: Now, event: Event<'_>, out: &mut Actions) -> usize {
        if self.is_over() {
            return 0;
        }
        let mut ctx = Ctx { now, out };
        let taken = match event {
            Event::Paced(pace) => self.paced(pace),
            Event::Bytes(input) => self.bytes(input, &mut ctx),
            Event::Opened => self.opened(&mut ctx),
            Event::TlsUp(facts) => {
                self.core.tls_is_up(facts, &mut ctx);
                if matches!(self.phase, Phase::Tls) {
                    self.phase = Phase::Idle(None);
                }
                0
            }
            Event::Answered(ticket, answer) => self.answered(ticket, answer, &mut ctx),
            Event::Due(timer) => self.due(timer, &mut ctx),
            Event::PeerClosed => self.end_in(Cause::PeerClosed, &mut ctx),
            Event::Stopping => self.stopping(&mut ctx),
        };
        self.leave_if_stopping(&mut ctx);
        if !self.is_over() {
            ctx.arm(Timer::Idle, self.core.settings.idle_ms);
        }
        taken
    }

    /// Whether octets would be taken now. False while an answer or a handshake is awaited and once closed.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        match self.core.held {
            Held::No => self.phase.reads(),
            // Only to learn whether it talks too early.
            Held::Greeting { talked } => !talked,
            Held::Refusal => false,
        }
    }

    /// Whether the peer has proved who it is: such a session is not turned out for a stranger.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.core.account.is_some()
    }

    /// Whether a transaction is under way: such a session gets a grace period when the server leaves.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        self.phase.is_transaction()
    }

    /// Whether the session has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Ends the session from outside: says 421 where that means something, and closes.
    pub fn end(&mut self, now: Now, cause: Cause, out: &mut Actions) {
        if !self.is_over() {
            self.end_in(cause, &mut Ctx { now, out });
        }
    }

    /// What to note when the connection is simply gone.
    #[must_use]
    pub fn closed_note(&self, cause: Cause) -> Note {
        self.core.closed_note(cause)
    }

    fn end_in(&mut self, cause: Cause, ctx: &mut Ctx<'_>) -> usize {
        self.phase = self.core.close(cause, ctx);
        0
    }

    fn opened(&mut self, ctx: &mut Ctx<'_>) -> usize {
        ctx.arm(Timer::Session, limits::SESSION_MS_MAX);
        match self.core.pace.greeting_ms {
            0 => self.greet(ctx),
            wait_ms => {
                self.core.held = Held::Greeting { talked: false };
                ctx.arm(Timer::Pace, wait_ms);
            }
        }
        0
    }

    fn greet(&mut self, ctx: &mut Ctx<'_>) {
        ctx.say(crate::smtp::outcome::greeting(&self.core.settings));
        self.phase = Phase::Idle(None);
    }

    fn paced(&mut self, pace: Pace) -> usize {
        self.core.pace = pace;
        0
    }

    /// What was held back goes on.
    fn pace_is_over(&mut self, ctx: &mut Ctx<'_>) {
        match std::mem::replace(&mut self.core.held, Held::No) {
            Held::Greeting { .. } => self.greet(ctx),
            Held::Refusal | Held::No => {}
        }
    }

    fn stopping(&mut self, ctx: &mut Ctx<'_>) -> usize {
        self.core.stopping = true;
        self.leave_if_stopping(ctx);
        0
    }

    /// The server is leaving: what runs may end, nothing new begins.
    fn leave_if_stopping(&mut self, ctx: &mut Ctx<'_>) {
        // Behind the 220 to STARTTLS the peer takes nothing in the clear: it is told once TLS is up.
        let busy =
            self.phase.is_transaction() || self.phase.awaits_answer() || matches!(self.phase, Phase::Tls);
        if self.core.stopping && !busy && !self.is_over() {
            self.end_in(Cause::Stopping, ctx);
        }
    }

    fn due(&mut self, timer: Timer, ctx: &mut Ctx<'_>) -> usize {
        match timer {
            // Our own slowness is no silence of the peer's.
            Timer::Idle | Timer::Session if self.phase.awaits_answer() => {
                ctx.arm(timer, self.core.settings.idle_ms);
                0
            }
            Timer::Pace => {
                self.pace_is_over(ctx);
                0
            }
            Timer::Idle => self.end_in(Cause::Idle, ctx),
            Timer::Session => self.end_in(Cause::TooLong, ctx),
        }
    }

    fn answered(&mut self, ticket: Ticket, answer: Answer, ctx: &mut Ctx<'_>) -> usize {
        let phase = std::mem::replace(&mut self.phase, Phase::Over);
        self.phase = self.core.answered(phase, ticket, answer, ctx);
        0
    }

    fn bytes(&mut self, input: &[u8], ctx: &mut Ctx<'_>) -> usize {
        if let Held::Greeting { talked } = &mut self.core.held {
            if !input.is_empty() && !std::mem::replace(talked, true) {
                ctx.note(Note::EarlyTalk);
            }
            return 0;
        }
        let mut taken = 0_usize;
        while ctx.out.has_room() && self.wants_read() {
            let Some(rest) = input.get(taken..).filter(|rest| !rest.is_empty()) else { break };
            let phase = std::mem::replace(&mut self.phase, Phase::Over);
            let (more, next) = self.core.take(phase, &mut self.line, rest, ctx);
            self.phase = next;
            taken = taken.saturating_add(more);
            self.leave_if_stopping(ctx);
        }
        taken
    }
}

#[cfg(test)]
mod tests;
