//! May this connection exist? Ceilings per host, per network and in total, and who leaves when it is full.
//!
//! A table with one entry per connection, so its size is bounded by the ceiling on connections. Who is idle
//! and who may be turned out is asked of the caller: the connections know it better than a copy would.

use crate::types::{Moment, Prefix, SessionId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceilings {
    /// From one host.
    pub per_host: usize,
    /// From one network.
    pub per_net: usize,
    /// In all.
    pub total: usize,
}

/// What becomes of a connection that wants to exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// It may.
    Yes,
    /// It may, when this one has been sent away with 421 4.3.2.
    InPlaceOf(SessionId),
    /// Its host has as many as it may have: 421 4.7.0.
    HostFull,
    /// Its network has as many as it may have: 421 4.7.0.
    NetFull,
    /// All places are taken by those who may not be sent away: 421 4.3.2.
    AllFull,
}

/// Who is here, by prefix.
#[derive(Debug)]
pub struct Admission {
    ceilings: Ceilings,
    total: usize,
    hosts: BTreeMap<Prefix, usize>,
    nets: BTreeMap<Prefix, BTreeSet<SessionId>>,
    /// The same networks by how many connections they have.
    crowds: BTreeSet<(usize, Prefix)>,
}

impl Admission {
    /// Nobody is here.
    #[must_use]
    pub fn new(ceilings: Ceilings) -> Self {
        Self { ceilings, total: 0, hosts: BTreeMap::new(), nets: BTreeMap::new(), crowds: BTreeSet::new() }
    }

    /// Decides about one more connection from `address`. Changes nothing.
    ///
    /// `idle_since` says since when a session has been idle, or `None` for one that may not be sent away:
    /// it has authenticated, or the store is about to answer it.
    pub fn consider(&self, address: IpAddr, idle_since: impl Fn(SessionId) -> Option<Moment>) -> Admitted {
        let net = self.nets.get(&Prefix::net(address)).map_or(0, BTreeSet::len);
        if self.hosts.get(&Prefix::host(address)).copied().unwrap_or(0) >= self.ceilings.per_host {
            return Admitted::HostFull;
        }
        if net >= self.ceilings.per_net {
            return Admitted::NetFull;
        }
        if self.total < self.ceilings.total {
            return Admitted::Yes;
        }
        self.longest_idle(idle_since).map_or(Admitted::AllFull, Admitted::InPlaceOf)
    }

    /// The longest idle of the most crowded network that has anybody who may be sent away.
    fn longest_idle(&self, idle_since: impl Fn(SessionId) -> Option<Moment>) -> Option<SessionId> {
        self.crowds.iter().rev().filter_map(|(_, net)| self.nets.get(net)).find_map(|members| {
            members.iter().filter_map(|id| idle_since(*id).map(|since| (since, *id))).min().map(|(_, id)| id)
        })
    }

    /// The connection exists from now on.
    pub fn enter(&mut self, session: SessionId, address: IpAddr) {
        let net = Prefix::net(address);
        let members = self.nets.entry(net).or_default();
        let before = members.len();
        if !members.insert(session) {
            return;
        }
        self.crowds.remove(&(before, net));
        self.crowds.insert((before.saturating_add(1), net));
        self.total = self.total.saturating_add(1);
        let host = self.hosts.entry(Prefix::host(address)).or_default();
        *host = host.saturating_add(1);
    }

