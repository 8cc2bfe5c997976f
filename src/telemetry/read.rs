//! Reads a line back into its fields: what a ban tool, or an administrator's script, makes of it.

/// The fields of a line in their order, or `None` if it is not `key=value key="quoted" …`.
///
/// A key is lower-case letters and hyphens. A value without quotes has neither spaces nor quotes; in quotes,
/// `\"`, `\\`, `\n`, `\r`, `\t` and `\u{…}` stand for one character each.
#[must_use]
pub fn fields(line: &str) -> Option<Vec<(&str, String)>> {
    let mut rest = line;
    let mut fields = Vec::new();
    loop {
        let (key, behind) = rest.split_once('=')?;
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
            return None;
        }
        let (value, behind) = match behind.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => bare(behind)?,
        };
        fields.push((key, value));
        match behind.strip_prefix(' ') {
            Some(more) => rest = more,
            None => return behind.is_empty().then_some(fields),
        }
    }
}

fn bare(text: &str) -> Option<(String, &str)> {
    let end = text.find(' ').unwrap_or(text.len());
    let (value, behind) = text.split_at_checked(end)?;
    let plain = value.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\'));
    (plain && !value.is_empty()).then(|| (value.to_owned(), behind))
}

/// The value up to its closing quote, and what is behind that.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text.chars();
    loop {
        match rest.next()? {
            '"' => return Some((value, rest.as_str())),
            '\\' => value.push(match rest.next()? {
                c @ ('"' | '\\') => c,
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let (digits, behind) = rest.as_str().strip_prefix('{')?.split_once('}')?;
                    rest = behind.chars();
                    char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
                }
                _ => return None,
            }),
            c if c.is_control() => return None,
            c => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_into_its_fields() {
        let read =
            fields("event=x from=2001:db8::1 login=\"a\\\"\\u{20}b\\\\\\n\" reason=\"two words\"").unwrap();
        let expected =
            [("event", "x"), ("from", "2001:db8::1"), ("login", "a\" b\\\n"), ("reason", "two words")];
        assert_eq!(read, expected.map(|(key, value)| (key, value.to_owned())));
    }

    #[test]
    fn what_is_not_in_the_grammar_is_no_line() {
        for text in [
            "",
            "x",
            "a=b c",
            "a=b  c=d",
            "a=\"b",
            "a=\"b\"c=d",
            "a=b\"c",
            "A=b",
            "a=",
            "a=b\nc=d",
            "a=\"\\x\"",
        ] {
            assert_eq!(fields(text), None, "{text:?}");
        }
    }
}
