//! The server process in a thread, over real sockets on the loopback: only the parent and the hash worker
//! are played by the test.
#![expect(clippy::disallowed_methods, reason = "a test plays the world outside")]

mod control;
mod credentials;
mod ending;
mod hostile;
mod journal;
mod mail;
mod scram;
mod throttle;
mod timing;

use super::channel::{self, Channel, ToParent, ToServer};
use super::{hash_worker, start};
use crate::auth::password::PasswordHash;
use crate::auth::verifier::Tuning;
use crate::config::checked::{Config, ListenerConfig};
use crate::contract::Listener;
use crate::control::{Request, Response, SOCKET_NAME};
use crate::directory::{Account, AccountState, Alias, Change, DomainEntry};
use crate::store::memory::MemoryStore;
use crate::store::{Operation, Store};
use crate::types::{AccountId, Address, Domain, Uid};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longer than anything here should take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) type ParentEnd = Channel<ToParent, ToServer>;

/// A server and what is needed to talk to it.
pub(super) struct World {
    pub(super) parent: Option<ParentEnd>,
    pub(super) dir: PathBuf,
    pub(super) certificate: CertificateDer<'static>,
    addresses: Vec<SocketAddr>,
    server: Option<JoinHandle<u8>>,
}

/// A directory that no other test uses.
fn fresh_dir() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("gatepost-loop-{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

pub(super) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// `me@example.org` with a password the played worker calls right when it is `right`, and an alias.
pub(super) fn furnished() -> MemoryStore {
    let password = PasswordHash {
        memory_kib: crate::limits::ARGON2_MEMORY_KIB,
        passes: crate::limits::ARGON2_PASSES,
        lanes: crate::limits::ARGON2_LANES,
        salt: vec![1; crate::limits::ARGON2_SALT_OCTETS],
        tag: vec![2; crate::limits::ARGON2_TAG_OCTETS],
    };
    let me = Account {
        id: AccountId(1),
        addresses: vec![address("me@example.org")],
        password: Some(password.to_string()),
        state: AccountState::Active,
        app_passwords: Default::default(),
    };
    let info = Alias { address: address("info@example.org"), members: vec![address("me@example.org")] };
    let domain = DomainEntry { name: Domain::parse("example.org").unwrap(), catch_all: None };
    let mut store = MemoryStore::new([9; 32]);
    let changes = vec![Change::PutDomain(domain), Change::PutAccount(me), Change::PutAlias(info)];
    store.commit(&[Operation::Change(changes)]).unwrap();
    store
}

impl World {
    pub(super) fn start() -> Self {
        Self::start_with(|_| {}, furnished)
    }

    pub(super) fn start_with<S: Store + 'static>(
        tweak: impl FnOnce(&mut Config),
        store: impl FnOnce() -> S + Send + 'static,
    ) -> Self {
        Self::start_tuned(Tuning::PRODUCTION, tweak, store)
    }

    /// The same with other times and costs of a refusal.
    pub(super) fn start_tuned<S: Store + 'static>(
        tuning: Tuning,
        tweak: impl FnOnce(&mut Config),
        store: impl FnOnce() -> S + Send + 'static,
    ) -> Self {
        let dir = fresh_dir();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let kinds = [Listener::Smtp, Listener::Submission, Listener::Submissions];
        let sockets: Vec<TcpListener> = kinds.map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).into();
        for socket in &sockets {
            // Accepted sockets inherit both: reads and writes end halfway, as they do on a slow line.
            rustix::net::sockopt::set_socket_send_buffer_size(socket, 16 * 1024).unwrap();
            rustix::net::sockopt::set_socket_recv_buffer_size(socket, 64 * 1024).unwrap();
        }
        let addresses: Vec<SocketAddr> = sockets.iter().map(|one| one.local_addr().unwrap()).collect();
        let listeners = kinds.iter().zip(&addresses);
        let mut config = Config {
            hostname: Domain::parse("mx.example.org").unwrap(),
            data_dir: dir.clone(),
            listeners: listeners.map(|(kind, at)| ListenerConfig { kind: *kind, address: *at }).collect(),
            tls: None,
            message_octets_max: crate::limits::MESSAGE_OCTETS_DEFAULT,
            connections_max: 500,
            connections_per_host_max: 400,
            connections_per_net_max: 400,
            auth_report_days: 30,
            new_place_notice: true,
            scram: crate::types::ScramUse::All,
            disk_reserve_octets: 0,
            idle_ms: crate::limits::IDLE_MS,
            stop_grace_ms: 5_000,
            throttle: crate::config::throttle::ThrottleConfig::default(),
            journal: crate::config::journal::JournalConfig::default(),
        };
        tweak(&mut config);
        let (ours, theirs) = channel::pair().unwrap();
        let parent: ParentEnd = Channel::from_fd(ours).unwrap();
        let begin = ToServer::Start {
            config: Box::new(config),
            certificate_pem: Some(made.cert.pem()),
            key_pem: Some(made.signing_key.serialize_pem()),
        };
        let borrowed: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        parent.send_with(&begin, &borrowed).unwrap();
        drop(sockets);
        let server = std::thread::spawn(move || {
            tuning.set();
            start::serve(theirs, None, Box::new(move |_| Ok(Box::new(store()) as Box<dyn Store>)))
        });
        let certificate = CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap();
        let mut world = Self { parent: Some(parent), dir, certificate, addresses, server: Some(server) };
        world.await_message(ToParent::Ready);
        world
    }

    /// Waits until the server says this.
    pub(super) fn await_message(&mut self, wanted: ToParent) {
        let since = Instant::now();
        loop {
            match self.parent.as_mut().unwrap().try_recv().unwrap() {
                Some(received) if received.message == wanted => return,
                Some(_) => {}
                None => {
                    assert!(since.elapsed() < PATIENCE, "the server never said {wanted:?}");
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }

    pub(super) fn at(&self, listener: Listener) -> SocketAddr {
        self.addresses[match listener {
            Listener::Smtp => 0,
            Listener::Submission => 1,
            Listener::Submissions => 2,
        }]
    }

    pub(super) fn connect(&self, listener: Listener) -> TcpStream {
        let stream = TcpStream::connect(self.at(listener)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A client that has read the greeting of the plain door.
    pub(super) fn smtp(&self) -> Client<TcpStream> {
        let mut client = Client::new(self.connect(Listener::Smtp));
        client.hears("220");
        client
    }

    pub(super) fn encrypt(&self, stream: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
    }

    /// A client on the TLS door that has read the greeting.
    pub(super) fn submissions(&self) -> Client<StreamOwned<ClientConnection, TcpStream>> {
        let mut client = Client::new(self.encrypt(self.connect(Listener::Submissions)));
        client.hears("220");
        client
    }

    /// Gives the server a worker that calls the password `right` right. It ends with its socket.
    pub(super) fn give_worker(&mut self) -> JoinHandle<()> {
        let (ours, theirs) = hash_worker::pair().unwrap();
        self.parent.as_mut().unwrap().send_with(&ToServer::Worker, &[theirs.as_fd()]).unwrap();
        std::thread::spawn(move || play_worker(&ours))
    }

    /// A message that must be taken, as proof that the server is well.
    pub(super) fn deliver(&self, text: &str) {
        let mut client = self.smtp();
        client.delivers(text);
        client.asks("QUIT", "221");
    }

    pub(super) fn control(&self) -> Control {
        let stream = UnixStream::connect(self.dir.join(SOCKET_NAME)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Control { stream: BufReader::new(stream) }
    }

    /// Raw messages of the account, oldest first.
    pub(super) fn mail(&self) -> Vec<Vec<u8>> {
        let mut control = self.control();
        let Response::Messages { rows, .. } =
            control.ask(&Request::MailList(address("me@example.org"), Uid(0)))
        else {
            panic!("no list")
        };
        rows.iter().map(|row| control.show(row.id)).collect()
    }

    /// Asks the server to leave and says its exit code.
    pub(super) fn stop(mut self) -> u8 {
        self.parent.as_ref().unwrap().send(&ToServer::Stop).unwrap();
        self.code()
    }

    /// Waits for the server's end.
    pub(super) fn code(&mut self) -> u8 {
        self.server.take().unwrap().join().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.parent = None;
        if let Some(server) = self.server.take() {
            let code = server.join();
            if !std::thread::panicking() {
                assert_eq!(code.unwrap(), 0, "the server ends well when its parent is gone");
            }
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn play_worker(socket: &OwnedFd) {
    let mut packet = [0; 4_096];
    while let Ok(length) = rustix::io::read(socket, &mut packet) {
        let Some((kind, job)) = packet[..length].split_first() else { return };
        let mut answer = job[..8].to_vec();
        if *kind == 1 {
            let password_length = usize::from(u16::from_be_bytes([job[20], job[21]]));
            answer.push(u8::from(&job[24..24 + password_length] == b"right"));
        } else {
            let iterations = u32::from_be_bytes(job[8..12].try_into().unwrap());
            let keys = crate::auth::scram::keys::derive(&job[28..], &job[12..28], iterations);
            answer.extend([keys.stored, keys.server].concat());
        }
        if rustix::io::write(socket, &answer).is_err() {
            return;
        }
    }
}

/// An SMTP client that says what it was told to say.
pub(super) struct Client<S> {
    pub(super) stream: BufReader<S>,
}

impl<S: Read + Write> Client<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    pub(super) fn says(&mut self, octets: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(octets.as_ref()).unwrap();
        self.stream.get_mut().flush().unwrap();
    }

    /// Reads one reply, which must begin so.
    pub(super) fn hears(&mut self, code: &str) -> String {
        let mut reply = String::new();
        loop {
            let begin = reply.len();
            let count = self.stream.read_line(&mut reply).unwrap();
            assert!(count > 0, "the connection ended, {code} was awaited after {reply:?}");
            if reply.as_bytes().get(begin + 3) != Some(&b'-') {
                break;
            }
        }
        assert!(reply.starts_with(code), "{code} was awaited, {reply:?} came");
        reply
    }

    /// The server closes, after nothing but this.
    pub(super) fn hears_the_end(&mut self) -> String {
        let mut rest = String::new();
        self.stream.read_to_string(&mut rest).unwrap();
        rest
    }

    pub(super) fn asks(&mut self, line: &str, code: &str) -> String {
        self.says(format!("{line}\r\n"));
        self.hears(code)
    }

    pub(super) fn delivers(&mut self, text: &str) {
        self.begins_message();
        self.says(format!("{text}\r\n.\r\n"));
        self.hears("250");
    }

    pub(super) fn begins_message(&mut self) {
        self.asks("EHLO client.example.net", "250");
        self.asks("MAIL FROM:<you@example.net>", "250");
        self.asks("RCPT TO:<me@example.org>", "250");
        self.asks("DATA", "354");
    }
}

/// The command line's end of the administrator's socket.
pub(super) struct Control {
    pub(super) stream: BufReader<UnixStream>,
}

impl Control {
    pub(super) fn says(&mut self, request: &Request) {
        let mut line = serde_json::to_vec(request).unwrap();
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).unwrap();
    }

    pub(super) fn hears(&mut self) -> Response {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    pub(super) fn ask(&mut self, request: &Request) -> Response {
        self.says(request);
        self.hears()
    }

    pub(super) fn show(&mut self, uid: Uid) -> Vec<u8> {
        let Response::Message(octets) = self.ask(&Request::MailShow(address("me@example.org"), uid)) else {
            panic!("no message")
        };
        let mut message = vec![0; usize::try_from(octets).unwrap()];
        self.stream.read_exact(&mut message).unwrap();
        message
    }
}
