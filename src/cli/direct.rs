//! The data without a server: the store itself, with the same plans.

use super::access::Intent;
use super::failure::{Exit, Failure};
use super::output::{output_failure, tell};
use crate::auth::credential;
use crate::auth::report::DayNumber;
use crate::auth::scram::salts::{Salts, salts_of};
use crate::control::{MessageRow, Refusal, Request, Response};
use crate::directory::{Account, Change, Directory, plan};
use crate::limits::LIST_ROWS_PER_PAGE;
use crate::store::fjall::FjallStore;
use crate::store::place::OpenMode;
use crate::store::{MessageRecord, Operation, Store, StoreError};
use crate::types::{AccountId, Address, ScramUse, Uid};
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The store, opened by this process.
pub struct Direct {
    dir: PathBuf,
    store: Box<dyn Store>,
    directory: Directory,
    /// The message that was announced and is to be copied.
    announced: Option<MessageRecord>,
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Direct {
    /// Opens the store. Opened for reading, nothing is made, repaired or removed.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(dir: &Path, intent: Intent) -> Result<Self, StoreError> {
        let mode = match intent {
            Intent::Read => OpenMode::Read,
            Intent::Write | Intent::Create(_) => OpenMode::Write,
        };
        let (store, report) = FjallStore::open(dir, mode)?;
        if let Some(torn) = report.torn {
            tell(&format!("warning: {torn}"));
        }
        // One line, however much is missing: `verify` tells all.
        if let Some(lost) = report.lost.first() {
            tell(&format!("warning: acknowledged mail is missing, see `gatepost verify`: first {lost}"));
        }
        Self::over(dir, Box::new(store))
    }

    /// Works on a store that is open.
    ///
    /// # Errors
    /// When its directory cannot be read.
    pub fn over(dir: &Path, store: Box<dyn Store>) -> Result<Self, StoreError> {
        let directory = store.directory()?;
        Ok(Self { dir: dir.to_path_buf(), store, directory, announced: None })
    }

    /// The directory as it is.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Answers as a server does.
    ///
    /// # Errors
    /// When the store fails; what merely cannot be done is a [`Response::Refused`].
    pub fn ask(&mut self, request: &Request) -> Result<Response, Failure> {
        match request {
            Request::Change(request) => self.change_all(std::slice::from_ref(request)),
            Request::Directory => Ok(Response::Directory(self.snapshot())),
            Request::ScramSalts(address) => Ok(self.scram_salts(address)),
            Request::AuthReport(from) => self.report_day(*from),
            Request::MailList(address, after) => {
                self.of_account(address, |direct, id| direct.list(id, *after))
            }
            Request::MailShow(address, uid) => {
                self.of_account(address, |direct, id| direct.announce(address, id, *uid))
            }
            Request::AuthExplain(_) | Request::AuthForgive(_) => Ok(Response::NoThrottle),
            Request::Verify(from) => Ok(Response::Verified(Box::new(self.store.verify(from)))),
            Request::Status => Ok(Response::Refused(Refusal::Temporary, "no server runs".to_owned())),
        }
    }

    /// The salt of every login name.
    #[must_use]
    pub fn salts(&self) -> Salts {
        Salts::new(&self.store.server_key())
    }

    fn scram_salts(&self, address: &Address) -> Response {
        match plan::account_of(&self.directory, address) {
            Ok(account) => Response::ScramSalts(ScramUse::default(), salts_of(account, &self.salts())),
            Err(why) => Response::Refused(Refusal::Data, why.0),
        }
    }

