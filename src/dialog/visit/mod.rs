//! A dialogue with a server of any make: what to send, and whether what comes is of the class that is written.
//!
//! Other servers have other texts, other enhanced codes and another world. So a reply is judged by whether it
//! says yes, go on or no. Where a server says no to what needs accounts or domains it does not have, the rest of
//! the session cannot be compared and is left out. A yes where a no is written is told, whatever the reason, but for
//! commands that RFC 5321 lets every server take at any time. A reply that gatepost gives and no server owes, as to
//! half a line or for a limit, is waited for no longer than it takes to hear that nothing comes.

mod names;
mod owed;
pub mod score;
#[cfg(test)]
mod tests;

pub use names::{Mapping, NameKind};
pub use score::{LoginSeen, Sort};

use super::live::{Deed, Heard};
use super::play::usual_tls;
use super::world::World;
use super::{Dialog, Entry, Event, Kind};
use crate::contract::{Cause, Listener};
use crate::limits::REPLAY_REFUSALS_BEFORE_END;
use crate::types::Reply;
use names::Names;
use owed::Owed;
use std::collections::{BTreeMap, VecDeque};

/// Something a server should not have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The line of the dialogue.
    pub line: usize,
    /// Of which sort.
    pub sort: Sort,
    /// What happened, for people.
    pub what: String,
}

/// What a reply says, whoever gives it (RFC 5321 section 4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Yes,
    GoOn,
    No,
}

/// What is awaited of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Reply(u16),
    Secured,
    End,
}

/// How far a session has come.
#[derive(Debug, Default)]
struct Place {
    listener: Option<Listener>,
    /// Whether nothing more of it is compared.
    over: bool,
    last_code: u16,
    /// Whether the handshake of the door is what the next `TLS:` line tells.
    handshake_told: bool,
    secured: bool,
    /// What was said last, and what is owed for it.
    owed: Owed,
    /// Replies so far that said no.
    refusals: u32,
    /// Whether the last of them said that there were too many of something.
    had_enough: bool,
    /// The exchange under way: its mechanism, and whose login it is once that is known.
    login: Option<(String, Option<NameKind>)>,
}

/// The client of one dialogue.
#[derive(Debug)]
pub struct Visitor<'d> {
    dialog: &'d Dialog,
    names: Names<'d>,
    at: usize,
    line: usize,
    places: BTreeMap<u8, Place>,
    deeds: VecDeque<(Deed, Option<Due>)>,
    due: Option<(u8, Due)>,
    findings: Vec<Finding>,
    logins: Vec<LoginSeen>,
    /// Sessions of which a part was left out.
    left_out: usize,
    slow_ms: u64,
}

/// What came of a dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visited {
    /// What the server should not have done.
    pub findings: Vec<Finding>,
    /// Logins that were refused.
    pub logins: Vec<LoginSeen>,
    /// Sessions that were opened.
    pub sessions: usize,
    /// Sessions of which the rest was left out, since the server has another world.
    pub left_out: usize,
}

impl<'d> Visitor<'d> {
    /// Begins a dialogue. An answer that takes longer than `slow_ms` is slow.
    ///
    /// # Errors
    /// The line of its world that contradicts another, and how.
    pub fn new(
        dialog: &'d Dialog,
        mapping: Option<&'d Mapping>,
        slow_ms: u64,
    ) -> Result<Self, (usize, String)> {
        Ok(Self {
            dialog,
            names: Names::new(World::of(dialog)?, mapping),
            at: 0,
            line: 1,
            places: BTreeMap::new(),
            deeds: VecDeque::new(),
            due: None,
            findings: Vec::new(),
            logins: Vec::new(),
            left_out: 0,
            slow_ms,
        })
    }

    /// What to do next, until there is nothing left. Of messages nothing is asked.
    #[expect(clippy::should_implement_trait, reason = "between two deeds the visitor is told what came")]
    pub fn next(&mut self) -> Option<Deed> {
        loop {
            if let Some((deed, due)) = self.deeds.pop_front() {
                self.due = due.map(|due| (session_of(&deed), due));
                return Some(self.as_owed(deed));
            }
            let Entry { line, kind } = self.dialog.entries.get(self.at)?;
            self.line = *line;
            match kind {
                Kind::Session(number, event) => self.session(*number, event),
                Kind::Blank
                | Kind::Comment(_)
                | Kind::Head(_)
                | Kind::World(_)
                | Kind::Pass(_)
                | Kind::Stop
                | Kind::Message(_)
                | Kind::Count(..) => self.at = self.at.saturating_add(1),
            }
        }
    }

    /// What no server owes is listened for, and not waited for.
    fn as_owed(&mut self, deed: Deed) -> Deed {
        if let Deed::AwaitReply(number) = deed
            && !self.places.entry(number).or_default().owed.is_due()
        {
            return Deed::AwaitSilence(number);
        }
        deed
    }

    /// The dialogue is over.
    #[must_use]
    pub fn finish(self) -> Visited {
        Visited {
            findings: self.findings,
            logins: self.logins,
            sessions: self.places.len(),
            left_out: self.left_out,
        }
    }

