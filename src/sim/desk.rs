//! What everybody in a world shares: time, chance, what will happen, what was seen.

use super::census::{Census, Fault};
use super::planted::PlantedBug;
use super::platter::Cut;
use super::promises::Promises;
use super::town::{Credentials, Town};
use super::{Law, Violation};
use crate::auth::verifier::JobId;
use crate::contract::{Answer, Ticket};
use crate::directory::Directory;
use crate::limits::CLOCK_ORIGIN_MS;
use crate::telemetry::Recorder;
use crate::types::{Chance, Moment, Now, ScramSalt, UnixTime};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Events kept for the story of a world that fails.
const STORY_EVENTS: usize = 40;
/// Characters of one event in it.
const STORY_CHARS: usize = 160;
/// The world's first second.
const UNIX_START: u64 = 1_790_000_000;
/// The world's first moment, as that of a process.
pub(super) const START: Moment = Moment(CLOCK_ORIGIN_MS);

/// What travels.
#[derive(Debug)]
pub(super) enum Parcel {
    /// Octets, as one read brings them.
    Octets(Vec<u8>),
    /// No more will come.
    Fin,
    /// The connection is gone.
    Rst,
}

/// What the world does to the server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Disaster {
    Kill,
    PowerCut,
    /// In the next write but so many.
    KillInWrite(u64, Cut),
    Stop,
    /// The wall clock is moved to so many seconds off.
    ClockJumps(i64),
    /// An administrator does something.
    Order,
    DiskFills(bool),
    StoreFallsBehind(bool),
    DirectoryGoes(bool),
    GroupRefused,
    GroupKeptAndFails,
    WorkerDies,
    WorkerHangs,
    JournalFails(bool),
    JournalWriterDies,
    StaleAnswer,
}

/// What will happen. What belongs to a server that is no more is known by its epoch.
#[derive(Debug)]
pub(super) enum Happening {
    Wake(usize),
    ToServer(usize, Parcel),
    ToClient(usize, Parcel),
    LateAnswer(u32, usize, Ticket, Answer),
    GroupDone(u32),
    StoreStuck(u32),
    HashDone(u32, JobId),
    WorkerBack(u32),
    JournalDone(u32),
    Restart,
    Disaster(Disaster),
}

/// See the module.
pub(super) struct Desk {
    pub(super) now: Now,
    pub(super) chance: Chance,
    dice: u64,
    pub(super) planted: Option<PlantedBug>,
    pub(super) census: Census,
    pub(super) recorder: Recorder,
    pub(super) town: Town,
    pub(super) promises: Promises,
    /// What the client of each connection makes its proof of: a proof does not show it.
    pub(super) proofs: BTreeMap<usize, Credentials>,
    /// The salt that each name was told.
    pub(super) salts: BTreeMap<Vec<u8>, ScramSalt>,
    /// What the server knows of who is who, for tapes.
    pub(super) book: Option<Arc<Directory>>,
    /// Nothing goes wrong any more.
    pub(super) calm: bool,
    seed: u64,
    broken: Option<(Law, String)>,
    story: VecDeque<String>,
    digest: u64,
    /// Seconds that the wall clock is off.
    skew: i64,
    queue: BTreeMap<(Moment, u64), Happening>,
    queued: u64,
}

impl Desk {
    pub(super) fn new(seed: u64, planted: Option<PlantedBug>) -> Self {
        let mut octets = [0; 32];
        for (to, from) in octets.iter_mut().zip(seed.to_be_bytes()) {
            *to = from;
        }
        let mut chance = Chance::from_seed(octets);
        let town = Town::new(&mut chance);
        Self {
            now: Now { moment: START, unix: UnixTime(UNIX_START) },
            dice: chance.u64(),
            chance,
            planted,
            census: Census::default(),
            recorder: Recorder::new(),
            town,
            promises: Promises::default(),
            proofs: BTreeMap::new(),
            salts: BTreeMap::new(),
            book: None,
            calm: false,
            seed,
            broken: None,
            story: VecDeque::new(),
            digest: 0xcbf2_9ce4_8422_2325,
            skew: 0,
            queue: BTreeMap::new(),
            queued: 0,
        }
    }

