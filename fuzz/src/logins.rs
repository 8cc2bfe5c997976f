//! Whole login dialogues: several sessions take turns on one throttle and one hash worker, which dies, hangs and
//! comes back while time passes.
//!
//! What is looked at: every command has its one reply, all refusals are the same octets and leave on the grid
//! when the rules say, nothing but a right password opens anything, every session ends, and in the end no
//! budget is left reserved. What the throttle decides is compared with [`Naive`] as long as it can be known
//! whose hash the worker holds.

#[path = "asked.rs"]
mod asked;

use crate::clients::{Step, address, dialogue, fill_in, matches};
use crate::naive::Naive;
use crate::verdicts::{Kind, Pending, State};
use arbitrary::{Arbitrary, Unstructured};
use gatepost::auth::throttle::{ConnectVerdict, Limits, LoginOutcome, Mode, Rules, Subject, Throttle};
use gatepost::auth::verdict::LoginVerdict;
use gatepost::auth::verifier::{HashJob, Verifier, canonical};
use gatepost::contract::{Action, Actions, Answer, Event, Listener, PeerFacts, Timer};
use gatepost::directory::Directory;
use gatepost::fuzz::login::{KEY, NAMES, directory, settings, tls};
use gatepost::limits::{HASH_MS_MAX, REFUSAL_TICK_MS};
use gatepost::smtp::session::{Session, Settings};
use gatepost::types::{Chance, Moment, Now, SessionId, UnixTime};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Sessions at once.
const SESSIONS_MAX: usize = 8;
/// Steps of one story.
const STEPS_MAX: usize = 150;

/// A story.
#[derive(Debug)]
pub struct Story {
    dry_run: bool,
    low_limits: bool,
    steps: Vec<Step>,
}

impl<'a> Arbitrary<'a> for Story {
    fn arbitrary(octets: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let (dry_run, low_limits) = (octets.ratio(1, 8)?, octets.arbitrary()?);
        let mut steps = Vec::new();
        while !octets.is_empty() && steps.len() < STEPS_MAX {
            steps.push(octets.arbitrary()?);
        }
        Ok(Self { dry_run, low_limits, steps })
    }
}

/// What a story came to, so that a test sees whether it got anywhere.
#[derive(Debug, Default)]
pub struct Tally {
    /// 235.
    pub accepted: u32,
    /// 535.
    pub refused: u32,
    /// 454 of the throttle.
    pub turned_away: u32,
    /// 454 of the worker or its queue.
    pub unavailable: u32,
    /// Proofs, of which none is right.
    pub proofs: u32,
    /// Sessions that left before their verdict.
    pub gave_up: u32,
    /// Stories that were compared with the model to their end.
    pub compared: u32,
}

/// A session and its client.
struct Seat {
    session: Session,
    source: IpAddr,
    input: Vec<u8>,
    timers: BTreeMap<Timer, Moment>,
    /// The code of the last reply.
    last_code: u16,
    /// Commands that were sent, the greeting among them, and replies to them.
    commands: usize,
    replies: usize,
    /// Octets of the last reply.
    last_reply: Vec<u8>,
    over: bool,
}

enum Worker {
    Up,
    Gone,
    Hangs(Option<HashJob>),
}

struct Hall {
    directory: Directory,
    settings: Arc<Settings>,
    throttle: Throttle,
    verifier: Verifier,
    naive: Option<Naive>,
    worker: Worker,
    pending: Vec<Pending>,
    seats: BTreeMap<SessionId, Seat>,
    now: Now,
    /// The octets of each kind of refusal, as first seen.
    seen: BTreeMap<u16, Vec<u8>>,
    last_session: u64,
    tally: Tally,
}

fn promise(kept: bool, promise: impl FnOnce() -> String) -> Result<(), String> {
    if kept { Ok(()) } else { Err(promise()) }
}

impl Story {
    /// Plays it.
    ///
    /// # Errors
    /// The law that was broken.
    pub fn play(&self) -> Result<Tally, String> {
        let mode = if self.dry_run { Mode::DryRun } else { Mode::Enforce };
        let low = Limits { host: 3, net: 5, wide: 7, login: 9 };
        let limits = if self.low_limits { low } else { Limits::default() };
        let mut hall = Hall::new(Rules { mode, limits, ..Rules::default() })?;
        for (number, step) in self.steps.iter().enumerate() {
            hall.step(*step).map_err(|why| format!("step {number}, {step:?}: {why}\n{self:?}"))?;
        }
        hall.end().map_err(|why| format!("in the end: {why}\n{self:?}"))
    }
}

