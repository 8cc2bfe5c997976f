//! `verify`: what is wrong is told, whether or not a server runs.

use crate::running::Server;
use crate::world::{Run, World, binary, files};
use fjall::{CompressionType, Database, KeyspaceCreateOptions};
use gatepost::contract::{Commit, Delivery};
use gatepost::store::fjall::FjallStore;
use gatepost::store::journal::scan;
use gatepost::store::keys::{self, Tag};
use gatepost::store::place::OpenMode;
use gatepost::store::{Deliver, Operation, Store};
use gatepost::types::{AccountId, MailId, ReversePath, Uid, UnixTime};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

fn body(number: u64) -> MailId {
    MailId::new(UnixTime(1_795_495_657), number)
}

/// Keeps so many messages for ann, one a commit.
fn keep(world: &World, count: u64) {
    let (mut store, _) = FjallStore::open(&world.dir(), OpenMode::Write).unwrap();
    for number in 1..=count {
        let deliver = Deliver {
            commit: Commit {
                id: body(number),
                received: UnixTime(1_795_495_657),
                sender: ReversePath::Null,
                deliveries: vec![Delivery { account: AccountId(1), recipient: "ann@example.org".to_owned() }],
                prefix: b"Received: here\r\n".to_vec(),
                body_octets: 6,
            },
            last_slice: b"a body".to_vec(),
            slices_before: 0,
        };
        store.commit(&[Operation::Deliver(Box::new(deliver))]).unwrap();
    }
}

/// Three messages of ann's.
fn kept() -> World {
    let world = World::small();
    keep(&world, 3);
    world
}

/// Changes the database behind the store's back.
fn plant(world: &World, keyspace: &str, key: &[u8], value: Option<&[u8]>) {
    let db = Database::builder(world.dir().join("store"))
        .journal_compression(CompressionType::None)
        .open()
        .unwrap();
    let keyspace = db.keyspace(keyspace, KeyspaceCreateOptions::default).unwrap();
    match value {
        Some(value) => keyspace.insert(key, value).unwrap(),
        None => keyspace.remove(key).unwrap(),
    }
    db.persist(fjall::PersistMode::SyncAll).unwrap();
}

fn newest_journal(world: &World) -> PathBuf {
    let journals = std::fs::read_dir(world.dir().join("store")).unwrap().map(|entry| entry.unwrap().path());
    journals.filter(|path| path.extension().is_some_and(|end| end == "jnl")).max().unwrap()
}

/// Cuts so many batches off the end of the journal, as if they had never been written.
fn cut_batches(world: &World, count: u32) {
    let path = newest_journal(world);
    let octets = std::fs::read(&path).unwrap();
    let mut end = scan(octets.as_slice(), None).unwrap().whole_octets;
    for _ in 0..count {
        end = scan(&octets[..usize::try_from(end).unwrap() - 1], None).unwrap().whole_octets;
    }
    std::fs::File::options().write(true).open(&path).unwrap().set_len(end).unwrap();
}

/// What a run found: the kinds, in order.
fn kinds(run: &Run) -> Vec<String> {
    let report = run.json();
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["kind"].as_str().unwrap().to_owned()).collect()
}

/// It found this one kind of damage and says what to do.
fn found(world: &World, kind: &str) {
    let run = world.run("verify");
    assert_eq!(run.code, 65, "{run:?}");
    assert!(run.text().contains(&format!("{kind}: ")) && run.text().contains("what to do: "), "{run:?}");
    let run = world.run("verify --json");
    assert_eq!(run.code, 65, "{run:?}");
    assert!(kinds(&run).contains(&kind.to_owned()), "{run:?}");
}

fn start(world: &World) -> Server {
    Server::start(world, |port| format!("listener=[{{kind=\"smtp\",address=\"127.0.0.1:{port}\"}}]"))
}

fn send(server: &Server, to: &str) {
    let mut reader = BufReader::new(TcpStream::connect(("127.0.0.1", server.port)).unwrap());
    let text = format!("HELO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<{to}>\r\nDATA\r\n");
    for (line, code) in
        [("", "220")].into_iter().chain(text.split_inclusive('\n').zip(["250", "250", "250", "354"]))
    {
        reader.get_mut().write_all(line.as_bytes()).unwrap();
        expect(&mut reader, code);
    }
    reader.get_mut().write_all(b"Subject: x\r\n\r\nx\r\n.\r\n").unwrap();
    expect(&mut reader, "250");
}

