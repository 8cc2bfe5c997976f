//! Logins under way, and what is known of their verdicts before they leave.

use crate::naive::Expected;
use gatepost::auth::throttle::LoginOutcome;
use gatepost::auth::verdict::{LoginVerdict, Unavailability};
use gatepost::contract::Ticket;
use gatepost::limits::{REFUSAL_MS_MIN, REFUSAL_TICK_MS};
use gatepost::types::{Moment, SessionId};
use std::net::IpAddr;

/// A login that has no verdict yet.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) session: SessionId,
    pub(crate) ticket: Ticket,
    pub(crate) source: IpAddr,
    pub(crate) asked: Moment,
    /// What a hash will say.
    pub(crate) outcome: LoginOutcome,
    pub(crate) expected: Option<Expected>,
    /// Its number in the model.
    pub(crate) number: Option<u64>,
    pub(crate) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Waits,
    InFlight,
    /// What it is, and since when.
    Decided(Kind, Moment),
    /// Nobody can say.
    Unknown,
}

/// A verdict as far as it can be foretold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Accepted,
    Disabled,
    Refused,
    Throttled,
    QueueFull,
    Worker,
}

impl Kind {
    pub(crate) fn of(verdict: LoginVerdict) -> Result<Self, String> {
        Ok(match verdict {
            LoginVerdict::Accepted(..) => Self::Accepted,
            LoginVerdict::Disabled(_) => Self::Disabled,
            LoginVerdict::Refused(_) => Self::Refused,
            LoginVerdict::Unavailable(Unavailability::Throttled(_)) => Self::Throttled,
            LoginVerdict::Unavailable(Unavailability::QueueFull) => Self::QueueFull,
            LoginVerdict::Unavailable(Unavailability::Worker) => Self::Worker,
            LoginVerdict::Unavailable(Unavailability::Directory) => {
                return Err("the directory is there".into());
            }
        })
    }

    pub(crate) fn of_outcome(outcome: LoginOutcome) -> Self {
        match outcome {
            LoginOutcome::Accepted(_) => Self::Accepted,
            LoginOutcome::Disabled => Self::Disabled,
            LoginOutcome::Refused | LoginOutcome::GaveUp => Self::Refused,
            LoginOutcome::Unavailable => Self::Worker,
        }
    }
}

impl Pending {
    /// Whether this verdict may leave now; `foretold`: the model knows which, and when.
    pub(crate) fn judge(&self, now: Moment, kind: Kind, foretold: bool) -> Result<(), String> {
        let is_right = match kind {
            Kind::Accepted => matches!(self.outcome, LoginOutcome::Accepted(_)),
            Kind::Disabled => self.outcome == LoginOutcome::Disabled,
            Kind::Refused => self.outcome == LoginOutcome::Refused,
            Kind::Throttled | Kind::QueueFull | Kind::Worker => true,
        };
        let at_once = matches!(kind, Kind::Accepted | Kind::Disabled);
        let earliest = self.asked.0 + REFUSAL_MS_MIN;
        let on_grid = now.0.is_multiple_of(REFUSAL_TICK_MS) && now.0 >= earliest;
        if !is_right || !(at_once || on_grid) {
            return Err(format!("{kind:?} at {now:?}: {self:?}"));
        }
        let State::Decided(expected, since) = self.state else {
            return if foretold { Err(format!("{kind:?} comes unforeseen: {self:?}")) } else { Ok(()) };
        };
        // What is turned away unchecked waits no longer than others.
        let delay_ms = match (kind, &self.expected) {
            (Kind::Throttled, _) | (_, None) => 0,
            (_, Some(expected)) => expected.delay_ms,
        };
        let on_grid = since.0.max(earliest + delay_ms).next_multiple_of(REFUSAL_TICK_MS);
        let leaves = if at_once { since.0 } else { on_grid };
        if kind == expected && now.0 == leaves {
            return Ok(());
        }
        Err(format!("{kind:?} at {now:?}, and by the rules {expected:?} at {leaves}: {self:?}"))
    }
}
