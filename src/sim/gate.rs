//! What a process knows of those who come: the real throttle, admission, tarpit and side door.
//!
//! Each touch of one book of the throttle is held against the other one, which must not notice.

use super::Law;
use super::archive::Shelf;
use super::desk::{Desk, Parcel};
use super::planted::PlantedBug;
use crate::auth::throttle::{MailOffence, Pace, Rules, Throttle};
use crate::contract::PeerFacts;
use crate::limits::{
    HELD_DISPLACED_PER_SECOND_MAX, HELD_MS, SIDE_DOOR_MAX, SIDE_DOOR_MS, SIDE_DOOR_PER_HOST,
    SIDE_DOOR_SAFE_MS,
};
use crate::policy::admission::{Admission, Ceilings};
use crate::policy::side_door::{SideDoor, Width};
use crate::policy::tarpit::{Patience, Tarpit};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What the administrator wrote.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) rules: Rules,
    pub(super) ceilings: Ceilings,
    /// Places in the tarpit.
    pub(super) held_max: usize,
    pub(super) shelf: Shelf,
}

/// Why somebody is not let in, or not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Denied,
    Guessed,
    BadRecord,
    NetworkFull,
    AllFull,
    Restless(Pace),
}

/// Somebody who waits.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) number: usize,
    pub(super) peer: PeerFacts,
    pub(super) why: Why,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) throttle: Throttle,
    pub(super) admission: Admission,
    pub(super) tarpit: Tarpit<Guest>,
    pub(super) side_door: SideDoor,
    /// What those who wait have sent so far.
    pub(super) sent: BTreeMap<usize, Vec<Parcel>>,
}

impl Gate {
    pub(super) fn new(config: &Config, desk: &mut Desk) -> Self {
        let patience = Patience {
            places: config.held_max,
            hold_ms: HELD_MS,
            displaced_per_second_max: HELD_DISPLACED_PER_SECOND_MAX,
        };
        let width = Width {
            per_host: SIDE_DOOR_PER_HOST,
            total: SIDE_DOOR_MAX,
            stay_ms: SIDE_DOOR_MS,
            safe_ms: SIDE_DOOR_SAFE_MS,
        };
        Self {
            throttle: Throttle::new(config.rules.clone(), desk.chance.octets()),
            admission: Admission::new(config.ceilings),
            tarpit: Tarpit::new(patience),
            side_door: SideDoor::new(width),
            sent: BTreeMap::new(),
        }
    }

    /// Lets something touch the login book. The pace of port 25 must not change by it.
    pub(super) fn logins<T>(
        &mut self,
        source: IpAddr,
        desk: &mut Desk,
        touch: impl FnOnce(&mut Throttle, &mut Desk) -> T,
    ) -> T {
        let before = self.throttle.pace(desk.now, source);
        let outcome = touch(&mut self.throttle, desk);
        if desk.has(PlantedBug::OneBookForAll) {
            self.throttle.mail_offence(desk.now, source, MailOffence::OtherProtocol);
        }
        let after = self.throttle.pace(desk.now, source);
        desk.check(Law::BooksApart, before == after, || {
            format!("a login changed the pace of port 25 from {before:?} to {after:?}")
        });
        outcome
    }

    /// Lets something touch the mail book. What the login book holds must not change by it.
    pub(super) fn mail(&mut self, source: IpAddr, desk: &mut Desk, touch: impl FnOnce(&mut Throttle, &Desk)) {
        let before = self.throttle.snapshot(desk.now);
        touch(&mut self.throttle, desk);
        if desk.has(PlantedBug::MailClearsLogins) {
            self.throttle.forgive(source);
        }
        let after = self.throttle.snapshot(desk.now);
        desk.check(Law::BooksApart, before == after, || {
            format!("mail from {source} changed the login book from {before:?} to {after:?}")
        });
    }
}
