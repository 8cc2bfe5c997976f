//! Application passwords: how one is made, kept and checked.
//!
//! A password is 140 random bits in a form that is easy to type. What is kept is an HMAC under the server's
//! key of its SHA-256. The digest is what a command hands to a running server: the password itself stays with
//! whoever made it, and the key with the server. So much chance needs no slow hash: nobody finds the password
//! from its tag by trying.

use super::password::{generate_groups, normalise};
use crate::directory::credential::{AppPasswords, CredentialId, CredentialTag};
use crate::directory::plan::{KeysOf, Request};
use crate::limits::{CREDENTIAL_GROUPS, CREDENTIALS_PER_ACCOUNT_MAX, PASSWORD_OCTETS_MAX};
use crate::types::{Chance, Secret};
use aws_lc_rs::{constant_time, digest, hmac};
use zeroize::Zeroizing;

/// Keeps these tags apart from everything else that is made with the server's key.
const PURPOSE: &[u8] = b"application password\0";

/// A new one: seven groups of four letters and digits, 140 bits.
#[must_use]
pub fn generate(chance: &mut Chance) -> String {
    generate_groups(chance, CREDENTIAL_GROUPS)
}

/// The digest of a password as typed: case, hyphens and spaces do not matter, and only as many octets are
/// looked at as a password may have.
#[must_use]
pub fn digest(typed: &[u8]) -> CredentialTag {
    let normal = normalise(typed);
    let mut plain = Zeroizing::new(Vec::with_capacity(PASSWORD_OCTETS_MAX));
    let looked_at = normal.reveal().iter().take(PASSWORD_OCTETS_MAX);
    plain.extend(looked_at.filter(|octet| !matches!(octet, b'-' | b' ')).map(u8::to_ascii_lowercase));
    tag_of(digest::digest(&digest::SHA256, &plain).as_ref())
}

/// What is kept of a password with this digest.
#[must_use]
pub fn seal(key: &hmac::Key, digest: CredentialTag) -> CredentialTag {
    let mut context = hmac::Context::with_key(key);
    context.update(PURPOSE);
    context.update(&digest.0);
    tag_of(context.sign().as_ref())
}

/// A request as it is planned: a digest of an application password is sealed, everything else stays as it
/// is. To be called once, by whoever has the key.
#[must_use]
pub fn sealed(key: &[u8; 32], request: Request) -> Request {
    let seal = |digest| seal(&hmac::Key::new(hmac::HMAC_SHA256, key), digest);
    if let Request::CredentialAdd(address, name, created, digest) = request {
        return Request::CredentialAdd(address, name, created, seal(digest));
    }
    if let Request::ScramKeys(address, KeysOf::AppPassword(digest), keys) = request {
        return Request::ScramKeys(address, KeysOf::AppPassword(seal(digest)), keys);
    }
    request
}

/// Which of the application passwords was typed, if any. One digest, one HMAC and the same number of
/// comparisons whoever asks, so that time does not tell whether there are any.
#[must_use]
pub fn find(key: &hmac::Key, kept: Option<&AppPasswords>, typed: &Secret) -> Option<CredentialId> {
    let tag = seal(key, digest(typed.reveal()));
    let list = kept.map_or(&[][..], |kept| &kept.list);
    let mut found = None;
    for slot in 0..CREDENTIALS_PER_ACCOUNT_MAX {
        let (id, expected) = match list.get(slot) {
            Some(credential) => (Some(credential.id), &credential.tag.0),
            None => (None, &[0; 32]),
        };
        if constant_time::verify_slices_are_equal(expected, &tag.0).is_ok() {
            found = id;
        }
    }
    found
}

/// SHA-256 and HMAC-SHA-256 give 32 octets.
fn tag_of(octets: &[u8]) -> CredentialTag {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(octets) {
        *to = *from;
    }
    CredentialTag(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::UnixTime;

    fn key() -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[7; 32])
    }

    fn typed(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec())
    }

    fn kept(passwords: &[&str]) -> AppPasswords {
        passwords.iter().fold(AppPasswords::default(), |kept, password| {
            kept.with("", UnixTime(1), seal(&key(), digest(password.as_bytes()))).unwrap()
        })
    }

    #[test]
    fn each_of_them_is_found_and_nothing_else() {
        let kept = kept(&["aaaa-bbbb", "cccc-dddd"]);
        assert_eq!(find(&key(), Some(&kept), &typed("aaaa-bbbb")), Some(CredentialId(1)));
        assert_eq!(find(&key(), Some(&kept), &typed("cccc-dddd")), Some(CredentialId(2)));
        for other in ["", "aaaa", "aaaa-bbbb-cccc-dddd", "aaaa-bbbx", "\0", &"a".repeat(5_000)] {
            assert_eq!(find(&key(), Some(&kept), &typed(other)), None, "{other}");
        }
        assert_eq!(find(&key(), Some(&kept.without(CredentialId(1))), &typed("aaaa-bbbb")), None);
        assert_eq!(find(&key(), None, &typed("aaaa-bbbb")), None);
    }

    #[test]
    fn it_may_be_typed_in_capitals_with_spaces_or_without_anything_between() {
        let kept = kept(&["7k2m-x9qd-aaaa-bbbb-cccc-dddd-eeee"]);
        for same in [
            "7k2mx9qdaaaabbbbccccddddeeee",
            "7K2M X9QD AAAA BBBB CCCC DDDD EEEE",
            " 7k2m-x9qd-aaaabbbb-ccccddddeeee ",
        ] {
            assert_eq!(find(&key(), Some(&kept), &typed(same)), Some(CredentialId(1)), "{same}");
        }
    }

    #[test]
    fn another_servers_key_opens_nothing() {
        let other = hmac::Key::new(hmac::HMAC_SHA256, &[8; 32]);
        assert_eq!(find(&other, Some(&kept(&["aaaa-bbbb"])), &typed("aaaa-bbbb")), None);
    }

    #[test]
    fn what_is_kept_is_not_what_was_sent() {
        let sent = digest(b"aaaa-bbbb");
        let request =
            Request::CredentialAdd("me@example.org".parse().unwrap(), String::new(), UnixTime(1), sent);
        let Request::CredentialAdd(.., tag) = sealed(&[7; 32], request) else { panic!("another request") };
        assert_eq!(tag, seal(&key(), sent));
        assert_ne!(tag, sent);
    }

    #[test]
    fn generated_ones_have_seven_groups_and_differ() {
        let mut chance = Chance::from_seed([3; 32]);
        let (one, other) = (generate(&mut chance), generate(&mut chance));
        assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [4; 7]);
        assert_ne!(one, other);
    }
}
