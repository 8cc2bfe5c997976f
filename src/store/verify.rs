//! Looks at every record and every body, in small steps, and says what is wrong. Changes nothing.
//!
//! A step starts where the one before it ended, which the [`Cursor`] says; so the thread that owns the store
//! can do other work in between, and what changed meanwhile raises no alarm: each check is made within one
//! step, between two groups.

mod bodies;
mod directory;
mod finding;
mod records;
#[cfg(test)]
mod tests;

pub use finding::{Finding, Kind, Severity};

use super::StoreError;
use super::count::Lost;
use super::counter::CounterState;
use super::keys::SyncMark;
use serde::{Deserialize, Serialize};

/// A keyspace of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Everything but bodies.
    Records,
    /// Slices of bodies.
    Bodies,
}

/// Key and value.
pub type Row = (Vec<u8>, Result<Vec<u8>, StoreError>);

/// Some rows of a keyspace, ascending.
#[derive(Debug, Default)]
pub struct Rows {
    /// For a value that the database cannot read, why.
    pub rows: Vec<Row>,
    /// There are no more. A step that waited for an empty page would never end while mail comes.
    pub is_end: bool,
    /// Why reading broke off after these, if it did.
    pub broken: Option<StoreError>,
}

/// What is looked at: a store as keys and values.
pub trait Source {
    /// The value of a key.
    ///
    /// # Errors
    /// When the database cannot read it.
    fn get(&self, part: Part, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Rows with keys above `after`, at most so many, and none begun after so many octets of values.
    fn rows(&self, part: Part, after: &[u8], count: usize, octets: usize) -> Rows;

    /// The first key with this prefix.
    ///
    /// # Errors
    /// When the database cannot read it.
    fn first_key(&self, part: Part, prefix: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// What begins synced batches, as it stands beside the database.
    fn mark(&self) -> SyncMark;

    /// Whether a server works on it meanwhile: what it has under way is not left over.
    fn is_live(&self) -> bool;

    /// Acknowledged commits that were missing when it was opened.
    fn missing(&self) -> &[Lost];

    /// What the counter outside the database was found to be.
    fn counter_state(&self) -> CounterState;
}

/// Where the next step begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cursor {
    /// At the records above this key.
    Records(Vec<u8>),
    /// At the directory as a whole.
    Directory,
    /// At the slices above this key, in the middle of a body perhaps.
    Bodies(Vec<u8>, Option<Partial>),
}

impl Default for Cursor {
    fn default() -> Self {
        Self::Records(Vec::new())
    }
}

/// What is known of a body of which not all slices were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partial {
    /// Which.
    pub body: [u8; 16],
    /// Slices seen.
    pub slices: u32,
    /// The index after the last one seen.
    pub next: u32,
    /// Octets in them.
    pub octets: u64,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checked {
    /// Records of every kind, messages included.
    pub records: u64,
    /// Messages, each copy for itself.
    pub messages: u64,
    /// Bodies.
    pub bodies: u64,
    /// Octets of bodies.
    pub body_octets: u64,
}

impl Checked {
    /// Adds what another step looked at.
    pub fn add(&mut self, other: Self) {
        self.records = self.records.saturating_add(other.records);
        self.messages = self.messages.saturating_add(other.messages);
        self.bodies = self.bodies.saturating_add(other.bodies);
        self.body_octets = self.body_octets.saturating_add(other.body_octets);
    }
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Page {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// How much was looked at.
    pub checked: Checked,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

impl Page {
    fn find(&mut self, kind: Kind, place: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Finding::new(kind, place, what));
    }
}

/// Makes one step.
#[must_use]
pub fn step(source: &dyn Source, from: &Cursor) -> Page {
    let mut page = Page::default();
    match from {
        Cursor::Records(after) => {
            if after.is_empty() {
                begin(source, &mut page);
            }
            page.next = Some(records::step(source, after, &mut page));
        }
        Cursor::Directory => {
            directory::check(source, &mut page);
            page.next = Some(Cursor::Bodies(Vec::new(), None));
        }
        Cursor::Bodies(after, partial) => {
            page.next = bodies::step(source, after, *partial, &mut page);
        }
    }
    page
}

/// What is known of the store as a whole.
fn begin(source: &dyn Source, page: &mut Page) {
    for lost in source.missing() {
        page.find(Kind::AcknowledgedMailMissing, "the store", lost.to_string());
    }
    match source.counter_state() {
        CounterState::Good => {}
        state @ (CounterState::Missing | CounterState::Unreadable | CounterState::Foreign) => {
            let what = format!("the counter of acknowledged commits {}", state.words());
            page.find(Kind::CounterUnusable, super::counter::NAME, what);
        }
    }
    records::check_facts(source, page);
}

/// Octets as digits.
fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
