//! Whom to ask for, in which order.

use crate::limits::AUDIT_TWINS_MIN;
use crate::types::Chance;

/// What the administrator says an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Somebody logs in with it.
    Account,
    /// Mail to it is taken, and nobody logs in with it.
    Alias,
}

/// An address and names of its shape that do not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// What it is.
    pub kind: Kind,
    /// As the administrator wrote it.
    pub name: String,
    /// At least one, each as long as the name.
    pub twins: Vec<String>,
}

/// Which of a pair is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// What exists.
    Real,
    /// Its twin.
    Twin,
}

/// One visit that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// Its round, from 0.
    pub round: usize,
    /// What the name is, or is the twin of.
    pub kind: Kind,
    /// Which of the two.
    pub side: Side,
    /// Whom to ask for.
    pub name: String,
}

/// Gives each name its twins.
#[must_use]
pub fn subjects(accounts: &[String], aliases: &[String], chance: &mut Chance) -> Vec<Subject> {
    let taken: Vec<&String> = accounts.iter().chain(aliases).collect();
    let of = |kind: Kind, names: &[String], chance: &mut Chance| -> Vec<Subject> {
        let twins = AUDIT_TWINS_MIN.checked_div(names.len()).unwrap_or(1).max(1);
        let mut subject = |name: &String| {
            let twins = (0..twins).map(|_| twin(name, &taken, chance)).collect();
            Subject { kind, name: name.clone(), twins }
        };
        names.iter().map(&mut subject).collect()
    };
    let mut all = of(Kind::Account, accounts, chance);
    all.extend(of(Kind::Alias, aliases, chance));
    all
}

/// Every letter and digit of the local part becomes another one by chance; what it is built of stays.
fn twin(name: &str, taken: &[&String], chance: &mut Chance) -> String {
    let (local, domain) = name.rsplit_once('@').map_or((name, None), |(local, domain)| (local, Some(domain)));
    loop {
        let mut out: String = local.chars().map(|c| other(c, chance)).collect();
        // What has no letter or digit to change gets some.
        if out == local {
            out.push_str("-zq");
        }
        if let Some(domain) = domain {
            out.push('@');
            out.push_str(domain);
        }
        if !taken.iter().any(|name| name.eq_ignore_ascii_case(&out)) {
            return out;
        }
    }
}

fn other(c: char, chance: &mut Chance) -> char {
    let pick = |letters: &str, chance: &mut Chance| {
        let count = u64::try_from(letters.len()).unwrap_or(1);
        let at = usize::try_from(chance.below(count)).unwrap_or(0);
        letters.chars().nth(at).unwrap_or(c)
    };
    // Vowels stay vowels, so that no twin is a word and all could be names.
    match c {
        'a' | 'e' | 'i' | 'o' | 'u' => pick("aeiou", chance),
        'A' | 'E' | 'I' | 'O' | 'U' => pick("AEIOU", chance),
        'a'..='z' => pick("bcdfghjklmnpqrstvwxz", chance),
        'A'..='Z' => pick("BCDFGHJKLMNPQRSTVWXZ", chance),
        '0'..='9' => pick("0123456789", chance),
        _ => c,
    }
}

/// All visits of a measurement. In each round one name of each kind and one of its twins are asked for, each once,
/// in an order of chance; names and twins take turns.
#[must_use]
pub fn errands(subjects: &[Subject], rounds: usize, chance: &mut Chance) -> Vec<Errand> {
    let mut all = Vec::new();
    for round in 0..rounds {
        let mut visits = Vec::new();
        for kind in [Kind::Account, Kind::Alias] {
            let of_kind: Vec<&Subject> = subjects.iter().filter(|subject| subject.kind == kind).collect();
            let turn = |count: usize, lap: usize| lap.checked_rem(count).unwrap_or(0);
            let Some(subject) = of_kind.get(turn(of_kind.len(), round)) else { continue };
            let lap = round.checked_div(of_kind.len()).unwrap_or(0);
            let Some(twin) = subject.twins.get(turn(subject.twins.len(), lap)) else { continue };
            let errand = |side, name: &String| Errand { round, kind, side, name: name.clone() };
            visits.push(errand(Side::Real, &subject.name));
            visits.push(errand(Side::Twin, twin));
        }
        chance.shuffle(&mut visits);
        all.append(&mut visits);
    }
    all
}
