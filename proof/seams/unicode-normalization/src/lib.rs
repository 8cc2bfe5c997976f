//! A seam: stands where the crate of this name stands in the server, and gives back anything.

use std::hint::black_box;
use std::str::Chars;

/// Characters in some form.
pub struct Recompositions<I>(I);

impl<I: Iterator<Item = char>> Iterator for Recompositions<I> {
    type Item = char;

    #[inline(never)]
    fn next(&mut self) -> Option<char> {
        black_box(black_box(&mut self.0).next())
    }
}

/// What can be brought into a form.
pub trait UnicodeNormalization<I: Iterator<Item = char>> {
    /// Any characters.
    fn nfc(self) -> Recompositions<I>;
}

impl<'a> UnicodeNormalization<Chars<'a>> for &'a str {
    fn nfc(self) -> Recompositions<Chars<'a>> {
        Recompositions(self.chars())
    }
}

impl<I: Iterator<Item = char>> UnicodeNormalization<I> for I {
    fn nfc(self) -> Recompositions<I> {
        Recompositions(self)
    }
}
