//! Sessions of a dialogue with the journal beside them.

use super::{Cuts, Place, Player};
use crate::contract::Pace;
use crate::dialog::world::World;
use crate::dialog::{Dialog, Event};
use crate::journal::{Arena, Recording};
use crate::limits::IDLE_MS;
use crate::smtp::session::Settings;
use crate::types::ScramUse;
use std::sync::Arc;

/// Plays a dialogue with the journal at work, and returns what it has of the sessions, whatever they did, and of
/// what the server shares. Nothing is returned for a dialogue whose world contradicts itself.
#[must_use]
pub fn play_recorded(
    dialog: &Dialog,
    cuts: &mut Cuts<'_>,
    arena: Arc<Arena>,
) -> (Vec<Recording>, Arc<Settings>) {
    let Ok(world) = World::of(dialog) else { return (Vec::new(), settings_of(dialog)) };
    let mut player = Player::new(dialog, &world, cuts, false);
    player.recording = Some(arena);
    // A dialogue that differs has been played up to there.
    let _ = player.run();
    let now = player.now;
    let ends = |place: &mut Place| place.seat.tape.whole(now);
    (player.places.values_mut().filter_map(ends).collect(), settings_of(dialog))
}

/// What the server of a dialogue shares between its sessions.
pub(super) fn settings_of(dialog: &Dialog) -> Arc<Settings> {
    Arc::new(Settings {
        hostname: dialog.head.hostname.clone(),
        message_octets_max: dialog.head.message_octets_max,
        tls_available: dialog.head.tls_available,
        scram: if dialog.head.scram_offered { ScramUse::All } else { ScramUse::Off },
        idle_ms: IDLE_MS,
    })
}

impl Player<'_, '_> {
    /// The pace of a session that opens now, if a line says so before anything else happens to it.
    pub(super) fn pace_at_open(&self, number: u8) -> Pace {
        let dialog = self.dialog;
        let rest = dialog.entries.iter().skip_while(|entry| entry.line < self.line);
        let own = rest.filter_map(|entry| entry.kind.of_session(number));
        let mut behind = own.skip_while(|event| matches!(event, Event::Open(..) | Event::TlsUp(_)));
        match behind.next() {
            Some(Event::Paced(pace)) => *pace,
            Some(_) | None => Pace::default(),
        }
    }
}
