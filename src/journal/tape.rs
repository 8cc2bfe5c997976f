//! One session as it goes.

use super::arena::Arena;
use super::body::{ChunkShape, DataShape};
use super::events::{Event as Eventful, Events};
use super::names::{Facts, Names};
use super::sasl::{Exchange, Said};
use super::shape::{self, Around, Was};
use super::voice;
use crate::auth::scram::client::ScramClient;
use crate::auth::verdict::{LoginVerdict, Refusal};
use crate::contract::{
    Action, Answer, Cause, Event, Listener, Pace, PeerFacts, Question, Ticket, Timer, TlsFacts,
};
use crate::directory::Directory;
use crate::frame::line::{Cut, LineCutter};
use crate::limits::{
    AUTH_LINE_OCTETS_MAX, JOURNAL_LAST_WORDS_OCTETS, JOURNAL_SESSION_FIXED_OCTETS,
    JOURNAL_SESSION_OCTETS_MAX, JOURNAL_STEP_OCTETS, RECEIVED_FIELDS_MAX, SKIPPED_LINE_OCTETS_MAX,
};
use crate::policy::sender::{self, SenderLookup};
use crate::smtp::command::{self, Dialect};
use crate::smtp::outcome::{self, MessageRefusal};
use crate::smtp::session::Settings;
use crate::telemetry::note::{Counter, Note};
use crate::types::{ForwardPath, Moment, Now};
use std::sync::Arc;

/// What a tape may look at.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// The time.
    pub now: Moment,
    /// Who is who; `None` while the store is not there.
    pub directory: Option<&'a Directory>,
    /// What all sessions share.
    pub settings: &'a Settings,
}

/// The password that stands for a right one in SCRAM.
pub(super) const PROVEN_PASSWORD: &str = "stand-in-proven";

/// How a SCRAM proof is to be played.
#[derive(Debug, Clone)]
pub(super) struct Proof {
    pub(super) client: ScramClient,
    /// `None`: it cannot be played.
    pub(super) outcome: Option<ProofOutcome>,
}

/// What came of a SCRAM proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProofOutcome {
    Right,
    Wrong,
    OtherNonce,
    OtherBinding,
}

/// What runs beside a session. It holds nothing of its own until the peer says something.
#[derive(Debug)]
pub struct Tape {
    arena: Option<Arc<Arena>>,
    facts: PeerFacts,
    began: Now,
    pace: Pace,
    tls: Option<TlsFacts>,
    greeted: bool,
    reel: Option<Box<Reel>>,
}

/// What was written down of one session.
#[derive(Debug)]
pub struct Recording {
    pub(super) facts: PeerFacts,
    pub(super) began: Now,
    pub(super) events: Events,
    pub(super) reel: Box<Reel>,
}

impl Recording {
    /// Whose session it was.
    #[must_use]
    pub fn peer(&self) -> PeerFacts {
        self.facts
    }

    /// What made it worth keeping.
    #[must_use]
    pub fn events(&self) -> Events {
        self.events
    }
}

/// What the next octets are.
#[derive(Debug)]
enum Mode {
    Command,
    Exchange,
    Data(Box<DataShape>),
    Chunk(Box<ChunkShape>),
}

/// A tape that has something on it.
#[derive(Debug)]
pub(super) struct Reel {
    arena: Arc<Arena>,
    charged: usize,
    /// Entries: milliseconds since the session began, a space, and a line of a dialogue for session 1.
    pub(super) text: Vec<u8>,
    pub(super) facts: Facts,
    pub(super) proofs: Vec<Proof>,
    pub(super) counters: Vec<(Counter, u64)>,
    pub(super) events: Events,
    /// Nothing more is written down.
    pub(super) is_cut: bool,
    began: Moment,
    over: bool,
    names: Names,
    attempts: u32,
    /// The stand-in of the password that is being judged.
    credential: Option<String>,
    cutter: LineCutter,
    /// Octets of the line that has begun.
    line_octets: u64,
    mode: Mode,
    exchange: Option<Exchange>,
    /// A command is not answered yet.
    unanswered: bool,
    hello: bool,
    handshake: bool,
    /// Where the entries begin that the last octets of the client made.
    last_client: usize,
    /// Where octets belong that came before the greeting.
    early: Option<usize>,
    due: Option<Timer>,
    open: Option<(Ticket, &'static str)>,
    recipient: Option<ForwardPath>,
    /// What the directory says of the sender that is asked about.
    sender: Option<SenderLookup>,
    pace: Pace,
    /// The reply to come names a message.
    names_message: bool,
    /// Octets of the chunk that the client sent last; zero behind anything else.
    chunk_octets: u64,
    scratch: Vec<u8>,
}

impl Drop for Reel {
    fn drop(&mut self) {
        self.arena.give_back(self.charged);
    }
}

impl Tape {
    /// A tape for a session that begins now; without an arena it records nothing.
    #[must_use]
    pub fn new(arena: Option<Arc<Arena>>, facts: PeerFacts, now: Now) -> Self {
        Self { arena, facts, began: now, pace: Pace::default(), tls: None, greeted: false, reel: None }
    }

