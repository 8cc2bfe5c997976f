//! What is counted and what is logged, decided in one place and never with a byte a peer could steer by.
//!
//! A [`note`] goes in; [`recorder`] counts it always and writes a [`line`] about it while the [`budget`] of
//! its class lasts. What is held back is counted exactly and told once a minute. [`turns`] says how long the loop takes.

pub mod budget;
pub mod line;
pub mod note;
pub mod probing;
pub mod recorder;
pub mod turns;

pub use recorder::Recorder;
