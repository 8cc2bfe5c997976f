//! The one form of a name or password on both sides of SCRAM.

use zeroize::Zeroizing;

/// Prepares text by SASLprep as a stored string (RFC 4013). Text it forbids (and any with characters younger
/// than Unicode 3.2) stays as it is: clients that cannot prepare such a password send proofs of the plain
/// text, and others never get so far.
#[must_use]
pub fn prepare(text: &str) -> Zeroizing<String> {
    Zeroizing::new(stringprep::saslprep(text).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned))
}

/// The same for octets; those that are not UTF-8 stay as they are.
#[must_use]
pub fn prepare_octets(octets: &[u8]) -> Zeroizing<Vec<u8>> {
    match std::str::from_utf8(octets) {
        Ok(text) => Zeroizing::new(prepare(text).as_bytes().to_vec()),
        Err(_) => Zeroizing::new(octets.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::password::normalise;

    #[test]
    fn the_examples_of_rfc_4013_come_out() {
        for (from, to) in
            [("I\u{ad}X", "IX"), ("user", "user"), ("USER", "USER"), ("\u{aa}", "a"), ("\u{2168}", "IX")]
        {
            assert_eq!(*prepare(from), to);
        }
    }

    #[test]
    fn what_saslprep_forbids_stays_as_it_is() {
        for text in ["\u{7}", "\u{627}\u{31}", "grin \u{1f600}"] {
            assert_eq!(*prepare(text), text);
        }
        assert_eq!(*prepare_octets(b"\xff\xfe"), b"\xff\xfe");
    }

    #[test]
    fn a_password_that_was_normalised_for_its_hash_is_prepared_as_the_one_that_was_typed() {
        for text in
            ["caf\u{65}\u{301} am\u{a0}Abend", "\u{212b}ngstr\u{f6}m", "\u{fb01}n\u{3000}x", "plain one"]
        {
            let normal = normalise(text.as_bytes());
            assert_eq!(*prepare_octets(normal.reveal()), *prepare_octets(text.as_bytes()), "{text}");
        }
    }
}
