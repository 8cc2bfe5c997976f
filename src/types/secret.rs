//! Secrets without a way to print them.

use zeroize::Zeroize;

/// Octets that appear in no log, no file and no debug output, and are wiped when dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes octets over; the caller keeps no copy.
    #[must_use]
    pub fn new(octets: Vec<u8>) -> Self {
        Self(octets)
    }

    /// The octets, for the one who must check them.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}
