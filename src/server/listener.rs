//! Doors: listening sockets, accepted from without ever blocking, spinning or giving up.
#![expect(clippy::disallowed_methods, reason = "the spare descriptor is an open file")]

use crate::contract::Listener;
use crate::limits::ACCEPT_RETRY_MS;
use crate::types::{Enhanced, Moment, Reply};
use mio::net::{TcpListener, TcpStream};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::net::IpAddr;
use std::os::fd::OwnedFd;

/// A descriptor kept for the day there are no others: closing it makes room to accept a connection and
/// send it away, so that it does not wait in the kernel for ever.
#[derive(Debug)]
pub struct Spare(Option<File>);

impl Spare {
    /// Opens one.
    #[must_use]
    pub fn new() -> Self {
        Self(File::open("/dev/null").ok())
    }
}

impl Default for Spare {
    fn default() -> Self {
        Self::new()
    }
}

/// What an accept brought.
#[derive(Debug)]
pub enum Accepted {
    /// A connection.
    Peer(TcpStream, IpAddr),
    /// That connection is already gone, or was sent away; there may be others.
    Lost,
    /// As before, because the process has no descriptor left.
    NoDescriptor,
    /// Nobody waits, or it is to be tried again later.
    Nothing,
}

/// One listening socket.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    kind: Listener,
    ready: bool,
    retry: Option<Moment>,
}

impl Door {
    /// A door over a bound and listening socket.
    ///
    /// # Errors
    /// When its options cannot be set.
    pub fn new(socket: OwnedFd, kind: Listener) -> io::Result<Self> {
        // Accepted sockets inherit it. Without it a reply waits for the acknowledgement of the one before.
        rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
        let listener = std::net::TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        Ok(Self { listener: TcpListener::from_std(listener), kind, ready: true, retry: None })
    }

    /// The socket, to be registered.
    pub fn listener_mut(&mut self) -> &mut TcpListener {
        &mut self.listener
    }

    /// Which door.
    #[must_use]
    pub fn kind(&self) -> Listener {
        self.kind
    }

    /// The poll says that somebody waits.
    pub fn signalled(&mut self) {
        self.ready = true;
    }

    /// Whether somebody may be waiting now.
    #[must_use]
    pub fn is_ready(&self, now: Moment) -> bool {
        self.ready && self.retry.is_none_or(|at| at <= now)
    }

    /// When to try again after a failure.
    #[must_use]
    pub fn retry_at(&self) -> Option<Moment> {
        self.retry.filter(|_| self.ready)
    }

    /// Accepts one connection.
    pub fn accept(&mut self, now: Moment, spare: &mut Spare) -> Accepted {
        self.retry = None;
        match self.listener.accept() {
            Ok((stream, peer)) => Accepted::Peer(stream, peer.ip().to_canonical()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.ready = false;
                Accepted::Nothing
            }
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::MFILE | Errno::NFILE) => self.send_one_away(now, spare),
                // Lack of kernel memory passes, and asking at once does not help.
                Some(Errno::NOBUFS | Errno::NOMEM) => self.later(now),
                // Anything else concerns that one connection (accept(2) lists the network's own errors).
                Some(_) | None => Accepted::Lost,
            },
        }
    }

    fn later(&mut self, now: Moment) -> Accepted {
        self.retry = Some(now.plus_ms(ACCEPT_RETRY_MS));
        Accepted::Nothing
    }

    fn send_one_away(&mut self, now: Moment, spare: &mut Spare) -> Accepted {
        if spare.0.take().is_none() {
            *spare = Spare::new();
            return self.later(now);
        }
        let away = self.listener.accept();
        if let Ok((mut stream, _)) = away {
            if speaks_plainly(self.kind) {
                // A socket just accepted has room for one line; if not, closing says enough.
                let _ = stream.write(&as_octets(&Reply::new(421, Enhanced(4, 3, 2), TOO_MANY)));
            }
            drop(stream);
            *spare = Spare::new();
            return Accepted::NoDescriptor;
        }
        *spare = Spare::new();
        self.later(now)
    }
}

/// What those hear for whom there is no place.
pub const TOO_MANY: &str = "Too many connections, try again later";

/// Whether a door begins without TLS, so that a reply can be understood.
#[must_use]
pub fn speaks_plainly(kind: Listener) -> bool {
    match kind {
        Listener::Smtp | Listener::Submission => true,
        Listener::Submissions => false,
    }
}

/// A reply as octets.
#[must_use]
pub fn as_octets(reply: &Reply) -> Vec<u8> {
    let mut octets = Vec::new();
    reply.encode(&mut octets);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::time::Duration;

    fn door() -> (Door, std::net::SocketAddr) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (Door::new(OwnedFd::from(listener), Listener::Smtp).unwrap(), address)
    }

    fn accept(door: &mut Door) -> TcpStream {
        for _ in 0..1_000 {
            if let Accepted::Peer(stream, _) = door.accept(Moment(0), &mut Spare::new()) {
                return stream;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("nobody came");
    }

    #[test]
    fn an_accepted_socket_never_delays_a_reply() {
        let (mut door, address) = door();
        let _client = std::net::TcpStream::connect(address).unwrap();
        assert!(accept(&mut door).nodelay().unwrap());
    }

    #[test]
    fn without_a_descriptor_one_is_sent_away_and_the_door_stays_open() {
        let (mut door, address) = door();
        let mut client = std::net::TcpStream::connect(address).unwrap();
        let mut spare = Spare::new();
        let mut away = door.send_one_away(Moment(0), &mut spare);
        for _ in 0..1_000 {
            if let Accepted::NoDescriptor = away {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
            away = door.send_one_away(Moment(0), &mut spare);
        }
        let mut said = String::new();
        client.read_to_string(&mut said).unwrap();
        assert_eq!(said, "421 4.3.2 Too many connections, try again later\r\n");
        assert!(spare.0.is_some(), "the spare is there again");
        let _next = std::net::TcpStream::connect(address).unwrap();
        accept(&mut door);
    }

    #[test]
    fn a_door_that_failed_waits_for_its_timer() {
        let (mut door, _) = door();
        assert!(door.is_ready(Moment(0)));
        let mut spare = Spare(None);
        assert!(matches!(door.send_one_away(Moment(5), &mut spare), Accepted::Nothing));
        assert!(!door.is_ready(Moment(5)));
        assert_eq!(door.retry_at(), Some(Moment(5 + ACCEPT_RETRY_MS)));
        assert!(door.is_ready(Moment(5 + ACCEPT_RETRY_MS)));
    }
}
