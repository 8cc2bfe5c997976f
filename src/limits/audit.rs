//! The numbers of `gatepost audit`.

/// Rounds of visits that a measurement has by default; each asks for every name and its twin once.
pub const AUDIT_ROUNDS_DEFAULT: usize = 40;
/// Fewest rounds: with fewer, even an answer that always differs could be chance.
pub const AUDIT_ROUNDS_MIN: usize = 20;
/// Most rounds.
pub const AUDIT_ROUNDS_MAX: usize = 5_000;
/// What costs the server no hash is asked so many times as often.
pub const AUDIT_CHEAP_FACTOR: usize = 4;
/// Logins of one series, in as many sessions as the server wants.
pub const AUDIT_SERIES_TRIES: usize = 8;
/// Visits at once.
pub const AUDIT_VISITS_AT_ONCE: usize = 8;
/// Visits a second to a host that is not this machine, by default.
pub const AUDIT_RATE_DEFAULT: u32 = 2;
/// Most visits a second that may be asked for.
pub const AUDIT_RATE_MAX: u32 = 1_000;
/// Names that may be given, and aliases.
pub const AUDIT_NAMES_MAX: usize = 64;
/// Unknown names for each known one are so many divided by the known ones, and one at the least.
pub const AUDIT_TWINS_MIN: usize = 4;

/// How often labels are exchanged by chance to learn what chance alone gives.
pub const AUDIT_SHUFFLES: usize = 30_000;
/// Shuffles as good as what was measured, after which it is chance.
pub const AUDIT_SHUFFLES_ENOUGH: usize = 20;
/// Shuffles that are made in any case.
pub const AUDIT_SHUFFLES_MIN: usize = 500;
/// How often an audit in which nothing leaks may say that something does, in thousandths, for all its comparisons
/// together.
pub const AUDIT_FALSE_ALARMS_PER_MILLE: u32 = 10;
/// How often what seems to tell by its time is measured: it has to tell each time.
pub const AUDIT_LOOKS_MAX: usize = 3;
/// Bits from which on an audit fails, in thousandths, by default.
pub const AUDIT_THRESHOLD_MILLIBITS: u32 = 50;

/// Chance that is added to each time measured on this machine, in microseconds at the most: less than any network
/// has that a stranger comes through.
pub const AUDIT_JITTER_US_DEFAULT: u64 = 100;
/// Most of it that may be asked for, in microseconds.
pub const AUDIT_JITTER_US_MAX: u64 = 100_000;

/// Longest wait for a reply, in milliseconds.
pub const AUDIT_REPLY_MS_MAX: u64 = 30_000;
/// Longest wait for a connection, in milliseconds.
pub const AUDIT_CONNECT_MS_MAX: u64 = 10_000;
/// Silence after which nothing more is to be expected that was not asked for, in milliseconds.
pub const AUDIT_SILENCE_MS: u64 = 1_000;
/// Octets of a reply beyond which it is none.
pub const AUDIT_REPLY_OCTETS_MAX: usize = 64 * 1024;
/// Characters of a reply that are shown.
pub const AUDIT_SHOWN_CHARS_MAX: usize = 90;
/// Comparisons that one audit makes at the most: what may be false alarms is divided among them.
pub const AUDIT_COMPARISONS_MAX: u32 = 200;
const _: () = assert!(
    AUDIT_SHUFFLES as u64 * AUDIT_FALSE_ALARMS_PER_MILLE as u64 > AUDIT_COMPARISONS_MAX as u64 * 1_000
);
