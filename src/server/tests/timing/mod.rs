//! Whether the time of a refusal tells why.
//!
//! For the mechanisms that hash; the proofs of SCRAM are not measured yet. Ignored, since they measure: `.ci/run`
//! runs them alone. Every class of refusals (see [`subjects`]) gets [`SAMPLES`] logins in an order of chance, once
//! with the timer grid switched off, so that the work itself is compared, and once with it. Between every two
//! classes Welch's |t| must stay below
//! [`T_MAX`](statistics::T_MAX) and the area under the curve within
//! [`AUC_OFF_MAX`](statistics::AUC_OFF_MAX) of one half. A measurement that fails is made once more with fresh
//! samples, since something else may have run on the machine; its criterion is the same.
//!
//! Hashes are a hundred-and-fiftieth of what a server computes, for 5,000 samples of each class to be over soon.
//! With them goes what hides the last microsecond of other work: a hash of full size never takes the same time
//! twice. In its place up to [`JITTER_NANOS`] by chance are added to each time without the grid: a three-hundredth
//! of a hash, and less than any network has. Behind it three microseconds still show. What a pair shows
//! without that is printed too. It has to be a release build, as what is shipped.
//!
//! What is no address is compared on the grid alone: it is refused some microseconds sooner, which tells whoever
//! sent it nothing but that.
#![expect(clippy::disallowed_macros, reason = "a measurement shows its figures")]

mod machine;
mod sockets;
mod statistics;
mod subjects;

use crate::auth::sasl::Mechanism;
use crate::auth::verifier::Tuning;
use crate::types::Chance;
use machine::{Load, Machine};
use sockets::Loopback;
use statistics::{Apart, Times};
use std::time::Duration;
use subjects::{Class, Guess, Subject, classes};

/// Logins of each class.
const SAMPLES: usize = 5_000;
/// Logins before those, which are not counted: caches and pages are cold.
const WARM_UP: usize = 500;

/// Refusals that leave as soon as they are decided.
const WITHOUT_GRID: Tuning =
    Tuning { refusal_ms_min: 0, refusal_tick_ms: 1, memory_kib: 256, passes: 1, ..Tuning::PRODUCTION };
/// Refusals at the times of a server.
const ON_THE_GRID: Tuning = Tuning { memory_kib: 64, passes: 1, ..Tuning::PRODUCTION };

/// Nanoseconds of chance that are added, at the most.
const JITTER_NANOS: u64 = 100_000;

/// All of them that the directory is asked about.
fn classes_of_addresses() -> Vec<Class> {
    classes().into_iter().filter(|class| class.subject != Subject::Malformed).collect()
}

fn nanos(duration: Duration) -> f64 {
    f64::from(u32::try_from(duration.as_nanos()).unwrap_or(u32::MAX))
}

fn is_release() -> bool {
    !cfg!(debug_assertions)
}

/// Every class so often, in an order of chance.
fn plan(classes: &[Class], samples: usize, seed: u8) -> Vec<Class> {
    let mut plan: Vec<Class> =
        classes.iter().flat_map(|class| std::iter::repeat_n(*class, samples)).collect();
    Chance::from_seed([seed; 32]).shuffle(&mut plan);
    let beginning: Vec<Class> = plan.iter().take(WARM_UP).copied().collect();
    [beginning, plan].concat()
}

/// What a measurement is of.
struct Question<'a> {
    what: String,
    classes: &'a [Class],
    samples: usize,
    /// Nanoseconds of chance that are added to each time, at the most.
    jitter_nanos: u64,
}

impl Question<'_> {
    fn jittered(&self, time: f64, chance: &mut Chance) -> f64 {
        time + f64::from(u32::try_from(chance.below(self.jitter_nanos)).unwrap())
    }
}

/// Measures, and says which classes can be told apart.
fn told_apart(
    question: &Question<'_>,
    seed: u8,
    measure: &mut dyn FnMut(&[Class]) -> Vec<f64>,
) -> Vec<String> {
    assert!(is_release(), "it measures what is shipped: cargo test --release");
    let Question { what, classes, samples, jitter_nanos } = question;
    let plan = plan(classes, *samples, seed);
    let raw: Vec<(Class, f64)> = plan.iter().copied().zip(measure(&plan)).skip(WARM_UP).collect();
    let mut chance = Chance::from_seed([seed; 32]);
    let jittered: Vec<_> =
        raw.iter().map(|(class, time)| (*class, question.jittered(*time, &mut chance))).collect();
    println!("\n{what}: {samples} samples of each class, in microseconds");
    show(&heaps(classes, &raw));
    let (mut found, worst) = pairs_told_apart(&heaps(classes, &raw));
    println!("  worst pair: {worst}");
    if *jitter_nanos > 0 {
        let worst;
        (found, worst) = pairs_told_apart(&heaps(classes, &jittered));
        println!("  worst pair behind the jitter: {worst}");
    }
    found
}

/// The times of each class.
fn heaps(classes: &[Class], times: &[(Class, f64)]) -> Vec<(Class, Times)> {
    let of = |class: &Class| times.iter().filter(|(of, _)| of == class).map(|(_, time)| *time).collect();
    classes.iter().map(|class| (*class, Times::new(of(class)))).collect()
}

