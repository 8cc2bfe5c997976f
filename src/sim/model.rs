//! A client's naive idea of the protocol: which octets it sent are a command, and which reply answers it.
//!
//! Written without a look at the session: it knows lines, bodies and chunks, what each verb is answered when
//! all is well, and what has to come before what.

use super::Law;
use super::desk::shown;
use super::reading::{
    HeardReply, Verb, address_of, chunk_octets, credentials, is_yes_of, trimmed, unstuffed, verb_of,
};
use crate::contract::Listener;
use memchr::memmem;

/// What a reply meant to the world.
#[derive(Debug)]
pub(super) enum Heard {
    /// A recipient was answered.
    Recipient { address: String, reply: HeardReply },
    /// A sender was answered to somebody who logged in by this name and password.
    Sender { address: String, login: (Vec<u8>, Vec<u8>), reply: HeardReply },
    /// A login was answered.
    Login { login: Vec<u8>, password: Vec<u8>, is_scram: bool, reply: HeardReply },
    /// The end of a message was answered.
    Message { recipients: Vec<String>, body: Vec<u8>, reply: HeardReply, id: String },
    /// STARTTLS was answered 220, and so many octets were sent behind it in the clear.
    StartTls { injected: usize },
}

/// A law, and how it was broken.
pub(super) type Broken = (Law, String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Greeting,
    Command,
    AuthLine,
    Data,
    /// 220 to STARTTLS came; the next is a handshake.
    Handshake,
}

/// The next thing that is to be answered.
#[derive(Debug, Clone)]
struct Unit {
    verb: Verb,
    /// Its line, or its body with the dot.
    text: Vec<u8>,
    /// The octets behind the line.
    chunk: Vec<u8>,
    octets: usize,
    /// Whether all of it was sent.
    complete: bool,
}

#[derive(Debug, Clone, Default)]
struct Envelope {
    recipients: Vec<String>,
    body: Vec<u8>,
    chunked: bool,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Model {
    listener: Listener,
    at: At,
    /// 421 or 221 came: nothing may follow.
    farewell: bool,
    pending: Vec<u8>,
    is_first: bool,
    greeted: bool,
    esmtp: bool,
    encrypted: bool,
    injected: bool,
    account: Option<(Vec<u8>, Vec<u8>)>,
    envelope: Option<Envelope>,
    exchange: Vec<Vec<u8>>,
    /// What a SCRAM exchange is about: its octets do not show the password.
    proves: Option<(Vec<u8>, Vec<u8>)>,
    last_code: u16,
    challenge: Vec<u8>,
}

impl Model {
    pub(super) fn new(listener: Listener) -> Self {
        Self {
            listener,
            at: At::Greeting,
            farewell: false,
            pending: Vec::new(),
            is_first: true,
            greeted: false,
            esmtp: false,
            encrypted: listener == Listener::Submissions,
            injected: false,
            account: None,
            envelope: None,
            exchange: Vec::new(),
            proves: None,
            last_code: 0,
            challenge: Vec::new(),
        }
    }

    /// Notes what was sent.
    pub(super) fn sent(&mut self, octets: &[u8]) {
        self.pending.extend_from_slice(octets);
    }

    /// Whether nothing that was sent waits for a reply.
    pub(super) fn is_answered(&self) -> bool {
        match self.at {
            _ if self.farewell => true,
            At::Greeting => false,
            At::Handshake => true,
            At::Command | At::AuthLine | At::Data => !self.unit().is_some_and(|unit| unit.complete),
        }
    }

    /// The last code that came.
    pub(super) fn last_code(&self) -> u16 {
        self.last_code
    }

    /// The text of the last 334.
    pub(super) fn challenge(&self) -> &[u8] {
        &self.challenge
    }

    /// The next AUTH proves this.
    pub(super) fn proves(&mut self, login: &str, password: &str) {
        self.proves = Some((login.as_bytes().to_vec(), password.as_bytes().to_vec()));
    }

    pub(super) fn awaits_handshake(&self) -> bool {
        self.at == At::Handshake
    }

    /// The handshake is done: everything starts again, but for the greeting.
    pub(super) fn tls_up(&mut self) -> Result<(), Broken> {
        if self.injected {
            return Err((Law::CleanStartTls, "TLS is up, and octets in the clear stood before it".into()));
        }
        self.encrypted = true;
        if self.at == At::Handshake {
            self.at = At::Command;
            self.pending.clear();
            self.greeted = false;
            self.envelope = None;
        }
        Ok(())
    }

    /// The server closed its side and nothing was reset.
    pub(super) fn closed(&self) -> Result<(), Broken> {
        match self.unit().filter(|unit| unit.complete && !self.farewell) {
            Some(unit) => Err((Law::OneReply, format!("{:?} was never answered", unit.verb))),
            None => Ok(()),
        }
    }

