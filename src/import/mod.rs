//! Other servers' logs: lines in, findings out.
//!
//! Pure: [`cli`](crate::cli) opens the files and hands in octets; nothing here knows a file, a clock or a terminal.
//!
//! # What an attempt is
//! One refused AUTH exchange; or, where a server logs no more than that, one line that says it turned a
//! client away (a recipient, a relay, talk before the greeting, a protocol error, a limit). Exactly:
//!
//! - One try is one [`Finding`], however many daemons and lines tell of it. A reader joins the lines of its own
//!   session (by session id, or by process and client); what the back end of another daemon says is marked
//!   [`Voice::BackEnd`], and the import lays it upon the finding of the daemon that holds the connection.
//! - The line that counts is the one in which the daemon that holds the connection says it refused; without
//!   such a line, the first that proves the refusal.
//! - Never an attempt: a connection or its end as such; an exchange that the client aborted (`*`, a lost
//!   connection before the answer was given); a failure of ours (a back end away, a temporary failure, a daemon
//!   that dies); a login that succeeded; a line about a message already taken.
//! - The source is the address in the place where the server puts it. A reader works from the fixed ends of a
//!   line towards what the client chose (its login, its EHLO name, its command), and takes nothing from
//!   inside that.
//!
//! # Writing a format
//! One file under [`formats`], one [`Reader`], one line in [`formats::all`]. A reader is asked about each line in
//! turn and says one of three things ([`Heard`]); what it remembers between lines is in a [`recent::Recent`],
//! which never grows beyond its bound. [`scan`] has the small parsers.

pub mod conversation;
pub mod decoded;
pub mod dialogues;
pub mod formats;
mod held;
pub mod importer;
pub mod octets;
pub mod prefix;
pub mod recent;
pub mod scan;
pub mod series;
pub mod shape;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

/// One line of a log, with what stood in front of it taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number in the file, from 1.
    pub number: u64,
    /// What the program itself wrote: the line without the prefixes of syslog, journald or a container. Octets
    /// that are no UTF-8 are U+FFFD.
    pub text: &'a str,
    /// The line as it stands in the file, without the prefix of a container alone. For formats whose own time
    /// stamp looks like a prefix.
    pub whole: &'a str,
    /// What the prefix said.
    pub prefix: Prefix<'a>,
}

/// What stood in front of a line. Everything may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prefix<'a> {
    /// Seconds since the epoch, in whatever zone the log is written; where the prefix has no year, of the year
    /// 1972. Only differences within a file mean anything.
    pub time: Option<i64>,
    /// The host.
    pub host: Option<&'a str>,
    /// The program with everything that belongs to its name: `postfix/submission/smtpd`, `dovecot`.
    pub program: Option<&'a str>,
    /// The process.
    pub pid: Option<u64>,
    /// How often the collector says that this was said, where it wrote it down once.
    pub times: Option<u32>,
}

/// What a reader makes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It is a line of this server, and everything it says of clients is among the findings (mostly nothing).
    Understood,
    /// Another program's, as far as this reader can tell.
    NotMine,
    /// A line of this server that it cannot make sense of.
    Damaged(Why),
}

/// Why a line was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It begins like a refusal and breaks off, or two lines ran into one.
    Cut,
    /// It tells of a refusal, and no address stands where the server puts it.
    NoAddress,
    /// It can be read in two ways that name different clients; somebody may have made it so.
    Ambiguous,
    /// This server writes no such line, as far as we know.
    UnknownMessage,
    /// It is longer than [`limits::IMPORT_LINE_OCTETS_MAX`](crate::limits::IMPORT_LINE_OCTETS_MAX).
    TooLong,
    /// The compressed file is damaged from here on.
    DamagedGzip,
}

impl Why {
    /// For people, and for `why` in the JSON object.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Cut => "cut or spliced line",
            Self::NoAddress => "a refusal without a client address",
            Self::Ambiguous => "the client can be read in two ways",
            Self::UnknownMessage => "message not understood",
            Self::TooLong => "line too long",
            Self::DamagedGzip => "damaged gzip data",
        }
    }
}

/// One try of a client that a server refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The line that counts, from 1.
    pub line: u64,
    /// Whose log it is.
    pub server: Server,
    /// Where the client came from.
    pub source: Option<IpAddr>,
    /// The login it tried, as the log has it after unescaping.
    pub login: Option<String>,
    /// The mechanism, in capitals ([`scan::mechanism`]).
    pub mechanism: Option<String>,
    /// What was refused.
    pub what: What,
    /// What joins lines of one session: the server's own session id, or process and client.
    pub session: Option<String>,
    /// The name in EHLO or HELO.
    pub helo: Option<String>,
    /// The door it came to.
    pub door: Option<Door>,
    /// Seconds, as in [`Prefix::time`].
    pub time: Option<i64>,
    /// Who tells it.
    pub voice: Voice,
    /// What the log proves the client did in this session until then, in order; empty where it says nothing.
    pub steps: Vec<Step>,
}

impl Finding {
    /// A finding of this line of which nothing else is known.
    #[must_use]
    pub fn new(line: &Line<'_>, server: Server, what: What) -> Self {
        Self {
            line: line.number,
            server,
            source: None,
            login: None,
            mechanism: None,
            what,
            session: None,
            helo: None,
            door: None,
            time: line.prefix.time,
            voice: Voice::Front,
            steps: Vec::new(),
        }
    }
}

