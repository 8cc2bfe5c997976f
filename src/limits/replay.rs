//! The limits of `gatepost replay`.

/// Sessions a second that are begun with a server that is tried.
pub const REPLAY_RATE_DEFAULT: u32 = 20;
/// Most sessions a second that may be asked for.
pub const REPLAY_RATE_MAX: u32 = 1_000;
/// Sessions in all with a server that is tried.
pub const REPLAY_SESSIONS_DEFAULT: u32 = 1_000;
/// Most sessions in all that may be asked for.
pub const REPLAY_SESSIONS_MAX: u32 = 100_000;
/// Milliseconds that a server that is tried may take for a connection, a reply or an end.
pub const REPLAY_PATIENCE_MS: u64 = 15_000;
/// Milliseconds for which a server is listened to that must say nothing more.
pub const REPLAY_QUIET_MS: u64 = 50;
/// Replies that say no after which a server that is tried may end a session without a word.
pub const REPLAY_REFUSALS_BEFORE_END: u32 = 10;
/// An answer that takes longer than so many milliseconds is slow.
pub const REPLAY_SLOW_MS: u64 = 5_000;
/// Fewest samples of each kind of name for which times are compared.
pub const REPLAY_TIMING_SAMPLES_MIN: usize = 20;
/// From this share of pairs in thousandths on (the area under the curve, or its mirror), times tell names apart.
pub const REPLAY_TIMING_AUC_PER_MILLE: u32 = 800;
/// Medians that are nearer than so many milliseconds tell nothing that a network would not hide.
pub const REPLAY_TIMING_GAP_MS: u64 = 10;
/// Lines around a difference that are shown.
pub const REPLAY_CONTEXT_LINES: usize = 3;
/// Findings of one kind that are shown for people.
pub const REPLAY_FINDINGS_SHOWN: usize = 20;
