//! What can be wrong with a store: every kind, whether mail is in danger, and what to do.

use serde::{Deserialize, Serialize};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something is lost or cannot be trusted.
    Damage,
    /// Worth knowing; nothing is wrong.
    Note,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Commits that were acknowledged are not there.
    AcknowledgedMailMissing,
    /// The counter outside the database is missing, spoiled or another store's.
    CounterUnusable,
    /// The database or its journal cannot be opened.
    StoreDamaged,
    /// The end of the journal is torn; the next start mends it.
    StoreTorn,
    /// The database fails to read what it holds.
    Unreadable,
    /// A key that no layout knows.
    UnknownRecord,
    /// A record that cannot be decoded.
    Undecodable,
    /// A record of a newer program.
    NewerVersion,
    /// A record that this program would never have written so.
    NotCanonical,
    /// One of the store's own records is not there.
    FactMissing,
    /// The mark of synced batches is not the one beside the database.
    MarkDiffers,
    /// An account's number could be given again.
    AccountNumberFree,
    /// An account without an address.
    AccountWithoutAddress,
    /// An account that is there and being removed.
    AccountHalfRemoved,
    /// A password hash that cannot be used.
    PasswordUnreadable,
    /// Two accounts or aliases have the same address.
    AddressTwice,
    /// An address in a domain that is not served.
    DomainMissing,
    /// A catch-all that leads to no account.
    CatchAllMissing,
    /// A message of an account that is not there.
    MailWithoutAccount,
    /// A message whose body could be removed under it.
    MailWithoutReference,
    /// A body is kept for a message that is not there.
    ReferenceWithoutMail,
    /// A body is kept for a message that has another.
    ReferenceToOtherBody,
    /// A uid could be given again.
    UidCounterLow,
    /// A message without any of its body.
    BodyMissing,
    /// A body without some of its slices.
    SliceMissing,
    /// A body with more slices than its message says.
    SliceTooMany,
    /// A body that is longer or shorter than its message says.
    BodyOctetsDiffer,
    /// A body that no message has.
    BodyWithoutMail,
    /// Copies of one message say different things of its body.
    CopiesDisagree,
    /// A record about an account that is not there.
    RecordOfNobody,
    /// A body whose message never came; the next start removes it.
    UnfinishedBody,
    /// A removed account whose mail still has to go; the next start goes on with it.
    UnfinishedRemoval,
    /// A store that was being made when the machine stopped.
    UnfinishedStore,
    /// A copy of a journal from before its torn end was cut off.
    TornJournalKept,
}

impl Kind {
    /// How bad it is.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::AcknowledgedMailMissing
            | Self::CounterUnusable
            | Self::StoreDamaged
            | Self::StoreTorn
            | Self::Unreadable
            | Self::UnknownRecord
            | Self::Undecodable
            | Self::NewerVersion
            | Self::NotCanonical
            | Self::FactMissing
            | Self::MarkDiffers
            | Self::AccountNumberFree
            | Self::AccountWithoutAddress
            | Self::AccountHalfRemoved
            | Self::PasswordUnreadable
            | Self::AddressTwice
            | Self::DomainMissing
            | Self::CatchAllMissing
            | Self::MailWithoutAccount
            | Self::MailWithoutReference
            | Self::ReferenceWithoutMail
            | Self::ReferenceToOtherBody
            | Self::UidCounterLow
            | Self::BodyMissing
            | Self::SliceMissing
            | Self::SliceTooMany
            | Self::BodyOctetsDiffer
            | Self::BodyWithoutMail
            | Self::CopiesDisagree => Severity::Damage,
            Self::RecordOfNobody
            | Self::UnfinishedBody
            | Self::UnfinishedRemoval
            | Self::UnfinishedStore
            | Self::TornJournalKept => Severity::Note,
        }
    }

    /// Its name, as in JSON.
    #[must_use]
    pub fn name(self) -> String {
        let value = serde_json::to_value(self).ok();
        value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::AcknowledgedMailMissing => {
                "senders were told 250 for it: restore the directory from a backup if you have one, look for mail \
                 in a copy under `torn`, and check the disk (`smartctl -a`, the kernel's log); once you know, \
                 `gatepost verify --accept-losses` with the server stopped lets it be told no more"
            }
            Self::CounterUnusable => {
                "start the server, which makes it anew; what the store lost at its end before that goes unnoticed"
            }
            Self::StoreDamaged => {
                "stop the server, copy the whole directory, check the disk, and restore from a backup; the line \
                 says what else can be done"
            }
            Self::StoreTorn => "start the server, which cuts the torn end off and keeps a copy",
            Self::Unreadable | Self::Undecodable => {
                "stop the server, copy the whole directory, check the disk, and restore from a backup"
            }
            Self::UnknownRecord | Self::NewerVersion => {
                "use the program that wrote it; if none did, restore the directory from a backup"
            }
            Self::NotCanonical => "something else wrote it, or the disk changed it: compare it with a backup",
            Self::FactMissing | Self::MarkDiffers => {
                "do not start the server: restore the directory from a backup"
            }
            Self::AccountNumberFree | Self::UidCounterLow => {
                "restore the directory from a backup, or a number will be given twice"
            }
            Self::AccountWithoutAddress | Self::AccountHalfRemoved => {
                "remove the account and make it again, or restore the directory from a backup"
            }
            Self::PasswordUnreadable => "set a new password: `gatepost account passwd ADDRESS`",
            Self::AddressTwice => "take the address from one of them: `gatepost address remove ADDRESS`",
            Self::DomainMissing => "serve the domain again: `gatepost domain add DOMAIN`",
            Self::CatchAllMissing => "name an account: `gatepost domain catch-all DOMAIN ADDRESS`",
            Self::MailWithoutAccount => {
                "the account was lost, its mail was not: restore the directory from a backup"
            }
            Self::MailWithoutReference | Self::ReferenceToOtherBody | Self::CopiesDisagree => {
                "copy the message out (`gatepost mail show`) before any account is removed"
            }
            Self::ReferenceWithoutMail | Self::BodyWithoutMail => {
                "the record of a message was lost and its body was not: restore the directory from a backup"
            }
            Self::BodyMissing | Self::SliceMissing | Self::SliceTooMany | Self::BodyOctetsDiffer => {
                "the message is not what came: restore it from a backup, and check the disk"
            }
            Self::RecordOfNobody => "nothing: it takes a little space",
            Self::UnfinishedBody => "nothing: the next start removes it; its sender was never told 250",
            Self::UnfinishedRemoval => "nothing: the running or the next server goes on with it",
            Self::UnfinishedStore => "nothing: the next start removes it",
            Self::TornJournalKept => "remove it when you are sure that no mail in it is missed",
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// Where: an account, a message, a body, a record, a file.
    #[serde(rename = "where")]
    pub place: String,
    /// What exactly, in words.
    pub what: String,
}

impl Finding {
    /// A finding.
    #[must_use]
    pub fn new(kind: Kind, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { kind, place: place.into(), what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_the_name_that_scripts_see() {
        assert_eq!(Kind::BodyWithoutMail.name(), "body-without-mail");
        let text = serde_json::to_string(&Finding::new(Kind::BodyMissing, "here", "what")).unwrap();
        assert_eq!(text, r#"{"kind":"body-missing","where":"here","what":"what"}"#);
    }
}