    /// Takes the next reply.
    pub(super) fn reply(&mut self, reply: &HeardReply) -> Result<Option<Heard>, Broken> {
        self.last_code = reply.code;
        if reply.code == 334 {
            self.challenge = trimmed(&reply.raw).get(4..).unwrap_or_default().to_vec();
        }
        let law = |law, what: &str| Err((law, format!("{what}: {}", shown(&reply.raw))));
        match self.at {
            _ if self.farewell => return law(Law::OneReply, "a reply behind the farewell"),
            At::Handshake => return law(Law::CleanStartTls, "a reply in the place of a handshake"),
            At::Greeting | At::Command | At::AuthLine | At::Data => {}
        }
        let unit = self.unit();
        // 554 in the place of a greeting: no service for this address.
        if reply.code == 421 || (self.at == At::Greeting && reply.code == 554) {
            self.farewell = true;
            return Ok(None);
        }
        let Some(unit) =
            unit.filter(|unit| unit.complete || (reply.is_no() && unit.chunk.len() < unit.octets))
        else {
            let law_of = if self.injected { Law::CleanStartTls } else { Law::OneReply };
            return law(law_of, "a reply without a command");
        };
        if !reply.is_no() {
            if !is_yes_of(unit.verb, self.exchange.len(), reply) {
                return law(Law::OneReply, &format!("no reply to {:?} {}", unit.verb, shown(&unit.text)));
            }
            if let Some(why) = self.must_refuse(unit.verb) {
                let law_of = if self.encrypted && !self.greeted { Law::CleanStartTls } else { Law::Order };
                return law(law_of, &format!("{:?} succeeded {why}", unit.verb));
            }
        }
        if unit.complete {
            self.pending = self.pending.get(unit.octets..).unwrap_or_default().to_vec();
        } else {
            self.pending.clear();
        }
        self.is_first = false;
        self.answered(&unit, reply)
    }

    /// What the octets without a reply would have been if everything had been answered well: messages of
    /// which nobody can say whether they were kept.
    pub(super) fn unanswered(mut self) -> Vec<(Vec<String>, Vec<u8>)> {
        let mut messages = Vec::new();
        while let Some(unit) = self.unit().filter(|unit| unit.complete) {
            self.pending = self.pending.get(unit.octets..).unwrap_or_default().to_vec();
            let code = if unit.verb == Verb::Data { 354 } else { 250 };
            let reply = HeardReply { code, enhanced: String::new(), raw: Vec::new() };
            match self.answered(&unit, &reply) {
                Ok(Some(Heard::Message { recipients, body, .. })) => messages.push((recipients, body)),
                Ok(
                    Some(
                        Heard::Recipient { .. }
                        | Heard::Sender { .. }
                        | Heard::Login { .. }
                        | Heard::StartTls { .. },
                    )
                    | None,
                )
                | Err(_) => {}
            }
        }
        messages
    }

    /// Cuts the next unit off what was sent.
    fn unit(&self) -> Option<Unit> {
        let of = |verb, octets: usize| Unit {
            verb,
            text: self.pending.get(..octets).unwrap_or_default().to_vec(),
            chunk: Vec::new(),
            octets,
            complete: true,
        };
        match self.at {
            At::Greeting => Some(of(Verb::Greeting, 0)),
            At::Handshake => None,
            At::Data => {
                let end = if self.pending.starts_with(b".\r\n") {
                    Some(3)
                } else {
                    memmem::find(&self.pending, b"\r\n.\r\n").map(|at| at + 5)
                };
                end.map(|octets| of(Verb::Body, octets))
            }
            At::AuthLine => self.line_end().map(|octets| of(Verb::AuthLine, octets)),
            At::Command => {
                let first = self.pending.first()?;
                if self.is_first && matches!(first, 0x16 | 0x03..=0x05) {
                    return Some(of(Verb::Foreign, self.pending.len()));
                }
                let line = self.line_end()?;
                let text = self.pending.get(..line).unwrap_or_default();
                let verb = verb_of(text);
                match (verb, chunk_octets(text)) {
                    (Verb::Bdat { .. }, Some(octets)) => {
                        let chunk: Vec<u8> = self
                            .pending
                            .get(line..)
                            .unwrap_or_default()
                            .iter()
                            .copied()
                            .take(octets)
                            .collect();
                        let complete = chunk.len() == octets;
                        Some(Unit { verb, text: text.to_vec(), chunk, octets: line + octets, complete })
                    }
                    _ => Some(of(verb, line)),
                }
            }
        }
    }

    fn line_end(&self) -> Option<usize> {
        memmem::find(&self.pending, b"\r\n").map(|at| at + 2)
    }

