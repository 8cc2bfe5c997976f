//! The command line: arguments in, exit code out.
//!
//! [`arguments`] understands, the other files do. Commands about data do not know whether a server runs: they
//! go through [`access`].

pub mod arguments;
pub mod failure;
pub mod output;
pub mod spec;
