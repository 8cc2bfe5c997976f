//! From a note to a counter and a line.

use super::budget::Budget;
use super::line::Line;
use super::note::{Note, Noted, login_reason};
use crate::auth::verdict::{LoginVerdict, ProvenBy, Unavailability};
use crate::contract::{Cause, PeerFacts};
use crate::limits::{LOG_CLASS_OCTETS_PER_MINUTE, LOG_HOSTILE_OCTETS_PER_MINUTE, LOG_LOGIN_CHARS_MAX};
use crate::types::{Moment, Now, Prefix};
use log::Level;
use std::collections::BTreeMap;

/// Which budget a line is written from. No class can use up another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// What strangers cause.
    Hostile,
    /// Mail taken and logins that succeeded.
    Success,
    /// The store, administrators' acts, faults: what the administrator must not miss.
    Operation,
}

/// A counter's name: what happened, and which kind of it.
pub type Counter = (&'static str, &'static str);

/// A line, if the event is worth one, with its class and level.
type Told = Option<(Class, Level, Line)>;

/// Counts every note and logs what its budget allows.
#[derive(Debug)]
pub struct Recorder {
    counters: BTreeMap<Counter, u64>,
    hostile: Budget,
    success: Budget,
    operation: Budget,
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
            hostile: Budget::new("hostile", LOG_HOSTILE_OCTETS_PER_MINUTE),
            success: Budget::new("success", LOG_CLASS_OCTETS_PER_MINUTE),
            operation: Budget::new("operation", LOG_CLASS_OCTETS_PER_MINUTE),
        }
    }

    /// Counts an event of a session and logs it through [`log`] if its budget allows.
    pub fn note(&mut self, now: Now, noted: &Noted) {
        write(self.judge(now.moment, noted));
    }

    /// Logs an event that belongs to no session: of the store, of an administrator.
    pub fn operation(&mut self, now: Now, level: Level, line: Line) {
        write(self.spend(now.moment, Class::Operation, level, line, None));
    }

    /// Writes what is to be said about lines held back, when [`Recorder::next_deadline`] has come.
    pub fn due(&mut self, now: Now) {
        write(self.rollups(now.moment));
    }

    /// When to call [`Recorder::due`] next, if something was held back.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        [&self.hostile, &self.success, &self.operation].into_iter().filter_map(Budget::next_deadline).min()
    }

    /// Writes what is to be said about lines held back, now: the process is leaving.
    pub fn close(&mut self) {
        let lines = [&mut self.hostile, &mut self.success, &mut self.operation].map(Budget::close);
        write(lines.into_iter().flatten().map(|line| (Level::Warn, line.finish())).collect());
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
        let (counter, told) = tell(noted);
        let count = self.counters.entry(counter).or_default();
        *count = count.saturating_add(1);
        match told {
            Some((class, level, line)) => {
                self.spend(now, class, level, line, Some(Prefix::host(noted.peer.address)))
            }
            None => self.rollups(now),
        }
    }

    fn spend(
        &mut self,
        now: Moment,
        class: Class,
        level: Level,
        line: Line,
        source: Option<Prefix>,
    ) -> Vec<(Level, String)> {
        let mut lines = self.rollups(now);
        let budget = match class {
            Class::Hostile => &mut self.hostile,
            Class::Success => &mut self.success,
            Class::Operation => &mut self.operation,
        };
        let text = line.finish();
        if budget.admit(now, text.len().saturating_add(1), source) {
            lines.push((level, text));
        }
        lines
    }

    fn rollups(&mut self, now: Moment) -> Vec<(Level, String)> {
        [&mut self.hostile, &mut self.success, &mut self.operation]
            .into_iter()
            .flat_map(|budget| budget.turn(now))
            .map(|line| (Level::Warn, line.finish()))
            .collect()
    }
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

/// Every note's counter and line: the one place that decides what is worth a line.
fn tell(noted: &Noted) -> (Counter, Told) {
    let peer = &noted.peer;
    match &noted.note {
        Note::Login { mechanism, login, verdict } => tell_login(noted, mechanism, login, *verdict),
        Note::Accepted { id, octets, deliveries, sender } => {
            let line = about("accepted", peer)
                .field("id", id)
                .field("octets", octets)
                .field("deliveries", deliveries)
                .peer_text("sender", sender, LOG_LOGIN_CHARS_MAX);
            (("message", "accepted"), Some((Class::Success, Level::Info, line)))
        }
        Note::RecipientRefused { recipient, reason, code } => {
            let line = about("recipient-refused", peer)
                .peer_text("recipient", recipient, LOG_LOGIN_CHARS_MAX)
                .field("reason", reason.name())
                .field("reply", code);
            (("recipient-refused", reason.name()), Some((Class::Hostile, Level::Info, line)))
        }
        Note::MessageRefused { reason, code } => {
            let line = about("message-refused", peer).field("reason", reason).field("reply", code);
            // 4yz is our trouble and not the peer's: a full disk, a store that failed.
            let (class, level) =
                if *code < 500 { (Class::Operation, Level::Warn) } else { (Class::Hostile, Level::Info) };
            (("message-refused", reason), Some((class, level, line)))
        }
        Note::Encrypted => (("tls", "up"), None),
        Note::Offence(offence) => (("offence", offence.name()), None),
        Note::Verify => (("probe", "vrfy"), None),
        Note::TurnedAway { rule, enforced } => {
            let outcome = if *enforced { "refused" } else { "dry-run" };
            let line = about("turned-away", peer).field("reason", rule.name()).field("outcome", outcome);
            (("turned-away", rule.name()), Some((Class::Hostile, Level::Info, line)))
        }
        Note::EarlyTalk => (("probe", "early-talk"), None),
        Note::Closed { cause, errors, offence } => tell_closed(peer, *cause, *errors, offence),
    }
}

