//! Plays one exchange through session, throttle, verifier and recorder, and writes down everything that others
//! could see of it.

use super::clients::{Client, initial_response};
use super::rules::WORKER_MS;
use super::world::{BINDING, KEY, ROUNDS, TAG, Weather, right_password};
use base64ct::{Base64, Encoding};
use gatepost::auth::sasl::Mechanism;
use gatepost::auth::scram::salts::Salts;
use gatepost::auth::throttle::{Limits, LoginGate, LoginOutcome, Rules, Throttle, Try};
use gatepost::auth::verdict::{LoginVerdict, ProvenBy};
use gatepost::auth::verifier::{Attempt, HashJob, ProofAttempt, Verifier};
use gatepost::contract::{Action, Actions, Answer, Event, Listener, PeerFacts, Question, Ticket, TlsFacts};
use gatepost::directory::Directory;
use gatepost::limits;
use gatepost::smtp::session::{Session, Settings};
use gatepost::telemetry::Recorder;
use gatepost::telemetry::note::{Note, Noted};
use gatepost::telemetry::recorder::Counter;
use gatepost::types::{
    Chance, ChannelBindings, Domain, Moment, Now, ScramSalt, ScramUse, Secret, SessionId, UnixTime,
};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

const SESSION: SessionId = SessionId(0xabc);
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
/// Another host of the same network.
const NEIGHBOUR: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 200));
/// Wrong passwords an hour from one host, in this world.
const GUESSES_PER_HOST: u32 = 50;

/// What one argon2id run costs, and what could be read from it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt_octets: usize,
    tag_octets: usize,
    password_octets: usize,
}

impl Cost {
    /// What every password of this length costs, whoever it is sent for.
    pub fn of_password(password: &[u8]) -> Self {
        Self {
            memory_kib: limits::ARGON2_MEMORY_KIB,
            passes: limits::ARGON2_PASSES,
            lanes: limits::ARGON2_LANES,
            salt_octets: limits::ARGON2_SALT_OCTETS,
            tag_octets: limits::ARGON2_TAG_OCTETS,
            password_octets: password.len().min(limits::PASSWORD_OCTETS_MAX),
        }
    }

    fn of_job(job: &HashJob) -> Self {
        Self {
            memory_kib: job.memory_kib,
            passes: job.passes,
            lanes: job.lanes,
            salt_octets: job.salt.len(),
            tag_octets: job.tag.len(),
            password_octets: job.password.reveal().len(),
        }
    }
}

/// Everything an exchange came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The replies, from AUTH on.
    pub transcript: Vec<String>,
    /// From the client's last octet of the exchange to its last reply.
    pub waited_ms: u64,
    /// Level and line.
    pub log: Vec<String>,
    pub counters: Vec<(Counter, u64)>,
    pub hashes: Vec<Cost>,
}

/// The machines of one cell.
struct Desk {
    directory: Option<Directory>,
    weather: Weather,
    source: IpAddr,
    salt: Option<ScramSalt>,
    session: Session,
    verifier: Verifier,
    throttle: Throttle,
    recorder: Recorder,
    now: Now,
    said: Vec<String>,
    log: Vec<String>,
    hashes: Vec<Cost>,
}

/// Plays a client against the server, from the greeting to QUIT.
pub fn play(
    mechanism: Mechanism,
    mut client: Box<dyn Client>,
    initial: bool,
    directory: Option<Directory>,
    weather: Weather,
) -> Observed {
    let mut desk = Desk::new(directory, weather);
    desk.greet();
    let name = mechanism.name();
    let asked = desk.now.moment;
    if initial {
        desk.say(&format!("AUTH {name} {}", initial_response(&client.first())));
    } else {
        desk.say(&format!("AUTH {name}"));
        desk.answer(|challenge| (format!("334 {}", client.written(challenge)), client.first()));
    }
    while desk.is_challenged() {
        desk.answer(|challenge| (format!("334 {}", client.written(challenge)), client.answer(challenge)));
    }
    let waited_ms = desk.now.moment.since_ms(asked);
    desk.say("NOOP");
    desk.say("QUIT");
    desk.observed(waited_ms)
}

