//! The limits of logins: hashing, SCRAM, the report and the throttle.

use super::*;

// ---- Password hashing ----

/// argon2id memory in KiB.
pub const ARGON2_MEMORY_KIB: u32 = 19 * 1024;
/// argon2id passes.
pub const ARGON2_PASSES: u32 = 2;
/// argon2id lanes.
pub const ARGON2_LANES: u32 = 1;
/// Octets of an argon2id salt.
pub const ARGON2_SALT_OCTETS: usize = 16;
/// Octets of an argon2id tag.
pub const ARGON2_TAG_OCTETS: usize = 32;
/// Largest argon2id memory in KiB that a stored hash may ask for.
pub const ARGON2_MEMORY_KIB_MAX: u32 = 64 * 1024;
/// Most argon2id passes that a stored hash may ask for.
pub const ARGON2_PASSES_MAX: u32 = 8;
/// Most argon2id lanes that a stored hash may ask for.
pub const ARGON2_LANES_MAX: u32 = 4;
/// Fewest octets of a stored hash's salt (RFC 9106 section 3.1).
pub const ARGON2_SALT_OCTETS_MIN: usize = 8;
/// Most octets of a stored hash's salt.
pub const ARGON2_SALT_OCTETS_MAX: usize = 64;
/// Fewest octets of a stored hash's tag.
pub const ARGON2_TAG_OCTETS_MIN: usize = 16;
/// Most octets of a stored hash's tag.
pub const ARGON2_TAG_OCTETS_MAX: usize = 64;
const _: () = assert!(ARGON2_MEMORY_KIB <= ARGON2_MEMORY_KIB_MAX && ARGON2_PASSES <= ARGON2_PASSES_MAX);
/// Octets of a password; a longer one is refused like a wrong one, with the same work.
pub const PASSWORD_OCTETS_MAX: usize = 1_024;
/// Characters of a password an account may be given.
pub const PASSWORD_CHARS_MIN: usize = 10;
/// Octets of the PHC string of a password hash.
pub const PHC_OCTETS_MAX: usize = 256;
/// Octets of a login name that are looked at; a longer one is malformed.
pub const LOGIN_OCTETS_MAX: usize = LOCAL_PART_OCTETS_MAX + 1 + DOMAIN_OCTETS_MAX;
/// Password checks waiting for the hash worker.
pub const HASH_QUEUE_MAX: usize = 32;
/// Places of those that networks without failures and all others may fill together; the rest is for networks
/// where a login succeeded.
pub const HASH_QUEUE_CLEAN_MAX: usize = 24;
/// Places of those that networks with failures may fill.
pub const HASH_QUEUE_OTHERS_MAX: usize = 16;
const _: () = assert!(HASH_QUEUE_OTHERS_MAX < HASH_QUEUE_CLEAN_MAX && HASH_QUEUE_CLEAN_MAX < HASH_QUEUE_MAX);
/// Checks of known networks served in a row while others wait.
pub const HASH_KNOWN_IN_A_ROW_MAX: usize = 3;
/// Password checks waiting from one IPv4 /24 or IPv6 /56.
pub const HASH_QUEUE_PER_PREFIX_MAX: usize = 4;
/// Time after which a hash that was not answered is given up and the worker is replaced.
pub const HASH_MS_MAX: u64 = 10_000;
/// Octets of one job on the hash worker's socket: a head of 25, then password, salt and tag.
pub const HASH_JOB_OCTETS_MAX: usize =
    25 + PASSWORD_OCTETS_MAX + ARGON2_SALT_OCTETS_MAX + ARGON2_TAG_OCTETS_MAX;
