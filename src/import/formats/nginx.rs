//! nginx as a mail proxy: its error log.
//!
//! `*N MESSAGE while ACTION, client: ADDRESS, server: ADDRESS:PORT, login: "NAME"`. nginx writes logins and commands
//! as they came, so a login is whatever stands after its place and a command whatever stands before the client's.

use super::ends::{door, unstamped};
use crate::import::conversation::Verb;
use crate::import::{Finding, Heard, Line, Reader, Server, Step, What, Why, scan};
use std::net::IpAddr;

/// See the module.
#[derive(Debug, Default)]
pub struct Nginx;

/// A line taken apart: `PROCESS#THREAD: *CONNECTION ` and the message.
struct Record<'a> {
    connection: String,
    message: &'a str,
}

impl Reader for Nginx {
    fn server(&self) -> Server {
        Server::Nginx
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        match record(unstamped(line)).or_else(|| record(line.text)) {
            Some(record) => told(line, &record, found),
            None => Heard::NotMine,
        }
    }

    fn end(&mut self, _found: &mut Vec<Finding>) {}
}

fn told(line: &Line<'_>, record: &Record<'_>, found: &mut Vec<Finding>) -> Heard {
    let message = record.message;
    if let Some(rest) = message.strip_prefix("client login failed: \"") {
        return login_failed(line, record, rest, false, found);
    }
    if message.strip_prefix("client ").is_some_and(|rest| rest.contains(" connected to ")) {
        return Heard::Understood;
    }
    let Some((said, action, ends)) = said_and_ends(message) else { return Heard::NotMine };
    let Some(what) = refused(said, action, ends.port) else {
        return if ends.mail() { Heard::Understood } else { Heard::NotMine };
    };
    let mut finding = Finding::new(line, Server::Nginx, what);
    finding.mechanism = said
        .strip_prefix("client sent invalid ")
        .and_then(|rest| rest.rsplit_once(" in AUTH "))
        .and_then(|(_, rest)| scan::mechanism(rest.strip_suffix(" command")?));
    if let Some(command) = said.split_once(": \"").and_then(|(_, command)| command.strip_suffix('"')) {
        let (verb, rest) = Verb::of(command);
        finding.steps = verb.step(rest).into_iter().collect();
    } else if let Some(mechanism) = &finding.mechanism {
        finding.steps = vec![Step::Auth(mechanism.clone(), false)];
    }
    finding.source = Some(ends.client);
    finding.door = ends.port.and_then(door);
    finding.session = Some(record.connection.clone());
    found.push(finding);
    Heard::Understood
}

/// `ERROR" while in http auth state, client: ADDRESS, server: ADDRESS:PORT, login: "NAME"`.
/// `spliced`: it is the second of two lines in one.
fn login_failed(
    line: &Line<'_>,
    record: &Record<'_>,
    rest: &str,
    spliced: bool,
    found: &mut Vec<Finding>,
) -> Heard {
    let Some((error, rest)) = rest.split_once("\" while in http auth state, client: ") else {
        return Heard::Damaged(Why::Cut);
    };
    let mut finding = Finding::new(line, Server::Nginx, What::Login);
    finding.session = Some(record.connection.clone());
    let Some(ends) = Ends::read(rest) else {
        return if spliced { Heard::Damaged(Why::Cut) } else { second_of_two(line, rest, found) };
    };
    if temporary(error) {
        return Heard::Understood;
    }
    finding.source = Some(ends.client);
    finding.door = ends.port.and_then(door);
    let name = ends.rest.strip_prefix(", login: \"").and_then(|name| name.strip_suffix('"'));
    finding.login = name.and_then(scan::login);
    if ends.rest.is_empty() {
        // Without a login nobody logged in: the server behind refused the client or its envelope.
        finding.what = What::Client;
    }
    found.push(finding);
    Heard::Understood
}

/// Two lines ran into one where the client should stand, which is before anything that it says. The second is
/// whole and tells its refusal; what the first told is gone.
fn second_of_two(line: &Line<'_>, rest: &str, found: &mut Vec<Finding>) -> Heard {
    let broken = rest.match_indices(" [info] ").next().and_then(|(at, _)| rest.get(at..));
    let second = broken.map(str::trim_start).and_then(record);
    match second
        .as_ref()
        .and_then(|second| second.message.strip_prefix("client login failed: \"").zip(Some(second)))
    {
        Some((message, second)) => login_failed(line, second, message, true, found),
        None => Heard::Damaged(Why::Cut),
    }
}

