//! What is said on a visit, and what comes of it.

use super::site::{Entrance, Secure, Session, Shut, Site};
use super::wire::Answer;
use crate::audit::channel::Probe;
use crate::audit::plan::Errand;
use crate::audit::visit::{Door, Heard, Salt, Step, Visit};
use crate::limits::AUDIT_SERIES_TRIES;
use base64ct::{Base64, Encoding};
use std::net::IpAddr;

/// Makes one visit.
#[must_use]
pub fn make(site: &Site, probe: Probe, errand: Errand) -> Visit {
    let from = site.source();
    let (entrance, secure) = door(site, probe);
    let visit = Visit { errand, door: Door::Shut, steps: Vec::new(), end: Heard::Closed, salts: Vec::new() };
    let Ok(session) = Session::open(entrance, secure, from) else { return visit };
    let mut talk = Talk { site, session, visit, from };
    talk.visit.door = Door::Open;
    match probe {
        Probe::Rcpt | Probe::RcptAtSubmission => talk.rcpt(probe),
        Probe::Vrfy => talk.command("VRFY", |name| format!("VRFY {name}\r\n")),
        Probe::Expn => talk.command("EXPN", |name| format!("EXPN {name}\r\n")),
        Probe::Mail => talk.command("MAIL", |name| format!("MAIL FROM:<{name}>\r\n")),
        Probe::AuthAtMail => drop(talk.plain(0)),
        Probe::AuthPlain => talk.if_offered("PLAIN", |talk| drop(talk.plain(0))),
        Probe::AuthLogin => talk.if_offered("LOGIN", Talk::login),
        Probe::AuthScram => talk.if_offered("SCRAM-SHA-256", Talk::scram),
        Probe::AuthSeries => talk.if_offered("PLAIN", Talk::series),
    }
    talk.visit.end = talk.session.wire.ask(b"QUIT\r\n").heard;
    talk.visit
}

fn door(site: &Site, probe: Probe) -> (&Entrance, Secure) {
    match probe {
        Probe::Rcpt | Probe::Vrfy | Probe::Expn | Probe::Mail | Probe::AuthAtMail => {
            (&site.mail, Secure::Never)
        }
        Probe::RcptAtSubmission
        | Probe::AuthPlain
        | Probe::AuthLogin
        | Probe::AuthScram
        | Probe::AuthSeries => (&site.login, Secure::IfOffered),
    }
}

struct Talk<'a> {
    site: &'a Site,
    session: Session,
    visit: Visit,
    from: Option<IpAddr>,
}

impl Talk<'_> {
    fn if_offered(&mut self, mechanism: &str, then: impl FnOnce(&mut Self)) {
        if self.session.has_mechanism(mechanism) {
            then(self);
        } else {
            self.visit.door = Door::NotOffered;
        }
    }

    /// Says something that is compared with what others get.
    fn step(&mut self, said: &'static str, line: &str) -> Heard {
        let Answer { heard, took, octets } = self.session.wire.ask(line.as_bytes());
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.visit.steps.push(Step { said, heard: heard.clone(), nanos, octets });
        heard
    }

    fn command(&mut self, said: &'static str, line: impl FnOnce(&str) -> String) {
        let line = line(&self.visit.errand.name);
        self.step(said, &line);
    }

    fn rcpt(&mut self, probe: Probe) {
        let code = self.session.wire.ask(b"MAIL FROM:<>\r\n").heard.code();
        // Where a login is needed both are refused, and that is what is asked there.
        if code != 250 && probe == Probe::Rcpt {
            self.visit.door = if code >= 500 { Door::NotOffered } else { Door::Shut };
            return;
        }
        self.command("RCPT", |name| format!("RCPT TO:<{name}>\r\n"));
    }

    /// As long for every name, and never right.
    fn wrong_password(&self, number: usize) -> String {
        format!("{}-{}-{number}", self.site.word, self.visit.errand.round)
    }

    fn plain(&mut self, number: usize) -> Heard {
        let message = format!("\0{}\0{}", self.visit.errand.name, self.wrong_password(number));
        self.step("AUTH PLAIN", &format!("AUTH PLAIN {}\r\n", encoded(&message)))
    }

    fn login(&mut self) {
        let prompt = self.session.wire.ask(b"AUTH LOGIN\r\n").heard;
        if prompt.code() != 334 {
            self.visit.door = Door::NotOffered;
            return;
        }
        let name = encoded(&self.visit.errand.name);
        if self.step("the name", &format!("{name}\r\n")).code() == 334 {
            let password = encoded(&self.wrong_password(0));
            self.step("the password", &format!("{password}\r\n"));
        }
    }

    /// One exchange to its end, and the beginning of another.
    fn scram(&mut self) {
        let Some(nonce) = self.scram_first("SCRAM's first message") else { return };
        let proof =
            Base64::encode_string(self.wrong_password(0).repeat(8).as_bytes().get(..32).unwrap_or(&[0; 32]));
        let last = encoded(&format!("c=biws,r={nonce},p={proof}"));
        let heard = self.step("SCRAM's proof", &format!("{last}\r\n"));
        let goes_on = matches!(heard, Heard::Reply(_)) && heard.code() != 421;
        if goes_on && self.scram_first("SCRAM's first message again").is_some() {
            self.step("a cancelled SCRAM", "*\r\n");
        }
    }

    /// Gives the name and takes the salt; the nonce, if the server goes on.
    fn scram_first(&mut self, said: &'static str) -> Option<String> {
        let name = self.visit.errand.name.replace('=', "=3D").replace(',', "=2C");
        let first = encoded(&format!("n,,n={name},r={}", encoded(&self.site.word)));
        let Heard::Reply(text) = self.step(said, &format!("AUTH SCRAM-SHA-256 {first}\r\n")) else {
            return None;
        };
        let message = text.strip_prefix("334 ").and_then(|text| Base64::decode_vec(text.trim()).ok())?;
        let message = String::from_utf8(message).ok()?;
        let field =
            |name: &str| message.split(',').find_map(|field| field.strip_prefix(name)).map(str::to_owned);
        let (nonce, salt, iterations) = (field("r=")?, field("s=")?, field("i=")?);
        // Compared apart: nonce and salt differ by right.
        if let Some(step) = self.visit.steps.last_mut() {
            step.heard = Heard::Reply(format!("334 {} octets of SCRAM", message.len()));
        }
        self.visit.salts.push(Salt { salt, iterations });
        Some(nonce)
    }

    /// Wrong passwords from one address, in as many sessions as it takes.
    fn series(&mut self) {
        for number in 0..AUDIT_SERIES_TRIES {
            let heard = self.plain(number);
            let is_over = heard.code() == 421 || !matches!(heard, Heard::Reply(_));
            if !is_over || number.saturating_add(1) == AUDIT_SERIES_TRIES {
                continue;
            }
            match Session::open(&self.site.login, Secure::IfOffered, self.from) {
                Ok(session) => self.session = session,
                Err(shut) => {
                    self.visit.steps.push(at_the_door(shut));
                    return;
                }
            }
        }
    }
}

/// The step of a visitor that does not get in again.
fn at_the_door(shut: Shut) -> Step {
    let heard = match shut {
        Shut::Unreachable(_) => Heard::Broken,
        Shut::Refused(heard) => heard,
    };
    Step { said: "another connection", heard, nanos: 0, octets: Vec::new() }
}

fn encoded(text: &str) -> String {
    Base64::encode_string(text.as_bytes())
}
