//! Haraka 2.x and 3.x: `[LEVEL] [UUID] [PLUGIN] MESSAGE`, or the same fields as logfmt or JSON.
//!
//! At level PROTOCOL the log holds the protocol. At lower levels a refused login shows as the delay that it costs
//! (auth_base), or as `success=false` of the plugins that ask another server; refused senders and recipients as
//! `code=DENY`.

use crate::import::conversation::Conversation;
use crate::import::recent::Recent;
use crate::import::{Finding, Heard, Line, Reader, Server, What, scan};
use crate::limits;
use serde_json::{Map, Value};

/// See the module.
#[derive(Debug)]
pub struct Haraka {
    sessions: Recent<Conversation>,
}

impl Default for Haraka {
    fn default() -> Self {
        Self { sessions: Recent::new(limits::IMPORT_SESSIONS_MAX) }
    }
}

/// A line taken apart.
struct Record<'a> {
    uuid: std::borrow::Cow<'a, str>,
    plugin: std::borrow::Cow<'a, str>,
    message: std::borrow::Cow<'a, str>,
    /// In logfmt and JSON the fields of the message are fields of the line.
    fields: Map<String, Value>,
}

impl Reader for Haraka {
    fn server(&self) -> Server {
        Server::Haraka
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        let Some(record) = bracketed(line.text).or_else(|| json(line.text)).or_else(|| logfmt(line.text))
        else {
            return Heard::NotMine;
        };
        if record.uuid == "-" || record.uuid.is_empty() {
            return Heard::Understood;
        }
        self.record(line, &record, found)
    }

    fn end(&mut self, found: &mut Vec<Finding>) {
        while let Some(session) = self.sessions.pop_oldest() {
            session.end(found);
        }
    }
}

impl Haraka {
    fn record(&mut self, line: &Line<'_>, record: &Record<'_>, found: &mut Vec<Finding>) -> Heard {
        // A transaction is UUID.NUMBER.
        let id = record.uuid.split('.').next().unwrap_or_default();
        if self.sessions.get(id).is_none() {
            let mut fresh = Conversation::new(Server::Haraka);
            fresh.session = Some(id.to_owned());
            if let Some(oldest) = self.sessions.put(id.to_owned(), fresh) {
                oldest.end(found);
            }
        }
        let Some(session) = self.sessions.get_mut(id) else { return Heard::Understood };
        let message = record.message.as_ref();
        let field = |name: &str| record.field(name);
        if record.plugin == "core" {
            if let Some(said) = message.strip_prefix("C: ") {
                session.client(line, without_state(said), found);
                return Heard::Understood;
            }
            if let Some(said) = message.strip_prefix("S: ") {
                session.server(line, said, found);
                return Heard::Understood;
            }
            match message.split(' ').next().unwrap_or_default() {
                "connect" => session.source = field("ip").as_deref().and_then(scan::address),
                "disconnect" => {
                    if let Some(session) = self.sessions.take(id) {
                        session.end(found);
                    }
                }
                "recipient" | "sender" => denied(line, session, record, found),
                _ => {}
            }
            return Heard::Understood;
        }
        let delayed = message
            .strip_prefix("delaying for ")
            .and_then(|rest| rest.strip_suffix(" seconds"))
            .is_some_and(|number| number.parse::<u32>().is_ok());
        let asked = message.starts_with("AUTH user=\"") && message.ends_with("\" success=false");
        if record.plugin.contains("auth") && (delayed || asked) {
            let mut finding = Finding::new(line, Server::Haraka, What::Login);
            if asked {
                finding.login = asked_login(message);
            }
            // auth_proxy asks and tells the login, then auth_base delays: one try.
            if !(delayed && session.waiting_login().is_some()) {
                session.told(finding, found);
            }
        }
        Heard::Understood
    }
}

impl Record<'_> {
    /// A field of the message, `name=value`, from behind the last place where the client could have put one: the
    /// fields come in a fixed order, so the first counts where nothing of the client's stands before it.
    fn field(&self, name: &str) -> Option<String> {
        if let Some(value) = self.fields.get(name).and_then(Value::as_str) {
            return Some(value.to_owned());
        }
        let mut rest = self.message.split_once(' ')?.1;
        while let Some((key, value, after)) = scan::logfmt(rest) {
            if key == name {
                return Some(value);
            }
            rest = after;
        }
        None
    }
}

