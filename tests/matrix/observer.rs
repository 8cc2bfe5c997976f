//! What somebody learns who watches: other connections, the places of the hash queue, the ticks on which
//! answers leave. Only whether the name that others try exists is different from run to run; everything that
//! can be seen must be the same.

use super::world::{KEY, Row, rows};
use gatepost::auth::lookup::LoginLookup;
use gatepost::auth::scram::ScramProof;
use gatepost::auth::throttle::{Limits, Rules, Throttle};
use gatepost::auth::verifier::{Attempt, JobId, ProofAttempt, Verifier};
use gatepost::contract::Ticket;
use gatepost::directory::Directory;
use gatepost::types::{Chance, Moment, Now, Secret, SessionId, UnixTime};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// Steps of a run, of [`STEP_MS`] each.
const STEPS: u64 = 1_200;
const STEP_MS: u64 = 10;

/// Everything that happens is drawn from `story`, but for the name that is tried.
struct Run<'a> {
    story: Chance,
    directory: &'a Directory,
    verifier: Verifier,
    throttle: Throttle,
    now: Now,
    worker: Option<(JobId, Moment)>,
    sessions: u64,
    seen: Vec<String>,
}

impl<'a> Run<'a> {
    fn new(directory: &'a Directory, seed: u8) -> Self {
        // Low enough for every rule to be met.
        let limits = Limits { host: 12, net: 40, wide: 80, login: 60 };
        let mut verifier = Verifier::new(KEY, Chance::from_seed([77; 32]));
        verifier.worker_up(Moment(0));
        Self {
            story: Chance::from_seed([seed; 32]),
            directory,
            verifier,
            throttle: Throttle::new(Rules { limits, ..Rules::default() }, [5; 32]),
            now: Now { moment: Moment(1_000), unix: UnixTime(1_700_000_000) },
            worker: None,
            sessions: 0,
            seen: Vec::new(),
        }
    }

    fn is_chance(&mut self, in_a_hundred: u64) -> bool {
        self.story.below(100) < in_a_hundred
    }

    /// Somebody of a few hosts in a few networks.
    fn source(&mut self) -> IpAddr {
        let (net, host) = (self.story.below(6), self.story.below(4) + 1);
        IpAddr::V4(Ipv4Addr::new(10, 0, u8::try_from(net).unwrap(), u8::try_from(host).unwrap()))
    }

    fn tries(&mut self, login: &[u8]) {
        self.sessions += 1;
        let (session, ticket, source) = (SessionId(self.sessions), Ticket(self.sessions), self.source());
        if self.is_chance(30) {
            let proof = Box::new(ScramProof {
                login: login.to_vec(),
                authorize_as: None,
                auth_message: b"what both sides sign".to_vec(),
                proof: self.story.octets(),
                flaw: None,
            });
            let attempt = ProofAttempt { session, ticket, source, proof };
            let directory = self.directory;
            self.verifier.submit_proof_through(self.now, &mut self.throttle, Some(directory), &attempt);
            return;
        }
        let attempt = Attempt {
            session,
            ticket,
            source,
            login: login.to_vec(),
            password: Secret::new(format!("guess {}", self.story.below(40)).into_bytes()),
            authorize_as: None,
        };
        let directory = self.directory;
        self.verifier.submit_through(self.now, &mut self.throttle, Some(directory), attempt);
    }

    fn work(&mut self) {
        if let Some((job, _)) = self.worker.take_if(|(_, done)| *done <= self.now.moment) {
            self.verifier.hashed(self.now.moment, job, false);
        }
        if self.worker.is_none()
            && let Some(job) = self.verifier.next_job(self.now.moment)
        {
            let takes = STEP_MS * (self.story.below(12) + 1);
            self.seen.push(format!("{:6} the worker gets a job", self.now.moment.0));
            self.worker = Some((job.id, self.now.moment.plus_ms(takes)));
        }
    }

    fn step(&mut self, tried: &[u8]) {
        self.now.moment = self.now.moment.plus_ms(STEP_MS);
        // A flood now, calm then.
        let is_flood = (self.now.moment.0 / 3_000).is_multiple_of(2);
        if self.is_chance(if is_flood { 30 } else { 4 }) {
            self.tries(tried);
        }
        if self.is_chance(if is_flood { 20 } else { 4 }) {
            let watcher = format!("watcher{}@example.org", self.story.below(5));
            self.tries(watcher.as_bytes());
        }
        if self.is_chance(1) && self.sessions > 0 {
            let leaves = SessionId(self.story.below(self.sessions) + 1);
            self.verifier.forget(leaves);
        }
        if self.story.below(500) == 0 {
            self.verifier.worker_lost(self.now.moment);
            self.worker = None;
            self.verifier.worker_up(self.now.moment);
        }
        self.work();
        for decided in self.verifier.due(self.now.moment) {
            let mut reply = Vec::new();
            decided.verdict.reply().encode(&mut reply);
            let (time, session) = (self.now.moment.0, decided.session.0);
            self.seen.push(format!("{time:6} {session:4} {}", String::from_utf8_lossy(&reply).trim_end()));
        }
        self.verifier.settle(self.now, &mut self.throttle);
    }
}

fn watched(row: &Row, directory: &Directory, seed: u8) -> Vec<String> {
    let mut run = Run::new(directory, seed);
    (0..STEPS).for_each(|_| run.step(&row.login));
    run.seen
}

#[test]
fn who_watches_replies_queue_and_ticks_learns_nothing_of_a_name_that_others_try() {
    let directory = super::world::directory();
    let rows: Vec<Row> = rows().into_iter().filter(|row| row.lookup != LoginLookup::Unavailable).collect();
    let mut kinds = BTreeMap::<String, usize>::new();
    for seed in 0..3 {
        let first = watched(&rows[0], &directory, seed);
        for row in &rows[1..] {
            let other = watched(row, &directory, seed);
            let differs = first.iter().zip(&other).find(|(one, other)| one != other);
            assert_eq!(differs, None, "seed {seed}, {:?}", row.login);
            assert_eq!(first.len(), other.len());
        }
        for line in first {
            *kinds.entry(line.get(12..15).unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
    println!("{kinds:?}");
    assert!(kinds.get("535").is_some_and(|count| *count > 100), "{kinds:?}");
    assert!(kinds.get("454").is_some_and(|count| *count > 100), "{kinds:?}");
}