    /// Something is about to happen to the session that is not octets.
    pub fn happens(&mut self, sight: &Sight<'_>, event: &Event<'_>) {
        if self.arena.is_none() {
            return;
        }
        let Some(reel) = &mut self.reel else { return self.happens_quietly(sight, event) };
        match event {
            Event::Paced(pace) => {
                reel.pace = *pace;
                reel.entry(sight.now, &voice::pace(*pace));
            }
            Event::TlsUp(facts) => reel.tls_is_up(sight.now, facts),
            Event::Answered(ticket, answer) => reel.answered(sight, *ticket, answer),
            Event::Due(timer) => reel.due = Some(*timer),
            Event::PeerClosed => {
                reel.flush(sight);
                reel.entry(sight.now, "EOF:");
            }
            Event::Stopping => reel.stopping(sight),
            Event::Opened | Event::Bytes(_) => {}
        }
    }

    /// The same while nothing is on the tape: what may be needed later is kept beside it.
    fn happens_quietly(&mut self, sight: &Sight<'_>, event: &Event<'_>) {
        match event {
            Event::Paced(pace) => self.pace = *pace,
            Event::TlsUp(facts) => self.tls = Some(facts.clone()),
            // The greeting that was held back: what is early about the peer is known by now.
            Event::Due(Timer::Pace) | Event::Opened => {
                self.greeted |= self.pace.greeting_ms == 0 || matches!(event, Event::Due(_))
            }
            Event::Stopping | Event::PeerClosed | Event::Due(Timer::Idle | Timer::Session) => {
                if self.wind(sight) {
                    self.happens(sight, event);
                }
            }
            Event::Answered(..) | Event::Bytes(_) => {}
        }
    }

    /// Puts on the tape what was so far. False if there is no room for it.
    fn wind(&mut self, sight: &Sight<'_>) -> bool {
        if self.reel.is_some() {
            return true;
        }
        let Some(arena) = &self.arena else { return false };
        let Some(mut reel) = Reel::new(arena, self.began.moment) else {
            // Too much is recorded already: this session is not.
            self.arena = None;
            return false;
        };
        reel.pace = self.pace;
        if self.pace != Pace::default() {
            reel.entry(self.began.moment, &voice::pace(self.pace));
        }
        if let Some(tls) = self.tls.take() {
            reel.handshake = true;
            reel.tls_is_up(self.began.moment, &tls);
            reel.count(&Note::Encrypted);
        }
        if self.greeted {
            if self.pace.greeting_ms > 0 {
                reel.entry(sight.now, &format!("@T pace {}", self.pace.greeting_ms));
            }
            reel.reply(self.began.moment, &outcome::greeting(sight.settings));
        }
        self.reel = Some(Box::new(reel));
        true
    }

    /// The session was offered octets, took these, and answered with these actions.
    pub fn took(&mut self, sight: &Sight<'_>, octets: &[u8], actions: &[Action]) {
        if self.arena.is_none() || (octets.is_empty() && actions.is_empty()) || !self.wind(sight) {
            return;
        }
        let listener = self.facts.listener;
        if let Some(reel) = &mut self.reel {
            reel.took(sight, listener, octets, actions);
        }
    }

    /// The session answered what happened with these actions.
    pub fn did(&mut self, sight: &Sight<'_>, actions: &[Action]) {
        if let Some(reel) = &mut self.reel {
            reel.did(sight, actions);
        } else if self.arena.is_some() {
            // Nothing is on the tape, so what is said is the greeting, or nothing.
            self.greeted |= actions.iter().any(|action| matches!(action, Action::Say(_)));
        }
    }

    /// The session panicked over these octets.
    pub fn lost(&mut self, sight: &Sight<'_>, octets: &[u8]) {
        if !self.wind(sight) {
            return;
        }
        let listener = self.facts.listener;
        if let Some(reel) = &mut self.reel {
            reel.took(sight, listener, octets, &[]);
            reel.flush(sight);
            reel.events.add(Eventful::Fault);
            reel.cut(sight.now);
        }
    }

