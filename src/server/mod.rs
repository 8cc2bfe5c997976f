//! The only room that names mio, rustls, sockets, threads, clocks and the randomness of the operating system.
//!
//! Three processes: the [`parent`] reads nothing from the network, binds, starts and restarts the others; the
//! server ([`turn`]) is one thread that decides everything and a store thread that decides nothing; the
//! [`hash_worker`] computes argon2id and has no files and no network.

pub mod bind;
pub mod bodies;
pub mod channel;
mod children;
pub mod clock;
pub mod connection;
mod control_client;
pub mod control_server;
mod control_status;
pub mod desk;
mod entrance;
pub mod hash_worker;
pub mod journal_writer;
mod keeper;
pub mod listener;
pub mod log_thread;
mod logins;
pub mod parent;
pub mod reception;
mod recordings;
mod restarts;
pub mod spool;
pub mod start;
pub mod store_link;
pub mod store_thread;
pub mod timers;
pub mod tls;
pub mod turn;
pub mod wire;

#[cfg(test)]
mod tests;