    fn finds(&mut self, sort: Sort, what: impl Into<String>) {
        self.findings.push(Finding { line: self.line, sort, what: what.into() });
    }

    /// Nothing more of this session is compared.
    fn leave(&mut self, number: u8) {
        self.deeds.retain(|(deed, _)| session_of(deed) != number);
        let place = self.places.entry(number).or_default();
        if !std::mem::replace(&mut place.over, true) {
            self.deeds.push_back((Deed::Break(number), None));
        }
    }

    /// The server has another world than the dialogue.
    fn leave_out(&mut self, number: u8) {
        self.left_out = self.left_out.saturating_add(1);
        self.leave(number);
    }

    fn open(&mut self, number: u8, event: &Event) {
        if self.places.contains_key(&number) {
            return;
        }
        let head = self.dialog.head.listener;
        let rest = self.dialog.entries.get(self.at.saturating_add(1)..).unwrap_or_default();
        let (listener, first) = if let Event::Open(listener, _) = event {
            (listener.unwrap_or(head), rest.iter().find_map(|entry| entry.kind.of_session(number)))
        } else {
            (head, Some(event))
        };
        self.deeds.push_back((Deed::Connect(number, listener), None));
        let is_secure = listener == Listener::Submissions && !matches!(first, Some(Event::TlsFailed));
        if is_secure {
            self.deeds.push_back((Deed::Handshake(number, usual_tls()), Some(Due::Secured)));
        }
        let handshake_told = is_secure && matches!(first, Some(Event::TlsUp(_)));
        let place = Place { listener: Some(listener), handshake_told, ..Place::default() };
        self.places.insert(number, place);
    }

    fn session(&mut self, number: u8, event: &'d Event) {
        self.open(number, event);
        let is_over = self.places.get(&number).is_some_and(|place| place.over);
        if let (Event::Client(..), false) = (event, is_over) {
            return self.client(number);
        }
        self.at = self.at.saturating_add(1);
        if is_over {
            return;
        }
        let place = self.places.entry(number).or_default();
        match event {
            Event::Reply(line) if line.more => {}
            Event::Reply(line) => {
                self.deeds.push_back((Deed::AwaitReply(number), Some(Due::Reply(line.code))))
            }
            Event::Replies(count, line) => {
                for _ in 0..*count {
                    self.deeds.push_back((Deed::AwaitReply(number), Some(Due::Reply(line.code))));
                }
            }
            Event::TlsUp(_) if std::mem::take(&mut place.handshake_told) => {}
            Event::TlsUp(facts) => {
                self.deeds.push_back((Deed::Handshake(number, facts.clone()), Some(Due::Secured)));
            }
            // What a server says to what is no handshake differs too much to be judged.
            Event::TlsFailed | Event::Broken | Event::Cut => self.leave(number),
            Event::PeerClosed => self.deeds.push_back((Deed::CloseSending(number), None)),
            Event::Closed(Cause::Quit) => self.deeds.push_back((Deed::AwaitEnd(number), Some(Due::End))),
            // Every server has limits of its own.
            Event::Closed(_) => self.leave(number),
            Event::Open(..)
            | Event::ReplyHas(_)
            | Event::ReplyLacks(_)
            | Event::Answer(..)
            | Event::Paced(_) => {}
            Event::Client(..) => {}
        }
    }

    /// What a client says in a row is sent at once.
    fn client(&mut self, number: u8) {
        let mut octets = Vec::new();
        let place = self.places.entry(number).or_default();
        let in_login = place.last_code == 334;
        let dialog = self.dialog;
        for entry in dialog.entries.get(self.at..).unwrap_or_default() {
            match &entry.kind {
                Kind::Blank | Kind::Comment(_) => {}
                Kind::Session(speaker, Event::Client(text, crlf)) if *speaker == number => {
                    let mut line = Vec::new();
                    text.expand(&mut line);
                    let said = self.names.line(&line, in_login);
                    if let Some(mechanism) = mechanism(&line) {
                        place.login = Some((mechanism, None));
                    }
                    if let (Some((_, kind @ None)), Some(of)) = (&mut place.login, said.kind) {
                        *kind = Some(of);
                    }
                    octets.extend(said.octets);
                    if *crlf {
                        octets.extend_from_slice(b"\r\n");
                    }
                }
                Kind::Head(_)
                | Kind::World(_)
                | Kind::Session(..)
                | Kind::Pass(_)
                | Kind::Stop
                | Kind::Message(_)
                | Kind::Count(..) => break,
            }
            self.at = self.at.saturating_add(1);
        }
        // The last reply may belong to more than was said by then: a body is taken for one only where it was asked for.
        place.owed.said(&octets, in_login, place.last_code == 354);
        self.deeds.push_back((Deed::Send(number, octets), None));
    }

