//! Every number of gatepost, with its unit in its name.
//!
//! A number that a peer can push against stands here and nowhere else. What can be configured has its
//! default here and its permitted range beside it. Relations between numbers are asserted at compile time.

/// One kibibyte.
const KIB: u64 = 1024;
/// One mebibyte.
const MIB: u64 = 1024 * KIB;

mod audit;
mod import;
mod journal;
mod login;
mod replay;
mod store;

pub use audit::*;
pub use import::*;
pub use journal::*;
pub use login::*;
pub use replay::*;
pub use store::*;

// ---- SMTP, RFC 5321 section 4.5.3 ----

/// Octets of a command line with its CRLF. RFC 5321 asks for 512; MAIL and RCPT parameters and
/// SMTPUTF8 paths add to it (RFC 6531 section 3.3, RFC 4954 section 5), so twice that and more.
pub const COMMAND_LINE_OCTETS_MAX: usize = 2_048;
/// Octets of a line in an AUTH exchange with its CRLF (RFC 4954 section 4).
pub const AUTH_LINE_OCTETS_MAX: usize = 12_288;
/// Octets of a local part (RFC 5321 section 4.5.3.1.1).
pub const LOCAL_PART_OCTETS_MAX: usize = 64;
/// Octets of a domain (RFC 5321 section 4.5.3.1.2).
pub const DOMAIN_OCTETS_MAX: usize = 255;
/// Octets of one label of a domain (RFC 1035 section 2.3.4).
pub const LABEL_OCTETS_MAX: usize = 63;
/// Octets of a path, angle brackets included (RFC 5321 section 4.5.3.1.3).
pub const PATH_OCTETS_MAX: usize = 256;
/// Recipients of one message; RFC 5321 section 4.5.3.1.8 asks for at least 100.
pub const RECIPIENTS_MAX: usize = 1_000;
/// Largest message by default, in octets; announced as SIZE.
pub const MESSAGE_OCTETS_DEFAULT: u64 = 50 * MIB;
/// Smallest value the configuration may give for the largest message (RFC 5321 section 4.5.3.1.7 asks for 64 KiB).
pub const MESSAGE_OCTETS_FLOOR: u64 = 64 * KIB;
/// Largest value the configuration may give for the largest message.
pub const MESSAGE_OCTETS_CEILING: u64 = 1_024 * MIB;
/// Received header fields a message may carry before it is taken for a loop (RFC 5321 section 6.3).
pub const RECEIVED_FIELDS_MAX: u32 = 100;
/// Characters of a HELO or EHLO argument shown in a Received field when it is neither a domain nor an
/// address literal.
pub const CLAIMED_NAME_CHARS_MAX: usize = 128;

// ---- One session ----

/// Commands refused as unknown, malformed or out of order before the session is closed with 421.
pub const SESSION_ERRORS_MAX: u32 = 20;
/// Refused recipients in one session before it is closed with 421.
pub const SESSION_REFUSED_RECIPIENTS_MAX: u32 = 200;
/// Recipients beyond [`RECIPIENTS_MAX`] in one session since the last delivered message before it is closed
/// with 421. They are nobody's guesses: a list that is longer than a message may have comes in several.
pub const SESSION_SURPLUS_RECIPIENTS_MAX: u32 = 10_000;
/// RCPT, DATA and BDAT that came behind a refused MAIL in one session since the last delivered message before
/// it is closed with 421. A client that pipelines sends them before it can know (RFC 2920 section 3.1).
pub const SESSION_REFUSED_SEQUELS_MAX: u32 = 10_000;
/// Commands that bring no message nearer (NOOP, RSET, VRFY, HELP, EHLO again …) since the last delivered
/// message before they count as errors.
pub const SESSION_IDLE_COMMANDS_MAX: u32 = 100;
/// Refused AUTH exchanges in one session.
pub const SESSION_AUTH_FAILURES_MAX: u32 = 3;
/// Silence after which a session is closed (RFC 5321 section 4.5.3.2.7).
pub const IDLE_MS: u64 = 300_000;
/// Shortest silence that may be configured.
pub const IDLE_MS_FLOOR: u64 = 10_000;
/// Longest silence that may be configured.
pub const IDLE_MS_CEILING: u64 = 3_600_000;
/// Silence after which a session is closed while more than four fifths of the places are taken.
pub const IDLE_CROWDED_MS: u64 = 15_000;
/// Longest life of a session that has neither authenticated nor delivered in that time.
pub const SESSION_MS_MAX: u64 = 3_600_000;
/// Time a TLS handshake may take.
pub const HANDSHAKE_MS_MAX: u64 = 30_000;
/// Actions one step of a session may return; a full list pauses the session.
pub const ACTIONS_PER_STEP_MAX: usize = 64;
/// Actions that one line or one piece of a message can cause at the most, a farewell included.
pub const ACTIONS_PER_LINE_MAX: usize = 12;
const _: () = assert!(ACTIONS_PER_LINE_MAX * 2 <= ACTIONS_PER_STEP_MAX);