/// Idle time after which the hash worker gives its memory back.
pub const HASH_MEMORY_IDLE_MS: u64 = 3_000;
/// How much the hash worker yields to others (the `nice` value it adds to its own).
pub const HASH_NICE: i32 = 10;
/// Rounds of PBKDF2-HMAC-SHA-256 for every SCRAM key of this server, real or not. A client computes them at
/// each login, so it is no larger than what a phone bears.
pub const SCRAM_ITERATIONS: u32 = 600_000;
/// Fewest rounds that RFC 7677 section 4 allows.
pub const SCRAM_ITERATIONS_MIN: u32 = 4_096;
/// Most rounds that the hash worker is asked for.
pub const SCRAM_ITERATIONS_MAX: u32 = 2_000_000;
const _: () = assert!(SCRAM_ITERATIONS >= SCRAM_ITERATIONS_MIN && SCRAM_ITERATIONS <= SCRAM_ITERATIONS_MAX);
/// Octets of a SCRAM salt.
pub const SCRAM_SALT_OCTETS: usize = 16;
/// Octets of a client's message with its base64 undone; a longer one is malformed. Proofs are hashed by the
/// loop, [`SCRAM_KEYS_TRIED`] times each, so they stay short.
pub const SCRAM_MESSAGE_OCTETS_MAX: usize = 2_048;
/// Octets of a client's nonce; a longer one is malformed.
pub const SCRAM_NONCE_OCTETS_MAX: usize = 256;
/// Octets of chance in the server's part of a nonce.
pub const SCRAM_NONCE_CHANCE_OCTETS: usize = 24;
/// Stored keys that a proof is tried against, always exactly so many: real ones first, decoys for the rest.
pub const SCRAM_KEYS_TRIED: usize = CREDENTIALS_PER_ACCOUNT_MAX + 1;
/// SCRAM keys of one account, all its addresses and credentials together; the oldest go.
pub const SCRAM_KEYS_PER_ACCOUNT_MAX: usize = 64;
/// Accounts whose SCRAM keys wait to be made by the hash worker; a further one is left for its next login.
pub const SCRAM_ENROL_QUEUE_MAX: usize = 8;
/// Time after which keys that still wait to be made are left for the next login, so that no password is held longer.
pub const SCRAM_ENROL_WAIT_MS_MAX: u64 = 60_000;
/// Addresses of an account that get SCRAM keys at once when an administrator sets its password; each takes a
/// quarter of a second. The others get theirs at their first login with PLAIN.
pub const SCRAM_ENROL_ADDRESSES_MAX: usize = 4;
/// A refused login is answered no sooner than this after it was asked.
pub const REFUSAL_MS_MIN: u64 = 500;
/// Refused logins are answered only at multiples of this.
pub const REFUSAL_TICK_MS: u64 = 100;
const _: () = assert!(REFUSAL_MS_MIN.is_multiple_of(REFUSAL_TICK_MS));

// ---- Report of logins ----

/// Seconds of a day.
pub const DAY_SECONDS: u64 = 86_400;
/// Days that the report goes back, by default.
pub const REPORT_DAYS_DEFAULT: u64 = 30;
/// Most days of that kind that may be configured.
pub const REPORT_DAYS_CEILING: u64 = 365;
/// Sources told apart on one day; a source that makes more than one in so many logins is among them.
pub const REPORT_SOURCES_PER_DAY: usize = 112;
/// Login names told apart on one day.
pub const REPORT_LOGINS_PER_DAY: usize = 64;
/// Accounts and places of logins that succeeded, told apart on one day.
pub const REPORT_SUCCESSES_PER_DAY: usize = 48;
/// Reasons, and mechanisms, told apart on one day; there are fewer.
pub const REPORT_WORDS_PER_DAY: usize = 32;
/// Octets of a login name in the report.
pub const REPORT_NAME_OCTETS_MAX: usize = 64;
/// Octets of one day in the store; a longer one is not read.
pub const REPORT_DAY_OCTETS_MAX: usize = 64 * 1024;
/// Logins of an account that failed in a period, from which on it is under attack.
pub const REPORT_ATTACK_FAILURES: u64 = 20;
/// Failures from a place before a login succeeds there, from which on that is worth a look.
pub const REPORT_FAILURES_BEFORE_SUCCESS: u64 = 5;
/// New sources, and new login names, that are named on top of the report.
pub const REPORT_NEW_ROWS: usize = 10;
/// Days of a report when nobody says otherwise.
pub const REPORT_PERIOD_DAYS: u32 = 7;
/// The report is written no more often than this while something changes.
pub const REPORT_SAVE_MS: u64 = 60_000;

// ---- Throttle ----

/// The first moment of a process, in milliseconds: no refusal that is taken up from the last one is older.
pub const CLOCK_ORIGIN_MS: u64 = 24 * 3_600_000;
const _: () = assert!(CLOCK_ORIGIN_MS > THROTTLE_MS * LEVEL_PER_LIMIT_MAX);

