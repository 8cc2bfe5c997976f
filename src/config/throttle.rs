//! What is configured of the throttle.

use crate::auth::throttle::{Limits, Mode, Rules};
use crate::limits::{
    GUESSES_PER_HOST_DEFAULT, GUESSES_PER_LOGIN_DEFAULT, GUESSES_PER_NET_DEFAULT, GUESSES_PER_WIDE_DEFAULT,
};
use crate::types::Prefix;
use serde::{Deserialize, Serialize};

/// The section `[throttle]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThrottleConfig {
    /// Decide and log, but refuse and slow nobody.
    pub dry_run: bool,
    /// Exempt from both books.
    pub allow: Vec<Prefix>,
    /// Refused at connect.
    pub deny: Vec<Prefix>,
    /// Wrong passwords an hour from an IPv4 address or IPv6 /64.
    pub guesses_per_host: u32,
    /// Wrong passwords an hour from an IPv4 /24 or IPv6 /56.
    pub guesses_per_net: u32,
    /// Wrong passwords an hour from an IPv6 /48.
    pub guesses_per_wide: u32,
    /// Wrong passwords an hour for one login.
    pub guesses_per_login: u32,
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self {
            dry_run: false,
            allow: Vec::new(),
            deny: Vec::new(),
            guesses_per_host: GUESSES_PER_HOST_DEFAULT,
            guesses_per_net: GUESSES_PER_NET_DEFAULT,
            guesses_per_wide: GUESSES_PER_WIDE_DEFAULT,
            guesses_per_login: GUESSES_PER_LOGIN_DEFAULT,
        }
    }
}

impl ThrottleConfig {
    /// The rules of the throttle.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            mode: if self.dry_run { Mode::DryRun } else { Mode::Enforce },
            allow: self.allow.clone(),
            deny: self.deny.clone(),
            limits: Limits {
                host: self.guesses_per_host,
                net: self.guesses_per_net,
                wide: self.guesses_per_wide,
                login: self.guesses_per_login,
            },
        }
    }
}
