//! postscreen: one process for all clients, each named by address and port.

use crate::import::recent::Recent;
use crate::import::scan;
use crate::import::{Door, Finding, Heard, Line, Server, Step, What, Why};
use crate::limits;
use std::net::IpAddr;

#[derive(Debug)]
pub(super) struct Postscreen {
    /// Clients of which a refusal was told.
    refused: Recent<()>,
}

impl Default for Postscreen {
    fn default() -> Self {
        Self { refused: Recent::new(limits::IMPORT_SESSIONS_MAX) }
    }
}

impl Postscreen {
    pub(super) fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        match told(line.text) {
            Ok(None) => Heard::Understood,
            Err(why) => Heard::Damaged(why),
            Ok(Some(told)) => {
                let known = self.refused.get(told.client).is_some();
                self.refused.put(told.client.to_owned(), ());
                // Hanging up after a refusal is its consequence.
                if !(known && told.what == What::HungUp) {
                    let mut finding = Finding::new(line, Server::Postfix, told.what);
                    finding.source = Some(told.source);
                    finding.session = Some(format!("postscreen/{}", told.client));
                    finding.door = Some(Door::Smtp);
                    finding.steps = told.steps;
                    found.push(finding);
                }
                Heard::Understood
            }
        }
    }
}

struct Told<'l> {
    what: What,
    client: &'l str,
    source: IpAddr,
    steps: Vec<Step>,
}

fn told(text: &str) -> Result<Option<Told<'_>>, Why> {
    if let Some(rest) = text.strip_prefix("PREGREET ") {
        let (_, rest) = rest.split_once(" from ").ok_or(Why::Cut)?;
        let (client, source, said) = client(rest)?;
        return Ok(Some(Told { what: What::PreGreeting, client, source, steps: pregreeting(said) }));
    }
    if let Some(rest) = text.strip_prefix("HANGUP after ") {
        let (_, rest) = rest.split_once(" from ").ok_or(Why::Cut)?;
        let (client, source, _) = client(rest)?;
        return Ok(Some(Told { what: What::HungUp, client, source, steps: Vec::new() }));
    }
    let kinds = [
        ("COMMAND TIME LIMIT from ", What::Timeout),
        ("COMMAND COUNT LIMIT from ", What::Rate),
        ("COMMAND LENGTH LIMIT from ", What::Garbage),
        ("COMMAND PIPELINING from ", What::Pipelining),
        ("NON-SMTP COMMAND from ", What::Garbage),
        ("BARE NEWLINE from ", What::Garbage),
        ("DATA without valid RCPT from ", What::Message),
        ("BDAT without valid RCPT from ", What::Message),
        ("NOQUEUE: reject: CONNECT from ", What::Client),
    ];
    for (start, what) in kinds {
        if let Some(rest) = text.strip_prefix(start) {
            let (client, source, after) = client(rest)?;
            // All ports busy is our own trouble.
            if after.contains("server ports busy") {
                return Ok(None);
            }
            return Ok(Some(Told { what, client, source, steps: Vec::new() }));
        }
    }
    if let Some(rest) = text.strip_prefix("NOQUEUE: reject: ") {
        let (_, rest) = rest.split_once(" from ").ok_or(Why::Cut)?;
        let (client, source, reply) = client(rest)?;
        if reply
            .strip_prefix(": ")
            .is_none_or(|reply| reply.get(3..6) == Some(" 4.") && reply.contains(" 4.3."))
        {
            return Ok(None);
        }
        let steps = vec![Step::Ehlo(String::new()), Step::Mail, Step::Rcpt];
        return Ok(Some(Told { what: What::Client, client, source, steps }));
    }
    Ok(None)
}

/// `[ADDRESS]:PORT` and what follows.
fn client(text: &str) -> Result<(&str, IpAddr, &str), Why> {
    let (inside, rest) =
        text.strip_prefix('[').and_then(|after| after.split_once(']')).ok_or(Why::NoAddress)?;
    let source = scan::address(inside).ok_or(Why::NoAddress)?;
    let after = rest.strip_prefix(':').ok_or(Why::Cut)?.trim_start_matches(|c: char| c.is_ascii_digit());
    let length = text.len().checked_sub(after.len()).ok_or(Why::Cut)?;
    Ok((text.get(..length).ok_or(Why::Cut)?, source, after))
}

fn pregreeting(said: &str) -> Vec<Step> {
    let said = said.strip_prefix(": ").unwrap_or(said);
    if said.starts_with("\\026\\003") {
        return vec![Step::TlsHello];
    }
    let word = said.split([' ', '\\']).next().unwrap_or_default().to_ascii_uppercase();
    let name = said.split_once(' ').map_or("", |(_, name)| name.split('\\').next().unwrap_or_default());
    match word.as_str() {
        "EHLO" => vec![Step::Ehlo(name.to_owned())],
        "HELO" => vec![Step::Helo(name.to_owned())],
        "GET" | "POST" | "HEAD" | "OPTIONS" | "PUT" | "CONNECT" => vec![Step::Http],
        _ => vec![Step::Unknown],
    }
}
