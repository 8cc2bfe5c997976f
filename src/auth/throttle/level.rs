//! How much of its limit somebody has used up: a level that rises with each failure and drains evenly.

use crate::limits::{GUESS_MILLIS, LEVEL_PER_LIMIT_MAX, THROTTLE_MS};
use crate::types::Moment;

/// Units of one guess. A level drains by its limit in units each millisecond, so nothing is ever rounded.
const UNITS_PER_GUESS: u64 = THROTTLE_MS;
const _: () = assert!(UNITS_PER_GUESS.is_multiple_of(GUESS_MILLIS));

/// An amount in units.
pub(super) fn units(millis: u64) -> u64 {
    millis.saturating_mul(UNITS_PER_GUESS / GUESS_MILLIS)
}

/// A limit in units.
fn ceiling(limit: u32) -> u64 {
    u64::from(limit).saturating_mul(UNITS_PER_GUESS)
}

/// A level as it was at a moment.
///
/// It refuses from the moment when no further guess fits under the limit until half of the limit has
/// drained: a clear beginning and a clear end. What is reserved for guesses not decided yet counts too, but
/// begins no such time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    settled: u64,
    pending: u64,
    at: Moment,
    refusing: Option<Moment>,
}

impl Level {
    pub(super) fn new(now: Moment) -> Self {
        Self { settled: 0, pending: 0, at: now, refusing: None }
    }

    /// The level later; one that is asked about the past stays as it is.
    pub(super) fn drained(self, now: Moment, limit: u32) -> Self {
        let drained = u64::from(limit).saturating_mul(now.since_ms(self.at));
        let settled = self.settled.saturating_sub(drained);
        let refusing = self.refusing.filter(|_| settled > ceiling(limit) / 2);
        Self { settled, pending: self.pending, at: self.at.max(now), refusing }
    }

    /// Since when it refuses.
    pub(super) fn refusing(&self) -> Option<Moment> {
        self.refusing
    }

    /// When it refuses no more, if nothing is added.
    pub(super) fn until(&self, limit: u32) -> Moment {
        let above = self.settled.saturating_sub(ceiling(limit) / 2);
        self.at.plus_ms(above.div_ceil(u64::from(limit).max(1)))
    }

    /// Whether so much more has room beside what is settled and reserved.
    pub(super) fn fits(&self, charge: u64, limit: u32) -> bool {
        self.refusing.is_none() && self.weight().saturating_add(charge) <= ceiling(limit)
    }

    /// Settled and reserved, in units.
    pub(super) fn weight(&self) -> u64 {
        self.settled.saturating_add(self.pending)
    }

    /// Settled, in units.
    pub(super) fn settled(&self) -> u64 {
        self.settled
    }

    /// Settled and reserved, in whole guesses.
    pub(super) fn points(&self) -> u64 {
        self.weight() / UNITS_PER_GUESS
    }

    /// The same rounded up, for the eye: a failure of a second ago is one, and a full level is full.
    pub(super) fn points_told(&self) -> u64 {
        self.weight().div_ceil(UNITS_PER_GUESS)
    }

    pub(super) fn reserve(&mut self, charge: u64) {
        self.pending = self.pending.saturating_add(charge);
    }

    pub(super) fn release(&mut self, charge: u64) {
        self.pending = self.pending.saturating_sub(charge);
    }

    /// Adds what happened; drain first.
    pub(super) fn add(&mut self, charge: u64, limit: u32) {
        let most = ceiling(limit).saturating_mul(LEVEL_PER_LIMIT_MAX);
        self.settled = self.settled.saturating_add(charge).min(most);
        if self.settled.saturating_add(UNITS_PER_GUESS) > ceiling(limit) {
            self.refusing = self.refusing.or(Some(self.at));
        }
    }

    /// Forgets what happened. What is reserved stays: it is decided later.
    pub(super) fn clear(&mut self) {
        self.settled = 0;
        self.refusing = None;
    }

    /// Takes away what was made good.
    pub(super) fn pay_back(&mut self, charge: u64) {
        self.settled = self.settled.saturating_sub(charge);
    }

    /// A level that was kept over a restart, as it is `now`.
    pub(super) fn restored(now: Moment, settled: u64, refusing: Option<Moment>, limit: u32) -> Self {
        let most = ceiling(limit).saturating_mul(LEVEL_PER_LIMIT_MAX);
        Self { settled: settled.min(most), pending: 0, at: now, refusing }.drained(now, limit)
    }
}
