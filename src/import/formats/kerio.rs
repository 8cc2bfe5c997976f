//! Kerio Connect (MailServer): its security log.
//!
//! A failed login has two lines: `SMTP: User X doesn't exist. Attempt from IP address A.` (or an invalid password),
//! and, after the delay, `Failed SMTP login from A with SASL method M.` They are one try: the first waits for the
//! second of its protocol and address. What the log says of blocking an address afterwards is no attempt.

use super::ends::door_named;
use crate::import::recent::Recent;
use crate::import::{Door, Finding, Heard, Line, Reader, Server, What, Why, scan};
use crate::limits;
use std::net::IpAddr;

/// See the module.
#[derive(Debug)]
pub struct Kerio {
    /// First halves of failed logins, by protocol and address.
    halves: Recent<Finding>,
}

impl Default for Kerio {
    fn default() -> Self {
        Self { halves: Recent::new(limits::IMPORT_HELD_MAX) }
    }
}

impl Reader for Kerio {
    fn server(&self) -> Server {
        Server::Kerio
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        let Some(text) = stamped(line.whole).or_else(|| stamped(line.text)) else { return Heard::NotMine };
        if let Some((client, what, rest)) = fixed_front(text) {
            let Some(source) = client else { return Heard::Damaged(Why::NoAddress) };
            return self.front(line, text, source, what, rest, found);
        }
        if let Some(rest) = text.strip_prefix("Attempt to deliver to unknown recipient ") {
            let client =
                rest.rsplit_once(", IP address ").and_then(|(_, address)| scan::address(address.trim_end()));
            let Some(source) = client else { return Heard::Damaged(Why::NoAddress) };
            found.push(finding(line, source, What::Recipient, Some(Door::Smtp)));
            return Heard::Understood;
        }
        if let Some(rest) = text.strip_prefix("Administration login into ") {
            let client = rest.split_once(" from ").and_then(|(_, rest)| rest.split_once(" failed: "));
            let Some(source) = client.and_then(|(address, _)| scan::address(address)) else {
                return Heard::Damaged(Why::NoAddress);
            };
            found.push(finding(line, source, What::Login, Some(Door::Web)));
            return Heard::Understood;
        }
        self.login_half(line, text, found)
    }

    fn end(&mut self, found: &mut Vec<Finding>) {
        while let Some(half) = self.halves.pop_oldest() {
            found.push(half);
        }
    }
}

impl Kerio {
    /// Lines whose address stands at a fixed place from the front.
    fn front(
        &mut self,
        line: &Line<'_>,
        text: &str,
        source: IpAddr,
        what: What,
        rest: &str,
        found: &mut Vec<Finding>,
    ) -> Heard {
        let Some(protocol) = text.strip_prefix("Failed ").and_then(|text| text.split(' ').next()) else {
            let what = if rest.starts_with(", client sent data") { What::PreGreeting } else { what };
            found.push(finding(line, source, what, Some(Door::Smtp)));
            return Heard::Understood;
        };
        let mechanism = rest
            .strip_prefix(" with SASL method ")
            .and_then(|rest| scan::mechanism(rest.trim_end().trim_end_matches('.')));
        if let Some(mut half) = self.halves.take(&key(protocol, source)) {
            half.mechanism = mechanism;
            found.push(half);
            return Heard::Understood;
        }
        let malformed = rest.starts_with(", missing parameter") || rest.contains(" is disabled");
        let mut whole =
            finding(line, source, if malformed { What::AuthCommand } else { what }, door_named(protocol));
        whole.mechanism = mechanism;
        found.push(whole);
        Heard::Understood
    }

    /// `PROTOCOL: ... Attempt from IP address ADDRESS.`
    fn login_half(&mut self, line: &Line<'_>, text: &str, found: &mut Vec<Finding>) -> Heard {
        let short = |(protocol, _): &(&str, &str)| protocol.len() <= limits::IMPORT_MECHANISM_OCTETS_MAX;
        let Some((protocol, rest)) = text.split_once(": ").filter(short) else { return Heard::Understood };
        let Some((said, address)) = rest.trim_end().rsplit_once(". Attempt from IP address ") else {
            return Heard::Understood;
        };
        let Some(source) = scan::address(address.trim_end_matches('.')) else {
            return Heard::Damaged(Why::NoAddress);
        };
        let unknown = said.strip_prefix("User ").and_then(|rest| rest.strip_suffix(" doesn't exist"));
        let wrong = said.strip_prefix("Invalid password for user ");
        let mut half = finding(line, source, What::Login, door_named(protocol));
        half.login = unknown.or(wrong).and_then(scan::login);
        found.extend(self.halves.put(key(protocol, source), half));
        Heard::Understood
    }
}

