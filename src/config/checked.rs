//! Configuration as meant: complete, in range, nothing left to interpret.

use super::journal::JournalConfig;
use super::keys::{Key, Kind, LISTENER};
use super::throttle::ThrottleConfig;
use super::written::{Origin, Problem, Written, WrittenListener};
use crate::contract::Listener;
use crate::limits::LISTENERS_MAX;
use crate::types::{Domain, Prefix, PrefixError, ScramUse};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// A listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerConfig {
    /// Which door.
    pub kind: Listener,
    /// Where.
    pub address: SocketAddr,
}

/// Everything the server needs to know. The parent reads it and passes it on; the server opens no
/// configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The name the server greets with and writes into Received fields.
    pub hostname: Domain,
    /// The data directory.
    pub data_dir: PathBuf,
    /// The doors; at least one.
    pub listeners: Vec<ListenerConfig>,
    /// Where certificate chain and key are (PEM). `None`: no TLS, and no submission then.
    pub tls: Option<TlsFiles>,
    /// Octets of the largest message.
    pub message_octets_max: u64,
    /// Connections, all listeners together.
    pub connections_max: usize,
    /// Connections from one IPv4 address or IPv6 /64.
    pub connections_per_host_max: usize,
    /// Connections from one IPv4 /24 or IPv6 /56.
    pub connections_per_net_max: usize,
    /// Days of the report of logins.
    pub auth_report_days: u32,
    /// Whether the owner gets a notice of a login from a new place.
    pub new_place_notice: bool,
    /// Whose logins SCRAM is for.
    pub scram: ScramUse,
    /// Octets of free disk that stay free.
    pub disk_reserve_octets: u64,
    /// Milliseconds of silence after which a session is closed.
    pub idle_ms: u64,
    /// Milliseconds running transactions have when the server stops.
    pub stop_grace_ms: u64,
    /// How hostile logins are throttled.
    pub throttle: ThrottleConfig,
    /// What is kept of hostile sessions.
    pub journal: JournalConfig,
}

/// Where the certificate is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFiles {
    /// Certificate chain, PEM, leaf first.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

/// The directories that relative paths start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bases {
    /// Where the configuration file is.
    pub file: PathBuf,
    /// The working directory, for what was given on the command line.
    pub working: PathBuf,
}

impl Config {
    /// Checks all that is written.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file.
    pub fn check(written: &Written, bases: &Bases) -> Result<Self, Vec<Problem>> {
        let mut check = Check { written, bases, problems: Vec::new() };
        let hostname = check.hostname();
        let data_dir = check.path(Key::DataDir);
        if data_dir.is_none() {
            check.missing(Key::DataDir);
        }
        let tls = check.tls();
        let listeners = check.listeners();
        let throttle = check.throttle();
        let scram = check.scram();
        let journal = check.journal();
        let limits = Limits {
            message_octets: check.number(Key::MessageOctets),
            connections: check.number(Key::Connections),
            connections_per_host: check.number(Key::ConnectionsPerHost),
            connections_per_net: check.number(Key::ConnectionsPerNet),
            auth_report_days: check.number(Key::AuthReportDays),
            new_place_notice: check.switch(Key::NewPlaceNotice),
            scram,
            journal,
            disk_reserve_octets: check.number(Key::DiskReserveOctets),
            idle_seconds: check.number(Key::IdleSeconds),
            stop_grace_seconds: check.number(Key::StopGraceSeconds),
        };
        let mut problems = check.problems;
        problems.sort_by_key(|problem| problem.origin);
        match (hostname, data_dir) {
            (Some(hostname), Some(data_dir)) if problems.is_empty() => {
                Ok(limits.into_config(hostname, data_dir, listeners, tls, throttle))
            }
            _ => Err(problems),
        }
    }
}

/// Numbers in range, in the units they are written in.
struct Limits {
    message_octets: u64,
    connections: u64,
    connections_per_host: u64,
    connections_per_net: u64,
    auth_report_days: u64,
    new_place_notice: bool,
    scram: ScramUse,
    journal: JournalConfig,
    disk_reserve_octets: u64,
    idle_seconds: u64,
    stop_grace_seconds: u64,
}

impl Limits {
    fn into_config(
        self,
        hostname: Domain,
        data_dir: PathBuf,
        listeners: Vec<ListenerConfig>,
        tls: Option<TlsFiles>,
        throttle: ThrottleConfig,
    ) -> Config {
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Config {
            hostname,
            data_dir,
            listeners,
            tls,
            message_octets_max: self.message_octets,
            connections_max: count(self.connections),
            connections_per_host_max: count(self.connections_per_host),
            connections_per_net_max: count(self.connections_per_net),
            auth_report_days: u32::try_from(self.auth_report_days).unwrap_or(u32::MAX),
            new_place_notice: self.new_place_notice,
            scram: self.scram,
            disk_reserve_octets: self.disk_reserve_octets,
            idle_ms: self.idle_seconds.saturating_mul(1_000),
            stop_grace_ms: self.stop_grace_seconds.saturating_mul(1_000),
            throttle,
            journal: self.journal,
        }
    }
}

