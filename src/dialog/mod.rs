//! The text format of a session: parse, print, play.
