//! The login book: failures by host, network, IPv6 /48 and login.

use super::because::{Because, Rule};
use super::evidence::{Evidence, shown};
use super::keyed::Key;
use super::level::{Level, units};
use super::places::{Places, Seen};
use super::rules::Limits;
use super::table::Table;
use crate::limits::{
    CHANCES_PER_LOGIN_MAX, GUESS_MILLIS, GUESSES_PER_PLACE_MAX, LOGIN_DELAY_MS_MAX, REFUSAL_TICK_MS,
    REPEAT_MILLIS, REPEATS_KNOWN, THROTTLE_HOST_SETS, THROTTLE_LOGIN_SETS, THROTTLE_NET_SETS,
    THROTTLE_PLACE_SETS, THROTTLE_WIDE_SETS,
};
use crate::types::{AccountId, Chance, Moment, Now, Prefix, SessionId, UnixTime};
use std::net::IpAddr;

/// A login that wants to be checked.
#[derive(Debug, Clone, Copy)]
pub struct Try<'a> {
    /// Whose.
    pub session: SessionId,
    /// From where.
    pub source: IpAddr,
    /// The login in canonical form, whether or not it exists.
    pub login: &'a [u8],
    /// The password as sent; `None` where the mechanism sends none, so that no repeat can be recognised.
    pub password: Option<&'a [u8]>,
}

/// Which part of the hash queue a login may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueueClass {
    /// Some login succeeded in this network within 30 days. By network and not by login, so that a full queue
    /// tells nobody which logins succeeded here.
    KnownPlace,
    /// No failure is remembered of this network.
    Clean,
    /// All others.
    Others,
}

/// How a login ended that had a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginOutcome {
    /// Right password.
    Accepted(AccountId),
    /// Right password of a disabled account.
    Disabled,
    /// Refused.
    Refused,
    /// We could not check it.
    Unavailable,
    /// The session ended first. It counts like a wrong password, else hanging up would be a way to guess.
    GaveUp,
}

/// Budget taken for a login under way. Hand it back with its outcome; one that is lost is never given back.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "settle it with `login_decided`"]
pub struct Reservation {
    pub(super) spot: Spot,
    session: SessionId,
    login: u64,
    shown: String,
    charge: u64,
    /// The password again, for the list of those that are known.
    fingerprint: Option<u32>,
    known: bool,
    chance: bool,
}

impl Reservation {
    pub(super) fn login(&self) -> u64 {
        self.login
    }

    pub(super) fn session(&self) -> SessionId {
        self.session
    }

    /// The login for the eye.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }
}

/// Where somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) host: Prefix,
    pub(super) net: Prefix,
    pub(super) wide: Option<Prefix>,
}

impl Spot {
    pub(super) fn of(source: IpAddr) -> Self {
        Self { host: Prefix::host(source), net: Prefix::net(source), wide: Prefix::wide(source) }
    }
}

/// What is remembered of a host, a network or a login.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) level: Level,
    /// First tries from networks without failures, while the level of a login refuses.
    chances: Level,
    /// Fingerprints of the last wrong passwords of a host, the newest first; zero is none.
    recent: [u32; REPEATS_KNOWN],
    /// Failures since the record began.
    pub(super) failures: u32,
    /// Times it was turned away since the record began.
    pub(super) turned_away: u32,
    /// First and last failure.
    pub(super) first: UnixTime,
    pub(super) last: UnixTime,
}

impl Record {
    pub(super) fn new(now: Now) -> Self {
        let level = Level::new(now.moment);
        Self {
            level,
            chances: level,
            recent: [0; REPEATS_KNOWN],
            failures: 0,
            turned_away: 0,
            first: now.unix,
            last: now.unix,
        }
    }

    /// Forgets what happened and keeps what logins in flight have reserved. Whether that is nothing.
    fn forgive(&mut self) -> bool {
        self.level.clear();
        self.chances.clear();
        self.recent = [0; REPEATS_KNOWN];
        self.failures = 0;
        self.turned_away = 0;
        self.level.weight() == 0
    }

    fn failed(&mut self, now: Now) {
        if self.failures == 0 {
            self.first = now.unix;
        }
        self.failures = self.failures.saturating_add(1);
        self.last = now.unix;
    }

    fn remember(&mut self, fingerprint: u32) {
        if !self.recent.contains(&fingerprint) {
            self.recent.rotate_right(1);
            if let Some(newest) = self.recent.first_mut() {
                *newest = fingerprint;
            }
        }
    }

