//! All findings together.

use super::judge::{Finding, Judgement};

/// What a server tells, all in all.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Score {
    /// The channel that tells most, of those that need not tell, in bits.
    pub max_bits: f64,
    /// All of them together; one thing that is told in two ways counts twice.
    pub sum_bits: f64,
    /// Above this the audit fails.
    pub threshold_bits: f64,
    /// Every channel.
    pub channels: Vec<Finding>,
}

impl Score {
    /// Of these findings.
    #[must_use]
    pub fn of(channels: Vec<Finding>, threshold_bits: f64) -> Self {
        let counted = |finding: &&Finding| finding.judgement == Judgement::Leaks;
        let bits = || channels.iter().filter(counted).map(|finding| finding.bits);
        let (max_bits, sum_bits) = (bits().fold(0.0, f64::max), bits().sum());
        Self { max_bits, sum_bits, threshold_bits, channels }
    }

    /// Whether any channel tells more than is allowed.
    #[must_use]
    pub fn is_above_threshold(&self) -> bool {
        self.max_bits > self.threshold_bits
    }
}
