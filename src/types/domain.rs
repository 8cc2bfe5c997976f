//! Domain names.

use crate::limits::{DOMAIN_OCTETS_MAX, LABEL_OCTETS_MAX};
use std::fmt;

/// A domain name in its one canonical form: lower-case A-labels (RFC 5890), no trailing dot, at most 255
/// octets, labels of letters, digits and hyphens only (RFC 5321 section 4.1.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);

/// Why a text is not a domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainError {
    /// Nothing there, or an empty label.
    Empty,
    /// Complete but for a dot at its end, as zone files write it (RFC 1034 section 3.1).
    TrailingDot,
    /// Over 255 octets, or a label over 63.
    TooLong,
    /// Not a letter, digit or hyphen, a hyphen at an end, or what IDNA does not allow.
    BadCharacter,
}

impl fmt::Display for DomainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty, or has nothing between two dots",
            Self::TrailingDot => "it ends in a dot: write it without",
            Self::TooLong => "it is longer than 255 octets, or a label is longer than 63",
            Self::BadCharacter => "it has a character that a domain name cannot have",
        })
    }
}

impl std::error::Error for DomainError {}

impl Domain {
    /// Reads a domain name; U-labels become A-labels (UTS 46, non-transitional).
    ///
    /// # Errors
    /// Says why it is none.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        if text.is_empty() {
            return Err(DomainError::Empty);
        }
        // A U-label is at most four octets a character; what is longer cannot become short enough.
        if text.len() > DOMAIN_OCTETS_MAX.saturating_mul(4) {
            return Err(DomainError::TooLong);
        }
        let ascii = if text.is_ascii() && !text.split('.').any(is_a_label) {
            text.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(text).map_err(|_| DomainError::BadCharacter)?
        };
        Self::check(&ascii)?;
        Ok(Self(ascii))
    }

    fn check(ascii: &str) -> Result<(), DomainError> {
        if ascii.len() > DOMAIN_OCTETS_MAX {
            return Err(DomainError::TooLong);
        }
        if ascii.strip_suffix('.').is_some_and(|name| Self::check(name).is_ok()) {
            return Err(DomainError::TrailingDot);
        }
        for label in ascii.split('.') {
            if label.is_empty() {
                return Err(DomainError::Empty);
            }
            if label.len() > LABEL_OCTETS_MAX {
                return Err(DomainError::TooLong);
            }
            let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !plain || label.starts_with('-') || label.ends_with('-') {
                return Err(DomainError::BadCharacter);
            }
        }
        Ok(())
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a label claims to be an internationalised one (RFC 5890 section 2.3.2.1).
fn is_a_label(label: &str) -> bool {
    label.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("xn--"))
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Domain {
    type Error = DomainError;
    fn try_from(text: String) -> Result<Self, DomainError> {
        Self::parse(&text)
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_become_lower_case() {
        assert_eq!(Domain::parse("Example.ORG").unwrap().as_str(), "example.org");
    }

    #[test]
    fn u_labels_become_a_labels() {
        assert_eq!(Domain::parse("Bücher.example").unwrap().as_str(), "xn--bcher-kva.example");
        assert_eq!(Domain::parse("XN--bcher-kva.example").unwrap().as_str(), "xn--bcher-kva.example");
    }

    #[test]
    fn a_name_with_an_empty_label_is_refused() {
        for text in ["", ".", "a..b", ".a", "a.."] {
            assert_eq!(Domain::parse(text), Err(DomainError::Empty), "{text:?}");
        }
    }

    #[test]
    fn a_dot_at_the_end_is_said_to_be_that() {
        let error = Domain::parse("example.org.").unwrap_err();
        assert_eq!(error, DomainError::TrailingDot);
        assert!(error.to_string().contains("write it without"));
    }

    #[test]
    fn a_hyphen_at_an_end_an_underscore_and_a_space_are_refused() {
        for text in ["-a.example", "a-.example", "a_b.example", "a b.example", "a\0.example", "[1.2.3.4]"] {
            assert_eq!(Domain::parse(text), Err(DomainError::BadCharacter), "{text:?}");
        }
    }

    #[test]
    fn lengths_have_their_ceilings() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(63));
        assert_eq!(longest.len(), 255);
        assert!(Domain::parse(&longest).is_ok());
        assert_eq!(Domain::parse(&format!("{longest}a")), Err(DomainError::TooLong));
        assert_eq!(Domain::parse(&"a".repeat(64)), Err(DomainError::TooLong));
    }
}
