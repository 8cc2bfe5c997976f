//! The numbers of commits, read when the store is opened.

use super::database::guarded;
use super::{FjallStore, keys};
use crate::store::StoreError;
use crate::store::count::{Counts, Entry, Lost};
use crate::store::counter::CounterState;
use crate::store::keys::{COUNT_KEY_OCTETS, COUNT_SLICE_KEY_OCTETS, COUNT_SLICE_PREFIX, Meta, Tag};
use ::fjall::{Keyspace, PersistMode};
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
        counts.accepted = self.accepted()?;
        counts.bodies = bodies.into_iter().map(|entry| entry.number).collect();
        self.lost = counts.lost();
        self.accepted_losses = counts.accepted_still();
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

impl FjallStore {
    fn accepted(&self) -> Result<Vec<Lost>, StoreError> {
        let key = keys::meta_key(Meta::AcceptedLosses);
        let value = guarded("reading the accepted losses", || self.records.get(key))?;
        // One that cannot be read accepts nothing: what is missing is told again.
        Ok(value.and_then(|value| keys::decode_accepted(&value).ok()).unwrap_or_default())
    }

    /// The administrator knows what is missing: it is told no more. Gives what that is.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn accept_losses(&mut self) -> Result<Vec<Lost>, StoreError> {
        self.writable()?;
        let all: Vec<Lost> = self.accepted_losses.iter().chain(&self.lost).copied().collect();
        let value = keys::encode_accepted(&all)?;
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        // As in every batch that is synced.
        batch.insert(&self.records, keys::meta_key(Meta::SyncMark), keys::encode_sync_mark(self.mark));
        batch.insert(&self.records, keys::meta_key(Meta::AcceptedLosses), value);
        self.write("accepting losses", || batch.commit())?;
        self.accepted_losses = all;
        Ok(std::mem::take(&mut self.lost))
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
