//! A seeded world around the whole server, for tests: many clients, good and hostile, a network that cuts and
//! delays, a hash worker that dies, a disk that fills up, fails and loses what was not synced, a process that
//! dies in any write, administrators who change things, a wall clock that jumps, and time that jumps to
//! whatever comes next.
//!
//! [`run`] makes a world from a seed, drives sessions, verifier, throttle, admission, tarpit, side door, directory
//! and store in it as the loop in `server/` does, and judges it by the laws of the design ([`Law`]) after each step
//! and at the end. A world that breaks one is told as a short story, and its seed makes it again. Nothing here is
//! used by the server.
//!
//! Real are the machines: sessions, SASL and SCRAM on both sides, verifier with its queue and enrolment, both books
//! of the throttle with what outlives a restart, admission, tarpit, side door, lookups, the plans of
//! administrators, the layouts and groups of the store, the tapes of the journal and what is made of them. Modelled are the loop that carries things between them
//! (`server`, `conn`), the store thread (`keeper`), the database under the layouts (`platter`), the hash worker
//! (`hasher`: one HMAC in the place of argon2id, two rounds of PBKDF2), and TLS (`layer`). Left out are bodies in
//! temporary files, descriptors that run out, the shorter patience of a crowded server, notices to owners, the
//! report of logins, and caught panics.
//!
//! | room | is |
//! |---|---|
//! | `town` | who lives here: directory, passwords, and what is true of both, written down twice |
//! | `actors`, `bots`, `script` | what clients do; bots do what logs show |
//! | `client`, `model`, `reading` | a client, and its naive idea of which reply answers what |
//! | `lane`, `layer` | the network; a toy in the place of TLS |
//! | `server`, `conn`, `keeper`, `hasher` | a small model of the loop, the store thread and the hash worker |
//! | `gate` | the real throttle, admission, tarpit and side door of a process |
//! | `platter` | the disk: real layouts, and what was synced apart from what was written |
//! | `promises` | what owners are promised |
//! | `archive` | the journal of hostile sessions, and its writer in small |
//! | `ledger` | what was promised to whom, held against the store |
//! | `recut` | the same sessions again, cut into other reads |
//! | `world` | what happens when |
//! | `planted` | what a wrong driver would do |
#![expect(
    clippy::arithmetic_side_effects,
    reason = "only tests drive a world; its numbers are small, and an overflow should fail loudly"
)]

mod actors;
mod archive;
mod bots;
mod census;
mod client;
mod conn;
mod desk;
mod gate;
mod hasher;
mod keeper;
mod lane;
mod layer;
mod ledger;
mod model;
mod planted;
mod platter;
mod promises;
mod reading;
mod recut;
mod script;
mod server;
mod town;
mod world;

pub use census::{Census, Fault};
pub use planted::PlantedBug;
pub use platter::Cut;

use std::fmt;

/// What must hold in every world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// Each command gets one reply, of its own kind, in order.
    OneReply,
    /// No command succeeds before what must come before it, and none reaches who was not addressed.
    Order,
    /// No recipient is taken that leads to nobody here.
    NoRelay,
    /// A message answered 250 is in the store once for each account it was for, octet for octet, then and
    /// after every restart.
    HonestYes,
    /// A message that was not answered 250 is there once at the most, and not at all if its end was never
    /// sent or it was refused for good.
    NoFalseMail,
    /// No slice of a body is left that belongs to no message.
    NoLeftovers,
    /// Actions of one step, and open questions.
    BoundedStep,
    /// Replies waiting for a peer.
    BoundedOutput,
    /// A session that wants octets takes some.
    Progress,
    /// An answer nobody waits for changes nothing.
    StaleIgnored,
    /// What was said before STARTTLS does not count behind it.
    CleanStartTls,
    /// Nobody is closed for a silence that was none, and nobody may be silent for longer.
    FairTimers,
    /// Every session ends once its client stops.
    EverySessionEnds,
    /// All refused logins get the same octets, and get them on the timer grid.
    EqualRefusals,
    /// The right password opens, and no other.
    RightPassword,
    /// No secret is in a note, and nothing that was typed in a recording.
    NoSecret,
    /// How octets are cut into reads changes nothing.
    CutBlind,
    /// After all of this a fresh message is delivered.
    FreshDelivery,
    /// Owners get in: see `promises` for what exactly they are promised.
    OwnersGetIn,
    /// A flood of mail changes nothing for logins, and the other way round.
    BooksApart,
    /// Connections, their octets, those who wait, and bodies stay under their ceilings.
    BoundedMemory,
    /// What an administrator was told to be done is done, then and after every restart; what is read back is
    /// what somebody ordered.
    ChangesLast,
    /// What was recorded of a session plays to the replies that it got, up to where it is cut.
    RecordingsPlay,
    /// What is recorded stays within its memory, and gives it back.
    BoundedRecordings,
    /// What is recorded is written, or counted as lost.
    RecordingsCounted,
}

impl Law {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::OneReply,
        Self::Order,
        Self::NoRelay,
        Self::HonestYes,
        Self::NoFalseMail,
        Self::NoLeftovers,
        Self::BoundedStep,
        Self::BoundedOutput,
        Self::Progress,
        Self::StaleIgnored,
        Self::CleanStartTls,
        Self::FairTimers,
        Self::EverySessionEnds,
        Self::EqualRefusals,
        Self::RightPassword,
        Self::NoSecret,
        Self::CutBlind,
        Self::FreshDelivery,
        Self::OwnersGetIn,
        Self::BooksApart,
        Self::BoundedMemory,
        Self::ChangesLast,
        Self::RecordingsPlay,
        Self::BoundedRecordings,
        Self::RecordingsCounted,
    ];
}

/// A law that was broken, and how it came to that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The world.
    pub seed: u64,
    /// The law.
    pub law: Law,
    /// What was seen.
    pub what: String,
    /// The last events, oldest first.
    pub story: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "world {} broke the law {:?}: {}", self.seed, self.law, self.what)?;
        for line in &self.story {
            writeln!(f, "  {line}")?;
        }
        write!(f, "again: GATEPOST_SEED={} cargo test --test sim", self.seed)
    }
}

/// How a world went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What occurred.
    pub census: Census,
    /// The first law that was broken; the world ended there.
    pub violation: Option<Violation>,
    /// A digest of everything that was told: equal for equal worlds.
    pub digest: u64,
}

/// Makes the world of a seed and lets it run to its end, by a driver that is right or has a planted bug.
#[must_use]
pub fn run(seed: u64, planted: Option<PlantedBug>) -> Report {
    world::run(seed, planted, None).0
}

/// The same world, in which the process dies in the write of this number (the first is number 1, the town's
/// founding). Returns how many writes there were, too.
#[must_use]
pub fn run_and_die(seed: u64, write: u64, cut: Cut) -> (Report, u64) {
    world::run(seed, None, Some((write, cut)))
}
