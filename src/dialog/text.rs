//! Octets as text: escapes and counted runs.

use crate::limits::DIALOG_EXPANDED_OCTETS_MAX;
use std::fmt::Write as _;

/// Octets as they were written: plain stretches and counted runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Never empty, and never two in a row.
    Plain(Vec<u8>),
    /// A unit that is not empty, so many times.
    Run(usize, Vec<u8>),
}

/// Equal octets in a row from which [`Text::from_octets`] writes a counted run.
const RUN_OCTETS_MIN: usize = 32;

/// Why a text cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextError {
    /// A backslash followed by something else than the escapes known.
    Escape,
    /// A counted run that is not `\{COUNT:UNIT}` with a count from 1 and a unit that is not empty.
    Run,
    /// More octets than `limits::DIALOG_EXPANDED_OCTETS_MAX`.
    TooLong,
    /// A control character.
    Control,
}

impl std::fmt::Display for TextError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Escape => {
                "a backslash must be followed by r, n, t, 0, another backslash, xNN or {COUNT:UNIT}"
            }
            Self::Run => "a counted run is written \\{COUNT:UNIT}, with a count from 1 and a unit",
            Self::TooLong => "the counted runs grow to more octets than a dialogue may have",
            Self::Control => "a control character must be written as an escape",
        })
    }
}

impl Text {
    /// Writes octets down, long stretches of one octet as counted runs.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Self {
        let mut text = Self::default();
        for run in octets.chunk_by(|a, b| a == b) {
            match run.first() {
                Some(&octet) if run.len() >= RUN_OCTETS_MIN => {
                    text.pieces.push(Piece::Run(run.len(), vec![octet]));
                }
                Some(_) | None => run.iter().for_each(|&octet| text.push(octet)),
            }
        }
        text
    }

    /// Reads a text.
    ///
    /// # Errors
    /// Says why it is none.
    pub fn parse(source: &str) -> Result<Self, TextError> {
        let mut text = Self::default();
        let mut octets = 0usize;
        let mut rest = source;
        while !rest.is_empty() {
            let before = text.pieces.len();
            if let Some(run) = rest.strip_prefix("\\{") {
                let (piece, after) = parse_run(run)?;
                octets = octets.saturating_add(piece.octets());
                text.pieces.push(piece);
                rest = after;
            } else {
                rest = parse_char(rest, |octet| text.push(octet))?;
                octets = octets.saturating_add(1);
            }
            debug_assert!(text.pieces.len() >= before);
            if octets > DIALOG_EXPANDED_OCTETS_MAX {
                return Err(TextError::TooLong);
            }
        }
        Ok(text)
    }

    fn push(&mut self, octet: u8) {
        match self.pieces.last_mut() {
            Some(Piece::Plain(octets)) => octets.push(octet),
            Some(Piece::Run(..)) | None => self.pieces.push(Piece::Plain(vec![octet])),
        }
    }

    /// How many octets it stands for.
    #[must_use]
    pub fn octets_len(&self) -> usize {
        self.pieces.iter().fold(0usize, |sum, piece| sum.saturating_add(piece.octets()))
    }

    /// Appends the octets it stands for.
    pub fn expand(&self, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Plain(octets) => out.extend_from_slice(octets),
                Piece::Run(count, unit) => (0..*count).for_each(|_| out.extend_from_slice(unit)),
            }
        }
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let last = self.pieces.len().saturating_sub(1);
        for (index, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Plain(octets) => f.write_str(&escape(octets, false, index == last))?,
                Piece::Run(count, unit) => write!(f, "\\{{{count}:{}}}", escape(unit, true, false))?,
            }
        }
        Ok(())
    }
}

impl Piece {
    fn octets(&self) -> usize {
        match self {
            Self::Plain(octets) => octets.len(),
            Self::Run(count, unit) => count.saturating_mul(unit.len()),
        }
    }
}

/// Reads one character or escape, gives its octets away, and returns what follows it.
fn parse_char(source: &str, mut give: impl FnMut(u8)) -> Result<&str, TextError> {
    let mut chars = source.chars();
    match chars.next() {
        Some('\\') => {
            let octet = match chars.next() {
                Some('r') => b'\r',
                Some('n') => b'\n',
                Some('t') => b'\t',
                Some('0') => 0,
                Some('\\') => b'\\',
                Some('x') => {
                    let digits = chars.as_str().get(..2).ok_or(TextError::Escape)?;
                    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                        return Err(TextError::Escape);
                    }
                    chars = chars.as_str().get(2..).unwrap_or_default().chars();
                    u8::from_str_radix(digits, 16).map_err(|_| TextError::Escape)?
                }
                Some(_) | None => return Err(TextError::Escape),
            };
            give(octet);
        }
        Some(c) if c.is_control() => return Err(TextError::Control),
        Some(c) => c.encode_utf8(&mut [0; 4]).bytes().for_each(give),
        None => {}
    }
    Ok(chars.as_str())
}

