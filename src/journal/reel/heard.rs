//! What the client says, cut as the session cuts it.

use super::super::body::ChunkShape;
use super::super::sasl::{Exchange, Said};
use super::super::shape::{self, Around, Was};
use super::super::tape::Sight;
use super::super::voice;
use super::{Mode, Proof, ProofOutcome, Reel};
use crate::contract::{Action, Listener};
use crate::frame::line::{Cut, LineCutter};
use crate::limits::{AUTH_LINE_OCTETS_MAX, COMMAND_LINE_OCTETS_MAX, SKIPPED_LINE_OCTETS_MAX};
use crate::smtp::command::{self, Dialect};

impl Reel {
    pub(in crate::journal) fn took(
        &mut self,
        sight: &Sight<'_>,
        listener: Listener,
        octets: &[u8],
        actions: &[Action],
    ) {
        let mut rest = octets;
        let mut actions = actions.iter();
        while !rest.is_empty() && !self.is_cut {
            let (taken, ended) = self.take(sight, listener, rest);
            rest = rest.get(taken.max(1)..).unwrap_or_default();
            if ended {
                self.unanswered = true;
                // Each line has one reply; what follows it belongs to the next line.
                for action in actions.by_ref() {
                    if self.act(sight, action) {
                        break;
                    }
                }
            }
        }
        for action in actions {
            self.act(sight, action);
        }
    }

    /// Takes some octets; says how many, and whether something ended that is answered.
    fn take(&mut self, sight: &Sight<'_>, listener: Listener, octets: &[u8]) -> (usize, bool) {
        match &mut self.mode {
            Mode::Command | Mode::Exchange => self.take_line(sight, listener, octets),
            Mode::Data(shape) => {
                let (taken, ended) = shape.take(octets, &mut self.scratch);
                if ended {
                    self.end_data(sight, true);
                }
                (taken, ended)
            }
            Mode::Chunk(shape) => {
                let (taken, ended) = shape.take(octets);
                if ended {
                    self.end_chunk(sight);
                }
                (taken, ended)
            }
        }
    }

    fn end_data(&mut self, sight: &Sight<'_>, ended: bool) {
        let mode = std::mem::replace(&mut self.mode, Mode::Command);
        let Mode::Data(shape) = mode else { return };
        // Whatever is beyond the ceiling, by a read or by a gigabyte, is refused alike.
        let most = sight.settings.message_octets_max.saturating_add(128 * 1024);
        let text = shape.text(ended, most);
        self.chunk_octets = 0;
        self.scratch = Vec::new();
        self.last_client = self.early.unwrap_or(self.text.len());
        if !text.is_empty() {
            self.client_goes_on(sight.now, &format!("C-: {}", text));
        }
        if ended {
            self.client_goes_on(sight.now, "C: .");
        }
    }

    fn end_chunk(&mut self, sight: &Sight<'_>) {
        let mode = std::mem::replace(&mut self.mode, Mode::Command);
        let Mode::Chunk(shape) = mode else { return };
        self.last_client = self.early.unwrap_or(self.text.len());
        match shape.text() {
            Some(text) if text.is_empty() => {}
            Some(text) => self.client_goes_on(sight.now, &format!("C-: {}", text)),
            None => self.cut(sight.now),
        }
    }

    fn take_line(&mut self, sight: &Sight<'_>, listener: Listener, octets: &[u8]) -> (usize, bool) {
        let is_first = !self.hello && self.cutter.is_at_line_start() && matches!(self.mode, Mode::Command);
        if let Some(first) = octets.first().filter(|first| is_first && command::is_other_protocol(**first)) {
            let mut shape = vec![*first];
            shape.resize(octets.len().clamp(1, 64), b'x');
            self.client(sight.now, &voice::client(&shape, false));
            return (octets.len(), true);
        }
        let mut cutter = std::mem::take(&mut self.cutter);
        let (taken, cut) = cutter.cut(octets, AUTH_LINE_OCTETS_MAX);
        let before = self.line_octets;
        self.line_octets = before.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
        let ended = match cut {
            Cut::More => {
                if cutter.skipped_octets() > SKIPPED_LINE_OCTETS_MAX {
                    self.cut(sight.now);
                }
                false
            }
            Cut::Line(line) => {
                self.line(sight, listener, line);
                // A chunk is answered at its end.
                let answered = !matches!(self.mode, Mode::Chunk(_));
                if !answered {
                    self.line_octets = 0;
                }
                answered
            }
            Cut::TooLong(head) => {
                self.line_too_long(sight, head.eq_ignore_ascii_case(b"AUTH "));
                true
            }
        };
        if ended {
            self.line_octets = 0;
        }
        self.cutter = cutter;
        (taken, ended)
    }

