//! Computes argon2id for the loop: a process with one thread, no files, no network.
