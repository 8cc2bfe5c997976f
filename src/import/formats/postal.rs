//! Postal's SMTP server.
//!
//! Up to 2.x `[smtp.1:2024] [STAMP] DEBUG -- : [ID] <= LINE` (or only the process number in front), cut at its start
//! or not; from 3.0 on `STAMP DEBUG  <= LINE trace_id=ID component=smtp-server`. Both hold the protocol; where only
//! warnings are logged, `Authentication failure for ADDRESS` is the refusal.

use crate::import::conversation::Conversation;
use crate::import::recent::Recent;
use crate::import::{Finding, Heard, Line, Reader, Server, What, Why, scan};
use crate::limits;

/// See the module.
#[derive(Debug)]
pub struct Postal {
    sessions: Recent<Conversation>,
}

impl Default for Postal {
    fn default() -> Self {
        Self { sessions: Recent::new(limits::IMPORT_SESSIONS_MAX) }
    }
}

impl Reader for Postal {
    fn server(&self) -> Server {
        Server::Postal
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        match old(line.whole).or_else(|| new(line.whole)) {
            Some((Some(id), message)) => self.message(line, id, message, found),
            Some((None, _)) => Heard::Understood,
            None => Heard::NotMine,
        }
    }

    fn end(&mut self, found: &mut Vec<Finding>) {
        while let Some(session) = self.sessions.pop_oldest() {
            session.end(found);
        }
    }
}

impl Postal {
    fn message(&mut self, line: &Line<'_>, id: &str, message: &str, found: &mut Vec<Finding>) -> Heard {
        if self.sessions.get(id).is_none() {
            let mut fresh = Conversation::new(Server::Postal);
            fresh.session = Some(id.to_owned());
            if let Some(oldest) = self.sessions.put(id.to_owned(), fresh) {
                oldest.end(found);
            }
        }
        let Some(session) = self.sessions.get_mut(id) else { return Heard::Understood };
        if let Some(said) = message.strip_prefix("<= ").or((message == "<=").then_some("")) {
            session.client(line, said, found);
            return Heard::Understood;
        }
        if let Some(said) = message.strip_prefix("=> ") {
            return if session.server(line, said, found) {
                Heard::Understood
            } else {
                Heard::Damaged(Why::Cut)
            };
        }
        let message = message.trim_start();
        if message == "Connection closed" {
            if let Some(session) = self.sessions.take(id) {
                session.end(found);
            }
            return Heard::Understood;
        }
        let opened =
            message.strip_prefix("Client identified as ").or(message.strip_prefix("Connection opened from "));
        if let Some(source) = opened.and_then(scan::address) {
            session.source = Some(source);
            return Heard::Understood;
        }
        let failure = message
            .strip_prefix("Authentication failure for ")
            .or(message.strip_prefix("WARN: AUTH failure for "));
        if let Some(rest) = failure {
            let Some(source) = rest.split(' ').next().and_then(scan::address) else {
                return Heard::Damaged(Why::NoAddress);
            };
            let mut finding = Finding::new(line, Server::Postal, What::Login);
            finding.source = Some(source);
            finding.login = rest
                .split_once(" (no server found matching ")
                .and_then(|(_, name)| name.strip_suffix(')'))
                .and_then(scan::login);
            session.told(finding, found);
        }
        Heard::Understood
    }
}

/// `smtp.N:PID] [STAMP] LEVEL -- : [ID] MESSAGE`: the id (none where the line is of no session) and the message.
/// What stands before the process is a log's of several programs, and short.
fn old(text: &str) -> Option<(Option<&str>, &str)> {
    let (head, rest) = text.split_once(" -- : ")?;
    let (process, stamp) = head.split_once("] [")?;
    let (stamp, level) = stamp.rsplit_once("] ")?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let stamped = stamp.bytes().all(|octet| octet.is_ascii_digit() || b"-:.T".contains(&octet));
    let smtp = process.rsplit_once("smtp.").and_then(|(_, worker)| worker.split_once(':'));
    let ours = smtp.is_some_and(|(worker, pid)| number(worker) && number(pid));
    let alone = number(process.strip_prefix('[').unwrap_or(process));
    if head.len() > limits::IMPORT_CONTAINER_OCTETS_MAX.saturating_mul(2)
        || !(ours || alone)
        || !stamped
        || !is_level(level)
    {
        return None;
    }
    let session = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")).filter(|(id, _)| is_id(id));
    match session {
        Some((id, message)) => Some((Some(id), message)),
        None => ours.then_some((None, rest)),
    }
}

/// `DATE TIME ZONE LEVEL  MESSAGE trace_id=ID component=smtp-server`; the fields stand at the end, behind whatever
/// the client said.
fn new(text: &str) -> Option<(Option<&str>, &str)> {
    let rest = text.trim_end().strip_suffix(" component=smtp-server")?;
    let (head, fields) = rest.rsplit_once(" trace_id=").map_or((rest, None), |(head, id)| (head, Some(id)));
    let level = head.split_ascii_whitespace().take(5).find(|word| is_level(word))?;
    let (stamp, message) = head.split_once(level)?;
    let message = message.trim_start();
    if !stamp.bytes().all(|octet| octet.is_ascii_digit() || b"-:.+TZ ".contains(&octet)) {
        return None;
    }
    match fields {
        Some(id) if is_id(id) => Some((Some(id), message)),
        Some(_) | None => Some((None, message)),
    }
}

