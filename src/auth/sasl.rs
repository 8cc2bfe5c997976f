//! An exchange of SASL as its base64 lines arrive (RFC 4422, RFC 4954): SCRAM (see `scram`), PLAIN (RFC 4616)
//! and LOGIN (draft-murchison-sasl-login), for every protocol that has lines of base64.
//!
//! A machine without keys: responses go in, the next challenge, a question, or what the peer claims to be comes
//! out. Whether the claim is true is a question for `auth::verifier`.

use super::scram::keys::ServerSignature;
use super::scram::message::encode;
use super::scram::{Binding, Scram, ScramProof, ScramStep};
use super::verdict::ProvenBy;
use crate::types::{AccountId, Chance, ChannelBindings, ScramSalt, ScramUse, Secret};
use base64ct::{Base64, Encoding};
use std::borrow::Cow;
use zeroize::Zeroizing;

/// A mechanism on offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mechanism {
    /// A proof that is bound to the TLS connection (RFC 5802, RFC 7677).
    ScramSha256Plus,
    /// A proof.
    ScramSha256,
    /// Name and password in one message (RFC 4616).
    Plain,
    /// Name and password one after the other; obsolete, and still the only one some programs speak.
    Login,
}

impl Mechanism {
    /// All of them, the strongest first, in the order they are offered.
    pub const ALL: [Self; 4] = [Self::ScramSha256Plus, Self::ScramSha256, Self::Plain, Self::Login];

    /// Reads the name of a mechanism, in any case (RFC 4954 section 4).
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| name.eq_ignore_ascii_case(mechanism.name().as_bytes()))
    }

    /// The name as registered with IANA.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// Whether it is on offer where SCRAM is for these logins, and the connection has this to bind to.
    #[must_use]
    pub fn is_offered(self, scram: ScramUse, bindings: &ChannelBindings) -> bool {
        match self {
            Self::ScramSha256Plus => scram.is_offered() && !bindings.is_empty(),
            Self::ScramSha256 => scram.is_offered(),
            Self::Plain | Self::Login => true,
        }
    }
}

/// What comes next in an exchange.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this base64 text after `334 ` and come back with the next line.
    Challenge(Cow<'static, str>),
    /// Ask for the salt of this login name, and come back with [`Exchange::salted`].
    AskSalt(Vec<u8>),
    /// Ask whether this proof is right. If it is, come back with [`Exchange::proved`]; else it is over.
    AskProof(Box<ScramProof>),
    /// The exchange is over: a proof was right, and the peer knows that we know.
    Proven(AccountId, ProvenBy),
    /// The exchange is over; this is what the peer claims.
    Credentials {
        /// The authentication identity as sent.
        login: Vec<u8>,
        /// The password as sent.
        password: Secret,
        /// The authorization identity, if one was sent that is not empty.
        authorize_as: Option<Vec<u8>>,
    },
    /// The peer gave up with `*`: 501 5.7.0.
    Cancelled,
    /// Not base64, or not the shape of the mechanism: 501 5.5.2.
    Malformed,
}

/// `Username:` in base64; some programs look for exactly this text.
const LOGIN_ASKS_NAME: &str = "VXNlcm5hbWU6";
/// `Password:` in base64.
const LOGIN_ASKS_PASSWORD: &str = "UGFzc3dvcmQ6";

/// What the connection brings to an exchange.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// What it can be bound to.
    pub bindings: &'a ChannelBindings,
    /// Where a nonce comes from.
    pub chance: &'a mut Chance,
}

/// One exchange, from AUTH to its end.
#[derive(Debug)]
pub struct Exchange {
    state: State,
}

/// What is waited for. What an answer needs is owned by the state that waits for it.
#[derive(Debug)]
enum State {
    Plain,
    LoginName,
    LoginPassword(Vec<u8>),
    Scram(Box<Scram>),
    Over,
}

impl Exchange {
    /// An exchange that has not begun.
    #[must_use]
    pub fn new(mechanism: Mechanism, around: &mut Surroundings<'_>) -> Self {
        let mut scram = |binding| State::Scram(Box::new(Scram::new(binding, around.bindings, around.chance)));
        Self {
            state: match mechanism {
                Mechanism::ScramSha256Plus => scram(Binding::Plus),
                Mechanism::ScramSha256 => scram(Binding::Plain),
                Mechanism::Plain => State::Plain,
                Mechanism::Login => State::LoginName,
            },
        }
    }