/// Who tells of a try; the nearer to the client, the smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Voice {
    /// The daemon that holds the connection.
    Front,
    /// One that was asked whether a login is right. If the daemon that holds the connection tells of the same
    /// try within [`limits::IMPORT_JOIN_SECONDS`](crate::limits::IMPORT_JOIN_SECONDS), this adds to it and is
    /// no attempt of its own.
    BackEnd,
    /// One that the back end asked in its turn (PAM); joined likewise.
    Module,
}

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// A login: wrong password, unknown name, whatever the server calls it.
    Login,
    /// An AUTH command as such: not offered here, unknown mechanism, no encryption.
    AuthCommand,
    /// A recipient that does not exist.
    Recipient,
    /// A recipient elsewhere.
    Relay,
    /// A sender.
    Sender,
    /// A name in EHLO or HELO.
    Greeting,
    /// The client's address: a block list, no name, a ban.
    Client,
    /// A message.
    Message,
    /// VRFY or EXPN.
    Verify,
    /// Talk before the greeting.
    PreGreeting,
    /// Commands sent before it was their turn.
    Pipelining,
    /// Something that is not the protocol: a web request, TLS on a plain port, unknown commands.
    Garbage,
    /// Too many errors in a session.
    TooManyErrors,
    /// Too many connections, messages or commands.
    Rate,
    /// Too slow.
    Timeout,
    /// It left without having done anything.
    HungUp,
    /// A TLS handshake.
    Tls,
}

/// A door of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Door {
    /// Port 25.
    Smtp,
    /// Port 587.
    Submission,
    /// Port 465.
    Submissions,
    /// IMAP, with TLS or without.
    Imap,
    /// POP3, with TLS or without.
    Pop3,
    /// ManageSieve.
    Sieve,
    /// A web page or interface.
    Web,
}

/// What a client did, as far as a log proves it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// EHLO with this name.
    Ehlo(String),
    /// HELO with this name.
    Helo(String),
    /// STARTTLS, and the handshake succeeded.
    StartTls,
    /// AUTH with this mechanism; true if the initial response came in the same line.
    Auth(String, bool),
    /// The name of AUTH LOGIN, on its own line.
    LoginName,
    /// A password, on its own line.
    Password,
    /// MAIL
    Mail,
    /// RCPT
    Rcpt,
    /// DATA
    Data,
    /// RSET
    Rset,
    /// NOOP
    Noop,
    /// VRFY
    Vrfy,
    /// EXPN
    Expn,
    /// QUIT
    Quit,
    /// A request of the web.
    Http,
    /// TLS where plain text was expected.
    TlsHello,
    /// Anything else.
    Unknown,
}

/// The servers whose logs are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Server {
    /// <https://www.xmox.nl>
    Mox,
    /// <https://www.postfix.org>
    Postfix,
    /// <https://www.dovecot.org>
    Dovecot,
    /// <https://www.exim.org>
    Exim,
    /// <https://www.opensmtpd.org>
    OpenSmtpd,
    /// <https://docs.postalserver.io>
    Postal,
    /// The mail proxy of <https://nginx.org>
    Nginx,
    /// <https://stalw.art>
    Stalwart,
    /// sendmail, and saslauthd beside it.
    Sendmail,
    /// <https://www.courier-mta.org>
    Courier,
    /// <https://www.cyrusimap.org>
    Cyrus,
    /// <https://maddy.email>
    Maddy,
    /// <https://haraka.github.io>
    Haraka,
    /// A written-down session, `C:` and `S:`.
    Transcript,
    /// Kerio Connect.
    Kerio,
    /// <https://assp.sourceforge.net>
    Assp,
    /// HCL Domino.
    Domino,
    /// Perdition, a proxy.
    Perdition,
    /// Oracle Communications Messaging Server.
    OracleIms,
}

impl Server {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Mox,
        Self::Postfix,
        Self::Dovecot,
        Self::Exim,
        Self::OpenSmtpd,
        Self::Postal,
        Self::Nginx,
        Self::Stalwart,
        Self::Sendmail,
        Self::Courier,
        Self::Cyrus,
        Self::Maddy,
        Self::Haraka,
        Self::Transcript,
        Self::Kerio,
        Self::Assp,
        Self::Domino,
        Self::Perdition,
        Self::OracleIms,
    ];

    /// The word of `--format`, of `server` in the JSON object and of file names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mox => "mox",
            Self::Postfix => "postfix",
            Self::Dovecot => "dovecot",
            Self::Exim => "exim",
            Self::OpenSmtpd => "opensmtpd",
            Self::Postal => "postal",
            Self::Nginx => "nginx",
            Self::Stalwart => "stalwart",
            Self::Sendmail => "sendmail",
            Self::Courier => "courier",
            Self::Cyrus => "cyrus",
            Self::Maddy => "maddy",
            Self::Haraka => "haraka",
            Self::Transcript => "transcript",
            Self::Kerio => "kerio",
            Self::Assp => "assp",
            Self::Domino => "domino",
            Self::Perdition => "perdition",
            Self::OracleIms => "oracleims",
        }
    }

    /// The server of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|server| server.name() == name)
    }
}

/// One format: lines in, findings out, with bounded memory of what came before.
pub trait Reader {
    /// Whose lines it reads.
    fn server(&self) -> Server;

    /// Takes a line. Findings are pushed when their refusal is certain, in the order of their lines or nearly so.
    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard;

    /// The file has ended: whatever waited for a further line is decided now.
    fn end(&mut self, found: &mut Vec<Finding>);
}
