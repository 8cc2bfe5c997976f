//! One direction of one connection: in order, cut anywhere, late by chance.

use super::census::Fault;
use super::desk::{Desk, Happening, Parcel};
use crate::types::Moment;

/// How a lane cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cuts {
    /// Not at all.
    Whole,
    /// Now and then.
    Pieces,
    /// After nearly every octet, for a while.
    Octets,
}

/// Octets behind which a lane that cuts after every octet becomes kinder; else one body is a world.
const OCTETS_CUT_FINELY: usize = 300;

/// See the module.
#[derive(Debug)]
pub(super) struct Lane {
    cuts: Cuts,
    latency_ms: u64,
    jitter_ms: u64,
    last: Moment,
    carried: usize,
}

impl Lane {
    pub(super) fn new(desk: &mut Desk) -> Self {
        let cuts = desk.pick(&[Cuts::Whole, Cuts::Pieces, Cuts::Pieces, Cuts::Octets]).unwrap_or(Cuts::Whole);
        let latency_ms = desk.pick(&[0, 1, 20, 300]).unwrap_or(0);
        let jitter_ms = desk.pick(&[0, 5, 500]).unwrap_or(0);
        Self { cuts, latency_ms, jitter_ms, last: Moment(0), carried: 0 }
    }

    /// Sends octets; `address` makes a happening of each parcel.
    pub(super) fn send(&mut self, octets: &[u8], desk: &mut Desk, address: impl Fn(Parcel) -> Happening) {
        let mut rest = octets;
        while !rest.is_empty() {
            let size = self.piece(rest.len(), desk);
            let (piece, after) = rest.split_at_checked(size).unwrap_or((rest, &[]));
            rest = after;
            if !rest.is_empty() {
                desk.fault(Fault::OctetsCut);
            }
            self.carried += piece.len();
            self.carry(Parcel::Octets(piece.to_vec()), desk, &address);
        }
    }

    /// Sends an end.
    pub(super) fn end(&mut self, parcel: Parcel, desk: &mut Desk, address: impl Fn(Parcel) -> Happening) {
        self.carry(parcel, desk, &address);
    }

    fn carry(&mut self, parcel: Parcel, desk: &mut Desk, address: &impl Fn(Parcel) -> Happening) {
        let late = self.latency_ms + desk.below_u64(self.jitter_ms + 1);
        if late > 0 {
            desk.fault(Fault::OctetsDelayed);
        }
        self.last = self.last.max(desk.now.moment.plus_ms(late));
        desk.at(self.last, address(parcel));
    }

    fn piece(&self, whole: usize, desk: &mut Desk) -> usize {
        match self.cuts {
            Cuts::Whole => whole,
            Cuts::Octets if self.carried < OCTETS_CUT_FINELY => 1 + desk.below(3),
            Cuts::Octets => 1 + desk.below(4_000),
            Cuts::Pieces => 1 + desk.below(whole.min(2_000)),
        }
    }
}
