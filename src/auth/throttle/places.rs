//! Where logins succeeded. Nobody gets in here without a right password.

use crate::limits::{HOME_SECONDS, PLACES_MAX, PLACES_PER_LOGIN_MAX};
use crate::types::{Prefix, UnixTime};
use std::collections::BTreeMap;

/// Whether a login had succeeded in a network before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It had.
    Before,
    /// This is the first time that is remembered.
    First,
}

/// The networks (/24, /56) of each login, and those in which any login succeeded, with the last time.
#[derive(Debug, Default)]
pub(super) struct Places {
    of_login: BTreeMap<u64, BTreeMap<Prefix, UnixTime>>,
    homes: BTreeMap<Prefix, UnixTime>,
    count: usize,
}

impl Places {
    pub(super) fn knows(&self, login: u64, net: Prefix) -> bool {
        self.of_login.get(&login).is_some_and(|places| places.contains_key(&net))
    }

    /// Whether a login succeeded in this network within 30 days. A success that lies in the future, after the
    /// clock jumped back, is taken for one of now.
    pub(super) fn is_home(&self, net: Prefix, now: UnixTime) -> bool {
        self.homes.get(&net).is_some_and(|last| now.0.saturating_sub(last.0) < HOME_SECONDS)
    }

    pub(super) fn last_success(&self, net: Prefix) -> Option<UnixTime> {
        self.homes.get(&net).copied()
    }

    pub(super) fn of(&self, login: u64) -> impl Iterator<Item = (Prefix, UnixTime)> {
        self.of_login.get(&login).into_iter().flatten().map(|(net, last)| (*net, *last))
    }

    pub(super) fn learn(&mut self, login: u64, net: Prefix, at: UnixTime) -> Seen {
        // A later time is never replaced by an earlier one: records are loaded in any order.
        let later = |last: &mut UnixTime| *last = at.max(*last);
        self.homes.entry(net).and_modify(later).or_insert(at);
        if self.homes.len() > PLACES_MAX {
            drop_oldest(&mut self.homes);
        }
        let places = self.of_login.entry(login).or_default();
        if let Some(last) = places.get_mut(&net) {
            later(last);
            return Seen::Before;
        }
        if places.len() >= PLACES_PER_LOGIN_MAX {
            drop_oldest(places);
            self.count = self.count.saturating_sub(1);
        }
        places.insert(net, at);
        self.count = self.count.saturating_add(1);
        if self.count > PLACES_MAX {
            self.drop_oldest_of_all();
        }
        Seen::First
    }

    /// The login is somebody else's now, or nobody's.
    pub(super) fn forget(&mut self, login: u64) {
        let gone = self.of_login.remove(&login).map_or(0, |places| places.len());
        self.count = self.count.saturating_sub(gone);
    }

    fn drop_oldest_of_all(&mut self) {
        let oldest = |(login, places): (&u64, &BTreeMap<Prefix, UnixTime>)| {
            places.values().min().map(|last| (*last, *login))
        };
        let Some((_, login)) = self.of_login.iter().filter_map(oldest).min() else { return };
        let Some(places) = self.of_login.get_mut(&login) else { return };
        drop_oldest(places);
        if places.is_empty() {
            self.of_login.remove(&login);
        }
        self.count = self.count.saturating_sub(1);
    }
}

fn drop_oldest(places: &mut BTreeMap<Prefix, UnixTime>) {
    let oldest = places.iter().map(|(net, last)| (*last, *net)).min();
    if let Some((_, net)) = oldest {
        places.remove(&net);
    }
}
