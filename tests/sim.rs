//! Seeded worlds against the whole server but its sockets, threads and files (see `gatepost::sim`).
//!
//! `GATEPOST_SEED=n cargo test --test sim` makes one world again; `GATEPOST_WORLDS=n` makes more of them, and
//! `GATEPOST_BUG=name` plants that one alone. From 1,000 worlds on every kind of fault and every law's trigger must have occurred a hundred times; that many take an
//! optimised build: `GATEPOST_WORLDS=1000 cargo test --release --test sim -- --nocapture`.
#![expect(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "worlds are chosen by the environment, what occurred is shown, and a test may fail loudly"
)]

use gatepost::sim::{self, Census, Cut, Fault, Law, PlantedBug, Violation};
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};

/// Worlds by default.
const WORLDS: u64 = 100;
/// In so many worlds every fault occurs, and every law has something to judge, often enough.
const WORLDS_FOR_A_TABLE: u64 = 1_000;
/// What is often enough.
const OCCURRENCES_MIN: u64 = 100;
/// Worlds in which a planted bug has to be caught.
const WORLDS_FOR_A_BUG: u64 = 300;
/// Worlds in which the process dies in each of its writes: of a short run, and of a long one.
const SEEDS_TO_DIE_IN: [u64; 2] = [1, 20];

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} has to be a number, not {text:?}")))
}

/// Makes worlds on all processors. Returns the counts of all, and the violation with the smallest seed.
fn make(worlds: u64) -> (Census, Option<Violation>) {
    let next = AtomicU64::new(0);
    let work = || {
        let mut census = Census::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= worlds {
                return (census, None);
            }
            let report = sim::run(seed, None);
            census.add(&report.census);
            if report.violation.is_some() {
                next.store(worlds, Ordering::Relaxed);
                return (census, report.violation);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut all = Census::default();
        let mut violations = Vec::new();
        for (census, violation) in running.into_iter().map(|thread| thread.join().unwrap()) {
            all.add(&census);
            violations.extend(violation);
        }
        (all, violations.into_iter().min_by_key(|violation| violation.seed))
    })
}