    /// Takes what came of a deed, and how many milliseconds that took.
    pub fn heard(&mut self, heard: Heard, took_ms: u64) {
        let Some((number, due)) = self.due.take() else { return };
        if took_ms > self.slow_ms {
            self.finds(Sort::Slow, format!("this took {took_ms} ms"));
        }
        match (due, heard) {
            (Due::Reply(expected), Heard::Reply(reply)) => self.reply(number, expected, &reply, took_ms),
            (Due::Secured, Heard::Secured) => {
                let place = self.places.entry(number).or_default();
                (place.secured, place.last_code) = (true, 0);
                place.owed.secured();
            }
            (Due::Secured, Heard::NotSecured(why)) => {
                self.finds(Sort::WrongClass, format!("a handshake was to be made, and failed: {why}"));
                self.leave(number);
            }
            (Due::End, Heard::Ended(_)) => self.places.entry(number).or_default().over = true,
            (Due::End, _) => {
                self.finds(Sort::WrongClass, "the server was told QUIT, and does not end the session");
                self.leave(number);
            }
            (_, Heard::Ended(_)) => {
                let place = self.places.entry(number).or_default();
                place.over = true;
                // It said good-bye, or had enough.
                let said_so = matches!(place.last_code, 221 | 421 | 521 | 554);
                let had_enough = place.had_enough || due == Due::Reply(421);
                if had_enough && !said_so {
                    self.left_out = self.left_out.saturating_add(1);
                } else if !said_so {
                    self.finds(Sort::Crash, "the connection was lost, and a reply was due");
                }
                self.deeds.retain(|(deed, _)| session_of(deed) != number);
            }
            (_, Heard::NoReply(what)) => {
                self.finds(Sort::WrongClass, format!("this is no reply: {what}"));
                self.leave(number);
            }
            (Due::Reply(_), Heard::Silence) if !self.places.entry(number).or_default().owed.is_due() => {
                self.leave_out(number);
            }
            (_, Heard::Silence) => {
                self.finds(Sort::Slow, format!("no answer came within {took_ms} ms"));
                self.leave(number);
            }
            (
                Due::Reply(_) | Due::Secured,
                Heard::Reply(_) | Heard::Secured | Heard::NotSecured(_) | Heard::Messages(_),
            ) => self.leave(number),
        }
    }

    fn reply(&mut self, number: u8, expected: u16, reply: &Reply, took_ms: u64) {
        let place = self.places.entry(number).or_default();
        place.last_code = reply.code;
        // Whoever says good-bye unasked does not do what was asked.
        let came = if reply.code == 221 && expected != 221 { Class::No } else { class(reply.code) };
        place.refusals = place.refusals.saturating_add(u32::from(came == Class::No));
        place.had_enough = came == Class::No
            && (place.refusals >= REPLAY_REFUSALS_BEFORE_END || says_too_many(reply) || reply.code == 421);
        place.owed.answered();
        if came != Class::GoOn
            && let Some((mechanism, Some(kind))) = place.login.take()
            && expected == 535
            && came == Class::No
        {
            let door = place.listener.unwrap_or(self.dialog.head.listener).name();
            let tls = if place.secured { " in TLS" } else { "" };
            let text = super::compare::wire(reply);
            let way = format!("AUTH {mechanism} on {door}{tls}");
            self.logins.push(LoginSeen { line: self.line, way, kind, reply: text, took_ms });
        }
        let is_other_world = !place.owed.is_plain || place.owed.is_out_of_step || place.had_enough;
        let Owed { is_harmless, is_optional, .. } = place.owed;
        match (class(expected), came) {
            (Class::Yes, Class::Yes) | (Class::GoOn, Class::GoOn) | (Class::No, Class::No) => {}
            // Any server may do so.
            (Class::No, Class::Yes) if is_harmless => {}
            (Class::Yes, Class::No) if is_optional => {}
            // Trouble of the moment, and the server has none.
            (Class::No, Class::Yes | Class::GoOn) if (400..500).contains(&expected) => self.leave_out(number),
            (Class::Yes | Class::GoOn, Class::No) if is_other_world => self.leave_out(number),
            (Class::Yes | Class::GoOn | Class::No, _) => {
                let came = super::compare::wire(reply);
                self.finds(Sort::WrongClass, format!("expected {expected}, and this came: {came}"));
                self.leave(number);
            }
        }
    }
}

fn class(code: u16) -> Class {
    match code {
        0..=299 => Class::Yes,
        300..=399 => Class::GoOn,
        400.. => Class::No,
    }
}

/// Whether a server says in its own words that it has a limit: not all do so with 421.
fn says_too_many(reply: &Reply) -> bool {
    reply.lines.iter().any(|line| line.to_ascii_lowercase().contains("too many"))
}

/// The mechanism of an AUTH command.
fn mechanism(line: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(line).ok()?;
    let mut words = text.split_ascii_whitespace();
    words.next().filter(|verb| verb.eq_ignore_ascii_case("AUTH"))?;
    words.next().map(str::to_ascii_uppercase)
}

/// The session of a deed; of none, the first.
fn session_of(deed: &Deed) -> u8 {
    match deed {
        Deed::Connect(number, _)
        | Deed::Handshake(number, _)
        | Deed::Send(number, _)
        | Deed::CloseSending(number)
        | Deed::Break(number)
        | Deed::AwaitReply(number)
        | Deed::AwaitEnd(number)
        | Deed::AwaitSilence(number) => *number,
        Deed::ListMessages => 1,
    }
}
