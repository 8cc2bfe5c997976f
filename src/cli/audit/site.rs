//! The server that is audited: its doors, and from where they are tried.

use super::wire::{Answer, Wire};
use crate::audit::visit::Heard;
use crate::limits::AUDIT_REPLY_MS_MAX;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

/// How a door comes to TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secure {
    /// At once.
    AtOnce,
    /// By STARTTLS, if it is offered.
    IfOffered,
    /// Never: what is tried needs none.
    Never,
}

/// A listener of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrance {
    /// As the administrator wrote it, without the port.
    pub host: String,
    /// Where.
    pub address: SocketAddr,
    /// Whether TLS comes first.
    pub secure: Secure,
}

/// All that is known of the server.
#[derive(Debug)]
pub struct Site {
    /// Where mail comes in.
    pub mail: Entrance,
    /// Where users log in; the same, if there is no other.
    pub login: Entrance,
    /// Part of every made-up password.
    pub word: String,
    sources: Option<AtomicU32>,
}

impl Site {
    /// `seed` decides from where the visits come, if they can come from more than one address.
    #[must_use]
    pub fn new(mail: Entrance, login: Entrance, word: String, seed: u32) -> Self {
        let is_v4_loopback =
            |entrance: &Entrance| entrance.address.ip().is_ipv4() && is_loopback(entrance.address.ip());
        let sources = (is_v4_loopback(&mail) && is_v4_loopback(&login)).then(|| AtomicU32::new(seed));
        Self { mail, login, word, sources }
    }

    /// Whether users log in at another door.
    #[must_use]
    pub fn has_two_doors(&self) -> bool {
        self.mail != self.login
    }

    /// Whether every visit can come from a network of its own: what a server holds against one does not touch the
    /// next.
    #[must_use]
    pub fn has_many_sources(&self) -> bool {
        self.sources.is_some()
    }

    /// The address that the next visit comes from: another /24 of 127.0.0.0/8 each time.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        let number = self.sources.as_ref()?.fetch_add(1, Ordering::Relaxed);
        // 127.0.x.y is left to others; an odd factor visits every network before any comes again.
        let [_, _, high, low] = number.wrapping_mul(40_503).to_be_bytes();
        Some(IpAddr::V4(Ipv4Addr::new(
            127,
            (high % 254).saturating_add(1),
            low,
            (low % 250).saturating_add(1),
        )))
    }
}

/// Whether an address is of this machine alone.
#[must_use]
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// A session that was greeted and has said EHLO.
pub struct Session {
    /// The connection.
    pub wire: Wire,
    /// The greeting.
    pub greeting: Heard,
    /// What EHLO was answered, before TLS and after it.
    pub offers: Vec<Heard>,
}

/// Why there is no session.
#[derive(Debug)]
pub enum Shut {
    /// Nothing listens there.
    Unreachable(io::Error),
    /// The server does not want it, and this is what it said.
    Refused(Heard),
}

impl Session {
    /// Comes in.
    ///
    /// # Errors
    /// Why not.
    pub fn open(entrance: &Entrance, secure: Secure, from: Option<IpAddr>) -> Result<Self, Shut> {
        let mut wire = Wire::connect(from, entrance.address).map_err(Shut::Unreachable)?;
        if entrance.secure == Secure::AtOnce {
            wire.secure(&entrance.host).map_err(Shut::Refused)?;
        }
        let greeting = wire.reply(AUDIT_REPLY_MS_MAX);
        if greeting.code() != 220 {
            return Err(Shut::Refused(greeting));
        }
        let mut session = Self { wire, greeting, offers: Vec::new() };
        session.ehlo().map_err(Shut::Refused)?;
        if secure == Secure::IfOffered
            && !session.wire.is_secure()
            && session.offers_line("STARTTLS").is_some()
        {
            let Answer { heard, .. } = session.wire.ask(b"STARTTLS\r\n");
            if heard.code() != 220 {
                return Err(Shut::Refused(heard));
            }
            session.wire.secure(&entrance.host).map_err(Shut::Refused)?;
            session.ehlo().map_err(Shut::Refused)?;
        }
        Ok(session)
    }

    fn ehlo(&mut self) -> Result<(), Heard> {
        let own = match self.wire.own_address() {
            Some(IpAddr::V6(address)) => format!("IPv6:{address}"),
            Some(IpAddr::V4(address)) => address.to_string(),
            None => "127.0.0.1".to_owned(),
        };
        let heard = self.wire.ask(format!("EHLO [{own}]\r\n").as_bytes()).heard;
        if heard.code() != 250 {
            return Err(heard);
        }
        self.offers.push(heard);
        Ok(())
    }

    /// The parameters of an extension, if it is offered now.
    #[must_use]
    pub fn offers_line(&self, keyword: &str) -> Option<String> {
        self.offers.last().and_then(|offer| parameters(offer, keyword))
    }

    /// Whether this mechanism is offered.
    #[must_use]
    pub fn has_mechanism(&self, name: &str) -> bool {
        let offered = self.offers_line("AUTH").unwrap_or_default();
        offered.split_whitespace().any(|word| word.eq_ignore_ascii_case(name))
    }
}

/// The parameters of an extension in an answer to EHLO; `AUTH=` is how old servers wrote it.
#[must_use]
pub fn parameters(offer: &Heard, keyword: &str) -> Option<String> {
    let Heard::Reply(text) = offer else { return None };
    let of = |line: &str| {
        let rest = line.get(4..)?;
        let head = rest.get(..keyword.len())?;
        let tail = rest.get(keyword.len()..)?;
        let divided = tail.is_empty() || tail.starts_with([' ', '=']);
        (head.eq_ignore_ascii_case(keyword) && divided)
            .then(|| tail.trim_start_matches(['=', ' ']).to_owned())
    };
    text.lines().skip(1).find_map(of)
}
