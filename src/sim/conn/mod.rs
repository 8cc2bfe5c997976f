//! One connection at the server: a session, its layer, its deadlines, and what waits in either direction.

mod deeds;

use super::Law;
use super::archive::{self, Said};
use super::client::WINDOW_OCTETS;
use super::desk::{Desk, Happening, Parcel, shown};
use super::lane::Lane;
use super::layer::{CLIENT_HELLO, Layer, SERVER_HELLO};
use super::planted::PlantedBug;
use super::recut::Recording;
use crate::contract::{
    Action, Actions, Answer, Cause, Event, Listener, Pace, PeerFacts, Question, Ticket, Timer, TlsFacts,
};
use crate::journal::{Arena, Recording as Taped, Sight, Tape};
use crate::limits::{
    ACTIONS_PER_STEP_MAX, HANDSHAKE_MS_MAX, IDLE_MS, OUTPUT_HIGH_OCTETS, OUTPUT_LOW_OCTETS,
    READ_OCTETS_PER_TURN,
};
use crate::smtp::session::{Session, Settings};
use crate::telemetry::note::Note;
use crate::types::{AccountId, Chance, ChannelBindings, MailId, Moment};
use std::sync::Arc;

/// Octets of one reply at the most.
const REPLY_OCTETS_MAX: usize = 400;

/// A question that was asked and not answered.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) ticket: Ticket,
    pub(super) asked: Moment,
    /// A login that may be answered 454: something it needs was not there.
    pub(super) excused: bool,
    pub(super) is_login: bool,
    pub(super) kind: &'static str,
    /// A right one that the throttle may not turn away.
    pub(super) promised: bool,
}

/// What a step left to do.
#[derive(Debug, Default)]
pub(super) struct Stepped {
    pub(super) taken: usize,
    pub(super) asks: Vec<(Ticket, Question)>,
    /// A message was said to be durable, for these accounts.
    pub(super) yes: Option<(MailId, Vec<AccountId>)>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) number: usize,
    pub(super) facts: PeerFacts,
    pub(super) open: Option<Open>,
    pub(super) kept: Vec<u8>,
    pub(super) last_answer: Option<(Ticket, Answer)>,
    /// What the session noted and nobody has heard yet.
    pub(super) notes: Vec<Note>,
    /// It brought a message or a login.
    pub(super) fruitful: bool,
    /// It came by the side door, then.
    pub(super) beside_since: Option<Moment>,
    session: Session,
    layer: Layer,
    lane: Lane,
    /// As the network brought it, behind what is in `input`.
    raw: Vec<u8>,
    input: Vec<u8>,
    output: Vec<u8>,
    blocked: bool,
    timers: [Option<Moment>; 3],
    handshake_by: Option<Moment>,
    linger_by: Option<Moment>,
    wants_tls: bool,
    peer_closed: bool,
    told_closed: bool,
    heard_at: Moment,
    earned_at: Moment,
    sent_octets: usize,
    read_octets: usize,
    committing: Option<(MailId, Vec<AccountId>)>,
    password: Vec<u8>,
    says: u64,
    recording: Recording,
    tape: Tape,
    settings: Arc<Settings>,
    /// The codes of the replies that the tape heard.
    said: Said,
}

impl Conn {
    pub(super) fn new(
        number: usize,
        facts: PeerFacts,
        settings: &Arc<Settings>,
        pace: Pace,
        arena: Arc<Arena>,
        desk: &mut Desk,
    ) -> Self {
        let chance = desk.chance.fork();
        let implicit = facts.listener == Listener::Submissions;
        let mut conn = Self {
            number,
            facts,
            open: None,
            kept: Vec::new(),
            last_answer: None,
            notes: Vec::new(),
            fruitful: false,
            beside_since: None,
            session: Session::new(facts, settings.clone(), chance.clone()),
            layer: if implicit { Layer::awaiting(CLIENT_HELLO) } else { Layer::Plain },
            lane: Lane::new(desk),
            raw: Vec::new(),
            input: Vec::new(),
            output: Vec::new(),
            blocked: false,
            timers: [None; 3],
            handshake_by: implicit.then(|| desk.now.moment.plus_ms(HANDSHAKE_MS_MAX)),
            linger_by: None,
            wants_tls: false,
            peer_closed: false,
            told_closed: false,
            heard_at: desk.now.moment,
            earned_at: desk.now.moment,
            sent_octets: 0,
            read_octets: 0,
            committing: None,
            password: Vec::new(),
            says: 0,
            recording: Recording::new(facts, settings.clone(), chance),
            tape: Tape::new(Some(arena), facts, desk.now),
            settings: settings.clone(),
            said: Said { began: desk.now.moment, codes: Vec::new() },
        };
        if pace != Pace::default() {
            conn.step(Event::Paced(pace), desk);
        }
        if !implicit {
            conn.step(Event::Opened, desk);
        }
        conn
    }

