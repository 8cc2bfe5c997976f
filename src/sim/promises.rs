//! What owners are promised, kept apart from the throttle that has to keep it.
//!
//! The promise, exactly:
//!
//! 1. Who logs in with the right password in a network (IPv4 /24, IPv6 /56) where this login succeeded before is
//!    not turned away by the throttle, whoever else guesses from wherever, as long as fewer than
//!    [`GUESSES_PER_PLACE_MAX`] wrong passwords for this login came from this network. A success counts until the
//!    login's address is taken away; over a restart it counts if it was written before the process died.
//! 2. A connection from a network where any login succeeded within 30 days is not refused for wrong passwords.
//! 3. A right application password is never turned away by the throttle once it was sent.
//! 4. What cannot be checked now (no worker, a full queue, no directory) is answered 454, and a login is
//!    answered within the time a hash may take and the longest delay of a refusal.

use crate::limits::{GUESSES_PER_PLACE_MAX, HASH_MS_MAX, HOME_SECONDS, LOGIN_DELAY_MS_MAX, REFUSAL_MS_MIN};
use crate::types::{Prefix, UnixTime};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// So long a login may take at the most: a wait for the worker, a hash, the delay, and a turn of the grid.
pub(super) const LOGIN_MS_MAX: u64 = 2 * HASH_MS_MAX + LOGIN_DELAY_MS_MAX + REFUSAL_MS_MIN;

#[derive(Debug)]
struct Place {
    last: UnixTime,
    durable: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Promises {
    places: BTreeMap<(Vec<u8>, Prefix), Place>,
    /// Wrong passwords for a login from a network, from the beginning of the world.
    guesses: BTreeMap<(Vec<u8>, Prefix), u32>,
}

impl Promises {
    /// A login succeeded.
    pub(super) fn succeeded(&mut self, login: &[u8], source: IpAddr, now: UnixTime) {
        let key = (login.to_ascii_lowercase(), Prefix::net(source));
        let place = self.places.entry(key).or_insert(Place { last: now, durable: false });
        place.last = now;
    }

    /// That was written.
    pub(super) fn is_durable(&mut self, login: &[u8], net: Prefix) {
        if let Some(place) = self.places.get_mut(&(login.to_ascii_lowercase(), net)) {
            place.durable = true;
        }
    }

    /// A wrong password was sent.
    pub(super) fn guessed(&mut self, login: &[u8], source: IpAddr) {
        *self.guesses.entry((login.to_ascii_lowercase(), Prefix::net(source))).or_default() += 1;
    }

    /// The login means another account now, or none.
    pub(super) fn forget(&mut self, login: &[u8]) {
        self.places.retain(|(known, _), _| !known.eq_ignore_ascii_case(login));
    }

    /// The process is gone.
    pub(super) fn restarted(&mut self) {
        self.places.retain(|_, place| place.durable);
    }

    /// Whether a right password for this login may not be turned away here.
    pub(super) fn gets_in(&self, login: &[u8], source: IpAddr) -> bool {
        let key = (login.to_ascii_lowercase(), Prefix::net(source));
        let guesses = self.guesses.get(&key).copied().unwrap_or(0);
        self.places.contains_key(&key) && guesses < GUESSES_PER_PLACE_MAX
    }

    /// Whether a connection from here may not be refused for wrong passwords.
    pub(super) fn is_home(&self, source: IpAddr, now: UnixTime) -> bool {
        let net = Prefix::net(source);
        self.places
            .iter()
            .any(|((_, known), place)| *known == net && now.0.saturating_sub(place.last.0) < HOME_SECONDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_was_not_written_is_forgotten_by_a_restart() {
        let (home, away) = ("192.0.2.1".parse().unwrap(), "198.51.100.1".parse().unwrap());
        let mut promises = Promises::default();
        promises.succeeded(b"A@x.example", home, UnixTime(1));
        assert!(promises.gets_in(b"a@X.example", home) && !promises.gets_in(b"a@x.example", away));
        assert!(promises.is_home(home, UnixTime(2)) && !promises.is_home(home, UnixTime(HOME_SECONDS + 1)));
        promises.is_durable(b"a@x.example", Prefix::net(home));
        promises.succeeded(b"a@x.example", away, UnixTime(1));
        promises.restarted();
        assert!(promises.gets_in(b"a@x.example", home) && !promises.gets_in(b"a@x.example", away));
        for _ in 0..GUESSES_PER_PLACE_MAX {
            promises.guessed(b"a@x.example", home);
        }
        assert!(!promises.gets_in(b"a@x.example", home));
    }
}
