//! What a protocol machine and the world say to each other.
//!
//! A machine is fed an [`Event`] and the time, and answers with [`Action`]s. It never touches a socket, a
//! clock, the store or a random source: same state, same `now`, same event, same actions. Whoever drives it
//! (the loop in `server/`, a dialogue, a fuzzer, the simulation) carries questions away and brings answers
//! back; that is why none of the rooms that decide needs to know who answers.

use crate::auth::scram::ScramProof;
use crate::auth::scram::keys::ServerSignature;
use crate::auth::verdict::{LoginVerdict, ProvenBy};
use crate::limits;
use crate::policy::recipient::RecipientLookup;
use crate::policy::sender::SenderLookup;
use crate::telemetry::note::Note;
use crate::types::{
    AccountId, ChannelBindings, ForwardPath, MailId, Moment, Reply, ReversePath, ScramSalt, Secret,
    SessionId, UnixTime,
};
use std::net::IpAddr;

/// What kind of door a peer came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listener {
    /// Port 25: mail from strangers, no AUTH.
    Smtp,
    /// Port 587: STARTTLS before AUTH and MAIL (RFC 6409).
    Submission,
    /// Port 465: TLS from the first octet (RFC 8314).
    Submissions,
}

impl Listener {
    /// The name in log lines, configuration and dialogue files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
        }
    }
}

/// What is known of a peer when its connection is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerFacts {
    /// The session this connection will be called.
    pub session: SessionId,
    /// Its address; IPv4-mapped IPv6 is already IPv4.
    pub address: IpAddr,
    /// The door it came through.
    pub listener: Listener,
}

/// What is known of a finished TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by its IANA name.
    pub cipher: String,
    /// What a login can be bound to.
    pub bindings: ChannelBindings,
}

/// Ties an [`Answer`] to its [`Question`]. An answer whose ticket is not the one awaited is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The deadlines of a session; each is armed, moved or disarmed by [`Action::Arm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The peer was silent too long.
    Idle,
    /// The session lasted too long.
    Session,
    /// What is held back from a peer with a record (see [`Pace`]) may go on.
    Pace,
}

impl Timer {
    /// All of them, in the order of their index.
    pub const ALL: [Self; 3] = [Self::Idle, Self::Session, Self::Pace];
}

/// How slowly a peer is served. Zero is as fast as we can; more is for those whose network has a record of
/// probing (`auth::throttle`, the mail book). It costs the peer time and us a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// Milliseconds before the greeting. Who talks into them breaks RFC 5321 section 4.3.1.
    pub greeting_ms: u64,
    /// Milliseconds after a refusal in which nothing more is read.
    pub refusal_ms: u64,
}

/// What happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// How slowly this peer is served from now on. Before [`Event::Opened`] it decides about the greeting.
    Paced(Pace),
    /// The connection stands (on `submissions`: its TLS too, said by [`Event::TlsUp`] before this).
    Opened,
    /// Octets arrived, decrypted where there is TLS. The machine says how many it took; the rest is offered
    /// again, with what came since, once [`wants_read`](crate::smtp::session::Session::wants_read) is true.
    Bytes(&'a [u8]),
    /// The handshake asked for by [`Action::StartTls`] (or an implicit one) is done.
    TlsUp(TlsFacts),
    /// The answer to an earlier [`Action::Ask`].
    Answered(Ticket, Answer),
    /// A deadline passed; it is disarmed.
    Due(Timer),
    /// The peer will send no more (it may still read).
    PeerClosed,
    /// The server is leaving.
    Stopping,
}

/// What should happen.
#[derive(Debug)]
pub enum Action {
    /// Send a reply.
    Say(Reply),
    /// Find something out and come back with [`Event::Answered`].
    Ask(Ticket, Question),
    /// These octets belong to the body of the message being received; nobody may be told 250 for them until
    /// a [`Question::Commit`] is answered.
    Keep(Vec<u8>),
    /// Drop what was kept: the message is refused or given up.
    Forget,
    /// Begin a handshake. What the peer sent after the command's CRLF was not taken and belongs to TLS.
    StartTls,
    /// Arm a deadline, or disarm it.
    Arm(Timer, Option<Moment>),
    /// Count and log.
    Note(Note),
    /// Send what is to be sent, then close. Nothing follows.
    Close(Cause),
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The peer said QUIT.
    Quit,
    /// The peer closed its side.
    PeerClosed,
    /// Too many commands were refused.
    TooManyErrors,
    /// Too many recipients were refused.
    TooManyRefusedRecipients,
    /// Too many logins were refused.
    TooManyAuthFailures,
    /// What came was another protocol: HTTP, TLS, SSH ….
    NotSmtp,
    /// Silence.
    Idle,
    /// The session lasted too long.
    TooLong,
    /// The handshake failed or took too long.
    TlsFailed,
    /// The server is leaving.
    Stopping,
    /// Somebody else needed the place more.
    Crowded,
    /// The connection broke.
    Broken,
    /// Our own fault: a panic was caught.
    Fault,
}

