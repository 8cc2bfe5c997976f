//! Every key and every value, octet by octet.
//!
//! Two keyspaces. `bodies` holds slices of bodies: key = mail id (16), index (4); value = the octets and
//! nothing else, so that they are never copied to gain a header (how a body is cut is said by the version of
//! the records that name it). `records` holds everything else; its keys begin with a tag:
//!
//! | tag | key after the tag | value after the version octet |
//! |---|---|---|
//! | [`Tag::Meta`] | name (1) | layout (4), server key (32), next account id (4), sync mark (16) or JSON of accepted losses |
//! | [`Tag::Domain`] | domain | JSON of a `DomainEntry` |
//! | [`Tag::Account`] | account (4) | JSON of an `Account` |
//! | [`Tag::Alias`] | address key | JSON of an `Alias` |
//! | [`Tag::History`] | account (4) | JSON of a `LoginHistory` |
//! | [`Tag::Scram`] | account (4) | JSON of a `ScramRecord` |
//! | [`Tag::Count`] | slot (4) | number, time, messages so far (8 each), messages (4), see [`encode_count`] |
//! | [`Tag::Report`] | day (4) | JSON of a `Day` of the report of logins |
//! | [`Tag::Throttle`] | nothing | JSON of a `Snapshot` of the throttle |
//! | [`Tag::Mail`] | account (4), uid (8) | a message record, see [`encode_record`] |
//! | [`Tag::NextUid`] | account (4) | uid (8) |
//! | [`Tag::Reference`] | mail id (16), account (4), uid (8) | nothing: this copy needs that body |
//! | [`Tag::Pending`] | mail id (16) | nothing: slices were put, no record names them yet |
//! | [`Tag::Emptying`] | account (4) | nothing: removed, its mail still has to go |
//!
//! Beside the slices, `bodies` has the records of [`Tag::Count`] too, under four octets 0xff and the slot: each
//! keyspace can lose its part of a commit without the other.
//!
//! Numbers are big-endian, so that keys ascend as their numbers do. Every value in `records` begins with a
//! version octet. What was read is never trusted: a damaged key or value is an error that says where.

mod count;
mod kept;

pub use count::{
    COUNT_KEY_OCTETS, COUNT_SLICE_KEY_OCTETS, COUNT_SLICE_PREFIX, count_key, count_slice_key,
    decode_accepted, decode_count, encode_accepted, encode_count, slot_of,
};
pub use kept::{
    decode_history, decode_report, decode_scram, decode_throttle, encode_history, encode_report,
    encode_scram, encode_throttle,
};

use super::{MessageRecord, StoreError};
use crate::auth::report::DayNumber;
use crate::directory::{Account, Alias, DomainEntry};
use crate::types::{AccountId, AddressKey, Domain, MailId, Uid, UnixTime};
use serde::{Serialize, de::DeserializeOwned};

/// The layout this file describes. Rises whenever an older program could misread what a newer one wrote.
pub const LAYOUT: u32 = 1;
/// Version octet of every value of this layout.
const VALUE_VERSION: u8 = 1;
/// Version octet of an account with application passwords: a program that knows none would let a forbidden
/// main password in, and forget the others with its next change.
const ACCOUNT_VERSION: u8 = 2;
/// Octets of a tag.
const TAG_OCTETS: usize = 1;
/// Octets of an account id.
const ACCOUNT_OCTETS: usize = 4;
/// Octets of a uid.
const UID_OCTETS: usize = 8;
/// Octets of a mail id.
const MAIL_ID_OCTETS: usize = 16;
/// Octets of a sync mark.
pub const MARK_OCTETS: usize = 16;
/// Octets of the key of a fact about the store.
pub const META_KEY_OCTETS: usize = 2;
/// Octets in front of the mark in the value of [`Meta::SyncMark`].
pub const MARK_VALUE_OFFSET: usize = 1;
/// Octets of the index of a slice.
const INDEX_OCTETS: usize = 4;
/// Octets of the key of a message record.
pub const MAIL_KEY_OCTETS: usize = TAG_OCTETS + ACCOUNT_OCTETS + UID_OCTETS;
/// Octets of the key of a reference.
pub const REFERENCE_KEY_OCTETS: usize = TAG_OCTETS + MAIL_ID_OCTETS + ACCOUNT_OCTETS + UID_OCTETS;
/// Octets of the key of a slice.
pub const SLICE_KEY_OCTETS: usize = MAIL_ID_OCTETS + INDEX_OCTETS;
/// Octets of a tag and an account id.
pub const ACCOUNT_KEY_OCTETS: usize = TAG_OCTETS + ACCOUNT_OCTETS;
/// Octets of a tag and a mail id.
pub const BODY_KEY_OCTETS: usize = TAG_OCTETS + MAIL_ID_OCTETS;