/// Octets of one overlong line that are thrown away before the session is closed.
pub const SKIPPED_LINE_OCTETS_MAX: u64 = 64 * MIB;

// ---- The loop ----

/// Octets read from one connection in one turn.
pub const READ_OCTETS_PER_TURN: usize = 16 * 1024;
/// Octets of replies waiting for a peer above which the peer is no longer read.
pub const OUTPUT_HIGH_OCTETS: usize = 16 * 1024;
/// Octets of replies waiting below which a peer is read again.
pub const OUTPUT_LOW_OCTETS: usize = 4 * 1024;
/// Connections, all listeners together, by default.
pub const CONNECTIONS_DEFAULT: usize = 4_096;
/// Smallest number of connections that may be configured.
pub const CONNECTIONS_FLOOR: usize = 16;
/// Largest number of connections that may be configured.
pub const CONNECTIONS_CEILING: usize = 65_536;
/// Connections from one IPv4 address or IPv6 /64, by default.
pub const CONNECTIONS_PER_HOST_DEFAULT: usize = 50;
/// Connections from one IPv4 /24 or IPv6 /56, by default.
pub const CONNECTIONS_PER_NET_DEFAULT: usize = 200;
/// Connections accepted from one listener in one turn.
pub const ACCEPTS_PER_TURN: usize = 64;
/// Connections of one listener refused in one turn: deliveries get their turn between so many and the next.
pub const REFUSALS_PER_TURN: usize = 16;
/// How often a lack of descriptors is told at the most.
pub const NO_DESCRIPTOR_TELL_MS: u64 = 60_000;
/// Refused connections kept waiting before they are closed.
pub const HELD_MAX: usize = 1_024;
/// How long a refused connection waits: 200 that come back at once connect 50 times a second.
pub const HELD_MS: u64 = 4_000;
/// Refused connections a second that may end the wait of older ones; above that the newest are closed at once.
pub const HELD_DISPLACED_PER_SECOND_MAX: usize = 256;
/// Octets of unread input, as the kernel is told, for a connection that waits: room for what a TLS client says
/// first, and no more. The kernel doubles it for its own needs.
pub const HELD_RECEIVE_OCTETS: usize = 8 * 1024;
/// The same, when the connection is let in after all.
pub const LET_IN_RECEIVE_OCTETS: usize = 128 * 1024;
/// Connections of one host that ended and brought nothing, in [`VISITS_REMEMBERED_MS`], from which on its next
/// ones wait before they are let in.
pub const FRUITLESS_VISITS_MAX: u32 = 10;
/// The time for which they are remembered; at most twice that.
pub const VISITS_REMEMBERED_MS: u64 = 10_000;
/// Hosts whose visits are counted in that time.
pub const VISITORS_MAX: usize = 4_096;
/// Connections of one host that are let in at a time while it is refused for wrong passwords, after their
/// wait, because they may have an application password.
pub const SIDE_DOOR_PER_HOST: usize = 2;
/// Connections of that kind from everywhere.
pub const SIDE_DOOR_MAX: usize = 64;
/// Time they have to log in.
pub const SIDE_DOOR_MS: u64 = 20_000;
/// Time they have before their place may go to another.
pub const SIDE_DOOR_SAFE_MS: u64 = 5_000;
const _: () = assert!(SIDE_DOOR_SAFE_MS < SIDE_DOOR_MS && SIDE_DOOR_PER_HOST < SIDE_DOOR_MAX);
/// TLS handshake flights processed in one turn. One takes about a millisecond and a delivery five turns, so this
/// is what a crowd at the TLS listeners adds to a delivery; who must wait for another turn loses next to nothing.
pub const HANDSHAKES_PER_TURN: usize = 2;
/// TLS handshake flights processed in one turn for one address or /64 while others wait.
pub const HANDSHAKES_PER_HOST_AND_TURN: usize = 1;
/// Listeners that may be configured: their descriptors travel in one message.
pub const LISTENERS_MAX: usize = CHANNEL_DESCRIPTORS_MAX;
/// Connections waiting in the kernel for accept.
pub const LISTEN_BACKLOG: i32 = 1_024;
/// Time the server waits for running transactions when it is asked to stop.
pub const STOP_GRACE_MS: u64 = 10_000;
/// Longest time of that kind that may be configured.
pub const STOP_GRACE_MS_CEILING: u64 = 300_000;
/// Time the peer has to take the last reply before its socket is closed.
pub const LINGER_MS: u64 = 2_000;
/// Wait after an accept that failed for a lack of something, before the next.
pub const ACCEPT_RETRY_MS: u64 = 100;
/// Descriptors that are none of a connection's: the store's files, listeners, the poll.
pub const DESCRIPTORS_RESERVED: u64 = 256;
/// Silence of the command line on the administrator's socket after which its place is free again.
pub const CONTROL_IDLE_MS: u64 = 60_000;
/// Connections to the administrator's socket.
pub const CONTROL_CONNECTIONS_MAX: usize = 16;
/// Octets of one request on the administrator's socket.
pub const CONTROL_REQUEST_OCTETS_MAX: usize = 256 * 1024;

