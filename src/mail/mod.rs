//! Header fields: what must be known of those that pass, and those of our own.
//!
//! [`scan`] looks at a message's header while its octets pass, however they are cut, and keeps a handful of
//! facts. [`trace`] writes the fields this server puts in front of a message; [`date`] writes points in time;
//! [`notice`] writes the messages of the server's own.

pub mod date;
pub mod notice;
pub mod scan;
pub mod trace;
