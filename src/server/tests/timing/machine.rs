//! Sessions, throttle and verifier in front of a real hash worker, driven by a real clock: what the loop does,
//! without its sockets and their noise.

use super::nanos;
use super::subjects::{BINDING, Claim, Class, KEY, classes, everybody, last_line};
use crate::auth::sasl::Mechanism;
use crate::auth::scram::salts::Salts;
use crate::auth::throttle::{Limits, Rules, Throttle};
use crate::auth::verdict::LoginVerdict;
use crate::auth::verifier::{Attempt, Decided, ProofAttempt, Tuning, Verifier};
use crate::contract::{Action, Actions, Answer, Event, Listener, PeerFacts, Question, Ticket, TlsFacts};
use crate::directory::Directory;
use crate::limits::GUESSES_CEILING;
use crate::server::clock::Clock;
use crate::server::hash_worker::{self, Answer as WorkerAnswer, Outcome, WorkerLink};
use crate::smtp::session::{Session, Settings};
use crate::types::{Chance, ChannelBindings, Domain, Now, ScramUse, Secret, SessionId};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Logins at once; proofs never wait for the worker, and so would all come at once.
const OPEN_MAX: usize = 2_000;

/// What else the worker has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Nothing.
    Idle,
    /// Up to two logins of others come before each.
    Others,
}

/// A server without sockets.
pub(super) struct Machine {
    directory: Directory,
    verifier: Verifier,
    throttle: Throttle,
    link: WorkerLink,
    worker: Option<JoinHandle<()>>,
    clock: Clock,
    chance: Chance,
    settings: Arc<Settings>,
    last_session: u64,
    classes: Vec<Class>,
}

/// One connection.
struct Seat {
    session: Session,
    facts: PeerFacts,
    replies: Vec<String>,
    asked: Option<(Ticket, Question)>,
}

impl Machine {
    /// With a verifier that is tuned so, and hashes of the same cost in the directory.
    pub(super) fn new(tuning: Tuning, seed: u8) -> Self {
        let mut chance = Chance::from_seed([seed; 32]);
        let (ours, theirs) = hash_worker::pair().unwrap();
        let limits = Limits {
            host: GUESSES_CEILING,
            net: GUESSES_CEILING,
            wide: GUESSES_CEILING,
            login: GUESSES_CEILING,
        };
        tuning.set();
        // The rounds are the client's work alone, so they are as few as can be.
        let salts = Salts::with_iterations(&KEY, 1);
        let mut verifier = Verifier::new(KEY, chance.fork()).with_scram(ScramUse::All, salts);
        Tuning::PRODUCTION.set();
        let clock = Clock::start();
        verifier.worker_up(clock.now().moment);
        Self {
            directory: Directory::load(everybody(tuning.memory_kib, tuning.passes), 1_000),
            verifier,
            throttle: Throttle::new(Rules { limits, ..Rules::default() }, chance.octets()),
            link: WorkerLink::from_fd(ours).unwrap(),
            worker: Some(std::thread::spawn(move || hash_worker::serve_until_closed(&theirs))),
            clock,
            chance,
            settings: Arc::new(Settings {
                hostname: Domain::parse("mx.example.org").unwrap(),
                message_octets_max: 1_000_000,
                tls_available: true,
                scram: ScramUse::All,
                idle_ms: 300_000,
            }),
            last_session: 0,
            classes: classes(),
        }
    }

    fn any_class(&mut self) -> Class {
        let count = u64::try_from(self.classes.len()).unwrap();
        self.classes[usize::try_from(self.chance.below(count)).unwrap()]
    }

