//! One connection of a client: a socket that never blocks, and TLS on it where it is asked for.

use super::tls::client_config;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

pub use super::tls::{Trust, Wanted};

/// A connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    tls: Option<ClientConnection>,
    /// What is to be written, one write for each.
    outgoing: VecDeque<Vec<u8>>,
    /// Close the sending side once all is written.
    closing: bool,
    /// What came and was not taken yet, out of TLS where there is TLS.
    pub heard: Vec<u8>,
    /// Whether the other side ended it, in whatever way.
    pub ended: bool,
    /// What TLS had to complain about.
    pub fault: Option<String>,
}

impl Wire {
    /// Connects within `patience`.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect(to: SocketAddr, patience: Duration) -> io::Result<Self> {
        Self::on(TcpStream::connect_timeout(&to, patience)?)
    }

    /// Connects from an address of this machine.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect_from(from: IpAddr, to: SocketAddr) -> io::Result<Self> {
        let family = if from.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let fd = socket(family, SocketType::STREAM, None)?;
        bind(&fd, &SocketAddr::new(from, 0))?;
        connect(&fd, &to)?;
        Self::on(TcpStream::from(fd))
    }

    fn on(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            tls: None,
            outgoing: VecDeque::new(),
            closing: false,
            heard: Vec::new(),
            ended: false,
            fault: None,
        })
    }

    /// A handshake.
    ///
    /// # Errors
    /// Why it failed, for people.
    pub fn secure(&mut self, wanted: &Wanted<'_>, until: Instant) -> Result<(), String> {
        if !self.heard.is_empty() {
            return Err("the server said something in the clear before the handshake".to_owned());
        }
        let name = ServerName::try_from("localhost").map_err(|error| error.to_string())?;
        let mut tls =
            ClientConnection::new(client_config(wanted)?, name).map_err(|error| error.to_string())?;
        tls.set_buffer_limit(None);
        self.tls = Some(tls);
        self.flush_tls();
        while self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            if let Some(fault) = &self.fault {
                return Err(fault.clone());
            }
            if self.ended || Instant::now() >= until {
                return Err("it never came to an end".to_owned());
            }
            self.turn(until);
        }
        let suite = self.tls.as_ref().and_then(|tls| tls.negotiated_cipher_suite());
        wanted.is_met(suite)
    }

    /// Whether TLS is up.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| !tls.is_handshaking())
    }

    /// Sends pieces: each is a write of its own, and within TLS a record of its own. What cannot be sent is
    /// lost: what the server says about it tells more.
    pub fn send(&mut self, pieces: Vec<Vec<u8>>) {
        for piece in pieces {
            match &mut self.tls {
                Some(tls) => {
                    if let Err(error) = tls.writer().write_all(&piece) {
                        self.fault = Some(error.to_string());
                    }
                    self.flush_tls();
                }
                None => self.outgoing.push_back(piece),
            }
        }
        self.write();
    }

    /// Closes the sending side once all is written; within TLS with a close_notify.
    pub fn close_sending(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            self.flush_tls();
        }
        self.closing = true;
        self.write();
    }

    /// Breaks the connection: the server finds it reset.
    pub fn reset(self) {
        // Where that is refused it is closed as any other.
        let _ = sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
    }

    /// Waits until something comes or goes, and takes or gives it.
    pub fn turn(&mut self, until: Instant) {
        let mut flags = PollFlags::IN;
        if !self.outgoing.is_empty() {
            flags |= PollFlags::OUT;
        }
        let left = Timespec::try_from(until.saturating_duration_since(Instant::now()));
        let mut fds = [PollFd::new(&self.stream, flags)];
        // Interrupted or not: the caller asks again.
        let _ = poll(&mut fds, left.ok().as_ref());
        self.write();
        self.read();
    }

    fn write(&mut self) {
        while let Some(piece) = self.outgoing.front_mut() {
            match self.stream.write(piece) {
                Ok(count) => {
                    *piece = piece.get(count..).unwrap_or_default().to_vec();
                    if piece.is_empty() {
                        self.outgoing.pop_front();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A server that left takes nothing more; what it said is still to be read.
                Err(_) => self.outgoing.clear(),
            }
        }
        if self.closing {
            self.closing = false;
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }

    fn read(&mut self) {
        let mut buffer = [0_u8; 16 * 1024];
        while !self.ended {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(count) => self.came(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.ended = true,
            }
        }
    }

    fn came(&mut self, octets: &[u8]) {
        let Some(tls) = &mut self.tls else { return self.heard.extend_from_slice(octets) };
        let mut rest = octets;
        while !rest.is_empty() && self.fault.is_none() {
            match decrypted(tls, &mut rest) {
                Ok((mut plain, is_last)) => {
                    self.heard.append(&mut plain);
                    // Nothing follows a close_notify (RFC 8446 section 6.1), and some servers wait for ours before
                    // they close.
                    if is_last {
                        self.ended = true;
                        tls.send_close_notify();
                        break;
                    }
                }
                Err(fault) => self.fault = Some(fault),
            }
        }
        self.flush_tls();
    }

    /// Moves what TLS wants written to what is written, as one piece.
    fn flush_tls(&mut self) {
        let mut octets = Vec::new();
        if let Some(tls) = &mut self.tls {
            // Writing to a vector cannot fail.
            while tls.wants_write() && tls.write_tls(&mut octets).is_ok() {}
        }
        if !octets.is_empty() {
            self.outgoing.push_back(octets);
            self.write();
        }
    }
}

/// What is in octets that came, and whether it is the last that comes.
fn decrypted(tls: &mut ClientConnection, rest: &mut &[u8]) -> Result<(Vec<u8>, bool), String> {
    tls.read_tls(rest).map_err(|error| error.to_string())?;
    let state = tls.process_new_packets().map_err(|error| error.to_string())?;
    let mut plain = vec![0; state.plaintext_bytes_to_read()];
    tls.reader().read_exact(&mut plain).map_err(|error| error.to_string())?;
    Ok((plain, state.peer_has_closed()))
}
