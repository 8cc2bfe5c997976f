//! `imap-login: Disconnected: … (auth failed, 1 attempts in 2 secs): user=<…>, method=…, rip=…, lip=…, session=<…>`.
//!
//! What is between `user=<` and the last `>` in front of `rip=` is the client's; everything before and after it is
//! Dovecot's own.

use super::Told;
use crate::import::scan;
use crate::import::{Door, Finding, Line, Server, Step, What, Why};

/// The door of a login process.
pub(super) fn door(name: &str) -> Option<Door> {
    match name {
        "imap-login" | "imap-urlauth-login" => Some(Door::Imap),
        "pop3-login" => Some(Door::Pop3),
        "managesieve-login" | "sieve-login" => Some(Door::Sieve),
        "submission-login" => Some(Door::Submission),
        _ => None,
    }
}

pub(super) fn read(line: &Line<'_>, message: &str, door: Door) -> Told {
    let (said, fields) = apart(message);
    let Some(kind) = kind(said) else { return Told::Nothing };
    let Some(fields) = fields else { return cut_or_nothing(kind) };
    // The system's own word that the line broke, where Dovecot's is the same for a client that just leaves.
    let kind = match kind {
        Kind::TornOften if fields.contains(" syscall failed: ") => Kind::Torn,
        Kind::Refused | Kind::NotHere | Kind::Torn | Kind::TornOften => kind,
    };
    let Some(read) = client(fields) else { return cut_or_nothing(kind) };
    let what = match kind {
        Kind::Refused => What::Login,
        Kind::NotHere => What::AuthCommand,
        Kind::Torn | Kind::TornOften => What::HungUp,
    };
    let mut finding = Finding::new(line, Server::Dovecot, what);
    finding.source = Some(read.source);
    finding.login = read.login;
    finding.mechanism = read.mechanism;
    finding.session = read.session;
    finding.door = Some(door);
    if what == What::AuthCommand {
        finding.steps.push(Step::Auth("PLAIN".to_owned(), true));
    }
    match kind {
        Kind::Refused | Kind::NotHere | Kind::Torn => Told::Refused(Box::new(finding)),
        Kind::TornOften => Told::Torn(Box::new(finding)),
    }
}

fn cut_or_nothing(kind: Kind) -> Told {
    match kind {
        Kind::Refused | Kind::NotHere => Told::Damaged(Why::NoAddress),
        Kind::Torn | Kind::TornOften => Told::Nothing,
    }
}

/// The message up to its fields, and the fields. They begin behind the `): ` (or, without a reason, the `: `) that
/// `user=<`, `method=` or `rip=` follows.
fn apart(message: &str) -> (&str, Option<&str>) {
    let starts = [": user=<", ": method=", ": rip="];
    let at = starts.iter().filter_map(|start| message.find(start)).min();
    match at.and_then(|at| message.split_at_checked(at)) {
        Some((said, fields)) => (said, fields.strip_prefix(": ")),
        None => (message, None),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    /// Authentication failed.
    Refused,
    /// Authentication was not allowed here.
    NotHere,
    /// The connection broke in the middle of a handshake or an exchange.
    Torn,
    /// It broke before anything; only a client that does it again and again is worth a word.
    TornOften,
}

fn kind(said: &str) -> Option<Kind> {
    let reason = |words: &str| said.contains(&format!("({words}"));
    if ["Auth process broken", "Internal login failure"].iter().any(|words| said.contains(words)) {
        return None;
    }
    let failed = ["auth failed", "proxy dest auth failed"];
    if failed.iter().any(|words| reason(words)) || refused_by_proxy(said) {
        return Some(Kind::Refused);
    }
    let codes = ["user disabled", "password expired", "authorization failed", "login disabled"];
    if codes.iter().any(|words| reason(words)) {
        return Some(Kind::Refused);
    }
    let not_here = [
        "tried to use disabled ",
        "tried to use disallowed ",
        "tried to use unsupported auth mechanism",
        "anonymous logins disabled",
        "credentials contain control characters",
        "sent invalid base64 in response",
    ];
    if not_here.iter().any(|words| reason(words)) {
        return Some(Kind::NotHere);
    }
    torn(said)
}

/// 2.4: `proxy dest authentication failure to HOST`.
fn refused_by_proxy(said: &str) -> bool {
    said.contains("(proxy_dest_auth_failed)")
}

fn torn(said: &str) -> Option<Kind> {
    let broke = said.contains(" failed: ");
    if said.contains("(disconnected before auth was ready, waited ")
        || said.contains("(client didn't finish SASL auth, waited ")
    {
        return Some(Kind::TornOften);
    }
    if broke && (said.contains("(tls_handshake_not_finished)") || said.contains("(no_auth_attempts)")) {
        return Some(Kind::Torn);
    }
    said.contains("(no auth attempts in ").then_some(Kind::TornOften)
}

struct Client {
    source: std::net::IpAddr,
    login: Option<String>,
    mechanism: Option<String>,
    session: Option<String>,
}

fn client(fields: &str) -> Option<Client> {
    let (before, after) = fields.rsplit_once("rip=")?;
    if !(before.is_empty() || before.ends_with([' ', ','])) {
        return None;
    }
    let end = after.find([',', ' ']).unwrap_or(after.len());
    let source = scan::address(after.get(..end)?)?;
    let rest = after.get(end..)?;
    let before = before.trim_end_matches([' ', ',']);
    let (user, method) = match before.rsplit_once("method=") {
        Some((user, method)) if user.is_empty() || user.ends_with(", ") || user.ends_with(',') => {
            (user.trim_end_matches([' ', ',']), method)
        }
        Some(_) | None => (before, ""),
    };
    let login = user.strip_prefix("user=<").and_then(|user| user.strip_suffix('>')).and_then(scan::login);
    let session =
        rest.rsplit_once("session=<").and_then(|(_, id)| id.split_once('>')).map(|(id, _)| id.to_owned());
    Some(Client { source, login, mechanism: scan::mechanism(method), session })
}
