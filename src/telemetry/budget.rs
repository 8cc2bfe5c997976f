//! How much one class of lines may write: a bucket that a flood empties and time fills.

use crate::limits::LOG_MINUTE_MS;
use crate::types::Moment;

/// The budget of one class. Half of what a minute may cost can be spent at once, the other half comes back
/// evenly: so no minute costs more, wherever it begins, and a flood is told of all the time.
#[derive(Debug)]
pub struct Bucket {
    /// Octets that come back in a minute, and that it holds when it is full.
    half: u64,
    /// What is left, in octets × [`LOG_MINUTE_MS`], so that no rounding adds up.
    level: u64,
    /// When `level` was true; `None` before the first line.
    at: Option<Moment>,
}

impl Bucket {
    /// A full bucket for a class that may write so many octets in any minute.
    #[must_use]
    pub fn new(octets_per_minute_max: usize) -> Self {
        let half = u64::try_from(octets_per_minute_max).unwrap_or(u64::MAX) / 2;
        Self { half, level: half.saturating_mul(LOG_MINUTE_MS), at: None }
    }

    /// Whether a line of so many octets (line feed included) may be written now. If so, they are spent.
    pub fn take(&mut self, now: Moment, octets: usize) -> bool {
        let passed_ms = self.at.map_or(0, |at| now.since_ms(at));
        self.at = self.at.max(Some(now));
        let full = self.half.saturating_mul(LOG_MINUTE_MS);
        self.level = self.level.saturating_add(passed_ms.saturating_mul(self.half)).min(full);
        let cost = u64::try_from(octets).unwrap_or(u64::MAX).saturating_mul(LOG_MINUTE_MS);
        match self.level.checked_sub(cost) {
            Some(left) => {
                self.level = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Chance;

    fn taken(bucket: &mut Bucket, now: u64, lines: usize) -> usize {
        (0..lines).filter(|_| bucket.take(Moment(now), 100)).count()
    }

    #[test]
    fn half_can_be_spent_at_once_and_the_other_half_comes_back_in_a_minute() {
        let mut bucket = Bucket::new(2_000);
        assert_eq!(taken(&mut bucket, 5, 50), 10);
        assert_eq!(taken(&mut bucket, 5 + LOG_MINUTE_MS / 2, 50), 5);
        assert_eq!(taken(&mut bucket, 5 + LOG_MINUTE_MS, 50), 5);
        assert_eq!(taken(&mut bucket, 5 + 9 * LOG_MINUTE_MS, 50), 10);
    }

    #[test]
    fn no_minute_costs_more_than_it_may_wherever_it_begins() {
        let mut chance = Chance::from_seed([7; 32]);
        for _ in 0..50 {
            let mut bucket = Bucket::new(2_000);
            let (mut now, mut written) = (0, Vec::new());
            for _ in 0..2_000 {
                let most = if chance.below(50) == 0 { 40_000 } else { 200 };
                now += chance.below(most);
                let octets = 1 + usize::try_from(chance.below(500)).unwrap();
                if bucket.take(Moment(now), octets) {
                    written.push((now, octets));
                }
            }
            for (start, _) in &written {
                let minute = written.iter().filter(|(at, _)| (*start..*start + LOG_MINUTE_MS).contains(at));
                let octets: usize = minute.map(|(_, octets)| octets).sum();
                assert!(octets <= 2_000, "{octets} from {start}");
            }
        }
    }

    #[test]
    fn a_clock_that_stands_or_steps_back_gives_nothing() {
        let mut bucket = Bucket::new(2_000);
        assert_eq!(taken(&mut bucket, 1_000_000, 50), 10);
        assert_eq!(taken(&mut bucket, 0, 50), 0);
        assert_eq!(taken(&mut bucket, 1_000_000, 50), 0);
    }
}