/// Octets of one answer on the administrator's socket; the raw octets of a message are not counted.
pub const CONTROL_ANSWER_OCTETS_MAX: u64 = 256 * MIB;
/// Time the command line waits for a word of the server on the administrator's socket.
pub const CONTROL_ANSWER_MS_MAX: u64 = 30_000;
/// Time the command line tries again while a server is just starting or stopping.
pub const CONTROL_RETRY_MS_MAX: u64 = 5_000;
/// Octets of a configuration file.
pub const CONFIG_OCTETS_MAX: usize = 1024 * 1024;
/// Octets of a file with a certificate chain or a key. Both travel in one frame, where a line end takes two octets.
pub const PEM_OCTETS_MAX: usize = 192 * 1024;
const _: () = assert!(4 * PEM_OCTETS_MAX < CHANNEL_FRAME_OCTETS_MAX);

// ---- Parent and children ----

/// How often the server tells the parent that its loop turns.
pub const HEARTBEAT_MS: u64 = 1_000;
/// Silence of the server after which the parent ends and restarts it.
pub const HEARTBEAT_SILENCE_MS_MAX: u64 = 30_000;
/// Silence of a server that is not ready yet after which the parent ends it: opening a store after a crash
/// may read its whole journal.
pub const START_SILENCE_MS_MAX: u64 = 600_000;
/// Time beyond its grace period that the server has to leave before the parent ends it.
pub const STOP_EXTRA_MS: u64 = 5_000;
/// Time a leaving process waits for its last log lines to be written.
pub const LOG_FLUSH_MS_MAX: u64 = 1_000;
/// A child that lived shorter than this counts as a failed start.
pub const SHORT_LIFE_MS: u64 = 5_000;
/// First wait after a failed start; doubles with each further one.
pub const RESTART_WAIT_MS_MIN: u64 = 100;
/// Longest wait between two starts.
pub const RESTART_WAIT_MS_MAX: u64 = 10_000;
/// Failed starts in a row after which the parent gives up with exit code 75.
pub const FAILED_STARTS_MAX: u32 = 12;

/// Octets of one message between parent and server; the largest carries certificate and key.
pub const CHANNEL_FRAME_OCTETS_MAX: usize = 1024 * 1024;
/// Descriptors that go with one message, and so listeners that may be configured. Linux passes 253 at once.
pub const CHANNEL_DESCRIPTORS_MAX: usize = 64;
/// Time the other side of the channel may leave it full before it is taken for dead.
pub const CHANNEL_SEND_MS_MAX: u64 = 5_000;

// ---- Directory ----

