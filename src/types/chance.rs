//! Chance that came in as a seed, so that a test, a replay and a simulation see the same values.

use aws_lc_rs::hmac;

/// A deterministic source of unpredictable values: HMAC-SHA-256 of a counter under the seed.
///
/// Seeded by the operating system in `server/` and by the test elsewhere. Cloning one gives the same
/// values twice; derive children with [`Chance::fork`].
#[derive(Clone)]
pub struct Chance {
    /// The seed and no ready key: that is many times as large, and every idle session has one of these.
    seed: [u8; 32],
    counter: u64,
}

impl Chance {
    /// A source whose values depend on `seed` alone.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0 }
    }

    /// The next 32 octets.
    pub fn octets(&mut self) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.seed);
        let tag = hmac::sign(&key, &self.counter.to_be_bytes());
        self.counter = self.counter.wrapping_add(1);
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        out
    }

    /// The next 64 bits.
    pub fn u64(&mut self) -> u64 {
        self.octets().iter().take(8).fold(0, |sum, octet| (sum << 8) | u64::from(*octet))
    }

    /// A number below `bound`; zero for a bound of zero. The bias is below 2^-32 for bounds below 2^32.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.u64().checked_rem(bound).unwrap_or(0)
    }

    /// A source of its own for one session.
    pub fn fork(&mut self) -> Self {
        Self::from_seed(self.octets())
    }

    /// Puts `items` into an order of chance (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        let mut rest = items;
        while let Some((last, before)) = rest.split_last_mut() {
            if before.is_empty() {
                return;
            }
            let bound = u64::try_from(before.len()).unwrap_or(u64::MAX).saturating_add(1);
            let other = usize::try_from(self.below(bound)).unwrap_or(0);
            // The place behind all the others is its own: it stays.
            if let Some(other) = before.get_mut(other) {
                std::mem::swap(last, other);
            }
            rest = before;
        }
    }
}

impl std::fmt::Debug for Chance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chance(…)")
    }
}
