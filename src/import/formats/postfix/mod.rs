//! Postfix: smtpd under every name master gives it, and postscreen.
//!
//! smtpd has one process for one client at a time and says the client in each line, so process and client name
//! a session. It logs a refused AUTH exchange in a line of its own; where that line is missing (other log level,
//! AUTH refused before SASL) the summary at the end, `auth=0/1`, is all there is.

mod postscreen;
mod reject;

use crate::import::recent::Recent;
use crate::import::scan;
use crate::import::{Door, Finding, Heard, Line, Reader, Server, Step, What, Why};
use crate::limits;
use postscreen::Postscreen;
use std::net::IpAddr;

/// The reader.
#[derive(Debug)]
pub struct Postfix {
    sessions: Recent<Session>,
    postscreen: Postscreen,
    /// Clients so far.
    clients: u64,
    /// A refused mechanism that may be said twice.
    doubled: Option<Finding>,
}

/// What is known of the client a process serves.
#[derive(Debug, Default, Clone)]
struct Session {
    client: Option<IpAddr>,
    /// Which of the process's clients it is.
    number: u64,
    /// Its connection was logged: the log is whole, and nothing need be guessed from its end.
    connected: bool,
    /// A refusal was told; consequences of it are no tries of their own.
    refused: bool,
    /// It used AUTH, and how that ended was told.
    auth_told: bool,
    /// The server has hung up.
    over: bool,
    /// The check of its name failed; counts unless a connection follows.
    nameless: Option<Finding>,
}

impl Default for Postfix {
    fn default() -> Self {
        Self {
            sessions: Recent::new(limits::IMPORT_SESSIONS_MAX),
            postscreen: Postscreen::default(),
            clients: 0,
            doubled: None,
        }
    }
}

impl Reader for Postfix {
    fn server(&self) -> Server {
        Server::Postfix
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        let Some(program) = line.prefix.program.filter(|program| program.contains('/')) else {
            return if is_bare_refusal(line) { self.smtpd(line, Door::Smtp, found) } else { Heard::NotMine };
        };
        let (before, daemon) = program.rsplit_once('/').unwrap_or(("", program));
        if let Some(doubled) = self.doubled.take() {
            found.extend(self.undoubled(doubled, line));
        }
        match daemon {
            "smtpd" => self.smtpd(line, door(before), found),
            "postscreen" => self.postscreen.read(line, found),
            _ if before.starts_with("postfix") => Heard::Understood,
            _ => Heard::NotMine,
        }
    }

    fn end(&mut self, found: &mut Vec<Finding>) {
        found.extend(self.doubled.take());
        while let Some(session) = self.sessions.pop_oldest() {
            found.extend(session.nameless);
        }
    }
}

/// A refused login without anything in front, as `journalctl -o cat` shows it; no other server begins a line so.
fn is_bare_refusal(line: &Line<'_>) -> bool {
    let warning = line.text.strip_prefix("warning: ").filter(|_| line.prefix.program.is_none());
    warning.and_then(client).is_some_and(|(_, rest)| rest.starts_with(": SASL "))
}

fn door(before: &str) -> Door {
    match before.rsplit('/').next().unwrap_or_default() {
        "submission" | "587" => Door::Submission,
        "smtps" | "submissions" | "465" => Door::Submissions,
        _ => Door::Smtp,
    }
}

/// `NAME[ADDRESS]`, with a port behind it perhaps, at the beginning; and what follows. A name from the DNS has no
/// bracket in it, so the first pair is the address.
fn client(text: &str) -> Option<(IpAddr, &str)> {
    let (name, rest) = text.split_once('[')?;
    if name.contains([' ', ']', '<', '>']) {
        return None;
    }
    let (address, rest) = rest.split_once(']')?;
    let port = rest.strip_prefix(':').map(|after| after.trim_start_matches(|c: char| c.is_ascii_digit()));
    let rest = port.filter(|after| after.len() < rest.len().saturating_sub(1)).unwrap_or(rest);
    Some((scan::address(address)?, rest))
}

