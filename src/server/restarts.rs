//! When a child that ended is started again, and when a silent one is taken for hung. Pure: no clock, no
//! process.

use crate::limits::{
    FAILED_STARTS_MAX, HEARTBEAT_SILENCE_MS_MAX, RESTART_WAIT_MS_MAX, RESTART_WAIT_MS_MIN, SHORT_LIFE_MS,
    START_SILENCE_MS_MAX,
};
use crate::types::Moment;

/// What to do about a child that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Start another at this moment.
    Start(Moment),
    /// It failed [`FAILED_STARTS_MAX`] times in a row. Who wants to go on all the same waits until this
    /// moment.
    TooOften(Moment),
}

/// How often a child failed in a row. A life of [`SHORT_LIFE_MS`] or more is no failure and is followed by
/// the next at once; each failure doubles the wait.
#[derive(Debug, Clone, Copy, Default)]
pub struct Restarts {
    started: Moment,
    failures: u32,
}

impl Restarts {
    /// A child is started now, or the attempt is made.
    pub fn started(&mut self, now: Moment) {
        self.started = now;
    }

    /// How long the child has lived, or did.
    #[must_use]
    pub fn lived_ms(&self, now: Moment) -> u64 {
        now.since_ms(self.started)
    }

    /// Failures in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The child ended, or could not be started.
    pub fn ended(&mut self, now: Moment) -> Decision {
        if self.lived_ms(now) >= SHORT_LIFE_MS {
            self.failures = 0;
            return Decision::Start(now);
        }
        self.failures = self.failures.saturating_add(1);
        let factor = 2_u64.saturating_pow(self.failures.saturating_sub(1));
        let wait = RESTART_WAIT_MS_MIN.saturating_mul(factor).min(RESTART_WAIT_MS_MAX);
        let next = now.plus_ms(wait);
        if self.failures >= FAILED_STARTS_MAX { Decision::TooOften(next) } else { Decision::Start(next) }
    }
}

/// How long a child was silent.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    last: Moment,
    allowed_ms: u64,
}

impl Heartbeat {
    /// A child was started now. Until it is ready it may be silent for long.
    #[must_use]
    pub fn new(now: Moment) -> Self {
        Self { last: now, allowed_ms: START_SILENCE_MS_MAX }
    }

    /// It said something.
    pub fn heard(&mut self, now: Moment) {
        self.last = now;
    }

    /// It is ready: from now on it says something each second.
    pub fn ready(&mut self, now: Moment) {
        *self = Self { last: now, allowed_ms: HEARTBEAT_SILENCE_MS_MAX };
    }

    /// It closed its channel: whatever it still does, it has no time left for it but this.
    pub fn closing(&mut self, now: Moment, allowed_ms: u64) {
        *self = Self { last: now, allowed_ms };
    }

    /// The watcher itself did not run for a while (the machine was suspended, or both were stopped): what it
    /// did not hear in that time says nothing.
    pub fn overslept(&mut self, now: Moment) {
        self.last = self.last.max(now);
    }

    /// When its silence becomes too long.
    #[must_use]
    pub fn deadline(&self) -> Moment {
        self.last.plus_ms(self.allowed_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_lived_is_followed_at_once() {
        let mut restarts = Restarts::default();
        restarts.started(Moment(1_000));
        assert_eq!(
            restarts.ended(Moment(1_000 + SHORT_LIFE_MS)),
            Decision::Start(Moment(1_000 + SHORT_LIFE_MS))
        );
        assert_eq!(restarts.failures(), 0);
    }

    #[test]
    fn waits_double_up_to_a_ceiling_and_then_it_is_too_often() {
        let mut restarts = Restarts::default();
        let mut now = Moment(0);
        let mut waits = Vec::new();
        for _ in 1..FAILED_STARTS_MAX {
            restarts.started(now);
            let Decision::Start(next) = restarts.ended(now) else { panic!("too early") };
            waits.push(next.since_ms(now));
            now = next;
        }
        assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000, 10_000]);
        restarts.started(now);
        assert_eq!(restarts.ended(now), Decision::TooOften(now.plus_ms(RESTART_WAIT_MS_MAX)));
    }

    #[test]
    fn one_long_life_forgives_the_failures_before_it() {
        let mut restarts = Restarts::default();
        for _ in 1..FAILED_STARTS_MAX {
            restarts.ended(Moment(0));
        }
        restarts.started(Moment(0));
        assert_eq!(restarts.ended(Moment(60_000)), Decision::Start(Moment(60_000)));
        restarts.started(Moment(60_000));
        assert_eq!(restarts.ended(Moment(60_001)), Decision::Start(Moment(60_101)));
    }

    #[test]
    fn failing_for_ever_never_overflows() {
        let mut restarts = Restarts::default();
        for _ in 0..1_000 {
            restarts.ended(Moment(u64::MAX));
        }
        assert_eq!(restarts.failures(), 0, "at the end of time everything has lived long");
        for _ in 0..1_000 {
            restarts.started(Moment(5));
            assert!(matches!(
                restarts.ended(Moment(5)),
                Decision::Start(next) | Decision::TooOften(next) if next <= Moment(5 + RESTART_WAIT_MS_MAX)
            ));
        }
    }

    #[test]
    fn silence_is_long_before_ready_and_short_after() {
        let mut heartbeat = Heartbeat::new(Moment(7));
        assert_eq!(heartbeat.deadline(), Moment(7 + START_SILENCE_MS_MAX));
        heartbeat.ready(Moment(100));
        assert_eq!(heartbeat.deadline(), Moment(100 + HEARTBEAT_SILENCE_MS_MAX));
        heartbeat.heard(Moment(1_100));
        assert_eq!(heartbeat.deadline(), Moment(1_100 + HEARTBEAT_SILENCE_MS_MAX));
        heartbeat.overslept(Moment(900_000));
        assert_eq!(heartbeat.deadline(), Moment(900_000 + HEARTBEAT_SILENCE_MS_MAX));
        heartbeat.closing(Moment(900_001), 10);
        assert_eq!(heartbeat.deadline(), Moment(900_011));
    }
}
