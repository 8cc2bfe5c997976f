//! A server that tells strangers who exists, in one way that is chosen.

use base64ct::{Base64, Encoding};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Who can log in there.
pub const ACCOUNT: &str = "ann.larsson@example.org";
/// Who cannot.
pub const ALIAS: &str = "info@example.org";

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Another reply for a login that does not exist.
    LoginReply,
    /// Another reply for a login that is an alias.
    AliasReply,
    /// Nothing is hashed for a login that does not exist.
    LoginTime,
    /// A line of the same code that is longer.
    LoginSize,
    /// The connection is dropped for a login that does not exist.
    Drop,
    /// Guesses at what exists alone are counted.
    Throttle,
    /// SCRAM's salt is another one each time for a login that does not exist.
    Salt,
    /// VRFY tells.
    Vrfy,
    /// EXPN tells.
    Expn,
    /// Senders of its own domain are looked up.
    Sender,
    /// Aliases are looked up slowly at RCPT.
    AliasTime,
    /// What follows STARTTLS in the clear is obeyed within TLS.
    Injection,
    /// MAIL from before STARTTLS is remembered.
    State,
    /// Takes connections and turns everybody away behind the first few.
    Busy,
}

struct Shared {
    fault: Fault,
    tls: Arc<ServerConfig>,
    guesses: Mutex<BTreeMap<(IpAddr, String), usize>>,
    visits: Mutex<usize>,
}

/// Starts it; it ends with the test.
pub fn start(fault: Fault) -> SocketAddr {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let shared =
        Arc::new(Shared { fault, tls: Arc::new(tls), guesses: Mutex::default(), visits: Mutex::default() });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, shared) = (stream.unwrap(), Arc::clone(&shared));
            std::thread::spawn(move || Talk::new(stream, &shared).run());
        }
    });
    address
}

struct Talk<'a> {
    stream: TcpStream,
    tls: Option<ServerConnection>,
    buffer: Vec<u8>,
    shared: &'a Shared,
    has_sender: bool,
}

impl<'a> Talk<'a> {
    fn new(stream: TcpStream, shared: &'a Shared) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, tls: None, buffer: Vec::new(), shared, has_sender: false }
    }

    fn is(&self, fault: Fault) -> bool {
        self.shared.fault == fault
    }

    fn run(mut self) -> Option<()> {
        {
            let mut visits = self.shared.visits.lock().unwrap();
            *visits += 1;
            if self.is(Fault::Busy) && *visits > 6 {
                drop(visits);
                return self.say("421 4.7.0 too many connections");
            }
        }
        self.say("220 planted.example ESMTP")?;
        loop {
            let line = self.line()?;
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let (verb, rest) = (verb.to_uppercase(), rest.to_owned());
            match verb.as_str() {
                "EHLO" => self.ehlo()?,
                "STARTTLS" => self.starttls()?,
                "MAIL" => self.mail(&rest)?,
                "RCPT" => self.rcpt(&rest)?,
                "VRFY" => self.look_up(Fault::Vrfy, &rest)?,
                "EXPN" => self.look_up(Fault::Expn, &rest)?,
                "AUTH" => self.auth(&rest)?,
                "NOOP" => self.say("250 2.0.0 nothing was done")?,
                "QUIT" => {
                    self.say("221 2.0.0 bye")?;
                    return None;
                }
                _ => self.say("500 5.5.2 what?")?,
            }
        }
    }

    fn ehlo(&mut self) -> Option<()> {
        // TLS takes long in a build for tests: it is there where it is what is tried, and once for the logins.
        let has_tls = self.is(Fault::Injection) || self.is(Fault::State) || self.is(Fault::AliasReply);
        let starttls = if has_tls && self.tls.is_none() { "250-STARTTLS\r\n" } else { "" };
        self.say(&format!("250-planted.example\r\n{starttls}250 AUTH PLAIN LOGIN SCRAM-SHA-256"))
    }