/// Octets of the key of a day of the report.
pub const REPORT_KEY_OCTETS: usize = TAG_OCTETS + 4;

/// The first octet of a key in `records`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// What is known of the store itself.
    Meta,
    /// A domain.
    Domain,
    /// An account.
    Account,
    /// An alias.
    Alias,
    /// What is remembered of an account's logins.
    History,
    /// The SCRAM keys of an account.
    Scram,
    /// The number of an acknowledged commit.
    Count,
    /// A day of the report of logins.
    Report,
    /// What the throttle must not forget.
    Throttle,
    /// A message as one account has it.
    Mail,
    /// The next uid of an account.
    NextUid,
    /// A copy that needs a body.
    Reference,
    /// A body whose slices are being put.
    Pending,
    /// A removed account whose mail still has to go.
    Emptying,
}

impl Tag {
    /// The octet.
    #[must_use]
    pub fn octet(self) -> u8 {
        match self {
            Self::Meta => 0x01,
            Self::Domain => 0x02,
            Self::Account => 0x03,
            Self::Alias => 0x04,
            Self::History => 0x05,
            Self::Scram => 0x06,
            Self::Count => 0x07,
            Self::Report => 0x08,
            Self::Throttle => 0x09,
            Self::Mail => 0x10,
            Self::NextUid => 0x11,
            Self::Reference => 0x12,
            Self::Pending => 0x20,
            Self::Emptying => 0x21,
        }
    }
}

/// What is known of the store itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    /// The layout of everything else.
    Layout,
    /// The secret of this installation.
    ServerKey,
    /// The smallest account id never used.
    NextAccount,
    /// The first record of every batch that is synced before anything else is written, see [`SyncMark`].
    SyncMark,
    /// Which losses the administrator accepted; there is none until one is.
    AcceptedLosses,
}

/// A secret of this store that begins every synced batch. Found in a journal behind damage, it tells whether
/// what is damaged was synced; nobody who sends mail can write it there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SyncMark(pub [u8; MARK_OCTETS]);

impl std::fmt::Debug for SyncMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SyncMark(…)")
    }
}

/// Puts parts one after the other. The parts are exactly `N` octets long wherever it is called.
fn join<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(parts.iter().copied().flatten()) {
        *to = *from;
    }
    out
}

/// Key of a fact about the store.
#[must_use]
pub fn meta_key(name: Meta) -> [u8; META_KEY_OCTETS] {
    let name = match name {
        Meta::Layout => 1,
        Meta::ServerKey => 2,
        Meta::NextAccount => 3,
        Meta::SyncMark => 4,
        Meta::AcceptedLosses => 5,
    };
    [Tag::Meta.octet(), name]
}

/// A tag and text after it.
fn text_key(tag: Tag, text: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(TAG_OCTETS.saturating_add(text.len()));
    key.push(tag.octet());
    key.extend_from_slice(text.as_bytes());
    key
}

/// Key of a domain.
#[must_use]
pub fn domain_key(name: &Domain) -> Vec<u8> {
    text_key(Tag::Domain, &name.to_string())
}

/// Key of an alias.
#[must_use]
pub fn alias_key(address: &AddressKey) -> Vec<u8> {
    text_key(Tag::Alias, address.as_str())
}

/// Key of a day of the report.
#[must_use]
pub fn report_key(day: DayNumber) -> [u8; REPORT_KEY_OCTETS] {
    join(&[&[Tag::Report.octet()], &day.0.to_be_bytes()])
}

/// Key of what the throttle keeps.
#[must_use]
pub fn throttle_key() -> [u8; TAG_OCTETS] {
    [Tag::Throttle.octet()]
}