/// Reads a counted run whose `\{` is already gone.
fn parse_run(source: &str) -> Result<(Piece, &str), TextError> {
    let (count, mut rest) = source.split_once(':').ok_or(TextError::Run)?;
    let canonical = !count.starts_with('0') && count.bytes().all(|b| b.is_ascii_digit());
    let count = count.parse::<usize>().ok().filter(|count| canonical && *count > 0).ok_or(TextError::Run)?;
    let mut unit = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return if unit.is_empty() { Err(TextError::Run) } else { Ok((Piece::Run(count, unit), after)) };
        }
        if rest.is_empty() || rest.starts_with("\\{") {
            return Err(TextError::Run);
        }
        rest = parse_char(rest, |octet| unit.push(octet))?;
    }
}

/// Octets as they are written; in a run `}` is escaped, and `at_end` a space that nobody would see.
fn escape(octets: &[u8], in_run: bool, at_end: bool) -> String {
    let mut out = String::new();
    for chunk in octets.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\r' => out.push_str("\\r"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\0' => out.push_str("\\0"),
                '\\' => out.push_str("\\\\"),
                '}' if in_run => out.push_str("\\x7d"),
                ' '..='~' => out.push(c),
                // Letters can be read; marks that turn the direction of a line cannot.
                c if !c.is_ascii() && c.is_alphanumeric() => out.push(c),
                c => c.encode_utf8(&mut [0; 4]).bytes().for_each(|octet| hex(&mut out, octet)),
            }
        }
        chunk.invalid().iter().for_each(|&octet| hex(&mut out, octet));
    }
    if at_end && out.ends_with(' ') {
        out.pop();
        hex(&mut out, b' ');
    }
    out
}

fn hex(out: &mut String, octet: u8) {
    // Writing to a string cannot fail.
    let _ = write!(out, "\\x{octet:02x}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Chance;

    fn octets(source: &str) -> Vec<u8> {
        let mut out = Vec::new();
        Text::parse(source).unwrap().expand(&mut out);
        out
    }

    #[test]
    fn escapes_stand_for_their_octets() {
        assert_eq!(octets(r"a\r\n\t\0\\\x7f\xFFé"), b"a\r\n\t\0\\\x7f\xff\xc3\xa9");
        assert_eq!(octets(""), b"");
    }

    #[test]
    fn a_run_repeats_its_unit() {
        assert_eq!(octets(r"x\{3:ab\x7d}}y"), b"xab}ab}ab}}y");
        assert_eq!(octets(r"\{1000000:a}").len(), 1_000_000);
        assert_eq!(Text::parse(r"\{1000:NOOP\r\n}").unwrap().octets_len(), 6_000);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for source in [r"\", r"\q", r"\x", r"\x1", r"\x+1", r"\xé"] {
            assert_eq!(Text::parse(source), Err(TextError::Escape), "{source}");
        }
        for source in
            [r"\{", r"\{3}", r"\{:a}", r"\{0:a}", r"\{03:a}", r"\{3:}", r"\{3:a", r"\{-1:a}", r"\{2:\{2:a}}"]
        {
            assert_eq!(Text::parse(source), Err(TextError::Run), "{source}");
        }
        assert_eq!(Text::parse(r"\{999999999999:a}"), Err(TextError::TooLong));
        assert_eq!(Text::parse(r"\{60000000:a}\{60000000:a}"), Err(TextError::TooLong));
        assert_eq!(Text::parse("a\tb"), Err(TextError::Control));
    }

    #[test]
    fn canonical_texts_print_as_they_were_read() {
        for source in
            ["", r"EHLO a\r\n\0\\", r"\{40:a}b\{2:x\x7d\n}", r"ends in a space\x20", "Grüße \\xff", r"a \x20"]
        {
            assert_eq!(Text::parse(source).unwrap().to_string(), source);
        }
    }

    #[test]
    fn any_octets_come_back() {
        let mut chance = Chance::from_seed([1; 32]);
        for _ in 0..500 {
            let mut original = Vec::new();
            for _ in 0..chance.below(12) {
                let octet = u8::try_from(chance.below(256)).unwrap();
                let times = if chance.below(4) == 0 { 100 } else { 1 };
                original.extend(std::iter::repeat_n(octet, times));
            }
            let text = Text::from_octets(&original);
            let printed = text.to_string();
            assert!(!printed.ends_with(' ') && !printed.contains(char::is_control), "{printed:?}");
            assert_eq!(octets(&printed), original);
            assert_eq!(Text::parse(&printed).unwrap(), text);
        }
    }

    #[test]
    fn a_mark_that_turns_the_direction_is_escaped() {
        assert_eq!(Text::from_octets("\u{202e}".as_bytes()).to_string(), "\\xe2\\x80\\xae");
    }
}
