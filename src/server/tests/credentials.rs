//! Application passwords, known places and their notices, through the sockets.

use super::{Client, World, address, furnished};
use crate::auth::credential;
use crate::config::checked::Config;
use crate::contract::Listener;
use crate::control::{AuthSubject, Request, Response};
use crate::directory::Change;
use crate::directory::credential::{CredentialId, MainPassword};
use crate::directory::history::LoginHistory;
use crate::directory::plan;
use crate::store::memory::MemoryStore;
use crate::store::{Operation, Store};
use crate::types::UnixTime;
use base64ct::{Base64, Encoding};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustls::{ClientConnection, StreamOwned};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const APP_PASSWORD: &str = "7k2m-x9qd-aaaa-bbbb-cccc-dddd-eeee";

pub(super) fn make(world: &World) {
    let digest = credential::digest(APP_PASSWORD.as_bytes());
    let name = "phone".to_owned();
    change(world, plan::Request::CredentialAdd(address("me@example.org"), name, UnixTime(1), digest));
}

fn change(world: &World, request: plan::Request) {
    let answer = world.control().ask(&Request::Change(request));
    assert!(matches!(answer, Response::Changed { anything: true, .. }), "{answer:?}");
}

/// A connection from this address.
pub(super) fn connect_from(world: &World, listener: Listener, source: &str) -> TcpStream {
    let fd = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&fd, &format!("{source}:0").parse::<SocketAddr>().unwrap()).unwrap();
    connect(&fd, &world.at(listener)).unwrap();
    let stream = TcpStream::from(fd);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// What AUTH PLAIN sends for the application password.
pub(super) fn app_token() -> String {
    token(APP_PASSWORD)
}

/// A client on the TLS door that comes from this address.
fn from(world: &World, source: &str) -> Client<StreamOwned<ClientConnection, TcpStream>> {
    let stream = connect_from(world, Listener::Submissions, source);
    let mut client = Client::new(world.encrypt(stream));
    client.hears("220");
    client.asks("EHLO client.example.net", "250");
    client
}

fn logs_in(world: &World, source: &str, password: &str, code: &str) {
    from(world, source).asks(&format!("AUTH PLAIN {}", token(password)), code);
}

fn token(password: &str) -> String {
    Base64::encode_string(format!("\0me@example.org\0{password}").as_bytes())
}

/// The networks in which the throttle knows the account's login.
fn known_to_throttle(world: &World) -> Vec<String> {
    let login = AuthSubject::Login("me@example.org".to_owned());
    let answer = world.control().ask(&Request::AuthExplain(login));
    let Response::Explained(explanation) = answer else { panic!("{answer:?}") };
    explanation.places.iter().map(|place| place.net.to_string()).collect()
}

fn history(world: &World) -> LoginHistory {
    let Response::Directory(changes) = world.control().ask(&Request::Directory) else { panic!("none") };
    let of_logins = |change: &Change| match change {
        Change::PutHistory(_, history) => Some(history.clone()),
        Change::PutDomain(_)
        | Change::RemoveDomain(_)
        | Change::PutAccount(_)
        | Change::RemoveAccount(_)
        | Change::PutAlias(_)
        | Change::RemoveAlias(_)
        | Change::PutScram(..) => None,
    };
    changes.iter().find_map(of_logins).unwrap_or_default()
}

