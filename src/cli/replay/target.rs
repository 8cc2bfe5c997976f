//! The doors of a server that is tried.

use crate::cli::arguments::replay::Target;
use crate::cli::failure::{Exit, Failure, reason};
use crate::cli::live::talk::Talk;
use crate::contract::Listener;
use crate::limits::REPLAY_PATIENCE_MS;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

/// Where to connect.
#[derive(Debug, Clone, Copy)]
pub struct Doors {
    smtp: SocketAddr,
    submission: Option<SocketAddr>,
    submissions: Option<SocketAddr>,
}

impl Doors {
    /// Finds them, and that each can be connected to.
    ///
    /// # Errors
    /// What is no `HOST:PORT`, a host that is not this machine, a door at which nobody answers.
    pub fn find(target: &Target) -> Result<Self, Failure> {
        let door = |text: &String| door(text, target.is_own_host);
        Ok(Self {
            smtp: door(&target.smtp)?,
            submission: target.submission.as_ref().map(door).transpose()?,
            submissions: target.submissions.as_ref().map(door).transpose()?,
        })
    }

    /// The address of a door, if it was given.
    #[must_use]
    pub fn of(&self, listener: Listener) -> Option<SocketAddr> {
        match listener {
            Listener::Smtp => Some(self.smtp),
            Listener::Submission => self.submission,
            Listener::Submissions => self.submissions,
        }
    }
}

fn door(text: &str, is_own_host: bool) -> Result<SocketAddr, Failure> {
    let wrong =
        || Failure::new(Exit::Usage, format!("{text:?}: HOST:PORT is wanted, such as 127.0.0.1:2525"));
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse::<u16>().map_err(|_| wrong())?;
    let found = (host, port).to_socket_addrs().map_err(|error| {
        Failure::new(Exit::Unavailable, format!("cannot find the host {host:?}: {}", reason(&error)))
    })?;
    let found: Vec<SocketAddr> = found.collect();
    if !is_own_host && !found.iter().all(|address| address.ip().to_canonical().is_loopback()) {
        let what = format!(
            "{host} is not this machine: attacks are played against servers of one's own alone; if it is yours, \
             give --i-own-this-host"
        );
        return Err(Failure::new(Exit::Usage, what));
    }
    let mut last = format!("the host {host:?} has no address");
    // A name of this machine often has an address of IPv6 at which nothing listens.
    for address in found {
        match Talk::connect(address, Duration::from_millis(REPLAY_PATIENCE_MS)) {
            Ok(_) => return Ok(address),
            Err(error) => last = format!("cannot connect to {address}: {}", reason(&error)),
        }
    }
    Err(Failure::new(Exit::Unavailable, last))
}
