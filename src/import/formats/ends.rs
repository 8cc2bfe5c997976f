//! What several formats share: clients at the fixed ends of a line, libsasl's numbers, ports.

use crate::import::{Door, Line, prefix, scan};
use std::net::IpAddr;

/// The line without a time stamp of its own, for formats that no syslog stands before.
#[must_use]
pub fn unstamped<'a>(line: &Line<'a>) -> &'a str {
    prefix::stamp(line.whole).map_or(line.whole, |(_, rest)| rest)
}

/// sendmail's way to write a client, at the start: `NAME [ADDRESS]` or `[ADDRESS]`, perhaps ` (may be forged)`,
/// and what follows.
#[must_use]
pub fn client_first(text: &str) -> Option<(IpAddr, &str)> {
    let (before, rest) = text.split_once(']')?;
    let (name, inside) = before.split_once('[')?;
    if name.trim_end().contains(' ') {
        return None;
    }
    let mut address = scan::address(inside)?;
    let mut rest = rest;
    // A name with an address in brackets in it: the server's own stands behind it.
    while let Some((next, after)) = rest.strip_prefix(" [").and_then(|rest| rest.split_once(']')) {
        let Some(later) = scan::address(next) else { break };
        (address, rest) = (later, after);
    }
    Some((address, rest.strip_prefix(" (may be forged)").unwrap_or(rest)))
}

/// The same at the end of a text.
#[must_use]
pub fn client_last(text: &str) -> Option<IpAddr> {
    let text = text.strip_suffix(" (may be forged)").unwrap_or(text);
    scan::client(text).map(|(_, address)| address)
}

/// What a result of libsasl says (sasl.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sasl {
    /// The login is refused.
    Refused,
    /// The mechanism is refused: unknown, too weak, without encryption.
    Mechanism,
    /// The exchange was broken off or was none.
    Cancelled,
    /// A failure on the server's side.
    Failure,
}

/// The meaning of libsasl's number.
#[must_use]
pub fn sasl(code: i32) -> Sasl {
    match code {
        // BADAUTH, NOAUTHZ, TRANS, EXPIRED, DISABLED, NOUSER, PWLOCK.
        -13 | -14 | -17 | -18 | -19 | -20 | -27 => Sasl::Refused,
        // NOMECH, BADPARAM, TOOWEAK, ENCRYPT, NOVERIFY.
        -4 | -7 | -15 | -16 | -26 => Sasl::Mechanism,
        -5 => Sasl::Cancelled,
        _ => Sasl::Failure,
    }
}

/// The door behind a port.
#[must_use]
pub fn door(port: u16) -> Option<Door> {
    match port {
        25 => Some(Door::Smtp),
        587 => Some(Door::Submission),
        465 => Some(Door::Submissions),
        143 | 993 => Some(Door::Imap),
        110 | 995 => Some(Door::Pop3),
        4190 => Some(Door::Sieve),
        80 | 443 | 8080 | 8443 => Some(Door::Web),
        _ => None,
    }
}

/// The door behind the name of a protocol, as `imaps`, `pop3d-ssl`, `SMTP`.
#[must_use]
pub fn door_named(name: &str) -> Option<Door> {
    let name = name.to_ascii_lowercase();
    if name.contains("submissions") || name.contains("smtps") {
        Some(Door::Submissions)
    } else if name.contains("submission") {
        Some(Door::Submission)
    } else if name.contains("smtp") {
        Some(Door::Smtp)
    } else if name.contains("imap") {
        Some(Door::Imap)
    } else if name.contains("pop3") {
        Some(Door::Pop3)
    } else if name.contains("sieve") {
        Some(Door::Sieve)
    } else if name.contains("http") || name.contains("web") || name.contains("jmap") {
        Some(Door::Web)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_read_at_its_end_of_the_line_only() {
        let read = client_first("a.example [192.0.2.1] (may be forged): VRFY [198.51.100.9]");
        assert_eq!(
            read.map(|(address, rest)| (address.to_string(), rest)).as_ref().map(|(a, r)| (a.as_str(), *r)),
            Some(("192.0.2.1", ": VRFY [198.51.100.9]"))
        );
        assert_eq!(
            client_first("said [192.0.2.1] to b [192.0.2.2]").map(|(_, rest)| rest),
            Some(" to b [192.0.2.2]")
        );
        assert_eq!(client_first("two words [192.0.2.1]"), None);
        let named =
            client_first("x[203.0.113.9] [192.0.2.1] plaintext bob").map(|(address, _)| address.to_string());
        assert_eq!(named.as_deref(), Some("192.0.2.1"));
        assert_eq!(
            client_last("x [192.0.2.1], relay=y [192.0.2.2] (may be forged)")
                .map(|a| a.to_string())
                .as_deref(),
            Some("192.0.2.2")
        );
    }
}
