//! Cuts a BDAT chunk (RFC 3030): so many octets, whatever they are.

/// Counts down a chunk.
#[derive(Debug)]
pub struct ChunkCutter {
    left: u64,
}

impl ChunkCutter {
    /// A cutter in front of a chunk of `octets`.
    #[must_use]
    pub fn new(octets: u64) -> Self {
        Self { left: octets }
    }

    /// The part of `input` that belongs to the chunk.
    pub fn cut<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let part = match usize::try_from(self.left) {
            Ok(left) => input.get(..left).unwrap_or(input),
            Err(_) => input,
        };
        self.left = self.left.saturating_sub(u64::try_from(part.len()).unwrap_or(u64::MAX));
        part
    }

    /// Whether the chunk is complete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.left == 0
    }
}

/// Watches text pass and remembers whether a CR or LF stood alone (RFC 5321 section 2.3.8). The text may be
/// divided anywhere, a chunk's border between CR and LF included.
#[derive(Debug, Default)]
pub struct LineEnds {
    after_cr: bool,
    lone: bool,
}

impl LineEnds {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sees octets pass.
    pub fn feed(&mut self, octets: &[u8]) {
        if self.lone {
            return;
        }
        let mut from = 0_usize;
        while let Some(rest) = octets.get(from..).filter(|rest| !rest.is_empty()) {
            if self.after_cr {
                self.lone |= rest.first() != Some(&b'\n');
                self.after_cr = rest.first() == Some(&b'\r');
                from = from.saturating_add(1);
                continue;
            }
            let Some(at) = memchr::memchr2(b'\r', b'\n', rest) else { return };
            self.after_cr = rest.get(at) == Some(&b'\r');
            self.lone |= !self.after_cr;
            from = from.saturating_add(at).saturating_add(1);
        }
    }

    /// Whether every CR so far was followed by LF, and every LF preceded by CR. Asked at the end of the text.
    #[must_use]
    pub fn are_clean(&self) -> bool {
        !self.lone && !self.after_cr
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_takes_its_octets_and_no_more() {
        let mut cutter = ChunkCutter::new(5);
        assert_eq!(cutter.cut(b"abc"), b"abc");
        assert!(!cutter.is_done());
        assert_eq!(cutter.cut(b"deQUIT\r\n"), b"de");
        assert!(cutter.is_done());
        assert_eq!(cutter.cut(b"QUIT\r\n"), b"");
    }

    #[test]
    fn a_chunk_of_no_octets_is_done_at_once() {
        assert!(ChunkCutter::new(0).is_done());
    }

    #[test]
    fn a_size_near_the_end_of_the_numbers_does_not_wrap() {
        let mut cutter = ChunkCutter::new(u64::MAX);
        assert_eq!(cutter.cut(b"abc"), b"abc");
        assert!(!cutter.is_done());
    }

    fn clean(pieces: &[&[u8]]) -> bool {
        let mut ends = LineEnds::new();
        pieces.iter().for_each(|piece| ends.feed(piece));
        ends.are_clean()
    }

    #[test]
    fn lone_line_ends_are_seen_however_the_text_is_divided() {
        for (text, expected) in [
            (&b"a\r\nb\r\n"[..], true),
            (b"no line end", true),
            (b"a\nb\r\n", false),
            (b"a\rb\r\n", false),
            (b"a\r\r\nb", false),
            (b"a\r", false),
            (b"\n", false),
        ] {
            for first in 0..=text.len() {
                for second in first..=text.len() {
                    let pieces = [&text[..first], &text[first..second], &text[second..]];
                    assert_eq!(clean(&pieces), expected, "{:?}", text.escape_ascii().to_string());
                }
            }
        }
    }
}