    fn starttls(&mut self) -> Option<()> {
        self.say("220 2.0.0 go on")?;
        if !self.is(Fault::Injection) {
            self.buffer.clear();
        }
        if !self.is(Fault::State) {
            self.has_sender = false;
        }
        let mut tls = ServerConnection::new(Arc::clone(&self.shared.tls)).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut self.stream).ok()?;
        }
        self.tls = Some(tls);
        Some(())
    }

    fn mail(&mut self, rest: &str) -> Option<()> {
        let name = path(rest);
        if self.is(Fault::Sender) && name.ends_with("@example.org") && !exists(&name) {
            return self.say("550 5.1.8 no such sender");
        }
        self.has_sender = true;
        self.say("250 2.1.0 yes")
    }

    fn rcpt(&mut self, rest: &str) -> Option<()> {
        if !self.has_sender {
            return self.say("503 5.5.1 MAIL first");
        }
        let name = path(rest);
        if self.is(Fault::AliasTime) && name == ALIAS {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.say(if exists(&name) { "250 2.1.5 yes" } else { "550 5.1.1 no" })
    }

    fn look_up(&mut self, fault: Fault, name: &str) -> Option<()> {
        let told = self.is(fault) && exists(name);
        self.say(if told { "250 2.1.5 yes, that is one of ours" } else { "252 2.1.5 perhaps" })
    }

    fn auth(&mut self, rest: &str) -> Option<()> {
        let (mechanism, first) = rest.split_once(' ').unwrap_or((rest, ""));
        match mechanism {
            "PLAIN" => {
                let message = decoded(first);
                let name = message.split('\0').nth(1).unwrap_or_default().to_owned();
                self.refuse(&name)
            }
            "LOGIN" => {
                self.say("334 VXNlcm5hbWU6")?;
                let name = decoded(&self.line()?);
                self.say("334 UGFzc3dvcmQ6")?;
                self.line()?;
                self.refuse(&name)
            }
            _ => self.scram(&decoded(first)),
        }
    }

    fn scram(&mut self, first: &str) -> Option<()> {
        let field =
            |name: &str| first.split(',').find_map(|field| field.strip_prefix(name)).unwrap().to_owned();
        let (name, nonce) = (field("n="), field("r="));
        let salt = match (self.is(Fault::Salt), exists(&name)) {
            (true, false) => format!("{:016x}", *self.shared.visits.lock().unwrap()),
            (true, true) | (false, _) => format!("{:>16.16}", name),
        };
        let message = format!("r={nonce}server,s={},i=4096", Base64::encode_string(salt.as_bytes()));
        self.say(&format!("334 {}", Base64::encode_string(message.as_bytes())))?;
        if self.line()? == "*" {
            return self.say("501 5.7.0 cancelled");
        }
        self.refuse(&name)
    }

    /// A wrong password.
    fn refuse(&mut self, name: &str) -> Option<()> {
        let hash = if self.is(Fault::LoginTime) && !exists(name) { 1 } else { 6 };
        std::thread::sleep(Duration::from_millis(hash));
        if self.is(Fault::Throttle) && exists(name) {
            let source = self.stream.peer_addr().unwrap().ip();
            let mut guesses = self.shared.guesses.lock().unwrap();
            let count = guesses.entry((source, name.to_owned())).or_default();
            *count += 1;
            let many = *count > 5;
            drop(guesses);
            if many {
                return self.say("454 4.7.0 too many guesses");
            }
        }
        let unknown = !exists(name);
        if self.is(Fault::Drop) && unknown {
            return None;
        }
        self.say(if self.is(Fault::LoginReply) && unknown {
            "535 5.7.8 there is no such user"
        } else if self.is(Fault::AliasReply) && name == ALIAS {
            "451 4.3.0 internal error"
        } else if self.is(Fault::LoginSize) && unknown {
            "535 5.7.8 no user 1-2-3"
        } else {
            "535 5.7.8 no"
        })
    }

    fn say(&mut self, text: &str) -> Option<()> {
        let octets = format!("{text}\r\n").into_bytes();
        match &mut self.tls {
            Some(tls) => {
                tls.writer().write_all(&octets).ok()?;
                while tls.wants_write() {
                    tls.write_tls(&mut self.stream).ok()?;
                }
                Some(())
            }
            None => self.stream.write_all(&octets).ok(),
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            let mut octets = [0; 4_096];
            let count = match &mut self.tls {
                Some(tls) => rustls::Stream::new(tls, &mut self.stream).read(&mut octets).ok()?,
                None => self.stream.read(&mut octets).ok()?,
            };
            if count == 0 {
                return None;
            }
            self.buffer.extend_from_slice(&octets[..count]);
        }
    }
}

fn exists(name: &str) -> bool {
    name == ACCOUNT || name == ALIAS
}

fn path(rest: &str) -> String {
    rest.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}

fn decoded(text: &str) -> String {
    String::from_utf8(Base64::decode_vec(text.trim()).unwrap()).unwrap()
}