fn tell_login(noted: &Noted, mechanism: &'static str, login: &str, verdict: LoginVerdict) -> (Counter, Told) {
    let reason = login_reason(verdict);
    let line = |event| {
        about(event, &noted.peer).field("mechanism", mechanism).peer_text("login", login, LOG_LOGIN_CHARS_MAX)
    };
    let failed = || line("auth-failed").field("reason", reason).field("reply", verdict.reply().code);
    let told = match verdict {
        LoginVerdict::Accepted(_, ProvenBy::MainPassword) => {
            (Class::Success, Level::Info, line("auth-succeeded"))
        }
        LoginVerdict::Accepted(_, ProvenBy::AppPassword(id)) => {
            let line = line("auth-succeeded").field("app-password", id);
            let named = match noted.app_password.as_str() {
                "" => line,
                name => line.peer_text("app-password-name", name, LOG_LOGIN_CHARS_MAX),
            };
            (Class::Success, Level::Info, named)
        }
        LoginVerdict::Refused(_) => (Class::Hostile, Level::Info, failed()),
        // Only the owner can come here.
        LoginVerdict::Disabled(_) => (Class::Success, Level::Info, failed()),
        LoginVerdict::Unavailable(Unavailability::QueueFull | Unavailability::Throttled(_)) => {
            (Class::Hostile, Level::Info, failed())
        }
        LoginVerdict::Unavailable(Unavailability::Directory | Unavailability::Worker) => {
            (Class::Operation, Level::Warn, failed())
        }
    };
    (("login", reason), Some(told))
}

fn tell_closed(peer: &PeerFacts, cause: Cause, errors: u32, offence: &'static str) -> (Counter, Told) {
    let line = || {
        let line = about("closed", peer).field("cause", cause.name()).field("errors", errors);
        if offence.is_empty() { line } else { line.field("offence", offence) }
    };
    let told = match cause {
        Cause::Fault => Some((Class::Operation, Level::Warn, line())),
        Cause::TooManyErrors
        | Cause::TooManyRefusedRecipients
        | Cause::TooManyAuthFailures
        | Cause::NotSmtp
        | Cause::TooLong
        | Cause::TlsFailed
        | Cause::Crowded => Some((Class::Hostile, Level::Info, line())),
        Cause::Quit | Cause::PeerClosed | Cause::Idle | Cause::Stopping | Cause::Broken => {
            (errors > 0).then(|| (Class::Hostile, Level::Info, line()))
        }
    };
    (("closed", cause.name()), told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::verdict::Refusal;
    use crate::contract::Listener;
    use crate::limits::{LOG_LINE_OCTETS_MAX, LOG_MINUTE_MS};
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
    fn a_flood_costs_a_bounded_number_of_octets_a_minute_and_displaces_nothing_else() {
        let mut recorder = Recorder::new();
        let refused = noted("203.0.113.9", login(LoginVerdict::Refused(Refusal::WrongPassword)));
        let mut octets = 0;
        for _ in 0..10_000 {
            let lines = recorder.judge(Moment(1), &refused);
            octets += lines.iter().map(|(_, line)| line.len() + 1).sum::<usize>();
        }
        assert!(octets <= LOG_HOSTILE_OCTETS_PER_MINUTE, "{octets}");
        let good = noted("198.51.100.1", login(LoginVerdict::Accepted(AccountId(1), ProvenBy::MainPassword)));
        assert_eq!(recorder.judge(Moment(2), &good).len(), 1);
        assert_eq!(
            recorder.counters().find(|(name, _)| *name == ("login", "wrong-password")).unwrap().1,
            10_000
        );

        let written = octets / (one_line(refused.note).len() + 1);
        let due = recorder.next_deadline().unwrap();
        assert_eq!(due, Moment(1 + LOG_MINUTE_MS));
        let lines = recorder.rollups(due);
        let held_back = 10_000 - written;
        assert!(lines[0].1.starts_with(&format!("event=suppressed class=hostile lines={held_back} octets=")));
        assert_eq!(
            lines[1].1,
            format!("event=suppressed-from from=203.0.113.9 class=hostile lines={held_back}")
        );
        assert_eq!(recorder.next_deadline(), None);
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
