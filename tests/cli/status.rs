//! `status` with a server and without one.

use crate::running::Server;
use crate::world::World;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

fn start(world: &World) -> Server {
    Server::start(world, |port| format!("listener=[{{kind=\"smtp\",address=\"127.0.0.1:{port}\"}}]"))
}

/// A session that refused a command and is still open.
fn open_session(server: &Server) -> BufReader<TcpStream> {
    let mut reader = BufReader::new(TcpStream::connect(("127.0.0.1", server.port)).unwrap());
    reader.get_mut().write_all(b"HELO client.example\r\nVRFY me@localhost\r\n").unwrap();
    for code in ["220", "250", "252"] {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.starts_with(code), "{line:?}");
    }
    reader
}

#[test]
fn the_status_counts_connections_events_and_turns_of_the_running_server() {
    let world = World::new();
    let server = start(&world);
    let session = open_session(&server);
    let answer = world.run("status --json").json();
    let status = &answer[0];
    assert_eq!(answer.as_array().unwrap().len(), 1);
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&status["connections"], &status["accepted"]), (&1.into(), &0.into()));
    assert_eq!(status["store"], "working");
    assert!(status["events"].to_string().contains(r#""kind":"vrfy""#), "{status}");
    for turns in ["turns", "turns_processor"] {
        assert!(status[turns]["count"].as_u64().unwrap() > 0, "{status}");
        assert!(status[turns]["max_us"].as_u64() >= status[turns]["p50_us"].as_u64(), "{status}");
    }
    let text = world.run("status");
    text.silent();
    assert!(text.text().contains("\nmessages     0 accepted\nconnections  1 of 4096\n"), "{text:?}");
    drop(session);
    server.stop();
}

#[test]
fn a_server_that_was_just_started_is_up_for_seconds() {
    let world = World::new();
    let server = start(&world);
    let status = world.run("status --json").json();
    assert!(status[0]["uptime_seconds"].as_u64().unwrap() < 60, "{status}");
    server.stop();
}

#[test]
fn the_status_of_a_server_that_does_not_run_is_a_failure_of_its_own() {
    let world = World::small();
    world.run("status").failed(69, &["no server runs on", "gatepost serve --config FILE"]);
    world.bare("status --dir nowhere").failed(66, &["nowhere"]);
}
