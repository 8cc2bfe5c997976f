//! Plays a dialogue in memory and says where the session differs from what is written.

mod cuts;
mod recorded;
pub mod update;

use super::book::{Book, Judged};
use super::compare::{Claimed, Seen, matches, shown, wire};
use super::seat::{Around, Opening, Seat};
pub use super::seat::{DurableMessage, Transcript};
use super::world::World;
use super::{Dialog, Entry, Event, Kind, MessageExpected, ReplyLine};
use crate::contract::{self, Cause, Listener, Pace, PeerFacts, TlsFacts};
use crate::journal::{Arena, Tape};
use crate::limits::{IDLE_MS, SESSION_MS_MAX};
use crate::smtp::session::Settings;
use crate::types::{Chance, ChannelBindings, Moment, Now, SessionId, UnixTime};
pub use cuts::Cuts;
use cuts::next_piece;
pub use recorded::play_recorded;
use recorded::settings_of;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where the monotonic clock of a dialogue begins: not at zero, so that nothing relies on that.
const BEGIN: Moment = Moment(1_000_000);

/// What came of a dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Where it first differs from what is written, or broke a law.
    pub difference: Option<Difference>,
    /// What each session said and did, by its number.
    pub sessions: BTreeMap<u8, Transcript>,
    /// The messages that became durable, in order.
    pub messages: Vec<DurableMessage>,
    /// What was counted, by name; nothing that is zero.
    pub counters: BTreeMap<String, u64>,
}

/// A difference between a dialogue and what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The line, from 1; behind the last line for what is missing at the end.
    pub line: usize,
    /// What was expected and what came.
    pub what: String,
    /// Whether it is a law that was broken, whatever the dialogue says.
    pub is_law: bool,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// Plays a dialogue.
#[must_use]
pub fn play(dialog: &Dialog) -> Report {
    play_with(dialog, &mut Cuts::Whole)
}

/// Plays only the client's part and the world's: what a dialogue expects is passed over, and a difference is a
/// broken law.
#[must_use]
pub fn play_for_laws(dialog: &Dialog, cuts: &mut Cuts<'_>) -> Report {
    play_as(dialog, cuts, false)
}

/// Plays a dialogue with the client's octets cut into pieces of chance.
#[must_use]
pub fn play_cut(dialog: &Dialog, chance: &mut Chance) -> Report {
    play_with(dialog, &mut Cuts::Chance(chance))
}

/// Plays a dialogue with the client's octets cut as said.
#[must_use]
pub fn play_with(dialog: &Dialog, cuts: &mut Cuts<'_>) -> Report {
    play_as(dialog, cuts, true)
}

fn play_as(dialog: &Dialog, cuts: &mut Cuts<'_>, strict: bool) -> Report {
    let world = match World::of(dialog) {
        Ok(world) => world,
        Err((line, what)) => {
            let difference = Some(Difference { line, what, is_law: false });
            return Report {
                difference,
                sessions: BTreeMap::new(),
                messages: Vec::new(),
                counters: BTreeMap::new(),
            };
        }
    };
    let mut player = Player::new(dialog, &world, cuts, strict);
    let played = player.run();
    let sessions =
        player.places.iter().map(|(number, place)| (*number, place.seat.transcript.clone())).collect();
    let (messages, counters) = (player.messages.clone(), player.counters());
    let difference = played.and_then(|()| player.afterlife()).err();
    Report { difference, sessions, messages, counters }
}

/// A session and how far its dialogue has come.
struct Place {
    seat: Seat,
    /// Replies already matched.
    matched: usize,
    /// Lines of a reply whose every line is given, so far.
    block: Vec<ReplyLine>,
    /// Whether a `CLOSE:` line said that it ended.
    end_seen: bool,
    /// Client octets not yet given to it.
    waiting: Vec<u8>,
    facts: PeerFacts,
    /// Where it was opened by an `OPEN:` line, a first `TLS:` line only says what its handshake came to.
    handshake_told: bool,
    /// Whether a `CUT:` line stood, and how many notes there were by then.
    cut: Option<usize>,
}

