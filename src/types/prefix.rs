//! A range of addresses that share their first bits.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// All addresses that begin with the same bits (RFC 4632 section 3.1, RFC 4291 section 2.3). Bits beyond the
/// length are zero, and an IPv4-mapped address counts as the IPv4 address it is, so that equal ranges are
/// equal values. Ordered by address, then by length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    first: IpAddr,
    length: u8,
}

/// Why a text is not a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefixError {
    /// What stands before the slash is no address.
    BadAddress,
    /// What stands behind the slash is no number from 0 to 32 (IPv4) or 128 (IPv6).
    BadLength,
    /// The address has bits beyond the length; the range it lies in is this one.
    BitsBeyondLength(Prefix),
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadAddress => f.write_str("it is no IP address, like 192.0.2.7 or 2001:db8::/64"),
            Self::BadLength => f.write_str("behind the slash stands no number from 0 to 32 (IPv6: 128)"),
            Self::BitsBeyondLength(meant) => {
                write!(f, "it has bits beyond its length; is {meant} meant?")
            }
        }
    }
}

impl std::error::Error for PrefixError {}

impl Prefix {
    /// The host: an IPv4 address, or an IPv6 /64 (what one subscriber line is given at the least).
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::v4(v4, 32),
            IpAddr::V6(v6) => Self::v6(v6, 64),
        }
    }

    /// The network: an IPv4 /24, or an IPv6 /56.
    #[must_use]
    pub fn net(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::v4(v4, 24),
            IpAddr::V6(v6) => Self::v6(v6, 56),
        }
    }

    /// What one IPv6 customer can be given at the most, a /48. IPv4 has no such level: beyond a /24 live
    /// strangers.
    #[must_use]
    pub fn wide(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => Some(Self::v6(v6, 48)),
        }
    }

    /// The first address of the range.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// How many bits its addresses share: 0 to 32 (IPv4) or 128 (IPv6).
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }

    /// Whether the address lies in the range.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(_), IpAddr::V4(v4)) => Self::v4(v4, self.length) == *self,
            (IpAddr::V6(_), IpAddr::V6(v6)) => Self::v6(v6, self.length) == *self,
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// The IPv4 range an address lies in; `length` is 32 at the most.
    fn v4(address: Ipv4Addr, length: u8) -> Self {
        let beyond = 32_u32.saturating_sub(u32::from(length));
        let mask = u32::MAX.checked_shl(beyond).unwrap_or(0);
        Self { first: Ipv4Addr::from_bits(address.to_bits() & mask).into(), length: length.min(32) }
    }

    /// The IPv6 range an address lies in; `length` is 128 at the most.
    fn v6(address: Ipv6Addr, length: u8) -> Self {
        let beyond = 128_u32.saturating_sub(u32::from(length));
        let mask = u128::MAX.checked_shl(beyond).unwrap_or(0);
        Self { first: Ipv6Addr::from_bits(address.to_bits() & mask).into(), length: length.min(128) }
    }
}

/// A number without sign, without leading zeros.
fn decimal(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// Reads `192.0.2.0/24`, `2001:db8::/64`, or a plain address, which is a range of one.
impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(decimal(length).ok_or(PrefixError::BadLength)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| PrefixError::BadAddress)?;
        let meant = match (address, address.to_canonical(), length) {
            (IpAddr::V4(v4), _, length @ (None | Some(0..=32))) => Self::v4(v4, length.unwrap_or(32)),
            (IpAddr::V6(_), IpAddr::V4(v4), length @ (None | Some(96..=128))) => {
                Self::v4(v4, length.unwrap_or(128).saturating_sub(96))
            }
            (IpAddr::V6(v6), IpAddr::V6(_), length @ (None | Some(0..=128))) => {
                Self::v6(v6, length.unwrap_or(128))
            }
            (IpAddr::V4(_) | IpAddr::V6(_), IpAddr::V4(_) | IpAddr::V6(_), Some(_)) => {
                return Err(PrefixError::BadLength);
            }
        };
        if meant.first == address.to_canonical() {
            Ok(meant)
        } else {
            Err(PrefixError::BitsBeyondLength(meant))
        }
    }
}

