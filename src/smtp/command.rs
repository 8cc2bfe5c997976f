//! Commands as values, and the way from one complete line to one of them.

use super::grammar;
use super::offence::Offence;
use crate::types::{ForwardPath, ReversePath};
use std::net::IpAddr;

/// What a client calls itself in HELO or EHLO: printable, without spaces, at most 255 octets. It is taken
/// as it is, since a message must not be refused for it (RFC 5321 section 4.1.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientName {
    /// As sent; printable ASCII.
    pub text: String,
    /// The address it holds, if it is an address literal.
    pub literal: Option<IpAddr>,
}

/// The `BODY` parameter of MAIL (RFC 6152, RFC 3030).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyType {
    /// Seven bits, lines. What is taken to be so when nothing is said.
    #[default]
    SevenBit,
    /// Eight bits, lines.
    EightBitMime,
    /// Any octets; only BDAT can carry it.
    BinaryMime,
}

/// The parameters of MAIL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MailParameters {
    /// `SIZE` (RFC 1870).
    pub size: Option<u64>,
    /// `BODY`.
    pub body: BodyType,
    /// `SMTPUTF8` (RFC 6531).
    pub utf8: bool,
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `HELO`.
    Helo(ClientName),
    /// `EHLO`.
    Ehlo(ClientName),
    /// `MAIL`. The flag says that the path needs SMTPUTF8.
    Mail(ReversePath, MailParameters, NeedsUtf8),
    /// `RCPT`. The same.
    Rcpt(ForwardPath, NeedsUtf8),
    /// `DATA`.
    Data,
    /// `BDAT`: octets that follow, and whether they are the last.
    Bdat {
        /// Octets that follow the line.
        octets: u64,
        /// `LAST`.
        last: bool,
    },
    /// `RSET`.
    Rset,
    /// `NOOP`, whatever its argument.
    Noop,
    /// `QUIT`.
    Quit,
    /// `HELP`, whatever its argument.
    Help,
    /// `VRFY` with an argument.
    Vrfy,
    /// `STARTTLS` (RFC 3207).
    StartTls,
    /// `AUTH` (RFC 4954).
    Auth {
        /// The mechanism as sent.
        mechanism: Vec<u8>,
        /// The initial response as sent, still in base64.
        initial: Option<Vec<u8>>,
    },
}

/// Whether a path has anything but ASCII in it as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeedsUtf8(pub bool);

/// How the grammar is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// As RFC 5321 has it.
    Strict,
    /// The same, but a space behind the colon of `MAIL FROM:` and `RCPT TO:` is passed over. Wide-spread mail
    /// programs send it; on submission it comes from people who have proved who they are.
    Submission,
}

/// Verbs that are recognised and not implemented (502), among them those RFC 5321 appendix F retired.
const NOT_IMPLEMENTED: [&[u8]; 8] = [b"EXPN", b"SEND", b"SOML", b"SAML", b"TURN", b"ETRN", b"ATRN", b"BURL"];

/// First words of other protocols that browsers and scanners send to mail ports.
const OTHER_PROTOCOLS: [&[u8]; 16] = [
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"CONNECT",
    b"TRACE",
    b"PATCH",
    b"PRI",
    b"INVITE",
    b"REGISTER",
    b"DESCRIBE",
    b"PROPFIND",
    b"REQMOD",
    b"RESPMOD",
];

/// Reads one complete line without its CRLF.
///
/// # Errors
/// Says which offence it is.
pub fn parse(line: &[u8], dialect: Dialect) -> Result<Command, Offence> {
    if line.iter().any(|octet| octet.is_ascii_control()) {
        return Err(Offence::ControlCharacter);
    }
    let end = line.iter().position(|octet| *octet == b' ').unwrap_or(line.len());
    let verb = line.get(..end).unwrap_or_default().to_ascii_uppercase();
    let rest = line.get(end..).unwrap_or_default();
    match verb.as_slice() {
        b"HELO" => Ok(Command::Helo(grammar::client_name(rest)?)),
        b"EHLO" => Ok(Command::Ehlo(grammar::client_name(rest)?)),
        b"MAIL" => grammar::mail(rest, dialect),
        b"RCPT" => grammar::rcpt(rest, dialect),
        b"DATA" => alone(rest, Command::Data),
        b"BDAT" => grammar::bdat(rest),
        b"RSET" => alone(rest, Command::Rset),
        b"NOOP" => Ok(Command::Noop),
        b"QUIT" => alone(rest, Command::Quit),
        b"HELP" => Ok(Command::Help),
        b"VRFY" if is_blank(rest) => Err(Offence::BadArgument),
        b"VRFY" => Ok(Command::Vrfy),
        b"STARTTLS" => alone(rest, Command::StartTls),
        b"AUTH" => grammar::auth(rest),
        other if NOT_IMPLEMENTED.contains(&other) => Err(Offence::NotImplemented),
        other if OTHER_PROTOCOLS.contains(&other) && !is_blank(rest) => Err(Offence::OtherProtocol),
        _ => Err(Offence::UnknownCommand),
    }
}

/// Whether nothing but spaces is there; trailing ones are to be borne (RFC 5321 section 4.1.1).
fn is_blank(rest: &[u8]) -> bool {
    rest.iter().all(|octet| *octet == b' ')
}

fn alone(rest: &[u8], command: Command) -> Result<Command, Offence> {
    if is_blank(rest) { Ok(command) } else { Err(Offence::BadArgument) }
}

/// Whether the first octet of a session can only be another protocol: a TLS record, RDP or SOCKS.
/// Such peers send no line end, so nothing would ever be answered.
#[must_use]
pub fn is_other_protocol(first: u8) -> bool {
    matches!(first, 0x16 | 0x03..=0x05)
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