/// What SCRAM says of a name before any proof, asked from this address.
pub fn salt_of(login: &str, directory: Directory, source: IpAddr) -> ScramSalt {
    let mut desk = Desk::new(Some(directory), Weather::Clear);
    desk.source = source;
    desk.greet();
    let first = Base64::encode_string(format!("n,,n={login},r=x").as_bytes());
    desk.say(&format!("AUTH SCRAM-SHA-256 {first}"));
    desk.salt.expect("a salt was asked for")
}

impl Desk {
    fn new(directory: Option<Directory>, weather: Weather) -> Self {
        let facts = PeerFacts { session: SESSION, address: SOURCE, listener: Listener::Submissions };
        let settings = Settings {
            hostname: Domain::parse("mail.example.org").unwrap(),
            message_octets_max: 1_000_000,
            tls_available: true,
            scram: ScramUse::All,
            idle_ms: limits::IDLE_MS,
        };
        let chance = Chance::from_seed([1; 32]);
        let limits = Limits { host: GUESSES_PER_HOST, ..Limits::default() };
        let mut desk = Self {
            directory,
            weather,
            source: SOURCE,
            salt: None,
            session: Session::new(facts, Arc::new(settings), chance.clone()),
            verifier: Verifier::new(KEY, chance)
                .with_scram(ScramUse::All, Salts::with_iterations(&KEY, ROUNDS)),
            throttle: Throttle::new(Rules { limits, ..Rules::default() }, [5; 32]),
            recorder: Recorder::new(),
            now: Now { moment: Moment(1_000), unix: UnixTime(1_700_000_000) },
            said: Vec::new(),
            log: Vec::new(),
            hashes: Vec::new(),
        };
        match weather {
            Weather::Clear => desk.verifier.worker_up(desk.now.moment),
            Weather::Throttled => {
                desk.verifier.worker_up(desk.now.moment);
                (0..GUESSES_PER_HOST).for_each(|number| desk.guess(number));
            }
            Weather::QueueFull => {
                desk.verifier.worker_up(desk.now.moment);
                (1..=limits::HASH_QUEUE_PER_PREFIX_MAX).for_each(|number| desk.wait_in_queue(number));
            }
            Weather::NoWorker => {}
        }
        desk
    }

    /// A wrong password of the source, for a name that is in no row.
    fn guess(&mut self, number: u32) {
        let password = format!("guess {number}");
        let wanted = Try {
            session: SessionId(1),
            source: SOURCE,
            login: b"stranger@example.org",
            password: Some(password.as_bytes()),
        };
        match self.throttle.at_login(self.now, wanted) {
            LoginGate::Pass { reservation, .. } => {
                self.throttle.login_decided(self.now, reservation.unwrap(), LoginOutcome::Refused);
            }
            LoginGate::TooMany(because) => panic!("too early: {because:?}"),
        }
    }

    /// A login of somebody else in the same network that the worker does not come to.
    fn wait_in_queue(&mut self, number: usize) {
        let directory = super::world::directory();
        let attempt = Attempt {
            session: SessionId(u64::try_from(number).unwrap()),
            ticket: Ticket(1),
            source: NEIGHBOUR,
            login: b"stranger@example.org".to_vec(),
            password: Secret::new(b"guess".to_vec()),
            authorize_as: None,
        };
        self.verifier.submit(self.now.moment, Some(&directory), attempt);
    }

    /// Encrypted and greeted; what was said until here is forgotten.
    fn greet(&mut self) {
        let bindings = ChannelBindings { exporter: Some(BINDING), end_point: None };
        let cipher = "TLS13_AES_128_GCM_SHA256".into();
        self.event(Event::TlsUp(TlsFacts { version: "TLSv1.3", cipher, bindings }));
        self.event(Event::Opened);
        self.say("EHLO client.example");
        self.said.clear();
    }

    fn say(&mut self, line: &str) {
        self.event(Event::Bytes(format!("{line}\r\n").as_bytes()));
    }

    fn is_challenged(&self) -> bool {
        self.said.last().is_some_and(|reply| reply.starts_with("334"))
    }

