//! Nothing is left out: every way a session ends, every offence, every verdict and every refusal occurs in a
//! dialogue of the corpus.
//!
//! The lists are chains of total matches, so that a new variant does not compile until it stands in one, and
//! then fails until a dialogue reaches it.

use super::dialogs;
use gatepost::auth::verdict::{LoginVerdict, ProvenBy, Refusal, ThrottleRule, Unavailability};
use gatepost::contract::Cause;
use gatepost::smtp::offence::Offence;
use gatepost::smtp::outcome::{MessageRefusal, RecipientReason};
use gatepost::telemetry::note::{Note, login_reason};
use gatepost::types::AccountId;
use std::collections::BTreeSet;

/// What the dialogues reach, by the words that log lines and counters have for it.
#[derive(Default)]
struct Reached {
    causes: BTreeSet<&'static str>,
    offences: BTreeSet<&'static str>,
    logins: BTreeSet<&'static str>,
    recipients: BTreeSet<&'static str>,
    messages: BTreeSet<&'static str>,
}

fn reached() -> Reached {
    let mut reached = Reached::default();
    for file in dialogs() {
        for transcript in file.report.sessions.values() {
            reached.causes.extend(transcript.end.map(Cause::name));
            for note in &transcript.notes {
                match note {
                    Note::Offence(offence) => drop(reached.offences.insert(offence.name())),
                    Note::Login { verdict, .. } => drop(reached.logins.insert(login_reason(*verdict))),
                    Note::RecipientRefused { reason, .. } => drop(reached.recipients.insert(reason.name())),
                    Note::MessageRefused { reason, .. } => drop(reached.messages.insert(reason)),
                    Note::Accepted { .. }
                    | Note::Encrypted
                    | Note::TurnedAway { .. }
                    | Note::Verify
                    | Note::EarlyTalk
                    | Note::Closed { .. } => {}
                }
            }
        }
    }
    reached
}

fn assert_all(what: &str, wanted: impl IntoIterator<Item = &'static str>, reached: &BTreeSet<&'static str>) {
    let missing: Vec<&str> = wanted.into_iter().filter(|word| !reached.contains(word)).collect();
    assert!(missing.is_empty(), "{what} that no dialogue of the corpus reaches: {missing:?}");
}

/// All values of a type, from its first on.
fn chain<T: Copy>(first: T, next: impl Fn(T) -> Option<T>) -> Vec<T> {
    std::iter::successors(Some(first), |value| next(*value)).collect()
}

fn next_cause(cause: Cause) -> Option<Cause> {
    Some(match cause {
        Cause::Quit => Cause::PeerClosed,
        Cause::PeerClosed => Cause::TooManyErrors,
        Cause::TooManyErrors => Cause::TooManyRefusedRecipients,
        Cause::TooManyRefusedRecipients => Cause::TooManyAuthFailures,
        Cause::TooManyAuthFailures => Cause::NotSmtp,
        Cause::NotSmtp => Cause::Idle,
        Cause::Idle => Cause::TooLong,
        Cause::TooLong => Cause::TlsFailed,
        Cause::TlsFailed => Cause::Stopping,
        Cause::Stopping => Cause::Broken,
        // What is left, Crowded and Fault, is about other connections and about us: the tests of the server
        // have them, since a player in memory has no other connections and catches no panic.
        Cause::Broken | Cause::Crowded | Cause::Fault => return None,
    })
}

#[test]
fn every_cause_of_an_end_occurs() {
    assert_all("causes", chain(Cause::Quit, next_cause).into_iter().map(Cause::name), &reached().causes);
}

fn next_offence(offence: Offence) -> Option<Offence> {
    Some(match offence {
        Offence::LineTooLong => Offence::ControlCharacter,
        Offence::ControlCharacter => Offence::UnknownCommand,
        Offence::UnknownCommand => Offence::NotImplemented,
        Offence::NotImplemented => Offence::OtherProtocol,
        Offence::OtherProtocol => Offence::BadArgument,
        Offence::BadArgument => Offence::SenderSyntax,
        Offence::SenderSyntax => Offence::RecipientSyntax,
        Offence::RecipientSyntax => Offence::PathTooLong,
        Offence::PathTooLong => Offence::UnknownParameter,
        Offence::UnknownParameter => Offence::BadParameter,
        Offence::BadParameter => Offence::SenderNeedsUtf8,
        Offence::SenderNeedsUtf8 => Offence::RecipientNeedsUtf8,
        Offence::RecipientNeedsUtf8 => Offence::BadChunk,
        Offence::BadChunk => Offence::OutOfOrder,
        Offence::OutOfOrder => Offence::NoValidRecipients,
        Offence::NoValidRecipients => Offence::BinaryNeedsBdat,
        Offence::BinaryNeedsBdat => Offence::TlsFirst,
        Offence::TlsFirst => Offence::AuthFirst,
        Offence::AuthFirst => Offence::TlsNotOffered,
        Offence::TlsNotOffered => Offence::AuthNotNow,
        Offence::AuthNotNow => Offence::UnknownMechanism,
        Offence::UnknownMechanism => Offence::AuthMalformed,
        Offence::AuthMalformed => Offence::AuthCancelled,
        Offence::AuthCancelled => Offence::AuthLineTooLong,
        Offence::AuthLineTooLong => Offence::TooManyIdleCommands,
        Offence::TooManyIdleCommands => return None,
    })
}