    /// The session ended for a reason that it did not see.
    pub fn gone(&mut self, sight: &Sight<'_>, cause: Cause) {
        let Some(reel) = &mut self.reel else { return };
        if reel.over {
            return;
        }
        match cause {
            Cause::TlsFailed if reel.handshake => {
                reel.entry(sight.now, "TLS: failed");
                reel.entry(sight.now, "CLOSE: tls-failed");
                reel.count(&Note::Closed { cause, errors: 0, offence: "tls" });
                reel.over = true;
            }
            Cause::Broken => {
                reel.flush(sight);
                reel.entry(sight.now, "RST:");
                reel.entry(sight.now, "CLOSE: broken");
                reel.count(&Note::Closed { cause, errors: 0, offence: "" });
                reel.over = true;
            }
            Cause::Fault => {
                reel.events.add(Eventful::Fault);
                reel.cut(sight.now);
            }
            Cause::Quit
            | Cause::PeerClosed
            | Cause::TooManyErrors
            | Cause::TooManyRefusedRecipients
            | Cause::TooManyAuthFailures
            | Cause::NotSmtp
            | Cause::Idle
            | Cause::TooLong
            | Cause::TlsFailed
            | Cause::Stopping
            | Cause::Crowded => reel.cut(sight.now),
        }
    }

    /// What follows cannot be played again.
    pub fn cut(&mut self, now: Moment) {
        if let Some(reel) = &mut self.reel {
            reel.cut(now);
        }
    }

    /// The recording, if the session did any of these.
    #[must_use]
    pub fn finish(&mut self, now: Moment, wanted: Events) -> Option<Recording> {
        self.whole(now).filter(|recording| !recording.events.common(wanted).is_empty())
    }

    /// The recording, whatever the session did.
    #[must_use]
    pub fn whole(&mut self, now: Moment) -> Option<Recording> {
        let mut reel = self.reel.take()?;
        reel.close(now);
        Some(Recording { facts: self.facts, began: self.began, events: reel.events, reel })
    }

    /// Octets it takes of the arena.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.reel.as_ref().map_or(0, |reel| reel.charged)
    }
}

impl Reel {
    fn new(arena: &Arc<Arena>, began: Moment) -> Option<Self> {
        let charged = JOURNAL_STEP_OCTETS.saturating_add(JOURNAL_SESSION_FIXED_OCTETS);
        arena.take(charged).then(|| Self {
            arena: Arc::clone(arena),
            charged,
            text: Vec::with_capacity(JOURNAL_STEP_OCTETS),
            facts: Facts::default(),
            proofs: Vec::new(),
            counters: Vec::new(),
            events: Events::default(),
            is_cut: false,
            began,
            over: false,
            names: Names::default(),
            attempts: 0,
            credential: None,
            cutter: LineCutter::new(),
            line_octets: 0,
            mode: Mode::Command,
            exchange: None,
            unanswered: false,
            hello: false,
            handshake: false,
            last_client: 0,
            early: None,
            due: None,
            open: None,
            recipient: None,
            sender: None,
            pace: Pace::default(),
            names_message: false,
            chunk_octets: 0,
            scratch: Vec::new(),
        })
    }

    // ---- What is on the tape ----

    fn entry(&mut self, now: Moment, line: &str) {
        let at = self.text.len();
        self.entry_at(now, at, line);
    }

    /// Writes an entry where another one stands, in front of it. Says how many octets it took.
    fn entry_at(&mut self, now: Moment, at: usize, line: &str) -> usize {
        if self.is_cut {
            return 0;
        }
        let text = format!("{} {line}\n", now.since_ms(self.began));
        if self.facts.are_too_many || !self.has_room(text.len()) {
            self.cut(now);
            return 0;
        }
        let at = at.min(self.text.len());
        self.text.splice(at..at, text.bytes());
        text.len()
    }

    /// Whether so many octets more fit into the share of this session; grows if need be.
    fn has_room(&mut self, octets: usize) -> bool {
        let wanted = self.text.len().saturating_add(octets).saturating_add(JOURNAL_LAST_WORDS_OCTETS);
        if wanted <= self.text.capacity() {
            return true;
        }
        let more = octets.next_multiple_of(JOURNAL_STEP_OCTETS.max(1));
        if wanted > JOURNAL_SESSION_OCTETS_MAX || !self.arena.take(more) {
            return false;
        }
        self.charged = self.charged.saturating_add(more);
        let capacity = self.text.capacity().saturating_add(more);
        self.text.reserve_exact(capacity.saturating_sub(self.text.len()));
        true
    }