    /// Those that are left move up: a hole would cost another one its place.
    fn unlearn(&mut self, fingerprint: u32) {
        let others = self.recent.into_iter().filter(|known| *known != fingerprint);
        let mut left = [0; REPEATS_KNOWN];
        left.iter_mut().zip(others).for_each(|(place, known)| *place = known);
        self.recent = left;
    }
}

type Records<K> = Table<K, Record>;

/// The book.
#[derive(Debug)]
pub(super) struct LoginBook {
    pub(super) limits: Limits,
    login_key: Key,
    password_key: Key,
    pub(super) hosts: Records<Prefix>,
    pub(super) nets: Records<Prefix>,
    pub(super) wides: Records<Prefix>,
    pub(super) logins: Records<u64>,
    slots: Table<(u64, Prefix), Level>,
    pub(super) evidence: Evidence,
    pub(super) places: Places,
}

/// What the book thinks of a try.
pub(super) struct Opinion {
    pub(super) class: QueueClass,
    pub(super) delay_ms: u64,
    pub(super) refuse: Option<Because>,
    pub(super) reservation: Reservation,
}

/// Brings the record of a key up to date and lets it be changed.
fn with<K: super::keyed::Keyed>(
    table: &mut Records<K>,
    key: K,
    now: Now,
    limit: u32,
    change: impl FnOnce(&mut Record),
) {
    let weigh = |_: &K, record: &Record| {
        let level = record.level.drained(now.moment, limit);
        level.refusing().is_none().then(|| level.weight())
    };
    if let Some(record) = table.enter(key, || Record::new(now), weigh) {
        record.level = record.level.drained(now.moment, limit);
        change(record);
    }
}

/// Forgets what is held against a key. Whether that was anything.
fn forgive<K: super::keyed::Keyed>(table: &mut Records<K>, key: &K) -> bool {
    let Some(record) = table.get_mut(key) else { return false };
    let held = record.failures > 0;
    if record.forgive() {
        table.remove(key);
    }
    held
}

/// The level of a key now.
fn level<K: super::keyed::Keyed>(table: &Records<K>, key: K, now: Moment, limit: u32) -> Level {
    table.get(&key).map_or(Level::new(now), |record| record.level.drained(now, limit))
}

impl LoginBook {
    pub(super) fn new(limits: Limits, chance: &mut Chance) -> Self {
        let Limits { host, net, wide, login } = limits;
        let at_least_one =
            Limits { host: host.max(1), net: net.max(1), wide: wide.max(1), login: login.max(1) };
        Self {
            limits: at_least_one,
            login_key: Key::new(chance),
            password_key: Key::new(chance),
            hosts: Table::new(Key::new(chance), THROTTLE_HOST_SETS),
            nets: Table::new(Key::new(chance), THROTTLE_NET_SETS),
            wides: Table::new(Key::new(chance), THROTTLE_WIDE_SETS),
            logins: Table::new(Key::new(chance), THROTTLE_LOGIN_SETS),
            slots: Table::new(Key::new(chance), THROTTLE_PLACE_SETS),
            evidence: Evidence::new(chance),
            places: Places::default(),
        }
    }

    pub(super) fn login(&self, canonical: &[u8]) -> u64 {
        self.login_key.octets(canonical)
    }

    /// Belongs to login and password; the host is where it is kept. Never zero.
    fn fingerprint(&self, login: u64, password: &[u8]) -> u32 {
        let hash = self.password_key.words([login, self.password_key.octets(password)]);
        u32::try_from(hash >> 32).unwrap_or(u32::MAX).max(1)
    }

    /// The exact host refuses at connect, unless a login succeeded near it within 30 days.
    pub(super) fn at_connect(&self, now: Now, spot: Spot) -> Option<Because> {
        let level = level(&self.hosts, spot.host, now.moment, self.limits.host);
        level.refusing()?;
        if self.places.is_home(spot.net, now.unix) {
            return None;
        }
        Some(Because::new(now, Rule::Host(spot.host), &level, self.limits.host))
    }

