//! Addresses and paths (RFC 5321 section 4.1.2).

use super::{Domain, LocalPart};
use std::fmt;
use std::net::IpAddr;

/// An address at a domain: what an account or alias has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// Before the `@`.
    pub local: LocalPart,
    /// After the `@`.
    pub domain: Domain,
}

/// An address in the form that is looked up: case and composition of the local part ignored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct AddressKey(String);

impl AddressKey {
    /// The key of a local part (already canonical, see [`LocalPart::key`]) at a domain.
    #[must_use]
    pub fn of(local_key: &str, domain: &Domain) -> Self {
        let mut key =
            String::with_capacity(local_key.len().saturating_add(1).saturating_add(domain.as_str().len()));
        key.push_str(local_key);
        key.push('@');
        key.push_str(domain.as_str());
        Self(key)
    }

    /// The text, for a store key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Address {
    /// The form that is looked up.
    #[must_use]
    pub fn key(&self) -> AddressKey {
        AddressKey::of(&self.local.key(), &self.domain)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressError {
    /// No `@`, or nothing before it.
    NoAt,
    /// The local part is not one.
    LocalPart(super::local_part::LocalPartError),
    /// The part before the `@` needs quotes that are not there, or the quotes are wrong.
    Quoting,
    /// The domain is not one.
    Domain(super::domain::DomainError),
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use super::local_part::LocalPartError;
        match self {
            Self::NoAt => f.write_str("it is not of the form name@domain"),
            Self::LocalPart(LocalPartError::Empty) => f.write_str("nothing stands before the @"),
            Self::LocalPart(LocalPartError::TooLong) => {
                f.write_str("the part before the @ is longer than 64 octets")
            }
            Self::LocalPart(LocalPartError::BadCharacter) => {
                f.write_str("the part before the @ has a control character")
            }
            Self::Quoting => f.write_str("the part before the @ is not written as an address allows"),
            Self::Domain(error) => write!(f, "the domain is not one: {error}"),
        }
    }
}

impl std::error::Error for AddressError {}

impl std::str::FromStr for Address {
    type Err = AddressError;

    /// Reads `local@domain`, the local part quoted or not.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::NoAt)?;
        let domain = Domain::parse(domain).map_err(AddressError::Domain)?;
        let local = match local.strip_prefix('"') {
            Some(rest) => LocalPart::new(&unquote(rest)?).map_err(AddressError::LocalPart)?,
            None => {
                let local = LocalPart::new(local).map_err(AddressError::LocalPart)?;
                if !local.is_dot_string() {
                    return Err(AddressError::Quoting);
                }
                local
            }
        };
        Ok(Self { local, domain })
    }
}

/// Undoes the quoting of a quoted string whose opening quote is already gone.
fn unquote(rest: &str) -> Result<String, AddressError> {
    let mut out = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next().ok_or(AddressError::Quoting)?),
            '"' if chars.as_str().is_empty() => return Ok(out),
            '"' => return Err(AddressError::Quoting),
            other => out.push(other),
        }
    }
    Err(AddressError::Quoting)
}

impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

/// What stands after the `@` in a path: a domain or an address literal (RFC 5321 section 4.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A domain.
    Domain(Domain),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Literal(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Literal(IpAddr::V4(ip)) => write!(f, "[{ip}]"),
            Self::Literal(IpAddr::V6(ip)) => write!(f, "[IPv6:{ip}]"),
        }
    }
}

/// A mailbox as a path names it. A source route in front of it was read and forgotten
/// (RFC 5321 appendix C).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mailbox {
    /// Before the `@`.
    pub local: LocalPart,
    /// After the `@`.
    pub host: Host,
}

impl Mailbox {
    /// The same as an address, unless it is at a literal.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        match &self.host {
            Host::Domain(domain) => Some(Address { local: self.local.clone(), domain: domain.clone() }),
            Host::Literal(_) => None,
        }
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.host)
    }
}

/// The argument of MAIL FROM.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`: nobody wants to hear back.
    Null,
    /// `<mailbox>`.
    Mailbox(Mailbox),
}

impl fmt::Display for ReversePath {
    /// As written, angle brackets included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

/// The argument of RCPT TO.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<postmaster>` without a domain, in any case (RFC 5321 section 4.5.1).
    Postmaster,
    /// `<mailbox>`.
    Mailbox(Mailbox),
}

impl fmt::Display for ForwardPath {
    /// As written, angle brackets included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("<postmaster>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_prints_as_it_was_read() {
        for text in ["a@example.org", "a.b+c@example.org", "\"a b\"@example.org", "\"a@b\"@example.org"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_says_why() {
        assert_eq!("a".parse::<Address>(), Err(AddressError::NoAt));
        assert_eq!("a b@example.org".parse::<Address>(), Err(AddressError::Quoting));
        assert_eq!("a@b@example.org".parse::<Address>(), Err(AddressError::Quoting));
        assert_eq!("\"a@example.org".parse::<Address>(), Err(AddressError::Quoting));
        assert!("a@".parse::<Address>().is_err());
    }

    #[test]
    fn keys_ignore_case() {
        let one: Address = "Me@Example.org".parse().unwrap();
        let two: Address = "mE@eXample.org".parse().unwrap();
        assert_eq!(one.key(), two.key());
    }
}
