//! One session being driven, and the laws that every session keeps whoever drives it.

use super::world::World;
use super::{About, Given};
use crate::contract::{
    Action, Actions, Answer, Cause, Commit, CommitAnswer, Event, Pace, PeerFacts, Question, Ticket, Timer,
    TlsFacts,
};
use crate::journal::{Sight, Tape};
use crate::limits;
use crate::smtp::session::{Session, Settings};
use crate::telemetry::note::Note;
use crate::types::{Chance, Moment, Now, Reply};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A message that became durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DurableMessage {
    /// Its envelope and the fields in front of it.
    pub commit: Commit,
    /// Its body.
    pub body: Vec<u8>,
}

/// Everything a session said and did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transcript {
    /// Its replies.
    pub replies: Vec<Reply>,
    /// What it counted and logged.
    pub notes: Vec<Note>,
    /// Why it ended, if it did.
    pub end: Option<Cause>,
}

/// What a session needs at every step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'w> {
    pub world: &'w World,
    pub now: Now,
}

/// A question that is not answered yet.
#[derive(Debug)]
struct Open {
    ticket: Ticket,
    question: Question,
    /// Whether a line must answer it.
    held: bool,
    /// What a line said beforehand.
    given: Given,
}

/// What a session begins with.
#[derive(Debug)]
pub(super) struct Opening {
    pub settings: Arc<Settings>,
    pub chance: Chance,
    /// Where its door begins with a handshake.
    pub tls: Option<TlsFacts>,
    pub pace: Pace,
    pub has_book: bool,
    pub tape: Tape,
}

/// A session and what stands around it.
#[derive(Debug)]
pub(super) struct Seat {
    session: Session,
    settings: Arc<Settings>,
    /// What the journal has of it.
    pub tape: Tape,
    message_octets_max: u64,
    /// What the client sent and the session did not take yet begins at `taken`.
    arrived: Vec<u8>,
    taken: usize,
    peer_closed: PeerClosed,
    handshake: bool,
    timers: BTreeMap<Timer, Moment>,
    open: Option<Open>,
    /// Whether logins are judged by the login book and not by the world.
    has_book: bool,
    /// A login for the book.
    for_book: Option<(Ticket, Question)>,
    /// A login that the book has.
    at_book: Option<Ticket>,
    last_ticket: Option<Ticket>,
    given: BTreeMap<About, VecDeque<Given>>,
    kept: Vec<u8>,
    /// The answer to a commit whose reply is still to come.
    commit_answer: Option<CommitAnswer>,
    /// 354 was said and nothing since.
    in_data: bool,
    /// Lines the client finished, for the law that each gets at most one reply.
    lines: usize,
    /// Everything it said and did.
    pub transcript: Transcript,
    /// Messages that became durable.
    pub durable: Vec<DurableMessage>,
    /// The first law that was broken.
    pub broken_law: Option<String>,
}

/// Whether the client closed its side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PeerClosed {
    No,
    /// It did; the session hears it once it took everything that came before.
    Pending,
    Told,
}

/// What a session is asked about.
fn about(question: &Question) -> About {
    match question {
        Question::Room(_) => About::Room,
        Question::Sender(..) => About::Sender,
        Question::Recipient(_) => About::Recipient,
        Question::Login { .. } | Question::Proof(_) => About::Login,
        Question::Salt(_) => About::Salt,
        Question::Commit(_) => About::Commit,
    }
}

impl Seat {
    /// Opens a session.
    pub(super) fn open(around: Around<'_>, facts: PeerFacts, opening: Opening) -> Self {
        let Opening { settings, chance, tls, pace, has_book, tape } = opening;
        let message_octets_max = settings.message_octets_max;
        let mut seat = Self {
            session: Session::new(facts, Arc::clone(&settings), chance),
            settings,
            tape,
            message_octets_max,
            arrived: Vec::new(),
            taken: 0,
            peer_closed: PeerClosed::No,
            handshake: false,
            timers: BTreeMap::new(),
            open: None,
            has_book,
            for_book: None,
            at_book: None,
            last_ticket: None,
            given: BTreeMap::new(),
            kept: Vec::new(),
            commit_answer: None,
            in_data: false,
            lines: 0,
            transcript: Transcript::default(),
            durable: Vec::new(),
            broken_law: None,
        };
        if pace != Pace::default() {
            seat.step(around, Event::Paced(pace));
        }
        if let Some(tls) = tls {
            seat.step(around, Event::TlsUp(tls));
        }
        seat.step(around, Event::Opened);
        seat.settle(around);
        seat
    }

