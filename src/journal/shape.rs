//! Stand-ins for command lines: the words of the protocol stay, everything else keeps its shape alone.

use super::names::{Facts, Names};
use crate::auth::sasl::Mechanism;
use crate::directory::Directory;
use crate::smtp::command::{self, BodyType, ClientName, Command, Dialect, MailParameters};
use crate::smtp::offence::Offence;
use std::net::IpAddr;

/// First words that stay: verbs of SMTP, and those of other protocols that are told apart.
const VERBS: [&str; 32] = [
    "HELO", "EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "HELP", "VRFY", "STARTTLS",
    "AUTH", "EXPN", "SEND", "SOML", "SAML", "TURN", "ETRN", "ATRN", "BURL", "GET", "POST", "HEAD", "PUT",
    "DELETE", "OPTIONS", "CONNECT", "TRACE", "PATCH", "PRI", "INVITE",
];
/// Words that stay in the arguments of commands. No word of other languages than the protocol's.
const KEYWORDS: [&str; 16] = [
    "FROM",
    "TO",
    "SIZE",
    "BODY",
    "7BIT",
    "8BITMIME",
    "BINARYMIME",
    "SMTPUTF8",
    "LAST",
    "PLAIN",
    "LOGIN",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
    "AUTH",
    "RET",
    "NOTIFY",
];

/// What is needed to find a stand-in.
pub(super) struct Around<'a> {
    pub(super) directory: Option<&'a Directory>,
    pub(super) names: &'a mut Names,
    pub(super) facts: &'a mut Facts,
    pub(super) dialect: Dialect,
    pub(super) message_octets_max: u64,
}

/// What a line was, for whoever follows the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Was {
    /// `AUTH` with this mechanism; whether a response came with it.
    Auth(Option<Mechanism>),
    /// `BDAT` of so many octets.
    Bdat(u64),
    /// `HELO` or `EHLO`.
    Hello,
    /// Anything else.
    Other,
}

