//! The numbers of acknowledged commits, in a ring of slots: a hole among them is mail that was lost.

use super::{
    Meta, Reader, TAG_OCTETS, Tag, VALUE_VERSION, damaged, decode_json, encode_json, join, meta_key,
    versioned,
};
use crate::limits::COMMITS_REMEMBERED;
use crate::store::StoreError;
use crate::store::count::{Entry, Lost};
use crate::types::UnixTime;

/// Octets of a slot.
const SLOT_OCTETS: usize = 4;
/// Octets of the key of a commit's number.
pub const COUNT_KEY_OCTETS: usize = TAG_OCTETS + SLOT_OCTETS;
/// Begins the key of a commit's number in `bodies`. No mail id begins so: it begins with a time in seconds.
pub const COUNT_SLICE_PREFIX: [u8; 4] = [0xff; 4];
/// Octets of the key of a commit's number in `bodies`.
pub const COUNT_SLICE_KEY_OCTETS: usize = 4 + SLOT_OCTETS;
/// Octets of the value of a commit's number.
const COUNT_VALUE_OCTETS: usize = 1 + 3 * 8 + 4;

/// The slot that a commit's number is kept in.
#[must_use]
pub fn slot_of(number: u64) -> u32 {
    let slot = number.checked_rem(u64::from(COMMITS_REMEMBERED)).unwrap_or(0);
    u32::try_from(slot).unwrap_or(0)
}

/// Key of a commit's number, in `records`.
#[must_use]
pub fn count_key(number: u64) -> [u8; COUNT_KEY_OCTETS] {
    join(&[&[Tag::Count.octet()], &slot_of(number).to_be_bytes()])
}

/// Key of a commit's number, in `bodies`: shorter than any slice's.
#[must_use]
pub fn count_slice_key(number: u64) -> [u8; COUNT_SLICE_KEY_OCTETS] {
    join(&[&COUNT_SLICE_PREFIX, &slot_of(number).to_be_bytes()])
}

/// A commit's number and what it brought, as a value.
#[must_use]
pub fn encode_count(entry: Entry) -> [u8; COUNT_VALUE_OCTETS] {
    let Entry { number, at, messages_total, messages } = entry;
    join(&[
        &[VALUE_VERSION],
        &number.to_be_bytes(),
        &at.0.to_be_bytes(),
        &messages_total.to_be_bytes(),
        &messages.to_be_bytes(),
    ])
}

/// Reads what [`encode_count`] wrote; it must be a number of the slot that its key names.
///
/// # Errors
/// [`StoreError::Damaged`], or [`StoreError::Layout`] for a newer version.
pub fn decode_count(key: &[u8], value: &[u8]) -> Result<Entry, StoreError> {
    let rest = versioned("the number of a commit", key, value)?;
    let read = || {
        let mut reader = Reader { rest };
        let number = reader.u64()?;
        let at = UnixTime(reader.u64()?);
        let messages_total = reader.u64()?;
        let messages = reader.u32()?;
        reader.end()?;
        let is_in_its_slot = key == count_key(number) || key == count_slice_key(number);
        is_in_its_slot.then_some(Entry { number, at, messages_total, messages })
    };
    read().ok_or_else(|| damaged("the number of a commit", key))
}

/// The losses that the administrator accepted, as a value.
///
/// # Errors
/// [`StoreError::Damaged`] if they cannot be written.
pub fn encode_accepted(losses: &[Lost]) -> Result<Vec<u8>, StoreError> {
    encode_json("the accepted losses", &meta_key(Meta::AcceptedLosses), &losses)
}

/// Reads what [`encode_accepted`] wrote.
///
/// # Errors
/// [`StoreError::Damaged`], or [`StoreError::Layout`] for a newer version.
pub fn decode_accepted(value: &[u8]) -> Result<Vec<Lost>, StoreError> {
    decode_json("the accepted losses", &meta_key(Meta::AcceptedLosses), value)
}
