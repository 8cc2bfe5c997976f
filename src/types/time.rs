//! Time as it is passed in. No room but `server/` and `cli/` reads a clock.

/// A point on the monotonic clock, in milliseconds since an origin the process chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// This moment and `ms` milliseconds more; the end of time at the most.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Wall clock: whole seconds since 1970-01-01 UTC, leap seconds not counted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct UnixTime(pub u64);

/// Both clocks, read once for a turn of the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// For timers and delays.
    pub moment: Moment,
    /// For header fields and records.
    pub unix: UnixTime,
}
