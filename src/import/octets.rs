//! Octets, however they were cut, to lines with a ceiling.

use crate::limits;
use memchr::memchr;

/// What was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'o> {
    /// A line without its line end.
    Line(&'o [u8]),
    /// A line that was longer than [`limits::IMPORT_LINE_OCTETS_MAX`]; nothing of it is kept.
    TooLong,
}

/// Lines of one file.
#[derive(Debug, Default)]
pub struct Lines {
    carry: Vec<u8>,
    overlong: bool,
    number: u64,
}

impl Lines {
    /// Lines of a file that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next octets; gives every line that ends in them to `each`, with its number from 1.
    pub fn push(&mut self, octets: &[u8], mut each: impl FnMut(u64, Piece<'_>)) {
        let mut rest = octets;
        while let Some(end) = memchr(b'\n', rest) {
            let (head, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            rest = tail.split_first().map_or(&[][..], |(_, after)| after);
            if self.carry.is_empty() && !self.overlong && head.len() <= limits::IMPORT_LINE_OCTETS_MAX {
                self.number = self.number.saturating_add(1);
                each(self.number, Piece::Line(bare(head)));
            } else {
                self.keep(head);
                self.end_line(&mut each);
            }
        }
        self.keep(rest);
    }

    /// The file has ended: what stands behind its last line end is a line too.
    pub fn end(&mut self, mut each: impl FnMut(u64, Piece<'_>)) {
        if self.overlong || !self.carry.is_empty() {
            self.end_line(&mut each);
        }
    }

    /// Drops the beginning of a line whose end cannot be read.
    pub fn drop_unfinished(&mut self) {
        self.overlong = false;
        self.carry = Vec::new();
    }

    /// The number of the line that comes next.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.number.saturating_add(1)
    }

    fn keep(&mut self, octets: &[u8]) {
        if self.overlong {
            return;
        }
        if self.carry.len().saturating_add(octets.len()) > limits::IMPORT_LINE_OCTETS_MAX {
            self.overlong = true;
            self.carry = Vec::new();
        } else {
            self.carry.extend_from_slice(octets);
        }
    }

    fn end_line(&mut self, each: &mut impl FnMut(u64, Piece<'_>)) {
        self.number = self.number.saturating_add(1);
        if std::mem::take(&mut self.overlong) {
            each(self.number, Piece::TooLong);
        } else {
            let line = std::mem::take(&mut self.carry);
            each(self.number, Piece::Line(bare(&line)));
        }
    }
}

fn bare(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut lines = Lines::new();
        let mut all = Vec::new();
        let mut each = |number, piece: Piece<'_>| {
            all.push((
                number,
                match piece {
                    Piece::Line(line) => Some(line.to_vec()),
                    Piece::TooLong => None,
                },
            ));
        };
        for piece in pieces {
            lines.push(piece, &mut each);
        }
        lines.end(&mut each);
        all
    }

    #[test]
    fn lines_do_not_depend_on_how_octets_are_cut() {
        let long = vec![b'x'; limits::IMPORT_LINE_OCTETS_MAX + 1];
        let mut octets = b"one\r\n\ntwo\n".to_vec();
        octets.extend_from_slice(&long);
        octets.extend_from_slice(b"\nlast");
        let whole = cut(&[&octets]);
        assert_eq!(whole.len(), 5);
        assert_eq!(whole[3], (4, None));
        assert_eq!(whole[4], (5, Some(b"last".to_vec())));
        for size in [1, 2, 3, 7, 1_000, 20_000] {
            let pieces: Vec<&[u8]> = octets.chunks(size).collect();
            assert_eq!(cut(&pieces), whole, "pieces of {size}");
        }
    }
}
