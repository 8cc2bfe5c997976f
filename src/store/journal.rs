//! Reads the database's journal far enough to say where its last whole batch ends.
//!
//! The database refuses to open when the unsynced end of its journal was written in part (a power cut may
//! lose any page of it), and stops silently at a hole of zeros. Both are told from a clean end here, before
//! it sees the file. The format (journal format 3, all numbers little-endian):
//!
//! | entry | octets |
//! |---|---|
//! | start of a batch | 1, item count (4), sequence number (8) |
//! | item | 2, value type (1), compression (1), keyspace (8), key length (2), value length (4), stored length (4), key, stored value |
//! | clear | 4, keyspace (8) |
//! | end of a batch | 3, XXH3-64 of all items and clears of the batch (8), `FJL` 3 |
//!
//! A new journal is preallocated with zeros, which is why zeros after the last batch are a clean end. The
//! start is outside the checksum: its count must fit the items, and sequence numbers must ascend.

use super::keys::{MARK_VALUE_OFFSET, META_KEY_OCTETS};
use crate::limits::JOURNAL_READ_OCTETS;
use std::io::{self, BufRead, Read};
use xxhash_rust::xxh3::Xxh3;

/// Marks the end of a batch as complete.
const TRAILER: [u8; 4] = *b"FJL\x03";
/// Sequence numbers from here on are never given out; the highest bit belongs to transactions.
const SEQUENCE_MAX: u64 = 1 << 62;
/// Octets of the start of a batch.
const START_OCTETS: usize = 13;
/// Octets of an item in front of its key, without the tag.
const ITEM_HEAD_OCTETS: usize = 20;
/// Where in a synced batch the sync mark stands: in its first item.
pub const MARK_OFFSET: usize = START_OCTETS + 1 + ITEM_HEAD_OCTETS + META_KEY_OCTETS + MARK_VALUE_OFFSET;

/// Why reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The file ended where a batch could have begun.
    EndOfFile,
    /// A zero stands where a batch could have begun: preallocated space, or a hole.
    Zero,
    /// The file ended inside a batch.
    CutShort,
    /// Something stands there that is no entry.
    NoEntry,
    /// An entry stands where it may not.
    Misplaced,
    /// More or fewer items than the start of the batch says.
    ItemCount,
    /// The items are not those that were written.
    Checksum,
    /// The sequence number does not ascend.
    Sequence,
}

impl Stop {
    /// The reason in words, after "the journal ends there because".
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::EndOfFile => "the file ends",
            Self::Zero => "zeros follow",
            Self::CutShort => "the file ends inside a batch",
            Self::NoEntry => "what follows is no journal entry",
            Self::Misplaced => "a journal entry stands where it may not",
            Self::ItemCount => "a batch has more or fewer items than it says",
            Self::Checksum => "the checksum of a batch is wrong",
            Self::Sequence => "a sequence number does not ascend",
        }
    }
}

/// What a journal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scan {
    /// Octets up to the end of the last whole batch.
    pub whole_octets: u64,
    /// Whole batches.
    pub batches: u64,
    /// Sequence number of the last whole batch, or the one given if there is none.
    pub sequence: Option<u64>,
    /// What stands after it.
    pub stop: Stop,
}

/// Reads batches until one is not whole. `after` is the last sequence number of the journal before this one.
///
/// # Errors
/// When the file cannot be read; what it holds is never an error.
pub fn scan(file: impl Read, after: Option<u64>) -> io::Result<Scan> {
    let mut journal = Journal::new(file);
    let mut scan = Scan { whole_octets: 0, batches: 0, sequence: after, stop: Stop::EndOfFile };
    loop {
        match journal.batch(scan.sequence) {
            Ok(sequence) => {
                scan.whole_octets = journal.at;
                scan.batches = scan.batches.saturating_add(1);
                scan.sequence = Some(sequence);
            }
            Err(Halt::Stop(stop)) => return Ok(Scan { stop, ..scan }),
            Err(Halt::Io(error)) => return Err(error),
        }
    }
}

