//! SMTP (RFC 5321): the grammar, the replies, the receiving session.

pub mod command;
mod grammar;
pub mod offence;
pub mod outcome;
pub mod session;
