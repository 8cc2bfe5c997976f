//! The client's side of each mechanism. A mechanism is one more arm here and in `rules::challenges`.

use super::world::{BINDING, ROUNDS};
use base64ct::{Base64, Encoding};
use gatepost::auth::sasl::Mechanism;
use gatepost::auth::scram::client::{Bound, ScramClient};

/// What a client wants to say, whatever the mechanism.
#[derive(Debug, Clone)]
pub struct Claim {
    pub login: Vec<u8>,
    pub password: Vec<u8>,
    /// Empty for none.
    pub authorize_as: Vec<u8>,
}

/// What somebody between client and server does to an exchange, or a client that is wrong about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twist {
    /// Nothing.
    None,
    /// The client says that the server cannot bind (`y`), or not at all in -PLUS.
    Unoffered,
    /// The channel's data are those of another connection.
    OtherChannel,
    /// A type of binding that this connection has not.
    OtherType,
    /// The nonce that comes back is another one.
    Nonce,
}

impl Twist {
    /// All that spoil an exchange.
    pub const SPOILING: [Self; 4] = [Self::Unoffered, Self::OtherChannel, Self::OtherType, Self::Nonce];
}

/// One exchange as a client sees it.
pub trait Client {
    /// The first message, if the client may speak first.
    fn first(&mut self) -> Vec<u8>;
    /// The answer to a challenge (decoded), before which `first` was sent or not.
    fn answer(&mut self, challenge: &[u8]) -> Vec<u8>;
    /// A challenge as it is written down: what chance and the name give it is left out, its length is not.
    fn written(&self, challenge: &[u8]) -> String {
        Base64::encode_string(challenge)
    }
}

/// A client of the mechanism.
pub fn client(mechanism: Mechanism, claim: &Claim) -> Box<dyn Client> {
    let Claim { login, password, authorize_as } = claim.clone();
    match mechanism {
        Mechanism::Plain => {
            let message = [&authorize_as[..], &login, &password].join(&0);
            Box::new(OneAfterTheOther(vec![message]))
        }
        Mechanism::Login => Box::new(OneAfterTheOther(vec![login, password])),
        Mechanism::ScramSha256 => Box::new(Prover::new(false, claim, Twist::None)),
        Mechanism::ScramSha256Plus => Box::new(Prover::new(true, claim, Twist::None)),
    }
}

/// A client of SCRAM whose exchange is spoilt.
pub fn spoilt(plus: bool, claim: &Claim, twist: Twist) -> Box<dyn Client> {
    Box::new(Prover::new(plus, claim, twist))
}

/// Whether a client of the mechanism can say whom it wants to act for.
pub fn has_authorization_identity(mechanism: Mechanism) -> bool {
    match mechanism {
        Mechanism::Plain | Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => true,
        Mechanism::Login => false,
    }
}

/// Messages that do not depend on what the server says.
struct OneAfterTheOther(Vec<Vec<u8>>);

impl Client for OneAfterTheOther {
    fn first(&mut self) -> Vec<u8> {
        self.0.remove(0)
    }

    fn answer(&mut self, _challenge: &[u8]) -> Vec<u8> {
        self.0.remove(0)
    }
}

/// The client's part of the nonce.
const NONCE: &str = "fyko+d2lbbFgONRv9qkxdawL";

/// A client of SCRAM.
struct Prover {
    scram: ScramClient,
    first: Vec<u8>,
    password: Vec<u8>,
    twist: Twist,
    has_proved: bool,
}

impl Prover {
    fn new(plus: bool, claim: &Claim, twist: Twist) -> Self {
        let Claim { login, password, authorize_as } = claim;
        let bound = match (plus, twist) {
            (_, Twist::Unoffered) => Bound::Unoffered,
            (_, Twist::OtherChannel) => Bound::To("tls-exporter", b"another"),
            (_, Twist::OtherType) => Bound::To("tls-unique", &BINDING),
            (true, Twist::None | Twist::Nonce) => Bound::To("tls-exporter", &BINDING),
            (false, Twist::None | Twist::Nonce) => Bound::No,
        };
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let other = if authorize_as.is_empty() { None } else { Some(text(authorize_as)) };
        let scram = ScramClient::new(bound, other.as_deref(), &text(login), NONCE);
        // Octets that are no text have no spelling of their own: they are sent as they are.
        let first = match std::str::from_utf8(login) {
            Ok(_) => scram.first().into_bytes(),
            Err(_) => [b"n,,n=", &login[..], b",r=", NONCE.as_bytes()].concat(),
        };
        Self { scram, first, password: password.clone(), twist, has_proved: false }
    }
}

impl Client for Prover {
    fn first(&mut self) -> Vec<u8> {
        self.first.clone()
    }

    fn answer(&mut self, challenge: &[u8]) -> Vec<u8> {
        // The server's own proof is answered with nothing.
        if std::mem::replace(&mut self.has_proved, true) {
            return Vec::new();
        }
        let mut message = String::from_utf8(challenge.to_vec()).unwrap();
        if self.twist == Twist::Nonce {
            message = message.replace(NONCE, &NONCE.to_lowercase());
        }
        self.scram.last(&message, &self.password).expect("the server's first message").into_bytes()
    }

    fn written(&self, challenge: &[u8]) -> String {
        let text = String::from_utf8_lossy(challenge).into_owned();
        if self.has_proved {
            return if self.scram.trusts(&text) { SIGNATURE.to_owned() } else { text };
        }
        if text.is_empty() {
            return text;
        }
        let mut fields = text.split(',');
        let own = fields.next().and_then(|field| field.strip_prefix("r=")?.strip_prefix(NONCE));
        let salt = fields.next().and_then(|field| Base64::decode_vec(field.strip_prefix("s=")?).ok());
        let rounds = fields.next().and_then(|field| field.strip_prefix("i="));
        match (own, salt, rounds, fields.next()) {
            (Some(own), Some(salt), Some(rounds), None) => salted(own.len(), salt.len(), rounds),
            (_, _, _, _) => text,
        }
    }
}

/// The server's first message, as it is written down.
fn salted(nonce: usize, salt: usize, rounds: &str) -> String {
    format!("nonce of {nonce} characters, salt of {salt} octets, {rounds} rounds")
}

/// What is written down for the server's first message to whatever name.
pub fn salt_for_everybody() -> String {
    salted(32, 16, &ROUNDS.to_string())
}

/// What is written down for a server's proof that is right.
pub const SIGNATURE: &str = "the server knows the keys";

/// An initial response as it stands behind the name of the mechanism (RFC 4954 section 4).
pub fn initial_response(message: &[u8]) -> String {
    if message.is_empty() { "=".to_owned() } else { Base64::encode_string(message) }
}
