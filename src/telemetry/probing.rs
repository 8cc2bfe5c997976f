//! Which notes of a session on port 25 count in the mail book of the throttle.

use super::note::Note;
use crate::auth::throttle::MailOffence;
use crate::smtp::offence::Offence;
use crate::smtp::outcome::RecipientReason;

/// What a note of a session on port 25 is for the mail book. Every reason of a refused recipient and every offence that is
/// not named here is one that mail servers come to, too.
#[must_use]
pub fn mail_offence(note: &Note) -> Option<MailOffence> {
    match note {
        Note::RecipientRefused { reason, .. } => match reason {
            RecipientReason::NoSuchAddress => Some(MailOffence::UnknownRecipient),
            RecipientReason::NotOurDomain => Some(MailOffence::RelayAttempt),
            RecipientReason::AliasWithoutLivingMember
            | RecipientReason::AliasTooDeep
            | RecipientReason::AliasTooMany
            | RecipientReason::SuspendedAccount
            | RecipientReason::DirectoryUnavailable
            | RecipientReason::TooManyRecipients => None,
        },
        Note::Offence(offence) => match offence {
            Offence::OtherProtocol => Some(MailOffence::OtherProtocol),
            Offence::AuthNotNow => Some(MailOffence::AuthOnSmtp),
            Offence::UnknownCommand | Offence::ControlCharacter | Offence::LineTooLong => {
                Some(MailOffence::Garbage)
            }
            Offence::NotImplemented => Some(MailOffence::Vrfy),
            Offence::BadArgument
            | Offence::SenderSyntax
            | Offence::RecipientSyntax
            | Offence::PathTooLong
            | Offence::UnknownParameter
            | Offence::BadParameter
            | Offence::SenderNeedsUtf8
            | Offence::RecipientNeedsUtf8
            | Offence::BadChunk
            | Offence::OutOfOrder
            | Offence::NoValidRecipients
            | Offence::BinaryNeedsBdat
            | Offence::TlsFirst
            | Offence::AuthFirst
            | Offence::TlsNotOffered
            | Offence::UnknownMechanism
            | Offence::AuthMalformed
            | Offence::AuthCancelled
            | Offence::AuthLineTooLong
            | Offence::TooManyIdleCommands => None,
        },
        Note::Verify => Some(MailOffence::Vrfy),
        Note::EarlyTalk => Some(MailOffence::EarlyTalk),
        Note::Login { .. }
        | Note::Accepted { .. }
        | Note::MessageRefused { .. }
        | Note::Encrypted
        | Note::TurnedAway { .. }
        | Note::Closed { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Listener;
    use crate::policy::recipient::RecipientLookup;
    use crate::smtp::outcome;

    fn refused(lookup: RecipientLookup) -> Option<MailOffence> {
        let refusal = outcome::recipient(lookup, Listener::Smtp).unwrap_err();
        mail_offence(&Note::RecipientRefused {
            recipient: "<a@b.example>".into(),
            reason: refusal.reason,
            code: refusal.reply.code,
        })
    }

    #[test]
    fn a_recipient_that_is_not_there_and_one_elsewhere_count_and_our_own_trouble_does_not() {
        assert_eq!(refused(RecipientLookup::NoSuchAddress), Some(MailOffence::UnknownRecipient));
        assert_eq!(refused(RecipientLookup::NotOurDomain), Some(MailOffence::RelayAttempt));
        assert_eq!(refused(RecipientLookup::Unavailable), None);
    }

    #[test]
    fn what_probers_do_counts_and_what_mail_servers_come_to_does_not() {
        let counts = |offence| mail_offence(&Note::Offence(offence));
        assert_eq!(counts(Offence::OtherProtocol), Some(MailOffence::OtherProtocol));
        assert_eq!(counts(Offence::AuthNotNow), Some(MailOffence::AuthOnSmtp));
        assert_eq!(counts(Offence::UnknownCommand), Some(MailOffence::Garbage));
        assert_eq!(counts(Offence::OutOfOrder), None);
        assert_eq!(mail_offence(&Note::Verify), Some(MailOffence::Vrfy));
        assert_eq!(mail_offence(&Note::EarlyTalk), Some(MailOffence::EarlyTalk));
        assert_eq!(mail_offence(&Note::Encrypted), None);
    }
}
