//! Messages between parent and server over a socketpair, with descriptors beside them.

use crate::config::checked::Config;
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;

/// From the parent to the server. Descriptors travel with the message, in the order said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToServer {
    /// The first message: everything to start with. Descriptors: one bound and listening socket for each of
    /// `config.listeners`, in that order.
    Start {
        /// The checked configuration.
        config: Box<Config>,
        /// Contents of the certificate file (PEM).
        certificate_pem: Option<String>,
        /// Contents of the key file (PEM).
        key_pem: Option<String>,
    },
    /// A hash worker is up. Descriptor: the socket to it.
    Worker,
    /// Leave: no new connections, a grace period for running transactions, then exit.
    Stop,
}

/// From the server to the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToParent {
    /// The store is open and connections are accepted.
    Ready,
    /// The loop turns.
    Alive,
    /// The hash worker does not answer: end it and start another.
    WorkerLate,
}

/// A message and the descriptors that came with it.
#[derive(Debug)]
pub struct Received<M> {
    /// What was said.
    pub message: M,
    /// What was passed.
    pub descriptors: Vec<OwnedFd>,
}
