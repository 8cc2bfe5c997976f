//! What clients do that log in, well or badly.

use arbitrary::Arbitrary;
use base64ct::{Base64, Encoding};
use gatepost::auth::sasl::Mechanism;
use gatepost::auth::throttle::LoginOutcome;
use gatepost::auth::verifier::HashJob;
use gatepost::fuzz::login::{APP_PASSWORD, NAMES, RIGHT, tls};
use gatepost::types::{AccountId, Secret};
use std::net::IpAddr;

/// Two neighbours, two strangers, two neighbours in IPv6.
const SOURCES: [[u16; 8]; 6] = [
    [0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201],
    [0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0202],
    [0, 0, 0, 0, 0, 0xffff, 0xc633, 0x6407],
    [0, 0, 0, 0, 0, 0xffff, 0xcb00, 0x7109],
    [0x2001, 0xdb8, 0, 1, 0, 0, 0, 1],
    [0x2001, 0xdb8, 0, 2, 0, 0, 0, 1],
];
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Step {
    Connect {
        source: u8,
        implicit_tls: bool,
    },
    /// A login as a program makes it, up to so many lines.
    Login {
        session: u8,
        mechanism: u8,
        initial: bool,
        name: u8,
        password: Password,
        as_other: bool,
        lines: u8,
    },
    /// Somebody comes, tries these one after the other, hears each verdict, and leaves.
    Visit {
        source: u8,
        mechanism: u8,
        name: u8,
        passwords: [Password; 3],
    },
    Line(u8, Line),
    Leave(u8),
    Milliseconds(u16),
    Seconds(u8),
    Minutes(u8),
    WorkerComes,
    WorkerDies,
    /// It takes a job and does not answer.
    WorkerHangs,
    Forgive(u8),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Password {
    Right,
    Application,
    Wrong(u8),
    Empty,
    NotUtf8,
    TooLong,
}

impl Password {
    pub(crate) fn octets(self) -> Vec<u8> {
        match self {
            Self::Right => RIGHT.to_vec(),
            Self::Application => APP_PASSWORD.to_vec(),
            Self::Wrong(which) => format!("wrong {}", which % 6).into_bytes(),
            Self::Empty => Vec::new(),
            Self::NotUtf8 => vec![0xff, 0xc0],
            Self::TooLong => vec![b'x'; 1_500],
        }
    }
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Line {
    Ehlo,
    StartTls,
    Noop,
    Cancel,
    NotBase64,
    Quit,
    Http,
    Pipelined,
}

impl Line {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Ehlo => "EHLO User",
            Self::StartTls => "STARTTLS",
            Self::Noop => "NOOP",
            Self::Cancel => "*",
            Self::NotBase64 => "&&&",
            Self::Quit => "QUIT",
            Self::Http => "POST / HTTP/1.1",
            Self::Pipelined => "NOOP\r\nNOOP",
        }
    }
}

pub(crate) fn address(source: u8) -> IpAddr {
    IpAddr::from(SOURCES[usize::from(source) % SOURCES.len()]).to_canonical()
}

/// What a login comes to when it is checked.
pub(crate) fn truth(name: &[u8], password: &[u8], as_other: bool) -> LoginOutcome {
    let is_right = password == RIGHT && !as_other;
    match (NAMES.iter().position(|known| known.as_bytes() == name), is_right) {
        (Some(0), true) => LoginOutcome::Accepted(AccountId(1)),
        (Some(1), true) => LoginOutcome::Disabled,
        (Some(_) | None, true | false) => LoginOutcome::Refused,
    }
}

/// Stands for the last message of SCRAM, which needs the nonce of the server; the mechanism follows.
const LAST: &str = "the last message of ";

fn gs2_header(mechanism: &str) -> &'static str {
    if mechanism.ends_with("-PLUS") { "p=tls-exporter,," } else { "n,," }
}

/// A line, or the last message of SCRAM that answers this reply.
pub(crate) fn fill_in(line: &str, reply: &[u8]) -> String {
    let Some(mechanism) = line.strip_prefix(LAST) else { return line.to_owned() };
    let text = reply.strip_prefix(b"334 ").unwrap_or_default().trim_ascii_end();
    let first = Base64::decode_vec(&String::from_utf8_lossy(text)).unwrap_or_default();
    let first = String::from_utf8_lossy(&first).into_owned();
    let nonce = first.split(',').next().unwrap_or_default();
    let mut binding = gs2_header(mechanism).as_bytes().to_vec();
    if mechanism.ends_with("-PLUS") {
        binding.extend_from_slice(&tls().bindings.exporter.unwrap_or_default());
    }
    let (binding, proof) = (Base64::encode_string(&binding), Base64::encode_string(&[9; 32]));
    Base64::encode_string(format!("c={binding},{nonce},p={proof}").as_bytes())
}

/// What a program says to log in, line by line.
pub(crate) fn dialogue(
    mechanism: u8,
    initial: bool,
    name: u8,
    password: Password,
    as_other: bool,
) -> Vec<String> {
    let mechanism = Mechanism::ALL[usize::from(mechanism) % Mechanism::ALL.len()].name();
    // The first is an account that is open, and is tried more often.
    let name = NAMES.get(usize::from(name) % 15).unwrap_or(&NAMES[0]);
    let password = password.octets();
    let encode = |octets: &[u8]| Base64::encode_string(octets);
    let other: &[u8] = if as_other { b"somebody@example.org" } else { b"" };
    let messages = match mechanism {
        "PLAIN" => vec![encode(&[other, b"\0", name.as_bytes(), b"\0", &password].concat())],
        "LOGIN" => vec![encode(name.as_bytes()), encode(&password)],
        // SCRAM, with a proof that nobody can have made.
        _ => {
            let header = gs2_header(mechanism);
            vec![encode(format!("{header}n={name},r=aStory").as_bytes()), format!("{LAST}{mechanism}")]
        }
    };
    let mut lines = vec![format!("AUTH {mechanism}")];
    let mut messages = messages.into_iter();
    if initial && let Some(first) = messages.next() {
        lines[0] = format!("AUTH {mechanism} {}", if first.is_empty() { "=" } else { &first });
    }
    lines.extend(messages);
    lines
}

/// The worker of this world: the tag is right for the password, whatever the salt.
pub(crate) fn matches(job: &HashJob) -> bool {
    Secret::new(RIGHT.to_vec()) == job.password && job.tag == [7; 32]
}
