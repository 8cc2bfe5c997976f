//! How the server does, for `gatepost status`.

use super::control_server::Office;
use crate::control::{EventCount, Status, StoreState};
use crate::limits::CLOCK_ORIGIN_MS;
use crate::telemetry::recorder::Counter;
use crate::types::{Moment, UnixTime};

/// What the loop knows of itself and of the store.
pub(super) fn status(office: &Office<'_>) -> Status {
    let Office { store, gauges, clocks, .. } = office;
    let uptime_seconds = clocks.moment.since_ms(Moment(CLOCK_ORIGIN_MS)) / 1_000;
    let octets = store.free_octets();
    let state = if gauges.store_is_down {
        StoreState::Down
    } else if octets.saturating_sub(store.octets_in_flight()) <= gauges.reserve_octets {
        StoreState::Full
    } else if store.is_behind() {
        StoreState::Behind
    } else {
        StoreState::Working
    };
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let journal = gauges.journal.iter().map(|(what, count)| (("journal", *what), *count));
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: UnixTime(clocks.unix.0.saturating_sub(uptime_seconds)),
        uptime_seconds,
        connections: count(gauges.connections),
        connections_max: count(gauges.connections_max),
        accepted: gauges.recorder.count(("message", "accepted")),
        store: state,
        free_octets: octets,
        reserve_octets: gauges.reserve_octets,
        turns: gauges.turns.by_clock(),
        turns_processor: gauges.turns.by_processor(),
        lost: gauges.lost.to_vec(),
        events: gauges.recorder.counters().chain(journal).map(event_count).collect(),
    }
}

fn event_count(((event, kind), count): (Counter, u64)) -> EventCount {
    EventCount { event: event.to_owned(), kind: kind.to_owned(), count }
}
