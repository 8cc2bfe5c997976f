//! What is kept of hostile sessions.

use crate::journal::Events;
use crate::limits::{JOURNAL_DAYS_DEFAULT, JOURNAL_OCTETS_DEFAULT};
use serde::{Deserialize, Serialize};

/// See `crate::journal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalConfig {
    /// Whether sessions are recorded at all.
    pub is_on: bool,
    /// What makes a session worth a file.
    pub events: Events,
    /// Days a file is kept.
    pub days: u64,
    /// Octets all files may have together.
    pub octets: u64,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            is_on: true,
            events: Events::all(),
            days: JOURNAL_DAYS_DEFAULT,
            octets: JOURNAL_OCTETS_DEFAULT,
        }
    }
}
