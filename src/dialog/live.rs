//! A dialogue with a server that is really there: what to do next, and whether what came is what is written.
//!
//! [`Caller`] has no socket. Whoever has them asks for the [next deed](Caller::next), does it, tells it
//! [what it heard](Caller::heard), and asks again, until there is nothing left to do or something differs.

#[cfg(test)]
mod tests;

use super::compare::{Claimed, Seen, matches, shown, wire};
use super::kept::{Kept, LiveMessage, sorted};
use super::play::{Difference, usual_tls};
use super::text::Text;
use super::{Dialog, Entry, Event, HeadKey, Kind, MessageExpected, ReplyLine, WorldFact};
use crate::contract::{Cause, Listener, TlsFacts};
use crate::types::Reply;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// What a dialogue has that only a player in memory can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InMemoryOnly {
    /// An answer is given in the world's place.
    AnswerGiven,
    /// The server is slow with a client that has a record.
    ServerIsSlow,
    /// Time passes.
    TimePasses,
    /// The server leaves.
    ServerLeaves,
    /// The directory cannot be asked.
    DirectoryUnavailable,
    /// An alias has no members, and no administrator can make one.
    AliasWithoutMembers,
    /// What the server draws by chance is written down.
    ChanceGiven,
    /// The throttle judges logins, which it does by a clock.
    ThrottleAtWork,
    /// Sessions come from several addresses.
    SeveralSources,
}

impl InMemoryOnly {
    /// Why it cannot be had from a server, for people.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::AnswerGiven => "an answer is given in the world's place",
            Self::ServerIsSlow => "the server is slow with a client that has a record",
            Self::TimePasses => "time passes",
            Self::ServerLeaves => "the server leaves",
            Self::DirectoryUnavailable => "the directory cannot be asked",
            Self::AliasWithoutMembers => "an alias has no members",
            Self::ChanceGiven => "what the server draws by chance is written down",
            Self::ThrottleAtWork => "the throttle judges logins by a clock",
            Self::SeveralSources => "sessions come from several addresses",
        }
    }
}

/// The first line of a dialogue that no server can be made to do from outside, and what it has.
#[must_use]
pub fn in_memory_only(dialog: &Dialog) -> Option<(usize, InMemoryOnly)> {
    dialog.entries.iter().find_map(|Entry { line, kind }| {
        let why = match kind {
            Kind::Session(_, Event::Answer(..)) => InMemoryOnly::AnswerGiven,
            Kind::Session(_, Event::Paced(_)) => InMemoryOnly::ServerIsSlow,
            Kind::Pass(_) => InMemoryOnly::TimePasses,
            Kind::Stop => InMemoryOnly::ServerLeaves,
            Kind::World(WorldFact::Unavailable) => InMemoryOnly::DirectoryUnavailable,
            Kind::World(WorldFact::Alias(_, members)) if members.is_empty() => {
                InMemoryOnly::AliasWithoutMembers
            }
            Kind::Head(HeadKey::Seed) => InMemoryOnly::ChanceGiven,
            Kind::Head(HeadKey::Throttle) if dialog.head.throttle => InMemoryOnly::ThrottleAtWork,
            Kind::Session(_, Event::Open(_, Some(peer))) if *peer != dialog.head.peer => {
                InMemoryOnly::SeveralSources
            }
            Kind::Blank
            | Kind::Comment(_)
            | Kind::Head(
                HeadKey::Listener
                | HeadKey::Peer
                | HeadKey::Clock
                | HeadKey::Hostname
                | HeadKey::Size
                | HeadKey::Tls
                | HeadKey::Throttle
                | HeadKey::Scram,
            )
            | Kind::World(WorldFact::Domain(..) | WorldFact::Account(_) | WorldFact::Alias(..))
            | Kind::Session(
                _,
                Event::Open(..)
                | Event::Client(..)
                | Event::Reply(_)
                | Event::Replies(..)
                | Event::ReplyHas(_)
                | Event::ReplyLacks(_)
                | Event::TlsUp(_)
                | Event::TlsFailed
                | Event::PeerClosed
                | Event::Broken
                | Event::Closed(_)
                | Event::Cut,
            )
            | Kind::Message(_)
            | Kind::Count(..) => return None,
        };
        Some((*line, why))
    })
}

