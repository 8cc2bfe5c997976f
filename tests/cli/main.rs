//! The built binary, command by command, without a running server.

mod changes;
mod configuration;
mod mail;
mod password;
mod server;
mod world;
