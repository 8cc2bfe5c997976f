//! gatepost: a mail server that answers whatever arrives on a socket with a decision, never with an accident.
//!
//! # The floor plan
//!
//! Octets come in at [`server`], are cut by [`frame`], read by the grammar in [`smtp`], understood by a
//! session machine, judged by [`auth`] and [`policy`] against the [`directory`], kept by the [`store`], and
//! replies leave through [`server`] again. Only [`server`], [`cli`] and five files of the [`store`] touch the
//! world; every other room is pure: same state, same time, same event, same actions.
//!
//! | room | takes | gives |
//! |---|---|---|
//! | [`types`] | raw parts | values that cannot be wrong |
//! | [`frame`] | octets, however they were cut | lines, bodies, chunks, each with a ceiling |
//! | [`smtp`] | a line; an event | a command or an offence; actions |
//! | [`auth`] | a login | a verdict, at equal work and equal time |
//! | [`policy`] | facts | a verdict with its reason |
//! | [`mail`] | header fields as they pass | what must be known of them; fields of our own |
//! | [`directory`] | an administrator's request | changes as data |
//! | [`store`] | operations as data | durable, or an error |
//! | [`audit`] | what was seen of a server | how much it tells a stranger, in bits |
//! | [`telemetry`] | notes | counters and log lines within a budget |
//! | [`config`] | what was written | what is meant, or which file, line and key is wrong |
//! | [`dialog`] | the text of a session | the same session played again |
//! | [`journal`] | a session as it goes | a dialogue without anything a peer may want kept secret |
//! | [`import`] | lines of other servers' logs | what their clients tried, as findings and dialogues |
//! | [`server`] | readiness, time, chance | events in, deeds out |
//! | [`cli`] | arguments | an exit code |
//!
//! [`contract`] is what machines and the world say to each other, [`control`] what the command line and a
//! running server do; [`limits`] has every number.
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::disallowed_methods,
        clippy::string_slice,
        reason = "the build without tests is held to them; a test may fail loudly"
    )
)]

pub mod audit;
pub mod auth;
pub mod cli;
pub mod config;
pub mod contract;
pub mod control;
pub mod dialog;
pub mod directory;
pub mod frame;
#[doc(hidden)]
pub mod fuzz;
pub mod import;
pub mod journal;
pub mod limits;
pub mod mail;
pub mod policy;
pub mod server;
#[doc(hidden)]
pub mod sim;
pub mod smtp;
pub mod store;
pub mod telemetry;
pub mod types;
