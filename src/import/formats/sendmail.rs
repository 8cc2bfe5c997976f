//! sendmail (8.9 to 8.18), and saslauthd beside it.
//!
//! The queue id (`s1GNXHYB005133`) is the session. Refusals name the client as `relay=NAME [ADDRESS]`; those that do
//! not (an unknown recipient, a milter's refusal) wait for the line of the same id that does.

use super::ends::{Sasl, client_first, client_last, door_named, sasl};
use crate::import::recent::Recent;
use crate::import::{Finding, Heard, Line, Reader, Server, Step, Voice, What, Why, scan};
use crate::limits;
use std::net::IpAddr;

/// What is remembered of a queue id.
#[derive(Debug, Default)]
struct Session {
    source: Option<IpAddr>,
    /// An AUTH of it was refused: the count of AUTH commands tells nothing new.
    auth_refused: bool,
    /// Recipients it was told not to exist; they count when the client is named.
    unknown_recipients: usize,
    /// What a milter refused.
    milter: Vec<Finding>,
}

/// A login that saslauthd refused and no sendmail line has told yet.
#[derive(Debug, Clone, Copy)]
struct Unclaimed {
    line: u64,
    time: Option<i64>,
}

/// See the module.
#[derive(Debug)]
pub struct Sendmail {
    sessions: Recent<Session>,
    unclaimed: Option<Unclaimed>,
}

impl Default for Sendmail {
    fn default() -> Self {
        Self { sessions: Recent::new(limits::IMPORT_SESSIONS_MAX), unclaimed: None }
    }
}

impl Reader for Sendmail {
    fn server(&self) -> Server {
        Server::Sendmail
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        let program = line.prefix.program.unwrap_or_default();
        if program == "saslauthd" {
            return self.saslauthd(line, found);
        }
        let ours = program == "sendmail" || program.starts_with("sendmail-") || program.starts_with("sm-");
        if !ours {
            return Heard::NotMine;
        }
        let (id, text) = queue_id(line.text);
        if let Some(rest) = text.strip_prefix("AUTH failure (") {
            return self.auth_failure(line, id, rest, found);
        }
        if let Some(rest) = text.strip_prefix("ruleset=") {
            return ruleset(line, id, rest, found);
        }
        if let Some(rest) = text.strip_prefix("rejecting commands from ") {
            return match rest.trim_start().rsplit_once(" due to pre-greeting traffic after ") {
                Some((client, _)) => push(line, id, client_last(client), What::PreGreeting, found),
                None => Heard::Damaged(Why::Cut),
            };
        }
        if let Some(rest) = text.strip_prefix("lost input channel from ") {
            let Some((source, rest)) = client_first(rest) else { return Heard::Damaged(Why::NoAddress) };
            if rest.starts_with(" to ") && rest.ends_with(" after rcpt") {
                return push(line, id, Some(source), What::HungUp, found);
            }
            return Heard::Understood;
        }
        if text.starts_with("STARTTLS=server, error: accept failed=") {
            let client = text.rsplit_once(", relay=").map(|(_, client)| client);
            return push(line, id, client.and_then(client_last), What::Tls, found);
        }
        if let Some(rest) = text.strip_prefix("connect from ") {
            if let (Some((source, _)), Some(pid)) = (client_first(rest), line.prefix.pid) {
                self.session(&pid_key(pid)).source = Some(source);
            }
            return Heard::Understood;
        }
        if let Some(rest) = text.strip_prefix("Milter: ") {
            self.milter(line, id, rest);
            return Heard::Understood;
        }
        if text.starts_with('<')
            && (text.ends_with(">... No such user here") || text.ends_with(">... User unknown"))
        {
            let session = self.session(id);
            session.unknown_recipients = session.unknown_recipients.saturating_add(1);
            return Heard::Understood;
        }
        if text.starts_with("from=") {
            return self.sender_line(line, id, text, found);
        }
        if let Some((source, rest)) = client_first(text) {
            return self.client_line(line, id, source, rest, found);
        }
        Heard::Understood
    }