impl Postfix {
    /// The same words of the same process once more, in the next line: one try, written twice.
    fn undoubled(&self, doubled: Finding, line: &Line<'_>) -> Option<Finding> {
        let again = line.text.ends_with(": Invalid authentication mechanism")
            && line.prefix.time == doubled.time
            && doubled.session.as_deref().and_then(|session| session.rsplit_once('#')).map(|(key, _)| key)
                == Some(&key(line));
        (!again).then_some(doubled)
    }

    fn smtpd(&mut self, line: &Line<'_>, door: Door, found: &mut Vec<Finding>) -> Heard {
        let first = found.len();
        let key = key(line);
        let before = self.sessions.get(&key).map(|session| session.number);
        let heard = self.told(line, found);
        let number = self.sessions.get(&key).map(|session| session.number).or(before).unwrap_or_default();
        for finding in found.iter_mut().skip(first).chain(&mut self.doubled) {
            finding.door = Some(door);
            finding.session = Some(format!("{key}#{number}"));
        }
        heard
    }

    fn told(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        let text = line.text;
        if let Some(from) = text.strip_prefix("connect from ") {
            return self.connected(line, from);
        }
        if let Some(from) = text.strip_prefix("disconnect from ") {
            return self.disconnected(line, from, found);
        }
        if let Some(warning) = text.strip_prefix("warning: ") {
            return self.warning(line, warning, found);
        }
        if let Some(error) = text.strip_prefix("SSL_accept error from ") {
            return self.handshake(line, error, found);
        }
        let bare = unqueued(text);
        if let Some(after) = bare.strip_prefix("lost connection after ") {
            return self.lost(line, after, found);
        }
        if let Some(after) = bare.strip_prefix("too many errors after ") {
            return self.refused_after(line, after, What::TooManyErrors, found);
        }
        if let Some(after) = bare.strip_prefix("improper command pipelining after ") {
            return self.refused_after(line, after, What::Pipelining, found);
        }
        if let Some(after) = bare.strip_prefix("timeout after ") {
            return self.remembered(line, after);
        }
        for action in ["reject: ", "milter-reject: ", "proxy-reject: "] {
            if let Some(refusal) = bare.strip_prefix(action) {
                return self.rejected(line, refusal, found);
            }
        }
        Heard::Understood
    }

    fn connected(&mut self, line: &Line<'_>, from: &str) -> Heard {
        let Some((address, _)) = client(from) else { return Heard::Damaged(Why::Cut) };
        // Whatever was said of the name belongs to this connection.
        let number = self.next_number();
        let session = Session { client: Some(address), number, connected: true, ..Session::default() };
        self.sessions.put(key(line), session);
        Heard::Understood
    }

    fn disconnected(&mut self, line: &Line<'_>, from: &str, found: &mut Vec<Finding>) -> Heard {
        let Some((address, counts)) = client(from) else { return Heard::Damaged(Why::Cut) };
        let session = self.sessions.take(&key(line)).filter(|session| session.client == Some(address));
        let session = session.unwrap_or_default();
        found.extend(session.nameless);
        let refused = counts
            .split(' ')
            .find_map(|count| count.strip_prefix("auth="))
            .and_then(|count| count.split_once('/'))
            .and_then(|(good, all)| Some((good.parse::<u32>().ok()?, all.parse::<u32>().ok()?)))
            .is_some_and(|(good, all)| good < all);
        if refused && !session.auth_told {
            let mut finding = finding(line, What::AuthCommand, address);
            finding.steps = steps(counts);
            found.push(finding);
        }
        Heard::Understood
    }

