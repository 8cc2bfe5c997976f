//! How what a client says is divided into reads.

use crate::types::Chance;

/// How the client's octets are cut into reads. Whatever it is, a session has to do the same.
#[derive(Debug)]
pub enum Cuts<'c> {
    /// What is sent in a row arrives at once.
    Whole,
    /// In pieces of so many octets, at least one.
    Every(usize),
    /// Whole, but for one cut behind so many octets of all that clients send.
    Behind(usize),
    /// In pieces of chance.
    Chance(&'c mut Chance),
}

/// How many octets the next read brings.
pub(super) fn next_piece(cuts: &mut Cuts<'_>, sent: usize, left: usize) -> usize {
    match cuts {
        Cuts::Whole => left,
        Cuts::Every(octets) => (*octets).max(1),
        Cuts::Behind(octets) => match octets.checked_sub(sent) {
            Some(until) if until > 0 => until,
            Some(_) | None => left,
        },
        Cuts::Chance(chance) => {
            let ceiling = match chance.below(3) {
                0 => 3,
                1 => 64,
                _ => u64::try_from(left).unwrap_or(u64::MAX),
            };
            usize::try_from(chance.below(ceiling)).unwrap_or_default().saturating_add(1)
        }
    }
}