/// What whoever has the sockets does next. Numbers are those of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Connect to this door. Nothing is heard.
    Connect(u8, Listener),
    /// A handshake with exactly this version and cipher suite: [`Heard::Secured`] or [`Heard::NotSecured`].
    Handshake(u8, TlsFacts),
    /// Send these octets, cut in any way. Nothing is heard: where the server does not take them, what it says
    /// tells more.
    Send(u8, Vec<u8>),
    /// Close the sending side (within TLS with a close_notify). Nothing is heard.
    CloseSending(u8),
    /// Break the connection, without an orderly end. Nothing is heard.
    Break(u8),
    /// Wait for a reply: [`Heard::Reply`], [`Heard::NoReply`], [`Heard::Ended`] or [`Heard::Silence`].
    AwaitReply(u8),
    /// Wait for the end: [`Heard::Ended`] or [`Heard::Silence`].
    AwaitEnd(u8),
    /// Wait a little for what must not come: the same as with a reply.
    AwaitSilence(u8),
    /// Look which messages from this client are kept: [`Heard::Messages`].
    ListMessages,
}

/// What came of a deed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A reply.
    Reply(Reply),
    /// Something that is no reply, and why.
    NoReply(String),
    /// The server ended the connection; before that it said these octets beyond all replies taken.
    Ended(Vec<u8>),
    /// Nothing, for as long as a server may take.
    Silence,
    /// The handshake succeeded, with what was asked for.
    Secured,
    /// It did not, and why.
    NotSecured(String),
    /// Every message from this client that is kept, in the order in which they became durable.
    Messages(Vec<LiveMessage>),
}

/// What is awaited of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Awaited {
    Secured,
    Reply(Vec<ReplyLine>),
    End(Cause),
    Silence,
    Messages,
}

/// How far a session has come.
#[derive(Debug, Default)]
struct Place {
    /// Its last reply.
    reply: Option<Reply>,
    /// Lines of a reply whose every line is given, so far.
    block: Vec<ReplyLine>,
    /// Whether it is over.
    over: bool,
    /// Whether a first `TLS:` line only says what the handshake of the door came to.
    handshake_told: bool,
}

/// The client's part of a dialogue.
#[derive(Debug)]
pub struct Caller<'d> {
    dialog: &'d Dialog,
    peer: IpAddr,
    /// The next entry.
    at: usize,
    line: usize,
    places: BTreeMap<u8, Place>,
    deeds: VecDeque<(Deed, Option<Awaited>)>,
    awaited: Option<(u8, Awaited)>,
    /// What is kept, with the fields in front as they would be in the dialogue's world.
    messages: Vec<Kept>,
    /// Whether something happened since they were looked at.
    stale: bool,
    claimed: Claimed,
    finished: bool,
}

type Step = Result<(), Difference>;

impl<'d> Caller<'d> {
    /// Begins a dialogue, which is none of those that [only a player in memory](in_memory_only) can play.
    /// `peer` is what the server sees as the address of the client.
    #[must_use]
    pub fn new(dialog: &'d Dialog, peer: IpAddr) -> Self {
        Self {
            dialog,
            peer,
            at: 0,
            line: 1,
            places: BTreeMap::new(),
            deeds: VecDeque::new(),
            awaited: None,
            messages: Vec::new(),
            stale: true,
            claimed: Claimed::default(),
            finished: false,
        }
    }

    /// What to do next; nothing when the dialogue is over.
    ///
    /// # Errors
    /// Where the dialogue is at odds with what was heard so far.
    #[expect(clippy::should_implement_trait, reason = "what fails is over, and an iterator cannot say so")]
    pub fn next(&mut self) -> Result<Option<Deed>, Difference> {
        if self.awaited.is_some() {
            return self.differs("what came of the last deed was never told");
        }
        loop {
            if let Some((deed, awaited)) = self.deeds.pop_front() {
                self.stale |= deed != Deed::ListMessages;
                self.awaited = awaited.map(|awaited| (session_of(&deed), awaited));
                return Ok(Some(deed));
            }
            let dialog = self.dialog;
            match dialog.entries.get(self.at) {
                Some(Entry { line, kind }) => {
                    self.line = *line;
                    self.entry(kind)?;
                }
                None if self.finished => return Ok(None),
                None => self.finish()?,
            }
        }
    }

    /// Takes what came of a deed.
    ///
    /// # Errors
    /// Where it is not what is written.
    pub fn heard(&mut self, heard: Heard) -> Step {
        let Some((session, awaited)) = self.awaited.take() else {
            return self.differs("something was heard, and nothing was awaited");
        };
        match (awaited, heard) {
            (Awaited::Secured, Heard::Secured) | (Awaited::Silence, Heard::Silence) => Ok(()),
            (Awaited::Reply(block), Heard::Reply(reply)) => {
                let same = matches(&block, &reply);
                let came = wire(&reply);
                self.places.entry(session).or_default().reply = Some(reply);
                if same {
                    return Ok(());
                }
                self.differs(format!("expected {}, and this came: {came}", shown(&block)))
            }
            (Awaited::End(cause), Heard::Ended(rest)) => {
                self.places.entry(session).or_default().over = true;
                if rest.is_empty() || (cause == Cause::TlsFailed && is_alert(&rest)) {
                    return Ok(());
                }
                self.differs(format!("this is not written down: {}", Text::from_octets(&rest)))
            }
            (Awaited::Messages, Heard::Messages(messages)) => {
                self.messages =
                    messages.iter().map(|message| Kept::of(message, &self.dialog.head, self.peer)).collect();
                self.stale = false;
                Ok(())
            }
            (awaited, heard) => self.differs(format!("{}, and {}", expected(&awaited), came(&heard))),
        }
    }

