//! Messages as a server keeps them, and what of them can be compared with a dialogue.

use super::Head;
use super::compare::Seen;
use crate::contract::Listener;
use crate::mail::scan::HeaderScan;
use crate::mail::{date, trace};
use crate::types::{Host, MailId, UnixTime};
use std::net::IpAddr;

/// A message that a server keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveMessage {
    /// The sender, with angle brackets.
    pub sender: String,
    /// The name of the account of each copy, in any order.
    pub copies: Vec<String>,
    /// Its name.
    pub id: MailId,
    /// When it was received.
    pub received: UnixTime,
    /// All of it, with the fields put in front.
    pub octets: Vec<u8>,
}

impl LiveMessage {
    /// Whether the Received field in front says that it came from this address.
    #[must_use]
    pub fn came_from(&self, peer: IpAddr) -> bool {
        let length = trace_octets(&self.octets);
        let trace = String::from_utf8_lossy(self.octets.get(..length).unwrap_or_default()).into_owned();
        trace.contains(&format!("({})", literal(peer)))
    }
}

/// A message with what is compared of it.
#[derive(Debug)]
pub(super) struct Kept {
    sender: String,
    copies: Vec<String>,
    prefix: Vec<u8>,
    body: Vec<u8>,
}

impl Kept {
    /// The message with the client's address and the time as they are in a dialogue with this head.
    pub(super) fn of(message: &LiveMessage, head: &Head, peer: IpAddr) -> Self {
        let (prefix, body) =
            message.octets.split_at_checked(prefix_octets(message, head)).unwrap_or((&[], &message.octets));
        let prefix = String::from_utf8_lossy(prefix)
            .replace(&literal(peer), &literal(head.peer))
            .replace(&date::rfc5322(message.received), &date::rfc5322(head.clock));
        Self {
            sender: message.sender.clone(),
            copies: sorted(message.copies.clone()),
            prefix: prefix.into_bytes(),
            body: body.to_vec(),
        }
    }

    /// As it is compared.
    pub(super) fn seen(&self) -> Seen<'_> {
        Seen {
            sender: self.sender.clone(),
            copies: self.copies.clone(),
            prefix: &self.prefix,
            body: &self.body,
        }
    }
}

/// Names in one order, where theirs tells nothing.
pub(super) fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// An address as a Received field shows it (RFC 5321 section 4.1.3).
fn literal(address: IpAddr) -> String {
    Host::Literal(address).to_string()
}

/// Octets of Return-Path and Received, which stand in front of every message.
fn trace_octets(octets: &[u8]) -> usize {
    let mut length = 0usize;
    for name in [b"Return-Path:".as_slice(), b"Received:"] {
        let rest = octets.get(length..).unwrap_or_default();
        if rest.starts_with(name) {
            length = length.saturating_add(field_octets(rest));
        }
    }
    length
}

/// Octets of the field at the beginning, with the lines it is folded to.
fn field_octets(octets: &[u8]) -> usize {
    let mut length = 0usize;
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        if length > 0 && !matches!(line.first(), Some(b' ' | b'\t')) {
            break;
        }
        length = length.saturating_add(line.len());
    }
    length
}

/// Octets of all fields put in front: those of the trace, and for a submitted message Date and Message-ID
/// where it had none.
fn prefix_octets(message: &LiveMessage, head: &Head) -> usize {
    let mut length = trace_octets(&message.octets);
    let added = match head.listener {
        Listener::Smtp => Vec::new(),
        Listener::Submission | Listener::Submissions => {
            vec![trace::date_field(message.received), trace::message_id_field(message.id, &head.hostname)]
        }
    };
    for field in added {
        if message.octets.get(length..).unwrap_or_default().starts_with(&field) {
            length = length.saturating_add(field.len());
        }
    }
    length.saturating_add(parting_octets(message.octets.get(length..).unwrap_or_default()))
}

/// Octets of the empty line that parts the fields from a message that is text alone. From outside it cannot be
/// told from a message that began with an empty line itself; no dialogue has one.
fn parting_octets(rest: &[u8]) -> usize {
    const EMPTY_LINE: &[u8] = b"\r\n";
    let Some(text) = rest.strip_prefix(EMPTY_LINE) else { return 0 };
    let mut scan = HeaderScan::new();
    scan.feed(text);
    if scan.facts().begins_with_text { EMPTY_LINE.len() } else { 0 }
}
