//! From findings to what a client did: its steps in order, with stand-ins for everything it could have typed.
//!
//! The allow-list: verbs, mechanisms, the names of roles and devices that bots try everywhere, and a few telling
//! EHLO names stay. Every other name becomes one of the same kind, and every password the same one.

use super::recent::Recent;
use super::{Door, Finding, Server, Step, What};
use crate::limits;
use std::net::IpAddr;

/// What one session did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Whose log showed it first.
    pub server: Server,
    /// What was refused last; for the name of the file.
    pub what: What,
    /// The door.
    pub door: Door,
    /// The steps.
    pub acts: Vec<Act>,
    /// Whose it is; for putting sessions of one client together, never written.
    pub origin: Origin,
}

/// Where a session came from, and when its refusals were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// The address.
    pub source: Option<IpAddr>,
    /// The first, in seconds as in [`Prefix::time`](super::Prefix::time).
    pub first: Option<i64>,
    /// The last.
    pub last: Option<i64>,
}

impl Origin {
    fn of(finding: &Finding) -> Self {
        Self { source: finding.source, first: finding.time, last: finding.time }
    }
}

/// A step with nothing in it that a person could have typed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// A line the client sends.
    Say(String),
    /// Octets without a line end.
    Send(&'static str),
    /// AUTH by this mechanism with this login: as many lines as the mechanism takes.
    Auth {
        /// In capitals.
        mechanism: String,
        /// A stand-in.
        login: String,
        /// Whether the first answer comes in the same line.
        initial: bool,
    },
    /// STARTTLS and the handshake.
    StartTls,
}

/// The password of every stand-in.
pub const PASSWORD: &str = "not-the-password";

/// Sessions of a file while they go on.
#[derive(Debug)]
pub struct Sessions {
    open: Recent<Session>,
}

#[derive(Debug)]
struct Session {
    shape: Shape,
    /// The steps of the finding before, so that what repeats them is not taken twice.
    last: Vec<Step>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { open: Recent::new(limits::IMPORT_SHAPES_OPEN_MAX) }
    }
}

impl Sessions {
    /// Takes a finding in; gives out a session that has surely ended.
    pub fn add(&mut self, finding: &Finding) -> Option<Shape> {
        let (Some(session), true) = (&finding.session, finding.server != Server::Dovecot) else {
            return Some(alone(finding));
        };
        let source = finding.source.map(|source| source.to_string()).unwrap_or_default();
        let key = format!("{}|{source}|{session}", finding.server.name());
        let door = door(finding);
        if let Some(known) = self.open.get_mut(&key) {
            // A new connection has the same key where a log has no session ids; its EHLO tells.
            extend(known, finding);
            return None;
        }
        let mut begun = Session {
            shape: Shape {
                server: finding.server,
                what: finding.what,
                door,
                acts: Vec::new(),
                origin: Origin::of(finding),
            },
            last: Vec::new(),
        };
        extend(&mut begun, finding);
        self.open.put(key, begun).map(|session| session.shape)
    }

    /// The file has ended: takes a session out, until there is none.
    pub fn take_next(&mut self) -> Option<Shape> {
        self.open.pop_oldest().map(|session| session.shape)
    }
}

fn alone(finding: &Finding) -> Shape {
    let acts = acts(finding, &steps(finding));
    let origin = Origin::of(finding);
    Shape { server: finding.server, what: finding.what, door: door(finding), acts, origin }
}

fn extend(session: &mut Session, finding: &Finding) {
    let steps = steps(finding);
    let repeats =
        !session.last.is_empty() && steps.starts_with(&session.last) && steps.len() > session.last.len();
    if repeats {
        session.shape.acts = acts(finding, &steps);
    } else {
        let greeted = session.shape.acts.iter().any(is_greeting);
        let more = acts(finding, &steps).into_iter().filter(|act| !(greeted && is_greeting(act)));
        session.shape.acts.extend(more);
    }
    session.shape.acts.truncate(limits::IMPORT_STEPS_MAX);
    session.shape.what = finding.what;
    session.shape.origin.last = finding.time.or(session.shape.origin.last);
    session.last = steps;
}

