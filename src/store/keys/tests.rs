//! Layouts read back, and damage met.

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
        app_passwords: Default::default(),
    };
    let key = account_key(Tag::Account, account.id);
    assert_eq!(decode_account(&key, &encode_account(&account).unwrap()), Ok(account));
    let alias = Alias { address: address.clone(), members: vec![address.clone(), address] };
    let key = alias_key(&alias.address.key());
    assert_eq!(decode_alias(&key, &encode_alias(&alias).unwrap()), Ok(alias));
}

#[test]
fn an_account_with_application_passwords_is_not_read_by_a_program_that_knows_none() {
    use crate::directory::credential::{AppPasswords, CredentialTag, MainPassword};
    let plain = Account {
        id: AccountId(9),
        addresses: vec![],
        password: None,
        state: AccountState::Active,
        app_passwords: AppPasswords::default(),
    };
    let key = account_key(Tag::Account, plain.id);
    assert_eq!(encode_account(&plain).unwrap()[0], 1, "older programs go on reading the others");
    let used = AppPasswords::default().with("phone", UnixTime(5), CredentialTag([7; 32])).unwrap();
    let forbidden = AppPasswords { main: MainPassword::Forbidden, ..AppPasswords::default() };
    for app_passwords in [used, forbidden] {
        let account = Account { app_passwords, ..plain.clone() };
        let mut value = encode_account(&account).unwrap();
        assert_eq!((value[0], decode_account(&key, &value)), (2, Ok(account)));
        value[0] = 3;
        assert!(matches!(decode_account(&key, &value), Err(StoreError::Layout(_))));
    }
}

#[test]
fn what_is_remembered_of_logins_is_read_as_it_was_written() {
    let mut history = crate::directory::history::LoginHistory::default();
    history.learn(UnixTime(5), "192.0.2.1".parse().unwrap(), None);
    let key = account_key(Tag::History, AccountId(9));
    let value = encode_history(AccountId(9), &history).unwrap();
    assert_eq!(decode_history(&key, &value), Ok((AccountId(9), history)));
}

#[test]
fn what_the_throttle_keeps_is_read_or_refused_and_never_too_large() {
    use crate::auth::throttle::{Rules, Throttle};
    use crate::types::{Moment, Now};
    let now = Now { moment: Moment(1), unix: UnixTime(1) };
    let snapshot = Throttle::new(Rules::default(), [1; 32]).snapshot(now);
    let value = encode_throttle(&snapshot).unwrap();
    assert_eq!(decode_throttle(&value), Ok(snapshot));
    let blank = vec![b' '; crate::limits::THROTTLE_KEPT_OCTETS_MAX];
    for damaged in [&value[..value.len() - 1], &[], &[1], b"\x01[]", &[&value[..], &blank].concat()] {
        assert!(matches!(decode_throttle(damaged), Err(StoreError::Damaged(_))));
    }
}

#[test]
fn an_entry_under_a_key_that_is_not_its_own_is_damage() {
    let account = Account {
        id: AccountId(9),
        addresses: vec![],
        password: None,
        state: AccountState::Active,
        app_passwords: Default::default(),
    };
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
        Tag::History,
        Tag::Scram,
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
