//! Configuration: as written, then as meant.

pub mod checked;
