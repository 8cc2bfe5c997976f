//! SCRAM through the sockets, bound to TLS connections, with keys made at logins.

use super::{Client, World, address};
use crate::auth::credential;
use crate::auth::scram::client::{Bound, ScramClient};
use crate::auth::scram::keys::derive_salted;
use crate::contract::Listener;
use crate::control::{Request, Response};
use crate::directory::plan::{self, KeysOf};
use crate::types::{ScramUse, UnixTime};
use base64ct::{Base64, Encoding};
use rustls::{ClientConnection, StreamOwned};
use std::net::TcpStream;

type TlsClient = Client<StreamOwned<ClientConnection, TcpStream>>;

const APP_PASSWORD: &str = "7k2m-x9qd-aaaa-bbbb-cccc-dddd-eeee";

fn greeted(world: &World) -> TlsClient {
    let mut client = world.submissions();
    client.asks("EHLO client.example.net", "250");
    client
}

fn logs_in_with_plain(world: &World) {
    let token = Base64::encode_string(b"\0me@example.org\0right");
    greeted(world).asks(&format!("AUTH PLAIN {token}"), "235 2.7.0");
}

/// The keys that a login with PLAIN leaves. The worker does one thing after the other: when a second login is
/// answered, they are there.
fn enrolled(world: &World) {
    logs_in_with_plain(world);
    logs_in_with_plain(world);
}

fn challenge(client: &mut TlsClient, line: &str) -> String {
    client.says(format!("{line}\r\n"));
    let reply = client.hears("334");
    let text = Base64::decode_vec(reply.strip_prefix("334 ").unwrap().trim_end()).unwrap();
    String::from_utf8(text).unwrap()
}

/// A whole exchange; the last reply begins with `code`. Right is only who hears the server's own proof.
fn exchange(client: &mut TlsClient, mechanism: &str, bound: Bound<'_>, password: &str, code: &str) {
    let mut scram = ScramClient::new(bound, None, "me@example.org", "fyko+d2lbbFgONRv9qkxdawL");
    let first = Base64::encode_string(scram.first().as_bytes());
    let answer = challenge(client, &format!("AUTH {mechanism} {first}"));
    let last = Base64::encode_string(scram.last(&answer, password.as_bytes()).unwrap().as_bytes());
    if code.starts_with("235") {
        let signature = challenge(client, &last);
        assert!(scram.trusts(&signature), "{signature}");
        client.asks("", code);
    } else {
        client.asks(&last, code);
    }
}

fn exporter(client: &TlsClient) -> [u8; 32] {
    let tls = &client.stream.get_ref().conn;
    tls.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap()
}

#[test]
fn a_login_with_plain_makes_the_keys_that_scram_needs() {
    let mut world = World::start();
    let _worker = world.give_worker();
    exchange(&mut greeted(&world), "SCRAM-SHA-256", Bound::No, "right", "535 5.7.8");
    enrolled(&world);
    exchange(&mut greeted(&world), "SCRAM-SHA-256", Bound::No, "right", "235 2.7.0");
    exchange(&mut greeted(&world), "SCRAM-SHA-256", Bound::No, "wrong", "535 5.7.8");
}

#[test]
fn scram_plus_is_bound_to_this_tls_connection() {
    let mut world = World::start();
    let _worker = world.give_worker();
    enrolled(&world);
    let mut client = greeted(&world);
    let here = exporter(&client);
    exchange(&mut client, "SCRAM-SHA-256-PLUS", Bound::To("tls-exporter", &here), "right", "235 2.7.0");
    let mut other = greeted(&world);
    exchange(&mut other, "SCRAM-SHA-256-PLUS", Bound::To("tls-exporter", &here), "right", "535 5.7.8");
    exchange(&mut greeted(&world), "SCRAM-SHA-256", Bound::Unoffered, "right", "535 5.7.8");
}

#[test]
fn the_certificate_is_something_to_bind_to_as_well() {
    let mut world = World::start();
    let _worker = world.give_worker();
    enrolled(&world);
    let hash = crate::auth::scram::keys::hash(&world.certificate);
    let bound = Bound::To("tls-server-end-point", &hash);
    exchange(&mut greeted(&world), "SCRAM-SHA-256-PLUS", bound, "right", "235 2.7.0");
}

#[test]
fn keys_of_an_old_password_open_nothing_after_it_was_changed() {
    let mut world = World::start();
    let _worker = world.give_worker();
    enrolled(&world);
    let hash = crate::auth::password::PasswordHash {
        memory_kib: 64,
        passes: 1,
        lanes: 1,
        salt: vec![3; 16],
        tag: vec![4; 32],
    };
    let request = plan::Request::AccountPassword(address("me@example.org"), hash.to_string());
    let answer = world.control().ask(&Request::Change(request));
    assert!(matches!(answer, Response::Changed { anything: true, .. }), "{answer:?}");
    exchange(&mut greeted(&world), "SCRAM-SHA-256", Bound::No, "right", "535 5.7.8");
    enrolled(&world);
    exchange(&mut greeted(&world), "SCRAM-SHA-256", Bound::No, "right", "235 2.7.0");
}

#[test]
fn an_application_password_opens_scram_until_it_is_taken_back() {
    let world = World::start();
    let me = || address("me@example.org");
    let digest = credential::digest(APP_PASSWORD.as_bytes());
    let change = |request| world.control().ask(&Request::Change(request));
    change(plan::Request::CredentialAdd(me(), "phone".to_owned(), UnixTime(1), digest));
    let Response::ScramSalts(ScramUse::All, salts) = world.control().ask(&Request::ScramSalts(me())) else {
        panic!("no salts")
    };
    let keys =
        salts.iter().map(|(login, salt)| (login.clone(), derive_salted(APP_PASSWORD.as_bytes(), salt)));
    change(plan::Request::ScramKeys(me(), KeysOf::AppPassword(digest), keys.collect()));
    exchange(&mut greeted(&world), "SCRAM-SHA-256", Bound::No, APP_PASSWORD, "235 2.7.0");
    let listed = world.control().ask(&Request::Directory);
    assert!(!format!("{listed:?}").contains("Scram"), "keys are nobody's business");
    change(plan::Request::CredentialRevoke(me(), crate::directory::credential::CredentialId(1)));
    exchange(&mut greeted(&world), "SCRAM-SHA-256", Bound::No, APP_PASSWORD, "535 5.7.8");
}

#[test]
fn where_scram_is_for_application_passwords_main_passwords_get_no_keys() {
    let mut world = World::start_with(|config| config.scram = ScramUse::AppPasswords, super::furnished);
    let _worker = world.give_worker();
    enrolled(&world);
    exchange(&mut greeted(&world), "SCRAM-SHA-256", Bound::No, "right", "535 5.7.8");
}

#[test]
fn where_scram_is_off_it_is_neither_offered_nor_taken() {
    let world = World::start_with(|config| config.scram = ScramUse::Off, super::furnished);
    let mut client = Client::new(world.encrypt(world.connect(Listener::Submissions)));
    client.hears("220");
    client.says("EHLO client.example.net\r\n");
    let offered = client.hears("250");
    assert!(offered.contains("AUTH PLAIN LOGIN\r\n"), "{offered}");
    client.asks("AUTH SCRAM-SHA-256", "504 5.5.4");
}
