//! A seam: stands where the crate of this name stands in the server, and gives back anything.

use std::hint::black_box;

/// Octets of SHA-256.
const OCTETS: usize = 32;

/// Any octets.
#[inline(never)]
fn anything(input: &[u8]) -> [u8; OCTETS] {
    black_box(input);
    black_box([0; OCTETS])
}

/// Hashes.
pub mod digest {
    /// Which hash.
    pub struct Algorithm;
    /// SHA-224.
    pub static SHA224: Algorithm = Algorithm;
    /// SHA-256.
    pub static SHA256: Algorithm = Algorithm;
    /// SHA-384.
    pub static SHA384: Algorithm = Algorithm;
    /// SHA-512.
    pub static SHA512: Algorithm = Algorithm;

    /// A hash.
    pub struct Digest([u8; super::OCTETS]);

    impl AsRef<[u8]> for Digest {
        /// Of any length: the compiler does not see through this.
        fn as_ref(&self) -> &[u8] {
            super::black_box(self.0.as_slice())
        }
    }

    /// Any hash.
    #[must_use]
    pub fn digest(_: &'static Algorithm, input: &[u8]) -> Digest {
        Digest(super::anything(input))
    }
}

/// Message authentication.
pub mod hmac {
    /// Which hash.
    #[derive(Clone, Copy)]
    pub struct Algorithm;
    /// SHA-256.
    pub const HMAC_SHA256: Algorithm = Algorithm;

    /// A key.
    #[derive(Debug, Clone)]
    pub struct Key([u8; super::OCTETS]);

    impl Key {
        /// Any key.
        #[must_use]
        pub fn new(_: Algorithm, key: &[u8]) -> Self {
            Self(super::anything(key))
        }
    }

    /// A tag.
    pub struct Tag([u8; super::OCTETS]);

    impl AsRef<[u8]> for Tag {
        /// Of any length: the compiler does not see through this.
        fn as_ref(&self) -> &[u8] {
            super::black_box(self.0.as_slice())
        }
    }

    /// Any tag.
    #[must_use]
    pub fn sign(key: &Key, text: &[u8]) -> Tag {
        super::black_box(key);
        Tag(super::anything(text))
    }

    /// A tag in the making.
    pub struct Context([u8; super::OCTETS]);

    impl Context {
        /// Nothing seen yet.
        #[must_use]
        pub fn with_key(key: &Key) -> Self {
            Self(super::anything(&key.0))
        }

        /// Sees octets.
        pub fn update(&mut self, text: &[u8]) {
            self.0 = super::anything(text);
        }

        /// Any tag.
        #[must_use]
        pub fn sign(self) -> Tag {
            Tag(super::anything(&self.0))
        }
    }
}

/// Slow hashes.
pub mod pbkdf2 {
    use std::num::NonZeroU32;

    /// Which hash.
    #[derive(Clone, Copy)]
    pub struct Algorithm;
    /// SHA-256.
    pub const PBKDF2_HMAC_SHA256: Algorithm = Algorithm;

    /// Any key.
    #[inline(never)]
    pub fn derive(_: Algorithm, iterations: NonZeroU32, salt: &[u8], secret: &[u8], out: &mut [u8]) {
        super::black_box((iterations, salt, secret, out));
    }
}

/// Comparisons.
pub mod constant_time {
    /// They differ.
    #[derive(Debug)]
    pub struct Unspecified;

    /// Any answer.
    ///
    /// # Errors
    /// Any.
    #[inline(never)]
    pub fn verify_slices_are_equal(one: &[u8], other: &[u8]) -> Result<(), Unspecified> {
        super::black_box((one, other));
        super::black_box(Ok(()))
    }
}
