//! Cuts the data of a message at its end, and undoes dot-stuffing (RFC 5321 section 4.5.2).
//!
//! Only `CRLF . CRLF` ends a message. A lone CR or LF anywhere makes it unclean, and an unclean message is
//! read to its end and refused: servers that disagree on what such octets mean let one message be smuggled
//! inside another (CVE-2023-51764 and its kin).

use memchr::memchr2;

/// Where in a line the cutter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Behind a CRLF, that of the DATA command included.
    LineStart,
    /// Behind a dot at the start of a line.
    Dot,
    /// Behind a dot at the start of a line and a CR.
    DotCr,
    /// Inside a line.
    Text,
    /// Behind a CR inside a line.
    Cr,
}

/// What [`DotCutter::cut`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DotCut {
    /// All octets were taken; the message goes on.
    More,
    /// The message ended.
    End,
}

/// The machine. It holds no octets.
#[derive(Debug)]
pub struct DotCutter {
    at: At,
    clean: bool,
}

impl Default for DotCutter {
    fn default() -> Self {
        Self { at: At::LineStart, clean: true }
    }
}

impl DotCutter {
    /// A cutter behind the CRLF of the DATA command.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether no lone CR or LF was seen so far. What was put out of an unclean message has no meaning.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.clean
    }

    /// Takes octets up to the end of the message and appends what they mean to `out`. Returns how many were
    /// taken: all of them, unless the message ended before. Nothing is appended once the message is unclean.
    pub fn cut(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, DotCut) {
        let mut taken = 0_usize;
        while let Some(rest) = input.get(taken..).filter(|rest| !rest.is_empty()) {
            if self.at == At::Text {
                let run = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                self.put(rest.get(..run).unwrap_or_default(), out);
                taken = taken.saturating_add(run);
                if run == rest.len() {
                    break;
                }
            }
            let Some(&octet) = input.get(taken) else { break };
            taken = taken.saturating_add(1);
            if self.octet(octet, out) == DotCut::End {
                return (taken, DotCut::End);
            }
        }
        (taken, DotCut::More)
    }

    fn put(&self, octets: &[u8], out: &mut Vec<u8>) {
        if self.clean {
            out.extend_from_slice(octets);
        }
    }

    fn octet(&mut self, octet: u8, out: &mut Vec<u8>) -> DotCut {
        self.at = match (self.at, octet) {
            (At::DotCr, b'\n') => return DotCut::End,
            (At::Cr, b'\n') => {
                self.put(b"\r\n", out);
                At::LineStart
            }
            (At::LineStart, b'.') => At::Dot,
            (At::Dot, b'\r') => At::DotCr,
            (At::LineStart | At::Text, b'\r') => At::Cr,
            (At::LineStart | At::Dot | At::Text, b'\n') => self.lone(),
            (At::Cr | At::DotCr, b'\r') => {
                self.lone();
                At::Cr
            }
            (At::Cr | At::DotCr, _) => self.lone(),
            (At::LineStart | At::Dot | At::Text, _) => {
                self.put(&[octet], out);
                At::Text
            }
        };
        DotCut::More
    }

    /// A lone CR or LF: it starts no line.
    fn lone(&mut self) -> At {
        self.clean = false;
        At::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the pieces mean: the message and its cleanliness if it ended, and how many octets were taken.
    fn read(pieces: &[&[u8]]) -> (Option<(Vec<u8>, bool)>, usize) {
        let mut cutter = DotCutter::new();
        let mut out = Vec::new();
        let mut total = 0;
        for piece in pieces {
            let (taken, cut) = cutter.cut(piece, &mut out);
            total += taken;
            if cut == DotCut::End {
                let meant = if cutter.is_clean() { out } else { Vec::new() };
                return (Some((meant, cutter.is_clean())), total);
            }
            assert_eq!(taken, piece.len());
        }
        (None, total)
    }

    #[test]
    fn dots_are_unstuffed_and_the_end_is_taken_exactly() {
        let input = b"a\r\n..b\r\n.c\r\n...\r\n.\r\nQUIT\r\n";
        let (message, taken) = read(&[input]);
        assert_eq!(message, Some((b"a\r\n.b\r\nc\r\n..\r\n".to_vec(), true)));
        assert_eq!(&input[taken..], b"QUIT\r\n");
    }

    #[test]
    fn an_empty_message_is_a_dot_alone() {
        assert_eq!(read(&[b".\r\n"]), (Some((Vec::new(), true)), 3));
    }

    #[test]
    fn no_other_form_ends_a_message() {
        for form in [
            &b"a\n.\n"[..],
            b"a\r\n.\n",
            b"a\n.\r\n",
            b"a\r.\r\n",
            b"a\r.\r",
            b"a\r\n.\r",
            b"a\r\n.\r\r\n",
            b"a\r\n.\0\r\n",
            b"a\r\n. \r\n",
            b"a\r\n.\rb\r\n",
            b"a\n\n.\r\n",
            b"a\r\r\n..\r\n",
        ] {
            assert_eq!(read(&[form]).0, None, "{:?}", form.escape_ascii().to_string());
        }
    }

    #[test]
    fn a_lone_cr_or_lf_makes_the_message_unclean() {
        for form in [
            &b"a\nb\r\n.\r\n"[..],
            b"a\rb\r\n.\r\n",
            b"\n\r\n.\r\n",
            b"a\r\r\n.\r\n",
            b".\n\r\n.\r\n",
            b".\rb\r\n.\r\n",
        ] {
            assert_eq!(read(&[form]).0, Some((Vec::new(), false)), "{:?}", form.escape_ascii().to_string());
        }
    }

    #[test]
    fn every_division_means_the_same() {
        for input in [&b"a\r\n..b\r\n.\r\r\n\r\n.c\n.\r\n.\r\nX"[..], b"x\r\n.y\r\n..\r\n\r\n.\r\nQUIT\r\n"] {
            let whole = read(&[input]);
            for first in 0..=input.len() {
                for second in first..=input.len() {
                    let pieces = [&input[..first], &input[first..second], &input[second..]];
                    assert_eq!(read(&pieces), whole, "cut at {first} and {second}");
                }
            }
        }
    }
}
