//! What a client will do, step by step, and the pieces that scripts are made of.

use super::desk::Desk;
use super::town::{Credentials, Town};
use crate::contract::Listener;
use base64ct::{Base64, Encoding};
use std::collections::VecDeque;
use std::net::IpAddr;

/// One thing a client does.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Sends octets.
    Send(Vec<u8>),
    /// Waits until everything sent is answered.
    Await,
    /// Sends a body, if the last reply was 354.
    Body(Vec<u8>),
    /// Waits for the reply to STARTTLS (or, on `submissions`, does not) and shakes hands.
    Tls,
    /// Begins a SCRAM exchange, bound to the channel or not.
    ScramFirst(Credentials, bool),
    /// Sends its proof, if the server sent a salt.
    ScramProof,
    /// Looks at the server's proof, and ends the exchange.
    ScramEnd,
    /// Waits so many milliseconds.
    Pause(u64),
    /// Sends no more.
    HalfClose,
    /// Resets the connection.
    Reset,
    /// Reads no more.
    Deaf,
    /// Reads again.
    Listen,
}

/// A client to be.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) name: &'static str,
    pub(super) listener: Listener,
    /// From where, if not from anywhere.
    pub(super) from: Option<IpAddr>,
    pub(super) steps: VecDeque<Step>,
    pipelines: bool,
}

impl Script {
    pub(super) fn new(name: &'static str, listener: Listener, pipelines: bool) -> Self {
        let mut script = Self { name, listener, from: None, steps: VecDeque::new(), pipelines };
        if listener != Listener::Submissions {
            script.step(Step::Await);
        }
        script
    }

    pub(super) fn step(&mut self, step: Step) {
        self.steps.push_back(step);
    }

    /// Sends, and waits unless the client pipelines.
    pub(super) fn send(&mut self, text: &str) {
        self.step(Step::Send(text.as_bytes().to_vec()));
        if !self.pipelines {
            self.step(Step::Await);
        }
    }

    pub(super) fn quit(&mut self) {
        self.send("QUIT\r\n");
        self.step(Step::Await);
    }

    pub(super) fn mail(&mut self, sender: &str, recipients: &[&str], parameters: &str) {
        self.send(&format!("MAIL FROM:<{sender}>{parameters}\r\n"));
        for recipient in recipients {
            self.send(&format!("RCPT TO:<{recipient}>\r\n"));
        }
    }

    pub(super) fn transaction(&mut self, sender: &str, recipients: &[&str], body: &str) {
        self.mail(sender, recipients, "");
        self.send("DATA\r\n");
        self.step(Step::Await);
        self.step(Step::Body(stuffed(body.as_bytes())));
        self.step(Step::Await);
    }

