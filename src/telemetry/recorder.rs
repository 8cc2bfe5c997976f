//! From a note to a counter and a line.

use super::budget::Bucket;
use super::kind::{Class, Kind};
use super::line::Line;
pub use super::note::Counter;
use super::note::{Note, Noted, login_reason};
use super::seen::Seen;
use super::suppressed::Suppressed;
use crate::auth::verdict::{LoginVerdict, ProvenBy, ThrottleRule, Unavailability};
use crate::contract::{Cause, PeerFacts};
use crate::limits::{
    LOG_FIRST_SIGHT_OCTETS_PER_MINUTE_MAX, LOG_HOSTILE_OCTETS_PER_MINUTE_MAX, LOG_LOGIN_CHARS_MAX,
    LOG_LOGINS_OCTETS_PER_MINUTE_MAX, LOG_MAIL_OCTETS_PER_MINUTE_MAX, LOG_OPERATION_OCTETS_PER_MINUTE_MAX,
    LOG_TROUBLE_OCTETS_PER_MINUTE_MAX,
};
use crate::smtp::outcome::RecipientReason;
use crate::types::{Moment, Now, Prefix};
use log::Level;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A line, if the event is worth one, with its kind and level.
type Told = Option<(Kind, Level, Line)>;

/// Counts every note and logs what its budget allows.
#[derive(Debug)]
pub struct Recorder {
    counters: BTreeMap<Counter, u64>,
    hostile: Bucket,
    first_sight: Bucket,
    logins: Bucket,
    mail: Bucket,
    trouble: Bucket,
    operation: Bucket,
    seen: Seen,
    suppressed: Suppressed,
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorder {
    /// Nothing counted, all budgets full.
    #[must_use]
    pub fn new() -> Self {
        Self {
            counters: BTreeMap::new(),
            hostile: Bucket::new(LOG_HOSTILE_OCTETS_PER_MINUTE_MAX),
            first_sight: Bucket::new(LOG_FIRST_SIGHT_OCTETS_PER_MINUTE_MAX),
            logins: Bucket::new(LOG_LOGINS_OCTETS_PER_MINUTE_MAX),
            mail: Bucket::new(LOG_MAIL_OCTETS_PER_MINUTE_MAX),
            trouble: Bucket::new(LOG_TROUBLE_OCTETS_PER_MINUTE_MAX),
            operation: Bucket::new(LOG_OPERATION_OCTETS_PER_MINUTE_MAX),
            seen: Seen::default(),
            suppressed: Suppressed::default(),
        }
    }

    /// Counts an event of a session and logs it through [`log`] if its budget allows.
    pub fn note(&mut self, now: Now, noted: &Noted) {
        write(self.judge(now.moment, noted));
    }

    /// Logs an event that no peer can cause: of the store, of an administrator.
    pub fn operation(&mut self, now: Now, level: Level, line: Line) {
        write(self.spend(now.moment, Kind::Operation, level, line, None));
    }

    /// Logs trouble of ours that a peer ran into, and could run into again and again.
    pub fn trouble(&mut self, now: Now, level: Level, line: Line) {
        write(self.spend(now.moment, Kind::Trouble, level, line, None));
    }

    /// Writes what is to be said about lines held back, when [`Recorder::next_deadline`] has come.
    pub fn due(&mut self, now: Now) {
        write(self.rollups(now.moment));
    }

    /// When to call [`Recorder::due`] next, if something was held back.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.suppressed.next_deadline()
    }

    /// Writes what is to be said about lines held back, now: the process is leaving.
    pub fn close(&mut self) {
        write(rolled_up(self.suppressed.close()));
    }

    /// What was counted so far, by name.
    pub fn counters(&self) -> impl Iterator<Item = (Counter, u64)> {
        self.counters.iter().map(|(name, count)| (*name, *count))
    }

    /// How often this was counted.
    #[must_use]
    pub fn count(&self, counter: Counter) -> u64 {
        self.counters.get(&counter).copied().unwrap_or(0)
    }

    /// Counts an event of a session and returns the lines to be logged for it.
    pub fn judge(&mut self, now: Moment, noted: &Noted) -> Vec<(Level, String)> {
        let (counter, told) = (noted.note.counter(), tell(noted));
        let count = self.counters.entry(counter).or_default();
        *count = count.saturating_add(1);
        match told {
            Some((kind, level, line)) => self.spend(now, kind, level, line, Some(noted.peer.address)),
            None => self.rollups(now),
        }
    }

