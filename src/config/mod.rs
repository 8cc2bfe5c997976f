//! Configuration: as written, then as meant.
//!
//! [`written`] reads TOML and `--set KEY=VALUE` into values that remember where they stand; [`checked`] makes
//! a [`Config`](checked::Config) of them or says everything that is wrong, each with its place. Whether files
//! and directories are there is not known in this room; the command line looks.

pub mod checked;
pub mod journal;
pub mod keys;
pub mod throttle;
pub mod written;

pub use keys::Key;
pub use written::{Origin, Problem, Written};

use checked::{Bases, Config};

/// Reads a file's text and what was set on the command line, and checks both.
///
/// # Errors
/// Everything that is wrong, in the order of the file; only what is no TOML, if anything is.
pub fn read(text: &str, settings: &[String], bases: &Bases) -> Result<(Config, Written), Vec<Problem>> {
    let (mut written, mut problems) = Written::read(text);
    for setting in settings {
        problems.extend(written.set(setting).err());
    }
    if problems.iter().any(|problem| problem.key.is_empty()) {
        return Err(problems);
    }
    match Config::check(&written, bases) {
        Ok(config) if problems.is_empty() => return Ok((config, written)),
        Ok(_) => {}
        Err(found) => {
            // What stands there and cannot be read is not missing as well.
            let told: Vec<String> = problems.iter().map(|problem| problem.key.clone()).collect();
            let news = |problem: &Problem| problem.origin != Origin::Nowhere || !told.contains(&problem.key);
            problems.extend(found.into_iter().filter(news));
        }
    }
    problems.sort_by_key(|problem| problem.origin);
    Err(problems)
}

#[cfg(test)]
mod tests;
