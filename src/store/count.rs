//! Acknowledged commits are numbered: what is missing among the numbers was lost.
//!
//! Each commit carries its number in the batch, once for each keyspace, and the last [`COMMITS_REMEMBERED`]
//! stay there. The highest is also kept outside the database (`counter`), written after the batch was synced
//! and before anybody is told 250. So the number outside may be behind the database, which means nothing; the
//! database behind the number outside has lost commits at its end, and a gap among the numbers inside is a loss
//! in the middle.

use crate::limits::COMMITS_REMEMBERED;
use crate::types::UnixTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// An acknowledged commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry {
    /// 1 for the first.
    pub number: u64,
    /// When it was made, by the clock of the machine.
    pub at: UnixTime,
    /// Messages in this commit and all before it.
    pub messages_total: u64,
    /// Messages in it.
    pub messages: u32,
}

impl Entry {
    /// The commit after this one.
    #[must_use]
    pub fn next(self, at: UnixTime, messages: u32) -> Self {
        Self {
            number: self.number.saturating_add(1),
            at,
            messages_total: self.messages_total.saturating_add(u64::from(messages)),
            messages,
        }
    }
}

/// What of a commit is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LostPart {
    /// All of it.
    Commits,
    /// The bodies of its messages; their records are there.
    Bodies,
}

/// Commits that were acknowledged, one after the other, and are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// What of them.
    pub part: LostPart,
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// Messages in them; `None` if that cannot be told.
    pub messages: Option<u64>,
    /// When the commit before them was made, if that is known: they are younger.
    pub after: Option<UnixTime>,
    /// When the last of them or the commit after them was made, if that is known: they are not younger.
    pub until: Option<UnixTime>,
}

impl Lost {
    /// How many commits.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.part, self.messages) {
            (LostPart::Commits, Some(messages)) => write!(f, "{messages} messages and all else")?,
            (LostPart::Commits, None) => f.write_str("everything")?,
            (LostPart::Bodies, Some(messages)) => write!(f, "bodies of up to {messages} messages")?,
            (LostPart::Bodies, None) => f.write_str("bodies")?,
        }
        write!(f, " of {} acknowledged commits ({} to {})", self.commits(), self.first, self.last)?;
        if let Some(after) = self.after {
            write!(f, ", after {}", crate::mail::date::rfc3339(after))?;
        }
        if let Some(until) = self.until {
            write!(f, ", not after {}", crate::mail::date::rfc3339(until))?;
        }
        Ok(())
    }
}

/// What the numbers inside and the number outside come to.
#[derive(Debug, Default)]
pub struct Counts {
    /// The commits whose number is among the records.
    pub records: BTreeMap<u64, Entry>,
    /// The commits whose number is among the bodies.
    pub bodies: BTreeSet<u64>,
    /// What the counter outside says, if it says anything.
    pub outside: Option<Entry>,
    /// What the administrator knows to be missing.
    pub accepted: Vec<Lost>,
}

impl Counts {
    /// The last commit there ever was, as far as anybody knows.
    #[must_use]
    pub fn last(&self) -> Entry {
        let inside = self.records.last_key_value().map(|(_, entry)| *entry).unwrap_or_default();
        let outside = self.outside.unwrap_or_default();
        let mut last = if outside.number > inside.number { outside } else { inside };
        last.messages_total = outside.messages_total.max(inside.messages_total);
        last.number = last.number.max(self.bodies.last().copied().unwrap_or(0));
        last
    }

    /// The first commit that is remembered.
    fn first(&self) -> u64 {
        self.last().number.saturating_sub(u64::from(COMMITS_REMEMBERED).saturating_sub(1)).max(1)
    }

    /// The accepted losses that would still be told.
    #[must_use]
    pub fn accepted_still(&self) -> Vec<Lost> {
        let first = self.first();
        self.accepted.iter().filter(|lost| lost.last >= first).copied().collect()
    }

    fn is_accepted(&self, part: LostPart, number: u64) -> bool {
        let covers = |lost: &Lost| lost.part == part || lost.part == LostPart::Commits;
        self.accepted.iter().any(|lost| covers(lost) && (lost.first..=lost.last).contains(&number))
    }

    /// What is missing and was not accepted, oldest first.
    #[must_use]
    pub fn lost(&self) -> Vec<Lost> {
        let last = self.last().number;
        let first = self.first();
        let mut out: Vec<Lost> = Vec::new();
        if last == 0 {
            return out;
        }
        for number in first..=last {
            let part = match (self.records.get(&number), self.bodies.contains(&number)) {
                (Some(_), true) => continue,
                // What brought no mail has no bodies to lose.
                (Some(entry), false) if entry.messages == 0 => continue,
                (Some(_), false) => LostPart::Bodies,
                (None, _) => LostPart::Commits,
            };
            if self.is_accepted(part, number) {
                continue;
            }
            match out.last_mut() {
                Some(lost) if lost.part == part && lost.last.checked_add(1) == Some(number) => {
                    lost.last = number;
                }
                Some(_) | None => out.push(self.begin(part, number)),
            }
        }
        for lost in &mut out {
            self.measure(lost);
        }
        out
    }

    fn begin(&self, part: LostPart, number: u64) -> Lost {
        Lost { part, first: number, last: number, messages: None, after: None, until: None }
    }

