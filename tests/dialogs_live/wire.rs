//! One connection of a client: a socket that never blocks, and TLS on it where a dialogue says so.

use gatepost::contract::TlsFacts;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, SupportedCipherSuite, SupportedProtocolVersion, version,
};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub struct Wire {
    stream: TcpStream,
    tls: Option<ClientConnection>,
    /// What is to be written, one write for each.
    outgoing: VecDeque<Vec<u8>>,
    /// Close the sending side once all is written.
    closing: bool,
    /// What came and was not taken yet, out of TLS where there is TLS.
    pub heard: Vec<u8>,
    pub ended: bool,
    /// What TLS had to complain about.
    pub fault: Option<String>,
}

impl Wire {
    pub fn connect(from: IpAddr, to: SocketAddr) -> Self {
        let family = if from.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let fd = socket(family, SocketType::STREAM, None).unwrap();
        bind(&fd, &SocketAddr::new(from, 0)).unwrap();
        connect(&fd, &to).unwrap_or_else(|error| panic!("{to} takes no connection: {error}"));
        let stream = TcpStream::from(fd);
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            tls: None,
            outgoing: VecDeque::new(),
            closing: false,
            heard: Vec::new(),
            ended: false,
            fault: None,
        }
    }

    /// A handshake with exactly this version and cipher suite; why it failed, if it did.
    pub fn secure(&mut self, facts: &TlsFacts, certificate: &Path, until: Instant) -> Result<(), String> {
        if !self.heard.is_empty() {
            return Err("the server said something in the clear before the handshake".to_owned());
        }
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = ClientConnection::new(client_config(facts, certificate)?, name).unwrap();
        tls.set_buffer_limit(None);
        self.tls = Some(tls);
        self.flush_tls();
        while self.tls.as_ref().unwrap().is_handshaking() {
            if let Some(fault) = &self.fault {
                return Err(fault.clone());
            }
            if self.ended || Instant::now() >= until {
                return Err("it never came to an end".to_owned());
            }
            self.turn(until);
        }
        let tls = self.tls.as_ref().unwrap();
        let suite = name_of(tls.negotiated_cipher_suite().unwrap());
        if suite == facts.cipher { Ok(()) } else { Err(format!("it came to {suite}")) }
    }

    /// Sends pieces: each is a write of its own, and within TLS a record of its own.
    pub fn send(&mut self, pieces: Vec<Vec<u8>>) {
        for piece in pieces {
            match &mut self.tls {
                Some(tls) => {
                    tls.writer().write_all(&piece).unwrap();
                    self.flush_tls();
                }
                None => self.outgoing.push_back(piece),
            }
        }
        self.write();
    }

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
        sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }

    /// Waits until something comes or goes, and takes or gives it.
    pub fn turn(&mut self, until: Instant) {
        let mut flags = PollFlags::IN;
        if !self.outgoing.is_empty() {
            flags |= PollFlags::OUT;
        }
        let left = Timespec::try_from(until.saturating_duration_since(Instant::now())).unwrap();
        let mut fds = [PollFd::new(&self.stream, flags)];
        // Interrupted or not: the caller asks again.
        let _ = poll(&mut fds, Some(&left));
        self.write();
        self.read();
    }

    fn write(&mut self) {
        while let Some(piece) = self.outgoing.front_mut() {
            match self.stream.write(piece) {
                Ok(count) => {
                    piece.drain(..count);
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
                Ok(count) => self.came(&buffer[..count]),
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
            tls.read_tls(&mut rest).unwrap();
            match tls.process_new_packets() {
                Ok(state) => {
                    let mut plain = vec![0; state.plaintext_bytes_to_read()];
                    tls.reader().read_exact(&mut plain).unwrap();
                    self.heard.append(&mut plain);
                }
                Err(error) => self.fault = Some(error.to_string()),
            }
        }
        self.flush_tls();
    }

    /// Moves what TLS wants written to what is written, as one piece.
    fn flush_tls(&mut self) {
        let mut octets = Vec::new();
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut octets).unwrap();
            }
        }
        if !octets.is_empty() {
            self.outgoing.push_back(octets);
            self.write();
        }
    }
}

/// The name IANA gives a cipher suite; rustls marks those of TLS 1.3.
fn name_of(suite: SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replace("TLS13_", "TLS_")
}

/// A client that can do nothing but these facts, and trusts this certificate alone.
fn client_config(facts: &TlsFacts, certificate: &Path) -> Result<Arc<ClientConfig>, String> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| name_of(*suite) == facts.cipher);
    if provider.cipher_suites.is_empty() {
        return Err(format!("no client here has {}", facts.cipher));
    }
    let version: &'static SupportedProtocolVersion = match facts.version {
        "TLSv1.2" => &version::TLS12,
        "TLSv1.3" => &version::TLS13,
        other => return Err(format!("no client here has {other}")),
    };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let provider: Arc<CryptoProvider> = Arc::new(provider);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
