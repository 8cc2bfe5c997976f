//! One client of the administrator's socket: its octets, and what it waits for.

use crate::control::{Refusal, Response};
use crate::limits::CONTROL_REQUEST_OCTETS_MAX;
use crate::types::{MailId, Moment};
use mio::net::UnixStream;
use std::io::{self, ErrorKind, Read, Write};

/// Octets read from a client at once.
const READ_OCTETS: usize = 8 * 1024;

/// What a client waits for.
#[derive(Debug)]
pub(super) enum Busy {
    /// Its next request.
    No,
    /// Its change.
    Change,
    /// A page of so many messages.
    List(usize),
    /// A message, or a step of looking at everything.
    Find,
    /// The slices of a message.
    Show(Show),
}

/// A message on its way to a client.
#[derive(Debug)]
pub(super) struct Show {
    pub(super) body: MailId,
    pub(super) next: u32,
    pub(super) slices: u32,
    pub(super) octets_left: u64,
    pub(super) asked: bool,
}

/// The client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: UnixStream,
    pub(super) input: Vec<u8>,
    pub(super) output: Vec<u8>,
    pub(super) sent: usize,
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) ended: bool,
    /// It is to be dropped once everything is sent.
    pub(super) last: bool,
    pub(super) busy: Busy,
    pub(super) active: Moment,
}

impl Client {
    pub(super) fn waits_for_peer(&self) -> bool {
        match &self.busy {
            Busy::No => true,
            Busy::Show(show) => !show.asked,
            Busy::Change | Busy::List(_) | Busy::Find => false,
        }
    }

    pub(super) fn say(&mut self, response: &Response) {
        match serde_json::to_vec(response) {
            Ok(mut line) => {
                self.output.append(&mut line);
                self.output.push(b'\n');
            }
            // Nothing in a response can fail to be written; if it does, the client sees the connection end.
            Err(_) => self.last = true,
        }
    }

    /// Says it, and is free for the next request.
    pub(super) fn answer(&mut self, response: &Response) {
        self.say(response);
        self.busy = Busy::No;
    }

    pub(super) fn refuse(&mut self, refusal: Refusal, why: String) {
        self.answer(&Response::Refused(refusal, why));
    }

    /// The next request, reading as far as is needed for it.
    pub(super) fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut looked = 0;
        loop {
            let fresh = self.input.get(looked..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', fresh) {
                let end = looked.saturating_add(end);
                let rest = self.input.get(end.saturating_add(1)..).unwrap_or_default().to_vec();
                let mut line = std::mem::replace(&mut self.input, rest);
                line.truncate(end);
                return Ok(Some(line));
            }
            looked = self.input.len();
            if looked > CONTROL_REQUEST_OCTETS_MAX {
                self.refuse(Refusal::Data, "the command is longer than the server takes".into());
                self.last = true;
                self.input = Vec::new();
                return Ok(None);
            }
            if !self.readable || self.ended {
                return Ok(None);
            }
            let mut piece = [0; READ_OCTETS];
            match self.stream.read(&mut piece) {
                Ok(0) => self.ended = true,
                Ok(count) => self.input.extend_from_slice(piece.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.writable {
            let rest = self.output.get(self.sent..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.sent = self.sent.saturating_add(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.sent >= self.output.len() {
            self.output = Vec::new();
            self.sent = 0;
        }
        Ok(())
    }
}
