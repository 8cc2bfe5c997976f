//! OpenSMTPD: one event a line, joined by the session's id.
//!
//! Since 6.4 `ID smtp EVENT key=value …`, before that `ID smtp event=EVENT key=value …`, before 6.0
//! `smtp-in: …session ID…`. A refused login is told twice: as `authentication … result=permfail` with the user, then
//! as `failed-command` with the reply; the first counts, the second adds the mechanism.

use crate::import::recent::Recent;
use crate::import::scan;
use crate::import::{Door, Finding, Heard, Line, Reader, Server, Step, What, Why};
use crate::limits;
use std::net::IpAddr;

/// The reader.
#[derive(Debug)]
pub struct OpenSmtpd {
    sessions: Recent<Session>,
}

#[derive(Debug, Default)]
struct Session {
    source: Option<IpAddr>,
    tls: bool,
    steps: Vec<Step>,
    /// A refused login whose mechanism may follow.
    login: Option<Finding>,
    /// The back end failed: the failed command that follows is no refusal.
    tempfail: bool,
}

impl Default for OpenSmtpd {
    fn default() -> Self {
        Self { sessions: Recent::new(limits::IMPORT_SESSIONS_MAX) }
    }
}

impl Reader for OpenSmtpd {
    fn server(&self) -> Server {
        Server::OpenSmtpd
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        let sure = match line.prefix.program {
            Some("smtpd" | "opensmtpd") => true,
            Some(_) => return Heard::NotMine,
            None => false,
        };
        if let Some(rest) = line.text.strip_prefix("smtp-in: ") {
            return self.before_six(line, rest, found);
        }
        let Some((id, rest)) = line.text.split_once(' ').filter(|(id, _)| is_id(id)) else {
            return if sure { Heard::Understood } else { Heard::NotMine };
        };
        let Some(event) = rest.strip_prefix("smtp ") else {
            // mta, lmtp, mda: mail that leaves.
            return Heard::Understood;
        };
        let event = event.strip_prefix("event=").unwrap_or(event);
        let (name, fields) = event.split_once(' ').unwrap_or((event, ""));
        self.event(line, id, name, fields, found)
    }

    fn end(&mut self, found: &mut Vec<Finding>) {
        while let Some(session) = self.sessions.pop_oldest() {
            found.extend(session.login);
        }
    }
}

fn is_id(word: &str) -> bool {
    word.len() == 16 && word.bytes().all(|octet| octet.is_ascii_hexdigit())
}

/// The value of a key that stands first or behind a space; to the next space, or to the closing quote.
fn field<'f>(fields: &'f str, key: &str) -> Option<&'f str> {
    let mark = format!("{key}=");
    let rest = match fields.strip_prefix(mark.as_str()) {
        Some(rest) => rest,
        None => fields.split_once(&format!(" {mark}"))?.1,
    };
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').map(|(value, _)| value),
        None => Some(rest.split_once(' ').map_or(rest, |(value, _)| value)),
    }
}

impl OpenSmtpd {
    fn event(
        &mut self,
        line: &Line<'_>,
        id: &str,
        name: &str,
        fields: &str,
        found: &mut Vec<Finding>,
    ) -> Heard {
        match name {
            "connected" => self.connected(id, field(fields, "address"), found),
            "tls" | "starttls" => self.session(id, found).tls = true,
            "authentication" => return self.authentication(line, id, fields, found),
            "failed-command" => return self.failed(line, id, fields, found),
            "bad-input" => self.refused(line, id, What::Garbage, Step::Unknown, found),
            "disconnected" | "closed" => {
                if let Some(session) = self.sessions.take(id) {
                    found.extend(session.login);
                }
            }
            _ => {}
        }
        Heard::Understood
    }

    fn connected(&mut self, id: &str, address: Option<&str>, found: &mut Vec<Finding>) {
        let source = address.and_then(scan::address);
        let before = self.sessions.put(id.to_owned(), Session { source, ..Session::default() });
        found.extend(before.and_then(|session| session.login));
    }

    /// The session of this id; a new one of which nothing is known if it began before the file.
    fn session(&mut self, id: &str, found: &mut Vec<Finding>) -> &mut Session {
        if self.sessions.get(id).is_none() {
            let gone = self.sessions.put(id.to_owned(), Session::default());
            found.extend(gone.and_then(|session| session.login));
        }
        self.sessions.get_or_put(id.to_owned(), Session::default)
    }

    /// `user=USER [address=ADDRESS host=NAME] result=permfail`: the user is the client's text, the result is last.
    fn authentication(&mut self, line: &Line<'_>, id: &str, fields: &str, found: &mut Vec<Finding>) -> Heard {
        let Some((before, result)) = fields.rsplit_once(" result=") else { return Heard::Damaged(Why::Cut) };
        let user = before.strip_prefix("user=").unwrap_or_default();
        let (user, address) = match user.rsplit_once(" address=") {
            Some((user, rest)) => (user, rest.split(' ').next().and_then(scan::address)),
            None => (user, None),
        };
        let session = self.session(id, found);
        session.source = session.source.or(address);
        let earlier = session.login.take();
        match result {
            "permfail" => {
                let mut finding = finding(line, id, What::Login, session);
                finding.login = scan::login(user);
                session.login = Some(finding);
                session.tempfail = false;
            }
            "tempfail" => session.tempfail = true,
            "ok" => session.tempfail = false,
            _ => {
                found.extend(earlier);
                return Heard::Damaged(Why::Cut);
            }
        }
        found.extend(earlier);
        Heard::Understood
    }

