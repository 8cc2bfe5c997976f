//! What lies on the disk: whatever stands there, reading it ends with what was written or with an error.

use super::{Verdict, pieces, promise};
use crate::auth::phc::PasswordHash;
use crate::auth::throttle::{Rules, Snapshot, Throttle};
use crate::limits::{CLOCK_ORIGIN_MS, LEVEL_PER_LIMIT_MAX, THROTTLE_MS};
use crate::store::MessageRecord;
use crate::store::journal::{Scan, Stop, scan, whole_batch};
use crate::store::keys::{self, RecordParts, Tag};
use crate::types::{Moment, Now, UnixTime};
use std::io::{self, Read};
use xxhash_rust::xxh3::Xxh3;

/// Octets that come in the pieces given.
struct Pieces<'a> {
    rest: std::vec::IntoIter<&'a [u8]>,
    piece: &'a [u8],
}

impl Read for Pieces<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            self.piece = self.rest.next().unwrap_or_default();
        }
        self.piece.read(to)
    }
}

/// A journal is read the same however reads are cut, and ends where a whole batch ends.
pub(super) fn journal(data: &[u8]) -> Verdict {
    let (whole, cut) = pieces(data);
    let found = read(whole)?;
    let again =
        scan(Pieces { rest: cut.into_iter(), piece: &[] }, None).map_err(|error| error.to_string())?;
    promise(again == found, "a cut changed what a journal holds")?;
    let length = u64::try_from(whole.len()).unwrap_or(u64::MAX);
    promise(found.whole_octets <= length, "a journal has more whole octets than octets")?;
    let kept = usize::try_from(found.whole_octets).ok().and_then(|end| whole.get(..end)).unwrap_or(whole);
    promise(
        read(kept)? == Scan { stop: Stop::EndOfFile, ..found },
        "what is kept of a journal is not what was whole",
    )?;
    let first = whole_batch(whole).map_err(|error| error.to_string())?;
    promise(first.is_some() == (found.batches > 0), "the first batch is whole and is not")?;
    // Octets of chance hardly ever have the checksum of a batch, so a journal is made of them as well.
    damage(whole)
}

fn read(octets: &[u8]) -> Result<Scan, String> {
    scan(octets, None).map_err(|error| error.to_string())
}

/// A journal that was written and then damaged in one place ends at the batch before it.
fn damage(data: &[u8]) -> Verdict {
    let (journal, ends) = written(data);
    let length = u64::try_from(journal.len()).unwrap_or(u64::MAX);
    let batches = u64::try_from(ends.len()).unwrap_or(u64::MAX);
    let found = read(&journal)?;
    promise(
        found.whole_octets == length && found.batches == batches,
        "a batch that was written is not read",
    )?;
    let Some((first, second)) = data.first().zip(data.get(1)) else { return Ok(()) };
    let number = usize::from(*first).saturating_mul(256).saturating_add(usize::from(*second));
    let Some(at) = number.checked_rem(journal.len()) else { return Ok(()) };
    let before = ends.iter().copied().filter(|end| *end <= at).max().unwrap_or_default();
    let is_at = |scan: Scan| usize::try_from(scan.whole_octets) == Ok(before);
    let short = journal.get(..at).unwrap_or_default();
    promise(is_at(read(short)?), "a journal cut short does not end at the batch before")?;
    let mut damaged = journal.clone();
    let bits = data.get(2).copied().filter(|bits| *bits > 0).unwrap_or(1);
    damaged.iter_mut().skip(at).take(1).for_each(|octet| *octet ^= bits);
    // A sequence number is outside the checksum: changed, it may still fit between its neighbours.
    let in_sequence = (before.saturating_add(5)..before.saturating_add(13)).contains(&at);
    promise(in_sequence || is_at(read(&damaged)?), "a damaged batch was taken for whole")?;
    let mut holed = journal;
    holed.iter_mut().skip(before).for_each(|octet| *octet = 0);
    promise(is_at(read(&holed)?), "a hole was read over")
}

/// Batches as the database writes them, and where each of them ends.
fn written(data: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let (mut out, mut ends, mut sequence) = (Vec::new(), Vec::new(), 0u64);
    for line in data.split(|octet| *octet == b'\n').take(8) {
        let mut body = Vec::new();
        let mut items = 0u32;
        for field in line.split(|octet| *octet == b' ') {
            items = items.saturating_add(1);
            let (key, value) = field.split_at_checked(field.len().min(3)).unwrap_or((field, &[]));
            if let [b'-', keyspace] = field {
                body.push(4);
                body.extend_from_slice(&u64::from(*keyspace).to_le_bytes());
                continue;
            }
            let value_length = u32::try_from(value.len()).unwrap_or_default().to_le_bytes();
            body.extend_from_slice(&[2, 0, 0]);
            body.extend_from_slice(&3u64.to_le_bytes());
            body.extend_from_slice(&u16::try_from(key.len()).unwrap_or_default().to_le_bytes());
            body.extend_from_slice(&value_length);
            body.extend_from_slice(&value_length);
            body.extend_from_slice(key);
            body.extend_from_slice(value);
        }
        sequence = sequence.saturating_add(u64::from(items));
        out.push(1);
        out.extend_from_slice(&items.to_le_bytes());
        out.extend_from_slice(&sequence.to_le_bytes());
        let mut hash = Xxh3::new();
        hash.update(&body);
        out.extend_from_slice(&body);
        out.push(3);
        out.extend_from_slice(&hash.digest().to_le_bytes());
        out.extend_from_slice(b"FJL\x03");
        ends.push(out.len());
    }
    (out, ends)
}

