//! The loop: one thread that decides.