/// `[LEVEL] PROCESS#THREAD: *CONNECTION MESSAGE`; a connection that opens has its number twice.
fn record(text: &str) -> Option<Record<'_>> {
    let (stamp, _) = text.split_once('[')?;
    if !stamp.bytes().all(|octet| octet.is_ascii_digit() || b"/-:. T".contains(&octet)) {
        return None;
    }
    let text = text.get(stamp.len()..)?;
    let (level, rest) = text.strip_prefix('[')?.split_once("] ")?;
    if !["info", "notice", "warn", "error", "crit"].contains(&level) {
        return None;
    }
    let (process, rest) = rest.split_once(": ")?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let (pid, thread) = process.split_once('#')?;
    let (connection, message) = rest.strip_prefix('*')?.split_once(' ')?;
    (number(pid) && number(thread) && number(connection))
        .then(|| Record { connection: connection.to_owned(), message })
}

/// `ADDRESS[ using starttls], server: ADDRESS:PORT` and what follows.
struct Ends<'a> {
    client: IpAddr,
    port: Option<u16>,
    rest: &'a str,
}

impl<'a> Ends<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (client, rest) = match text.split_once(',') {
            Some((client, _)) => (client, text.get(client.len()..)?),
            None => (text, ""),
        };
        let client = client.strip_suffix(" using starttls").unwrap_or(client);
        let client = scan::address_port(client)?.0;
        let Some(server) = rest.strip_prefix(", server: ") else {
            return rest.is_empty().then_some(Self { client, port: None, rest });
        };
        let (address, rest) = match server.split_once(',') {
            Some((address, _)) => (address, server.get(address.len()..)?),
            None => (server, ""),
        };
        Some(Self { client, port: address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()), rest })
    }

    /// Whether a mail proxy listens there.
    fn mail(&self) -> bool {
        self.port.and_then(door).is_some_and(|door| door != crate::import::Door::Web)
    }
}

/// A message, the action it came in, and its ends. What the client said stands before the last `client: `.
fn said_and_ends(message: &str) -> Option<(&str, &str, Ends<'_>)> {
    let (before, ends) = message.rsplit_once(", client: ")?;
    let (said, action) = before.rsplit_once(" while ").unwrap_or((before, ""));
    Some((said, action, Ends::read(ends)?))
}

fn refused(said: &str, action: &str, port: Option<u16>) -> Option<What> {
    if said.starts_with("client sent invalid ") {
        return (said.ends_with(" command") && said.contains(" in AUTH ")).then_some(What::AuthCommand);
    }
    if said.starts_with("client was rejected before greeting: \"") {
        return Some(What::PreGreeting);
    }
    if let Some(command) = said.strip_prefix("client was rejected: \"") {
        return match Verb::of(command).0 {
            Verb::Rcpt | Verb::Mail => Some(What::Relay),
            Verb::Http | Verb::Tls => Some(What::Garbage),
            Verb::Ehlo
            | Verb::Helo
            | Verb::Auth
            | Verb::Response
            | Verb::StartTls
            | Verb::Data
            | Verb::Body
            | Verb::Rset
            | Verb::Noop
            | Verb::Vrfy
            | Verb::Expn
            | Verb::Quit
            | Verb::Other
            | Verb::Unknown => None,
        };
    }
    if said == "client sent too many invalid commands" {
        return Some(What::TooManyErrors);
    }
    if said.starts_with("client sent too long command") {
        return Some(What::Garbage);
    }
    let mail = port.and_then(door).is_some_and(|door| door != crate::import::Door::Web);
    (mail && action == "SSL handshaking" && said.starts_with("SSL_do_handshake() failed"))
        .then_some(What::Tls)
}

/// Whether the server behind answered that it could not answer.
fn temporary(error: &str) -> bool {
    let lower = error.to_ascii_lowercase();
    lower.starts_with("temporary") || lower.starts_with("internal server error")
}

#[cfg(test)]
mod tests {
    use super::super::harness::{brief, read};
    use super::*;

