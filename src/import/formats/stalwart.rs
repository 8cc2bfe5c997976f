//! Stalwart: the event log since 0.9 (`STAMP LEVEL DESCRIPTION (event.name) key = value, ...`), and the tracing log
//! before it (`STAMP LEVEL session{...}: target: fields`).
//!
//! Values of the event log do not escape quotes. The keys of a session come first and the server's own, so the
//! first `remoteIp` is the client; an account's name ends where only keys follow that can stand behind it.

use super::ends::{door, door_named, unstamped};
use crate::import::conversation::Conversation;
use crate::import::recent::Recent;
use crate::import::{Door, Finding, Heard, Line, Prefix, Reader, Server, What, Why, prefix, scan};
use crate::limits;
use std::net::IpAddr;

/// What is remembered of a connection of the event log.
#[derive(Debug, Default)]
struct Connection {
    helo: Option<String>,
    /// When its last login was refused.
    refused: Option<Option<i64>>,
    /// It was told that it had too many tries, so a ban is no further one.
    too_many: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Stalwart {
    connections: Recent<Connection>,
    sessions: Recent<Conversation>,
    /// An event whose keys follow, each on a line of its own behind a tab.
    spread: Option<Spread>,
}

/// See [`Stalwart::spread`].
#[derive(Debug)]
struct Spread {
    number: u64,
    time: Option<i64>,
    name: String,
    keys: String,
}

impl Default for Stalwart {
    fn default() -> Self {
        Self {
            connections: Recent::new(limits::IMPORT_SESSIONS_MAX),
            sessions: Recent::new(limits::IMPORT_SESSIONS_MAX),
            spread: None,
        }
    }
}

const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

impl Reader for Stalwart {
    fn server(&self) -> Server {
        Server::Stalwart
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        if let (Some(spread), Some(key)) = (&mut self.spread, line.whole.strip_prefix('\t')) {
            let room = limits::IMPORT_LINE_OCTETS_MAX.saturating_sub(spread.keys.len());
            if key.len() < room {
                spread.keys.push_str(if spread.keys.is_empty() { "" } else { ", " });
                spread.keys.push_str(key.trim());
            }
            return Heard::Understood;
        }
        self.gathered(found);
        // Behind the prefix of a syslog its own stamp may stand once more.
        let twice = prefix::stamp(line.text).map_or(line.text, |(_, rest)| rest);
        for text in [unstamped(line), twice] {
            let Some((level, rest)) = text.trim_start().split_once(' ') else { continue };
            if !LEVELS.contains(&level) {
                continue;
            }
            let rest = rest.trim_start();
            if let Some(rest) = rest.strip_prefix("session{") {
                return self.traced(line, rest, found);
            }
            if let Some((name, "")) = event(rest) {
                let name = name.chars().take(limits::IMPORT_VALUE_CHARS_MAX).collect();
                let (number, time) = (line.number, line.prefix.time);
                self.spread = Some(Spread { number, time, name, keys: String::new() });
                return Heard::Understood;
            }
            if let Some((name, keys)) = event(rest) {
                return self.event(line, name, keys, found);
            }
        }
        Heard::NotMine
    }

    fn end(&mut self, found: &mut Vec<Finding>) {
        self.gathered(found);
        while let Some(session) = self.sessions.pop_oldest() {
            session.end(found);
        }
    }
}

/// `DESCRIPTION (event.name) KEYS`.
fn event(text: &str) -> Option<(&str, &str)> {
    let (description, rest) = text.split_once(" (")?;
    let (name, keys) = rest.split_once(')')?;
    let named = name.split_once('.').is_some_and(|(kind, what)| {
        let word = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|octet| octet.is_ascii_lowercase() || b"-0123456789".contains(&octet))
        };
        word(kind) && word(what)
    });
    (named && !description.contains(['=', '"'])).then(|| (name, keys.trim_start()))
}

impl Stalwart {
    /// The keys of the event that was spread over lines are all there.
    fn gathered(&mut self, found: &mut Vec<Finding>) {
        let Some(Spread { number, time, name, keys }) = self.spread.take() else { return };
        let prefix = Prefix { time, ..Prefix::default() };
        let line = Line { number, text: "", whole: "", prefix };
        // Without an address among them it tells nothing of a client.
        let _ = self.event(&line, &name, &keys, found);
    }

