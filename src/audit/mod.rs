//! What a stranger can learn from a server about whether an address or a login exists, in bits.
//!
//! A pure room: it plans whom to ask for in which order ([`plan`]), takes what was seen ([`visit`]) and judges it
//! ([`judge`]); `cli/audit` has the sockets and the clock. Nothing here knows which server it is about.
//!
//! # How it measures
//!
//! An administrator names addresses that exist. Each gets *twins*: names of the same shape and length that do not.
//! A *round* asks for one account, one alias and a twin of each, one visit for each in an order of chance, so that
//! whatever changes during the audit changes both sides alike. What was seen is compared within rounds only.
//!
//! The score is the mutual information between "it exists" and what was seen, for a stranger who thinks both
//! equally likely: 0 bits if nothing can be learnt, 1 if every single answer tells. The plain estimate is too high
//! by chance, the more so the more different things were seen; what exchanging the labels within rounds gives on
//! average is taken off (as in the adjusted mutual information of Vinh, Epps and Bailey, 2010), and what could be
//! chance counts as nothing. A time that seems to tell is measured twice more with fresh visits: it has to tell
//! each time, and the last measurement is the one that counts.

pub mod channel;
pub mod judge;
pub mod mask;
pub mod plan;
pub mod salts;
pub mod score;
pub mod statistics;
pub mod visit;

#[cfg(test)]
mod tests;
