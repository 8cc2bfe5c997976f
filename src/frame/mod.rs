//! Cutters with a ceiling: octets come in as reads happened to divide them, lines, bodies and chunks go out.
//!
//! Only CRLF ends a line. A cutter never holds more than its ceiling, whatever the peer sends, and how the
//! octets were divided changes nothing (each has a test that tries every division). No grammar runs here.

pub mod chunk;
pub mod dot;
pub mod line;
