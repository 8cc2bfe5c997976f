//! From what clients did to dialogue files: one for each distinct behaviour, with the replies that gatepost gives.
//!
//! The client's part is played in memory and what came is written between its lines, so that every file replays.

use super::shape::{Act, PASSWORD, Shape};
use super::{Door, What, series};
use crate::contract::Listener;
use crate::dialog::parse::parse;
use crate::dialog::play::{Cuts, Transcript, play, play_for_laws};
use crate::limits;
use crate::types::{Enhanced, Reply};
use base64ct::{Base64, Encoding};
use std::collections::{BTreeMap, BTreeSet};

/// A dialogue to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The name of its file: `postfix-auth-login-001.txt`.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// The behaviours seen so far.
#[derive(Debug, Default)]
pub struct Book {
    seen: BTreeSet<(Door, Vec<Act>)>,
    series: BTreeSet<Vec<series::Told>>,
    numbers: BTreeMap<String, u32>,
    doubled: u64,
    beyond: u64,
}

impl Book {
    /// Takes what a session did. A dialogue, if nobody did the same before.
    pub fn add(&mut self, shape: &Shape) -> Option<Written> {
        let key = (shape.door, shape.acts.clone());
        if self.seen.contains(&key) {
            self.doubled = self.doubled.saturating_add(1);
            return None;
        }
        if self.is_full() {
            return None;
        }
        self.seen.insert(key);
        let text = dialogue(shape)?;
        Some(self.named(&format!("{}-{}", shape.server.name(), slug(shape)), text))
    }

    /// Takes the sessions of one client, in their order. A dialogue of all of them, if no client did the same
    /// before.
    pub fn add_series(&mut self, sessions: &[Shape]) -> Option<Written> {
        let last = sessions.last()?;
        let plan = series::plan(sessions);
        let key = series::key(&plan);
        if self.series.contains(&key) || self.is_full() {
            return None;
        }
        self.series.insert(key);
        let text = series::dialogue(&plan, last)?;
        Some(self.named(&format!("{}-series-{}", last.server.name(), slug(last)), text))
    }

    /// Whether as many were written as one run writes; if so, one more is counted.
    fn is_full(&mut self) -> bool {
        let full = self.seen.len().saturating_add(self.series.len()) >= limits::IMPORT_DIALOGUES_MAX;
        self.beyond = self.beyond.saturating_add(u64::from(full));
        full
    }

    fn named(&mut self, stem: &str, text: String) -> Written {
        let number = self.numbers.entry(stem.to_owned()).or_default();
        *number = number.saturating_add(1);
        Written { name: format!("{stem}-{number:03}.txt"), text }
    }

    /// Sessions whose behaviour was known already.
    #[must_use]
    pub fn doubled(&self) -> u64 {
        self.doubled
    }

    /// Sessions of a behaviour that was new when [`limits::IMPORT_DIALOGUES_MAX`] were written.
    #[must_use]
    pub fn beyond(&self) -> u64 {
        self.beyond
    }
}

/// A word or two for the file's name.
fn slug(shape: &Shape) -> String {
    let mechanism = shape.acts.iter().rev().find_map(|act| match act {
        Act::Auth { mechanism, .. } => Some(mechanism.to_ascii_lowercase()),
        Act::Say(_) | Act::Send(_) | Act::StartTls => None,
    });
    match (shape.what, mechanism) {
        (What::Login, Some(mechanism)) => format!("auth-{mechanism}"),
        (What::Login, None) => "auth".to_owned(),
        (What::AuthCommand, _) => "auth-refused".to_owned(),
        (What::Recipient, _) => "recipient".to_owned(),
        (What::Relay, _) => "relay".to_owned(),
        (What::Sender, _) => "sender".to_owned(),
        (What::Greeting, _) => "greeting".to_owned(),
        (What::Client, _) => "client".to_owned(),
        (What::Message, _) => "message".to_owned(),
        (What::Verify, _) => "verify".to_owned(),
        (What::PreGreeting, _) => "pre-greeting".to_owned(),
        (What::Pipelining, _) => "pipelining".to_owned(),
        (What::Garbage, _) => "garbage".to_owned(),
        (What::TooManyErrors, _) => "errors".to_owned(),
        (What::Rate, _) => "rate".to_owned(),
        (What::Timeout, _) => "timeout".to_owned(),
        (What::HungUp, _) => "hung-up".to_owned(),
        (What::Tls, _) => "tls".to_owned(),
    }
}

