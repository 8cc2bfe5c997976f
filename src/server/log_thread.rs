//! Standard error behind a bounded queue: a reader that stalls never stops mail.
