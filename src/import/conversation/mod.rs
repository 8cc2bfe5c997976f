//! A session of SMTP, heard line by line from both sides: what did the server refuse?
//!
//! For logs that hold the protocol itself. Replies are laid upon commands in their order, so that a client which
//! sends several at once is understood as well. Hearing may begin in the middle of a session.
//!
//! # What counts
//! A refused AUTH exchange (5yz to AUTH or to a response, unless the client had sent `*`); a refused sender,
//! recipient, relay, message, VRFY or EXPN; and once in a session that something else than SMTP is spoken, after
//! which nothing but AUTH counts any more: what follows is that other protocol's text. A temporary refusal (4yz)
//! is no attempt. An AUTH command that was never answered counts if the server had not offered AUTH.

mod exchange;
mod verb;

pub use verb::{Verb, tls_hello};

use crate::import::{Door, Finding, Line, Server, Step, What, scan};
use crate::limits;
use exchange::Exchange;
use std::collections::VecDeque;
use std::net::IpAddr;

/// Whether the reply to EHLO had AUTH in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Offered {
    #[default]
    Unknown,
    No,
    Yes,
}

/// One session.
#[derive(Debug, Clone)]
pub struct Conversation {
    server: Server,
    /// Where the client came from.
    pub source: Option<IpAddr>,
    /// The door it came to.
    pub door: Option<Door>,
    /// The server's own name for the session.
    pub session: Option<String>,
    helo: Option<String>,
    steps: Vec<Step>,
    /// Commands without a reply yet, with the numbers of their lines.
    waiting: VecDeque<(Verb, u64)>,
    exchange: Option<Exchange>,
    offered: Offered,
    /// AUTH was seen in a reply that is not at its end yet.
    auth_in_reply: bool,
    body: bool,
    other_protocol: bool,
    /// It is logged in: AUTH again is a mistake, not a try.
    logged_in: bool,
    /// The last line of the client that is no command: a response whose exchange began before we listened.
    stray: Option<String>,
    /// A refusal that another line has told already, waiting for the reply that belongs to it.
    told: Option<Finding>,
    /// The refusal whose reply comes next was counted at another line.
    counted: bool,
}

impl Conversation {
    /// A session of which nothing is known.
    #[must_use]
    pub fn new(server: Server) -> Self {
        Self {
            server,
            source: None,
            door: None,
            session: None,
            helo: None,
            steps: Vec::new(),
            waiting: VecDeque::new(),
            exchange: None,
            offered: Offered::Unknown,
            auth_in_reply: false,
            body: false,
            other_protocol: false,
            logged_in: false,
            stray: None,
            told: None,
            counted: false,
        }
    }

