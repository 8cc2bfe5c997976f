//! The throttle: how much one source, one network and one login may try, and how fast port 25 serves whom.
//!
//! Two books that never read each other, and a short count of visits that brought nothing. The *login book* counts failures by host (/32, /64), network (/24,
//! /56), IPv6 /48 and login; its levels drain evenly and refuse from a full limit until half of it has drained.
//! The *mail book* counts what no mail server needs to do; it slows and never refuses.
//!
//! A machine without clock, chance and world: the time comes in, verdicts go out. Its tables have a fixed
//! size; a spray of addresses can only displace its own light entries. What a verdict depends on never
//! includes whether a name exists, only whether this login succeeded in this network before.
//!
//! The lists of the administrator come first: of all entries of the allow-list and the deny-list that contain
//! an address the longest decides, and of two equal ones the deny-list.

mod because;
mod evidence;
mod explain;
mod follow;
mod keyed;
mod level;
mod login_book;
mod mail_book;
mod places;
mod rules;
mod snapshot;
mod table;
mod visits;

pub use because::{Because, Rule};
pub use evidence::Failure;
pub use explain::{Entrance, Explanation, KnownPlace, Standing, Subject};
pub use follow::{forget_logins, load_places};
pub use login_book::{LoginOutcome, QueueClass, Reservation, Try};
pub use mail_book::{MailOffence, Pace};
pub use places::Seen;
pub use rules::{Limits, Listed, Mode, Rules};
pub use snapshot::Snapshot;

use crate::contract::Listener;
use crate::types::{Chance, Now, Prefix, UnixTime};
use keyed::Key;
use login_book::{LoginBook, Opinion, Spot};
use mail_book::MailBook;
use snapshot::{Saving, Unsaved};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use visits::Visits;

/// Both books.
#[derive(Debug)]
pub struct Throttle {
    rules: Rules,
    logins: LoginBook,
    mail: MailBook,
    saving: Saving,
    visits: Visits,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectVerdict {
    /// It may come, at this pace. In a dry run with the rule that would have refused it.
    Admit(Pace, Option<Because>),
    /// It is on the deny-list.
    Denied(Because),
    /// The record of its host refuses it.
    Refused(Because),
}

/// What becomes of a login before it is checked.
#[derive(Debug, PartialEq, Eq)]
pub enum LoginGate {
    /// It is checked.
    Pass {
        /// Its part of the hash queue.
        class: QueueClass,
        /// How much later than others a refusal leaves, in milliseconds: a multiple of
        /// [`REFUSAL_TICK_MS`](crate::limits::REFUSAL_TICK_MS), at most
        /// [`LOGIN_DELAY_MS_MAX`](crate::limits::LOGIN_DELAY_MS_MAX).
        delay_ms: u64,
        /// What it may cost; `None` for a source that is exempt.
        reservation: Option<Reservation>,
        /// In a dry run: the rule that would have turned it away.
        would_refuse: Option<Because>,
    },
    /// It is turned away unchecked: 454.
    TooMany(Because),
}

impl Throttle {
    /// Nobody has done anything. The keys of the tables come from `seed`.
    #[must_use]
    pub fn new(rules: Rules, seed: [u8; 32]) -> Self {
        let mut chance = Chance::from_seed(seed);
        let logins = LoginBook::new(rules.limits, &mut chance);
        let mail = MailBook::new(Key::new(&mut chance));
        Self { rules, logins, mail, saving: Saving::new(), visits: Visits::default() }
    }

    fn enforces(&self) -> bool {
        self.rules.mode == Mode::Enforce
    }

    /// A connection was accepted. Only the exact host is refused here, and never where a login succeeded in
    /// its network within 30 days; wider rules act at AUTH, where the login is known.
    pub fn at_connect(&mut self, now: Now, source: IpAddr, listener: Listener) -> ConnectVerdict {
        let spot = Spot::of(source);
        let verdict = match self.rules.listed(source) {
            Listed::Allowed(_) => return ConnectVerdict::Admit(Pace::NEUTRAL, None),
            Listed::Denied(entry) => ConnectVerdict::Denied(Because::denied(now, entry)),
            Listed::No => match listener {
                Listener::Smtp => return ConnectVerdict::Admit(self.pace(now, source), None),
                Listener::Submission | Listener::Submissions => match self.logins.at_connect(now, spot) {
                    None => return ConnectVerdict::Admit(Pace::NEUTRAL, None),
                    Some(because) => ConnectVerdict::Refused(because),
                },
            },
        };
        self.logins.turn_away(spot.host);
        match (self.enforces(), verdict) {
            (false, ConnectVerdict::Denied(because) | ConnectVerdict::Refused(because)) => {
                ConnectVerdict::Admit(Pace::NEUTRAL, Some(because))
            }
            (true | false, verdict) => verdict,
        }
    }

