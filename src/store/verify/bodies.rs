//! Bodies: whether each has all its slices and octets, and a message that needs it.

use super::records::{body_place, is_there};
use super::{Cursor, Kind, Page, Part, Partial, Rows, Source, hex};
use crate::limits::{VERIFY_OCTETS_PER_STEP, VERIFY_ROWS_PER_STEP};
use crate::store::keys::{self, COUNT_SLICE_KEY_OCTETS, COUNT_SLICE_PREFIX, SLICE_KEY_OCTETS, Tag};
use crate::store::{MessageRecord, StoreError};
use crate::types::MailId;

/// Looks at some slices. `None`: there are no more.
pub(super) fn step(
    source: &dyn Source,
    after: &[u8],
    mut partial: Option<Partial>,
    page: &mut Page,
) -> Option<Cursor> {
    let Rows { rows, is_end, broken } =
        source.rows(Part::Bodies, after, VERIFY_ROWS_PER_STEP, VERIFY_OCTETS_PER_STEP);
    let mut last = after.to_vec();
    for (key, value) in rows {
        match slice_of(&key) {
            Some((body, index)) => {
                if let Some(done) = partial.filter(|partial| partial.body != body) {
                    finish(source, done, page);
                    partial = None;
                }
                let of = partial.get_or_insert(Partial { body, slices: 0, next: 0, octets: 0 });
                count_slice(of, index, value, page);
            }
            None => check_count(&key, value, page),
        }
        last = key;
    }
    if let Some(error) = &broken {
        let place = format!("the bodies after {}: what follows was not looked at", hex(&last));
        page.find(Kind::Unreadable, place, error.to_string());
    }
    if is_end || broken.is_some() {
        // What a break cut in two is not judged.
        if let Some(done) = partial.filter(|_| broken.is_none()) {
            finish(source, done, page);
        }
        return None;
    }
    Some(Cursor::Bodies(last, partial))
}

fn count_slice(of: &mut Partial, index: u32, value: Result<Vec<u8>, StoreError>, page: &mut Page) {
    of.slices = of.slices.saturating_add(1);
    of.next = index.saturating_add(1);
    match value {
        Ok(value) => {
            let octets = u64::try_from(value.len()).unwrap_or(u64::MAX);
            of.octets = of.octets.saturating_add(octets);
            page.checked.body_octets = page.checked.body_octets.saturating_add(octets);
        }
        Err(error) => {
            let place = format!("slice {index} of body {}", MailId(of.body));
            page.find(Kind::Unreadable, place, error.to_string());
        }
    }
}

/// The body and index that the key of a slice names.
fn slice_of(key: &[u8]) -> Option<([u8; 16], u32)> {
    if key.len() != SLICE_KEY_OCTETS {
        return None;
    }
    let (body, index) = key.split_at_checked(16)?;
    Some((body.try_into().ok()?, u32::from_be_bytes(index.try_into().ok()?)))
}

fn check_count(key: &[u8], value: Result<Vec<u8>, StoreError>, page: &mut Page) {
    let place = format!("record {} among the bodies", hex(key));
    if !key.starts_with(&COUNT_SLICE_PREFIX) || key.len() != COUNT_SLICE_KEY_OCTETS {
        return page.find(Kind::UnknownRecord, place, "no layout has such a key");
    }
    match value {
        Err(error) => page.find(Kind::Unreadable, place, error.to_string()),
        Ok(value) => match keys::decode_count(key, &value) {
            Err(error) => page.find(Kind::Undecodable, place, error.to_string()),
            Ok(entry) if keys::encode_count(entry).as_slice() != value.as_slice() => {
                page.find(Kind::NotCanonical, place, "this program writes it otherwise");
            }
            Ok(_) => {}
        },
    }
}

/// Judges a body of which all slices were seen.
fn finish(source: &dyn Source, seen: Partial, page: &mut Page) {
    page.checked.bodies = page.checked.bodies.saturating_add(1);
    let body = MailId(seen.body);
    if let Err(error) = judge(source, body, seen, page) {
        page.find(Kind::Unreadable, body_place(body), error.to_string());
    }
}

fn judge(source: &dyn Source, body: MailId, seen: Partial, page: &mut Page) -> Result<(), StoreError> {
    // One that is being received, or was when the power went; told with the records.
    if source.get(Part::Records, &keys::body_key(Tag::Pending, body))?.is_some() {
        return Ok(());
    }
    let (records, is_referenced) = records_of(source, body)?;
    let Some(first) = records.first() else {
        // A reference to nothing was told with the records; a body may have gone since its slices were seen.
        if !is_referenced && source.first_key(Part::Bodies, &body.0)?.is_some() {
            let what = format!("{} octets in {} slices that no message has", seen.octets, seen.slices);
            page.find(Kind::BodyWithoutMail, body_place(body), what);
        }
        return Ok(());
    };
    if records.iter().any(|other| (other.slices, other.body_octets) != (first.slices, first.body_octets)) {
        page.find(Kind::CopiesDisagree, body_place(body), "its messages say different lengths of it");
    }
    let is_gapless = seen.next == seen.slices;
    if seen.next > first.slices {
        let what = format!("a slice {}, and its message says {} slices", seen.next, first.slices);
        page.find(Kind::SliceTooMany, body_place(body), what);
    } else if !is_gapless || seen.slices < first.slices {
        let what = format!("{} of {} slices are there", seen.slices, first.slices);
        page.find(Kind::SliceMissing, body_place(body), what);
    } else if seen.octets != first.body_octets {
        let what = format!("{} octets, and its message says {}", seen.octets, first.body_octets);
        page.find(Kind::BodyOctetsDiffer, body_place(body), what);
    }
    Ok(())
}

/// The records that need a body, and whether anything says that it is needed. A removed account's do not count,
/// and neither do those that cannot be read: they were told.
fn records_of(source: &dyn Source, body: MailId) -> Result<(Vec<MessageRecord>, bool), StoreError> {
    let prefix = keys::body_key(Tag::Reference, body);
    let mut after = prefix.to_vec();
    let (mut records, mut is_referenced) = (Vec::new(), false);
    loop {
        let found = source.rows(Part::Records, &after, VERIFY_ROWS_PER_STEP, usize::MAX).rows;
        let Some((last, _)) = found.last() else { return Ok((records, is_referenced)) };
        after.clone_from(last);
        for (key, _) in found {
            if !key.starts_with(&prefix) {
                return Ok((records, is_referenced));
            }
            is_referenced = true;
            let Ok((_, account, uid)) = keys::decode_reference_key(&key) else { continue };
            let key = keys::mail_key(account, uid);
            let Some(value) = source.get(Part::Records, &key)? else { continue };
            let record = keys::decode_record(&key, &value).ok();
            let is_of_body = |record: &MessageRecord| record.body == body;
            records.extend(record.filter(is_of_body).filter(|_| is_there(source, Tag::Account, account)));
        }
    }
}
