//! Passwords: which ones may be set, their one form, and how their hashes are written (`phc`).
//!
//! Hashing itself costs time and memory and is done elsewhere (`server::hash_worker`).

use super::common::{WALKS, WORDS};
pub use super::phc::{PasswordHash, PhcError};
use crate::limits::{PASSWORD_CHARS_MIN, PASSWORD_OCTETS_MAX};
use crate::types::{Address, Chance, Secret};
use std::fmt;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// The one form of a password, used when it is set and when it is checked: any space of Unicode becomes the
/// ASCII one and the text is composed (the mapping and normalization rules of RFC 8265 section 4.2.2). So a
/// password typed on another keyboard is the same password. Octets that are not UTF-8 stay as they are.
#[must_use]
pub fn normalise(password: &[u8]) -> Secret {
    match std::str::from_utf8(password) {
        Ok(text) if !text.is_ascii() => {
            // Reserved at once: a vector that grows leaves copies of a secret behind. NFC makes a text at
            // most three times as long (Unicode Standard Annex 15, section 9).
            let mut out = Zeroizing::new(String::with_capacity(text.len().saturating_mul(3)));
            out.extend(text.chars().map(|c| if is_space(c) { ' ' } else { c }).nfc());
            Secret::new(std::mem::take(&mut *out).into_bytes())
        }
        Ok(_) | Err(_) => Secret::new(password.to_vec()),
    }
}

/// The space separators (general category Zs).
fn is_space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// Why a password may not be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PasswordRule {
    /// Fewer than [`PASSWORD_CHARS_MIN`] characters.
    TooShort,
    /// More than [`PASSWORD_OCTETS_MAX`] octets.
    TooLong,
    /// It has a control character, which no mail program can type.
    ControlCharacter,
    /// It is made of the address it protects.
    LikeTheAddress,
    /// It is a common password, perhaps with digits or marks around it.
    Common,
    /// It repeats itself or walks along the keyboard or the alphabet.
    Predictable,
}

impl fmt::Display for PasswordRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => {
                write!(f, "the password is shorter than {PASSWORD_CHARS_MIN} characters; choose a longer one")
            }
            Self::TooLong => {
                write!(f, "the password is longer than {PASSWORD_OCTETS_MAX} octets; choose a shorter one")
            }
            Self::ControlCharacter => f.write_str(
                "the password has a control character, which mail programs cannot type; leave it out",
            ),
            Self::LikeTheAddress => {
                f.write_str("the password has the name or domain of the account in it; choose other words")
            }
            Self::Common => {
                f.write_str("the password is one of the commonest or nearly so; choose several unusual words")
            }
            Self::Predictable => f.write_str(
                "the password repeats itself or follows the keyboard; choose several unusual words",
            ),
        }
    }
}

impl std::error::Error for PasswordRule {}

/// Whether `password` may be set for the account called `login`.
///
/// # Errors
/// The first rule it breaks.
pub fn check(password: &str, login: &Address) -> Result<(), PasswordRule> {
    let normal = normalise(password.as_bytes());
    let text = std::str::from_utf8(normal.reveal()).unwrap_or(password);
    if text.chars().count() < PASSWORD_CHARS_MIN {
        return Err(PasswordRule::TooShort);
    }
    if text.len() > PASSWORD_OCTETS_MAX {
        return Err(PasswordRule::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(PasswordRule::ControlCharacter);
    }
    let lower = Zeroizing::new(text.to_lowercase());
    if is_like(&lower, login) {
        return Err(PasswordRule::LikeTheAddress);
    }
    if is_predictable(&lower) {
        return Err(PasswordRule::Predictable);
    }
    if is_common(&lower) {
        return Err(PasswordRule::Common);
    }
    Ok(())
}

/// Parts of an address shorter than this turn up in good passwords by accident.
const NAME_CHARS_MIN: usize = 4;

/// Whether the account's name, its domain, or the longest label of that is in the password, as it is or
/// with stand-ins for letters.
fn is_like(lower: &str, login: &Address) -> bool {
    let local = login.local.key();
    let user = local.split_once('+').map_or(local.as_str(), |(user, _)| user);
    let domain = login.domain.as_str();
    let without_last = domain.rsplit_once('.').map_or(domain, |(rest, _)| rest);
    let label = without_last.split('.').max_by_key(|label| label.len()).unwrap_or_default();
    let plain = Zeroizing::new(lower.chars().map(without_leet).collect::<String>());
    [user, domain, label]
        .into_iter()
        .filter(|name| name.chars().count() >= NAME_CHARS_MIN)
        .any(|name| lower.contains(name) || plain.contains(name))
}

/// The letter a digit or mark is used for.
fn without_leet(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' | '€' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        other => other,
    }
}

