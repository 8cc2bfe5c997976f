//! What the weekly report is made of: logins, counted by day, in tables that no stranger can make grow.
//!
//! A [`Ledger`] holds a [`Day`] (UTC) for each of the last days. Every login is counted exactly in the day's
//! sums; by whom and by which name it is counted in tables of fixed size ([`Busiest`]) that keep those who
//! come most. Logins that succeeded have a table of their own, which only owners can fill. What may be kept of
//! a login name is decided in [`names`]; what an administrator reads is made by the command line.

pub mod day;
pub mod ledger;
pub mod names;
pub mod summary;
pub mod table;

pub use day::{Day, DayNumber};
pub use ledger::{Attempt, Ledger, Save};
pub use table::Busiest;

#[cfg(test)]
mod tests;
