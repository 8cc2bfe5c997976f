//! What the model keeps over a restart.

use super::{Event, GUESS, Key, Naive};
use gatepost::auth::throttle::Rules;
use gatepost::types::{Moment, Now, Prefix, UnixTime};

/// What is kept over a restart.
#[derive(Debug, Clone)]
pub struct Kept {
    at: UnixTime,
    levels: Vec<(Prefix, u64, Option<UnixTime>)>,
    places: Vec<(Vec<u8>, Prefix, UnixTime)>,
}

impl Kept {
    /// The known places: they are records of accounts, and the server loads them from there.
    pub fn places(&self) -> &[(Vec<u8>, Prefix, UnixTime)] {
        &self.places
    }
}

impl Naive {
    /// What outlives a restart: ranges at half of their limit or more, and known places.
    pub fn keep(&self, now: Now) -> Kept {
        let mut ranges: Vec<Prefix> = Vec::new();
        for (_, event) in &self.log {
            match event {
                Event::Add(keys, _) => ranges.extend(keys.iter().filter_map(|key| match key {
                    Key::Range(range) => Some(*range),
                    Key::Login(_) | Key::Place(..) | Key::Chances(_) | Key::Mail(_) => None,
                })),
                Event::Restored(Key::Range(range), ..) => ranges.push(*range),
                _ => {}
            }
        }
        ranges.sort();
        ranges.dedup();
        let level = |range: Prefix| {
            let key = Key::Range(range);
            let standing = self.standing(now, &key);
            let since = standing
                .refusing
                .map(|since| UnixTime(now.unix.0.saturating_sub(now.moment.since_ms(since) / 1_000)));
            (standing.settled * 2 >= u64::from(self.limit(&key)) * GUESS).then_some((
                range,
                standing.settled,
                since,
            ))
        };
        Kept { at: now.unix, levels: ranges.into_iter().filter_map(level).collect(), places: self.places() }
    }

    /// A model that begins with what was kept. What drained in the meantime is what the wall clock says, if it
    /// has not gone back.
    pub fn restart(rules: Rules, now: Now, kept: &Kept) -> Self {
        let mut model = Self::new(rules);
        for (login, net, last) in &kept.places {
            let then = Now { moment: now.moment, unix: *last };
            model.note(then, Event::Succeeded(login.clone(), *net));
        }
        let age_ms = now.unix.0.saturating_sub(kept.at.0).saturating_mul(1_000);
        for (range, settled, since) in &kept.levels {
            let key = Key::Range(*range);
            let limit = u64::from(model.limit(&key));
            let settled = settled.saturating_sub(limit.saturating_mul(age_ms));
            let ago_ms = |since: UnixTime| now.unix.0.saturating_sub(since.0).saturating_mul(1_000);
            let since = since.map(|since| Moment(now.moment.0.saturating_sub(ago_ms(since))));
            model.note(now, Event::Restored(key, settled, since));
        }
        model
    }
}