/// What is refused in lines that name the address right after their first words, and the rest of the line.
fn fixed_front(text: &str) -> Option<(Option<IpAddr>, What, &str)> {
    let (rest, what, needs) = if let Some(rest) = text.strip_prefix("SMTP Spam attack detected from ") {
        (rest, What::HungUp, ", client ")
    } else if let Some(rest) = text.strip_prefix("IP address ") {
        (rest, What::Client, " found in DNS blacklist ")
    } else if let Some(rest) = text.strip_prefix("Relay attempt from IP address ") {
        (rest, What::Relay, ", ")
    } else if let Some(rest) = text.strip_prefix("Client with IP address ") {
        (rest, What::Client, " has no reverse DNS entry, connection rejected")
    } else if let Some(rest) = text.strip_prefix("Message from IP address ") {
        (rest, What::Sender, ", sender ")
    } else if let Some(rest) = text.strip_prefix("Failed ") {
        let (_, rest) = rest.split_once(" login from ").filter(|(protocol, _)| !protocol.contains(' '))?;
        (rest, What::Login, "")
    } else {
        return None;
    };
    let end = rest.find([',', ' ']).unwrap_or(rest.len());
    let (address, rest) = rest.split_at_checked(end)?;
    if !rest.starts_with(needs) {
        return None;
    }
    Some((scan::address(address.trim_end_matches('.')), what, rest))
}

/// `[17/Jun/2011 17:00:45] ` in front, which no other mail server writes.
fn stamped(text: &str) -> Option<&str> {
    let (stamp, rest) = text.strip_prefix('[')?.split_once("] ")?;
    let (date, time) = stamp.split_once(' ')?;
    let mut parts = date.split('/');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let dated = digits(day) && month.len() == 3 && digits(year) && parts.next().is_none();
    (dated && time.split(':').all(digits)).then_some(rest)
}

fn key(protocol: &str, source: IpAddr) -> String {
    format!("{protocol} {source}")
}

fn finding(line: &Line<'_>, source: IpAddr, what: What, door: Option<Door>) -> Finding {
    let mut finding = Finding::new(line, Server::Kerio, what);
    finding.source = Some(source);
    finding.door = door;
    finding
}

#[cfg(test)]
mod tests {
    use super::super::harness::{brief, read};
    use super::*;

    fn told(lines: &[&str]) -> Vec<(u64, What, String, String)> {
        let log: Vec<String> = lines.iter().map(|line| format!("[17/May/2025 19:43:42] {line}")).collect();
        brief(&read(Server::Kerio, &log.join("\n")))
    }

    #[test]
    fn every_kind_of_refusal_has_its_address() {
        for (line, what) in [
            (
                "Attempt to deliver to unknown recipient <a@mx.example>, from <b@c.example>, IP address 192.0.2.7",
                What::Recipient,
            ),
            (
                "SMTP Spam attack detected from 192.0.2.7, client closed connection before SMTP greeting",
                What::HungUp,
            ),
            (
                "SMTP Spam attack detected from 192.0.2.7, client sent data before SMTP greeting",
                What::PreGreeting,
            ),
            (
                "IP address 192.0.2.7 found in DNS blacklist X, mail from <a@b.example> to <c@mx.example>",
                What::Client,
            ),
            (
                "Relay attempt from IP address 192.0.2.7, mail from <a@b.example> to <c@d.example> rejected",
                What::Relay,
            ),
            (
                "Client with IP address 192.0.2.7 has no reverse DNS entry, connection rejected before SMTP greeting",
                What::Client,
            ),
            (
                "Administration login into Web Administration from 192.0.2.7 failed: IP address not allowed",
                What::Login,
            ),
            (
                "Message from IP address 192.0.2.7, sender <a@b.example> rejected: sender domain does not exist",
                What::Sender,
            ),
            ("Failed IMAP login from 192.0.2.7, missing parameter in AUTHENTICATE header", What::AuthCommand),
            ("Failed SMTP login from 192.0.2.7 with SASL method CRAM-MD5.", What::Login),
        ] {
            assert_eq!(told(&[line]), [(1, what, "192.0.2.7".into(), String::new())], "{line}");
        }
    }

    #[test]
    fn the_two_lines_of_a_failed_login_are_one_attempt() {
        let log = [
            "SMTP: User web@mx.example doesn't exist. Attempt from IP address 192.0.2.7.",
            "SMTP: Invalid password for user info. Attempt from IP address 192.0.2.8.",
            "Failed SMTP login from 192.0.2.7 with SASL method LOGIN.",
            "Failed SMTP login from 192.0.2.8 with SASL method LOGIN.",
            "SMTP: AntiHammering - IP address 192.0.2.7 will be blocked for 5 minutes, too many failed logins from this IP address.",
            "SMTP: AntiHammering: connection from IP address 192.0.2.7 is blocked",
        ];
        assert_eq!(
            told(&log),
            [
                (1, What::Login, "192.0.2.7".into(), "web@mx.example".into()),
                (2, What::Login, "192.0.2.8".into(), "info".into())
            ]
        );
    }

    #[test]
    fn a_login_that_holds_an_address_is_a_login() {
        let line = "SMTP: User x doesn't exist. Attempt from IP address 203.0.113.9. doesn't exist. Attempt from IP address 192.0.2.7.";
        assert_eq!(told(&[line])[0].2, "192.0.2.7");
        let line = "Attempt to deliver to unknown recipient <a, IP address 203.0.113.9>, from <b>, IP address 192.0.2.7";
        assert_eq!(told(&[line])[0].2, "192.0.2.7");
    }
}
