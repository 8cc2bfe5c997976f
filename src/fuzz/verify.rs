//! A store of any octets is looked at to its end, and the numbers of its commits are judged as a model judges them.

use super::{Verdict, promise};
use crate::limits::COMMITS_REMEMBERED;
use crate::store::StoreError;
use crate::store::count::{Counts, Entry, Lost, LostPart};
use crate::store::counter::CounterState;
use crate::store::keys::SyncMark;
use crate::store::verify::{Cursor, Part, Rows, Source, step};
use crate::types::UnixTime;
use std::collections::BTreeMap;

/// Rows of both keyspaces.
#[derive(Default)]
struct Map {
    rows: BTreeMap<(Part, Vec<u8>), Vec<u8>>,
    is_live: bool,
    /// Values that begin with this octet cannot be read.
    unreadable: Option<u8>,
}

impl Map {
    /// A head, then rows: an octet for the keyspace and the length of the key, two for that of the value.
    fn of(data: &[u8]) -> Self {
        let Some((head, mut rest)) = data.split_first() else { return Self::default() };
        let mut map = Self { is_live: head & 1 == 1, ..Self::default() };
        if head & 2 == 2 {
            map.unreadable = rest.first().copied();
        }
        while let Some(([key_head, high, low], after)) = rest.split_first_chunk::<3>() {
            let part = if key_head & 0x80 == 0 { Part::Records } else { Part::Bodies };
            let key_length = usize::from(key_head & 0x7f);
            let (key, after) = after.split_at_checked(key_length).unwrap_or((after, &[]));
            let value_length = usize::from(u16::from_be_bytes([*high, *low]));
            let (value, after) = after.split_at_checked(value_length).unwrap_or((after, &[]));
            // The database has no empty key.
            if !key.is_empty() {
                map.rows.insert((part, key.to_vec()), value.to_vec());
            }
            rest = after;
        }
        map
    }

    fn value(&self, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        if self.unreadable.is_some() && value.first().copied() == self.unreadable {
            return Err(StoreError::Damaged("it cannot be read".to_owned()));
        }
        Ok(value.to_vec())
    }
}

impl Source for Map {
    fn get(&self, part: Part, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.get(&(part, key.to_vec())).map(|value| self.value(value)).transpose()
    }

    fn rows(&self, part: Part, after: &[u8], count: usize, octets: usize) -> Rows {
        let mut out = Rows::default();
        let mut taken = 0_usize;
        for ((of, key), value) in self.rows.range((part, after.to_vec())..) {
            if *of != part {
                break;
            }
            if key.as_slice() <= after {
                continue;
            }
            if taken >= octets || out.rows.len() >= count {
                return out;
            }
            taken = taken.saturating_add(value.len());
            out.rows.push((key.clone(), self.value(value)));
        }
        out.is_end = true;
        out
    }

    fn first_key(&self, part: Part, prefix: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let first = self.rows.range((part, prefix.to_vec())..).next();
        let first = first.filter(|((of, key), _)| *of == part && key.starts_with(prefix));
        Ok(first.map(|((_, key), _)| key.clone()))
    }

    fn mark(&self) -> SyncMark {
        SyncMark([7; 16])
    }

    fn is_live(&self) -> bool {
        self.is_live
    }

    fn missing(&self) -> &[Lost] {
        &[]
    }

    fn counter_state(&self) -> CounterState {
        CounterState::Good
    }
}

/// Looking ends, sees every row once, and tells of each no more than a few things.
pub(super) fn verify(data: &[u8]) -> Verdict {
    let map = Map::of(data);
    let (mut records, mut findings, mut steps) = (0_u64, 0_usize, 0_usize);
    let mut from = Some(Cursor::default());
    while let Some(cursor) = from {
        steps = steps.saturating_add(1);
        promise(steps <= map.rows.len().saturating_add(4), "looking at a store never ends")?;
        let page = step(&map, &cursor);
        records = records.saturating_add(page.checked.records);
        findings = findings.saturating_add(page.findings.len());
        from = page.next;
    }
    let kept = map.rows.keys().filter(|(part, _)| *part == Part::Records).count();
    promise(u64::try_from(kept) == Ok(records), "a record was not looked at, or twice")?;
    // Addresses in one record can be many, and each can be told.
    let octets = map.rows.values().map(Vec::len).fold(0_usize, usize::saturating_add);
    let most = map.rows.len().saturating_mul(6).saturating_add(octets).saturating_add(8);
    promise(findings <= most, "there are more findings than things")?;
    counts(data)
}

/// What is missing among numbers is what was taken away, and nothing else.
fn counts(data: &[u8]) -> Verdict {
    let mut counts = Counts::default();
    let (mut last, mut missing) = (Entry::default(), 0_u64);
    for (index, octet) in data.iter().take(400).enumerate() {
        last = last.next(UnixTime(u64::try_from(index).unwrap_or(0)), u32::from(octet >> 4));
        match octet & 0x0f {
            0 => missing = missing.saturating_add(1),
            1 => {
                counts.records.insert(last.number, last);
                missing = missing.saturating_add(u64::from(last.messages > 0));
            }
            _ => {
                counts.records.insert(last.number, last);
                counts.bodies.insert(last.number);
            }
        }
    }
    counts.outside = Some(Entry { messages: 0, ..last });
    promise(counts.last().number == last.number, "a number would be given again")?;
    let lost = counts.lost();
    let told = lost.iter().map(Lost::commits).fold(0, u64::saturating_add);
    promise(told == missing, "what is missing is not what is told")?;
    let messages_lost = lost.iter().filter(|lost| lost.part == LostPart::Commits).map(|lost| lost.messages);
    let messages_lost = messages_lost.map(|messages| messages.unwrap_or(0)).fold(0, u64::saturating_add);
    promise(messages_lost <= last.messages_total, "more messages are lost than there were")?;
    promise(lost.len() <= usize::try_from(COMMITS_REMEMBERED).unwrap_or(0), "too many stretches")
}