    /// A connection from somewhere, greeted and encrypted.
    fn seat(&mut self) -> Seat {
        self.last_session += 1;
        let address = IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(self.chance.below(1 << 32)).unwrap()));
        let facts =
            PeerFacts { session: SessionId(self.last_session), address, listener: Listener::Submissions };
        let session = Session::new(facts, Arc::clone(&self.settings), self.chance.fork());
        let mut seat = Seat { session, facts, replies: Vec::new(), asked: None };
        let now = self.clock.now();
        seat.step(
            now,
            Event::TlsUp(TlsFacts {
                version: "TLSv1.3",
                cipher: "TLS13_AES_128_GCM_SHA256".into(),
                bindings: ChannelBindings { exporter: Some(BINDING), end_point: None },
            }),
        );
        seat.step(now, Event::Opened);
        seat.line(now, "EHLO client.example.net");
        seat
    }

    /// The seat in front of its last line, and that line.
    fn ready(&mut self, mechanism: Mechanism, claim: &Claim) -> (Seat, String) {
        let mut seat = self.seat();
        let now = self.clock.now();
        let last = last_line(mechanism, claim, |line| {
            seat.line(now, line);
            if let Some((ticket, Question::Salt(login))) = &seat.asked {
                let salt = self.verifier.salts().of(login);
                seat.step(now, Event::Answered(*ticket, Answer::Salt(salt)));
            }
            seat.replies.last().unwrap().clone()
        });
        (seat, format!("{last}\r\n"))
    }

    /// What the loop does with the last line.
    fn submit(&mut self, seat: &mut Seat, last: &str) {
        let now = self.clock.now();
        seat.step(now, Event::Bytes(last.as_bytes()));
        let PeerFacts { session, address: source, .. } = seat.facts;
        let Self { verifier, throttle, directory, .. } = self;
        let would_refuse = match seat.asked.take() {
            Some((ticket, Question::Login { login, password, authorize_as })) => {
                let attempt = Attempt { session, ticket, source, login, password, authorize_as };
                verifier.submit_through(now, throttle, Some(directory), attempt)
            }
            Some((ticket, Question::Proof(proof))) => {
                let attempt = ProofAttempt { session, ticket, source, proof };
                verifier.submit_proof_through(now, throttle, Some(directory), &attempt)
            }
            other => panic!("no login is asked about: {other:?}"),
        };
        assert_eq!(would_refuse, None);
        self.give_job();
    }

    fn give_job(&mut self) {
        if let Some(job) = self.verifier.next_job(self.clock.now().moment) {
            self.link.try_send(&job).unwrap();
        }
    }

    /// A turn of the loop: sleeps until the worker answers or `patience` is over, then says what is due.
    fn turn(&mut self, patience: Duration) -> Vec<Decided> {
        let patience = Timespec::try_from(patience).unwrap();
        poll(&mut [PollFd::new(&self.link, PollFlags::IN)], Some(&patience)).unwrap();
        let now = self.clock.now();
        while let Some(WorkerAnswer { job, result }) = self.link.try_recv().unwrap() {
            let Outcome::Compared(matched) = result else { panic!("no keys are made here") };
            self.verifier.hashed(now.moment, job, matched);
        }
        self.give_job();
        let due = self.verifier.due(now.moment);
        self.verifier.settle(now, &mut self.throttle);
        due
    }

    /// A login of somebody else, whose refusal nobody hears.
    fn crowd(&mut self) {
        let class = self.any_class();
        let claim = class.claim(&mut self.chance);
        self.last_session += 1;
        let attempt = Attempt {
            session: SessionId(self.last_session),
            ticket: Ticket(1),
            source: IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(self.chance.below(1 << 32)).unwrap())),
            login: claim.login.into_bytes(),
            password: Secret::new(claim.password.into_bytes()),
            authorize_as: None,
        };
        let now = self.clock.now();
        self.verifier.submit_through(now, &mut self.throttle, Some(&self.directory), attempt);
        self.give_job();
    }

    /// One login after the other: nanoseconds from the last octet of each to its reply.
    pub(super) fn one_by_one(&mut self, mechanism: Mechanism, load: Load, plan: &[Class]) -> Vec<f64> {
        plan.iter().map(|class| self.one(mechanism, load, *class)).collect()
    }

    fn one(&mut self, mechanism: Mechanism, load: Load, class: Class) -> f64 {
        let claim = class.claim(&mut self.chance);
        let (mut seat, last) = self.ready(mechanism, &claim);
        let others = match load {
            Load::Idle => 0,
            Load::Others => self.chance.below(3),
        };
        (0..others).for_each(|_| self.crowd());
        let begin = Instant::now();
        self.submit(&mut seat, &last);
        let mut left = others + 1;
        let mut took = None;
        while left > 0 {
            // Nobody waits for the grid here, so whatever is decided is due.
            let patience = Duration::from_millis(u64::from(self.verifier.waiting() > 0));
            for decided in self.turn(patience) {
                left -= 1;
                if decided.session == seat.facts.session {
                    seat.hear(self.clock.now(), &decided);
                    took = Some(begin.elapsed());
                }
            }
        }
        nanos(took.unwrap())
    }

    /// Many at once, as the grid of time makes them wait: the next comes as soon as the worker is idle, or as
    /// soon as fewer than four logins wait for it.
    pub(super) fn many_at_once(&mut self, mechanism: Mechanism, load: Load, plan: &[Class]) -> Vec<f64> {
        let waiting_max = match load {
            Load::Idle => 0,
            Load::Others => 3,
        };
        let mut open = BTreeMap::new();
        let mut times = vec![0.0; plan.len()];
        let mut next = plan.iter().enumerate().peekable();
        while next.peek().is_some() || !open.is_empty() {
            // Those that wait for the worker; all others wait for their tick.
            while self.verifier.waiting() <= waiting_max
                && open.len() < OPEN_MAX
                && let Some((index, class)) = next.next()
            {
                let claim = class.claim(&mut self.chance);
                let (mut seat, last) = self.ready(mechanism, &claim);
                let begin = Instant::now();
                self.submit(&mut seat, &last);
                open.insert(seat.facts.session, (index, seat, begin));
            }
            for decided in self.turn(Duration::from_millis(1)) {
                let (index, mut seat, begin) = open.remove(&decided.session).unwrap();
                seat.hear(self.clock.now(), &decided);
                times[index] = nanos(begin.elapsed());
            }
        }
        times
    }

    /// Nanoseconds of what the loop itself does for a login before the hash, of which looking for an
    /// application password is the largest part.
    pub(super) fn before_the_hash(&mut self, plan: &[Class]) -> Vec<f64> {
        let mut times = Vec::new();
        for class in plan {
            let claim = class.claim(&mut self.chance);
            let (mut seat, last) = self.ready(Mechanism::Plain, &claim);
            let begin = Instant::now();
            self.submit(&mut seat, &last);
            times.push(nanos(begin.elapsed()));
            while self.turn(Duration::from_millis(1)).is_empty() {}
        }
        times
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let (ours, theirs) = hash_worker::pair().unwrap();
        drop(theirs);
        self.link = WorkerLink::from_fd(ours).unwrap();
        if let Some(worker) = self.worker.take() {
            worker.join().unwrap();
        }
    }
}