    fn event(&mut self, line: &Line<'_>, name: &str, keys: &str, found: &mut Vec<Finding>) -> Heard {
        let client = Client::read(keys);
        let key = client.key();
        let what = match name {
            "auth.failed" | "auth.token-expired" | "auth.credential-expired" | "security.ip-unauthorized" => {
                What::Login
            }
            // IMAP, POP3 and ManageSieve write this instead of the refusal which was the last; SMTP behind it.
            "auth.too-many-attempts" => {
                self.connections.entry(&key).too_many = true;
                if !keys.contains("causedBy = Authentication failed (auth.failed)") {
                    return Heard::Understood;
                }
                What::Login
            }
            // Written instead of the refusal that led to the ban.
            "security.authentication-ban" => {
                let known = self.connections.entry(&key);
                if known.too_many || known.refused.is_some_and(|time| at_once(time, line.prefix.time)) {
                    return Heard::Understood;
                }
                What::Login
            }
            "smtp.ehlo" => {
                self.connections.entry(&key).helo = value(keys, "domain", &client).and_then(scan::login);
                return Heard::Understood;
            }
            "smtp.connection-end" => {
                self.connections.take(&key);
                return Heard::Understood;
            }
            _ => match refused(name) {
                Some(what) => what,
                None => return Heard::Understood,
            },
        };
        let Some(source) = client.source else { return Heard::Damaged(Why::NoAddress) };
        let mut finding = Finding::new(line, Server::Stalwart, what);
        finding.source = Some(source);
        finding.door = client.door;
        finding.session = client.port.is_some().then(|| key.clone());
        if what == What::Login {
            finding.login = value(keys, "accountName", &client).and_then(scan::login);
            self.connections.entry(&key).refused = Some(line.prefix.time);
        }
        finding.helo = self.connections.get(&key).and_then(|known| known.helo.clone());
        found.push(finding);
        Heard::Understood
    }

    /// `instance="..." protocol=Smtp remote.ip="ADDRESS" remote.port=PORT}: target: fields`.
    fn traced(&mut self, line: &Line<'_>, text: &str, found: &mut Vec<Finding>) -> Heard {
        let Some((span, rest)) = text.split_once("}: ") else { return Heard::Damaged(Why::Cut) };
        let Some((target, rest)) = rest.split_once(": ") else { return Heard::Damaged(Why::Cut) };
        let span = Span::read(span);
        let Some(source) = span.source else { return Heard::Understood };
        let key = format!("{} {source} {}", span.instance, span.port);
        if self.sessions.get(&key).is_none() {
            let mut fresh = Conversation::new(Server::Stalwart);
            fresh.source = Some(source);
            fresh.door = door_named(&span.instance).or_else(|| door_named(&span.protocol));
            fresh.session = Some(key.clone());
            if let Some(oldest) = self.sessions.put(key.clone(), fresh) {
                oldest.end(found);
            }
        }
        let fields = Fields::read(rest);
        let Some(session) = self.sessions.get_mut(&key) else { return Heard::Understood };
        match (fields.event.as_str(), fields.data) {
            ("read", Some(data)) if span.protocol == "Smtp" => {
                for said in data.lines() {
                    session.client(line, said, found);
                }
            }
            ("write", Some(data)) if span.protocol == "Smtp" => {
                // Every reply is written on its own; more in one line is nothing of Stalwart's.
                let mut heard = Vec::new();
                for said in data.lines() {
                    session.server(line, said, &mut heard);
                }
                found.extend(heard.into_iter().take(1));
            }
            ("write", Some(data)) if login_answered_no(&data) => {
                let mut finding = Finding::new(line, Server::Stalwart, What::Login);
                finding.source = Some(source);
                finding.door = session.door;
                finding.session = Some(key);
                found.push(finding);
            }
            ("authenticate", None) if target.ends_with("auth") && fields.result == "failed" => {
                let mut finding = Finding::new(line, Server::Stalwart, What::Login);
                finding.source = Some(source);
                session.told_here(finding, found);
            }
            ("error", None) if target.ends_with("rcpt") => {
                let what = match rest.split(" context=").next().unwrap_or_default() {
                    "Mailbox does not exist." => What::Recipient,
                    "Relay not allowed." => What::Relay,
                    _ => return Heard::Understood,
                };
                session.told_here(Finding::new(line, Server::Stalwart, what), found);
            }
            ("disconnect", None) => {
                if let Some(session) = self.sessions.take(&key) {
                    session.end(found);
                }
            }
            _ => {}
        }
        Heard::Understood
    }
}

/// Refusals without a login.
fn refused(name: &str) -> Option<What> {
    match name {
        "smtp.auth-not-allowed" | "smtp.auth-mechanism-not-supported" | "smtp.auth-exchange-too-long" => {
            Some(What::AuthCommand)
        }
        "smtp.mailbox-does-not-exist" => Some(What::Recipient),
        "smtp.relay-not-allowed" => Some(What::Relay),
        "smtp.mail-from-unauthenticated" | "smtp.mail-from-unauthorized" | "smtp.mail-from-not-allowed" => {
            Some(What::Sender)
        }
        "smtp.vrfy-disabled" | "smtp.vrfy-not-found" | "smtp.expn-disabled" | "smtp.expn-not-found" => {
            Some(What::Verify)
        }
        "smtp.too-many-invalid-rcpt" => Some(What::TooManyErrors),
        "smtp.invalid-ehlo" => Some(What::Greeting),
        _ => None,
    }
}

fn at_once(one: Option<i64>, other: Option<i64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.abs_diff(other) <= 1,
        (None, _) | (_, None) => true,
    }
}

/// What stands in the keys of a connection.
#[derive(Debug, Default)]
struct Client {
    source: Option<IpAddr>,
    port: Option<u16>,
    door: Option<Door>,
}

