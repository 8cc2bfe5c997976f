//! One file for each server, or a folder where it takes more than one.

pub mod assp;
pub mod courier;
pub mod cyrus;
pub mod domino;
pub mod dovecot;
pub mod ends;
pub mod exim;
pub mod haraka;
#[cfg(test)]
mod harness;
pub mod kerio;
pub mod maddy;
pub mod mox;
pub mod nginx;
pub mod opensmtpd;
pub mod oracleims;
pub mod perdition;
pub mod postal;
pub mod postfix;
pub mod sendmail;
pub mod stalwart;
pub mod transcript;

use crate::import::Reader;

/// A fresh reader for every format, in the order in which a line is offered to them: those that know their lines
/// by the program's name first, those that must look at the text after them.
#[must_use]
pub fn all() -> Vec<Box<dyn Reader + Send>> {
    vec![
        Box::new(postfix::Postfix::default()),
        Box::new(dovecot::Dovecot::default()),
        Box::new(opensmtpd::OpenSmtpd::default()),
        Box::new(sendmail::Sendmail::default()),
        Box::new(courier::Courier),
        Box::new(cyrus::Cyrus),
        Box::new(perdition::Perdition),
        Box::new(mox::Mox::default()),
        Box::new(oracleims::OracleIms),
        Box::new(postal::Postal::default()),
        Box::new(haraka::Haraka::default()),
        Box::new(stalwart::Stalwart::default()),
        Box::new(nginx::Nginx),
        Box::new(maddy::Maddy::default()),
        Box::new(kerio::Kerio::default()),
        Box::new(assp::Assp),
        Box::new(domino::Domino),
        Box::new(exim::Exim::default()),
        Box::new(transcript::Transcript::default()),
    ]
}
