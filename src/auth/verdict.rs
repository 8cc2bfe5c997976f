//! What a login came to, and the one place that turns it into a reply.

use crate::directory::credential::CredentialId;
use crate::types::{AccountId, Enhanced, Reply};

/// The outcome of one login. The reasons are for the administrator's eyes; a peer sees the reply alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginVerdict {
    /// Name and password are right.
    Accepted(AccountId, ProvenBy),
    /// They are not.
    Refused(Refusal),
    /// They are right, and the account's logins are stopped. Only its owner can learn this.
    Disabled(AccountId),
    /// They could not be checked.
    Unavailable(Unavailability),
}

/// Which secret proved who logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProvenBy {
    /// The password of the account.
    MainPassword,
    /// This application password.
    AppPassword(CredentialId),
}

impl ProvenBy {
    /// The application password, if it was one.
    #[must_use]
    pub fn app_password(self) -> Option<CredentialId> {
        match self {
            Self::MainPassword => None,
            Self::AppPassword(id) => Some(id),
        }
    }
}

/// Why a login was refused. All of these get the same reply, the same work and the same timing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The account exists, the password is another.
    WrongPassword,
    /// The same for an account whose logins are stopped.
    WrongPasswordOfDisabledAccount,
    /// The account has no password.
    NoPassword,
    /// Only an application password opens the account, and this was none of them.
    MainPasswordForbidden,
    /// The name is an alias.
    Alias,
    /// The name is only taken by a catch-all.
    CatchAll,
    /// Nobody of that name at a domain of ours.
    NoSuchAddress,
    /// Not a domain of ours.
    NoSuchDomain,
    /// Not an address.
    Malformed,
    /// The authorization identity is another than the authentication identity (RFC 4616 section 2).
    OtherIdentity,
    /// The account has a password and no SCRAM keys made of it (yet): a login with PLAIN makes them.
    NoScramKeys,
    /// The exchange is not bound to this connection, or says that it could not be (RFC 5802 section 6).
    ChannelBinding,
    /// The nonce that came back is not the one that was sent.
    Nonce,
}

/// Why a login could not be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unavailability {
    /// The directory is not there.
    Directory,
    /// Too many checks wait already.
    QueueFull,
    /// The hash worker died, or took too long.
    Worker,
    /// A rule of the throttle turned it away unchecked.
    Throttled(ThrottleRule),
}

/// Which rule of `auth::throttle` turned a login away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ThrottleRule {
    /// The administrator's deny-list.
    DenyList,
    /// Too many failures from an IPv4 address or IPv6 /64.
    Host,
    /// Too many failures from an IPv4 /24 or IPv6 /56.
    Net,
    /// Too many failures from an IPv6 /48.
    Wide,
    /// Too many failures for this login.
    Login,
}

impl ThrottleRule {
    /// The word in log lines and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DenyList => "deny-list",
            Self::Host => "too-many-from-host",
            Self::Net => "too-many-from-net",
            Self::Wide => "too-many-from-site",
            Self::Login => "too-many-for-login",
        }
    }
}

impl Refusal {
    /// The word in log lines and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongPassword => "wrong-password",
            Self::WrongPasswordOfDisabledAccount => "wrong-password-disabled-account",
            Self::NoPassword => "no-password",
            Self::MainPasswordForbidden => "main-password-forbidden",
            Self::Alias => "alias",
            Self::CatchAll => "catch-all",
            Self::NoSuchAddress => "no-such-address",
            Self::NoSuchDomain => "no-such-domain",
            Self::Malformed => "malformed",
            Self::OtherIdentity => "other-identity",
            Self::NoScramKeys => "no-scram-keys",
            Self::ChannelBinding => "channel-binding",
            Self::Nonce => "altered-nonce",
        }
    }
}

impl Unavailability {
    /// The word in log lines and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory-unavailable",
            Self::QueueFull => "hash-queue-full",
            Self::Worker => "hash-worker-unavailable",
            Self::Throttled(rule) => rule.name(),
        }
    }
}