/// Domains served.
pub const DOMAINS_MAX: usize = 1_000;
/// Accounts.
pub const ACCOUNTS_MAX: usize = 10_000;
/// Application passwords of one account.
pub const CREDENTIALS_PER_ACCOUNT_MAX: usize = 16;
/// Characters of the name of an application password.
pub const CREDENTIAL_NAME_CHARS_MAX: usize = 64;
/// Groups of four characters in an application password, 20 bits each: more than 128 bits.
pub const CREDENTIAL_GROUPS: usize = 7;
const _: () =
    assert!(CREDENTIAL_GROUPS * 20 >= 128 && CREDENTIAL_GROUPS <= 8, "one draw of chance has 8 groups");
/// How far the time of a last login or last use may be behind: a busy mail program costs one write in this time.
pub const HISTORY_STEP_SECONDS: u64 = 3_600;
/// Notices of new places that one account gets in [`NEW_PLACE_NOTICES_SECONDS`].
pub const NEW_PLACE_NOTICES_PER_DAY_MAX: usize = 5;
/// The time that ceiling is for.
pub const NEW_PLACE_NOTICES_SECONDS: u64 = 86_400;
/// Addresses of one account.
pub const ADDRESSES_PER_ACCOUNT_MAX: usize = 100;
/// Aliases.
pub const ALIASES_MAX: usize = 10_000;
/// Members of one alias.
pub const ALIAS_MEMBERS_MAX: usize = 1_000;
/// Aliases inside aliases.
pub const ALIAS_DEPTH_MAX: usize = 8;
/// Accounts that one recipient can lead to.
pub const ALIAS_EXPANSION_MAX: usize = 1_000;
/// Accounts one message may be delivered to, after every alias is expanded.
pub const DELIVERIES_PER_MESSAGE_MAX: usize = 2_000;

// ---- Store ----

/// Octets of a body kept in memory; a larger one goes to a temporary file.
pub const BODY_MEMORY_OCTETS_MAX: usize = 256 * 1024;
/// Octets of bodies kept in memory, all sessions together.
pub const BODY_MEMORY_TOTAL_OCTETS_MAX: usize = 16 * 1024 * 1024;
/// Octets of a stored slice of a body.
pub const BODY_SLICE_OCTETS: usize = 128 * 1024;
/// Octets of one session's body that may wait for the store thread to write them to its temporary file.
pub const SPOOL_WAITING_OCTETS_MAX: usize = 512 * 1024;
/// Octets handed to the store thread at once for a temporary file.
pub const SPOOL_PIECE_OCTETS: usize = 64 * 1024;
/// Octets of all sessions' bodies waiting to be written to temporary files, above which none of them is read.
pub const SPOOL_WAITING_TOTAL_OCTETS_MAX: usize = 16 * 1024 * 1024;
/// Requests waiting for the store thread.
pub const STORE_QUEUE_MAX: usize = 1_024;
/// Messages synced together at the most.
pub const GROUP_MESSAGES_MAX: usize = 256;
/// Octets written in one synced group at the most.
pub const GROUP_OCTETS_MAX: usize = 8 * 1024 * 1024;
/// Time the store may take for a commit before the server gives up and restarts.
pub const STORE_MS_MAX: u64 = 10_000;
/// Time a commit waits for a store that asks for no new mail, before it is answered 451.
pub const STORE_BEHIND_MS_MAX: u64 = 5_000;
/// How often the store thread looks at disk and store while nothing is asked of it.
pub const STORE_IDLE_MS: u64 = 1_000;
/// Time opening the store may take, repair included.
pub const STORE_OPEN_MS_MAX: u64 = 600_000;
/// Octets of free disk that stay free, by default.
pub const DISK_RESERVE_OCTETS_DEFAULT: u64 = 256 * MIB;
/// Largest reserve that may be configured.
pub const DISK_RESERVE_OCTETS_CEILING: u64 = 1_024 * 1_024 * MIB;
/// Octets of block cache.
pub const STORE_CACHE_OCTETS: u64 = 8 * MIB;
/// Octets of one memtable.
pub const STORE_MEMTABLE_OCTETS: u64 = 4 * MIB;
/// Octets of journals that trigger a flush.
pub const STORE_JOURNAL_OCTETS: u64 = 64 * MIB;
const _: () = assert!(STORE_JOURNAL_OCTETS >= 64 * MIB, "the database takes no less");
/// Octets of write buffers above which no new mail is taken.
pub const STORE_WRITE_BUFFER_OCTETS_MAX: u64 = 48 * MIB;
/// Threads of the store that flush and compact.
pub const STORE_WORKERS: usize = 2;
/// Octets of free disk below which the store takes no mail whatever is configured: its flushes and
/// compactions write beside what they replace, and a write that finds the disk full ends the process.
pub const STORE_DISK_FLOOR_OCTETS: u64 = 64 * MIB;
const _: () = assert!(STORE_DISK_FLOOR_OCTETS < DISK_RESERVE_OCTETS_DEFAULT);
/// Table and blob files the store keeps open.
pub const STORE_CACHED_FILES: usize = 128;
/// Memtables of one keyspace waiting for their flush from which no new mail is taken; with one more a
/// commit would sleep in steps of 100 ms.
pub const STORE_SEALED_MEMTABLES_HIGH: usize = 3;
/// Sorted runs in level 0 of one keyspace from which no new mail is taken; a commit is slowed down at 20
/// and sleeps at 30.
pub const STORE_LEVEL0_RUNS_HIGH: usize = 20;
/// Records of a removed account that one step of tidying removes.
pub const TIDY_RECORDS_PER_STEP: usize = 256;
/// Slices of bodies after which a step of tidying takes no further record.
pub const TIDY_SLICES_PER_STEP: usize = 1_024;
/// Slices removed in one batch when a body is given up.
pub const DROP_SLICES_PER_BATCH: usize = 256;
/// Octets read at once from a journal that is checked.
pub const JOURNAL_READ_OCTETS: usize = 64 * 1024;
/// How long a starting server waits for a command that has the store open.
pub const STORE_LOCK_MS_MAX: u64 = 5_000;
/// How often it looks whether the store is free.
pub const STORE_LOCK_RETRY_MS: u64 = 50;
/// Rows of a list that one answer of the store carries.
pub const LIST_ROWS_PER_PAGE: usize = 500;