#[test]
fn every_offence_occurs() {
    let wanted = chain(Offence::LineTooLong, next_offence).into_iter().map(Offence::name);
    assert_all("offences", wanted, &reached().offences);
}

fn next_verdict(verdict: LoginVerdict) -> Option<LoginVerdict> {
    let refused = LoginVerdict::Refused;
    let unavailable = LoginVerdict::Unavailable;
    let throttled = |rule| unavailable(Unavailability::Throttled(rule));
    Some(match verdict {
        LoginVerdict::Accepted(account, _) => LoginVerdict::Disabled(account),
        LoginVerdict::Disabled(_) => refused(Refusal::WrongPassword),
        LoginVerdict::Refused(Refusal::WrongPassword) => refused(Refusal::WrongPasswordOfDisabledAccount),
        LoginVerdict::Refused(Refusal::WrongPasswordOfDisabledAccount) => refused(Refusal::NoPassword),
        LoginVerdict::Refused(Refusal::NoPassword) => refused(Refusal::MainPasswordForbidden),
        LoginVerdict::Refused(Refusal::MainPasswordForbidden) => refused(Refusal::Alias),
        LoginVerdict::Refused(Refusal::Alias) => refused(Refusal::CatchAll),
        LoginVerdict::Refused(Refusal::CatchAll) => refused(Refusal::NoSuchAddress),
        LoginVerdict::Refused(Refusal::NoSuchAddress) => refused(Refusal::NoSuchDomain),
        LoginVerdict::Refused(Refusal::NoSuchDomain) => refused(Refusal::Malformed),
        LoginVerdict::Refused(Refusal::Malformed) => refused(Refusal::OtherIdentity),
        LoginVerdict::Refused(Refusal::OtherIdentity) => refused(Refusal::ChannelBinding),
        LoginVerdict::Refused(Refusal::ChannelBinding) => refused(Refusal::Nonce),
        LoginVerdict::Refused(Refusal::Nonce) => unavailable(Unavailability::Directory),
        LoginVerdict::Unavailable(Unavailability::Directory) => unavailable(Unavailability::QueueFull),
        LoginVerdict::Unavailable(Unavailability::QueueFull) => unavailable(Unavailability::Worker),
        LoginVerdict::Unavailable(Unavailability::Worker) => throttled(ThrottleRule::DenyList),
        LoginVerdict::Unavailable(Unavailability::Throttled(rule)) => match rule {
            ThrottleRule::DenyList => throttled(ThrottleRule::Host),
            ThrottleRule::Host => throttled(ThrottleRule::Net),
            ThrottleRule::Net => throttled(ThrottleRule::Wide),
            ThrottleRule::Wide => throttled(ThrottleRule::Login),
            ThrottleRule::Login => return None,
        },
        // In a dialogue's world every password has its keys at once.
        LoginVerdict::Refused(Refusal::NoScramKeys) => return None,
    })
}

#[test]
fn every_verdict_on_a_login_occurs() {
    let first = LoginVerdict::Accepted(AccountId(1), ProvenBy::MainPassword);
    assert_all("logins", chain(first, next_verdict).into_iter().map(login_reason), &reached().logins);
}

fn next_recipient(reason: RecipientReason) -> Option<RecipientReason> {
    Some(match reason {
        RecipientReason::AliasWithoutLivingMember => RecipientReason::AliasTooDeep,
        RecipientReason::AliasTooDeep => RecipientReason::AliasTooMany,
        RecipientReason::AliasTooMany => RecipientReason::SuspendedAccount,
        RecipientReason::SuspendedAccount => RecipientReason::NoSuchAddress,
        RecipientReason::NoSuchAddress => RecipientReason::NotOurDomain,
        RecipientReason::NotOurDomain => RecipientReason::DirectoryUnavailable,
        RecipientReason::DirectoryUnavailable => RecipientReason::TooManyRecipients,
        RecipientReason::TooManyRecipients => return None,
    })
}

#[test]
fn every_reason_to_refuse_a_recipient_occurs() {
    let wanted = chain(RecipientReason::AliasWithoutLivingMember, next_recipient);
    assert_all("recipients", wanted.into_iter().map(RecipientReason::name), &reached().recipients);
}

fn next_message(refusal: MessageRefusal) -> Option<MessageRefusal> {
    Some(match refusal {
        MessageRefusal::LoneLineEnd => MessageRefusal::TooBig,
        MessageRefusal::TooBig => MessageRefusal::Loop,
        MessageRefusal::Loop => MessageRefusal::DiskFull,
        MessageRefusal::DiskFull => MessageRefusal::StoreFailed,
        MessageRefusal::StoreFailed => return None,
    })
}

/// Refused senders are counted under words of their own, beside those of [`MessageRefusal`].
const SENDERS: [&str; 3] = ["not-own-address", "account-stopped", "directory-unavailable"];

#[test]
fn every_reason_to_refuse_a_message_or_its_sender_occurs() {
    let wanted = chain(MessageRefusal::LoneLineEnd, next_message).into_iter().map(MessageRefusal::name);
    assert_all("messages", wanted.chain(SENDERS), &reached().messages);
}
