//! Every key and every value, octet by octet.
//!
//! Two keyspaces. `bodies` holds slices of bodies: key = mail id (16), index (4); value = the octets and
//! nothing else, so that they are never copied to gain a header (how a body is cut is said by the version of
//! the records that name it). `records` holds everything else; its keys begin with a tag:
//!
//! | tag | key after the tag | value after the version octet |
//! |---|---|---|
//! | [`Tag::Meta`] | name (1) | layout (4), server key (32) or next account id (4) |
//! | [`Tag::Domain`] | domain | JSON of a `DomainEntry` |
//! | [`Tag::Account`] | account (4) | JSON of an `Account` |
//! | [`Tag::Alias`] | address key | JSON of an `Alias` |
//! | [`Tag::Mail`] | account (4), uid (8) | a message record, see [`encode_record`] |
//! | [`Tag::NextUid`] | account (4) | uid (8) |
//! | [`Tag::Reference`] | mail id (16), account (4), uid (8) | nothing: this copy needs that body |
//! | [`Tag::Pending`] | mail id (16) | nothing: slices were put, no record names them yet |
//! | [`Tag::Emptying`] | account (4) | nothing: removed, its mail still has to go |
//!
//! Numbers are big-endian, so that keys ascend as their numbers do. Every value in `records` begins with a
//! version octet. What was read is never trusted: a damaged key or value is an error that says where.

use super::{MessageRecord, StoreError};
use crate::directory::{Account, Alias, DomainEntry};
use crate::types::{AccountId, AddressKey, Domain, MailId, Uid, UnixTime};
use serde::{Serialize, de::DeserializeOwned};

