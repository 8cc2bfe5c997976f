//! A connection to the server that is audited: one reply after the other, with times and sizes.

use crate::audit::visit::Heard;
use crate::cli::live::tls::{self, Wanted};
use crate::limits::{AUDIT_CONNECT_MS_MAX, AUDIT_REPLY_MS_MAX, AUDIT_REPLY_OCTETS_MAX};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A connection, with TLS or without.
pub struct Wire {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// What came and was not taken yet, out of TLS where there is TLS.
    plain: Vec<u8>,
    /// What came of a TLS record that is not whole yet.
    record: Vec<u8>,
    sizes: Vec<usize>,
}

/// What came for something said.
pub struct Answer {
    /// The reply, or why there is none.
    pub heard: Heard,
    /// From before it was said until after it came.
    pub took: Duration,
    /// See [`Step::octets`](crate::audit::visit::Step).
    pub octets: Vec<usize>,
}

impl Wire {
    /// Connects, from an address of this machine if one is given.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn connect(from: Option<IpAddr>, to: SocketAddr) -> io::Result<Self> {
        let patience = Duration::from_millis(AUDIT_CONNECT_MS_MAX);
        let stream = match from {
            Some(from) => {
                let family = if from.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
                let fd = socket(family, SocketType::STREAM, None)?;
                // Linux bounds the connect by it too.
                sockopt::set_socket_timeout(&fd, sockopt::Timeout::Send, Some(patience))?;
                bind(&fd, &SocketAddr::new(from, 0))?;
                connect(&fd, &to)?;
                TcpStream::from(fd)
            }
            None => TcpStream::connect_timeout(&to, patience)?,
        };
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(Duration::from_millis(AUDIT_REPLY_MS_MAX)))?;
        Ok(Self { stream, tls: None, plain: Vec::new(), record: Vec::new(), sizes: Vec::new() })
    }

    /// The address of this end.
    pub fn own_address(&self) -> Option<IpAddr> {
        self.stream.local_addr().ok().map(|address| address.ip())
    }

    /// Whether TLS is on.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// A handshake; whoever the server says it is is believed.
    ///
    /// # Errors
    /// How it ended.
    pub fn secure(&mut self, host: &str) -> Result<(), Heard> {
        let name = ServerName::try_from(host.to_owned())
            .or_else(|_| ServerName::try_from("localhost"))
            .map_err(|_| Heard::Broken)?;
        let config = client_config().map_err(|_| Heard::Broken)?;
        let tls = ClientConnection::new(config, name).map_err(|_| Heard::Broken)?;
        self.tls = Some(Box::new(tls));
        self.flush().map_err(|error| ended(&error))?;
        let until = deadline(AUDIT_REPLY_MS_MAX);
        while self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            self.read(until)?;
        }
        Ok(())
    }

    /// Says something and waits for one reply.
    pub fn ask(&mut self, said: &[u8]) -> Answer {
        self.sizes.clear();
        let since = Instant::now();
        let heard = match self.say(said) {
            Ok(()) => self.reply(AUDIT_REPLY_MS_MAX),
            // What the server said before it left is still to be read.
            Err(_) => self.reply(0),
        };
        let took = since.elapsed();
        Answer { heard, took, octets: std::mem::take(&mut self.sizes) }
    }

    /// Says something.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn say(&mut self, said: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => {
                tls.writer().write_all(said)?;
                self.flush()
            }
            None => self.stream.write_all(said),
        }
    }

    /// The next reply.
    pub fn reply(&mut self, wait_ms: u64) -> Heard {
        let until = deadline(wait_ms);
        loop {
            if let Some(length) = whole_reply(&self.plain) {
                let rest = self.plain.get(length..).unwrap_or_default().to_vec();
                self.plain.truncate(length);
                let text = String::from_utf8_lossy(&self.plain).trim_end().replace("\r\n", "\n");
                self.plain = rest;
                return Heard::Reply(text);
            }
            if self.plain.len() > AUDIT_REPLY_OCTETS_MAX {
                return Heard::Broken;
            }
            if let Err(ended) = self.read(until) {
                return ended;
            }
        }
    }

    fn read(&mut self, until: Instant) -> Result<(), Heard> {
        let left = until.saturating_duration_since(Instant::now());
        // Zero would mean for ever.
        let left = left.max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(left)).map_err(|_| Heard::Broken)?;
        let mut buffer = [0; 16 * 1024];
        let count = self.stream.read(&mut buffer).map_err(|error| ended(&error))?;
        if count == 0 {
            return Err(Heard::Closed);
        }
        self.came(buffer.get(..count).unwrap_or_default())
    }

    fn came(&mut self, octets: &[u8]) -> Result<(), Heard> {
        let Some(tls) = &mut self.tls else {
            self.plain.extend_from_slice(octets);
            match self.sizes.last_mut() {
                Some(size) => *size = size.saturating_add(octets.len()),
                None => self.sizes.push(octets.len()),
            }
            return Ok(());
        };
        self.record.extend_from_slice(octets);
        let mut rest = octets;
        while !rest.is_empty() {
            tls.read_tls(&mut rest).map_err(|_| Heard::Broken)?;
            let state = tls.process_new_packets().map_err(|_| Heard::Broken)?;
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            tls.reader().read_exact(&mut plain).map_err(|_| Heard::Broken)?;
            self.plain.append(&mut plain);
            if state.peer_has_closed() {
                return if self.plain.is_empty() { Err(Heard::Closed) } else { Ok(()) };
            }
        }
        self.count_records();
        self.flush().map_err(|error| ended(&error))
    }

    /// Sizes of the records that are whole (RFC 8446 section 5.1: five octets of header, the last two a length).
    fn count_records(&mut self) {
        while let [_, _, _, high, low, ..] = self.record.as_slice() {
            let size = usize::from(u16::from_be_bytes([*high, *low])).saturating_add(5);
            let Some(rest) = self.record.get(size..).map(<[u8]>::to_vec) else { return };
            self.sizes.push(size);
            self.record = rest;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut octets = Vec::new();
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut octets)?;
            }
        }
        self.stream.write_all(&octets)
    }
}

fn deadline(wait_ms: u64) -> Instant {
    let now = Instant::now();
    now.checked_add(Duration::from_millis(wait_ms)).unwrap_or(now)
}

fn ended(error: &io::Error) -> Heard {
    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
        Heard::Silence
    } else {
        Heard::Broken
    }
}

/// Octets of the first reply, if all of it is there: up to the first line with no hyphen behind its code.
fn whole_reply(octets: &[u8]) -> Option<usize> {
    let mut end = 0_usize;
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        end = end.saturating_add(line.len());
        if line.last() != Some(&b'\n') {
            return None;
        }
        if line.get(3) != Some(&b'-') {
            return Some(end);
        }
    }
    None
}

/// The client of a test, which takes any certificate. A session that is taken up again would be another kind of
/// visit.
fn client_config() -> Result<Arc<ClientConfig>, String> {
    let shared = tls::client_config(&Wanted::ANY)?;
    let mut config = ClientConfig::clone(&shared);
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_ends_with_the_first_line_without_a_hyphen() {
        assert_eq!(whole_reply(b"250-one\r\n250 two\r\n250 next\r\n"), Some(18));
        assert_eq!(whole_reply(b"250-one\r\n250 two"), None);
        assert_eq!(whole_reply(b"250\r\n"), Some(5));
        assert_eq!(whole_reply(b""), None);
    }
}
