//! A conversation with a server: what is sent, and the replies that come within a time.

use super::wire::{Wanted, Wire};
use crate::dialog::heard::Ear;
use crate::dialog::live::Heard;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A connection and what it says.
#[derive(Debug)]
pub struct Talk {
    wire: Wire,
    ear: Ear,
}

impl Talk {
    /// Connects within `patience`. The greeting is the first reply.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect(to: SocketAddr, patience: Duration) -> io::Result<Self> {
        Ok(Self::on(Wire::connect(to, patience)?))
    }

    /// Over a connection that stands.
    #[must_use]
    pub fn on(wire: Wire) -> Self {
        Self { wire, ear: Ear::default() }
    }

    /// A handshake: at once for implicit TLS, or after 220 to STARTTLS.
    ///
    /// # Errors
    /// Why it failed, for people.
    pub fn secure(&mut self, wanted: &Wanted<'_>, patience: Duration) -> Result<(), String> {
        match self.ear.rest() {
            [] => self.wire.secure(wanted, after(patience)),
            _ => Err("the server said more in the clear before it".to_owned()),
        }
    }

    /// Whether TLS is up.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        self.wire.is_secured()
    }

    /// Sends octets as they are.
    pub fn send(&mut self, octets: &[u8]) {
        self.wire.send(vec![octets.to_vec()]);
    }

    /// Sends octets in pieces, each a write of its own.
    pub fn send_pieces(&mut self, pieces: Vec<Vec<u8>>) {
        self.wire.send(pieces);
    }

    /// Sends a line and hears its reply.
    pub fn ask(&mut self, line: &str, patience: Duration) -> Heard {
        self.send(format!("{line}\r\n").as_bytes());
        self.listen(patience)
    }

    /// The next reply, or what comes instead of it: [`Heard::Reply`], [`Heard::NoReply`], [`Heard::Ended`] or
    /// [`Heard::Silence`] after `patience`.
    pub fn listen(&mut self, patience: Duration) -> Heard {
        let until = after(patience);
        loop {
            self.ear.hear(&std::mem::take(&mut self.wire.heard));
            match self.ear.reply() {
                Ok(Some(reply)) => return Heard::Reply(reply),
                Ok(None) => {}
                Err(what) => return Heard::NoReply(what),
            }
            if let Some(fault) = &self.wire.fault {
                return Heard::NoReply(fault.clone());
            }
            if self.wire.ended {
                return Heard::Ended(self.ear.rest().to_vec());
            }
            if Instant::now() >= until {
                return Heard::Silence;
            }
            self.wire.turn(until);
        }
    }

    /// The end, and what was said before it; [`Heard::Silence`] if it does not come.
    pub fn end(&mut self, patience: Duration) -> Heard {
        let until = after(patience);
        while !self.wire.ended && Instant::now() < until {
            self.wire.turn(until);
        }
        self.ear.hear(&std::mem::take(&mut self.wire.heard));
        if self.wire.ended { Heard::Ended(self.ear.rest().to_vec()) } else { Heard::Silence }
    }

    /// Closes the sending side.
    pub fn close_sending(&mut self) {
        self.wire.close_sending();
    }

    /// Breaks the connection.
    pub fn reset(self) {
        self.wire.reset();
    }
}

fn after(patience: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(patience).unwrap_or(now)
}