/// A tag and an account id: the whole key of an account, a uid counter or an emptying marker, and the prefix
/// of an account's mail.
#[must_use]
pub fn account_key(tag: Tag, account: AccountId) -> [u8; ACCOUNT_KEY_OCTETS] {
    join(&[&[tag.octet()], &account.0.to_be_bytes()])
}

/// Key of a message record.
#[must_use]
pub fn mail_key(account: AccountId, uid: Uid) -> [u8; MAIL_KEY_OCTETS] {
    join(&[&[Tag::Mail.octet()], &account.0.to_be_bytes(), &uid.0.to_be_bytes()])
}

/// A tag and a mail id: the whole key of a pending marker, and the prefix of a body's references.
#[must_use]
pub fn body_key(tag: Tag, body: MailId) -> [u8; BODY_KEY_OCTETS] {
    join(&[&[tag.octet()], &body.0])
}

/// Key of a reference.
#[must_use]
pub fn reference_key(body: MailId, account: AccountId, uid: Uid) -> [u8; REFERENCE_KEY_OCTETS] {
    join(&[&[Tag::Reference.octet()], &body.0, &account.0.to_be_bytes(), &uid.0.to_be_bytes()])
}

/// Key of a slice, in `bodies`.
#[must_use]
pub fn slice_key(body: MailId, index: u32) -> [u8; SLICE_KEY_OCTETS] {
    join(&[&body.0, &index.to_be_bytes()])
}

/// Walks over octets that may be anything.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn octets(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.octets(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Octets behind their length.
    fn field(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(self.u32()?).ok()?;
        self.octets(count)
    }

    fn text(&mut self) -> Option<String> {
        std::str::from_utf8(self.field()?).ok().map(str::to_owned)
    }

    /// Nothing may be left over.
    fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }
}

/// Why a value cannot be read.
fn damaged(what: &str, key: &[u8]) -> StoreError {
    let mut hex = String::new();
    for octet in key {
        hex.push_str(&format!("{octet:02x}"));
    }
    StoreError::Damaged(format!("{what} under key {hex} cannot be read"))
}

/// Checks the version octet and gives what follows it.
fn versioned<'a>(what: &str, key: &[u8], value: &'a [u8]) -> Result<&'a [u8], StoreError> {
    match value.split_first() {
        Some((&VALUE_VERSION, rest)) => Ok(rest),
        Some((version, _)) if *version > VALUE_VERSION => Err(StoreError::Layout(format!(
            "{what} has version {version}, this program knows {VALUE_VERSION}: use the newer program"
        ))),
        Some(_) | None => Err(damaged(what, key)),
    }
}

/// A value that says no more than that it is there.
#[must_use]
pub fn encode_marker() -> [u8; 1] {
    [VALUE_VERSION]
}

/// A number of 32 bits.
#[must_use]
pub fn encode_u32(number: u32) -> [u8; 5] {
    join(&[&[VALUE_VERSION], &number.to_be_bytes()])
}

/// Reads what [`encode_u32`] wrote; `what` and `key` say what it is if it cannot be read.
///
/// # Errors
/// [`StoreError::Damaged`], or [`StoreError::Layout`] for a newer version.
pub fn decode_u32(what: &str, key: &[u8], value: &[u8]) -> Result<u32, StoreError> {
    let octets = versioned(what, key, value)?.try_into().map_err(|_| damaged(what, key))?;
    Ok(u32::from_be_bytes(octets))
}

/// A number of 64 bits.
#[must_use]
pub fn encode_u64(number: u64) -> [u8; 9] {
    join(&[&[VALUE_VERSION], &number.to_be_bytes()])
}

/// Reads what [`encode_u64`] wrote; `what` and `key` say what it is if it cannot be read.
///
/// # Errors
/// [`StoreError::Damaged`], or [`StoreError::Layout`] for a newer version.
pub fn decode_u64(what: &str, key: &[u8], value: &[u8]) -> Result<u64, StoreError> {
    let octets = versioned(what, key, value)?.try_into().map_err(|_| damaged(what, key))?;
    Ok(u64::from_be_bytes(octets))
}

/// The secret of this installation.
#[must_use]
pub fn encode_server_key(key: &[u8; 32]) -> [u8; 33] {
    join(&[&[VALUE_VERSION], key])
}

