//! What a client's SASL lines say, as far as a log shows them: the login, never the password.

use crate::import::scan;
use base64ct::{Base64, Base64Unpadded, Encoding};

/// The text under a base64 word; None if it is none, or no UTF-8.
#[must_use]
pub fn base64(word: &str) -> Option<String> {
    let word = word.trim();
    if word.is_empty() {
        return None;
    }
    let octets = Base64::decode_vec(word).or_else(|_| Base64Unpadded::decode_vec(word)).ok()?;
    String::from_utf8(octets).ok()
}

/// The login in a client's response of this mechanism (in capitals). For LOGIN the response is the name itself.
#[must_use]
pub fn login(mechanism: &str, word: &str) -> Option<String> {
    let text = base64(word)?;
    let name = match mechanism {
        // RFC 4616: authorization identity, NUL, name, NUL, password.
        "PLAIN" => {
            let mut parts = text.split('\0').skip(1);
            let name = parts.next()?;
            parts.next()?;
            name
        }
        "LOGIN" | "EXTERNAL" => text.as_str(),
        // RFC 2195: name, space, digest.
        "CRAM-MD5" | "APOP" => text.rsplit_once(' ')?.0,
        "XOAUTH2" => text.strip_prefix("user=")?.split('\u{1}').next()?,
        // RFC 7628: n,a=NAME,
        "OAUTHBEARER" => text.split(',').nth(1)?.strip_prefix("a=")?,
        // RFC 2831: username="NAME",
        "DIGEST-MD5" => return scan::login(&scan::unquote(text.split_once("username=\"")?.1)?.0),
        scram if scram.starts_with("SCRAM-") => return scan::login(&scram_name(&text)?),
        _ => return None,
    };
    scan::login(name)
}

/// RFC 5802 section 7: the name of a client's first message, `=2C` and `=3D` undone.
fn scram_name(message: &str) -> Option<String> {
    let bare = message.splitn(3, ',').nth(2)?;
    let name = bare.strip_prefix("n=")?.split(',').next()?;
    Some(name.replace("=2C", ",").replace("=3D", "="))
}

/// A login that a log may show in base64 or as it is: decoded if it is base64 of plain text.
#[must_use]
pub fn perhaps_base64(word: &str) -> Option<String> {
    match base64(word) {
        Some(text) if !text.chars().any(char::is_control) => scan::login(&text),
        Some(_) | None => scan::login(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_of_every_mechanism_is_found() {
        for (mechanism, word, expected) in [
            ("PLAIN", "AGluZm8AcGFzcw==", Some("info")),
            ("PLAIN", "YWRtaW4AaW5mbwBwYXNz", Some("info")),
            ("PLAIN", "aW5mbw==", None),
            ("LOGIN", "aW5mbw==", Some("info")),
            ("CRAM-MD5", "aW5mbyA5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw", Some("info")),
            ("SCRAM-SHA-256", "bixhPXgsbj1pbj0yQ2ZvLHI9YWJj", Some("in,fo")),
            ("PLAIN", "***", None),
            ("NTLM", "aW5mbw==", None),
        ] {
            assert_eq!(login(mechanism, word).as_deref(), expected, "{mechanism} {word}");
        }
        assert_eq!(perhaps_base64("root").as_deref(), Some("root"), "its base64 would be no text");
        assert_eq!(perhaps_base64("aW5mbw==").as_deref(), Some("info"));
    }
}
