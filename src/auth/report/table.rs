//! A table of fixed size that keeps those who come most.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One row and what keeps it in the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row<K, V> {
    /// Whose.
    #[serde(rename = "k")]
    pub key: K,
    /// How often the table may be full when somebody new comes until the row goes.
    #[serde(rename = "w")]
    weight: u64,
    /// What is counted.
    #[serde(rename = "v")]
    pub value: V,
}

/// The busiest of any number of comers, after Misra and Gries: when the table is full, a newcomer is not taken
/// in and every row's weight falls by one; a row without weight goes. Whoever comes more often than once in
/// `rows` comings has a row, however many others come. A row's counts are never too high, and too low by
/// [`Busiest::missed_at_most`] at the most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: Ord + Clone + Deserialize<'de>, V: Deserialize<'de>"))]
#[serde(from = "Stored<K, V>", into = "Stored<K, V>")]
#[serde(bound(serialize = "K: Ord + Clone + Serialize, V: Clone + Serialize"))]
pub struct Busiest<K, V> {
    rows: BTreeMap<K, (u64, V)>,
    missed_at_most: u64,
}

/// As it is written: JSON has no maps by anything but text.
#[derive(Serialize, Deserialize)]
struct Stored<K, V> {
    rows: Vec<Row<K, V>>,
    missed_at_most: u64,
}

impl<K: Ord, V> From<Stored<K, V>> for Busiest<K, V> {
    fn from(stored: Stored<K, V>) -> Self {
        let rows = stored.rows.into_iter().map(|row| (row.key, (row.weight, row.value))).collect();
        Self { rows, missed_at_most: stored.missed_at_most }
    }
}

impl<K, V> From<Busiest<K, V>> for Stored<K, V> {
    fn from(table: Busiest<K, V>) -> Self {
        let row = |(key, (weight, value))| Row { key, weight, value };
        Self { rows: table.rows.into_iter().map(row).collect(), missed_at_most: table.missed_at_most }
    }
}

impl<K, V> Default for Busiest<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), missed_at_most: 0 }
    }
}

impl<K: Ord, V> Busiest<K, V> {
    /// One comes. Gives what is counted about it, made by `fresh` for a new row; `None` where the table, which
    /// takes `rows_max` rows, is full.
    pub fn come(&mut self, key: K, rows_max: usize, fresh: impl FnOnce() -> V) -> Option<&mut V> {
        if self.rows.len() >= rows_max && !self.rows.contains_key(&key) {
            self.rows.retain(|_, (weight, _)| {
                *weight = weight.saturating_sub(1);
                *weight > 0
            });
            self.missed_at_most = self.missed_at_most.saturating_add(1);
            return None;
        }
        let (weight, value) = self.rows.entry(key).or_insert_with(|| (0, fresh()));
        *weight = weight.saturating_add(1);
        Some(value)
    }

    /// Leaves the first `rows_max` rows.
    pub fn cut(&mut self, rows_max: usize) {
        while self.rows.len() > rows_max {
            self.rows.pop_last();
        }
    }

    /// By how much a count can be too low; 0: all counts are exact and nobody is missing.
    #[must_use]
    pub fn missed_at_most(&self) -> u64 {
        self.missed_at_most
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().map(|(key, (_, value))| (key, value))
    }
}