    fn end(&mut self, found: &mut Vec<Finding>) {
        while let Some(session) = self.sessions.pop_oldest() {
            found.extend(session.milter);
        }
    }
}

impl Sendmail {
    /// The memory of an id, made if there is none. What falls out of memory is told no more: it has no source.
    fn session(&mut self, id: &str) -> &mut Session {
        self.sessions.entry(id)
    }

    /// `MECHANISM): TEXT (CODE) SASL(-13): ..., user=NAME, relay=CLIENT`: the client from the end, the number from
    /// the start, the name between them.
    fn auth_failure(&mut self, line: &Line<'_>, id: &str, rest: &str, found: &mut Vec<Finding>) -> Heard {
        let Some((mechanism, rest)) = rest.split_once("): ") else { return Heard::Damaged(Why::Cut) };
        let Some((reason, client)) = rest.rsplit_once(", relay=") else { return Heard::Damaged(Why::Cut) };
        let code = reason.split_once(" (").and_then(|(_, rest)| rest.split_once(')')).map(|(code, _)| code);
        let Some(Ok(code)) = code.map(str::parse::<i32>) else { return Heard::Damaged(Why::Cut) };
        let what = match sasl(code) {
            Sasl::Refused => What::Login,
            Sasl::Mechanism => What::AuthCommand,
            Sasl::Cancelled | Sasl::Failure => return Heard::Understood,
        };
        let Some(source) = client_last(client) else { return Heard::Damaged(Why::NoAddress) };
        self.session(id).auth_refused = true;
        self.unclaimed = None;
        let mut finding = Finding::new(line, Server::Sendmail, what);
        finding.source = Some(source);
        finding.session = session_name(id);
        finding.mechanism = scan::mechanism(mechanism);
        finding.login =
            reason.split_once(", user=").and_then(|(_, name)| scan::login(&scan::octal_undone(name)));
        finding.steps = vec![Step::Auth(finding.mechanism.clone().unwrap_or_default(), false)];
        found.push(finding);
        Heard::Understood
    }

    /// Lines that begin with the client.
    fn client_line(
        &mut self,
        line: &Line<'_>,
        id: &str,
        source: IpAddr,
        rest: &str,
        found: &mut Vec<Finding>,
    ) -> Heard {
        if let Some(rest) = rest.strip_prefix(": ") {
            if rest.starts_with("possible SMTP attack: command=AUTH, count=") {
                if self.session(id).auth_refused {
                    return Heard::Understood;
                }
                return push(line, id, Some(source), What::AuthCommand, found);
            }
            let verb = rest.split(' ').next().unwrap_or_default();
            let asks = verb.eq_ignore_ascii_case("VRFY") || verb.eq_ignore_ascii_case("EXPN");
            if asks && rest.ends_with(" [rejected]") {
                return push(line, id, Some(source), What::Verify, found);
            }
            return Heard::Understood;
        }
        if !rest.starts_with(" did not issue ") {
            return Heard::Understood;
        }
        // A client that was refused, did nothing else and left: the refusal is the attempt.
        if self.session(id).auth_refused {
            return Heard::Understood;
        }
        if let Some(unclaimed) = self.unclaimed.take()
            && near(unclaimed.time, line.prefix.time)
        {
            let mut finding = Finding::new(line, Server::Sendmail, What::Login);
            finding.line = unclaimed.line;
            finding.time = unclaimed.time;
            finding.source = Some(source);
            finding.session = session_name(id);
            found.push(finding);
            return Heard::Understood;
        }
        push(line, id, Some(source), What::HungUp, found)
    }