impl Seat {
    fn step(&mut self, now: Now, event: Event<'_>) {
        let mut out = Actions::new();
        self.session.step(now, event, &mut out);
        for action in out.take() {
            match action {
                Action::Say(reply) => {
                    let mut octets = Vec::new();
                    reply.encode(&mut octets);
                    self.replies.push(String::from_utf8(octets).unwrap());
                }
                Action::Ask(ticket, question) => self.asked = Some((ticket, question)),
                Action::Note(_)
                | Action::Keep(_)
                | Action::Forget
                | Action::StartTls
                | Action::Arm(..)
                | Action::Close(_) => {}
            }
        }
    }

    fn line(&mut self, now: Now, line: &str) {
        self.step(now, Event::Bytes(format!("{line}\r\n").as_bytes()));
    }

    fn hear(&mut self, now: Now, decided: &Decided) {
        assert!(matches!(decided.verdict, LoginVerdict::Refused(_)), "{decided:?}");
        let answer = match decided.signature {
            None => Answer::Login(decided.verdict),
            Some(signature) => Answer::Proof(decided.verdict, signature),
        };
        self.step(now, Event::Answered(decided.ticket, answer));
        assert_eq!(self.replies.last().unwrap(), "535 5.7.8 Authentication credentials invalid\r\n");
    }
}