/// What is refused, in words.
pub(super) fn words(what: What) -> &'static str {
    match what {
        What::Login => "a login",
        What::AuthCommand => "an AUTH command",
        What::Recipient => "a recipient",
        What::Relay => "a recipient elsewhere",
        What::Sender => "a sender",
        What::Greeting => "an EHLO name",
        What::Client => "a client's address",
        What::Message => "a message",
        What::Verify => "a question about an address",
        What::PreGreeting => "talk before the greeting",
        What::Pipelining => "commands before their turn",
        What::Garbage => "what is no mail protocol",
        What::TooManyErrors => "a session with too many errors",
        What::Rate => "a client that asked too often",
        What::Timeout => "a client that was too slow",
        What::HungUp => "nothing yet when its client left",
        What::Tls => "a handshake",
    }
}

/// The dialogue, if it replays; a session that ends early ends its dialogue.
fn dialogue(shape: &Shape) -> Option<String> {
    let listener = listener(shape.door);
    let mut text = format!(
        "gatepost-dialog 1\n# Made from a log of {}: it refused {}. Names are stand-ins of the same kind.\nlistener: {}\n\
         W: domain example.org\nW: account me@example.org password=\"correct horse\"\n",
        shape.server.name(),
        words(shape.what),
        listener.name()
    );
    let mut player = Player { heard: 0, ended: false };
    if shape.what == What::PreGreeting {
        // The client speaks first; the greeting comes all the same.
    } else {
        text.push_str("S: 220\n");
        player.heard = 1;
    }
    let starts_tls = listener == Listener::Submissions;
    for line in lines(&shape.acts, starts_tls) {
        if player.ended {
            break;
        }
        text.push_str(&line);
        text.push('\n');
        player.answers(&mut text)?;
    }
    if !player.ended {
        text.push_str("EOF:\n");
        player.answers(&mut text)?;
    }
    let dialog = parse(&text).ok()?;
    play(&dialog).difference.is_none().then_some(text)
}

/// The door of ours that stands for one of another server's.
pub(super) fn listener(door: Door) -> Listener {
    match door {
        Door::Smtp => Listener::Smtp,
        Door::Submission => Listener::Submission,
        Door::Submissions | Door::Imap | Door::Pop3 | Door::Sieve | Door::Web => Listener::Submissions,
    }
}

struct Player {
    /// Replies written down.
    heard: usize,
    ended: bool,
}

impl Player {
    /// Plays what is written so far and writes down what came since.
    fn answers(&mut self, text: &mut String) -> Option<()> {
        let dialog = parse(text).ok()?;
        let transcript: Transcript = play_for_laws(&dialog, &mut Cuts::Whole).sessions.get(&1)?.clone();
        for reply in transcript.replies.iter().skip(self.heard) {
            text.push_str(&format!("S: {}\n", code(reply)));
        }
        self.heard = transcript.replies.len();
        if let Some(cause) = transcript.end {
            text.push_str(&format!("CLOSE: {}\n", cause.name()));
            self.ended = true;
        }
        Some(())
    }
}

/// Code and enhanced code.
pub(super) fn code(reply: &Reply) -> String {
    match reply.enhanced {
        Some(Enhanced(class, subject, detail)) => format!("{:03} {class}.{subject}.{detail}", reply.code),
        None => format!("{:03}", reply.code),
    }
}

/// The client's lines of a dialogue. A handshake is written behind the STARTTLS that leads to it.
fn lines(acts: &[Act], encrypted: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut encrypted = encrypted;
    for act in acts {
        act_lines(act, PASSWORD, &mut encrypted, &mut lines);
    }
    lines
}

/// The lines of one step.
pub(super) fn act_lines(act: &Act, password: &str, encrypted: &mut bool, lines: &mut Vec<String>) {
    match act {
        Act::Say(line) => lines.push(format!("C: {line}")),
        Act::Send(octets) => lines.push(format!("C-: {}", octets.replace("\r\n", "\\r\\n"))),
        Act::StartTls if *encrypted => lines.push("C: STARTTLS".to_owned()),
        Act::StartTls => {
            lines.push("C: STARTTLS".to_owned());
            lines.push("TLS: up TLSv1.3 TLS_AES_128_GCM_SHA256".to_owned());
            *encrypted = true;
        }
        Act::Auth { mechanism, login, initial } => {
            exchange(mechanism, (login, password), *initial, *encrypted, lines);
        }
    }
}