    /// It is served at this pace from now on.
    pub(super) fn pace(&mut self, pace: Pace, desk: &mut Desk) -> Stepped {
        self.step(Event::Paced(pace), desk)
    }

    /// Since when it has been idle; `None`: it may not be sent away for somebody else.
    pub(super) fn idle_since(&self) -> Option<Moment> {
        let is_over = self.session.is_over();
        let waits = self.committing.is_none() && !self.session.is_authenticated();
        if is_over { Some(Moment(0)) } else { waits.then_some(self.heard_at) }
    }

    /// Octets it holds beside its body.
    pub(super) fn octets(&self) -> usize {
        self.input.len() + self.output.len()
    }

    /// Closes, whatever is not sent.
    pub(super) fn hang_up(&mut self, desk: &mut Desk) {
        let parcel = if self.output.is_empty() { Parcel::Fin } else { Parcel::Rst };
        let number = self.number;
        self.lane.end(parcel, desk, |parcel| Happening::ToClient(number, parcel));
    }

    // ---- from the network ----

    pub(super) fn arrived(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Octets(octets) => self.raw.extend(octets),
            Parcel::Fin => self.peer_closed = true,
            Parcel::Rst => {}
        }
    }

    /// The client has read so many octets, all in all.
    pub(super) fn was_read(&mut self, octets: usize) {
        self.read_octets = octets;
    }

    /// Feeds the session until it wants no more or asks something.
    pub(super) fn pump(&mut self, desk: &mut Desk) -> Stepped {
        // A driver that offers again and again what nobody takes would do so for ever.
        let mut in_vain = 0_u32;
        loop {
            if self.session.is_over() {
                return Stepped::default();
            }
            self.open_raw(desk);
            self.blocked = match self.output.len() {
                waiting if waiting >= OUTPUT_HIGH_OCTETS => true,
                waiting if waiting < OUTPUT_LOW_OCTETS => false,
                _ => self.blocked,
            };
            let early = desk.has(PlantedBug::ClosesTooEarly) && self.peer_closed;
            if early && !self.told_closed {
                return self.peer_is_gone(desk);
            }
            let held_back = self.blocked && !desk.has(PlantedBug::NoBackpressure);
            let wants_none = !self.session.wants_read() && !desk.has(PlantedBug::FeedsUnwanted);
            if held_back || wants_none || matches!(self.layer, Layer::Hello(..)) {
                return Stepped::default();
            }
            if self.input.is_empty() {
                return if self.peer_closed && self.raw.is_empty() && !self.told_closed {
                    self.peer_is_gone(desk)
                } else {
                    Stepped::default()
                };
            }
            let stepped = self.feed(desk);
            in_vain = if stepped.taken == 0 { in_vain + 1 } else { 0 };
            desk.check(Law::Progress, in_vain < 100, || "octets are offered that nobody takes".into());
            if !stepped.asks.is_empty() || desk.is_broken() {
                return stepped;
            }
        }
    }

    fn peer_is_gone(&mut self, desk: &mut Desk) -> Stepped {
        self.told_closed = true;
        self.step(Event::PeerClosed, desk)
    }

    fn feed(&mut self, desk: &mut Desk) -> Stepped {
        let offered = std::mem::take(&mut self.input);
        let stepped = self.step(Event::Bytes(&offered), desk);
        // Who talks before the greeting is heard and not listened to.
        let fair = stepped.taken > 0 || !self.session.wants_read();
        desk.check(Law::Progress, fair, || format!("took nothing of {}", shown(&offered)));
        let untaken = offered.get(stepped.taken..).unwrap_or_default();
        // What stands behind STARTTLS is another bug's.
        if !desk.has(PlantedBug::LosesUntaken) || self.wants_tls {
            self.input = untaken.to_vec();
        }
        if std::mem::take(&mut self.wants_tls) {
            self.layer = Layer::awaiting(CLIENT_HELLO);
            self.handshake_by = Some(desk.now.moment.plus_ms(HANDSHAKE_MS_MAX));
            // What was not taken belongs to the handshake.
            if !desk.has(PlantedBug::PlaintextSurvivesStartTls) {
                let mut raw = std::mem::take(&mut self.input);
                raw.append(&mut self.raw);
                self.raw = raw;
            }
        }
        stepped
    }

    /// Takes as much from the network as one turn may.
    fn open_raw(&mut self, desk: &mut Desk) {
        let is_hello = matches!(self.layer, Layer::Hello(..));
        if self.raw.is_empty() || (!is_hello && !self.input.is_empty()) {
            if is_hello && self.peer_closed {
                self.end(Cause::TlsFailed, desk);
            }
            return;
        }
        let all = std::mem::take(&mut self.raw);
        let (now, later) = all.split_at_checked(READ_OCTETS_PER_TURN).unwrap_or((&all, &[]));
        self.raw = later.to_vec();
        let opened = self.layer.open(now);
        if opened.came_up {
            self.handshake_by = None;
            self.output.extend_from_slice(SERVER_HELLO);
            let facts = TlsFacts {
                version: "TLSv1.3",
                cipher: "TLS13_AES_256_GCM_SHA384".into(),
                bindings: ChannelBindings { exporter: Some([b'E'; 32]), end_point: None },
            };
            self.step(Event::TlsUp(facts), desk);
            if self.facts.listener == Listener::Submissions {
                self.step(Event::Opened, desk);
            }
        }
        self.input.extend(opened.content);
        if opened.broke {
            self.end(Cause::TlsFailed, desk);
        }
    }

    // ---- the session ----

    /// Brings an answer.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: Answer, desk: &mut Desk) -> Stepped {
        self.last_answer = Some((ticket, super::recut::copy(&answer)));
        if !desk.has(PlantedBug::QuestionStaysOpen) {
            self.open = None;
        }
        self.step(Event::Answered(ticket, answer), desk)
    }

    /// Brings an answer nobody waits for, and sees that nothing comes of it.
    pub(super) fn stale_answer(&mut self, ticket: Ticket, answer: Answer, desk: &mut Desk) {
        self.heard_at = desk.now.moment;
        let before =
            (self.session.wants_read(), self.session.in_transaction(), self.session.is_authenticated());
        let ticket = match &self.open {
            Some(open) if desk.has(PlantedBug::IgnoresTickets) => open.ticket,
            _ => ticket,
        };
        let told = format!("{ticket:?} {answer:?} while {:?}", self.open);
        let event = Event::Answered(ticket, answer);
        self.recording.event(desk.now, &event, 0);
        let book = desk.book.clone();
        let sight = Sight { now: desk.now.moment, directory: book.as_deref(), settings: &self.settings };
        self.tape.happens(&sight, &event);
        let mut out = Actions::new();
        self.session.step(desk.now, event, &mut out);
        self.tape.did(&sight, out.as_slice());
        let after =
            (self.session.wants_read(), self.session.in_transaction(), self.session.is_authenticated());
        let actions = out.take();
        let silent = actions.iter().all(|action| matches!(action, Action::Arm(..)));
        desk.check(Law::StaleIgnored, before == after && silent, || {
            format!("C{}: {told} led to {actions:?}", self.number)
        });
        for action in actions {
            if let Action::Arm(timer, when) = action {
                self.arm(timer, when, desk);
            }
        }
    }

    pub(super) fn tell_stopping(&mut self, desk: &mut Desk) {
        if self.session.is_over() {
            return;
        }
        if matches!(self.layer, Layer::Hello(..)) {
            self.end(Cause::Stopping, desk);
        } else {
            self.step(Event::Stopping, desk);
        }
    }

    pub(super) fn end(&mut self, cause: Cause, desk: &mut Desk) {
        self.tape_ends(cause, desk);
        let mut out = Actions::new();
        self.recording.ended(desk.now, cause);
        self.session.end(desk.now, cause, &mut out);
        self.perform(out, desk);
    }

    fn step(&mut self, event: Event<'_>, desk: &mut Desk) -> Stepped {
        let silence = desk.now.moment.since_ms(self.heard_at);
        if silence > IDLE_MS {
            desk.break_law(
                Law::FairTimers,
                format!("C{} was silent for {silence} ms, and stayed", self.number),
            );
        }
        let waiting = self.output.len();
        let mut out = Actions::new();
        let now = desk.session_clock();
        let recorded = if let Event::Bytes(octets) = &event { Some(*octets) } else { None };
        let book = desk.book.clone();
        let sight = Sight { now: now.moment, directory: book.as_deref(), settings: &self.settings };
        if recorded.is_none() {
            self.recording.event(now, &event, 0);
            self.tape.happens(&sight, &event);
        }
        let taken = self.session.step(now, event, &mut out);
        if let Some(octets) = recorded {
            self.recording.event(now, &Event::Bytes(octets), taken);
            self.tape.took(&sight, octets.get(..taken).unwrap_or_default(), out.as_slice());
        } else if !desk.has(PlantedBug::TapeMissesReplies) {
            self.tape.did(&sight, out.as_slice());
        }
        for action in out.as_slice() {
            if let Action::Say(reply) = action {
                self.said.codes.push(reply.code);
            }
        }
        let mut stepped = self.perform(out, desk);
        stepped.taken = taken;
        self.heard_at = desk.now.moment;
        let more = self.output.len().saturating_sub(waiting);
        if self.output.len() >= OUTPUT_HIGH_OCTETS && more > 0 {
            // Octets are not fed to who has so much to read; what one step says is little.
            let bounded = (recorded.is_none() || waiting < OUTPUT_HIGH_OCTETS)
                && more <= ACTIONS_PER_STEP_MAX * REPLY_OCTETS_MAX;
            desk.check(Law::BoundedOutput, bounded, || format!("{more} octets were added to {waiting}"));
        }
        stepped
    }

    // ---- time ----

    /// When something is due.
    pub(super) fn next_deadline(&self, desk: &Desk) -> Option<Moment> {
        let [idle, session, pace] = self.timers;
        let idle = idle.filter(|_| !desk.has(PlantedBug::ForgetsIdleTimer));
        [idle, session, pace, self.handshake_by, self.linger_by].into_iter().flatten().min()
    }

    /// Fires what is due.
    pub(super) fn fire(&mut self, desk: &mut Desk) {
        let now = desk.now.moment;
        if self.handshake_by.is_some_and(|by| by <= now) {
            self.end(Cause::TlsFailed, desk);
        }
        for timer in Timer::ALL {
            let [idle, session, pace] = &mut self.timers;
            let place = match timer {
                Timer::Idle if desk.has(PlantedBug::ForgetsIdleTimer) => continue,
                Timer::Idle => idle,
                Timer::Session => session,
                Timer::Pace => pace,
            };
            if place.is_some_and(|when| when <= now) {
                *place = None;
                self.step(Event::Due(timer), desk);
            }
        }
    }

    /// Whether a turn has nothing to do here.
    pub(super) fn is_quiet(&self, desk: &Desk) -> bool {
        let nothing_came = self.raw.is_empty() && self.input.is_empty() && !self.peer_closed;
        let due = self.next_deadline(desk).is_some_and(|when| when <= desk.now.moment);
        nothing_came && self.notes.is_empty() && self.output.is_empty() && self.linger_by.is_none() && !due
    }

    // ---- to the network ----

    /// Sends what the client's window takes.
    pub(super) fn flush(&mut self, desk: &mut Desk) {
        let room = WINDOW_OCTETS.saturating_sub(self.sent_octets.saturating_sub(self.read_octets));
        let all = std::mem::take(&mut self.output);
        let (now, later) = all.split_at_checked(room).unwrap_or((&all, &[]));
        self.output = later.to_vec();
        self.sent_octets += now.len();
        let number = self.number;
        self.lane.send(now, desk, |parcel| Happening::ToClient(number, parcel));
    }

    /// Whether nothing more will be done here; says farewell to the network.
    pub(super) fn is_finished(&mut self, desk: &mut Desk) -> bool {
        let Some(by) = self.linger_by else { return false };
        let parcel = match self.output.is_empty() {
            true => Parcel::Fin,
            false if by <= desk.now.moment => Parcel::Rst,
            false => return false,
        };
        let number = self.number;
        self.lane.end(parcel, desk, |parcel| Happening::ToClient(number, parcel));
        true
    }

    /// The process is gone.
    pub(super) fn cut_off(mut self, desk: &mut Desk) {
        let number = self.number;
        self.lane.end(Parcel::Rst, desk, |parcel| Happening::ToClient(number, parcel));
    }

    /// The peer has reset the connection.
    pub(super) fn broke(&mut self, desk: &Desk) {
        if !self.session.is_over() {
            self.tape_ends(Cause::Broken, desk);
        }
    }

    fn tape_ends(&mut self, cause: Cause, desk: &Desk) {
        let book = desk.book.clone();
        let sight = Sight { now: desk.now.moment, directory: book.as_deref(), settings: &self.settings };
        self.tape.gone(&sight, cause);
    }

    /// What the journal gets of a session that is gone.
    pub(super) fn recording(&mut self, desk: &mut Desk) -> Option<(Taped, Said)> {
        archive::judge_tape(&self.tape, desk);
        let recording = self.tape.finish(desk.now.moment, archive::wanted())?;
        Some((recording, std::mem::take(&mut self.said)))
    }

    pub(super) fn is_over(&self) -> bool {
        self.session.is_over()
    }

    /// Plays the session again, cut otherwise.
    pub(super) fn judge_cuts(&self, desk: &mut Desk) {
        let mut chance: Chance = desk.chance.fork();
        let found = self.recording.differs(&mut chance);
        desk.check(Law::CutBlind, found.is_none(), || {
            format!("C{} {}", self.number, found.unwrap_or_default())
        });
    }
}
