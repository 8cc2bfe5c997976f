//! What is counted and what is logged, decided in one place and never with a byte a peer could steer by.
//!
//! A [`note`] goes in; [`recorder`] counts it always and writes a [`line`] about it while the [`budget`] of
//! its [`kind`] lasts. What is held back is counted exactly and told once a minute. Whatever peers do, the
//! lines they cause have less than 64 KiB in any minute, those of libraries ([`direct`]) included; the
//! administrator's own lines have a budget that no peer can spend. [`turns`] says how long the loop takes.

pub mod budget;
pub mod direct;
pub mod disk;
pub mod kind;
pub mod line;
pub mod note;
pub mod probing;
pub mod read;
pub mod recorder;
pub mod seen;
pub mod suppressed;
pub mod turns;

pub use recorder::Recorder;

#[cfg(test)]
mod tests;
