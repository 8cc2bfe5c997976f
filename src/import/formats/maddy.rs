//! maddy: a message, a tab, and a JSON object.
//!
//! Refusals of senders and recipients name the message only; its client stands in the line that opened it.

use super::ends::door_named;
use crate::import::recent::Recent;
use crate::import::{Finding, Heard, Line, Reader, Server, What, Why, scan};
use crate::limits;
use serde_json::{Map, Value};
use std::net::IpAddr;

/// What is remembered of a message.
#[derive(Debug, Default)]
struct Message {
    source: Option<IpAddr>,
    /// Refusals of it were told: the line that it were too many tells nothing new.
    refused: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Maddy {
    messages: Recent<Message>,
}

impl Default for Maddy {
    fn default() -> Self {
        Self { messages: Recent::new(limits::IMPORT_SESSIONS_MAX) }
    }
}

impl Reader for Maddy {
    fn server(&self) -> Server {
        Server::Maddy
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        // rsyslog writes the tab as it writes every control character.
        let escaped = || line.whole.split_once("#011{");
        let Some((head, json)) = line.whole.split_once("\t{").or_else(escaped) else {
            let ours = line.prefix.program == Some("maddy");
            return if ours { Heard::Understood } else { Heard::NotMine };
        };
        // `STAMP [debug] MODULE: MESSAGE`; a module may be named `submission/1`.
        let head = head.rsplit_once("] ").map_or(head, |(_, rest)| rest);
        let Some((module, message)) = head.rsplit_once(": ") else { return Heard::NotMine };
        let module = module.rsplit(' ').next().unwrap_or(module);
        let Ok(fields) = serde_json::from_str::<Map<String, Value>>(&format!("{{{json}")) else {
            return if known(message) { Heard::Damaged(Why::Cut) } else { Heard::NotMine };
        };
        self.message(line, module, message, &fields, found)
    }

    fn end(&mut self, _found: &mut Vec<Finding>) {}
}

impl Maddy {
    fn message(
        &mut self,
        line: &Line<'_>,
        module: &str,
        message: &str,
        fields: &Map<String, Value>,
        found: &mut Vec<Finding>,
    ) -> Heard {
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let source =
            text("src_ip").and_then(|address| scan::address_port(address).map(|(address, _)| address));
        let id =
            text("msg_id").filter(|id| id.len() <= limits::IMPORT_CONTAINER_OCTETS_MAX).unwrap_or_default();
        let mut finding = Finding::new(line, Server::Maddy, What::Login);
        finding.source = source;
        finding.door = door_named(module);
        match message {
            "authentication failed" => {
                if back_end(text("reason").unwrap_or_default(), text("username").unwrap_or_default()) {
                    return Heard::Understood;
                }
                finding.login = text("username").and_then(scan::login);
            }
            "incoming message" => {
                if !id.is_empty() {
                    self.messages.entry(id).source = source;
                }
                return Heard::Understood;
            }
            "MAIL FROM error" | "MAIL FROM error (deferred)" | "RCPT error" => {
                let code = fields.get("smtp_code").and_then(Value::as_u64).unwrap_or(550);
                if code < 500 {
                    return Heard::Understood;
                }
                finding.what = if message == "RCPT error" { What::Recipient } else { What::Sender };
                finding.session = Some(id.to_owned());
                let known = self.messages.entry(id);
                known.refused = true;
                finding.source = source.or(known.source);
                found.push(finding);
                return Heard::Understood;
            }
            _ if dictionary_attack(message) => {
                if !id.is_empty() && self.messages.get(id).is_some_and(|known| known.refused) {
                    return Heard::Understood;
                }
                finding.what = What::TooManyErrors;
            }
            _ => return Heard::Understood,
        }
        if finding.source.is_none() {
            return Heard::Damaged(Why::NoAddress);
        }
        found.push(finding);
        Heard::Understood
    }
}

/// Whether a broken line with this message would have been a refusal.
fn known(message: &str) -> bool {
    message == "authentication failed" || dictionary_attack(message)
}

/// The spelling is maddy's own; the words before it have changed over time.
fn dictionary_attack(message: &str) -> bool {
    message.ends_with(", possible dictonary attack") || message.ends_with(", possible dictionary attack")
}

/// Whether a reason tells of a failure of the server's. A reason that holds the login proves nothing: some stores
/// write the client's words into it.
fn back_end(reason: &str, login: &str) -> bool {
    if !login.is_empty() && reason.contains(login) {
        return false;
    }
    reason.split(": ").any(|part| {
        part == "unable to contact server"
            || part == "connection refused"
            || part == "i/o timeout"
            || part == "context deadline exceeded"
            || part == "process start"
            || part == "no such host"
            || part.ends_with("all directory servers are unreachable")
            || part.starts_with("dial tcp ")
            || part.starts_with("dial unix ")
            || part == "internal error"
            || part == "database is locked"
    })
}

#[cfg(test)]
mod tests {
    use super::super::harness::{brief, read};
    use super::*;

