//! `gatepost replay`: dialogue files, played in memory or against a server.
#![expect(clippy::disallowed_methods, reason = "the command line reads the files it is given")]

mod files;
mod memory;

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
        Some(_) => Err(Failure::new(super::failure::Exit::Usage, "not yet")),
    }
}