/// The layout this file describes. Rises whenever an older program could misread what a newer one wrote.
pub const LAYOUT: u32 = 1;
/// Version octet of every value of this layout.
const VALUE_VERSION: u8 = 1;
/// Octets of a tag.
const TAG_OCTETS: usize = 1;
/// Octets of an account id.
const ACCOUNT_OCTETS: usize = 4;
/// Octets of a uid.
const UID_OCTETS: usize = 8;
/// Octets of a mail id.
const MAIL_ID_OCTETS: usize = 16;
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
pub fn meta_key(name: Meta) -> [u8; 2] {
    let name = match name {
        Meta::Layout => 1,
        Meta::ServerKey => 2,
        Meta::NextAccount => 3,
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
    encode_json("an account", &account_key(Tag::Account, account.id), account)
}

/// Reads what [`encode_account`] wrote; it must be the account its key names. The error never shows the value.
///
/// # Errors
/// [`StoreError::Damaged`], or [`StoreError::Layout`] for a newer version.
pub fn decode_account(key: &[u8], value: &[u8]) -> Result<Account, StoreError> {
    let account: Account = decode_json("an account", key, value)?;
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
mod tests {
    use super::*;
    use crate::directory::AccountState;
    use crate::types::Chance;

    fn octets(chance: &mut Chance, most: u64) -> Vec<u8> {
        let count = usize::try_from(chance.below(most)).unwrap();
        let mut out = Vec::new();
        while out.len() < count {
            out.extend_from_slice(&chance.octets());
        }
        out.truncate(count);
        out
    }

    fn text(chance: &mut Chance) -> String {
        String::from_utf8_lossy(&octets(chance, 90)).into_owned()
    }

    fn record(chance: &mut Chance) -> (AccountId, MessageRecord) {
        let account = AccountId(u32::try_from(chance.below(1 << 32)).unwrap());
        let record = MessageRecord {
            uid: Uid(chance.u64()),
            body: MailId::new(UnixTime(chance.u64()), chance.u64()),
            received: UnixTime(chance.u64()),
            sender: text(chance),
            recipient: text(chance),
            prefix: octets(chance, 700),
            body_octets: chance.u64(),
            slices: u32::try_from(chance.below(9_000)).unwrap(),
        };
        (account, record)
    }

    fn encoded(record: &MessageRecord) -> Vec<u8> {
        let mut out = b"left over".to_vec();
        let parts = RecordParts {
            body: record.body,
            received: record.received,
            sender: &record.sender,
            recipient: &record.recipient,
            prefix: &record.prefix,
            body_octets: record.body_octets,
            slices: record.slices,
        };
        encode_record(&mut out, parts).unwrap();
        out
    }

    #[test]
    fn a_message_record_is_read_as_it_was_written() {
        let mut chance = Chance::from_seed([1; 32]);
        for _ in 0..500 {
            let (account, record) = record(&mut chance);
            let key = mail_key(account, record.uid);
            assert_eq!(decode_record(&key, &encoded(&record)), Ok(record));
        }
    }

    #[test]
    fn keys_are_read_as_they_were_written() {
        let mut chance = Chance::from_seed([2; 32]);
        for _ in 0..500 {
            let (account, record) = record(&mut chance);
            let (uid, body) = (record.uid, record.body);
            assert_eq!(decode_mail_key(&mail_key(account, uid)), Ok((account, uid)));
            assert_eq!(decode_reference_key(&reference_key(body, account, uid)), Ok((body, account, uid)));
            assert_eq!(decode_body_key(Tag::Pending, &body_key(Tag::Pending, body)), Ok(body));
            let marker = account_key(Tag::Emptying, account);
            assert_eq!(decode_account_key(Tag::Emptying, &marker), Ok(account));
            assert!(decode_account_key(Tag::NextUid, &marker).is_err());
        }
    }

    #[test]
    fn keys_ascend_as_their_numbers_do() {
        let mut chance = Chance::from_seed([3; 32]);
        for _ in 0..500 {
            let one = (u32::try_from(chance.below(4)).unwrap(), chance.u64() >> chance.below(64));
            let two = (u32::try_from(chance.below(4)).unwrap(), chance.u64() >> chance.below(64));
            let keys = [one, two].map(|(account, uid)| mail_key(AccountId(account), Uid(uid)));
            assert_eq!(one.cmp(&two), keys[0].cmp(&keys[1]));
        }
        assert!(slice_key(MailId([7; 16]), 255) < slice_key(MailId([7; 16]), 256));
    }

    #[test]
    fn a_prefix_of_a_value_is_damage_and_so_is_more_than_it() {
        let mut chance = Chance::from_seed([4; 32]);
        for _ in 0..50 {
            let (account, record) = record(&mut chance);
            let key = mail_key(account, record.uid);
            let mut value = encoded(&record);
            for end in 0..value.len() {
                assert!(matches!(decode_record(&key, &value[..end]), Err(StoreError::Damaged(_))), "{end}");
            }
            value.push(0);
            assert!(matches!(decode_record(&key, &value), Err(StoreError::Damaged(_))));
        }
    }

    #[test]
    fn whatever_stands_in_a_value_is_an_answer_and_no_accident() {
        let mut chance = Chance::from_seed([5; 32]);
        let key = mail_key(AccountId(1), Uid(1));
        for _ in 0..3_000 {
            let (_, record) = record(&mut chance);
            let mut value = encoded(&record);
            let at = usize::try_from(chance.below(60)).unwrap();
            value[at] ^= u8::try_from(chance.below(255)).unwrap() + 1;
            let _ = decode_record(&key, &value);
            let anything = octets(&mut chance, 80);
            let _ = decode_record(&anything, &anything);
            let _ = decode_domain(&anything, &anything);
            let _ = decode_account(&anything, &anything);
            let _ = decode_alias(&anything, &anything);
            let _ = decode_u32("it", &anything, &anything);
            let _ = decode_u64("it", &anything, &anything);
            let _ = decode_server_key(&anything);
            let _ = decode_reference_key(&anything);
            let _ = decode_body_key(Tag::Pending, &anything);
        }
    }

    #[test]
    fn a_value_of_a_newer_version_is_told_from_damage() {
        let key = meta_key(Meta::NextAccount);
        let mut value = encode_u32(7);
        assert_eq!(decode_u32("it", &key, &value), Ok(7));
        value[0] = 2;
        assert!(matches!(decode_u32("it", &key, &value), Err(StoreError::Layout(_))));
        value[0] = 0;
        assert!(matches!(decode_u32("it", &key, &value), Err(StoreError::Damaged(_))));
    }

    #[test]
    fn directory_entries_are_read_as_they_were_written() {
        let address: crate::types::Address = "Me@example.org".parse().unwrap();
        let domain = DomainEntry { name: address.domain.clone(), catch_all: Some(AccountId(9)) };
        assert_eq!(decode_domain(&domain_key(&domain.name), &encode_domain(&domain).unwrap()), Ok(domain));
        let account = Account {
            id: AccountId(9),
            addresses: vec![address.clone()],
            password: Some("$argon2id$".to_owned()),
            state: AccountState::Suspended,
        };
        let key = account_key(Tag::Account, account.id);
        assert_eq!(decode_account(&key, &encode_account(&account).unwrap()), Ok(account));
        let alias = Alias { address: address.clone(), members: vec![address.clone(), address] };
        let key = alias_key(&alias.address.key());
        assert_eq!(decode_alias(&key, &encode_alias(&alias).unwrap()), Ok(alias));
    }

    #[test]
    fn an_entry_under_a_key_that_is_not_its_own_is_damage() {
        let account =
            Account { id: AccountId(9), addresses: vec![], password: None, state: AccountState::Active };
        let value = encode_account(&account).unwrap();
        let other = account_key(Tag::Account, AccountId(8));
        assert!(matches!(decode_account(&other, &value), Err(StoreError::Damaged(_))));
    }

    #[test]
    fn an_unreadable_secret_is_not_shown() {
        let mut value = encode_server_key(&[0xab; 32]).to_vec();
        assert_eq!(decode_server_key(&value), Ok([0xab; 32]));
        value.push(0xab);
        let error = decode_server_key(&value).unwrap_err().to_string();
        assert!(!error.contains("abab"), "{error}");
    }

    #[test]
    fn tags_are_what_the_layout_says() {
        for tag in [
            Tag::Meta,
            Tag::Domain,
            Tag::Account,
            Tag::Alias,
            Tag::Mail,
            Tag::NextUid,
            Tag::Reference,
            Tag::Pending,
            Tag::Emptying,
        ] {
            assert_eq!(account_key(tag, AccountId(0))[0], tag.octet());
        }
        assert_eq!(mail_key(AccountId(1), Uid(2)), [0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(meta_key(Meta::Layout), [1, 1]);
    }
}
