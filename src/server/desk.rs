//! What lies between the loop and one connection: what it may look at, and what it wants done.

use super::tls::Tls;
use crate::auth::scram::ScramProof;
use crate::auth::scram::salts::Salts;
use crate::contract::{Commit, RoomAnswer, Ticket};
use crate::directory::Directory;
use crate::journal::Sight;
use crate::smtp::session::Settings;
use crate::telemetry::note::Note;
use crate::types::{Now, Secret};

/// How much can be kept, as far as the loop knows.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Octets free on the disk, less what is already being kept.
    pub free_octets: u64,
    /// Octets that stay free.
    pub reserve_octets: u64,
    /// Whether the store asks for no new mail.
    pub store_is_behind: bool,
}

impl Room {
    /// Whether a message of so many octets can be taken.
    #[must_use]
    pub fn answer(self, octets: u64) -> RoomAnswer {
        if self.store_is_behind {
            RoomAnswer::Unavailable
        } else if self.free_octets < self.reserve_octets.saturating_add(octets) {
            RoomAnswer::DiskFull
        } else {
            RoomAnswer::Enough
        }
    }
}

/// What a connection may look at and not change.
#[derive(Debug)]
pub struct Desk<'a> {
    /// The time of this turn.
    pub now: Now,
    /// Who is who.
    pub directory: &'a Directory,
    /// How much can be kept.
    pub room: Room,
    /// How handshakes are made, if there is a certificate.
    pub tls: Option<&'a Tls>,
    /// The salt of every login name.
    pub salts: &'a Salts,
    /// Whether all spools together wait for too many octets to be written.
    pub spools_are_behind: bool,
    /// What all sessions share.
    pub settings: &'a Settings,
}

impl<'a> Desk<'a> {
    /// What a recording may look at.
    #[must_use]
    pub fn sight(&self) -> Sight<'a> {
        Sight { now: self.now.moment, directory: Some(self.directory), settings: self.settings }
    }
}

/// What a connection wants done that concerns more than itself.
#[derive(Debug)]
pub enum Deed {
    /// Octets of the body.
    Keep(Vec<u8>),
    /// Drop the body.
    Forget,
    /// Make the body durable.
    Commit(Ticket, Box<Commit>),
    /// Check a password.
    Login {
        /// Names the question.
        ticket: Ticket,
        /// As sent.
        login: Vec<u8>,
        /// As sent.
        password: Secret,
        /// As sent.
        authorize_as: Option<Vec<u8>>,
    },
    /// Check a SCRAM proof.
    Proof(Ticket, Box<ScramProof>),
    /// Count and log.
    Note(Note),
}
