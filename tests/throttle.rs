//! The throttle against a model that keeps everything and recomputes everything: the files of the fuzzing
//! corpus, mutants of them, and stories of chance.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test reads its files and may fail loudly"
)]

use arbitrary::{Arbitrary, Unstructured};
use gatepost::auth::throttle::{
    ConnectVerdict, LoginGate, LoginOutcome, QueueClass, Rules, Throttle as Real, Try,
};
use gatepost::contract::Listener;
use gatepost::types::{AccountId, Chance, Moment, Now, SessionId, UnixTime};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

#[path = "../fuzz/src/clients.rs"]
mod clients;
#[path = "../fuzz/src/logins.rs"]
mod logins;
#[path = "../fuzz/src/naive.rs"]
mod naive;
#[path = "../fuzz/src/throttle.rs"]
mod throttle;
#[path = "../fuzz/src/verdicts.rs"]
mod verdicts;

use naive::Naive;
use throttle::{Story, Tally};

fn play(data: &[u8]) -> Tally {
    let story = Story::arbitrary(&mut Unstructured::new(data)).unwrap();
    story.play().unwrap_or_else(|complaint| panic!("{complaint}"))
}

fn play_logins(data: &[u8]) -> logins::Tally {
    let story = logins::Story::arbitrary(&mut Unstructured::new(data)).unwrap();
    story.play().unwrap_or_else(|complaint| panic!("{complaint}"))
}

/// Plays the files of a folder of the corpus, and what they are with some octets changed.
fn corpus<T>(target: &str, play: impl Fn(&[u8]) -> T) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut chance = Chance::from_seed([23; 32]);
    for file in files {
        let mut octets = std::fs::read(&file).unwrap();
        play(&octets);
        for _ in 0..8 {
            let length = u64::try_from(octets.len()).unwrap();
            let at = usize::try_from(chance.below(length)).unwrap();
            octets[at] = chance.octets()[0];
            play(&octets);
        }
    }
}

#[test]
fn every_story_of_the_throttle_in_the_corpus_ends_as_the_rules_say() {
    corpus("throttle", play);
}

#[test]
fn every_dialogue_of_logins_in_the_corpus_keeps_the_laws() {
    corpus("logins", play_logins);
}

#[test]
fn stories_of_chance_end_as_the_rules_say() {
    let mut chance = Chance::from_seed([17; 32]);
    let mut sum = Tally::default();
    for round in 0..500 {
        let octets = std::iter::repeat_with(|| chance.octets()).flatten().take(200 + 4 * round);
        let tally = play(&octets.collect::<Vec<u8>>());
        sum.passed += tally.passed;
        sum.refused += tally.refused;
        sum.restarts += tally.restarts;
        sum.turned_away.iter_mut().zip(tally.turned_away).for_each(|(sum, more)| *sum += more);
    }
    // Stories that never reach a limit would end so too.
    let met = sum.turned_away.iter().all(|count| *count > 100) && sum.refused > 100 && sum.restarts > 50;
    assert!(met && sum.passed > 5_000, "{sum:?}");
}

#[test]
fn whole_dialogues_of_chance_keep_the_laws_of_logins() {
    let mut chance = Chance::from_seed([29; 32]);
    let mut sum = logins::Tally::default();
    for round in 0..100 {
        let octets = std::iter::repeat_with(|| chance.octets()).flatten().take(200 + 8 * round);
        let octets: Vec<u8> = octets.collect();
        let tally = play_logins(&octets);
        sum.accepted += tally.accepted;
        sum.refused += tally.refused;
        sum.turned_away += tally.turned_away;
        sum.unavailable += tally.unavailable;
        sum.gave_up += tally.gave_up;
        sum.proofs += tally.proofs;
        sum.compared += tally.compared;
    }
    let met = [sum.accepted, sum.refused, sum.proofs, sum.turned_away, sum.unavailable, sum.gave_up];
    assert!(met.iter().all(|count| *count > 20) && sum.compared == 100, "{sum:?}");
}

/// The throttle among strangers, and a model that has never heard of them.
struct Crowded {
    real: Real,
    naive: Naive,
    now: Now,
}

