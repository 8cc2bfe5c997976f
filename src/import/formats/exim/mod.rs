//! Exim: main log and reject log, to a file or through syslog.
//!
//! A client is written `NAME (EHLO) [ADDRESS]:PORT I=[OWN]:PORT Ci=ID U=IDENT`, most of it optional; see [`host`].
//! Exim logs one line for one refusal; what follows from it (`no MAIL in SMTP connection`, `closed by DROP in
//! ACL`) counts only where the refusal itself is not in the log.

mod host;
mod told;

use crate::import::recent::Recent;
use crate::import::{Finding, Heard, Line, Reader, Server, prefix};
use crate::limits;
use told::{Told, Weight};

/// The reader.
#[derive(Debug)]
pub struct Exim {
    /// Clients (address and port) that were refused, and when.
    refused: Recent<Option<i64>>,
    /// Lines about names that proved nothing.
    nameless: Recent<()>,
}

impl Default for Exim {
    fn default() -> Self {
        Self {
            refused: Recent::new(limits::IMPORT_SESSIONS_MAX),
            nameless: Recent::new(limits::IMPORT_SESSIONS_MAX),
        }
    }
}

impl Reader for Exim {
    fn server(&self) -> Server {
        Server::Exim
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        let Some((message, time, sure)) = message(line) else { return Heard::NotMine };
        match told::read(message) {
            Told::Nothing if sure || told::is_known(message) => Heard::Understood,
            Told::Nothing => Heard::NotMine,
            Told::Damaged(why) if sure || told::is_known(message) => Heard::Damaged(why),
            Told::Damaged(_) => Heard::NotMine,
            Told::Client(read) => {
                if self.counts(&read, line, time) {
                    let mut finding = Finding::new(line, Server::Exim, read.what);
                    finding.source = Some(read.host.address);
                    finding.login = read.login;
                    finding.mechanism = read.mechanism;
                    finding.session = read.host.port.map(|port| format!("{}:{port}", read.host.address));
                    finding.door = read.host.door;
                    finding.helo = read.host.helo;
                    finding.time = time;
                    finding.steps = read.steps;
                    found.push(finding);
                }
                Heard::Understood
            }
        }
    }

    fn end(&mut self, _found: &mut Vec<Finding>) {}
}

impl Exim {
    fn counts(&mut self, read: &told::Refused, line: &Line<'_>, time: Option<i64>) -> bool {
        let client = match read.host.port {
            Some(port) => format!("{} {port}", read.host.address),
            None => read.host.address.to_string(),
        };
        let known = self.refused.get(&client).is_some_and(|before| match (before, time) {
            (Some(before), Some(time)) => time
                .checked_sub(*before)
                .is_some_and(|apart| apart.saturating_abs() <= read.seconds.saturating_add(1)),
            (None, _) | (_, None) => true,
        });
        match read.weight {
            Weight::Refusal => {}
            Weight::Consequence if known => return false,
            Weight::Consequence => {}
            // The very same line once more: it is the client's doing.
            Weight::Nameless => return self.nameless.put(line.whole.to_owned(), ()).is_some(),
            Weight::Refused => {
                self.refused.put(client, time);
                return false;
            }
        }
        self.refused.put(client, time);
        true
    }
}

/// The message without time, process, message id; its time; and whether the prefix already says that it is Exim's.
fn message<'l>(line: &Line<'l>) -> Option<(&'l str, Option<i64>, bool)> {
    let (rest, sure) = match line.prefix.program {
        Some("exim" | "exim4") => (line.text, true),
        // A queue id reads like a host and a word with a colon like a program; the whole line decides.
        Some(_) if line.prefix.pid.is_some() => return None,
        Some(_) | None => (line.whole, false),
    };
    let (time, rest) = match prefix::stamp(rest) {
        Some((time, rest)) => (Some(time), rest),
        None => (line.prefix.time, rest),
    };
    if !sure && time.is_none() {
        return None;
    }
    let rest = bracketed_number(rest);
    Some((without_id(rest), time, sure))
}

/// Without `[1234] ` in front.
fn bracketed_number(text: &str) -> &str {
    match text.strip_prefix('[').and_then(|after| after.split_once("] ")) {
        Some((number, rest)) if !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit()) => {
            rest
        }
        Some(_) | None => text,
    }
}

/// Without a message id (`1Ai79e-0000Dq-8i `, or the longer one since 4.97) in front.
fn without_id(text: &str) -> &str {
    let Some((id, rest)) = text.split_once(' ') else { return text };
    let mut parts = id.split('-');
    let lengths = (parts.next(), parts.next(), parts.next(), parts.next());
    let base62 = |part: &str| part.bytes().all(|octet| octet.is_ascii_alphanumeric());
    match lengths {
        (Some(one), Some(two), Some(three), None)
            if one.len() == 6
                && matches!((two.len(), three.len()), (6, 2) | (11, 4))
                && [one, two, three].iter().all(|part| base62(part)) =>
        {
            rest
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_comes_off_in_both_lengths() {
        assert_eq!(without_id("1Ai79e-0000Dq-8i H=x"), "H=x");
        assert_eq!(without_id("1rAbCd-00000003abc-2xYz H=x"), "H=x");
        assert_eq!(without_id("H=a-b-c [192.0.2.1]"), "H=a-b-c [192.0.2.1]");
    }
}