impl LoginVerdict {
    /// The reply, by RFC 4954 section 6 and RFC 3463.
    #[must_use]
    pub fn reply(self) -> Reply {
        match self {
            Self::Accepted(..) => Reply::new(235, Enhanced(2, 7, 0), "Authentication succeeded"),
            Self::Refused(
                Refusal::WrongPassword
                | Refusal::WrongPasswordOfDisabledAccount
                | Refusal::NoPassword
                | Refusal::MainPasswordForbidden
                | Refusal::Alias
                | Refusal::CatchAll
                | Refusal::NoSuchAddress
                | Refusal::NoSuchDomain
                | Refusal::Malformed
                | Refusal::OtherIdentity
                | Refusal::NoScramKeys
                | Refusal::ChannelBinding
                | Refusal::Nonce,
            ) => Reply::new(535, Enhanced(5, 7, 8), "Authentication credentials invalid"),
            Self::Disabled(_) => Reply::new(525, Enhanced(5, 7, 13), "User account disabled"),
            Self::Unavailable(
                Unavailability::Directory
                | Unavailability::QueueFull
                | Unavailability::Worker
                | Unavailability::Throttled(
                    ThrottleRule::DenyList
                    | ThrottleRule::Host
                    | ThrottleRule::Net
                    | ThrottleRule::Wide
                    | ThrottleRule::Login,
                ),
            ) => Reply::new(454, Enhanced(4, 7, 0), "Temporary authentication failure"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSALS: [Refusal; 13] = [
        Refusal::WrongPassword,
        Refusal::WrongPasswordOfDisabledAccount,
        Refusal::NoPassword,
        Refusal::MainPasswordForbidden,
        Refusal::Alias,
        Refusal::CatchAll,
        Refusal::NoSuchAddress,
        Refusal::NoSuchDomain,
        Refusal::Malformed,
        Refusal::OtherIdentity,
        Refusal::NoScramKeys,
        Refusal::ChannelBinding,
        Refusal::Nonce,
    ];

    const UNAVAILABILITIES: [Unavailability; 8] = [
        Unavailability::Directory,
        Unavailability::QueueFull,
        Unavailability::Worker,
        Unavailability::Throttled(ThrottleRule::DenyList),
        Unavailability::Throttled(ThrottleRule::Host),
        Unavailability::Throttled(ThrottleRule::Net),
        Unavailability::Throttled(ThrottleRule::Wide),
        Unavailability::Throttled(ThrottleRule::Login),
    ];

    fn wire(verdict: LoginVerdict) -> String {
        let mut out = Vec::new();
        verdict.reply().encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_refusal_is_the_same_octets() {
        for refusal in REFUSALS {
            let text = wire(LoginVerdict::Refused(refusal));
            assert_eq!(text, "535 5.7.8 Authentication credentials invalid\r\n", "{refusal:?}");
        }
    }

    #[test]
    fn every_unavailability_is_the_same_octets() {
        for why in UNAVAILABILITIES {
            assert_eq!(
                wire(LoginVerdict::Unavailable(why)),
                "454 4.7.0 Temporary authentication failure\r\n"
            );
        }
    }

    #[test]
    fn the_owner_learns_that_it_worked_or_that_the_account_is_disabled() {
        let account = AccountId(1);
        assert_eq!(
            wire(LoginVerdict::Accepted(account, ProvenBy::MainPassword)),
            "235 2.7.0 Authentication succeeded\r\n"
        );
        assert_eq!(wire(LoginVerdict::Disabled(account)), "525 5.7.13 User account disabled\r\n");
    }

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let mut words: Vec<&str> = REFUSALS.iter().map(|refusal| refusal.name()).collect();
        words.extend(UNAVAILABILITIES.map(|why| why.name()));
        words.sort_unstable();
        let count = words.len();
        words.dedup();
        assert_eq!(words.len(), count);
        assert!(words.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
    }
}
