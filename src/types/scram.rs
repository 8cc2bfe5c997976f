//! What of SCRAM (RFC 5802, RFC 7677) more than one room must know.

use crate::limits::SCRAM_SALT_OCTETS;
use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Octets of a SHA-256 hash, and so of every key, signature and proof of SCRAM-SHA-256.
pub const SHA256_OCTETS: usize = 32;

/// Whose logins SCRAM is for. Its keys are easier to try passwords against than argon2id hashes, should they
/// be stolen; random passwords cannot be found either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum ScramUse {
    /// Main passwords and application passwords.
    #[default]
    All,
    /// Application passwords alone: no key is made of a main password, and none that was made is used.
    AppPasswords,
    /// Nobody's: it is not offered.
    Off,
}

impl ScramUse {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::All, Self::AppPasswords, Self::Off];

    /// The word in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::AppPasswords => "app-passwords",
            Self::Off => "off",
        }
    }

    /// Whether the mechanisms are offered.
    #[must_use]
    pub fn is_offered(self) -> bool {
        match self {
            Self::All | Self::AppPasswords => true,
            Self::Off => false,
        }
    }
}

/// What a client needs to know of a name before it can make a proof: no secret, and the same kind of value
/// for every name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScramSalt {
    /// Salt.
    pub salt: [u8; SCRAM_SALT_OCTETS],
    /// Rounds of PBKDF2.
    pub iterations: u32,
}

/// What is kept of a password for SCRAM (RFC 5802 section 3): enough to check a proof and to sign the answer,
/// not enough to make a proof. Written as in RFC 5803: both in base64 with a colon between them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScramKeys {
    /// `StoredKey`.
    pub stored: [u8; SHA256_OCTETS],
    /// `ServerKey`.
    pub server: [u8; SHA256_OCTETS],
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramKeys(…)")
    }
}

impl From<ScramKeys> for String {
    fn from(keys: ScramKeys) -> Self {
        format!("{}:{}", Base64::encode_string(&keys.stored), Base64::encode_string(&keys.server))
    }
}

impl TryFrom<String> for ScramKeys {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let key = |text: &str| Base64::decode_vec(text).ok()?.try_into().ok();
        let keys = text.split_once(':').and_then(|(stored, server)| Some((key(stored)?, key(server)?)));
        let (stored, server) = keys.ok_or("two keys of 32 octets in base64 are wanted")?;
        Ok(Self { stored, server })
    }
}

/// What ties an exchange to the TLS connection it runs in (RFC 5056): whoever sits between has others.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ChannelBindings {
    /// `tls-exporter` (RFC 9266), TLS 1.3 alone: before that it is sound only with an extension whose use
    /// the TLS library does not tell.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929): the hash of the server's certificate, where there is a rule for it.
    pub end_point: Option<Vec<u8>>,
}

impl ChannelBindings {
    /// Whether there is nothing to bind to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exporter.is_none() && self.end_point.is_none()
    }

    /// The data of a type by its IANA name; `None` if this connection does not have it.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&[u8]> {
        match name {
            "tls-exporter" => self.exporter.as_ref().map(<[u8; 32]>::as_slice),
            "tls-server-end-point" => self.end_point.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Debug for ChannelBindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelBindings(…)")
    }
}
