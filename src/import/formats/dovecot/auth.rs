//! `auth-worker(7): sql(USER,ADDRESS,<SESSION>): Password mismatch`, its relatives, and PAM's own word.
//!
//! The user is the client's text, and with `auth_verbose_passwords` the password behind the message too. The
//! message in between is Dovecot's; of several places where it could begin, all must name the same client.

use super::Told;
use crate::import::scan;
use crate::import::{Finding, Line, Server, Voice, What, Why};
use std::net::IpAddr;

pub(super) fn read(line: &Line<'_>, message: &str) -> Told {
    if let Some(told) = since_2_4(line, message) {
        return told;
    }
    let message = own(message);
    let message = without_given(message);
    let mut clients: Vec<(&str, IpAddr, Option<&str>, &str)> = Vec::new();
    let mut refused = false;
    for (at, _) in message.match_indices("): ") {
        let Some((head, tail)) = message.split_at_checked(at) else { continue };
        let tail = tail.strip_prefix("): ").unwrap_or_default();
        let Some((module, inside)) = head.split_once('(') else { continue };
        if !module.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet)) {
            continue;
        }
        if let Some((user, address, session)) = inside_brackets(inside) {
            refused |= is_refusal(tail);
            clients.push((user, address, session, tail));
        }
    }
    if !refused {
        let looks = message.contains("assword mismatch") || message.ends_with(": unknown user");
        return if looks && clients.is_empty() { Told::Damaged(Why::NoAddress) } else { Told::Nothing };
    }
    let Some((user, address, session, tail)) = clients.pop() else { return Told::Nothing };
    if clients.iter().any(|(_, other, _, _)| *other != address) {
        return Told::Damaged(Why::Ambiguous);
    }
    if !is_refusal(tail) {
        return Told::Nothing;
    }
    refusal(line, user, address, session)
}

fn refusal(line: &Line<'_>, user: &str, address: IpAddr, session: Option<&str>) -> Told {
    let mut finding = Finding::new(line, Server::Dovecot, What::Login);
    finding.source = Some(address);
    finding.login = scan::login(user).filter(|user| user != "?");
    finding.session = session.filter(|id| !id.is_empty()).map(str::to_owned);
    finding.voice = Voice::BackEnd;
    Told::Refused(Box::new(finding))
}

/// 2.4: `(USER,ADDRESS,sasl:login)<SESSION>: Info: sql: Password mismatch`, behind `auth`; a worker puts its process
/// in front of the session and `request [7]: ` in front of the message.
fn since_2_4(line: &Line<'_>, message: &str) -> Option<Told> {
    let inside = without_given(message.strip_prefix('(')?);
    // Before 2.4 a worker has its process number there.
    let (first, after) = inside.split_once(')')?;
    if first.bytes().all(|octet| octet.is_ascii_digit()) && after.starts_with(": ") {
        return None;
    }
    let mut heads: Vec<Head<'_>> =
        inside.match_indices(')').filter_map(|(at, _)| head(inside.get(..at)?, inside.get(at..)?)).collect();
    let last = heads.pop()?;
    if heads.iter().any(|other| other.address != last.address) {
        return Some(Told::Damaged(Why::Ambiguous));
    }
    if !is_refusal(last.message) && !last.message.split_once(": ").is_some_and(|(_, told)| is_refusal(told)) {
        return Some(Told::Nothing);
    }
    let mut told = refusal(line, last.user, last.address, Some(last.session));
    if let Told::Refused(finding) = &mut told {
        finding.mechanism = last.mechanism.and_then(scan::mechanism);
    }
    Some(told)
}

/// What stands in front of a message of 2.4's.
struct Head<'m> {
    user: &'m str,
    address: IpAddr,
    mechanism: Option<&'m str>,
    session: &'m str,
    message: &'m str,
}

/// `USER,ADDRESS[,sasl:MECHANISM][,master]`, and from its closing parenthesis on `)<…><…>: MESSAGE`.
fn head<'m>(inside: &'m str, rest: &'m str) -> Option<Head<'m>> {
    let mut rest = rest.strip_prefix(')')?;
    let mut brackets = Vec::new();
    while let Some((within, after)) = rest.strip_prefix('<').and_then(|after| after.split_once('>')) {
        brackets.push(within);
        rest = after;
    }
    let message = super::level(rest.strip_prefix(": ")?);
    let (worker, message) = match message.strip_prefix("request [").and_then(|after| after.split_once("]: "))
    {
        Some((_, message)) => (true, super::level(message)),
        None => (false, message),
    };
    // A worker's first bracket is its process.
    let session = brackets.get(usize::from(worker)..).and_then(<[&str]>::last).copied().unwrap_or_default();
    let inside = inside.strip_suffix(",master").unwrap_or(inside);
    let (inside, mechanism) = match inside.rsplit_once(",sasl:") {
        Some((before, name)) if scan::mechanism(name).is_some() => (before, Some(name)),
        Some(_) | None => (inside, None),
    };
    let (user, address) = inside.rsplit_once(',')?;
    Some(Head { user, address: scan::address(address)?, mechanism, session, message })
}

