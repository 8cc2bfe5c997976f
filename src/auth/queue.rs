//! A short queue that is fair between the networks it is filled from.

use crate::limits::{HASH_QUEUE_MAX, HASH_QUEUE_PER_PREFIX_MAX};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// Who shares a place in the queue: an IPv4 /24 or an IPv6 /56.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Prefix {
    V4([u8; 3]),
    V6([u8; 7]),
}

impl Prefix {
    /// The prefix of an address. An IPv4-mapped address counts as the IPv4 address it is.
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, ..] = v6.octets();
                Self::V6([a, b, c, d, e, f, g])
            }
        }
    }
}

/// There is no place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// First come, first served within a prefix; one after the other between prefixes.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    lines: BTreeMap<Prefix, VecDeque<T>>,
    /// The prefixes that wait, the next to be served in front. Each has a line that is not empty.
    turns: VecDeque<Prefix>,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { lines: BTreeMap::new(), turns: VecDeque::new() }
    }
}

impl<T> FairQueue<T> {
    /// Adds one.
    ///
    /// # Errors
    /// When the queue, or the part of it one prefix may have, is full.
    pub(super) fn push(&mut self, prefix: Prefix, item: T) -> Result<(), Full> {
        let all: usize = self.lines.values().map(VecDeque::len).sum();
        if all >= HASH_QUEUE_MAX {
            return Err(Full);
        }
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

    /// The next to be served; its prefix goes to the end.
    pub(super) fn pop(&mut self) -> Option<T> {
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

    /// Takes out all that `leaves` says.
    pub(super) fn extract(&mut self, leaves: impl Fn(&T) -> bool) -> Vec<T> {
        let mut out = Vec::new();
        for line in self.lines.values_mut() {
            let (gone, kept): (VecDeque<T>, VecDeque<T>) =
                std::mem::take(line).into_iter().partition(|item| leaves(item));
            out.extend(gone);
            *line = kept;
        }
        self.lines.retain(|_, line| !line.is_empty());
        self.turns.retain(|prefix| self.lines.contains_key(prefix));
        out
    }

    /// All that wait, in no order of meaning.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.lines.values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Chance;

    fn v4(text: &str) -> Prefix {
        Prefix::of(text.parse().unwrap())
    }

    #[test]
    fn neighbours_share_a_prefix_and_others_do_not() {
        assert_eq!(v4("192.0.2.1"), v4("192.0.2.255"));
        assert_ne!(v4("192.0.2.1"), v4("192.0.3.1"));
        assert_eq!(v4("2001:db8:0:100::1"), v4("2001:db8:0:1ff::2"));
        assert_ne!(v4("2001:db8:0:100::1"), v4("2001:db8:0:200::1"));
        assert_eq!(v4("::ffff:192.0.2.1"), v4("192.0.2.9"));
    }

    #[test]
    fn prefixes_take_turns() {
        let mut queue = FairQueue::default();
        for item in [1, 2, 3] {
            queue.push(v4("192.0.2.1"), item).unwrap();
        }
        queue.push(v4("198.51.100.1"), 11).unwrap();
        queue.push(v4("203.0.113.1"), 21).unwrap();
        let served: Vec<i32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(served, [1, 11, 21, 2, 3]);
    }

    #[test]
    fn one_prefix_cannot_take_all_places_nor_can_all_take_more_than_there_are() {
        let mut queue = FairQueue::default();
        for item in 0..HASH_QUEUE_PER_PREFIX_MAX {
            queue.push(v4("192.0.2.1"), item).unwrap();
        }
        assert_eq!(queue.push(v4("192.0.2.2"), 0), Err(Full));
        for other in 1..255_usize {
            let _ = queue.push(v4(&format!("10.0.{other}.1")), other);
        }
        assert_eq!(queue.iter().count(), HASH_QUEUE_MAX);
    }

    #[test]
    fn nothing_is_lost_or_served_twice_whatever_happens() {
        let mut chance = Chance::from_seed([9; 32]);
        let mut queue = FairQueue::default();
        let (mut into, mut out) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        for item in 0..5_000_u64 {
            match chance.below(4) {
                0 | 1 => {
                    if queue.push(v4(&format!("10.0.{}.1", chance.below(12))), item).is_ok() {
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
