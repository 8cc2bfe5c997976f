//! The store as keys and values, for `verify`.

use super::FjallStore;
use super::database::guarded;
use crate::store::StoreError;
use crate::store::count::Lost;
use crate::store::counter::CounterState;
use crate::store::keys::SyncMark;
use crate::store::place::OpenMode;
use crate::store::verify::{Part, Rows, Source};
use ::fjall::Keyspace;
use std::ops::Bound;

impl FjallStore {
    fn part(&self, part: Part) -> &Keyspace {
        match part {
            Part::Records => &self.records,
            Part::Bodies => &self.bodies,
        }
    }
}

impl Source for FjallStore {
    fn get(&self, part: Part, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found = guarded("reading a record", || self.part(part).get(key))?;
        Ok(found.map(|value| value.to_vec()))
    }

    fn rows(&self, part: Part, after: &[u8], count: usize, octets: usize) -> Rows {
        let mut out = Rows::default();
        let range = (Bound::Excluded(after.to_vec()), Bound::Unbounded);
        let mut taken = 0_usize;
        let done = guarded("reading records", || {
            for guard in self.part(part).range::<Vec<u8>, _>(range) {
                if taken >= octets || out.rows.len() >= count {
                    return Ok(());
                }
                let key = guard.key()?;
                // Read for itself: a value that cannot be read does not hide its key.
                let value = self.get(part, &key).and_then(|value| {
                    value.ok_or_else(|| StoreError::Damaged("a key that was listed is not found".to_owned()))
                });
                taken = taken.saturating_add(value.as_ref().map_or(0, Vec::len));
                out.rows.push((key.to_vec(), value));
            }
            out.is_end = true;
            Ok(())
        });
        out.broken = done.err();
        out
    }

    fn first_key(&self, part: Part, prefix: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        guarded("looking for a record", || {
            let first = self.part(part).prefix(prefix).next();
            first.map(|guard| guard.key().map(|key| key.to_vec())).transpose()
        })
    }

    fn mark(&self) -> SyncMark {
        self.mark
    }

    fn is_live(&self) -> bool {
        self.mode == OpenMode::Write
    }

    fn missing(&self) -> &[Lost] {
        &self.lost
    }

    fn counter_state(&self) -> CounterState {
        self.counter_state
    }
}
