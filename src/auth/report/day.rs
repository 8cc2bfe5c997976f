//! What is counted of one day.

use super::table::Busiest;
use crate::auth::verdict::{LoginVerdict, Unavailability};
use crate::limits::{
    DAY_SECONDS, REPORT_LOGINS_PER_DAY, REPORT_SOURCES_PER_DAY, REPORT_SUCCESSES_PER_DAY,
    REPORT_WORDS_PER_DAY,
};
use crate::types::{AccountId, Prefix, UnixTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A day in UTC: days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DayNumber(pub u32);

impl DayNumber {
    /// The day a time lies in.
    #[must_use]
    pub fn of(time: UnixTime) -> Self {
        Self(u32::try_from(time.0 / DAY_SECONDS).unwrap_or(u32::MAX))
    }

    /// Its first second.
    #[must_use]
    pub fn begins(self) -> UnixTime {
        UnixTime(u64::from(self.0).saturating_mul(DAY_SECONDS))
    }

    /// So many days earlier; 1970-01-01 at the earliest.
    #[must_use]
    pub fn minus(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }
}

/// How a login ended, in the words of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It succeeded.
    Accepted,
    /// Name or password was wrong, or the account's logins are stopped.
    Refused,
    /// It could not be checked.
    Unavailable,
    /// A limit turned it away unchecked.
    TurnedAway,
}

impl Outcome {
    /// The outcome that a verdict is.
    #[must_use]
    pub fn of(verdict: LoginVerdict) -> Self {
        match verdict {
            LoginVerdict::Accepted(..) => Self::Accepted,
            LoginVerdict::Refused(_) | LoginVerdict::Disabled(_) => Self::Refused,
            LoginVerdict::Unavailable(Unavailability::Throttled(_)) => Self::TurnedAway,
            LoginVerdict::Unavailable(
                Unavailability::Directory | Unavailability::QueueFull | Unavailability::Worker,
            ) => Self::Unavailable,
        }
    }
}

/// How many logins ended how. Written with short names: a day has many of these and must stay small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// [`Outcome::Accepted`].
    #[serde(rename = "a")]
    pub accepted: u64,
    /// [`Outcome::Refused`].
    #[serde(rename = "r")]
    pub refused: u64,
    /// [`Outcome::Unavailable`].
    #[serde(rename = "u")]
    pub unavailable: u64,
    /// [`Outcome::TurnedAway`].
    #[serde(rename = "t")]
    pub turned_away: u64,
}

impl Tally {
    /// Counts one.
    pub fn count(&mut self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Accepted => &mut self.accepted,
            Outcome::Refused => &mut self.refused,
            Outcome::Unavailable => &mut self.unavailable,
            Outcome::TurnedAway => &mut self.turned_away,
        };
        *count = count.saturating_add(1);
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        let Self { accepted, refused, unavailable, turned_away } = other;
        self.accepted = self.accepted.saturating_add(*accepted);
        self.refused = self.refused.saturating_add(*refused);
        self.unavailable = self.unavailable.saturating_add(*unavailable);
        self.turned_away = self.turned_away.saturating_add(*turned_away);
    }

    /// All of them together.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.accepted
            .saturating_add(self.refused)
            .saturating_add(self.unavailable)
            .saturating_add(self.turned_away)
    }

    /// Those that did not succeed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.attempts().saturating_sub(self.accepted)
    }
}

/// What is counted about a source, a /24 or /56.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCounts {
    /// Its logins.
    pub tally: Tally,
    /// When the first came.
    pub first: UnixTime,
    /// When the last came.
    pub last: UnixTime,
    /// Connections that tried to log in, at least.
    pub sessions: u64,
    /// The youngest session counted: a session is counted once. The next process numbers them anew.
    #[serde(skip)]
    pub(super) last_session: u64,
}

impl SourceCounts {
    /// Adds those of another day.
    pub fn add(&mut self, other: &Self) {
        self.tally.add(&other.tally);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.sessions = self.sessions.saturating_add(other.sessions);
    }
}

/// What is counted about a login name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginCounts {
    /// Its logins.
    pub tally: Tally,
    /// The account it names, if it names one.
    pub account: Option<AccountId>,
    /// When the last came.
    pub last: UnixTime,
}

impl LoginCounts {
    /// Adds those of another day; the account is that of the later one.
    pub fn add(&mut self, other: &Self) {
        self.tally.add(&other.tally);
        if other.last >= self.last {
            self.account = other.account;
            self.last = other.last;
        }
    }
}

/// What is counted about logins of one account from one place that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuccessCounts {
    /// How many.
    pub count: u64,
    /// When the first came.
    pub first: UnixTime,
    /// When the last came.
    pub last: UnixTime,
    /// Failed logins from this place on that day before the first success, at least.
    pub failures_before: u64,
}

impl SuccessCounts {
    /// Adds those of another day; of the failures before, the most stays.
    pub fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.failures_before = self.failures_before.max(other.failures_before);
    }
}

/// Whose login succeeded from where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Visit {
    /// The login name, which names an account.
    pub login: String,
    /// The place, a /24 or /56.
    pub source: Prefix,
}

/// One day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Day {
    /// Which.
    pub day: DayNumber,
    /// Every login, exactly.
    pub total: Tally,
    /// By mechanism, exactly.
    pub mechanisms: BTreeMap<String, Tally>,
    /// By reason, exactly.
    pub reasons: BTreeMap<String, u64>,
    /// By source.
    pub sources: Busiest<Prefix, SourceCounts>,
    /// By login name, as [`names`](super::names) lets it be kept.
    pub logins: Busiest<String, LoginCounts>,
    /// Successes by login and source. No stranger can push one out.
    pub successes: Busiest<Visit, SuccessCounts>,
}

impl Day {
    /// Cuts tables that are larger than ours ever are: a store may have been written by something else.
    pub(super) fn cut(&mut self) {
        self.sources.cut(REPORT_SOURCES_PER_DAY);
        self.logins.cut(REPORT_LOGINS_PER_DAY);
        self.successes.cut(REPORT_SUCCESSES_PER_DAY);
        while self.mechanisms.len() > REPORT_WORDS_PER_DAY {
            self.mechanisms.pop_last();
        }
        while self.reasons.len() > REPORT_WORDS_PER_DAY {
            self.reasons.pop_last();
        }
    }

    /// A day on which nothing happened.
    #[must_use]
    pub fn new(day: DayNumber) -> Self {
        Self { day, ..Self::default() }
    }
}
