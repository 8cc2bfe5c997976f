//! What a client said since the last reply, and what a server may answer to it whoever it is.

use crate::smtp::command::{self, Command, Dialect};

/// What was said last, and how many replies to it are still owed.
#[derive(Debug)]
pub(super) struct Owed {
    /// Replies that a server owes: the greeting, and one for each line that has ended.
    replies: usize,
    /// Whether it greeted.
    greeted: bool,
    /// Whether lines ended as no line may end: a server that takes them for more or fewer lines than gatepost does
    /// may be a reply ahead or behind from here on (RFC 5321 section 2.3.8).
    pub is_out_of_step: bool,
    /// Octets of a chunk that were announced and not sent (RFC 3030 section 2).
    chunk_left: u64,
    /// Whether what was said last needs nothing that one server has and another has not.
    pub is_plain: bool,
    /// Whether it is commands that every server may take at any time (RFC 5321 sections
    /// 4.1.1.5, 4.1.1.8, 4.1.1.9 and 4.1.4).
    pub is_harmless: bool,
    /// Whether it is commands that a server need not have (RFC 5321 section 4.5.1).
    pub is_optional: bool,
}

impl Default for Owed {
    fn default() -> Self {
        Self {
            replies: 1,
            greeted: false,
            is_out_of_step: false,
            chunk_left: 0,
            is_plain: true,
            is_harmless: false,
            is_optional: false,
        }
    }
}

impl Owed {
    /// The client said this, in one go. `in_login`, `in_body`: it is no command.
    pub(super) fn said(&mut self, octets: &[u8], in_login: bool, in_body: bool) {
        if in_body {
            // Whether the body ends here is for the server to say.
            self.replies = self.replies.saturating_add(1);
            (self.is_plain, self.is_harmless, self.is_optional) = (false, false, false);
            return;
        }
        let mut lines: Vec<&[u8]> = Vec::new();
        let mut rest = self.beyond_chunk(octets);
        while let Some(at) = line_end(rest) {
            let line = rest.get(..at).unwrap_or_default();
            lines.push(line);
            self.replies = self.replies.saturating_add(1);
            rest = rest.get(at.saturating_add(2)..).unwrap_or_default();
            if let Some(size) = chunk_size(line) {
                self.chunk_left = size;
                // It is answered when it is there.
                self.replies = self.replies.saturating_sub(usize::from(size > 0));
                rest = self.beyond_chunk(rest);
            }
        }
        self.is_out_of_step |= lines.iter().any(|line| has_odd_ends(line)) || has_odd_ends(rest);
        let is_whole = rest.is_empty() && !lines.is_empty() && !in_login;
        self.is_plain = is_whole && lines.iter().all(|line| is_plain(line));
        self.is_harmless = is_whole && lines.iter().all(|line| is_harmless(line));
        self.is_optional = is_whole && lines.iter().all(|line| is_optional(line));
    }

    /// What is left of octets behind those of the chunk under way.
    fn beyond_chunk<'o>(&mut self, octets: &'o [u8]) -> &'o [u8] {
        let there = u64::try_from(octets.len()).unwrap_or(u64::MAX);
        if self.chunk_left == 0 {
            return octets;
        }
        let taken = self.chunk_left.min(there);
        self.chunk_left = self.chunk_left.saturating_sub(taken);
        if self.chunk_left == 0 {
            self.replies = self.replies.saturating_add(1);
        }
        octets.get(usize::try_from(taken).unwrap_or(usize::MAX)..).unwrap_or_default()
    }

    /// A reply came.
    pub(super) fn answered(&mut self) {
        self.replies = self.replies.saturating_sub(1);
        self.greeted = true;
    }

    /// Whether a reply is owed.
    pub(super) fn is_due(&self) -> bool {
        self.replies > 0
    }

    /// A handshake came to its end: nothing is owed but a greeting.
    pub(super) fn secured(&mut self) {
        *self = Self { replies: usize::from(!self.greeted), greeted: self.greeted, ..Self::default() };
    }
}

/// Where the first CRLF is.
fn line_end(octets: &[u8]) -> Option<usize> {
    octets.iter().zip(octets.iter().skip(1)).position(|two| two == (&b'\r', &b'\n'))
}

/// The octets that a BDAT command announces: more than there are, if it does not say so as it should. How many some
/// server reads from that nobody knows.
fn chunk_size(line: &[u8]) -> Option<u64> {
    if verb(line) != b"BDAT" {
        return None;
    }
    let text = std::str::from_utf8(line).ok();
    let size = text.and_then(|text| text.split_ascii_whitespace().nth(1));
    let is_number = |size: &&str| size.bytes().all(|octet| octet.is_ascii_digit());
    Some(size.filter(is_number).and_then(|size| size.parse().ok()).unwrap_or(u64::MAX))
}

fn verb(line: &[u8]) -> Vec<u8> {
    line.iter().take_while(|octet| octet.is_ascii_alphabetic()).map(u8::to_ascii_uppercase).collect()
}

fn has_odd_ends(octets: &[u8]) -> bool {
    octets.iter().any(|octet| matches!(octet, b'\r' | b'\n' | b'\0'))
}

fn is_plain(line: &[u8]) -> bool {
    match verb(line).as_slice() {
        b"NOOP" | b"RSET" | b"QUIT" | b"HELP" => line.is_ascii(),
        b"EHLO" | b"HELO" => line.get(4..).is_some_and(names_a_host),
        _ => false,
    }
}

/// Whether every server has to take this name: letters, digits and hyphens, or an address (RFC 5321 section 4.1.3).
fn names_a_host(argument: &[u8]) -> bool {
    let Some((b' ', name)) = argument.split_first() else { return false };
    let is_usual =
        |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'[' | b']' | b':');
    !name.is_empty() && name.iter().all(is_usual)
}

fn is_harmless(line: &[u8]) -> bool {
    matches!(
        command::parse(line, Dialect::Strict),
        Ok(Command::Ehlo(_) | Command::Helo(_) | Command::Noop | Command::Rset | Command::Help)
    )
}

fn is_optional(line: &[u8]) -> bool {
    matches!(verb(line).as_slice(), b"HELP" | b"VRFY" | b"EXPN")
}