fn expect(reader: &mut BufReader<TcpStream>, code: &str) {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with(code), "{line:?}");
}

/// Kills it and waits until it is gone.
fn kill(world: &World, server: Server) {
    server.kill();
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while FjallStore::open(&world.dir(), OpenMode::Read).is_err() {
        assert!(std::time::Instant::now() < patience, "it is not gone");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_whole_store_is_found_whole_and_left_as_it_is() {
    let world = kept();
    let before = files(&world.dir().join("store"));
    let run = world.run("verify");
    run.silent();
    assert!(run.text().ends_with(" 3 messages, 3 bodies of 18 octets: nothing is wrong\n"), "{run:?}");
    assert_eq!(run.text().lines().count(), 1);
    let report = world.run("verify --json").json();
    assert_eq!((&report["damage"], &report["notes"]), (&0.into(), &0.into()));
    assert_eq!(report["checked"]["messages"], 3);
    assert_eq!(report["server_running"], false);
    // The database tidies its own files when it is opened, and no journal.
    let journals = |files: &std::collections::BTreeMap<PathBuf, Vec<u8>>| {
        files.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "jnl")).count()
    };
    assert_eq!(journals(&before), journals(&files(&world.dir().join("store"))));
}

#[test]
fn damage_to_records_and_bodies_is_told_and_ends_with_65() {
    let mail = keys::mail_key(AccountId(1), Uid(2));
    let reference = keys::reference_key(body(2), AccountId(1), Uid(2));
    let slice = keys::slice_key(body(2), 0);
    let stray = keys::slice_key(body(99), 0);
    type Case<'c> = (&'c str, &'c str, &'c [u8], Option<&'c [u8]>);
    let cases: [Case<'_>; 9] = [
        ("undecodable", "records", &mail, Some(b"\x01?")),
        ("newer-version", "records", &mail, Some(b"\x7f?")),
        ("reference-without-mail", "records", &mail, None),
        ("mail-without-reference", "records", &reference, None),
        ("not-canonical", "records", &reference, Some(b"\x01more")),
        ("unknown-record", "records", b"\x99", Some(b"")),
        ("body-missing", "bodies", &slice, None),
        ("body-octets-differ", "bodies", &slice, Some(b"a longer body")),
        ("body-without-mail", "bodies", &stray, Some(b"whose?")),
    ];
    for (kind, keyspace, key, value) in cases {
        let world = kept();
        plant(&world, keyspace, key, value);
        found(&world, kind);
    }
}

#[test]
fn damage_to_the_directory_is_told() {
    let world = kept();
    plant(&world, "records", &keys::account_key(Tag::Account, AccountId(1)), None);
    found(&world, "mail-without-account");
    let world = kept();
    plant(&world, "records", b"\x02example.org", None);
    found(&world, "domain-missing");
}

#[test]
fn a_store_that_cannot_be_opened_is_told_with_what_to_do() {
    let world = kept();
    let path = newest_journal(&world);
    let mut octets = std::fs::read(&path).unwrap();
    octets[60] ^= 1;
    std::fs::write(&path, &octets).unwrap();
    found(&world, "store-damaged");
    let world = kept();
    let path = newest_journal(&world);
    let octets = std::fs::read(&path).unwrap();
    let end = usize::try_from(scan(octets.as_slice(), None).unwrap().whole_octets).unwrap();
    std::fs::write(&path, &octets[..end - 3]).unwrap();
    found(&world, "store-torn");
}

#[test]
fn leftovers_are_notes_and_no_damage() {
    let world = kept();
    std::fs::create_dir(world.dir().join("store.new")).unwrap();
    std::fs::create_dir(world.dir().join("torn")).unwrap();
    std::fs::write(world.dir().join("torn/0001-0.jnl"), b"old").unwrap();
    let run = world.run("verify --json");
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(kinds(&run), ["unfinished-store", "torn-journal-kept"]);
    assert!(world.run("verify").text().ends_with(": nothing is wrong, 2 notes\n"));
}