    // ---- time ----

    pub(super) fn later(&mut self, ms: u64, what: Happening) {
        self.at(self.now.moment.plus_ms(ms), what);
    }

    pub(super) fn at(&mut self, when: Moment, what: Happening) {
        self.queued += 1;
        self.queue.insert((when, self.queued), what);
    }

    pub(super) fn next_at(&self) -> Option<Moment> {
        self.queue.first_key_value().map(|((when, _), _)| *when)
    }

    pub(super) fn take_next(&mut self) -> Option<Happening> {
        self.queue.pop_first().map(|(_, what)| what)
    }

    pub(super) fn jump(&mut self, to: Moment) {
        let to = to.max(self.now.moment);
        let unix = (UNIX_START + to.since_ms(START) / 1_000).saturating_add_signed(self.skew);
        self.now = Now { moment: to, unix: UnixTime(unix) };
    }

    /// What sessions are told of the time.
    pub(super) fn session_clock(&self) -> Now {
        if !self.has(PlantedBug::WallClockTimers) {
            return self.now;
        }
        let ms = START.0.saturating_add_signed(self.skew.saturating_mul(1_000));
        Now { moment: Moment(ms + self.now.moment.since_ms(START)), ..self.now }
    }

    /// Moves the wall clock.
    pub(super) fn skew_clock(&mut self, seconds: i64) {
        self.skew = seconds;
        self.jump(self.now.moment);
    }

    // ---- chance ----

    /// The next 64 bits. A world throws its dice a thousand times for each time a session does, so they
    /// are cheaper (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
    fn throw(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.dice ^ (self.dice >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; zero for a bound of zero.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.below_u64(u64::try_from(bound).unwrap_or(u64::MAX))).unwrap_or(0)
    }

    /// The same.
    pub(super) fn below_u64(&mut self, bound: u64) -> u64 {
        self.throw().checked_rem(bound).unwrap_or(0)
    }

    /// A number of `low ..= high`.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below_u64(high.saturating_sub(low) + 1)
    }

    pub(super) fn one_in(&mut self, many: u64) -> bool {
        self.below_u64(many) == 0
    }

    /// One of several, by chance.
    pub(super) fn pick<T: Clone>(&mut self, several: &[T]) -> Option<T> {
        let at = self.below(several.len());
        several.get(at).cloned()
    }

    // ---- what was seen ----

    pub(super) fn has(&self, bug: PlantedBug) -> bool {
        self.planted == Some(bug)
    }

    /// A law had something to judge.
    pub(super) fn check(&mut self, law: Law, holds: bool, what: impl FnOnce() -> String) {
        self.census.law(law);
        if !holds {
            self.break_law(law, what());
        }
    }

    pub(super) fn break_law(&mut self, law: Law, what: String) {
        self.broken.get_or_insert((law, what));
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        self.census.fault(fault);
    }

    /// Adds to the story.
    pub(super) fn tell(&mut self, what: &str) {
        let line: String =
            format!("{:>9} ms  {what}", self.now.moment.since_ms(START)).chars().take(STORY_CHARS).collect();
        for octet in line.bytes() {
            self.digest = (self.digest ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3);
        }
        if self.story.len() >= STORY_EVENTS {
            self.story.pop_front();
        }
        self.story.push_back(line);
    }

    pub(super) fn into_report(self) -> super::Report {
        let Self { seed, broken, story, census, digest, .. } = self;
        let violation =
            broken.map(|(law, what)| Violation { seed, law, what, story: story.into_iter().collect() });
        super::Report { census, violation, digest }
    }
}

/// Octets for people.
pub(super) fn shown(octets: &[u8]) -> String {
    let mut text: String =
        octets.iter().take(100).flat_map(|octet| octet.escape_ascii()).map(char::from).collect();
    if octets.len() > 100 {
        text.push_str(&format!("… ({} octets)", octets.len()));
    }
    text
}
