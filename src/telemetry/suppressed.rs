//! What was held back: how much of which kind, and from whom most.

use super::kind::Kind;
use super::line::Line;
use crate::limits::{LOG_MINUTE_MS, LOG_WORST_ADDRESSES, LOG_WORST_LINES_PER_MINUTE};
use crate::types::{Moment, Prefix};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What was held back since it was told last.
#[derive(Debug, Default)]
pub struct Suppressed {
    /// When the first of it was; `None` if nothing was.
    since: Option<Moment>,
    tallies: BTreeMap<Kind, Tally>,
}

/// The same of one kind.
#[derive(Debug, Default)]
struct Tally {
    lines: u64,
    octets: u64,
    worst: BTreeMap<Prefix, u64>,
}

impl Suppressed {
    /// Counts a line that is not written.
    pub fn count(&mut self, now: Moment, kind: Kind, octets: usize, source: Option<Prefix>) {
        self.since.get_or_insert(now);
        let tally = self.tallies.entry(kind).or_default();
        tally.lines = tally.lines.saturating_add(1);
        tally.octets = tally.octets.saturating_add(u64::try_from(octets).unwrap_or(u64::MAX));
        if let Some(source) = source {
            tally.blame(source);
        }
    }

    /// When [`Suppressed::turn`] has lines: a minute after the first line that was held back.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.since.map(|since| since.plus_ms(LOG_MINUTE_MS))
    }

    /// The lines about what was held back, when it is time for them.
    pub fn turn(&mut self, now: Moment) -> Vec<Line> {
        if self.next_deadline().is_some_and(|at| now >= at) { self.close() } else { Vec::new() }
    }

    /// The same, whether or not it is time.
    pub fn close(&mut self) -> Vec<Line> {
        let Self { tallies, .. } = std::mem::take(self);
        tallies.into_iter().flat_map(|(kind, tally)| tally.told(kind)).collect()
    }
}

impl Tally {
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

    /// The sum, then those who were heard from most.
    fn told(self, kind: Kind) -> Vec<Line> {
        let kind = kind.name();
        let sum = Line::new("suppressed").field("kind", kind);
        let sum = sum.field("lines", self.lines).field("octets", self.octets);
        let mut worst: Vec<(u64, Prefix)> =
            self.worst.into_iter().map(|(source, count)| (count, source)).collect();
        worst.sort_unstable_by_key(|(count, source)| (Reverse(*count), *source));
        let worst = worst.into_iter().take(LOG_WORST_LINES_PER_MINUTE).map(|(count, source)| {
            Line::new("suppressed-from").field("from", source).field("kind", kind).field("lines", count)
        });
        std::iter::once(sum).chain(worst).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LOG_ROLLUP_LINE_OCTETS_MAX;
    use crate::types::Chance;

    fn source(text: &str) -> Option<Prefix> {
        Some(Prefix::host(text.parse().unwrap()))
    }

    fn texts(lines: Vec<Line>) -> Vec<String> {
        lines.into_iter().map(Line::finish).collect()
    }

    #[test]
    fn what_was_held_back_is_told_by_kind_when_a_minute_is_over_exactly() {
        let mut suppressed = Suppressed::default();
        assert_eq!(suppressed.next_deadline(), None);
        for now in 5..20 {
            suppressed.count(Moment(now), Kind::Login, 100, source("192.0.2.1"));
        }
        suppressed.count(Moment(21), Kind::Mail, 70, source("192.0.2.2"));
        let due = Moment(5 + LOG_MINUTE_MS);
        assert_eq!(suppressed.next_deadline(), Some(due));
        assert_eq!(texts(suppressed.turn(Moment(4 + LOG_MINUTE_MS))), Vec::<String>::new());
        assert_eq!(
            texts(suppressed.turn(due)),
            [
                "event=suppressed kind=login lines=15 octets=1500",
                "event=suppressed-from from=192.0.2.1 kind=login lines=15",
                "event=suppressed kind=mail lines=1 octets=70",
                "event=suppressed-from from=192.0.2.2 kind=mail lines=1"
            ]
        );
        assert_eq!(suppressed.next_deadline(), None);
        assert_eq!(texts(suppressed.close()), Vec::<String>::new());
    }

    #[test]
    fn the_neighbours_of_an_ipv6_address_are_one_source() {
        assert_eq!(source("2001:db8::1").unwrap().to_string(), "2001:db8::/64");
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_eq!(source("::ffff:192.0.2.1").unwrap().to_string(), "192.0.2.1");
    }

    #[test]
    fn the_longest_line_of_a_rollup_keeps_its_limit() {
        let mut worst = BTreeMap::new();
        worst.insert(source("2001:db8:ffff:ffff:ffff::1").unwrap(), u64::MAX);
        let lines = texts(Tally { lines: u64::MAX, octets: u64::MAX, worst }.told(Kind::Recipient));
        assert!(lines.iter().all(|line| line.len() < LOG_ROLLUP_LINE_OCTETS_MAX), "{lines:?}");
    }

    #[test]
    fn a_spray_of_addresses_neither_grows_the_table_nor_washes_the_worst_out() {
        let mut suppressed = Suppressed::default();
        let mut chance = Chance::from_seed([1; 32]);
        let mut real = 0;
        for round in 0..20_000_u32 {
            if round.is_multiple_of(10) {
                suppressed.count(Moment(0), Kind::Login, 1, source("203.0.113.66"));
                real += 1;
            }
            let v4 = std::net::Ipv4Addr::from_bits(u32::try_from(chance.u64() >> 32).unwrap());
            suppressed.count(Moment(0), Kind::Login, 1, Some(Prefix::host(v4.into())));
            assert!(suppressed.tallies[&Kind::Login].worst.len() <= LOG_WORST_ADDRESSES);
        }
        let lines = texts(suppressed.close());
        assert!(lines.len() <= 1 + LOG_WORST_LINES_PER_MINUTE);
        let worst = &lines[1];
        assert!(worst.contains("from=203.0.113.66 "), "{worst}");
        let count: u32 = worst.rsplit_once('=').unwrap().1.parse().unwrap();
        assert!(count <= real, "never accused of more than it did");
    }
}
