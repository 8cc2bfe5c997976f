//! Who comes in: as `server/entrance.rs` does it, with the same throttle, admission, tarpit and side door.
//! Not modelled: descriptors that run out, and the shorter patience of a crowded server.

use super::*;
use crate::auth::throttle::ConnectVerdict;
use crate::policy::admission::Admitted;
use crate::policy::side_door::Entry;
use crate::policy::tarpit::Refused;
use crate::sim::gate::{Guest, Why};
use crate::types::{Enhanced, Prefix, Reply};

impl Server {
    /// Somebody connects.
    pub(in crate::sim) fn accept(
        &mut self,
        number: usize,
        listener: Listener,
        address: IpAddr,
        disk: &Disk,
        desk: &mut Desk,
    ) {
        let session = SessionId(u64::try_from(number).unwrap_or(u64::MAX));
        let peer = PeerFacts { session, address, listener };
        let place = self.pass_throttle(peer, desk).and_then(|pace| {
            if self.gate.throttle.is_restless(desk.now, address) {
                return Err(Why::Restless(pace));
            }
            self.find_place(peer, disk, desk)?;
            Ok(pace)
        });
        match place {
            Ok(pace) => self.admit(number, peer, pace, disk, desk),
            Err(why) => self.refuse(Guest { number, peer, why }, disk, desk),
        }
    }

    fn pass_throttle(&mut self, peer: PeerFacts, desk: &mut Desk) -> Result<Pace, Why> {
        let PeerFacts { address, listener, .. } = peer;
        let verdict = self.gate.throttle.at_connect(desk.now, address, listener);
        let is_denied = self.config.rules.deny.contains(&Prefix::host(address));
        if desk.promises.is_home(address, desk.now.unix) && !is_denied && listener != Listener::Smtp {
            let refused = matches!(verdict, ConnectVerdict::Refused(_)) || desk.has(PlantedBug::ShutsHomeOut);
            desk.check(Law::OwnersGetIn, !refused, || format!("a connection from {address} was refused"));
        }
        if listener == Listener::Smtp {
            let refused = matches!(verdict, ConnectVerdict::Refused(_));
            desk.check(Law::BooksApart, !refused, || format!("{address} was refused on port 25 for logins"));
        }
        match verdict {
            ConnectVerdict::Admit(pace, _) => {
                let here = self.gate.admission.connections_of_host(address);
                match pace.connections_max.is_some_and(|most| here >= most) {
                    true => Err(Why::BadRecord),
                    false => Ok(pace),
                }
            }
            ConnectVerdict::Denied(_) => Err(Why::Denied),
            ConnectVerdict::Refused(_) => Err(Why::Guessed),
        }
    }

    fn find_place(&mut self, peer: PeerFacts, disk: &Disk, desk: &mut Desk) -> Result<(), Why> {
        if desk.has(PlantedBug::AdmitsEverybody) {
            return Ok(());
        }
        let idle_since = |session: SessionId| self.conns.get(&number_of(session))?.idle_since();
        match self.gate.admission.consider(peer.address, idle_since) {
            Admitted::Yes => Ok(()),
            Admitted::InPlaceOf(session) => {
                self.turn_out(session, Cause::Crowded, disk, desk);
                Ok(())
            }
            Admitted::HostFull | Admitted::NetFull => Err(Why::NetworkFull),
            Admitted::AllFull => Err(Why::AllFull),
        }
    }

    /// Sends somebody away for somebody else.
    fn turn_out(&mut self, session: SessionId, cause: Cause, disk: &Disk, desk: &mut Desk) {
        let Some(mut conn) = self.conns.remove(&number_of(session)) else { return };
        desk.fault(Fault::TurnedOut);
        if !conn.is_over() {
            conn.end(cause, desk);
        }
        conn.flush(desk);
        conn.hang_up(desk);
        self.gone(&mut conn, disk, desk);
    }

    fn refuse(&mut self, guest: Guest, disk: &Disk, desk: &mut Desk) {
        desk.fault(Fault::TurnedAway);
        desk.tell(&format!("C{} is kept waiting: {:?}", guest.number, guest.why));
        let number = guest.number;
        if guest.why == Why::AllFull {
            return self.send_away(&guest, desk);
        }
        self.gate.sent.insert(number, Vec::new());
        match self.gate.tarpit.take(desk.now.moment, guest) {
            Refused::Held => {}
            Refused::InPlaceOf(other) | Refused::AtOnce(other) => match other.why {
                Why::Restless(pace) => self.let_in(&other, pace, disk, desk),
                Why::Denied | Why::Guessed | Why::BadRecord | Why::NetworkFull | Why::AllFull => {
                    self.send_away(&other, desk);
                }
            },
        }
    }

