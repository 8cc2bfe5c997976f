//! The data of the channel binding `tls-server-end-point` (RFC 5929 section 4): a hash of the server's
//! certificate, by the hash function of its signature.

use super::keys::hash;
use aws_lc_rs::digest;

/// `id-ecdsa-with-SHA…` and `sha…WithRSAEncryption` without their last octet (RFC 5758, RFC 8017).
const ECDSA_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];

/// The hash of a certificate in DER. `None` where the RFC has no rule, as for Ed25519 (whose signature names no
/// hash) and RSASSA-PSS (whose parameters are not read here), or if it is no certificate.
#[must_use]
pub fn of_certificate(certificate: &[u8]) -> Option<Vec<u8>> {
    let (inside, _) = element(certificate, SEQUENCE)?;
    let (_, behind_tbs) = element(inside, SEQUENCE)?;
    let (algorithm, _) = element(behind_tbs, SEQUENCE)?;
    let (oid, _) = element(algorithm, OBJECT_IDENTIFIER)?;
    let (last, family) = oid.split_last()?;
    let long = |algorithm| digest::digest(algorithm, certificate).as_ref().to_vec();
    match (family, last) {
        // MD5 and SHA-1 are replaced by SHA-256.
        (RSA, 4 | 5 | 11) | (ECDSA_SHA2, 2) => Some(hash(certificate).to_vec()),
        (RSA, 12) | (ECDSA_SHA2, 3) => Some(long(&digest::SHA384)),
        (RSA, 13) | (ECDSA_SHA2, 4) => Some(long(&digest::SHA512)),
        (RSA, 14) | (ECDSA_SHA2, 1) => Some(long(&digest::SHA224)),
        (_, _) if oid == ECDSA_SHA1 => Some(hash(certificate).to_vec()),
        (_, _) => None,
    }
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// What an element of DER with this tag holds, and what comes behind it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = octets.iter().fold(0_usize, |sum, octet| (sum << 8) | usize::from(*octet));
            (length, rest)
        }
        _ => return None,
    };
    if *found == tag { rest.split_at_checked(length) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let made = rcgen::CertificateParams::new(vec!["mx.example".to_owned()]).unwrap();
        made.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        let p256 = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(of_certificate(&p256), Some(digest::digest(&digest::SHA256, &p256).as_ref().to_vec()));
        let p384 = certificate(&rcgen::PKCS_ECDSA_P384_SHA384);
        assert_eq!(of_certificate(&p384), Some(digest::digest(&digest::SHA384, &p384).as_ref().to_vec()));
    }

    #[test]
    fn where_there_is_no_rule_there_is_no_binding() {
        assert_eq!(of_certificate(&certificate(&rcgen::PKCS_ED25519)), None);
    }

    #[test]
    fn what_is_no_certificate_has_none_and_nothing_panics() {
        let whole = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
        for end in 0..whole.len() {
            assert_eq!(of_certificate(&whole[..end]), None, "cut at {end}");
        }
        let mut chance = crate::types::Chance::from_seed([4; 32]);
        for _ in 0..2_000 {
            let mut broken = whole.clone();
            let at = usize::try_from(chance.below(40)).unwrap();
            broken[at] = chance.octets()[0];
            let _ = of_certificate(&broken);
        }
    }
}
