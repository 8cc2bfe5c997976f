//! How long turns of the loop take: what a peer waits at most because others were served.
//!
//! Two distributions: time by the clock, from the poll's return until the poll is asked again, and processor time
//! of the loop's thread. Where the first is long and the second is short, the machine gave the processor to
//! somebody else.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Buckets of each power of two; a quantile is at most a sixteenth too high.
const STEPS: usize = 16;
/// Powers of two above the first sixteen values, which have a bucket each: up to 2^32 microseconds, over an hour.
const POWERS: usize = 28;
/// Buckets.
const BUCKETS: usize = STEPS * (POWERS + 1);

/// Counts of durations in buckets of a fixed number.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    max_us: u64,
}

/// What a [`Histogram`] says, in whole microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// How many durations were counted.
    pub count: u64,
    /// Half of them took no longer, within a sixteenth.
    pub p50_us: u64,
    /// 99 of 100.
    pub p99_us: u64,
    /// 999 of 1,000.
    pub p999_us: u64,
    /// The longest, exactly.
    pub max_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], count: 0, max_us: 0 }
    }
}

impl Histogram {
    /// Counts a duration; what lies beyond the last bucket is in the last.
    pub fn record(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.count = self.count.saturating_add(1);
        self.max_us = self.max_us.max(us);
        if let Some(count) = self.counts.get_mut(bucket(us)) {
            *count = count.saturating_add(1);
        }
    }

    /// The distribution so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            count: self.count,
            p50_us: self.quantile(500),
            p99_us: self.quantile(990),
            p999_us: self.quantile(999),
            max_us: self.max_us,
        }
    }

    /// The top of the bucket below which so many of 1,000 lie.
    fn quantile(&self, of_thousand: u64) -> u64 {
        let rank = self.count.saturating_mul(of_thousand).div_ceil(1_000);
        let mut seen = 0_u64;
        for (index, count) in self.counts.iter().enumerate() {
            seen = seen.saturating_add(*count);
            if seen >= rank && seen > 0 {
                return top(index).min(self.max_us);
            }
        }
        self.max_us
    }
}

/// The bucket of a duration.
fn bucket(us: u64) -> usize {
    let power = us.checked_ilog2().unwrap_or(0).saturating_sub(STEPS.ilog2());
    let step = usize::try_from(us >> power).unwrap_or(usize::MAX);
    let before = usize::try_from(power).unwrap_or(usize::MAX).saturating_mul(STEPS);
    before.saturating_add(step).min(BUCKETS.saturating_sub(1))
}

/// The longest duration of a bucket, in microseconds.
fn top(bucket: usize) -> u64 {
    let power = (bucket / STEPS).saturating_sub(1);
    let step = bucket.saturating_sub(power.saturating_mul(STEPS)).saturating_add(1);
    let power = u32::try_from(power).unwrap_or(u32::MAX);
    u64::try_from(step).unwrap_or(u64::MAX).checked_shl(power).unwrap_or(u64::MAX).saturating_sub(1)
}

/// The turns of a loop.
#[derive(Debug, Default)]
pub struct Turns {
    by_clock: Histogram,
    by_processor: Histogram,
    began: Option<Duration>,
    processor: Duration,
}

impl Turns {
    /// The poll came back. Times count from a start that is the same for all of them.
    pub fn begin(&mut self, clock: Duration) {
        self.began = Some(clock);
    }

    /// The poll is about to be asked again; `processor` is what the thread has used since it began. The poll's
    /// own share of it counts with the turn that follows.
    pub fn finish(&mut self, clock: Duration, processor: Duration) {
        if let Some(began) = self.began.take() {
            self.by_clock.record(clock.saturating_sub(began));
            self.by_processor.record(processor.saturating_sub(self.processor));
        }
        self.processor = processor;
    }

    /// Time by the clock.
    #[must_use]
    pub fn by_clock(&self) -> Summary {
        self.by_clock.summary()
    }

    /// Time of the processor.
    #[must_use]
    pub fn by_processor(&self) -> Summary {
        self.by_processor.summary()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(count: u64) -> Duration {
        Duration::from_micros(count)
    }

    #[test]
    fn every_duration_lies_in_its_bucket_and_buckets_follow_each_other() {
        let mut last = 0;
        for exponent in 0..32 {
            for value in [(1_u64 << exponent) - 1, 1 << exponent, (1 << exponent) + (1 << exponent) / 3] {
                let found = bucket(value);
                assert!(found >= last && found < BUCKETS, "{value}");
                assert!(top(found) >= value, "{value}");
                assert!(found == 0 || top(found - 1) < value, "{value}");
                assert!(top(found) - value <= value / 16, "{value}: {}", top(found));
                last = found;
            }
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_counted_and_the_longest_is_exact() {
        let mut histogram = Histogram::default();
        (1..=10_000).for_each(|value| histogram.record(us(value)));
        let Summary { count, p50_us, p99_us, p999_us, max_us } = histogram.summary();
        assert_eq!((count, max_us), (10_000, 10_000));
        for (found, exact) in [(p50_us, 5_000), (p99_us, 9_900), (p999_us, 9_990)] {
            assert!(found >= exact && found <= exact + exact / 16, "{found} {exact}");
        }
    }

    #[test]
    fn one_long_turn_among_many_is_the_longest_and_no_quantile() {
        let mut histogram = Histogram::default();
        (0..10_000).for_each(|_| histogram.record(us(7)));
        histogram.record(us(123_457));
        let longest = 123_457;
        assert_eq!(
            histogram.summary(),
            Summary { count: 10_001, p50_us: 7, p99_us: 7, p999_us: 7, max_us: longest }
        );
    }

    #[test]
    fn nothing_counted_is_nothing_and_a_year_is_the_last_bucket() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.summary(), Summary::default());
        histogram.record(Duration::from_secs(365 * 86_400));
        assert_eq!(histogram.summary().max_us, 365 * 86_400 * 1_000_000);
        histogram.record(Duration::MAX);
        assert_eq!(histogram.summary().max_us, u64::MAX);
    }

    #[test]
    fn the_sleep_in_the_poll_belongs_to_no_turn() {
        let mut turns = Turns::default();
        turns.finish(us(5), us(3));
        turns.begin(us(1_000_005));
        turns.finish(us(1_000_015), us(9));
        assert_eq!((turns.by_clock().count, turns.by_clock().max_us), (1, 10));
        assert_eq!(turns.by_processor().max_us, 6);
    }
}
