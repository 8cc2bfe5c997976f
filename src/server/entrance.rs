//! Who comes in: accepts, asks throttle and admission, keeps waiting whom they refuse, and lets in the others.
//!
//! A refused connection is held unread and ungreeted for some seconds. It is no session: it has no place in
//! the admission, no buffers and no TLS, and the poll does not know it.

use super::connection::Connection;
use super::listener::{Accepted, TOO_MANY, as_octets, speaks_plainly};
use super::turn::Loop;
use crate::auth::throttle::{Because, ConnectVerdict};
use crate::auth::verdict::ThrottleRule;
use crate::contract::{Cause, Event, Listener, Pace, PeerFacts};
use crate::limits::{
    ACCEPTS_PER_TURN, HELD_DISPLACED_PER_SECOND_MAX, HELD_MS, HELD_RECEIVE_OCTETS, LET_IN_RECEIVE_OCTETS,
    NO_DESCRIPTOR_TELL_MS, REFUSALS_PER_TURN, SIDE_DOOR_MAX, SIDE_DOOR_MS, SIDE_DOOR_PER_HOST,
    SIDE_DOOR_SAFE_MS,
};
use crate::policy::admission::Admitted;
use crate::policy::side_door::{Entry, SideDoor, Width};
use crate::policy::tarpit::{Patience, Refused, Tarpit};
use crate::smtp::session::Session;
use crate::telemetry::line::Line;
use crate::telemetry::note::Note;
use crate::types::{Enhanced, Moment, Prefix, Reply, SessionId};
use mio::Interest;
use mio::net::TcpStream;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use std::io::{ErrorKind, Write};
use std::net::IpAddr;

/// Why a connection is not let in, or not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The administrator's word.
    Denied,
    /// Too many wrong passwords.
    Guessed(ThrottleRule),
    /// Its record on port 25 leaves it fewer connections at once.
    BadRecord,
    /// Its host or network has as many as it may have.
    NetworkFull,
    /// There is no place for anybody.
    AllFull,
    /// Too many of its connections brought nothing. It is let in when it has waited.
    Restless(Pace),
}

impl Why {
    fn reply(self) -> Reply {
        match self {
            Self::Denied => Reply::new(554, Enhanced(5, 7, 1), "No service for your address"),
            Self::Guessed(_) => Reply::new(421, Enhanced(4, 7, 0), "Too many failed logins, try again later"),
            Self::BadRecord => {
                let text = "Too many connections from an address with such a record";
                Reply::new(421, Enhanced(4, 7, 0), text)
            }
            Self::NetworkFull => Reply::new(421, Enhanced(4, 7, 0), "Too many connections from your network"),
            // Who is restless hears it only when the server leaves.
            Self::AllFull | Self::Restless(_) => Reply::new(421, Enhanced(4, 3, 2), TOO_MANY),
        }
    }

    fn note(self) -> Note {
        match self {
            Self::Denied => Note::TurnedAway { rule: ThrottleRule::DenyList, enforced: true },
            Self::Guessed(rule) => Note::TurnedAway { rule, enforced: true },
            Self::BadRecord | Self::NetworkFull | Self::AllFull | Self::Restless(_) => {
                Note::Closed { cause: Cause::Crowded, errors: 0, offence: "" }
            }
        }
    }

    /// What is noted of a peer that did not wait to be let in.
    fn note_if_it_left(self) -> Note {
        match self {
            Self::Restless(_) => Note::Closed { cause: Cause::PeerClosed, errors: 0, offence: "" },
            Self::Denied | Self::Guessed(_) | Self::BadRecord | Self::NetworkFull | Self::AllFull => {
                self.note()
            }
        }
    }
}

/// A connection that is not let in, or not yet.
#[derive(Debug)]
pub(super) struct TurnedAway {
    stream: TcpStream,
    peer: PeerFacts,
    why: Why,
}

/// What became of a connection that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Considered {
    LetIn,
    Refused,
}

/// A tarpit with so many places.
pub(super) fn tarpit(places: usize) -> Tarpit<TurnedAway> {
    let displaced_per_second_max = HELD_DISPLACED_PER_SECOND_MAX;
    Tarpit::new(Patience { places, hold_ms: HELD_MS, displaced_per_second_max })
}

/// A side door nobody has come through.
pub(super) fn side_door() -> SideDoor {
    SideDoor::new(Width {
        per_host: SIDE_DOOR_PER_HOST,
        total: SIDE_DOOR_MAX,
        stay_ms: SIDE_DOOR_MS,
        safe_ms: SIDE_DOOR_SAFE_MS,
    })
}

