//! The client's side of each mechanism. A mechanism is one more arm here and in `rules::challenges`.

use base64ct::{Base64, Encoding};
use gatepost::auth::sasl::Mechanism;

/// What a client wants to say, whatever the mechanism.
#[derive(Debug, Clone)]
pub struct Claim {
    pub login: Vec<u8>,
    pub password: Vec<u8>,
    /// Empty for none.
    pub authorize_as: Vec<u8>,
}

/// One exchange as a client sees it.
pub trait Client {
    /// The first message, if the client may speak first.
    fn first(&mut self) -> Vec<u8>;
    /// The answer to a challenge (decoded), before which `first` was sent or not.
    fn answer(&mut self, challenge: &[u8]) -> Vec<u8>;
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
    }
}

/// Whether a client of the mechanism can say whom it wants to act for.
pub fn has_authorization_identity(mechanism: Mechanism) -> bool {
    match mechanism {
        Mechanism::Plain => true,
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

/// An initial response as it stands behind the name of the mechanism (RFC 4954 section 4).
pub fn initial_response(message: &[u8]) -> String {
    if message.is_empty() { "=".to_owned() } else { Base64::encode_string(message) }
}
