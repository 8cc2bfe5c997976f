//! The receiving session: events in, actions out.

use crate::contract::{Actions, Event, PeerFacts};
use crate::types::{Chance, Domain, Now};
use std::sync::Arc;

/// What every session of a server shares.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name this server greets with.
    pub hostname: Domain,
    /// Octets of the largest message.
    pub message_octets_max: u64,
    /// Whether there is a certificate, so that STARTTLS can be offered.
    pub tls_available: bool,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    _facts: PeerFacts,
    _settings: Arc<Settings>,
    _chance: Chance,
}

impl Session {
    /// A session for a connection just accepted. `chance` names its messages.
    #[must_use]
    pub fn new(facts: PeerFacts, settings: Arc<Settings>, chance: Chance) -> Self {
        Self { _facts: facts, _settings: settings, _chance: chance }
    }

    /// Feeds one event. Returns how many octets of an [`Event::Bytes`] were taken (0 for any other event);
    /// those not taken are offered again when [`Session::wants_read`] says so.
    pub fn step(&mut self, now: Now, event: Event<'_>, out: &mut Actions) -> usize {
        let _ = (now, event, out);
        0
    }

    /// Whether octets would be taken now. False while an answer or a handshake is awaited and once closed.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        false
    }

    /// Whether the peer has proved who it is: such a session is not turned out for a stranger.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        false
    }

    /// Whether a transaction is under way: such a session gets a grace period when the server leaves.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        false
    }
}
