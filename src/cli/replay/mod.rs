//! `gatepost replay`: dialogue files, played in memory or against a server.
#![expect(
    clippy::disallowed_methods,
    reason = "the command line reads the files it is given, and waits for servers"
)]

mod against;
mod card;
mod files;
mod memory;
mod target;

use super::arguments::replay::Order;
use super::failure::Failure;
use std::process::ExitCode;

/// Plays what is asked for.
///
/// # Errors
/// When a path is not there or cannot be read, or the output is not taken.
pub fn replay(order: &Order) -> Result<ExitCode, Failure> {
    let files = files::find(&order.paths)?;
    match &order.target {
        None => memory::replay(&files, order.form, order.update),
        Some(target) => against::replay(&files, order.form, target),
    }
}
