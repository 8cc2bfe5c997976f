//! What makes a session worth keeping.

use crate::auth::verdict::{LoginVerdict, Unavailability};
use crate::contract::Cause;
use crate::smtp::offence::Offence;
use crate::smtp::outcome::RecipientReason;
use crate::telemetry::note::Note;
use serde::{Deserialize, Serialize};

/// Something that makes a session worth keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A panic was caught.
    Fault,
    /// An offence ended the session.
    Offence,
    /// A login was refused.
    Login,
    /// The session came to a limit.
    Limit,
    /// The peer talked before it was greeted.
    EarlyTalk,
    /// What came was no SMTP.
    Garbage,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Fault, Self::Offence, Self::Login, Self::Limit, Self::EarlyTalk, Self::Garbage];

    /// The word in the configuration and in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Offence => "offence",
            Self::Login => "login",
            Self::Limit => "limit",
            Self::EarlyTalk => "early-talk",
            Self::Garbage => "garbage",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Fault => 1,
            Self::Offence => 2,
            Self::Login => 4,
            Self::Limit => 8,
            Self::EarlyTalk => 16,
            Self::Garbage => 32,
        }
    }
}

/// A set of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Events(u8);

impl Events {
    /// Every event.
    #[must_use]
    pub fn all() -> Self {
        Event::ALL.into_iter().collect()
    }

    /// Whether an event is in it.
    #[must_use]
    pub fn has(self, event: Event) -> bool {
        self.0 & event.bit() != 0
    }

    /// Whether none is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are in both.
    #[must_use]
    pub fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Adds an event.
    pub fn add(&mut self, event: Event) {
        self.0 |= event.bit();
    }

    /// Adds those of another set.
    pub fn join(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// The words, with spaces between.
    #[must_use]
    pub fn names(self) -> String {
        let words: Vec<&str> =
            Event::ALL.into_iter().filter(|event| self.has(*event)).map(Event::name).collect();
        words.join(" ")
    }

    /// Adds what a note of a session is.
    pub fn see(&mut self, note: &Note) {
        match note {
            Note::Login { verdict, .. } => match verdict {
                LoginVerdict::Accepted(..) => {}
                LoginVerdict::Refused(_) | LoginVerdict::Disabled(_) => self.add(Event::Login),
                LoginVerdict::Unavailable(Unavailability::Throttled(_)) => {
                    self.add(Event::Login);
                    self.add(Event::Limit);
                }
                LoginVerdict::Unavailable(
                    Unavailability::Directory | Unavailability::QueueFull | Unavailability::Worker,
                ) => {}
            },
            Note::RecipientRefused { reason: RecipientReason::TooManyRecipients, .. } => {
                self.add(Event::Limit)
            }
            Note::Offence(offence) => self.offence(*offence),
            Note::EarlyTalk => self.add(Event::EarlyTalk),
            Note::Closed { cause, offence, .. } => self.closed(*cause, offence),
            Note::Accepted { .. }
            | Note::RecipientRefused { .. }
            | Note::MessageRefused { .. }
            | Note::Encrypted
            | Note::TurnedAway { .. }
            | Note::Verify => {}
        }
    }

    fn offence(&mut self, offence: Offence) {
        match offence {
            Offence::ControlCharacter | Offence::UnknownCommand | Offence::OtherProtocol => {
                self.add(Event::Garbage);
            }
            Offence::LineTooLong
            | Offence::AuthLineTooLong
            | Offence::TooManyIdleCommands
            | Offence::PathTooLong => {
                self.add(Event::Limit);
            }
            Offence::NotImplemented
            | Offence::BadArgument
            | Offence::SenderSyntax
            | Offence::RecipientSyntax
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
            | Offence::AuthNotNow
            | Offence::UnknownMechanism
            | Offence::AuthMalformed
            | Offence::AuthCancelled => {}
        }
    }

    fn closed(&mut self, cause: Cause, offence: &str) {
        match cause {
            Cause::Fault => self.add(Event::Fault),
            Cause::TooManyErrors | Cause::NotSmtp => self.add(Event::Offence),
            Cause::TooManyRefusedRecipients | Cause::TooManyAuthFailures => {
                self.add(Event::Offence);
                self.add(Event::Limit);
            }
            Cause::TooLong => self.add(Event::Limit),
            Cause::TlsFailed if !offence.is_empty() => self.add(Event::Offence),
            Cause::TlsFailed
            | Cause::Quit
            | Cause::PeerClosed
            | Cause::Idle
            | Cause::Stopping
            | Cause::Crowded
            | Cause::Broken => {}
        }
    }
}

impl FromIterator<Event> for Events {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        events.into_iter().fold(Self::default(), |mut all, event| {
            all.add(event);
            all
        })
    }
}

impl std::str::FromStr for Events {
    type Err = String;

    /// Words with spaces or commas between.
    fn from_str(text: &str) -> Result<Self, String> {
        let known = |word: &str| {
            let found = Event::ALL.into_iter().find(|event| event.name() == word);
            found.ok_or_else(|| {
                let names = Event::ALL.map(Event::name).join(", ");
                format!("{word:?} is none of {names}")
            })
        };
        text.split([' ', ',']).filter(|word| !word.is_empty()).map(known).collect()
    }
}