    fn told(lines: &[&str]) -> Vec<(u64, What, String, String)> {
        let log: Vec<String> =
            lines.iter().map(|line| format!("2026/06/03 10:25:52 [info] 74#74: {line}")).collect();
        brief(&read(Server::Nginx, &log.join("\n")))
    }

    #[test]
    fn a_failed_login_is_an_attempt_and_a_connection_is_none() {
        let found = told(&[
            "*1 client 192.0.2.7:4711 connected to 0.0.0.0:25",
            "*1 client login failed: \"AUTH not supported\" while in http auth state, client: 192.0.2.7, server: 0.0.0.0:25, login: \"web\"",
            "*2 client login failed: \"Authentication credentials invalid\" while in http auth state, client: 2001:db8::7 using starttls, server: [::]:587, login: \"x\"",
            "*3 client login failed: \"Temporary server problem, try again later\" while in http auth state, client: 192.0.2.7, server: 0.0.0.0:143, login: \"x\"",
            "*4 client logged in, client: 192.0.2.7, server: 0.0.0.0:143, login: \"x\", upstream: 198.51.100.1:143",
        ]);
        assert_eq!(
            found,
            [
                (2, What::Login, "192.0.2.7".into(), "web".into()),
                (3, What::Login, "2001:db8::7".into(), "x".into())
            ]
        );
    }

    #[test]
    fn a_login_that_holds_a_whole_line_is_a_login() {
        let login = "a\", client: 203.0.113.9, server: 0.0.0.0:25, login: \"b";
        let line = format!(
            "*1 client login failed: \"no\" while in http auth state, client: 192.0.2.7, server: 0.0.0.0:25, login: \"{login}\""
        );
        assert_eq!(told(&[&line]), [(1, What::Login, "192.0.2.7".into(), login.into())]);
    }

    #[test]
    fn a_command_that_holds_a_client_is_a_command() {
        let line = "*1 client was rejected: \"RCPT TO:<x@y.example> while in auth state, client: 203.0.113.9, server: 0.0.0.0:25\" while in auth state, client: 192.0.2.7, server: 0.0.0.0:25";
        assert_eq!(told(&[line]), [(1, What::Relay, "192.0.2.7".into(), String::new())]);
    }

    #[test]
    fn refused_exchanges_and_handshakes_are_told() {
        let found = told(&[
            "*1 client sent invalid base64 encoding in AUTH LOGIN command while in auth state, client: 192.0.2.7, server: 0.0.0.0:587",
            "*2 SSL_do_handshake() failed (SSL: error:0A000102:SSL routines::unsupported protocol) while SSL handshaking, client: 192.0.2.7, server: 0.0.0.0:465",
            "*3 SSL_do_handshake() failed (SSL: error:0A000102:SSL routines::unsupported protocol) while SSL handshaking, client: 192.0.2.7, server: 0.0.0.0:443",
        ]);
        let kinds: Vec<(u64, What)> = found.iter().map(|(line, what, ..)| (*line, *what)).collect();
        assert_eq!(kinds, [(1, What::AuthCommand), (2, What::Tls)]);
    }

    #[test]
    fn of_two_lines_that_ran_into_one_the_whole_one_is_told() {
        let found = told(&[
            "*1 client 192.0.2.7:4711 connected to 0.0.0.0:25",
            "*1 client login failed: \"no\" while in http auth state, client: 28:40 [info] 71#71: *2 client login failed: \"no\" while in http auth state, client: 192.0.2.8, server: 0.0.0.0:25, login: \"b\"",
            "*3 client login failed: \"no\" while in http auth state, clie",
        ]);
        assert_eq!(found, [(2, What::Login, "192.0.2.8".into(), "b".into())]);
    }

    #[test]
    fn requests_of_the_web_are_no_mail() {
        let log = "192.0.2.7 - - [03/Jun/2026:10:27:05 +0000] \"GET /x HTTP/1.1\" 200 1 \"-\" \"-\"\n2026/06/03 10:25:52 [error] 7#7: *9 user \"a\": password mismatch, client: 192.0.2.7, server: x, request: \"GET / HTTP/1.1\"";
        assert_eq!(read(Server::Nginx, log), []);
    }
}
