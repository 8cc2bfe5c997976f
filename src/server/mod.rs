//! The only room that names mio, rustls, sockets, threads, clocks and the randomness of the operating system.
//!
//! Three processes: the [`parent`] reads nothing from the network, binds, starts and restarts the others; the
//! server ([`turn`]) is one thread that decides everything and a store thread that decides nothing; the
//! [`hash_worker`] computes argon2id and has no files and no network.

pub mod bind;
pub mod channel;
mod children;
pub mod hash_worker;
pub mod log_thread;
pub mod parent;
mod restarts;
pub mod turn;