struct Check<'w> {
    written: &'w Written,
    bases: &'w Bases,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn problem(&mut self, origin: Origin, key: &str, what: String) {
        self.problems.push(Problem { origin, key: key.to_owned(), what });
    }

    fn missing(&mut self, key: Key) {
        // What stands there and is wrong has its problem already.
        if self.written.texts.contains_key(&key) {
            return;
        }
        let example = match key.kind() {
            Kind::Text(example) => format!("\"{example}\""),
            Kind::Switch { default } => default.to_string(),
            Kind::Number { default, .. } => default.to_string(),
        };
        let name = key.name().rsplit_once('.').map_or(key.name(), |(_, name)| name);
        self.problem(Origin::Nowhere, key.name(), format!("it is missing: write {name} = {example}"));
    }

    fn hostname(&mut self) -> Option<Domain> {
        let Some(text) = self.written.texts.get(&Key::Hostname) else {
            self.missing(Key::Hostname);
            return None;
        };
        // A last label of digits alone is the end of an IP address (RFC 3696 section 2).
        let is_number = |domain: &Domain| {
            let last = domain.as_str().rsplit('.').next().unwrap_or_default();
            last.bytes().all(|octet| octet.is_ascii_digit())
        };
        match Domain::parse(&text.value).map_err(|why| why.to_string()) {
            Ok(domain) if !is_number(&domain) => Some(domain),
            wrong @ (Ok(_) | Err(_)) => {
                let why = wrong.err().unwrap_or_else(|| "it is a number or an IP address".to_owned());
                let what = format!(
                    "{:?} is not a host name: {why}; write the name that the server is known by in DNS, \
                     such as \"mail.example.org\"",
                    text.value
                );
                self.problem(text.origin, Key::Hostname.name(), what);
                None
            }
        }
    }

    fn path(&mut self, key: Key) -> Option<PathBuf> {
        let text = self.written.texts.get(&key)?;
        if text.value.is_empty() || text.value.contains('\0') {
            self.problem(text.origin, key.name(), "a path is wanted".to_owned());
            return None;
        }
        let base = match text.origin {
            Origin::Set => &self.bases.working,
            Origin::Line(_) | Origin::Nowhere => &self.bases.file,
        };
        Some(base.join(&text.value))
    }

    /// Whether TLS is wanted, however incomplete.
    fn wants_tls(&self) -> bool {
        [Key::TlsCertificate, Key::TlsKey].iter().any(|key| self.written.texts.contains_key(key))
    }

    fn tls(&mut self) -> Option<TlsFiles> {
        if !self.wants_tls() {
            return None;
        }
        let certificate = self.path(Key::TlsCertificate);
        let key = self.path(Key::TlsKey);
        self.missing(Key::TlsCertificate);
        self.missing(Key::TlsKey);
        Some(TlsFiles { certificate: certificate?, key: key? })
    }

    fn number(&mut self, key: Key) -> u64 {
        let Kind::Number { min, max, default } = key.kind() else { return 0 };
        let Some(typed) = self.written.numbers.get(&key) else { return default };
        match u64::try_from(typed.value) {
            Ok(value) if (min..=max).contains(&value) => value,
            Ok(_) | Err(_) => {
                let what = format!("{} is out of range: from {min} to {max} are allowed", typed.value);
                self.problem(typed.origin, key.name(), what);
                default
            }
        }
    }

    fn switch(&self, key: Key) -> bool {
        let Kind::Switch { default } = key.kind() else { return false };
        self.written.switches.get(&key).map_or(default, |typed| typed.value)
    }

    fn scram(&mut self) -> ScramUse {
        let Some(text) = self.written.texts.get(&Key::Scram) else { return ScramUse::default() };
        let known = ScramUse::ALL.into_iter().find(|one| one.name() == text.value);
        if known.is_none() {
            let names = ScramUse::ALL.map(|one| format!("\"{}\"", one.name())).join(", ");
            let what = format!("{:?} is none of {names}", text.value);
            self.problem(text.origin, Key::Scram.name(), what);
        }
        known.unwrap_or_default()
    }

    fn journal(&mut self) -> JournalConfig {
        let usual = JournalConfig::default();
        let events = match self.written.texts.get(&Key::JournalEvents) {
            None => usual.events,
            Some(text) => match text.value.parse() {
                Ok(events) => events,
                Err(why) => {
                    let why: String = why;
                    self.problem(text.origin, Key::JournalEvents.name(), why);
                    usual.events
                }
            },
        };
        JournalConfig {
            is_on: self.switch(Key::Journal),
            events,
            days: self.number(Key::JournalDays),
            octets: self.number(Key::JournalOctets),
        }
    }

    fn throttle(&mut self) -> ThrottleConfig {
        let dry_run = match self.written.texts.get(&Key::ThrottleMode) {
            None => false,
            Some(text) => match text.value.as_str() {
                "enforce" => false,
                "dry-run" => true,
                other => {
                    let what = format!("{other:?} is no mode: write \"enforce\" or \"dry-run\"");
                    self.problem(text.origin, Key::ThrottleMode.name(), what);
                    false
                }
            },
        };
        let guesses = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        ThrottleConfig {
            dry_run,
            allow: self.ranges(Key::ThrottleAllow),
            deny: self.ranges(Key::ThrottleDeny),
            guesses_per_host: guesses(self.number(Key::GuessesPerHost)),
            guesses_per_net: guesses(self.number(Key::GuessesPerNet)),
            guesses_per_wide: guesses(self.number(Key::GuessesPerWide)),
            guesses_per_login: guesses(self.number(Key::GuessesPerLogin)),
        }
    }

    /// Addresses and ranges with spaces or commas between them.
    fn ranges(&mut self, key: Key) -> Vec<Prefix> {
        let Some(text) = self.written.texts.get(&key) else { return Vec::new() };
        let mut ranges = Vec::new();
        for word in text.value.split([' ', ',']).filter(|word| !word.is_empty()) {
            match word.parse() {
                Ok(range) => ranges.push(range),
                Err(why) => {
                    let why: PrefixError = why;
                    self.problem(
                        text.origin,
                        key.name(),
                        format!("{word:?} is no range of addresses: {why}"),
                    );
                }
            }
        }
        ranges
    }

    fn listeners(&mut self) -> Vec<ListenerConfig> {
        let written = self.written;
        let count = written.listeners.len();
        if count == 0 || count > LISTENERS_MAX {
            let what = format!(
                "there must be from 1 to {LISTENERS_MAX} listeners, not {count}: \
                 write [[listener]] with kind = \"smtp\" and address = \"0.0.0.0:25\""
            );
            self.problem(Origin::Nowhere, LISTENER, what);
        }
        let mut listeners: Vec<ListenerConfig> = Vec::new();
        for entry in written.listeners.iter().take(LISTENERS_MAX) {
            let kind = self.listener_kind(entry);
            let address = self.listener_address(entry, &listeners);
            if let (Some(kind), Some(address)) = (kind, address) {
                listeners.push(ListenerConfig { kind, address });
            }
        }
        listeners
    }

    fn listener_kind(&mut self, entry: &WrittenListener) -> Option<Listener> {
        let name = format!("{LISTENER}.kind");
        let allowed = "\"smtp\" (mail from others, port 25), \"submission\" (587, STARTTLS) or \
                       \"submissions\" (465, TLS)";
        let Some(typed) = &entry.kind else {
            self.problem(entry.origin, &name, format!("it is missing: write kind = {allowed}"));
            return None;
        };
        let kind = match typed.value.as_str() {
            "smtp" => Listener::Smtp,
            "submission" => Listener::Submission,
            "submissions" => Listener::Submissions,
            other => {
                self.problem(typed.origin, &name, format!("{other:?} is none: write {allowed}"));
                return None;
            }
        };
        if kind != Listener::Smtp && !self.wants_tls() {
            let what = format!(
                "{:?} takes passwords and needs TLS: write [tls] with certificate and key",
                kind.name()
            );
            self.problem(typed.origin, &name, what);
        }
        Some(kind)
    }

    fn listener_address(&mut self, entry: &WrittenListener, others: &[ListenerConfig]) -> Option<SocketAddr> {
        let name = format!("{LISTENER}.address");
        let form = "write an IP address and a port, such as \"0.0.0.0:25\" or \"[::]:25\"";
        let Some(typed) = &entry.address else {
            self.problem(entry.origin, &name, format!("it is missing: {form}"));
            return None;
        };
        let address = match typed.value.parse::<SocketAddr>() {
            Ok(address) if address.port() != 0 => address,
            Ok(_) => {
                self.problem(typed.origin, &name, format!("port 0 cannot be connected to: {form}"));
                return None;
            }
            Err(_) => {
                self.problem(typed.origin, &name, format!("{:?} is no address: {form}", typed.value));
                return None;
            }
        };
        if let IpAddr::V6(ip) = address.ip()
            && let Some(ip) = ip.to_ipv4_mapped()
        {
            self.problem(typed.origin, &name, format!("write the IPv4 address {ip} as such"));
            return None;
        }
        if let Some(other) = others.iter().find(|other| overlap(other.address, address)) {
            let what = format!(
                "the listener {} on {} has that port already: give each listener an address of its own",
                other.kind.name(),
                other.address
            );
            self.problem(typed.origin, &name, what);
        }
        Some(address)
    }
}

/// Whether two listeners cannot both be bound. IPv6 listeners take IPv6 alone, so the families never meet.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port()
        && one.is_ipv4() == other.is_ipv4()
        && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}
