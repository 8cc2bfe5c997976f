//! The mail book: who wastes the time of port 25 is served slowly, and never refused.

use super::keyed::Key;
use super::level::{Level, units};
use super::table::Table;
use crate::contract;
use crate::limits::{
    GUESS_MILLIS, MAIL_ACCEPTED_POINTS, MAIL_AUTH_POINTS, MAIL_BANNER_MS, MAIL_CONNECTIONS,
    MAIL_EARLY_TALK_POINTS, MAIL_GARBAGE_POINTS, MAIL_OTHER_PROTOCOL_POINTS, MAIL_RELAY_POINTS,
    MAIL_REPLY_MS_MAX, MAIL_REPLY_MS_PER_POINT, MAIL_SCORE_PER_HOUR, MAIL_SLOW_POINTS,
    MAIL_UNKNOWN_RECIPIENT_POINTS, MAIL_VRFY_POINTS, REFUSAL_TICK_MS, THROTTLE_MAIL_SETS,
};
use crate::types::{Moment, Prefix};

/// What a peer does on port 25 that no mail server needs to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailOffence {
    /// A recipient in one of our domains that is not there.
    UnknownRecipient,
    /// VRFY or EXPN.
    Vrfy,
    /// AUTH, which port 25 does not offer.
    AuthOnSmtp,
    /// It spoke before the greeting.
    EarlyTalk,
    /// It spoke HTTP, TLS or SSH.
    OtherProtocol,
    /// A line that is no command.
    Garbage,
    /// A recipient elsewhere.
    RelayAttempt,
}

impl MailOffence {
    /// What it weighs, in points.
    #[must_use]
    pub fn points(self) -> u64 {
        match self {
            Self::UnknownRecipient => MAIL_UNKNOWN_RECIPIENT_POINTS,
            Self::Vrfy => MAIL_VRFY_POINTS,
            Self::AuthOnSmtp => MAIL_AUTH_POINTS,
            Self::EarlyTalk => MAIL_EARLY_TALK_POINTS,
            Self::OtherProtocol => MAIL_OTHER_PROTOCOL_POINTS,
            Self::Garbage => MAIL_GARBAGE_POINTS,
            Self::RelayAttempt => MAIL_RELAY_POINTS,
        }
    }
}

/// How fast a source is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pace {
    /// Wait before the greeting, in milliseconds.
    pub banner_ms: u64,
    /// Delay of each reply, in milliseconds.
    pub reply_ms: u64,
    /// Connections at once, if there is a ceiling besides that of every host.
    pub connections_max: Option<usize>,
}

impl Pace {
    /// At once.
    pub const NEUTRAL: Self = Self { banner_ms: 0, reply_ms: 0, connections_max: None };

    /// What a session is told of it.
    #[must_use]
    pub fn of_session(self) -> contract::Pace {
        contract::Pace { greeting_ms: self.banner_ms, refusal_ms: self.reply_ms }
    }

    /// The pace for a score.
    fn of(score: u64) -> Self {
        if score < MAIL_SLOW_POINTS {
            return Self::NEUTRAL;
        }
        let above = score.saturating_sub(MAIL_SLOW_POINTS);
        let delay = above.saturating_mul(MAIL_REPLY_MS_PER_POINT).min(MAIL_REPLY_MS_MAX);
        let reply_ms = delay.checked_next_multiple_of(REFUSAL_TICK_MS).unwrap_or(MAIL_REPLY_MS_MAX);
        let ceiling = MAIL_CONNECTIONS.iter().find(|(from, _)| score >= *from);
        Self { banner_ms: MAIL_BANNER_MS, reply_ms, connections_max: ceiling.map(|(_, most)| *most) }
    }
}

/// Points as the level counts them.
fn charge(points: u64) -> u64 {
    units(points.saturating_mul(GUESS_MILLIS))
}

/// Scores by host. A score is relative: what is delivered pays it back, so that a provider with many users is
/// not taken for a prober because some of them mistype.
#[derive(Debug)]
pub(super) struct MailBook {
    scores: Table<Prefix, Level>,
}

impl MailBook {
    pub(super) fn new(key: Key) -> Self {
        Self { scores: Table::new(key, THROTTLE_MAIL_SETS) }
    }

    pub(super) fn offence(&mut self, now: Moment, host: Prefix, offence: MailOffence) {
        let weigh = |_: &Prefix, level: &Level| {
            let level = level.drained(now, MAIL_SCORE_PER_HOUR);
            level.refusing().is_none().then(|| level.weight())
        };
        if let Some(level) = self.scores.enter(host, || Level::new(now), weigh) {
            *level = level.drained(now, MAIL_SCORE_PER_HOUR);
            level.add(charge(offence.points()), MAIL_SCORE_PER_HOUR);
        }
    }

    pub(super) fn accepted(&mut self, now: Moment, host: Prefix, recipients: u64) {
        if let Some(level) = self.scores.get_mut(&host) {
            *level = level.drained(now, MAIL_SCORE_PER_HOUR);
            level.pay_back(charge(recipients.saturating_mul(MAIL_ACCEPTED_POINTS)));
        }
    }

    pub(super) fn score(&self, now: Moment, host: Prefix) -> u64 {
        self.scores.get(&host).map_or(0, |level| level.drained(now, MAIL_SCORE_PER_HOUR).points())
    }

    pub(super) fn pace(&self, now: Moment, host: Prefix) -> Pace {
        Pace::of(self.score(now, host))
    }

    pub(super) fn forgive(&mut self, host: Prefix) {
        self.scores.remove(&host);
    }

    #[cfg(test)]
    pub(super) fn octets_max(&self) -> usize {
        self.scores.octets_max()
    }
}
