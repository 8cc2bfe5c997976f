//! The two clocks, read once a turn and passed in everywhere else.
#![expect(clippy::disallowed_methods, reason = "this is where time comes in")]

use crate::limits::CLOCK_ORIGIN_MS;
use crate::types::{Moment, Now, UnixTime};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Moments count from [`CLOCK_ORIGIN_MS`] before now, so that what the last process saw has one too.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Since [`Clock::start`].
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Processor time that the calling thread has used.
    #[must_use]
    pub fn processor(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::from_secs(seconds)
            .saturating_add(Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0)))
    }

    /// The time. A wall clock before 1970 reads as 1970.
    #[must_use]
    pub fn now(&self) -> Now {
        let elapsed = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Now { moment: Moment(CLOCK_ORIGIN_MS).plus_ms(elapsed), unix: UnixTime(unix) }
    }
}
