//! Heavy offenders over a restart.

use super::Throttle;
use super::because::wall;
use super::level::{Level, units};
use super::login_book::{Record, Spot};
use super::table::Table;
use crate::limits::{GUESS_MILLIS, THROTTLE_KEPT_MAX, THROTTLE_SAVE_MS, THROTTLE_SAVE_SOON_MS};
use crate::types::{Moment, Now, Prefix, UnixTime};

/// The form of a snapshot; another one is not read.
const VERSION: u32 = 1;

/// The sources that have used up half of a limit or more, the heaviest first, at most
/// [`THROTTLE_KEPT_MAX`](crate::limits::THROTTLE_KEPT_MAX). No logins and no passwords, not even as
/// fingerprints. The levels of logins and the mail book begin anew with a restart.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Snapshot {
    version: u32,
    at: UnixTime,
    offenders: Vec<Offender>,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Offender {
    prefix: Prefix,
    /// Level in units; see `level`.
    units: u64,
    /// Since when it was refused.
    refused_since: Option<UnixTime>,
    failures: u32,
    first: UnixTime,
    last: UnixTime,
}

/// What changed that must outlive a restart, since it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unsaved {
    /// Nothing.
    Nothing,
    /// Failures were added.
    More,
    /// Somebody is refused who was not before, or was forgiven.
    Verdict,
}

/// When it was written, and what changed since.
#[derive(Debug)]
pub(super) struct Saving {
    unsaved: Unsaved,
    last: Option<Moment>,
}

impl Saving {
    pub(super) fn new() -> Self {
        Self { unsaved: Unsaved::Nothing, last: None }
    }

    pub(super) fn mark(&mut self, what: Unsaved) {
        self.unsaved = self.unsaved.max(what);
    }

    fn due(&self) -> Option<Moment> {
        let patience = match self.unsaved {
            Unsaved::Nothing => return None,
            Unsaved::More => THROTTLE_SAVE_MS,
            Unsaved::Verdict => THROTTLE_SAVE_SOON_MS,
        };
        Some(self.last.map_or(Moment::default(), |last| last.plus_ms(patience)))
    }
}

impl Throttle {
    /// When [`Throttle::save`] has something, if it will.
    #[must_use]
    pub fn next_save(&self) -> Option<Moment> {
        self.saving.due()
    }

    /// What must outlive a restart, if it changed and it is time: at once after a quiet while, so that nobody
    /// gains by making the process end; then no more often than
    /// [`THROTTLE_SAVE_SOON_MS`](crate::limits::THROTTLE_SAVE_SOON_MS) and
    /// [`THROTTLE_SAVE_MS`](crate::limits::THROTTLE_SAVE_MS) say.
    pub fn save(&mut self, now: Now) -> Option<Snapshot> {
        if self.next_save()? > now.moment {
            return None;
        }
        self.saving = Saving { unsaved: Unsaved::Nothing, last: Some(now.moment) };
        Some(self.snapshot(now))
    }

    /// The same, whether or not it is time: the process is leaving.
    pub fn save_now(&mut self, now: Now) -> Option<Snapshot> {
        self.saving.last = None;
        self.save(now)
    }

    /// What was given last could not be written.
    pub fn save_again(&mut self) {
        self.saving.mark(Unsaved::Verdict);
    }

    /// What a failure here and now means for what is kept.
    pub(super) fn unsaved_of(&self, now: Now, spot: Spot) -> Unsaved {
        let (book, limits) = (&self.logins, self.logins.limits);
        let of = |record: Option<&Record>, limit| {
            let Some(record) = record else { return Unsaved::Nothing };
            let level = record.level.drained(now.moment, limit);
            match (level.refusing(), is_heavy(&level, limit)) {
                (Some(since), true | false) if since == now.moment => Unsaved::Verdict,
                (Some(_), true | false) | (None, true) => Unsaved::More,
                (None, false) => Unsaved::Nothing,
            }
        };
        let host = of(book.hosts.get(&spot.host), limits.host);
        let net = of(book.nets.get(&spot.net), limits.net);
        let wide = spot.wide.and_then(|wide| book.wides.get(&wide));
        host.max(net).max(of(wide, limits.wide))
    }

