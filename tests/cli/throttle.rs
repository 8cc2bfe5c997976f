//! What the throttle holds against an address, in the real server and over its restarts.

use crate::running::Server;
use crate::world::World;
use lettre::SmtpTransport;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Tls, TlsParameters};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;

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

/// What a connection hears first.
fn greeting(server: &Server) -> String {
    let mut line = String::new();
    let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[test]
fn who_is_refused_is_refused_after_a_restart_and_after_a_kill_and_until_it_is_forgiven() {
    let world = World::new();
    let server = start(&world);
    assert!(greeting(&server).starts_with("220 "));
    world.run("auth forgive 127.0.0.1").told_only("nothing was held against 127.0.0.1");
    guess(&server);
    assert!(greeting(&server).starts_with("421 4.7.0 "));
    server.kill();
    let server = start(&world);
    assert!(greeting(&server).starts_with("421 4.7.0 "), "a kill frees nobody");
    server.stop();
    let server = start(&world);
    assert!(greeting(&server).starts_with("421 4.7.0 "), "a restart frees nobody");
    let told = world.run("auth explain 127.0.0.1");
    assert!(told.text().contains("the limit for the address 127.0.0.1 refuses since"), "{told:?}");
    world.run("auth forgive 127.0.0.1").told_only("nothing is held against 127.0.0.1 any more");
    assert!(greeting(&server).starts_with("220 "));
    server.stop();
    let server = start(&world);
    assert!(greeting(&server).starts_with("220 "), "who was forgiven stays so");
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
