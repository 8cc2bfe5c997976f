//! The numbers of commits, read when the store is opened.

use super::database::guarded;
use super::{FjallStore, keys};
use crate::store::StoreError;
use crate::store::count::{Counts, Entry};
use crate::store::counter::CounterState;
use crate::store::keys::{COUNT_KEY_OCTETS, COUNT_SLICE_KEY_OCTETS, COUNT_SLICE_PREFIX, Tag};
use ::fjall::Keyspace;
use std::path::Path;

impl FjallStore {
    /// Finds out which acknowledged commits are missing, and goes on counting. A number that cannot be read is
    /// as good as missing.
    pub(super) fn count(
        &mut self,
        dir: &Path,
        outside: Option<Entry>,
        state: CounterState,
    ) -> Result<(), StoreError> {
        let mut counts = Counts { outside, ..Counts::default() };
        let records = numbers(&self.records, &[Tag::Count.octet()], COUNT_KEY_OCTETS)?;
        counts.records = records.into_iter().map(|entry| (entry.number, entry)).collect();
        let bodies = numbers(&self.bodies, &COUNT_SLICE_PREFIX, COUNT_SLICE_KEY_OCTETS)?;
        counts.bodies = bodies.into_iter().map(|entry| entry.number).collect();
        self.lost = counts.lost();
        self.last_commit = counts.last();
        let last = self.last_commit;
        self.counter.begin(dir, self.mode, last);
        let was_counted = last.number > 0;
        self.counter_state = match state {
            CounterState::Missing if !was_counted => CounterState::Good,
            CounterState::Missing | CounterState::Good | CounterState::Unreadable | CounterState::Foreign => {
                state
            }
        };
        Ok(())
    }
}

/// The numbers in a keyspace under keys of this length.
fn numbers(keyspace: &Keyspace, prefix: &[u8], key_octets: usize) -> Result<Vec<Entry>, StoreError> {
    let mut found = Vec::new();
    guarded("reading the numbers of commits", || {
        for guard in keyspace.prefix(prefix) {
            let (key, value) = guard.into_inner()?;
            if key.len() == key_octets {
                found.extend(keys::decode_count(&key, &value).ok());
            }
        }
        Ok(())
    })?;
    Ok(found)
}
