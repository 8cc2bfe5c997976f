//! Octets to lines, lines to commands, and which command may come when.

use super::core::{Core, Ctx};
use super::phase::{Client, Phase};
use crate::auth::sasl::Mechanism;
use crate::contract::{Action, Cause, Listener};
use crate::frame::line::{Cut, LineCutter};
use crate::limits::{AUTH_LINE_OCTETS_MAX, COMMAND_LINE_OCTETS_MAX, SKIPPED_LINE_OCTETS_MAX};
use crate::smtp::command::{self, ClientName, Command, Dialect};
use crate::smtp::offence::Offence;
use crate::smtp::outcome::{self, Offered};
use crate::telemetry::note::Note;
use crate::types::{Enhanced, Reply};

impl Core {
    /// Takes some of `input`, at least one octet, for a phase that reads.
    pub(super) fn take(
        &mut self,
        phase: Phase,
        line: &mut LineCutter,
        input: &[u8],
        ctx: &mut Ctx<'_>,
    ) -> (usize, Phase) {
        match phase {
            Phase::Data(client, envelope, body) => self.data(client, envelope, body, input, ctx),
            Phase::Chunk(client, envelope, body, cutter, last) => {
                self.chunk(client, envelope, body, cutter, last, input, ctx)
            }
            Phase::RefusedChunk(mut cutter, reply, after) => {
                let taken = cutter.cut(input).len();
                (taken, self.refused_chunk(cutter, reply, after, ctx))
            }
            Phase::Idle(_) | Phase::Envelope(..) | Phase::Chunks(..) | Phase::Auth(..) => {
                self.take_line(phase, line, input, ctx)
            }
            Phase::Unopened
            | Phase::Mail(..)
            | Phase::AuthAsked(..)
            | Phase::Recipient(..)
            | Phase::Commit(..)
            | Phase::Login(..)
            | Phase::Tls
            | Phase::Over => (0, phase),
        }
    }

    fn take_line(
        &mut self,
        phase: Phase,
        line: &mut LineCutter,
        input: &[u8],
        ctx: &mut Ctx<'_>,
    ) -> (usize, Phase) {
        let is_first = matches!(phase, Phase::Idle(None)) && line.is_at_line_start();
        if is_first && input.first().is_some_and(|first| command::is_other_protocol(*first)) {
            return (input.len(), self.refuse(Offence::OtherProtocol, phase, ctx));
        }
        let (taken, cut) = line.cut(input, AUTH_LINE_OCTETS_MAX);
        let next = match cut {
            Cut::Line(text) => self.line(phase, text, ctx),
            Cut::TooLong(head) => self.line_too_long(phase, &head, ctx),
            Cut::More => {
                if line.skipped_octets() > SKIPPED_LINE_OCTETS_MAX {
                    self.count(Offence::LineTooLong);
                    self.close(Cause::TooManyErrors, ctx)
                } else {
                    phase
                }
            }
        };
        (taken, next)
    }

    fn line_too_long(&mut self, phase: Phase, head: &[u8], ctx: &mut Ctx<'_>) -> Phase {
        if let Phase::Auth(client, ..) = phase {
            return self.refuse(Offence::AuthLineTooLong, Phase::Idle(Some(client)), ctx);
        }
        let is_auth = head.eq_ignore_ascii_case(b"AUTH ");
        self.refuse(if is_auth { Offence::AuthLineTooLong } else { Offence::LineTooLong }, phase, ctx)
    }

    fn line(&mut self, phase: Phase, text: &[u8], ctx: &mut Ctx<'_>) -> Phase {
        if let Phase::Auth(client, mechanism, exchange) = phase {
            return self.auth_line(client, mechanism, exchange, text, ctx);
        }
        let is_auth = text.get(..5).is_some_and(|head| head.eq_ignore_ascii_case(b"AUTH "));
        if text.len().saturating_add(2) > COMMAND_LINE_OCTETS_MAX && !is_auth {
            return self.refuse(Offence::LineTooLong, phase, ctx);
        }
        self.note_place(&phase, text);
        match command::parse(text, self.dialect()) {
            Ok(command) => self.command(phase, command, ctx),
            // RFC 3207 section 4 knows no other reply to a command before TLS; one that does not exist is none.
            Err(Offence::NotImplemented) if self.misses_tls() => self.refuse(Offence::TlsFirst, phase, ctx),
            Err(offence) => self.refuse(offence, phase, ctx),
        }
    }