    /// Why it ended, if it did.
    pub(super) fn end(&self) -> Option<Cause> {
        self.transcript.end
    }

    /// The client sent something.
    pub(super) fn arrive(&mut self, around: Around<'_>, octets: &[u8]) {
        if self.end().is_some() {
            return;
        }
        self.arrived = self.arrived.get(self.taken..).unwrap_or_default().to_vec();
        self.taken = 0;
        self.arrived.extend_from_slice(octets);
        self.settle(around);
    }

    /// The client closed its side.
    pub(super) fn close_peer(&mut self, around: Around<'_>) {
        if self.peer_closed == PeerClosed::No {
            self.peer_closed = PeerClosed::Pending;
        }
        self.settle(around);
    }

    /// The connection is gone: the session hears nothing more.
    pub(super) fn cut_off(&mut self, around: Around<'_>, cause: Cause) {
        if self.end().is_none() {
            let directory = around.world.directory();
            self.tape.gone(&Sight { now: around.now.moment, directory, settings: &self.settings }, cause);
            self.transcript.notes.push(self.session.closed_note(cause));
            self.transcript.end = Some(cause);
        }
    }

    /// A login that the book is to judge, once.
    pub(super) fn take_for_book(&mut self) -> Option<(Ticket, Question)> {
        self.for_book.take()
    }

    /// What the book says of a login it was given.
    pub(super) fn judged(&mut self, around: Around<'_>, ticket: Ticket, answer: Answer) {
        if self.at_book == Some(ticket) {
            self.at_book = None;
            self.bring(around, ticket, answer);
            self.settle(around);
        }
    }

    /// Something happened that carries nothing.
    pub(super) fn happen(&mut self, around: Around<'_>, event: Event<'_>) {
        self.step(around, event);
        self.settle(around);
    }

    /// The handshake asked for is done. False if none was asked for.
    #[must_use]
    pub(super) fn tls_up(&mut self, around: Around<'_>, facts: TlsFacts) -> bool {
        if !self.handshake {
            return false;
        }
        self.handshake = false;
        self.happen(around, Event::TlsUp(facts));
        true
    }

    /// Whether a handshake is awaited.
    pub(super) fn awaits_handshake(&self) -> bool {
        self.handshake
    }

    /// A line answers the open question or the next one of its kind.
    pub(super) fn give(&mut self, around: Around<'_>, of: About, given: Given) {
        match &mut self.open {
            Some(open) if open.held && about(&open.question) == of => {
                open.held = given == Given::Wait;
                open.given = given;
                self.settle(around);
            }
            Some(_) | None => self.given.entry(of).or_default().push_back(given),
        }
    }

    /// A kind of question for which an answer was written down that nobody asked.
    pub(super) fn unused_answer(&self) -> Option<About> {
        self.given.iter().find(|(_, waiting)| !waiting.is_empty()).map(|(about, _)| *about)
    }

    /// Nothing is held back any more.
    pub(super) fn release(&mut self, around: Around<'_>) {
        self.given.clear();
        if let Some(open) = &mut self.open {
            open.held = false;
        }
        self.settle(around);
    }

