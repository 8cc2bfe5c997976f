//! One connection, without a loop.

use super::super::desk::Room;
use super::*;
use crate::contract::RoomAnswer;
use crate::directory::Directory;
use crate::smtp::session::Settings;
use crate::types::{Chance, Domain, SessionId, UnixTime};
use std::io::Write;
use std::sync::Arc;

fn connection(now: Now) -> (Connection, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, from) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let facts = PeerFacts { session: SessionId(1), address: from.ip(), listener: Listener::Smtp };
    let session = Session::new(facts, Arc::new(SETTINGS.clone()), Chance::from_seed([0; 32]));
    (Connection::new(TcpStream::from_std(stream), facts, session, now, None), peer)
}

static SETTINGS: std::sync::LazyLock<Settings> = std::sync::LazyLock::new(|| Settings {
    hostname: Domain::parse("mx.example.org").unwrap(),
    message_octets_max: 1_000,
    tls_available: false,
    scram: crate::types::ScramUse::All,
    idle_ms: 60_000,
});

static SALTS: std::sync::LazyLock<crate::auth::scram::salts::Salts> =
    std::sync::LazyLock::new(|| crate::auth::scram::salts::Salts::new(&[1; 32]));

fn desk(now: Now, directory: &Directory) -> Desk<'_> {
    let room = Room { free_octets: 1_000_000, reserve_octets: 0, store_is_behind: false };
    Desk { now, directory, room, tls: None, salts: &SALTS, spools_are_behind: false, settings: &SETTINGS }
}

fn at(ms: u64) -> Now {
    Now { moment: Moment(ms), unix: UnixTime(1) }
}

#[test]
fn silence_counts_from_the_last_octets_and_only_in_a_session_that_waits() {
    let directory = Directory::default();
    let (mut one, mut peer) = connection(at(1_000));
    assert!(!one.is_silent_since(Moment(9_000)), "it is not even greeted");
    one.open(&desk(at(1_000), &directory), &mut Vec::new());
    assert!(one.is_silent_since(Moment(1_000)));
    assert!(!one.is_silent_since(Moment(999)));
    peer.write_all(b"NOOP\r\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    one.wire.expect_input();
    one.work(&desk(at(5_000), &directory), &mut [0; 100], &mut Vec::new());
    assert!(!one.is_silent_since(Moment(4_999)), "it has just spoken");
    assert!(one.is_silent_since(Moment(5_000)));
    one.late(Deadline::Session(Timer::Idle), &desk(at(6_000), &directory), &mut Vec::new());
    assert!(!one.is_silent_since(Moment(9_000)), "it is being closed");
    assert_eq!(one.idle_since(), Some(Moment(0)), "and its place is the first to be given away");
}

#[test]
fn room_is_what_is_free_beyond_the_reserve() {
    let room = Room { free_octets: 100, reserve_octets: 60, store_is_behind: false };
    assert_eq!(room.answer(40), RoomAnswer::Enough);
    assert_eq!(room.answer(41), RoomAnswer::DiskFull);
    assert_eq!(Room { store_is_behind: true, ..room }.answer(0), RoomAnswer::Unavailable);
}

#[test]
fn an_idle_connection_is_small() {
    let octets = size_of::<Connection>();
    assert!(octets < 1_024, "{octets} octets, {} of them the session", size_of::<Session>());
}
