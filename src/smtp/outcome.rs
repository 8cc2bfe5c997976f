//! Replies that are no refusals of a command's form: the one place from lookup, verdict or progress to reply.

use crate::auth::sasl::Mechanism;
use crate::contract::{Cause, CommitAnswer, Listener, RoomAnswer};
use crate::limits;
use crate::policy::recipient::{Expansion, RecipientLookup};
use crate::policy::sender::SenderLookup;
use crate::smtp::session::Settings;
use crate::types::{Enhanced, MailId, Reply};

/// Why a message was refused after its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageRefusal {
    /// A CR or LF stood alone (RFC 5321 section 2.3.8).
    LoneLineEnd,
    /// Over the largest message (RFC 1870).
    TooBig,
    /// Too many Received fields: a loop (RFC 5321 section 6.3).
    Loop,
    /// The disk's reserve was touched.
    DiskFull,
    /// The store failed.
    StoreFailed,
}

impl MessageRefusal {
    /// The reply.
    #[must_use]
    pub fn reply(self) -> Reply {
        match self {
            Self::LoneLineEnd => Reply::new(
                554,
                Enhanced(5, 6, 0),
                "Message refused: a CR or LF stands alone (RFC 5321 section 2.3.8)",
            ),
            Self::TooBig => Reply::new(552, Enhanced(5, 3, 4), "Message too big"),
            Self::Loop => Reply::new(554, Enhanced(5, 4, 6), "Too many Received fields: a mail loop"),
            Self::DiskFull => Reply::new(452, Enhanced(4, 3, 1), "Insufficient storage, try again later"),
            Self::StoreFailed => Reply::new(451, Enhanced(4, 3, 0), "Local error, try again later"),
        }
    }

    /// The word in log lines and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LoneLineEnd => "lone-line-end",
            Self::TooBig => "too-big",
            Self::Loop => "loop",
            Self::DiskFull => "disk-full",
            Self::StoreFailed => "store-failed",
        }
    }
}

/// What a commit that did not succeed means for the message.
///
/// # Errors
/// The refusal.
pub fn commit(answer: CommitAnswer) -> Result<(), MessageRefusal> {
    match answer {
        CommitAnswer::Durable => Ok(()),
        CommitAnswer::DiskFull => Err(MessageRefusal::DiskFull),
        CommitAnswer::Failed => Err(MessageRefusal::StoreFailed),
    }
}

/// What a lack of room means for MAIL.
///
/// # Errors
/// The refusal.
pub fn room(answer: RoomAnswer) -> Result<(), MessageRefusal> {
    match answer {
        RoomAnswer::Enough => Ok(()),
        RoomAnswer::DiskFull => Err(MessageRefusal::DiskFull),
        RoomAnswer::Unavailable => Err(MessageRefusal::StoreFailed),
    }
}

/// What a sender lookup means for MAIL.
///
/// # Errors
/// The reply that refuses it, and the word for the log.
pub fn sender(lookup: SenderLookup) -> Result<(), (Reply, &'static str)> {
    match lookup {
        SenderLookup::Null | SenderLookup::Own => Ok(()),
        SenderLookup::NotOwn => Err((
            Reply::new(553, Enhanced(5, 7, 1), "Not an address of the account that is logged in"),
            "not-own-address",
        )),
        SenderLookup::AccountStopped => {
            Err((Reply::new(550, Enhanced(5, 7, 13), "User account disabled"), "account-stopped"))
        }
        SenderLookup::Unavailable => Err((unavailable(), "directory-unavailable")),
    }
}

fn unavailable() -> Reply {
    Reply::new(451, Enhanced(4, 3, 0), "Local error, try again later")
}

/// Why a recipient is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecipientReason {
    /// An alias of which no member is left.
    AliasWithoutLivingMember,
    /// An alias with aliases inside aliases beyond the ceiling.
    AliasTooDeep,
    /// An alias with more members than one recipient may lead to.
    AliasTooMany,
    /// An account that takes no mail for now.
    SuspendedAccount,
    /// Nobody of that name at a domain of ours.
    NoSuchAddress,
    /// Not a domain of ours.
    NotOurDomain,
    /// The directory cannot be asked.
    DirectoryUnavailable,
    /// More recipients than one message may have.
    TooManyRecipients,
}

impl RecipientReason {
    /// The word in log lines and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AliasWithoutLivingMember => "alias-without-living-member",
            Self::AliasTooDeep => "alias-too-deep",
            Self::AliasTooMany => "alias-too-many",
            Self::SuspendedAccount => "suspended-account",
            Self::NoSuchAddress => "no-such-address",
            Self::NotOurDomain => "not-our-domain",
            Self::DirectoryUnavailable => "directory-unavailable",
            Self::TooManyRecipients => "too-many-recipients",
        }
    }
}

/// A recipient that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientRefusal {
    /// The reply.
    pub reply: Reply,
    /// Why.
    pub reason: RecipientReason,
}

