//! `reject: WHERE from CLIENT: CODE STATUS TEXT; from=<…> to=<…> proto=… helo=<…>`.

use super::client;
use crate::import::scan;
use crate::import::{Step, What, Why};
use std::net::IpAddr;

/// What a refusal says.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) what: What,
    pub(super) source: IpAddr,
    pub(super) helo: Option<String>,
    pub(super) login: Option<String>,
    pub(super) steps: Vec<Step>,
}

/// Reads what follows `reject: `. None: a refusal that is our own fault, or puts off everybody.
pub(super) fn read(text: &str) -> Result<Option<Rejected>, Why> {
    let (stage, rest) = text.split_once(" from ").ok_or(Why::Cut)?;
    if stage.is_empty() || !stage.bytes().all(|octet| octet.is_ascii_uppercase() || octet == b'-') {
        return Err(Why::Cut);
    }
    let (source, rest) = client(rest).ok_or(Why::NoAddress)?;
    let reply = rest.strip_prefix(": ").ok_or(Why::Cut)?;
    let code =
        reply.get(..3).filter(|code| code.bytes().all(|octet| octet.is_ascii_digit())).ok_or(Why::Cut)?;
    if !code.starts_with(['4', '5']) {
        return Err(Why::UnknownMessage);
    }
    let status = reply.get(4..).and_then(|after| after.split(' ').next()).filter(|word| is_status(word));
    let words = status.and_then(|status| reply.get(status.len().checked_add(5)?..)).unwrap_or(reply);
    if ours(code, status.unwrap_or_default(), words) {
        return Ok(None);
    }
    let helo = helo(reply);
    let name = helo.clone().unwrap_or_default();
    Ok(Some(Rejected { what: what(stage, words), source, login: None, steps: steps(stage, &name), helo }))
}

fn is_status(word: &str) -> bool {
    let mut parts = word.split('.');
    let number = |part: Option<&str>| {
        part.is_some_and(|part| {
            (1..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit())
        })
    };
    number(parts.next()) && number(parts.next()) && number(parts.next()) && parts.next().is_none()
}

/// A refusal that says nothing of the client: system status (RFC 3463 X.3), look-ups of ours that failed, grey
/// lists, a milter or policy service that is away.
fn ours(code: &str, status: &str, words: &str) -> bool {
    let class_three = status.get(1..).is_some_and(|rest| rest.starts_with(".3."));
    let away = [
        "Temporary lookup failure",
        "Server configuration",
        "Service unavailable - try again later",
        "reylist",
        "rey-list",
        "Internal error",
        "queue file write error",
    ];
    // The client's own text stands in angle brackets in front; only what follows is ours.
    let said =
        words.strip_prefix('<').and_then(|after| after.split_once(">: ")).map_or(words, |(_, said)| said);
    let said = said.split_once("; from=<").map_or(said, |(said, _)| said);
    let status_two = status.starts_with("4.2.0");
    class_three
        || code == "421" && status.is_empty()
        || (code.starts_with('4') && (status_two || away.iter().any(|word| said.contains(word))))
}

fn what(stage: &str, words: &str) -> What {
    let said =
        words.strip_prefix('<').and_then(|after| after.split_once(">: ")).map_or(words, |(_, said)| said);
    let begins = |start: &str| said.starts_with(start) || words.trim_start_matches(": ").starts_with(start);
    if begins("Relay access denied") || begins("Recipient address rejected: Relay access denied") {
        What::Relay
    } else if begins("Helo command rejected") {
        What::Greeting
    } else if begins("Sender address rejected") {
        What::Sender
    } else if begins("Client host rejected") || begins("Service unavailable") {
        What::Client
    } else {
        match stage {
            "VRFY" | "EXPN" => What::Verify,
            "EHLO" | "HELO" => What::Greeting,
            "CONNECT" => What::Client,
            "MAIL" => What::Sender,
            "AUTH" => What::AuthCommand,
            "DATA" | "BDAT" | "END-OF-MESSAGE" => What::Message,
            _ => What::Recipient,
        }
    }
}

/// The EHLO name, which stands last.
fn helo(reply: &str) -> Option<String> {
    let (_, name) = reply.rsplit_once(" helo=<")?;
    scan::login(name.strip_suffix('>')?)
}

fn steps(stage: &str, name: &str) -> Vec<Step> {
    let hello = Step::Ehlo(name.to_owned());
    match stage {
        "CONNECT" => Vec::new(),
        "HELO" => vec![Step::Helo(name.to_owned())],
        "EHLO" => vec![hello],
        "VRFY" => vec![hello, Step::Vrfy],
        "EXPN" => vec![hello, Step::Expn],
        "MAIL" => vec![hello, Step::Mail],
        "AUTH" => vec![hello, Step::Auth("LOGIN".to_owned(), false)],
        "DATA" | "BDAT" | "END-OF-MESSAGE" => vec![hello, Step::Mail, Step::Rcpt, Step::Data],
        _ => vec![hello, Step::Mail, Step::Rcpt],
    }
}