    fn differs<T>(&self, what: impl Into<String>) -> Result<T, Difference> {
        Err(Difference { line: self.line, what: what.into(), is_law: false })
    }

    fn entry(&mut self, kind: &Kind) -> Step {
        match kind {
            // What a server counts is its own affair.
            Kind::Blank | Kind::Comment(_) | Kind::Head(_) | Kind::World(_) | Kind::Count(..) => {}
            Kind::Session(number, event) => {
                let opened = self.connect(*number, event);
                return self.session(*number, event, opened);
            }
            Kind::Message(_) if self.stale => {
                self.deeds.push_back((Deed::ListMessages, Some(Awaited::Messages)));
                return Ok(());
            }
            Kind::Message(expected) => self.message(expected)?,
            Kind::Pass(_) | Kind::Stop => return self.differs("no server can be made to do this"),
        }
        self.at = self.at.saturating_add(1);
        Ok(())
    }

    /// Connects a session that is named for the first time, and says whether it does.
    fn connect(&mut self, number: u8, event: &Event) -> bool {
        if self.places.contains_key(&number) {
            return false;
        }
        let head = self.dialog.head.listener;
        let (listener, first) = if let Event::Open(listener, _) = event {
            (listener.unwrap_or(head), self.after_open(number))
        } else {
            (head, Some(event))
        };
        self.deeds.push_back((Deed::Connect(number, listener), None));
        let mut place = Place::default();
        match (listener, first) {
            (Listener::Smtp | Listener::Submission, _) | (Listener::Submissions, Some(Event::TlsFailed)) => {}
            (Listener::Submissions, Some(Event::TlsUp(facts))) => {
                place.handshake_told = true;
                self.handshake(number, facts.clone());
            }
            (Listener::Submissions, Some(_) | None) => self.handshake(number, usual_tls()),
        }
        self.places.insert(number, place);
        true
    }

