//! `NAME (EHLO) [ADDRESS]:PORT I=[OWN]:PORT Ci=ID U=IDENT`, read from the left.
//!
//! The EHLO name is the client's, and Exim lets no space and no closing parenthesis into it unless it is told to
//! take junk; it ends at the first `) [` behind which an address stands.

use crate::import::Door;
use crate::import::scan;
use std::net::IpAddr;

/// A client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) address: IpAddr,
    pub(super) port: Option<u16>,
    pub(super) helo: Option<String>,
    pub(super) door: Option<Door>,
}

/// Reads a client at the beginning; gives what follows, beginning with a space or a colon.
pub(super) fn read(text: &str) -> Option<(Host, &str)> {
    let text = text.strip_prefix("H=").unwrap_or(text);
    let (before, helo, rest) = named(text)?;
    if before.contains(['[', ']', '(', ')', '"', '<', '>']) || before.trim_end().contains(' ') {
        return None;
    }
    let (inside, rest) = rest.strip_prefix('[')?.split_once(']')?;
    let address = scan::address(inside)?;
    let (port, rest) = port(rest);
    let (door, rest) = own(rest);
    Some((Host { address, port, helo: helo.and_then(scan::login), door }, rest))
}

/// The name, the EHLO name, and what begins with `[`.
fn named(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let bracket = text.find('[')?;
    let parenthesis = text
        .find('(')
        .filter(|at| *at < bracket || text.get(..bracket).is_some_and(|head| head.contains('(')));
    let Some(parenthesis) = parenthesis else {
        let (before, rest) = text.split_at_checked(bracket)?;
        return Some((before, None, rest));
    };
    let before = text.get(..parenthesis)?;
    let inside = text.get(parenthesis.checked_add(1)?..)?;
    let (helo, rest) = inside.split_once(") [")?;
    let _ = rest;
    let at = helo.len().checked_add(2)?;
    Some((before, Some(helo), inside.get(at..)?))
}

fn port(text: &str) -> (Option<u16>, &str) {
    let Some(after) = text.strip_prefix(':') else { return (None, text) };
    let length = after.bytes().take_while(u8::is_ascii_digit).count();
    match (after.get(..length).and_then(|digits| digits.parse().ok()), after.get(length..)) {
        (Some(port), Some(rest)) => (Some(port), rest),
        (None, _) | (_, None) => (None, text),
    }
}

/// `I=[OWN]:PORT`, `Ci=ID` and the like, in this order; the port tells the door.
fn own(text: &str) -> (Option<Door>, &str) {
    let mut door = None;
    let mut rest = text;
    if let Some((_, after)) = rest.strip_prefix(" I=[").and_then(|after| after.split_once(']')) {
        let (number, after) = port(after);
        door = match number {
            Some(25) => Some(Door::Smtp),
            Some(587) => Some(Door::Submission),
            Some(465) => Some(Door::Submissions),
            Some(_) | None => None,
        };
        rest = after;
    }
    for key in [" Ci=", " id=", " U="] {
        if let Some(after) = rest.strip_prefix(key) {
            let end = after.find([' ', ':']).unwrap_or(after.len());
            rest = after.get(end..).unwrap_or_default();
        }
    }
    (door, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_read_in_every_dress() {
        for (text, helo, port, rest) in [
            ("[192.0.2.1]: 535", None, None, ": 535"),
            ("h.example [192.0.2.1]:7 I=[198.51.100.1]:25 Ci=9: 535", None, Some(7), ": 535"),
            ("H=h.example ([10.0.0.1]) [192.0.2.1] AUTH", Some("[10.0.0.1]"), None, " AUTH"),
            ("(User) [192.0.2.1]:7: 535", Some("User"), Some(7), ": 535"),
        ] {
            let (host, after) = read(text).expect("a client");
            assert_eq!(
                (host.address.to_string().as_str(), host.helo.as_deref(), host.port, after),
                ("192.0.2.1", helo, port, rest),
                "{text}"
            );
        }
        assert_eq!(read("User) [192.0.2.1]"), None);
    }
}