    /// The login name of a SCRAM exchange, prepared; empty before it is known.
    #[must_use]
    pub fn login(&self) -> &[u8] {
        match &self.state {
            State::Scram(scram) => scram.login(),
            State::Plain | State::LoginName | State::LoginPassword(_) | State::Over => &[],
        }
    }

    /// Begins, with the initial response of the AUTH command if there was one (RFC 4954 section 4). There
    /// `=` stands for an empty response, and `*` is no way to cancel yet.
    pub fn start(&mut self, initial: Option<&[u8]>) -> Step {
        match initial {
            None => match &self.state {
                // The client speaks first.
                State::Plain | State::Scram(_) => Step::Challenge("".into()),
                State::LoginName => Step::Challenge(LOGIN_ASKS_NAME.into()),
                State::LoginPassword(_) | State::Over => self.malformed(),
            },
            Some(b"=") => self.take(Zeroizing::default()),
            Some(b"") => self.malformed(),
            Some(text) => self.decode(text),
        }
    }

    /// Takes the peer's answer to the last challenge: one line without its CRLF.
    pub fn respond(&mut self, line: &[u8]) -> Step {
        match line {
            b"*" => {
                self.state = State::Over;
                Step::Cancelled
            }
            _ => self.decode(line),
        }
    }

    fn malformed(&mut self) -> Step {
        self.state = State::Over;
        Step::Malformed
    }

    /// Base64 is decoded in constant time, its padding must be there, and its unused bits must be zero: one
    /// text for one value.
    fn decode(&mut self, text: &[u8]) -> Step {
        let decoded = std::str::from_utf8(text).ok().and_then(|text| Base64::decode_vec(text).ok());
        match decoded {
            Some(response) => self.take(Zeroizing::new(response)),
            None => self.malformed(),
        }
    }

    fn take(&mut self, response: Zeroizing<Vec<u8>>) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Plain => plain(&response),
            State::LoginName => {
                self.state = State::LoginPassword(response.to_vec());
                Step::Challenge(LOGIN_ASKS_PASSWORD.into())
            }
            State::LoginPassword(login) => {
                Step::Credentials { login, password: Secret::new(response.to_vec()), authorize_as: None }
            }
            State::Scram(mut scram) => {
                let step = scram.take(&response);
                self.scram(scram, step)
            }
            State::Over => Step::Malformed,
        }
    }

    /// The salt that was asked for.
    pub fn salted(&mut self, salt: &ScramSalt) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Scram(mut scram) => {
                let step = scram.salted(salt);
                self.scram(scram, step)
            }
            State::Plain | State::LoginName | State::LoginPassword(_) | State::Over => Step::Malformed,
        }
    }

    /// The proof was right. The peer is shown the server's own, and answers it with nothing.
    pub fn proved(&mut self, account: AccountId, by: ProvenBy, signature: ServerSignature) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Scram(mut scram) => {
                let step = scram.proved(account, by, signature);
                self.scram(scram, step)
            }
            State::Plain | State::LoginName | State::LoginPassword(_) | State::Over => Step::Malformed,
        }
    }

    fn scram(&mut self, scram: Box<Scram>, step: ScramStep) -> Step {
        let step = match step {
            ScramStep::AskSalt => Step::AskSalt(scram.login().to_vec()),
            ScramStep::AskProof(proof) => Step::AskProof(proof),
            ScramStep::Send(message) => Step::Challenge(encode::<Base64>(message.as_bytes()).into()),
            ScramStep::Proven(account, by) => Step::Proven(account, by),
            ScramStep::Malformed => return Step::Malformed,
        };
        self.state = State::Scram(scram);
        step
    }
}