/// Reads what [`encode_server_key`] wrote. The error never shows the value.
///
/// # Errors
/// [`StoreError::Damaged`], or [`StoreError::Layout`] for a newer version.
pub fn decode_server_key(value: &[u8]) -> Result<[u8; 32], StoreError> {
    let key = meta_key(Meta::ServerKey);
    versioned("the server key", &key, value)?.try_into().map_err(|_| damaged("the server key", &key))
}

/// The sync mark as a value.
#[must_use]
pub fn encode_sync_mark(mark: SyncMark) -> [u8; MARK_VALUE_OFFSET + MARK_OCTETS] {
    join(&[&[VALUE_VERSION], &mark.0])
}

/// A version octet and JSON.
fn encode_json<T: Serialize>(what: &str, key: &[u8], value: &T) -> Result<Vec<u8>, StoreError> {
    let mut out = vec![VALUE_VERSION];
    serde_json::to_writer(&mut out, value).map_err(|_| damaged(what, key))?;
    Ok(out)
}

fn decode_json<T: DeserializeOwned>(what: &str, key: &[u8], value: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(versioned(what, key, value)?).map_err(|_| damaged(what, key))
}

/// A domain as a value.
///
/// # Errors
/// [`StoreError::Damaged`] if it cannot be written.
pub fn encode_domain(entry: &DomainEntry) -> Result<Vec<u8>, StoreError> {
    encode_json("a domain", &domain_key(&entry.name), entry)
}

/// Reads what [`encode_domain`] wrote; it must be the domain its key names.
///
/// # Errors
/// [`StoreError::Damaged`], or [`StoreError::Layout`] for a newer version.
pub fn decode_domain(key: &[u8], value: &[u8]) -> Result<DomainEntry, StoreError> {
    let entry: DomainEntry = decode_json("a domain", key, value)?;
    if domain_key(&entry.name) == key { Ok(entry) } else { Err(damaged("a domain", key)) }
}

/// An account as a value.
///
/// # Errors
/// [`StoreError::Damaged`] if it cannot be written.
pub fn encode_account(account: &Account) -> Result<Vec<u8>, StoreError> {
    let mut value = encode_json("an account", &account_key(Tag::Account, account.id), account)?;
    if let Some(version) = value.first_mut().filter(|_| !account.app_passwords.is_unused()) {
        *version = ACCOUNT_VERSION;
    }
    Ok(value)
}

/// Reads what [`encode_account`] wrote; it must be the account its key names. The error never shows the value.
///
/// # Errors
/// [`StoreError::Damaged`], or [`StoreError::Layout`] for a newer version.
pub fn decode_account(key: &[u8], value: &[u8]) -> Result<Account, StoreError> {
    let json = match value.split_first() {
        Some((&ACCOUNT_VERSION, json)) => json,
        Some(_) | None => versioned("an account", key, value)?,
    };
    let account: Account = serde_json::from_slice(json).map_err(|_| damaged("an account", key))?;
    if account_key(Tag::Account, account.id) == *key { Ok(account) } else { Err(damaged("an account", key)) }
}

/// An alias as a value.
///
/// # Errors
/// [`StoreError::Damaged`] if it cannot be written.
pub fn encode_alias(alias: &Alias) -> Result<Vec<u8>, StoreError> {
    encode_json("an alias", &alias_key(&alias.address.key()), alias)
}

/// Reads what [`encode_alias`] wrote; it must be the alias its key names.
///
/// # Errors
/// [`StoreError::Damaged`], or [`StoreError::Layout`] for a newer version.
pub fn decode_alias(key: &[u8], value: &[u8]) -> Result<Alias, StoreError> {
    let alias: Alias = decode_json("an alias", key, value)?;
    if alias_key(&alias.address.key()) == key { Ok(alias) } else { Err(damaged("an alias", key)) }
}

/// Reads a key of one account under a tag, such as an emptying marker.
///
/// # Errors
/// [`StoreError::Damaged`].
pub fn decode_account_key(tag: Tag, key: &[u8]) -> Result<AccountId, StoreError> {
    let read = || {
        let mut reader = Reader { rest: key };
        (reader.u8()? == tag.octet()).then_some(())?;
        let account = AccountId(reader.u32()?);
        reader.end()?;
        Some(account)
    };
    read().ok_or_else(|| damaged("the key of an account", key))
}

