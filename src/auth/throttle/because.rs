//! Why somebody is refused.

use super::level::Level;
use crate::auth::verdict::ThrottleRule;
use crate::types::{Moment, Now, Prefix, UnixTime};

/// The rule that refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// An entry of the deny-list.
    DenyList(Prefix),
    /// The limit of an IPv4 address or IPv6 /64.
    Host(Prefix),
    /// The limit of an IPv4 /24 or IPv6 /56.
    Net(Prefix),
    /// The limit of an IPv6 /48.
    Wide(Prefix),
    /// The limit of a login.
    Login,
}

impl Rule {
    /// The kind of rule, without whom it is about.
    #[must_use]
    pub fn kind(self) -> ThrottleRule {
        match self {
            Self::DenyList(_) => ThrottleRule::DenyList,
            Self::Host(_) => ThrottleRule::Host,
            Self::Net(_) => ThrottleRule::Net,
            Self::Wide(_) => ThrottleRule::Wide,
            Self::Login => ThrottleRule::Login,
        }
    }
}

/// The rule, and how far it is from ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Because {
    /// Which.
    pub rule: Rule,
    /// Failures that count now, rounded up; reserved ones too.
    pub level: u64,
    /// How many there may be in an hour.
    pub limit: u32,
    /// Since when it refuses.
    pub since: UnixTime,
    /// Until when, if nothing is added; `None` for the deny-list.
    pub until: Option<UnixTime>,
}

impl Because {
    /// Of a level that has no room.
    pub(super) fn new(now: Now, rule: Rule, level: &Level, limit: u32) -> Self {
        let (since, until) = match level.refusing() {
            Some(since) => (wall(now, since), wall(now, level.until(limit))),
            // What is reserved is decided within seconds.
            None => (now.unix, now.unix),
        };
        Self { rule, level: level.points_told(), limit, since, until: Some(until) }
    }

    /// Of the deny-list.
    pub(super) fn denied(now: Now, entry: Prefix) -> Self {
        Self { rule: Rule::DenyList(entry), level: 0, limit: 0, since: now.unix, until: None }
    }
}

/// A moment on the wall clock, as the clock stands now. The end of a part of a second is its next.
pub(super) fn wall(now: Now, moment: Moment) -> UnixTime {
    let ahead = moment.since_ms(now.moment).div_ceil(1_000);
    let behind = now.moment.since_ms(moment) / 1_000;
    UnixTime(now.unix.0.saturating_add(ahead).saturating_sub(behind))
}
