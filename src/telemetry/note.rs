//! A counter and a log line in one value.

use crate::auth::verdict::{LoginVerdict, Refusal, ThrottleRule};
use crate::contract::{Cause, PeerFacts};
use crate::smtp::offence::Offence;
use crate::smtp::outcome::RecipientReason;
use crate::types::MailId;

/// Something worth counting that a session saw. Who the peer is ([`PeerFacts`]) is added by whoever renders it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A login was decided.
    Login {
        /// `PLAIN` or `LOGIN`.
        mechanism: &'static str,
        /// The login name as sent, cut to what a log line shows; escaped when rendered.
        login: String,
        /// How it ended.
        verdict: LoginVerdict,
    },
    /// A message is durable.
    Accepted {
        /// Its id.
        id: MailId,
        /// Octets of the body.
        octets: u64,
        /// Copies.
        deliveries: usize,
        /// The envelope sender as written; escaped when rendered.
        sender: String,
    },
    /// A recipient was refused.
    RecipientRefused {
        /// The recipient as written; escaped when rendered.
        recipient: String,
        /// Why.
        reason: RecipientReason,
        /// The reply code.
        code: u16,
    },
    /// A message was refused after its data, or could not be kept.
    MessageRefused {
        /// Which rule.
        reason: &'static str,
        /// The reply code.
        code: u16,
    },
    /// TLS is up.
    Encrypted,
    /// A command was refused. Counted; the line is the session's, at its end.
    Offence(Offence),
    /// A rule of the throttle refused a connection (or a login, in a dry run), or would have.
    TurnedAway {
        /// Which.
        rule: ThrottleRule,
        /// False in a dry run: nobody was refused.
        enforced: bool,
    },
    /// VRFY was asked. Counted.
    Verify,
    /// The peer talked before it was greeted. Counted.
    EarlyTalk,
    /// The session is over. Logged when something was refused in it or a limit closed it; counted always.
    Closed {
        /// Why.
        cause: Cause,
        /// Commands refused.
        errors: u32,
        /// The first offence, by name; empty if there was none.
        offence: &'static str,
    },
}

/// A counter's name: what happened, and which kind of it.
pub type Counter = (&'static str, &'static str);

impl Note {
    /// The counter it adds one to, wherever it is counted.
    #[must_use]
    pub fn counter(&self) -> Counter {
        match self {
            Self::Login { verdict, .. } => ("login", login_reason(*verdict)),
            Self::Accepted { .. } => ("message", "accepted"),
            Self::RecipientRefused { reason, .. } => ("recipient-refused", reason.name()),
            Self::MessageRefused { reason, .. } => ("message-refused", reason),
            Self::Encrypted => ("tls", "up"),
            Self::Offence(offence) => ("offence", offence.name()),
            Self::TurnedAway { rule, .. } => ("turned-away", rule.name()),
            Self::Verify => ("probe", "vrfy"),
            Self::EarlyTalk => ("probe", "early-talk"),
            Self::Closed { cause, .. } => ("closed", cause.name()),
        }
    }
}

/// A refusal's name, or another word for how a login ended.
#[must_use]
pub fn login_reason(verdict: LoginVerdict) -> &'static str {
    match verdict {
        LoginVerdict::Accepted(..) => "ok",
        LoginVerdict::Refused(refusal) => Refusal::name(refusal),
        LoginVerdict::Disabled(_) => "disabled",
        LoginVerdict::Unavailable(why) => why.name(),
    }
}

/// A note and the peer it is about: what `telemetry` renders and counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// The peer.
    pub peer: PeerFacts,
    /// The event.
    pub note: Note,
    /// What its owner calls the application password of a login that succeeded; empty where there is none.
    pub app_password: String,
}
