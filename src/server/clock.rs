//! The two clocks, read once a turn and passed in everywhere else.
#![expect(clippy::disallowed_methods, reason = "this is where time comes in")]

use crate::limits::CLOCK_ORIGIN_MS;
use crate::types::{Moment, Now, UnixTime};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

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

    /// The time. A wall clock before 1970 reads as 1970.
    #[must_use]
    pub fn now(&self) -> Now {
        let elapsed = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Now { moment: Moment(CLOCK_ORIGIN_MS).plus_ms(elapsed), unix: UnixTime(unix) }
    }
}