/// The messages of the account, once there are so many.
fn notices(world: &World, count: usize) -> Vec<String> {
    let since = Instant::now();
    loop {
        let mail = world.mail();
        if mail.len() >= count || since.elapsed() > Duration::from_secs(5) {
            return mail.iter().map(|one| String::from_utf8(one.clone()).unwrap()).collect();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_application_password_logs_in_without_a_hash_worker_and_until_it_is_taken_back() {
    let mut world = World::start();
    make(&world);
    logs_in(&world, "127.0.0.1", APP_PASSWORD, "235 2.7.0");
    let used = *history(&world).use_of(CredentialId(1)).unwrap();
    assert_eq!(used.from.to_string(), "127.0.0.1");
    let _worker = world.give_worker();
    change(&world, plan::Request::CredentialRevoke(address("me@example.org"), CredentialId(1)));
    logs_in(&world, "127.0.0.1", APP_PASSWORD, "535 5.7.8");
}

#[test]
fn an_application_password_passes_where_the_throttle_lets_no_password_be_tried() {
    let strict = |config: &mut Config| config.throttle.guesses_per_host = 1;
    let mut world = World::start_with(strict, furnished);
    let _worker = world.give_worker();
    make(&world);
    let mut client = from(&world, "127.0.9.1");
    client.asks(&format!("AUTH PLAIN {}", token("wrong one")), "535 5.7.8");
    client.asks(&format!("AUTH PLAIN {}", token("right")), "454 4.7.0");
    client.asks(&format!("AUTH PLAIN {}", token(APP_PASSWORD)), "235 2.7.0");
}

#[test]
fn a_forbidden_main_password_is_refused_like_a_wrong_one() {
    let mut world = World::start();
    let _worker = world.give_worker();
    make(&world);
    change(&world, plan::Request::MainPassword(address("me@example.org"), MainPassword::Forbidden));
    logs_in(&world, "127.0.0.1", "right", "535 5.7.8");
    logs_in(&world, "127.0.0.1", APP_PASSWORD, "235 2.7.0");
}

#[test]
fn the_owner_gets_one_notice_of_a_new_place_and_none_of_the_first_or_a_known_one() {
    let world = World::start();
    make(&world);
    logs_in(&world, "127.0.0.1", APP_PASSWORD, "235 2.7.0");
    logs_in(&world, "127.0.0.2", APP_PASSWORD, "235 2.7.0");
    logs_in(&world, "127.0.1.1", APP_PASSWORD, "235 2.7.0");
    logs_in(&world, "127.0.1.2", APP_PASSWORD, "235 2.7.0");
    let mail = notices(&world, 1);
    assert_eq!(mail.len(), 1, "{mail:?}");
    for part in ["Return-Path: <>", "From: postmaster@example.org", "127.0.1.1", "1 (phone), by PLAIN"] {
        assert!(mail[0].contains(part), "{part}: {}", mail[0]);
    }
    assert_eq!(history(&world).places.len(), 2);
}

#[test]
fn somebody_who_moves_all_day_gets_a_handful_of_notices() {
    use crate::limits::NEW_PLACE_NOTICES_PER_DAY_MAX;
    let world = World::start();
    make(&world);
    for net in 0..12 {
        logs_in(&world, &format!("127.0.{net}.1"), APP_PASSWORD, "235 2.7.0");
    }
    std::thread::sleep(Duration::from_millis(50));
    // The first place of the day is no news and counts.
    assert_eq!(notices(&world, 99).len(), NEW_PLACE_NOTICES_PER_DAY_MAX - 1);
}

#[test]
fn notices_can_be_switched_off() {
    let world = World::start_with(|config| config.new_place_notice = false, furnished);
    make(&world);
    logs_in(&world, "127.0.0.1", APP_PASSWORD, "235 2.7.0");
    logs_in(&world, "127.0.1.1", APP_PASSWORD, "235 2.7.0");
    assert_eq!(history(&world).places.len(), 2);
    std::thread::sleep(Duration::from_millis(50));
    assert!(world.mail().is_empty());
}

#[test]
fn a_place_known_before_a_restart_is_known_after_it() {
    let mut known = LoginHistory::default();
    known.learn(UnixTime(1_700_000_000), "127.0.7.7".parse().unwrap(), None);
    let store = move || -> MemoryStore {
        let mut store = furnished();
        let change = Change::PutHistory(crate::types::AccountId(1), known);
        store.commit(&[Operation::Change(vec![change])]).unwrap();
        store
    };
    let world = World::start_with(|_| {}, store);
    assert_eq!(known_to_throttle(&world), ["127.0.7.0/24"]);
    make(&world);
    logs_in(&world, "127.0.7.1", APP_PASSWORD, "235 2.7.0");
    assert_eq!(history(&world).places.len(), 1);
    assert!(world.mail().is_empty(), "no notice of a place that is known");
    change(&world, plan::Request::AccountRemove(address("me@example.org")));
    assert_eq!(known_to_throttle(&world), [""; 0]);
}
