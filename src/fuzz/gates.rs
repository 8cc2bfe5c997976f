//! Who may come in and how long who is sent away waits, held against counts that know everybody.

use super::{Verdict, promise};
use crate::policy::admission::{Admission, Admitted, Ceilings};
use crate::policy::side_door::{Entry, SideDoor, Width};
use crate::policy::tarpit::{Patience, Refused, Tarpit};
use crate::server::timers::{Deadline, Deadlines, Timers};
use crate::types::{Moment, Prefix, SessionId};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const CEILINGS: Ceilings = Ceilings { per_host: 3, per_net: 5, total: 9 };
const WIDTH: Width = Width { per_host: 2, total: 4, stay_ms: 10_000, safe_ms: 4_000 };
const PATIENCE: Patience = Patience { places: 6, hold_ms: 4_000, displaced_per_second_max: 2 };

/// Two octets an event: what happens, and to whom.
pub(super) fn gates(data: &[u8]) -> Verdict {
    let mut world = World {
        now: Moment(1_000),
        sessions: 0,
        admission: Admission::new(CEILINGS),
        here: BTreeMap::new(),
        door: SideDoor::new(WIDTH),
        inside: BTreeMap::new(),
        pit: Tarpit::new(PATIENCE),
        held: VecDeque::new(),
    };
    let mut rest = data;
    while let Some(([what, whom], behind)) = rest.split_first_chunk::<2>() {
        rest = behind;
        world.happens(*what, *whom)?;
    }
    Ok(())
}

struct World {
    now: Moment,
    sessions: u64,
    admission: Admission,
    /// Everybody here, with the time since when each is idle.
    here: BTreeMap<SessionId, (IpAddr, Moment)>,
    door: SideDoor,
    inside: BTreeMap<SessionId, (Prefix, Moment)>,
    pit: Tarpit<u64>,
    held: VecDeque<(Moment, u64)>,
}

impl World {
    fn happens(&mut self, what: u8, whom: u8) -> Verdict {
        match what % 8 {
            0..=2 => self.connects(address(whom), what & 8 != 0),
            3 => self.leaves(whom),
            4 => self.comes_by_the_side(Prefix::host(address(whom))),
            5 => self.leaves_by_the_side(whom),
            6 => self.is_refused(),
            _ => self.time_passes(whom),
        }
    }

    fn connects(&mut self, address: IpAddr, nobody_leaves: bool) -> Verdict {
        let here = &self.here;
        let idle = |id: SessionId| here.get(&id).map(|(_, since)| *since).filter(|_| !nobody_leaves);
        let same =
            |of: fn(IpAddr) -> Prefix| here.values().filter(|(other, _)| of(*other) == of(address)).count();
        let (of_host, of_net) = (same(Prefix::host), same(Prefix::net));
        let admitted = self.admission.consider(address, idle);
        let expected = match admitted {
            Admitted::HostFull => of_host >= CEILINGS.per_host,
            Admitted::NetFull => of_host < CEILINGS.per_host && of_net >= CEILINGS.per_net,
            Admitted::Yes => here.len() < CEILINGS.total && of_net < CEILINGS.per_net,
            Admitted::AllFull => here.len() >= CEILINGS.total && nobody_leaves,
            Admitted::InPlaceOf(id) => here.len() >= CEILINGS.total && self.is_of_the_crowd(id),
        };
        promise(expected, "a connection is admitted or refused for no reason")?;
        if let Admitted::InPlaceOf(id) = admitted {
            self.gone(id);
        }
        if matches!(admitted, Admitted::Yes | Admitted::InPlaceOf(_)) {
            self.sessions = self.sessions.saturating_add(1);
            let id = SessionId(self.sessions);
            self.admission.enter(id, address);
            self.here.insert(id, (address, self.now));
        }
        promise(self.admission.total() == self.here.len(), "connections are miscounted")?;
        let of_host =
            self.here.values().filter(|(other, _)| Prefix::host(*other) == Prefix::host(address)).count();
        promise(self.admission.connections_of_host(address) == of_host, "a host's connections are miscounted")
    }

    /// Whether nobody of a more crowded network, or idle for longer in the same, could have left instead.
    fn is_of_the_crowd(&self, id: SessionId) -> bool {
        let net = |address: IpAddr| Prefix::net(address);
        let crowd = |of: Prefix| self.here.values().filter(|(other, _)| net(*other) == of).count();
        let Some((address, since)) = self.here.get(&id) else { return false };
        self.here.iter().all(|(other, (at, idle))| {
            let smaller = crowd(net(*at)) <= crowd(net(*address));
            smaller && (net(*at) != net(*address) || (*since, id) <= (*idle, *other))
        })
    }

    fn leaves(&mut self, whom: u8) -> Verdict {
        let at = usize::from(whom).checked_rem(self.here.len()).unwrap_or_default();
        if let Some(id) = self.here.keys().nth(at).copied() {
            self.gone(id);
        }
        promise(self.admission.total() == self.here.len(), "who left is counted")
    }

    fn gone(&mut self, id: SessionId) {
        if let Some((address, _)) = self.here.remove(&id) {
            self.admission.leave(id, address);
            // Twice changes nothing.
            self.admission.leave(id, address);
        }
    }

