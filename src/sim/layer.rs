//! A toy in the place of TLS: a greeting each way, then records. It hides nothing, but like TLS it takes
//! nothing for its own that was not made by it, and it puts records together however they were cut.

/// What a client says first.
pub(super) const CLIENT_HELLO: &[u8] = b"\x16toy client hello\x16";
/// What a server says to that.
pub(super) const SERVER_HELLO: &[u8] = b"\x16toy server hello\x16";
/// Begins a record.
const RECORD: u8 = 0x17;
/// Octets of a record's head: its type and two octets of length.
const HEAD_OCTETS: usize = 3;
/// Octets of a record's content at the most.
const RECORD_OCTETS_MAX: usize = 1_024;
/// Makes the content look different from what it is.
const MASK: u8 = 0x5a;

/// One end of one connection.
#[derive(Debug)]
pub(super) enum Layer {
    /// In the clear.
    Plain,
    /// The other end's greeting is awaited; what came of it so far.
    Hello(&'static [u8], Vec<u8>),
    /// Records; what came of the next one so far.
    Records(Vec<u8>),
    /// Something else came than what was awaited.
    Broken,
}

/// What octets from the network meant.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// The greeting was completed.
    pub(super) came_up: bool,
    /// It was not what was awaited.
    pub(super) broke: bool,
    /// Content.
    pub(super) content: Vec<u8>,
}

impl Layer {
    pub(super) fn awaiting(hello: &'static [u8]) -> Self {
        Self::Hello(hello, Vec::new())
    }

    /// Content as it travels.
    pub(super) fn seal(&self, content: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => content.to_vec(),
            Self::Records(_) => {
                let mut raw = Vec::new();
                let mut rest = content;
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at_checked(RECORD_OCTETS_MAX).unwrap_or((rest, &[]));
                    rest = after;
                    raw.push(RECORD);
                    raw.extend(u16::try_from(piece.len()).unwrap_or(0).to_be_bytes());
                    raw.extend(piece.iter().map(|octet| octet ^ MASK));
                }
                raw
            }
            Self::Hello(..) | Self::Broken => Vec::new(),
        }
    }

    /// Takes what came.
    pub(super) fn open(&mut self, raw: &[u8]) -> Opened {
        let mut opened = Opened::default();
        match std::mem::replace(self, Self::Broken) {
            Self::Plain => {
                opened.content = raw.to_vec();
                *self = Self::Plain;
            }
            Self::Hello(hello, mut held) => {
                held.extend_from_slice(raw);
                if let Some(rest) = held.strip_prefix(hello) {
                    opened.came_up = true;
                    *self = Self::Records(Vec::new());
                    let after = self.open(rest);
                    opened.content = after.content;
                    opened.broke = after.broke;
                } else if hello.starts_with(&held) {
                    *self = Self::Hello(hello, held);
                } else {
                    opened.broke = true;
                }
            }
            Self::Records(mut held) => {
                held.extend_from_slice(raw);
                match records(&held, &mut opened.content) {
                    Some(rest) => *self = Self::Records(rest),
                    None => opened.broke = true,
                }
            }
            Self::Broken => opened.broke = true,
        }
        opened
    }
}

/// Reads complete records and returns what is left; `None` if that is no record.
fn records(mut held: &[u8], content: &mut Vec<u8>) -> Option<Vec<u8>> {
    while let Some((&first, rest)) = held.split_first() {
        if first != RECORD {
            return None;
        }
        let [high, low, after @ ..] = rest else { break };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(piece) = after.get(..length) else { break };
        content.extend(piece.iter().map(|octet| octet ^ MASK));
        held = held.get(HEAD_OCTETS + length..).unwrap_or_default();
    }
    Some(held.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_arrives_however_it_was_cut() {
        let content: Vec<u8> = (0..3_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let mut raw = CLIENT_HELLO.to_vec();
        raw.extend(Layer::Records(Vec::new()).seal(&content));
        for size in [1, 7, 1_000, raw.len()] {
            let mut layer = Layer::awaiting(CLIENT_HELLO);
            let mut got = Vec::new();
            for piece in raw.chunks(size) {
                let opened = layer.open(piece);
                assert!(!opened.broke);
                got.extend(opened.content);
            }
            assert_eq!(got, content);
        }
    }

    #[test]
    fn plaintext_is_no_greeting() {
        assert!(Layer::awaiting(CLIENT_HELLO).open(b"MAIL FROM:<a@b.example>\r\n").broke);
    }
}