    /// Ends the recording before the session ends.
    fn cut(&mut self, now: Moment) {
        if self.is_cut || self.over {
            return;
        }
        // Room for this was kept.
        let text = format!("{} CUT:\n", now.since_ms(self.began));
        self.text.extend_from_slice(text.as_bytes());
        self.is_cut = true;
        self.mode = Mode::Command;
        self.cutter = LineCutter::new();
        self.exchange = None;
    }

    /// The session is over.
    fn close(&mut self, now: Moment) {
        if let Some((_, about)) = self.open.take() {
            let at = self.last_client;
            self.entry_at(now, at, &format!("A: {about} wait"));
        }
        if self.early.is_some() {
            self.client(now, "C-: x");
        }
        if !self.over {
            self.cut(now);
        }
        self.cutter = LineCutter::new();
        self.mode = Mode::Command;
        self.exchange = None;
        self.scratch = Vec::new();
    }

    /// What the client said. The first of it may belong in front of the greeting.
    fn client(&mut self, now: Moment, line: &str) {
        self.last_client = self.early.take().unwrap_or(self.text.len());
        let at = self.last_client;
        self.entry_at(now, at, line);
    }

    /// More of what the client said, behind the last of it.
    fn client_goes_on(&mut self, now: Moment, line: &str) {
        if self.early.is_some() {
            self.client(now, line);
        } else {
            self.entry(now, line);
        }
    }

    fn reply(&mut self, now: Moment, reply: &crate::types::Reply) {
        let varies = std::mem::take(&mut self.names_message) && reply.code == 250;
        for line in voice::reply(reply, varies) {
            self.entry(now, &line);
        }
    }

