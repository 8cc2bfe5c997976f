//! Planted distributions with known answers.

use super::channel::Probe;
use super::judge::{Eye, Finding, Judgement, findings};
use super::mask;
use super::plan::{Kind, Side, errands, subjects};
use super::score::Score;
use super::statistics::{Doubt, Measured, area, of_times, of_words};
use super::visit::{Door, Heard, Salt, Step, Visit};
use crate::types::Chance;

fn chance(seed: u8) -> Chance {
    Chance::from_seed([seed; 32])
}

/// All but normal, with a deviation of 1,000 around 100,000: the sum of twelve uniform values.
fn normal(chance: &mut Chance) -> u64 {
    94_000 + (0..12).map(|_| chance.below(1_000)).sum::<u64>()
}

fn times(pairs: usize, shift: u64, chance: &mut Chance) -> Measured {
    let pairs: Vec<[u64; 2]> = (0..pairs).map(|_| [normal(chance), normal(chance) + shift]).collect();
    of_times(&pairs, Doubt::First, chance)
}

fn words(pairs: usize, chance: &mut Chance, mut of: impl FnMut(&mut Chance) -> [String; 2]) -> Measured {
    let pairs: Vec<[String; 2]> = (0..pairs).map(|_| of(chance)).collect();
    of_words(&pairs, chance)
}

/// "yes" so often of a hundred.
fn yes(percent: u64, chance: &mut Chance) -> String {
    if chance.below(100) < percent { "yes" } else { "no" }.to_owned()
}

/// Of a yes that one class says so often of a hundred and the other so often.
fn analytic(one: f64, other: f64) -> f64 {
    let term = |p: f64, q: f64| if p > 0.0 { p / 2.0 * (2.0 * p / (p + q)).log2() } else { 0.0 };
    term(one, other) + term(other, one) + term(1.0 - one, 1.0 - other) + term(1.0 - other, 1.0 - one)
}

#[test]
fn what_is_the_same_gives_no_bit_however_often_one_looks() {
    let mut chance = chance(1);
    for _ in 0..10 {
        assert_eq!(times(40, 0, &mut chance).bits, 0.0);
        assert_eq!(words(40, &mut chance, |c| [yes(50, c), yes(50, c)]).bits, 0.0);
    }
}

#[test]
fn what_is_never_the_same_twice_gives_no_bit() {
    let mut chance = chance(2);
    let unique = |chance: &mut Chance| [chance.u64().to_string(), chance.u64().to_string()];
    assert_eq!(words(80, &mut chance, unique).bits, 0.0);
}

#[test]
fn a_time_that_is_one_deviation_longer_is_found_with_seventy_pairs() {
    let mut chance = chance(3);
    let found = (0..8).filter(|_| times(70, 1_000, &mut chance).bits > 0.05).count();
    assert!(found >= 7, "{found}");
    // The information of one deviation between two normal distributions is 0.161 bits.
    let bits = (0..3).map(|_| times(200, 1_000, &mut chance).bits).sum::<f64>() / 3.0;
    assert!((0.08..0.24).contains(&bits), "{bits}");
}

#[test]
fn a_time_that_never_overlaps_is_one_bit() {
    let bits = times(40, 50_000, &mut chance(4)).bits;
    assert!((bits - 1.0).abs() < 1e-9, "{bits}");
}

#[test]
fn a_time_of_the_same_mean_that_is_spread_wider_is_found() {
    let mut chance = chance(5);
    let pairs: Vec<[u64; 2]> =
        (0..200).map(|_| [normal(&mut chance), 3 * normal(&mut chance) - 200_000]).collect();
    assert!((area(&pairs) - 0.5).abs() < 0.1);
    assert!(of_times(&pairs, Doubt::First, &mut chance).bits > 0.1);
}

#[test]
fn known_information_is_measured_as_it_is() {
    let mut chance = chance(6);
    for (one, other) in [(90, 10), (100, 50), (60, 40)] {
        let bits = words(600, &mut chance, |c| [yes(one, c), yes(other, c)]).bits;
        let right = analytic(one as f64 / 100.0, other as f64 / 100.0);
        assert!((bits - right).abs() < 0.05, "{one} {other}: {bits} and not {right}");
    }
}

#[test]
fn what_always_differs_is_one_bit_even_with_the_fewest_pairs() {
    for seed in 0..5 {
        let bits = words(20, &mut chance(seed), |_| ["yes".to_owned(), "no".to_owned()]).bits;
        assert!((bits - 1.0).abs() < 1e-9, "{bits}");
    }
}