fn is_level(word: &str) -> bool {
    ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"].contains(&word)
}

fn is_id(id: &str) -> bool {
    (4..=16).contains(&id.len())
        && id.bytes().all(|octet| octet.is_ascii_uppercase() || octet.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::harness::{brief, read};
    use super::*;

    const SESSION: [&str; 9] = [
        "   Client identified as ::ffff:192.0.2.7",
        "<= EHLO User",
        "=> 250-My capabilities are",
        "=> 250 AUTH CRAM-MD5 PLAIN LOGIN",
        "<= AUTH LOGIN",
        "=> 334 VXNlcm5hbWU6",
        "<= aW5mbw==",
        "=> 334 UGFzc3dvcmQ6",
        "<= aHVudGVyMg==",
    ];

    fn told(log: &str) -> Vec<(u64, What, String, String)> {
        brief(&read(Server::Postal, log))
    }

    fn old_log(id: &str, messages: &[&str]) -> String {
        let line =
            |message: &&str| format!("[smtp.1:2377] [2026-02-02T09:16:32.664] DEBUG -- : [{id}] {message}\n");
        messages.iter().map(line).collect()
    }

    fn new_log(id: &str, messages: &[&str]) -> String {
        let line = |message: &&str| {
            format!(
                "smtp-1    | 2026-02-04 07:51:00 +0000 DEBUG  {} trace_id={id} component=smtp-server\n",
                message.trim()
            )
        };
        messages.iter().map(line).collect()
    }

    #[test]
    fn a_refused_login_is_one_attempt_in_both_layouts() {
        let mut messages = SESSION.to_vec();
        messages.extend([
            "=> 535 Invalid credential",
            "<= QUIT",
            "=> 221 Closing Connection",
            "   Connection closed",
        ]);
        let wanted = [(10, What::Login, "192.0.2.7".to_owned(), "info".to_owned())];
        assert_eq!(told(&old_log("BVKWLC", &messages)), wanted);
        let coloured: Vec<String> =
            messages.iter().map(|message| format!("\u{1b}[32m{message}\u{1b}[0m")).collect();
        assert_eq!(
            told(&old_log("BVKWLC", &coloured.iter().map(String::as_str).collect::<Vec<_>>())),
            wanted
        );
        assert_eq!(told(&new_log("R67STAPW", &messages)), wanted);
        let mut warned = SESSION.to_vec();
        warned.extend(["Authentication failure for ::ffff:192.0.2.7", "=> 535 Invalid credential"]);
        let found = told(&new_log("R67STAPW", &warned));
        assert_eq!(found, [(11, What::Login, "192.0.2.7".to_owned(), "info".to_owned())]);
    }

    #[test]
    fn the_second_major_version_tells_its_process_only_and_warns_before_the_reply() {
        let log = "[1] [2026-02-02T09:16:32.664] DEBUG -- : [AAAAAA] <= AUTH PLAIN AGluZm8AcGFzcw==
[1] [2026-02-02T09:16:32.664] DEBUG -- : [AAAAAA]    WARN: AUTH failure for 192.0.2.7
[1] [2026-02-02T09:16:32.664] DEBUG -- : [AAAAAA] => 535 Invalid credential
";
        assert_eq!(told(log), [(3, What::Login, "192.0.2.7".into(), "info".into())]);
    }

    #[test]
    fn a_warning_alone_is_an_attempt() {
        let log = new_log(
            "R67STAPW",
            &["Authentication failure for 192.0.2.7 (no server found matching acme/mail)"],
        );
        assert_eq!(told(&log), [(1, What::Login, "192.0.2.7".into(), "acme/mail".into())]);
    }

    #[test]
    fn sessions_that_interleave_and_lines_cut_at_their_start_are_told_apart() {
        let log = format!(
            "smtp.1:2024] [2026-02-01T20:04:02.653] DEBUG -- : [AAAAAA] <= d2Vi\n{}{}{}{}{}",
            old_log("BBBBBB", &["   Connection opened from 192.0.2.8", "<= RSET", "=> 250 OK"]),
            old_log("AAAAAA", &["=> 334 UGFzc3dvcmQ6"]),
            old_log("BBBBBB", &["<= AUTH LOGIN", "=> 334 VXNlcm5hbWU6"]),
            old_log("AAAAAA", &["<= cGFzcw==", "=> 535 Invalid credential"]),
            old_log("BBBBBB", &["   Connection closed"]),
        );
        assert_eq!(told(&log), [(9, What::Login, String::new(), "web".into())]);
    }

    #[test]
    fn a_name_that_ends_like_the_line_changes_no_session() {
        let log = format!(
            "{}{}",
            new_log("AAAAAAAA", &["Client identified as 192.0.2.7"]),
            new_log(
                "AAAAAAAA",
                &[
                    "<= EHLO x trace_id=BBBBBBBB component=smtp-server",
                    "=> 250 AUTH",
                    "<= AUTH PLAIN eA==",
                    "=> 535 no"
                ]
            )
        );
        assert_eq!(told(&log), [(5, What::Login, "192.0.2.7".into(), String::new())]);
    }
}
