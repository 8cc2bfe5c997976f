//! Numbers of the journal of hostile sessions.

/// Octets that the recordings of all sessions may take together, finished ones that wait to be written included.
pub const JOURNAL_ARENA_OCTETS: usize = 4 * 1024 * 1024;
/// Octets of one session's recording; beyond it the recording is cut.
pub const JOURNAL_SESSION_OCTETS_MAX: usize = 32 * 1024;
/// Octets by which a recording grows.
pub const JOURNAL_STEP_OCTETS: usize = 2 * 1024;
/// What a recording costs beside its text: the line being read, stand-in names, counters, facts of the world.
pub const JOURNAL_SESSION_FIXED_OCTETS: usize = 2 * 1024;
/// Octets kept for the last words of a recording that is cut.
pub const JOURNAL_LAST_WORDS_OCTETS: usize = 256;
/// Accounts, aliases and domains that one recording may need to be played again.
pub const JOURNAL_FACTS_MAX: usize = 64;
/// Names that one recording tells apart.
pub const JOURNAL_NAMES_MAX: usize = 256;
/// Members of an alias that are written down.
pub const JOURNAL_MEMBERS_MAX: usize = 20;
/// Odd ends of lines of one body that are written down.
pub const JOURNAL_DEFECTS_MAX: usize = 64;
/// Milliseconds that a finished recording waits for other sessions of its source.
pub const JOURNAL_GROUP_MS_MAX: u64 = 60_000;
/// Milliseconds that the journal has to write what it holds when the server stops.
pub const JOURNAL_CLOSE_MS: u64 = 1_000;
/// Recordings that wait to be written.
pub const JOURNAL_QUEUE_MAX: usize = 64;
/// Files written in a second; what comes beyond is counted and dropped.
pub const JOURNAL_FILES_PER_SECOND_MAX: u32 = 50;
/// Days that a file is kept: default.
pub const JOURNAL_DAYS_DEFAULT: u64 = 30;
/// … and the most.
pub const JOURNAL_DAYS_CEILING: u64 = 3_650;
/// Octets of all files together: default.
pub const JOURNAL_OCTETS_DEFAULT: u64 = 64 * 1024 * 1024;
/// … at least.
pub const JOURNAL_OCTETS_FLOOR: u64 = 64 * 1024;
/// … and at most.
pub const JOURNAL_OCTETS_CEILING: u64 = 64 * 1024 * 1024 * 1024;
