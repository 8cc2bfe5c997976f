//! How much one class of events may write in a minute, and who wrote most when it was too much.

use super::line::Line;
use crate::limits::{LOG_MINUTE_MS, LOG_WORST_ADDRESSES, LOG_WORST_LINES_PER_MINUTE};
use crate::types::{Moment, Prefix};
use std::collections::BTreeMap;

/// The budget of one class.
#[derive(Debug)]
pub struct Budget {
    class: &'static str,
    octets_per_minute: usize,
    /// When the minute began; `None` before the first line.
    began: Option<Moment>,
    spent: usize,
    lines: u64,
    octets: u64,
    worst: BTreeMap<Prefix, u64>,
}

impl Budget {
    /// A full budget.
    #[must_use]
    pub fn new(class: &'static str, octets_per_minute: usize) -> Self {
        Self { class, octets_per_minute, began: None, spent: 0, lines: 0, octets: 0, worst: BTreeMap::new() }
    }

    /// Whether a line of so many octets (line feed included) may be written. If not, it is counted. Call
    /// [`Budget::turn`] first.
    pub fn admit(&mut self, now: Moment, octets: usize, source: Option<Prefix>) -> bool {
        self.began.get_or_insert(now);
        let spent = self.spent.saturating_add(octets);
        if spent <= self.octets_per_minute {
            self.spent = spent;
            return true;
        }
        self.lines = self.lines.saturating_add(1);
        self.octets = self.octets.saturating_add(u64::try_from(octets).unwrap_or(u64::MAX));
        if let Some(source) = source {
            self.blame(source);
        }
        false
    }

    /// Counts for one source in a table of fixed size (Misra and Gries): when it is full, everybody loses
    /// one. A count is never too high, and who wrote more than its share stays, however many others come.
    fn blame(&mut self, source: Prefix) {
        if self.worst.contains_key(&source) || self.worst.len() < LOG_WORST_ADDRESSES {
            let count = self.worst.entry(source).or_default();
            *count = count.saturating_add(1);
        } else {
            self.worst.retain(|_, count| {
                *count = count.saturating_sub(1);
                *count > 0
            });
        }
    }

    /// When the minute is over and something was held back in it, so that [`Budget::turn`] has lines.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.began.filter(|_| self.lines > 0).map(|began| began.plus_ms(LOG_MINUTE_MS))
    }

    /// Begins a new minute if one is over, and gives the lines about what was held back: the sum, then those
    /// who were heard from most.
    pub fn turn(&mut self, now: Moment) -> Vec<Line> {
        match self.began {
            Some(began) if now.since_ms(began) >= LOG_MINUTE_MS => self.close(),
            Some(_) | None => Vec::new(),
        }
    }

    /// The same, whether or not the minute is over.
    pub fn close(&mut self) -> Vec<Line> {
        let full = Self::new(self.class, self.octets_per_minute);
        let Self { class, lines, octets, worst, .. } = std::mem::replace(self, full);
        if lines == 0 {
            return Vec::new();
        }
        let sum = Line::new("suppressed").field("class", class).field("lines", lines).field("octets", octets);
        let mut worst: Vec<(u64, Prefix)> =
            worst.into_iter().map(|(source, count)| (count, source)).collect();
        worst.sort_unstable_by_key(|(count, source)| (std::cmp::Reverse(*count), *source));
        let worst = worst.into_iter().take(LOG_WORST_LINES_PER_MINUTE).map(|(count, source)| {
            Line::new("suppressed-from").field("from", source).field("class", class).field("lines", count)
        });
        std::iter::once(sum).chain(worst).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Chance;

    fn source(text: &str) -> Option<Prefix> {
        Some(Prefix::host(text.parse().unwrap()))
    }

    fn texts(lines: Vec<Line>) -> Vec<String> {
        lines.into_iter().map(Line::finish).collect()
    }

    #[test]
    fn what_is_over_the_budget_is_counted_exactly_and_told_when_the_minute_turns() {
        let mut budget = Budget::new("hostile", 1_000);
        let admitted = (0..25).filter(|_| budget.admit(Moment(5), 100, source("192.0.2.1"))).count();
        assert_eq!(admitted, 10);
        assert_eq!(budget.next_deadline(), Some(Moment(5 + LOG_MINUTE_MS)));
        assert_eq!(texts(budget.turn(Moment(4 + LOG_MINUTE_MS))), Vec::<String>::new());
        assert_eq!(
            texts(budget.turn(Moment(5 + LOG_MINUTE_MS))),
            [
                "event=suppressed class=hostile lines=15 octets=1500",
                "event=suppressed-from from=192.0.2.1 class=hostile lines=15"
            ]
        );
        assert_eq!(budget.next_deadline(), None);
        assert!(budget.admit(Moment(6 + LOG_MINUTE_MS), 1_000, None));
    }

    #[test]
    fn a_minute_without_suppression_says_nothing() {
        let mut budget = Budget::new("hostile", 1_000);
        assert!(budget.admit(Moment(0), 1_000, None));
        assert_eq!(budget.next_deadline(), None);
        assert_eq!(texts(budget.turn(Moment(10 * LOG_MINUTE_MS))), Vec::<String>::new());
        assert!(budget.admit(Moment(10 * LOG_MINUTE_MS), 1_000, None));
    }

    #[test]
    fn the_neighbours_of_an_ipv6_address_are_one_source() {
        assert_eq!(source("2001:db8::1").unwrap().to_string(), "2001:db8::/64");
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_eq!(source("::ffff:192.0.2.1").unwrap().to_string(), "192.0.2.1");
    }

    #[test]
    fn a_spray_of_addresses_neither_grows_the_table_nor_washes_the_worst_out() {
        let mut budget = Budget::new("hostile", 0);
        let mut chance = Chance::from_seed([1; 32]);
        let mut real = 0;
        for round in 0..20_000_u32 {
            if round.is_multiple_of(10) {
                budget.admit(Moment(0), 1, source("203.0.113.66"));
                real += 1;
            }
            let v4 = std::net::Ipv4Addr::from_bits(u32::try_from(chance.u64() >> 32).unwrap());
            budget.admit(Moment(0), 1, Some(Prefix::host(v4.into())));
            assert!(budget.worst.len() <= LOG_WORST_ADDRESSES);
        }
        let lines = texts(budget.close());
        assert!(lines.len() <= 1 + LOG_WORST_LINES_PER_MINUTE);
        let worst = &lines[1];
        assert!(worst.contains("from=203.0.113.66 "), "{worst}");
        let count: u32 = worst.rsplit_once('=').unwrap().1.parse().unwrap();
        assert!(count <= real, "never accused of more than it did");
    }
}
