//! Faults of a driver, planted on purpose: a law that never caught one is a hope.

/// What the simulated driver does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlantedBug {
    /// Says durable without storing anything.
    DurableWithoutStoring,
    /// Says durable when the commit is queued; a kill before the sync loses it.
    DurableBeforeSync,
    /// Commits a message in two groups.
    StoresTwice,
    /// Gives a copy to an account that was not addressed.
    DeliversToAnother,
    /// Says that a failed group is durable.
    FailureIsDurable,
    /// Loses one reply.
    DropsReply,
    /// Sends two replies of one step in the wrong order.
    SwapsReplies,
    /// Gives an answer to whatever question is open, without a look at its ticket.
    IgnoresTickets,
    /// Never fires the timer of silence.
    ForgetsIdleTimer,
    /// Does not move a deadline that is armed again.
    KeepsOldDeadline,
    /// Feeds the plaintext behind STARTTLS once TLS is up.
    PlaintextSurvivesStartTls,
    /// Lets refusals leave as soon as the hash is there.
    RefusesAtOnce,
    /// Takes a login that names an alias for an internal error: 454 and not 535.
    AliasIsAnError,
    /// Writes the password into a note.
    LogsPassword,
    /// Feeds peers that do not read.
    NoBackpressure,
    /// Says that the peer is gone although its octets are not all taken.
    ClosesTooEarly,
    /// Keeps the octets of a refused body for the next message.
    KeepsForgotten,
    /// Never replaces a hash worker that is late.
    WaitsForHungWorker,
    /// Leaves the slices of a body that was refused.
    LeaksSlices,
    /// Drops the octets of a read that the session did not take.
    LosesUntaken,
    /// Says that the disk is full after it kept the message.
    SaysFullButKeeps,
    /// Takes mail for other servers as if they were here.
    RelaysForAnybody,
    /// Lets an account send as whoever it likes.
    AnybodyIsAnySender,
    /// Takes whatever the worker says for a match.
    EveryPasswordIsRight,
    /// Does not notice that there is room on the disk again.
    StaysFull,
    /// Offers octets to a session that wants none: it waits for an answer.
    FeedsUnwanted,
    /// Does not write down that a question was answered.
    QuestionStaysOpen,
    /// Carries out the end of a session before its last reply.
    ClosesBeforeReply,
    /// Never syncs what it says is durable.
    NeverSyncs,
    /// Writes logins into the mail book too.
    OneBookForAll,
    /// Forgives logins for mail.
    MailClearsLogins,
    /// Refuses connections without a look at who lives there.
    ShutsHomeOut,
    /// Forgets where logins succeeded.
    ForgetsSuccesses,
    /// Does not load the places of logins when it starts.
    ForgetsPlaces,
    /// Asks nobody whether there is a place.
    AdmitsEverybody,
    /// Tells an administrator that it is done before it is durable.
    DoneBeforeDurable,
    /// Does not apply what is durable to the directory in memory.
    KeepsOldBook,
    /// Answers 535 to who was not even checked.
    ThrottledIsRefused,
    /// Signs for proofs with anything.
    SignsWithNothing,
    /// Makes another salt each time.
    SaltOfChance,
    /// Holds those who wait for ever.
    HoldsForEver,
    /// Tells the time by the wall clock.
    WallClockTimers,
    /// Writes the last password into the file of a recording.
    RecordsPassword,
    /// Says nothing of recordings for which there was no room.
    OverflowIsNotCounted,
    /// Never lets go of a recording for which there was no room.
    KeepsRecordings,
    /// Does not tell the tape what a session said by itself.
    TapeMissesReplies,
    /// Lets nobody go before the journal has taken what was recorded.
    WaitsForJournal,
}

impl PlantedBug {
    /// All of them.
    pub const ALL: [Self; 47] = [
        Self::DurableWithoutStoring,
        Self::DurableBeforeSync,
        Self::StoresTwice,
        Self::DeliversToAnother,
        Self::FailureIsDurable,
        Self::DropsReply,
        Self::SwapsReplies,
        Self::IgnoresTickets,
        Self::ForgetsIdleTimer,
        Self::KeepsOldDeadline,
        Self::PlaintextSurvivesStartTls,
        Self::RefusesAtOnce,
        Self::AliasIsAnError,
        Self::LogsPassword,
        Self::NoBackpressure,
        Self::ClosesTooEarly,
        Self::KeepsForgotten,
        Self::WaitsForHungWorker,
        Self::LeaksSlices,
        Self::LosesUntaken,
        Self::SaysFullButKeeps,
        Self::RelaysForAnybody,
        Self::AnybodyIsAnySender,
        Self::EveryPasswordIsRight,
        Self::StaysFull,
        Self::FeedsUnwanted,
        Self::QuestionStaysOpen,
        Self::ClosesBeforeReply,
        Self::NeverSyncs,
        Self::OneBookForAll,
        Self::MailClearsLogins,
        Self::ShutsHomeOut,
        Self::ForgetsSuccesses,
        Self::ForgetsPlaces,
        Self::AdmitsEverybody,
        Self::DoneBeforeDurable,
        Self::KeepsOldBook,
        Self::ThrottledIsRefused,
        Self::SignsWithNothing,
        Self::SaltOfChance,
        Self::HoldsForEver,
        Self::WallClockTimers,
        Self::RecordsPassword,
        Self::OverflowIsNotCounted,
        Self::KeepsRecordings,
        Self::TapeMissesReplies,
        Self::WaitsForJournal,
    ];
}