struct Player<'p, 'c> {
    dialog: &'p Dialog,
    world: &'p World,
    cuts: &'p mut Cuts<'c>,
    settings: Arc<Settings>,
    now: Moment,
    places: BTreeMap<u8, Place>,
    messages: Vec<DurableMessage>,
    claimed: Claimed,
    /// What judges logins, where it is not the world.
    book: Option<Book>,
    /// Counters that were written down.
    counted: BTreeSet<&'p str>,
    /// Octets all clients sent.
    sent: usize,
    line: usize,
    /// Whether what is expected counts.
    strict: bool,
    /// What recordings of the sessions are made in.
    recording: Option<Arc<Arena>>,
}

type Step = Result<(), Difference>;

impl<'p, 'c> Player<'p, 'c> {
    fn new(dialog: &'p Dialog, world: &'p World, cuts: &'p mut Cuts<'c>, strict: bool) -> Self {
        let settings = settings_of(dialog);
        Self {
            dialog,
            world,
            cuts,
            settings,
            now: BEGIN,
            places: BTreeMap::new(),
            messages: Vec::new(),
            claimed: Claimed::default(),
            book: dialog.head.throttle.then(|| Book::new(BEGIN, world, dialog.head.seed)),
            counted: BTreeSet::new(),
            sent: 0,
            line: 1,
            strict,
            recording: None,
        }
    }

