//! The text format of a session: parse, print, play.
//!
//! One format for tests, fuzz seeds, and what is kept of hostile sessions. Plain UTF-8 text, one event a line;
//! [`print`](print::print) of what [`parse`](parse::parse) read gives the same text again, if it was written
//! the canonical way.
//!
//! ```text
//! gatepost-dialog 1
//! # What this dialogue shows, and where it comes from.
//! listener: smtp
//! peer: 203.0.113.9
//! W: domain example.org
//! W: account me@example.org password="correct horse"
//! S: 220
//! C: EHLO client.example
//! S: 250
//! S+: PIPELINING
//! C: QUIT
//! S: 221 2.0.0
//! CLOSE: quit
//! ```
//!
//! # Head
//! The first line names the format and its version. Then, each at most once and in this order, all but
//! `listener` with a default:
//!
//! | line | means | default |
//! |---|---|---|
//! | `listener: smtp` | the door: `smtp`, `submission` or `submissions` | |
//! | `peer: 203.0.113.9` | where the connection comes from | `203.0.113.9` |
//! | `clock: 2026-11-24T04:47:37Z` | when it begins | `2026-11-24T00:00:00Z` |
//! | `hostname: mx.example` | the server's name | `mail.example.org` |
//! | `size: 65536` | octets of the largest message | `limits::MESSAGE_OCTETS_DEFAULT` |
//! | `tls: none` | the server has no certificate | it has one |
//! | `seed: 7` | where the server's chance begins | `0` |
//! | `throttle: on` | logins are judged by the server's own login book, as below | `off` |
//! | `scram: off` | the server does not offer SCRAM | `on` |
//!
//! # Lines
//! A tag, a colon, and (unless nothing follows) a space and the rest. A line that begins with `#` is a
//! comment. With several sessions their number follows the tag's letters: `C2:`, `S2+:`, `CLOSE12:`. A session
//! opens where it is named first.
//!
//! | line | means |
//! |---|---|
//! | `W: domain example.org catch-all=a@example.org` | a domain served |
//! | `W: account a@example.org password="p" app-password="q" main-password=forbidden address=b@example.org state=suspended` | an account; all but the name may be missing |
//! | `W: alias s@example.org to=a@example.org to=b@example.org` | an alias |
//! | `W: unavailable` | the directory cannot be asked |
//! | `C: NOOP` | the client sends this and CRLF |
//! | `C-: NOOP` | the client sends this alone |
//! | `S: 250` | the next reply has this code |
//! | `S: 250 2.1.0` | … and this enhanced status code |
//! | `S: 250 2.1.0 Sender ok` | … and is one line with this text |
//! | `S: 250-mx.example` | one line of a reply whose every line is given |
//! | `S*: 3 250 2.1.5` | the next three replies have this code (and this enhanced status code) |
//! | `S+: SIZE 65536` | the reply just matched has a line with this text |
//! | `S!: AUTH` | the reply just matched has no line that begins with this text |
//! | `A: commit failed` | the answer to the question asked, or to the next one of its kind (see [`Given`]) |
//! | `A: commit wait` | the next question of this kind stays open until another `A:` answers it |
//! | `T: +5m` | time passes (`ms`, `s`, `m`, `h`), and what falls due happens |
//! | `OPEN2: submission 198.51.100.7` | this session opens here, at this door and from there; each may be left out and is then that of the head |
//! | `TLS: up TLSv1.3 TLS_AES_128_GCM_SHA256` | the handshake succeeds |
//! | `TLS: failed` | it does not |
//! | `PACE: greeting=5s refusal=2s` | from here on the server serves this session so slowly; before its first line, the greeting too |
//! | `EOF:` | the client closes its side |
//! | `RST:` | the connection breaks |
//! | `STOP:` | the server leaves |
//! | `CLOSE: quit` | the session has ended, and why ([`Cause::name`](crate::contract::Cause::name)) |
//! | `CUT:` | what is known of this session ends here; whatever it does from here on is not compared |
//! | `M: <a@b.example> a@example.org` | the next durable message has this envelope: sender, and one recipient for each copy |
//! | `M: none` | no other message became durable |
//! | `P: Received: from client.example` | the fields put in front of it have one, unfolded, that begins so |
//! | `P!: Message-ID:` | … have none that begins so |
//! | `B: text` | its body goes on with this and CRLF; the last `B:` must reach its end |
//! | `B-: text` | its body goes on with this alone |
//! | `COUNT: login/wrong-password 3` | so often this was counted, by all sessions together; such lines stand last |
//!
//! Every reply and the end of every session that ends must be written down: a dialogue that says less than
//! what happened differs from it. Messages may be left out. Counters too; but where one is written down, every
//! one that is not zero has to be.
//!
//! # The throttle
//! Without `throttle: on` a login has its verdict at once, from the world. With it, logins go through the login
//! book and the verifier of the server, with the rules a server has unless it is told otherwise. A refusal then
//! leaves when it would leave there: no earlier than half a second after it was asked for, which a `T:` line has
//! to let pass. Hashing takes no time, and connections are let in whatever the book says.
//!
//! # Players
//! [`play`] has the world and the clock in its hands and no socket. [`live`] is the client's part alone, for
//! whoever has sockets and a server whose world is the one written down; it takes the copies of a message in
//! any order, and what [only a player in memory](live::in_memory_only) can do is left to that one.
//!
//! [`visit`] is the client of a server of any make, whose replies are judged by their class.
//!
//! [`changes`](play::update::changes) says what a dialogue would have to say to agree with what happens.
//!
//! # Escapes
//! In `C`, `B`: `\r`, `\n`, `\t`, `\0`, `\\`, `\xNN`, and counted runs: `\{1000:a}` is a thousand times `a`,
//! `\{3:NOOP\r\n}` three lines; `}` inside is `\x7d`. A space at the end of a line is `\x20`. Letters of every
//! script stand for their UTF-8 octets.

