//! The small parsers of formats: addresses, quoted values, mechanisms, escapes.

use crate::limits;
use std::net::{IpAddr, Ipv6Addr};

/// An address as logs write it: bare, in brackets, with `IPv6:` or a zone in it, IPv4-mapped (given as IPv4).
#[must_use]
pub fn address(text: &str) -> Option<IpAddr> {
    let text = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    let text = text
        .get(..5)
        .filter(|start| start.eq_ignore_ascii_case("ipv6:"))
        .and_then(|_| text.get(5..))
        .unwrap_or(text);
    let text = text.split_once('%').map_or(text, |(before, _)| before);
    let address: IpAddr = text.parse().ok()?;
    Some(match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => unmapped(six),
    })
}

fn unmapped(six: Ipv6Addr) -> IpAddr {
    six.to_ipv4_mapped().map_or(IpAddr::V6(six), IpAddr::V4)
}

/// An address with a port behind it: `192.0.2.1:25`, `[2001:db8::1]:25`, `[192.0.2.1]:25`; or without.
#[must_use]
pub fn address_port(text: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Some(alone) = address(text) {
        return Some((alone, None));
    }
    let (host, port) = text.rsplit_once(':')?;
    Some((address(host)?, Some(port.parse().ok()?)))
}

/// What ends in `NAME[ADDRESS]`, the way sendmail and Postfix write a client: the address in the last brackets.
/// `text` must end with the closing bracket.
#[must_use]
pub fn client(text: &str) -> Option<(&str, IpAddr)> {
    let inner = text.strip_suffix(']')?;
    let (name, inside) = inner.rsplit_once('[')?;
    Some((name, address(inside)?))
}

/// A mechanism in capitals, if it can be the name of one (RFC 4422 section 3.1: 1 to 20 of A-Z 0-9 - _).
#[must_use]
pub fn mechanism(text: &str) -> Option<String> {
    let fits = !text.is_empty()
        && text.len() <= limits::IMPORT_MECHANISM_OCTETS_MAX
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_');
    fits.then(|| text.to_ascii_uppercase())
}

/// A login worth telling: not empty, cut to [`limits::IMPORT_VALUE_CHARS_MAX`].
#[must_use]
pub fn login(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.chars().take(limits::IMPORT_VALUE_CHARS_MAX).collect())
}

/// The next `key=value` of a logfmt line and what follows it; values may be quoted the way Go's `%q` does.
/// None at the end, or where the text is none.
#[must_use]
pub fn logfmt(text: &str) -> Option<(&str, String, &str)> {
    let text = text.trim_start_matches(' ');
    let (key, rest) = text.split_once('=')?;
    if key.is_empty() || key.contains([' ', '"']) {
        return None;
    }
    if let Some(quoted) = rest.strip_prefix('"') {
        let (value, after) = unquote(quoted)?;
        return Some((key, value, after));
    }
    let (value, after) = rest.split_once(' ').unwrap_or((rest, ""));
    Some((key, value.to_owned(), after))
}

/// What stands before the closing quote, with `\"`, `\\`, `\n`, `\r`, `\t`, `\xNN` and `\uNNNN` undone, and what
/// follows the quote. None if no quote closes it.
#[must_use]
pub fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let mut letters = rest.chars();
        match letters.next()? {
            '"' => return Some((value, letters.as_str())),
            '\\' => {
                let (letter, after) = escape(letters.as_str())?;
                value.push(letter);
                rest = after;
            }
            plain => {
                value.push(plain);
                rest = letters.as_str();
            }
        }
    }
}

fn escape(text: &str) -> Option<(char, &str)> {
    let mut letters = text.chars();
    let digits = match letters.next()? {
        'n' => return Some(('\n', letters.as_str())),
        'r' => return Some(('\r', letters.as_str())),
        't' => return Some(('\t', letters.as_str())),
        'x' => 2,
        'u' => 4,
        other => return Some((other, letters.as_str())),
    };
    let after = letters.as_str();
    let number = u32::from_str_radix(after.get(..digits)?, 16).ok()?;
    Some((char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER), after.get(digits..)?))
}

/// `\015` and the like undone, octet by octet; what is no UTF-8 then is U+FFFD. Postfix and syslog daemons write
/// control octets so. `\\` stays two (neither of them doubles it).
#[must_use]
pub fn octal_undone(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if let (b'\\', Some((octet, tail))) = (first, octal(after)) {
            octets.push(octet);
            rest = tail;
        } else {
            octets.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

fn octal(digits: &[u8]) -> Option<(u8, &[u8])> {
    let (three, tail) = digits.split_at_checked(3)?;
    let three = std::str::from_utf8(three).ok()?;
    if !three.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    Some((u8::from_str_radix(three, 8).ok()?, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_every_dress() {
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("[192.0.2.1]", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[IPv6:2001:db8::1]", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
        ] {
            assert_eq!(address(text).map(|read| read.to_string()).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(address("192.0.2.1]: 535"), None);
        assert_eq!(address_port("[2001:db8::1]:25").map(|(_, port)| port), Some(Some(25)));
    }

    #[test]
    fn a_quoted_value_ends_at_its_own_quote() {
        let (key, value, rest) = logfmt(r#"m="a \"b\" r=1\r\n" c=2"#).expect("a pair");
        assert_eq!((key, value.as_str(), rest), ("m", "a \"b\" r=1\r\n", " c=2"));
        assert_eq!(logfmt(r#"m="never closed"#), None);
    }

    #[test]
    fn octal_escapes_are_undone_once() {
        assert_eq!(octal_undone(r"a\015\012b\\040\9"), "a\r\nb\\ \\9");
    }
}