#[test]
fn every_world_keeps_the_laws() {
    if let Some(seed) = number("GATEPOST_SEED") {
        let report = sim::run(seed, None);
        println!("world {seed}\n{}", report.census);
        assert!(report.violation.is_none(), "{}", report.violation.unwrap());
        return;
    }
    let worlds = number("GATEPOST_WORLDS").unwrap_or(WORLDS);
    let (census, violation) = make(worlds);
    println!("{worlds} worlds\n{census}");
    assert!(violation.is_none(), "{}", violation.unwrap());
    if worlds >= WORLDS_FOR_A_TABLE {
        for fault in Fault::ALL {
            assert!(census.faults(fault) >= OCCURRENCES_MIN, "{fault:?} hardly ever occurred\n{census}");
        }
        for law in Law::ALL {
            assert!(census.judged(law) >= OCCURRENCES_MIN, "{law:?} had hardly anything to judge\n{census}");
        }
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in [0, 7, 1_000_000_007] {
        assert_eq!(sim::run(seed, None), sim::run(seed, None), "world {seed}");
    }
    assert_ne!(sim::run(1, None).digest, sim::run(2, None).digest);
}

/// The law that has to catch a bug.
fn catcher(bug: PlantedBug) -> Law {
    match bug {
        PlantedBug::DurableWithoutStoring
        | PlantedBug::DurableBeforeSync
        | PlantedBug::StoresTwice
        | PlantedBug::DeliversToAnother
        | PlantedBug::FailureIsDurable
        | PlantedBug::KeepsForgotten => Law::HonestYes,
        PlantedBug::DropsReply
        | PlantedBug::SwapsReplies
        | PlantedBug::ClosesTooEarly
        | PlantedBug::LosesUntaken => Law::OneReply,
        PlantedBug::IgnoresTickets => Law::StaleIgnored,
        PlantedBug::WaitsForHungWorker | PlantedBug::WaitsForJournal => Law::EverySessionEnds,
        PlantedBug::ForgetsIdleTimer | PlantedBug::KeepsOldDeadline => Law::FairTimers,
        PlantedBug::PlaintextSurvivesStartTls => Law::CleanStartTls,
        PlantedBug::RefusesAtOnce | PlantedBug::AliasIsAnError => Law::EqualRefusals,
        PlantedBug::LogsPassword | PlantedBug::RecordsPassword => Law::NoSecret,
        PlantedBug::OverflowIsNotCounted => Law::RecordingsCounted,
        PlantedBug::KeepsRecordings => Law::BoundedRecordings,
        PlantedBug::TapeMissesReplies => Law::RecordingsPlay,
        PlantedBug::NoBackpressure => Law::BoundedOutput,
        PlantedBug::LeaksSlices => Law::NoLeftovers,
        PlantedBug::SaysFullButKeeps => Law::NoFalseMail,
        PlantedBug::RelaysForAnybody => Law::NoRelay,
        PlantedBug::AnybodyIsAnySender => Law::Order,
        PlantedBug::EveryPasswordIsRight => Law::RightPassword,
        PlantedBug::StaysFull => Law::FreshDelivery,
        PlantedBug::FeedsUnwanted => Law::Progress,
        PlantedBug::QuestionStaysOpen | PlantedBug::ClosesBeforeReply => Law::BoundedStep,
        PlantedBug::NeverSyncs => Law::HonestYes,
        PlantedBug::OneBookForAll | PlantedBug::MailClearsLogins => Law::BooksApart,
        PlantedBug::ShutsHomeOut | PlantedBug::ForgetsSuccesses | PlantedBug::ForgetsPlaces => {
            Law::OwnersGetIn
        }
        PlantedBug::AdmitsEverybody => Law::BoundedMemory,
        PlantedBug::DoneBeforeDurable => Law::ChangesLast,
        // The next change is made of the old book, and takes back what was told to be done; where none follows, what was
        // taken back still opens the account.
        PlantedBug::KeepsOldBook => Law::ChangesLast,
        PlantedBug::ThrottledIsRefused | PlantedBug::SignsWithNothing => Law::RightPassword,
        PlantedBug::SaltOfChance => Law::EqualRefusals,
        PlantedBug::HoldsForEver => Law::EverySessionEnds,
        PlantedBug::WallClockTimers => Law::FairTimers,
    }
}

#[test]
fn every_planted_bug_is_caught_by_its_law() {
    let only = std::env::var("GATEPOST_BUG").ok();
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let index = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
            let Some(bug) = PlantedBug::ALL.get(index).copied() else { return };
            if only.as_ref().is_some_and(|only| *only != format!("{bug:?}")) {
                continue;
            }
            let caught = (0..WORLDS_FOR_A_BUG).find_map(|seed| sim::run(seed, Some(bug)).violation);
            let Some(caught) = caught else { panic!("{bug:?} was not caught in {WORLDS_FOR_A_BUG} worlds") };
            println!("{bug:?} is caught in world {}: {:?}, {}", caught.seed, caught.law, caught.what);
            assert_eq!(caught.law, catcher(bug), "{bug:?}\n{caught}");
            assert!(!caught.story.is_empty() && caught.story.len() <= 40, "a short story");
            assert!(caught.to_string().contains(&format!("GATEPOST_SEED={} ", caught.seed)));
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// The process dies before, in the middle of and behind each write that a world makes.
#[test]
fn a_server_that_dies_in_any_of_its_writes_loses_nothing_it_promised() {
    let seeds = match number("GATEPOST_WORLDS").unwrap_or(WORLDS) {
        WORLDS_FOR_A_TABLE.. => SEEDS_TO_DIE_IN[0]..=SEEDS_TO_DIE_IN[1],
        _ => SEEDS_TO_DIE_IN[0]..=SEEDS_TO_DIE_IN[0],
    };
    let mut deaths = 0;
    for seed in seeds {
        let (report, writes) = sim::run_and_die(seed, u64::MAX, Cut::Before);
        assert!(report.violation.is_none(), "{}", report.violation.unwrap());
        assert!(writes > 1, "nothing is written in world {seed}");
        for write in 2..=writes {
            for cut in [Cut::Before, Cut::BeforeSync, Cut::BeforeAnswer] {
                let (report, _) = sim::run_and_die(seed, write, cut);
                deaths += report.census.faults(Fault::KilledInWrite);
                if let Some(violation) = report.violation {
                    panic!("a death {cut:?} in write {write}: {violation}");
                }
            }
        }
    }
    println!("{deaths} deaths in writes");
    assert!(deaths > 0);
}
