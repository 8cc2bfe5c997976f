//! Recordings of one source that overlap in time belong into one file: one for each listener, since the head of a
//! file names the listener of all its sessions.

use super::tape::Recording;
use crate::contract::Listener;
use crate::limits::{DIALOG_SESSIONS_MAX, JOURNAL_GROUP_MS_MAX};
use crate::types::Moment;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Recordings that wait for other sessions of their source to end. Their memory is the arena's.
#[derive(Debug, Default)]
pub struct Groups {
    waiting: BTreeMap<IpAddr, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    since: Moment,
    recordings: Vec<Recording>,
}

impl Groups {
    /// A session of this source has ended; `others`: more of them are open. Returns what is complete, each for a
    /// file.
    pub fn ended(
        &mut self,
        now: Moment,
        source: IpAddr,
        recording: Option<Recording>,
        others: bool,
    ) -> Vec<Vec<Recording>> {
        if let Some(recording) = recording {
            let fresh = || Waiting { since: now, recordings: Vec::new() };
            self.waiting.entry(source).or_insert_with(fresh).recordings.push(recording);
        }
        let full = |waiting: &Waiting| waiting.recordings.len() >= usize::from(DIALOG_SESSIONS_MAX);
        if self.waiting.get(&source).is_some_and(|waiting| !others || full(waiting)) {
            return self.waiting.remove(&source).map(Waiting::by_listener).unwrap_or_default();
        }
        Vec::new()
    }

    /// Those that have waited long enough, or all where memory is `scarce`.
    pub fn due(&mut self, now: Moment, scarce: bool) -> Vec<Vec<Recording>> {
        let is_late = |waiting: &mut Waiting| scarce || now.since_ms(waiting.since) >= JOURNAL_GROUP_MS_MAX;
        let late: Vec<IpAddr> = self
            .waiting
            .iter_mut()
            .filter_map(|(source, waiting)| is_late(waiting).then_some(*source))
            .collect();
        late.iter().filter_map(|source| self.waiting.remove(source)).flat_map(Waiting::by_listener).collect()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Waiting {
    fn by_listener(self) -> Vec<Vec<Recording>> {
        let mut files: Vec<(Listener, Vec<Recording>)> = Vec::new();
        for recording in self.recordings {
            let listener = recording.peer().listener;
            match files.iter_mut().find(|(known, _)| *known == listener) {
                Some((_, recordings)) => recordings.push(recording),
                None => files.push((listener, vec![recording])),
            }
        }
        files.into_iter().map(|(_, recordings)| recordings).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::PeerFacts;
    use crate::journal::{Arena, Sight, Tape};
    use crate::smtp::session::Settings;
    use crate::types::{Domain, Now, ScramUse, SessionId};
    use std::sync::Arc;

    fn source() -> IpAddr {
        "192.0.2.9".parse().unwrap()
    }

    fn recording(session: u64, listener: Listener) -> Recording {
        let settings = Settings {
            hostname: Domain::parse("mx.home.example").unwrap(),
            message_octets_max: 1_000,
            tls_available: true,
            scram: ScramUse::All,
            idle_ms: 1_000,
        };
        let facts = PeerFacts { session: SessionId(session), address: source(), listener };
        let mut tape = Tape::new(Some(Arc::new(Arena::new(100_000))), facts, Now::default());
        let sight = Sight { now: Moment(0), directory: None, settings: &settings };
        tape.took(&sight, b"NOOP\r\n", &[]);
        tape.whole(Moment(0)).unwrap()
    }

    #[test]
    fn sessions_of_one_source_at_two_listeners_are_two_files() {
        let mut groups = Groups::default();
        let now = Moment(0);
        assert!(groups.ended(now, source(), Some(recording(1, Listener::Submission)), true).is_empty());
        assert!(groups.ended(now, source(), Some(recording(2, Listener::Submissions)), true).is_empty());
        let files = groups.ended(now, source(), Some(recording(3, Listener::Submission)), false);
        let sessions =
            |file: &Vec<Recording>| file.iter().map(|one| one.peer().session.0).collect::<Vec<_>>();
        assert_eq!(files.iter().map(sessions).collect::<Vec<_>>(), [vec![1, 3], vec![2]]);
    }
}
