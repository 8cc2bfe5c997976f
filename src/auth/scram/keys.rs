//! The arithmetic of SCRAM-SHA-256 (RFC 5802 section 3, RFC 7677).

use super::prepare::prepare_octets;
use crate::limits::SCRAM_KEYS_TRIED;
use crate::types::scram::SHA256_OCTETS;
use crate::types::{ScramKeys, ScramSalt};
use aws_lc_rs::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// A proof, as the client sent it.
pub type ClientProof = [u8; SHA256_OCTETS];

/// What proves to the client that the server knows its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerSignature(pub [u8; SHA256_OCTETS]);

/// HMAC-SHA-256.
pub fn mac(key: &[u8], text: &[u8]) -> [u8; SHA256_OCTETS] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    sized(hmac::sign(&key, text).as_ref())
}

/// SHA-256.
pub fn hash(octets: &[u8]) -> [u8; SHA256_OCTETS] {
    sized(digest::digest(&digest::SHA256, octets).as_ref())
}

/// Every hash that comes in here has exactly this length.
fn sized(octets: &[u8]) -> [u8; SHA256_OCTETS] {
    let mut out = [0; SHA256_OCTETS];
    for (to, from) in out.iter_mut().zip(octets) {
        *to = *from;
    }
    out
}

/// Makes the keys of a password: a quarter of a second for [`SCRAM_ITERATIONS`](crate::limits::SCRAM_ITERATIONS),
/// so only the hash worker and the command line call this. Zero rounds count as one.
#[must_use]
pub fn derive(password: &[u8], salt: &[u8], iterations: u32) -> ScramKeys {
    let salted = salted(password, salt, iterations);
    let client = Zeroizing::new(mac(salted.as_slice(), b"Client Key"));
    ScramKeys { stored: hash(client.as_slice()), server: mac(salted.as_slice(), b"Server Key") }
}

/// The same with a name's salt.
#[must_use]
pub fn derive_salted(password: &[u8], salt: &ScramSalt) -> ScramKeys {
    derive(password, &salt.salt, salt.iterations)
}

/// Whether a proof was made with the password of these keys. Takes the same time for any proof and any keys.
#[must_use]
pub fn is_proved(keys: &ScramKeys, auth_message: &[u8], proof: &ClientProof) -> Choice {
    let signature = mac(&keys.stored, auth_message);
    let mut client = Zeroizing::new([0; SHA256_OCTETS]);
    for (to, (one, other)) in client.iter_mut().zip(signature.iter().zip(proof)) {
        *to = *one ^ *other;
    }
    hash(client.as_slice()).ct_eq(&keys.stored)
}

/// Tries a proof against keys, always [`SCRAM_KEYS_TRIED`] times and never stopping early, so that time does not
/// tell how many there are: `decoy` stands in for those that are missing. Gives whose keys it was made with, and
/// what to sign the answer with.
pub fn try_proof<'k, T: Copy>(
    keys: impl Iterator<Item = (T, &'k ScramKeys)>,
    decoy: &'k ScramKeys,
    auth_message: &[u8],
    proof: &ClientProof,
) -> (Option<T>, ServerSignature) {
    let padded = keys.map(|(whose, keys)| (Some(whose), keys)).chain(std::iter::repeat((None, decoy)));
    let mut found = (None, decoy);
    for (whose, keys) in padded.take(SCRAM_KEYS_TRIED) {
        if bool::from(is_proved(keys, auth_message, proof)) {
            found = (whose, keys);
        }
    }
    (found.0, sign(found.1, auth_message))
}

/// What the client checks the server by.
#[must_use]
pub fn sign(keys: &ScramKeys, auth_message: &[u8]) -> ServerSignature {
    ServerSignature(mac(&keys.server, auth_message))
}

/// What a client makes of a password: its proof, and the signature it expects of the server.
#[must_use]
pub fn client_proof(
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    auth_message: &[u8],
) -> (ClientProof, [u8; SHA256_OCTETS]) {
    let salted = salted(password, salt, iterations);
    let mut proof = mac(salted.as_slice(), b"Client Key");
    let signature = mac(&hash(&proof), auth_message);
    for (to, from) in proof.iter_mut().zip(signature) {
        *to ^= from;
    }
    (proof, mac(&mac(salted.as_slice(), b"Server Key"), auth_message))
}

/// `SaltedPassword`.
fn salted(password: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<[u8; SHA256_OCTETS]> {
    let prepared = prepare_octets(password);
    let mut salted = Zeroizing::new([0; SHA256_OCTETS]);
    let rounds = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, &prepared, salted.as_mut_slice());
    salted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prove(password: &[u8], salt: &[u8], iterations: u32, auth_message: &[u8]) -> ClientProof {
        client_proof(password, salt, iterations, auth_message).0
    }
    use base64ct::{Base64, Encoding};

    /// RFC 7677 section 3, the messages without their ends.
    const AUTH_MESSAGE: &[u8] = b"n=user,r=rOprNGfwEbeRWgbNEkqO,\
        r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
        c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const PROOF: &str = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SIGNATURE: &str = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn salt() -> Vec<u8> {
        Base64::decode_vec("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap()
    }

    #[test]
    fn the_exchange_of_rfc_7677_proves_and_signs() {
        let keys = derive(b"pencil", &salt(), 4_096);
        let proof: ClientProof = Base64::decode_vec(PROOF).unwrap().try_into().unwrap();
        assert!(bool::from(is_proved(&keys, AUTH_MESSAGE, &proof)));
        assert_eq!(Base64::encode_string(&sign(&keys, AUTH_MESSAGE).0), SIGNATURE);
        assert_eq!(prove(b"pencil", &salt(), 4_096, AUTH_MESSAGE), proof);
    }

    #[test]
    fn another_password_salt_count_or_message_proves_nothing() {
        let keys = derive(b"pencil", &salt(), 4_096);
        for proof in [
            prove(b"pencil2", &salt(), 4_096, AUTH_MESSAGE),
            prove(b"pencil", b"another salt....", 4_096, AUTH_MESSAGE),
            prove(b"pencil", &salt(), 4_097, AUTH_MESSAGE),
            prove(b"pencil", &salt(), 4_096, b"another"),
            [0; 32],
        ] {
            assert!(!bool::from(is_proved(&keys, AUTH_MESSAGE, &proof)));
        }
    }

    #[test]
    fn a_proof_is_tried_against_every_key_and_decoys_open_nothing() {
        let (one, other) = (derive(b"one", &salt(), 8), derive(b"other", &salt(), 8));
        let decoy = derive(b"decoy", &salt(), 8);
        let tried = |password: &[u8]| {
            let proof = prove(password, &salt(), 8, AUTH_MESSAGE);
            try_proof([(1, &one), (2, &other)].into_iter(), &decoy, AUTH_MESSAGE, &proof)
        };
        assert_eq!(tried(b"one"), (Some(1), sign(&one, AUTH_MESSAGE)));
        assert_eq!(tried(b"other"), (Some(2), sign(&other, AUTH_MESSAGE)));
        assert_eq!(tried(b"neither").0, None);
        assert_eq!(tried(b"decoy").0, None);
    }

    #[test]
    fn a_password_in_any_composition_has_the_same_keys() {
        let one = derive("\u{e9}t\u{e9} \u{fb01}n".as_bytes(), &salt(), 10);
        assert_eq!(one, derive("e\u{301}te\u{301}\u{a0}fin".as_bytes(), &salt(), 10));
    }
}
