//! The fields this server puts in front of a message (RFC 5321 section 4.4) or adds where they are missing
//! (RFC 6409 section 8). Each function returns complete lines with CRLF.

use super::date;
use crate::contract::TlsFacts;
use crate::limits::CLAIMED_NAME_CHARS_MAX;
use crate::types::{Domain, ForwardPath, Host, MailId, ReversePath, UnixTime};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Octets of a line without CRLF that are not exceeded where a fold is possible (RFC 5322 section 2.1.1).
const LINE_OCTETS_WANTED: usize = 78;

/// What a Received field says.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedFacts<'a> {
    /// The argument of HELO or EHLO as sent; it may be anything.
    pub client_name: &'a str,
    /// Where the connection came from.
    pub address: IpAddr,
    /// The name of this server.
    pub hostname: &'a Domain,
    /// Whether the client said EHLO.
    pub esmtp: bool,
    /// The TLS the message came through.
    pub tls: Option<&'a TlsFacts>,
    /// Whether the session was authenticated.
    pub authenticated: bool,
    /// Whether MAIL asked for SMTPUTF8.
    pub utf8: bool,
    /// The message's name.
    pub id: MailId,
    /// The recipient, if there is exactly one; with several it would tell each of the others (RFC 5321
    /// section 7.6).
    pub recipient: Option<&'a ForwardPath>,
    /// When the message was received.
    pub date: UnixTime,
}

/// The protocol as the `with` clause names it: RFC 3848, and RFC 6531 section 4.3 for SMTPUTF8. HELO knows
/// no extensions, so there is one word for it.
#[must_use]
pub fn protocol(esmtp: bool, tls: bool, authenticated: bool, utf8: bool) -> &'static str {
    match (esmtp, utf8, tls, authenticated) {
        (false, _, _, _) => "SMTP",
        (true, false, false, false) => "ESMTP",
        (true, false, false, true) => "ESMTPA",
        (true, false, true, false) => "ESMTPS",
        (true, false, true, true) => "ESMTPSA",
        (true, true, false, false) => "UTF8SMTP",
        (true, true, false, true) => "UTF8SMTPA",
        (true, true, true, false) => "UTF8SMTPS",
        (true, true, true, true) => "UTF8SMTPSA",
    }
}

/// `Return-Path: <mailbox>`, or `<>` for the null reverse-path.
#[must_use]
pub fn return_path(path: &ReversePath) -> Vec<u8> {
    format!("Return-Path: {path}\r\n").into_bytes()
}

/// `Date:`, for a submitted message that has none.
#[must_use]
pub fn date_field(time: UnixTime) -> Vec<u8> {
    format!("Date: {}\r\n", date::rfc5322(time)).into_bytes()
}

/// `Message-ID:`, for a submitted message that has none.
#[must_use]
pub fn message_id_field(id: MailId, hostname: &Domain) -> Vec<u8> {
    format!("Message-ID: <{id}@{hostname}>\r\n").into_bytes()
}

/// The Received field, folded.
#[must_use]
pub fn received(facts: &ReceivedFacts<'_>) -> Vec<u8> {
    let mut field = Field::new("Received:");
    let client = Client::of(facts.client_name);
    match &client {
        Client::Domain(domain) => field.clause("from", domain.as_str()),
        Client::Literal(ip) => field.clause("from", &literal(*ip)),
        Client::Neither(_) => field.clause("from", &literal(facts.address)),
    }
    field.word(&format!("({})", literal(facts.address)));
    if let Client::Neither(claimed) = &client {
        field.word(&format!("(helo={claimed})"));
    }
    field.clause("by", facts.hostname.as_str());
    field.clause("with", protocol(facts.esmtp, facts.tls.is_some(), facts.authenticated, facts.utf8));
    if let Some(tls) = facts.tls {
        field.word(&format!("({} {})", comment(tls.version), comment(&tls.cipher)));
    }
    field.clause("id", &format!("{}", facts.id));
    let recipient = facts.recipient.map(|recipient| format!("{recipient}"));
    // A header may hold UTF-8 only in a message that came with SMTPUTF8.
    if let Some(recipient) = recipient.filter(|text| facts.utf8 || text.is_ascii()) {
        field.clause("for", &recipient);
    }
    field.attach(";");
    field.word(&date::rfc5322(facts.date));
    field.finish()
}

/// What the argument of HELO or EHLO can be written as.
enum Client {
    /// A domain; U-labels have become A-labels.
    Domain(Domain),
    /// An address literal.
    Literal(IpAddr),
    /// Neither; written as a comment.
    Neither(String),
}

impl Client {
    fn of(name: &str) -> Self {
        if let Ok(domain) = Domain::parse(name) {
            return Self::Domain(domain);
        }
        match parse_literal(name) {
            Some(ip) => Self::Literal(ip),
            None => Self::Neither(comment(name)),
        }
    }
}

