//! The memory that all recordings share.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A budget of octets. Whoever takes gives back when its recording is dropped, wherever that happens.
#[derive(Debug)]
pub struct Arena {
    most: usize,
    used: AtomicUsize,
}

impl Arena {
    /// A budget of so many octets.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, used: AtomicUsize::new(0) }
    }

    /// Octets taken.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether more than three quarters are taken: who waits should not wait longer.
    #[must_use]
    pub fn is_scarce(&self) -> bool {
        self.used() > self.most.saturating_sub(self.most / 4)
    }

    /// Takes so many octets, if they are there.
    pub(super) fn take(&self, octets: usize) -> bool {
        let taken = |used: usize| used.checked_add(octets).filter(|sum| *sum <= self.most);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    /// Gives back.
    pub(super) fn give_back(&self, octets: usize) {
        let left = |used: usize| Some(used.saturating_sub(octets));
        // It never fails: there is always a new value.
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_cannot_be_taken_and_what_comes_back_can() {
        let arena = Arena::new(10);
        assert!(arena.take(9) && arena.is_scarce() && !arena.take(2));
        assert!(arena.take(1));
        arena.give_back(9);
        assert!(!arena.is_scarce() && arena.used() == 1);
        assert!(arena.take(9) && !arena.take(1));
    }
}
