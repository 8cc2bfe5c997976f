//! Who comes and comes again and brings nothing.
//!
//! A peer whose connection ends at once for its own fault (no TLS where TLS comes first, another protocol) may
//! connect a thousand times a second. Each of these is cheap and together they are not. So connections that
//! ended without a message taken or a login accepted are counted by host for a few seconds, and the next ones
//! of a host with many of them wait before they are let in. Nobody is refused for it.

use crate::types::{Moment, Prefix};
use std::collections::BTreeMap;

/// How many fruitless visits are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// So many in the time that is remembered make a host restless.
    pub visits: u32,
    /// Visits are remembered at least so long and at most twice that, in milliseconds.
    pub remembered_ms: u64,
    /// Hosts counted in that time; more than that are not looked at.
    pub hosts: usize,
}

/// Fruitless visits by host, in two generations: the older is forgotten as a whole.
#[derive(Debug)]
pub struct Visits {
    measure: Measure,
    began: Moment,
    young: BTreeMap<Prefix, u32>,
    old: BTreeMap<Prefix, u32>,
}

impl Visits {
    /// Nobody was here.
    #[must_use]
    pub fn new(measure: Measure) -> Self {
        Self { measure, began: Moment(0), young: BTreeMap::new(), old: BTreeMap::new() }
    }

    /// A connection of this host ended and has brought nothing.
    pub fn fruitless(&mut self, now: Moment, host: Prefix) {
        self.turn(now);
        if self.young.len() < self.measure.hosts || self.young.contains_key(&host) {
            let count = self.young.entry(host).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// Whether its next connection is to wait.
    pub fn is_restless(&mut self, now: Moment, host: Prefix) -> bool {
        self.turn(now);
        let of = |counts: &BTreeMap<Prefix, u32>| counts.get(&host).copied().unwrap_or(0);
        of(&self.young).saturating_add(of(&self.old)) >= self.measure.visits
    }

    fn turn(&mut self, now: Moment) {
        let since = now.since_ms(self.began);
        if since < self.measure.remembered_ms {
            return;
        }
        self.began = now;
        self.old = std::mem::take(&mut self.young);
        if since >= self.measure.remembered_ms.saturating_mul(2) {
            self.old.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visits() -> Visits {
        Visits::new(Measure { visits: 3, remembered_ms: 10_000, hosts: 4 })
    }

    fn host(last: u8) -> Prefix {
        Prefix::host([192, 0, 2, last].into())
    }

    #[test]
    fn who_comes_too_often_for_nothing_is_restless_and_the_neighbour_is_not() {
        let mut visits = visits();
        for _ in 0..2 {
            visits.fruitless(Moment(0), host(1));
        }
        assert!(!visits.is_restless(Moment(0), host(1)));
        visits.fruitless(Moment(0), host(1));
        assert!(visits.is_restless(Moment(0), host(1)));
        assert!(!visits.is_restless(Moment(0), host(2)));
    }

    #[test]
    fn it_is_forgotten_within_twice_the_time_and_not_before_the_time() {
        let mut visits = visits();
        for _ in 0..3 {
            visits.fruitless(Moment(10_000), host(1));
        }
        assert!(visits.is_restless(Moment(19_999), host(1)));
        assert!(visits.is_restless(Moment(20_000), host(1)));
        assert!(!visits.is_restless(Moment(30_000), host(1)));
        for _ in 0..3 {
            visits.fruitless(Moment(30_000), host(1));
        }
        assert!(!visits.is_restless(Moment(90_000), host(1)), "nobody asked for a long time");
    }

    #[test]
    fn a_spray_of_hosts_grows_nothing_and_those_counted_before_stay_counted() {
        let mut visits = visits();
        visits.fruitless(Moment(0), host(1));
        for last in 2..=255 {
            visits.fruitless(Moment(0), host(last));
        }
        assert_eq!(visits.young.len(), 4);
        visits.fruitless(Moment(0), host(1));
        visits.fruitless(Moment(0), host(1));
        assert!(visits.is_restless(Moment(0), host(1)));
    }
}
