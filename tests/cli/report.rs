//! `auth report` after logins that really failed and succeeded.

use crate::running::Server;
use crate::world::World;
use gatepost::auth::report::{Attempt, Ledger, names::KeptName};
use gatepost::auth::verdict::{LoginVerdict, Refusal};
use gatepost::limits::DAY_SECONDS;
use gatepost::store::fjall::FjallStore;
use gatepost::store::place::OpenMode;
use gatepost::store::{Operation, Store};
use gatepost::types::{Moment, Now, SessionId, UnixTime};
use lettre::SmtpTransport;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Tls, TlsParameters};
use std::time::{SystemTime, UNIX_EPOCH};

fn start(world: &World) -> Server {
    Server::start(world, |port| format!("listener=[{{kind=\"submissions\",address=\"127.0.0.1:{port}\"}}]"))
}

/// Whether this login succeeds.
fn login(server: &Server, name: &str, password: &str) -> bool {
    let trust = TlsParameters::builder("localhost".to_owned());
    let trust = trust.dangerous_accept_invalid_certs(true).build().unwrap();
    let client = SmtpTransport::builder_dangerous("127.0.0.1").port(server.port).tls(Tls::Wrapper(trust));
    let client = client.authentication(vec![Mechanism::Plain]);
    let client = client.credentials(Credentials::new(name.to_owned(), password.to_owned())).build();
    client.test_connection().unwrap_or(false)
}

/// A refused login ten days ago.
fn put_an_earlier_day(world: &World) {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now = Now { moment: Moment(0), unix: UnixTime(seconds - 10 * DAY_SECONDS) };
    let mut ledger = Ledger::load([], 30, now);
    let name = KeptName { text: "old".to_owned(), account: None };
    let verdict = LoginVerdict::Refused(Refusal::Malformed);
    let source = "192.0.2.1".parse().unwrap();
    ledger.login(now, Attempt { source, session: SessionId(1), mechanism: "PLAIN", name, verdict });
    let (mut store, _) = FjallStore::open(&world.dir(), OpenMode::Write).unwrap();
    store.commit(&[Operation::Report(Box::new(ledger.save_now().unwrap()))]).unwrap();
}

#[test]
fn logins_are_in_the_report_while_the_server_runs_and_after_it_stopped() {
    let world = World::new();
    start(&world).stop();
    put_an_earlier_day(&world);
    let server = start(&world);
    assert!(!login(&server, "me@localhost", "wrong"));
    assert!(!login(&server, "Secret7@localhost", "wrong"));
    assert!(!login(&server, "info@elsewhere.example", "wrong"));
    assert!(login(&server, "me@localhost", server.shown("password")));
    let report = world.run("auth report --json").json();
    let text = world.run("auth report");
    server.stop();
    let only = &report[0];
    assert_eq!(only["compared_days"], 1);
    assert_eq!(only["total"]["attempts"], 4);
    assert_eq!((&only["total"]["accepted"], &only["total"]["refused"]), (&1.into(), &3.into()));
    assert_eq!(only["unusual"][0]["kind"], "success-from-new-place");
    assert_eq!(only["unusual"][0]["login"], "me@localhost");
    assert_eq!(only["unusual"][0]["source"], "127.0.0.0/24");
    assert_eq!(only["sources"][0]["sessions"], 4);
    assert_eq!(only["mechanisms"][0]["mechanism"], "PLAIN");
    let logins = only["logins"].to_string();
    for kept in ["me@localhost", "xxxxxx0@localhost", "info@xxxxxxxxx.xxxxxxx"] {
        assert!(logins.contains(kept), "{kept}: {logins}");
    }
    assert!(!report.to_string().to_lowercase().contains("secret7"));
    assert!(text.text().contains("me@localhost logged in from 127.0.0.0/24, a new place"), "{text:?}");
    assert_eq!(world.run("auth report --json").json(), report);
    assert_eq!(world.run("auth report --since 30 --json").json()[0]["total"]["attempts"], 5);
}

#[test]
fn a_store_where_nobody_logged_in_has_a_report_of_nothing() {
    let world = World::small();
    let report = world.run("auth report");
    report.silent();
    assert!(report.text().contains(": 0\n") && report.text().contains("  nothing\n"), "{report:?}");
}
