//! Refused connections are kept waiting before they are closed, so that a flood comes back at our pace.
//!
//! What is closed at once connects again at once, and the processor that this takes is missing where mail is
//! delivered. What waits here costs its peer time and us a descriptor and a few octets.

use crate::types::Moment;
use std::collections::VecDeque;

/// How much is held, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Connections held at once.
    pub places: usize,
    /// How long each is held, in milliseconds.
    pub hold_ms: u64,
    /// Connections a second that may end the wait of an older one when all places are taken.
    pub displaced_per_second_max: usize,
}

/// What becomes of a refused connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused<T> {
    /// It waits.
    Held,
    /// It waits, and this one, which has waited longest, is closed now.
    InPlaceOf(T),
    /// It is closed now: too many come.
    AtOnce(T),
}

/// Those who wait, in the order in which they came. All wait equally long, so that is the order of their ends.
#[derive(Debug)]
pub struct Tarpit<T> {
    patience: Patience,
    held: VecDeque<(Moment, T)>,
    /// When the second began in which so many were displaced.
    second: Moment,
    displaced: usize,
}

impl<T> Tarpit<T> {
    /// Nobody waits.
    #[must_use]
    pub fn new(patience: Patience) -> Self {
        Self { patience, held: VecDeque::new(), second: Moment(0), displaced: 0 }
    }

    /// A connection is refused.
    pub fn take(&mut self, now: Moment, refused: T) -> Refused<T> {
        let until = now.plus_ms(self.patience.hold_ms);
        if self.held.len() < self.patience.places {
            self.held.push_back((until, refused));
            return Refused::Held;
        }
        if !self.may_displace(now) {
            return Refused::AtOnce(refused);
        }
        let Some((_, oldest)) = self.held.pop_front() else { return Refused::AtOnce(refused) };
        self.held.push_back((until, refused));
        Refused::InPlaceOf(oldest)
    }

    /// Above a rate the newest is closed and not the oldest, so that at least those who wait do wait.
    fn may_displace(&mut self, now: Moment) -> bool {
        if now.since_ms(self.second) >= 1_000 {
            self.second = now;
            self.displaced = 0;
        }
        self.displaced = self.displaced.saturating_add(1);
        self.displaced <= self.patience.displaced_per_second_max
    }

    /// The next one whose wait is over.
    pub fn due(&mut self, now: Moment) -> Option<T> {
        self.held.pop_front_if(|(until, _)| *until <= now).map(|(_, held)| held)
    }

    /// Whoever has waited longest, to be closed whatever is left of the wait.
    pub fn oldest(&mut self) -> Option<T> {
        self.held.pop_front().map(|(_, held)| held)
    }

    /// When to call [`Tarpit::due`] next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.held.front().map(|(until, _)| *until)
    }

    /// Connections that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tarpit(places: usize) -> Tarpit<u32> {
        Tarpit::new(Patience { places, hold_ms: 4_000, displaced_per_second_max: 2 })
    }

    #[test]
    fn who_is_refused_waits_and_is_due_in_turn() {
        let mut pit = tarpit(5);
        assert_eq!(pit.take(Moment(0), 1), Refused::Held);
        assert_eq!(pit.take(Moment(10), 2), Refused::Held);
        assert_eq!(pit.next_deadline(), Some(Moment(4_000)));
        assert_eq!(pit.due(Moment(3_999)), None);
        assert_eq!(pit.due(Moment(4_000)), Some(1));
        assert_eq!(pit.due(Moment(4_000)), None);
        assert_eq!(pit.due(Moment(9_000)), Some(2));
        assert_eq!(pit.next_deadline(), None);
    }

    #[test]
    fn when_it_is_full_the_oldest_goes_and_above_a_rate_the_newest() {
        let mut pit = tarpit(2);
        pit.take(Moment(5_000), 1);
        pit.take(Moment(5_000), 2);
        assert_eq!(pit.take(Moment(5_001), 3), Refused::InPlaceOf(1));
        assert_eq!(pit.take(Moment(5_002), 4), Refused::InPlaceOf(2));
        assert_eq!(pit.take(Moment(5_003), 5), Refused::AtOnce(5));
        assert_eq!(pit.take(Moment(6_001), 6), Refused::InPlaceOf(3), "a new second has begun");
    }

    #[test]
    fn whatever_comes_no_more_are_held_than_there_are_places() {
        let mut pit = tarpit(7);
        for n in 0..10_000_u32 {
            pit.take(Moment(u64::from(n)), n);
            assert!(pit.len() <= 7);
        }
    }

    #[test]
    fn a_tarpit_without_places_holds_nobody() {
        let mut pit = tarpit(0);
        assert_eq!(pit.take(Moment(0), 1), Refused::AtOnce(1));
        assert!(pit.is_empty());
    }

    #[test]
    fn two_hundred_that_come_back_at_once_connect_fifty_times_a_second() {
        let mut pit = tarpit(1_024);
        let mut connections = 0;
        let mut outside: Vec<u32> = (0..200).collect();
        for ms in 0..60_000 {
            while let Some(one) = pit.due(Moment(ms)) {
                outside.push(one);
            }
            for one in outside.drain(..) {
                connections += 1;
                assert_eq!(pit.take(Moment(ms), one), Refused::Held);
            }
        }
        assert_eq!(connections, 200 * 15);
    }
}
