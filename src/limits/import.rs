//! The limits of reading other servers' logs.

/// Octets of a line that is read; a longer one is skipped and counted.
pub const IMPORT_LINE_OCTETS_MAX: usize = 16 * 1024;
/// Characters of a login or a name that are kept.
pub const IMPORT_VALUE_CHARS_MAX: usize = 256;
/// Octets of a mechanism's name (RFC 4422 section 3.1).
pub const IMPORT_MECHANISM_OCTETS_MAX: usize = 20;
/// Sessions that one reader remembers.
pub const IMPORT_SESSIONS_MAX: usize = 4_096;
/// Steps of a session that are remembered.
pub const IMPORT_STEPS_MAX: usize = 64;
/// Seconds between what two daemons say of the same try.
pub const IMPORT_JOIN_SECONDS: i64 = 10;
/// Octets of the name of a container or a program in a prefix.
pub const IMPORT_CONTAINER_OCTETS_MAX: usize = 64;
/// Findings that wait for what another daemon says of the same try.
pub const IMPORT_HELD_MAX: usize = 256;
/// Lines between what two daemons say of the same try, where lines have no time.
pub const IMPORT_JOIN_LINES: u64 = 16;
/// Lines that were not understood and are listed; more are only counted.
pub const IMPORT_SKIPPED_MAX: usize = 10_000;
/// Sessions that are put together at the same time for dialogues.
pub const IMPORT_SHAPES_OPEN_MAX: usize = 1_024;
/// Dialogues that one run writes.
pub const IMPORT_DIALOGUES_MAX: usize = 2_000;
/// Octets read from a log at once.
pub const IMPORT_READ_OCTETS: usize = 256 * 1024;
/// Octets between two signs of progress.
pub const IMPORT_PROGRESS_OCTETS: u64 = 4 * 1024 * 1024;
/// Different sources or logins that are counted.
pub const IMPORT_DISTINCT_MAX: usize = 100_000;
/// Lines that were not understood and are shown to people.
pub const IMPORT_SKIPPED_SHOWN: usize = 10;
/// Octets of the key under which something is remembered.
pub const IMPORT_KEY_OCTETS_MAX: usize = 1_024;
/// Times that one line which a collector says was said again is read again.
pub const IMPORT_REPEATS_MAX: u32 = 1_000;
/// Clients whose sessions are put together at the same time.
pub const IMPORT_SERIES_MAX: usize = 1_024;
/// Sessions of one client in one dialogue.
pub const IMPORT_SERIES_SESSIONS_MAX: usize = 8;
/// Steps of each of them that are played.
pub const IMPORT_SERIES_STEPS_MAX: usize = 12;
/// Seconds between two sessions of one client that belong together.
pub const IMPORT_SERIES_GAP_SECONDS: i64 = 600;
