//! Records: whether each decodes, is written as we write it, and fits those it names.

use super::{Cursor, Kind, Page, Part, Rows, Source, hex};
use crate::auth::phc::PasswordHash;
use crate::limits::VERIFY_ROWS_PER_STEP;
use crate::store::keys::{self, Meta, RecordParts, Tag};
use crate::store::{MessageRecord, StoreError};
use crate::types::{AccountId, MailId, Uid};
use serde::Serialize;
use serde_json::Value;

/// Longer than any key.
const KEY_OCTETS_MAX: usize = 1_024;

/// Every tag there is.
const TAGS: [Tag; 14] = [
    Tag::Meta,
    Tag::Domain,
    Tag::Account,
    Tag::Alias,
    Tag::History,
    Tag::Scram,
    Tag::Count,
    Tag::Report,
    Tag::Throttle,
    Tag::Mail,
    Tag::NextUid,
    Tag::Reference,
    Tag::Pending,
    Tag::Emptying,
];

/// A record under examination.
struct Look<'a> {
    source: &'a dyn Source,
    key: &'a [u8],
    value: &'a [u8],
    page: &'a mut Page,
}

/// Looks at some records.
pub(super) fn step(source: &dyn Source, after: &[u8], page: &mut Page) -> Cursor {
    let Rows { rows, is_end, broken } = source.rows(Part::Records, after, VERIFY_ROWS_PER_STEP, usize::MAX);
    let mut last = after.to_vec();
    let mut account_before = keys::decode_mail_key(after).ok().map(|(account, _)| account);
    let is_empty = rows.is_empty();
    for (key, value) in rows {
        page.checked.records = page.checked.records.saturating_add(1);
        match value {
            Ok(value) => {
                let mut look = Look { source, key: &key, value: &value, page };
                look.record(&mut account_before);
            }
            Err(error) => page.find(Kind::Unreadable, record_place(&key), error.to_string()),
        }
        last = key;
    }
    match broken {
        None if is_end => Cursor::Directory,
        None => Cursor::Records(last),
        Some(error) => {
            let place = format!("the records after {}", hex(last.get(..KEY_SHOWN_OCTETS).unwrap_or(&last)));
            page.find(Kind::Unreadable, place, error.to_string());
            after_the_break(&last, is_empty).map_or(Cursor::Directory, Cursor::Records)
        }
    }
}

/// Octets of a key that are shown where reading broke off.
const KEY_SHOWN_OCTETS: usize = 64;

/// Where to go on when the database cannot read further: behind all keys of this tag.
fn after_the_break(last: &[u8], nothing_came: bool) -> Option<Vec<u8>> {
    let tag = last.first().copied().unwrap_or(0);
    let was_skipped = nothing_came && last.len() > KEY_OCTETS_MAX;
    let tag = if was_skipped { tag.checked_add(1)? } else { tag };
    let mut key = vec![0xff; KEY_OCTETS_MAX.saturating_add(1)];
    if let Some(first) = key.first_mut() {
        *first = tag;
    }
    Some(key)
}

fn record_place(key: &[u8]) -> String {
    format!("record {}", hex(key))
}

fn message_place(account: AccountId, uid: Uid) -> String {
    format!("message {uid} of account {}", account.0)
}

/// A body, for people.
pub(super) fn body_place(body: MailId) -> String {
    format!("body {body}")
}

/// The records that every store has.
pub(super) fn check_facts(source: &dyn Source, page: &mut Page) {
    for fact in [Meta::Layout, Meta::ServerKey, Meta::NextAccount, Meta::SyncMark] {
        let key = keys::meta_key(fact);
        match source.get(Part::Records, &key) {
            Ok(Some(_)) => {}
            Ok(None) => {
                let place = format!("the store's own record {fact:?}");
                page.find(Kind::FactMissing, place, "it is not there");
            }
            Err(error) => page.find(Kind::Unreadable, record_place(&key), error.to_string()),
        }
    }
}

