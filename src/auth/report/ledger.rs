//! The days that are kept, and what of them must be written.

use super::day::{Day, DayNumber, LoginCounts, Outcome, SourceCounts, SuccessCounts, Tally, Visit};
use super::names::KeptName;
use crate::auth::verdict::{LoginVerdict, Refusal, Unavailability};
use crate::limits::{
    REPORT_LOGINS_PER_DAY, REPORT_SAVE_MS, REPORT_SOURCES_PER_DAY, REPORT_SUCCESSES_PER_DAY,
    REPORT_WORDS_PER_DAY,
};
use crate::types::{Moment, Now, Prefix, SessionId};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A login that was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// From where.
    pub source: IpAddr,
    /// In which session.
    pub session: SessionId,
    /// By which mechanism.
    pub mechanism: &'static str,
    /// With which name.
    pub name: KeptName,
    /// How it ended.
    pub verdict: LoginVerdict,
}

/// What must be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Save {
    /// Days that changed.
    pub put: Vec<Day>,
    /// Days that are too old.
    pub remove: Vec<DayNumber>,
}

/// The days.
#[derive(Debug, Default)]
pub struct Ledger {
    days: BTreeMap<DayNumber, Day>,
    /// Days kept, today included.
    days_max: u32,
    /// Days that changed since they were written.
    changed: BTreeMap<DayNumber, ()>,
    gone: Vec<DayNumber>,
    /// Nothing is written before this.
    not_before: Moment,
}

impl Ledger {
    /// The days as they were written last; `days_max` of them are kept, 1 at the least.
    #[must_use]
    pub fn load(days: impl IntoIterator<Item = Day>, days_max: u32, now: Now) -> Self {
        let days = days
            .into_iter()
            .map(|mut day| {
                day.cut();
                (day.day, day)
            })
            .collect();
        let mut ledger = Self { days, days_max: days_max.max(1), not_before: now.moment, ..Self::default() };
        ledger.forget_old(DayNumber::of(now.unix));
        ledger
    }

    /// Counts a login.
    pub fn login(&mut self, now: Now, attempt: Attempt) {
        let Attempt { source, session, mechanism, name, verdict } = attempt;
        let outcome = Outcome::of(verdict);
        let source = Prefix::net(source);
        let KeptName { text, account } = name;
        let day = self.today(now);
        day.total.count(outcome);
        if let Some(tally) = word(&mut day.mechanisms, mechanism) {
            tally.count(outcome);
        }
        count_reason(day, reason(verdict));
        let failures = count_source(day, now, source, outcome, Some(session));
        let fresh = || LoginCounts { tally: Tally::default(), account, last: now.unix };
        if let Some(counts) = day.logins.come(text.clone(), REPORT_LOGINS_PER_DAY, fresh) {
            counts.tally.count(outcome);
            counts.last = now.unix;
            counts.account = account;
        }
        if outcome == Outcome::Accepted {
            let fresh =
                || SuccessCounts { count: 0, first: now.unix, last: now.unix, failures_before: failures };
            let visit = Visit { login: text, source };
            if let Some(counts) = day.successes.come(visit, REPORT_SUCCESSES_PER_DAY, fresh) {
                counts.count = counts.count.saturating_add(1);
                counts.last = now.unix;
            }
        }
    }

    /// Counts a connection that a rule refused before it could log in.
    pub fn turned_away(&mut self, now: Now, source: IpAddr, rule: &'static str) {
        let day = self.today(now);
        day.total.count(Outcome::TurnedAway);
        count_reason(day, rule);
        count_source(day, now, Prefix::net(source), Outcome::TurnedAway, None);
    }

    /// The first day from this one on.
    #[must_use]
    pub fn day_from(&self, from: DayNumber) -> Option<&Day> {
        self.days.range(from..).next().map(|(_, day)| day)
    }

    /// All days, oldest first.
    pub fn days(&self) -> impl Iterator<Item = &Day> {
        self.days.values()
    }

    /// When [`Ledger::save`] has something, if it will.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        (!self.changed.is_empty() || !self.gone.is_empty()).then_some(self.not_before)
    }

    /// What must be written, if it is time; each change is given once, so whoever takes it writes it.
    pub fn save(&mut self, now: Moment) -> Option<Save> {
        if self.next_deadline()? > now {
            return None;
        }
        self.not_before = now.plus_ms(REPORT_SAVE_MS);
        let changed = std::mem::take(&mut self.changed);
        let put = changed.keys().filter_map(|day| self.days.get(day)).cloned().collect();
        Some(Save { put, remove: std::mem::take(&mut self.gone) })
    }

    /// The same, whether or not it is time: the process is leaving.
    pub fn save_now(&mut self) -> Option<Save> {
        self.not_before = Moment::default();
        self.save(Moment::default())
    }

    /// Today. A clock that was set back finds its day again.
    fn today(&mut self, now: Now) -> &mut Day {
        let today = DayNumber::of(now.unix);
        if !self.days.contains_key(&today) {
            self.forget_old(today);
        }
        self.changed.insert(today, ());
        self.days.entry(today).or_insert_with(|| Day::new(today))
    }

    /// Days that are too old go, and so do those beyond tomorrow: a clock was wrong.
    fn forget_old(&mut self, today: DayNumber) {
        let oldest = today.minus(self.days_max.saturating_sub(1));
        let kept = |day: &DayNumber| *day >= oldest && day.0 <= today.0.saturating_add(1);
        self.gone.extend(self.days.keys().filter(|day| !kept(day)));
        self.days.retain(|day, _| kept(day));
        self.changed.retain(|day, ()| kept(day));
    }
}

/// The entry of a word of ours. There are few of them; a store that was tampered with cannot make them many.
fn word<'m, V: Default>(map: &'m mut BTreeMap<String, V>, name: &str) -> Option<&'m mut V> {
    if !map.contains_key(name) && map.len() < REPORT_WORDS_PER_DAY {
        map.insert(name.to_owned(), V::default());
    }
    map.get_mut(name)
}

fn count_reason(day: &mut Day, reason: &str) {
    if let Some(count) = word(&mut day.reasons, reason) {
        *count = count.saturating_add(1);
    }
}

/// Counts for a source, and gives the failures it had before.
fn count_source(
    day: &mut Day,
    now: Now,
    source: Prefix,
    outcome: Outcome,
    session: Option<SessionId>,
) -> u64 {
    let fresh = || SourceCounts {
        tally: Tally::default(),
        first: now.unix,
        last: now.unix,
        sessions: 0,
        last_session: 0,
    };
    let Some(counts) = day.sources.come(source, REPORT_SOURCES_PER_DAY, fresh) else { return 0 };
    let failures = counts.tally.failures();
    counts.tally.count(outcome);
    counts.last = now.unix;
    match session {
        Some(session) if session.0 > counts.last_session => {
            counts.last_session = session.0;
            counts.sessions = counts.sessions.saturating_add(1);
        }
        Some(_) | None => {}
    }
    failures
}

/// The reason's word, as in the log.
fn reason(verdict: LoginVerdict) -> &'static str {
    match verdict {
        LoginVerdict::Accepted(..) => "ok",
        LoginVerdict::Refused(refusal) => Refusal::name(refusal),
        LoginVerdict::Disabled(_) => "disabled",
        LoginVerdict::Unavailable(why) => Unavailability::name(why),
    }
}
