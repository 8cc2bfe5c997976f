//! A table of fixed size in which the light give way to the heavy.

use super::keyed::{Key, Keyed};
use crate::limits::THROTTLE_WAYS;

/// Sets of a few entries each; a secret hash says which set a key belongs to. A newcomer to a full set takes
/// the place of its lightest entry. Where every entry is one that may not leave, the newcomer is not kept: it
/// still counts in the wider rules.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    key: Key,
    sets: Vec<Vec<(K, V)>>,
}

impl<K: Keyed, V> Table<K, V> {
    /// A set takes memory only when its first entry comes.
    pub(super) fn new(key: Key, sets: usize) -> Self {
        Self { key, sets: std::iter::repeat_with(Vec::new).take(sets.max(1)).collect() }
    }

    fn set(&self, key: &K) -> usize {
        let sets = u64::try_from(self.sets.len()).unwrap_or(u64::MAX);
        usize::try_from(key.hash(self.key).checked_rem(sets).unwrap_or(0)).unwrap_or(0)
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let set = self.sets.get(self.set(key))?;
        set.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.set(key);
        let set = self.sets.get_mut(at)?;
        set.iter_mut().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The entry of the key, made if need be. `weigh` says how heavy an entry is, or `None` for one that may
    /// not leave.
    pub(super) fn enter(
        &mut self,
        key: K,
        fresh: impl FnOnce() -> V,
        weigh: impl Fn(&K, &V) -> Option<u64>,
    ) -> Option<&mut V> {
        let at = self.set(&key);
        let set = self.sets.get_mut(at)?;
        let place = match set.iter().position(|(known, _)| *known == key) {
            Some(place) => place,
            None if set.len() < THROTTLE_WAYS => {
                set.push((key, fresh()));
                set.len().saturating_sub(1)
            }
            None => {
                let weighed = set.iter().enumerate().filter_map(|(at, (k, v))| Some((weigh(k, v)?, at)));
                let (_, lightest) = weighed.min()?;
                *set.get_mut(lightest)? = (key, fresh());
                lightest
            }
        };
        set.get_mut(place).map(|(_, value)| value)
    }

    pub(super) fn remove(&mut self, key: &K) {
        let at = self.set(key);
        if let Some(set) = self.sets.get_mut(at) {
            set.retain(|(known, _)| known != key);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.sets.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut (K, V)> {
        self.sets.iter_mut().flatten()
    }

    /// Octets it can take.
    #[cfg(test)]
    pub(super) fn octets_max(&self) -> usize {
        let set = size_of::<(K, V)>().saturating_mul(THROTTLE_WAYS).saturating_add(size_of::<Vec<(K, V)>>());
        self.sets.len().saturating_mul(set)
    }
}