    fn line_too_long(&mut self, sight: &Sight<'_>, is_auth: bool) {
        let octets = usize::try_from(self.line_octets).unwrap_or(usize::MAX).saturating_sub(2);
        let (head, octets) = if is_auth && matches!(self.mode, Mode::Command) {
            ("AUTH ", octets.saturating_sub(5))
        } else {
            ("", octets)
        };
        self.client(sight.now, &format!("C: {head}\\{{{}:x}}", octets.max(1)));
    }

    fn line(&mut self, sight: &Sight<'_>, listener: Listener, line: &[u8]) {
        match self.mode {
            Mode::Exchange => self.exchange_line(sight, listener, line),
            Mode::Command | Mode::Data(_) | Mode::Chunk(_) => self.command(sight, listener, line),
        }
    }

    fn exchange_line(&mut self, sight: &Sight<'_>, listener: Listener, line: &[u8]) {
        let Some(mut exchange) = self.exchange.take() else { return self.cut(sight.now) };
        let attempt = self.attempts.saturating_add(1);
        let said = exchange.line(line, attempt, &mut self.around(sight, listener));
        self.exchange = Some(exchange);
        match said {
            Said::Line(text) => self.client(sight.now, &voice::client(text.as_bytes(), true)),
            Said::Credentials(text, password) => {
                self.attempts = attempt;
                self.credential = Some(password);
                self.client(sight.now, &voice::client(text.as_bytes(), true));
            }
            Said::Proof(client) => {
                let number = self.proofs.len();
                self.proofs.push(Proof { client: *client, outcome: Some(ProofOutcome::Wrong) });
                self.client(sight.now, &format!("@P {number}"));
            }
        }
    }

    fn command(&mut self, sight: &Sight<'_>, listener: Listener, line: &[u8]) {
        let is_auth = line.get(..5).is_some_and(|head| head.eq_ignore_ascii_case(b"AUTH "));
        if line.len().saturating_add(2) > COMMAND_LINE_OCTETS_MAX && !is_auth {
            return self.client(sight.now, &format!("C: \\{{{}:x}}", line.len()));
        }
        let attempt = self.attempts.saturating_add(1);
        let (mut exchange, mut credential) = (None, None);
        let (text, was) =
            shape::command(line, &mut self.around(sight, listener), &mut |mechanism, text, around| {
                let mut begun = Exchange::new(mechanism);
                let said = begun.initial(text, attempt, around);
                exchange = Some(begun);
                match said {
                    Said::Line(text) => text,
                    Said::Credentials(text, password) => {
                        credential = Some(password);
                        text
                    }
                    // No exchange begins with its last message.
                    Said::Proof(_) => "!".to_owned(),
                }
            });
        if let Some(password) = credential {
            self.attempts = attempt;
            self.credential = Some(password);
        }
        self.client(sight.now, &voice::client(&text, true));
        match was {
            Was::Auth(mechanism) => self.exchange = exchange.or_else(|| mechanism.map(Exchange::new)),
            Was::Bdat(octets) if octets > 0 => {
                self.chunk_octets = octets;
                self.mode = Mode::Chunk(Box::new(ChunkShape::new(octets)));
            }
            Was::Hello => self.hello = true,
            Was::Bdat(_) | Was::Other => {}
        }
    }

    fn around<'a>(&'a mut self, sight: &Sight<'a>, listener: Listener) -> Around<'a> {
        Around {
            directory: sight.directory,
            names: &mut self.names,
            facts: &mut self.facts,
            dialect: match listener {
                Listener::Smtp => Dialect::Strict,
                Listener::Submission | Listener::Submissions => Dialect::Submission,
            },
            message_octets_max: sight.settings.message_octets_max,
        }
    }

    /// Writes down what was begun and will not be ended.
    pub(in crate::journal) fn flush(&mut self, sight: &Sight<'_>) {
        match self.mode {
            Mode::Command | Mode::Exchange => {
                if self.line_octets > 0 {
                    let octets = std::mem::take(&mut self.line_octets);
                    self.cutter = LineCutter::new();
                    self.client(sight.now, &format!("C-: \\{{{octets}:x}}"));
                }
            }
            Mode::Data(_) => self.end_data(sight, false),
            // Its octets do not matter: it never comes to its end.
            Mode::Chunk(_) => {
                self.client(sight.now, "C-: x");
                self.mode = Mode::Command;
            }
        }
    }
}