impl Hall {
    fn new(rules: Rules) -> Result<Self, String> {
        let mut verifier = Verifier::new(KEY, Chance::from_seed([2; 32]));
        verifier.worker_up(Moment(0));
        Ok(Self {
            directory: directory()?,
            settings: Arc::new(settings()?),
            throttle: Throttle::new(rules.clone(), [4; 32]),
            verifier,
            naive: Some(Naive::new(rules)),
            worker: Worker::Up,
            pending: Vec::new(),
            seats: BTreeMap::new(),
            now: Now { moment: Moment(86_400_000), unix: UnixTime(1_700_000_000) },
            seen: BTreeMap::new(),
            last_session: 0,
            tally: Tally::default(),
        })
    }

    /// One of the sessions that are there.
    fn pick(&self, which: u8) -> Option<SessionId> {
        let at = usize::from(which).checked_rem(self.seats.len())?;
        self.seats.keys().nth(at).copied()
    }

    fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Connect { source, implicit_tls } => self.connect(source, implicit_tls)?,
            Step::Login { session, mechanism, initial, name, password, as_other, lines } => {
                if self.seats.is_empty() {
                    self.connect(session, true)?;
                }
                if let Some(id) = self.pick(session) {
                    let said = dialogue(mechanism, initial, name, password, as_other);
                    self.say_all(id, &said[..said.len().min(1 + usize::from(lines % 4))])?;
                }
            }
            Step::Visit { source, mechanism, name, passwords } => {
                self.connect(source, true)?;
                let id = SessionId(self.last_session);
                for password in passwords {
                    self.say_all(id, &dialogue(mechanism, true, name, password, false))?;
                    self.work()?;
                    // As long as nobody hashes, until it is given up.
                    while self.pending.iter().any(|pending| pending.session == id) {
                        self.pass(REFUSAL_TICK_MS)?;
                    }
                }
                self.event(id, Event::PeerClosed)?;
                self.gone(id)?;
            }
            Step::Line(session, line) => {
                if let Some(id) = self.pick(session) {
                    self.say_all(id, &[line.text().to_owned()])?;
                }
            }
            Step::Leave(session) => {
                if let Some(id) = self.pick(session) {
                    self.event(id, Event::PeerClosed)?;
                    self.gone(id)?;
                }
            }
            Step::Milliseconds(count) => self.pass(u64::from(count))?,
            Step::Seconds(count) => self.pass(u64::from(count) * 1_000)?,
            Step::Minutes(count) => self.pass(u64::from(count % 90) * 60_000)?,
            Step::WorkerComes => self.worker_comes()?,
            Step::WorkerDies => self.worker_dies()?,
            Step::WorkerHangs => {
                if let Worker::Up = self.worker {
                    self.worker = Worker::Hangs(None);
                }
            }
            Step::Forgive(source) => {
                let source = address(source);
                self.throttle.forgive(source);
                let now = self.now;
                self.naive.iter_mut().for_each(|naive| naive.forgive(now, source));
            }
        }
        self.work()
    }

    fn connect(&mut self, source: u8, implicit_tls: bool) -> Result<(), String> {
        let source = address(source);
        let listener = if implicit_tls { Listener::Submissions } else { Listener::Submission };
        let verdict = self.throttle.at_connect(self.now, source, listener);
        let (_, because) = match &self.naive {
            Some(naive) => naive.at_connect(self.now, source, listener),
            None => return self.admit(source, listener),
        };
        let told = match verdict {
            ConnectVerdict::Admit(_, because) => because,
            ConnectVerdict::Denied(because) | ConnectVerdict::Refused(because) => Some(because),
        };
        promise(told == because, || format!("connection: {told:?}, and by the rules {because:?}"))?;
        self.admit(source, listener)
    }

    /// Refused or not: it may have come before it was.
    fn admit(&mut self, source: IpAddr, listener: Listener) -> Result<(), String> {
        if self.seats.len() >= SESSIONS_MAX {
            return Ok(());
        }
        self.last_session += 1;
        let id = SessionId(self.last_session);
        let facts = PeerFacts { session: id, address: source, listener };
        let chance = Chance::from_seed([3; 32]);
        let seat = Seat {
            session: Session::new(facts, Arc::clone(&self.settings), chance),
            source,
            input: Vec::new(),
            timers: BTreeMap::new(),
            last_code: 0,
            commands: 1,
            replies: 0,
            last_reply: Vec::new(),
            over: false,
        };
        self.seats.insert(id, seat);
        if listener == Listener::Submissions {
            self.event(id, Event::TlsUp(tls()))?;
        }
        self.event(id, Event::Opened)?;
        self.say_all(id, &["EHLO client.example".to_owned()])?;
        if listener == Listener::Submission {
            self.say_all(id, &["STARTTLS".to_owned(), "EHLO client.example".to_owned()])?;
        }
        Ok(())
    }

    /// Says lines, each after the first only where it is asked for: after 334, or after TLS is up.
    fn say_all(&mut self, id: SessionId, lines: &[String]) -> Result<(), String> {
        for (number, line) in lines.iter().enumerate() {
            let Some(seat) = self.seats.get_mut(&id) else { return Ok(()) };
            let asked = seat.last_code == 334 || (seat.last_code == 220 && line.starts_with("EHLO"));
            if number > 0 && (!asked || !seat.input.is_empty() || !seat.session.wants_read()) {
                return Ok(());
            }
            let line = fill_in(line, &seat.last_reply);
            seat.input.extend_from_slice(line.as_bytes());
            seat.input.extend_from_slice(b"\r\n");
            self.feed(id)?;
        }
        Ok(())
    }

    /// Offers line by line what is there, as long as it is taken.
    fn feed(&mut self, id: SessionId) -> Result<(), String> {
        while let Some(seat) = self.seats.get_mut(&id) {
            let end = seat.input.iter().position(|octet| *octet == b'\n').map_or(0, |at| at + 1);
            if seat.over || end == 0 || !seat.session.wants_read() {
                return Ok(());
            }
            // A response is no command of its own.
            seat.commands += usize::from(seat.last_code != 334);
            let line: Vec<u8> = seat.input.drain(..end).collect();
            let taken = self.event(id, Event::Bytes(&line))?;
            let Some(seat) = self.seats.get_mut(&id) else { return Ok(()) };
            promise(taken == line.len() || seat.over, || "it wants octets and does not take a line".into())?;
        }
        Ok(())
    }

    fn event(&mut self, id: SessionId, event: Event<'_>) -> Result<usize, String> {
        let Some(seat) = self.seats.get_mut(&id) else { return Ok(0) };
        let mut out = Actions::new();
        let taken = seat.session.step(self.now, event, &mut out);
        for action in out.take() {
            let Some(seat) = self.seats.get_mut(&id) else { return Ok(taken) };
            promise(!seat.over, || "something follows the close".into())?;
            match action {
                Action::Say(reply) => {
                    seat.last_code = reply.code;
                    seat.last_reply = Vec::new();
                    reply.encode(&mut seat.last_reply);
                    seat.replies += usize::from(reply.code != 334);
                }
                Action::Ask(ticket, question) => self.ask(id, ticket, question)?,
                Action::StartTls => {
                    self.event(id, Event::TlsUp(tls()))?;
                }
                Action::Arm(timer, Some(at)) => {
                    seat.timers.insert(timer, at);
                }
                Action::Arm(timer, None) => {
                    seat.timers.remove(&timer);
                }
                Action::Close(_) => seat.over = true,
                Action::Keep(_) | Action::Forget | Action::Note(_) => {}
            }
        }
        Ok(taken)
    }

    /// The session is over: its login needs no verdict any more.
    fn gone(&mut self, id: SessionId) -> Result<(), String> {
        self.verifier.forget(id);
        self.settle();
        for pending in self.pending.extract_if(.., |pending| pending.session == id) {
            self.tally.gave_up += 1;
            match pending.state {
                State::Waits | State::InFlight => {
                    if let (Some(naive), Some(number)) = (&mut self.naive, pending.number) {
                        naive.decided(self.now, number, LoginOutcome::GaveUp);
                    }
                }
                State::Decided(..) | State::Unknown => {}
            }
        }
        self.seats.remove(&id);
        Ok(())
    }

    fn settle(&mut self) {
        self.verifier.settle(self.now, &mut self.throttle);
    }

    /// The model hears that those were decided.
    fn decided(&mut self, which: impl Fn(&Pending) -> bool, unavailable: bool) {
        for pending in self.pending.iter_mut().filter(|pending| which(pending)) {
            let outcome = if unavailable { LoginOutcome::Unavailable } else { pending.outcome };
            if let (Some(naive), Some(number)) = (&mut self.naive, pending.number) {
                naive.decided(self.now, number, outcome);
            }
            pending.state = State::Decided(Kind::of_outcome(outcome), self.now.moment);
        }
    }

    // ---- The worker ----

    /// What the worker can do at once is done, and verdicts leave whose time has come.
    fn work(&mut self) -> Result<(), String> {
        let late = self.now.moment.0.saturating_sub(HASH_MS_MAX);
        // Who waited too long hears so before anything else happens.
        self.decided(|one| one.state == State::Waits && one.asked.0 <= late, true);
        if self.verifier.worker_is_late(self.now.moment) {
            self.worker_dies()?;
            self.worker_comes()?;
        }
        match &mut self.worker {
            Worker::Up => {
                while let Some(job) = self.verifier.next_job(self.now.moment) {
                    self.verifier.hashed(self.now.moment, job.id, matches(&job));
                }
                self.settle();
                self.decided(|one| matches!(one.state, State::Waits | State::InFlight), false);
            }
            Worker::Hangs(held) => {
                if let Some(job) = self.verifier.next_job(self.now.moment) {
                    promise(held.is_none(), || "two jobs are in flight".into())?;
                    *held = Some(job);
                    let mut waits: Vec<_> =
                        self.pending.iter_mut().filter(|one| one.state == State::Waits).collect();
                    if let [only] = waits.as_mut_slice() {
                        only.state = State::InFlight;
                    } else {
                        // Whose it is, only the queue knows.
                        self.naive = None;
                        self.pending.iter_mut().for_each(|one| one.state = State::Unknown);
                    }
                }
                self.settle();
            }
            Worker::Gone => {
                let job = self.verifier.next_job(self.now.moment);
                promise(job.is_none(), || "nobody is there to hash".into())?;
                self.settle();
            }
        }
        self.leave()
    }

    fn worker_comes(&mut self) -> Result<(), String> {
        match std::mem::replace(&mut self.worker, Worker::Up) {
            Worker::Up => {}
            Worker::Gone => self.verifier.worker_up(self.now.moment),
            Worker::Hangs(Some(job)) => {
                self.verifier.hashed(self.now.moment, job.id, matches(&job));
                self.settle();
                self.decided(|one| one.state == State::InFlight, false);
            }
            Worker::Hangs(None) => {}
        }
        Ok(())
    }

    fn worker_dies(&mut self) -> Result<(), String> {
        self.worker = Worker::Gone;
        self.verifier.worker_lost(self.now.moment);
        self.settle();
        self.decided(|one| one.state == State::InFlight, true);
        Ok(())
    }

    /// The verdicts whose time has come, to those who wait for them.
    fn leave(&mut self) -> Result<(), String> {
        let decided = self.verifier.due(self.now.moment);
        self.settle();
        for one in decided {
            let at = self
                .pending
                .iter()
                .position(|pending| pending.ticket == one.ticket && pending.session == one.session);
            let at = at.ok_or("a verdict for nobody")?;
            let pending = self.pending.swap_remove(at);
            self.judge(&pending, one.verdict)?;
            let answer = match one.signature {
                None => Answer::Login(one.verdict),
                Some(signature) => Answer::Proof(one.verdict, signature),
            };
            self.event(one.session, Event::Answered(one.ticket, answer))?;
            self.compare_octets(one.session, one.verdict)?;
            self.feed(one.session)?;
        }
        // Whose place the answer made free may have asked again.
        if decided_any_more(&self.verifier, self.now.moment) { self.leave() } else { self.bury() }
    }

    /// Nothing but a right password opens anything, and the model says when and what.
    fn judge(&mut self, pending: &Pending, verdict: LoginVerdict) -> Result<(), String> {
        let kind = Kind::of(verdict)?;
        match kind {
            Kind::Accepted => self.tally.accepted += 1,
            Kind::Disabled => {}
            Kind::Refused => self.tally.refused += 1,
            Kind::Throttled => self.tally.turned_away += 1,
            Kind::QueueFull | Kind::Worker => self.tally.unavailable += 1,
        }
        pending.judge(self.now.moment, kind, self.naive.is_some())
    }

    /// All refusals of a kind are the same octets, whatever they are for.
    fn compare_octets(&mut self, id: SessionId, verdict: LoginVerdict) -> Result<(), String> {
        let mut octets = Vec::new();
        verdict.reply().encode(&mut octets);
        let first = self.seen.entry(verdict.reply().code).or_insert_with(|| octets.clone());
        promise(*first == octets, || format!("two forms of one refusal: {verdict:?}"))?;
        let Some(seat) = self.seats.get(&id) else { return Ok(()) };
        let is_said = seat.last_reply == octets || seat.last_code == 421;
        promise(is_said, || format!("{verdict:?} is told as {}", seat.last_reply.escape_ascii()))
    }

    /// Sessions that closed, and timers whose time has come.
    fn bury(&mut self) -> Result<(), String> {
        let over: Vec<SessionId> =
            self.seats.iter().filter(|(_, seat)| seat.over).map(|(id, _)| *id).collect();
        for id in over {
            self.gone(id)?;
        }
        for (id, seat) in &self.seats {
            let awaits = self.pending.iter().any(|pending| pending.session == *id);
            let in_exchange = seat.last_code == 334;
            let open = usize::from(awaits || in_exchange);
            promise(seat.replies + open == seat.commands, || {
                format!("{} commands, {} replies, {open} open", seat.commands, seat.replies)
            })?;
        }
        Ok(())
    }

    // ---- Time ----

    fn next(&self) -> Option<Moment> {
        let timers = self.seats.values().flat_map(|seat| seat.timers.values().copied()).min();
        [timers, self.verifier.next_deadline()].into_iter().flatten().min()
    }

    fn pass(&mut self, ms: u64) -> Result<(), String> {
        let end = self.now.moment.plus_ms(ms);
        while let Some(at) = self.next().filter(|at| *at <= end) {
            self.go_to(at);
            let due = |seat: &Seat| {
                seat.timers.iter().find(|(_, at)| **at <= self.now.moment).map(|(timer, _)| *timer)
            };
            let late = self.seats.iter().find_map(|(id, seat)| Some((*id, due(seat)?)));
            if let Some((id, timer)) = late {
                self.seats.get_mut(&id).map(|seat| seat.timers.remove(&timer));
                self.event(id, Event::Due(timer))?;
                self.feed(id)?;
            }
            self.work()?;
        }
        self.go_to(end);
        self.work()
    }

    fn go_to(&mut self, at: Moment) {
        let at = at.max(self.now.moment);
        self.now.unix.0 += at.0 / 1_000 - self.now.moment.0 / 1_000;
        self.now.moment = at;
    }

    /// Everybody falls silent: every session ends, and no budget is left reserved.
    fn end(mut self) -> Result<Tally, String> {
        self.pass(3_600_000)?;
        promise(self.seats.is_empty(), || format!("{} sessions never end", self.seats.len()))?;
        promise(self.pending.is_empty(), || format!("no verdict ever: {:?}", self.pending))?;
        self.pass(3 * 3_600_000)?;
        let sources = (0..6).map(|source| Subject::Source(address(source)));
        let logins = NAMES.iter().map(|name| Subject::Login(canonical(name.as_bytes())));
        for subject in sources.chain(logins) {
            let told = self.throttle.explain(self.now, &subject);
            let left = told.standings.iter().any(|standing| standing.level > 0 || standing.refuses.is_some());
            promise(!left, || format!("{subject:?} is held to something for ever: {told:?}"))?;
        }
        self.tally.compared = u32::from(self.naive.is_some());
        Ok(self.tally)
    }
}

fn decided_any_more(verifier: &Verifier, now: Moment) -> bool {
    verifier.next_deadline().is_some_and(|at| at <= now)
}