    fn comes_by_the_side(&mut self, host: Prefix) -> Verdict {
        let of_host = self.inside.values().filter(|(other, _)| *other == host).count();
        let is_full = of_host >= WIDTH.per_host || self.inside.len() >= WIDTH.total;
        let entry = self.door.consider(self.now, host);
        let expected = match entry {
            Entry::Free => !is_full,
            Entry::Full => is_full,
            Entry::InPlaceOf(id) => {
                let safe = |since: Moment| self.now.since_ms(since) < WIDTH.safe_ms;
                is_full && self.inside.get(&id).is_some_and(|(_, since)| !safe(*since))
            }
        };
        promise(expected, "the side door opens or stays shut for no reason")?;
        if let Entry::InPlaceOf(id) = entry {
            self.door.leave(id);
            self.inside.remove(&id);
        }
        if entry != Entry::Full {
            self.sessions = self.sessions.saturating_add(1);
            let id = SessionId(self.sessions);
            self.door.enter(self.now, id, host);
            self.inside.insert(id, (host, self.now));
        }
        promise(self.inside.len() <= WIDTH.total, "too many are inside")
    }

    fn leaves_by_the_side(&mut self, whom: u8) -> Verdict {
        let at = usize::from(whom).checked_rem(self.inside.len()).unwrap_or_default();
        if let Some(id) = self.inside.keys().nth(at).copied() {
            self.door.leave(id);
            self.inside.remove(&id);
        }
        let mut late = self.door.overdue(self.now);
        late.sort();
        let expected: Vec<SessionId> = self
            .inside
            .iter()
            .filter(|(_, (_, since))| self.now.since_ms(*since) >= WIDTH.stay_ms)
            .map(|(id, _)| *id)
            .collect();
        promise(late == expected, "who stays too long inside is mistaken")
    }

    fn is_refused(&mut self) -> Verdict {
        self.sessions = self.sessions.saturating_add(1);
        let one = self.sessions;
        let until = self.now.plus_ms(PATIENCE.hold_ms);
        match self.pit.take(self.now, one) {
            Refused::Held => self.held.push_back((until, one)),
            Refused::InPlaceOf(oldest) => {
                promise(
                    self.held.pop_front().is_some_and(|(_, id)| id == oldest),
                    "another than the oldest goes",
                )?;
                self.held.push_back((until, one));
            }
            Refused::AtOnce(same) => promise(same == one, "another is closed than who came")?,
        }
        promise(self.held.len() <= PATIENCE.places, "more wait than there are places")?;
        promise(self.pit.len() == self.held.len(), "those who wait are miscounted")
    }

    fn time_passes(&mut self, ticks: u8) -> Verdict {
        self.now = self.now.plus_ms(u64::from(ticks).saturating_mul(100));
        let mut due = Vec::new();
        while let Some(one) = self.pit.due(self.now) {
            due.push(one);
        }
        let mut expected = Vec::new();
        while let Some((_, one)) = self.held.pop_front_if(|(until, _)| *until <= self.now) {
            expected.push(one);
        }
        promise(due == expected, "somebody waits too long, or not long enough")?;
        promise(
            self.pit.next_deadline() == self.held.front().map(|(until, _)| *until),
            "the next end is mistaken",
        )
    }
}

/// Few hosts in few networks, so that they fill.
fn address(whom: u8) -> IpAddr {
    match whom % 4 {
        3 => IpAddr::V6(Ipv6Addr::new(
            0x2001,
            0xdb8,
            0,
            u16::from(whom >> 4) & 0x101,
            0,
            0,
            0,
            u16::from(whom),
        )),
        net => IpAddr::V4(Ipv4Addr::new(192, 0, net, (whom >> 2) & 3)),
    }
}

/// Keys that have deadlines in this world.
const KEYS: usize = 4;

/// Three octets a deed: of whom, which deadline, when. No deadline is missed, and none is due before its time.
pub(super) fn timers(data: &[u8]) -> Verdict {
    let mut timers = Timers::default();
    let mut deadlines: Vec<Deadlines> = (0..KEYS).map(|_| Deadlines::default()).collect();
    let mut armed: BTreeMap<(usize, usize), Moment> = BTreeMap::new();
    let mut now = Moment(1_000);
    let mut rest = data;
    while let Some(([who, which, when], behind)) = rest.split_first_chunk::<3>() {
        rest = behind;
        let key = usize::from(*who).checked_rem(KEYS).unwrap_or_default();
        let kind = usize::from(*which).checked_rem(Deadline::ALL.len()).unwrap_or_default();
        let (Some(own), Some(deadline)) = (deadlines.get_mut(key), Deadline::ALL.get(kind)) else { continue };
        let at = now.plus_ms(u64::from(*when));
        match *who / 64 {
            0 | 1 => {
                own.arm(*deadline, Some(at));
                armed.insert((key, kind), at);
            }
            2 => {
                own.arm(*deadline, None);
                armed.remove(&(key, kind));
            }
            _ => now = at,
        }
        timers.follow(key, own);
        while let Some(key) = timers.due(now) {
            let Some(own) = deadlines.get_mut(key) else { return Err("nobody's deadline is due".into()) };
            while let Some(due) = own.take_due(now) {
                let kind = Deadline::ALL.iter().position(|known| *known == due).unwrap_or_default();
                let at = armed.remove(&(key, kind));
                promise(at.is_some_and(|at| at <= now), "a deadline is due before its time, or twice")?;
            }
            timers.looked(key, own);
        }
        promise(armed.values().all(|at| *at > now), "a deadline is missed")?;
        let next = armed.values().min();
        promise(next.is_none_or(|at| timers.next().is_some_and(|look| look <= *at)), "it sleeps too long")?;
    }
    Ok(())
}
