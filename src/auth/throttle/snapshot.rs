//! Heavy offenders over a restart.

use super::Throttle;
use super::because::wall;
use super::level::{Level, units};
use super::login_book::Record;
use super::table::Table;
use crate::limits::{GUESS_MILLIS, THROTTLE_KEPT_MAX};
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

impl Throttle {
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
    pub fn restore(&mut self, now: Now, snapshot: &Snapshot) {
        if snapshot.version != VERSION {
            return;
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
    }
}

fn heavy(now: Now, table: &Table<Prefix, Record>, limit: u32) -> Vec<(u64, Offender)> {
    let keep = |(prefix, record): &(Prefix, Record)| {
        let level = record.level.drained(now.moment, limit);
        // In thousandths of the limit, so that sources of different kinds can be compared.
        let share = level.settled().checked_div(units(u64::from(limit))).unwrap_or(0);
        let offender = Offender {
            prefix: *prefix,
            units: level.settled(),
            refused_since: level.refusing().map(|since| wall(now, since)),
            failures: record.failures,
            first: record.first,
            last: record.last,
        };
        (share >= GUESS_MILLIS / 2).then_some((share, offender))
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
