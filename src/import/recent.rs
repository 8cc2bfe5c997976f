//! A memory of the last few: the oldest goes when a new one has no room.

use crate::limits::IMPORT_KEY_OCTETS_MAX;
use std::collections::{BTreeMap, VecDeque};

/// At most so many keys with a value each. Of a key, the first [`IMPORT_KEY_OCTETS_MAX`] octets count.
#[derive(Debug, Clone)]
pub struct Recent<V> {
    most: usize,
    serial: u64,
    values: BTreeMap<String, (u64, V)>,
    order: VecDeque<(u64, String)>,
}

impl<V> Recent<V> {
    /// An empty memory of at most `most` keys (at least one).
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), serial: 0, values: BTreeMap::new(), order: VecDeque::new() }
    }

    /// The value of this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&V> {
        self.values.get(cut(key)).map(|(_, value)| value)
    }

    /// The value of this key, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        self.values.get_mut(cut(key)).map(|(_, value)| value)
    }

    /// The value of this key; a fresh one, as the newest, if there is none. What had to go for it is lost.
    pub fn entry(&mut self, key: &str) -> &mut V
    where
        V: Default,
    {
        self.get_or_put(key.to_owned(), V::default)
    }

    /// Puts a value in, as the newest; gives back what had to go for it (the oldest, or the key's former value).
    pub fn put(&mut self, mut key: String, value: V) -> Option<V> {
        key.truncate(cut(&key).len());
        self.serial = self.serial.wrapping_add(1);
        let former = self.values.insert(key.clone(), (self.serial, value)).map(|(_, value)| value);
        self.order.push_back((self.serial, key));
        self.forget_stale();
        if former.is_some() || self.values.len() <= self.most {
            return former;
        }
        self.pop_oldest()
    }

    /// The value of this key, put in as the newest if it is not there.
    pub fn get_or_put(&mut self, mut key: String, value: impl FnOnce() -> V) -> &mut V {
        key.truncate(cut(&key).len());
        let serial = self.serial.wrapping_add(1);
        if !self.values.contains_key(&key) {
            self.forget_stale();
            if self.values.len() >= self.most {
                self.pop_oldest();
            }
            self.serial = serial;
            self.order.push_back((serial, key.clone()));
        }
        &mut self.values.entry(key).or_insert_with(|| (serial, value())).1
    }

    /// Takes the value of this key out.
    pub fn take(&mut self, key: &str) -> Option<V> {
        let taken = self.values.remove(cut(key)).map(|(_, value)| value);
        self.forget_stale();
        taken
    }

    /// Takes the oldest out.
    pub fn pop_oldest(&mut self) -> Option<V> {
        while let Some((serial, key)) = self.order.pop_front() {
            if self.values.get(&key).is_some_and(|(now, _)| *now == serial) {
                return self.values.remove(&key).map(|(_, value)| value);
            }
        }
        None
    }

    /// The oldest.
    pub fn oldest(&mut self) -> Option<&V> {
        self.forget_stale();
        let (_, key) = self.order.front()?;
        self.values.get(key).map(|(_, value)| value)
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Drops places of the queue whose key has gone or come again; all of them once they outnumber the living.
    fn forget_stale(&mut self) {
        let values = &self.values;
        let lives = |(serial, key): &(u64, String)| values.get(key).is_some_and(|(now, _)| now == serial);
        while self.order.front().is_some_and(|place| !lives(place)) {
            self.order.pop_front();
        }
        if self.order.len() > values.len().saturating_mul(2).saturating_add(16) {
            self.order.retain(lives);
        }
    }
}

/// The part of a key that counts.
fn cut(key: &str) -> &str {
    key.get(..key.floor_char_boundary(IMPORT_KEY_OCTETS_MAX)).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_when_a_new_one_has_no_room() {
        let mut recent = Recent::new(2);
        assert_eq!(recent.put("a".into(), 1), None);
        assert_eq!(recent.put("b".into(), 2), None);
        assert_eq!(recent.put("a".into(), 3), Some(1));
        assert_eq!(recent.put("c".into(), 4), Some(2));
        assert_eq!((recent.get("a"), recent.get("b"), recent.get("c")), (Some(&3), None, Some(&4)));
        assert_eq!(recent.pop_oldest(), Some(3));
    }

    #[test]
    fn coming_and_going_leaves_no_queue_behind() {
        let mut recent = Recent::new(4);
        recent.put("stays".into(), 0);
        for number in 0..10_000 {
            recent.put("again".into(), number);
            recent.take("again");
        }
        assert!(recent.order.len() < 64, "{}", recent.order.len());
    }

    #[test]
    fn a_long_key_is_not_kept_whole() {
        let mut recent = Recent::new(4);
        let key = "\u{f6}".repeat(10_000);
        recent.put(key.clone(), 1);
        assert_eq!(recent.get(&key), Some(&1));
        assert!(recent.values.keys().all(|kept| kept.len() <= IMPORT_KEY_OCTETS_MAX));
        assert_eq!(recent.take(&key), Some(1));
    }
}