    fn spend(
        &mut self,
        now: Moment,
        kind: Kind,
        level: Level,
        line: Line,
        source: Option<IpAddr>,
    ) -> Vec<(Level, String)> {
        let mut lines = self.rollups(now);
        let text = line.finish();
        let octets = text.len().saturating_add(1);
        if self.admit(now, kind.class(), octets, source) {
            lines.push((level, text));
        } else {
            self.suppressed.count(now, kind, octets, source.map(Prefix::host));
        }
        lines
    }

    fn admit(&mut self, now: Moment, class: Class, octets: usize, source: Option<IpAddr>) -> bool {
        match class {
            Class::Hostile => self.admit_hostile(now, octets, source.map(Prefix::net)),
            Class::Logins => self.logins.take(now, octets),
            Class::Mail => self.mail.take(now, octets),
            // What libraries say comes with no note, and has its budget where it comes out.
            Class::Trouble | Class::Library => self.trouble.take(now, octets),
            Class::Operation => self.operation.take(now, octets),
        }
    }

    /// The first line about a network has a budget of its own when a flood has taken the other.
    fn admit_hostile(&mut self, now: Moment, octets: usize, network: Option<Prefix>) -> bool {
        let new = network.filter(|network| !self.seen.knows(*network));
        let admitted =
            self.hostile.take(now, octets) || (new.is_some() && self.first_sight.take(now, octets));
        if let Some(network) = new.filter(|_| admitted) {
            self.seen.remember(network);
        }
        admitted
    }

    fn rollups(&mut self, now: Moment) -> Vec<(Level, String)> {
        rolled_up(self.suppressed.turn(now))
    }
}

fn rolled_up(lines: Vec<Line>) -> Vec<(Level, String)> {
    lines.into_iter().map(|line| (Level::Warn, line.finish())).collect()
}

fn write(lines: Vec<(Level, String)>) {
    for (level, line) in lines {
        log::log!(target: "gatepost", level, "{line}");
    }
}

/// What every line about a session begins with: who, from where, through which door.
fn about(event: &'static str, peer: &PeerFacts) -> Line {
    Line::new(event)
        .field("session", peer.session)
        .field("from", peer.address)
        .field("listener", peer.listener.name())
}

/// Every note's line: the one place that decides what is worth one.
fn tell(noted: &Noted) -> Told {
    let peer = &noted.peer;
    match &noted.note {
        Note::Login { mechanism, login, verdict } => tell_login(noted, mechanism, login, *verdict),
        Note::Accepted { id, octets, deliveries, sender } => {
            let line = about("accepted", peer)
                .field("id", id)
                .field("octets", octets)
                .field("deliveries", deliveries)
                .peer_text("sender", sender, LOG_LOGIN_CHARS_MAX);
            Some((Kind::Mail, Level::Info, line))
        }
        Note::RecipientRefused { recipient, reason, code } => {
            let line = about("recipient-refused", peer)
                .peer_text("recipient", recipient, LOG_LOGIN_CHARS_MAX)
                .field("reason", reason.name())
                .field("reply", code);
            Some((recipient_kind(*reason, *code), Level::Info, line))
        }
        Note::MessageRefused { reason, code } => {
            let line = about("message-refused", peer).field("reason", reason).field("reply", code);
            // 4yz is our trouble and not the peer's: a full disk, a store that failed. Still it is the peer who
            // decides how often it meets it.
            let (kind, level) =
                if *code < 500 { (Kind::Trouble, Level::Warn) } else { (Kind::Other, Level::Info) };
            Some((kind, level, line))
        }
        Note::Encrypted | Note::Offence(_) | Note::Verify | Note::EarlyTalk => None,
        Note::TurnedAway { rule, enforced } => {
            let (kind, outcome) =
                if *enforced { (Kind::Connect, "refused") } else { (Kind::Other, "dry-run") };
            let line = about("turned-away", peer).field("reason", rule.name()).field("outcome", outcome);
            Some((kind, Level::Info, line))
        }
        Note::Closed { cause, errors, offence } => tell_closed(peer, *cause, *errors, offence),
    }
}

