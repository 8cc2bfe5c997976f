//! Bodies: not one octet of them is kept, only how many they were and where their line ends were odd.

use crate::frame::chunk::LineEnds;
use crate::frame::dot::{DotCut, DotCutter};
use crate::limits::{JOURNAL_DEFECTS_MAX, RECEIVED_FIELDS_MAX};
use std::fmt::Write as _;

/// Octets of the lines that stand for others, their CRLF included.
const LINE_OCTETS: u64 = 80;
/// Octets in front of an odd line end that belong to it.
const TAIL_OCTETS: usize = 4;

/// What an octet is for the shape of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Cr,
    Lf,
    /// At the beginning of a line, however that line before it ended.
    Dot,
    /// So many others.
    Other(u64),
}

/// The shape of some octets of a body.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// Octets before the first odd line end, but for the last few.
    plain: u64,
    /// Those: an oddity may begin in them.
    tail: Vec<u8>,
    /// From the piece on that has the first odd line end.
    marks: Vec<Mark>,
    odd: bool,
    /// Not everything found room.
    full: bool,
}

impl Shape {
    fn feed(&mut self, piece: &[u8], odd: bool) {
        if odd && !self.odd {
            self.odd = true;
            let tail = std::mem::take(&mut self.tail);
            self.mark(&tail);
        }
        if self.odd {
            return self.mark(piece);
        }
        let cut = piece.len().saturating_sub(TAIL_OCTETS);
        let (far, near) = piece.split_at_checked(cut).unwrap_or((piece, &[]));
        self.tail.extend_from_slice(near);
        let over = if far.is_empty() {
            self.tail.len().saturating_sub(TAIL_OCTETS)
        } else {
            self.tail.len().saturating_sub(near.len())
        };
        self.tail = self.tail.get(over..).unwrap_or_default().to_vec();
        self.plain =
            self.plain.saturating_add(count(far)).saturating_add(u64::try_from(over).unwrap_or(u64::MAX));
    }

    fn mark(&mut self, octets: &[u8]) {
        for &octet in octets {
            let at_start = matches!(self.marks.last(), Some(Mark::Cr | Mark::Lf));
            match octet {
                b'\r' => self.push(Mark::Cr),
                b'\n' => self.push(Mark::Lf),
                b'.' if at_start => self.push(Mark::Dot),
                _ => match self.marks.last_mut() {
                    Some(Mark::Other(octets)) => *octets = octets.saturating_add(1),
                    Some(Mark::Cr | Mark::Lf | Mark::Dot) | None => self.push(Mark::Other(1)),
                },
            }
        }
    }

    fn push(&mut self, mark: Mark) {
        if self.marks.len() < JOURNAL_DEFECTS_MAX.saturating_mul(8) {
            self.marks.push(mark);
        } else {
            self.full = true;
        }
    }

    /// The text of a dialogue for it. `ends_line`: what follows must begin a line.
    fn text(&self, ends_line: bool) -> String {
        let mut out = plain_lines(self.plain.saturating_add(count(&self.tail)));
        for mark in &self.marks {
            match mark {
                Mark::Cr => out.push_str("\\r"),
                Mark::Lf => out.push_str("\\n"),
                Mark::Dot => out.push('.'),
                Mark::Other(octets) => run(&mut out, *octets),
            }
        }
        if self.full && ends_line {
            out.push_str("x\\r\\n");
        }
        out
    }
}

/// So many letters.
fn run(out: &mut String, octets: u64) {
    if octets < 32 {
        (0..octets).for_each(|_| out.push('x'));
    } else {
        // Writing to a string does not fail.
        let _ = write!(out, "\\{{{octets}:x}}");
    }
}

/// Lines of letters that have so many octets together and end in CRLF, if they are two or more.
fn plain_lines(octets: u64) -> String {
    let mut out = String::new();
    let whole = octets.checked_div(LINE_OCTETS).unwrap_or_default();
    let rest = octets.saturating_sub(whole.saturating_mul(LINE_OCTETS));
    // A rest of one octet is no line: it goes into the last of the others.
    let (whole, rest) = if rest == 1 && whole > 0 {
        (whole.saturating_sub(1), LINE_OCTETS.saturating_add(1))
    } else {
        (whole, rest)
    };
    let line = "x".repeat(78);
    match whole {
        0 => {}
        1 => {
            let _ = write!(out, "{line}\\r\\n");
        }
        _ => {
            let _ = write!(out, "\\{{{whole}:{line}\\r\\n}}");
        }
    }
    match rest.checked_sub(2) {
        Some(letters) => {
            run(&mut out, letters);
            out.push_str("\\r\\n");
        }
        None => run(&mut out, rest),
    }
    out
}

fn count(piece: &[u8]) -> u64 {
    u64::try_from(piece.len()).unwrap_or(u64::MAX)
}

/// The data of a message, to its end.
#[derive(Debug, Default)]
pub(super) struct DataShape {
    cutter: DotCutter,
    shape: Shape,
    octets: u64,
}

impl DataShape {
    /// Takes octets up to the end of the message; says how many, and whether that was the end.
    pub(super) fn take(&mut self, input: &[u8], scratch: &mut Vec<u8>) -> (usize, bool) {
        scratch.clear();
        let (taken, cut) = self.cutter.cut(input, scratch);
        let piece = input.get(..taken).unwrap_or_default();
        self.octets = self.octets.saturating_add(count(piece));
        self.shape.feed(piece, !self.cutter.is_clean());
        (taken, cut == DotCut::End)
    }