/// Reads a key of one body under a tag, such as a pending marker.
///
/// # Errors
/// [`StoreError::Damaged`].
pub fn decode_body_key(tag: Tag, key: &[u8]) -> Result<MailId, StoreError> {
    let read = || {
        let mut reader = Reader { rest: key };
        (reader.u8()? == tag.octet()).then_some(())?;
        let body = MailId(reader.array()?);
        reader.end()?;
        Some(body)
    };
    read().ok_or_else(|| damaged("the key of a body", key))
}

/// Reads the key of a message record.
///
/// # Errors
/// [`StoreError::Damaged`].
pub fn decode_mail_key(key: &[u8]) -> Result<(AccountId, Uid), StoreError> {
    let read = || {
        let mut reader = Reader { rest: key };
        (reader.u8()? == Tag::Mail.octet()).then_some(())?;
        let account = AccountId(reader.u32()?);
        let uid = Uid(reader.u64()?);
        reader.end()?;
        Some((account, uid))
    };
    read().ok_or_else(|| damaged("the key of a message", key))
}

/// Reads the key of a reference.
///
/// # Errors
/// [`StoreError::Damaged`].
pub fn decode_reference_key(key: &[u8]) -> Result<(MailId, AccountId, Uid), StoreError> {
    let read = || {
        let mut reader = Reader { rest: key };
        (reader.u8()? == Tag::Reference.octet()).then_some(())?;
        let body = MailId(reader.array()?);
        let account = AccountId(reader.u32()?);
        let uid = Uid(reader.u64()?);
        reader.end()?;
        Some((body, account, uid))
    };
    read().ok_or_else(|| damaged("the key of a reference", key))
}

/// What of a message record is the same for every copy, or borrowed from where it came.
#[derive(Debug, Clone, Copy)]
pub struct RecordParts<'a> {
    /// The body it shares with other copies.
    pub body: MailId,
    /// When it was received.
    pub received: UnixTime,
    /// Envelope sender with its angle brackets.
    pub sender: &'a str,
    /// The envelope recipient that led here.
    pub recipient: &'a str,
    /// Header fields put in front of the body.
    pub prefix: &'a [u8],
    /// Octets of the body.
    pub body_octets: u64,
    /// Slices of the body.
    pub slices: u32,
}

/// Writes a message record into `out`, which is emptied first: version, received (8), mail id (16), body
/// octets (8), slices (4), and sender, recipient and prefix, each behind its length (4).
///
/// # Errors
/// [`StoreError::Damaged`] if a field is longer than 4 GiB.
pub fn encode_record(out: &mut Vec<u8>, parts: RecordParts<'_>) -> Result<(), StoreError> {
    out.clear();
    out.push(VALUE_VERSION);
    out.extend_from_slice(&parts.received.0.to_be_bytes());
    out.extend_from_slice(&parts.body.0);
    out.extend_from_slice(&parts.body_octets.to_be_bytes());
    out.extend_from_slice(&parts.slices.to_be_bytes());
    for field in [parts.sender.as_bytes(), parts.recipient.as_bytes(), parts.prefix] {
        let count = u32::try_from(field.len()).map_err(|_| {
            StoreError::Damaged(format!("a field of message {} is too long to be kept", parts.body))
        })?;
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(field);
    }
    Ok(())
}

/// Reads a message record from its key and value.
///
/// # Errors
/// [`StoreError::Damaged`], or [`StoreError::Layout`] for a newer version.
pub fn decode_record(key: &[u8], value: &[u8]) -> Result<MessageRecord, StoreError> {
    let (account, uid) = decode_mail_key(key)?;
    let rest = versioned("a message", key, value)?;
    let read = || {
        let mut reader = Reader { rest };
        let received = UnixTime(reader.u64()?);
        let body = MailId(reader.array()?);
        let body_octets = reader.u64()?;
        let slices = reader.u32()?;
        let sender = reader.text()?;
        let recipient = reader.text()?;
        let prefix = reader.field()?.to_vec();
        reader.end()?;
        Some(MessageRecord { uid, body, received, sender, recipient, prefix, body_octets, slices })
    };
    read().ok_or_else(|| damaged(&format!("message {uid} of account {}", account.0), key))
}

#[cfg(test)]
mod tests;
