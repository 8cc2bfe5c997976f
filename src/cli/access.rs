//! The way to the data: through the running server if there is one, otherwise by opening the store. Commands
//! do not know which.
#![expect(clippy::disallowed_methods, reason = "the command line waits for a server that is just starting")]

use super::direct::Direct;
use super::failure::{Exit, Failure};
use super::place::Begin;
use super::remote::Remote;
use super::{identity, place};
use crate::control::{Request, Response};
use crate::limits::CONTROL_RETRY_MS_MAX;
use crate::store::StoreError;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// What a command will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Look, and leave every file as it is.
    Read,
    /// Change what is there.
    Write,
    /// Change it, and begin it if it is not there.
    Create(Begin),
}

/// The way to the data.
#[derive(Debug)]
pub enum Access {
    /// A server runs.
    Running(Remote),
    /// None does.
    Direct(Box<Direct>),
}

impl Access {
    /// Finds the way. As root it becomes the directory's owner first.
    ///
    /// # Errors
    /// When the directory is not there or not ours, or cannot be opened; exit 75 when somebody else has it open
    /// and does not answer.
    pub fn open(dir: &Path, intent: Intent) -> Result<Self, Failure> {
        identity::become_owner_of(dir)?;
        match intent {
            Intent::Read | Intent::Write => place::must_be_ours(dir)?,
            Intent::Create(begin) => {
                if place::make(dir, begin)? {
                    super::output::tell(&format!("{} is a new data directory", dir.display()));
                }
            }
        }
        let deadline = Instant::now().checked_add(Duration::from_millis(CONTROL_RETRY_MS_MAX));
        loop {
            if let Some(remote) = Remote::connect(dir)? {
                return Ok(Self::Running(remote));
            }
            match Direct::open(dir, intent) {
                Ok(direct) => return Ok(Self::Direct(Box::new(direct))),
                // A server that is starting has the store before the socket; one that stops has it after.
                Err(StoreError::Locked) if deadline.is_some_and(|deadline| Instant::now() < deadline) => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(error) => return Err(Failure::of_store(dir, &error)),
            }
        }
    }

    /// Asks, and turns a refusal into a failure.
    ///
    /// # Errors
    /// When it was refused or could not be asked.
    pub fn ask(&mut self, request: &Request) -> Result<Response, Failure> {
        let response = match self {
            Self::Running(remote) => remote.ask(request)?,
            Self::Direct(direct) => direct.ask(request)?,
        };
        match response {
            Response::Refused(refusal, why) => Err(Failure::of_refusal(refusal, why)),
            other @ (Response::Changed { .. }
            | Response::Directory(_)
            | Response::ReportDay(_)
            | Response::ScramSalts(..)
            | Response::Messages { .. }
            | Response::Message(_)
            | Response::Explained(_)
            | Response::Verified(_)
            | Response::NoThrottle
            | Response::Status(_)) => Ok(other),
        }
    }

    /// Copies the message that the last answer announced.
    ///
    /// # Errors
    /// When it cannot be read to its end, or `out` takes no more.
    pub fn copy_message(&mut self, octets: u64, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::Running(remote) => remote.copy_message(octets, out),
            Self::Direct(direct) => direct.copy_message(octets, out),
        }
    }
}

/// An answer that does not belong to the question: two versions talk to each other.
#[must_use]
pub fn unexpected() -> Failure {
    Failure::new(Exit::Temporary, "the running server answered something else: restart it with this version")
}