    /// Finds out how many messages, and when.
    fn measure(&self, lost: &mut Lost) {
        let before = lost.first.checked_sub(1);
        let before = before.and_then(|number| self.records.get(&number));
        let after = lost.last.checked_add(1).and_then(|number| self.records.get(&number));
        lost.after = before.map(|entry| entry.at);
        let outside = self.outside.filter(|outside| outside.number == lost.last);
        lost.until = outside.or(after.copied()).map(|entry| entry.at);
        lost.messages = match lost.part {
            LostPart::Bodies => {
                let entries = self.records.range(lost.first..=lost.last);
                Some(entries.map(|(_, entry)| u64::from(entry.messages)).sum())
            }
            LostPart::Commits => {
                let start = before.map(|entry| entry.messages_total).or((lost.first == 1).then_some(0));
                let end = after
                    .map(|entry| entry.messages_total.saturating_sub(u64::from(entry.messages)))
                    .or(outside.map(|entry| entry.messages_total));
                start.zip(end).map(|(start, end)| end.saturating_sub(start))
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many commits, of which each third brings two messages.
    fn counts(commits: u64) -> Counts {
        let mut counts = Counts::default();
        let mut last = Entry::default();
        for number in 1..=commits {
            last = last.next(UnixTime(1_000 + number), if number % 3 == 0 { 2 } else { 0 });
            counts.records.insert(number, last);
            counts.bodies.insert(number);
        }
        counts.outside = Some(last);
        counts
    }

    #[test]
    fn nothing_is_missing_of_what_is_whole() {
        for commits in [0, 1, 2, 9, 200] {
            assert_eq!(counts(commits).lost(), []);
        }
    }

    #[test]
    fn a_number_outside_that_is_behind_means_nothing() {
        let mut counts = counts(9);
        counts.outside = counts.records.get(&7).copied();
        assert_eq!(counts.lost(), []);
        counts.outside = None;
        assert_eq!(counts.lost(), []);
        assert_eq!(counts.last().number, 9);
    }

    #[test]
    fn an_end_that_is_missing_is_told_with_its_messages() {
        let mut counts = counts(9);
        for number in [8, 9] {
            counts.records.remove(&number);
            counts.bodies.remove(&number);
        }
        let lost = counts.lost();
        let expected = Lost {
            part: LostPart::Commits,
            first: 8,
            last: 9,
            messages: Some(2),
            after: Some(UnixTime(1_007)),
            until: Some(UnixTime(1_009)),
        };
        assert_eq!(lost, [expected]);
        assert_eq!(counts.last().number, 9, "no number is given twice");
        assert_eq!(counts.last().messages_total, 6);
    }

    #[test]
    fn all_that_is_missing_is_told() {
        let mut counts = counts(9);
        counts.records.clear();
        counts.bodies.clear();
        let lost = counts.lost();
        assert_eq!((lost[0].first, lost[0].last, lost[0].messages), (1, 9, Some(6)));
    }

    #[test]
    fn a_hole_in_the_middle_is_told() {
        let mut counts = counts(12);
        for number in 4..=6 {
            counts.records.remove(&number);
            counts.bodies.remove(&number);
        }
        let lost = counts.lost();
        assert_eq!(lost.len(), 1);
        assert_eq!((lost[0].first, lost[0].last, lost[0].messages), (4, 6, Some(2)));
        assert_eq!((lost[0].after, lost[0].until), (Some(UnixTime(1_003)), Some(UnixTime(1_007))));
    }

    #[test]
    fn bodies_that_are_missing_alone_are_told_where_there_were_any() {
        let mut counts = counts(12);
        for number in 4..=7 {
            counts.bodies.remove(&number);
        }
        let lost = counts.lost();
        assert_eq!(lost.len(), 1);
        assert_eq!((lost[0].part, lost[0].first, lost[0].messages), (LostPart::Bodies, 6, Some(2)));
    }

    #[test]
    fn what_is_older_than_the_ring_is_not_missed() {
        let mut counts = counts(u64::from(COMMITS_REMEMBERED) + 50);
        for number in 1..=50 {
            counts.records.remove(&number);
            counts.bodies.remove(&number);
        }
        assert_eq!(counts.lost(), []);
        counts.records.remove(&51);
        assert_eq!((counts.lost()[0].first, counts.lost()[0].messages), (51, None));
    }

    #[test]
    fn an_accepted_loss_is_told_no_more_and_a_further_one_is() {
        let mut counts = counts(12);
        for number in 4..=6 {
            counts.records.remove(&number);
            counts.bodies.remove(&number);
        }
        counts.accepted = counts.lost();
        assert_eq!(counts.lost(), []);
        counts.records.remove(&7);
        assert_eq!((counts.lost()[0].first, counts.lost()[0].last), (7, 7));
        counts.bodies.remove(&12);
        assert_eq!(counts.lost()[1].part, LostPart::Bodies);
    }

    #[test]
    fn a_loss_is_a_sentence() {
        let mut counts = counts(9);
        counts.records.remove(&9);
        assert_eq!(
            counts.lost()[0].to_string(),
            "2 messages and all else of 1 acknowledged commits (9 to 9), after 1970-01-01T00:16:48Z, not after \
             1970-01-01T00:16:49Z"
        );
    }
}
