//! Seeded worlds against the pure core (see `gatepost::sim`).
//!
//! `GATEPOST_SEED=n cargo test --test sim` runs one world again; `GATEPOST_WORLDS=n` runs more of them.
#![expect(clippy::disallowed_methods, reason = "the environment says which worlds")]
#![expect(clippy::disallowed_macros, reason = "what occurred is shown to whoever runs this")]

use gatepost::sim::{self, Census, Fault, Law, PlantedBug};

/// Worlds by default.
const WORLDS: u64 = 300;
/// The first of them; any will do.
const FIRST: u64 = 0;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

#[test]
fn every_world_keeps_the_laws() {
    if let Some(seed) = number("GATEPOST_SEED") {
        let report = sim::run(seed, None);
        println!("{}", report.census);
        assert!(report.violation.is_none(), "{}", report.violation.unwrap());
        return;
    }
    let mut census = Census::default();
    for seed in FIRST..FIRST + number("GATEPOST_WORLDS").unwrap_or(WORLDS) {
        let report = sim::run(seed, None);
        assert!(report.violation.is_none(), "{}", report.violation.unwrap());
        census.add(&report.census);
    }
    println!("{census}");
}