/// `message = [authzid] UTF8NUL authcid UTF8NUL passwd` (RFC 4616 section 2).
///
/// An empty name or password goes on and is refused like any other that is wrong, so that the reply says
/// nothing about which part was looked at.
fn plain(message: &[u8]) -> Step {
    let mut parts = message.split(|octet| *octet == 0);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(authorize_as), Some(login), Some(password), None) => Step::Credentials {
            login: login.to_vec(),
            password: Secret::new(password.to_vec()),
            authorize_as: match authorize_as {
                [] => None,
                other => Some(other.to_vec()),
            },
        },
        (_, _, _, _) => Step::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Chance;

    fn encoded(octets: &[u8]) -> Vec<u8> {
        Base64::encode_string(octets).into_bytes()
    }

    fn credentials(login: &str, password: &str, authorize_as: Option<&str>) -> Step {
        Step::Credentials {
            login: login.into(),
            password: Secret::new(password.into()),
            authorize_as: authorize_as.map(Into::into),
        }
    }

    fn exchange(mechanism: Mechanism) -> Exchange {
        let bindings = ChannelBindings { exporter: Some([1; 32]), end_point: None };
        let chance = &mut Chance::from_seed([7; 32]);
        Exchange::new(mechanism, &mut Surroundings { bindings: &bindings, chance })
    }

    fn start(mechanism: Mechanism, initial: &[u8]) -> Step {
        exchange(mechanism).start(Some(initial))
    }

    #[test]
    fn a_mechanism_is_read_in_any_case_and_nothing_else_is_one() {
        assert_eq!(Mechanism::parse(b"pLaIn"), Some(Mechanism::Plain));
        assert_eq!(Mechanism::parse(b"LOGIN"), Some(Mechanism::Login));
        assert_eq!(Mechanism::parse(b"scram-sha-256"), Some(Mechanism::ScramSha256));
        assert_eq!(Mechanism::parse(b"SCRAM-SHA-256-PLUS"), Some(Mechanism::ScramSha256Plus));
        for other in [&b""[..], b"PLAIN ", b"PLAI", b"LOGINX", b"SCRAM-SHA-1", b"SCRAM-SHA-256-", b"\xff"] {
            assert_eq!(Mechanism::parse(other), None);
        }
    }

    #[test]
    fn plain_takes_an_initial_response() {
        let step = start(Mechanism::Plain, &encoded(b"\0me@example.org\0secret"));
        assert_eq!(step, credentials("me@example.org", "secret", None));
    }

    #[test]
    fn plain_without_an_initial_response_asks_with_an_empty_challenge() {
        let mut exchange = exchange(Mechanism::Plain);
        assert_eq!(exchange.start(None), Step::Challenge("".into()));
        assert_eq!(exchange.respond(&encoded(b"other\0me\0pw")), credentials("me", "pw", Some("other")));
    }

    #[test]
    fn plain_needs_exactly_two_nuls() {
        for message in [&b""[..], b"me", b"me\0pw", b"\0me\0pw\0", b"\0\0\0\0", b"\0"] {
            assert_eq!(start(Mechanism::Plain, &encoded(message)), Step::Malformed, "{message:?}");
        }
    }

    #[test]
    fn plain_passes_an_empty_name_and_password_on_to_be_refused() {
        assert_eq!(start(Mechanism::Plain, &encoded(b"\0\0")), credentials("", "", None));
    }

    #[test]
    fn login_asks_for_name_and_password() {
        let mut exchange = exchange(Mechanism::Login);
        assert_eq!(exchange.start(None), Step::Challenge(LOGIN_ASKS_NAME.into()));
        assert_eq!(exchange.respond(&encoded(b"me")), Step::Challenge(LOGIN_ASKS_PASSWORD.into()));
        assert_eq!(exchange.respond(&encoded(b"a\0b")), credentials("me", "a\0b", None));
    }

    #[test]
    fn login_takes_the_name_as_initial_response() {
        let mut exchange = exchange(Mechanism::Login);
        assert_eq!(exchange.start(Some(&encoded(b"me"))), Step::Challenge(LOGIN_ASKS_PASSWORD.into()));
        assert_eq!(exchange.respond(b""), credentials("me", "", None));
    }

    #[test]
    fn the_prompts_of_login_are_the_words_programs_look_for() {
        assert_eq!(Base64::decode_vec(LOGIN_ASKS_NAME).unwrap(), b"Username:");
        assert_eq!(Base64::decode_vec(LOGIN_ASKS_PASSWORD).unwrap(), b"Password:");
    }

    #[test]
    fn an_equals_sign_is_an_empty_response_only_at_the_start() {
        assert_eq!(start(Mechanism::Login, b"="), Step::Challenge(LOGIN_ASKS_PASSWORD.into()));
        assert_eq!(start(Mechanism::Plain, b"="), Step::Malformed);
        let mut exchange = exchange(Mechanism::Login);
        exchange.start(None);
        assert_eq!(exchange.respond(b"="), Step::Malformed);
    }

    #[test]
    fn an_asterisk_cancels_at_every_challenge_and_not_before() {
        assert_eq!(start(Mechanism::Plain, b"*"), Step::Malformed);
        let mut plain = exchange(Mechanism::Plain);
        plain.start(None);
        assert_eq!(plain.respond(b"*"), Step::Cancelled);
        let mut login = exchange(Mechanism::Login);
        login.start(Some(&encoded(b"me")));
        assert_eq!(login.respond(b"*"), Step::Cancelled);
    }

    #[test]
    fn base64_is_strict() {
        let good = "AG1lAHB3eA==";
        assert_eq!(start(Mechanism::Plain, good.as_bytes()), credentials("me", "pwx", None));
        for bad in [
            "AG1lAHB3eA",
            "AG1lAHB3eA=",
            "AG1lAHB3eB==",
            "AG1l AHB3eA==",
            "AG1lAHB3eA==\n",
            "AG1lAHB3eA===",
            "é",
        ] {
            assert_eq!(start(Mechanism::Plain, bad.as_bytes()), Step::Malformed, "{bad}");
        }
        assert_eq!(start(Mechanism::Plain, b"\xff\xff\xff\xff"), Step::Malformed);
        assert_eq!(start(Mechanism::Login, b""), Step::Malformed);
    }

    #[test]
    fn an_exchange_that_is_over_takes_nothing_more() {
        let mut exchange = exchange(Mechanism::Plain);
        exchange.start(Some(&encoded(b"\0me\0pw")));
        assert_eq!(exchange.respond(&encoded(b"\0me\0pw")), Step::Malformed);
        assert_eq!(exchange.start(None), Step::Malformed);
    }

    #[test]
    fn any_octets_end_an_exchange_within_three_lines() {
        let mut chance = Chance::from_seed([7; 32]);
        for round in 0..2_000_u32 {
            let all = Mechanism::ALL;
            let mechanism = all[usize::try_from(round).unwrap() % all.len()];
            let mut exchange = exchange(mechanism);
            let mut step = exchange.start(None);
            let mut lines = 0;
            while let Step::Challenge(_) = step {
                let length = usize::try_from(chance.below(33)).unwrap();
                let octets = chance.octets();
                let raw = octets.get(..length).unwrap_or(&octets);
                step = if chance.below(2) == 0 {
                    exchange.respond(raw)
                } else {
                    exchange.respond(&encoded(raw))
                };
                lines += 1;
            }
            assert!(lines <= 3);
        }
    }

    #[test]
    fn scram_asks_for_a_salt_and_a_verdict_and_ends_with_an_empty_response() {
        let mut scram = exchange(Mechanism::ScramSha256);
        assert_eq!(scram.start(None), Step::Challenge("".into()));
        let asked = scram.respond(&encoded(b"n,,n=me@example.org,r=abc"));
        assert_eq!(asked, Step::AskSalt(b"me@example.org".to_vec()));
        let Step::Challenge(text) = scram.salted(&ScramSalt { salt: [1; 16], iterations: 4_096 }) else {
            panic!("no challenge")
        };
        let first = String::from_utf8(Base64::decode_vec(&text).unwrap()).unwrap();
        let nonce = first.strip_prefix("r=").unwrap().split(',').next().unwrap();
        let last = format!("c=biws,r={nonce},p={}", Base64::encode_string(&[0; 32]));
        let Step::AskProof(proof) = scram.respond(&encoded(last.as_bytes())) else { panic!("no proof") };
        assert_eq!(proof.flaw, None);
        let signed = scram.proved(AccountId(3), ProvenBy::MainPassword, ServerSignature([2; 32]));
        assert!(matches!(signed, Step::Challenge(_)));
        assert_eq!(scram.respond(b""), Step::Proven(AccountId(3), ProvenBy::MainPassword));
    }

    #[test]
    fn plus_is_offered_where_there_is_something_to_bind_to() {
        let (none, some) =
            (ChannelBindings::default(), ChannelBindings { exporter: Some([1; 32]), end_point: None });
        let offered = |scram, bindings| -> Vec<&str> {
            let offered = Mechanism::ALL.into_iter().filter(|one| one.is_offered(scram, bindings));
            offered.map(Mechanism::name).collect()
        };
        let all = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"];
        assert_eq!(offered(ScramUse::All, &some), all);
        assert_eq!(offered(ScramUse::AppPasswords, &none), all[1..]);
        assert_eq!(offered(ScramUse::Off, &some), all[2..]);
    }

    #[test]
    fn no_debug_output_has_the_password() {
        let text = format!("{:?}", start(Mechanism::Plain, &encoded(b"\0me\0hunter2hunter2")));
        assert!(!text.contains("hunter2") && !text.contains("104, 117, 110"), "{text}");
    }
}
