//! Stand-ins for the lines of an AUTH exchange: well-formed stays well-formed, and neither name nor password is
//! left in it.

use super::shape::Around;
use crate::auth::sasl::Mechanism;
use crate::auth::scram::client::{Bound, ScramClient};
use crate::auth::scram::message::{BindingFlag, ClientFinal, ClientFirst};
use crate::limits::SCRAM_MESSAGE_OCTETS_MAX;
use crate::types::Address;
use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

/// A nonce like any other.
const NONCE: &str = "c2VydmVkLW9mZi1zdGFuZC1pbg";
/// What the sessions of a dialogue can be bound to.
const EXPORTER: [u8; 32] = [b'E'; 32];

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Plain,
    LoginName,
    LoginPassword,
    ScramFirst,
    ScramLast,
    Over,
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Exchange {
    state: State,
    /// The client that a SCRAM exchange is played with.
    client: Option<ScramClient>,
}

/// What stands for a line.
#[derive(Debug)]
pub(super) enum Said {
    /// This.
    Line(String),
    /// This, and with it name and password are told; the second is the stand-in of the password.
    Credentials(String, String),
    /// The last message of a SCRAM client, which depends on what the server said.
    Proof(Box<ScramClient>),
}

impl Exchange {
    pub(super) fn new(mechanism: Mechanism) -> Self {
        let state = match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::LoginName,
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => State::ScramFirst,
        };
        Self { state, client: None }
    }

    /// What stands for the initial response of the AUTH command. `attempt` numbers the passwords.
    pub(super) fn initial(&mut self, text: &[u8], attempt: u32, around: &mut Around<'_>) -> Said {
        match text {
            b"=" => match self.decoded(&[], attempt, around) {
                Said::Line(_) => Said::Line("=".to_owned()),
                Said::Credentials(_, password) => Said::Credentials("=".to_owned(), password),
                proof @ Said::Proof(_) => proof,
            },
            // It cancels nothing yet.
            b"*" => Said::Line("*".to_owned()),
            _ => self.text(text, attempt, around),
        }
    }

    /// What stands for a line of the exchange without its CRLF.
    pub(super) fn line(&mut self, text: &[u8], attempt: u32, around: &mut Around<'_>) -> Said {
        match text {
            b"*" => {
                self.state = State::Over;
                Said::Line("*".to_owned())
            }
            _ => self.text(text, attempt, around),
        }
    }

    fn text(&mut self, text: &[u8], attempt: u32, around: &mut Around<'_>) -> Said {
        let decoded = std::str::from_utf8(text).ok().and_then(|text| Base64::decode_vec(text).ok());
        match decoded.map(Zeroizing::new) {
            Some(response) => self.decoded(&response, attempt, around),
            None => {
                self.state = State::Over;
                Said::Line(format!("!{}", "x".repeat(text.len().saturating_sub(1).min(256))))
            }
        }
    }

    fn decoded(&mut self, response: &[u8], attempt: u32, around: &mut Around<'_>) -> Said {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Plain => plain(response, attempt, around),
            State::LoginName => {
                self.state = State::LoginPassword;
                Said::Line(Base64::encode_string(name(response, around).as_bytes()))
            }
            State::LoginPassword => {
                let password = password(response, attempt);
                Said::Credentials(Base64::encode_string(password.as_bytes()), password)
            }
            State::ScramFirst => self.scram_first(response, around),
            State::ScramLast => match (ClientFinal::parse(response), self.client.take()) {
                (Some(_), Some(client)) if response.len() <= SCRAM_MESSAGE_OCTETS_MAX => {
                    Said::Proof(Box::new(client))
                }
                (_, _) => Said::Line(malformed(response)),
            },
            // A client answers the server's last word with nothing.
            State::Over if response.is_empty() => Said::Line(String::new()),
            State::Over => Said::Line(malformed(response)),
        }
    }

    fn scram_first(&mut self, response: &[u8], around: &mut Around<'_>) -> Said {
        let parsed = ClientFirst::parse(response).filter(|_| response.len() <= SCRAM_MESSAGE_OCTETS_MAX);
        let Some(first) = parsed else { return Said::Line(malformed(response)) };
        let login = name(first.login.as_bytes(), around);
        let other = first.authorize_as.as_ref().map(|other| {
            if is_same(other.as_bytes(), first.login.as_bytes()) {
                login.clone()
            } else {
                name(other.as_bytes(), around)
            }
        });
        let bound = match &first.binding {
            BindingFlag::None => Bound::No,
            BindingFlag::Unoffered => Bound::Unoffered,
            BindingFlag::Used(kind) => match kind.as_str() {
                "tls-exporter" => Bound::To("tls-exporter", &EXPORTER),
                "tls-server-end-point" => Bound::To("tls-server-end-point", &EXPORTER),
                "tls-unique" => Bound::To("tls-unique", &EXPORTER),
                _ => Bound::To("unknown", &EXPORTER),
            },
        };
        let client = ScramClient::new(bound, other.as_deref(), &login, NONCE);
        let text = Base64::encode_string(client.first().as_bytes());
        self.state = State::ScramLast;
        self.client = Some(client);
        Said::Line(text)
    }
}

/// A name; nothing stays nothing.
fn name(login: &[u8], around: &mut Around<'_>) -> String {
    if login.is_empty() { String::new() } else { around.names.login(around.directory, login, around.facts) }
}

/// What stands for a password: another one at every attempt, long if it was long, nothing if it was nothing.
fn password(typed: &[u8], attempt: u32) -> String {
    let mut text = if typed.is_empty() { String::new() } else { format!("stand-in-{attempt}") };
    if typed.len() > 64 {
        let octets = typed.len().next_power_of_two().min(8_192);
        text.push_str(&"x".repeat(octets.saturating_sub(text.len())));
    }
    text
}

/// `[authzid] NUL authcid NUL passwd`, or something with as many NULs that is not that.
fn plain(message: &[u8], attempt: u32, around: &mut Around<'_>) -> Said {
    let parts: Vec<&[u8]> = message.split(|octet| *octet == 0).collect();
    let [other, login, typed] = parts.as_slice() else {
        let shape: Vec<&str> =
            parts.iter().map(|part| if part.is_empty() { "" } else { "x" }).take(8).collect();
        return Said::Line(Base64::encode_string(shape.join("\0").as_bytes()));
    };
    let stands = name(login, around);
    let acts_as = match other {
        [] => String::new(),
        _ if is_same(other, login) => stands.clone(),
        _ => name(other, around),
    };
    let password = password(typed, attempt);
    let text = Zeroizing::new(format!("{acts_as}\0{stands}\0{password}"));
    Said::Credentials(Base64::encode_string(text.as_bytes()), password)
}

/// Whether two names are one identity.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let key = |octets: &[u8]| Some(std::str::from_utf8(octets).ok()?.parse::<Address>().ok()?.key());
    one == other || key(one).is_some_and(|one| key(other) == Some(one))
}

/// Base64 of what no mechanism understands.
fn malformed(message: &[u8]) -> String {
    Base64::encode_string("x".repeat(message.len().clamp(1, 64)).as_bytes())
}
