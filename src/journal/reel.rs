//! What is written down of one session, and how it follows from what the session does.

mod heard;

use super::arena::Arena;
use super::body::{ChunkShape, DataShape};
use super::events::Events;
use super::names::{Facts, Names};
use super::sasl::Exchange;
use super::tape::Sight;
use super::voice;
use crate::auth::scram::client::ScramClient;
use crate::auth::verdict::{LoginVerdict, Refusal};
use crate::contract::{Action, Answer, Cause, Pace, Question, Ticket, Timer, TlsFacts};
use crate::frame::line::LineCutter;
use crate::limits::{
    JOURNAL_LAST_WORDS_OCTETS, JOURNAL_SESSION_FIXED_OCTETS, JOURNAL_SESSION_OCTETS_MAX, JOURNAL_STEP_OCTETS,
    RECEIVED_FIELDS_MAX,
};
use crate::policy::sender::{self, SenderLookup};
use crate::smtp::outcome::MessageRefusal;
use crate::telemetry::note::{Counter, Note};
use crate::types::{ForwardPath, Moment, Reply};
use std::sync::Arc;

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
    pub(super) charged: usize,
    /// Entries: milliseconds since the session began, a space, and a line of a dialogue for session 1.
    pub(super) text: Vec<u8>,
    pub(super) facts: Facts,
    pub(super) proofs: Vec<Proof>,
    pub(super) counters: Vec<(Counter, u64)>,
    pub(super) events: Events,
    /// Nothing more is written down.
    pub(super) is_cut: bool,
    pub(super) began: Moment,
    pub(super) over: bool,
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
    pub(super) handshake: bool,
    /// Where the entries begin that the last octets of the client made.
    last_client: usize,
    /// Where octets belong that came before the greeting.
    early: Option<usize>,
    pub(super) due: Option<Timer>,
    open: Option<(Ticket, &'static str)>,
    recipient: Option<ForwardPath>,
    /// What the directory says of the sender that is asked about.
    sender: Option<SenderLookup>,
    pub(super) pace: Pace,
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

impl Reel {
    pub(super) fn new(arena: &Arc<Arena>, began: Moment) -> Option<Self> {
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

    pub(super) fn entry(&mut self, now: Moment, line: &str) {
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
    pub(super) fn cut(&mut self, now: Moment) {
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
    pub(super) fn close(&mut self, now: Moment) {
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

    pub(super) fn reply(&mut self, now: Moment, reply: &Reply) {
        let varies = std::mem::take(&mut self.names_message) && reply.code == 250;
        for line in voice::reply(reply, varies) {
            self.entry(now, &line);
        }
    }

    pub(super) fn count(&mut self, note: &Note) {
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

    pub(super) fn did(&mut self, sight: &Sight<'_>, actions: &[Action]) {
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

    pub(super) fn answered(&mut self, sight: &Sight<'_>, ticket: Ticket, answer: &Answer) {
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

    pub(super) fn tls_is_up(&mut self, now: Moment, facts: &TlsFacts) {
        self.entry(now, &format!("TLS: up {} {}", facts.version, facts.cipher));
        self.handshake = false;
        self.hello = false;
    }

    pub(super) fn stopping(&mut self, sight: &Sight<'_>) {
        match self.mode {
            Mode::Command | Mode::Exchange => {
                self.flush(sight);
                self.entry(sight.now, "STOP:");
            }
            // The rest of the body would follow the word; it is not worth a form of its own.
            Mode::Data(_) | Mode::Chunk(_) => self.cut(sight.now),
        }
    }
}