fn is_greeting(act: &Act) -> bool {
    match act {
        Act::Say(line) => line.starts_with("EHLO ") || line.starts_with("HELO "),
        Act::Send(_) | Act::Auth { .. } | Act::StartTls => false,
    }
}

/// The door, or the one at which such a thing is tried.
fn door(finding: &Finding) -> Door {
    match (finding.door, finding.what) {
        (Some(Door::Smtp | Door::Submission | Door::Submissions), _) => finding.door.unwrap_or(Door::Smtp),
        (Some(Door::Imap | Door::Pop3 | Door::Sieve | Door::Web) | None, What::Login) => Door::Submissions,
        (Some(Door::Imap | Door::Pop3 | Door::Sieve | Door::Web), _) => Door::Submissions,
        (None, _) => Door::Smtp,
    }
}

/// What the log proves; where it proves no more than a refusal, the least that leads to one.
fn steps(finding: &Finding) -> Vec<Step> {
    let hello = || Step::Ehlo(finding.helo.clone().unwrap_or_default());
    let mechanism = finding.mechanism.clone().unwrap_or_else(|| "LOGIN".to_owned());
    let proved = &finding.steps;
    let tries = proved.iter().any(|step| matches!(step, Step::Auth(..)));
    match finding.what {
        What::Login if tries => proved.clone(),
        What::Login => {
            let mut steps = proved.clone();
            if !steps.iter().any(|step| matches!(step, Step::Ehlo(_) | Step::Helo(_))) {
                steps.push(hello());
            }
            if finding.door == Some(Door::Submission) && !steps.contains(&Step::StartTls) {
                steps.extend([Step::StartTls, hello()]);
            }
            steps.push(Step::Auth(mechanism, false));
            steps
        }
        _ if !proved.is_empty() => proved.clone(),
        What::AuthCommand | What::TooManyErrors => vec![hello(), Step::Auth(mechanism, false)],
        What::Recipient | What::Relay | What::Rate => vec![hello(), Step::Mail, Step::Rcpt],
        What::Sender => vec![hello(), Step::Mail],
        What::Message => vec![hello(), Step::Mail, Step::Rcpt, Step::Data],
        What::Greeting | What::PreGreeting => vec![hello()],
        What::Verify => vec![hello(), Step::Vrfy],
        What::Pipelining => vec![hello(), Step::Rset, Step::Noop],
        What::Garbage => vec![Step::Unknown],
        What::Tls => vec![Step::TlsHello],
        What::Client | What::Timeout | What::HungUp => Vec::new(),
    }
}

fn acts(finding: &Finding, steps: &[Step]) -> Vec<Act> {
    let helo = finding.helo.as_deref().unwrap_or_default();
    let login = login(finding.login.as_deref());
    let relay = finding.what == What::Relay;
    let mut acts = Vec::new();
    let mut steps = steps.iter().peekable();
    while let Some(step) = steps.next() {
        let said = |line: &str| Act::Say(line.to_owned());
        acts.push(match step {
            Step::Ehlo(name) => Act::Say(format!("EHLO {}", hello(name, helo))),
            Step::Helo(name) => Act::Say(format!("HELO {}", hello(name, helo))),
            Step::StartTls => Act::StartTls,
            Step::Auth(mechanism, initial) => {
                while steps.next_if(|next| matches!(next, Step::LoginName | Step::Password)).is_some() {}
                Act::Auth { mechanism: known_mechanism(mechanism), login: login.clone(), initial: *initial }
            }
            // Outside of an exchange they are commands nobody knows.
            Step::LoginName | Step::Password | Step::Unknown => said("XYZZY"),
            Step::Mail => said("MAIL FROM:<someone@foreign.example>"),
            Step::Rcpt if relay => said("RCPT TO:<someone@elsewhere.example>"),
            Step::Rcpt => said("RCPT TO:<nobody@example.org>"),
            Step::Data => said("DATA"),
            Step::Rset => said("RSET"),
            Step::Noop => said("NOOP"),
            Step::Vrfy => said("VRFY root"),
            Step::Expn => said("EXPN root"),
            Step::Quit => said("QUIT"),
            Step::Http => said("POST / HTTP/1.1"),
            Step::TlsHello => Act::Send("\\x16\\x03\\x01\\x02\\x00\\x01\\x00\\x01\\xfc\\x03\\x03\r\n"),
        });
    }
    acts
}

