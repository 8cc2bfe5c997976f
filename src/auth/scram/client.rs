//! The client's side of an exchange, for tests, dialogues, simulation and fuzzing.

use super::keys::{ClientProof, client_proof};
use super::message::escape;
use base64ct::{Base64, Encoding};

/// What a client does about channel binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound<'a> {
    /// `n`: it cannot.
    No,
    /// `y`: it thinks that the server cannot.
    Unoffered,
    /// It binds to data of this type.
    To(&'a str, &'a [u8]),
}

/// One exchange, seen by the client.
#[derive(Debug, Clone)]
pub struct ScramClient {
    header: String,
    channel: Vec<u8>,
    bare: String,
    auth_message: String,
    server_key_signature: Option<[u8; 32]>,
}

impl ScramClient {
    /// A client that logs in with this name, and asks to act as another one if there is one.
    #[must_use]
    pub fn new(bound: Bound<'_>, authorize_as: Option<&str>, login: &str, nonce: &str) -> Self {
        let (flag, channel) = match bound {
            Bound::No => ("n".to_owned(), Vec::new()),
            Bound::Unoffered => ("y".to_owned(), Vec::new()),
            Bound::To(name, data) => (format!("p={name}"), data.to_vec()),
        };
        let other = authorize_as.map_or_else(String::new, |name| format!("a={}", escape(name)));
        Self {
            header: format!("{flag},{other},"),
            channel,
            bare: format!("n={},r={nonce}", escape(login)),
            auth_message: String::new(),
            server_key_signature: None,
        }
    }

    /// The first message.
    #[must_use]
    pub fn first(&self) -> String {
        format!("{}{}", self.header, self.bare)
    }

    /// The last message, with the proof of a password. `None` if what the server sent is no first message.
    pub fn last(&mut self, server_first: &str, password: &[u8]) -> Option<String> {
        let mut fields = server_first.split(',');
        let nonce = fields.next()?.strip_prefix("r=")?;
        let salt = Base64::decode_vec(fields.next()?.strip_prefix("s=")?).ok()?;
        let iterations = fields.next()?.strip_prefix("i=")?.parse().ok()?;
        let binding = [self.header.as_bytes(), &self.channel].concat();
        let without_proof = format!("c={},r={nonce}", Base64::encode_string(&binding));
        self.auth_message = format!("{},{server_first},{without_proof}", self.bare);
        let (proof, signature): (ClientProof, _) =
            client_proof(password, &salt, iterations, self.auth_message.as_bytes());
        self.server_key_signature = Some(signature);
        Some(format!("{without_proof},p={}", Base64::encode_string(&proof)))
    }

    /// Whether the server proved that it knows the password too.
    #[must_use]
    pub fn trusts(&self, server_final: &str) -> bool {
        let sent = server_final.strip_prefix("v=").and_then(|text| Base64::decode_vec(text).ok());
        sent.is_some_and(|sent| self.server_key_signature.is_some_and(|own| own.as_slice() == sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exchange_of_rfc_7677_comes_out() {
        let mut client = ScramClient::new(Bound::No, None, "user", "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(client.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let last = client.last(first, b"pencil").unwrap();
        assert!(last.ends_with("p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), "{last}");
        assert!(client.trusts("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!client.trusts("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="));
    }

    #[test]
    fn what_is_no_first_message_of_a_server_is_answered_with_nothing() {
        let mut client = ScramClient::new(Bound::Unoffered, Some("b,c"), "a=b", "x");
        assert_eq!(client.first(), "y,a=b=2Cc,n=a=3Db,r=x");
        for bad in ["", "r=x", "r=x,s=!,i=1", "r=x,s=AAAA,i=x", "e=other-error"] {
            assert_eq!(client.last(bad, b"x"), None, "{bad}");
        }
        assert!(!client.trusts("v="));
    }
}
