//! What the command line and a running server say to each other over the administrator's socket.
//!
//! A request is one line of JSON, an answer is one line of JSON; [`Response::Message`] is followed by exactly
//! so many octets of raw message. One connection carries one request after the other.

use crate::auth::report::{Day, DayNumber};
use crate::auth::throttle::Explanation;
use crate::directory::{Change, plan};
use crate::types::{Address, AddressKey, ScramSalt, ScramUse, Uid, UnixTime};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The socket's name in the data directory.
pub const SOCKET_NAME: &str = "control";

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Change the directory.
    Change(plan::Request),
    /// The whole directory, password hashes replaced by `*`.
    Directory,
    /// The salts of the addresses of the account that has this address, for making SCRAM keys.
    ScramSalts(Address),
    /// The first day of the report of logins from this one on.
    AuthReport(DayNumber),
    /// Messages of the account that has this address, from the uid after this one.
    MailList(Address, Uid),
    /// One message of the account that has this address.
    MailShow(Address, Uid),
    /// What the throttle holds against somebody.
    AuthExplain(AuthSubject),
    /// Forget it.
    AuthForgive(AuthSubject),
}

/// Whom a question to the throttle is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthSubject {
    /// An address, with its networks.
    Source(IpAddr),
    /// A login name, whether or not it exists.
    Login(String),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// Done and durable; what the administrator should know all the same.
    Changed {
        /// Whether anything was different before.
        anything: bool,
        /// One sentence each.
        warnings: Vec<String>,
    },
    /// The directory as changes that make it from nothing.
    Directory(Vec<Change>),
    /// Whose logins SCRAM is for, and the salts of the first few addresses.
    ScramSalts(ScramUse, Vec<(AddressKey, ScramSalt)>),
    /// A day of the report, or that there is none that late.
    ReportDay(Option<Box<Day>>),
    /// A page of messages; ask again from the last uid until `more` is false.
    Messages {
        /// Ascending by uid.
        rows: Vec<MessageRow>,
        /// Whether there are others after them.
        more: bool,
    },
    /// So many octets of raw message follow this line.
    Message(u64),
    /// What the throttle knows.
    Explained(Box<Explanation>),
    /// No server runs: the throttle, which lives in its memory, holds nothing against anybody.
    NoThrottle,
    /// It cannot be done: a sentence for the administrator.
    Refused(Refusal, String),
}

/// Why a request was refused; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The request does not fit what there is: 65.
    Data,
    /// Try again later: 75.
    Temporary,
}

/// A message in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    /// Its number within the account.
    pub id: Uid,
    /// Octets, header fields put in front included.
    pub size: u64,
    /// When it was received.
    pub received: UnixTime,
    /// Envelope sender with its angle brackets.
    pub from: String,
    /// The envelope recipient that led here.
    pub to: String,
    /// The 32 digits of the id in the Received field and in the reply to the sender.
    pub mail: String,
}