    /// `answer` gives the challenge as it is written down, and what the client says to it.
    fn answer(&mut self, answer: impl FnOnce(&[u8]) -> (String, Vec<u8>)) {
        let last = self.said.last_mut().expect("a challenge");
        let challenge = last.strip_prefix("334 ").expect("a challenge");
        let (written, response) = answer(&Base64::decode_vec(challenge).expect("base64"));
        *last = written;
        self.say(&Base64::encode_string(&response));
    }

    fn event(&mut self, event: Event<'_>) {
        let mut out = Actions::new();
        self.session.step(self.now, event, &mut out);
        for action in out.take() {
            match action {
                Action::Say(reply) => self.hear(&reply),
                Action::Ask(ticket, question) => self.ask(ticket, question),
                Action::Note(note) => self.note(note),
                Action::Keep(_) | Action::Forget | Action::StartTls | Action::Arm(..) | Action::Close(_) => {}
            }
        }
    }

    fn hear(&mut self, reply: &gatepost::types::Reply) {
        let mut octets = Vec::new();
        reply.encode(&mut octets);
        let text = String::from_utf8(octets).unwrap();
        self.said.push(text.strip_suffix("\r\n").expect("a line").to_owned());
    }

    fn note(&mut self, note: Note) {
        let by_app_password =
            matches!(&note, Note::Login { verdict: LoginVerdict::Accepted(_, ProvenBy::AppPassword(_)), .. });
        let app_password = if by_app_password { "phone".to_owned() } else { String::new() };
        let peer = PeerFacts { session: SESSION, address: SOURCE, listener: Listener::Submissions };
        let lines = self.recorder.judge(self.now.moment, &Noted { peer, note, app_password });
        self.log.extend(lines.into_iter().map(|(level, line)| format!("{level} {line}")));
    }

    fn ask(&mut self, ticket: Ticket, question: Question) {
        let Self { verifier, throttle, directory, now, source, .. } = self;
        let (session, source, directory) = (SESSION, *source, directory.as_ref());
        let would_refuse = match question {
            Question::Login { login, password, authorize_as } => {
                let attempt = Attempt { session, ticket, source, login, password, authorize_as };
                verifier.submit_through(*now, throttle, directory, attempt)
            }
            Question::Salt(login) => {
                let salt = verifier.salts().of(&login);
                self.salt = Some(salt);
                return self.event(Event::Answered(ticket, Answer::Salt(salt)));
            }
            Question::Proof(proof) => {
                let attempt = ProofAttempt { session, ticket, source, proof };
                verifier.submit_proof_through(*now, throttle, directory, &attempt)
            }
            Question::Room(_) | Question::Sender(..) | Question::Recipient(_) | Question::Commit(_) => {
                panic!("no login asks {question:?}")
            }
        };
        assert_eq!(would_refuse, None, "no dry run");
        self.work();
        self.decide(ticket);
    }

    /// The worker, if it comes to this login.
    fn work(&mut self) {
        if self.weather == Weather::QueueFull {
            return;
        }
        while let Some(job) = self.verifier.next_job(self.now.moment) {
            self.hashes.push(Cost::of_job(&job));
            let matched = job.tag == TAG && job.password == Secret::new(right_password());
            self.now.moment = self.now.moment.plus_ms(WORKER_MS);
            self.verifier.hashed(self.now.moment, job.id, matched);
        }
    }

    /// Lets the time pass until the verdict leaves.
    fn decide(&mut self, ticket: Ticket) {
        loop {
            let decided = self.verifier.due(self.now.moment);
            self.verifier.settle(self.now, &mut self.throttle);
            if let Some(one) = decided.iter().find(|one| one.session == SESSION) {
                assert_eq!(one.ticket, ticket);
                let answer = match one.signature {
                    None => Answer::Login(one.verdict),
                    Some(signature) => Answer::Proof(one.verdict, signature),
                };
                return self.event(Event::Answered(ticket, answer));
            }
            self.now.moment = self.verifier.next_deadline().expect("a verdict").max(self.now.moment);
        }
    }

    fn observed(self, waited_ms: u64) -> Observed {
        let Self { said, log, hashes, recorder, .. } = self;
        Observed { transcript: said, waited_ms, log, counters: recorder.counters().collect(), hashes }
    }
}