/// As [`FromStr`] reads it: a range of one is a plain address.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.length) {
            (IpAddr::V4(v4), 32) => v4.fmt(f),
            (IpAddr::V6(v6), 128) => v6.fmt(f),
            (first, length) => write!(f, "{first}/{length}"),
        }
    }
}

impl TryFrom<String> for Prefix {
    type Error = PrefixError;

    fn try_from(text: String) -> Result<Self, PrefixError> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Chance;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn read(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn host_net_and_wide_have_their_lengths() {
        assert_eq!(Prefix::host(ip("192.0.2.7")).to_string(), "192.0.2.7");
        assert_eq!(Prefix::net(ip("192.0.2.7")).to_string(), "192.0.2.0/24");
        assert_eq!(Prefix::wide(ip("192.0.2.7")), None);
        let v6 = ip("2001:db8:1:203::9");
        assert_eq!(Prefix::host(v6).to_string(), "2001:db8:1:203::/64");
        assert_eq!(Prefix::net(v6).to_string(), "2001:db8:1:200::/56");
        assert_eq!(Prefix::wide(v6).unwrap().to_string(), "2001:db8:1::/48");
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address_it_is() {
        assert_eq!(Prefix::host(ip("::ffff:192.0.2.7")), Prefix::host(ip("192.0.2.7")));
        assert_eq!(read("::ffff:192.0.2.0/120"), read("192.0.2.0/24"));
        assert_eq!(read("::ffff:192.0.2.7"), read("192.0.2.7"));
        assert!(read("192.0.2.0/24").contains(ip("::ffff:192.0.2.7")));
        assert!(!read("::/0").contains(ip("::ffff:192.0.2.7")));
    }

    #[test]
    fn a_range_contains_its_addresses_and_no_others() {
        for (range, inside, outside) in [
            ("192.0.2.0/25", "192.0.2.127", "192.0.2.128"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
            ("::/0", "ffff::", "0.0.0.0"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
        ] {
            assert!(read(range).contains(ip(inside)), "{range} has {inside}");
            assert!(!read(range).contains(ip(outside)), "{range} has not {outside}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused_with_the_range_that_may_be_meant() {
        let no = |text: &str| text.parse::<Prefix>().unwrap_err();
        assert_eq!(no("192.0.2.7/24"), PrefixError::BitsBeyondLength(read("192.0.2.0/24")));
        for text in
            ["192.0.2.0/33", "192.0.2.0/", "192.0.2.0/+8", "192.0.2.0/08", "::/129", "::ffff:1.2.3.4/95"]
        {
            assert_eq!(no(text), PrefixError::BadLength, "{text}");
        }
        for text in ["", "/8", "192.0.2/24", "mail.example/24", "fe80::1%1/64", " 192.0.2.1"] {
            assert_eq!(no(text), PrefixError::BadAddress, "{text}");
        }
    }

    #[test]
    fn every_range_is_read_as_it_was_written() {
        let mut chance = Chance::from_seed([3; 32]);
        for _ in 0..2_000 {
            let [a, b, c, d, len, ..] = chance.octets();
            let v4 = Prefix::v4([a, b, c, d].into(), len % 33);
            let bits = (u128::from(chance.u64()) << 64) | u128::from(chance.u64());
            let v6 = Prefix::v6(Ipv6Addr::from_bits(bits), len % 129);
            for range in [v4, v6] {
                // A range of IPv4-mapped addresses is none of IPv6.
                if range.first.to_canonical() == range.first {
                    assert_eq!(read(&range.to_string()), range);
                    let json = serde_json::to_string(&range).unwrap();
                    assert_eq!(serde_json::from_str::<Prefix>(&json).unwrap(), range);
                }
                assert!(range.contains(range.first));
            }
        }
    }
}
