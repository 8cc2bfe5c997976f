//! What a session is apart from its phase: facts, counters, and the few deeds every phase needs.

use super::Settings;
use super::phase::Phase;
use crate::auth::verdict::ProvenBy;
use crate::contract::{Action, Actions, Answer, Cause, Pace, PeerFacts, Question, Ticket, Timer, TlsFacts};
use crate::limits;
use crate::smtp::offence::Offence;
use crate::smtp::outcome;
use crate::telemetry::note::Note;
use crate::types::{AccountId, Chance, Now, Reply};
use std::sync::Arc;

/// The time and the list of actions, for one step.
pub(super) struct Ctx<'a> {
    pub(super) now: Now,
    pub(super) out: &'a mut Actions,
}

impl Ctx<'_> {
    pub(super) fn say(&mut self, reply: Reply) {
        self.out.push(Action::Say(reply));
    }

    pub(super) fn note(&mut self, note: Note) {
        self.out.push(Action::Note(note));
    }

    pub(super) fn arm(&mut self, timer: Timer, ms: u64) {
        self.out.push(Action::Arm(timer, Some(self.now.moment.plus_ms(ms))));
    }
}

/// What was refused so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Commands.
    errors: u32,
    /// The first of them.
    first: Option<Offence>,
    /// Recipients.
    refused_recipients: u32,
    /// Recipients more than a message may have, since the last message.
    surplus_recipients: u32,
    /// Logins.
    pub(super) auth_failures: u32,
    /// Commands that brought no message nearer, since the last message.
    idle_commands: u32,
    /// The last MAIL was not taken, and nothing came since but what belongs to it.
    pub(super) mail_was_refused: bool,
    /// The command of this moment is such a follower.
    pub(super) is_behind_refused_mail: bool,
    /// How many of them were refused, since the last message.
    behind_refused_mail: u32,
}

/// What is held back from a peer with a record, until [`Timer::Pace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// Nothing.
    No,
    /// The greeting; whether the peer could not wait for it.
    Greeting { talked: bool },
    /// The ear: a command was just refused.
    Refusal,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) facts: PeerFacts,
    pub(super) settings: Arc<Settings>,
    pub(super) chance: Chance,
    pub(super) tls: Option<TlsFacts>,
    /// Who logged in, and with what.
    pub(super) account: Option<(AccountId, ProvenBy)>,
    pub(super) tally: Tally,
    /// The server is leaving; the session ends when its transaction does.
    pub(super) stopping: bool,
    /// How slowly this peer is served.
    pub(super) pace: Pace,
    pub(super) held: Held,
    next_ticket: u64,
}

impl Core {
    pub(super) fn new(facts: PeerFacts, settings: Arc<Settings>, chance: Chance) -> Self {
        Self {
            facts,
            settings,
            chance,
            tls: None,
            account: None,
            tally: Tally::default(),
            stopping: false,
            pace: Pace::default(),
            held: Held::No,
            next_ticket: 0,
        }
    }

    pub(super) fn tls_is_up(&mut self, facts: TlsFacts, ctx: &mut Ctx<'_>) {
        self.tls = Some(facts);
        ctx.note(Note::Encrypted);
    }

    /// Asks, and returns the ticket to wait for.
    pub(super) fn ask(&mut self, question: Question, ctx: &mut Ctx<'_>) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket = self.next_ticket.wrapping_add(1);
        ctx.out.push(Action::Ask(ticket, question));
        ticket
    }

    /// Refuses a command. Goes on with `phase`, unless that was one too many.
    pub(super) fn refuse(&mut self, offence: Offence, phase: Phase, ctx: &mut Ctx<'_>) -> Phase {
        ctx.say(offence.reply());
        self.count(offence);
        ctx.note(Note::Offence(offence));
        self.slow_down(ctx);
        if offence == Offence::OtherProtocol {
            self.close(Cause::NotSmtp, ctx)
        } else if offence == Offence::BadChunk || self.is_at_error_ceiling() {
            self.close(Cause::TooManyErrors, ctx)
        } else {
            phase
        }
    }

    /// After a refusal: a peer with a record is not heard for a while.
    pub(super) fn slow_down(&mut self, ctx: &mut Ctx<'_>) {
        match self.pace.refusal_ms {
            0 => {}
            wait_ms => {
                self.held = Held::Refusal;
                ctx.arm(Timer::Pace, wait_ms);
            }
        }
    }

    /// Counts an offence whose reply is said elsewhere.
    pub(super) fn count(&mut self, offence: Offence) {
        let is_sequel = matches!(offence, Offence::OutOfOrder | Offence::TlsFirst);
        if self.tally.is_behind_refused_mail && is_sequel {
            self.tally.behind_refused_mail = self.tally.behind_refused_mail.saturating_add(1);
            return;
        }
        self.tally.errors = self.tally.errors.saturating_add(1);
        self.tally.first.get_or_insert(offence);
    }

