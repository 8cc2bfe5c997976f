//! The rooms of the server that must not panic, and none that touches the world. Every one is here as a whole, so
//! that what is proved is the code that runs; `check.py` says what is done with it.
#![allow(dead_code, reason = "the entry points do not need all of every room")]

use std::hint::black_box;

#[path = "../../src/auth/mod.rs"]
pub mod auth;
#[path = "../../src/directory/mod.rs"]
pub mod directory;
#[path = "../../src/frame/mod.rs"]
pub mod frame;
#[path = "../../src/mail/mod.rs"]
pub mod mail;
#[path = "../../src/policy/mod.rs"]
pub mod policy;
#[path = "../../src/smtp/mod.rs"]
pub mod smtp;
#[path = "../../src/telemetry/mod.rs"]
pub mod telemetry;
#[path = "../../src/types/mod.rs"]
pub mod types;

/// Rooms of one file, whose parts are looked for in a folder of that name only where no path is given.
#[path = "../../src"]
pub mod files {
    pub mod contract;
    pub mod limits;
}
pub use files::{contract, limits};

mod entries;

/// Gives every entry point away, so that the compiler must take it for called with anything; prints their names.
#[expect(clippy::disallowed_macros, reason = "`check.py` reads it")]
fn main() {
    for (name, entry) in entries::ALL {
        println!("{name}");
        black_box(entry());
    }
}
