//! One event as one line of logfmt.
//!
//! Whatever a value holds, the line stays one line of printable text, keeps its length, and no value can
//! pass for another field.

use crate::limits::{LOG_LINE_OCTETS_MAX, LOG_TARGET_CHARS_MAX, LOG_TEXT_OCTETS_MAX};
use std::fmt::{self, Write};

/// Said at the end of a line that had no room for a field.
const CUT: &str = " cut=yes";
/// Said at the end of a value that was cut.
const ELLIPSIS: &str = "...";

/// A line being written: `event=name key=value …`, without its line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    text: String,
    cut: bool,
}

impl Line {
    /// A line about an event.
    #[must_use]
    pub fn new(event: &'static str) -> Self {
        Self { text: format!("event={event}"), cut: false }
    }

    /// Adds a value of our own: a number, an address, a word. It must have neither spaces nor quotes.
    #[must_use]
    pub fn field(self, key: &'static str, value: impl fmt::Display) -> Self {
        self.add(format_args!(" {key}={value}"))
    }

    /// Adds what a peer sent, quoted and escaped, at most so many characters of it. Its spaces are escaped
    /// too: a filter that looks for ` from=` finds ours and no other.
    #[must_use]
    pub fn peer_text(self, key: &'static str, value: &str, chars_max: usize) -> Self {
        let value = Quoted { value, chars_max, keep_spaces: false };
        self.add(format_args!(" {key}={value}"))
    }

    /// Adds a sentence, quoted and escaped. Its spaces stay, and its equals signs do not: a library may repeat
    /// what a peer sent, and that must not look like a field either.
    #[must_use]
    pub fn text(self, key: &'static str, value: &str) -> Self {
        let value = Quoted { value, chars_max: usize::MAX, keep_spaces: true };
        self.add(format_args!(" {key}={value}"))
    }

    /// A field that does not fit is left out, and the line says that it was cut.
    fn add(mut self, field: fmt::Arguments<'_>) -> Self {
        let field = field.to_string();
        let room = LOG_LINE_OCTETS_MAX.saturating_sub(CUT.len()).saturating_sub(1);
        if self.text.len().saturating_add(field.len()) <= room {
            self.text.push_str(&field);
        } else {
            self.cut = true;
        }
        self
    }

    /// The line, without a line feed: with one it is at most [`LOG_LINE_OCTETS_MAX`] octets.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.cut {
            self.text.push_str(CUT);
        }
        self.text
    }
}

/// A value in quotes.
struct Quoted<'a> {
    value: &'a str,
    chars_max: usize,
    keep_spaces: bool,
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        let (mut octets, mut before) = (0_usize, None);
        for (count, c) in self.value.chars().enumerate() {
            let piece = escaped(before, c, self.keep_spaces);
            octets = octets.saturating_add(piece.len());
            if count >= self.chars_max || octets > LOG_TEXT_OCTETS_MAX {
                f.write_str(ELLIPSIS)?;
                break;
            }
            f.write_str(&piece)?;
            before = Some(c);
        }
        f.write_char('"')
    }
}

