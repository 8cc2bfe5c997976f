//! Lines that do not come through the recorder: of libraries, and of other threads than the one that decides.

use super::budget::Bucket;
use super::kind::Kind;
use super::line::Line;
use super::suppressed::Suppressed;
use crate::limits::{LOG_DIRECT_OCTETS_PER_MINUTE_MAX, LOG_LIBRARY_OCTETS_PER_MINUTE_MAX};
use crate::types::Moment;

/// The target of records of ours that a peer can cause again and again: they have a budget. Every other record
/// of ours is the administrator's, or was judged by the recorder.
pub const PEER_CAUSED: &str = "gatepost::peer-caused";

/// Whose record it is, as far as it needs a budget here.
#[must_use]
pub fn kind_of(target: &str) -> Option<Kind> {
    match target.split("::").next() {
        Some("gatepost") => (target == PEER_CAUSED).then_some(Kind::Trouble),
        Some(_) | None => Some(Kind::Library),
    }
}

/// The budgets of lines that the recorder never sees.
#[derive(Debug)]
pub struct DirectLines {
    library: Bucket,
    trouble: Bucket,
    suppressed: Suppressed,
}

impl Default for DirectLines {
    fn default() -> Self {
        Self {
            library: Bucket::new(LOG_LIBRARY_OCTETS_PER_MINUTE_MAX),
            trouble: Bucket::new(LOG_DIRECT_OCTETS_PER_MINUTE_MAX),
            suppressed: Suppressed::default(),
        }
    }
}

impl DirectLines {
    /// Whether a record of this target and so many octets (line feed included) may be written. If not, it is
    /// counted.
    pub fn admit(&mut self, now: Moment, target: &str, octets: usize) -> bool {
        let Some(kind) = kind_of(target) else { return true };
        let bucket = if kind == Kind::Library { &mut self.library } else { &mut self.trouble };
        let admitted = bucket.take(now, octets);
        if !admitted {
            self.suppressed.count(now, kind, octets, None);
        }
        admitted
    }

    /// When [`DirectLines::turn`] has lines.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.suppressed.next_deadline()
    }

    /// The lines about what was held back, when it is time for them.
    pub fn turn(&mut self, now: Moment) -> Vec<Line> {
        self.suppressed.turn(now)
    }

    /// The same, whether or not it is time: the process is leaving.
    pub fn close(&mut self) -> Vec<Line> {
        self.suppressed.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LOG_MINUTE_MS;

    #[test]
    fn libraries_and_what_peers_cause_have_a_budget_each_and_the_administrators_lines_none() {
        let mut lines = DirectLines::default();
        let mut count = |target| (0..1_000).filter(|_| lines.admit(Moment(0), target, 128)).count();
        assert_eq!(count("rustls::conn"), LOG_LIBRARY_OCTETS_PER_MINUTE_MAX / 2 / 128);
        assert_eq!(count("fjall"), 0);
        assert_eq!(count(PEER_CAUSED), LOG_DIRECT_OCTETS_PER_MINUTE_MAX / 2 / 128);
        assert_eq!(count("gatepost::server::turn"), 1_000);
        assert_eq!(count("gatepost"), 1_000);
        assert_eq!(count("gatepostling"), 0);
    }

    #[test]
    fn what_was_held_back_is_counted_exactly() {
        let mut lines = DirectLines::default();
        let admitted = (0..1_000).filter(|_| lines.admit(Moment(0), "rustls::conn", 100)).count();
        let told: Vec<String> = lines.turn(Moment(LOG_MINUTE_MS)).into_iter().map(Line::finish).collect();
        let held = 1_000 - admitted;
        assert_eq!(told, [format!("event=suppressed kind=library lines={held} octets={}", held * 100)]);
        assert_eq!(lines.next_deadline(), None);
    }
}
