//! HCL (IBM, Lotus) Domino: its console log.

use super::ends::door_named;
use crate::import::{Finding, Heard, Line, Reader, Server, What, Why, scan};
use std::net::IpAddr;

/// See the module.
#[derive(Debug, Default)]
pub struct Domino;

impl Reader for Domino {
    fn server(&self) -> Server {
        Server::Domino
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        let text = unstamped(line.whole);
        if let Some((task, rest)) = server_task(text) {
            return by_task(line, task, rest, found);
        }
        let Some((protocol, rest)) = text.split_once(": ") else { return Heard::NotMine };
        if !["smtp", "imap", "pop3", "http", "ldap"].contains(&protocol) {
            return Heard::NotMine;
        }
        let Some(who) = rest.trim_end().strip_suffix(" authentication failure using internet password")
        else {
            return Heard::NotMine;
        };
        let (name, address) = who.rsplit_once(' ').unwrap_or(("", who));
        let Some(source) = scan::address(address) else { return Heard::Damaged(Why::NoAddress) };
        push(line, protocol, source, What::Login, name, found)
    }

    fn end(&mut self, _found: &mut Vec<Finding>) {}
}

/// `SMTP Server: ...`, `SMTP Server [0D14:0027-1334] ...`: the protocol and the message.
fn server_task(text: &str) -> Option<(&str, &str)> {
    let (task, rest) = text.split_once(" Server")?;
    if !["SMTP", "IMAP", "POP3", "HTTP", "LDAP"].contains(&task) {
        return None;
    }
    let rest = match rest.strip_prefix(" [") {
        Some(inside) => inside.split_once(']')?.1,
        None => rest,
    };
    Some((task, rest.strip_prefix(':').unwrap_or(rest).trim_start()))
}

fn by_task(line: &Line<'_>, task: &str, rest: &str, found: &mut Vec<Finding>) -> Heard {
    if let Some(rest) = rest.strip_prefix("Authentication failed for user ") {
        let Some((name, address)) = rest.trim_end().rsplit_once(" ; connecting host ") else {
            return Heard::Damaged(Why::Cut);
        };
        let Some(source) = scan::address(address) else { return Heard::Damaged(Why::NoAddress) };
        return push(line, task, source, What::Login, name, found);
    }
    let Some(rest) = rest.strip_prefix("Connection from ") else { return Heard::Understood };
    let Some((address, rest)) = rest.split_once(' ') else { return Heard::Understood };
    if !rest.starts_with("rejected for policy reasons.") {
        return Heard::Understood;
    }
    let Some(source) = scan::address(address) else { return Heard::Damaged(Why::NoAddress) };
    push(line, task, source, What::Client, "", found)
}

/// Without `[THREAD] ` and `DATE TIME   ` in front; the date's order depends on the server's country.
fn unstamped(text: &str) -> &str {
    let text =
        text.strip_prefix('[').and_then(|inside| inside.split_once("] ")).map_or(text, |(_, rest)| rest);
    let text = text.trim_start();
    let numeric = |word: &str| {
        word.contains(['-', '/', '.', ':'])
            && word.bytes().all(|octet| octet.is_ascii_digit() || b"-/.:".contains(&octet))
    };
    let mut rest = text;
    for _ in 0..2 {
        let word = rest.split_once(' ').filter(|(word, _)| numeric(word));
        rest = word.map_or(rest, |(_, after)| after.trim_start());
    }
    rest.strip_prefix("AM ").or_else(|| rest.strip_prefix("PM ")).unwrap_or(rest).trim_start()
}

fn push(
    line: &Line<'_>,
    protocol: &str,
    source: IpAddr,
    what: What,
    name: &str,
    found: &mut Vec<Finding>,
) -> Heard {
    let mut finding = Finding::new(line, Server::Domino, what);
    finding.source = Some(source);
    finding.door = door_named(protocol);
    finding.login = scan::login(name);
    found.push(finding);
    Heard::Understood
}

#[cfg(test)]
mod tests {
    use super::super::harness::{brief, read};
    use super::*;

    fn one(line: &str) -> Option<(What, String, String)> {
        let found = read(Server::Domino, line);
        brief(&found).into_iter().next().map(|(_, what, source, login)| (what, source, login))
    }

    #[test]
    fn every_layout_of_a_failed_login_is_read() {
        for (line, login) in [
            (
                "03-07-2025 23:07:20   SMTP Server: Authentication failed for user web ; connecting host 192.0.2.7",
                "web",
            ),
            (
                "2025-09-19 17:25:50   SMTP Server [0D14:0027-1334] Authentication failed for user A B ; connecting host [192.0.2.7]",
                "A B",
            ),
            (
                "[28325:00010-3735542592] 22-06-2024 09:56:12   smtp: info [192.0.2.7] authentication failure using internet password",
                "info",
            ),
            (
                "06/22/2024 09:56:12 AM  smtp: a b c 192.0.2.7 authentication failure using internet password",
                "a b c",
            ),
            (
                "2025-09-19 17:25:50   smtp: x ; connecting host 203.0.113.9 [192.0.2.7] authentication failure using internet password",
                "x ; connecting host 203.0.113.9",
            ),
            (
                "2025-09-19 17:25:50   SMTP Server: Authentication failed for user x ; connecting host 203.0.113.9 ; connecting host 192.0.2.7",
                "x ; connecting host 203.0.113.9",
            ),
        ] {
            assert_eq!(one(line), Some((What::Login, "192.0.2.7".into(), login.into())), "{line}");
        }
    }

    #[test]
    fn a_connection_counts_only_when_it_is_rejected() {
        let head = "2025-09-19 17:25:52   SMTP Server [000527:000013-0000001227564800]";
        let rejected =
            format!("{head} Connection from [192.0.2.7] rejected for policy reasons. No reverse name.");
        assert_eq!(one(&rejected).map(|(what, ..)| what), Some(What::Client));
        assert_eq!(one(&format!("{head} mx.example (192.0.2.7) connected")), None);
        assert_eq!(one("2025-09-19 17:25:52   smtp: a b c 192.0.2.7"), None);
    }
}
