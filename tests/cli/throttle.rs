//! What the throttle holds against an address, in the real server and over its restarts.

use crate::running::Server;
use crate::world::World;
use lettre::SmtpTransport;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Tls, TlsParameters};

/// A server that takes one wrong password an hour from each address.
fn start(world: &World) -> Server {
    let listeners = |port| format!("listener=[{{kind=\"submission\",address=\"127.0.0.1:{port}\"}}]");
    Server::start_with(world, listeners, &["throttle.guesses-per-host=1"])
}

/// A login with a wrong password.
fn guess(server: &Server) {
    let trust = TlsParameters::builder("localhost".to_owned());
    let trust = trust.dangerous_accept_invalid_certs(true).build().unwrap();
    let client = SmtpTransport::builder_dangerous("127.0.0.1").port(server.port).tls(Tls::Required(trust));
    let client = client.authentication(vec![Mechanism::Plain]);
    let client = client.credentials(Credentials::new("me@localhost".into(), "wrong".into())).build();
    assert!(!client.test_connection().unwrap_or(false));
}

/// Whether the server says that it refuses us. Not by the greeting: a few of those who are refused are let in by
/// the side door.
fn is_refused(world: &World) -> bool {
    let told = world.run("auth explain 127.0.0.1");
    told.text().contains("the limit for the address 127.0.0.1 refuses since")
}

#[test]
fn who_is_refused_is_refused_after_a_restart_and_after_a_kill_and_until_it_is_forgiven() {
    let world = World::new();
    let server = start(&world);
    assert!(!is_refused(&world));
    world.run("auth forgive 127.0.0.1").told_only("nothing was held against 127.0.0.1");
    guess(&server);
    assert!(is_refused(&world));
    server.kill();
    let server = start(&world);
    assert!(is_refused(&world), "a kill frees nobody");
    server.stop();
    let server = start(&world);
    assert!(is_refused(&world), "a restart frees nobody");
    world.run("auth forgive 127.0.0.1").told_only("nothing is held against 127.0.0.1 any more");
    assert!(!is_refused(&world));
    server.stop();
    let server = start(&world);
    assert!(!is_refused(&world), "who was forgiven stays so");
    server.stop();
}

#[test]
fn an_explanation_of_a_login_says_from_where_it_was_tried() {
    let world = World::new();
    let server = start(&world);
    guess(&server);
    let told = world.run("auth explain me@localhost");
    server.stop();
    let lines: Vec<&str> = told.text().lines().collect();
    assert!(lines[0].starts_with("the limit for this login refuses nothing: 1 of 1000 an hour"), "{told:?}");
    assert!(lines[1].contains(", from 127.0.0.1, session "), "{told:?}");
}
