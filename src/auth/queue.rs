//! A short queue that is fair between the networks it is filled from.

use super::throttle::QueueClass;
use crate::limits::{
    HASH_KNOWN_IN_A_ROW_MAX, HASH_QUEUE_CLEAN_MAX, HASH_QUEUE_MAX, HASH_QUEUE_OTHERS_MAX,
    HASH_QUEUE_PER_PREFIX_MAX,
};
use crate::types::Prefix;
use std::collections::{BTreeMap, VecDeque};

/// There is no place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// First come, first served within a prefix; one after the other between prefixes; networks where logins
/// succeeded before all others, but for one in every few, so that nobody waits for ever.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    known: Lines<T>,
    clean: Lines<T>,
    others: Lines<T>,
    /// How many of `known` were served in a row.
    known_in_a_row: usize,
    /// Whether the last served of the two other classes was of `clean`.
    clean_was_last: bool,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self {
            known: Lines::default(),
            clean: Lines::default(),
            others: Lines::default(),
            known_in_a_row: 0,
            clean_was_last: false,
        }
    }
}

impl<T> FairQueue<T> {
    /// Adds one.
    ///
    /// # Errors
    /// When the queue, or the part of it this class or one prefix may have, is full: of the places that
    /// strangers fill some are kept for clean networks, and of all some for known ones.
    pub(super) fn push(&mut self, class: QueueClass, prefix: Prefix, item: T) -> Result<(), Full> {
        let strangers = self.clean.count().saturating_add(self.others.count());
        let all = strangers.saturating_add(self.known.count());
        let (lines, is_full) = match class {
            QueueClass::KnownPlace => (&mut self.known, false),
            QueueClass::Clean => (&mut self.clean, strangers >= HASH_QUEUE_CLEAN_MAX),
            QueueClass::Others => {
                let is_full =
                    self.others.count() >= HASH_QUEUE_OTHERS_MAX || strangers >= HASH_QUEUE_CLEAN_MAX;
                (&mut self.others, is_full)
            }
        };
        if is_full || all >= HASH_QUEUE_MAX { Err(Full) } else { lines.push(prefix, item) }
    }

    /// The next to be served; its prefix goes to the end of its class.
    pub(super) fn pop(&mut self) -> Option<T> {
        let strangers_wait = self.clean.count() > 0 || self.others.count() > 0;
        if (!strangers_wait || self.known_in_a_row < HASH_KNOWN_IN_A_ROW_MAX)
            && let Some(item) = self.known.pop()
        {
            self.known_in_a_row = self.known_in_a_row.saturating_add(1);
            return Some(item);
        }
        self.known_in_a_row = 0;
        let clean_first = !self.clean_was_last;
        let (first, second) = if clean_first {
            (&mut self.clean, &mut self.others)
        } else {
            (&mut self.others, &mut self.clean)
        };
        if let Some(item) = first.pop() {
            self.clean_was_last = clean_first;
            return Some(item);
        }
        let item = second.pop()?;
        self.clean_was_last = !clean_first;
        Some(item)
    }

    /// Takes out all that `leaves` says.
    pub(super) fn extract(&mut self, leaves: impl Fn(&T) -> bool) -> Vec<T> {
        let mut out = self.known.extract(&leaves);
        out.extend(self.clean.extract(&leaves));
        out.extend(self.others.extract(&leaves));
        out
    }

    /// All that wait, in no order of meaning.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.known.iter().chain(self.clean.iter()).chain(self.others.iter())
    }
}

/// One class: a line for each prefix.
#[derive(Debug)]
struct Lines<T> {
    lines: BTreeMap<Prefix, VecDeque<T>>,
    /// The prefixes that wait, the next to be served in front. Each has a line that is not empty.
    turns: VecDeque<Prefix>,
}

impl<T> Default for Lines<T> {
    fn default() -> Self {
        Self { lines: BTreeMap::new(), turns: VecDeque::new() }
    }
}

impl<T> Lines<T> {
    fn count(&self) -> usize {
        self.lines.values().map(VecDeque::len).fold(0, usize::saturating_add)
    }

    fn push(&mut self, prefix: Prefix, item: T) -> Result<(), Full> {
        let line = self.lines.entry(prefix).or_default();
        if line.len() >= HASH_QUEUE_PER_PREFIX_MAX {
            return Err(Full);
        }
        if line.is_empty() {
            self.turns.push_back(prefix);
        }
        line.push_back(item);
        Ok(())
    }