// ---- Log ----

/// Octets of a log line with its line feed.
pub const LOG_LINE_OCTETS_MAX: usize = 512;
/// Characters of a login name in a log line.
pub const LOG_LOGIN_CHARS_MAX: usize = 64;
/// Octets of lines waiting for standard error.
pub const LOG_QUEUE_OCTETS_MAX: usize = 256 * 1024;
/// Octets that all lines which peers can cause may have in any minute, whatever kinds they are of.
pub const LOG_PEERS_OCTETS_PER_MINUTE_MAX: usize = 64 * 1024;
/// Octets of lines about hostile events in any minute. As with the classes below, half of it can be spent at
/// once, and the other half comes back evenly over a minute.
pub const LOG_HOSTILE_OCTETS_PER_MINUTE_MAX: usize = 20 * 1024;
/// Octets of first lines about networks not heard of before, when those above are spent, in any minute.
pub const LOG_FIRST_SIGHT_OCTETS_PER_MINUTE_MAX: usize = 4 * 1024;
/// Octets of lines about logins that succeeded in any minute.
pub const LOG_LOGINS_OCTETS_PER_MINUTE_MAX: usize = 6 * 1024;
/// Octets of lines about mail that was taken in any minute.
pub const LOG_MAIL_OCTETS_PER_MINUTE_MAX: usize = 16 * 1024;
/// Octets of lines about trouble of ours that a peer ran into, in any minute.
pub const LOG_TROUBLE_OCTETS_PER_MINUTE_MAX: usize = 4 * 1024;
/// The same, written by threads other than the one that decides.
pub const LOG_DIRECT_OCTETS_PER_MINUTE_MAX: usize = 2 * 1024;
/// Octets of what libraries have to say in any minute.
pub const LOG_LIBRARY_OCTETS_PER_MINUTE_MAX: usize = 4 * 1024;
/// Octets of lines about the store and about administrators' acts in any minute. No peer can spend them.
pub const LOG_OPERATION_OCTETS_PER_MINUTE_MAX: usize = 128 * 1024;
/// Kinds of lines that rollups tell apart; see `telemetry::kind`.
pub const LOG_KINDS: usize = 11;
/// Octets of a line of a rollup, with its line feed.
pub const LOG_ROLLUP_LINE_OCTETS_MAX: usize = 96;
/// Octets of the rollups of a minute.
pub const LOG_ROLLUP_OCTETS_PER_MINUTE_MAX: usize =
    LOG_KINDS * (1 + LOG_WORST_LINES_PER_MINUTE) * LOG_ROLLUP_LINE_OCTETS_MAX;