/// `recipient <ADDRESS> code=DENY msg="..." sender="..."`: the code behind the address, which ends at the last `>`
/// before a code.
fn denied(line: &Line<'_>, session: &mut Conversation, record: &Record<'_>, found: &mut Vec<Finding>) {
    let code = match record.fields.get("code").and_then(Value::as_str) {
        Some(code) => Some(code),
        None => record.message.rsplit_once("> code=").and_then(|(_, rest)| rest.split(' ').next()),
    };
    // DENYSOFT is a temporary refusal.
    if !matches!(code, Some("DENY" | "DENYDISCONNECT")) {
        return;
    }
    let recipient = record.message.starts_with("recipient ");
    let mut finding =
        Finding::new(line, Server::Haraka, if recipient { What::Recipient } else { What::Sender });
    finding.source = session.source;
    session.told(finding, found);
}

/// `AUTH user="NAME" host="..." success=false` (auth_proxy), `AUTH user="NAME" success=false` (auth_vpopmaild).
fn asked_login(message: &str) -> Option<String> {
    let rest = message.strip_prefix("AUTH user=\"")?.strip_suffix(" success=false")?;
    let name = match rest.rsplit_once("\" host=\"") {
        Some((name, _)) => name,
        None => rest.strip_suffix('"')?,
    };
    scan::login(name)
}

/// The state of Haraka's own that stands behind a client's line.
fn without_state(said: &str) -> &str {
    match said.rsplit_once(" state=") {
        Some((before, state)) if !state.is_empty() && state.bytes().all(|octet| octet.is_ascii_digit()) => {
            before
        }
        Some(_) | None => said,
    }
}

const LEVELS: [&str; 10] =
    ["DATA", "PROTOCOL", "DEBUG", "INFO", "NOTICE", "WARN", "ERROR", "CRIT", "ALERT", "EMERG"];

fn bracketed(text: &str) -> Option<Record<'_>> {
    let (level, rest) = text.strip_prefix('[')?.split_once("] [")?;
    let (uuid, rest) = rest.split_once("] [")?;
    let (plugin, message) = rest.split_once("] ")?;
    let named = LEVELS.contains(&level) && is_uuid(uuid) && !plugin.contains(['[', ' ']);
    named.then(|| Record {
        uuid: uuid.into(),
        plugin: plugin.into(),
        message: message.into(),
        fields: Map::new(),
    })
}

/// `36 characters[.NUMBER]`, or `-` outside sessions.
fn is_uuid(word: &str) -> bool {
    word == "-"
        || ((36..=limits::IMPORT_CONTAINER_OCTETS_MAX).contains(&word.len())
            && word.bytes().all(|octet| octet.is_ascii_hexdigit() || octet == b'-' || octet == b'.'))
}

fn of_fields(fields: Map<String, Value>) -> Option<Record<'static>> {
    let field = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let (level, uuid) = (field("level")?, field("uuid")?);
    let (plugin, message) = (field("origin")?, field("message")?);
    (LEVELS.contains(&level.as_str()) && is_uuid(&uuid)).then(|| Record {
        uuid: uuid.into(),
        plugin: plugin.into(),
        message: message.trim_end().to_owned().into(),
        fields,
    })
}

fn json(text: &str) -> Option<Record<'_>> {
    let text = text.trim();
    if !text.starts_with("{\"level\":\"") {
        return None;
    }
    of_fields(serde_json::from_str(text).ok()?)
}

fn logfmt(text: &str) -> Option<Record<'_>> {
    if !text.starts_with("level=") {
        return None;
    }
    let mut fields = Map::new();
    let mut rest = text;
    while let Some((key, value, after)) = scan::logfmt(rest) {
        fields.entry(key).or_insert(Value::String(value));
        rest = after;
    }
    of_fields(fields)
}

#[cfg(test)]
#[path = "haraka_tests.rs"]
mod tests;
