//! SMTP (RFC 5321): the grammar, the replies, the receiving session.

pub mod session;
