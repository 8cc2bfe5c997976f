//! What the loop does for the journal: brings finished recordings of one source together and hands them over.

use super::journal_writer::{JournalWriter, Place};
use super::turn::Loop;
use crate::config::checked::Config;
use crate::journal::{Arena, Events, Groups, Recording};
use crate::limits::JOURNAL_ARENA_OCTETS;
use crate::smtp::session::Settings;
use crate::telemetry::line::Line;
use crate::types::Moment;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The journal of a server. Without an arena nothing is recorded.
#[derive(Debug)]
pub(super) struct Recordings {
    pub(super) arena: Option<Arc<Arena>>,
    pub(super) wanted: Events,
    groups: Groups,
    writer: Option<JournalWriter>,
}

impl Recordings {
    /// As configured. A server whose journal cannot be written serves mail all the same.
    pub(super) fn start(config: &Config, settings: &Arc<Settings>) -> Self {
        let place = Place {
            data_dir: config.data_dir.clone(),
            reserve_octets: config.disk_reserve_octets,
            config: config.journal,
            settings: Arc::clone(settings),
        };
        let is_on = config.journal.is_on && !config.journal.events.is_empty();
        let writer = is_on.then(|| JournalWriter::start(place)).and_then(|started| match started {
            Ok(writer) => Some(writer),
            Err(error) => {
                let line = Line::new("journal-not-started").text("reason", &error.to_string());
                log::warn!("{}", line.finish());
                None
            }
        });
        Self {
            arena: writer.as_ref().map(|_| Arc::new(Arena::new(JOURNAL_ARENA_OCTETS))),
            wanted: config.journal.events,
            groups: Groups::default(),
            writer,
        }
    }

    fn hand_over(&self, recordings: Vec<Recording>) {
        if let Some(writer) = &self.writer {
            writer.hand_over(recordings);
        }
    }

    /// A session ended; `others`: more of its source are open.
    pub(super) fn ended(&mut self, now: Moment, source: IpAddr, recording: Option<Recording>, others: bool) {
        for complete in self.groups.ended(now, source, recording, others) {
            self.hand_over(complete);
        }
    }

    /// Hands over what has waited long enough.
    fn look(&mut self, now: Moment) {
        if self.groups.is_empty() {
            return;
        }
        let scarce = self.arena.as_ref().is_some_and(|arena| arena.is_scarce());
        for complete in self.groups.due(now, scarce) {
            self.hand_over(complete);
        }
    }

    /// Hands over everything; the process leaves.
    fn close(&mut self, now: Moment, patience: Duration) {
        for complete in self.groups.due(now, true) {
            self.hand_over(complete);
        }
        if let Some(writer) = &mut self.writer {
            writer.close(patience);
        }
    }

    /// What became of recordings so far, by word.
    pub(super) fn counts(&self) -> Vec<(&'static str, u64)> {
        self.writer.as_ref().map(|writer| writer.counts().list().collect()).unwrap_or_default()
    }
}

impl Loop {
    /// Looks after the journal, once a second.
    pub(super) fn look_at_recordings(&mut self) {
        self.recordings.look(self.now.moment);
    }

    /// Lets the journal write what it has.
    pub(super) fn close_recordings(&mut self, patience: Duration) {
        self.recordings.close(self.now.moment, patience);
    }
}
