//! Recordings of one source that overlap in time belong into one file.

use super::tape::Recording;
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
    /// A session of this source has ended; `others`: more of them are open. Returns what is complete.
    pub fn ended(
        &mut self,
        now: Moment,
        source: IpAddr,
        recording: Option<Recording>,
        others: bool,
    ) -> Option<Vec<Recording>> {
        if let Some(recording) = recording {
            let fresh = || Waiting { since: now, recordings: Vec::new() };
            self.waiting.entry(source).or_insert_with(fresh).recordings.push(recording);
        }
        let full = |waiting: &Waiting| waiting.recordings.len() >= usize::from(DIALOG_SESSIONS_MAX);
        if self.waiting.get(&source).is_some_and(|waiting| !others || full(waiting)) {
            return self.waiting.remove(&source).map(|waiting| waiting.recordings);
        }
        None
    }

    /// Those that have waited long enough, or all where memory is `scarce`.
    pub fn due(&mut self, now: Moment, scarce: bool) -> Vec<Vec<Recording>> {
        let is_late = |waiting: &mut Waiting| scarce || now.since_ms(waiting.since) >= JOURNAL_GROUP_MS_MAX;
        let late: Vec<IpAddr> = self
            .waiting
            .iter_mut()
            .filter_map(|(source, waiting)| is_late(waiting).then_some(*source))
            .collect();
        late.iter()
            .filter_map(|source| self.waiting.remove(source))
            .map(|waiting| waiting.recordings)
            .collect()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
