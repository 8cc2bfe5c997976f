//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side (RFC 5802, RFC 7677), without a key in it: what a
//! name's salt is and whether a proof is right are questions for others.
//!
//! Whatever is wrong with a client's claim but its form goes on to the end and is refused there like a wrong
//! password, so that no answer tells what was looked at.

pub mod client;
pub mod end_point;
pub mod keys;
pub mod message;
pub mod prepare;
pub mod salts;

use self::keys::{ClientProof, ServerSignature};
use self::message::{BindingFlag, ClientFinal, ClientFirst, encode, server_final, server_first};
use self::prepare::prepare;
use super::verdict::{ProvenBy, Refusal};
use crate::limits::{SCRAM_MESSAGE_OCTETS_MAX, SCRAM_NONCE_CHANCE_OCTETS};
use crate::types::{AccountId, Chance, ChannelBindings, ScramSalt};
use base64ct::Base64Unpadded;
use subtle::ConstantTimeEq;

/// What a client claims, and what it proves it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScramProof {
    /// The authentication identity, prepared.
    pub login: Vec<u8>,
    /// The authorization identity, if one was sent.
    pub authorize_as: Option<Vec<u8>>,
    /// What both sides sign: `AuthMessage`.
    pub auth_message: Vec<u8>,
    /// The proof.
    pub proof: ClientProof,
    /// What makes the proof worth nothing, whatever it is.
    pub flaw: Option<Refusal>,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum ScramStep {
    /// Ask for the salt of this name, and come back with [`Scram::salted`].
    AskSalt,
    /// Send this message.
    Send(String),
    /// Ask whether this is right, and come back with [`Scram::proved`] if it is.
    AskProof(Box<ScramProof>),
    /// It is over, and this account has proved itself.
    Proven(AccountId, ProvenBy),
    /// Not the shape of a message that may come now.
    Malformed,
}

/// One exchange.
#[derive(Debug)]
pub struct Scram {
    state: State,
    bindings: ChannelBindings,
    /// The server's part of the nonce, then all of it.
    nonce: String,
    login: Vec<u8>,
    authorize_as: Option<Vec<u8>>,
    flaw: Option<Refusal>,
    /// What `c=` must say.
    expected: Vec<u8>,
    /// `AuthMessage` as far as it is known.
    auth_message: String,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The client's first message.
    First(Binding),
    /// The salt.
    Salt,
    /// The client's final message.
    Final,
    /// Whether the proof is right.
    Verdict,
    /// The empty response to the server's signature.
    Confirmation(AccountId, ProvenBy),
    /// Nothing.
    Over,
}

/// Whether the mechanism is the one whose name ends in `-PLUS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// It is: the client binds the exchange to its channel.
    Plus,
    /// It is not.
    Plain,
}

impl Scram {
    /// An exchange that has not begun. `bindings` is what the connection can be bound to; `chance` gives the
    /// server's part of the nonce.
    #[must_use]
    pub fn new(binding: Binding, bindings: &ChannelBindings, chance: &mut Chance) -> Self {
        let octets = chance.octets();
        let nonce = octets.get(..SCRAM_NONCE_CHANCE_OCTETS).unwrap_or(&octets);
        Self {
            state: State::First(binding),
            bindings: bindings.clone(),
            nonce: encode::<Base64Unpadded>(nonce),
            login: Vec::new(),
            authorize_as: None,
            flaw: None,
            expected: Vec::new(),
            auth_message: String::new(),
        }
    }

    /// The authentication identity, prepared; empty before it is known.
    #[must_use]
    pub fn login(&self) -> &[u8] {
        &self.login
    }

    /// Takes a response of the client, its base64 undone.
    pub fn take(&mut self, response: &[u8]) -> ScramStep {
        let state = std::mem::replace(&mut self.state, State::Over);
        if response.len() > SCRAM_MESSAGE_OCTETS_MAX {
            return ScramStep::Malformed;
        }
        match state {
            State::First(binding) => match ClientFirst::parse(response) {
                Some(first) => self.begin(binding, first),
                None => ScramStep::Malformed,
            },
            State::Final => match ClientFinal::parse(response) {
                Some(last) => self.claim(&last),
                None => ScramStep::Malformed,
            },
            State::Confirmation(account, by) if response.is_empty() => ScramStep::Proven(account, by),
            State::Confirmation(..) | State::Salt | State::Verdict | State::Over => ScramStep::Malformed,
        }
    }

    /// The salt that was asked for.
    pub fn salted(&mut self, salt: &ScramSalt) -> ScramStep {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Salt => {
                let message = server_first(&self.nonce, salt);
                self.auth_message.push(',');
                self.auth_message.push_str(&message);
                self.state = State::Final;
                ScramStep::Send(message)
            }
            State::First(_) | State::Final | State::Verdict | State::Confirmation(..) | State::Over => {
                ScramStep::Malformed
            }
        }
    }

    /// The proof was right: the client is told so in the server's own proof, and confirms it with nothing.
    pub fn proved(&mut self, account: AccountId, by: ProvenBy, signature: ServerSignature) -> ScramStep {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Verdict => {
                self.state = State::Confirmation(account, by);
                ScramStep::Send(server_final(signature))
            }
            State::First(_) | State::Salt | State::Final | State::Confirmation(..) | State::Over => {
                ScramStep::Malformed
            }
        }
    }

    fn begin(&mut self, binding: Binding, first: ClientFirst) -> ScramStep {
        let ClientFirst { binding: flag, authorize_as, login, nonce, header, bare } = first;
        self.login = prepare(&login).as_bytes().to_vec();
        self.authorize_as = authorize_as.map(|name| prepare(&name).as_bytes().to_vec());
        self.expected = header.into_bytes();
        match (binding, flag) {
            (Binding::Plus, BindingFlag::Used(name)) => match self.bindings.of(&name) {
                Some(data) => self.expected.extend_from_slice(data),
                None => self.flaw = Some(Refusal::ChannelBinding),
            },
            // It was told that there is no -PLUS, and not by us: somebody sits between (RFC 5802 section 6).
            (Binding::Plain, BindingFlag::Unoffered) if !self.bindings.is_empty() => {
                self.flaw = Some(Refusal::ChannelBinding);
            }
            (Binding::Plain, BindingFlag::None | BindingFlag::Unoffered) => {}
            (Binding::Plus, BindingFlag::None | BindingFlag::Unoffered)
            | (Binding::Plain, BindingFlag::Used(_)) => self.flaw = Some(Refusal::ChannelBinding),
        }
        let own = std::mem::replace(&mut self.nonce, nonce);
        self.nonce.push_str(&own);
        self.auth_message = bare;
        self.state = State::Salt;
        ScramStep::AskSalt
    }

    fn claim(&mut self, last: &ClientFinal) -> ScramStep {
        let same_nonce = bool::from(last.nonce.as_bytes().ct_eq(self.nonce.as_bytes()));
        let same_binding = bool::from(last.binding.as_slice().ct_eq(self.expected.as_slice()));
        let found = match (same_nonce, same_binding) {
            (false, _) => Some(Refusal::Nonce),
            (true, false) => Some(Refusal::ChannelBinding),
            (true, true) => None,
        };
        self.auth_message.push(',');
        self.auth_message.push_str(&last.without_proof);
        self.state = State::Verdict;
        ScramStep::AskProof(Box::new(ScramProof {
            login: self.login.clone(),
            authorize_as: self.authorize_as.take(),
            auth_message: std::mem::take(&mut self.auth_message).into_bytes(),
            proof: last.proof,
            flaw: self.flaw.or(found),
        }))
    }
}

#[cfg(test)]
mod tests;