fn exchange(
    mechanism: &str,
    (login, password): (&str, &str),
    initial: bool,
    encrypted: bool,
    lines: &mut Vec<String>,
) {
    let coded = |text: &str| Base64::encode_string(text.as_bytes());
    let plain = coded(&format!("\0{login}\0{password}"));
    // Without encryption the command is refused, and what a client sends then is its own affair.
    match mechanism {
        "PLAIN" if initial || !encrypted => lines.push(format!("C: AUTH PLAIN {plain}")),
        "PLAIN" => lines.extend(["C: AUTH PLAIN".to_owned(), format!("C: {plain}")]),
        "LOGIN" if initial && encrypted => {
            lines.extend([format!("C: AUTH LOGIN {}", coded(login)), format!("C: {}", coded(password))]);
        }
        "LOGIN" if initial => lines.push(format!("C: AUTH LOGIN {}", coded(login))),
        "LOGIN" if encrypted => lines.extend([
            "C: AUTH LOGIN".to_owned(),
            format!("C: {}", coded(login)),
            format!("C: {}", coded(password)),
        ]),
        "SCRAM-SHA-256" if encrypted => {
            let first = coded(&format!("n,,n={login},r=0123456789abcdef"));
            lines.extend([format!("C: AUTH SCRAM-SHA-256 {first}"), "C: *".to_owned()]);
        }
        other => lines.push(format!("C: AUTH {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::Server;
    use crate::import::shape::Origin;

    fn shape(what: What, door: Door, acts: Vec<Act>) -> Shape {
        Shape { server: Server::Postfix, what, door, acts, origin: Origin::default() }
    }

    fn login(mechanism: &str, initial: bool) -> Act {
        Act::Auth { mechanism: mechanism.to_owned(), login: "info".to_owned(), initial }
    }

    fn say(line: &str) -> Act {
        Act::Say(line.to_owned())
    }

    #[test]
    fn every_dialogue_replays_whatever_the_client_did() {
        let mut written = 0;
        let acts = [
            say("EHLO host"),
            say("HELO host"),
            say("RSET"),
            login("LOGIN", false),
            login("LOGIN", true),
            login("PLAIN", false),
            login("PLAIN", true),
            login("SCRAM-SHA-256", true),
            login("X-UNKNOWN", false),
            Act::StartTls,
            Act::Send("\\x16\\x03\r\n"),
            say("POST / HTTP/1.1"),
            say("MAIL FROM:<someone@foreign.example>"),
            say("RCPT TO:<nobody@example.org>"),
            say("DATA"),
            say("QUIT"),
        ];
        for door in [Door::Smtp, Door::Submission, Door::Submissions, Door::Imap] {
            for what in [What::Login, What::PreGreeting] {
                for (at, first) in acts.iter().enumerate() {
                    for second in &acts {
                        let mut book = Book::default();
                        let third = acts[(at * 7 + 3) % acts.len()].clone();
                        let all = vec![say("EHLO host"), first.clone(), second.clone(), third];
                        let dialogue = book.add(&shape(what, door, all.clone()));
                        assert!(dialogue.is_some(), "{door:?} {what:?} {all:?}");
                        written += 1;
                    }
                }
            }
        }
        assert_eq!(written, 2 * 4 * 16 * 16);
    }

    #[test]
    fn a_behaviour_is_written_once() {
        let mut book = Book::default();
        let acts = vec![say("EHLO User"), say("RSET"), login("LOGIN", false)];
        let first = book.add(&shape(What::Login, Door::Submissions, acts.clone())).expect("the first is new");
        assert_eq!(first.name, "postfix-auth-login-001.txt");
        assert!(first.text.contains("S: 535 5.7.8\n"), "{}", first.text);
        assert_eq!(book.add(&shape(What::Login, Door::Submissions, acts)), None);
        assert_eq!(book.doubled(), 1);
    }
}
