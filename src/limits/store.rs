//! The limits of noticing what the store lost.

/// Acknowledged commits of which each keeps a record of its number, so that a hole is seen. Larger than what can
/// lie unflushed in the database's write buffers, which is what a damaged journal can lose.
pub const COMMITS_REMEMBERED: u32 = 65_536;
/// Commits after which the counter outside the database is synced even if the store is never idle.
pub const COUNTER_UNSYNCED_MAX: u32 = 64;
/// Stretches of lost commits that are told one by one; the others are summed.
pub const LOST_TOLD_MAX: usize = 16;
/// Records looked at in one step of `gatepost verify`.
pub const VERIFY_ROWS_PER_STEP: usize = 256;
/// Octets of bodies after which a step of `gatepost verify` ends.
pub const VERIFY_OCTETS_PER_STEP: usize = 1024 * 1024;
/// Findings of one kind that `gatepost verify` prints one by one; all are counted.
pub const VERIFY_FINDINGS_PER_KIND: usize = 100;
