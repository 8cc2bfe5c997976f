//! Password hashes as text.

use super::scram::message::encode;
use crate::limits::{
    ARGON2_LANES_MAX, ARGON2_MEMORY_KIB_MAX, ARGON2_PASSES_MAX, ARGON2_SALT_OCTETS_MAX,
    ARGON2_SALT_OCTETS_MIN, ARGON2_TAG_OCTETS_MAX, ARGON2_TAG_OCTETS_MIN,
};
use base64ct::{Base64Unpadded, Encoding};
use std::fmt;

/// An argon2id hash as the store keeps it: `$argon2id$v=19$m=19456,t=2,p=1$salt$tag` (RFC 9106 and the PHC
/// string format). Every number is within what the worker computes.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// Salt.
    pub salt: Vec<u8>,
    /// The hash.
    pub tag: Vec<u8>,
}

/// A text that is no hash this server computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhcError {
    /// Not argon2id, version 19.
    Algorithm,
    /// Not of the form `$argon2id$v=19$m=…,t=…,p=…$salt$tag`.
    Form,
    /// Memory, passes, lanes, salt or tag out of range.
    Range,
}

impl fmt::Display for PhcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Algorithm => "it is not an argon2id hash of version 19",
            Self::Form => "it is not of the form $argon2id$v=19$m=…,t=…,p=…$salt$tag",
            Self::Range => "its parameters are outside what this server computes",
        })
    }
}

impl std::error::Error for PhcError {}

impl PasswordHash {
    /// Reads a PHC string.
    ///
    /// # Errors
    /// Says why it is none, or none that this server computes.
    pub fn parse(text: &str) -> Result<Self, PhcError> {
        let mut fields = text.split('$');
        if (fields.next(), fields.next(), fields.next()) != (Some(""), Some("argon2id"), Some("v=19")) {
            return Err(PhcError::Algorithm);
        }
        let (Some(costs), Some(salt), Some(tag), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(PhcError::Form);
        };
        let mut costs = costs.split(',');
        let (memory, passes, lanes) =
            (number(costs.next(), "m=")?, number(costs.next(), "t=")?, number(costs.next(), "p=")?);
        if costs.next().is_some() {
            return Err(PhcError::Form);
        }
        let salt = Base64Unpadded::decode_vec(salt).map_err(|_| PhcError::Form)?;
        let tag = Base64Unpadded::decode_vec(tag).map_err(|_| PhcError::Form)?;
        let hash = Self { memory_kib: memory, passes, lanes, salt, tag };
        if hash.in_range() { Ok(hash) } else { Err(PhcError::Range) }
    }

    /// Whether the worker will compute it: nothing here may cost more than the ceilings say, whatever is in
    /// the store. The memory's lower bound is argon2's own: eight blocks a lane (RFC 9106 section 3.1).
    #[must_use]
    pub fn in_range(&self) -> bool {
        (1..=ARGON2_LANES_MAX).contains(&self.lanes)
            && (1..=ARGON2_PASSES_MAX).contains(&self.passes)
            && (self.lanes.saturating_mul(8)..=ARGON2_MEMORY_KIB_MAX).contains(&self.memory_kib)
            && (ARGON2_SALT_OCTETS_MIN..=ARGON2_SALT_OCTETS_MAX).contains(&self.salt.len())
            && (ARGON2_TAG_OCTETS_MIN..=ARGON2_TAG_OCTETS_MAX).contains(&self.tag.len())
    }
}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "$argon2id$v=19$m={},t={},p={}${}${}",
            self.memory_kib,
            self.passes,
            self.lanes,
            encode::<Base64Unpadded>(&self.salt),
            encode::<Base64Unpadded>(&self.tag)
        )
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// A decimal number after its name; no sign, no leading zero.
fn number(field: Option<&str>, name: &str) -> Result<u32, PhcError> {
    let digits = field.and_then(|field| field.strip_prefix(name)).ok_or(PhcError::Form)?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    if plain && !digits.is_empty() && !digits.starts_with('0') {
        digits.parse().map_err(|_| PhcError::Range)
    } else {
        Err(PhcError::Form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Chance;

    const PHC: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    #[test]
    fn a_hash_prints_as_it_was_read() {
        let hash = PasswordHash::parse(PHC).unwrap();
        assert_eq!((hash.memory_kib, hash.passes, hash.lanes), (19456, 2, 1));
        assert_eq!(hash.salt, (0..16).collect::<Vec<u8>>());
        assert_eq!(hash.tag, (0..32).collect::<Vec<u8>>());
        assert_eq!(hash.to_string(), PHC);
    }

    #[test]
    fn what_is_no_argon2id_hash_says_why() {
        for (from, to, error) in [
            ("argon2id", "argon2i", PhcError::Algorithm),
            ("v=19", "v=16", PhcError::Algorithm),
            ("$argon2id", "argon2id", PhcError::Algorithm),
            (",p=1", "", PhcError::Form),
            (",p=1", ",p=1,x=2", PhcError::Form),
            ("m=19456", "m=+19456", PhcError::Form),
            ("m=19456", "m=019456", PhcError::Form),
            ("m=19456", "m=", PhcError::Form),
            ("t=2,p=1", "p=1,t=2", PhcError::Form),
            ("DA0ODw$", "DA0ODw==$", PhcError::Form),
            ("DA0ODw$", "DA0ODx$", PhcError::Form),
            ("DA0ODw$", "DA0ODw$$", PhcError::Form),
        ] {
            assert_eq!(PasswordHash::parse(&PHC.replace(from, to)), Err(error), "{from} {to}");
        }
    }

    #[test]
    fn a_hash_that_would_cost_too_much_or_too_little_is_none() {
        for (from, to) in [
            ("m=19456", "m=4294967295"),
            ("m=19456", "m=99999999999"),
            ("m=19456", "m=7"),
            ("t=2", "t=1000"),
            ("t=2", "t=4294967296"),
            ("p=1", "p=200"),
            ("$AAECAwQFBgcICQoLDA0ODw$", "$AAECAw$"),
        ] {
            assert_eq!(PasswordHash::parse(&PHC.replace(from, to)), Err(PhcError::Range), "{from} {to}");
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic_or_gives_a_hash_out_of_range() {
        let mut chance = Chance::from_seed([5; 32]);
        for _ in 0..2_000 {
            let mut octets = PHC.as_bytes().to_vec();
            for _ in 0..=chance.below(3) {
                let place = usize::try_from(chance.below(96)).unwrap();
                if let Some(octet) = octets.get_mut(place) {
                    *octet = u8::try_from(chance.below(128)).unwrap();
                }
            }
            let text = String::from_utf8(octets).unwrap();
            if let Ok(hash) = PasswordHash::parse(&text) {
                assert!(hash.in_range());
                assert_eq!(hash.to_string(), text);
            }
        }
    }
}
