//! What must be known of a message's header, found out while its octets pass.
//!
//! The scanner holds a few counters and the beginning of one field name, whatever the peer sends. How the
//! octets are cut into pieces changes nothing. Only CRLF ends a line here, as everywhere on the way in.

/// Octets of a field name that are kept: one more than the longest name of interest, so that no longer name
/// can be mistaken for it.
const NAME_OCTETS_KEPT: usize = 11;

/// What a header says of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeaderFacts {
    /// Received fields: one for each server it passed (RFC 5321 section 6.3).
    pub received_fields: u32,
    /// From fields; a message has exactly one (RFC 5322 section 3.6).
    pub from_fields: u32,
    /// Whether there is a Sender field.
    pub has_sender: bool,
    /// Whether there is a Date field.
    pub has_date: bool,
    /// Whether there is a Message-ID field.
    pub has_message_id: bool,
    /// Whether a field's value has an octet above 127: such a message needs SMTPUTF8 (RFC 6531 section 3.6).
    pub has_8bit: bool,
    /// Octets of the fields with their line ends, without the empty line after them.
    pub header_octets: u64,
    /// Whether the message begins with a line of its text: no field, and no empty line to end a header. What
    /// is put in front of it would take that line for one of its own.
    pub begins_with_text: bool,
}

/// Where in the header the next octet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the beginning of a line.
    LineStart,
    /// At the beginning of a line, after a CR: an LF makes it the empty line.
    LineStartCr,
    /// In a field name.
    Name,
    /// In the white space that old mail programs put between name and colon (RFC 5322 section 4.5.8).
    AfterName,
    /// In a value.
    Value,
    /// In a value, after a CR.
    ValueCr,
    /// The header is over; nothing is looked at any more.
    Over,
}

/// Scans the header of one message. Feed it the message from its first octet on; octets after the header
/// cost nothing.
#[derive(Debug, Clone)]
pub struct HeaderScan {
    facts: HeaderFacts,
    place: Place,
    /// The field name so far, in lower case, cut.
    name: [u8; NAME_OCTETS_KEPT],
    /// Octets of it; stays at the end of `name` when it is longer.
    name_octets: usize,
    /// Octets seen, up to the end of the header.
    seen_octets: u64,
    /// Whether a field stands before this line, so that white space continues it.
    any_field: bool,
}

impl Default for HeaderScan {
    fn default() -> Self {
        Self::new()
    }
}

impl HeaderScan {
    /// A scanner at the first octet of a message.
    #[must_use]
    pub fn new() -> Self {
        Self {
            facts: HeaderFacts::default(),
            place: Place::LineStart,
            name: [0; NAME_OCTETS_KEPT],
            name_octets: 0,
            seen_octets: 0,
            any_field: false,
        }
    }

    /// Takes the next piece of the message.
    pub fn feed(&mut self, octets: &[u8]) {
        for &octet in octets {
            if self.place == Place::Over {
                return;
            }
            self.seen_octets = self.seen_octets.saturating_add(1);
            self.place = self.next(octet);
        }
    }

    /// What is known so far; once [`HeaderScan::is_over`] or at the end of the message it is all there is.
    #[must_use]
    pub fn facts(&self) -> HeaderFacts {
        self.facts
    }