    /// What must outlive a restart.
    #[must_use]
    pub fn snapshot(&self, now: Now) -> Snapshot {
        let (book, limits) = (&self.logins, self.logins.limits);
        let mut offenders = heavy(now, &book.hosts, limits.host);
        offenders.extend(heavy(now, &book.nets, limits.net));
        offenders.extend(heavy(now, &book.wides, limits.wide));
        offenders.sort_by_key(|(share, offender)| (std::cmp::Reverse(*share), offender.prefix));
        offenders.truncate(THROTTLE_KEPT_MAX);
        let offenders = offenders.into_iter().map(|(_, offender)| offender).collect();
        Snapshot { version: VERSION, at: now.unix, offenders }
    }

    /// Takes up what was kept, drained by the time between. A clock that has jumped back drains nothing and
    /// prolongs nothing: a refusal ends at the latest when it would have ended had it been kept just now.
    /// False, and nothing is done, if it was written by a program that keeps it in another form.
    pub fn restore(&mut self, now: Now, snapshot: &Snapshot) -> bool {
        if snapshot.version != VERSION {
            return false;
        }
        let age_ms = now.unix.0.saturating_sub(snapshot.at.0).saturating_mul(1_000);
        for offender in snapshot.offenders.iter().take(THROTTLE_KEPT_MAX) {
            let book = &mut self.logins;
            let first = offender.prefix.first();
            let (table, limit) = if offender.prefix == Prefix::host(first) {
                (&mut book.hosts, book.limits.host)
            } else if offender.prefix == Prefix::net(first) {
                (&mut book.nets, book.limits.net)
            } else if Some(offender.prefix) == Prefix::wide(first) {
                (&mut book.wides, book.limits.wide)
            } else {
                continue;
            };
            take_up(now, table, limit, age_ms, offender);
        }
        true
    }
}

/// A thousandth of the limit for each that the level has, so that sources of different kinds can be compared.
fn share(level: &Level, limit: u32) -> u64 {
    level.settled().checked_div(units(u64::from(limit))).unwrap_or(0)
}

/// Whether half of the limit or more is used up.
fn is_heavy(level: &Level, limit: u32) -> bool {
    share(level, limit) >= GUESS_MILLIS / 2
}

fn heavy(now: Now, table: &Table<Prefix, Record>, limit: u32) -> Vec<(u64, Offender)> {
    let keep = |(prefix, record): &(Prefix, Record)| {
        let level = record.level.drained(now.moment, limit);
        let offender = Offender {
            prefix: *prefix,
            units: level.settled(),
            refused_since: level.refusing().map(|since| wall(now, since)),
            failures: record.failures,
            first: record.first,
            last: record.last,
        };
        is_heavy(&level, limit).then(|| (share(&level, limit), offender))
    };
    table.iter().filter_map(keep).collect()
}

fn take_up(now: Now, table: &mut Table<Prefix, Record>, limit: u32, age_ms: u64, offender: &Offender) {
    let drained = u64::from(limit).saturating_mul(age_ms);
    let settled = offender.units.saturating_sub(drained);
    // The monotonic clock began anew: before its origin there is nothing.
    let since = |since: UnixTime| {
        Moment(now.moment.0.saturating_sub(now.unix.0.saturating_sub(since.0).saturating_mul(1_000)))
    };
    let level = Level::restored(now.moment, settled, offender.refused_since.map(since), limit);
    let weigh = |_: &Prefix, record: &Record| {
        let level = record.level.drained(now.moment, limit);
        level.refusing().is_none().then(|| level.weight())
    };
    if level.settled() == 0 {
        return;
    }
    if let Some(record) = table.enter(offender.prefix, || Record::new(now), weigh) {
        record.level = level;
        record.failures = offender.failures;
        record.first = offender.first.min(now.unix);
        record.last = offender.last.min(now.unix);
    }
}
