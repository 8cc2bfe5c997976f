//! Configuration as meant: complete, in range, nothing left to interpret.

use crate::contract::Listener;
use crate::types::Domain;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerConfig {
    /// Which door.
    pub kind: Listener,
    /// Where.
    pub address: SocketAddr,
}

/// Everything the server needs to know. The parent reads it and passes it on; the server opens no
/// configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The name the server greets with and writes into Received fields.
    pub hostname: Domain,
    /// The data directory.
    pub data_dir: PathBuf,
    /// The doors; at least one.
    pub listeners: Vec<ListenerConfig>,
    /// Where certificate chain and key are (PEM). `None`: no TLS, and no submission then.
    pub tls: Option<TlsFiles>,
    /// Octets of the largest message.
    pub message_octets_max: u64,
    /// Connections, all listeners together.
    pub connections_max: usize,
    /// Connections from one IPv4 address or IPv6 /64.
    pub connections_per_host_max: usize,
    /// Connections from one IPv4 /24 or IPv6 /56.
    pub connections_per_net_max: usize,
    /// Octets of free disk that stay free.
    pub disk_reserve_octets: u64,
    /// Milliseconds of silence after which a session is closed.
    pub idle_ms: u64,
    /// Milliseconds running transactions have when the server stops.
    pub stop_grace_ms: u64,
}

/// Where the certificate is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFiles {
    /// Certificate chain, PEM, leaf first.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}