    fn send_away(&mut self, guest: &Guest, desk: &mut Desk) {
        self.gate.sent.remove(&guest.number);
        let reply = match guest.why {
            Why::Denied => Reply::new(554, Enhanced(5, 7, 1), "No service for your address"),
            Why::Guessed | Why::BadRecord | Why::NetworkFull => {
                Reply::new(421, Enhanced(4, 7, 0), "Try again later")
            }
            Why::AllFull | Why::Restless(_) => Reply::new(421, Enhanced(4, 3, 2), "Too many connections"),
        };
        if guest.peer.listener != Listener::Submissions {
            let mut octets = Vec::new();
            reply.encode(&mut octets);
            desk.later(0, Happening::ToClient(guest.number, Parcel::Octets(octets)));
        }
        desk.later(0, Happening::ToClient(guest.number, Parcel::Fin));
    }

    /// Those who have waited long enough go, or come in.
    pub(super) fn end_waits(&mut self, disk: &Disk, desk: &mut Desk) {
        let now = desk.now.moment;
        while let Some(guest) = self.gate.tarpit.due(now) {
            match guest.why {
                Why::Guessed => self.let_in_beside(&guest, disk, desk),
                Why::Restless(pace) => self.let_in(&guest, pace, disk, desk),
                Why::Denied | Why::BadRecord | Why::NetworkFull | Why::AllFull => {
                    self.send_away(&guest, desk);
                }
            }
        }
        for session in self.gate.side_door.overdue(now) {
            self.turn_out(session, Cause::Idle, disk, desk);
        }
    }

    pub(super) fn send_all_waiting_away(&mut self, desk: &mut Desk) {
        while let Some(guest) = self.gate.tarpit.oldest() {
            self.send_away(&guest, desk);
        }
    }

    fn let_in(&mut self, guest: &Guest, pace: Pace, disk: &Disk, desk: &mut Desk) {
        let Guest { number, peer, .. } = *guest;
        let left = |parcel: &Parcel| matches!(parcel, Parcel::Rst | Parcel::Fin);
        if self.gate.sent.get(&number).is_none_or(|sent| sent.iter().any(left)) {
            self.gate.sent.remove(&number);
            self.gate.throttle.fruitless_visit(desk.now, peer.address);
            return desk.later(0, Happening::ToClient(number, Parcel::Fin));
        }
        if let Err(why) = self.find_place(peer, disk, desk) {
            return self.send_away(&Guest { number, peer, why }, desk);
        }
        self.admit(number, peer, pace, disk, desk);
        for parcel in self.gate.sent.remove(&number).unwrap_or_default() {
            self.arrived(number, parcel, disk, desk);
        }
    }

    fn let_in_beside(&mut self, guest: &Guest, disk: &Disk, desk: &mut Desk) {
        let (now, session, host) = (desk.now.moment, guest.peer.session, Prefix::host(guest.peer.address));
        match self.gate.side_door.consider(now, host) {
            Entry::Free => {}
            Entry::InPlaceOf(other) => self.turn_out(other, Cause::Crowded, disk, desk),
            Entry::Full => return self.send_away(guest, desk),
        }
        desk.fault(Fault::CameBeside);
        self.gate.side_door.enter(now, session, host);
        self.let_in(guest, Pace::NEUTRAL, disk, desk);
        match self.conns.get_mut(&guest.number) {
            Some(conn) => conn.beside_since = Some(now),
            None => self.gate.side_door.leave(session),
        }
    }

    fn admit(&mut self, number: usize, peer: PeerFacts, pace: Pace, disk: &Disk, desk: &mut Desk) {
        self.gate.admission.enter(peer.session, peer.address);
        let mut conn =
            Box::new(Conn::new(number, peer, &self.settings, pace.of_session(), self.archive.arena(), desk));
        self.hear_notes(&mut conn, disk, desk);
        self.conns.insert(number, conn);
    }

    /// When a wait is over.
    pub(super) fn next_wait(&self) -> Option<Moment> {
        let beside = self.conns.values().filter_map(|conn| conn.beside_since);
        let beside = beside.min().map(|since| since.plus_ms(SIDE_DOOR_MS));
        [self.gate.tarpit.next_deadline(), beside].into_iter().flatten().min()
    }
}

/// The number of a session's connection.
pub(super) fn number_of(session: SessionId) -> usize {
    usize::try_from(session.0).unwrap_or(usize::MAX)
}
