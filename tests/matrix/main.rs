//! Every mechanism, every outcome of the lookup, every kind of password, with and without an initial response,
//! whatever the server is busy with: what is said, logged and counted, what it costs and when it leaves.
//!
//! The cells are played through the machines of the server in memory; [`rules`] says what must come of them.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test shows what it did, and may fail loudly"
)]

mod clients;
mod desk;
mod observer;
mod rules;
mod world;

use clients::{Client, Twist};
use desk::{Cost, Observed};
use gatepost::auth::sasl::Mechanism;
use rules::Outcome;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::LazyLock;
use world::{ActFor, Password, Row, Try, Weather};

/// One cell.
#[derive(Debug, Clone)]
struct Cell {
    mechanism: Mechanism,
    initial: bool,
    row: Row,
    wanted: Try,
    weather: Weather,
}

impl Cell {
    fn outcome(&self) -> Outcome {
        rules::outcome(self.mechanism, &self.row, self.wanted, self.weather)
    }

    /// What must be observed.
    fn expected(&self) -> Observed {
        let outcome = self.outcome();
        let mut transcript = rules::challenges(self.mechanism, self.initial, outcome);
        transcript.push(rules::reply(outcome).to_owned());
        transcript.push("250 2.0.0 OK".to_owned());
        transcript.push("221 2.0.0 Bye".to_owned());
        let hashes = match outcome {
            Outcome::NotUnderstood => 0,
            Outcome::Decided(_, hashes) => hashes,
        };
        let password = self.wanted.password.octets();
        Observed {
            transcript,
            waited_ms: rules::waits_ms(outcome),
            log: rules::log(self.mechanism, &self.row, outcome),
            counters: rules::counters(outcome).into_iter().map(|name| (name, 1)).collect(),
            hashes: vec![Cost::of_password(&password); hashes],
        }
    }

    fn observed(&self) -> Observed {
        let claim = self.row.claim(self.wanted);
        self.observed_with(clients::client(self.mechanism, &claim))
    }

    fn observed_with(&self, client: Box<dyn Client>) -> Observed {
        desk::play(self.mechanism, client, self.initial, self.row.directory(), self.weather)
    }
}

/// All of them.
fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for mechanism in Mechanism::ALL {
        let can_act =
            |act_for: &ActFor| *act_for == ActFor::Nobody || clients::has_authorization_identity(mechanism);
        for (row, password) in
            world::rows().iter().flat_map(|row| Password::ALL.map(|password| (row, password)))
        {
            for act_for in ActFor::ALL.into_iter().filter(can_act) {
                for (weather, initial) in Weather::ALL.into_iter().flat_map(|one| [(one, true), (one, false)])
                {
                    let wanted = Try { password, act_for };
                    cells.push(Cell { mechanism, initial, row: row.clone(), wanted, weather });
                }
            }
        }
    }
    cells
}

/// All of them, played.
static PLAYED: LazyLock<Vec<(Cell, Observed)>> =
    LazyLock::new(|| cells().into_iter().map(|cell| (cell.clone(), cell.observed())).collect());

/// What a peer and a watcher of the worker could tell of a cell.
fn told_of(observed: &Observed) -> (&[String], u64, &[Cost]) {
    (&observed.transcript, observed.waited_ms, &observed.hashes)
}

/// How the cell differs from the rules, if it does.
fn difference(cell: &Cell, observed: &Observed) -> Option<String> {
    let expected = cell.expected();
    (*observed != expected).then(|| format!("{cell:#?}\nexpected {expected:#?}\nobserved {observed:#?}"))
}

#[test]
fn every_cell_is_what_the_rules_say() {
    let (mut classes, mut cases) = (BTreeMap::<&str, usize>::new(), BTreeSet::new());
    let mut failures = Vec::new();
    for (cell, observed) in &*PLAYED {
        *classes.entry(rules::reply(cell.outcome())).or_default() += 1;
        cases.insert((&cell.row.login, cell.wanted.password));
        failures.extend(difference(cell, observed));
    }
    println!("{} cells, {} names with passwords", PLAYED.len(), cases.len());
    for (class, count) in classes {
        println!("{count:6}  {class}");
    }
    assert!(failures.is_empty(), "{} cells differ; the first:\n{}", failures.len(), failures[0]);
}

/// Asked of what was observed alone, so that no mistake in the rules can hide it.
#[test]
fn all_refusals_of_a_mechanism_are_the_same_octets_at_the_same_time_for_the_same_work() {
    let mut seen = BTreeMap::<_, BTreeSet<_>>::new();
    for (cell, observed) in PLAYED.iter().filter(|(cell, _)| cell.weather == Weather::Clear) {
        let last = observed.transcript[observed.transcript.len() - 3].clone();
        if last.starts_with("535") {
            let key = (cell.mechanism, cell.initial, cell.wanted.password);
            seen.entry(key).or_default().insert(told_of(observed));
        }
    }
    assert_eq!(seen.len(), 2 * Mechanism::ALL.len() * Password::ALL.len() - 2, "PLAIN takes no NUL");
    for (key, told) in &seen {
        assert_eq!(told.len(), 1, "{key:?}: {told:#?}");
    }
    let replies: BTreeSet<_> =
        seen.values().flatten().map(|(transcript, _, _)| transcript.iter().rev().nth(2)).collect();
    assert_eq!(replies.len(), 1, "{replies:?}");
}