    /// When the next deadline is.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        if self.end().is_some() { None } else { self.timers.values().min().copied() }
    }

    /// Fires what is due.
    pub(super) fn fire(&mut self, around: Around<'_>) {
        for timer in Timer::ALL {
            if self.timers.get(&timer).is_some_and(|at| *at <= around.now.moment) {
                self.timers.remove(&timer);
                self.happen(around, Event::Due(timer));
            }
        }
    }

    /// Goes on until the session waits for something that only a line can bring.
    fn settle(&mut self, around: Around<'_>) {
        while self.end().is_none() && self.broken_law.is_none() {
            if self.handshake {
                // What was sent in plain text behind STARTTLS is what the handshake reads first.
                if self.taken < self.arrived.len() {
                    self.cut_off(around, Cause::TlsFailed);
                }
                return;
            }
            if self.open.as_ref().is_some_and(|open| !open.held) {
                self.answer(around);
            } else if self.taken < self.arrived.len() && self.session.wants_read() {
                self.offer(around);
            } else if self.peer_closed == PeerClosed::Pending && self.taken == self.arrived.len() {
                self.peer_closed = PeerClosed::Told;
                self.step(around, Event::PeerClosed);
            } else {
                return;
            }
        }
    }

    /// Offers what arrived, as much as the loop reads in one turn.
    fn offer(&mut self, around: Around<'_>) {
        let arrived = std::mem::take(&mut self.arrived);
        let rest = arrived.get(self.taken..).unwrap_or_default();
        let piece = rest.get(..limits::READ_OCTETS_PER_TURN).unwrap_or(rest);
        let (taken, actions) = self.step(around, Event::Bytes(piece));
        self.law(taken <= piece.len(), "it took more octets than it was offered");
        self.law(taken > 0 || actions > 0, "it wants octets, and took none and did nothing");
        let took = piece.get(..taken).unwrap_or_default();
        self.law(
            !self.handshake || took.ends_with(b"\n"),
            "it took octets that stand behind the line of STARTTLS",
        );
        self.lines = self.lines.saturating_add(memchr::memchr_iter(b'\n', took).count());
        self.taken = self.taken.saturating_add(taken).min(arrived.len());
        self.arrived = arrived;
        // A greeting, a reply for each line, a last word.
        let replies = self.transcript.replies.len();
        self.law(replies <= self.lines.saturating_add(2), "it said more replies than it was given lines");
    }

    /// Answers the open question, or leaves it to the book.
    fn answer(&mut self, around: Around<'_>) {
        let Some(open) = self.open.take() else { return };
        let is_login = about(&open.question) == About::Login;
        if self.has_book && is_login && open.given == Given::World {
            self.at_book = Some(open.ticket);
            self.for_book = Some((open.ticket, open.question));
            return;
        }
        let answer = around.world.answer_as_given(&open.question, &open.given);
        if let (Question::Commit(commit), Answer::Commit(answer)) = (open.question, &answer) {
            self.commit_answer = Some(*answer);
            let body = std::mem::take(&mut self.kept);
            if *answer == CommitAnswer::Durable {
                self.durable.push(DurableMessage { commit: *commit, body });
            }
        }
        self.bring(around, open.ticket, answer);
        self.law(self.commit_answer.is_none(), "it did not reply when a commit was answered");
    }

    /// Brings an answer, and then another with a ticket that is stale by then.
    fn bring(&mut self, around: Around<'_>, ticket: Ticket, answer: Answer) {
        self.step(around, Event::Answered(ticket, answer));
        if self.end().is_none() && self.open.is_none() {
            let stale = Answer::Commit(CommitAnswer::Durable);
            let (_, actions) = self.step(around, Event::Answered(ticket, stale));
            self.law(actions == 0, "it acted on an answer whose ticket is stale");
        }
    }

    /// One step. Returns the octets taken and how many actions came of it, but for deadlines moved.
    fn step(&mut self, around: Around<'_>, event: Event<'_>) -> (usize, usize) {
        if self.end().is_some() {
            return (0, 0);
        }
        let mut out = Actions::new();
        let sight =
            Sight { now: around.now.moment, directory: around.world.directory(), settings: &self.settings };
        let offered = match &event {
            Event::Bytes(octets) => Some(*octets),
            Event::Paced(_)
            | Event::Opened
            | Event::TlsUp(_)
            | Event::Answered(..)
            | Event::Due(_)
            | Event::PeerClosed
            | Event::Stopping => None,
        };
        self.tape.happens(&sight, &event);
        let taken = self.session.step(around.now, event, &mut out);
        match offered {
            Some(octets) => {
                self.tape.took(&sight, octets.get(..taken).unwrap_or_default(), out.as_slice());
            }
            None => self.tape.did(&sight, out.as_slice()),
        }
        let actions = out.take();
        let count = actions.iter().filter(|action| !matches!(action, Action::Arm(..))).count();
        self.law(
            actions.len() <= limits::ACTIONS_PER_STEP_MAX,
            "one step had more actions than a step may have",
        );
        for action in actions {
            self.law(self.end().is_none(), "something followed the close");
            self.act(action);
        }
        let waits = self.open.is_some() || self.at_book.is_some() || self.handshake || self.end().is_some();
        self.law(!(waits && self.session.wants_read()), "it wants octets while it waits for something else");
        (taken, count)
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Say(reply) => self.say(reply),
            Action::Ask(ticket, question) => self.ask(ticket, question),
            Action::Keep(octets) => {
                self.kept.extend_from_slice(&octets);
                let kept = u64::try_from(self.kept.len()).unwrap_or(u64::MAX);
                let slack = u64::try_from(limits::READ_OCTETS_PER_TURN).unwrap_or(u64::MAX);
                let fits = kept <= self.message_octets_max.saturating_add(slack);
                self.law(fits, "it kept more octets than a message may have");
                self.law(self.open.is_none(), "it kept octets of a message that is being made durable");
            }
            Action::Forget => self.kept.clear(),
            Action::StartTls => {
                self.law(!self.handshake, "it began a handshake within a handshake");
                self.handshake = true;
            }
            Action::Arm(timer, Some(at)) => {
                self.timers.insert(timer, at);
            }
            Action::Arm(timer, None) => {
                self.timers.remove(&timer);
            }
            Action::Note(note) => self.transcript.notes.push(note),
            Action::Close(cause) => self.transcript.end = Some(cause),
        }
    }

    /// A reply, and the law of the honest 250.
    fn say(&mut self, reply: Reply) {
        let good = (200..300).contains(&reply.code);
        let committing = self.open.as_ref().is_some_and(|open| matches!(open.question, Question::Commit(_)));
        self.law(!(good && committing), "it said yes while a commit was not answered");
        let durable = match self.commit_answer.take() {
            Some(CommitAnswer::Durable) => {
                self.law(reply.code == 250, "it did not say 250 for a message that is durable");
                true
            }
            Some(CommitAnswer::DiskFull | CommitAnswer::Failed) => {
                self.law(reply.code >= 400, "it said yes to a message that is not durable");
                false
            }
            None => false,
        };
        self.law(!(self.in_data && good && !durable), "it said yes to data without a commit");
        self.in_data = reply.code == 354;
        self.law(!reply.lines.is_empty(), "a reply had no line");
        self.transcript.replies.push(reply);
    }

    fn ask(&mut self, ticket: Ticket, question: Question) {
        let is_free = self.open.is_none() && self.at_book.is_none();
        self.law(is_free, "it asked a question before the last one was answered");
        self.law(self.last_ticket != Some(ticket), "it used a ticket twice");
        if let Question::Commit(commit) = &question {
            self.check_commit(commit);
        }
        let given =
            self.given.get_mut(&about(&question)).and_then(VecDeque::pop_front).unwrap_or(Given::World);
        self.last_ticket = Some(ticket);
        self.open = Some(Open { ticket, question, held: given == Given::Wait, given });
    }

    fn check_commit(&mut self, commit: &Commit) {
        let kept = u64::try_from(self.kept.len()).unwrap_or(u64::MAX);
        self.law(commit.body_octets == kept, "a commit did not have as many octets as were kept");
        let mut accounts: Vec<_> = commit.deliveries.iter().map(|delivery| delivery.account).collect();
        let copies = accounts.len();
        accounts.sort();
        accounts.dedup();
        self.law(copies > 0, "a commit had no recipient");
        self.law(copies == accounts.len(), "a commit had an account twice");
        self.law(
            commit.prefix.starts_with(b"Return-Path: <"),
            "a message does not begin with its Return-Path",
        );
        self.law(commit.prefix.ends_with(b"\r\n"), "the fields in front of a message do not end with CRLF");
    }

    fn law(&mut self, kept: bool, broken: &str) {
        if !kept && self.broken_law.is_none() {
            self.broken_law = Some(broken.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DEFAULT_HOSTNAME, Dialog, Head};
    use super::*;
    use crate::contract::{Delivery, Listener};
    use crate::types::{AccountId, Domain, Enhanced, MailId, ReversePath, SessionId, UnixTime};

    /// A session to whose place a test then adds actions of its own, as a session that breaks a law would.
    fn with_seat(test: impl FnOnce(&mut Seat, Around<'_>)) -> Option<String> {
        let hostname = Domain::parse(DEFAULT_HOSTNAME).unwrap();
        let dialog = Dialog { head: Head::new(Listener::Smtp, hostname.clone()), entries: Vec::new() };
        let world = World::of(&dialog).unwrap();
        let around = Around { world: &world, now: Now::default() };
        let facts = PeerFacts { session: SessionId(1), address: dialog.head.peer, listener: Listener::Smtp };
        let settings = Settings {
            hostname,
            message_octets_max: 1_000,
            tls_available: true,
            scram: crate::types::ScramUse::All,
            idle_ms: limits::IDLE_MS,
        };
        let opening = Opening {
            settings: Arc::new(settings),
            chance: Chance::from_seed([0; 32]),
            tls: None,
            pace: Pace::default(),
            has_book: false,
            tape: Tape::new(None, facts, around.now),
        };
        let mut seat = Seat::open(around, facts, opening);
        assert_eq!(seat.broken_law, None);
        test(&mut seat, around);
        seat.broken_law
    }

    fn commit(octets: u64, accounts: &[u32]) -> Action {
        let copy = |id: &u32| Delivery { account: AccountId(*id), recipient: "me@example.org".into() };
        Action::Ask(
            Ticket(9_999),
            Question::Commit(Box::new(Commit {
                id: MailId([0; 16]),
                received: UnixTime(0),
                sender: ReversePath::Null,
                deliveries: accounts.iter().map(copy).collect(),
                prefix: b"Return-Path: <>\r\n".to_vec(),
                body_octets: octets,
            })),
        )
    }

    fn yes() -> Action {
        Action::Say(Reply::new(250, Enhanced(2, 0, 0), "yes"))
    }

    fn go_ahead() -> Action {
        Action::Say(Reply::plain(354, "go ahead"))
    }

    #[test]
    fn a_yes_before_the_commit_is_answered_breaks_the_law() {
        let law =
            with_seat(|seat, _| [commit(0, &[1]), yes()].into_iter().for_each(|action| seat.act(action)));
        assert!(law.unwrap().contains("while a commit was not answered"));
    }

    #[test]
    fn a_yes_to_data_without_a_commit_breaks_the_law() {
        let law = with_seat(|seat, _| [go_ahead(), yes()].into_iter().for_each(|action| seat.act(action)));
        assert!(law.unwrap().contains("without a commit"));
    }

    #[test]
    fn a_yes_to_what_the_store_refused_breaks_the_law() {
        let law = with_seat(|seat, _| {
            seat.commit_answer = Some(CommitAnswer::Failed);
            seat.act(yes());
        });
        assert!(law.unwrap().contains("not durable"));
    }

    #[test]
    fn a_no_to_what_is_durable_breaks_the_law() {
        let law = with_seat(|seat, _| {
            seat.commit_answer = Some(CommitAnswer::Durable);
            seat.act(Action::Say(Reply::new(451, Enhanced(4, 3, 0), "no")));
        });
        assert!(law.unwrap().contains("did not say 250"));
    }

    #[test]
    fn a_commit_of_other_octets_than_were_kept_breaks_the_law() {
        let law = with_seat(|seat, _| seat.act(commit(1, &[1])));
        assert!(law.unwrap().contains("octets as were kept"));
    }

    #[test]
    fn two_copies_for_one_account_break_the_law() {
        let law = with_seat(|seat, _| seat.act(commit(0, &[2, 1, 2])));
        assert!(law.unwrap().contains("an account twice"));
    }

    #[test]
    fn a_second_question_before_the_first_answer_breaks_the_law() {
        let law = with_seat(|seat, _| {
            seat.act(Action::Ask(Ticket(7_000), Question::Room(0)));
            seat.act(Action::Ask(Ticket(7_001), Question::Room(0)));
        });
        assert!(law.unwrap().contains("before the last one was answered"));
    }

    #[test]
    fn more_kept_octets_than_a_message_may_have_break_the_law() {
        let law = with_seat(|seat, _| seat.act(Action::Keep(vec![0; 1_001 + limits::READ_OCTETS_PER_TURN])));
        assert!(law.unwrap().contains("more octets than a message"));
    }
}
