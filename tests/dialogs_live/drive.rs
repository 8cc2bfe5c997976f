//! Does what a dialogue's caller says, over real sockets.

use crate::server::{PATIENCE, Server};
use gatepost::cli::live::talk::Talk;
use gatepost::cli::live::wire::{Trust, Wanted, Wire};
use gatepost::dialog::Dialog;
use gatepost::dialog::live::{Caller, Deed, Heard};
use gatepost::dialog::play::Difference;
use gatepost::types::Chance;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// How long a server is listened to that must say nothing more.
const QUIET: Duration = Duration::from_millis(50);
/// Pieces that what is sent at once is cut into at the most; the last is the rest.
const PIECES_MAX: usize = 64;

/// How a client's octets are cut.
#[derive(Debug, Clone, Copy)]
pub enum Cut {
    /// What is sent at once is one write.
    Whole,
    /// In pieces of chance, from this seed.
    Chance(u8),
}

/// An address on the loopback that nobody else uses, in a network of its own: the server tells by it whose a
/// message is, and shares nothing it gives by network.
fn fresh_peer() -> IpAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 100 + high, low, 1))
}

/// Plays a dialogue.
pub fn play(server: &Server, dialog: &Dialog, cut: Cut) -> Result<(), Difference> {
    let peer = fresh_peer();
    let mut chance = match cut {
        Cut::Whole => None,
        Cut::Chance(seed) => Some(Chance::from_seed([seed; 32])),
    };
    let mut caller = Caller::new(dialog, peer);
    let mut talks: BTreeMap<u8, Talk> = BTreeMap::new();
    let mut messages = Vec::new();
    while let Some(deed) = caller.next()? {
        match deed {
            Deed::Connect(number, listener) => {
                let to = server.address(listener);
                let wire = Wire::connect_from(peer, to)
                    .unwrap_or_else(|error| panic!("{to} takes no connection: {error}"));
                talks.insert(number, Talk::on(wire));
            }
            Deed::Send(number, octets) => {
                let pieces = pieces(octets, chance.as_mut());
                talks.get_mut(&number).unwrap().send_pieces(pieces);
            }
            Deed::CloseSending(number) => talks.get_mut(&number).unwrap().close_sending(),
            Deed::Break(number) => talks.remove(&number).unwrap().reset(),
            Deed::Handshake(number, facts) => {
                let talk = talks.get_mut(&number).unwrap();
                let certificate = server.certificate();
                let wanted = Wanted { facts: Some(&facts), trust: Trust::File(&certificate) };
                let secured = talk.secure(&wanted, PATIENCE);
                caller.heard(secured.map_or_else(Heard::NotSecured, |()| Heard::Secured))?;
            }
            Deed::AwaitReply(number) => caller.heard(talks.get_mut(&number).unwrap().listen(PATIENCE))?,
            Deed::AwaitEnd(number) => caller.heard(talks.get_mut(&number).unwrap().end(PATIENCE))?,
            Deed::AwaitSilence(number) => {
                caller.heard(talks.get_mut(&number).unwrap().listen(QUIET))?;
            }
            Deed::ListMessages => {
                messages = server.messages_from(peer, &messages);
                caller.heard(Heard::Messages(messages.clone()))?;
            }
        }
    }
    Ok(())
}

/// Octets as they are written to the socket.
fn pieces(octets: Vec<u8>, chance: Option<&mut Chance>) -> Vec<Vec<u8>> {
    let Some(chance) = chance else { return vec![octets] };
    let mut pieces = Vec::new();
    let mut rest = octets.as_slice();
    while pieces.len() + 1 < PIECES_MAX && rest.len() > 1 {
        let most = match chance.below(3) {
            0 => 3,
            1 => 64,
            _ => u64::try_from(rest.len()).unwrap(),
        };
        let size = usize::try_from(chance.below(most) + 1).unwrap().min(rest.len());
        pieces.push(rest[..size].to_vec());
        rest = &rest[size..];
    }
    if !rest.is_empty() {
        pieces.push(rest.to_vec());
    }
    pieces
}