    fn warning(&mut self, line: &Line<'_>, warning: &str, found: &mut Vec<Finding>) -> Heard {
        if let Some(named) =
            warning.strip_prefix("hostname ").or_else(|| warning.strip_prefix("numeric hostname: "))
        {
            return self.nameless(line, named);
        }
        if let Some((count, from)) = warning.split_once(" limit exceeded: ") {
            return self.limited(line, count, from, found);
        }
        if let Some(from) = warning.strip_prefix("non-SMTP command from ") {
            return self.refused_from(line, from, What::Garbage, found);
        }
        if let Some(from) = warning.strip_prefix("Illegal address syntax from ") {
            return self.refused_from(line, from, What::Garbage, found);
        }
        if let Some(from) = warning.strip_prefix("Refusing STARTTLS request from ") {
            return self.refused_from(line, from, What::Rate, found);
        }
        if let Some((address, sasl)) =
            client(warning).and_then(|(address, rest)| Some((address, rest.strip_prefix(": SASL ")?)))
        {
            return self.sasl(line, address, sasl, found);
        }
        let cut = warning.contains(": SASL ") && warning.contains(" authentication failed");
        if cut { Heard::Damaged(Why::NoAddress) } else { Heard::Understood }
    }

    /// `NAME does not resolve to address ADDRESS: …`, said before the connection itself.
    fn nameless(&mut self, line: &Line<'_>, named: &str) -> Heard {
        let Some((_, rest)) = named.split_once(" does not resolve to address ") else {
            return Heard::Understood;
        };
        let (written, why) = rest.split_once(": ").unwrap_or((rest, ""));
        let Some(address) = scan::address(written) else { return Heard::Damaged(Why::Cut) };
        // A name server that does not answer is nobody's try.
        let temporary = why.contains("emporary failure") || why.contains("ry again");
        let finding = (!temporary).then(|| finding(line, What::Client, address));
        let number = self.next_number();
        let session = Session { client: Some(address), number, nameless: finding, ..Session::default() };
        self.sessions.put(key(line), session);
        Heard::Understood
    }

    /// `Connection rate`, `AUTH command rate` and the like, then `NUMBER from CLIENT for service NAME`.
    fn limited(&mut self, line: &Line<'_>, limit: &str, rest: &str, found: &mut Vec<Finding>) -> Heard {
        let known = [
            "Connection rate",
            "Connection concurrency",
            "Message delivery request rate",
            "Recipient address rate",
            "New TLS session rate",
            "AUTH command rate",
        ];
        if !known.contains(&limit) {
            return Heard::Understood;
        }
        match rest.split_once(" from ") {
            Some((count, from)) if count.bytes().all(|octet| octet.is_ascii_digit()) => {
                self.refused_from(line, from, What::Rate, found)
            }
            Some(_) | None => Heard::Damaged(Why::Cut),
        }
    }

    fn sasl(&mut self, line: &Line<'_>, address: IpAddr, sasl: &str, found: &mut Vec<Finding>) -> Heard {
        let session = self.session(line, address);
        if sasl.ends_with(" authentication aborted") && !sasl.contains(" authentication failed: ") {
            session.auth_told = true;
            return Heard::Understood;
        }
        let Some((mechanism, reason)) = sasl.split_once(" authentication failed") else {
            return Heard::Damaged(Why::Cut);
        };
        session.auth_told = true;
        let reason = reason.strip_prefix(':').unwrap_or(reason).trim_start();
        let (reason, login) = reason.split_once(", sasl_username=").unwrap_or((reason, ""));
        if is_ours(reason) {
            return Heard::Understood;
        }
        session.refused = true;
        let mut finding = finding(line, What::Login, address);
        finding.session = Some(key(line));
        finding.mechanism = scan::mechanism(mechanism);
        finding.login = scan::login(login)
            .filter(|login| login != "(unavailable)")
            .map(|login| scan::octal_undone(&login));
        if reason == "Invalid authentication mechanism" {
            self.doubled = Some(finding);
        } else {
            found.push(finding);
        }
        Heard::Understood
    }

