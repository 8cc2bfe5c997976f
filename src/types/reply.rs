//! Replies as values; printed in one place.

use std::fmt::Write as _;

/// An enhanced status code (RFC 3463): class, subject, detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enhanced(pub u8, pub u16, pub u16);

/// One reply. Its text never holds a byte a peer sent, nor a library's error text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Three digits (RFC 5321 section 4.2).
    pub code: u16,
    /// Left out in the greeting, in the reply to HELO and EHLO, and in 334 and 354 (RFC 2034 section 4).
    pub enhanced: Option<Enhanced>,
    /// At least one; printable ASCII.
    pub lines: Vec<std::borrow::Cow<'static, str>>,
}

impl Reply {
    /// A reply of one line with an enhanced status code.
    #[must_use]
    pub fn new(code: u16, enhanced: Enhanced, text: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self { code, enhanced: Some(enhanced), lines: vec![text.into()] }
    }

    /// A reply of one line without one.
    #[must_use]
    pub fn plain(code: u16, text: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self { code, enhanced: None, lines: vec![text.into()] }
    }

    /// Whether it says no (4yz or 5yz).
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.code >= 400
    }

    /// Whether it says no for good (5yz).
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// Appends the reply as it stands on the wire. Anything but printable ASCII becomes `?`, so that no
    /// text can break a line.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let last = self.lines.len().saturating_sub(1);
        for (index, line) in self.lines.iter().enumerate() {
            let mut head = String::new();
            // Writing to a string does not fail.
            let _ = write!(head, "{}{}", self.code, if index == last { ' ' } else { '-' });
            if let Some(Enhanced(class, subject, detail)) = self.enhanced {
                let _ = write!(head, "{class}.{subject}.{detail} ");
            }
            out.extend_from_slice(head.as_bytes());
            out.extend(line.bytes().map(|b| if matches!(b, b' '..=b'~') { b } else { b'?' }));
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_carries_the_code_and_the_enhanced_code() {
        let mut reply = Reply::new(250, Enhanced(2, 0, 0), "one");
        reply.lines.push("two".into());
        let mut out = Vec::new();
        reply.encode(&mut out);
        assert_eq!(out, b"250-2.0.0 one\r\n250 2.0.0 two\r\n");
    }

    #[test]
    fn no_text_can_break_a_line() {
        let mut out = Vec::new();
        Reply::plain(500, "a\r\n250 b\0é").encode(&mut out);
        assert_eq!(out, b"500 a??250 b???\r\n");
    }
}