#[test]
fn a_slow_drift_during_the_audit_tells_nothing() {
    let mut chance = chance(7);
    let pairs: Vec<[u64; 2]> =
        (0..200).map(|at| [normal(&mut chance) + at * 500, normal(&mut chance) + at * 500]).collect();
    assert_eq!(of_times(&pairs, Doubt::First, &mut chance).bits, 0.0);
}

#[test]
fn twins_have_the_shape_of_their_name_and_are_none_that_exists() {
    let names = ["ann.lee7@example.org".to_owned(), "x@example.org".to_owned(), "--@example.org".to_owned()];
    let subjects = subjects(&names, &[], &mut chance(8));
    for subject in &subjects {
        for twin in &subject.twins {
            assert!(!names.contains(twin) && twin.ends_with("@example.org"), "{twin}");
        }
    }
    let twin = &subjects[0].twins[0];
    assert_eq!(twin.len(), names[0].len());
    assert_eq!(twin.find('.'), Some(3));
}

#[test]
fn every_round_asks_for_each_kind_and_its_twin_once_and_names_take_turns() {
    let names = ["ann@example.org".to_owned(), "bob@example.org".to_owned()];
    let subjects = subjects(&names, &["info@example.org".to_owned()], &mut chance(9));
    let all = errands(&subjects, 30, &mut chance(9));
    assert_eq!(all.len(), 120);
    for round in 0..30 {
        for kind in [Kind::Account, Kind::Alias] {
            for side in [Side::Real, Side::Twin] {
                let is_it = |errand: &&_| {
                    let super::plan::Errand { round: r, kind: k, side: s, .. } = errand;
                    (*r, *k, *s) == (round, kind, side)
                };
                assert_eq!(all.iter().filter(is_it).count(), 1);
            }
        }
    }
    assert_eq!(all.iter().filter(|errand| errand.name == "bob@example.org").count(), 15);
    let firsts = all.iter().step_by(4).filter(|errand| errand.side == Side::Real).count();
    assert!((5..25).contains(&firsts), "{firsts} of 30 rounds begin with what exists");
}

#[test]
fn names_and_numbers_of_the_moment_are_masked_and_codes_are_not() {
    let masked = mask::reply(
        "550-5.1.1 <Ann@Example.org>: no ann here\n550 5.1.1 id 4fa9 at 12:30",
        "ann@example.org",
    );
    assert_eq!(masked, "550-5.1.1 <NAME>: no NAME here / 550 5.1.1 id # at #:#");
    assert_eq!(mask::reply("250 annual", "ann@example.org"), "250 annual");
    assert_eq!(mask::enhanced_code("5.7.8 no"), Some("5.7.8"));
    assert_eq!(mask::enhanced_code("5.7 no"), None);
}

/// Visits of an audit whose answers are made up.
fn visits(rounds: usize, mut answer: impl FnMut(&mut Visit, &mut Chance)) -> Vec<Visit> {
    let mut chance = chance(20);
    let subjects = subjects(&["ann@example.org".to_owned()], &["info@example.org".to_owned()], &mut chance);
    let mut made = Vec::new();
    for errand in errands(&subjects, rounds, &mut chance) {
        let mut visit = Visit {
            errand,
            door: Door::Open,
            steps: Vec::new(),
            end: Heard::Reply("221 bye".to_owned()),
            salts: Vec::new(),
        };
        answer(&mut visit, &mut chance);
        made.push(visit);
    }
    made
}

fn step(reply: &str, nanos: u64) -> Step {
    Step { said: "it", heard: Heard::Reply(reply.to_owned()), nanos, octets: vec![reply.len()] }
}

fn judged(probe: Probe, visits: &[Visit]) -> Vec<Finding> {
    findings(probe, visits, Eye { doubt: Doubt::First, jitter_nanos: 0 }, &mut chance(11))
}

fn named(findings: &[Finding], judgement: Judgement) -> Vec<&str> {
    findings.iter().filter(|one| one.judgement == judgement).map(|one| one.channel.as_str()).collect()
}

#[test]
fn a_server_that_says_the_same_to_all_is_silent_in_every_channel() {
    let made = visits(40, |visit, chance| visit.steps = vec![step("535 5.7.8 no", normal(chance))]);
    let findings = judged(Probe::AuthPlain, &made);
    assert_eq!(named(&findings, Judgement::Silent).len(), 4, "{findings:#?}");
    assert_eq!(Score::of(findings, 0.05).max_bits, 0.0);
}