/// The stand-in of an AUTH command's initial response, given by the caller.
pub(super) type Initial<'f> = &'f mut dyn FnMut(Mechanism, &[u8], &mut Around<'_>) -> String;

/// The stand-in for a command line without its CRLF.
pub(super) fn command(line: &[u8], around: &mut Around<'_>, initial_response: Initial<'_>) -> (Vec<u8>, Was) {
    let read = command::parse(line, around.dialect);
    match read {
        Ok(Command::Helo(name)) => (hello("HELO", &name), Was::Hello),
        Ok(Command::Ehlo(name)) => (hello("EHLO", &name), Was::Hello),
        Ok(Command::Mail(path, parameters, needs)) => {
            let path = around.names.reverse(around.directory, &path, needs.0, around.facts);
            let most = around.message_octets_max;
            (format!("MAIL FROM:{path}{}", written(parameters, most)).into_bytes(), Was::Other)
        }
        Ok(Command::Rcpt(path, needs)) => {
            let path = around.names.forward(around.directory, &path, needs.0, around.facts);
            (format!("RCPT TO:{path}").into_bytes(), Was::Other)
        }
        Ok(Command::Data) => (b"DATA".to_vec(), Was::Other),
        Ok(Command::Rset) => (b"RSET".to_vec(), Was::Other),
        Ok(Command::Quit) => (b"QUIT".to_vec(), Was::Other),
        Ok(Command::StartTls) => (b"STARTTLS".to_vec(), Was::Other),
        Ok(Command::Noop | Command::Help | Command::Vrfy) => (free(line, true), Was::Other),
        Ok(Command::Bdat { octets, last }) => {
            // Beyond this all are alike: the session ends at once.
            let octets = octets.min(around.message_octets_max.saturating_mul(2).saturating_add(1));
            let last = if last { " LAST" } else { "" };
            (format!("BDAT {octets}{last}").into_bytes(), Was::Bdat(octets))
        }
        Ok(Command::Auth { mechanism, initial }) => {
            let known = Mechanism::parse(&mechanism);
            let name = known.map_or_else(|| spoilt(&mechanism), |known| known.name().to_owned());
            let response = match (known, initial) {
                (_, None) => String::new(),
                (Some(known), Some(text)) => format!(" {}", initial_response(known, &text, around)),
                (None, Some(text)) => format!(" {}", "x".repeat(text.len().min(64))),
            };
            (format!("AUTH {name}{response}").into_bytes(), Was::Auth(known))
        }
        Err(offence) => (refused(line, offence, around.dialect), Was::Other),
    }
}

/// A mechanism that does not exist keeps its length.
fn spoilt(mechanism: &[u8]) -> String {
    "X".repeat(mechanism.len().clamp(1, 32))
}

fn hello(verb: &str, name: &ClientName) -> Vec<u8> {
    let shown = match name.literal {
        Some(IpAddr::V4(_)) => "[192.0.2.1]".to_owned(),
        Some(IpAddr::V6(_)) => "[IPv6:2001:db8::1]".to_owned(),
        // Dots and brackets say whether it was a name or an address.
        None => name.text.bytes().map(|octet| shape_of(octet, b".-[]:")).map(char::from).collect(),
    };
    format!("{verb} {shown}").into_bytes()
}

fn written(parameters: MailParameters, message_octets_max: u64) -> String {
    let size = parameters.size.map_or_else(String::new, |octets| {
        let octets = if octets > message_octets_max {
            message_octets_max.saturating_add(1)
        } else {
            octets.min(1_000)
        };
        format!(" SIZE={octets}")
    });
    let body = match parameters.body {
        BodyType::SevenBit => "",
        BodyType::EightBitMime => " BODY=8BITMIME",
        BodyType::BinaryMime => " BODY=BINARYMIME",
    };
    let utf8 = if parameters.utf8 { " SMTPUTF8" } else { "" };
    format!("{size}{body}{utf8}")
}

/// A letter for a letter, zero for a digit; of the rest, `kept` stays and others become a letter.
fn shape_of(octet: u8, kept: &[u8]) -> u8 {
    match octet {
        b'A'..=b'Z' => b'X',
        b'a'..=b'z' => b'x',
        b'0'..=b'9' => b'0',
        b' ' | b'\r' | b'\n' | b'\t' | 0 => octet,
        _ if octet.is_ascii_control() => 1,
        _ if kept.contains(&octet) => octet,
        _ => b'x',
    }
}

/// The first word if it is a known one, and what follows it.
fn verb(line: &[u8]) -> (Option<&'static str>, &[u8]) {
    let end = line.iter().position(|octet| !octet.is_ascii_alphanumeric()).unwrap_or(line.len());
    let (word, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
    match VERBS.iter().find(|known| word.eq_ignore_ascii_case(known.as_bytes())) {
        Some(known) => (Some(known), rest),
        None => (None, line),
    }
}

/// A line of which only the verb stays; `text`: octets that are no text are letters too.
fn free(line: &[u8], text: bool) -> Vec<u8> {
    let (word, rest) = verb(line);
    let mut out = word.unwrap_or_default().as_bytes().to_vec();
    out.extend(
        rest.iter().map(|octet| if !text && !octet.is_ascii() { 0xff } else { shape_of(*octet, b"") }),
    );
    out
}

/// A line that was refused: its shape if that is refused alike, else the plainest line that is.
fn refused(line: &[u8], offence: Offence, dialect: Dialect) -> Vec<u8> {
    let same = |candidate: &Vec<u8>| {
        command::parse(candidate, dialect) == Err(offence) && followers_alike(line, candidate)
    };
    let candidates = [with_keywords(line), free(line, false), free(line, true), follower(line)];
    let found = candidates.into_iter().find(|candidate| same(candidate));
    found.or_else(|| plainest(line, offence).into_iter().find(same)).unwrap_or_else(|| free(line, true))
}

/// Whether both lines are, or are not, taken for one that follows a refused MAIL.
fn followers_alike(one: &[u8], other: &[u8]) -> bool {
    let is = |line: &[u8], word: &[u8]| line.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(word));
    [&b"MAIL"[..], b"RCPT", b"DATA", b"BDAT"].iter().all(|word| is(one, word) == is(other, word))
}

/// A word that only begins like one of those keeps that beginning.
fn follower(line: &[u8]) -> Vec<u8> {
    let (head, rest) = line.split_at_checked(4).unwrap_or((line, &[]));
    let mut out = verb(head).0.unwrap_or_default().as_bytes().to_vec();
    out.extend(rest.iter().map(|octet| shape_of(*octet, b"")));
    out
}

/// The words of the protocol and the marks between them stay.
fn with_keywords(line: &[u8]) -> Vec<u8> {
    const MARKS: &[u8] = b"<>@.:\"\\,=-[]();";
    let (word, rest) = verb(line);
    let mut out = word.unwrap_or_default().as_bytes().to_vec();
    let is_letter = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'-' || !octet.is_ascii();
    for token in rest.chunk_by(|one, other| is_letter(one) == is_letter(other)) {
        match KEYWORDS.iter().find(|known| word.is_some() && token.eq_ignore_ascii_case(known.as_bytes())) {
            Some(known) => out.extend_from_slice(known.as_bytes()),
            None => out.extend(letters(token, MARKS)),
        }
    }
    out
}

/// A stretch of a line with letters for its letters. What is UTF-8 stays UTF-8 of as many octets.
fn letters(token: &[u8], marks: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(token.len());
    for chunk in token.utf8_chunks() {
        for c in chunk.valid().chars() {
            match (u8::try_from(c), c.len_utf8()) {
                (Ok(octet), 1) => out.push(shape_of(octet, marks)),
                (_, 2) => out.extend_from_slice("\u{fc}".as_bytes()),
                (_, 3) => out.extend_from_slice("\u{4e00}".as_bytes()),
                (_, _) => out.extend_from_slice("\u{20000}".as_bytes()),
            }
        }
        out.extend(chunk.invalid().iter().map(|_| 0xff));
    }
    out
}

/// Short lines that are refused for this, with the same verb.
fn plainest(line: &[u8], offence: Offence) -> Vec<Vec<u8>> {
    let word = verb(line).0.unwrap_or("XX");
    let tails: &[&str] = match offence {
        Offence::ControlCharacter => &["\u{1}"],
        Offence::PathTooLong => &[" FROM:<", " TO:<"],
        Offence::SenderSyntax | Offence::RecipientSyntax => &[" FROM:x", " TO:x"],
        Offence::UnknownParameter => &[" FROM:<> XX=x", " TO:<postmaster> XX=x"],
        Offence::BadParameter => &[" FROM:<> SIZE=x", " FROM:<> BODY=x", " FROM:<> SMTPUTF8=x"],
        Offence::OtherProtocol => &[" x"],
        Offence::AuthMalformed => &[" PLAIN x x"],
        // What has no line of its own gets the plainest one.
        Offence::LineTooLong
        | Offence::UnknownCommand
        | Offence::NotImplemented
        | Offence::BadArgument
        | Offence::SenderNeedsUtf8
        | Offence::RecipientNeedsUtf8
        | Offence::BadChunk
        | Offence::OutOfOrder
        | Offence::NoValidRecipients
        | Offence::BinaryNeedsBdat
        | Offence::TlsFirst
        | Offence::AuthFirst
        | Offence::TlsNotOffered
        | Offence::AuthNotNow
        | Offence::UnknownMechanism
        | Offence::AuthCancelled
        | Offence::AuthLineTooLong
        | Offence::TooManyIdleCommands => {
            if line.len() < 5 {
                &[""]
            } else {
                &[" x x", ""]
            }
        }
    };
    let long = if offence == Offence::PathTooLong { "x".repeat(300) } else { String::new() };
    tails.iter().map(|tail| format!("{word}{tail}{long}").into_bytes()).collect()
}
