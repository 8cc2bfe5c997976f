//! The verb of a client's line.

use crate::import::{Step, scan};

/// What a line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// EHLO
    Ehlo,
    /// HELO
    Helo,
    /// AUTH
    Auth,
    /// A line of a SASL exchange.
    Response,
    /// STARTTLS
    StartTls,
    /// MAIL
    Mail,
    /// RCPT
    Rcpt,
    /// DATA
    Data,
    /// The end of a message.
    Body,
    /// RSET
    Rset,
    /// NOOP
    Noop,
    /// VRFY
    Vrfy,
    /// EXPN
    Expn,
    /// QUIT
    Quit,
    /// A request of the web.
    Http,
    /// TLS where text was expected.
    Tls,
    /// Another verb of SMTP: HELP, ETRN, BDAT.
    Other,
    /// No verb that we know.
    Unknown,
}

impl Verb {
    /// The verb at the start of a line, and what follows it.
    #[must_use]
    pub fn of(line: &str) -> (Self, &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        // `MAIL FROM:` is often written without a space behind the colon, and some write `RCPT:`.
        let word = word.split(':').next().unwrap_or(word);
        let verb = match word.to_ascii_uppercase().as_str() {
            "EHLO" | "LHLO" => Self::Ehlo,
            "HELO" => Self::Helo,
            "AUTH" => Self::Auth,
            "STARTTLS" => Self::StartTls,
            "MAIL" => Self::Mail,
            "RCPT" => Self::Rcpt,
            "DATA" => Self::Data,
            "RSET" => Self::Rset,
            "NOOP" => Self::Noop,
            "VRFY" => Self::Vrfy,
            "EXPN" => Self::Expn,
            "QUIT" => Self::Quit,
            "GET" | "POST" | "PUT" | "HEAD" | "OPTIONS" | "CONNECT" | "DELETE" | "PATCH" => Self::Http,
            "HELP" | "ETRN" | "BDAT" | "XCLIENT" | "XFORWARD" | "TURN" | "BURL" | "PROXY" => Self::Other,
            _ if tls_hello(line) => Self::Tls,
            _ => Self::Unknown,
        };
        (verb, rest)
    }

    /// The step it stands for; AUTH and its responses are told by whoever knows the mechanism.
    #[must_use]
    pub fn step(self, rest: &str) -> Option<Step> {
        match self {
            Self::Ehlo => Some(Step::Ehlo(scan::login(rest.trim()).unwrap_or_default())),
            Self::Helo => Some(Step::Helo(scan::login(rest.trim()).unwrap_or_default())),
            Self::StartTls => Some(Step::StartTls),
            Self::Mail => Some(Step::Mail),
            Self::Rcpt => Some(Step::Rcpt),
            Self::Data => Some(Step::Data),
            Self::Rset => Some(Step::Rset),
            Self::Noop => Some(Step::Noop),
            Self::Vrfy => Some(Step::Vrfy),
            Self::Expn => Some(Step::Expn),
            Self::Quit => Some(Step::Quit),
            Self::Http => Some(Step::Http),
            Self::Tls => Some(Step::TlsHello),
            Self::Other | Self::Unknown => Some(Step::Unknown),
            Self::Auth | Self::Response | Self::Body => None,
        }
    }
}

/// A TLS record of a handshake begins with octets 22, 3 and a minor version up to 4 (RFC 8446 section 5.1); logs
/// show them as they are or escaped.
#[must_use]
pub fn tls_hello(line: &str) -> bool {
    line.starts_with("\u{16}\u{3}")
        || line.starts_with("\\x16\\x03")
        || line.starts_with("\\026\\003")
        || line.starts_with("\\u0016\\u0003")
        || line.starts_with("\\u{16}\\u{3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_known_in_any_case() {
        for (line, verb) in [
            ("ehlo User", Verb::Ehlo),
            ("MAIL FROM:<a@b.example>", Verb::Mail),
            ("aUtH lOgIn", Verb::Auth),
            ("POST / HTTP/1.0", Verb::Http),
            ("Content-Length: 1111", Verb::Unknown),
            ("\u{16}\u{3}\u{1}\u{2}", Verb::Tls),
            ("", Verb::Unknown),
        ] {
            assert_eq!(Verb::of(line).0, verb, "{line:?}");
        }
    }
}
