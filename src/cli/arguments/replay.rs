//! The arguments of `replay`.

use super::{Form, Given, usage};
use crate::cli::failure::Failure;
use crate::cli::spec::{Opt, Spec};
use crate::limits::{REPLAY_RATE_DEFAULT, REPLAY_RATE_MAX, REPLAY_SESSIONS_DEFAULT, REPLAY_SESSIONS_MAX};
use std::path::PathBuf;

/// What is to be played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// How it is told.
    pub form: Form,
    /// Whether the files are made to agree.
    pub update: bool,
    /// The server to play against; none for memory.
    pub target: Option<Target>,
}

/// A server to play against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `HOST:PORT` where mail arrives.
    pub smtp: String,
    /// `HOST:PORT` of submission.
    pub submission: Option<String>,
    /// `HOST:PORT` of submission with TLS at once.
    pub submissions: Option<String>,
    /// An account of the server, and the file that has its password.
    pub account: Option<(String, PathBuf)>,
    /// An address the server does not have.
    pub unknown: Option<String>,
    /// Sessions a second.
    pub rate: u32,
    /// Sessions at most.
    pub sessions_max: u32,
    /// Whether somebody says that a host elsewhere is theirs.
    pub is_own_host: bool,
}

impl Given {
    /// What `replay` is to do.
    pub(super) fn replay(&self, spec: &Spec) -> Result<Order, Failure> {
        let paths = self.words.iter().skip(spec.words.len()).map(PathBuf::from).collect();
        let update = self.has(Opt::Update);
        let target = self.replay_target()?;
        if update && target.is_some() {
            return Err(usage("--update writes what happens in memory: give it without --to"));
        }
        Ok(Order { paths, form: self.form(), update, target })
    }

    fn replay_target(&self) -> Result<Option<Target>, Failure> {
        let one = |opt: Opt| Ok::<_, Failure>(self.texts(opt)?.pop());
        if self.texts(Opt::To)?.len() > 1 {
            return Err(usage("--to may be given once"));
        }
        let Some(smtp) = one(Opt::To)? else {
            let about_server = [
                Opt::Submission,
                Opt::Submissions,
                Opt::Account,
                Opt::PasswordFile,
                Opt::Unknown,
                Opt::Rate,
                Opt::Count,
                Opt::IOwnThisHost,
            ];
            return match about_server.into_iter().find(|opt| self.has(*opt)) {
                Some(opt) => Err(usage(format!("--{} wants --to HOST:PORT, a server", opt.name()))),
                None => Ok(None),
            };
        };
        let account = match (one(Opt::Account)?, self.path(Opt::PasswordFile)) {
            (Some(account), Some(file)) => Some((account, file)),
            (None, None) => None,
            (Some(_), None) => return Err(usage("--account wants --password-file FILE")),
            (None, Some(_)) => return Err(usage("--password-file wants --account ADDRESS")),
        };
        Ok(Some(Target {
            smtp,
            submission: one(Opt::Submission)?,
            submissions: one(Opt::Submissions)?,
            account,
            unknown: one(Opt::Unknown)?,
            rate: self.number(Opt::Rate, 1, REPLAY_RATE_MAX)?.unwrap_or(REPLAY_RATE_DEFAULT),
            sessions_max: self.number(Opt::Count, 1, REPLAY_SESSIONS_MAX)?.unwrap_or(REPLAY_SESSIONS_DEFAULT),
            is_own_host: self.has(Opt::IOwnThisHost),
        }))
    }
}
