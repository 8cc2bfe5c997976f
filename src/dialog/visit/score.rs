//! What refused logins tell about names.

use super::{Finding, NameKind};
use crate::limits::{REPLAY_TIMING_AUC_PER_MILLE, REPLAY_TIMING_GAP_MS, REPLAY_TIMING_SAMPLES_MIN};
use std::collections::{BTreeMap, BTreeSet};

/// What a server can do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// The connection was lost without a reply where one was due.
    Crash,
    /// A reply says yes, go on or no where another of them is written.
    WrongClass,
    /// Replies to refused logins tell accounts from other names.
    EnumerationByReply,
    /// How long they take does.
    EnumerationByTiming,
    /// An answer came late or never.
    Slow,
}

impl Sort {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Crash, Self::WrongClass, Self::EnumerationByReply, Self::EnumerationByTiming, Self::Slow];

    /// Its word, for scripts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::WrongClass => "wrong-class",
            Self::EnumerationByReply => "enumeration-by-reply",
            Self::EnumerationByTiming => "enumeration-by-timing",
            Self::Slow => "slow",
        }
    }
}

/// A login that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginSeen {
    /// The line of the dialogue.
    pub line: usize,
    /// Mechanism, door, and whether it was in TLS: only logins of one way are compared.
    pub way: String,
    /// Whose name it was.
    pub kind: NameKind,
    /// The reply.
    pub reply: String,
    /// Milliseconds until it came.
    pub took_ms: u64,
}

/// Times of two kinds of names, compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// Mechanism and door.
    pub way: String,
    /// The two kinds.
    pub kinds: (NameKind, NameKind),
    /// How many of each.
    pub samples: (usize, usize),
    /// Their medians in milliseconds.
    pub median_ms: (u64, u64),
    /// The share of pairs in which the first took longer, in thousandths; a draw counts half. 500 tells nothing.
    pub auc_per_mille: u64,
}

/// Logins of one way, by whose they were.
fn ways(logins: &[LoginSeen]) -> BTreeMap<&str, BTreeMap<NameKind, Vec<&LoginSeen>>> {
    let mut ways: BTreeMap<&str, BTreeMap<NameKind, Vec<&LoginSeen>>> = BTreeMap::new();
    for login in logins {
        ways.entry(&login.way).or_default().entry(login.kind).or_default().push(login);
    }
    ways
}

/// Replies that tell kinds of names apart: the kinds have no reply in common.
#[must_use]
pub fn by_reply(logins: &[LoginSeen]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (way, kinds) in ways(logins) {
        for ((one, of_one), (other, of_other)) in pairs(&kinds) {
            let said =
                |of: &[&LoginSeen]| of.iter().map(|login| login.reply.clone()).collect::<BTreeSet<_>>();
            let (first, second) = (said(of_one), said(of_other));
            let Some(login) = of_one.first() else { continue };
            if first.is_disjoint(&second) {
                let list = |said: &BTreeSet<String>| said.iter().cloned().collect::<Vec<_>>().join(" / ");
                findings.push(Finding {
                    line: login.line,
                    sort: Sort::EnumerationByReply,
                    what: format!(
                        "{way}: {} hears {}, {} hears {}",
                        one.name(),
                        list(&first),
                        other.name(),
                        list(&second)
                    ),
                });
            }
        }
    }
    findings
}

/// Times of kinds of names of which enough logins were seen.
#[must_use]
pub fn timings(logins: &[LoginSeen]) -> Vec<Timing> {
    let mut timings = Vec::new();
    for (way, kinds) in ways(logins) {
        for ((one, of_one), (other, of_other)) in pairs(&kinds) {
            if of_one.len().min(of_other.len()) >= REPLAY_TIMING_SAMPLES_MIN {
                let times = |of: &[&LoginSeen]| {
                    let mut times: Vec<u64> = of.iter().map(|login| login.took_ms).collect();
                    times.sort_unstable();
                    times
                };
                let (first, second) = (times(of_one), times(of_other));
                timings.push(Timing {
                    way: way.to_owned(),
                    kinds: (one, other),
                    samples: (first.len(), second.len()),
                    median_ms: (median(&first), median(&second)),
                    auc_per_mille: auc_per_mille(&first, &second),
                });
            }
        }
    }
    timings
}

impl Timing {
    /// Whether the times tell the kinds apart, as a finding.
    #[must_use]
    pub fn finding(&self) -> Option<Finding> {
        let Self { way, kinds, median_ms, auc_per_mille, .. } = self;
        let clear = (*auc_per_mille).max(1_000u64.saturating_sub(*auc_per_mille));
        let gap = median_ms.0.abs_diff(median_ms.1);
        if clear < u64::from(REPLAY_TIMING_AUC_PER_MILLE) || gap < REPLAY_TIMING_GAP_MS {
            return None;
        }
        let what = format!(
            "{way}: {} takes {} ms, {} takes {} ms (medians; AUC 0.{clear:03})",
            kinds.0.name(),
            median_ms.0,
            kinds.1.name(),
            median_ms.1
        );
        Some(Finding { line: 0, sort: Sort::EnumerationByTiming, what })
    }
}

type Group<'k, 'l> = (NameKind, &'k Vec<&'l LoginSeen>);

fn pairs<'k, 'l>(kinds: &'k BTreeMap<NameKind, Vec<&'l LoginSeen>>) -> Vec<(Group<'k, 'l>, Group<'k, 'l>)> {
    let all: Vec<Group<'k, 'l>> = kinds.iter().map(|(kind, of)| (*kind, of)).collect();
    let after = |at: usize| all.iter().skip(at.saturating_add(1));
    all.iter().enumerate().flat_map(|(at, one)| after(at).map(|other| (*one, *other))).collect()
}

/// The middle of sorted times.
fn median(sorted: &[u64]) -> u64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Of all pairs, those in which the first took longer.
fn auc_per_mille(first: &[u64], second: &[u64]) -> u64 {
    let (mut twice, mut pairs) = (0u64, 0u64);
    for one in first {
        for other in second {
            let points = match one.cmp(other) {
                std::cmp::Ordering::Greater => 2,
                std::cmp::Ordering::Equal => 1,
                std::cmp::Ordering::Less => 0,
            };
            twice = twice.saturating_add(points);
            pairs = pairs.saturating_add(1);
        }
    }
    twice.saturating_mul(500).checked_div(pairs).unwrap_or(500)
}
