//! Every kind of damage is planted, once in a map and once in a database on disk, and told as what it is.

use super::*;
use crate::contract::{Commit, Delivery};
use crate::directory::{Account, AccountState, Alias, Change, DomainEntry};
use crate::limits::VERIFY_ROWS_PER_STEP;
use crate::store::fjall::{FjallStore, OpenMode};
use crate::store::keys::{self, Meta, RecordParts, Tag};
use crate::store::tests::scratch;
use crate::store::{Deliver, Operation, Store};
use crate::types::{AccountId, Domain, MailId, ReversePath, Uid, UnixTime};
use std::collections::BTreeMap;
use std::path::Path;

/// A store in a map.
#[derive(Debug, Clone, Default)]
struct Map {
    rows: BTreeMap<(Part, Vec<u8>), Vec<u8>>,
    mark: Option<SyncMark>,
    live: bool,
    lost: Vec<Lost>,
    counter: CounterState,
    /// Keys at which reading breaks off, and keys whose value cannot be read.
    breaks: Vec<Vec<u8>>,
    unreadable: Vec<Vec<u8>>,
}

fn broken() -> StoreError {
    StoreError::Damaged("a block cannot be read".to_owned())
}

impl Source for Map {
    fn get(&self, part: Part, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if self.unreadable.iter().any(|other| other == key) {
            Err(broken())
        } else {
            Ok(self.rows.get(&(part, key.to_vec())).cloned())
        }
    }