    /// Does all of these requests or none, with one sync.
    ///
    /// # Errors
    /// When the store fails.
    pub fn change_all(&mut self, requests: &[plan::Request]) -> Result<Response, Failure> {
        let mut changes: Vec<Change> = Vec::new();
        let mut warnings = Vec::new();
        let mut after = self.directory.clone();
        for request in requests {
            let request = credential::sealed(&self.store.server_key(), request.clone());
            match plan::plan(&after, &request) {
                Ok(plan) => {
                    plan.changes.iter().for_each(|change| after.apply(change));
                    changes.extend(plan.changes);
                    warnings.extend(plan.warnings);
                }
                Err(why) => return Ok(Response::Refused(Refusal::Data, why.0)),
            }
        }
        let anything = !changes.is_empty();
        if anything {
            self.store.commit(&[Operation::Change(changes)]).map_err(|error| self.failure(&error))?;
            self.directory = after;
            // What a removed account leaves is cleared now; if that fails the next opening goes on with it.
            while self.store.tidy().unwrap_or(false) {}
        }
        Ok(Response::Changed { anything, warnings })
    }

    /// Copies the message announced last.
    ///
    /// # Errors
    /// When the store fails, or `out` takes no more.
    pub fn copy_message(&mut self, octets: u64, out: &mut dyn Write) -> Result<(), Failure> {
        let Some(record) = self.announced.take().filter(|record| record.octets() == octets) else {
            return Err(Failure::new(Exit::Software, "no message was announced"));
        };
        out.write_all(&record.prefix).map_err(|error| output_failure(&error))?;
        for index in 0..record.slices {
            let slice = self.store.slice(record.body, index).map_err(|error| self.failure(&error))?;
            out.write_all(&slice).map_err(|error| output_failure(&error))?;
        }
        out.flush().map_err(|error| output_failure(&error))
    }

    fn failure(&self, error: &StoreError) -> Failure {
        Failure::of_store(&self.dir, error)
    }

    fn of_account(
        &mut self,
        address: &Address,
        answer: impl FnOnce(&mut Self, AccountId) -> Result<Response, Failure>,
    ) -> Result<Response, Failure> {
        match plan::account_of(&self.directory, address).map(|account| account.id) {
            Ok(id) => answer(self, id),
            Err(why) => Ok(Response::Refused(Refusal::Data, why.0)),
        }
    }

    fn list(&mut self, id: AccountId, after: Uid) -> Result<Response, Failure> {
        // One more than shown says whether there are more.
        let asked = LIST_ROWS_PER_PAGE.saturating_add(1);
        let records = self.store.list(id, after, asked).map_err(|error| self.failure(&error))?;
        let more = records.len() > LIST_ROWS_PER_PAGE;
        let rows = records.iter().take(LIST_ROWS_PER_PAGE).map(row).collect();
        Ok(Response::Messages { rows, more })
    }

    fn announce(&mut self, address: &Address, id: AccountId, uid: Uid) -> Result<Response, Failure> {
        match self.store.message(id, uid).map_err(|error| self.failure(&error))? {
            Some(record) => {
                let octets = record.octets();
                self.announced = Some(record);
                Ok(Response::Message(octets))
            }
            None => Ok(Response::Refused(
                Refusal::Data,
                format!("{address} has no message {uid}: see `gatepost mail list {address}`"),
            )),
        }
    }

    fn report_day(&self, from: DayNumber) -> Result<Response, Failure> {
        let days = self.store.report().map_err(|error| self.failure(&error))?;
        Ok(Response::ReportDay(days.into_iter().find(|day| day.day >= from).map(Box::new)))
    }

    /// The directory as changes that make it from nothing, without password hashes.
    fn snapshot(&self) -> Vec<Change> {
        let domains = self.directory.domains().cloned().map(Change::PutDomain);
        let accounts = self.directory.accounts().map(Account::without_secrets).map(Change::PutAccount);
        let aliases = self.directory.aliases().cloned().map(Change::PutAlias);
        let histories =
            self.directory.histories().map(|(id, history)| Change::PutHistory(id, history.clone()));
        domains.chain(accounts).chain(aliases).chain(histories).collect()
    }
}

fn row(record: &MessageRecord) -> MessageRow {
    MessageRow {
        id: record.uid,
        size: record.octets(),
        received: record.received,
        from: record.sender.clone(),
        to: record.recipient.clone(),
        mail: record.body.to_string(),
    }
}