/// The part of the line that is about one user: `auth(default): `, `(pid): `, `conn unix:auth-worker (…): ` and
/// `auth-worker<5>: ` come off.
fn own(message: &str) -> &str {
    let mut rest = message;
    if rest.starts_with('(') {
        rest = rest.split_once("): ").map_or(rest, |(_, after)| after);
    }
    rest = super::level(rest);
    if rest.starts_with("conn unix:") {
        let after = rest.split_once("): ").map_or(rest, |(_, after)| after);
        rest = after
            .split_once(">: ")
            .filter(|(worker, _)| worker.starts_with("auth-worker<"))
            .map_or(after, |(_, own)| own);
    }
    if let Some(after) = rest.strip_prefix("auth-worker<") {
        rest = after.split_once(">: ").map_or(rest, |(_, own)| own);
    }
    rest
}

/// The message without what was typed as a password.
fn without_given(message: &str) -> &str {
    let starts = [" (given password: ", " (SHA1 of given password: ", " (given passwords: "];
    let at = starts.iter().filter_map(|start| message.find(start)).min();
    at.and_then(|at| message.get(..at)).unwrap_or(message)
}

/// `USER,ADDRESS`, `USER,ADDRESS,`, `USER,ADDRESS,<SESSION>`.
fn inside_brackets(inside: &str) -> Option<(&str, IpAddr, Option<&str>)> {
    let (front, last) = inside.rsplit_once(',')?;
    if let Some(address) = scan::address(last) {
        return Some((front, address, None));
    }
    let session = if last.is_empty() { "" } else { last.strip_prefix('<')?.split_once('>')?.0 };
    let (user, address) = front.rsplit_once(',')?;
    Some((user, scan::address(address)?, Some(session)))
}

/// What Dovecot says of a login that is refused for what the client sent.
fn is_refusal(message: &str) -> bool {
    const STARTS: [&str; 19] = [
        "unknown user",
        "Password mismatch",
        "password mismatch",
        "CRAM-MD5 password mismatch",
        "DIGEST-MD5 password mismatch",
        "invalid credentials",
        "Invalid credentials",
        "invalid input",
        "Invalid username",
        "Empty username",
        "Username character disallowed by auth_username_chars",
        "Username contains disallowed character",
        "User is disabled",
        "user is disabled",
        "Account is locked",
        "allow_nets check failed",
        "Authentication failure due to policy server refusal",
        "no password specified",
        "Login user not found",
    ];
    let pam = message
        .strip_prefix("pam_authenticate() failed: ")
        .or_else(|| message.strip_prefix("pam_acct_mgmt() failed: "));
    if let Some(why) = pam {
        let ours = [
            "service",
            "System error",
            "Module is unknown",
            "Critical error",
            "Authentication service cannot retrieve",
        ];
        return !ours.iter().any(|start| why.starts_with(start));
    }
    STARTS.iter().any(|start| message.starts_with(start))
        || message.starts_with("oauth2 failed: ") && message.contains("oken")
}

/// `pam_unix(dovecot:auth): authentication failure; logname= uid=0 euid=0 tty=dovecot ruser=USER rhost=ADDRESS  user=USER`.
pub(super) fn pam(line: &Line<'_>, message: &str) -> Told {
    let Some((_, rest)) = message.split_once("): authentication failure; ") else { return Told::Nothing };
    let Some((_, rest)) = rest.split_once(" ruser=") else { return Told::Damaged(Why::Cut) };
    let rest = rest.trim_end();
    let whole = pam_client(rest);
    let named = rest.match_indices("  user=").filter_map(|(at, mark)| {
        let (head, user) = (rest.get(..at)?, rest.get(at.checked_add(mark.len())?..)?);
        let (ruser, address) = pam_client(head)?;
        (ruser == user).then_some((ruser, address))
    });
    let Some((user, address)) = named.last().or(whole) else { return Told::Damaged(Why::NoAddress) };
    let mut finding = Finding::new(line, Server::Dovecot, What::Login);
    finding.source = Some(address);
    finding.login = scan::login(user);
    finding.voice = Voice::Module;
    Told::Refused(Box::new(finding))
}

/// `USER rhost=ADDRESS`.
fn pam_client(text: &str) -> Option<(&str, IpAddr)> {
    let (user, address) = text.rsplit_once("rhost=")?;
    Some((user.strip_suffix(' ').unwrap_or(user), scan::address(address)?))
}