    fn rows(&self, part: Part, after: &[u8], count: usize, octets: usize) -> Rows {
        let mut out = Rows::default();
        let mut taken = 0;
        for ((of, key), _) in self.rows.range((part, after.to_vec())..) {
            if *of != part {
                break;
            }
            if out.rows.len() >= count || taken >= octets {
                return out;
            }
            if key.as_slice() <= after {
                continue;
            }
            if self.breaks.contains(key) {
                out.broken = Some(broken());
                return out;
            }
            let value = self.get(part, key).map(Option::unwrap);
            taken += value.as_ref().map_or(0, Vec::len);
            out.rows.push((key.clone(), value));
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
        self.mark.unwrap()
    }

    fn is_live(&self) -> bool {
        self.live
    }

    fn missing(&self) -> &[Lost] {
        &self.lost
    }

    fn counter_state(&self) -> CounterState {
        self.counter
    }
}

fn body(number: u64) -> MailId {
    MailId::new(UnixTime(1_000_000), number)
}

fn account(id: u32, address: &str) -> Account {
    Account {
        id: AccountId(id),
        addresses: vec![address.parse().unwrap()],
        password: None,
        state: AccountState::Active,
        app_passwords: Default::default(),
    }
}

fn deliver(number: u64, accounts: &[u32], slices: &[&[u8]]) -> Operation {
    let (last, before) = slices.split_last().unwrap();
    Operation::Deliver(Box::new(Deliver {
        commit: Commit {
            id: body(number),
            received: UnixTime(1_000_000),
            sender: ReversePath::Null,
            deliveries: accounts
                .iter()
                .map(|id| Delivery { account: AccountId(*id), recipient: "x@example.org".to_owned() })
                .collect(),
            prefix: b"Received: here\r\n".to_vec(),
            body_octets: slices.iter().map(|slice| slice.len() as u64).sum(),
        },
        last_slice: last.to_vec(),
        slices_before: u32::try_from(before.len()).unwrap(),
    }))
}

/// A store with two accounts, an alias and four bodies: one of three slices, one of two copies, one empty.
fn furnish(dir: &Path) -> FjallStore {
    let (mut store, _) = FjallStore::open(dir, OpenMode::Write).unwrap();
    let domain = DomainEntry { name: Domain::parse("example.org").unwrap(), catch_all: Some(AccountId(1)) };
    let alias = Alias {
        address: "info@example.org".parse().unwrap(),
        members: vec!["a@example.org".parse().unwrap(), "x@elsewhere.example".parse().unwrap()],
    };
    let changes = vec![
        Change::PutDomain(domain),
        Change::PutAccount(account(1, "a@example.org")),
        Change::PutAccount(account(2, "b@example.org")),
        Change::PutAlias(alias),
    ];
    store.commit(&[Operation::Change(changes)]).unwrap();
    let slices: [&[u8]; 3] = [b"first", b"second", b"third"];
    store.put_slice(body(1), 0, slices[0]).unwrap();
    store.put_slice(body(1), 1, slices[1]).unwrap();
    store.commit(&[deliver(1, &[1], &slices)]).unwrap();
    store.commit(&[deliver(2, &[1, 2], &[b"for both"]), deliver(3, &[2], &[b""])]).unwrap();
    store.commit(&[deliver(4, &[2], &[b"last"])]).unwrap();
    store
}

/// Everything in a store.
fn dump(store: &FjallStore) -> Map {
    let mut map = Map { mark: Some(Source::mark(store)), ..Map::default() };
    for part in [Part::Records, Part::Bodies] {
        for (key, value) in store.rows(part, &[], usize::MAX, usize::MAX).rows {
            map.rows.insert((part, key), value.unwrap());
        }
    }
    map
}

/// All that is found, step by step.
fn look(source: &dyn Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut from = Some(Cursor::default());
    let mut steps = 0;
    while let Some(cursor) = from {
        // The cursor goes through the form it has between processes.
        let cursor = serde_json::from_str(&serde_json::to_string(&cursor).unwrap()).unwrap();
        let page = step(source, &cursor);
        findings.extend(page.findings);
        from = page.next;
        steps += 1;
        assert!(steps < 10_000, "it never ends");
    }
    findings
}

fn kinds(findings: &[Finding]) -> Vec<Kind> {
    findings.iter().map(|finding| finding.kind).collect()
}

type Edit = (Part, Vec<u8>, Option<Vec<u8>>);

fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Edit {
    (Part::Records, key.as_ref().to_vec(), Some(value.as_ref().to_vec()))
}

fn remove(key: impl AsRef<[u8]>) -> Edit {
    (Part::Records, key.as_ref().to_vec(), None)
}

fn put_slice(number: u64, index: u32, octets: &[u8]) -> Edit {
    (Part::Bodies, keys::slice_key(body(number), index).to_vec(), Some(octets.to_vec()))
}

fn remove_slice(number: u64, index: u32) -> Edit {
    (Part::Bodies, keys::slice_key(body(number), index).to_vec(), None)
}

fn record(number: u64, body_octets: u64, slices: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let parts = RecordParts {
        body: body(number),
        received: UnixTime(1_000_000),
        sender: "<>",
        recipient: "x@example.org",
        prefix: b"",
        body_octets,
        slices,
    };
    keys::encode_record(&mut out, parts).unwrap();
    out
}

fn mail(account: u32, uid: u64) -> [u8; keys::MAIL_KEY_OCTETS] {
    keys::mail_key(AccountId(account), Uid(uid))
}

fn reference(number: u64, account: u32, uid: u64) -> [u8; keys::REFERENCE_KEY_OCTETS] {
    keys::reference_key(body(number), AccountId(account), Uid(uid))
}

fn of_account(tag: Tag, id: u32) -> [u8; keys::ACCOUNT_KEY_OCTETS] {
    keys::account_key(tag, AccountId(id))
}

fn account_value(change: impl FnOnce(&mut Account)) -> Vec<u8> {
    let mut changed = account(2, "b@example.org");
    change(&mut changed);
    keys::encode_account(&changed).unwrap()
}

/// What is planted, and what is told of it.
fn plants() -> Vec<(Vec<Edit>, Vec<Kind>)> {
    use Kind::*;
    let meta = keys::meta_key;
    let marker = keys::encode_marker();
    let domain = keys::domain_key(&Domain::parse("example.org").unwrap());
    let alias = keys::alias_key(&"info@example.org".parse::<crate::types::Address>().unwrap().key());
    let padded = |key: &[u8]| [&[1][..], b" ", key].concat();
    let twice = Alias { address: "b@example.org".parse().unwrap(), members: vec![] };
    let history = keys::encode_history(AccountId(9), &Default::default()).unwrap();
    let mut plants = vec![
        (vec![put([0x77, 1, 2], b"?")], vec![UnknownRecord]),
        (vec![put([Tag::Meta.octet(), 99], marker)], vec![UnknownRecord]),
        (vec![(Part::Bodies, vec![1, 2, 3], Some(vec![]))], vec![UnknownRecord]),
        (vec![(Part::Bodies, keys::count_slice_key(9).to_vec(), Some(vec![1]))], vec![Undecodable]),
        (vec![put(mail(1, 1), b"\x01short")], vec![Undecodable]),
        (vec![put(&alias, b"\x01{}")], vec![Undecodable]),
        (vec![put(keys::throttle_key(), b"\x01nonsense")], vec![Undecodable]),
        (vec![put(keys::count_key(3), keys::encode_count(Default::default()))], vec![Undecodable]),
        (vec![put(&alias, b"\x09{}")], vec![NewerVersion]),
        (vec![put(of_account(Tag::NextUid, 1), b"\x02\0\0\0\0\0\0\0\x09")], vec![NewerVersion]),
        (vec![put(reference(1, 1, 1), b"\x01more")], vec![NotCanonical]),
        (vec![remove(meta(Meta::NextAccount))], vec![FactMissing]),
        (vec![remove(meta(Meta::ServerKey))], vec![FactMissing]),
        (vec![put(meta(Meta::SyncMark), keys::encode_sync_mark(SyncMark([7; 16])))], vec![MarkDiffers]),
        (vec![put(meta(Meta::NextAccount), keys::encode_u32(2))], vec![AccountNumberFree]),
        (
            vec![put(of_account(Tag::Account, 2), account_value(|a| a.addresses.clear()))],
            vec![AccountWithoutAddress],
        ),
        (vec![put(of_account(Tag::Emptying, 2), marker)], vec![AccountHalfRemoved, UnfinishedRemoval]),
        (
            vec![put(
                of_account(Tag::Account, 2),
                account_value(|a| a.password = Some("$argon2id$nothing".to_owned())),
            )],
            vec![PasswordUnreadable],
        ),
        (
            vec![put(keys::alias_key(&twice.address.key()), keys::encode_alias(&twice).unwrap())],
            vec![AddressTwice],
        ),
        (vec![remove(&domain)], vec![DomainMissing, DomainMissing, DomainMissing]),
        (vec![put(of_account(Tag::History, 9), history)], vec![RecordOfNobody]),
        (vec![put(of_account(Tag::NextUid, 9), keys::encode_u64(1))], vec![RecordOfNobody]),
        (vec![put(mail(9, 1), record(4, 4, 1)), put(reference(4, 9, 1), marker)], vec![MailWithoutAccount]),
        (vec![remove(reference(1, 1, 1))], vec![MailWithoutReference, BodyWithoutMail]),
        (vec![remove(reference(2, 1, 2))], vec![MailWithoutReference]),
        (vec![remove(mail(1, 1))], vec![ReferenceWithoutMail]),
        (vec![put(reference(4, 1, 1), marker)], vec![ReferenceToOtherBody]),
        (vec![put(of_account(Tag::NextUid, 1), keys::encode_u64(2))], vec![UidCounterLow]),
        (vec![put(of_account(Tag::NextUid, 1), keys::encode_u64(0))], vec![UidCounterLow]),
        (vec![remove(of_account(Tag::NextUid, 1))], vec![UidCounterLow]),
        (vec![remove_slice(4, 0)], vec![BodyMissing]),
        (vec![remove_slice(2, 0)], vec![BodyMissing, BodyMissing]),
        (vec![remove_slice(1, 0)], vec![SliceMissing]),
        (vec![remove_slice(1, 1)], vec![SliceMissing]),
        (vec![remove_slice(1, 2)], vec![SliceMissing]),
        (vec![put_slice(1, 3, b"more")], vec![SliceTooMany]),
        (vec![put_slice(3, 0, b"a body of an empty message")], vec![SliceTooMany]),
        (vec![put_slice(1, 1, b"longer than it was")], vec![BodyOctetsDiffer]),
        (vec![put_slice(4, 0, b"las")], vec![BodyOctetsDiffer]),
        (vec![put(mail(1, 1), record(1, 16, 0))], vec![BodyOctetsDiffer, SliceTooMany]),
        (vec![put_slice(77, 0, b"whose?")], vec![BodyWithoutMail]),
        (vec![put(mail(1, 2), record(2, 9, 1))], vec![CopiesDisagree, BodyOctetsDiffer]),
        (
            vec![put_slice(77, 0, b"x"), put(keys::body_key(Tag::Pending, body(77)), marker)],
            vec![UnfinishedBody],
        ),
        (
            vec![remove(of_account(Tag::Account, 1)), put(of_account(Tag::Emptying, 1), marker)],
            vec![UnfinishedRemoval, CatchAllMissing],
        ),
    ];
    let value =
        keys::encode_domain(&DomainEntry { name: Domain::parse("example.org").unwrap(), catch_all: None });
    let with_more = [&b"\x01{\"more\":1,"[..], &value.unwrap()[2..]].concat();
    plants.push((vec![put(&domain, with_more)], vec![NotCanonical]));
    let with_space = padded(&account_value(|_| ())[1..]);
    plants.push((vec![put(of_account(Tag::Account, 2), with_space)], vec![]));
    plants
}

#[test]
#[ignore = "writes seeds of the fuzz target `verify` to GATEPOST_SEEDS"]
fn seeds() {
    let to = std::path::PathBuf::from(std::env::var("GATEPOST_SEEDS").unwrap());
    let dir = scratch();
    let whole = dump(&furnish(dir.path()));
    let write = |name: &str, map: &Map| {
        let mut out = vec![0];
        for ((part, key), value) in &map.rows {
            let head = if *part == Part::Records { 0 } else { 0x80 };
            out.push(head | u8::try_from(key.len()).unwrap());
            out.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
            out.extend_from_slice(key);
            out.extend_from_slice(value);
        }
        std::fs::write(to.join(name), out).unwrap();
    };
    write("whole", &whole);
    let mut seen = std::collections::BTreeSet::new();
    for (edits, expected) in plants() {
        let mut map = whole.clone();
        for (part, key, value) in edits {
            match value {
                Some(value) => map.rows.insert((part, key), value),
                None => map.rows.remove(&(part, key)),
            };
        }
        let Some(kind) = expected.first().filter(|kind| seen.insert(**kind)) else { continue };
        write(&kind.name(), &map);
    }
}

#[test]
fn a_whole_store_has_nothing_wrong() {
    let dir = scratch();
    let store = furnish(dir.path());
    assert_eq!(look(&store), []);
    assert_eq!(look(&dump(&store)), []);
    drop(store);
    let (store, _) = FjallStore::open(dir.path(), OpenMode::Read).unwrap();
    assert_eq!(look(&store), []);
}

#[test]
fn what_is_planted_in_a_map_is_told_as_what_it_is() {
    let dir = scratch();
    let whole = dump(&furnish(dir.path()));
    for (edits, expected) in plants() {
        let mut map = whole.clone();
        for (part, key, value) in edits.clone() {
            match value {
                Some(value) => map.rows.insert((part, key), value),
                None => map.rows.remove(&(part, key)),
            };
        }
        let findings = look(&map);
        assert_eq!(kinds(&findings), expected, "{edits:?}: {findings:?}");
    }
}

#[test]
fn what_is_planted_in_a_database_is_told_as_what_it_is() {
    for (edits, expected) in plants() {
        let dir = scratch();
        let store = furnish(dir.path());
        for (part, key, value) in &edits {
            store.plant(*part, key, value.as_deref());
        }
        let mut live = expected.clone();
        live.retain(|kind| *kind != Kind::UnfinishedBody);
        let findings = look(&store);
        assert_eq!(kinds(&findings), live, "{edits:?}: {findings:?}");
        drop(store);
        // Some damage keeps a store from being opened at all; that is told too, by whoever opens it.
        let Ok((store, _)) = FjallStore::open(dir.path(), OpenMode::Read) else { continue };
        let mut findings = look(&store);
        // A number that cannot be read is missed as well.
        if edits.iter().any(|(_, key, _)| key.first() == Some(&Tag::Count.octet())) {
            assert_eq!(findings.remove(0).kind, Kind::AcknowledgedMailMissing);
        }
        assert_eq!(kinds(&findings), expected, "{edits:?}: {findings:?}");
    }
}

#[test]
fn acknowledged_mail_that_is_missing_is_told_first() {
    let dir = scratch();
    let mut map = dump(&furnish(dir.path()));
    let counts = crate::store::count::Counts {
        outside: Some(crate::store::count::Entry { number: 3, messages_total: 5, ..Default::default() }),
        ..Default::default()
    };
    map.lost = counts.lost();
    assert_eq!(kinds(&look(&map)), [Kind::AcknowledgedMailMissing]);
}

#[test]
fn a_counter_that_cannot_be_used_is_told() {
    let dir = scratch();
    let mut map = dump(&furnish(dir.path()));
    for state in [CounterState::Missing, CounterState::Unreadable, CounterState::Foreign] {
        map.counter = state;
        assert_eq!(kinds(&look(&map)), [Kind::CounterUnusable]);
    }
}

#[test]
fn a_value_that_cannot_be_read_hides_nothing_else() {
    let dir = scratch();
    let mut map = dump(&furnish(dir.path()));
    map.unreadable = vec![mail(1, 1).to_vec(), keys::slice_key(body(4), 0).to_vec()];
    let findings = look(&map);
    assert!(kinds(&findings).iter().filter(|kind| **kind == Kind::Unreadable).count() >= 2, "{findings:?}");
    map.rows.insert((Part::Records, vec![0x77]), vec![]);
    assert!(kinds(&look(&map)).contains(&Kind::UnknownRecord));
}

#[test]
fn where_reading_breaks_off_the_next_kind_of_record_is_looked_at() {
    let dir = scratch();
    let mut map = dump(&furnish(dir.path()));
    map.rows.insert((Part::Records, vec![0x77]), vec![]);
    for key in map.rows.keys().cloned().collect::<Vec<_>>() {
        map.breaks = vec![key.1.clone()];
        let found = kinds(&look(&map));
        assert!(found.contains(&Kind::Unreadable), "{key:?}: {found:?}");
        assert!(found.contains(&Kind::UnknownRecord) || key.1 == [0x77], "{key:?}: {found:?}");
    }
}

#[test]
fn a_body_read_in_two_steps_is_one_body() {
    let dir = scratch();
    let mut map = dump(&furnish(dir.path()));
    let slices = u32::try_from(VERIFY_ROWS_PER_STEP).unwrap() * 2 + 9;
    for index in 0..slices {
        map.rows.insert((Part::Bodies, keys::slice_key(body(1), index).to_vec()), b"four".to_vec());
    }
    map.rows.insert((Part::Records, mail(1, 1).to_vec()), record(1, u64::from(slices) * 4, slices));
    assert_eq!(look(&map), []);
}

#[test]
fn what_a_running_server_does_between_two_steps_raises_no_alarm() {
    let dir = scratch();
    let mut store = furnish(dir.path());
    let mut number = 100;
    let mut from = Some(Cursor::default());
    while let Some(cursor) = from {
        let page = step(&store, &cursor);
        assert_eq!(page.findings.iter().filter(|f| f.kind.severity() == Severity::Damage).count(), 0);
        from = page.next;
        number += 1;
        assert!(number < 1_000, "it never ends while mail comes");
        store.put_slice(body(number), 0, b"under way").unwrap();
        store.commit(&[deliver(number + 1_000, &[1, 2], &[b"new"])]).unwrap();
        if number == 102 {
            store.commit(&[Operation::Change(vec![Change::RemoveAccount(AccountId(2))])]).unwrap();
        }
        store.tidy().unwrap();
    }
}