/// What a recipient lookup means for RCPT: the accounts that get a copy, or a refusal.
///
/// # Errors
/// The refusal.
pub fn recipient(
    lookup: RecipientLookup,
    listener: Listener,
) -> Result<Vec<crate::types::AccountId>, RecipientRefusal> {
    let refuse = |reply, reason| Err(RecipientRefusal { reply, reason });
    let alias_out_of_order =
        || Reply::new(451, Enhanced(4, 3, 5), "The alias leads to nobody now, try again later");
    match lookup {
        RecipientLookup::Account(id) | RecipientLookup::CatchAll(id) => Ok(vec![id]),
        RecipientLookup::Alias(Expansion::Members(ids)) => Ok(ids),
        RecipientLookup::Alias(Expansion::NoLivingMember) => {
            refuse(alias_out_of_order(), RecipientReason::AliasWithoutLivingMember)
        }
        RecipientLookup::Alias(Expansion::TooDeep) => {
            refuse(alias_out_of_order(), RecipientReason::AliasTooDeep)
        }
        RecipientLookup::Alias(Expansion::TooMany) => {
            refuse(alias_out_of_order(), RecipientReason::AliasTooMany)
        }
        RecipientLookup::SuspendedAccount(_) => refuse(
            Reply::new(450, Enhanced(4, 2, 1), "Mailbox takes no mail for now, try again later"),
            RecipientReason::SuspendedAccount,
        ),
        RecipientLookup::NoSuchAddress => {
            refuse(Reply::new(550, Enhanced(5, 1, 1), "No such address here"), RecipientReason::NoSuchAddress)
        }
        RecipientLookup::NotOurDomain => refuse(
            Reply::new(
                550,
                Enhanced(5, 7, 1),
                match listener {
                    Listener::Smtp => "Relaying denied",
                    Listener::Submission | Listener::Submissions => {
                        "This server cannot send mail to other servers yet"
                    }
                },
            ),
            RecipientReason::NotOurDomain,
        ),
        RecipientLookup::Unavailable => refuse(unavailable(), RecipientReason::DirectoryUnavailable),
    }
}

/// More recipients than one message may have.
#[must_use]
pub fn too_many_recipients() -> RecipientRefusal {
    RecipientRefusal {
        reply: Reply::new(452, Enhanced(4, 5, 3), "Too many recipients"),
        reason: RecipientReason::TooManyRecipients,
    }
}

/// The greeting. It names no program and no version.
#[must_use]
pub fn greeting(settings: &Settings) -> Reply {
    Reply::plain(220, format!("{} ESMTP", settings.hostname))
}

/// What an EHLO is told is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// STARTTLS.
    pub start_tls: bool,
    /// AUTH, with these mechanisms; none of it if there are none.
    pub mechanisms: Vec<Mechanism>,
}

/// The reply to EHLO.
#[must_use]
pub fn ehlo(settings: &Settings, offered: &Offered) -> Reply {
    let mut reply = Reply::plain(250, settings.hostname.as_str().to_owned());
    reply.lines.push("PIPELINING".into());
    reply.lines.push(format!("SIZE {}", settings.message_octets_max).into());
    if offered.start_tls {
        reply.lines.push("STARTTLS".into());
    }
    if !offered.mechanisms.is_empty() {
        let mut line = "AUTH".to_owned();
        for mechanism in &offered.mechanisms {
            line.push(' ');
            line.push_str(mechanism.name());
        }
        reply.lines.push(line.into());
    }
    for keyword in ["ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME"] {
        reply.lines.push(keyword.into());
    }
    reply.lines.push(format!("LIMITS RCPTMAX={}", limits::RECIPIENTS_MAX).into());
    reply
}

/// The reply to HELO.
#[must_use]
pub fn helo(settings: &Settings) -> Reply {
    Reply::plain(250, settings.hostname.as_str().to_owned())
}

/// The reply to a message that is durable.
#[must_use]
pub fn accepted(id: MailId) -> Reply {
    Reply::new(250, Enhanced(2, 0, 0), format!("OK {id}"))
}

/// Says yes to a command that needs no more words.
#[must_use]
pub fn ok() -> Reply {
    Reply::new(250, Enhanced(2, 0, 0), "OK")
}

/// What a peer is told when its session is ended; nothing where it knows already.
#[must_use]
pub fn farewell(cause: Cause) -> Option<Reply> {
    match cause {
        Cause::Quit => Some(Reply::new(221, Enhanced(2, 0, 0), "Bye")),
        Cause::TooManyErrors => {
            Some(Reply::new(421, Enhanced(4, 7, 0), "Too many errors, closing connection"))
        }
        Cause::TooManyRefusedRecipients => {
            Some(Reply::new(421, Enhanced(4, 7, 0), "Too many refused recipients, closing connection"))
        }
        Cause::TooManyAuthFailures => {
            Some(Reply::new(421, Enhanced(4, 7, 0), "Too many failed logins, closing connection"))
        }
        Cause::Idle => Some(Reply::new(421, Enhanced(4, 4, 2), "Timeout, closing connection")),
        Cause::TooLong => Some(Reply::new(421, Enhanced(4, 4, 2), "Session too long, closing connection")),
        Cause::Stopping => Some(Reply::new(421, Enhanced(4, 3, 2), "Server is stopping, try again later")),
        Cause::Crowded => Some(Reply::new(421, Enhanced(4, 3, 2), "Too many connections, try again later")),
        Cause::Fault => Some(Reply::new(421, Enhanced(4, 3, 0), "Local error, closing connection")),
        // Told by the offence that ended it, or nobody is there to be told.
        Cause::NotSmtp | Cause::PeerClosed | Cause::TlsFailed | Cause::Broken => None,
    }
}
