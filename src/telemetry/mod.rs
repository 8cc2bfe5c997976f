//! What is counted and what is logged, decided in one place and never with a byte a peer could steer by.

pub mod note;