/// What can be read of the store is written again as the same octets. The first octet is the key's length.
pub(super) fn record(data: &[u8]) -> Verdict {
    let Some((count, rest)) = data.split_first() else { return Ok(()) };
    let (key, value) = rest.split_at_checked(usize::from(*count)).unwrap_or((rest, &[]));
    keys_again(key)?;
    numbers_again(key, value)?;
    if let Ok(record) = keys::decode_record(key, value) {
        promise(written_again(&record) == value, "a message is written as another")?;
    }
    entries_again(key, value)
}

fn keys_again(key: &[u8]) -> Verdict {
    let mail = keys::decode_mail_key(key).map(|(account, uid)| keys::mail_key(account, uid).to_vec());
    let reference = keys::decode_reference_key(key)
        .map(|(body, account, uid)| keys::reference_key(body, account, uid).to_vec());
    let mut read = vec![mail, reference];
    for tag in [Tag::Account, Tag::NextUid, Tag::Emptying] {
        let account = keys::decode_account_key(tag, key);
        read.push(account.map(|account| keys::account_key(tag, account).to_vec()));
    }
    for tag in [Tag::Pending, Tag::Reference] {
        let body = keys::decode_body_key(tag, key);
        read.push(body.map(|body| keys::body_key(tag, body).to_vec()));
    }
    promise(read.iter().flatten().all(|again| again == key), "a key is written as another")?;
    promise(read.iter().flatten().count() <= 1, "a key is read as two things")
}

fn numbers_again(key: &[u8], value: &[u8]) -> Verdict {
    let small = keys::decode_u32("a number", key, value).map(|number| keys::encode_u32(number).to_vec());
    let large = keys::decode_u64("a number", key, value).map(|number| keys::encode_u64(number).to_vec());
    let secret = keys::decode_server_key(value).map(|secret| keys::encode_server_key(&secret).to_vec());
    let all = [small, large, secret];
    promise(all.iter().flatten().all(|again| again == value), "a number is written as another")
}

fn written_again(record: &MessageRecord) -> Vec<u8> {
    let mut out = Vec::new();
    let parts = RecordParts {
        body: record.body,
        received: record.received,
        sender: &record.sender,
        recipient: &record.recipient,
        prefix: &record.prefix,
        body_octets: record.body_octets,
        slices: record.slices,
    };
    match keys::encode_record(&mut out, parts) {
        Ok(()) => out,
        Err(_) => Vec::new(),
    }
}

/// JSON has many forms for one value: what is written again is read as the same.
fn entries_again(key: &[u8], value: &[u8]) -> Verdict {
    let said = |error: crate::store::StoreError| error.to_string();
    if let Ok(domain) = keys::decode_domain(key, value) {
        let again = keys::encode_domain(&domain).and_then(|value| keys::decode_domain(key, &value));
        promise(again.map_err(said)? == domain, "a domain is read as another")?;
    }
    if let Ok(account) = keys::decode_account(key, value) {
        let again = keys::encode_account(&account).and_then(|value| keys::decode_account(key, &value));
        promise(again.map_err(said)? == account, "an account is read as another")?;
    }
    if let Ok(alias) = keys::decode_alias(key, value) {
        let again = keys::encode_alias(&alias).and_then(|value| keys::decode_alias(key, &value));
        promise(again.map_err(said)? == alias, "an alias is read as another")?;
    }
    if let Ok(entry) = keys::decode_count(key, value) {
        promise(keys::encode_count(entry) == value, "the number of a commit is written as another")?;
    }
    if let Ok((account, history)) = keys::decode_history(key, value) {
        let again =
            keys::encode_history(account, &history).and_then(|value| keys::decode_history(key, &value));
        promise(again.map_err(said)? == (account, history), "a history is read as another")?;
    }
    if let Ok((account, scram)) = keys::decode_scram(key, value) {
        let again = keys::encode_scram(account, &scram).and_then(|value| keys::decode_scram(key, &value));
        promise(again.map_err(said)? == (account, scram), "SCRAM keys are read as others")?;
    }
    if let Ok(day) = keys::decode_report(key, value) {
        let again = keys::encode_report(&day).and_then(|value| keys::decode_report(key, &value));
        promise(again.map_err(said)? == day, "a day of the report is read as another")?;
    }
    if let Ok(snapshot) = keys::decode_throttle(value) {
        let again = keys::encode_throttle(&snapshot).and_then(|value| keys::decode_throttle(&value));
        promise(again.map_err(said)? == snapshot, "what the throttle keeps is read as another")?;
        taken_up(&snapshot)?;
    }
    Ok(())
}

/// Whatever is taken up, nothing of it is left when a level of twice the limit has drained.
fn taken_up(snapshot: &Snapshot) -> Verdict {
    let mut throttle = Throttle::new(Rules::default(), [1; 32]);
    let now = Now { moment: Moment(CLOCK_ORIGIN_MS), unix: UnixTime(1_700_000_000) };
    throttle.restore(now, snapshot);
    let later = now.moment.plus_ms(THROTTLE_MS.saturating_mul(LEVEL_PER_LIMIT_MAX));
    let left = throttle.snapshot(Now { moment: later, ..now });
    let nothing = Throttle::new(Rules::default(), [1; 32]).snapshot(now);
    promise(left == nothing, "a record of an old process never ends")
}

/// A password hash costs no more than it may, and is written as it was read.
pub(super) fn phc(data: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(data) else { return Ok(()) };
    let Ok(hash) = PasswordHash::parse(text) else { return Ok(()) };
    promise(hash.in_range(), "a password hash costs more than it may")?;
    promise(hash.to_string() == text, "a password hash has two forms")
}