fn tell_login(noted: &Noted, mechanism: &'static str, login: &str, verdict: LoginVerdict) -> Told {
    let reason = login_reason(verdict);
    let line = |event| {
        about(event, &noted.peer).field("mechanism", mechanism).peer_text("login", login, LOG_LOGIN_CHARS_MAX)
    };
    let failed = || line("auth-failed").field("reason", reason).field("reply", verdict.reply().code);
    let told = match verdict {
        LoginVerdict::Accepted(_, ProvenBy::MainPassword) => {
            (Kind::Success, Level::Info, line("auth-succeeded"))
        }
        LoginVerdict::Accepted(_, ProvenBy::AppPassword(id)) => {
            let line = line("auth-succeeded").field("app-password", id);
            let named = match noted.app_password.as_str() {
                "" => line,
                name => line.peer_text("app-password-name", name, LOG_LOGIN_CHARS_MAX),
            };
            (Kind::Success, Level::Info, named)
        }
        LoginVerdict::Refused(_) => (Kind::Login, Level::Info, failed()),
        // Only the owner can come here.
        LoginVerdict::Disabled(_) => (Kind::Success, Level::Info, failed()),
        LoginVerdict::Unavailable(Unavailability::Throttled(rule)) => {
            (throttled_kind(rule), Level::Info, failed())
        }
        LoginVerdict::Unavailable(Unavailability::QueueFull) => (Kind::Other, Level::Info, failed()),
        LoginVerdict::Unavailable(Unavailability::Directory | Unavailability::Worker) => {
            (Kind::Trouble, Level::Warn, failed())
        }
    };
    Some(told)
}

/// A recipient refused with 55y is one that a ban tool may count.
fn recipient_kind(reason: RecipientReason, code: u16) -> Kind {
    match (reason, code) {
        (RecipientReason::DirectoryUnavailable, _) => Kind::Trouble,
        (_, 550..=559) => Kind::Recipient,
        (_, _) => Kind::Other,
    }
}

/// Who is over a limit goes on guessing; who is on the deny-list was told so before.
fn throttled_kind(rule: ThrottleRule) -> Kind {
    match rule {
        ThrottleRule::Host | ThrottleRule::Net | ThrottleRule::Wide | ThrottleRule::Login => Kind::Login,
        ThrottleRule::DenyList => Kind::Other,
    }
}

