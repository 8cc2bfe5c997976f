//! SipHash-2-4 (Aumasson and Bernstein, 2012) over words: where an entry lies in a table is not for a peer to
//! choose.

use crate::types::{Chance, Prefix};
use std::net::IpAddr;

/// A secret key, made anew with each start.
#[derive(Clone, Copy)]
pub(super) struct Key(u64, u64);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    pub(super) fn new(chance: &mut Chance) -> Self {
        Self(chance.u64(), chance.u64())
    }

    /// The hash of words.
    pub(super) fn words(self, words: impl IntoIterator<Item = u64>) -> u64 {
        let mut state = State::new(self);
        let mut count = 0_u64;
        for word in words {
            state.absorb(word);
            count = count.wrapping_add(8);
        }
        state.absorb(count << 56);
        state.finish()
    }

    /// The hash of octets.
    pub(super) fn octets(self, octets: &[u8]) -> u64 {
        let (whole, rest) = octets.as_chunks::<8>();
        let rest = rest.iter().rev().fold(0_u64, |word, octet| (word << 8) | u64::from(*octet));
        let length = u64::try_from(octets.len()).unwrap_or(u64::MAX);
        let mut state = State::new(self);
        for word in whole {
            state.absorb(u64::from_le_bytes(*word));
        }
        state.absorb((length << 56) | rest);
        state.finish()
    }
}

struct State {
    a: u64,
    b: u64,
    c: u64,
    d: u64,
}

impl State {
    fn new(Key(first, second): Key) -> Self {
        Self {
            a: first ^ 0x736f_6d65_7073_6575,
            b: second ^ 0x646f_7261_6e64_6f6d,
            c: first ^ 0x6c79_6765_6e65_7261,
            d: second ^ 0x7465_6462_7974_6573,
        }
    }

    fn round(&mut self) {
        let Self { a, b, c, d } = self;
        *a = a.wrapping_add(*b);
        *c = c.wrapping_add(*d);
        *b = b.rotate_left(13) ^ *a;
        *d = d.rotate_left(16) ^ *c;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*b);
        *a = a.wrapping_add(*d);
        *b = b.rotate_left(17) ^ *c;
        *d = d.rotate_left(21) ^ *a;
        *c = c.rotate_left(32);
    }

    fn absorb(&mut self, word: u64) {
        self.d ^= word;
        self.round();
        self.round();
        self.a ^= word;
    }

    fn finish(mut self) -> u64 {
        self.c ^= 0xff;
        for _ in 0..4 {
            self.round();
        }
        self.a ^ self.b ^ self.c ^ self.d
    }
}

/// What can be a key of a table.
pub(super) trait Keyed: Copy + Eq {
    fn hash(&self, key: Key) -> u64;
}

impl Keyed for u64 {
    fn hash(&self, key: Key) -> u64 {
        key.words([*self])
    }
}

/// Family, length and address in three words.
fn words(prefix: &Prefix) -> [u64; 3] {
    let low = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(u64::MAX);
    let length = u64::from(prefix.length());
    match prefix.first() {
        IpAddr::V4(v4) => [length, 0, u64::from(v4.to_bits())],
        IpAddr::V6(v6) => [length | 0x100, low(v6.to_bits() >> 64), low(v6.to_bits())],
    }
}

impl Keyed for Prefix {
    fn hash(&self, key: Key) -> u64 {
        key.words(words(self))
    }
}

impl Keyed for (u64, Prefix) {
    fn hash(&self, key: Key) -> u64 {
        let [a, b, c] = words(&self.1);
        key.words([self.0, a, b, c])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the paper: the octets 00 to 0e under the key 00 to 0f.
    #[test]
    fn the_hash_is_that_of_the_paper() {
        let key = Key(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let octets: Vec<u8> = (0..15).collect();
        assert_eq!(key.octets(&octets), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn words_are_hashed_like_their_octets() {
        let key = Key(1, 2);
        assert_eq!(key.words([3]), key.octets(&3_u64.to_le_bytes()));
    }
}