impl Client {
    /// The keys that the server itself wrote first. Whatever comes behind a text of the client's is not looked at,
    /// unless no address came before: an event without a connection has its address behind the account's name, and
    /// nothing of the client's behind that.
    fn read(keys: &str) -> Self {
        let mut client = Self::default();
        let mut named = None;
        let mut rest = keys;
        while let Some((key, after)) = rest.split_once(" = ") {
            let (value, next) = match after.strip_prefix('"') {
                Some(text) => text.split_once('"').unwrap_or((text, "")),
                None => after
                    .split_once(',')
                    .map_or((after, ""), |(value, _)| (value, after.get(value.len()..).unwrap_or_default())),
            };
            match key {
                "listenerId" => named = door_named(value),
                "localPort" => client.door = value.parse().ok().and_then(door),
                "remoteIp" => client.source = client.source.or_else(|| scan::address(value)),
                "remotePort" => {
                    client.port = value.parse().ok();
                    break;
                }
                "accountName" | "domain" | "to" | "from" => {
                    let last = || keys.rsplit_once(", remoteIp = ").map(|(_, rest)| rest);
                    let behind = || last()?.split([',', ' ']).next().and_then(scan::address);
                    client.source = client.source.or_else(behind);
                    break;
                }
                _ => {}
            }
            let Some(next) = next.strip_prefix(", ") else { break };
            rest = next;
        }
        client.door = client.door.or(named);
        client
    }

    fn key(&self) -> String {
        let address = self.source.map(|address| address.to_string()).unwrap_or_default();
        format!("{address} {}", self.port.unwrap_or_default())
    }
}

/// Keys that stand before a client's text and never behind it.
const OF_THE_SPAN: [&str; 5] = ["listenerId", "localPort", "remoteIp", "remotePort", "accountName"];

/// The text of `KEY = "TEXT"`, up to the first quote behind which nothing follows, or keys that may stand there. A
/// name with such keys in it is cut short; it never becomes another client's. The client's address may be repeated.
fn value<'a>(keys: &'a str, key: &str, client: &Client) -> Option<&'a str> {
    let again = client.source.map(|source| format!(", remoteIp = {source}")).unwrap_or_default();
    let start = format!("{key} = \"");
    let text = keys.get(keys.find(&start)?..)?.strip_prefix(start.as_str())?;
    for (quote, _) in text.match_indices('"') {
        let (before, behind) = (text.get(..quote)?, text.get(quote..)?.strip_prefix('"')?);
        let behind = behind.strip_prefix(" }").unwrap_or(behind).trim_end();
        let behind = if again.is_empty() { behind.to_owned() } else { behind.replace(&again, "") };
        let key = behind.strip_prefix(", ").and_then(|rest| rest.split_once(" = ")).map(|(key, _)| key);
        let plain = |key: &str| key.bytes().all(|octet| octet.is_ascii_alphabetic());
        let of_the_span = || OF_THE_SPAN.iter().any(|name| behind.contains(&format!(", {name} = ")));
        if behind.is_empty() || (key.is_some_and(plain) && !of_the_span()) {
            return Some(before);
        }
    }
    None
}

/// The span of the tracing log.
#[derive(Debug, Default)]
struct Span {
    instance: String,
    protocol: String,
    source: Option<IpAddr>,
    port: String,
}

impl Span {
    fn read(text: &str) -> Self {
        let mut span = Self::default();
        let mut rest = text;
        while let Some((key, value, after)) = scan::logfmt(rest) {
            match key {
                "instance" if fits(&value) => span.instance = value,
                "protocol" if fits(&value) => span.protocol = value,
                "remote.ip" => span.source = scan::address(&value),
                "remote.port" if fits(&value) => span.port = value,
                _ => {}
            }
            rest = after;
        }
        span
    }
}

/// Whether a word is short enough to be a part of a session's name.
fn fits(word: &str) -> bool {
    word.len() <= limits::IMPORT_CONTAINER_OCTETS_MAX
}

/// The fields of a line of the tracing log; a message may stand before or behind them.
#[derive(Debug, Default)]
struct Fields {
    event: String,
    result: String,
    data: Option<String>,
}

impl Fields {
    fn read(text: &str) -> Self {
        let mut fields = Self::default();
        // A message in words comes before the first field; fields begin with the event or the context.
        let start = ["context=\"", "event=\"", "parent="].iter().filter_map(|name| text.find(name)).min();
        let mut rest = start.and_then(|at| text.get(at..)).unwrap_or(text);
        while let Some((key, value, after)) = scan::logfmt(rest) {
            match key {
                "event" if fields.event.is_empty() => fields.event = value,
                "result" if fields.result.is_empty() => fields.result = value,
                "data" if fields.data.is_none() => fields.data = Some(value),
                _ => {}
            }
            rest = after;
        }
        fields
    }
}

/// IMAP's and POP3's answer to a refused login.
fn login_answered_no(data: &str) -> bool {
    data.lines().any(|line| {
        line.starts_with("-ERR Authentication failed")
            || line.split_once(' ').is_some_and(|(_, rest)| rest.starts_with("NO [AUTHENTICATIONFAILED]"))
    })
}

#[cfg(test)]
#[path = "stalwart_tests.rs"]
mod tests;
