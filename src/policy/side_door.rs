//! The side door: who is refused for wrong passwords may still have an application password.
//!
//! An address can be shared with a guesser, or be the owner's own with a forgotten mail program behind it. So
//! of those who are refused for guessing a few at a time are let in when they have waited, for a short time:
//! nothing but an application password opens anything there, since the throttle turns every other login away
//! unchecked.

use crate::types::{Moment, Prefix, SessionId};
use std::collections::BTreeMap;

/// How many may be inside, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width {
    /// From one host.
    pub per_host: usize,
    /// In all.
    pub total: usize,
    /// Time in which a login must succeed, in milliseconds.
    pub stay_ms: u64,
    /// Time inside, in milliseconds, before the place may be given to somebody else.
    pub safe_ms: u64,
}

/// Whether one more may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It may.
    Free,
    /// It may, when this one, which has been inside longest, has been sent away.
    InPlaceOf(SessionId),
    /// It may not.
    Full,
}

#[derive(Debug, Clone, Copy)]
struct Guest {
    host: Prefix,
    since: Moment,
}

/// Who is inside and has not logged in.
#[derive(Debug)]
pub struct SideDoor {
    width: Width,
    guests: BTreeMap<SessionId, Guest>,
}

impl SideDoor {
    /// Nobody is inside.
    #[must_use]
    pub fn new(width: Width) -> Self {
        Self { width, guests: BTreeMap::new() }
    }

    /// Decides about one more from `host`. Changes nothing. Who holds a place without logging in loses it to
    /// the next, so that nobody can shut an owner out by sitting still.
    #[must_use]
    pub fn consider(&self, now: Moment, host: Prefix) -> Entry {
        let of_host = self.guests.values().filter(|guest| guest.host == host).count();
        let displaced = if of_host >= self.width.per_host {
            self.oldest(|guest| guest.host == host)
        } else if self.guests.len() >= self.width.total {
            self.oldest(|_| true)
        } else {
            return Entry::Free;
        };
        match displaced {
            Some((session, since)) if now.since_ms(since) >= self.width.safe_ms => Entry::InPlaceOf(session),
            Some(_) | None => Entry::Full,
        }
    }

    fn oldest(&self, of: impl Fn(&Guest) -> bool) -> Option<(SessionId, Moment)> {
        let guests = self.guests.iter().filter(|(_, guest)| of(guest));
        guests.map(|(session, guest)| (*session, guest.since)).min_by_key(|(_, since)| *since)
    }

    /// It is inside from now on.
    pub fn enter(&mut self, now: Moment, session: SessionId, host: Prefix) {
        self.guests.insert(session, Guest { host, since: now });
    }

    /// It is gone, or it has logged in and is like any other session.
    pub fn leave(&mut self, session: SessionId) {
        self.guests.remove(&session);
    }

    /// Those whose time is over.
    #[must_use]
    pub fn overdue(&self, now: Moment) -> Vec<SessionId> {
        let late = |guest: &Guest| now.since_ms(guest.since) >= self.width.stay_ms;
        self.guests.iter().filter(|(_, guest)| late(guest)).map(|(session, _)| *session).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> SideDoor {
        SideDoor::new(Width { per_host: 1, total: 3, stay_ms: 20_000, safe_ms: 5_000 })
    }

    fn host(last: u8) -> Prefix {
        Prefix::host([192, 0, 2, last].into())
    }

    #[test]
    fn a_host_has_its_place_and_its_neighbour_another() {
        let mut door = door();
        door.enter(Moment(0), SessionId(1), host(1));
        assert_eq!(door.consider(Moment(1), host(1)), Entry::Full);
        assert_eq!(door.consider(Moment(1), host(2)), Entry::Free);
    }

    #[test]
    fn who_sits_still_loses_the_place_to_the_next_of_the_same_host() {
        let mut door = door();
        door.enter(Moment(0), SessionId(1), host(1));
        assert_eq!(door.consider(Moment(4_999), host(1)), Entry::Full);
        assert_eq!(door.consider(Moment(5_000), host(1)), Entry::InPlaceOf(SessionId(1)));
    }

    #[test]
    fn when_all_places_are_taken_whoever_was_inside_longest_goes() {
        let mut door = door();
        for n in 1..=3 {
            door.enter(Moment(u64::from(n)), SessionId(u64::from(n)), host(n));
        }
        assert_eq!(door.consider(Moment(5_000), host(9)), Entry::Full);
        assert_eq!(door.consider(Moment(5_001), host(9)), Entry::InPlaceOf(SessionId(1)));
    }

    #[test]
    fn who_leaves_or_logs_in_makes_room_and_is_never_overdue() {
        let mut door = door();
        door.enter(Moment(0), SessionId(1), host(1));
        door.enter(Moment(0), SessionId(2), host(2));
        door.leave(SessionId(1));
        assert_eq!(door.consider(Moment(1), host(1)), Entry::Free);
        assert_eq!(door.overdue(Moment(19_999)), []);
        assert_eq!(door.overdue(Moment(20_000)), [SessionId(2)]);
    }
}