    /// `from=<...>, size=..., relay=CLIENT`: names the client of what this id was refused before.
    fn sender_line(&mut self, line: &Line<'_>, id: &str, text: &str, found: &mut Vec<Finding>) -> Heard {
        let Some(session) = self.sessions.take(id) else { return Heard::Understood };
        let source =
            text.rsplit_once(", relay=").and_then(|(_, client)| client_last(client)).or(session.source);
        for mut finding in session.milter {
            finding.source = finding.source.or(source);
            found.push(finding);
        }
        if session.unknown_recipients == 0 {
            return Heard::Understood;
        }
        if source.is_none() {
            return Heard::Damaged(Why::NoAddress);
        }
        push(line, id, source, What::Recipient, found)
    }

    /// `to=<...>, reject=550 5.1.1 ...`, `from=`, `data`, `helo=`: what a milter said. 4yz is no refusal.
    fn milter(&mut self, line: &Line<'_>, id: &str, rest: &str) {
        let what = match rest.split(['=', ',', ':']).next().unwrap_or_default() {
            "to" => What::Recipient,
            "from" => What::Sender,
            "helo" => What::Greeting,
            "connect" => What::Client,
            _ => What::Message,
        };
        let refused = rest.rsplit_once(", reject=").is_some_and(|(_, reply)| reply.starts_with('5'));
        if !refused {
            return;
        }
        let by_pid =
            line.prefix.pid.and_then(|pid| self.sessions.get(&pid_key(pid))).and_then(|known| known.source);
        let mut finding = Finding::new(line, Server::Sendmail, what);
        finding.session = session_name(id);
        let session = self.session(id);
        finding.source = session.source.or(by_pid);
        if session.milter.len() < limits::IMPORT_STEPS_MAX {
            session.milter.push(finding);
        }
    }

    /// `do_auth         : auth failure: [user=NAME] [service=smtp] [realm=] [mech=pam] [reason=PAM auth error]`
    fn saslauthd(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        let Some((function, rest)) = line.text.split_once(": auth failure: [user=") else {
            return Heard::Understood;
        };
        if function.trim().contains(' ') {
            return Heard::Understood;
        }
        let fields = rest.rsplit_once("] [reason=").and_then(|(rest, reason)| {
            let (rest, _) = rest.rsplit_once("] [mech=")?;
            let (rest, _) = rest.rsplit_once("] [realm=")?;
            let (login, service) = rest.rsplit_once("] [service=")?;
            Some((login, service, reason.strip_suffix(']')?))
        });
        let Some((login, service, reason)) = fields else { return Heard::Damaged(Why::Cut) };
        if BACK_END_FAILURES.contains(&reason) {
            return Heard::Understood;
        }
        // Where it serves IMAP or POP3, the server in front is Cyrus.
        let server = if service == "smtp" { Server::Sendmail } else { Server::Cyrus };
        let mut finding = Finding::new(line, server, What::Login);
        finding.voice = Voice::BackEnd;
        finding.login = scan::login(login);
        finding.door = door_named(service);
        found.push(finding);
        if service == "smtp" {
            self.unclaimed = Some(Unclaimed { line: line.number, time: line.prefix.time });
        }
        Heard::Understood
    }
}

/// Reasons of saslauthd that are no answer to the login.
const BACK_END_FAILURES: [&str; 6] = [
    "saslauthd internal error",
    "PAM start error",
    "PAM session error",
    "PAM setcred error",
    "remote server unavailable",
    "Unable to contact server",
];

/// The queue id in front of a message, and the message. `NOQUEUE` and no id at all give an empty one.
fn queue_id(text: &str) -> (&str, &str) {
    match text.split_once(": ") {
        Some(("NOQUEUE", rest)) => ("", rest),
        Some((id, rest))
            if (8..=24).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric()) =>
        {
            (id, rest)
        }
        Some(_) | None => ("", text),
    }
}

fn session_name(id: &str) -> Option<String> {
    (!id.is_empty()).then(|| id.to_owned())
}

fn pid_key(pid: u64) -> String {
    format!("pid {pid}")
}

fn near(one: Option<i64>, other: Option<i64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.abs_diff(other) <= limits::IMPORT_JOIN_SECONDS.unsigned_abs(),
        (None, _) | (_, None) => true,
    }
}