fn known_mechanism(name: &str) -> String {
    const KNOWN: [&str; 10] = [
        "PLAIN",
        "LOGIN",
        "CRAM-MD5",
        "DIGEST-MD5",
        "SCRAM-SHA-1",
        "SCRAM-SHA-256",
        "NTLM",
        "GSSAPI",
        "XOAUTH2",
        "OAUTHBEARER",
    ];
    let upper = name.to_ascii_uppercase();
    KNOWN
        .iter()
        .find(|known| **known == upper)
        .map_or_else(|| "X-UNKNOWN".to_owned(), |known| (*known).to_owned())
}

/// An EHLO name of the same kind.
fn hello(name: &str, other: &str) -> String {
    let name = if name.is_empty() { other } else { name };
    const TELLING: [&str; 7] = ["User", "ylmf-pc", "[127.0.0.1]", "localhost", "SERVER", "USER", "127.0.0.1"];
    if let Some(known) = TELLING.iter().find(|known| **known == name) {
        return (*known).to_owned();
    }
    let literal = name.starts_with('[');
    let windows = name.starts_with("WIN-") || name.starts_with("DESKTOP-");
    let address = super::scan::address(name).is_some();
    let stand_in = match (literal, windows, address) {
        (true, _, _) => "[192.0.2.1]",
        (false, true, _) => "WIN-0123456789A",
        (false, false, true) => "192.0.2.1",
        (false, false, false) if name.contains('.') || name.is_empty() => "client.example",
        (false, false, false) => "host",
    };
    stand_in.to_owned()
}

/// A login of the same kind: a role stays, with our domain if it had one; anything else is somebody.
fn login(login: Option<&str>) -> String {
    const ROLES: [&str; 40] = [
        "abuse",
        "account",
        "accounts",
        "admin",
        "administrator",
        "backup",
        "billing",
        "contact",
        "copier",
        "daemon",
        "demo",
        "fax",
        "ftp",
        "guest",
        "help",
        "helpdesk",
        "hostmaster",
        "hr",
        "info",
        "marketing",
        "mail",
        "monitor",
        "mysql",
        "news",
        "noreply",
        "office",
        "oracle",
        "photo",
        "postmaster",
        "print",
        "printer",
        "root",
        "sales",
        "scan",
        "scanner",
        "service",
        "support",
        "test",
        "user",
        "webmaster",
    ];
    let login = login.unwrap_or("somebody@example.org");
    let (local, domain) = login.split_once('@').map_or((login, ""), |(local, _)| (local, "@example.org"));
    let lower = local.to_ascii_lowercase();
    let local = ROLES.iter().find(|role| **role == lower).copied().unwrap_or("somebody");
    format!("{local}{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_person_typed_stays() {
        assert_eq!(login(Some("Admin@corp.example")), "admin@example.org");
        assert_eq!(login(Some("my secret passphrase")), "somebody");
        assert_eq!(login(Some("jane.doe@corp.example")), "somebody@example.org");
        assert_eq!(hello("jane-laptop", ""), "host");
        assert_eq!(hello("WIN-SECRETNAME", ""), "WIN-0123456789A");
        assert_eq!(hello("", "mail.corp.example"), "client.example");
        assert_eq!(known_mechanism("hunter2"), "X-UNKNOWN");
    }
}
