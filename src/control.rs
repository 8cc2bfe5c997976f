//! What the command line and a running server say to each other over the administrator's socket.
//!
//! A request is one line of JSON, an answer is one line of JSON; [`Response::Message`] is followed by exactly
//! so many octets of raw message. One connection carries one request after the other.

use crate::auth::report::{Day, DayNumber};
use crate::auth::throttle::Explanation;
use crate::directory::{Change, plan};
use crate::store::count::Lost;
use crate::store::verify::{Cursor, Page};
use crate::telemetry::turns::Summary;
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
    /// How the running server does.
    Status,
    /// One step of looking at everything that is kept.
    Verify(Cursor),
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
    /// How the server does.
    Status(Box<Status>),
    /// What a step of looking at everything came to.
    Verified(Box<Page>),
    /// It cannot be done: a sentence for the administrator.
    Refused(Refusal, String),
}

/// How a running server does. Counts begin with its process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Of the program that runs, which may be older than the one that asks.
    pub version: String,
    /// When the process began.
    pub started: UnixTime,
    /// Seconds since.
    pub uptime_seconds: u64,
    /// Open now.
    pub connections: u64,
    /// How many may be.
    pub connections_max: u64,
    /// Messages kept.
    pub accepted: u64,
    /// What can be kept.
    pub store: StoreState,
    /// Octets free on the disk when last looked.
    pub free_octets: u64,
    /// Octets that stay free: `disk-reserve` in the configuration.
    pub reserve_octets: u64,
    /// Turns of the loop by the clock.
    pub turns: Summary,
    /// Turns of the loop by the processor time of its thread.
    pub turns_processor: Summary,
    /// Acknowledged mail that was missing when the store was opened, oldest first.
    #[serde(default)]
    pub lost: Vec<Lost>,
    /// What happened how often, by name.
    pub events: Vec<EventCount>,
}

/// What the store takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreState {
    /// Mail.
    Working,
    /// No new mail until it has caught up with what it has.
    Behind,
    /// No new mail until there is room on the disk.
    Full,
    /// Nothing: it failed, and the server is about to start anew.
    Down,
}

/// One of the counters behind the log lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCount {
    /// What happened, such as `login`.
    pub event: String,
    /// Which kind of it, such as `wrong-password`.
    pub kind: String,
    /// How often.
    pub count: u64,
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