/// Octets of the batch that `file` begins with, if it is whole.
///
/// # Errors
/// When the file cannot be read.
pub fn whole_batch(file: impl Read) -> io::Result<Option<u64>> {
    let mut journal = Journal::new(file);
    match journal.batch(None) {
        Ok(_) => Ok(Some(journal.at)),
        Err(Halt::Stop(_)) => Ok(None),
        Err(Halt::Io(error)) => Err(error),
    }
}

/// Either the journal ends or reading it fails.
enum Halt {
    Stop(Stop),
    Io(io::Error),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

struct Journal<R> {
    file: io::BufReader<R>,
    /// Octets taken.
    at: u64,
}

impl<R: Read> Journal<R> {
    fn new(file: R) -> Self {
        Self { file: io::BufReader::with_capacity(JOURNAL_READ_OCTETS, file), at: 0 }
    }

    /// Reads one batch and gives its sequence number.
    fn batch(&mut self, after: Option<u64>) -> Result<u64, Halt> {
        match self.tag()? {
            None => return Err(Halt::Stop(Stop::EndOfFile)),
            Some(0) => return Err(Halt::Stop(Stop::Zero)),
            Some(1) => {}
            Some(2..=4) => return Err(Halt::Stop(Stop::Misplaced)),
            Some(_) => return Err(Halt::Stop(Stop::NoEntry)),
        }
        let mut items_left = u32::from_le_bytes(self.array()?);
        let sequence = u64::from_le_bytes(self.array()?);
        if sequence >= SEQUENCE_MAX || after.is_some_and(|after| sequence <= after) {
            return Err(Halt::Stop(Stop::Sequence));
        }
        let mut hash = Xxh3::new();
        loop {
            let tag = self.tag()?.ok_or(Halt::Stop(Stop::CutShort))?;
            if tag == 3 {
                self.end(items_left, hash.digest())?;
                return Ok(sequence);
            }
            if tag == 1 {
                return Err(Halt::Stop(Stop::Misplaced));
            }
            hash.update(&[tag]);
            match tag {
                2 => self.item(&mut hash)?,
                4 => hash.update(&self.array::<8>()?),
                _ => return Err(Halt::Stop(Stop::NoEntry)),
            }
            items_left = items_left.checked_sub(1).ok_or(Halt::Stop(Stop::ItemCount))?;
        }
    }

    fn end(&mut self, items_left: u32, digest: u64) -> Result<(), Halt> {
        let checksum = u64::from_le_bytes(self.array()?);
        let trailer: [u8; 4] = self.array()?;
        if trailer != TRAILER {
            return Err(Halt::Stop(Stop::NoEntry));
        }
        if items_left != 0 {
            return Err(Halt::Stop(Stop::ItemCount));
        }
        if checksum != digest {
            return Err(Halt::Stop(Stop::Checksum));
        }
        Ok(())
    }

    fn item(&mut self, hash: &mut Xxh3) -> Result<(), Halt> {
        let head: [u8; ITEM_HEAD_OCTETS] = self.array()?;
        hash.update(&head);
        let [value_type, compression, _, _, _, _, _, _, _, _, k0, k1, v0, v1, v2, v3, s0, s1, s2, s3] = head;
        // The database stops without a word at a type it does not know.
        if !matches!(value_type, 0..=2) || !matches!(compression, 0 | 1) {
            return Err(Halt::Stop(Stop::NoEntry));
        }
        let stored = u32::from_le_bytes([s0, s1, s2, s3]);
        if compression == 0 && stored != u32::from_le_bytes([v0, v1, v2, v3]) {
            return Err(Halt::Stop(Stop::Checksum));
        }
        let key = u64::from(u16::from_le_bytes([k0, k1]));
        self.hash_octets(key.saturating_add(u64::from(stored)), hash)
    }

