//! Who a peer is. Nothing in this room can panic: it is compiled with the lints below on `forbid`, and
//! `proof/check.py` proves the same of the machine code.
#![forbid(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::todo,
    clippy::unimplemented,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm,
    clippy::get_unwrap
)]

mod common;
pub mod credential;
pub mod lookup;
pub mod password;
pub mod phc;
mod queue;
pub mod report;
pub mod sasl;
pub mod scram;
pub mod throttle;
pub mod verdict;
pub mod verifier;
