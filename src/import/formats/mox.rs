//! mox: logfmt, `l=LEVEL m=MESSAGE … key=value`, joined by the connection's number (`cid`).
//!
//! Values are quoted where they need it, so nothing that a client sends begins a key of its own. At info level a
//! refused login is one line; at debug the result of the command follows, at trace both sides' lines stand around
//! it. A connection that the file leaves in the middle of an exchange, without an end, counts as one try.

use crate::import::recent::Recent;
use crate::import::scan;
use crate::import::{Door, Finding, Heard, Line, Reader, Server, Step, What, Why};
use crate::limits;
use std::net::IpAddr;

/// The reader.
#[derive(Debug)]
pub struct Mox {
    connections: Recent<Connection>,
}

#[derive(Debug, Default)]
struct Connection {
    source: Option<IpAddr>,
    door: Option<Door>,
    helo: Option<String>,
    steps: Vec<Step>,
    /// The AUTH command that is being worked on.
    exchange: Option<Exchange>,
    /// Refusals told, so that the command's result does not tell them again.
    told: bool,
    /// Whether the client's own lines are in the log.
    traced: bool,
}

#[derive(Debug)]
struct Exchange {
    mechanism: Option<String>,
    /// What to tell if the file ends here.
    finding: Finding,
}

impl Default for Mox {
    fn default() -> Self {
        Self { connections: Recent::new(limits::IMPORT_SESSIONS_MAX) }
    }
}

/// The keys of a line that matter.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    package: String,
    cid: String,
    username: Option<String>,
    remote: Option<String>,
    local: Option<String>,
    tls: bool,
    submission: bool,
    command: String,
    code: String,
}

fn fields(text: &str) -> Option<Fields> {
    let mut read = Fields::default();
    let mut rest = text;
    while !rest.trim_start().is_empty() {
        let (key, value, after) = scan::logfmt(rest)?;
        match key {
            "m" if read.message.is_empty() => read.message = value,
            "pkg" if read.package.is_empty() => read.package = value,
            "cid" if read.cid.is_empty() => read.cid = value,
            "username" => read.username = read.username.or(Some(value)),
            "remote" => read.remote = read.remote.or(Some(value)),
            "local" => read.local = read.local.or(Some(value)),
            "tls" => read.tls = value == "true",
            "submission" => read.submission = value == "true",
            "cmd" if read.command.is_empty() => read.command = value,
            "code" if read.code.is_empty() => read.code = value,
            _ => {}
        }
        rest = after;
    }
    Some(read)
}

impl Reader for Mox {
    fn server(&self) -> Server {
        Server::Mox
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        let named = line.prefix.program == Some("mox");
        if !line.text.starts_with("l=") {
            // A stack dump, or what a program below wrote.
            return if named { Heard::Understood } else { Heard::NotMine };
        }
        let Some(fields) = fields(line.text) else {
            let ours = named
                || line.text.contains(" pkg=smtpserver")
                || line.text.contains(" m=\"failed authentication");
            return if ours { Heard::Damaged(Why::Cut) } else { Heard::NotMine };
        };
        if fields.message.is_empty() {
            return if named { Heard::Understood } else { Heard::NotMine };
        }
        let door = match fields.package.as_str() {
            "smtpserver" => None,
            "imapserver" => Some(Door::Imap),
            _ => {
                return self.elsewhere(line, &fields, found);
            }
        };
        self.told(line, &fields, door, found)
    }

    fn end(&mut self, found: &mut Vec<Finding>) {
        while let Some(connection) = self.connections.pop_oldest() {
            found.extend(connection.exchange.map(|exchange| exchange.finding));
        }
    }
}

impl Mox {
    /// The web pages have logins of their own.
    fn elsewhere(&mut self, line: &Line<'_>, fields: &Fields, found: &mut Vec<Finding>) -> Heard {
        if fields.message == "failed authentication attempt" {
            found.push(refusal(line, fields, &Connection { door: Some(Door::Web), ..Connection::default() }));
        }
        Heard::Understood
    }

    fn told(
        &mut self,
        line: &Line<'_>,
        fields: &Fields,
        door: Option<Door>,
        found: &mut Vec<Finding>,
    ) -> Heard {
        let connection = self.connections.get_or_put(fields.cid.clone(), Connection::default);
        connection.door = connection.door.or(door);
        match fields.message.as_str() {
            "new connection" => {
                *connection = Connection {
                    source: fields.remote.as_deref().and_then(scan::address_port).map(|(address, _)| address),
                    door: door.or_else(|| smtp_door(fields)),
                    ..Connection::default()
                };
            }
            "connection closed" => {
                self.connections.take(&fields.cid);
            }
            "failed authentication attempt"
            | "failed tls client certificate authentication attempt"
            | "bad scram protocol message"
            | "bad channel binding during authentication, potential mitm"
            | "account login disabled" => {
                let mut finding = refusal(line, fields, connection);
                finding.mechanism = connection.exchange.take().and_then(|exchange| exchange.mechanism);
                connection.told = true;
                found.push(finding);
            }
            "smtp command result" if fields.command == "auth" => result(line, fields, connection, found),
            message => {
                if let Some(sent) = message.strip_prefix("RC: ") {
                    heard(line, sent.trim_end_matches(['\r', '\n']), connection);
                } else if let Some(said) = message.strip_prefix("LS: ") {
                    answered(line, fields, said, connection, found);
                }
            }
        }
        Heard::Understood
    }
}

