//! What a server said, read from octets: replies, cut in any way.

use crate::limits::{HEARD_REPLY_LINE_OCTETS_MAX, HEARD_REPLY_LINES_MAX};
use crate::types::{Enhanced, Reply};
use std::borrow::Cow;

/// Collects what a server says and cuts replies from it.
#[derive(Debug, Default)]
pub struct Ear {
    octets: Vec<u8>,
}

impl Ear {
    /// More came.
    pub fn hear(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// What came and was not taken as part of a reply.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.octets
    }

    /// The next reply, once it is there to its last line.
    ///
    /// # Errors
    /// Says why what came is no reply (RFC 5321 section 4.2): a line that does not end in CRLF, is too long or
    /// does not begin with a code, or lines of one reply that disagree. Nothing is taken then.
    pub fn reply(&mut self) -> Result<Option<Reply>, String> {
        let mut reply: Option<Reply> = None;
        let mut taken = 0usize;
        loop {
            let rest = self.octets.get(taken..).unwrap_or_default();
            let Some(end) = memchr::memchr(b'\n', rest) else {
                return if rest.len() > HEARD_REPLY_LINE_OCTETS_MAX { Err(too_long()) } else { Ok(None) };
            };
            let line = rest.get(..=end).unwrap_or_default();
            if line.len() > HEARD_REPLY_LINE_OCTETS_MAX {
                return Err(too_long());
            }
            taken = taken.saturating_add(line.len());
            let one = reply_line(line)?;
            let whole = match &mut reply {
                None => reply.insert(one.reply),
                Some(begun) => {
                    add(begun, one.reply)?;
                    begun
                }
            };
            if whole.lines.len() > HEARD_REPLY_LINES_MAX {
                return Err(format!("a reply has more than {HEARD_REPLY_LINES_MAX} lines"));
            }
            if !one.more {
                self.octets = self.octets.get(taken..).unwrap_or_default().to_vec();
                return Ok(reply);
            }
        }
    }
}

fn too_long() -> String {
    format!("a line of a reply has more than {HEARD_REPLY_LINE_OCTETS_MAX} octets")
}

/// A line of a reply, as a reply of one line.
struct Line {
    reply: Reply,
    /// Whether another line follows.
    more: bool,
}

fn reply_line(line: &[u8]) -> Result<Line, String> {
    let wrong = |what: &str| format!("{what}: {:?}", String::from_utf8_lossy(line));
    let text = line.strip_suffix(b"\r\n").ok_or_else(|| wrong("a line of a reply does not end in CRLF"))?;
    if text.iter().any(|octet| octet.is_ascii_control()) {
        return Err(wrong("a line of a reply has a control character"));
    }
    let text = std::str::from_utf8(text).map_err(|_| wrong("a line of a reply is not UTF-8"))?;
    let no_code = || wrong("a line of a reply does not begin with a code");
    let (digits, rest) = text.split_at_checked(3).ok_or_else(no_code)?;
    let code = digits.parse::<u16>().ok().filter(|code| (200..600).contains(code)).ok_or_else(no_code)?;
    let (more, text) = match (rest.strip_prefix('-'), rest.strip_prefix(' ')) {
        (Some(text), _) => (true, text),
        (None, Some(text)) => (false, text),
        (None, None) if rest.is_empty() => (false, ""),
        (None, None) => return Err(no_code()),
    };
    let (enhanced, text) = divided(text);
    Ok(Line { reply: Reply { code, enhanced, lines: vec![Cow::Owned(text.to_owned())] }, more })
}

/// The enhanced status code in front of a text (RFC 2034 section 4), and the text.
fn divided(text: &str) -> (Option<Enhanced>, &str) {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    match super::parse::enhanced(first) {
        Some(enhanced) => (Some(enhanced), rest),
        None => (None, text),
    }
}

/// Adds a further line to a reply. All carry the same codes (RFC 5321 section 4.2.1, RFC 2034 section 4).
fn add(reply: &mut Reply, line: Reply) -> Result<(), String> {
    if (reply.code, reply.enhanced) != (line.code, line.enhanced) {
        return Err(format!("the lines of a reply that begins with {} have different codes", reply.code));
    }
    reply.lines.extend(line.lines);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_the_same_however_its_octets_come() {
        let mut reply = Reply::new(250, Enhanced(2, 1, 0), "one");
        reply.lines.push("".into());
        let second = Reply::plain(354, "3 things follow");
        let mut octets = Vec::new();
        reply.encode(&mut octets);
        second.encode(&mut octets);
        for size in 1..=octets.len() {
            let mut ear = Ear::default();
            let mut heard = Vec::new();
            for piece in octets.chunks(size) {
                ear.hear(piece);
                while let Some(one) = ear.reply().unwrap() {
                    heard.push(one);
                }
            }
            assert_eq!(heard, [reply.clone(), second.clone()], "pieces of {size}");
            assert!(ear.rest().is_empty());
        }
    }

    #[test]
    fn what_is_no_reply_is_told_and_not_taken() {
        for octets in [
            "250 one\n",
            "25 one\r\n",
            "250_one\r\n",
            "hello there\r\n",
            "600 one\r\n",
            "+50 one\r\n",
            "250-one\r\n251 two\r\n",
            "250-2.0.0 one\r\n250 2.1.0 two\r\n",
            "250 o\0ne\r\n",
        ] {
            let mut ear = Ear::default();
            ear.hear(octets.as_bytes());
            assert!(ear.reply().is_err(), "{octets:?}");
            assert_eq!(ear.rest(), octets.as_bytes());
        }
    }

    #[test]
    fn a_line_that_never_ends_is_told_before_it_fills_the_memory() {
        let mut ear = Ear::default();
        ear.hear(&[b'2'; HEARD_REPLY_LINE_OCTETS_MAX]);
        assert_eq!(ear.reply(), Ok(None));
        ear.hear(b"2");
        assert!(ear.reply().is_err());
    }

    #[test]
    fn a_reply_without_an_end_is_told() {
        let mut ear = Ear::default();
        for _ in 0..=HEARD_REPLY_LINES_MAX {
            ear.hear(b"250-more\r\n");
        }
        assert!(ear.reply().is_err());
    }
}