    /// Feeds so many octets to the checksum, whatever their number, in bounded memory.
    fn hash_octets(&mut self, count: u64, hash: &mut Xxh3) -> Result<(), Halt> {
        let mut left = count;
        while left > 0 {
            let buffer = self.fill()?;
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            let piece = buffer.get(..most).unwrap_or(buffer);
            if piece.is_empty() {
                return Err(Halt::Stop(Stop::CutShort));
            }
            hash.update(piece);
            let taken = piece.len();
            self.take(taken);
            left = left.saturating_sub(u64::try_from(taken).unwrap_or(left));
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Halt> {
        let mut out = [0; N];
        let mut to = out.as_mut_slice();
        while !to.is_empty() {
            let buffer = self.fill()?;
            if buffer.is_empty() {
                return Err(Halt::Stop(Stop::CutShort));
            }
            let taken = to.len().min(buffer.len());
            for (to, from) in to.iter_mut().zip(buffer) {
                *to = *from;
            }
            self.take(taken);
            to = to.get_mut(taken..).unwrap_or_default();
        }
        Ok(out)
    }

    /// One octet, or `None` at the end of the file.
    fn tag(&mut self) -> Result<Option<u8>, Halt> {
        let tag = self.fill()?.first().copied();
        if tag.is_some() {
            self.take(1);
        }
        Ok(tag)
    }

    /// What is buffered, read anew if that is nothing; empty only at the end of the file.
    fn fill(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.file.fill_buf() {
                // Borrowed anew outside the loop's borrow.
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.file.buffer())
    }

    fn take(&mut self, count: usize) {
        self.file.consume(count);
        self.at = self.at.saturating_add(u64::try_from(count).unwrap_or(0));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::types::Chance;

    /// A batch as the database writes it.
    pub(crate) fn batch(sequence: u64, items: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut out = vec![1];
        out.extend_from_slice(&u32::try_from(items.len()).unwrap().to_le_bytes());
        out.extend_from_slice(&sequence.to_le_bytes());
        let mut body = Vec::new();
        for (key, value) in items {
            body.extend_from_slice(&[2, 0, 0]);
            body.extend_from_slice(&3_u64.to_le_bytes());
            body.extend_from_slice(&u16::try_from(key.len()).unwrap().to_le_bytes());
            let octets = u32::try_from(value.len()).unwrap().to_le_bytes();
            body.extend_from_slice(&octets);
            body.extend_from_slice(&octets);
            body.extend_from_slice(key);
            body.extend_from_slice(value);
        }
        let mut hash = Xxh3::new();
        hash.update(&body);
        out.extend_from_slice(&body);
        out.push(3);
        out.extend_from_slice(&hash.digest().to_le_bytes());
        out.extend_from_slice(&TRAILER);
        out
    }

    fn three() -> (Vec<u8>, Vec<u64>) {
        let long = [b'x'; 5_000];
        let mut out = Vec::new();
        let mut ends = vec![0];
        for one in [
            batch(4, &[(b"key", b"value")]),
            batch(6, &[(b"a", &long), (b"b", b"")]),
            batch(7, &[(b"last", b"one")]),
        ] {
            out.extend_from_slice(&one);
            ends.push(u64::try_from(out.len()).unwrap());
        }
        (out, ends)
    }

    fn last_end_before(ends: &[u64], at: usize) -> u64 {
        ends.iter().copied().filter(|end| *end <= u64::try_from(at).unwrap()).max().unwrap()
    }

    #[test]
    fn whole_batches_are_counted_to_the_end() {
        let (octets, ends) = three();
        let scan = scan(octets.as_slice(), Some(3)).unwrap();
        assert_eq!(
            scan,
            Scan { whole_octets: ends[3], batches: 3, sequence: Some(7), stop: Stop::EndOfFile }
        );
    }

    #[test]
    fn zeros_after_the_last_batch_are_a_clean_end() {
        let (mut octets, ends) = three();
        octets.extend_from_slice(&[0; 200_000]);
        let scan = scan(octets.as_slice(), None).unwrap();
        assert_eq!((scan.whole_octets, scan.stop), (ends[3], Stop::Zero));
    }

    #[test]
    fn an_empty_journal_is_whole() {
        assert_eq!(scan(&[] as &[u8], None).unwrap().stop, Stop::EndOfFile);
        assert_eq!(scan([0; 100].as_slice(), Some(9)).unwrap().sequence, Some(9));
    }

    #[test]
    fn a_cut_anywhere_ends_at_the_batch_before() {
        let (octets, ends) = three();
        for at in 0..octets.len() {
            let scan = scan(&octets[..at], None).unwrap();
            assert_eq!(scan.whole_octets, last_end_before(&ends, at), "{at}");
        }
    }

    #[test]
    fn a_changed_octet_ends_at_the_batch_it_is_in() {
        let (octets, ends) = three();
        let mut chance = Chance::from_seed([6; 32]);
        for at in 0..octets.len() {
            let mut changed = octets.clone();
            changed[at] ^= 1 << chance.below(8);
            let scan = scan(changed.as_slice(), Some(3)).unwrap();
            let end = last_end_before(&ends, at);
            // A sequence number is outside the checksum: raised, it is only seen at the next batch.
            let sequence_of = |start: u64| {
                let start = usize::try_from(start).unwrap() + 5;
                (start..start + 8).contains(&at)
            };
            if sequence_of(end) && changed[at] > octets[at] {
                assert!(scan.whole_octets >= end, "{at}");
            } else {
                assert_eq!(scan.whole_octets, end, "{at}");
            }
        }
    }

    #[test]
    fn a_hole_of_zeros_ends_there_although_whole_batches_follow() {
        let (octets, ends) = three();
        for (index, start) in ends.iter().take(3).enumerate() {
            let from = usize::try_from(*start).unwrap();
            let to = usize::try_from(ends[index + 1]).unwrap();
            let mut holed = octets.clone();
            holed[from..to].fill(0);
            let scan = scan(holed.as_slice(), None).unwrap();
            assert_eq!((scan.whole_octets, scan.stop), (*start, Stop::Zero));
        }
    }

    #[test]
    fn a_sequence_that_does_not_ascend_ends_the_journal() {
        let mut octets = batch(5, &[(b"a", b"1")]);
        let end = u64::try_from(octets.len()).unwrap();
        octets.extend_from_slice(&batch(5, &[(b"b", b"2")]));
        let found = scan(octets.as_slice(), None).unwrap();
        assert_eq!((found.whole_octets, found.stop), (end, Stop::Sequence));
        assert_eq!(scan(octets.as_slice(), Some(5)).unwrap().stop, Stop::Sequence);
        let high = batch(1 << 63, &[(b"a", b"1")]);
        assert_eq!(scan(high.as_slice(), None).unwrap().stop, Stop::Sequence);
    }

    #[test]
    fn a_count_that_does_not_fit_ends_the_journal() {
        for count in [0_u8, 1, 3] {
            let mut octets = batch(1, &[(b"a", b"1"), (b"b", b"2")]);
            octets[1] = count;
            assert_eq!(scan(octets.as_slice(), None).unwrap().stop, Stop::ItemCount, "{count}");
        }
    }

    #[test]
    fn a_huge_length_costs_no_memory_and_is_cut_short() {
        let mut octets = batch(1, &[(b"a", b"1")]);
        octets[26..34].fill(0xff);
        assert_eq!(scan(octets.as_slice(), None).unwrap().stop, Stop::CutShort);
    }

    #[test]
    fn octets_that_come_one_at_a_time_are_read_the_same() {
        struct Drip<'a>(&'a [u8]);
        impl Read for Drip<'_> {
            fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
                let one = to.len().min(1);
                self.0.read(&mut to[..one])
            }
        }
        let (octets, _) = three();
        assert_eq!(scan(Drip(&octets), None).unwrap(), scan(octets.as_slice(), None).unwrap());
    }

    #[test]
    fn noise_is_never_a_batch() {
        let mut chance = Chance::from_seed([8; 32]);
        for _ in 0..2_000 {
            let mut noise = chance.octets().to_vec();
            noise[0] = 1;
            noise[5..13].fill(0);
            noise[13] = u8::try_from(chance.below(5)).unwrap();
            assert_eq!(scan(noise.as_slice(), None).unwrap().whole_octets, 0);
        }
    }
}
