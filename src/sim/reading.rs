//! Lines, replies and bodies as a naive reader of the RFCs sees them.

use base64ct::{Base64, Encoding};
use memchr::memmem;

/// A reply as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeardReply {
    pub(super) code: u16,
    /// `2.1.5`, or nothing.
    pub(super) enhanced: String,
    /// All of it, line ends included.
    pub(super) raw: Vec<u8>,
}

impl HeardReply {
    pub(super) fn is_no(&self) -> bool {
        self.code >= 400
    }

    /// The text of the last line, without the enhanced code.
    pub(super) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.raw);
        let last = text.trim_end().lines().last().unwrap_or_default();
        last.get(4..).unwrap_or_default().trim_start_matches(&self.enhanced).trim().to_owned()
    }
}

/// What a client said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Greeting,
    Helo,
    Ehlo,
    Mail,
    Rcpt,
    Data,
    Bdat { last: bool },
    Rset,
    Noop,
    Quit,
    Help,
    Vrfy,
    StartTls,
    Auth,
    AuthLine,
    Body,
    Foreign,
    Other,
}

/// Whether a reply is what a verb is answered when all is well.
pub(super) fn is_yes_of(verb: Verb, exchanged: usize, reply: &HeardReply) -> bool {
    let expected: &[(u16, &str)] = match verb {
        Verb::Greeting => &[(220, "")],
        Verb::Helo | Verb::Ehlo => &[(250, "")],
        Verb::Mail => &[(250, "2.1.0")],
        Verb::Rcpt => &[(250, "2.1.5")],
        Verb::Data => &[(354, "")],
        Verb::Bdat { .. } | Verb::Body | Verb::Rset | Verb::Noop => &[(250, "2.0.0")],
        Verb::Quit => &[(221, "2.0.0")],
        Verb::Help => &[(214, "2.0.0")],
        Verb::Vrfy => &[(252, "2.0.0")],
        Verb::StartTls => &[(220, "2.0.0")],
        Verb::Auth | Verb::AuthLine => &[(334, ""), (235, "2.7.0")],
        Verb::Foreign | Verb::Other => &[],
    };
    let is_message = matches!(verb, Verb::Body | Verb::Bdat { last: true });
    let names_message = reply.text().strip_prefix("OK ").is_some_and(|id| id.len() == 32);
    exchanged <= 2
        && expected.contains(&(reply.code, reply.enhanced.as_str()))
        && is_message == names_message
        && (verb == Verb::Ehlo) == (memmem::find(&reply.raw, b"250-PIPELINING").is_some())
}

pub(super) fn verb_of(line: &[u8]) -> Verb {
    let line = trimmed(line);
    let end = line.iter().position(|octet| *octet == b' ').unwrap_or(line.len());
    match line.get(..end).unwrap_or_default().to_ascii_uppercase().as_slice() {
        b"HELO" => Verb::Helo,
        b"EHLO" => Verb::Ehlo,
        b"MAIL" => Verb::Mail,
        b"RCPT" => Verb::Rcpt,
        b"DATA" => Verb::Data,
        b"BDAT" => Verb::Bdat { last: line.to_ascii_uppercase().ends_with(b" LAST") },
        b"RSET" => Verb::Rset,
        b"NOOP" => Verb::Noop,
        b"QUIT" => Verb::Quit,
        b"HELP" => Verb::Help,
        b"VRFY" => Verb::Vrfy,
        b"STARTTLS" => Verb::StartTls,
        b"AUTH" => Verb::Auth,
        _ => Verb::Other,
    }
}

pub(super) fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r\n").unwrap_or(line)
}

/// The number of a BDAT line.
pub(super) fn chunk_octets(line: &[u8]) -> Option<usize> {
    std::str::from_utf8(line).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// What stands between angle brackets.
pub(super) fn address_of(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let inside = text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(inside, _)| inside);
    inside.unwrap_or_default().to_owned()
}

/// A body without its end and without the dots that were put in front of its lines.
pub(super) fn unstuffed(sent: &[u8]) -> Vec<u8> {
    let body = sent.strip_suffix(b".\r\n").unwrap_or(sent);
    let mut out = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let end = memmem::find(rest, b"\r\n").map_or(rest.len(), |at| at + 2);
        let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        out.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        rest = after;
    }
    out
}

/// Name and password of a finished exchange, if it had the shape of one.
pub(super) fn credentials(lines: &[Vec<u8>]) -> Option<(Vec<u8>, Vec<u8>)> {
    let decode = |text: &[u8]| Base64::decode_vec(std::str::from_utf8(text).ok()?).ok();
    let head = String::from_utf8_lossy(lines.first()?).into_owned();
    let mut words = head.split(' ').skip(1);
    let mechanism = words.next()?.to_ascii_uppercase();
    let mut responses = words.map(str::as_bytes).map(<[u8]>::to_vec).chain(lines.iter().skip(1).cloned());
    match mechanism.as_str() {
        "PLAIN" => {
            let message = decode(&responses.next()?)?;
            let mut parts = message.split(|octet| *octet == 0);
            let (acts_as, name, password) = (parts.next()?, parts.next()?, parts.next()?);
            // Whoever wants to act as somebody has to be that one.
            let login = if acts_as.is_empty() { name } else { acts_as };
            Some((login.to_vec(), password.to_vec()))
        }
        "LOGIN" => Some((decode(&responses.next()?)?, decode(&responses.next()?)?)),
        _ => None,
    }
}
