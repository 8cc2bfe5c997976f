//! ASSP, a proxy in front of a mail server.
//!
//! `Jul-30-16 17:07:25 m1-13060-05386 [Worker_1] [TLS-out] ADDRESS what happened`: the address stands right behind
//! the tags, before anything that the client said.

use crate::import::{Finding, Heard, Line, Reader, Server, What, Why, scan};
use std::net::IpAddr;

/// See the module.
#[derive(Debug, Default)]
pub struct Assp;

impl Reader for Assp {
    fn server(&self) -> Server {
        Server::Assp
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        let Some(text) = stamped(line.whole).or_else(|| stamped(line.text)) else { return Heard::NotMine };
        if let Some(rest) = text.strip_prefix("Blocking ") {
            return match rest.split_once(" - too much AUTH errors (") {
                Some((address, _)) => push(line, scan::address(address), What::TooManyErrors, found),
                None => Heard::Understood,
            };
        }
        let (source, rest) = match tagged(text) {
            Some(read) => read,
            None => return Heard::Understood,
        };
        match refused(rest) {
            Some(what) => push(line, Some(source), what, found),
            None => Heard::Understood,
        }
    }

    fn end(&mut self, _found: &mut Vec<Finding>) {}
}

/// `Apr-07-13 07:08:36 ` in front, which nobody else writes.
fn stamped(text: &str) -> Option<&str> {
    let (date, rest) = text.split_once(' ')?;
    let (time, rest) = rest.split_once(' ')?;
    let mut parts = date.split('-');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_digit());
    let named = month.len() == 3 && month.bytes().all(|octet| octet.is_ascii_alphabetic());
    let dated = named && digits(day) && digits(year) && parts.next().is_none();
    (dated && time.split(':').all(digits)).then(|| rest.trim_start())
}

/// The address behind a message number and tags, and what follows it.
fn tagged(text: &str) -> Option<(IpAddr, &str)> {
    let mut rest = text;
    loop {
        let (word, after) = rest.split_once(' ')?;
        if let Some(address) = scan::address(word) {
            return Some((address, after.trim_start()));
        }
        let tag = word.starts_with('[') && word.ends_with(']');
        let number = word.contains('-')
            && word.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_');
        if !tag && !number {
            return None;
        }
        rest = after.trim_start();
    }
}

fn refused(text: &str) -> Option<What> {
    if text.starts_with("[SMTP Error] 535 ") {
        return Some(What::Login);
    }
    if let Some(rest) = text.strip_prefix("max sender authentication errors (") {
        let over = rest.split_once(") exceeded -- ").is_some_and(|(count, _)| count.parse::<u32>().is_ok());
        return over.then_some(What::TooManyErrors);
    }
    if let Some(rest) = text.strip_prefix("SSL negotiation with client failed: ") {
        return rest.trim_end().ends_with(":unknown protocol;").then_some(What::Tls);
    }
    // `<SENDER> to: RECIPIENT relay attempt blocked for: ADDRESS`
    let text =
        text.strip_prefix('<').map_or(Some(text), |sender| sender.split_once("> ").map(|(_, rest)| rest))?;
    let text = text.strip_prefix("to: ").map_or(Some(text), |to| to.split_once(' ').map(|(_, rest)| rest))?;
    text.starts_with("relay attempt blocked for").then_some(What::Relay)
}

fn push(line: &Line<'_>, source: Option<IpAddr>, what: What, found: &mut Vec<Finding>) -> Heard {
    if source.is_none() {
        return Heard::Damaged(Why::NoAddress);
    }
    let mut finding = Finding::new(line, Server::Assp, what);
    finding.source = source;
    found.push(finding);
    Heard::Understood
}

#[cfg(test)]
mod tests {
    use super::super::harness::{brief, read};
    use super::*;

    fn one(text: &str) -> Option<(What, String)> {
        let found = read(Server::Assp, &format!("Jul-30-25 17:07:25 {text}"));
        brief(&found).into_iter().next().map(|(_, what, source, _)| (what, source))
    }

    #[test]
    fn every_refusal_has_the_address_behind_its_tags() {
        for (text, what) in [
            (
                "[Worker_1] [TLS-out] 192.0.2.7 [SMTP Error] 535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6",
                What::Login,
            ),
            (
                "m1-13060-05386 [Worker_1] [TLS-in] [TLS-out] 192.0.2.7 [SMTP Error] 535 5.7.8 Error: authentication failed: ",
                What::Login,
            ),
            ("Blocking 192.0.2.7 - too much AUTH errors (8);", What::TooManyErrors),
            (
                "[SSL-out] 192.0.2.7 max sender authentication errors (5) exceeded -- dropping connection - after reply: 535 5.7.8 x;",
                What::TooManyErrors,
            ),
            (
                "[SSL-out] 192.0.2.7 SSL negotiation with client failed: SSL accept attempt failed with unknown errorerror:1:SSL routines:X:unknown protocol;",
                What::Tls,
            ),
            (
                "m1-1-2 [Worker_1] [RelayAttempt] 192.0.2.7 <a@b.example> to: c@d.example relay attempt blocked for: e@f.example",
                What::Relay,
            ),
        ] {
            assert_eq!(one(text), Some((what, "192.0.2.7".into())), "{text}");
        }
    }

    #[test]
    fn mail_that_speaks_of_refusals_is_mail() {
        for text in [
            "m1-1-2 [Worker_1] 192.0.2.7 <a@b.example> to: c@d.example Message proxied without processing [relay attempt blocked for: x]",
            "m1-1-2 [Worker_1] 192.0.2.7 <a@b.example> Regex:Subject 'x 203.0.113.9 [SMTP Error] 535 5.7.8'",
            "Info: new connection from 192.0.2.7",
        ] {
            assert_eq!(one(text), None, "{text}");
        }
    }
}
