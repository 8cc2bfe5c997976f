//! A socket and what lies between it and a session: TLS, octets not yet used, replies not yet sent.
//!
//! mio is edge-triggered, so a wire remembers that its socket was readable or writable until a call says
//! otherwise. TLS is driven by hand over rustls's buffers: octets of the socket are offered to it from
//! memory, so both modes read in the same size, and what STARTTLS finds unused simply becomes ciphertext.

use super::tls::Tls;
use crate::limits::{OUTPUT_HIGH_OCTETS, OUTPUT_LOW_OCTETS};
use mio::net::TcpStream;
use rustls::ServerConnection;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

/// Capacity an output buffer may keep while nothing is in it.
const EMPTY_OUTPUT_OCTETS: usize = 256;

/// How a handshake or a record failed; what the peer must be told is already queued by rustls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsBroken;

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// So many octets.
    Octets(usize),
    /// Nothing for now.
    Nothing,
    /// The peer closed its side.
    End,
}

/// One peer's socket.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    tls: Option<Box<ServerConnection>>,
    /// Octets of the socket that nobody could use yet.
    inbox: Vec<u8>,
    output: Vec<u8>,
    /// Octets of `output` already given to the socket or to TLS.
    sent: usize,
    /// Octets given to TLS and not yet known to be in the socket.
    in_tls: usize,
    readable: bool,
    writable: bool,
    hung_up: bool,
    ended: bool,
    /// A close_notify is owed; it goes out behind the last reply.
    parting: bool,
}

