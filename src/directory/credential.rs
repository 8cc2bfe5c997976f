//! Application passwords of an account: a random password for one mail program, which can be taken back
//! without changing any other.

use crate::limits::CREDENTIALS_PER_ACCOUNT_MAX;
use crate::types::UnixTime;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

/// An application password within its account; counts from 1 and is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialId(pub u32);

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reads a number from 1, as it is shown.
impl FromStr for CredentialId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.parse() {
            Ok(number) if number > 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(Self(number)),
            Ok(_) | Err(_) => Err(()),
        }
    }
}

/// What tells the right password from others; the password cannot be found from it. Written as 64
/// hexadecimal digits, never shown.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CredentialTag(pub [u8; 32]);

impl fmt::Debug for CredentialTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialTag(…)")
    }
}

impl From<CredentialTag> for String {
    fn from(tag: CredentialTag) -> Self {
        tag.0.iter().fold(Self::with_capacity(64), |mut out, octet| {
            // Writing to a string does not fail.
            let _ = write!(out, "{octet:02x}");
            out
        })
    }
}

impl TryFrom<String> for CredentialTag {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WANTED: &str = "64 hexadecimal digits are wanted";
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(WANTED);
        }
        let mut octets = [0; 32];
        for (index, octet) in octets.iter_mut().enumerate() {
            let at = index.saturating_mul(2);
            let pair = text.get(at..at.saturating_add(2)).ok_or(WANTED)?;
            *octet = u8::from_str_radix(pair, 16).map_err(|_| WANTED)?;
        }
        Ok(Self(octets))
    }
}

/// An application password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Within the account.
    pub id: CredentialId,
    /// What its owner calls it; may be empty.
    pub name: String,
    /// When it was made.
    pub created: UnixTime,
    /// Made by [`auth::credential::seal`](crate::auth::credential::seal) of the password.
    pub tag: CredentialTag,
}

/// Whether the password of the account itself opens mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MainPassword {
    /// It does.
    #[default]
    Allowed,
    /// Only application passwords do.
    Forbidden,
}

/// The application passwords of an account. What is in here an older program would not heed: see
/// `store::keys`, which keeps it from reading such an account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppPasswords {
    /// Oldest first, at most [`CREDENTIALS_PER_ACCOUNT_MAX`].
    pub list: Vec<Credential>,
    /// The number of the last one ever made.
    pub last: u32,
    /// Whether they are the only way in.
    pub main: MainPassword,
}

impl AppPasswords {
    /// Whether there never was one and the main password is allowed: an account as before there were any.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        *self == Self::default()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: CredentialId) -> Option<&Credential> {
        self.list.iter().find(|credential| credential.id == id)
    }

    /// With one more; `None` when there are as many as may be.
    #[must_use]
    pub fn with(&self, name: &str, created: UnixTime, tag: CredentialTag) -> Option<Self> {
        let last = self.last.checked_add(1)?;
        if self.list.len() >= CREDENTIALS_PER_ACCOUNT_MAX {
            return None;
        }
        let mut list = self.list.clone();
        list.push(Credential { id: CredentialId(last), name: name.to_owned(), created, tag });
        Some(Self { list, last, main: self.main })
    }

    /// Without one.
    #[must_use]
    pub fn without(&self, id: CredentialId) -> Self {
        let list = self.list.iter().filter(|credential| credential.id != id).cloned().collect();
        Self { list, ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_as_it_was_written_and_never_shown() {
        let tag = CredentialTag(std::array::from_fn(|index| u8::try_from(index * 7).unwrap()));
        let text = String::from(tag);
        assert_eq!(CredentialTag::try_from(text.clone()), Ok(tag));
        for bad in ["", "00", "*", &text[1..], &"é".repeat(32), &format!("+{}", &text[1..])] {
            assert!(CredentialTag::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(!format!("{tag:?}").contains("07"));
    }

    #[test]
    fn a_number_is_never_used_again() {
        let tag = CredentialTag([1; 32]);
        let one = AppPasswords::default().with("phone", UnixTime(5), tag).unwrap();
        let two = one.without(CredentialId(1)).with("phone", UnixTime(6), tag).unwrap();
        assert_eq!(two.list.iter().map(|credential| credential.id.0).collect::<Vec<_>>(), [2]);
        assert!(!two.without(CredentialId(2)).is_unused());
    }

    #[test]
    fn an_account_has_no_more_of_them_than_may_be() {
        let mut all = AppPasswords::default();
        for _ in 0..CREDENTIALS_PER_ACCOUNT_MAX {
            all = all.with("", UnixTime(1), CredentialTag([1; 32])).unwrap();
        }
        assert_eq!(all.with("", UnixTime(1), CredentialTag([1; 32])), None);
        assert!(all.without(CredentialId(3)).with("", UnixTime(1), CredentialTag([1; 32])).is_some());
    }

    #[test]
    fn an_id_is_a_plain_number_from_one() {
        assert_eq!("12".parse(), Ok(CredentialId(12)));
        for bad in ["", "0", "-1", "+1", "1 ", "x", "99999999999"] {
            assert!(bad.parse::<CredentialId>().is_err(), "{bad:?}");
        }
    }
}
