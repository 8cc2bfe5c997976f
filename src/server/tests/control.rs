//! The administrator's socket of a running server.

use super::{World, address};
use crate::control::{Refusal, Request, Response, SOCKET_NAME};
use crate::directory::Change;
use crate::directory::plan;
use crate::limits::{CONTROL_CONNECTIONS_MAX, CONTROL_REQUEST_OCTETS_MAX};
use crate::types::Uid;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;

fn new_account(name: &str) -> Request {
    Request::Change(plan::Request::AccountAdd(address(name), None))
}

#[test]
fn an_account_made_while_the_server_runs_gets_mail_at_once() {
    let world = World::start();
    let mut client = world.smtp();
    client.asks("EHLO c.example.net", "250");
    client.asks("MAIL FROM:<>", "250");
    client.asks("RCPT TO:<new@example.org>", "550 5.1.1");
    let answer = world.control().ask(&new_account("new@example.org"));
    assert!(matches!(answer, Response::Changed { anything: true, .. }), "{answer:?}");
    client.asks("RCPT TO:<new@example.org>", "250");
}

#[test]
fn changes_from_many_sides_are_made_one_after_the_other() {
    let world = World::start();
    let mut admins: Vec<_> = (0..8).map(|_| world.control()).collect();
    for admin in &mut admins {
        admin.says(&new_account("one@example.org"));
    }
    let made = admins
        .iter_mut()
        .map(super::Control::hears)
        .filter(|answer| matches!(answer, Response::Changed { anything: true, .. }))
        .count();
    assert_eq!(made, 1, "the others found it there");
}

#[test]
fn commands_beyond_the_ceiling_wait_until_a_place_is_free() {
    let world = World::start();
    let mut first: Vec<_> = (0..CONTROL_CONNECTIONS_MAX).map(|_| world.control()).collect();
    for admin in &mut first {
        assert!(matches!(admin.ask(&Request::Directory), Response::Directory(_)));
    }
    let mut late: Vec<_> = (0..CONTROL_CONNECTIONS_MAX).map(|_| world.control()).collect();
    for admin in &mut late {
        admin.says(&Request::Directory);
    }
    std::thread::sleep(std::time::Duration::from_millis(50));
    drop(first);
    for admin in &mut late {
        assert!(matches!(admin.hears(), Response::Directory(_)));
    }
}

#[test]
fn one_connection_carries_many_requests() {
    let world = World::start();
    world.deliver("Subject: x\r\n\r\nHello");
    let mut control = world.control();
    // All at once; the answers come in order.
    control.says(&new_account("new@example.org"));
    control.says(&Request::MailList(address("me@example.org"), Uid(0)));
    control.says(&Request::Directory);
    assert!(matches!(control.hears(), Response::Changed { .. }));
    let Response::Messages { rows, more } = control.hears() else { panic!("no list") };
    assert_eq!((rows.len(), more), (1, false));
    assert_eq!((rows[0].from.as_str(), rows[0].to.as_str()), ("<you@example.net>", "me@example.org"));
    let Response::Directory(changes) = control.hears() else { panic!("no directory") };
    let accounts = changes.iter().filter(|change| matches!(change, Change::PutAccount(_))).count();
    assert_eq!(accounts, 2);
}

#[test]
fn no_password_hash_leaves_the_server() {
    let world = World::start();
    let Response::Directory(changes) = world.control().ask(&Request::Directory) else { panic!("none") };
    let shown = format!("{changes:?}");
    assert!(shown.contains("password: Some(\"*\")") && !shown.contains("argon2"), "{shown}");
}

#[test]
fn what_cannot_be_done_is_refused_with_a_sentence() {
    let world = World::start();
    let mut control = world.control();
    for (request, word) in [
        (Request::MailList(address("info@example.org"), Uid(0)), "alias"),
        (Request::MailList(address("nobody@example.org"), Uid(0)), "no account"),
        (Request::MailShow(address("me@example.org"), Uid(99)), "no message"),
    ] {
        let Response::Refused(Refusal::Data, why) = control.ask(&request) else { panic!("not refused") };
        assert!(why.contains(word), "{why}");
    }
}

#[test]
fn what_is_no_request_is_refused_and_what_is_too_long_ends_the_connection() {
    let world = World::start();
    let mut control = world.control();
    control.stream.get_mut().write_all(b"what?\n").unwrap();
    assert!(matches!(control.hears(), Response::Refused(Refusal::Data, _)));
    assert!(matches!(control.ask(&Request::Directory), Response::Directory(_)), "it goes on");
    let mut writer = control.stream.get_ref().try_clone().unwrap();
    let long = vec![b'x'; CONTROL_REQUEST_OCTETS_MAX * 2];
    let flood = std::thread::spawn(move || {
        let _ = writer.write_all(&long);
    });
    let Response::Refused(Refusal::Data, why) = control.hears() else { panic!("not refused") };
    assert!(why.contains("longer"), "{why}");
    let _ = control.stream.read_to_end(&mut Vec::new());
    flood.join().unwrap();
    world.deliver("Subject: after\r\n\r\nHello");
}

#[test]
fn only_the_owner_may_open_the_socket_and_a_stale_one_is_replaced() {
    let world = World::start();
    let mode = std::fs::metadata(world.dir.join(SOCKET_NAME)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The file a killed server would leave.
    let stale = std::env::temp_dir().join(format!("gatepost-stale-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&stale);
    std::fs::create_dir_all(&stale).unwrap();
    drop(std::os::unix::net::UnixListener::bind(stale.join(SOCKET_NAME)).unwrap());
    let dir = stale.clone();
    let world = World::start_with(move |config| config.data_dir = dir, super::furnished);
    assert!(std::os::unix::net::UnixStream::connect(stale.join(SOCKET_NAME)).is_ok());
    drop(world);
    assert!(!stale.join(SOCKET_NAME).exists(), "it is removed at the end");
    let _ = std::fs::remove_dir_all(&stale);
}