    fn handshake(&mut self, line: &Line<'_>, error: &str, found: &mut Vec<Finding>) -> Heard {
        let Some((address, rest)) = client(error) else { return Heard::Damaged(Why::Cut) };
        // -1 is our library's refusal; everything else is the peer or the line between.
        if rest.trim_start_matches(':').trim() == "-1" {
            self.session(line, address).refused = true;
            found.push(finding(line, What::Tls, address));
        }
        Heard::Understood
    }

    fn lost(&mut self, line: &Line<'_>, after: &str, found: &mut Vec<Finding>) -> Heard {
        let Some((command, address)) = after_from(after) else { return Heard::Damaged(Why::Cut) };
        let session = self.session(line, address);
        let at_work = ["AUTH", "DATA", "BDAT", "END-OF-MESSAGE", "MAIL", "RCPT", "RSET", "QUIT", "NOOP"];
        if session.connected || session.refused || at_work.contains(&command) {
            return Heard::Understood;
        }
        // All that this log has of the client: it came, and left before it had asked for anything.
        let mut finding = finding(line, What::HungUp, address);
        finding.steps = match command {
            "EHLO" => vec![Step::Ehlo(String::new())],
            "HELO" => vec![Step::Helo(String::new())],
            "STARTTLS" => vec![Step::Ehlo(String::new()), Step::StartTls],
            "UNKNOWN" => vec![Step::Unknown],
            _ => Vec::new(),
        };
        found.push(finding);
        Heard::Understood
    }

    /// `COMMAND from CLIENT`, with more behind it: the session is known, no try.
    fn remembered(&mut self, line: &Line<'_>, after: &str) -> Heard {
        let Some((command, address)) = after_from(after) else { return Heard::Damaged(Why::Cut) };
        // The exchange was never answered.
        self.session(line, address).auth_told |= command == "AUTH";
        Heard::Understood
    }

    fn refused_after(&mut self, line: &Line<'_>, after: &str, what: What, found: &mut Vec<Finding>) -> Heard {
        let Some((command, address)) = after_from(after) else { return Heard::Damaged(Why::Cut) };
        let auth = command == "AUTH";
        let session = self.session(line, address);
        let too_many = what == What::TooManyErrors;
        // Errors that were told one by one are not told again by their sum, and nothing follows a hang-up.
        let consequence = if too_many { session.refused && !session.over } else { session.over };
        session.auth_told |= auth;
        session.refused = true;
        session.over |= too_many;
        if !consequence {
            let mut finding = finding(line, what, address);
            let behind = after.split_once("]: ").map_or("", |(_, behind)| behind);
            finding.steps = heard_after(command, behind);
            found.push(finding);
        }
        Heard::Understood
    }

    fn refused_from(&mut self, line: &Line<'_>, from: &str, what: What, found: &mut Vec<Finding>) -> Heard {
        let Some((address, _)) = client(from) else { return Heard::Damaged(Why::NoAddress) };
        self.session(line, address).refused = true;
        found.push(finding(line, what, address));
        Heard::Understood
    }

    fn rejected(&mut self, line: &Line<'_>, refusal: &str, found: &mut Vec<Finding>) -> Heard {
        match reject::read(refusal) {
            Err(why) => Heard::Damaged(why),
            Ok(None) => Heard::Understood,
            Ok(Some(read)) => {
                self.session(line, read.source).refused = true;
                let mut finding = finding(line, read.what, read.source);
                finding.helo = read.helo;
                finding.login = read.login;
                finding.session = Some(key(line));
                finding.steps = read.steps;
                found.push(finding);
                Heard::Understood
            }
        }
    }

    fn next_number(&mut self) -> u64 {
        self.clients = self.clients.wrapping_add(1);
        self.clients
    }

    /// The session of this process and client; a new one where another client was served before.
    fn session(&mut self, line: &Line<'_>, client: IpAddr) -> &mut Session {
        let key = key(line);
        if self.sessions.get(&key).is_none_or(|session| session.client != Some(client)) {
            let number = self.next_number();
            self.sessions.put(key.clone(), Session { client: Some(client), number, ..Session::default() });
        }
        self.sessions.get_or_put(key, Session::default)
    }
}

