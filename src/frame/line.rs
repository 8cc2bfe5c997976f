//! Cuts a stream into lines.

use memchr::memchr_iter;
use zeroize::Zeroize;

/// Octets kept of a line that is too long.
pub const HEAD_OCTETS: usize = 5;

/// What [`LineCutter::cut`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Cut<'a> {
    /// All octets were taken, and no line ended yet.
    More,
    /// A line, without its CRLF.
    Line(&'a [u8]),
    /// A line over the ceiling ended; only its first octets were kept, to tell which command it was.
    TooLong([u8; HEAD_OCTETS]),
}

/// Cuts lines at CRLF and at nothing else: a lone CR or LF is part of the line, for the grammar to refuse.
#[derive(Debug, Default)]
pub struct LineCutter {
    /// The line so far; never longer than the ceiling.
    held: Vec<u8>,
    /// The line in `held` was handed out and is wiped before anything else happens.
    spent: bool,
    /// Octets of the current line that were thrown away; zero unless it is too long.
    skipped: u64,
    /// The last octet thrown away was a CR.
    skipped_cr: bool,
    /// The first octets of a line that is too long.
    head: [u8; HEAD_OCTETS],
}

impl LineCutter {
    /// A cutter at the start of a line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes octets up to the end of the next line. `ceiling` counts the line with its CRLF. Returns how many
    /// octets were taken: all of them, unless a line ended before.
    pub fn cut<'a>(&'a mut self, input: &'a [u8], ceiling: usize) -> (usize, Cut<'a>) {
        self.wipe_spent();
        match self.end_of_line(input) {
            None => {
                self.hold(input, ceiling);
                (input.len(), Cut::More)
            }
            Some(taken) => {
                let part = input.get(..taken).unwrap_or_default();
                (taken, self.finish(part, ceiling))
            }
        }
    }

    /// Whether nothing of a line has come yet.
    #[must_use]
    pub fn is_at_line_start(&self) -> bool {
        (self.spent || self.held.is_empty()) && self.skipped == 0
    }

    /// Octets thrown away of a line that has not ended yet.
    #[must_use]
    pub fn skipped_octets(&self) -> u64 {
        self.skipped
    }

    /// How many octets of `input` it takes to end the line.
    fn end_of_line(&self, input: &[u8]) -> Option<usize> {
        let before = if self.skipped > 0 { self.skipped_cr } else { self.held.last() == Some(&b'\r') };
        memchr_iter(b'\n', input)
            .find(|&at| match at.checked_sub(1) {
                None => before,
                Some(previous) => input.get(previous) == Some(&b'\r'),
            })
            .map(|at| at.saturating_add(1))
    }

    fn hold(&mut self, part: &[u8], ceiling: usize) {
        if self.skipped == 0 && self.held.len().saturating_add(part.len()) <= ceiling {
            self.held.extend_from_slice(part);
            return;
        }
        self.keep_head(part);
        let dropped = self.held.len().saturating_add(part.len());
        self.skipped = self.skipped.saturating_add(u64::try_from(dropped).unwrap_or(u64::MAX));
        if let Some(&last) = part.last() {
            self.skipped_cr = last == b'\r';
        }
        self.wipe();
    }

    fn finish<'a>(&'a mut self, part: &'a [u8], ceiling: usize) -> Cut<'a> {
        let total = self.held.len().saturating_add(part.len());
        if self.skipped > 0 || total > ceiling {
            self.keep_head(part);
            self.skipped = 0;
            self.skipped_cr = false;
            self.wipe();
            return Cut::TooLong(self.head);
        }
        let line = if self.held.is_empty() {
            part
        } else {
            self.held.extend_from_slice(part);
            self.spent = true;
            &self.held
        };
        Cut::Line(line.get(..line.len().saturating_sub(2)).unwrap_or_default())
    }

    /// Remembers how a line that is too long began; `part` is what follows what is held.
    fn keep_head(&mut self, part: &[u8]) {
        if self.skipped == 0 {
            self.head = [0; HEAD_OCTETS];
            for (to, from) in self.head.iter_mut().zip(self.held.iter().chain(part)) {
                *to = *from;
            }
        }
    }

    /// Lines can carry passwords, so what is let go is wiped, and its memory is given back.
    fn wipe(&mut self) {
        self.held.zeroize();
        self.held = Vec::new();
    }

    fn wipe_spent(&mut self) {
        if std::mem::take(&mut self.spent) {
            self.wipe();
        }
    }
}

impl Drop for LineCutter {
    fn drop(&mut self) {
        self.held.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every line and overlong line of `input`, given in the pieces that `sizes` says.
    fn lines(pieces: &[&[u8]], ceiling: usize) -> Vec<Option<Vec<u8>>> {
        let mut cutter = LineCutter::new();
        let mut found = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let (taken, cut) = cutter.cut(rest, ceiling);
                assert!(taken > 0);
                match cut {
                    Cut::More => assert_eq!(taken, rest.len()),
                    Cut::Line(line) => found.push(Some(line.to_vec())),
                    Cut::TooLong(_) => found.push(None),
                }
                rest = &rest[taken..];
                assert!(cutter.held.len() <= ceiling);
            }
        }
        found
    }

    #[test]
    fn only_crlf_ends_a_line() {
        assert_eq!(
            lines(&[b"a\nb\rc\r\r\nd\r\n\r\nrest"], 100),
            [Some(b"a\nb\rc\r".to_vec()), Some(b"d".to_vec()), Some(Vec::new())]
        );
    }

    #[test]
    fn the_ceiling_counts_the_crlf() {
        assert_eq!(
            lines(&[b"12345678\r\n123456789\r\nok\r\n"], 10),
            [Some(b"12345678".to_vec()), None, Some(b"ok".to_vec())]
        );
    }

    #[test]
    fn an_overlong_line_is_consumed_to_its_end_and_the_next_is_in_step() {
        let long = vec![b'x'; 100_000];
        let input = [&long[..], b"\rx\nx\r\nNOOP\r\n"].concat();
        assert_eq!(lines(&[&input], 512), [None, Some(b"NOOP".to_vec())]);
    }

    #[test]
    fn the_head_of_an_overlong_line_is_kept_however_it_was_divided() {
        let input = b"AUTH PLAIN xxxxxxxxxxxxxxxxxxxx\r\n";
        for at in 0..input.len() {
            let mut cutter = LineCutter::new();
            let (first, second) = (&input[..at], &input[at..]);
            assert_eq!(cutter.cut(first, 10).1, Cut::More);
            assert_eq!(cutter.cut(second, 10).1, Cut::TooLong(*b"AUTH "), "cut at {at}");
        }
    }

    #[test]
    fn every_division_gives_the_same_lines() {
        let input = b"EHLO a\r\n\r\nthis one is too long\r\r\n.\r\n\n\r\nlast";
        let whole = lines(&[input], 12);
        for first in 0..=input.len() {
            for second in first..=input.len() {
                let pieces = [&input[..first], &input[first..second], &input[second..]];
                assert_eq!(lines(&pieces, 12), whole, "cut at {first} and {second}");
            }
        }
        let single: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(lines(&single, 12), whole);
    }

    #[test]
    fn an_idle_cutter_holds_no_memory() {
        let mut cutter = LineCutter::new();
        cutter.cut(b"AUTH PLAIN c2VjcmV0", 512);
        assert!(!cutter.is_at_line_start());
        cutter.cut(b"\r\n", 512);
        assert!(cutter.is_at_line_start());
        cutter.cut(b"", 512);
        assert_eq!(cutter.held.capacity(), 0);
    }
}