    /// A body in chunks, the last one perhaps empty.
    pub(super) fn chunked(
        &mut self,
        desk: &mut Desk,
        sender: &str,
        recipients: &[&str],
        parameters: &str,
        body: &[u8],
    ) {
        self.mail(sender, recipients, parameters);
        self.step(Step::Await);
        let mut rest = body;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at_checked(1 + desk.below(rest.len())).unwrap_or((rest, &[]));
            rest = after;
            let is_last = rest.is_empty() && desk.one_in(2);
            let mut octets =
                format!("BDAT {}{}\r\n", piece.len(), if is_last { " LAST" } else { "" }).into_bytes();
            octets.extend_from_slice(piece);
            self.step(Step::Send(octets));
            if is_last {
                self.step(Step::Await);
                return;
            }
        }
        self.send("BDAT 0 LAST\r\n");
        self.step(Step::Await);
    }

    /// A login by PLAIN.
    pub(super) fn plain(&mut self, who: &Credentials) {
        let message = format!("\0{}\0{}", who.login, who.password);
        self.send(&format!("AUTH PLAIN {}\r\n", Base64::encode_string(message.as_bytes())));
        self.step(Step::Await);
    }

    /// A login by SCRAM.
    pub(super) fn scram(&mut self, who: &Credentials, plus: bool) {
        self.step(Step::ScramFirst(who.clone(), plus));
        self.step(Step::Await);
        self.step(Step::ScramProof);
        self.step(Step::Await);
        self.step(Step::ScramEnd);
        self.step(Step::Await);
    }

    /// A login by one of the ways there are.
    pub(super) fn login(&mut self, desk: &mut Desk, who: &Credentials) {
        if desk.one_in(5) {
            let plus = desk.one_in(2);
            return self.scram(who, plus);
        }
        let Credentials { login, password } = who;
        let encoded = |text: &str| Base64::encode_string(text.as_bytes());
        let plain = encoded(&format!("\0{login}\0{password}"));
        match desk.below(4) {
            0 => self.send(&format!("AUTH PLAIN {plain}\r\n")),
            1 => {
                self.send("AUTH PLAIN\r\n");
                self.step(Step::Await);
                self.send(&format!("{plain}\r\n"));
            }
            2 => {
                self.send("AUTH LOGIN\r\n");
                self.step(Step::Await);
                self.send(&format!("{}\r\n", encoded(login)));
                self.step(Step::Await);
                self.send(&format!("{}\r\n", encoded(password)));
            }
            _ => {
                self.send(&format!("auth login {}\r\n", encoded(login)));
                self.step(Step::Await);
                self.send(&format!("{}\r\n", encoded(password)));
            }
        }
        self.step(Step::Await);
    }

    /// Onto a submission port, up to the second EHLO.
    pub(super) fn on_submission(desk: &mut Desk, name: &'static str) -> Self {
        let listener =
            desk.pick(&[Listener::Submission, Listener::Submissions]).unwrap_or(Listener::Submission);
        let mut script = Self::new(name, listener, desk.one_in(3));
        if listener == Listener::Submission {
            script.send("EHLO me.example\r\n");
            if desk.one_in(4) {
                // Refused there, and no reason to go away.
                script.send("MAIL FROM:<ada@home.example>\r\n");
            }
            script.step(Step::Send(b"STARTTLS\r\n".to_vec()));
        }
        script.step(Step::Tls);
        script.send("EHLO me.example\r\n");
        script
    }
}

/// Recipients, some of whom do not exist.
pub(super) fn recipients(desk: &mut Desk) -> Vec<&'static str> {
    (0..=desk.below(3))
        .map(|_| match desk.one_in(5) {
            true => Town::bad_address(&mut desk.chance),
            false => Town::good_address(&mut desk.chance),
        })
        .collect()
}

/// A body like no other, with dots where they hurt. At most 12,000 octets.
pub(super) fn body(desk: &mut Desk, number: u64, part: u64) -> String {
    let mut text = format!("Subject: {number}.{part}\r\nX-Noise: {:x}\r\n\r\n", desk.chance.u64());
    let lines = desk.pick(&[0, 1, 3, 10, 100]).unwrap_or(0);
    for _ in 0..lines {
        text.push_str(
            desk.pick(&[
                ".\r\n",
                "..\r\n",
                "\r\n",
                ".dot in front\r\n",
                "QUIT\r\n",
                "text of no weight\r\n",
                ".. .\r\n",
            ])
            .unwrap_or_default(),
        );
        if lines == 100 {
            text.push_str(&"x".repeat(60 + desk.below(40)));
            text.push_str("\r\n");
        }
    }
    text
}

/// As it is sent: a dot in front of each dot, and the end behind it.
pub(super) fn stuffed(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at_line_start = true;
    for octet in body {
        if at_line_start && *octet == b'.' {
            out.push(b'.');
        }
        out.push(*octet);
        at_line_start = *octet == b'\n';
    }
    out.extend_from_slice(b".\r\n");
    out
}

pub(super) fn far(desk: &mut Desk) -> &'static str {
    desk.pick(&["sender@far.example", "", "list-bounces@far.example"]).unwrap_or_default()
}

pub(super) fn ending(desk: &mut Desk, script: &mut Script) {
    match desk.below(5) {
        0 => script.step(Step::Reset),
        1 => script.step(Step::HalfClose),
        // Simply falls silent.
        2 => {}
        _ => script.quit(),
    }
}