fn key(line: &Line<'_>) -> String {
    format!(
        "{}/{}/{}",
        line.prefix.host.unwrap_or_default(),
        line.prefix.program.unwrap_or_default(),
        line.prefix.pid.unwrap_or_default()
    )
}

fn finding(line: &Line<'_>, what: What, address: IpAddr) -> Finding {
    let mut finding = Finding::new(line, Server::Postfix, what);
    finding.source = Some(address);
    finding.session = Some(key(line));
    finding
}

/// The line without the queue id in front.
fn unqueued(text: &str) -> &str {
    match text.split_once(": ") {
        Some((id, rest)) if !id.is_empty() && id.bytes().all(|octet| octet.is_ascii_alphanumeric()) => rest,
        Some(_) | None => text,
    }
}

/// `COMMAND from CLIENT` or `COMMAND (NUMBER bytes) from CLIENT`; the command is Postfix's own word.
fn after_from(text: &str) -> Option<(&str, IpAddr)> {
    let (command, rest) = text.split_once(" from ")?;
    let command = command.split_once(" (").map_or(command, |(command, _)| command);
    if command.contains(' ') {
        return None;
    }
    Some((command, client(rest)?.0))
}

/// Whether the reason of a failed exchange is our side's fault, or the client took it back.
fn is_ours(reason: &str) -> bool {
    const OURS: [&str; 15] = [
        "Connection lost to authentication server",
        "Can't connect to authentication server",
        "Authentication backend error",
        "Internal authentication failure",
        "Temporary authentication failure",
        "Authentication temporarily unavailable",
        "generic failure",
        "no SASL authentication mechanisms",
        "Authentication aborted",
        // libsasl's words (sasl_errstring).
        "out of memory",
        "overflowed buffer",
        "transient failure",
        "version mismatch",
        "remote authentication server unavailable",
        "SASL library is not initialized",
    ];
    let lower = reason.to_ascii_lowercase();
    OURS.iter().any(|ours| lower.starts_with(&ours.to_ascii_lowercase()))
        || lower.contains("temporar")
        || lower.contains("internal error")
        || lower.contains("aborted")
}

/// The commands counted in a summary, each once, in the order a client sends them.
fn steps(counts: &str) -> Vec<Step> {
    let count =
        |name: &str| counts.split(' ').any(|count| count.split_once('=').is_some_and(|(key, _)| key == name));
    let mut steps = Vec::new();
    if count("helo") {
        steps.push(Step::Helo(String::new()));
    }
    if count("ehlo") {
        steps.push(Step::Ehlo(String::new()));
    }
    if count("starttls") {
        steps.extend([Step::StartTls, Step::Ehlo(String::new())]);
    }
    if count("rset") {
        steps.push(Step::Rset);
    }
    steps.push(Step::Auth("LOGIN".to_owned(), false));
    if count("quit") {
        steps.push(Step::Quit);
    }
    steps
}

/// What was sent too early, by its beginning.
fn heard_after(command: &str, behind: &str) -> Vec<Step> {
    if behind.starts_with("\\026\\003") {
        return vec![Step::TlsHello];
    }
    let first = behind.split(' ').next().unwrap_or_default();
    if ["GET", "POST", "HEAD", "OPTIONS", "CONNECT", "PUT"].contains(&first) {
        return vec![Step::Http];
    }
    match command {
        "AUTH" => vec![Step::Ehlo(String::new()), Step::Auth("LOGIN".to_owned(), false), Step::Quit],
        "DATA" => vec![Step::Ehlo(String::new()), Step::Mail, Step::Rcpt, Step::Data],
        "RSET" => vec![Step::Ehlo(String::new()), Step::Rset, Step::Noop],
        "NOOP" => vec![Step::Ehlo(String::new()), Step::Noop, Step::Noop],
        "RCPT" => vec![Step::Ehlo(String::new()), Step::Mail, Step::Rcpt, Step::Rcpt],
        _ => vec![Step::Unknown],
    }
}