mod book;
mod compare;
pub mod heard;
pub mod kept;
pub mod live;
pub mod parse;
pub mod play;
pub mod print;
mod seat;
#[cfg(test)]
mod tests;
pub mod text;
pub mod visit;
pub mod world;

use crate::auth::verdict::{ThrottleRule, Unavailability};
use crate::contract::{Cause, CommitAnswer, Listener, Pace, RoomAnswer, TlsFacts};
use crate::directory::credential::MainPassword;
use crate::limits;
use crate::policy::recipient::Expansion;
use crate::policy::sender::SenderLookup;
use crate::types::{Address, Domain, Enhanced, UnixTime};
use std::net::{IpAddr, Ipv4Addr};
use text::Text;

/// The first line of every file.
pub const MAGIC: &str = "gatepost-dialog 1";

/// A dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialog {
    /// What is known before it begins.
    pub head: Head,
    /// Everything after the first line, in order, with the comments.
    pub entries: Vec<Entry>,
}

/// What is known before a dialogue begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The door.
    pub listener: Listener,
    /// Where the connection comes from.
    pub peer: IpAddr,
    /// When it begins.
    pub clock: UnixTime,
    /// The server's name.
    pub hostname: Domain,
    /// Octets of the largest message.
    pub message_octets_max: u64,
    /// Whether the server has a certificate.
    pub tls_available: bool,
    /// Where the server's chance begins.
    pub seed: u64,
    /// Whether logins go through the login book of the throttle.
    pub throttle: bool,
    /// Whether SCRAM is offered. Whose logins it is for is in what the world answers.
    pub scram_offered: bool,
}

impl Head {
    /// A head in which everything but the listener has its default; the hostname is the argument because it
    /// has to be a domain already.
    #[must_use]
    pub fn new(listener: Listener, hostname: Domain) -> Self {
        Self {
            listener,
            peer: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
            clock: UnixTime(1_795_478_400),
            hostname,
            message_octets_max: limits::MESSAGE_OCTETS_DEFAULT,
            tls_available: true,
            seed: 0,
            throttle: false,
            scram_offered: true,
        }
    }
}

/// The server's name where a head does not give one.
pub const DEFAULT_HOSTNAME: &str = "mail.example.org";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the file, from 1.
    pub line: usize,
    /// What it says.
    pub kind: Kind,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Blank,
    /// What follows the `#`.
    Comment(String),
    /// A line of the head; its value is in [`Dialog::head`].
    Head(HeadKey),
    /// A fact of the world.
    World(WorldFact),
    /// Something of the session of this number, from 1.
    Session(u8, Event),
    /// Time passes, in milliseconds.
    Pass(u64),
    /// The server leaves.
    Stop,
    /// A message became durable, or none did.
    Message(MessageExpected),
    /// `COUNT:` the counter of this name, which is not zero.
    Count(String, u64),
}

