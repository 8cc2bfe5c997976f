//! Facts in, verdict with reason out: short, total functions.

pub mod admission;
pub mod recipient;
pub mod sender;
pub mod side_door;
pub mod tarpit;