/// Neither may the throttle, the queue or the worker tell names apart, whatever the password.
#[test]
fn what_is_turned_away_unchecked_is_the_same_for_every_name() {
    let mut seen = BTreeMap::<_, BTreeSet<_>>::new();
    for (cell, observed) in PLAYED.iter().filter(|(cell, _)| cell.weather != Weather::Clear) {
        let has_directory = cell.row.directory().is_some();
        let is_unchecked = observed.transcript.iter().any(|line| line.starts_with("454"));
        if is_unchecked && has_directory {
            let key = (cell.mechanism, cell.initial, cell.weather);
            seen.entry(key).or_default().insert(told_of(observed));
        }
    }
    // With and without an initial response; nothing but the throttle turns a proof away.
    assert_eq!(seen.len(), 2 * (2 * (Weather::ALL.len() - 1) + 2));
    for (key, told) in &seen {
        assert_eq!(told.len(), 1, "{key:?}: {told:#?}");
    }
}

fn row_of(login: &str) -> Row {
    world::rows().into_iter().find(|row| row.login == login.as_bytes()).unwrap()
}

#[test]
fn a_spoilt_binding_or_nonce_is_refused_like_a_wrong_password_whatever_was_proved() {
    for (mechanism, plus) in [(Mechanism::ScramSha256, false), (Mechanism::ScramSha256Plus, true)] {
        for (login, password) in [
            ("me@example.org", Password::Right),
            ("both@example.org", Password::App),
            ("off@example.org", Password::Right),
            ("sales@example.org", Password::Right),
            ("nobody@example.org", Password::Wrong),
        ] {
            let wanted = Try { password, act_for: ActFor::Nobody };
            let cell = |row, wanted| Cell { mechanism, initial: true, row, wanted, weather: Weather::Clear };
            let cell_of = |wanted| cell(row_of(login), wanted);
            let refused = cell_of(Try { password: Password::Wrong, ..wanted }).observed();
            for twist in Twist::SPOILING {
                let claim = row_of(login).claim(wanted);
                let spoilt = cell_of(wanted).observed_with(clients::spoilt(plus, &claim, twist));
                assert_eq!(told_of(&spoilt), told_of(&refused), "{mechanism:?} {login} {twist:?}");
                let reason = if twist == Twist::Nonce { "altered-nonce" } else { "channel-binding" };
                assert!(spoilt.log[0].contains(&format!("reason={reason} ")), "{:?}", spoilt.log);
            }
        }
    }
}

/// Another password, keys that are made or not, an account that is gone, somebody else who asks: nothing of
/// that is in a salt.
#[test]
fn the_salt_of_a_name_never_changes_and_has_the_same_form_for_every_name() {
    let sources: [IpAddr; 3] = ["203.0.113.9", "198.51.100.1", "2001:db8::1"].map(|one| one.parse().unwrap());
    let mut salts = BTreeSet::new();
    let mut names = BTreeSet::new();
    for row in world::rows() {
        let Ok(login) = std::str::from_utf8(&row.login) else { continue };
        if login.is_empty() || login.contains('\0') {
            continue;
        }
        let seen: BTreeSet<_> = sources
            .into_iter()
            .flat_map(|source| [(source, world::directory()), (source, world::nobody())])
            .map(|(source, directory)| desk::salt_of(login, directory, source))
            .map(|salt| (salt.salt, salt.iterations))
            .collect();
        assert_eq!(seen.len(), 1, "{login}");
        salts.extend(seen);
        names.insert(login.to_lowercase());
    }
    assert_eq!(salts.len(), names.len(), "each name has its own");
    assert!(salts.iter().all(|(_, rounds)| *rounds == world::ROUNDS));
}

#[test]
fn whatever_differs_in_one_cell_is_found() {
    let alias = row_of("sales@example.org");
    let cell = Cell {
        mechanism: Mechanism::Plain,
        initial: true,
        row: alias,
        wanted: Try { password: Password::Wrong, act_for: ActFor::Nobody },
        weather: Weather::Clear,
    };
    let good = cell.observed();
    assert_eq!(difference(&cell, &good), None);
    let planted: [fn(&mut Observed); 5] = [
        |observed| observed.transcript[0] = observed.transcript[0].replace("5.7.8", "5.7.9"),
        |observed| observed.log[0] = observed.log[0].replace("=alias", "=no-such-address"),
        |observed| observed.counters[1].0 = ("login", "no-such-address"),
        |observed| observed.hashes.clear(),
        |observed| observed.waited_ms = 0,
    ];
    for plant in planted {
        let mut bad = good.clone();
        plant(&mut bad);
        assert_ne!(bad, good);
        assert!(difference(&cell, &bad).is_some(), "{bad:#?}");
    }
}
