//! The built binary, command by command, without a running server.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail loudly, and has doors to the world"
)]

mod changes;
mod configuration;
mod credential;
mod import_log;
mod journal;
mod localserve;
mod mail;
mod password;
mod replay;
mod report;
mod running;
mod server;
mod status;
mod throttle;
mod verify;
mod world;
