//! Header fields: what must be known of those that pass, and those of our own.
