//! Talks to a server over sockets, as a client that tests it.
#![expect(clippy::disallowed_methods, reason = "who talks to a server waits for it, and not for ever")]

pub mod talk;
pub mod tls;
pub mod wire;