impl Wire {
    /// A wire over a socket just accepted.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            tls: None,
            inbox: Vec::new(),
            output: Vec::new(),
            sent: 0,
            in_tls: 0,
            readable: false,
            writable: true,
            hung_up: false,
            ended: false,
            parting: false,
        }
    }

    /// The socket, to be registered.
    pub fn stream_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Remembers what the poll said.
    pub fn signalled(&mut self, event: &mio::event::Event) {
        self.hung_up |= event.is_read_closed() || event.is_error();
        self.readable |= event.is_readable() || self.hung_up;
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
    }

    /// What the poll would have said.
    #[cfg(test)]
    pub fn expect_input(&mut self) {
        self.readable = true;
    }

    /// Whether a read may bring something.
    #[must_use]
    pub fn readable(&self) -> bool {
        self.readable && !self.ended
    }

    /// Whether a write may get rid of something.
    #[must_use]
    pub fn writable(&self) -> bool {
        self.writable
    }

    /// Whether the peer said that it sends no more.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Whether there is TLS, finished or not.
    #[must_use]
    pub fn tls(&self) -> Option<&ServerConnection> {
        self.tls.as_deref()
    }

    /// Whether octets are here that were not used, encrypted or not.
    #[must_use]
    pub fn has_input(&mut self) -> bool {
        !self.inbox.is_empty() || self.has_plaintext()
    }

    fn has_plaintext(&mut self) -> bool {
        match &mut self.tls {
            Some(tls) => tls.reader().fill_buf().is_ok_and(|octets| !octets.is_empty()),
            None => false,
        }
    }

    /// Takes the octets kept for later.
    pub fn take_inbox(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.inbox)
    }

    /// Keeps octets for later.
    pub fn keep_inbox(&mut self, octets: &[u8]) {
        self.inbox = octets.to_vec();
    }

    /// Reads once.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn read(&mut self, scratch: &mut [u8]) -> io::Result<Arrived> {
        if !self.readable() {
            return Ok(Arrived::Nothing);
        }
        loop {
            match self.stream.read(scratch) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(Arrived::End);
                }
                Ok(count) => {
                    // A short read emptied the socket, and what comes later brings a new edge. An end that
                    // was already announced brings none.
                    self.readable = count == scratch.len() || self.hung_up;
                    return Ok(Arrived::Octets(count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Ok(Arrived::Nothing);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Begins TLS: whatever is unused or comes from now on is ciphertext.
    ///
    /// # Errors
    /// When rustls cannot make a connection of the configuration.
    pub fn begin_tls(&mut self, shared: &Tls) -> Result<(), rustls::Error> {
        self.tls = Some(Box::new(ServerConnection::new(Arc::clone(&shared.config))?));
        Ok(())
    }

    /// Whether a handshake is under way.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Gives octets of the socket to TLS. Returns how many it took; call it again for the others after all
    /// plaintext was used.
    ///
    /// # Errors
    /// When the peer broke the protocol.
    pub fn decrypt(&mut self, mut octets: &[u8]) -> Result<usize, TlsBroken> {
        let offered = octets.len();
        let Some(tls) = &mut self.tls else { return Err(TlsBroken) };
        match tls.read_tls(&mut octets) {
            // Nothing is taken any more after the peer's close_notify.
            Ok(0) => {
                self.ended = true;
                return Ok(offered);
            }
            Ok(_) => {}
            Err(_) => return Err(TlsBroken),
        }
        let state = tls.process_new_packets().map_err(|_| TlsBroken)?;
        if state.peer_has_closed() {
            self.ended = true;
        }
        Ok(offered.saturating_sub(octets.len()))
    }

    /// Lets `use_it` take decrypted octets, if there are any. It says how many it took.
    pub fn with_plaintext(&mut self, use_it: impl FnOnce(&[u8]) -> usize) -> Option<usize> {
        let tls = self.tls.as_mut()?;
        let mut reader = tls.reader();
        let taken = match reader.fill_buf() {
            Ok(octets) if !octets.is_empty() => use_it(octets).min(octets.len()),
            // No octets, or an end; `ended` says which.
            Ok(_) | Err(_) => return None,
        };
        reader.consume(taken);
        Some(taken)
    }

    /// Where replies are appended.
    pub fn output_mut(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Octets that the peer has not taken yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.output.len().saturating_sub(self.sent).saturating_add(self.in_tls)
    }

    /// Whether anything, a TLS record included, is still to be sent.
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.waiting() > 0 || self.tls.as_ref().is_some_and(|tls| tls.wants_write() || self.parting)
    }

    /// Whether so much waits that the peer is no longer read.
    #[must_use]
    pub fn is_high(&self) -> bool {
        self.waiting() > OUTPUT_HIGH_OCTETS
    }

    /// Whether so little waits that the peer is read again.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.waiting() < OUTPUT_LOW_OCTETS
    }

    /// Sends what the socket takes.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.writable {
            if let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
                match tls.write_tls(&mut self.stream) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(_) => {}
                    Err(error) => self.refused(error)?,
                }
                continue;
            }
            self.in_tls = 0;
            let rest = self.output.get(self.sent..).unwrap_or_default();
            if rest.is_empty() {
                self.reset_output();
                match self.tls.as_mut().filter(|_| self.parting) {
                    Some(tls) => tls.send_close_notify(),
                    None => break,
                }
                self.parting = false;
                continue;
            }
            match &mut self.tls {
                Some(tls) if tls.is_handshaking() => break,
                Some(tls) => {
                    let count = tls.writer().write(rest)?;
                    self.in_tls = count;
                    self.sent = self.sent.saturating_add(count);
                }
                None => match self.stream.write(rest) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(count) => self.sent = self.sent.saturating_add(count),
                    Err(error) => self.refused(error)?,
                },
            }
        }
        Ok(())
    }

    fn reset_output(&mut self) {
        self.sent = 0;
        self.output.clear();
        if self.output.capacity() > EMPTY_OUTPUT_OCTETS {
            self.output = Vec::new();
        }
    }

    fn refused(&mut self, error: io::Error) -> io::Result<()> {
        if error.kind() == ErrorKind::WouldBlock {
            self.writable = false;
            return Ok(());
        }
        if error.kind() == ErrorKind::Interrupted { Ok(()) } else { Err(error) }
    }

    /// Says in TLS that nothing more is sent, once everything before it is.
    pub fn say_goodbye(&mut self) {
        self.parting = self.tls.is_some();
    }

    /// Closes the sending side; the peer sees the end after the last reply.
    ///
    /// # Errors
    /// When the connection is already broken.
    pub fn shut(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}