    /// What follows the `OPEN:` line of a session.
    fn after_open(&self, number: u8) -> Option<&'d Event> {
        let dialog = self.dialog;
        let rest = dialog.entries.get(self.at.saturating_add(1)..).unwrap_or_default();
        rest.iter().find_map(|entry| entry.kind.of_session(number))
    }

    fn handshake(&mut self, number: u8, facts: TlsFacts) {
        self.deeds.push_back((Deed::Handshake(number, facts), Some(Awaited::Secured)));
    }

    fn session(&mut self, number: u8, event: &Event, opened: bool) -> Step {
        let place = self.places.entry(number).or_default();
        if !place.block.is_empty() && !matches!(event, Event::Reply(_)) {
            return self.differs("the reply begun above (\"250-\") has no last line");
        }
        match event {
            Event::Client(..) => return self.client(number),
            Event::Reply(line) => {
                place.block.push(line.clone());
                if !line.more {
                    let block = std::mem::take(&mut place.block);
                    self.deeds.push_back((Deed::AwaitReply(number), Some(Awaited::Reply(block))));
                }
            }
            Event::Replies(count, line) => {
                for _ in 0..*count {
                    let awaited = Awaited::Reply(vec![line.clone()]);
                    self.deeds.push_back((Deed::AwaitReply(number), Some(awaited)));
                }
            }
            Event::ReplyHas(text) => self.reply_has(number, text)?,
            Event::ReplyLacks(text) => self.reply_lacks(number, text)?,
            Event::Open(..) if opened => {}
            Event::Open(..) => return self.differs("this session is open already"),
            // The handshake a door begins with was begun when the session was opened.
            Event::TlsUp(_) if std::mem::take(&mut place.handshake_told) => {}
            Event::TlsUp(facts) => self.handshake(number, facts.clone()),
            Event::TlsFailed => self.deeds.push_back((Deed::Send(number, NO_HANDSHAKE.to_vec()), None)),
            // `in_memory_only` named it.
            Event::Paced(_) => {}
            Event::PeerClosed => self.deeds.push_back((Deed::CloseSending(number), None)),
            Event::Broken => {
                place.over = true;
                self.deeds.push_back((Deed::Break(number), None));
            }
            Event::Cut if place.over => {}
            Event::Cut => {
                place.over = true;
                self.deeds.push_back((Deed::Break(number), None));
            }
            // Nothing more can be heard of what the client broke off.
            Event::Closed(_) if place.over => {}
            Event::Closed(cause) => {
                self.deeds.push_back((Deed::AwaitEnd(number), Some(Awaited::End(*cause))));
            }
            Event::Answer(..) => return self.differs("no server can be made to do this"),
        }
        self.at = self.at.saturating_add(1);
        Ok(())
    }

    /// What a client says in a row is sent at once.
    fn client(&mut self, number: u8) -> Step {
        let mut octets = Vec::new();
        let dialog = self.dialog;
        for entry in dialog.entries.get(self.at..).unwrap_or_default() {
            match &entry.kind {
                Kind::Blank | Kind::Comment(_) => {}
                Kind::Session(speaker, Event::Client(text, crlf)) if *speaker == number => {
                    text.expand(&mut octets);
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
        self.deeds.push_back((Deed::Send(number, octets), None));
        Ok(())
    }

    fn last_reply(&self, number: u8) -> Result<&Reply, Difference> {
        let reply = self.places.get(&number).and_then(|place| place.reply.as_ref());
        reply.map_or_else(|| self.differs("no reply was matched yet"), Ok)
    }

    fn reply_has(&self, number: u8, text: &str) -> Step {
        let reply = self.last_reply(number)?;
        if reply.lines.iter().any(|line| line == text) {
            return Ok(());
        }
        self.differs(format!("no line of the reply is \"{text}\": {}", wire(reply)))
    }

    fn reply_lacks(&self, number: u8, text: &str) -> Step {
        let reply = self.last_reply(number)?;
        if !reply.lines.iter().any(|line| line.starts_with(text)) {
            return Ok(());
        }
        self.differs(format!("a line of the reply begins with \"{text}\": {}", wire(reply)))
    }

    fn message(&mut self, expected: &MessageExpected) -> Step {
        // A list of mail is by account, so it cannot tell the order of the copies of one message.
        let expected = match expected {
            MessageExpected::Envelope(sender, copies) => {
                MessageExpected::Envelope(sender.clone(), sorted(copies.clone()))
            }
            MessageExpected::NoneLeft
            | MessageExpected::Field(_)
            | MessageExpected::NoField(_)
            | MessageExpected::Body(..) => expected.clone(),
        };
        let seen: Vec<Seen<'_>> = self.messages.iter().map(Kept::seen).collect();
        let checked = self.claimed.check(&seen, &expected);
        checked.or_else(|what| self.differs(what))
    }

    /// What was not written down, at the end.
    fn finish(&mut self) -> Step {
        self.finished = true;
        self.line = self.line.saturating_add(1);
        let seen: Vec<Seen<'_>> = self.messages.iter().map(Kept::seen).collect();
        if let Err(what) = self.claimed.body_is_whole(&seen) {
            return self.differs(what);
        }
        for (number, place) in &self.places {
            if !place.over {
                self.deeds.push_back((Deed::AwaitSilence(*number), Some(Awaited::Silence)));
            }
        }
        Ok(())
    }
}

/// What a client sends whose handshake fails.
const NO_HANDSHAKE: &[u8] = b"This is no handshake.\r\n";

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

fn expected(awaited: &Awaited) -> String {
    match awaited {
        Awaited::Secured => "a handshake was begun".to_owned(),
        Awaited::Reply(block) => format!("expected {}", shown(block)),
        Awaited::End(_) => "the session has ended".to_owned(),
        Awaited::Silence => "no more is written down".to_owned(),
        Awaited::Messages => "the messages were to be listed".to_owned(),
    }
}

fn came(heard: &Heard) -> String {
    match heard {
        Heard::Reply(reply) => format!("this came: {}", wire(reply)),
        Heard::NoReply(what) => format!("this came instead of a reply: {what}"),
        Heard::Ended(rest) if rest.is_empty() => "the server ended the connection".to_owned(),
        Heard::Ended(rest) => {
            format!("the server ended the connection after saying {}", Text::from_octets(rest))
        }
        Heard::Silence => "nothing came".to_owned(),
        Heard::Secured => "a handshake succeeded".to_owned(),
        Heard::NotSecured(why) => format!("it failed: {why}"),
        Heard::Messages(_) => "messages were listed".to_owned(),
    }
}

/// Whether octets are whole TLS records of alerts and nothing else (RFC 8446 section 5.1).
fn is_alert(octets: &[u8]) -> bool {
    let mut rest = octets;
    while let Some((record, after)) = rest.split_at_checked(7) {
        if !matches!(record, [0x15, 3, _, 0, 2, _, _]) {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}