    fn told(log: &str) -> Vec<(u64, What, String, String)> {
        brief(&read(Server::Maddy, log))
    }

    #[test]
    fn a_failed_login_is_read_with_and_without_stamps() {
        let plain = "submission: authentication failed\t{\"reason\":\"no auth. provider accepted creds, last err: unknown credentials\",\"src_ip\":\"[2001:db8::7]:40112\",\"username\":\"info\"}";
        let wanted = [(1, What::Login, "2001:db8::7".to_owned(), "info".to_owned())];
        for line in [
            plain.to_owned(),
            format!("2026-02-02T20:45:10.123Z {plain}"),
            format!("Nov  3 10:00:00 mx maddy[77]: {plain}"),
            format!("maddy-1  | {plain}"),
        ] {
            assert_eq!(told(&line), wanted, "{line}");
        }
    }

    #[test]
    fn a_back_end_that_is_away_is_no_attempt_but_a_name_cannot_say_so() {
        let line = |reason: &str, login: &str| {
            format!(
                "smtp: authentication failed\t{{\"reason\":\"{reason}\",\"src_ip\":\"192.0.2.7:1\",\"username\":\"{login}\"}}"
            )
        };
        assert_eq!(told(&line("auth: unable to contact server: dial unix /x: no", "info")), []);
        let hostile = "x: connection refused";
        assert_eq!(told(&line(&format!("auth plain {hostile}: no hash tag"), hostile)).len(), 1);
    }

    #[test]
    fn a_refused_recipient_gets_its_client_from_the_message() {
        let log = "smtp: incoming message\t{\"msg_id\":\"a1\",\"sender\":\"x@y.example\",\"src_host\":\"h\",\"src_ip\":\"192.0.2.7:1\"}
smtp: RCPT error\t{\"msg_id\":\"a1\",\"rcpt\":\"q@mx.example\",\"reason\":\"no such user\",\"smtp_code\":550}
smtp: too many RCPT errors, possible dictonary attack\t{\"msg_id\":\"a1\",\"src_ip\":\"192.0.2.7:1\"}
smtp: too many RCPT errors, possible dictonary attack\t{\"msg_id\":\"a2\",\"src_ip\":\"192.0.2.8:1\"}";
        assert_eq!(
            told(log),
            [
                (2, What::Recipient, "192.0.2.7".into(), String::new()),
                (4, What::TooManyErrors, "192.0.2.8".into(), String::new())
            ]
        );
    }

    #[test]
    fn cut_lines_and_other_programs_lines_give_nothing() {
        assert_eq!(told("smtp: authentication failed\t{\"reason\":\"x\",\"src_ip\":\"192.0.2.7"), []);
        assert_eq!(told("other: thing\t{\"src_ip\":\"192.0.2.7:1\"}"), []);
        let hostile = "smtp: authentication failed\t{\"reason\":\"x\",\"src_ip\":\"192.0.2.7:1\",\"username\":\"a\\\",\\\"src_ip\\\":\\\"203.0.113.9:1\"}";
        assert_eq!(told(hostile)[0].2, "192.0.2.7");
    }
}
