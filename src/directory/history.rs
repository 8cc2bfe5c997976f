//! Where an account's logins came from, and when its application passwords were last used: written by the
//! server itself, beside the account and not in it, so that it and an administrator never undo each other.

use super::credential::CredentialId;
use crate::limits::{CREDENTIALS_PER_ACCOUNT_MAX, HISTORY_STEP_SECONDS, PLACES_PER_LOGIN_MAX};
use crate::types::{Prefix, UnixTime};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A network in which somebody logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The network, see [`Prefix::net`].
    pub prefix: Prefix,
    /// The first time.
    pub first: UnixTime,
    /// The last time, up to [`HISTORY_STEP_SECONDS`] too early.
    pub last: UnixTime,
}

/// The last use of an application password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// Which.
    pub credential: CredentialId,
    /// When, up to [`HISTORY_STEP_SECONDS`] too early.
    pub last: UnixTime,
    /// The host it came from, see [`Prefix::host`].
    pub from: Prefix,
}

/// What is remembered of an account's logins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LoginHistory {
    /// At most [`PLACES_PER_LOGIN_MAX`], in the order they were first seen.
    pub places: Vec<Place>,
    /// At most [`CREDENTIALS_PER_ACCOUNT_MAX`], one each.
    pub uses: Vec<Use>,
}

/// What a login is to the history of its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// The first login that is remembered.
    FirstEver,
    /// The first from this network.
    NewPlace,
    /// There was one from this network before.
    KnownPlace,
}

/// What became of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// What the login was to it.
    pub novelty: Novelty,
    /// Whether it says anything new that is worth a write.
    pub is_changed: bool,
}

impl LoginHistory {
    /// The last use of an application password.
    #[must_use]
    pub fn use_of(&self, credential: CredentialId) -> Option<&Use> {
        self.uses.iter().find(|used| used.credential == credential)
    }

    /// Places first seen within so many seconds before now.
    #[must_use]
    pub fn places_since(&self, now: UnixTime, seconds: u64) -> usize {
        self.places.iter().filter(|place| now.0.saturating_sub(place.first.0) < seconds).count()
    }

    /// Somebody logged in.
    pub fn learn(&mut self, now: UnixTime, source: IpAddr, credential: Option<CredentialId>) -> Learned {
        let (novelty, is_place_changed) = self.learn_place(now, Prefix::net(source));
        let is_use_changed =
            credential.is_some_and(|credential| self.learn_use(now, Prefix::host(source), credential));
        Learned { novelty, is_changed: is_place_changed || is_use_changed }
    }

    fn learn_place(&mut self, now: UnixTime, prefix: Prefix) -> (Novelty, bool) {
        if let Some(place) = self.places.iter_mut().find(|place| place.prefix == prefix) {
            return (Novelty::KnownPlace, move_on(&mut place.last, now));
        }
        let novelty = if self.places.is_empty() { Novelty::FirstEver } else { Novelty::NewPlace };
        if self.places.len() >= PLACES_PER_LOGIN_MAX
            && let Some(oldest) = self.places.iter().map(|place| (place.last, place.prefix)).min()
        {
            self.places.retain(|place| (place.last, place.prefix) != oldest);
        }
        self.places.push(Place { prefix, first: now, last: now });
        (novelty, true)
    }

    fn learn_use(&mut self, now: UnixTime, from: Prefix, credential: CredentialId) -> bool {
        if let Some(used) = self.uses.iter_mut().find(|used| used.credential == credential) {
            // Two programs with the same password take turns here; one write an hour is enough for both.
            let moved = move_on(&mut used.last, now);
            if moved {
                used.from = from;
            }
            return moved;
        }
        if self.uses.len() >= CREDENTIALS_PER_ACCOUNT_MAX
            && let Some(oldest) = self.uses.iter().map(|used| (used.last, used.credential)).min()
        {
            self.uses.retain(|used| (used.last, used.credential) != oldest);
        }
        self.uses.push(Use { credential, last: now, from });
        true
    }
}

/// Moves a time on when it is off by a step or more; a clock that was put back moves it too.
fn move_on(last: &mut UnixTime, now: UnixTime) -> bool {
    let is_due = now.0.abs_diff(last.0) >= HISTORY_STEP_SECONDS;
    if is_due {
        *last = now;
    }
    is_due
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: UnixTime = UnixTime(1_700_000_000);

    fn after(seconds: u64) -> UnixTime {
        UnixTime(T0.0 + seconds)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_login_is_no_new_place_and_the_next_network_is_one() {
        let mut history = LoginHistory::default();
        assert_eq!(history.learn(T0, ip("192.0.2.1"), None).novelty, Novelty::FirstEver);
        assert_eq!(history.learn(T0, ip("192.0.2.99"), None).novelty, Novelty::KnownPlace);
        assert_eq!(history.learn(T0, ip("198.51.100.1"), None).novelty, Novelty::NewPlace);
        assert_eq!(history.learn(T0, ip("198.51.100.1"), None).novelty, Novelty::KnownPlace);
        assert_eq!(history.learn(T0, ip("2001:db8:0:1::1"), None).novelty, Novelty::NewPlace);
    }

    #[test]
    fn a_busy_program_is_worth_one_write_an_hour() {
        let mut history = LoginHistory::default();
        let writes = (0..7_200).filter(|second| {
            let source = ip(if second % 2 == 0 { "192.0.2.1" } else { "192.0.2.2" });
            history.learn(after(*second), source, Some(CredentialId(1))).is_changed
        });
        assert_eq!(writes.count(), 2);
        assert_eq!(history.use_of(CredentialId(1)).unwrap().last, after(3_600));
    }

    #[test]
    fn the_place_that_was_not_used_for_longest_gives_way() {
        let mut history = LoginHistory::default();
        for net in 0..PLACES_PER_LOGIN_MAX {
            history.learn(after(net as u64 * 4_000), ip(&format!("10.0.{net}.1")), None);
        }
        history.learn(after(1_000_000), ip("10.0.0.1"), None);
        history.learn(after(1_000_001), ip("203.0.113.1"), None);
        assert_eq!(history.places.len(), PLACES_PER_LOGIN_MAX);
        let kept = |text: &str| history.places.iter().any(|place| place.prefix.contains(ip(text)));
        assert!(kept("10.0.0.1") && kept("203.0.113.1") && !kept("10.0.1.1"));
    }

    #[test]
    fn new_places_of_a_day_are_counted() {
        let mut history = LoginHistory::default();
        for (second, source) in [(0, "10.0.0.1"), (90_000, "10.0.1.1"), (90_001, "10.0.2.1")] {
            history.learn(after(second), ip(source), None);
        }
        assert_eq!(history.places_since(after(90_002), 86_400), 2);
    }
}
