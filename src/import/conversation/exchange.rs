//! A SASL exchange as a log shows it.

use super::Verb;
use crate::import::{Step, decoded, scan};

/// What the next response will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Name,
    Password,
    Anything,
}

/// An exchange under way.
#[derive(Debug, Clone)]
pub struct Exchange {
    mechanism: Option<String>,
    login: Option<String>,
    awaited: Awaited,
    responses: usize,
    aborted: bool,
}

impl Exchange {
    /// AUTH came, with this behind it.
    pub fn begun(arguments: &str) -> (Self, Step) {
        let mut words = arguments.split_ascii_whitespace();
        let word = words.next().unwrap_or("");
        let mechanism = scan::mechanism(word);
        let initial = words.next();
        let mut exchange = Self {
            mechanism: mechanism.clone(),
            login: None,
            awaited: if mechanism.as_deref() == Some("LOGIN") { Awaited::Name } else { Awaited::Anything },
            responses: 0,
            aborted: false,
        };
        if let Some(initial) = initial {
            exchange.took(initial);
        }
        (exchange, Step::Auth(mechanism.unwrap_or_default(), initial.is_some()))
    }

    /// The server asks on in an exchange whose start was not heard; `before` is the client's line before that. Gives
    /// the steps that must have been.
    pub fn overheard(challenge: &str, before: Option<String>) -> (Self, Vec<Step>) {
        let mut exchange =
            Self { mechanism: None, login: None, awaited: Awaited::Anything, responses: 0, aborted: false };
        exchange.challenged(challenge);
        let mut steps = vec![Step::Auth(exchange.mechanism.clone().unwrap_or_default(), false)];
        if exchange.awaited == Awaited::Password {
            exchange.login = before.and_then(|name| decoded::login("LOGIN", &name));
            steps.push(Step::LoginName);
        }
        (exchange, steps)
    }

    /// The server sent 334 with this.
    pub fn challenged(&mut self, challenge: &str) {
        let asked = decoded::base64(challenge).map(|text| text.to_ascii_lowercase());
        let login = match asked.as_deref().map(|text| text.trim_end_matches(['\0', ':', ' '])) {
            Some("username" | "user name") => Some(Awaited::Name),
            Some("password") => Some(Awaited::Password),
            Some(_) | None => None,
        };
        if let Some(awaited) = login {
            self.awaited = awaited;
            self.mechanism.get_or_insert_with(|| "LOGIN".to_owned());
        }
    }

    /// The client says a line within the exchange. None if it is a command instead: some clients give up so.
    pub fn response(&mut self, verb: Verb, text: &str) -> Option<Step> {
        let is_response = match verb {
            Verb::Unknown | Verb::Response => true,
            // Words that are base64 as well, so short that nobody's login or password is them, are commands.
            Verb::Ehlo
            | Verb::Helo
            | Verb::Auth
            | Verb::StartTls
            | Verb::Mail
            | Verb::Rcpt
            | Verb::Data
            | Verb::Body
            | Verb::Rset
            | Verb::Noop
            | Verb::Vrfy
            | Verb::Expn
            | Verb::Quit
            | Verb::Http
            | Verb::Tls
            | Verb::Other => false,
        };
        if !is_response {
            return None;
        }
        if text.trim() == "*" {
            self.aborted = true;
            return Some(Step::Unknown);
        }
        Some(self.took(text))
    }

    fn took(&mut self, word: &str) -> Step {
        self.responses = self.responses.saturating_add(1);
        match self.awaited {
            Awaited::Name => {
                self.login = decoded::login("LOGIN", word);
                self.awaited = Awaited::Password;
                Step::LoginName
            }
            Awaited::Password => Step::Password,
            Awaited::Anything => {
                let mechanism = self.mechanism.as_deref().unwrap_or_default();
                if self.login.is_none() {
                    self.login = decoded::login(mechanism, word);
                }
                Step::Password
            }
        }
    }

    /// Whether the client gave it up.
    pub fn aborted(&self) -> bool {
        self.aborted
    }

    /// Whether anything was sent that could be judged.
    pub fn had_credentials(&self) -> bool {
        self.responses > 0
    }

    /// The mechanism, in capitals.
    pub fn mechanism(&self) -> Option<String> {
        self.mechanism.clone()
    }

    /// The login.
    pub fn login(&self) -> Option<String> {
        self.login.clone()
    }
}