    fn count(&mut self, note: &Note) {
        self.events.see(note);
        if self.is_cut {
            return;
        }
        let name = note.counter();
        match self.counters.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.counters.push((name, 1)),
        }
    }

    // ---- What the session does ----

    fn did(&mut self, sight: &Sight<'_>, actions: &[Action]) {
        if let Some(timer) = self.due.take() {
            let acts = actions.iter().any(|action| !matches!(action, Action::Arm(..)));
            match timer {
                Timer::Pace => {
                    let wait =
                        if self.early.is_some() { self.pace.greeting_ms } else { self.pace.refusal_ms };
                    self.entry(sight.now, &format!("@T pace {wait}"));
                }
                Timer::Idle if acts => {
                    self.flush(sight);
                    self.entry(sight.now, "@T idle");
                }
                Timer::Session if acts => {
                    self.flush(sight);
                    self.entry(sight.now, "@T session");
                }
                Timer::Idle | Timer::Session => {}
            }
        }
        for action in actions {
            self.act(sight, action);
        }
    }

    /// Carries one action over. True if it was a reply.
    fn act(&mut self, sight: &Sight<'_>, action: &Action) -> bool {
        match action {
            Action::Say(reply) => {
                self.reply(sight.now, reply);
                if std::mem::take(&mut self.unanswered) {
                    self.mode = match reply.code {
                        334 if self.exchange.is_some() => Mode::Exchange,
                        354 => Mode::Data(Box::default()),
                        _ => {
                            self.exchange = None;
                            Mode::Command
                        }
                    };
                }
                return true;
            }
            Action::Ask(ticket, question) => self.asked(sight, *ticket, question),
            Action::StartTls => self.handshake = true,
            Action::Note(note) => self.noted(sight, note),
            Action::Close(Cause::Crowded) => self.cut(sight.now),
            Action::Close(cause) => {
                self.entry(sight.now, &format!("CLOSE: {}", cause.name()));
                self.over = true;
            }
            Action::Keep(_) | Action::Forget | Action::Arm(..) => {}
        }
        false
    }

    fn asked(&mut self, sight: &Sight<'_>, ticket: Ticket, question: &Question) {
        let about = match question {
            Question::Room(_) => "room",
            Question::Sender(account, by, path) => {
                let by = by.app_password();
                self.sender = Some(sender::look_up(sight.directory, *account, by, path));
                "sender"
            }
            Question::Recipient(path) => {
                self.recipient = Some(path.clone());
                "recipient"
            }
            Question::Login { .. } | Question::Proof(_) => "login",
            Question::Salt(_) => "salt",
            Question::Commit(_) => "commit",
        };
        self.open = Some((ticket, about));
    }

    fn answered(&mut self, sight: &Sight<'_>, ticket: Ticket, answer: &Answer) {
        if self.open.is_none_or(|(open, _)| open != ticket) {
            return;
        }
        self.open = None;
        if let Answer::Recipient(lookup) = answer
            && let Some(path) = self.recipient.take()
        {
            self.facts.recipient(sight.directory, &path, lookup);
        }
        if let Some(text) = voice::answer(answer, self.sender.take()) {
            let at = self.last_client;
            self.entry_at(sight.now, at, &format!("A: {text}"));
        }
        match answer {
            Answer::Login(verdict) => self.judged(sight, *verdict),
            Answer::Proof(verdict, _) => self.proved(sight, *verdict),
            Answer::Room(_)
            | Answer::Sender(_)
            | Answer::Recipient(_)
            | Answer::Salt(_)
            | Answer::Commit(_) => {}
        }
    }

    /// A password that was right is, by its stand-in, a password of the world.
    fn judged(&mut self, sight: &Sight<'_>, verdict: LoginVerdict) {
        let typed = self.credential.take();
        match verdict {
            LoginVerdict::Accepted(id, _) | LoginVerdict::Disabled(id) => {
                if let Some(password) = typed {
                    self.facts.opens(sight.directory, id, &password);
                }
            }
            LoginVerdict::Refused(_) | LoginVerdict::Unavailable(_) => {}
        }
    }

    fn proved(&mut self, sight: &Sight<'_>, verdict: LoginVerdict) {
        let outcome = match verdict {
            LoginVerdict::Accepted(id, _) | LoginVerdict::Disabled(id) => {
                self.facts.main_password(sight.directory, id, PROVEN_PASSWORD);
                Some(ProofOutcome::Right)
            }
            LoginVerdict::Refused(Refusal::Nonce) => Some(ProofOutcome::OtherNonce),
            LoginVerdict::Refused(Refusal::ChannelBinding) => Some(ProofOutcome::OtherBinding),
            LoginVerdict::Refused(Refusal::NoScramKeys) => None,
            LoginVerdict::Refused(_) | LoginVerdict::Unavailable(_) => Some(ProofOutcome::Wrong),
        };
        if let Some(last) = self.proofs.last_mut() {
            last.outcome = outcome;
        }
    }

    fn noted(&mut self, sight: &Sight<'_>, note: &Note) {
        self.count(note);
        match note {
            Note::EarlyTalk => self.early = Some(self.text.len()),
            Note::Accepted { .. } => self.names_message = true,
            Note::MessageRefused { reason, .. } if *reason == MessageRefusal::Loop.name() => {
                self.was_loop(sight.now);
            }
            Note::MessageRefused { .. }
            | Note::Login { .. }
            | Note::RecipientRefused { .. }
            | Note::Encrypted
            | Note::Offence(_)
            | Note::TurnedAway { .. }
            | Note::Verify
            | Note::Closed { .. } => {}
        }
    }

    /// The message just taken goes round: that is seen by its Received fields, which were not kept.
    fn was_loop(&mut self, now: Moment) {
        let octets = match self.chunk_octets {
            0 => u64::from(RECEIVED_FIELDS_MAX).saturating_add(1).saturating_mul(13),
            octets => octets,
        };
        let Some(text) = ChunkShape::loop_text(octets) else { return };
        let at = self.last_client;
        if self.chunk_octets > 0 {
            self.text.truncate(at);
        }
        self.entry_at(now, at, &format!("C-: {text}"));
    }

    fn tls_is_up(&mut self, now: Moment, facts: &TlsFacts) {
        self.entry(now, &format!("TLS: up {} {}", facts.version, facts.cipher));
        self.handshake = false;
        self.hello = false;
    }

    fn stopping(&mut self, sight: &Sight<'_>) {
        match self.mode {
            Mode::Command | Mode::Exchange => {
                self.flush(sight);
                self.entry(sight.now, "STOP:");
            }
            // The rest of the body would follow the word; it is not worth a form of its own.
            Mode::Data(_) | Mode::Chunk(_) => self.cut(sight.now),
        }
    }

    // ---- What the client says ----

    fn took(&mut self, sight: &Sight<'_>, listener: Listener, octets: &[u8], actions: &[Action]) {
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
        if line.len().saturating_add(2) > crate::limits::COMMAND_LINE_OCTETS_MAX && !is_auth {
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
    fn flush(&mut self, sight: &Sight<'_>) {
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