    fn pop(&mut self) -> Option<T> {
        let prefix = self.turns.pop_front()?;
        let line = self.lines.get_mut(&prefix)?;
        let item = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&prefix);
        } else {
            self.turns.push_back(prefix);
        }
        item
    }

    fn extract(&mut self, leaves: impl Fn(&T) -> bool) -> Vec<T> {
        let mut out = Vec::new();
        for line in self.lines.values_mut() {
            out.extend(take_out(line, &leaves));
        }
        self.lines.retain(|_, line| !line.is_empty());
        drop(take_out(&mut self.turns, |prefix| !self.lines.contains_key(prefix)));
        out
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.lines.values().flatten()
    }
}

/// What leaves a queue; the rest keeps its order. By hand, since the proof that nothing here panics cannot see
/// through the swaps of `VecDeque::retain`.
pub(super) fn take_out<T>(queue: &mut VecDeque<T>, leaves: impl Fn(&T) -> bool) -> Vec<T> {
    let mut out = Vec::new();
    for _ in 0..queue.len() {
        match queue.pop_front() {
            Some(item) if leaves(&item) => out.push(item),
            Some(item) => queue.push_back(item),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Chance;

    fn v4(text: &str) -> Prefix {
        Prefix::net(text.parse().unwrap())
    }

    #[test]
    fn prefixes_take_turns() {
        let mut queue = FairQueue::default();
        for item in [1, 2, 3] {
            queue.push(QueueClass::Others, v4("192.0.2.1"), item).unwrap();
        }
        queue.push(QueueClass::Others, v4("198.51.100.1"), 11).unwrap();
        queue.push(QueueClass::Others, v4("203.0.113.1"), 21).unwrap();
        let served: Vec<i32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(served, [1, 11, 21, 2, 3]);
    }

    #[test]
    fn one_prefix_cannot_take_all_places_nor_can_all_take_more_than_there_are() {
        let mut queue = FairQueue::default();
        for item in 0..HASH_QUEUE_PER_PREFIX_MAX {
            queue.push(QueueClass::Others, v4("192.0.2.1"), item).unwrap();
        }
        assert_eq!(queue.push(QueueClass::Others, v4("192.0.2.2"), 0), Err(Full));
        for other in 1..255_usize {
            let _ = queue.push(QueueClass::Others, v4(&format!("10.0.{other}.1")), other);
        }
        assert_eq!(queue.iter().count(), HASH_QUEUE_OTHERS_MAX);
    }

    #[test]
    fn a_flood_leaves_places_for_clean_networks_and_for_known_ones() {
        let mut queue = FairQueue::default();
        let flood = |queue: &mut FairQueue<u32>, class, second: u8| {
            (0..=255_u8)
                .filter(|third| queue.push(class, v4(&format!("10.{second}.{third}.1")), 0).is_ok())
                .count()
        };
        assert_eq!(flood(&mut queue, QueueClass::Others, 0), HASH_QUEUE_OTHERS_MAX);
        assert_eq!(flood(&mut queue, QueueClass::Clean, 1), HASH_QUEUE_CLEAN_MAX - HASH_QUEUE_OTHERS_MAX);
        assert_eq!(flood(&mut queue, QueueClass::KnownPlace, 2), HASH_QUEUE_MAX - HASH_QUEUE_CLEAN_MAX);
    }

    #[test]
    fn known_networks_are_served_first_and_others_are_not_starved() {
        let mut queue = FairQueue::default();
        queue.push(QueueClass::Others, v4("192.0.2.1"), 1).unwrap();
        queue.push(QueueClass::Clean, v4("198.51.100.1"), 11).unwrap();
        for item in 21..26 {
            queue.push(QueueClass::KnownPlace, v4(&format!("10.0.{item}.1")), item).unwrap();
        }
        let served: Vec<i32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(served, [21, 22, 23, 11, 24, 25, 1]);
    }

    #[test]
    fn nothing_is_lost_or_served_twice_whatever_happens() {
        let mut chance = Chance::from_seed([9; 32]);
        let mut queue = FairQueue::default();
        let (mut into, mut out) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        for item in 0..5_000_u64 {
            match chance.below(4) {
                0 | 1 => {
                    if queue
                        .push(QueueClass::Others, v4(&format!("10.0.{}.1", chance.below(12))), item)
                        .is_ok()
                    {
                        into.insert(item);
                    }
                }
                2 => {
                    if let Some(item) = queue.pop() {
                        assert!(out.insert(item));
                    }
                }
                _ => {
                    for item in queue.extract(|item| item % 7 == 0) {
                        assert!(out.insert(item));
                    }
                }
            }
        }
        while let Some(item) = queue.pop() {
            assert!(out.insert(item));
        }
        assert_eq!(into, out);
    }
}
