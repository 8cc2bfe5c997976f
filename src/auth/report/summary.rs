//! What the days come to: the report that an administrator reads once a week.

use super::day::{Day, DayNumber, LoginCounts, SourceCounts, SuccessCounts, Tally, Visit};
use crate::limits::{REPORT_ATTACK_FAILURES, REPORT_FAILURES_BEFORE_SUCCESS, REPORT_NEW_ROWS};
use crate::types::Prefix;
use std::collections::BTreeMap;

/// Something that a look at the figures alone would miss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusual {
    /// An account was used from a place that it was not used from before.
    NewPlace(Visit, SuccessCounts),
    /// A login succeeded from a place after many that failed there on that day.
    SuccessAfterFailures(Visit, SuccessCounts),
    /// Many logins of an account failed.
    AccountUnderAttack(String, LoginCounts),
    /// A source that was not seen before.
    NewSource(Prefix, SourceCounts),
    /// A login name that was not seen before.
    NewLogin(String, LoginCounts),
}

/// By how much counts of a table can be too low; 0: they are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Missed {
    /// By source.
    pub sources: u64,
    /// By login name.
    pub logins: u64,
    /// Logins that succeeded.
    pub successes: u64,
}

/// The days of a period, added up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Earlier days with logins that the period was compared with. If there are none, nothing is called new.
    pub compared_days: usize,
    /// Every login, exactly.
    pub total: Tally,
    /// What to look at first: successes, then accounts, then strangers.
    pub unusual: Vec<Unusual>,
    /// Successes, the most first.
    pub successes: Vec<(Visit, SuccessCounts)>,
    /// The busiest first.
    pub sources: Vec<(Prefix, SourceCounts)>,
    /// The busiest first.
    pub logins: Vec<(String, LoginCounts)>,
    /// Exactly.
    pub mechanisms: BTreeMap<String, Tally>,
    /// Exactly.
    pub reasons: BTreeMap<String, u64>,
    /// What the tables may have missed.
    pub missed: Missed,
}

/// The tables of some days in one.
#[derive(Default)]
struct Sum {
    sources: BTreeMap<Prefix, SourceCounts>,
    logins: BTreeMap<String, LoginCounts>,
    successes: BTreeMap<Visit, SuccessCounts>,
}

impl Sum {
    fn add(&mut self, day: &Day) {
        for (source, counts) in day.sources.iter() {
            self.sources.entry(*source).and_modify(|sum| sum.add(counts)).or_insert(*counts);
        }
        for (login, counts) in day.logins.iter() {
            self.logins.entry(login.clone()).and_modify(|sum| sum.add(counts)).or_insert(*counts);
        }
        for (visit, counts) in day.successes.iter() {
            self.successes.entry(visit.clone()).and_modify(|sum| sum.add(counts)).or_insert(*counts);
        }
    }
}

impl Summary {
    /// Adds up the days from `from` on, and compares them with those before. The days come in order.
    #[must_use]
    pub fn of(days: &[Day], from: DayNumber) -> Self {
        let (mut before, mut period, mut summary) = (Sum::default(), Sum::default(), Self::default());
        for day in days {
            if day.day < from {
                summary.compared_days = summary.compared_days.saturating_add(1);
                before.add(day);
            } else {
                period.add(day);
                summary.add_exact(day);
            }
        }
        summary.unusual = if summary.compared_days == 0 { Vec::new() } else { new_places(&before, &period) };
        summary.unusual.extend(after_failures(&period));
        summary.unusual.extend(under_attack(&period));
        if summary.compared_days > 0 {
            summary.unusual.extend(strangers(&before, &period));
        }
        summary.successes = sorted(period.successes, |counts| counts.count);
        summary.sources = sorted(period.sources, |counts| counts.tally.attempts());
        summary.logins = sorted(period.logins, |counts| counts.tally.attempts());
        summary
    }

    fn add_exact(&mut self, day: &Day) {
        self.total.add(&day.total);
        for (name, tally) in &day.mechanisms {
            self.mechanisms.entry(name.clone()).or_default().add(tally);
        }
        for (name, count) in &day.reasons {
            let sum = self.reasons.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
        let Missed { sources, logins, successes } = &mut self.missed;
        *sources = sources.saturating_add(day.sources.missed_at_most());
        *logins = logins.saturating_add(day.logins.missed_at_most());
        *successes = successes.saturating_add(day.successes.missed_at_most());
    }
}

fn new_places(before: &Sum, period: &Sum) -> Vec<Unusual> {
    let new = period.successes.iter().filter(|(visit, _)| !before.successes.contains_key(*visit));
    new.map(|(visit, counts)| Unusual::NewPlace(visit.clone(), *counts)).collect()
}

fn after_failures(period: &Sum) -> impl Iterator<Item = Unusual> {
    let found = period
        .successes
        .iter()
        .filter(|(_, counts)| counts.failures_before >= REPORT_FAILURES_BEFORE_SUCCESS);
    found.map(|(visit, counts)| Unusual::SuccessAfterFailures(visit.clone(), *counts))
}

fn under_attack(period: &Sum) -> Vec<Unusual> {
    let attacked =
        |counts: &LoginCounts| counts.account.is_some() && counts.tally.failures() >= REPORT_ATTACK_FAILURES;
    let found = period.logins.iter().filter(|(_, counts)| attacked(counts));
    let rows =
        sorted(found.map(|(login, counts)| (login.clone(), *counts)), |counts| counts.tally.failures());
    rows.into_iter().map(|(login, counts)| Unusual::AccountUnderAttack(login, counts)).collect()
}

fn strangers(before: &Sum, period: &Sum) -> Vec<Unusual> {
    let sources = period.sources.iter().filter(|(source, _)| !before.sources.contains_key(*source));
    let sources =
        sorted(sources.map(|(source, counts)| (*source, *counts)), |counts| counts.tally.attempts());
    let sources = sources.into_iter().map(|(source, counts)| Unusual::NewSource(source, counts));
    let logins = period.logins.iter().filter(|(login, _)| !before.logins.contains_key(*login));
    let logins =
        sorted(logins.map(|(login, counts)| (login.clone(), *counts)), |counts| counts.tally.attempts());
    let logins = logins.into_iter().map(|(login, counts)| Unusual::NewLogin(login, counts));
    sources.take(REPORT_NEW_ROWS).chain(logins.take(REPORT_NEW_ROWS)).collect()
}

/// Rows with the greatest first, and by key where they are equal.
fn sorted<K: Ord, V>(rows: impl IntoIterator<Item = (K, V)>, weight: impl Fn(&V) -> u64) -> Vec<(K, V)> {
    let mut rows: Vec<(K, V)> = rows.into_iter().collect();
    rows.sort_by(|(a, one), (b, other)| weight(other).cmp(&weight(one)).then_with(|| a.cmp(b)));
    rows
}
