//! Oracle Communications Messaging Server (iPlanet, Sun): the connection records of `mail.log` in XML.

use super::ends::door;
use crate::import::{Finding, Heard, Line, Reader, Server, What, Why, scan};

/// See the module.
#[derive(Debug, Default)]
pub struct OracleIms;

impl Reader for OracleIms {
    fn server(&self) -> Server {
        Server::OracleIms
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        let Some(rest) = line.whole.trim_start().strip_prefix("<co ") else {
            return if line.whole.trim_start().starts_with("<en ts=\"") {
                Heard::Understood
            } else {
                Heard::NotMine
            };
        };
        let Some(record) = Record::read(rest) else { return Heard::Damaged(Why::Cut) };
        // Only a failed AUTH has a reply 535; 4yz is a failure of the server's own.
        if !record.reply.starts_with("535 ") {
            return Heard::Understood;
        }
        // tr="TCP|SERVER|PORT|CLIENT|PORT"
        let mut transport = record.transport.split('|').skip(2);
        let port = transport.next().and_then(|port| port.parse().ok());
        let Some(source) = transport.next().and_then(scan::address) else {
            return Heard::Damaged(Why::NoAddress);
        };
        let mut finding = Finding::new(line, Server::OracleIms, What::Login);
        finding.source = Some(source);
        finding.door = port.and_then(door);
        finding.login = scan::login(&record.login);
        found.push(finding);
        Heard::Understood
    }

    fn end(&mut self, _found: &mut Vec<Finding>) {}
}

/// The attributes we look at; the first of a name counts.
#[derive(Debug, Default)]
struct Record {
    transport: String,
    login: String,
    reply: String,
}

impl Record {
    /// `NAME="VALUE" ... />`, whole.
    fn read(text: &str) -> Option<Self> {
        let mut record = Self::default();
        let mut rest = text.trim_start();
        while !rest.starts_with("/>") {
            let (name, after) = rest.split_once("=\"")?;
            let (value, after) = after.split_once('"')?;
            let place = match name {
                "tr" => Some(&mut record.transport),
                "us" => Some(&mut record.login),
                "di" => Some(&mut record.reply),
                _ => None,
            };
            if let Some(place) = place.filter(|place| place.is_empty()) {
                *place = unescaped(value);
            }
            rest = after.trim_start();
        }
        Some(record)
    }
}

/// The five entities of XML.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::super::harness::{brief, read};
    use super::*;

    fn record(login: &str, mi: &str, reply: &str) -> String {
        format!(
            "<co ts=\"2026-06-02T16:06:33.99\" pi=\"1.2.3\" sc=\"tcp_local\" dr=\"+\" ac=\"U\" tr=\"TCP|198.51.100.1|587|192.0.2.7|4299\" ap=\"SMTP\" mi=\"{mi}\" us=\"{login}\" di=\"{reply}\"/>"
        )
    }

    #[test]
    fn a_bad_password_is_an_attempt_of_the_client_and_a_success_is_none() {
        let bad =
            record("a&lt;b", "Bad password", "535 5.7.8 Bad username or password (Authentication failed).");
        assert_eq!(
            brief(&read(Server::OracleIms, &bad)),
            [(1, What::Login, "192.0.2.7".into(), "a<b".into())]
        );
        let good = record("a", "Authentication successful", "235 2.7.0 LOGIN authentication successful.");
        assert_eq!(read(Server::OracleIms, &good), []);
        assert_eq!(read(Server::OracleIms, &bad[..120]), [], "a cut record");
    }
}