    /// Whether nothing was heard but who it is.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.steps.is_empty() && self.waiting.is_empty() && self.exchange.is_none() && self.stray.is_none()
    }

    /// The client says a line.
    pub fn client(&mut self, line: &Line<'_>, text: &str, found: &mut Vec<Finding>) {
        let text = text.trim_end_matches(['\r', '\n']);
        if self.body {
            if text == "." {
                self.body = false;
                self.ask(Verb::Body, line.number);
            }
            return;
        }
        self.settle(found);
        self.counted = false;
        let (verb, rest) = Verb::of(text);
        if let Some(step) = self.exchange.as_mut().and_then(|exchange| exchange.response(verb, text)) {
            self.remember(step);
            self.ask(Verb::Response, line.number);
            return;
        }
        match verb {
            Verb::Auth => {
                let (exchange, step) = Exchange::begun(rest);
                self.exchange = Some(exchange);
                self.remember(step);
            }
            Verb::Ehlo | Verb::Helo => self.helo = scan::login(rest.trim()),
            Verb::Unknown => self.stray = Some(text.chars().take(limits::IMPORT_VALUE_CHARS_MAX).collect()),
            Verb::Response
            | Verb::StartTls
            | Verb::Mail
            | Verb::Rcpt
            | Verb::Data
            | Verb::Body
            | Verb::Rset
            | Verb::Noop
            | Verb::Vrfy
            | Verb::Expn
            | Verb::Quit
            | Verb::Http
            | Verb::Tls
            | Verb::Other => {}
        }
        if let Some(step) = verb.step(rest) {
            self.remember(step);
        }
        self.ask(verb, line.number);
    }

    /// The server says a line. False if it is no reply.
    pub fn server(&mut self, line: &Line<'_>, text: &str, found: &mut Vec<Finding>) -> bool {
        let Some((code, last, words)) = reply(text) else {
            return false;
        };
        let capability = words.split([' ', '=']).next().unwrap_or("");
        self.auth_in_reply |= capability.eq_ignore_ascii_case("AUTH");
        if last {
            self.replied(line, code, words, found);
            self.auth_in_reply = false;
        }
        true
    }

    /// Another line has told that a login was refused; the reply is still to come, or is never logged.
    pub fn told(&mut self, finding: Finding, found: &mut Vec<Finding>) {
        self.settle(found);
        self.told = Some(finding);
    }

    /// This line tells that a login was refused, and is the one that counts: the reply, if it is logged too, adds
    /// nothing.
    pub fn told_here(&mut self, finding: Finding, found: &mut Vec<Finding>) {
        self.settle(found);
        found.push(self.completed(finding));
        self.counted = true;
    }

    /// Whether the next 220 answers STARTTLS.
    #[must_use]
    pub fn awaits_tls(&self) -> bool {
        self.waiting.iter().any(|(verb, _)| *verb == Verb::StartTls)
    }

    /// The login of a refusal that waits for its reply.
    #[must_use]
    pub fn waiting_login(&self) -> Option<&str> {
        self.told.as_ref().and_then(|told| told.login.as_deref())
    }

    /// The session is over, or there is no room to remember it.
    pub fn end(mut self, found: &mut Vec<Finding>) {
        let unanswered = self.waiting.iter().find(|(verb, _)| *verb == Verb::Auth).map(|(_, number)| *number);
        let aborted = self.exchange.as_ref().is_none_or(Exchange::aborted);
        if let (Some(number), Offered::No, false, None) = (unanswered, self.offered, aborted, &self.told) {
            let finding = self.finding(number, None, What::AuthCommand);
            found.push(finding);
        }
        self.settle(found);
    }

    /// What was told without a reply is told now.
    fn settle(&mut self, found: &mut Vec<Finding>) {
        if let Some(told) = self.told.take() {
            found.push(self.completed(told));
        }
    }

    fn remember(&mut self, step: Step) {
        if self.steps.len() < limits::IMPORT_STEPS_MAX {
            self.steps.push(step);
        }
    }

    fn ask(&mut self, verb: Verb, number: u64) {
        if self.waiting.len() >= limits::IMPORT_STEPS_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((verb, number));
    }

    /// The last line of a reply.
    fn replied(&mut self, line: &Line<'_>, code: u16, words: &str, found: &mut Vec<Finding>) {
        // 220 greets (or answers STARTTLS), 421 may come at any time.
        if matches!(code, 235 | 334 | 535) {
            self.catch_up();
        }
        let greets = code == 220 && self.waiting.front().is_none_or(|(verb, _)| *verb != Verb::StartTls);
        let verb = if greets { None } else { self.waiting.pop_front().map(|(verb, _)| verb) };
        let what = match verb {
            Some(Verb::Auth | Verb::Response) => self.auth_replied(code, words),
            // The exchange began before we listened.
            None => self.middle_replied(code, words),
            Some(Verb::Unknown) if code == 334 || code == 535 => self.middle_replied(code, words),
            Some(Verb::Ehlo) if code == 250 => {
                self.offered = if self.auth_in_reply { Offered::Yes } else { Offered::No };
                None
            }
            Some(Verb::StartTls) if code == 220 => {
                self.offered = Offered::Unknown;
                None
            }
            Some(Verb::Data) if code == 354 => {
                self.body = true;
                None
            }
            Some(verb) => self.command_refused(verb, code, words),
        };
        let exchange = if code == 334 { None } else { self.exchange_over(verb) };
        let told = if code >= 300 && code != 334 { self.told.take() } else { None };
        let already = code != 334 && std::mem::take(&mut self.counted);
        let Some(what) = what.filter(|_| !already) else {
            found.extend(told.map(|told| self.completed(told)));
            return;
        };
        let mut finding = self.finding(line.number, line.prefix.time, what);
        if let Some(exchange) = exchange {
            finding.mechanism = exchange.mechanism();
            finding.login = exchange.login();
        }
        if let Some(told) = told {
            finding.source = finding.source.or(told.source);
            finding.login = finding.login.or(told.login);
            finding.mechanism = finding.mechanism.or(told.mechanism);
        }
        found.push(finding);
    }

    /// A reply that only AUTH gets: if it was asked for, whatever was asked before had its replies, and the log has
    /// lost them.
    fn catch_up(&mut self) {
        let of_auth = |verb: Verb| matches!(verb, Verb::Auth | Verb::Response);
        if let Some(place) = self.waiting.iter().position(|(verb, _)| of_auth(*verb)) {
            self.waiting.drain(..place);
        }
    }

    /// The exchange whose end a reply to this verb is.
    fn exchange_over(&mut self, verb: Option<Verb>) -> Option<Exchange> {
        match verb {
            Some(Verb::Auth | Verb::Response | Verb::Unknown) | None => self.exchange.take(),
            Some(
                Verb::Ehlo
                | Verb::Helo
                | Verb::StartTls
                | Verb::Mail
                | Verb::Rcpt
                | Verb::Data
                | Verb::Body
                | Verb::Rset
                | Verb::Noop
                | Verb::Vrfy
                | Verb::Expn
                | Verb::Quit
                | Verb::Http
                | Verb::Tls
                | Verb::Other,
            ) => None,
        }
    }

    fn auth_replied(&mut self, code: u16, words: &str) -> Option<What> {
        let exchange = self.exchange.as_mut()?;
        if code == 334 {
            exchange.challenged(words);
            return None;
        }
        self.logged_in |= code == 235;
        if exchange.aborted() || code < 500 || (self.logged_in && code == 503) {
            return None;
        }
        Some(if code == 535 || exchange.had_credentials() { What::Login } else { What::AuthCommand })
    }

    /// A reply to a line we did not hear or did not understand as what it was.
    fn middle_replied(&mut self, code: u16, words: &str) -> Option<What> {
        if code == 334 {
            let stray = self.stray.take();
            if stray.is_some() {
                // It was taken for a command that nobody knows.
                self.steps.pop();
            }
            let (exchange, steps) = Exchange::overheard(words, stray);
            for step in steps {
                self.remember(step);
            }
            self.exchange = Some(exchange);
            return None;
        }
        (code == 535).then_some(What::Login)
    }

    fn command_refused(&mut self, verb: Verb, code: u16, words: &str) -> Option<What> {
        if code < 500 || self.other_protocol {
            return None;
        }
        match verb {
            Verb::Rcpt => match code {
                530 | 551 => Some(What::Relay),
                550 | 553 | 554 | 571 => Some(if names_relay(words) { What::Relay } else { What::Recipient }),
                _ => None,
            },
            Verb::Mail => matches!(code, 530 | 550 | 553 | 554).then_some(What::Sender),
            Verb::Vrfy | Verb::Expn => Some(What::Verify),
            Verb::Ehlo | Verb::Helo => matches!(code, 550 | 554).then_some(What::Greeting),
            Verb::Body => matches!(code, 550 | 554).then_some(What::Message),
            Verb::Http | Verb::Tls => {
                self.other_protocol = true;
                Some(What::Garbage)
            }
            Verb::Auth
            | Verb::Response
            | Verb::StartTls
            | Verb::Data
            | Verb::Rset
            | Verb::Noop
            | Verb::Quit
            | Verb::Other
            | Verb::Unknown => None,
        }
    }

    fn finding(&self, number: u64, time: Option<i64>, what: What) -> Finding {
        let line = Line {
            number,
            text: "",
            whole: "",
            prefix: crate::import::Prefix { time, ..Default::default() },
        };
        let bare = Finding::new(&line, self.server, what);
        let mut finding = self.completed(bare);
        if let (What::AuthCommand, Some(exchange)) = (what, &self.exchange) {
            finding.mechanism = exchange.mechanism();
            finding.login = exchange.login();
        }
        finding
    }

    /// A finding with what is known of the session put in.
    fn completed(&self, mut finding: Finding) -> Finding {
        finding.source = finding.source.or(self.source);
        finding.door = finding.door.or(self.door);
        finding.session = finding.session.or_else(|| self.session.clone());
        finding.helo = finding.helo.or_else(|| self.helo.clone());
        if finding.steps.is_empty() {
            finding.steps = self.steps.clone();
        }
        if let Some(exchange) = &self.exchange {
            finding.login = finding.login.or_else(|| exchange.login());
            finding.mechanism = finding.mechanism.or_else(|| exchange.mechanism());
        }
        finding
    }
}

/// Code, whether it is the last line, and the words of a reply (RFC 5321 section 4.2).
#[must_use]
pub fn reply(text: &str) -> Option<(u16, bool, &str)> {
    let text = text.trim_end_matches(['\r', '\n']);
    let digits = text.get(..3)?;
    let code: u16 =
        digits.bytes().all(|octet| octet.is_ascii_digit()).then(|| digits.parse().ok()).flatten()?;
    let rest = text.get(3..)?;
    let mut letters = rest.chars();
    match letters.next() {
        None => Some((code, true, "")),
        Some(' ') => Some((code, true, letters.as_str())),
        Some('-') => Some((code, false, letters.as_str())),
        Some(_) => None,
    }
}

/// Whether the words of a refusal are about relaying: RFC 3463 code 5.7.1, or the word.
fn names_relay(words: &str) -> bool {
    words.starts_with("5.7.1 ") || words.to_ascii_lowercase().contains("relay")
}

#[cfg(test)]
mod tests;
