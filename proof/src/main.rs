//! The rooms of the server that must not panic.
#![allow(dead_code)]

use std::hint::black_box;

#[path = "../../src/auth/mod.rs"]
pub mod auth;
#[path = "../../src/contract.rs"]
pub mod contract;
#[path = "../../src/directory/mod.rs"]
pub mod directory;
#[path = "../../src/frame/mod.rs"]
pub mod frame;
#[path = "../../src/limits.rs"]
pub mod limits;
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

mod entries;

fn main() {
    for entry in entries::all() {
        black_box(entry);
    }
}