impl Cause {
    /// The word in log lines and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::PeerClosed => "peer-closed",
            Self::TooManyErrors => "too-many-errors",
            Self::TooManyRefusedRecipients => "too-many-refused-recipients",
            Self::TooManyAuthFailures => "too-many-auth-failures",
            Self::NotSmtp => "not-smtp",
            Self::Idle => "idle",
            Self::TooLong => "too-long",
            Self::TlsFailed => "tls-failed",
            Self::Stopping => "stopping",
            Self::Crowded => "crowded",
            Self::Broken => "broken",
            Self::Fault => "fault",
        }
    }
}

/// What a machine wants to know.
#[derive(Debug)]
pub enum Question {
    /// Is there room for a message of so many octets (zero: the peer did not say)? Asked at MAIL.
    Room(u64),
    /// May this account, which logged in so, send as this reverse-path? Asked at MAIL of an authenticated session.
    Sender(AccountId, ProvenBy, ReversePath),
    /// Where does this recipient lead? Asked at RCPT.
    Recipient(ForwardPath),
    /// Are these the name and password of an account? The answer comes on the timer grid (see
    /// `auth::verifier`), so its time tells nothing.
    Login {
        /// The authentication identity as sent.
        login: Vec<u8>,
        /// The password as sent.
        password: Secret,
        /// The authorization identity, if one was sent that is not empty (RFC 4616).
        authorize_as: Option<Vec<u8>>,
    },
    /// What is the salt of this login name (prepared by RFC 4013)? Every name has one.
    Salt(Vec<u8>),
    /// Is this SCRAM proof right? The answer comes as the one to [`Question::Login`] does.
    Proof(Box<ScramProof>),
    /// Make what was kept durable.
    Commit(Box<Commit>),
}

/// What an [`Event::Answered`] brings.
#[derive(Debug)]
pub enum Answer {
    /// To [`Question::Room`].
    Room(RoomAnswer),
    /// To [`Question::Sender`].
    Sender(SenderLookup),
    /// To [`Question::Recipient`].
    Recipient(RecipientLookup),
    /// To [`Question::Login`].
    Login(LoginVerdict),
    /// To [`Question::Salt`].
    Salt(ScramSalt),
    /// To [`Question::Proof`]; the signature is for the client of a proof that is right.
    Proof(LoginVerdict, ServerSignature),
    /// To [`Question::Commit`].
    Commit(CommitAnswer),
}

/// Whether a message can be taken now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomAnswer {
    /// Yes.
    Enough,
    /// The disk's reserve would be touched: 452 4.3.1.
    DiskFull,
    /// The store is behind or not there: 451 4.3.0.
    Unavailable,
}

/// A message to be kept, without its body (which was [`Action::Keep`]t).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its name, in the Received field and in the reply.
    pub id: MailId,
    /// When it was received.
    pub received: UnixTime,
    /// Envelope sender.
    pub sender: ReversePath,
    /// One entry per account that gets a copy; no account twice.
    pub deliveries: Vec<Delivery>,
    /// Header fields this server puts in front of the body: Return-Path, Received, and on submission Date
    /// and Message-ID where missing. Complete lines with CRLF.
    pub prefix: Vec<u8>,
    /// Octets of the body as kept.
    pub body_octets: u64,
}

/// One copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Who gets it.
    pub account: AccountId,
    /// The envelope recipient that led there, without angle brackets.
    pub recipient: String,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitAnswer {
    /// On disk, synced. The only thing that lets a session say 250.
    Durable,
    /// The disk's reserve was touched: 452 4.3.1; nothing was kept.
    DiskFull,
    /// The store failed or is leaving: 451 4.3.0; it may or may not have been kept.
    Failed,
}

/// The actions of one step. Has a fixed capacity, so a step's work is bounded: a machine looks at
/// [`Actions::has_room`] before it takes another line, and stops taking octets when there is none.
#[derive(Debug, Default)]
pub struct Actions {
    list: Vec<Action>,
}

impl Actions {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether everything one more line can cause still fits.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.list.len().saturating_add(limits::ACTIONS_PER_LINE_MAX) <= limits::ACTIONS_PER_STEP_MAX
    }

    /// Adds an action.
    pub fn push(&mut self, action: Action) {
        debug_assert!(self.list.len() < limits::ACTIONS_PER_STEP_MAX, "a step is bounded");
        self.list.push(action);
    }

    /// Takes the actions out, in order.
    pub fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.list)
    }

    /// The actions so far.
    #[must_use]
    pub fn as_slice(&self) -> &[Action] {
        &self.list
    }
}