/// Reads `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
fn parse_literal(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    match inner.split_at_checked(5) {
        Some((tag, rest)) if tag.eq_ignore_ascii_case("IPv6:") => {
            rest.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        }
        Some(_) | None => inner.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// An address literal (RFC 5321 section 4.1.3).
fn literal(ip: IpAddr) -> String {
    format!("{}", Host::Literal(ip))
}

/// A text as it may stand inside a comment: anything but printable ASCII becomes `?`, parentheses and
/// backslashes are quoted, and it is cut.
fn comment(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(CLAIMED_NAME_CHARS_MAX) {
        if matches!(c, '(' | ')' | '\\') {
            out.push('\\');
        }
        out.push(if c.is_ascii_graphic() || c == ' ' { c } else { '?' });
    }
    out
}

/// A header field that is folded between words.
struct Field {
    text: String,
    /// Octets of the last line.
    column: usize,
}

impl Field {
    fn new(name: &str) -> Self {
        Self { text: name.to_owned(), column: name.len() }
    }

    /// Adds a word, on a new line if this one would grow too long.
    fn word(&mut self, word: &str) {
        // The space before the word, and room for a `;` after it.
        if self.column.saturating_add(word.len()).saturating_add(2) > LINE_OCTETS_WANTED {
            self.text.push_str("\r\n\t");
            self.column = 1;
        } else {
            self.text.push(' ');
            self.column = self.column.saturating_add(1);
        }
        self.attach(word);
    }

    /// Adds a keyword and its value, together on one line where they fit.
    fn clause(&mut self, keyword: &str, value: &str) {
        let both = format!("{keyword} {value}");
        // The tab of a folded line, and room for a `;`.
        if both.len().saturating_add(2) > LINE_OCTETS_WANTED {
            self.word(keyword);
            self.word(value);
        } else {
            self.word(&both);
        }
    }

    /// Adds text to the last word.
    fn attach(&mut self, text: &str) {
        self.text.push_str(text);
        self.column = self.column.saturating_add(text.len());
    }

    fn finish(mut self) -> Vec<u8> {
        self.text.push_str("\r\n");
        self.text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{COMMAND_LINE_OCTETS_MAX, DOMAIN_OCTETS_MAX, LOCAL_PART_OCTETS_MAX};
    use crate::types::{Chance, LocalPart, Mailbox};

    fn host() -> Domain {
        Domain::parse("mail.example.org").unwrap()
    }

    fn path(local: &str, domain: &str) -> ForwardPath {
        let local = LocalPart::new(local).unwrap();
        ForwardPath::Mailbox(Mailbox { local, host: Host::Domain(Domain::parse(domain).unwrap()) })
    }

    fn facts<'a>(client_name: &'a str, hostname: &'a Domain) -> ReceivedFacts<'a> {
        ReceivedFacts {
            client_name,
            address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            hostname,
            esmtp: true,
            tls: None,
            authenticated: false,
            utf8: false,
            id: MailId::new(UnixTime(1_795_495_657), 0xfeed),
            recipient: None,
            date: UnixTime(1_795_495_657),
        }
    }

    fn text(facts: &ReceivedFacts<'_>) -> String {
        String::from_utf8(received(facts)).unwrap()
    }

    #[test]
    fn a_plain_field_has_every_clause() {
        let host = host();
        let to = path("me", "example.org");
        let facts = ReceivedFacts { recipient: Some(&to), ..facts("client.example", &host) };
        assert_eq!(
            text(&facts),
            "Received: from client.example ([192.0.2.1]) by mail.example.org with ESMTP\r\n\
             \tid 000000006b0516e9000000000000feed for <me@example.org>;\r\n\
             \tTue, 24 Nov 2026 04:47:37 +0000\r\n"
        );
    }

    #[test]
    fn tls_stands_in_a_comment_after_the_protocol() {
        let host = host();
        let tls = TlsFacts {
            version: "TLSv1.3",
            cipher: "TLS13_AES_256_GCM_SHA384".into(),
            bindings: Default::default(),
        };
        let facts = ReceivedFacts { tls: Some(&tls), authenticated: true, ..facts("a.example", &host) };
        let unfolded = text(&facts).replace("\r\n\t", " ");
        assert!(unfolded.contains(" with ESMTPSA (TLSv1.3 TLS13_AES_256_GCM_SHA384) id "), "{unfolded}");
    }

    #[test]
    fn every_kind_of_session_has_its_keyword() {
        let words: Vec<&str> = (0..16u8)
            .map(|bits| protocol(bits & 8 != 0, bits & 4 != 0, bits & 2 != 0, bits & 1 != 0))
            .collect();
        assert_eq!(
            words,
            [
                "SMTP",
                "SMTP",
                "SMTP",
                "SMTP",
                "SMTP",
                "SMTP",
                "SMTP",
                "SMTP",
                "ESMTP",
                "UTF8SMTP",
                "ESMTPA",
                "UTF8SMTPA",
                "ESMTPS",
                "UTF8SMTPS",
                "ESMTPSA",
                "UTF8SMTPSA"
            ]
        );
    }

    #[test]
    fn a_name_that_is_neither_domain_nor_literal_becomes_a_comment() {
        let host = host();
        for (name, shown) in [
            ("my_pc", "from [192.0.2.1] ([192.0.2.1]) (helo=my_pc) by"),
            ("a)b(c\\", "from [192.0.2.1] ([192.0.2.1]) (helo=a\\)b\\(c\\\\) by"),
            ("a\r\nX: y", "from [192.0.2.1] ([192.0.2.1]) (helo=a??X: y) by"),
            ("", "from [192.0.2.1] ([192.0.2.1]) (helo=) by"),
            ("[192.0.2.300]", "from [192.0.2.1] ([192.0.2.1]) (helo=[192.0.2.300]) by"),
            ("[10.0.0.1]", "from [10.0.0.1] ([192.0.2.1]) by"),
            ("[ipv6:2001:DB8::1]", "from [IPv6:2001:db8::1] ([192.0.2.1]) by"),
            ("Bücher.example", "from xn--bcher-kva.example ([192.0.2.1]) by"),
        ] {
            let unfolded = text(&facts(name, &host)).replace("\r\n\t", " ");
            assert!(unfolded.contains(shown), "{name:?}: {unfolded}");
        }
    }

    #[test]
    fn a_utf8_recipient_is_named_only_in_a_utf8_message() {
        let host = host();
        let to = path("jörg", "example.org");
        let mut facts = ReceivedFacts { recipient: Some(&to), ..facts("a.example", &host) };
        assert!(!text(&facts).contains(" for "));
        facts.utf8 = true;
        assert!(text(&facts).replace("\r\n\t", " ").contains(" for <jörg@example.org>;"));
    }

    /// Every line but those that one long word fills stays below 78 octets, no line reaches 998, and no line
    /// but the first begins with anything but a tab.
    fn check_lines(field: &str) {
        let body = field.strip_suffix("\r\n").unwrap();
        for (index, line) in body.split("\r\n").enumerate() {
            assert!(line.len() <= 998);
            let inner = line.strip_prefix('\t').unwrap_or(line);
            assert_eq!(index > 0, line.starts_with('\t'), "{field:?}");
            let words = inner.split(' ').count();
            assert!(line.len() < 78 || words <= 2, "{line:?}");
            assert!(!inner.contains(['\r', '\n', '\0']), "{field:?}");
        }
    }

    #[test]
    fn whatever_a_client_calls_itself_the_lines_stay_in_shape() {
        let host = host();
        let mut chance = Chance::from_seed([3; 32]);
        for _ in 0..2_000 {
            let length = chance.below(u64::try_from(COMMAND_LINE_OCTETS_MAX).unwrap());
            let wild = chance.below(2) == 0;
            let name: String = (0..length.min(200))
                .map(|_| {
                    let c = u32::try_from(chance.below(if wild { 0x300 } else { 0x7f })).unwrap();
                    char::from_u32(c).unwrap().to_string().replace(' ', "_")
                })
                .collect();
            check_lines(&text(&facts(&name, &host)));
        }
    }

    #[test]
    fn the_longest_names_stay_below_998_octets_a_line() {
        let label = "a".repeat(63);
        let long = format!("{label}.{label}.{label}.{label}");
        assert_eq!(long.len(), DOMAIN_OCTETS_MAX);
        let host = Domain::parse(&long).unwrap();
        let local = "\"".repeat(LOCAL_PART_OCTETS_MAX);
        let to = path(&local, &long);
        let mut facts = ReceivedFacts { recipient: Some(&to), ..facts(&long, &host) };
        facts.address = IpAddr::V6(Ipv6Addr::from([0xffff; 8]));
        check_lines(&text(&facts));
        let id = message_id_field(facts.id, &host);
        assert!(id.len() < 998 && id.ends_with(b">\r\n"));
    }

    #[test]
    fn return_path_date_and_message_id_are_single_lines() {
        assert_eq!(return_path(&ReversePath::Null), b"Return-Path: <>\r\n");
        let ForwardPath::Mailbox(mailbox) = path("a b", "example.org") else { panic!() };
        assert_eq!(return_path(&ReversePath::Mailbox(mailbox)), b"Return-Path: <\"a b\"@example.org>\r\n");
        assert_eq!(date_field(UnixTime(0)), b"Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n");
        assert_eq!(
            message_id_field(MailId([0xab; 16]), &host()),
            b"Message-ID: <abababababababababababababababab@mail.example.org>\r\n"
        );
    }
}
