//! Local parts of addresses.

use crate::limits::LOCAL_PART_OCTETS_MAX;
use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// The local part of an address as meant: without quotes and backslashes, at most 64 octets of UTF-8
/// without control characters (RFC 5321 section 4.1.2, RFC 6531 section 3.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalPart(String);

/// Why a text is not a local part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalPartError {
    /// Nothing there (an empty quoted string is syntax, but names nobody).
    Empty,
    /// Over 64 octets.
    TooLong,
    /// A control character.
    BadCharacter,
}

impl LocalPart {
    /// Takes a local part whose quoting is already undone.
    ///
    /// # Errors
    /// Says why it is none.
    pub fn new(text: &str) -> Result<Self, LocalPartError> {
        if text.is_empty() {
            return Err(LocalPartError::Empty);
        }
        if text.len() > LOCAL_PART_OCTETS_MAX {
            return Err(LocalPartError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(LocalPartError::BadCharacter);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text as meant, without quoting.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that is looked up: lower case and NFC, since this server's own local parts ignore case.
    /// Composed once more at the end: some letters can be composed in lower case only.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.nfc().flat_map(char::to_lowercase).nfc().collect()
    }

    /// Whether SMTPUTF8 is needed to say it (RFC 6531).
    #[must_use]
    pub fn is_utf8(&self) -> bool {
        !self.0.is_ascii()
    }

    /// Whether it holds a character that old mail systems routed by: `%`, `!` or `@`.
    #[must_use]
    pub fn has_routing_character(&self) -> bool {
        self.0.contains(['%', '!', '@'])
    }

    /// Whether it can be written without quotes (Dot-string of RFC 5321 section 4.1.2).
    #[must_use]
    pub fn is_dot_string(&self) -> bool {
        self.0.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
    }
}

/// `atext` of RFC 5322 section 3.2.3, with UTF-8 (RFC 6532 section 3.2).
#[must_use]
pub fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control())
}

impl fmt::Display for LocalPart {
    /// As it is written in a path: quoted where it must be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_dot_string() {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_printed_quoted_only_where_it_must_be() {
        assert_eq!(LocalPart::new("a.b+c").unwrap().to_string(), "a.b+c");
        assert_eq!(LocalPart::new("a b").unwrap().to_string(), "\"a b\"");
        assert_eq!(LocalPart::new(".a").unwrap().to_string(), "\".a\"");
        assert_eq!(LocalPart::new("a\"\\").unwrap().to_string(), "\"a\\\"\\\\\"");
    }

    #[test]
    fn control_characters_and_overlength_are_refused() {
        assert_eq!(LocalPart::new("a\r\nb"), Err(LocalPartError::BadCharacter));
        assert_eq!(LocalPart::new("a\u{85}b"), Err(LocalPartError::BadCharacter));
        assert_eq!(LocalPart::new(&"a".repeat(65)), Err(LocalPartError::TooLong));
        assert!(LocalPart::new(&"a".repeat(64)).is_ok());
    }

    #[test]
    fn the_key_ignores_case_and_composition() {
        assert_eq!(LocalPart::new("Jo\u{308}rg").unwrap().key(), LocalPart::new("JÖRG").unwrap().key());
    }
}
