//! The last failures of hosts and of logins, for an administrator's eyes. They are kept in memory only.

use super::keyed::Key;
use super::level::Level;
use super::login_book::Reservation;
use super::rules::Limits;
use super::table::Table;
use crate::limits::{
    EVIDENCE_PER_HOST_MAX, EVIDENCE_PER_LOGIN_MAX, LOG_LOGIN_CHARS_MAX, THROTTLE_EVIDENCE_SETS,
    THROTTLE_LOGIN_EVIDENCE_SETS,
};
use crate::types::{Chance, Now, Prefix, SessionId, UnixTime};
use std::collections::VecDeque;

/// One failure.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    /// When.
    pub at: UnixTime,
    /// In which session, as in the log.
    pub session: String,
    /// From which host.
    pub source: Prefix,
    /// The login as typed, control characters replaced, cut to 64 characters.
    pub login: String,
}

/// A failure as it is kept.
#[derive(Debug)]
struct Kept {
    at: UnixTime,
    session: SessionId,
    source: Prefix,
    /// Empty where the login is the key.
    login: String,
}

impl Kept {
    fn told(&self, login: &str) -> Failure {
        let Self { at, session, source, .. } = *self;
        Failure { at, session: format!("{session}"), source, login: login.to_owned() }
    }
}

/// The last failures of one key, and how heavy its record was at the last of them: what only the failures of
/// light ones is known of gives way.
#[derive(Debug)]
struct Last {
    level: Level,
    failures: VecDeque<Kept>,
}

impl Last {
    fn new(level: Level) -> Self {
        Self { level, failures: VecDeque::new() }
    }

    fn push(&mut self, level: Level, failure: Kept, most: usize) {
        self.level = level;
        if self.failures.len() >= most {
            self.failures.pop_front();
        }
        self.failures.push_back(failure);
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Evidence {
    hosts: Table<Prefix, Last>,
    logins: Table<u64, Last>,
}

impl Evidence {
    pub(super) fn new(chance: &mut Chance) -> Self {
        Self {
            hosts: Table::new(Key::new(chance), THROTTLE_EVIDENCE_SETS),
            logins: Table::new(Key::new(chance), THROTTLE_LOGIN_EVIDENCE_SETS),
        }
    }

    /// A login failed; `host` and `login` are the levels it has left.
    pub(super) fn note(
        &mut self,
        now: Now,
        reservation: &Reservation,
        limits: Limits,
        host: Level,
        login: Level,
    ) {
        let source = reservation.spot.host;
        let failure = |login| Kept { at: now.unix, session: reservation.session(), source, login };
        let weigh = |_: &Prefix, last: &Last| Some(last.level.drained(now.moment, limits.host).weight());
        if let Some(last) = self.hosts.enter(source, || Last::new(host), weigh) {
            last.push(host, failure(reservation.shown().to_owned()), EVIDENCE_PER_HOST_MAX);
        }
        let weigh = |_: &u64, last: &Last| Some(last.level.drained(now.moment, limits.login).weight());
        if let Some(last) = self.logins.enter(reservation.login(), || Last::new(login), weigh) {
            last.push(login, failure(String::new()), EVIDENCE_PER_LOGIN_MAX);
        }
    }

    /// The last failures of a host, the oldest first.
    pub(super) fn of_host(&self, host: Prefix) -> Vec<Failure> {
        let failures = self.hosts.get(&host).map(|last| &last.failures);
        failures.into_iter().flatten().map(|kept| kept.told(&kept.login)).collect()
    }

    /// The last failures of a login, the oldest first; `shown` is the login for the eye.
    pub(super) fn of_login(&self, login: u64, shown: &str) -> Vec<Failure> {
        let failures = self.logins.get(&login).map(|last| &last.failures);
        failures.into_iter().flatten().map(|kept| kept.told(shown)).collect()
    }

    pub(super) fn forgive(&mut self, host: Prefix) {
        self.hosts.remove(&host);
    }

    pub(super) fn forgive_login(&mut self, login: u64) {
        self.logins.remove(&login);
    }

    #[cfg(test)]
    pub(super) fn octets_max(&self) -> usize {
        let octets = |sets: usize, failures: usize, failure: usize| {
            [crate::limits::THROTTLE_WAYS, failures, failure].into_iter().fold(sets, usize::saturating_mul)
        };
        // A login has four octets a character at the most.
        let shown = size_of::<Kept>().saturating_add(LOG_LOGIN_CHARS_MAX.saturating_mul(4));
        let kept = [
            self.hosts.octets_max(),
            self.logins.octets_max(),
            octets(THROTTLE_EVIDENCE_SETS, EVIDENCE_PER_HOST_MAX, shown),
            octets(THROTTLE_LOGIN_EVIDENCE_SETS, EVIDENCE_PER_LOGIN_MAX, size_of::<Kept>()),
        ];
        kept.iter().sum()
    }
}

/// A login for the eye.
pub(super) fn shown(login: &[u8]) -> String {
    // No character has more than four octets; what is behind them is not looked at.
    let beginning = login.get(..LOG_LOGIN_CHARS_MAX.saturating_mul(4)).unwrap_or(login);
    let text = String::from_utf8_lossy(beginning);
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(LOG_LOGIN_CHARS_MAX).collect()
}