/// The time a limit of the throttle is for: a full level is empty again after so long.
pub const THROTTLE_MS: u64 = 3_600_000;
/// Wrong passwords an hour from one IPv4 address or IPv6 /64, by default.
pub const GUESSES_PER_HOST_DEFAULT: u32 = 20;
/// Wrong passwords an hour from one IPv4 /24 or IPv6 /56, by default.
pub const GUESSES_PER_NET_DEFAULT: u32 = 100;
/// Wrong passwords an hour from one IPv6 /48, by default.
pub const GUESSES_PER_WIDE_DEFAULT: u32 = 200;
/// Wrong passwords an hour for one login from everywhere, by default.
pub const GUESSES_PER_LOGIN_DEFAULT: u32 = 1_000;
/// Wrong passwords an hour for one login from a network where it succeeded before.
pub const GUESSES_PER_PLACE_MAX: u32 = 100;
/// First tries an hour for a login over its limit, from networks without failures.
pub const CHANCES_PER_LOGIN_MAX: u32 = 600;
/// Largest of these limits that may be configured.
pub const GUESSES_CEILING: u32 = 1_000_000;
/// A wrong password, in thousandths of a guess.
pub const GUESS_MILLIS: u64 = 1_000;
/// The same wrong password again, for the same login and from the same host, in thousandths of a guess: a
/// mail program with an old password may try every two seconds.
pub const REPEAT_MILLIS: u64 = 10;
/// Wrong passwords of one host that are known again.
pub const REPEATS_KNOWN: usize = 4;
/// A level rises no higher than so many times its limit, so that no refusal lasts longer than an hour and a
/// half after the last failure.
pub const LEVEL_PER_LIMIT_MAX: u64 = 2;
/// Entries of one set of a table of the throttle.
pub const THROTTLE_WAYS: usize = 8;
/// Sets for hosts in the login book.
pub const THROTTLE_HOST_SETS: usize = 1_024;
/// Sets for networks in the login book.
pub const THROTTLE_NET_SETS: usize = 256;
/// Sets for IPv6 /48 in the login book.
pub const THROTTLE_WIDE_SETS: usize = 128;
/// Sets for logins.
pub const THROTTLE_LOGIN_SETS: usize = 256;
/// Sets for failures at places where the login succeeded before.
pub const THROTTLE_PLACE_SETS: usize = 64;
/// Sets for the last failures of a host, kept for explanations.
pub const THROTTLE_EVIDENCE_SETS: usize = 64;
/// Sets for the last failures of a login, kept for explanations.
pub const THROTTLE_LOGIN_EVIDENCE_SETS: usize = 32;
/// Sets for hosts in the mail book.
pub const THROTTLE_MAIL_SETS: usize = 512;
/// Failures of one host kept for explanations.
pub const EVIDENCE_PER_HOST_MAX: usize = 4;
/// Failures of one login kept for explanations.
pub const EVIDENCE_PER_LOGIN_MAX: usize = 8;
/// Known places of one login; the oldest goes.
pub const PLACES_PER_LOGIN_MAX: usize = 32;
/// Known places of all logins; the oldest goes.
pub const PLACES_MAX: usize = 8_192;
/// Time after the last success in a network during which none of its hosts is refused at connect, in seconds.
pub const HOME_SECONDS: u64 = 30 * 24 * 3_600;
/// Heavy offenders kept over a restart.
pub const THROTTLE_KEPT_MAX: usize = 2_048;
/// Largest record of them that is read: a few hundred octets for each.
pub const THROTTLE_KEPT_OCTETS_MAX: usize = 1_024 * 1_024;
/// That record is written no more often than this while failures are added, in milliseconds.
pub const THROTTLE_SAVE_MS: u64 = 60_000;
/// And no more often than this when somebody is refused who was not before, or was forgiven, in milliseconds:
/// what is younger can be forgotten by a crash.
pub const THROTTLE_SAVE_SOON_MS: u64 = 5_000;
/// Longest delay of a refused login on account of its source's record.
pub const LOGIN_DELAY_MS_MAX: u64 = 3_000;
const _: () = assert!(LOGIN_DELAY_MS_MAX.is_multiple_of(REFUSAL_TICK_MS));

/// Points of the mail book that are forgotten in an hour; a score is twice that at the most.
pub const MAIL_SCORE_PER_HOUR: u32 = 50;
/// A recipient at RCPT that is not there, in points. A list that was not tended has many.
pub const MAIL_UNKNOWN_RECIPIENT_POINTS: u64 = 1;
/// VRFY or EXPN: nobody who delivers mail says it.
pub const MAIL_VRFY_POINTS: u64 = 2;
/// A line that is no command.
pub const MAIL_GARBAGE_POINTS: u64 = 2;
/// A recipient elsewhere.
pub const MAIL_RELAY_POINTS: u64 = 5;
/// AUTH where it is not offered.
pub const MAIL_AUTH_POINTS: u64 = 5;
/// Talk before the greeting.
pub const MAIL_EARLY_TALK_POINTS: u64 = 5;
/// The octets of another protocol: HTTP, TLS or SSH.
pub const MAIL_OTHER_PROTOCOL_POINTS: u64 = 20;
/// What an accepted recipient pays back, in points: who delivers to one in three is never slowed.
pub const MAIL_ACCEPTED_POINTS: u64 = 2;
/// Score from which a source is slowed.
pub const MAIL_SLOW_POINTS: u64 = 5;
/// Wait before the greeting for a source with such a score.
pub const MAIL_BANNER_MS: u64 = 2_000;
/// Delay of each reply for each point above that.
pub const MAIL_REPLY_MS_PER_POINT: u64 = 50;
/// Longest delay of a reply: far below the five minutes a client waits (RFC 5321 section 4.5.3.2).
pub const MAIL_REPLY_MS_MAX: u64 = 3_000;
/// Scores, and the connections at once that are left from each on.
pub const MAIL_CONNECTIONS: [(u64, usize); 3] = [(80, 2), (50, 4), (20, 10)];
