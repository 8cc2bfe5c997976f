//! What the administrator decides: limits, lists, and whether anybody is refused at all.

use crate::limits::{
    GUESSES_PER_HOST_DEFAULT, GUESSES_PER_LOGIN_DEFAULT, GUESSES_PER_NET_DEFAULT, GUESSES_PER_WIDE_DEFAULT,
};
use crate::types::Prefix;
use std::net::IpAddr;

/// Whether verdicts are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are.
    Enforce,
    /// They are made and told, but nobody is refused or slowed.
    DryRun,
}

/// Wrong passwords an hour; each at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From an IPv4 address or IPv6 /64.
    pub host: u32,
    /// From an IPv4 /24 or IPv6 /56.
    pub net: u32,
    /// From an IPv6 /48.
    pub wide: u32,
    /// For one login.
    pub login: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            host: GUESSES_PER_HOST_DEFAULT,
            net: GUESSES_PER_NET_DEFAULT,
            wide: GUESSES_PER_WIDE_DEFAULT,
            login: GUESSES_PER_LOGIN_DEFAULT,
        }
    }
}

/// The rules of both books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Whether verdicts are carried out.
    pub mode: Mode,
    /// Exempt from both books.
    pub allow: Vec<Prefix>,
    /// Refused at connect, whatever they do.
    pub deny: Vec<Prefix>,
    /// The limits of the login book.
    pub limits: Limits,
}

impl Default for Rules {
    fn default() -> Self {
        Self { mode: Mode::Enforce, allow: Vec::new(), deny: Vec::new(), limits: Limits::default() }
    }
}

/// What the lists say of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Listed {
    /// Nothing.
    No,
    /// It is exempt, by this entry.
    Allowed(Prefix),
    /// It is refused, by this entry.
    Denied(Prefix),
}

impl Rules {
    /// The longest entry that contains the address decides; of two that are equal, the deny-list.
    #[must_use]
    pub fn listed(&self, source: IpAddr) -> Listed {
        let longest = |list: &[Prefix]| {
            list.iter().filter(|range| range.contains(source)).max_by_key(|range| range.length()).copied()
        };
        match (longest(&self.allow), longest(&self.deny)) {
            (None, None) => Listed::No,
            (Some(allowed), Some(denied)) if denied.length() >= allowed.length() => Listed::Denied(denied),
            (Some(allowed), None | Some(_)) => Listed::Allowed(allowed),
            (None, Some(denied)) => Listed::Denied(denied),
        }
    }
}
