//! The salt of every name, whether there is such an account or not.

use super::super::verifier::canonical;
use crate::directory::Account;
use crate::limits::{SCRAM_ENROL_ADDRESSES_MAX, SCRAM_ITERATIONS, SCRAM_SALT_OCTETS};
use crate::types::{Address, AddressKey, ScramSalt};
use aws_lc_rs::hmac;

/// Keeps salts apart from everything else that is made with the server's key.
const PURPOSE: &[u8] = b"scram salt\0";

/// What makes salts: a function of the server's key and the name, and of nothing that is known of accounts. So
/// a salt tells nobody whether a name exists, and never changes.
#[derive(Debug)]
pub struct Salts {
    key: hmac::Key,
    iterations: u32,
}

impl Salts {
    /// The salts of a server.
    #[must_use]
    pub fn new(server_key: &[u8; 32]) -> Self {
        Self::with_iterations(server_key, SCRAM_ITERATIONS)
    }

    /// The same with fewer rounds, for those who make many keys and protect nobody with them: dialogues,
    /// simulation and fuzzing.
    #[must_use]
    pub fn with_iterations(server_key: &[u8; 32], iterations: u32) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, server_key), iterations }
    }

    /// The salt of a login name as it was sent, prepared (RFC 4013). Names that mean one address have one salt.
    #[must_use]
    pub fn of(&self, login: &[u8]) -> ScramSalt {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(PURPOSE);
        context.update(&canonical(login));
        let tag = context.sign();
        let mut salt = [0; SCRAM_SALT_OCTETS];
        for (to, from) in salt.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        ScramSalt { salt, iterations: self.iterations }
    }

    /// The salt of an address of an account.
    #[must_use]
    pub fn of_address(&self, address: &Address) -> ScramSalt {
        self.of(format!("{address}").as_bytes())
    }
}

/// The salts of the addresses of an account that get keys when its password is set.
#[must_use]
pub fn salts_of(account: &Account, salts: &Salts) -> Vec<(AddressKey, ScramSalt)> {
    let first = account.addresses.iter().take(SCRAM_ENROL_ADDRESSES_MAX);
    first.map(|address| (address.key(), salts.of_address(address))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_salt_however_it_is_spelt_and_others_have_others() {
        let salts = Salts::new(&[7; 32]);
        let one = salts.of(b"me@example.org");
        assert_eq!(one, salts.of(b"ME@Example.ORG"));
        assert_eq!(one, salts.of_address(&"Me@example.org".parse().unwrap()));
        assert_eq!(one.iterations, SCRAM_ITERATIONS);
        for other in [&b"me2@example.org"[..], b"", b"\xff", b"me", b"me@example.org "] {
            assert_ne!(one.salt, salts.of(other).salt);
        }
        assert_ne!(one.salt, Salts::new(&[8; 32]).of(b"me@example.org").salt);
    }
}