    /// Every gate in turn. Nothing is changed yet.
    pub(super) fn consider(&self, now: Now, wanted: Try<'_>) -> Opinion {
        let spot = Spot::of(wanted.source);
        let login = self.login(wanted.login);
        let fingerprint = wanted.password.map(|password| self.fingerprint(login, password));
        let host = self.hosts.get(&spot.host);
        let repeats = host.zip(fingerprint).is_some_and(|(host, print)| host.recent.contains(&print));
        let charge = units(if repeats { REPEAT_MILLIS } else { GUESS_MILLIS });
        let known = self.places.knows(login, spot.net);
        let levels = Levels {
            host: level(&self.hosts, spot.host, now.moment, self.limits.host),
            net: level(&self.nets, spot.net, now.moment, self.limits.net),
            slot: self.slot(login, spot.net, now.moment),
        };
        let clean = levels.net.weight() == 0;
        let (refuse, chance) = if known {
            (self.judge_known(now, spot, charge, &levels), false)
        } else {
            self.judge(now, spot, login, charge, &levels)
        };
        let class = match (self.places.is_home(spot.net, now.unix), clean) {
            (true, true | false) => QueueClass::KnownPlace,
            (false, true) => QueueClass::Clean,
            (false, false) => QueueClass::Others,
        };
        let delay_ms = levels.delay_ms(known);
        let shown = shown(wanted.login);
        let session = wanted.session;
        let reservation = Reservation { spot, session, login, shown, charge, fingerprint, known, chance };
        Opinion { class, delay_ms, refuse, reservation }
    }

    fn slot(&self, login: u64, net: Prefix, now: Moment) -> Level {
        let known = self.slots.get(&(login, net));
        known.map_or(Level::new(now), |level| level.drained(now, GUESSES_PER_PLACE_MAX))
    }

    /// A login at a place where it succeeded before is refused only from a host that is over its limit, and
    /// only when the place is too: neither a neighbour nor the rest of the world can shut it out.
    fn judge_known(&self, now: Now, spot: Spot, charge: u64, levels: &Levels) -> Option<Because> {
        let limit = self.limits.host;
        let over = !levels.host.fits(charge, limit) && !levels.slot.fits(charge, GUESSES_PER_PLACE_MAX);
        over.then(|| Because::new(now, Rule::Host(spot.host), &levels.host, limit))
    }

    /// A login at a place it was not seen before, and whether it uses one of the login's chances.
    fn judge(
        &self,
        now: Now,
        spot: Spot,
        login: u64,
        charge: u64,
        levels: &Levels,
    ) -> (Option<Because>, bool) {
        let Limits { host, net, wide, login: per_login } = self.limits;
        if !levels.host.fits(charge, host) {
            return (Some(Because::new(now, Rule::Host(spot.host), &levels.host, host)), false);
        }
        if !levels.net.fits(charge, net) {
            return (Some(Because::new(now, Rule::Net(spot.net), &levels.net, net)), false);
        }
        if let Some(prefix) = spot.wide {
            let level = level(&self.wides, prefix, now.moment, wide);
            if !level.fits(charge, wide) {
                return (Some(Because::new(now, Rule::Wide(prefix), &level, wide)), false);
            }
        }
        let Some(record) = self.logins.get(&login) else { return (None, false) };
        let level = record.level.drained(now.moment, per_login);
        if level.fits(charge, per_login) {
            return (None, false);
        }
        let chances = record.chances.drained(now.moment, CHANCES_PER_LOGIN_MAX);
        let full = units(GUESS_MILLIS.saturating_mul(u64::from(CHANCES_PER_LOGIN_MAX)));
        if levels.net.weight() == 0 && chances.weight().saturating_add(charge) <= full {
            return (None, true);
        }
        (Some(Because::new(now, Rule::Login, &level, per_login)), false)
    }

    /// Takes what the try may cost, so that sessions side by side share one budget.
    pub(super) fn reserve(&mut self, now: Now, reservation: &Reservation) {
        let Reservation { spot, login, charge, chance, fingerprint, known, .. } = *reservation;
        let Limits { host, net, wide, login: per_login } = self.limits;
        if known {
            self.with_slot(now.moment, login, spot.net, |level| level.reserve(charge));
        }
        with(&mut self.hosts, spot.host, now, host, |record| {
            record.level.reserve(charge);
            // Known from now on: the same try side by side is no second guess.
            fingerprint.into_iter().for_each(|print| record.remember(print));
        });
        with(&mut self.nets, spot.net, now, net, |record| record.level.reserve(charge));
        if let Some(prefix) = spot.wide {
            with(&mut self.wides, prefix, now, wide, |record| record.level.reserve(charge));
        }
        with(&mut self.logins, login, now, per_login, |record| {
            record.level.reserve(charge);
            if chance {
                record.chances = record.chances.drained(now.moment, CHANCES_PER_LOGIN_MAX);
                record.chances.add(charge, CHANCES_PER_LOGIN_MAX);
            }
        });
    }