    /// A login wants to be checked. Ask after a verified application password has been let in, and before
    /// the hash queue.
    pub fn at_login(&mut self, now: Now, wanted: Try<'_>) -> LoginGate {
        let denied = match self.rules.listed(wanted.source) {
            Listed::Allowed(_) => {
                return LoginGate::Pass {
                    class: QueueClass::Clean,
                    delay_ms: 0,
                    reservation: None,
                    would_refuse: None,
                };
            }
            Listed::Denied(entry) => Some(Because::denied(now, entry)),
            Listed::No => None,
        };
        let Opinion { class, delay_ms, refuse, reservation } = self.logins.consider(now, wanted);
        let refuse = denied.or(refuse);
        if let Some(because) = refuse {
            self.logins.turn_away(reservation.spot.host);
            if self.enforces() {
                return LoginGate::TooMany(because);
            }
        }
        self.logins.reserve(now, &reservation);
        let delay_ms = if self.enforces() { delay_ms } else { 0 };
        LoginGate::Pass { class, delay_ms, reservation: Some(reservation), would_refuse: refuse }
    }

    /// A login that passed was decided. Returns whether the login had succeeded in this network before, if it
    /// succeeded.
    pub fn login_decided(
        &mut self,
        now: Now,
        reservation: Reservation,
        outcome: LoginOutcome,
    ) -> Option<Seen> {
        let (failed, succeeded) = match outcome {
            LoginOutcome::Accepted(_) => (false, true),
            LoginOutcome::Disabled | LoginOutcome::Unavailable => (false, false),
            LoginOutcome::Refused | LoginOutcome::GaveUp => (true, false),
        };
        self.logins.settle(now, &reservation, failed);
        if failed {
            let unsaved = self.unsaved_of(now, reservation.spot);
            self.saving.mark(unsaved);
        }
        succeeded.then(|| self.logins.succeeded(now, reservation.login(), reservation.spot.net))
    }

    /// A login succeeded without passing the gate: an application password, or a source that is exempt.
    pub fn login_proven(&mut self, now: Now, source: IpAddr, login: &[u8]) -> Seen {
        let login = self.logins.login(login);
        self.logins.succeeded(now, login, Prefix::net(source))
    }

    /// A place that was kept over a restart. `net` is a /24 or /56 as [`Prefix::net`] makes them.
    pub fn load_place(&mut self, login: &[u8], net: Prefix, last: UnixTime) {
        let login = self.logins.login(login);
        self.logins.places.learn(login, net, last);
    }

    /// The login names another account now, or none: its places are forgotten.
    pub fn forget_login(&mut self, login: &[u8]) {
        let login = self.logins.login(login);
        self.logins.places.forget(login);
        self.logins.forgive_login(login);
    }

    /// A peer on port 25 did what no mail server needs to do.
    pub fn mail_offence(&mut self, now: Now, source: IpAddr, offence: MailOffence) {
        self.mail.offence(now.moment, Prefix::host(source), offence);
    }

    /// A message for so many recipients of ours was taken on port 25: it pays back a part of the score.
    pub fn mail_accepted(&mut self, now: Now, source: IpAddr, recipients: u64) {
        self.mail.accepted(now.moment, Prefix::host(source), recipients);
    }

    /// How fast port 25 serves a source now; ask again as often as you like.
    #[must_use]
    pub fn pace(&self, now: Now, source: IpAddr) -> Pace {
        match (self.rules.mode, self.rules.listed(source)) {
            (Mode::DryRun, _) | (Mode::Enforce, Listed::Allowed(_)) => Pace::NEUTRAL,
            (Mode::Enforce, Listed::No | Listed::Denied(_)) => {
                self.mail.pace(now.moment, Prefix::host(source))
            }
        }
    }

    /// A connection ended without a message taken or a login accepted.
    pub fn fruitless_visit(&mut self, now: Now, source: IpAddr) {
        self.visits.fruitless(now.moment, Prefix::host(source));
    }

    /// Whether the next connection of a source waits before it is let in, on any port, since too many before it
    /// brought nothing. Programs of this machine never do, be they a monitor or a proxy that many are behind.
    #[must_use]
    pub fn is_restless(&self, now: Now, source: IpAddr) -> bool {
        let is_this_machine = source == Ipv4Addr::LOCALHOST || source == Ipv6Addr::LOCALHOST;
        match (self.rules.mode, self.rules.listed(source)) {
            (Mode::DryRun, _) | (Mode::Enforce, Listed::Allowed(_)) => false,
            (Mode::Enforce, Listed::No | Listed::Denied(_)) => {
                !is_this_machine && self.visits.is_restless(now.moment, Prefix::host(source))
            }
        }
    }

    /// Clears what both books hold against a source: its host, its network and its IPv6 /48.
    pub fn forgive(&mut self, source: IpAddr) {
        if self.logins.forgive(Spot::of(source)) {
            self.saving.mark(Unsaved::Verdict);
        }
        self.mail.forgive(Prefix::host(source));
        self.visits.forgive(Prefix::host(source));
    }

    /// Clears the failures of a login; its known places stay.
    pub fn forgive_login(&mut self, login: &[u8]) {
        let login = self.logins.login(login);
        self.logins.forgive_login(login);
    }
}

#[cfg(test)]
mod tests;
