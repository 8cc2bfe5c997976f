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

/// 2.4: `(USER,ADDRESS,sasl:login)<SESSION>: Info: sql: Password mismatch`, behind `auth`.
fn since_2_4(line: &Line<'_>, message: &str) -> Option<Told> {
    let inside = message.strip_prefix('(')?;
    let (inside, message) = without_given(inside).rsplit_once(">: ")?;
    let message = super::level(message);
    let (inside, session) = inside.rsplit_once(")<")?;
    let (inside, how) = inside.rsplit_once(',')?;
    let (user, address) = match scan::address(how) {
        Some(address) => (inside, address),
        None => {
            let (user, address) = inside.rsplit_once(',')?;
            (user, scan::address(address)?)
        }
    };
    let (_, told) = message.split_once(": ").unwrap_or(("", message));
    if !is_refusal(told) && !is_refusal(message) {
        return Some(Told::Nothing);
    }
    let told = refusal(line, user, address, Some(session));
    Some(match told {
        Told::Refused(mut finding) => {
            finding.mechanism = how.strip_prefix("sasl:").and_then(scan::mechanism);
            Told::Refused(finding)
        }
        Told::Nothing | Told::Damaged(_) | Told::Torn(_) => told,
    })
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