fn push(line: &Line<'_>, id: &str, source: Option<IpAddr>, what: What, found: &mut Vec<Finding>) -> Heard {
    if source.is_none() {
        return Heard::Damaged(Why::NoAddress);
    }
    let mut finding = Finding::new(line, Server::Sendmail, what);
    finding.source = source;
    finding.session = session_name(id);
    found.push(finding);
    Heard::Understood
}

/// `check_rcpt, arg1=<...>, relay=CLIENT, reject=CODE TEXT`. The argument is the client's, and the text repeats it.
fn ruleset(line: &Line<'_>, id: &str, rest: &str, found: &mut Vec<Finding>) -> Heard {
    let Some((name, rest)) = rest.split_once(',') else { return Heard::Damaged(Why::Cut) };
    let rest = rest.trim_start();
    let Some((source, reply)) = relay_and_reply(rest) else {
        // Without `reject=` it is a line that tells of something else (`discard`, `quarantine=`).
        let refusal = rest.contains("reject=");
        return if refusal { Heard::Damaged(Why::NoAddress) } else { Heard::Understood };
    };
    if ours_to_blame(reply) {
        return Heard::Understood;
    }
    push(line, id, Some(source), refused_by_ruleset(name, reply), found)
}

/// The first place where the arguments are complete (an address that began is closed, its quotes too) and a client
/// and a reply code follow.
fn relay_and_reply(text: &str) -> Option<(IpAddr, &str)> {
    for (at, _) in text.match_indices("relay=") {
        let (arguments, rest) = (text.get(..at)?, text.get(at..)?.strip_prefix("relay=")?);
        let complete = arguments.is_empty() || arguments.strip_suffix(", ").is_some_and(closed);
        let Some((client, reply)) = rest.split_once(", reject=") else { continue };
        let (true, Some(source)) = (complete, client_last(client)) else { continue };
        if client.len() <= limits::DOMAIN_OCTETS_MAX.saturating_add(64) {
            return Some((source, reply));
        }
    }
    None
}

/// Whether every `<` and every quote in it is closed.
fn closed(arguments: &str) -> bool {
    let mut quoted = false;
    let mut open = false;
    let mut letters = arguments.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if quoted => {
                letters.next();
            }
            '"' => quoted = !quoted,
            '<' if !quoted => open = true,
            '>' if !quoted => open = false,
            _ => {}
        }
    }
    !quoted && !open
}

/// Whether a temporary reply tells of a lookup that failed, or of greylisting. The client's own address, which the
/// text may repeat, is not asked.
fn ours_to_blame(reply: &str) -> bool {
    if !reply.starts_with('4') {
        return false;
    }
    let words = reply.rsplit_once(">... ").map_or(reply, |(_, words)| words);
    let enhanced = reply.split(' ').nth(1).unwrap_or_default();
    let words = words.to_ascii_lowercase();
    enhanced == "4.3.0"
        || ["greylist", "graylist", "temporary lookup failure", "name server", "try again", "local error"]
            .iter()
            .any(|sign| words.contains(sign))
}

fn refused_by_ruleset(name: &str, reply: &str) -> What {
    let enhanced = reply.split(' ').nth(1).unwrap_or_default();
    match name {
        "check_rcpt" if enhanced.ends_with(".1.8") => What::Sender,
        "check_rcpt" if enhanced.ends_with(".1.1") => What::Recipient,
        "check_rcpt" if reply.contains("Relaying ") => What::Relay,
        "check_mail" => What::Sender,
        "check_relay" if enhanced == "4.3.2" => What::Rate,
        "check_vrfy" | "check_expn" => What::Verify,
        "check_helo" => What::Greeting,
        "check_eoh" | "check_data" | "check_eom" => What::Message,
        "trust_auth" | "srv_auth" => What::AuthCommand,
        _ => What::Client,
    }
}

#[cfg(test)]
#[path = "sendmail_tests.rs"]
mod tests;