    /// Whether the session has come to its last error.
    pub(super) fn is_at_error_ceiling(&self) -> bool {
        self.tally.errors >= limits::SESSION_ERRORS_MAX
            || self.tally.behind_refused_mail >= limits::SESSION_REFUSED_SEQUELS_MAX
    }

    /// Answers a command that brings no message nearer.
    pub(super) fn idle_command(&mut self, reply: Reply, phase: Phase, ctx: &mut Ctx<'_>) -> Phase {
        self.tally.idle_commands = self.tally.idle_commands.saturating_add(1);
        if self.tally.idle_commands > limits::SESSION_IDLE_COMMANDS_MAX {
            return self.refuse(Offence::TooManyIdleCommands, phase, ctx);
        }
        ctx.say(reply);
        phase
    }

    /// A message was delivered: the session earned its place.
    pub(super) fn delivered(&mut self, ctx: &mut Ctx<'_>) {
        self.tally.idle_commands = 0;
        self.tally.surplus_recipients = 0;
        self.tally.behind_refused_mail = 0;
        ctx.arm(Timer::Session, limits::SESSION_MS_MAX);
    }

    /// Counts a refused recipient (its reply is said already). Goes on with `phase`, unless that was one too
    /// many.
    pub(super) fn refused_recipient(&mut self, phase: Phase, ctx: &mut Ctx<'_>) -> Phase {
        self.slow_down(ctx);
        self.tally.refused_recipients = self.tally.refused_recipients.saturating_add(1);
        if self.tally.refused_recipients >= limits::SESSION_REFUSED_RECIPIENTS_MAX {
            return self.close(Cause::TooManyRefusedRecipients, ctx);
        }
        phase
    }

    /// Counts a recipient more than a message may have. True for the first, the one worth a line.
    pub(super) fn count_surplus_recipient(&mut self) -> bool {
        self.tally.surplus_recipients = self.tally.surplus_recipients.saturating_add(1);
        self.tally.surplus_recipients == 1
    }

    /// Whether that was one too many.
    pub(super) fn is_at_surplus_ceiling(&self) -> bool {
        self.tally.surplus_recipients >= limits::SESSION_SURPLUS_RECIPIENTS_MAX
    }

    /// Says farewell and closes.
    pub(super) fn close(&self, cause: Cause, ctx: &mut Ctx<'_>) -> Phase {
        if let Some(reply) = outcome::farewell(cause) {
            ctx.say(reply);
        }
        ctx.note(self.closed_note(cause));
        ctx.out.push(Action::Close(cause));
        Phase::Over
    }

    pub(super) fn closed_note(&self, cause: Cause) -> Note {
        Note::Closed { cause, errors: self.tally.errors, offence: self.tally.first.map_or("", Offence::name) }
    }

    /// Brings an answer to the phase that waits for it. One that nobody waits for changes nothing.
    pub(super) fn answered(
        &mut self,
        phase: Phase,
        ticket: Ticket,
        answer: Answer,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        match (phase, answer) {
            (Phase::Mail(client, asked, awaited), Answer::Sender(lookup)) if awaited == ticket => {
                self.sender_answered(client, asked, lookup, ctx)
            }
            (Phase::Mail(client, asked, awaited), Answer::Room(room)) if awaited == ticket => {
                self.room_answered(client, *asked, room, ctx)
            }
            (Phase::Recipient(client, envelope, path, awaited), Answer::Recipient(lookup))
                if awaited == ticket =>
            {
                self.recipient_answered(client, envelope, &path, lookup, ctx)
            }
            (Phase::Commit(client, pending, awaited), Answer::Commit(answer)) if awaited == ticket => {
                self.commit_answered(client, &pending, answer, ctx)
            }
            (Phase::Login(client, mechanism, login, awaited), Answer::Login(verdict))
                if awaited == ticket =>
            {
                self.login_answered(client, mechanism, login, verdict, ctx)
            }
            (Phase::AuthAsked(client, mechanism, exchange, _, awaited), Answer::Salt(salt))
                if awaited == ticket =>
            {
                self.salt_answered(client, mechanism, exchange, &salt, ctx)
            }
            (
                Phase::AuthAsked(client, mechanism, exchange, login, awaited),
                Answer::Proof(verdict, signature),
            ) if awaited == ticket => {
                self.proof_answered(client, mechanism, exchange, login, (verdict, signature), ctx)
            }
            (phase, _) => phase,
        }
    }
}