    /// The text for it; `ended`: without the dot that ended it and its CRLF. Never more than `octets_max` octets of
    /// clean text, since beyond the largest message all are alike.
    pub(super) fn text(mut self, ended: bool, octets_max: u64) -> String {
        if ended {
            if self.shape.odd {
                if !self.shape.full {
                    self.shape.marks.truncate(self.shape.marks.len().saturating_sub(3));
                }
            } else {
                let plain = self.shape.plain.saturating_add(count(&self.shape.tail));
                self.shape.plain = plain.saturating_sub(3);
                self.shape.tail.clear();
            }
        }
        self.shape.plain = self.shape.plain.min(octets_max);
        self.shape.text(ended)
    }
}

/// A chunk: so many octets, whatever they are.
#[derive(Debug)]
pub(super) struct ChunkShape {
    left: u64,
    ends: LineEnds,
    shape: Shape,
}

impl ChunkShape {
    pub(super) fn new(octets: u64) -> Self {
        Self { left: octets, ends: LineEnds::new(), shape: Shape::default() }
    }

    /// Takes octets up to the end of the chunk; says how many, and whether that was the end.
    pub(super) fn take(&mut self, input: &[u8]) -> (usize, bool) {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let piece = input.get(..most).unwrap_or(input);
        self.left = self.left.saturating_sub(count(piece));
        self.ends.feed(piece);
        // A CR at the end of a piece is odd only if no LF follows.
        let waits = piece.ends_with(b"\r") && !self.shape.odd && self.left > 0;
        let odd = !self.ends.are_clean() && !waits;
        self.shape.feed(piece, odd);
        (piece.len(), self.left == 0)
    }

    /// The text for it where the message is one that goes round, of as many octets if there are enough for that.
    pub(super) fn loop_text(octets: u64) -> Option<String> {
        let field = "Received: x\\r\\n";
        let fields = u64::from(RECEIVED_FIELDS_MAX).saturating_add(1);
        let rest = octets.checked_sub(fields.saturating_mul(13))?;
        Some(format!("\\{{{fields}:{field}}}{}", plain_lines(rest)))
    }

    /// The text for it, of exactly as many octets; `None` if there were too many oddities for that.
    pub(super) fn text(&self) -> Option<String> {
        if self.shape.full { None } else { Some(self.shape.text(false)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialog::text::Text;
    use crate::types::Chance;

    fn octets(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        Text::parse(text).unwrap().expand(&mut out);
        out
    }

    #[test]
    fn lines_that_stand_for_a_body_have_as_many_octets() {
        for count in (0..500).chain([8_001, 100_000]) {
            let lines = octets(&plain_lines(count));
            assert_eq!(lines.len() as u64, count);
            assert!(count < 2 || lines.ends_with(b"\r\n"), "{count}");
        }
    }

    #[test]
    fn odd_line_ends_stay_and_words_go() {
        let mut shape = DataShape::default();
        let input = b"Subject: secret\r\nfoo\n.\nMAIL FROM:<me@example.org>\r\n.\r\r\n\r\n.\r\n";
        let (taken, ended) = shape.take(input, &mut Vec::new());
        assert_eq!((taken, ended), (input.len(), true));
        let text = shape.text(true, 1_000);
        assert!(!text.contains("secret") && text.contains(r"xxx\n.\n"), "{text}");
        assert!(text.ends_with(r"\r\n.\r\r\n\r\n"), "{text}");
    }

    #[test]
    fn a_body_and_what_stands_for_it_are_cut_alike_however_they_are_divided() {
        let mut chance = Chance::from_seed([9; 32]);
        for round in 0..3_000 {
            let mut input = Vec::new();
            for _ in 0..chance.below(30) {
                let piece: &[u8] = match chance.below(9) {
                    0 => b"\n",
                    1 => b"\r",
                    2 => b".",
                    3 | 4 => b"\r\n",
                    5 => b"\r\n.",
                    _ => b"word",
                };
                input.extend_from_slice(piece);
            }
            let (mut shape, mut taken, mut ended) = (DataShape::default(), 0, false);
            while taken < input.len() && !ended {
                let size = usize::try_from(chance.below(7)).unwrap() + 1;
                let piece = &input[taken..(taken + size).min(input.len())];
                let (more, end) = shape.take(piece, &mut Vec::new());
                taken += more;
                ended = end;
            }
            let (clean, octets_seen) = (shape.cutter.is_clean(), shape.octets);
            let mut again = octets(&shape.text(ended, 1_000_000));
            if ended {
                again.extend_from_slice(b".\r\n");
            }
            assert_eq!(again.len() as u64, octets_seen, "{round}: {input:?}");
            let mut cutter = DotCutter::new();
            let (all, cut) = cutter.cut(&again, &mut Vec::new());
            assert_eq!((all, cut == DotCut::End), (again.len(), ended), "{round}: {input:?} {again:?}");
            if ended {
                assert_eq!(cutter.is_clean(), clean, "{round}: {input:?}");
            }
        }
    }
}
