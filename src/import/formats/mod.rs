//! One file for each server, or a folder where it takes more than one.

pub mod dovecot;
pub mod exim;
pub mod mox;
pub mod opensmtpd;
pub mod postfix;

use crate::import::Reader;

/// A fresh reader for every format, in the order in which a line is offered to them: those that know their lines
/// by the program's name first, those that must look at the text after them.
#[must_use]
pub fn all() -> Vec<Box<dyn Reader + Send>> {
    vec![
        Box::new(postfix::Postfix::default()),
        Box::new(dovecot::Dovecot::default()),
        Box::new(opensmtpd::OpenSmtpd::default()),
        Box::new(mox::Mox::default()),
        Box::new(exim::Exim::default()),
    ]
}
