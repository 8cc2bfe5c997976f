//! Perdition, a proxy for IMAP and POP3.

use super::ends::door_named;
use crate::import::{Finding, Heard, Line, Reader, Server, What, Why, scan};
use std::net::IpAddr;

/// See the module.
#[derive(Debug, Default)]
pub struct Perdition;

/// What its `status` may say when the login was refused, here or by the server behind.
const REFUSED: [&str; 3] = [
    "failed: local authentication failure",
    "failed: Re-Authentication Failure",
    "failed: authentication failure",
];

impl Reader for Perdition {
    fn server(&self) -> Server {
        Server::Perdition
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        let Some(program) = line.prefix.program.filter(|program| program.starts_with("perdition")) else {
            return Heard::NotMine;
        };
        if let Some(rest) = line.text.strip_prefix("Auth: ") {
            return auth(line, program, rest, found);
        }
        let fatal = "Fatal Error reading authentication information from client ";
        if let Some(rest) = line.text.strip_prefix(fatal) {
            let Some(source) = client(rest) else { return Heard::Damaged(Why::NoAddress) };
            push(line, program, source, What::HungUp, found);
        }
        Heard::Understood
    }

    fn end(&mut self, _found: &mut Vec<Finding>) {}
}

/// `CLIENT->SERVER client-secure=... authentication_id="NAME" server="..." ... status="..."`.
fn auth(line: &Line<'_>, program: &str, rest: &str, found: &mut Vec<Finding>) -> Heard {
    let Some(source) = client(rest) else { return Heard::Damaged(Why::NoAddress) };
    let Some((fields, status)) = rest.rsplit_once(" status=\"") else { return Heard::Damaged(Why::Cut) };
    let Some(status) = status.strip_suffix('"') else { return Heard::Damaged(Why::Cut) };
    if !REFUSED.contains(&status) {
        return Heard::Understood;
    }
    push(line, program, source, What::Login, found);
    let name = fields.split_once(" authentication_id=\"").or_else(|| fields.split_once(" user=\""));
    let name = name.and_then(|(_, rest)| rest.rsplit_once("\" server=\"")).map(|(name, _)| name);
    if let (Some(finding), Some(name)) = (found.last_mut(), name) {
        finding.login = scan::login(name);
    }
    Heard::Understood
}

/// The client in front of `->`.
fn client(text: &str) -> Option<IpAddr> {
    scan::address_port(text.split_once("->")?.0).map(|(address, _)| address)
}

fn push(line: &Line<'_>, program: &str, source: IpAddr, what: What, found: &mut Vec<Finding>) {
    let mut finding = Finding::new(line, Server::Perdition, what);
    finding.source = Some(source);
    finding.door = door_named(program);
    found.push(finding);
}

#[cfg(test)]
mod tests {
    use super::super::harness::{brief, read};
    use super::*;

    fn one(text: &str) -> Option<(What, String, String)> {
        let found = read(Server::Perdition, &format!("Nov  3 10:00:00 mx perdition.imaps[9]: {text}"));
        brief(&found).into_iter().next().map(|(_, what, source, login)| (what, source, login))
    }

    #[test]
    fn a_refusal_is_told_by_its_status_at_the_end() {
        let auth = |name: &str, status: &str| {
            format!(
                "Auth: 192.0.2.7:1->198.51.100.1:993 client-secure=ssl authorisation_id=NONE authentication_id=\"{name}\" server=\"in.example:993\" protocol=IMAP4S server-secure=ssl status=\"{status}\""
            )
        };
        let failed = "failed: Re-Authentication Failure";
        assert_eq!(one(&auth("info", failed)), Some((What::Login, "192.0.2.7".into(), "info".into())));
        assert_eq!(one(&auth("info", "ok")), None);
        let hostile = "x\" server=\"y\" status=\"ok";
        assert_eq!(one(&auth(hostile, failed)), Some((What::Login, "192.0.2.7".into(), hostile.into())));
    }

    #[test]
    fn a_client_that_left_before_its_login_is_told() {
        let text = "Fatal Error reading authentication information from client 192.0.2.7:1->198.51.100.1:993: Exiting child";
        assert_eq!(one(text), Some((What::HungUp, "192.0.2.7".into(), String::new())));
    }
}