    fn around(&self) -> Around<'p> {
        let unix = self.dialog.head.clock.0.saturating_add(self.now.since_ms(BEGIN) / 1_000);
        Around { world: self.world, now: Now { moment: self.now, unix: UnixTime(unix) } }
    }

    fn differs<T>(&self, what: impl Into<String>) -> Result<T, Difference> {
        Err(Difference { line: self.line, what: what.into(), is_law: false })
    }

    fn breaks_law<T>(&self, number: u8, law: &str) -> Result<T, Difference> {
        let what = format!("session {number} broke a law: {law}");
        Err(Difference { line: self.line, what, is_law: true })
    }

    fn run(&mut self) -> Step {
        let dialog = self.dialog;
        let mut speaking = None;
        for Entry { line, kind } in &dialog.entries {
            let speaker = match kind {
                Kind::Blank | Kind::Comment(_) | Kind::Head(_) | Kind::World(_) => continue,
                Kind::Session(number, Event::Client(..)) => Some(*number),
                Kind::Session(..) | Kind::Pass(_) | Kind::Stop | Kind::Message(_) | Kind::Count(..) => None,
            };
            // What one client says in a row arrives together.
            if speaker.is_none() || speaker != speaking {
                self.deliver()?;
            }
            speaking = speaker;
            self.line = *line;
            match self.entry(kind) {
                Err(difference) if self.strict || difference.is_law => return Err(difference),
                Ok(()) | Err(_) => {}
            }
        }
        self.deliver()?;
        self.line = self.line.saturating_add(1);
        if self.strict { self.end() } else { Ok(()) }
    }

    fn entry(&mut self, kind: &'p Kind) -> Step {
        match kind {
            Kind::Blank | Kind::Comment(_) | Kind::Head(_) | Kind::World(_) => Ok(()),
            Kind::Session(number, event) => self.session(*number, event),
            Kind::Pass(ms) => self.pass(*ms),
            Kind::Stop => self.stop(),
            Kind::Message(expected) => self.message(expected),
            Kind::Count(name, count) => self.count(name, *count),
        }
    }

    /// Brings logins to the book and verdicts back, until nothing more is asked and nothing leaves now.
    fn consult_book(&mut self) {
        let around = self.around();
        let Some(book) = &mut self.book else { return };
        loop {
            for place in self.places.values_mut() {
                if place.seat.end().is_some() {
                    book.forget(place.facts.session);
                }
                if let Some((ticket, question)) = place.seat.take_for_book() {
                    book.ask(around.now, place.facts, ticket, question);
                }
            }
            let judged = book.due(around.now);
            if judged.is_empty() {
                return;
            }
            for Judged { session, ticket, answer } in judged {
                if let Some(place) = self.places.values_mut().find(|place| place.facts.session == session) {
                    place.seat.judged(around, ticket, answer);
                }
            }
        }
    }

    /// Consults the book, takes durable messages over and looks whether a law was broken.
    fn after_step(&mut self) -> Step {
        self.consult_book();
        let mut broken = None;
        for (number, place) in &mut self.places {
            self.messages.append(&mut place.seat.durable);
            broken = broken.or_else(|| place.seat.broken_law.clone().map(|law| (*number, law)));
        }
        match broken {
            Some((number, law)) => self.breaks_law(number, &law),
            None => Ok(()),
        }
    }

    fn place(&mut self, number: u8, event: Option<&Event>) -> &mut Place {
        let around = self.around();
        let head = &self.dialog.head;
        let settings = &self.settings;
        let has_book = self.book.is_some();
        let (listener, address) = match event {
            Some(Event::Open(listener, peer)) => {
                (listener.unwrap_or(head.listener), peer.unwrap_or(head.peer))
            }
            Some(_) | None => (head.listener, head.peer),
        };
        let first = match event {
            Some(Event::Open(..)) => self.after_open(number),
            Some(_) | None => event,
        };
        let pace =
            if self.places.contains_key(&number) { Pace::default() } else { self.pace_at_open(number) };
        let recording = self.recording.clone();
        self.places.entry(number).or_insert_with(|| {
            let mut seed = [number; 32];
            for (to, from) in seed.iter_mut().zip(head.seed.to_be_bytes()) {
                *to = from;
            }
            let facts = PeerFacts { session: SessionId(u64::from(number)), address, listener };
            let tls = match (listener, first) {
                (Listener::Submissions, Some(Event::TlsUp(facts))) => Some(facts.clone()),
                (Listener::Submissions, _) => Some(usual_tls()),
                (Listener::Smtp | Listener::Submission, _) => None,
            };
            Place {
                seat: Seat::open(
                    around,
                    facts,
                    Opening {
                        settings: Arc::clone(settings),
                        chance: Chance::from_seed(seed),
                        tls,
                        pace,
                        has_book,
                        tape: Tape::new(recording, facts, around.now),
                    },
                ),
                matched: 0,
                block: Vec::new(),
                end_seen: false,
                waiting: Vec::new(),
                facts,
                handshake_told: listener == Listener::Submissions && matches!(first, Some(Event::TlsUp(_))),
                cut: None,
            }
        })
    }

    /// What follows the `OPEN:` line of a session.
    fn after_open(&self, number: u8) -> Option<&'p Event> {
        let dialog = self.dialog;
        let rest = dialog.entries.iter().skip_while(|entry| entry.line <= self.line);
        rest.filter_map(|entry| entry.kind.of_session(number)).next()
    }

    fn session(&mut self, number: u8, event: &Event) -> Step {
        let around = self.around();
        let is_new = !self.places.contains_key(&number);
        let place = self.place(number, Some(event));
        if place.cut.is_some() {
            return self.differs("nothing more is known of this session: it was cut above");
        }
        if !place.block.is_empty() && !matches!(event, Event::Reply(_)) {
            return self.differs("the reply begun above (\"250-\") has no last line");
        }
        // Where the door begins with a handshake, a first `TLS:` line only says what it came to.
        let opens = place.handshake_told && matches!(event, Event::TlsUp(_));
        place.handshake_told &= matches!(event, Event::Open(..));
        match event {
            Event::Open(..) if is_new => {}
            Event::Open(..) => return self.differs("this session is open already"),
            Event::Cut => place.cut = Some(place.seat.transcript.notes.len()),
            Event::Client(text, crlf) => {
                text.expand(&mut place.waiting);
                if *crlf {
                    place.waiting.extend_from_slice(b"\r\n");
                }
                return Ok(());
            }
            Event::Reply(expected) => self.reply(number, expected)?,
            Event::Replies(count, expected) => {
                for _ in 0..*count {
                    self.reply(number, expected)?;
                }
            }
            Event::ReplyHas(_) | Event::ReplyLacks(_) => self.reply_line(number, event)?,
            Event::Answer(about, given) => place.seat.give(around, *about, given.clone()),
            Event::TlsUp(_) if opens => {}
            Event::TlsUp(facts) => {
                if !place.seat.tls_up(around, facts.clone()) {
                    return self.differs("no handshake was asked for");
                }
            }
            Event::TlsFailed => {
                if !place.seat.awaits_handshake() {
                    return self.differs("no handshake was asked for");
                }
                place.seat.cut_off(around, Cause::TlsFailed);
            }
            Event::Paced(pace) => place.seat.happen(around, contract::Event::Paced(*pace)),
            Event::PeerClosed => place.seat.close_peer(around),
            Event::Broken => place.seat.cut_off(around, Cause::Broken),
            Event::Closed(expected) => self.closed(number, *expected)?,
        }
        self.after_step()
    }

    /// Gives the sessions what their clients said since the last other line.
    fn deliver(&mut self) -> Step {
        let numbers: Vec<u8> = self.places.keys().copied().collect();
        for number in numbers {
            let around = self.around();
            let place = self.place(number, None);
            let octets = std::mem::take(&mut place.waiting);
            let mut rest = octets.as_slice();
            while !rest.is_empty() {
                let size = next_piece(self.cuts, self.sent, rest.len());
                let (piece, after) = rest.split_at_checked(size).unwrap_or((rest, &[]));
                self.place(number, None).seat.arrive(around, piece);
                self.sent = self.sent.saturating_add(piece.len());
                rest = after;
            }
        }
        self.after_step()
    }

    /// The next reply must be the expected one.
    fn reply(&mut self, number: u8, expected: &ReplyLine) -> Step {
        let place = self.place(number, None);
        place.block.push(expected.clone());
        if expected.more {
            return Ok(());
        }
        let block = std::mem::take(&mut place.block);
        let Some(reply) = place.seat.transcript.replies.get(place.matched).cloned() else {
            return self.differs(format!("expected {}, and no reply came", shown(&block)));
        };
        place.matched = place.matched.saturating_add(1);
        if matches(&block, &reply) {
            Ok(())
        } else {
            self.differs(format!("expected {}, and this came: {}", shown(&block), wire(&reply)))
        }
    }

    fn reply_line(&mut self, number: u8, event: &Event) -> Step {
        let place = self.place(number, None);
        let last =
            place.matched.checked_sub(1).and_then(|index| place.seat.transcript.replies.get(index)).cloned();
        let Some(reply) = last else { return self.differs("no reply was matched yet") };
        match event {
            Event::ReplyHas(text) if !reply.lines.iter().any(|line| line == text) => {
                self.differs(format!("no line of the reply is \"{text}\": {}", wire(&reply)))
            }
            Event::ReplyLacks(text) if reply.lines.iter().any(|line| line.starts_with(text.as_str())) => {
                self.differs(format!("a line of the reply begins with \"{text}\": {}", wire(&reply)))
            }
            Event::Client(..)
            | Event::Reply(_)
            | Event::Replies(..)
            | Event::ReplyHas(_)
            | Event::ReplyLacks(_)
            | Event::Answer(..)
            | Event::TlsUp(_)
            | Event::TlsFailed
            | Event::Paced(_)
            | Event::PeerClosed
            | Event::Broken
            | Event::Open(..)
            | Event::Cut
            | Event::Closed(_) => Ok(()),
        }
    }

    fn closed(&mut self, number: u8, expected: Cause) -> Step {
        self.no_reply_left(number)?;
        let place = self.place(number, None);
        place.end_seen = true;
        match place.seat.end() {
            Some(end) if end == expected => Ok(()),
            Some(end) => self.differs(format!("the session ended because of {}", end.name())),
            None => self.differs("the session goes on"),
        }
    }

    fn no_reply_left(&mut self, number: u8) -> Step {
        let place = self.place(number, None);
        match place.seat.transcript.replies.get(place.matched).cloned() {
            Some(reply) => self.differs(format!("this reply is not written down: {}", wire(&reply))),
            None => Ok(()),
        }
    }

    /// Time passes; what falls due on the way happens at its moment.
    fn pass(&mut self, ms: u64) -> Step {
        let until = self.now.plus_ms(ms);
        while let Some(at) = self.next_deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.fire()?;
        }
        self.now = until;
        Ok(())
    }

    fn next_deadline(&self) -> Option<Moment> {
        let seats = self.places.values().filter_map(|place| place.seat.next_deadline());
        seats.chain(self.book.as_ref().and_then(Book::next_deadline)).min()
    }

    fn fire(&mut self) -> Step {
        let around = self.around();
        for place in self.places.values_mut() {
            place.seat.fire(around);
        }
        self.after_step()
    }

    fn stop(&mut self) -> Step {
        let around = self.around();
        for place in self.places.values_mut() {
            place.seat.happen(around, contract::Event::Stopping);
        }
        self.after_step()
    }

    fn message(&mut self, expected: &MessageExpected) -> Step {
        let checked = self.claimed.check(&seen(&self.messages, self.world), expected);
        checked.or_else(|what| self.differs(what))
    }

    /// What all sessions counted, as far as they are known.
    fn counters(&self) -> BTreeMap<String, u64> {
        let mut counters: BTreeMap<String, u64> = BTreeMap::new();
        for place in self.places.values() {
            let notes = &place.seat.transcript.notes;
            for note in notes.iter().take(place.cut.unwrap_or(notes.len())) {
                let (event, kind) = note.counter();
                let count = counters.entry(format!("{event}/{kind}")).or_default();
                *count = count.saturating_add(1);
            }
        }
        counters
    }

    fn count(&mut self, name: &'p str, expected: u64) -> Step {
        self.counted.insert(name);
        match self.counters().get(name).copied().unwrap_or_default() {
            count if count == expected => Ok(()),
            count => self.differs(format!("expected {name} {expected}, and {count} were counted")),
        }
    }

    /// What was not written down, at the end.
    fn end(&mut self) -> Step {
        if let Err(what) = self.claimed.body_is_whole(&seen(&self.messages, self.world)) {
            return self.differs(what);
        }
        let numbers: Vec<u8> = self.places.keys().copied().collect();
        for number in numbers {
            if self.place(number, None).cut.is_some() {
                continue;
            }
            self.no_reply_left(number)?;
            let place = self.place(number, None);
            if let Some(about) = place.seat.unused_answer() {
                return self.differs(format!("an \"A: {} …\" line answered no question", about.name()));
            }
            let place = self.place(number, None);
            if let (Some(end), false) = (place.seat.end(), place.end_seen) {
                return self.differs(format!(
                    "the session ended because of {}, and no CLOSE: line says so",
                    end.name()
                ));
            }
        }
        let counters = if self.counted.is_empty() { BTreeMap::new() } else { self.counters() };
        match counters.iter().find(|(name, _)| !self.counted.contains(name.as_str())) {
            Some((name, count)) => self.differs(format!("this is not written down: COUNT: {name} {count}")),
            None => Ok(()),
        }
    }

    /// The law that every session ends when only timers remain. What happens here is not compared.
    fn afterlife(&mut self) -> Step {
        let around = self.around();
        for place in self.places.values_mut() {
            if place.seat.awaits_handshake() {
                place.seat.cut_off(around, Cause::TlsFailed);
            }
            place.seat.release(around);
        }
        let until = self.now.plus_ms(SESSION_MS_MAX).plus_ms(SESSION_MS_MAX).plus_ms(IDLE_MS);
        while let Some(at) = self.next_deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.fire()?;
        }
        match self.places.iter().find(|(_, place)| place.seat.end().is_none()) {
            Some((number, _)) => self.breaks_law(*number, "no timer ends it"),
            None => Ok(()),
        }
    }
}

/// Durable messages as they are compared.
fn seen<'m>(messages: &'m [DurableMessage], world: &World) -> Vec<Seen<'m>> {
    let one = |message: &'m DurableMessage| Seen {
        sender: message.commit.sender.to_string(),
        copies: message.commit.deliveries.iter().map(|copy| world.name_of(copy.account)).collect(),
        prefix: &message.commit.prefix,
        body: &message.body,
    };
    messages.iter().map(one).collect()
}

/// What logins of a dialogue can be bound to: `tls-exporter`, 32 octets of the letter E.
pub(super) const USUAL_EXPORTER: [u8; 32] = [b'E'; 32];

/// The handshake of a door that begins with one, where the dialogue says nothing else.
pub(super) fn usual_tls() -> TlsFacts {
    let bindings = ChannelBindings { exporter: Some(USUAL_EXPORTER), end_point: None };
    TlsFacts { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384".to_owned(), bindings }
}