    /// Why a command may not succeed now.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others may always succeed")]
    fn must_refuse(&self, verb: Verb) -> Option<&'static str> {
        let has_recipient = self.envelope.as_ref().is_some_and(|envelope| !envelope.recipients.is_empty());
        let chunked = self.envelope.as_ref().is_some_and(|envelope| envelope.chunked);
        match verb {
            Verb::Mail if !self.greeted => Some("before HELO or EHLO"),
            Verb::Mail if self.envelope.is_some() => Some("inside a transaction"),
            Verb::Mail if self.listener != Listener::Smtp && self.account.is_none() => Some("before AUTH"),
            Verb::Rcpt if self.envelope.is_none() || chunked => Some("outside an envelope"),
            Verb::Data if !has_recipient || chunked => Some("without a recipient"),
            Verb::Bdat { .. } if !has_recipient => Some("without a recipient"),
            Verb::Auth | Verb::AuthLine if !self.encrypted => Some("in the clear"),
            Verb::Auth if !self.esmtp || !self.greeted => Some("before EHLO"),
            Verb::Auth if self.listener == Listener::Smtp => Some("on port 25"),
            Verb::Auth if self.account.is_some() => Some("twice"),
            Verb::StartTls if self.encrypted => Some("under TLS"),
            _ => None,
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others change nothing")]
    fn answered(&mut self, unit: &Unit, reply: &HeardReply) -> Result<Option<Heard>, Broken> {
        let yes = !reply.is_no();
        match unit.verb {
            Verb::Greeting => self.at = At::Command,
            Verb::Quit if yes => self.farewell = true,
            Verb::Helo | Verb::Ehlo if yes => {
                if self.encrypted && memmem::find(&reply.raw, b"STARTTLS").is_some() {
                    return Err((Law::CleanStartTls, "STARTTLS is offered under TLS".into()));
                }
                self.greeted = true;
                self.esmtp = unit.verb == Verb::Ehlo;
                self.envelope = None;
            }
            Verb::Rset if yes => self.envelope = None,
            Verb::Mail => return Ok(self.mail_answered(unit, reply)),
            Verb::Rcpt => {
                let address = address_of(&unit.text);
                if let Some(envelope) = self.envelope.as_mut().filter(|_| yes) {
                    envelope.recipients.push(address.clone());
                }
                return Ok(Some(Heard::Recipient { address, reply: reply.clone() }));
            }
            Verb::Data if yes => self.at = At::Data,
            Verb::Body => {
                self.at = At::Command;
                return Ok(self.message(unstuffed(&unit.text), reply));
            }
            Verb::Bdat { last } => return Ok(self.chunk_answered(last, &unit.chunk, reply)),
            Verb::StartTls if yes => {
                self.at = At::Handshake;
                self.injected = !self.pending.is_empty();
                return Ok(Some(Heard::StartTls { injected: self.pending.len() }));
            }
            Verb::Auth | Verb::AuthLine => return Ok(self.auth_answered(unit, reply)),
            _ => {}
        }
        Ok(None)
    }

    fn mail_answered(&mut self, unit: &Unit, reply: &HeardReply) -> Option<Heard> {
        if !reply.is_no() {
            self.envelope = Some(Envelope::default());
        }
        let login = self.account.clone()?;
        Some(Heard::Sender { address: address_of(&unit.text), login, reply: reply.clone() })
    }

    fn chunk_answered(&mut self, last: bool, chunk: &[u8], reply: &HeardReply) -> Option<Heard> {
        let taken = !reply.is_no();
        if let Some(envelope) = self.envelope.as_mut().filter(|_| taken) {
            envelope.chunked = true;
            envelope.body.extend_from_slice(chunk);
        }
        // A message that became too big is over, whichever chunk it was.
        if !last && !reply.enhanced.starts_with("5.3.4") {
            return None;
        }
        match &self.envelope {
            // Refused before it began: the envelope stands.
            Some(envelope) if reply.code == 503 || envelope.recipients.is_empty() => None,
            Some(envelope) => {
                let rest = if taken { &[][..] } else { chunk };
                let body = [&envelope.body, rest].concat();
                self.message(body, reply)
            }
            None => None,
        }
    }

    fn message(&mut self, body: Vec<u8>, reply: &HeardReply) -> Option<Heard> {
        let recipients = self.envelope.take()?.recipients;
        let text = reply.text();
        let id = text.strip_prefix("OK ").unwrap_or_default().to_owned();
        Some(Heard::Message { recipients, body, reply: reply.clone(), id })
    }

    /// PLAIN, LOGIN, with and without an initial response, and SCRAM.
    fn auth_answered(&mut self, unit: &Unit, reply: &HeardReply) -> Option<Heard> {
        self.exchange.push(trimmed(&unit.text).to_vec());
        if reply.code == 334 {
            self.at = At::AuthLine;
            return None;
        }
        self.at = At::Command;
        let lines = std::mem::take(&mut self.exchange);
        let proves = self.proves.take();
        let is_scram = proves.is_some();
        // Nothing was proved before the second message.
        let (login, password) = match proves {
            Some(proves) => Some(proves).filter(|_| lines.len() >= 2)?,
            None => credentials(&lines)?,
        };
        if reply.code == 235 {
            self.account = Some((login.clone(), password.clone()));
        }
        Some(Heard::Login { login, password, is_scram, reply: reply.clone() })
    }
}