#[test]
fn a_directory_that_somebody_else_has_open_is_a_reason_to_try_later() {
    let world = kept();
    let held = FjallStore::open(&world.dir(), OpenMode::Write).unwrap();
    world.run("verify").failed(75, &["another process has the store open"]);
    drop(held);
    World::new().run("verify").failed(66, &["data"]);
}

#[test]
fn a_running_server_is_verified_while_it_takes_mail() {
    let world = World::new();
    let server = start(&world);
    for _ in 0..3 {
        send(&server, "me@localhost");
    }
    let run = world.run("verify --json");
    assert_eq!(run.code, 0, "{run:?}");
    let report = run.json();
    assert_eq!((&report["checked"]["messages"], &report["server_running"]), (&3.into(), &true.into()));
    send(&server, "me@localhost");
    kill(&world, server);
    let run = world.run("verify --json");
    assert_eq!((run.code, &run.json()["checked"]["messages"]), (0, &4.into()), "{run:?}");
}

#[test]
fn acknowledged_mail_that_a_journal_lost_is_told_by_verify_by_the_log_and_by_status() {
    for hole in [Hole::CutBetweenBatches, Hole::ZeroedEnd, Hole::CutOutOfTheMiddle] {
        let world = World::new();
        let server = start(&world);
        for _ in 0..4 {
            send(&server, "me@localhost");
        }
        kill(&world, server);
        hole.plant(&world);
        found(&world, "acknowledged-mail-missing");
        let text = world.run("verify");
        assert!(text.text().contains("2 messages and all else of 2 acknowledged commits"), "{text:?}");
        let log = started_and_stopped(&world);
        assert!(log.contains("acknowledged-mail-missing commits=2 messages=2"), "{log}");
        let server = start(&world);
        send(&server, "me@localhost");
        let status = world.run("status");
        assert!(status.text().contains("missing      2 messages and all else of 2"), "{status:?}");
        assert_eq!(world.run("status --json").json()[0]["lost"][0]["messages"], 2);
        found(&world, "acknowledged-mail-missing");
        assert_eq!(world.run("mail list me@localhost --json").json().as_array().unwrap().len(), 3);
        world.run("verify --accept-losses").failed(75, &["stop it"]);
        server.stop();
        let run = world.run("verify --accept-losses");
        assert!(run.text().starts_with("accepted as lost: 2 messages and all else"), "{run:?}");
        assert_eq!(world.run("verify").code, 0);
        assert_eq!(world.run("verify --accept-losses").text(), "no acknowledged mail is missing\n");
    }
}

#[derive(Clone, Copy)]
enum Hole {
    CutBetweenBatches,
    ZeroedEnd,
    CutOutOfTheMiddle,
}

impl Hole {
    /// Takes the last two messages.
    fn plant(self, world: &World) {
        match self {
            Self::CutBetweenBatches => cut_batches(world, 2),
            Self::CutOutOfTheMiddle => {
                let path = newest_journal(world);
                let octets = std::fs::read(&path).unwrap();
                cut_batches(world, 1);
                let to = std::fs::metadata(&path).unwrap().len();
                cut_batches(world, 2);
                let mut left = std::fs::read(&path).unwrap();
                left.extend_from_slice(&octets[usize::try_from(to).unwrap()..]);
                std::fs::write(&path, left).unwrap();
            }
            Self::ZeroedEnd => {
                let path = newest_journal(world);
                let octets = std::fs::metadata(&path).unwrap().len();
                cut_batches(world, 2);
                std::fs::File::options().write(true).open(&path).unwrap().set_len(octets).unwrap();
            }
        }
    }
}

/// What a server says on standard error from its start to its end.
fn started_and_stopped(world: &World) -> String {
    let log = world.root().join("log");
    let mut child = {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let listener = format!("listener=[{{kind=\"smtp\",address=\"127.0.0.1:{port}\"}}]");
        let mut command = binary();
        command.args(["localserve", "--set", &listener, "--dir"]).arg(world.dir());
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        command.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap()
    };
    wait_for(&log, "store-open");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    child.wait().unwrap();
    std::fs::read_to_string(&log).unwrap()
}

fn wait_for(log: &Path, word: &str) {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !std::fs::read_to_string(log).unwrap().contains(word) {
        assert!(std::time::Instant::now() < patience, "{word} is not said");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