    /// Whether this command was pipelined behind a MAIL that was refused (RFC 2920 section 3.1): its client did
    /// nothing wrong, it could not know.
    fn note_place(&mut self, phase: &Phase, text: &[u8]) {
        let is = |verb: &[u8]| text.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(verb));
        let could_begin = matches!(phase, Phase::Idle(Some(_)));
        let follows = is(b"RCPT") || is(b"DATA") || is(b"BDAT");
        self.tally.is_behind_refused_mail = self.tally.mail_was_refused && follows;
        self.tally.mail_was_refused = could_begin && (is(b"MAIL") || self.tally.is_behind_refused_mail);
    }

    fn misses_tls(&self) -> bool {
        self.facts.listener != Listener::Smtp && self.tls.is_none()
    }

    fn dialect(&self) -> Dialect {
        match self.facts.listener {
            Listener::Smtp => Dialect::Strict,
            Listener::Submission | Listener::Submissions => Dialect::Submission,
        }
    }

    fn command(&mut self, phase: Phase, command: Command, ctx: &mut Ctx<'_>) -> Phase {
        let missing_tls = self.misses_tls();
        match command {
            Command::Noop => self.idle_command(outcome::ok(), phase, ctx),
            Command::Quit => self.close(Cause::Quit, ctx),
            Command::Helo(name) => self.helo(phase, name, false, ctx),
            Command::Ehlo(name) => self.helo(phase, name, true, ctx),
            Command::StartTls => self.start_tls(phase, ctx),
            Command::Bdat { octets, .. } if missing_tls => {
                self.refuse_chunk(Offence::TlsFirst, octets, phase, ctx)
            }
            // RFC 3207 section 4: everything but NOOP, EHLO, STARTTLS and QUIT; HELO harms nobody.
            Command::Mail(..)
            | Command::Rcpt(..)
            | Command::Data
            | Command::Rset
            | Command::Help
            | Command::Vrfy
            | Command::Auth { .. }
                if missing_tls =>
            {
                self.refuse(Offence::TlsFirst, phase, ctx)
            }
            Command::Rset => {
                let next = self.reset(phase, ctx);
                self.idle_command(outcome::ok(), next, ctx)
            }
            Command::Help => {
                let text = "Commands: HELO EHLO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS AUTH";
                self.idle_command(Reply::new(214, Enhanced(2, 0, 0), text), phase, ctx)
            }
            Command::Vrfy => {
                ctx.note(Note::Verify);
                let text = "Cannot verify, but will take mail and try to deliver it";
                self.idle_command(Reply::new(252, Enhanced(2, 0, 0), text), phase, ctx)
            }
            Command::Mail(path, parameters, needs) => self.mail(phase, path, parameters, needs, ctx),
            Command::Rcpt(path, needs) => self.rcpt(phase, path, needs, ctx),
            Command::Data => self.begin_data(phase, ctx),
            Command::Bdat { octets, last } => self.bdat(phase, octets, last, ctx),
            Command::Auth { mechanism, initial } => self.auth(phase, &mechanism, initial.as_deref(), ctx),
        }
    }

    /// HELO and EHLO end a transaction (RFC 5321 section 4.1.4) and are the state after RSET.
    fn helo(&mut self, phase: Phase, name: ClientName, esmtp: bool, ctx: &mut Ctx<'_>) -> Phase {
        drop(self.reset(phase, ctx));
        let reply = if esmtp {
            outcome::ehlo(&self.settings, &self.offered())
        } else {
            outcome::helo(&self.settings)
        };
        self.idle_command(reply, Phase::Idle(Some(Box::new(Client { name, esmtp }))), ctx)
    }

    fn offered(&self) -> Offered {
        let encrypted = self.tls.is_some();
        Offered {
            start_tls: self.settings.tls_available && !encrypted,
            mechanisms: if encrypted && self.facts.listener != Listener::Smtp {
                Mechanism::ALL.into_iter().filter(|mechanism| self.offers(*mechanism)).collect()
            } else {
                Vec::new()
            },
        }
    }

    /// Gives up the transaction, if there is one.
    fn reset(&mut self, phase: Phase, ctx: &mut Ctx<'_>) -> Phase {
        match phase {
            Phase::Envelope(client, _) => Phase::Idle(Some(client)),
            Phase::Chunks(client, ..) => {
                ctx.out.push(Action::Forget);
                Phase::Idle(Some(client))
            }
            Phase::Idle(client) => Phase::Idle(client),
            // No command is read in these.
            Phase::Unopened
            | Phase::Mail(..)
            | Phase::Recipient(..)
            | Phase::Data(..)
            | Phase::Chunk(..)
            | Phase::RefusedChunk(..)
            | Phase::Commit(..)
            | Phase::Auth(..)
            | Phase::AuthAsked(..)
            | Phase::Login(..)
            | Phase::Tls
            | Phase::Over => phase,
        }
    }

    /// After this nothing that was said in the clear counts any more (RFC 3207 section 4.2).
    fn start_tls(&mut self, phase: Phase, ctx: &mut Ctx<'_>) -> Phase {
        if !self.settings.tls_available || self.tls.is_some() {
            return self.refuse(Offence::TlsNotOffered, phase, ctx);
        }
        drop(self.reset(phase, ctx));
        ctx.say(Reply::new(220, Enhanced(2, 0, 0), "Ready to start TLS"));
        ctx.out.push(Action::StartTls);
        Phase::Tls
    }
}
