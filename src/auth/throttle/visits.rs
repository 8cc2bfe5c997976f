//! Who comes and comes again and brings nothing.
//!
//! A peer whose connection ends at once for its own fault (no TLS where TLS comes first, another protocol) may
//! connect a thousand times a second. Each of these is cheap and together they are not. So connections that
//! ended without a message taken or a login accepted are counted by host for a few seconds, and the next ones
//! of a host with many of them wait before they are let in. Nobody is refused for it.

use crate::limits::{FRUITLESS_VISITS_MAX, VISITORS_MAX, VISITS_REMEMBERED_MS};
use crate::types::{Moment, Prefix};
use std::collections::BTreeMap;

/// Fruitless visits by host, in two generations: the older is forgotten as a whole.
#[derive(Debug, Default)]
pub(super) struct Visits {
    began: Moment,
    young: BTreeMap<Prefix, u32>,
    old: BTreeMap<Prefix, u32>,
}

impl Visits {
    /// A connection of this host ended and has brought nothing.
    pub(super) fn fruitless(&mut self, now: Moment, host: Prefix) {
        self.turn(now);
        if self.young.len() < VISITORS_MAX || self.young.contains_key(&host) {
            let count = self.young.entry(host).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// Whether its next connection is to wait.
    pub(super) fn is_restless(&self, now: Moment, host: Prefix) -> bool {
        let of = |counts: &BTreeMap<Prefix, u32>| counts.get(&host).copied().unwrap_or(0);
        let count = match self.age(now) {
            Age::Young => of(&self.young).saturating_add(of(&self.old)),
            Age::Old => of(&self.young),
            Age::Forgotten => 0,
        };
        count >= FRUITLESS_VISITS_MAX
    }

    /// Nothing is held against the host.
    pub(super) fn forgive(&mut self, host: Prefix) {
        self.young.remove(&host);
        self.old.remove(&host);
    }

    fn age(&self, now: Moment) -> Age {
        let since = now.since_ms(self.began);
        if since < VISITS_REMEMBERED_MS {
            Age::Young
        } else if since < VISITS_REMEMBERED_MS.saturating_mul(2) {
            Age::Old
        } else {
            Age::Forgotten
        }
    }

    fn turn(&mut self, now: Moment) {
        self.old = match self.age(now) {
            Age::Young => return,
            Age::Old => std::mem::take(&mut self.young),
            Age::Forgotten => BTreeMap::new(),
        };
        self.young.clear();
        self.began = now;
    }
}

/// What has become of the younger generation.
enum Age {
    Young,
    Old,
    Forgotten,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: u32) -> Prefix {
        let [_, b, c, d] = number.to_be_bytes();
        Prefix::host([10, b, c, d].into())
    }

    fn come(visits: &mut Visits, at: u64, times: u32) {
        for _ in 0..times {
            visits.fruitless(Moment(at), host(1));
        }
    }

    #[test]
    fn who_comes_too_often_for_nothing_is_restless_and_the_neighbour_is_not() {
        let mut visits = Visits::default();
        come(&mut visits, 0, FRUITLESS_VISITS_MAX - 1);
        assert!(!visits.is_restless(Moment(0), host(1)));
        come(&mut visits, 0, 1);
        assert!(visits.is_restless(Moment(0), host(1)));
        assert!(!visits.is_restless(Moment(0), host(2)));
        visits.forgive(host(1));
        assert!(!visits.is_restless(Moment(0), host(1)));
    }

    #[test]
    fn it_is_forgotten_within_twice_the_time_and_not_before_the_time() {
        let remembered = VISITS_REMEMBERED_MS;
        let mut visits = Visits::default();
        // Another begins the generation; the visits come as late in it as they can.
        visits.fruitless(Moment(remembered), host(2));
        come(&mut visits, 2 * remembered - 1, FRUITLESS_VISITS_MAX);
        assert!(visits.is_restless(Moment(3 * remembered - 2), host(1)));
        assert!(!visits.is_restless(Moment(3 * remembered), host(1)));
        // Counted on over the border of two generations.
        come(&mut visits, 3 * remembered, FRUITLESS_VISITS_MAX / 2);
        come(&mut visits, 4 * remembered, FRUITLESS_VISITS_MAX / 2);
        assert!(visits.is_restless(Moment(4 * remembered), host(1)));
    }

    #[test]
    fn a_spray_of_hosts_grows_nothing_and_those_counted_before_stay_counted() {
        let mut visits = Visits::default();
        come(&mut visits, 0, 1);
        for number in 2..100_000 {
            visits.fruitless(Moment(0), host(number));
        }
        assert_eq!(visits.young.len(), VISITORS_MAX);
        come(&mut visits, 0, FRUITLESS_VISITS_MAX - 1);
        assert!(visits.is_restless(Moment(0), host(1)));
    }
}
