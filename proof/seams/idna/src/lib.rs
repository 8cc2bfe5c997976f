//! A seam: stands where the crate of this name stands in the server, and gives back anything.

use std::hint::black_box;

/// Why a name is none.
#[derive(Debug)]
pub struct Errors;

/// Any answer.
///
/// # Errors
/// Any.
#[inline(never)]
pub fn domain_to_ascii(domain: &str) -> Result<String, Errors> {
    black_box(domain);
    black_box(Ok(String::new()))
}