fn tell_closed(peer: &PeerFacts, cause: Cause, errors: u32, offence: &'static str) -> Told {
    let line = || {
        let line = about("closed", peer).field("cause", cause.name()).field("errors", errors);
        if offence.is_empty() { line } else { line.field("offence", offence) }
    };
    let hostile = |kind| Some((kind, Level::Info, line()));
    match cause {
        Cause::Fault => Some((Kind::Trouble, Level::Warn, line())),
        Cause::TooManyErrors => hostile(Kind::Errors),
        Cause::TooManyRefusedRecipients => hostile(Kind::Recipient),
        Cause::TooManyAuthFailures => hostile(Kind::Login),
        Cause::NotSmtp => hostile(Kind::Probe),
        Cause::TooLong | Cause::TlsFailed | Cause::Crowded => hostile(Kind::Other),
        Cause::Quit | Cause::PeerClosed | Cause::Idle | Cause::Stopping | Cause::Broken => {
            hostile(Kind::Other).filter(|_| errors > 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::verdict::Refusal;
    use crate::contract::Listener;
    use crate::limits::LOG_LINE_OCTETS_MAX;
    use crate::types::{AccountId, MailId, SessionId};

    fn noted(address: &str, note: Note) -> Noted {
        let peer = PeerFacts {
            session: SessionId(0xabc),
            address: address.parse().unwrap(),
            listener: Listener::Submissions,
        };
        Noted { peer, note, app_password: String::new() }
    }

    fn login(verdict: LoginVerdict) -> Note {
        Note::Login { mechanism: "PLAIN", login: "info@example.org".into(), verdict }
    }

    fn one_line(note: Note) -> String {
        let mut lines = Recorder::new().judge(Moment(0), &noted("203.0.113.9", note));
        assert_eq!(lines.len(), 1);
        lines.pop().unwrap().1
    }

    fn closed(cause: Cause, errors: u32, offence: &'static str) -> Note {
        Note::Closed { cause, errors, offence }
    }

    #[test]
    fn a_refused_login_is_the_line_a_ban_tool_knows() {
        assert_eq!(
            one_line(login(LoginVerdict::Refused(Refusal::NoSuchAddress))),
            "event=auth-failed session=000000000abc from=203.0.113.9 listener=submissions mechanism=PLAIN \
             login=\"info@example.org\" reason=no-such-address reply=535"
        );
    }

    #[test]
    fn a_login_that_succeeds_is_never_called_failed() {
        let line = one_line(login(LoginVerdict::Accepted(AccountId(1), ProvenBy::MainPassword)));
        assert!(line.starts_with("event=auth-succeeded ") && !line.contains("reply="), "{line}");
    }

    #[test]
    fn a_login_with_an_application_password_says_which_and_no_name_breaks_the_line() {
        let by = ProvenBy::AppPassword(crate::directory::credential::CredentialId(3));
        let mut noted = noted("203.0.113.9", login(LoginVerdict::Accepted(AccountId(1), by)));
        noted.app_password = "phone\" from=1.2.3.4".to_owned();
        let line = Recorder::new().judge(Moment(0), &noted).pop().unwrap().1;
        assert!(line.ends_with(r#" app-password=3 app-password-name="phone\"\u{20}from=1.2.3.4""#), "{line}");
    }

    #[test]
    fn a_message_that_was_kept_has_its_id_in_the_log() {
        let line = one_line(Note::Accepted {
            id: MailId([0x11; 16]),
            octets: 1234,
            deliveries: 2,
            sender: "<a@example.org>".into(),
        });
        assert!(line.contains("id=11111111111111111111111111111111 octets=1234 deliveries=2 "), "{line}");
        assert!(line.ends_with("sender=\"<a@example.org>\""), "{line}");
    }

    #[test]
    fn an_ordinary_end_of_a_session_is_counted_and_not_logged() {
        let mut recorder = Recorder::new();
        for cause in [Cause::Quit, Cause::PeerClosed, Cause::Idle, Cause::Stopping, Cause::Broken] {
            assert_eq!(recorder.judge(Moment(0), &noted("192.0.2.1", closed(cause, 0, ""))), []);
        }
        assert_eq!(recorder.judge(Moment(0), &noted("192.0.2.1", Note::Encrypted)), []);
        let counters: Vec<_> = recorder.counters().collect();
        assert_eq!(counters.len(), 6);
        assert!(counters.contains(&(("closed", "idle"), 1)) && counters.contains(&(("tls", "up"), 1)));
    }

    #[test]
    fn a_session_with_an_offence_says_which_was_the_first() {
        let line = one_line(closed(Cause::Quit, 3, "unknown-command"));
        assert!(line.ends_with("cause=quit errors=3 offence=unknown-command"), "{line}");
        assert!(one_line(closed(Cause::TlsFailed, 0, "")).ends_with("cause=tls-failed errors=0"));
    }

    #[test]
    fn faults_of_our_own_are_warnings_and_hostile_events_are_not() {
        let level = |note| Recorder::new().judge(Moment(0), &noted("192.0.2.1", note)).pop().unwrap().0;
        assert_eq!(level(closed(Cause::Fault, 0, "")), Level::Warn);
        assert_eq!(level(Note::MessageRefused { reason: "disk-full", code: 452 }), Level::Warn);
        assert_eq!(level(Note::MessageRefused { reason: "bare-lf", code: 554 }), Level::Info);
        assert_eq!(level(login(LoginVerdict::Unavailable(Unavailability::Worker))), Level::Warn);
        assert_eq!(level(login(LoginVerdict::Unavailable(Unavailability::QueueFull))), Level::Info);
        assert_eq!(level(login(LoginVerdict::Refused(Refusal::Malformed))), Level::Info);
    }

    #[test]
    fn the_longest_line_there_can_be_keeps_its_limit_and_its_reply() {
        let evil = "\u{202e}".repeat(500);
        let mut note = noted(
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            login(LoginVerdict::Refused(Refusal::WrongPasswordOfDisabledAccount)),
        );
        note.note = Note::Login {
            mechanism: "PLAIN",
            login: evil,
            verdict: LoginVerdict::Refused(Refusal::WrongPasswordOfDisabledAccount),
        };
        let line = Recorder::new().judge(Moment(0), &note).pop().unwrap().1;
        assert!(line.len() < LOG_LINE_OCTETS_MAX && line.ends_with(" reply=535"), "{line}");
    }
}