impl Kind {
    /// The event of this session, if it is one.
    pub(crate) fn of_session(&self, number: u8) -> Option<&Event> {
        match self {
            Self::Session(of, event) if *of == number => Some(event),
            Self::Session(..)
            | Self::Blank
            | Self::Comment(_)
            | Self::Head(_)
            | Self::World(_)
            | Self::Pass(_)
            | Self::Stop
            | Self::Message(_)
            | Self::Count(..) => None,
        }
    }
}

/// The keys of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeadKey {
    /// `listener`
    Listener,
    /// `peer`
    Peer,
    /// `clock`
    Clock,
    /// `hostname`
    Hostname,
    /// `size`
    Size,
    /// `tls`
    Tls,
    /// `seed`
    Seed,
    /// `throttle`
    Throttle,
    /// `scram`
    Scram,
}

impl HeadKey {
    /// All of them, in the order of a file.
    pub const ALL: [Self; 9] = [
        Self::Listener,
        Self::Peer,
        Self::Clock,
        Self::Hostname,
        Self::Size,
        Self::Tls,
        Self::Seed,
        Self::Throttle,
        Self::Scram,
    ];

    /// The word in front of the colon.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Peer => "peer",
            Self::Clock => "clock",
            Self::Hostname => "hostname",
            Self::Size => "size",
            Self::Tls => "tls",
            Self::Seed => "seed",
            Self::Throttle => "throttle",
            Self::Scram => "scram",
        }
    }
}

/// A fact of the world, `W:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorldFact {
    /// A domain served, and the account that takes what nobody else there takes.
    Domain(Domain, Option<Address>),
    /// An account.
    Account(AccountFact),
    /// An alias and its members.
    Alias(Address, Vec<Address>),
    /// The directory cannot be asked.
    Unavailable,
}

/// An account of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFact {
    /// Its name.
    pub name: Address,
    /// The right password, as it is typed.
    pub password: Option<String>,
    /// Its application passwords, as they are typed.
    pub app_passwords: Vec<String>,
    /// Whether its own password opens it.
    pub main_password: MainPassword,
    /// Its further addresses.
    pub addresses: Vec<Address>,
    /// What it may do.
    pub state: crate::directory::AccountState,
}

/// Something of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// `OPEN:` it opens at this door, from this address; of the head where there is none.
    Open(Option<Listener>, Option<IpAddr>),
    /// `C:` with CRLF (true) or `C-:` without (false).
    Client(Text, bool),
    /// `S:`
    Reply(ReplyLine),
    /// `S*:` so many replies like this one, which is no line of a longer one.
    Replies(u32, ReplyLine),
    /// `S+:` the last reply has this line.
    ReplyHas(String),
    /// `S!:` the last reply has no line that begins so.
    ReplyLacks(String),
    /// `A:`
    Answer(About, Given),
    /// `TLS: up`
    TlsUp(TlsFacts),
    /// `TLS: failed`
    TlsFailed,
    /// `PACE:`
    Paced(Pace),
    /// `EOF:`
    PeerClosed,
    /// `RST:`
    Broken,
    /// `CLOSE:`
    Closed(Cause),
    /// `CUT:`
    Cut,
}

/// An expected reply, or one line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyLine {
    /// Three digits.
    pub code: u16,
    /// Whether another line of the same reply follows (`250-`).
    pub more: bool,
    /// The enhanced status code, if it matters.
    pub enhanced: Option<Enhanced>,
    /// The text, if it matters.
    pub text: Option<String>,
}

/// What is expected of the messages that became durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageExpected {
    /// `M:` sender with angle brackets, and the recipient of each copy.
    Envelope(String, Vec<String>),
    /// `M: none`
    NoneLeft,
    /// `P:` a field in front of the body begins so.
    Field(String),
    /// `P!:` none does.
    NoField(String),
    /// `B:` with CRLF (true) or `B-:` without (false).
    Body(Text, bool),
}

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// [`Question::Room`](crate::contract::Question::Room)
    Room,
    /// [`Question::Sender`](crate::contract::Question::Sender)
    Sender,
    /// [`Question::Recipient`](crate::contract::Question::Recipient)
    Recipient,
    /// [`Question::Login`](crate::contract::Question::Login) and
    /// [`Question::Proof`](crate::contract::Question::Proof)
    Login,
    /// [`Question::Salt`](crate::contract::Question::Salt)
    Salt,
    /// [`Question::Commit`](crate::contract::Question::Commit)
    Commit,
}

