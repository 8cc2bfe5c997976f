//! Whatever a peer does, it is answered or closed by a limit, and the next delivery works.

use super::{Client, PATIENCE, World, furnished};
use crate::contract::Listener;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Closes with a reset, so that the server finds a broken socket.
fn reset(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
}

const DIALOGUE: &str = "EHLO c.example.net\r\nMAIL FROM:<>\r\nRCPT TO:<me@example.org>\r\nDATA\r\n\
                        A: b\r\n\r\nHello\r\n.\r\nQUIT\r\n";

#[test]
fn a_reset_at_any_octet_is_harmless() {
    let world = World::start();
    for cut in 0..=DIALOGUE.len() {
        let mut stream = world.connect(Listener::Smtp);
        stream.write_all(&DIALOGUE.as_bytes()[..cut]).unwrap();
        if cut % 2 == 0 {
            // Half of them wait until the server has said something.
            let _ = stream.read(&mut [0; 16]);
        }
        reset(stream);
    }
    world.deliver("Subject: after\r\n\r\nHello");
}

#[test]
fn a_reset_at_any_octet_of_a_handshake_is_harmless() {
    let world = World::start();
    // The beginning of a ClientHello, and what is no TLS at all.
    let mut tls = world.encrypt(world.connect(Listener::Submissions));
    let mut hello = Vec::new();
    tls.conn.write_tls(&mut hello).unwrap();
    for cut in (0..hello.len()).step_by(7) {
        let mut stream = world.connect(Listener::Submissions);
        stream.write_all(&hello[..cut]).unwrap();
        reset(stream);
    }
    let mut stream = world.connect(Listener::Submissions);
    stream.write_all(b"EHLO this.is.no.tls\r\n").unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    assert_eq!(said.first(), Some(&21), "an alert record, and then the end");
    world.submissions().asks("EHLO c.example.net", "250");
}

#[test]
fn plaintext_behind_starttls_ends_the_handshake() {
    let world = World::start();
    let mut client = world.smtp();
    client.asks("EHLO c.example.net", "250");
    client.says("STARTTLS\r\nRSET\r\nNOOP\r\n");
    client.hears("220");
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).unwrap();
    assert!(!rest.windows(3).any(|three| three == b"250"), "nothing of it was run: {}", rest.escape_ascii());
    world.deliver("Subject: after\r\n\r\nHello");
}

#[test]
fn ten_megabytes_without_a_line_end_are_one_error() {
    let world = World::start();
    let mut client = world.smtp();
    let piece = [b'a'; 64 * 1024];
    for _ in 0..160 {
        client.says(piece);
    }
    client.says("\r\n");
    client.hears("500 5.5.2");
    client.delivers("Subject: after\r\n\r\nHello");
}

#[test]
fn a_hundred_thousand_pipelined_commands_end_at_a_limit() {
    let world = World::start();
    let mut client = world.smtp();
    let mut writer = client.stream.get_ref().try_clone().unwrap();
    let flood = std::thread::spawn(move || {
        for _ in 0..100 {
            // The server may close long before the end.
            if writer.write_all("NOOP\r\n".repeat(1_000).as_bytes()).is_err() {
                return;
            }
        }
    });
    let mut said = Vec::new();
    let _ = client.stream.read_to_end(&mut said);
    flood.join().unwrap();
    let said = String::from_utf8(said).unwrap();
    assert!(said.lines().count() < 300, "{} replies", said.lines().count());
    assert!(said.lines().last().unwrap().starts_with("421 4.7.0"), "{said}");
    world.deliver("Subject: after\r\n\r\nHello");
}

/// A message with so many recipients that its replies are longer than its commands.
fn wordy_message() -> String {
    let recipients = "RCPT TO:<me@example.org>\r\n".repeat(500);
    format!("MAIL FROM:<>\r\n{recipients}DATA\r\nA: b\r\n\r\n.\r\n")
}

#[test]
fn a_peer_that_reads_nothing_is_no_longer_read_and_costs_no_memory() {
    let world = World::start();
    let mut client = world.smtp();
    client.asks("EHLO c.example.net", "250");
    let message = wordy_message();
    let stream = client.stream.get_ref().try_clone().unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 16 * 1024).unwrap();
    rustix::net::sockopt::set_socket_send_buffer_size(&stream, 16 * 1024).unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut sent = 0_usize;
    let mut stalled_since = Instant::now();
    // More than all socket buffers on the way can hold; the server must stop long before.
    while sent < 8 * 1024 * 1024 {
        let from = sent % message.len();
        match (&stream).write(&message.as_bytes()[from..]) {
            Ok(count) => {
                sent += count;
                stalled_since = Instant::now();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if stalled_since.elapsed() > Duration::from_millis(500) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(sent < 8 * 1024 * 1024, "the server went on reading");
    world.deliver("Subject: meanwhile\r\n\r\nHello");
    // It begins to read, and everything goes on where it stopped: replies come for whole messages.
    stream.set_nonblocking(false).unwrap();
    let whole = sent / message.len();
    for _ in 0..whole {
        client.hears("250");
        for _ in 0..500 {
            client.hears("250");
        }
        client.hears("354");
        client.hears("250 2.0.0");
    }
    reset(stream);
}

#[test]
fn a_silent_peer_is_closed_with_421() {
    let world = World::start_with(|config| config.idle_ms = 100, furnished);
    let mut client = world.smtp();
    client.hears("421 4.4.2");
    assert_eq!(client.hears_the_end(), "");
}

#[test]
fn a_peer_that_never_closes_is_dropped_after_its_last_reply() {
    let world = World::start();
    let mut client = world.smtp();
    client.asks("QUIT", "221");
    assert_eq!(client.hears_the_end(), "", "the server's side is closed");
    // Ours stays open; the server drops the connection and what we still say is answered with a reset.
    let since = Instant::now();
    while client.stream.get_mut().write_all(b"x").is_ok() {
        assert!(since.elapsed() < PATIENCE, "the connection stayed");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_panic_costs_its_own_connection_a_421_and_nobody_else_anything() {
    let world = World::start();
    let mut bystander = world.smtp();
    let mut client = world.smtp();
    client.says("PANIC NOW\r\n");
    client.hears("421 4.3.0");
    assert_eq!(client.hears_the_end(), "");
    let mut client = world.submissions();
    client.says("PANIC NOW\r\n");
    client.hears("421 4.3.0");
    bystander.delivers("Subject: untouched\r\n\r\nHello");
}

#[test]
fn a_host_over_its_ceiling_hears_421() {
    let world = World::start_with(|config| config.connections_per_host_max = 2, furnished);
    let (mut one, _two) = (world.smtp(), world.smtp());
    let mut third = Client::new(world.connect(Listener::Smtp));
    third.hears("421 4.7.0");
    one.asks("QUIT", "221");
    one.hears_the_end();
    drop(one);
    let since = Instant::now();
    loop {
        let mut again = Client::new(world.connect(Listener::Smtp));
        let mut line = String::new();
        std::io::BufRead::read_line(&mut again.stream, &mut line).unwrap();
        if line.starts_with("220") {
            break;
        }
        assert!(since.elapsed() < PATIENCE, "the place was never free again");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn when_all_places_are_taken_the_longest_idle_makes_room() {
    let world = World::start_with(|config| config.connections_max = 3, furnished);
    let mut first = world.smtp();
    std::thread::sleep(Duration::from_millis(5));
    let (mut second, mut third) = (world.smtp(), world.smtp());
    let mut fourth = world.smtp();
    first.hears("421 4.3.2");
    for client in [&mut second, &mut third, &mut fourth] {
        client.asks("NOOP", "250");
    }
}