/// Letters that may stand around common words before the whole counts as something else.
const UNCOMMON_LETTERS_MIN: usize = 4;

/// Whether at most two of the commonest words make up the password but for digits, marks and a few letters.
/// Read twice: digits at the ends taken off, then stand-ins for letters resolved; and the other way round.
fn is_common(lower: &str) -> bool {
    let trimmed = lower.trim_matches(|c: char| !c.is_alphabetic() && c != '@' && c != '$');
    let readings = [
        Zeroizing::new(core(lower, |c| c)),
        Zeroizing::new(core(trimmed, without_leet)),
        Zeroizing::new(core(lower, without_leet)),
    ];
    readings.iter().any(|reading| is_of_common_words(reading))
}

/// The letters alone.
fn core(text: &str, read: impl Fn(char) -> char) -> String {
    text.chars().map(read).filter(|c| c.is_alphabetic()).collect()
}

fn is_of_common_words(core: &str) -> bool {
    if core.chars().count() < UNCOMMON_LETTERS_MIN {
        // Nothing but digits and marks, and no walk: twelve random digits are still worth something.
        return false;
    }
    WORDS.iter().any(|first| {
        core.split_once(first).is_some_and(|(before, after)| {
            let left = before.chars().count().saturating_add(after.chars().count());
            left < UNCOMMON_LETTERS_MIN || is_common_remainder(before) || is_common_remainder(after)
        })
    })
}

/// Whether what one common word left over is another one, but for a few letters.
fn is_common_remainder(rest: &str) -> bool {
    let length = rest.chars().count();
    WORDS
        .iter()
        .any(|word| rest.contains(word) && length.saturating_sub(word.chars().count()) < UNCOMMON_LETTERS_MIN)
}

/// Whether the password has few different characters, is one short piece over and over, or steps along the
/// alphabet, the digits or a keyboard most of the way.
fn is_predictable(lower: &str) -> bool {
    let chars = Zeroizing::new(lower.chars().collect::<Vec<char>>());
    let mut distinct = chars.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 5 {
        return true;
    }
    let repeats = |period: usize| chars.iter().zip(chars.iter().skip(period)).all(|(a, b)| a == b);
    if (1..=chars.len() / 2).any(repeats) {
        return true;
    }
    let pairs = chars.len().saturating_sub(1);
    let steps = chars.iter().zip(chars.iter().skip(1)).filter(|(a, b)| is_step(**a, **b)).count();
    // Three quarters: `abcdefgh1x` still is a walk, two words that happen to touch neighbours are none.
    steps.saturating_mul(4) >= pairs.saturating_mul(3)
}

/// Whether two characters follow each other in the alphabet, the digits or on a keyboard, in either direction.
fn is_step(a: char, b: char) -> bool {
    let near = u32::from(a).abs_diff(u32::from(b)) <= 1;
    let digits = matches!((a, b), ('9', '0') | ('0', '9'));
    near || digits
        || WALKS
            .iter()
            .any(|walk| walk.chars().zip(walk.chars().skip(1)).any(|pair| pair == (a, b) || pair == (b, a)))
}

/// Letters and digits that are not taken for each other (the alphabet of Crockford's base 32, lower case).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Groups of a generated password.
const GROUPS: usize = 5;
/// Characters of a group; five bits each, so 100 bits in all.
const GROUP_CHARS: usize = 4;

/// A password nobody chose: `7k2m-x9qd-…`, 100 bits.
#[must_use]
pub fn generate(chance: &mut Chance) -> String {
    generate_groups(chance, GROUPS)
}