impl About {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Room, Self::Sender, Self::Recipient, Self::Login, Self::Salt, Self::Commit];

    /// The word after `A:`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Sender => "sender",
            Self::Recipient => "recipient",
            Self::Login => "login",
            Self::Salt => "salt",
            Self::Commit => "commit",
        }
    }
}

/// An answer written down, `A:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// `wait`: the question stays open.
    Wait,
    /// `world`: what the world says, which is what an open question gets when no line answers it otherwise.
    World,
    /// To a question about room.
    Room(RoomAnswer),
    /// To a question about a sender.
    Sender(SenderLookup),
    /// To a question about a recipient: `unavailable`.
    RecipientUnavailable,
    /// To a question about a recipient: an alias that leads nowhere. Never [`Expansion::Members`].
    RecipientAlias(Expansion),
    /// To a question about a login.
    Login(Unavailability),
    /// To a question about a commit.
    Commit(CommitAnswer),
}

/// Every answer that can be written down, with the question it belongs to and its word.
pub const GIVEN: [(About, &str, Given); 22] = [
    (About::Room, "enough", Given::Room(RoomAnswer::Enough)),
    (About::Room, "disk-full", Given::Room(RoomAnswer::DiskFull)),
    (About::Room, "unavailable", Given::Room(RoomAnswer::Unavailable)),
    (About::Sender, "own", Given::Sender(SenderLookup::Own)),
    (About::Sender, "not-own", Given::Sender(SenderLookup::NotOwn)),
    (About::Sender, "account-stopped", Given::Sender(SenderLookup::AccountStopped)),
    (About::Sender, "unavailable", Given::Sender(SenderLookup::Unavailable)),
    (About::Recipient, "unavailable", Given::RecipientUnavailable),
    (About::Recipient, "no-living-member", Given::RecipientAlias(Expansion::NoLivingMember)),
    (About::Recipient, "too-deep", Given::RecipientAlias(Expansion::TooDeep)),
    (About::Recipient, "too-many", Given::RecipientAlias(Expansion::TooMany)),
    (About::Login, "directory-unavailable", Given::Login(Unavailability::Directory)),
    (About::Login, "hash-queue-full", Given::Login(Unavailability::QueueFull)),
    (About::Login, "hash-worker-unavailable", Given::Login(Unavailability::Worker)),
    (About::Login, "deny-list", Given::Login(Unavailability::Throttled(ThrottleRule::DenyList))),
    (About::Login, "too-many-from-host", Given::Login(Unavailability::Throttled(ThrottleRule::Host))),
    (About::Login, "too-many-from-net", Given::Login(Unavailability::Throttled(ThrottleRule::Net))),
    (About::Login, "too-many-from-site", Given::Login(Unavailability::Throttled(ThrottleRule::Wide))),
    (About::Login, "too-many-for-login", Given::Login(Unavailability::Throttled(ThrottleRule::Login))),
    (About::Commit, "durable", Given::Commit(CommitAnswer::Durable)),
    (About::Commit, "disk-full", Given::Commit(CommitAnswer::DiskFull)),
    (About::Commit, "failed", Given::Commit(CommitAnswer::Failed)),
];

/// TLS versions as they are written.
pub const TLS_VERSIONS: [&str; 2] = ["TLSv1.2", "TLSv1.3"];

/// Every cause.
pub const CAUSES: [Cause; 13] = [
    Cause::Quit,
    Cause::PeerClosed,
    Cause::TooManyErrors,
    Cause::TooManyRefusedRecipients,
    Cause::TooManyAuthFailures,
    Cause::NotSmtp,
    Cause::Idle,
    Cause::TooLong,
    Cause::TlsFailed,
    Cause::Stopping,
    Cause::Crowded,
    Cause::Broken,
    Cause::Fault,
];
