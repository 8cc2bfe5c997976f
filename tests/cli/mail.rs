//! Mail that is there already, read without a server.

use crate::world::World;
use gatepost::contract::{Commit, Delivery};
use gatepost::directory::Target;
use gatepost::limits::LIST_ROWS_PER_PAGE;
use gatepost::store::fjall::FjallStore;
use gatepost::store::place::OpenMode;
use gatepost::store::{Deliver, Operation, Store, StoreError};
use gatepost::types::{MailId, ReversePath, UnixTime};

const PREFIX: &[u8] = b"Return-Path: <>\r\nReceived: here\r\n";

/// Opens the store. A program that another test starts just then may hold the lock of this process for the
/// moment between its fork and its exec.
fn open(world: &World) -> FjallStore {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        match FjallStore::open(&world.dir(), OpenMode::Write) {
            Ok((store, _)) => return store,
            Err(StoreError::Locked) if std::time::Instant::now() < patience => {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Keeps messages for ann; each is given as its slices.
fn keep(world: &World, messages: &[Vec<Vec<u8>>]) {
    let mut store = open(world);
    let directory = store.directory().unwrap();
    let Some(Target::Account(account)) = directory.target(&"ann@example.org".parse().unwrap()) else {
        panic!("ann is there")
    };
    for (group, messages) in messages.chunks(200).enumerate() {
        let mut operations = Vec::new();
        for (index, slices) in messages.iter().enumerate() {
            let id = MailId::new(UnixTime(1_795_495_657), (group * 200 + index) as u64);
            let (last, before) = slices.split_last().unwrap();
            for (index, slice) in before.iter().enumerate() {
                store.put_slice(id, u32::try_from(index).unwrap(), slice).unwrap();
            }
            operations.push(Operation::Deliver(Box::new(Deliver {
                commit: Commit {
                    id,
                    received: UnixTime(1_795_495_657),
                    sender: ReversePath::Null,
                    deliveries: vec![Delivery { account, recipient: "ann+x@example.org".to_owned() }],
                    prefix: PREFIX.to_vec(),
                    body_octets: slices.iter().map(|slice| slice.len() as u64).sum(),
                },
                last_slice: last.clone(),
                slices_before: u32::try_from(before.len()).unwrap(),
            })));
        }
        store.commit(&operations).unwrap();
    }
}

#[test]
fn a_message_is_shown_to_the_octet() {
    let world = World::small();
    let every_octet: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    keep(
        &world,
        &[vec![b"Subject: one\r\n\r\n.\r\n".to_vec()], vec![every_octet.clone(), b"\n\xff".to_vec()]],
    );
    let first = world.run("mail show ann@example.org 1");
    first.silent();
    assert_eq!(first.out, [PREFIX, b"Subject: one\r\n\r\n.\r\n"].concat());
    let second = world.run("mail show ann@example.org 2");
    second.silent();
    assert!(second.out == [PREFIX, &every_octet, b"\n\xff"].concat());
}

#[test]
fn messages_are_listed_for_scripts() {
    let world = World::small();
    keep(&world, &[vec![b"one".to_vec()], vec![b"three".to_vec()]]);
    let rows = world.run("mail list ann@example.org --json").json();
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!(rows[0]["id"], 1);
    assert_eq!(rows[1]["id"], 2);
    assert_eq!(rows[1]["size"], PREFIX.len() + 5);
    assert_eq!(rows[0]["received"], "2026-11-24T04:47:37Z");
    assert_eq!(rows[0]["from"], "<>");
    assert_eq!(rows[0]["to"], "ann+x@example.org");
    assert_eq!(rows[0]["mail"].as_str().unwrap().len(), 32);
}

#[test]
fn any_number_of_messages_is_listed_once_each() {
    let world = World::small();
    for extra in [0, 1] {
        keep(&world, &vec![vec![b"x".to_vec()]; LIST_ROWS_PER_PAGE - 1 + extra]);
    }
    let rows = world.run("mail list ann@example.org --json").json();
    let ids: Vec<u64> = rows.as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect();
    let count = u64::try_from(2 * LIST_ROWS_PER_PAGE - 1).unwrap();
    assert_eq!(ids, (1..=count).collect::<Vec<u64>>());
    let table = world.run("mail list ann@example.org");
    assert_eq!(table.text().lines().count(), 2 * LIST_ROWS_PER_PAGE);
}

#[test]
fn what_is_not_there_is_told_and_nothing_is_written() {
    let world = World::small();
    world.run("mail show ann@example.org 1").failed(65, &["no message 1", "mail list ann@example.org"]);
    world.run("mail list nobody@example.org --json").failed(65, &["no account", "nobody@example.org"]);
    world.run("alias add info@example.org --to ann@example.org").silent();
    world.run("mail list info@example.org").failed(65, &["is an alias"]);
    let empty = world.run("mail list bob@example.org --json");
    assert_eq!(empty.text(), "[]\n");
}

#[test]
fn mail_goes_with_its_account() {
    let world = World::small();
    keep(&world, &[vec![b"one".to_vec()]]);
    world.run("account remove ann@example.org").silent();
    world.run("account add ann@example.org");
    assert_eq!(world.run("mail list ann@example.org --json").text(), "[]\n");
}
