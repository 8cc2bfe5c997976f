//! A seam: stands where the crate of this name stands in the server, and gives back anything.

use std::borrow::Cow;
use std::hint::black_box;

/// Why a text cannot be prepared.
#[derive(Debug)]
pub struct Error;

/// Any answer.
///
/// # Errors
/// Any.
#[inline(never)]
pub fn saslprep(text: &str) -> Result<Cow<'_, str>, Error> {
    black_box(Ok(Cow::Borrowed(text)))
}