    /// It was turned away.
    pub(super) fn turn_away(&mut self, host: Prefix) {
        if let Some(record) = self.hosts.get_mut(&host) {
            record.turned_away = record.turned_away.saturating_add(1);
        }
    }

    /// Gives back what was reserved; a failure is added for good.
    pub(super) fn settle(&mut self, now: Now, reservation: &Reservation, failed: bool) {
        let Reservation { spot, login, charge, fingerprint, known, .. } = *reservation;
        let Limits { host, net, wide, login: per_login } = self.limits;
        let settle = |record: &mut Record, limit| {
            record.level.release(charge);
            if failed {
                record.level.add(charge, limit);
                record.failed(now);
            }
        };
        // Nobody keeps a trace of a right password.
        with(&mut self.hosts, spot.host, now, host, |record| {
            settle(record, host);
            fingerprint.filter(|_| !failed).into_iter().for_each(|print| record.unlearn(print));
        });
        with(&mut self.nets, spot.net, now, net, |record| settle(record, net));
        if let Some(prefix) = spot.wide {
            with(&mut self.wides, prefix, now, wide, |record| settle(record, wide));
        }
        with(&mut self.logins, login, now, per_login, |record| settle(record, per_login));
        if known {
            self.with_slot(now.moment, login, spot.net, |level| {
                level.release(charge);
                if failed {
                    level.add(charge, GUESSES_PER_PLACE_MAX);
                }
            });
        }
        if failed {
            self.note_failure(now, reservation);
        }
    }

    /// Brings the level of a login at a place where it succeeded before up to date and lets it be changed.
    fn with_slot(&mut self, now: Moment, login: u64, net: Prefix, change: impl FnOnce(&mut Level)) {
        let weigh = |_: &(u64, Prefix), level: &Level| {
            let level = level.drained(now, GUESSES_PER_PLACE_MAX);
            level.refusing().is_none().then(|| level.weight())
        };
        if let Some(level) = self.slots.enter((login, net), || Level::new(now), weigh) {
            *level = level.drained(now, GUESSES_PER_PLACE_MAX);
            change(level);
        }
    }

    fn note_failure(&mut self, now: Now, reservation: &Reservation) {
        let Limits { host, login, .. } = self.limits;
        let host = level(&self.hosts, reservation.spot.host, now.moment, host);
        let login = level(&self.logins, reservation.login, now.moment, login);
        self.evidence.note(now, reservation, self.limits, host, login);
    }

    /// The login succeeded here: this place is known from now on. A record of failures stays.
    pub(super) fn succeeded(&mut self, now: Now, login: u64, net: Prefix) -> Seen {
        self.places.learn(login, net, now.unix)
    }

    /// Whether a record of failures went.
    pub(super) fn forgive(&mut self, spot: Spot) -> bool {
        let host = forgive(&mut self.hosts, &spot.host);
        let net = forgive(&mut self.nets, &spot.net);
        let wide = spot.wide.is_some_and(|wide| forgive(&mut self.wides, &wide));
        for (_, level) in self.slots.iter_mut().filter(|((_, net), _)| *net == spot.net) {
            level.clear();
        }
        self.evidence.forgive(spot.host);
        host || net || wide
    }

    pub(super) fn forgive_login(&mut self, login: u64) {
        forgive(&mut self.logins, &login);
        self.evidence.forgive_login(login);
        for (_, level) in self.slots.iter_mut().filter(|((of, _), _)| *of == login) {
            level.clear();
        }
    }

    #[cfg(test)]
    pub(super) fn octets_max(&self) -> usize {
        let tables = [
            self.hosts.octets_max(),
            self.nets.octets_max(),
            self.wides.octets_max(),
            self.logins.octets_max(),
            self.slots.octets_max(),
            self.evidence.octets_max(),
        ];
        tables.iter().sum()
    }
}

/// The levels a try meets whatever its login.
struct Levels {
    host: Level,
    net: Level,
    slot: Level,
}

impl Levels {
    /// Grows with the square of the failures of the host (or a quarter of those of its network), on the grid
    /// on which refusals leave. At a known place only its own failures count.
    fn delay_ms(&self, known: bool) -> u64 {
        let failures = if known { self.slot.points() } else { self.host.points().max(self.net.points() / 4) };
        failures.saturating_mul(failures).saturating_mul(REFUSAL_TICK_MS).min(LOGIN_DELAY_MS_MAX)
    }
}