/// So many groups of letters and digits, 20 bits each; 8 at the most.
#[must_use]
pub(super) fn generate_groups(chance: &mut Chance, groups: usize) -> String {
    let octets = chance.octets();
    let mut out = String::with_capacity(groups.saturating_mul(GROUP_CHARS.saturating_add(1)));
    for (index, octet) in octets.iter().take(groups.saturating_mul(GROUP_CHARS)).enumerate() {
        if index > 0 && index.is_multiple_of(GROUP_CHARS) {
            out.push('-');
        }
        // 256 is a multiple of 32: no letter is likelier than another.
        let letter = ALPHABET.get(usize::from(octet % 32)).copied().unwrap_or(b'0');
        out.push(char::from(letter));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Address {
        "johanna.maier@wolkenheim.example".parse().unwrap()
    }

    #[test]
    fn composed_and_decomposed_passwords_are_one() {
        assert_eq!(normalise("schlu\u{308}ssel".as_bytes()), normalise("schlüssel".as_bytes()));
        assert_eq!(normalise("a\u{3000}b".as_bytes()).reveal(), b"a b");
        assert_eq!(normalise(b"\xffa\xcc").reveal(), b"\xffa\xcc");
        assert_ne!(normalise(b"Case"), normalise(b"case"));
    }

    #[test]
    fn good_passwords_pass() {
        for good in [
            "correct horse battery staple",
            "violet-trumpet-gravel",
            "7k2m-x9qd-4hvw",
            "Rj8!kq0Zpw",
            "ночной велосипед",
            "x7Gq2mBv9L",
            "mein hut der hat drei ecken",
            "zebra.under.9.moons",
        ] {
            assert_eq!(check(good, &me()), Ok(()), "{good}");
        }
    }

    #[test]
    fn short_long_and_untypable_passwords_do_not_pass() {
        assert_eq!(check("x7Gq2mBv9", &me()), Err(PasswordRule::TooShort));
        assert_eq!(check("", &me()), Err(PasswordRule::TooShort));
        assert_eq!(check("x7Gq2mBv\t9L", &me()), Err(PasswordRule::ControlCharacter));
        assert_eq!(check("x7Gq2mBv\u{85}9L", &me()), Err(PasswordRule::ControlCharacter));
        let long = "x7Gq2mBv9L".repeat(103);
        assert_eq!(check(&long, &me()), Err(PasswordRule::TooLong));
        assert_eq!(check("ü\u{308}ü\u{308}ü", &me()), Err(PasswordRule::TooShort));
    }

    #[test]
    fn common_passwords_do_not_pass_in_any_disguise() {
        for bad in [
            "password123",
            "Password123!",
            "P@ssw0rd2024",
            "passwordpass",
            "1234password",
            "MotDePasse1",
            "Passwort2026!",
            "letmein12345",
            "letmeinplease",
            "iloveyou2025",
            "Welcome2024!",
            "adminadmin1",
            "Summer2025!!",
            "changeme1234",
            "qwerty123456",
            "h3ll0w0rld!!",
            "trustno1trustno1x",
        ] {
            assert!(
                matches!(check(bad, &me()), Err(PasswordRule::Common | PasswordRule::Predictable)),
                "{bad}: {:?}",
                check(bad, &me())
            );
        }
    }

    #[test]
    fn walks_and_repetitions_do_not_pass() {
        for bad in [
            "aaaaaaaaaaaa",
            "1234567890",
            "0987654321",
            "qwertyuiop",
            "poiuytrewq",
            "1q2w3e4r5t",
            "1qaz2wsx3edc",
            "abcdefghij",
            "x7Gq2x7Gq2",
            "1212121212",
            "йцукенгшщз",
            "asdfghjkl1",
        ] {
            assert_eq!(check(bad, &me()), Err(PasswordRule::Predictable), "{bad}");
        }
    }

    #[test]
    fn a_password_made_of_its_address_does_not_pass() {
        for bad in [
            "johanna.maier!",
            "Johanna.Maier77",
            "my Wolkenheim 9",
            "w0lkenh3im-7Gq2",
            "x wolkenheim.example",
        ] {
            assert_eq!(check(bad, &me()), Err(PasswordRule::LikeTheAddress), "{bad}");
        }
        let short: Address = "me@a.example".parse().unwrap();
        assert_eq!(check("some meadow 42", &short), Ok(()), "short names turn up by accident");
    }

    #[test]
    fn generated_passwords_differ_and_may_be_set() {
        let mut chance = Chance::from_seed([3; 32]);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..500 {
            let password = generate(&mut chance);
            assert_eq!(password.len(), 24);
            assert_eq!(check(&password, &me()), Ok(()), "{password}");
            assert!(seen.insert(password));
        }
    }

    #[test]
    fn no_reading_of_any_text_panics() {
        let mut chance = Chance::from_seed([5; 32]);
        for _ in 0..300 {
            let text: String =
                chance.octets().iter().map(|b| char::from_u32(u32::from(*b) * 37).unwrap_or('é')).collect();
            let _ = (check(&text, &me()), normalise(text.as_bytes()));
        }
    }
}