    /// Whether the header has ended: at an empty line, or before the first line that is no header field.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.place == Place::Over
    }

    fn next(&mut self, octet: u8) -> Place {
        match (self.place, octet) {
            (Place::LineStart, b'\r') => Place::LineStartCr,
            (Place::LineStart, b' ' | b'\t') if self.any_field => self.value(octet),
            (Place::LineStart, _) => {
                self.name_octets = 0;
                self.facts.begins_with_text = !self.any_field;
                self.name_octet(octet)
            }
            (Place::Name, b':') if self.name_octets > 0 => self.field(),
            (Place::Name, b' ' | b'\t') if self.name_octets > 0 => {
                // The first line of a mailbox file, `From me@example.org Tue …`; its header follows.
                self.facts.begins_with_text &= self.name() != b"from";
                Place::AfterName
            }
            (Place::Name, _) => self.name_octet(octet),
            (Place::AfterName, b':') => self.field(),
            (Place::AfterName, b' ' | b'\t') => Place::AfterName,
            (Place::ValueCr, b'\n') => {
                self.facts.header_octets = self.seen_octets;
                Place::LineStart
            }
            (Place::Value | Place::ValueCr, _) => self.value(octet),
            (Place::LineStartCr, b'\n') | (Place::AfterName | Place::Over, _) => Place::Over,
            (Place::LineStartCr, _) => {
                self.facts.begins_with_text = !self.any_field;
                Place::Over
            }
        }
    }

    /// An octet of a name: printable ASCII but the colon (`ftext` of RFC 5322 section 3.6.8). Anything else
    /// means that this line is no header field.
    fn name_octet(&mut self, octet: u8) -> Place {
        if !octet.is_ascii_graphic() || octet == b':' {
            return Place::Over;
        }
        if let Some(free) = self.name.get_mut(self.name_octets) {
            *free = octet.to_ascii_lowercase();
            self.name_octets = self.name_octets.saturating_add(1);
        }
        Place::Name
    }

    fn name(&self) -> &[u8] {
        self.name.get(..self.name_octets).unwrap_or_default()
    }

    /// The colon after a name: the line is a field.
    fn field(&mut self) -> Place {
        self.any_field = true;
        self.facts.begins_with_text = false;
        self.facts.header_octets = self.seen_octets;
        match self.name() {
            b"received" => self.facts.received_fields = self.facts.received_fields.saturating_add(1),
            b"from" => self.facts.from_fields = self.facts.from_fields.saturating_add(1),
            b"sender" => self.facts.has_sender = true,
            b"date" => self.facts.has_date = true,
            b"message-id" => self.facts.has_message_id = true,
            _ => {}
        }
        Place::Value
    }

    /// An octet of a value; a CR or LF alone is one too.
    fn value(&mut self, octet: u8) -> Place {
        self.facts.header_octets = self.seen_octets;
        self.facts.has_8bit |= !octet.is_ascii();
        if octet == b'\r' { Place::ValueCr } else { Place::Value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Chance;

    fn scan(message: &[u8]) -> HeaderFacts {
        let mut scan = HeaderScan::new();
        scan.feed(message);
        scan.facts()
    }

    const MESSAGE: &[u8] = b"Received: from a\r\n\tby b;\r\n\tReceived: no\r\nRECEIVED : from c\r\n\
        From: me@example.org\r\nfrom: you@example.org\r\nSender: x\r\nDATE:\r\nMessage-Id: <1@x>\r\n\
        Message-Identity: y\r\nSubject: gr\xc3\xbc\xc3\x9fe\r\n\r\nReceived: in the body\r\n";

    #[test]
    fn fields_are_counted_whatever_their_case_and_folding() {
        let facts = scan(MESSAGE);
        assert_eq!(facts.received_fields, 2);
        assert_eq!(facts.from_fields, 2);
        assert!(facts.has_sender && facts.has_date && facts.has_message_id && facts.has_8bit);
        let body = b"\r\nReceived: in the body\r\n".len();
        assert_eq!(facts.header_octets, u64::try_from(MESSAGE.len() - body).unwrap());
    }

    #[test]
    fn text_without_a_header_is_told_from_a_message_with_one() {
        for text in [
            &b"It works.\r\n"[..],
            b"hello",
            b" Subject: x\r\n",
            b": x\r\n",
            b"\xff\r\n",
            b"\rx",
            b"a b: c\r\n",
        ] {
            assert!(scan(text).begins_with_text, "{text:?}");
        }
        for message in [
            &b""[..],
            b"\r\n",
            b"\r\ntext\r\n",
            b"Subject: x\r\n",
            b"Subject : x\r\n",
            b"X: y\r\ntext\r\n",
            b"From me@example.org Tue Nov 24 2026\r\nSubject: x\r\n",
        ] {
            assert!(!scan(message).begins_with_text, "{message:?}");
        }
    }

    #[test]
    fn cuts_change_nothing() {
        let whole = scan(MESSAGE);
        for one in 0..=MESSAGE.len() {
            for two in one..=MESSAGE.len() {
                let mut scan = HeaderScan::new();
                scan.feed(&MESSAGE[..one]);
                scan.feed(&MESSAGE[one..two]);
                scan.feed(&MESSAGE[two..]);
                assert_eq!(scan.facts(), whole, "cut at {one} and {two}");
            }
        }
    }

    #[test]
    fn cuts_change_nothing_in_messages_of_chance() {
        let mut chance = Chance::from_seed([7; 32]);
        let words: [&[u8]; 12] = [
            b"Received",
            b":",
            b"\r\n",
            b"\r",
            b"\n",
            b" ",
            b"\t",
            b"Date",
            b"x",
            b"\xff",
            b"\0",
            b"Message-ID",
        ];
        for _ in 0..2_000 {
            let mut message = Vec::new();
            for _ in 0..chance.below(24) {
                message.extend_from_slice(words[usize::try_from(chance.below(12)).unwrap()]);
            }
            let whole = scan(&message);
            let mut single = HeaderScan::new();
            for octet in &message {
                single.feed(std::slice::from_ref(octet));
            }
            assert_eq!(single.facts(), whole, "{message:?}");
            assert!(whole.header_octets <= u64::try_from(message.len()).unwrap());
        }
    }

    #[test]
    fn a_message_without_header_has_no_fields() {
        for message in
            [&b""[..], b"\r\n", b"\r\nDate: x\r\n", b"Dear all,\r\nDate: x\r\n", b": x\r\n", b" Date: x\r\n"]
        {
            let facts = HeaderFacts { begins_with_text: false, ..scan(message) };
            assert_eq!(facts, HeaderFacts::default(), "{message:?}");
        }
    }

    #[test]
    fn the_header_ends_before_a_line_that_is_no_field() {
        let facts = scan(b"From: a\r\nnot a field\r\nDate: x\r\n");
        assert_eq!((facts.from_fields, facts.has_date, facts.header_octets), (1, false, 9));
        let facts = scan(b"From: a\r\nD\xc3\xa4te: x\r\nDate: x\r\n");
        assert!(!facts.has_date && !facts.has_8bit);
    }

    #[test]
    fn an_octet_above_127_after_the_header_does_not_count() {
        assert!(!scan(b"From: a\r\n\r\n\xff").has_8bit);
        assert!(scan(b"From: a\r\n \xff\r\n\r\n").has_8bit);
    }

    #[test]
    fn a_longer_name_is_not_taken_for_its_beginning() {
        let facts = scan(b"Message-ID2: x\r\nReceived-SPF: x\r\nDates: x\r\nX: y\r\n");
        assert!(!facts.has_message_id && !facts.has_date);
        assert_eq!(facts.received_fields, 0);
    }

    #[test]
    fn a_bare_line_feed_begins_no_field() {
        let facts = scan(b"Subject: x\nDate: y\rSender: z\r\n\r\n");
        assert!(!facts.has_date && !facts.has_sender);
    }

    #[test]
    fn after_the_header_nothing_is_counted() {
        let mut scan = HeaderScan::new();
        scan.feed(b"From: a\r\n\r\n");
        assert!(scan.is_over());
        let before = scan.facts();
        scan.feed(&b"Received: x\r\n".repeat(1_000));
        assert_eq!(scan.facts(), before);
    }

    #[test]
    fn a_field_whose_line_never_ends_is_counted() {
        let facts = scan(b"Date: tomor");
        assert!(facts.has_date);
        assert_eq!(facts.header_octets, 11);
        assert_eq!(scan(b"Dat").header_octets, 0);
    }
}