/// Whether a record of an account is there. What cannot be read is told where it is met; it is not told a second
/// time as missing.
pub(super) fn is_there(source: &dyn Source, tag: Tag, account: AccountId) -> bool {
    source.get(Part::Records, &keys::account_key(tag, account)).map_or(true, |found| found.is_some())
}

impl Look<'_> {
    fn find(&mut self, kind: Kind, place: impl Into<String>, what: impl Into<String>) {
        self.page.find(kind, place, what);
    }

    fn unknown(&mut self) {
        self.find(Kind::UnknownRecord, record_place(self.key), "no layout has such a key");
    }

    fn record(&mut self, account_before: &mut Option<AccountId>) {
        let tag = self.key.first().copied();
        let Some(tag) = TAGS.into_iter().find(|known| Some(known.octet()) == tag) else {
            return self.unknown();
        };
        let result = match tag {
            Tag::Meta => self.fact(),
            Tag::Domain => self.domain(),
            Tag::Account => self.account(),
            Tag::Alias => self.alias(),
            Tag::History => self.history(),
            Tag::Scram => self.scram(),
            Tag::Count => self.count(),
            Tag::Report => self.report(),
            Tag::Throttle => self.throttle(),
            Tag::Mail => self.mail(account_before),
            Tag::NextUid => self.next_uid(),
            Tag::Reference => self.reference(),
            Tag::Pending => self.pending(),
            Tag::Emptying => self.emptying(),
        };
        if let Err(error) = result {
            let kind = match error {
                StoreError::Layout(_) => Kind::NewerVersion,
                StoreError::DiskFull
                | StoreError::Poisoned(_)
                | StoreError::Locked
                | StoreError::Damaged(_)
                | StoreError::Torn(_)
                | StoreError::Io(_) => Kind::Undecodable,
            };
            self.find(kind, record_place(self.key), error.to_string());
        }
    }

    /// Tells of a value that we would have written otherwise.
    fn must_be(&mut self, expected: &[u8]) {
        if self.value != expected {
            self.find(Kind::NotCanonical, record_place(self.key), "this program writes it otherwise");
        }
    }

    /// The same for JSON: what an older program wrote may lack fields, but none that it has may differ.
    fn must_agree<T: Serialize>(&mut self, encoded: &[u8], decoded: &T) {
        let same_version = encoded.first() == self.value.first();
        let stored = self.value.get(1..).and_then(|json| serde_json::from_slice(json).ok());
        let ours = serde_json::to_value(decoded).ok();
        if !same_version || !stored.zip(ours).is_some_and(|(stored, ours)| is_part_of(&stored, &ours)) {
            self.find(Kind::NotCanonical, record_place(self.key), "this program writes it otherwise");
        }
    }

    /// The version octet and nothing else.
    fn must_be_marker(&mut self) {
        self.must_be(&keys::encode_marker());
    }

    fn fact(&mut self) -> Result<(), StoreError> {
        let (key, value) = (self.key, self.value);
        if key == keys::meta_key(Meta::SyncMark) {
            if value != keys::encode_sync_mark(self.source.mark()) {
                let what = "the mark of synced batches differs from the one in the file `layout`";
                self.find(Kind::MarkDiffers, "the store's own record SyncMark", what);
            }
        } else if key == keys::meta_key(Meta::ServerKey) {
            keys::decode_server_key(value)?;
        } else if key == keys::meta_key(Meta::Layout) {
            let layout = keys::decode_u32("the layout", key, value)?;
            if layout != keys::LAYOUT {
                let what = format!("the records have layout {layout}");
                self.find(Kind::NewerVersion, "the store's own record Layout", what);
            }
        } else if key == keys::meta_key(Meta::NextAccount) {
            keys::decode_u32("the next account", key, value)?;
        } else if key == keys::meta_key(Meta::AcceptedLosses) {
            let accepted = keys::decode_accepted(value)?;
            self.must_agree(&keys::encode_accepted(&accepted)?, &accepted);
        } else {
            self.unknown();
        }
        Ok(())
    }

    fn domain(&mut self) -> Result<(), StoreError> {
        let entry = keys::decode_domain(self.key, self.value)?;
        self.must_agree(&keys::encode_domain(&entry)?, &entry);
        Ok(())
    }

    fn account(&mut self) -> Result<(), StoreError> {
        let account = keys::decode_account(self.key, self.value)?;
        self.must_agree(&keys::encode_account(&account)?, &account);
        let place = format!("account {}", account.id.0);
        if account.addresses.is_empty() {
            self.find(Kind::AccountWithoutAddress, place.clone(), "it has no address");
        }
        if account.password.as_deref().is_some_and(|hash| PasswordHash::parse(hash).is_err()) {
            self.find(Kind::PasswordUnreadable, place.clone(), "its password hash cannot be read");
        }
        let emptying = keys::account_key(Tag::Emptying, account.id);
        if self.source.get(Part::Records, &emptying)?.is_some() {
            self.find(
                Kind::AccountHalfRemoved,
                place,
                "it is there and marked as removed: its mail would go",
            );
        }
        Ok(())
    }

    fn alias(&mut self) -> Result<(), StoreError> {
        let alias = keys::decode_alias(self.key, self.value)?;
        self.must_agree(&keys::encode_alias(&alias)?, &alias);
        Ok(())
    }

    fn must_be_of_somebody(&mut self, account: AccountId, what: &str) {
        if !is_there(self.source, Tag::Account, account) && !is_there(self.source, Tag::Emptying, account) {
            let what = format!("{what} of an account that is not there");
            self.find(Kind::RecordOfNobody, format!("account {}", account.0), what);
        }
    }

    fn history(&mut self) -> Result<(), StoreError> {
        let (account, history) = keys::decode_history(self.key, self.value)?;
        self.must_agree(&keys::encode_history(account, &history)?, &history);
        self.must_be_of_somebody(account, "the logins");
        Ok(())
    }

    fn scram(&mut self) -> Result<(), StoreError> {
        let (account, record) = keys::decode_scram(self.key, self.value)?;
        self.must_agree(&keys::encode_scram(account, &record)?, &record);
        self.must_be_of_somebody(account, "the SCRAM keys");
        Ok(())
    }

    fn count(&mut self) -> Result<(), StoreError> {
        let entry = keys::decode_count(self.key, self.value)?;
        self.must_be(&keys::encode_count(entry));
        Ok(())
    }

    fn report(&mut self) -> Result<(), StoreError> {
        let day = keys::decode_report(self.key, self.value)?;
        self.must_agree(&keys::encode_report(&day)?, &day);
        Ok(())
    }

    fn throttle(&mut self) -> Result<(), StoreError> {
        if self.key != keys::throttle_key() {
            self.unknown();
            return Ok(());
        }
        let snapshot = keys::decode_throttle(self.value)?;
        self.must_agree(&keys::encode_throttle(&snapshot)?, &snapshot);
        Ok(())
    }

    fn mail(&mut self, account_before: &mut Option<AccountId>) -> Result<(), StoreError> {
        self.page.checked.messages = self.page.checked.messages.saturating_add(1);
        let (account, uid) = keys::decode_mail_key(self.key)?;
        let is_first = account_before.replace(account) != Some(account);
        let record = keys::decode_record(self.key, self.value)?;
        let mut expected = Vec::new();
        keys::encode_record(&mut expected, parts(&record))?;
        self.must_be(&expected);
        let place = message_place(account, uid);
        if !is_there(self.source, Tag::Account, account) {
            if !is_there(self.source, Tag::Emptying, account) {
                self.find(Kind::MailWithoutAccount, place, format!("body {}", record.body));
            }
            return Ok(());
        }
        if is_first && !is_there(self.source, Tag::NextUid, account) {
            self.find(Kind::UidCounterLow, format!("account {}", account.0), "its uid counter is missing");
        }
        let reference = keys::reference_key(record.body, account, uid);
        if self.source.get(Part::Records, &reference)?.is_none() {
            let what = format!("nothing says that body {} is needed", record.body);
            self.find(Kind::MailWithoutReference, place.clone(), what);
        }
        if record.slices == 0 && record.body_octets > 0 {
            let what = format!("a body of {} octets in no slice", record.body_octets);
            self.find(Kind::BodyOctetsDiffer, place, what);
        } else if record.slices > 0 && self.source.first_key(Part::Bodies, &record.body.0)?.is_none() {
            let what = format!("body {} of {} octets is not there", record.body, record.body_octets);
            self.find(Kind::BodyMissing, place, what);
        }
        Ok(())
    }

    fn next_uid(&mut self) -> Result<(), StoreError> {
        let account = keys::decode_account_key(Tag::NextUid, self.key)?;
        let next = keys::decode_u64("a uid counter", self.key, self.value)?;
        self.must_be(&keys::encode_u64(next));
        self.must_be_of_somebody(account, "a uid counter");
        let from = keys::mail_key(account, Uid(next.saturating_sub(1)));
        let above = self.source.rows(Part::Records, &from, 1, usize::MAX).rows;
        let above = above.first().and_then(|(key, _)| keys::decode_mail_key(key).ok());
        if let Some((_, uid)) = above.filter(|(of, _)| *of == account) {
            let what = format!("the next uid is {next} and message {uid} is there");
            self.find(Kind::UidCounterLow, format!("account {}", account.0), what);
        }
        Ok(())
    }

    fn reference(&mut self) -> Result<(), StoreError> {
        let (body, account, uid) = keys::decode_reference_key(self.key)?;
        self.must_be_marker();
        let key = keys::mail_key(account, uid);
        let Some(value) = self.source.get(Part::Records, &key)? else {
            let what = format!("body {body} is kept for it and it is not there");
            self.find(Kind::ReferenceWithoutMail, message_place(account, uid), what);
            return Ok(());
        };
        // One that cannot be decoded is told where it stands.
        if let Ok(record) = keys::decode_record(&key, &value)
            && record.body != body
        {
            let what = format!("body {body} is kept for it and its body is {}", record.body);
            self.find(Kind::ReferenceToOtherBody, message_place(account, uid), what);
        }
        Ok(())
    }

    fn pending(&mut self) -> Result<(), StoreError> {
        let body = keys::decode_body_key(Tag::Pending, self.key)?;
        self.must_be_marker();
        if !self.source.is_live() {
            self.find(Kind::UnfinishedBody, body_place(body), "slices of a message that was never committed");
        }
        Ok(())
    }

    fn emptying(&mut self) -> Result<(), StoreError> {
        let account = keys::decode_account_key(Tag::Emptying, self.key)?;
        self.must_be_marker();
        self.find(Kind::UnfinishedRemoval, format!("account {}", account.0), "its mail still has to go");
        Ok(())
    }
}

fn parts(record: &MessageRecord) -> RecordParts<'_> {
    RecordParts {
        body: record.body,
        received: record.received,
        sender: &record.sender,
        recipient: &record.recipient,
        prefix: &record.prefix,
        body_octets: record.body_octets,
        slices: record.slices,
    }
}

/// Whether everything in one value is in the other, and the same there.
fn is_part_of(some: &Value, all: &Value) -> bool {
    match (some, all) {
        (Value::Object(some), Value::Object(all)) => {
            some.iter().all(|(name, value)| all.get(name).is_some_and(|other| is_part_of(value, other)))
        }
        (Value::Array(some), Value::Array(all)) => {
            some.len() == all.len() && some.iter().zip(all).all(|(one, other)| is_part_of(one, other))
        }
        (some, all) => some == all,
    }
}