fn show(heaps: &[(Class, Times)]) {
    for (class, times) in heaps {
        let [mean, median, half] = [times.mean(), times.median(), times.middle_half()].map(|one| one / 1e3);
        println!("  mean {mean:10.2}  median {median:10.2}  half within {half:9.2}  {class}");
    }
}

/// The pairs that do not keep the criterion, and how far apart any two are.
fn pairs_told_apart(heaps: &[(Class, Times)]) -> (Vec<String>, String) {
    let mut found = Vec::new();
    let (mut worst_t, mut worst_auc) = (0.0_f64, 0.0_f64);
    for (index, (one, a)) in heaps.iter().enumerate() {
        for (other, b) in heaps.iter().skip(index + 1) {
            let apart = Apart::of(a, b);
            worst_t = worst_t.max(apart.t.abs());
            worst_auc = worst_auc.max((apart.auc - 0.5).abs());
            if !apart.is_one() {
                found.push(format!("{one} / {other}: t {:.2}, AUC {:.4}", apart.t, apart.auc));
            }
        }
    }
    (found, format!("|t| {worst_t:.2}, |AUC - 0.5| {worst_auc:.4}"))
}

/// The criterion, with one more measurement if the first does not keep it.
fn must_be_one(question: &Question<'_>, mut measure: impl FnMut(&[Class]) -> Vec<f64>) {
    let first = told_apart(question, 1, &mut measure);
    if first.is_empty() {
        return;
    }
    println!("  told apart, so measured once more: {first:#?}");
    let second = told_apart(question, 2, &mut measure);
    assert!(second.is_empty(), "{}: twice told apart: {second:#?}", question.what);
}

#[test]
#[ignore = "it measures for a minute, and wants to be alone"]
fn no_time_tells_why_a_login_was_refused_even_without_the_grid() {
    let mut machine = Machine::new(WITHOUT_GRID, 1);
    for mechanism in [Mechanism::Plain, Mechanism::Login] {
        for load in [Load::Idle, Load::Others] {
            let what = format!("{} without grid, worker {load:?}", mechanism.name());
            let classes = &classes_of_addresses();
            let question = Question { what, classes, samples: SAMPLES, jitter_nanos: JITTER_NANOS };
            must_be_one(&question, |plan| machine.one_by_one(mechanism, load, plan));
        }
    }
}

#[test]
#[ignore = "it measures for a minute, and wants to be alone"]
fn no_time_tells_why_a_login_was_refused_on_the_grid() {
    for mechanism in [Mechanism::Plain, Mechanism::Login] {
        for load in [Load::Idle, Load::Others] {
            let what = format!("{} on the grid, worker {load:?}", mechanism.name());
            let mut machine = Machine::new(ON_THE_GRID, 1);
            let question = Question { what, classes: &classes(), samples: SAMPLES, jitter_nanos: 0 };
            must_be_one(&question, |plan| machine.many_at_once(mechanism, load, plan));
        }
    }
}

#[test]
#[ignore = "it measures for a minute, and wants to be alone"]
fn no_time_tells_why_a_login_was_refused_through_the_sockets_of_a_server() {
    let of = |subject| Class { subject, guess: Guess::Words };
    let classes = &[Subject::Account, Subject::Alias, Subject::CatchAll, Subject::NoSuchAddress].map(of);
    for mechanism in [Mechanism::Plain, Mechanism::Login] {
        let what = format!("{} through sockets, without grid", mechanism.name());
        let mut loopback = Loopback::new(WITHOUT_GRID);
        let question = Question { what, classes, samples: SAMPLES, jitter_nanos: JITTER_NANOS };
        must_be_one(&question, |plan| loopback.one_by_one(mechanism, plan));
    }
}

#[test]
#[ignore = "it measures, and wants to be alone"]
fn a_decoy_that_is_skipped_is_found_by_the_same_measurement() {
    let planted = Tuning { skips_decoys: true, ..WITHOUT_GRID };
    let of = |subject| Class { subject, guess: Guess::Words };
    let classes = &[Subject::Account, Subject::Disabled, Subject::Alias, Subject::NoSuchAddress].map(of);
    let mut machine = Machine::new(planted, 1);
    for mechanism in [Mechanism::Plain, Mechanism::Login] {
        for load in [Load::Idle, Load::Others] {
            let what = format!("{} with a planted fault, worker {load:?}", mechanism.name());
            let question = Question { what, classes, samples: SAMPLES, jitter_nanos: JITTER_NANOS };
            let found = told_apart(&question, 1, &mut |plan| machine.one_by_one(mechanism, load, plan));
            for pair in
                ["Account / Alias", "Account / NoSuchAddress", "Disabled / Alias", "Disabled / NoSuchAddress"]
            {
                assert!(found.iter().any(|one| one.starts_with(pair)), "{pair} is not among {found:#?}");
            }
            println!("  told apart, as they must be: {found:#?}");
        }
    }
}

/// Shows what looking for an application password costs, and what names cost that have some: figures and no
/// criterion, since a microsecond of these is nothing beside the hash that follows.
#[test]
#[ignore = "it measures, and wants to be alone"]
fn figures_of_the_work_before_the_hash() {
    let mut machine = Machine::new(WITHOUT_GRID, 1);
    let what = "before the hash".to_owned();
    let question = Question { what, classes: &classes(), samples: SAMPLES, jitter_nanos: 0 };
    told_apart(&question, 1, &mut |plan| machine.before_the_hash(plan));
}