    /// `command="…" result="535 …"`: the command is the client's unless it is one of those OpenSMTPD writes itself.
    fn failed(&mut self, line: &Line<'_>, id: &str, fields: &str, found: &mut Vec<Finding>) -> Heard {
        let address =
            fields.strip_prefix("address=").and_then(|rest| rest.split(' ').next()).and_then(scan::address);
        let Some((before, result)) = fields.rsplit_once(" result=\"") else {
            return Heard::Damaged(Why::Cut);
        };
        let Some((_, command)) = before.split_once("command=\"") else { return Heard::Damaged(Why::Cut) };
        let command = command.strip_suffix('"').unwrap_or(command);
        let session = self.session(id, found);
        session.source = session.source.or(address);
        let verb = command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        if verb == "AUTH" {
            self.failed_auth(line, id, command, result, found);
        } else if result.starts_with('5') {
            let (what, step) = match verb.as_str() {
                "RCPT" if result.contains("elay") => (What::Relay, Step::Rcpt),
                "RCPT" => (What::Recipient, Step::Rcpt),
                "MAIL" => (What::Sender, Step::Mail),
                "EHLO" | "HELO" => (What::Greeting, Step::Unknown),
                "DATA" => (What::Message, Step::Data),
                "VRFY" => (What::Verify, Step::Vrfy),
                "EXPN" => (What::Verify, Step::Expn),
                _ => (What::Garbage, Step::Unknown),
            };
            self.refused(line, id, what, step, found);
        }
        Heard::Understood
    }

    fn failed_auth(
        &mut self,
        line: &Line<'_>,
        id: &str,
        command: &str,
        result: &str,
        found: &mut Vec<Finding>,
    ) {
        let session = self.session(id, found);
        let mechanism = command.split(' ').nth(1).and_then(scan::mechanism);
        let tempfail = std::mem::take(&mut session.tempfail);
        if let Some(mut login) = session.login.take() {
            login.mechanism = mechanism;
            if let Some(name) = &login.mechanism {
                let inline = name == "PLAIN" || command.ends_with("(...)");
                login.steps.push(Step::Auth(name.clone(), inline));
            }
            found.push(login);
            return;
        }
        // Syntax errors (501) are an exchange that never came to a verdict; 4xx is our side's.
        let refused = ["535", "504", "503", "530", "534", "538", "500", "550"]
            .iter()
            .any(|code| result.starts_with(code));
        if refused && !tempfail {
            let what = if result.starts_with("535") { What::Login } else { What::AuthCommand };
            let mut finding = finding(line, id, what, session);
            finding.mechanism = mechanism;
            if let Some(name) = &finding.mechanism {
                finding.steps.push(Step::Auth(name.clone(), name == "PLAIN"));
            }
            found.push(finding);
        }
    }

    fn refused(&mut self, line: &Line<'_>, id: &str, what: What, step: Step, found: &mut Vec<Finding>) {
        let session = self.session(id, found);
        if session.steps.len() < limits::IMPORT_STEPS_MAX {
            if step == Step::Rcpt && !session.steps.contains(&Step::Mail) {
                session.steps.push(Step::Mail);
            }
            session.steps.push(step);
        }
        let finding = finding(line, id, what, session);
        found.push(finding);
    }

    /// Before 6.0: `New session ID from host NAME [ADDRESS]`, `Failed command on session ID: "COMMAND" => REPLY`.
    fn before_six(&mut self, line: &Line<'_>, rest: &str, found: &mut Vec<Finding>) -> Heard {
        if let Some((id, host)) =
            rest.strip_prefix("New session ").and_then(|rest| rest.split_once(" from host "))
        {
            let Some((_, address)) = scan::client(host.trim_end()) else {
                return Heard::Damaged(Why::NoAddress);
            };
            found.extend(
                self.sessions
                    .put(id.to_owned(), Session { source: Some(address), ..Session::default() })
                    .and_then(|session| session.login),
            );
            return Heard::Understood;
        }
        let failed = ["Failed command on session ", "Rejected session "]
            .iter()
            .find_map(|start| rest.strip_prefix(start));
        if let Some((id, told)) = failed.and_then(|failed| failed.split_once(": \"")) {
            let Some((command, result)) = told.rsplit_once("\" => ") else { return Heard::Damaged(Why::Cut) };
            let fields = format!("command=\"{command}\" result=\"{result}\"");
            return self.failed(line, id, &fields, found);
        }
        if let Some((user, id)) = rest
            .strip_prefix("Authentication failed for user ")
            .and_then(|rest| rest.rsplit_once(" on session "))
        {
            let fields = format!("user={user} result=permfail");
            return self.authentication(line, id, &fields, found);
        }
        let ends = ["Closing session ", "Disconnecting session ", "Received disconnect from session "];
        if let Some(rest) = ends.iter().find_map(|start| rest.strip_prefix(start)) {
            let id = rest.split([':', ' ']).next().unwrap_or_default();
            if let Some(session) = self.sessions.take(id) {
                found.extend(session.login);
            }
        }
        Heard::Understood
    }
}

fn finding(line: &Line<'_>, id: &str, what: What, session: &Session) -> Finding {
    let mut finding = Finding::new(line, Server::OpenSmtpd, what);
    finding.source = session.source;
    finding.session = Some(id.to_owned());
    finding.door = session.tls.then_some(Door::Submissions);
    finding.steps = session.steps.clone();
    finding
}