#[test]
fn an_alias_that_is_answered_otherwise_is_told_with_what_was_said() {
    let made = visits(40, |visit, chance| {
        let alias = visit.errand.kind == Kind::Alias && visit.errand.side == Side::Real;
        let reply = if alias { "451 4.3.0 oops" } else { "535 5.7.8 no" };
        visit.steps = vec![step(reply, normal(chance))];
    });
    let findings = judged(Probe::AuthPlain, &made);
    assert_eq!(named(&findings, Judgement::Leaks), ["auth-plain-reply", "auth-plain-size"]);
    assert_eq!(findings[0].evidence[0], "alias: 40 of 40: 451 4.3.0, such as: 451 4.3.0 oops");
    let score = Score::of(findings, 0.05);
    assert!((score.max_bits - 1.0).abs() < 1e-9 && score.sum_bits > 1.9 && score.is_above_threshold());
}

#[test]
fn codes_tell_even_where_every_text_is_another() {
    let made = visits(40, |visit, chance| {
        let code = if visit.errand.side == Side::Real { "535 5.7.8" } else { "550 5.1.1" };
        let letters: String =
            (0..9).map(|_| char::from_u32(97 + u32::try_from(chance.below(26)).unwrap()).unwrap()).collect();
        visit.steps = vec![step(&format!("{code} {letters}"), normal(chance))];
    });
    assert_eq!(named(&judged(Probe::AuthPlain, &made), Judgement::Leaks), ["auth-plain-reply"]);
}

#[test]
fn a_recipient_that_exists_is_inherent_and_an_alias_told_from_an_account_is_not() {
    let made = visits(40, |visit, chance| {
        let reply = match (visit.errand.side, visit.errand.kind) {
            (Side::Twin, _) => "550 5.1.1 no such",
            (Side::Real, Kind::Account) => "250 2.1.5 ok",
            (Side::Real, Kind::Alias) => "250 2.1.5 ok, alias",
        };
        visit.steps = vec![step(reply, normal(chance))];
    });
    let findings = judged(Probe::Rcpt, &made);
    assert_eq!(named(&findings, Judgement::Inherent), ["rcpt-reply", "rcpt-size"]);
    assert_eq!(named(&findings, Judgement::Leaks), ["rcpt-kind"]);
}

#[test]
fn a_salt_that_changes_for_unknown_names_or_that_they_share_is_told() {
    for shared in [true, false] {
        let made = visits(40, |visit, chance| {
            let salt = match (visit.errand.side, shared) {
                (Side::Real, _) => format!("real-{}", visit.errand.name.len()),
                (Side::Twin, true) => "every-one".to_owned(),
                (Side::Twin, false) => format!("x-{:06}", chance.below(1_000_000)),
            };
            visit.steps = vec![step("334 #", normal(chance))];
            visit.salts = vec![Salt { salt, iterations: "4096".to_owned() }];
        });
        assert_eq!(named(&judged(Probe::AuthScram, &made), Judgement::Leaks), ["auth-scram-salt"]);
    }
}

#[test]
fn visits_that_were_turned_away_are_said_to_be_and_not_compared() {
    let made = visits(40, |visit, _| visit.door = Door::Shut);
    let findings = judged(Probe::AuthPlain, &made);
    assert_eq!(named(&findings, Judgement::Throttled).len(), 4);
    let made = visits(40, |visit, _| visit.door = Door::NotOffered);
    assert_eq!(named(&judged(Probe::AuthScram, &made), Judgement::NotTried).len(), 5);
}

#[test]
fn what_a_network_would_hide_is_hidden_by_as_much_chance() {
    let made = visits(80, |visit, chance| {
        let later = if visit.errand.side == Side::Real { 6_000 } else { 0 };
        visit.steps = vec![step("535 5.7.8 no", normal(chance) + later)];
    });
    let judged = |jitter_nanos| {
        let eye = Eye { doubt: Doubt::First, jitter_nanos };
        findings(Probe::AuthPlain, &made, eye, &mut chance(12))
    };
    assert_eq!(named(&judged(0), Judgement::Leaks), ["auth-plain-time"]);
    assert_eq!(named(&judged(100_000), Judgement::Leaks), [""; 0]);
}