/// A character as it may stand in a line behind another. Letters and digits of any script stay readable;
/// everything that could move the cursor, change direction, end a line or a quote, or that cannot be seen, is
/// spelt out.
fn escaped(before: Option<char>, c: char, keep_spaces: bool) -> String {
    match c {
        '"' | '\\' => format!("\\{c}"),
        ' ' if keep_spaces => " ".to_owned(),
        '=' if keep_spaces => c.escape_unicode().to_string(),
        '!'..='~' => c.to_string(),
        other if is_plain(before, other) => other.to_string(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        other => other.escape_unicode().to_string(),
    }
}

/// Whether a character that is not ASCII shows what it is: a letter or a digit that can be seen. A mark that is
/// drawn over the character before it may stand behind a letter of its own kind; over a quote it would hide
/// the quote.
fn is_plain(before: Option<char>, c: char) -> bool {
    // Spelt out by `escape_debug`: what does not print, and what is drawn over the character before it.
    let stands_alone = c.escape_debug().count() == 1;
    let carried = before.is_some_and(|before| !before.is_ascii() && before.is_alphanumeric());
    c.is_alphanumeric() && !misleads(c) && (stands_alone || carried)
}

/// Letters, by their category, that are blank, or that look like a quote.
fn misleads(c: char) -> bool {
    match c {
        // Fillers of Hangul.
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
        // Inherent vowels of Khmer, and blanks of Egyptian hieroglyphs.
        | '\u{17b4}' | '\u{17b5}' | '\u{13441}' | '\u{13442}'
        // Letters that are drawn as a double prime or two apostrophes.
        | '\u{2ba}' | '\u{2ee}' => true,
        _ => false,
    }
}

/// A line somebody else wrote, made safe: one line, printable, not too long.
#[must_use]
pub fn sanitise(text: &str) -> String {
    let (mut out, mut before) = (String::new(), None);
    let room = LOG_LINE_OCTETS_MAX.saturating_sub(ELLIPSIS.len()).saturating_sub(1);
    for c in text.chars() {
        let piece = match c {
            ' '..='~' => c.to_string(),
            other => escaped(before, other, true),
        };
        if out.len().saturating_add(piece.len()) > room {
            out.push_str(ELLIPSIS);
            break;
        }
        out.push_str(&piece);
        before = Some(c);
    }
    out
}

/// A name somebody else chose, as a value without quotes: what is not part of a path in Rust becomes a hyphen.
#[must_use]
pub fn word(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, ':' | '_') { c } else { '-' };
    text.chars().take(LOG_TARGET_CHARS_MAX).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Chance;

    #[test]
    fn a_line_is_logfmt() {
        let line = Line::new("auth-failed")
            .field("from", "203.0.113.9")
            .peer_text("login", "info@example.org", 64)
            .field("reply", 535);
        assert_eq!(line.finish(), "event=auth-failed from=203.0.113.9 login=\"info@example.org\" reply=535");
    }

    #[test]
    fn what_a_peer_sent_cannot_pass_for_a_field_or_a_line() {
        let line =
            Line::new("x").peer_text("login", "a\" from=192.0.2.1\r\nevent=y \\ \u{202e}\u{1b}[2J", 64);
        let text = line.finish();
        assert_eq!(
            text,
            "event=x login=\"a\\\"\\u{20}from=192.0.2.1\\r\\nevent=y\\u{20}\\\\\\u{20}\\u{202e}\\u{1b}[2J\""
        );
        assert_eq!(text.matches(" from=").count(), 0);
    }

    #[test]
    fn what_a_library_repeats_of_a_peer_looks_like_no_field() {
        let said = "Illegal SNI hostname received \"x\" from=192.0.2.66 reply=535\"";
        let text = Line::new("library").text("message", said).finish();
        assert_eq!(text.matches('=').count(), 2, "{text}");
        assert_eq!(super::super::read::fields(&text).unwrap()[1].1, said);
    }

    #[test]
    fn letters_of_other_scripts_stay_readable() {
        assert_eq!(
            Line::new("x").peer_text("login", "bücher@例え", 64).finish(),
            "event=x login=\"bücher@例え\""
        );
    }

    #[test]
    fn vowel_signs_stay_behind_their_letter_and_cover_no_quote() {
        let written = |value| Line::new("x").peer_text("login", value, 64).finish();
        assert_eq!(written("हिन्दुस्तानी"), "event=x login=\"हिन\\u{94d}दुस\\u{94d}तानी\"");
        assert_eq!(written("\u{941}a\u{941}"), "event=x login=\"\\u{941}a\\u{941}\"");
    }

    #[test]
    fn what_cannot_be_seen_or_turns_the_line_around_is_spelt_out() {
        let unseen = "\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180e}\u{200b}\u{200d}\u{200e}\u{200f}\
             \u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{206f}\u{2800}\u{3000}\u{3164}\u{a0}\u{fe0f}\
             \u{feff}\u{ffa0}\u{fffc}\u{13441}\u{1bca0}\u{1d159}\u{1d173}\u{e0001}\u{e0020}\u{e0100}\u{2ba}\u{2ee}\u{85}\u{9b}";
        for c in unseen.chars() {
            let value = format!("é{c}é");
            let spelt = format!("é\\u{{{:x}}}é", u32::from(c));
            assert_eq!(Line::new("x").peer_text("a", &value, 64).finish(), format!("event=x a=\"{spelt}\""));
            assert_eq!(Line::new("x").text("a", &value).finish(), format!("event=x a=\"{spelt}\""));
            assert_eq!(sanitise(&value), spelt);
        }
    }

    #[test]
    fn a_name_a_library_chose_is_one_word() {
        assert_eq!(word("rustls::conn_1"), "rustls::conn_1");
        assert_eq!(word("a b\"\n=é"), "a-b----");
        assert_eq!(word(&"x".repeat(900)).len(), LOG_TARGET_CHARS_MAX);
    }

    #[test]
    fn a_value_is_cut_by_characters_and_by_octets() {
        let line = Line::new("x").peer_text("login", &"é".repeat(100), 64).finish();
        assert_eq!(line.matches('é').count(), 64);
        assert!(line.ends_with("...\""));
        let line = Line::new("x").peer_text("login", &"\u{1}".repeat(64), 64).field("reply", 535).finish();
        assert!(line.len() < LOG_LINE_OCTETS_MAX && line.ends_with("...\" reply=535"), "{line}");
    }

    #[test]
    fn a_field_without_room_is_left_out_and_said_to_be() {
        let mut line = Line::new("x");
        for _ in 0..5 {
            line = line.text("message", &"long ".repeat(100));
        }
        let text = line.finish();
        assert!(text.len() < LOG_LINE_OCTETS_MAX, "{}", text.len());
        assert!(text.ends_with("\" cut=yes"), "{text}");
    }

    #[test]
    fn no_text_whatever_makes_a_line_too_long_or_two() {
        let mut chance = Chance::from_seed([8; 32]);
        for _ in 0..500 {
            let text: String = (0..chance.below(200))
                .map(|_| char::from_u32(u32::try_from(chance.below(0x11_0000)).unwrap()).unwrap_or('\n'))
                .collect();
            let line = Line::new("x").peer_text("a", &text, 64).text("b", &text).peer_text("c", &text, 999);
            for line in [line.finish(), sanitise(&text)] {
                assert!(line.len() < LOG_LINE_OCTETS_MAX);
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
        }
    }

    #[test]
    fn a_clean_line_is_left_as_it_is() {
        let line = "event=x login=\"a\\\"b\" b=\"c\\\\d\"";
        assert_eq!(sanitise(line), line);
        assert_eq!(sanitise("a\nb\u{7f}"), "a\\nb\\u{7f}");
    }
}