/// Whether the peer closed while it waited.
fn has_left(stream: &TcpStream) -> bool {
    match stream.peek(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

impl Loop {
    /// Ends the waits that are over, then accepts from every door, within a budget each.
    pub(super) fn accept_some(&mut self) {
        self.end_waits();
        for index in 0..self.doors.len() {
            let mut refusals = 0_usize;
            for _ in 0..ACCEPTS_PER_TURN {
                if refusals >= REFUSALS_PER_TURN {
                    break;
                }
                let now = self.now.moment;
                let Some(door) = self.doors.get_mut(index).filter(|door| door.is_ready(now)) else { break };
                let kind = door.kind();
                match door.accept(now, &mut self.spare) {
                    Accepted::Peer(stream, address) => match self.consider(stream, address, kind) {
                        Considered::LetIn => {}
                        Considered::Refused => refusals = refusals.saturating_add(1),
                    },
                    Accepted::Lost => {}
                    Accepted::NoDescriptor => self.no_descriptor(),
                    Accepted::Nothing => break,
                }
            }
        }
    }

    /// Who is held has a descriptor that somebody else needs more.
    fn no_descriptor(&mut self) {
        self.send_all_waiting_away();
        let now = self.now.moment;
        if self.no_descriptor_told.is_none_or(|told| now.since_ms(told) >= NO_DESCRIPTOR_TELL_MS) {
            self.no_descriptor_told = Some(now);
            let line = Line::new("no-descriptor").field("connections", self.connections.len());
            let why = "the limit on open files is reached; who comes now is sent away with 421";
            self.recorder.operation(self.now, log::Level::Error, line.text("reason", why));
        }
    }

    fn consider(&mut self, stream: TcpStream, address: IpAddr, listener: Listener) -> Considered {
        self.last_session = self.last_session.wrapping_add(1);
        let peer = PeerFacts { session: SessionId(self.last_session), address, listener };
        let place = self.pass_throttle(peer).and_then(|pace| {
            if self.throttle.is_restless(self.now, address) {
                return Err(Why::Restless(pace));
            }
            self.find_place(peer)?;
            Ok(pace)
        });
        match place {
            Ok(pace) => {
                self.admit(stream, peer, pace);
                Considered::LetIn
            }
            Err(why) => {
                self.refuse(TurnedAway { stream, peer, why });
                Considered::Refused
            }
        }
    }

    /// What the throttle says of a connection: how fast it is served.
    fn pass_throttle(&mut self, peer: PeerFacts) -> Result<Pace, Why> {
        match self.throttle.at_connect(self.now, peer.address, peer.listener) {
            ConnectVerdict::Admit(pace, would_refuse) => {
                self.tell_would_refuse(peer, would_refuse);
                let here = self.admission.connections_of_host(peer.address);
                if pace.connections_max.is_some_and(|most| here >= most) {
                    return Err(Why::BadRecord);
                }
                Ok(pace.of_session())
            }
            ConnectVerdict::Denied(_) => Err(Why::Denied),
            ConnectVerdict::Refused(because) => Err(Why::Guessed(because.rule.kind())),
        }
    }

    /// Whether there is a place; sends somebody else away where that makes one.
    fn find_place(&mut self, peer: PeerFacts) -> Result<(), Why> {
        let idle_since = |session| -> Option<Moment> {
            self.by_session.get(&session).and_then(|key| self.connections.get(*key))?.idle_since()
        };
        match self.admission.consider(peer.address, idle_since) {
            Admitted::Yes => Ok(()),
            Admitted::InPlaceOf(session) => {
                self.turn_out(session, Cause::Crowded);
                Ok(())
            }
            Admitted::HostFull | Admitted::NetFull => Err(Why::NetworkFull),
            Admitted::AllFull => Err(Why::AllFull),
        }
    }

    fn turn_out(&mut self, session: SessionId, cause: Cause) {
        if let Some(key) = self.by_session.get(&session) {
            self.with(*key, |old, desk, _, deeds| old.turn_out(cause, desk, deeds));
        }
    }

    /// What a dry run would have refused.
    pub(super) fn tell_would_refuse(&mut self, peer: PeerFacts, because: Option<Because>) {
        if let Some(Because { rule, .. }) = because {
            self.note(peer, Note::TurnedAway { rule: rule.kind(), enforced: false });
        }
    }

    // ---- Those who are refused ----

    fn refuse(&mut self, refused: TurnedAway) {
        match refused.why {
            // It is not to blame, and may find another server.
            Why::AllFull => return self.send_away(refused),
            Why::Denied | Why::Guessed(_) | Why::BadRecord | Why::NetworkFull | Why::Restless(_) => {}
        }
        // The system may keep a larger one; then a peer that talks costs the kernel more.
        let _ = set_socket_recv_buffer_size(&refused.stream, HELD_RECEIVE_OCTETS);
        match self.tarpit.take(self.now.moment, refused) {
            Refused::Held => {}
            Refused::InPlaceOf(other) | Refused::AtOnce(other) => match other.why {
                // It was to be slowed; nobody refused it.
                Why::Restless(pace) => {
                    self.let_in(other, pace);
                }
                Why::Denied | Why::Guessed(_) | Why::BadRecord | Why::NetworkFull | Why::AllFull => {
                    self.send_away(other);
                }
            },
        }
    }

    /// Says one line where it can be heard, and closes. A socket on which nothing was said has room for it; if
    /// not, closing says enough.
    fn send_away(&mut self, TurnedAway { mut stream, peer, why }: TurnedAway) {
        if speaks_plainly(peer.listener) {
            let _ = stream.write(&as_octets(&why.reply()));
        }
        self.note(peer, why.note());
    }

    /// Those who have waited long enough go, or come in by the side door.
    fn end_waits(&mut self) {
        let now = self.now.moment;
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(one) = self.tarpit.due(now) else { break };
            match one.why {
                Why::Guessed(_) => self.let_in_beside(one),
                Why::Restless(pace) => {
                    self.let_in(one, pace);
                }
                Why::Denied | Why::BadRecord | Why::NetworkFull | Why::AllFull => self.send_away(one),
            }
        }
        for session in self.side_door.overdue(now) {
            self.turn_out(session, Cause::Idle);
        }
    }

    /// Sends all away who wait: the server leaves, or needs their descriptors.
    pub(super) fn send_all_waiting_away(&mut self) {
        while let Some(one) = self.tarpit.oldest() {
            self.send_away(one);
        }
    }

    /// Lets in who has waited, if there is a place now and it did wait. Says whether it is in.
    fn let_in(&mut self, one: TurnedAway, pace: Pace) -> bool {
        if has_left(&one.stream) {
            self.throttle.fruitless_visit(self.now, one.peer.address);
            self.note(one.peer, one.why.note_if_it_left());
            return false;
        }
        if let Err(why) = self.find_place(one.peer) {
            self.send_away(TurnedAway { why, ..one });
            return false;
        }
        let _ = set_socket_recv_buffer_size(&one.stream, LET_IN_RECEIVE_OCTETS);
        self.admit(one.stream, one.peer, pace);
        true
    }

    /// A few of those who guessed too often get as far as AUTH, where an application password is all that
    /// helps.
    fn let_in_beside(&mut self, one: TurnedAway) {
        let (now, session, host) = (self.now.moment, one.peer.session, Prefix::host(one.peer.address));
        match self.side_door.consider(now, host) {
            Entry::Free => {}
            Entry::InPlaceOf(other) => self.turn_out(other, Cause::Crowded),
            Entry::Full => return self.send_away(one),
        }
        self.side_door.enter(now, session, host);
        if !self.let_in(one, Pace::default()) {
            self.side_door.leave(session);
        }
    }

    // ---- Those who are let in ----

    fn admit(&mut self, stream: TcpStream, facts: PeerFacts, pace: Pace) {
        let session = Session::new(facts, self.settings.clone(), self.chance.fork());
        let mut connection =
            Box::new(Connection::new(stream, facts, session, self.now, self.recordings.arena.clone()));
        let key = self.connections.vacant_key();
        // Once for both directions and for ever: with edges no other call to the poll is needed.
        let interest = Interest::READABLE | Interest::WRITABLE;
        let stream = connection.wire_mut().stream_mut();
        if let Err(error) = self.registry().register(stream, Self::token(key), interest) {
            self.side_door.leave(facts.session);
            let line = Line::new("not-registered").field("session", facts.session);
            self.recorder.trouble(self.now, log::Level::Error, line.text("reason", &error.to_string()));
            return;
        }
        self.connections.insert(connection);
        self.by_session.insert(facts.session, key);
        self.admission.enter(facts.session, facts.address);
        self.with(key, |connection, desk, _, deeds| {
            if pace != Pace::default() {
                connection.tell(Event::Paced(pace), desk, deeds);
            }
            connection.open(desk, deeds);
        });
    }
}
