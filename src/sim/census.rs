//! What happened how often: a law that never had anything to judge proves nothing.

use super::Law;
use std::collections::BTreeMap;
use std::fmt;

/// What the world does to the server, and what peers do to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A read ended inside a command or a body.
    OctetsCut,
    /// Octets came later than they were sent.
    OctetsDelayed,
    /// A client closed its side and went on reading.
    HalfClosed,
    /// A client reset its connection.
    Reset,
    /// A client did not read its replies.
    PeerDeaf,
    /// A client fell silent inside a body.
    BodyPaused,
    /// The hash worker died.
    WorkerDied,
    /// The hash worker never answered.
    WorkerHung,
    /// The directory could not be asked.
    DirectoryGone,
    /// The disk filled up.
    DiskFilled,
    /// The store was behind.
    StoreBehind,
    /// A group of commits failed and nothing was kept.
    GroupRefused,
    /// A group of commits failed, and yet it was kept.
    GroupKeptAndFailed,
    /// A group took its time.
    GroupSlow,
    /// A group never came back.
    StoreStuck,
    /// The server was killed.
    Killed,
    /// It was killed while a group was being committed.
    KilledInCommit,
    /// The server was asked to leave.
    Stopped,
    /// An answer came twice, late, for a question never asked, or of the wrong kind.
    StaleAnswer,
    /// An answer came late.
    AnswerDelayed,
    /// Octets stood behind STARTTLS in the clear.
    PlaintextInjected,
    /// A body held what other servers would take for its end.
    SmugglingTried,
    /// Another protocol or noise.
    Garbage,
    /// The power went.
    PowerCut,
    /// Writes were lost that were not synced.
    UnsyncedLost,
    /// The process died in a chosen write.
    KilledInWrite,
    /// The wall clock was moved.
    ClockJumped,
    /// An administrator changed an account.
    Ordered,
    /// An administrator forgave a source and a login.
    Forgiven,
    /// SCRAM keys were made of a right password.
    KeysMade,
    /// A login was turned away by the throttle.
    Throttled,
    /// A connection was not let in, or not at once.
    TurnedAway,
    /// A connection was sent away for another one.
    TurnedOut,
    /// A guest came by the side door.
    CameBeside,
    /// A peer on port 25 was slowed.
    Slowed,
    /// A bot guessed, after its manner.
    Bot,
    /// Bots of one network guessed once each.
    Rotation,
    /// Six sessions guessed side by side.
    Parallel,
    /// Somebody talked before the greeting.
    EarlyTalk,
    /// HTTP or TLS came where none is spoken.
    OtherProtocol,
    /// Somebody wanted mail carried elsewhere.
    RelayTried,
    /// Somebody asked who is there.
    Harvest,
    /// Many guesses came at once.
    AuthFlood,
    /// Somebody came again and again for nothing.
    Reconnected,
    /// Somebody on the deny-list came.
    Denied,
    /// A bot guessed from an owner's own address.
    Besieged,
    /// The writer of the journal took its time.
    JournalSlow,
    /// There was no room for a file of the journal.
    JournalFull,
    /// A file of the journal could not be written.
    JournalFailed,
    /// More was recorded than the writer had taken.
    JournalOverflow,
    /// Something was recorded, and the writer was gone.
    JournalDead,
    /// A recording ended before its session.
    RecordingCut,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 52] = [
        Self::OctetsCut,
        Self::OctetsDelayed,
        Self::HalfClosed,
        Self::Reset,
        Self::PeerDeaf,
        Self::BodyPaused,
        Self::WorkerDied,
        Self::WorkerHung,
        Self::DirectoryGone,
        Self::DiskFilled,
        Self::StoreBehind,
        Self::GroupRefused,
        Self::GroupKeptAndFailed,
        Self::GroupSlow,
        Self::StoreStuck,
        Self::Killed,
        Self::KilledInCommit,
        Self::Stopped,
        Self::StaleAnswer,
        Self::AnswerDelayed,
        Self::PlaintextInjected,
        Self::SmugglingTried,
        Self::Garbage,
        Self::PowerCut,
        Self::UnsyncedLost,
        Self::KilledInWrite,
        Self::ClockJumped,
        Self::Ordered,
        Self::Forgiven,
        Self::KeysMade,
        Self::Throttled,
        Self::TurnedAway,
        Self::TurnedOut,
        Self::CameBeside,
        Self::Slowed,
        Self::Bot,
        Self::Rotation,
        Self::Parallel,
        Self::EarlyTalk,
        Self::OtherProtocol,
        Self::RelayTried,
        Self::Harvest,
        Self::AuthFlood,
        Self::Reconnected,
        Self::Denied,
        Self::Besieged,
        Self::JournalSlow,
        Self::JournalFull,
        Self::JournalFailed,
        Self::JournalOverflow,
        Self::JournalDead,
        Self::RecordingCut,
    ];
}

/// The counts of one world, or of many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    faults: BTreeMap<Fault, u64>,
    laws: BTreeMap<Law, u64>,
}

impl Census {
    /// Counts a fault.
    pub fn fault(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    /// Counts that a law had something to judge.
    pub fn law(&mut self, law: Law) {
        *self.laws.entry(law).or_default() += 1;
    }

    /// How often a fault occurred.
    #[must_use]
    pub fn faults(&self, fault: Fault) -> u64 {
        self.faults.get(&fault).copied().unwrap_or(0)
    }

    /// How often a law had something to judge.
    #[must_use]
    pub fn judged(&self, law: Law) -> u64 {
        self.laws.get(&law).copied().unwrap_or(0)
    }

    /// Adds another world's counts.
    pub fn add(&mut self, other: &Self) {
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (law, count) in &other.laws {
            *self.laws.entry(*law).or_default() += count;
        }
    }
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "faults:")?;
        for fault in Fault::ALL {
            writeln!(f, "  {:<22} {:>9}", format!("{fault:?}"), self.faults(fault))?;
        }
        writeln!(f, "laws judged:")?;
        for law in Law::ALL {
            writeln!(f, "  {:<22} {:>9}", format!("{law:?}"), self.judged(law))?;
        }
        Ok(())
    }
}