fn smtp_door(fields: &Fields) -> Option<Door> {
    Some(match (fields.submission, fields.tls) {
        (true, true) => Door::Submissions,
        (true, false) => Door::Submission,
        (false, _) => Door::Smtp,
    })
}

fn refusal(line: &Line<'_>, fields: &Fields, connection: &Connection) -> Finding {
    let mut finding = Finding::new(line, Server::Mox, What::Login);
    let told = fields.remote.as_deref().and_then(scan::address_port).map(|(address, _)| address);
    finding.source = told.or(connection.source);
    finding.login = fields.username.as_deref().and_then(scan::login);
    finding.session = Some(fields.cid.clone()).filter(|cid| !cid.is_empty());
    finding.door = connection.door;
    finding.helo = connection.helo.clone();
    finding.steps = connection.steps.clone();
    if !finding.steps.iter().any(|step| matches!(step, Step::Auth(..))) {
        // The exchange began before the log: its lines look like commands that nobody knows.
        finding.steps.retain(|step| *step != Step::Unknown);
    }
    finding
}

/// The result of an AUTH command. 501 is an exchange taken back or not understood, 4xx our own trouble.
fn result(line: &Line<'_>, fields: &Fields, connection: &mut Connection, found: &mut Vec<Finding>) {
    let exchange = connection.exchange.take();
    if std::mem::take(&mut connection.told) {
        return;
    }
    let what = match fields.code.as_str() {
        "535" | "525" => What::Login,
        "504" | "503" | "502" | "530" | "534" | "538" | "554" => What::AuthCommand,
        _ => return,
    };
    let mut finding = refusal(line, fields, connection);
    finding.what = what;
    finding.mechanism = exchange.and_then(|exchange| exchange.mechanism);
    found.push(finding);
}

/// A line of the client's.
fn heard(line: &Line<'_>, sent: &str, connection: &mut Connection) {
    connection.traced = true;
    if connection.exchange.is_some() {
        push(connection, Step::Password);
        return;
    }
    let mut words = sent.split(' ');
    let verb = words.next().unwrap_or_default().to_ascii_uppercase();
    let argument: String =
        words.next().unwrap_or_default().chars().take(limits::IMPORT_VALUE_CHARS_MAX).collect();
    let argument = argument.as_str();
    let step = match verb.as_str() {
        "EHLO" => Step::Ehlo(argument.to_owned()),
        "HELO" => Step::Helo(argument.to_owned()),
        "STARTTLS" => Step::StartTls,
        "RSET" => Step::Rset,
        "NOOP" => Step::Noop,
        "VRFY" => Step::Vrfy,
        "EXPN" => Step::Expn,
        "MAIL" => Step::Mail,
        "RCPT" => Step::Rcpt,
        "DATA" => Step::Data,
        "QUIT" => Step::Quit,
        "AUTH" => Step::Auth(argument.to_ascii_uppercase(), words.next().is_some()),
        _ => Step::Unknown,
    };
    if matches!(verb.as_str(), "EHLO" | "HELO") {
        connection.helo = scan::login(argument);
    }
    push(connection, step);
    if verb == "AUTH" {
        let mut finding = Finding::new(line, Server::Mox, What::Login);
        finding.source = connection.source;
        finding.mechanism = scan::mechanism(argument);
        finding.door = connection.door;
        finding.helo = connection.helo.clone();
        finding.steps = connection.steps.clone();
        connection.told = false;
        connection.exchange = Some(Exchange { mechanism: finding.mechanism.clone(), finding });
    }
}

fn push(connection: &mut Connection, step: Step) {
    if connection.steps.len() < limits::IMPORT_STEPS_MAX {
        connection.steps.push(step);
    }
}

/// A reply of the server's; it ends an exchange unless it is a 334. A refusal that no other line told is told here.
fn answered(
    line: &Line<'_>,
    fields: &Fields,
    said: &str,
    connection: &mut Connection,
    found: &mut Vec<Finding>,
) {
    if said.starts_with("334") {
        return;
    }
    if let Some(exchange) = connection.exchange.take()
        && said.starts_with("535")
        && !connection.told
    {
        let mut finding = refusal(line, fields, connection);
        finding.mechanism = exchange.mechanism;
        connection.told = true;
        found.push(finding);
    }
    if !said.starts_with("535") {
        connection.told = false;
    }
}