const _: () = assert!(
    LOG_HOSTILE_OCTETS_PER_MINUTE_MAX
        + LOG_FIRST_SIGHT_OCTETS_PER_MINUTE_MAX
        + LOG_LOGINS_OCTETS_PER_MINUTE_MAX
        + LOG_MAIL_OCTETS_PER_MINUTE_MAX
        + LOG_TROUBLE_OCTETS_PER_MINUTE_MAX
        + LOG_DIRECT_OCTETS_PER_MINUTE_MAX
        + LOG_LIBRARY_OCTETS_PER_MINUTE_MAX
        + LOG_ROLLUP_OCTETS_PER_MINUTE_MAX
        < LOG_PEERS_OCTETS_PER_MINUTE_MAX
);
/// Networks (IPv4 /24, IPv6 /56) that a generation of those already heard of holds; there are two generations.
pub const LOG_SEEN_NETWORKS_PER_GENERATION: usize = 2_048;
/// Octets of one quoted value in a log line, escapes included.
pub const LOG_TEXT_OCTETS_MAX: usize = 224;
/// Characters of the name a library gives itself in a log line.
pub const LOG_TARGET_CHARS_MAX: usize = 64;
/// Time without a refusal for want of space, and between two lines about it, before the log says that there is
/// room again.
pub const LOG_DISK_CALM_MS: u64 = 60_000;
/// The time a log budget is for.
pub const LOG_MINUTE_MS: u64 = 60_000;
/// Sources of suppressed lines that are told apart.
pub const LOG_WORST_ADDRESSES: usize = 64;
/// Sources of suppressed lines of a kind that are named when a minute is over.
pub const LOG_WORST_LINES_PER_MINUTE: usize = 5;

// ---- Dialogue files ----

/// Octets of a dialogue file.
pub const DIALOG_FILE_OCTETS_MAX: usize = 64 * 1024 * 1024;
/// Octets that all counted runs of a dialogue file may grow to.
pub const DIALOG_EXPANDED_OCTETS_MAX: usize = 64 * 1024 * 1024;
/// Sessions of one dialogue file.
pub const DIALOG_SESSIONS_MAX: u8 = 99;
/// Longest time that one line of a dialogue file can let pass.
pub const DIALOG_PASS_MS_MAX: u64 = 1_000 * 24 * 3_600_000;
/// Octets of a line of a reply that a dialogue hears from a server, with its CRLF (RFC 5321 section 4.5.3.1.5).
pub const HEARD_REPLY_LINE_OCTETS_MAX: usize = 512;
/// Lines of one reply that a dialogue hears from a server; no server has that many extensions.
pub const HEARD_REPLY_LINES_MAX: usize = 128;

// ---- The sum ----

/// Octets one connection can hold at the most, its envelope not counted: input not used, replies not taken
/// with those of one more step, a line, and what rustls buffers in both directions.
pub const CONNECTION_OCTETS_MAX: usize = 2 * 1024
    + READ_OCTETS_PER_TURN
    + OUTPUT_HIGH_OCTETS
    + ACTIONS_PER_STEP_MAX * 512
    + AUTH_LINE_OCTETS_MAX
    + 4 * 18 * 1024;
/// Octets one copy takes in an envelope: a recipient and what belongs to it. An envelope names no account
/// twice, so it has no more of them than there are accounts.
pub const DELIVERY_OCTETS_MAX: usize = PATH_OCTETS_MAX + 64;
/// Octets that all connections share: bodies, what waits for the disk, the store, the log.
pub const SHARED_OCTETS_MAX: u64 = BODY_MEMORY_TOTAL_OCTETS_MAX as u64
    + SPOOL_WAITING_TOTAL_OCTETS_MAX as u64
    + GROUP_OCTETS_MAX as u64
    + STORE_CACHE_OCTETS
    + STORE_WRITE_BUFFER_OCTETS_MAX
    + LOG_QUEUE_OCTETS_MAX as u64
    + JOURNAL_ARENA_OCTETS as u64
    + (CONTROL_CONNECTIONS_MAX * (CONTROL_REQUEST_OCTETS_MAX + 2 * BODY_SLICE_OCTETS)) as u64;