    /// The connection is gone.
    pub fn leave(&mut self, session: SessionId, address: IpAddr) {
        let net = Prefix::net(address);
        let Some(members) = self.nets.get_mut(&net) else { return };
        let before = members.len();
        if !members.remove(&session) {
            return;
        }
        let after = members.len();
        self.crowds.remove(&(before, net));
        if after == 0 {
            self.nets.remove(&net);
        } else {
            self.crowds.insert((after, net));
        }
        self.total = self.total.saturating_sub(1);
        let host = Prefix::host(address);
        match self.hosts.get_mut(&host) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
            Some(_) => {
                self.hosts.remove(&host);
            }
            None => {}
        }
    }

    /// Connections there are from the host of this address.
    #[must_use]
    pub fn connections_of_host(&self, address: IpAddr) -> usize {
        self.hosts.get(&Prefix::host(address)).copied().unwrap_or(0)
    }

    /// Connections there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// Whether more than four fifths of the places are taken, so that idle sessions are given less time.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.total.saturating_mul(5) > self.ceilings.total.saturating_mul(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Chance;

    fn ceilings(per_host: usize, per_net: usize, total: usize) -> Ceilings {
        Ceilings { per_host, per_net, total }
    }

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn nobody(_: SessionId) -> Option<Moment> {
        None
    }

    #[test]
    fn a_host_has_its_ceiling_and_its_neighbour_another() {
        let mut admission = Admission::new(ceilings(2, 10, 100));
        admission.enter(SessionId(1), at("192.0.2.1"));
        admission.enter(SessionId(2), at("192.0.2.1"));
        assert_eq!(admission.consider(at("192.0.2.1"), nobody), Admitted::HostFull);
        assert_eq!(admission.consider(at("192.0.2.2"), nobody), Admitted::Yes);
    }

    #[test]
    fn a_network_has_its_ceiling_however_many_hosts_it_uses() {
        let mut admission = Admission::new(ceilings(2, 3, 100));
        for (id, host) in ["192.0.2.1", "192.0.2.2", "192.0.2.3"].iter().enumerate() {
            admission.enter(SessionId(id as u64), at(host));
        }
        assert_eq!(admission.consider(at("192.0.2.200"), nobody), Admitted::NetFull);
        assert_eq!(admission.consider(at("192.0.3.200"), nobody), Admitted::Yes);
    }

    #[test]
    fn an_ipv6_host_is_a_64_and_its_network_a_56() {
        let mut admission = Admission::new(ceilings(1, 2, 100));
        admission.enter(SessionId(1), at("2001:db8:0:1::1"));
        assert_eq!(admission.consider(at("2001:db8:0:1:ffff::9"), nobody), Admitted::HostFull);
        admission.enter(SessionId(2), at("2001:db8:0:2::1"));
        assert_eq!(admission.consider(at("2001:db8:0:ff::1"), nobody), Admitted::NetFull);
        assert_eq!(admission.consider(at("2001:db8:0:100::1"), nobody), Admitted::Yes);
    }

    #[test]
    fn an_ipv4_host_is_never_taken_for_an_ipv6_one() {
        assert_ne!(Prefix::host(at("0.0.0.1")), Prefix::host(at("0:0:0:1::")));
    }

    #[test]
    fn when_full_the_longest_idle_of_the_most_crowded_network_leaves() {
        let mut admission = Admission::new(ceilings(10, 10, 4));
        admission.enter(SessionId(1), at("198.51.100.1"));
        for id in 2..=4 {
            admission.enter(SessionId(id), at("192.0.2.1"));
        }
        // Session 1 has been idle longest of all, but it is alone; of the crowd it is session 3.
        let idle = |id: SessionId| Some(Moment(if id.0 == 1 { 0 } else { 10 - id.0 % 4 }));
        assert_eq!(admission.consider(at("203.0.113.1"), idle), Admitted::InPlaceOf(SessionId(3)));
    }

    #[test]
    fn those_who_may_not_be_sent_away_stay_and_the_next_crowd_pays() {
        let mut admission = Admission::new(ceilings(10, 10, 3));
        admission.enter(SessionId(1), at("192.0.2.1"));
        admission.enter(SessionId(2), at("192.0.2.1"));
        admission.enter(SessionId(3), at("198.51.100.1"));
        let only_three = |id: SessionId| (id.0 == 3).then_some(Moment(9));
        assert_eq!(admission.consider(at("203.0.113.1"), only_three), Admitted::InPlaceOf(SessionId(3)));
        assert_eq!(admission.consider(at("203.0.113.1"), nobody), Admitted::AllFull);
    }

    #[test]
    fn more_than_four_fifths_is_crowded() {
        let mut admission = Admission::new(ceilings(10, 10, 5));
        for id in 0..4 {
            admission.enter(SessionId(id), at("192.0.2.1"));
        }
        assert!(!admission.is_crowded());
        admission.enter(SessionId(4), at("192.0.2.1"));
        assert!(admission.is_crowded());
    }

    #[test]
    fn whoever_leaves_makes_room_and_leaves_nothing_behind() {
        let mut chance = Chance::from_seed([7; 32]);
        let mut admission = Admission::new(ceilings(50, 50, 50));
        let mut here: Vec<(SessionId, IpAddr)> = Vec::new();
        for id in 0..2_000 {
            if chance.below(2) == 0 && !here.is_empty() {
                let index = usize::try_from(chance.u64()).unwrap() % here.len();
                let (session, address) = here.swap_remove(index);
                admission.leave(session, address);
                // Leaving twice changes nothing.
                admission.leave(session, address);
            } else {
                let address = IpAddr::from([192, 0, chance.octets()[0] % 3, chance.octets()[0] % 4]);
                admission.enter(SessionId(id), address);
                here.push((SessionId(id), address));
            }
            assert_eq!(admission.total(), here.len());
            assert_eq!(admission.hosts.values().sum::<usize>(), here.len());
            assert_eq!(admission.crowds.iter().map(|(count, _)| count).sum::<usize>(), here.len());
            assert_eq!(admission.crowds.len(), admission.nets.len());
        }
        for (session, address) in here {
            admission.leave(session, address);
        }
        assert!(admission.hosts.is_empty() && admission.nets.is_empty() && admission.crowds.is_empty());
    }
}