impl Crowded {
    fn new() -> Self {
        Self {
            real: Real::new(Rules::default(), [3; 32]),
            naive: Naive::new(Rules::default()),
            now: Now { moment: Moment(9), unix: UnixTime(1_700_000_000) },
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now.moment = self.now.moment.plus_ms(ms);
        self.now.unix = UnixTime(1_700_000_000 + self.now.moment.0 / 1_000);
    }

    /// A login, decided at once. Whether the throttle let it pass, and whether the model did.
    fn login(&mut self, source: IpAddr, login: &str, password: &[u8], outcome: LoginOutcome) -> (bool, bool) {
        let name = login.as_bytes();
        let (_, number) = self.naive.at_login(self.now, source, name, Some(password)).unwrap();
        number.into_iter().for_each(|number| self.naive.decided(self.now, number, outcome));
        (self.stranger(source, login, password, outcome), number.is_some())
    }

    /// A login the model does not hear of. Whether it passed.
    fn stranger(&mut self, source: IpAddr, login: &str, password: &[u8], outcome: LoginOutcome) -> bool {
        let wanted = Try { session: SessionId(1), source, login: login.as_bytes(), password: Some(password) };
        match self.real.at_login(self.now, wanted) {
            LoginGate::Pass { reservation, .. } => {
                self.real.login_decided(self.now, reservation.unwrap(), outcome);
                true
            }
            LoginGate::TooMany(_) => false,
        }
    }

    fn is_refused(&mut self, source: IpAddr) -> (bool, bool) {
        let real = match self.real.at_connect(self.now, source, Listener::Submissions) {
            ConnectVerdict::Admit(..) => false,
            ConnectVerdict::Denied(_) | ConnectVerdict::Refused(_) => true,
        };
        (real, self.naive.at_connect(self.now, source, Listener::Submissions).1.is_some())
    }
}

/// What the strangers displace is never an owner's way in, nor the record of somebody who is refused.
///
/// The offenders are refused for `before_ms` when the strangers come.
fn crowd(before_ms: u64, steps: u64, step_ms: u64, guesses_of_a_stranger: u8) {
    let mut chance = Chance::from_seed([19; 32]);
    let mut crowded = Crowded::new();
    let tracked = |kind: u8, number: u64| {
        let number = u8::try_from(number).unwrap();
        (IpAddr::from([192, kind, number, 1]), format!("owner{number}@example.org"))
    };
    for number in 0..5 {
        let (home, login) = tracked(1, number);
        let accepted = LoginOutcome::Accepted(AccountId(1));
        assert_eq!(crowded.login(home, &login, b"right", accepted), (true, true));
    }
    for number in 0..5 {
        let (source, login) = tracked(2, number);
        for guess in 0..20_u8 {
            crowded.login(source, &login, &[guess, 0], LoginOutcome::Refused);
        }
    }
    crowded.pass(before_ms);
    let (mut kept_out, mut let_in) = (0, 0);
    for step in 0..steps {
        crowded.pass(step_ms);
        match chance.below(64) {
            0 => {
                let (home, login) = tracked(1, chance.below(5));
                let outcome = match chance.below(3) {
                    0 => LoginOutcome::Accepted(AccountId(1)),
                    _ => LoginOutcome::Refused,
                };
                let (real, naive) = crowded.login(home, &login, &step.to_be_bytes(), outcome);
                assert!(real || !naive, "step {step}: {login} is turned away at home");
                let_in += u64::from(real);
            }
            1 => {
                let (source, login) = tracked(2, chance.below(5));
                // All at once: it cannot be displaced before it is refused.
                for guess in 0..20_u8 {
                    crowded.login(source, &login, &[guess, 0], LoginOutcome::Refused);
                }
            }
            2..5 => {
                let (source, _) = tracked(2, chance.below(5));
                let (real, naive) = crowded.is_refused(source);
                assert!(real || !naive, "step {step}: {source} got rid of its record");
                kept_out += u64::from(real);
            }
            _ => {
                let [a, b, c, d, ..] = chance.octets();
                let source = IpAddr::V4(Ipv4Addr::new(10 + a % 80, b, c, d));
                for guess in 0..guesses_of_a_stranger {
                    let login = format!("user{}", step % 3_000);
                    crowded.stranger(source, &login, &[guess, a], LoginOutcome::Refused);
                }
            }
        }
    }
    assert!(kept_out > steps / 80 && let_in > steps / 200, "{kept_out} kept out, {let_in} let in");
}

#[test]
fn among_too_many_strangers_owners_stay_in_and_heavy_offenders_out() {
    crowd(0, 40_000, 250, 1);
}

/// They come to the edge of their own limit, where they outweigh a refusal that is about to end.
#[test]
fn among_too_many_heavy_strangers_owners_stay_in_and_heavier_offenders_out() {
    crowd(1_600_000, 12_000, 10, 15);
}

/// A million in a release build, which `.ci/run` makes; without optimization it takes too long.
const SPRAY: u32 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

#[test]
fn a_spray_of_a_million_sources_grows_nothing_and_washes_nobody_out() {
    let mut crowded = Crowded::new();
    let (bad, home): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [198, 51, 100, 7].into());
    let accepted = LoginOutcome::Accepted(AccountId(1));
    assert_eq!(crowded.login(home, "me@example.org", b"right", accepted), (true, true));
    for guess in 0..20_u8 {
        assert_eq!(crowded.login(bad, "info@example.org", &[guess], LoginOutcome::Refused), (true, true));
    }
    let mut checked = 0;
    for n in 0..SPRAY {
        if n % (SPRAY / 1_000) == 0 {
            crowded.pass(1_000);
        }
        let [_, b, c, d] = n.wrapping_mul(2_654_435_761).to_be_bytes();
        let login = format!("user{}@example.org", n % 5_000);
        let source = IpAddr::from([10, b, c, d]);
        checked += u32::from(crowded.stranger(source, &login, b"summer", LoginOutcome::Refused));
    }
    assert!(checked > SPRAY / 10 * 9, "only {checked} of the spray were counted at all");
    assert_eq!(crowded.is_refused(bad), (true, true), "the heavy offender is still known");
    // Each from a network of its own: in one /24 they would rightly share its limit.
    let refused = (0..20_000_u32).filter(|n| {
        let [_, _, c, d] = n.to_be_bytes();
        let source = IpAddr::from([172, c, d, 1]);
        !crowded.stranger(source, &format!("fresh{n}@example.org"), b"x", LoginOutcome::Refused)
    });
    let refused = refused.count();
    assert!(refused < 20, "{refused} of 20,000 fresh sources are refused");
    let wanted =
        Try { session: SessionId(1), source: home, login: b"me@example.org", password: Some(b"right") };
    let verdict = crowded.real.at_login(crowded.now, wanted);
    assert!(matches!(verdict, LoginGate::Pass { class: QueueClass::KnownPlace, .. }), "{verdict:?}");
}
