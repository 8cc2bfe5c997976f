//! Mail gets in, by every door, and can be read back.

use super::{Client, World, furnished};
use crate::contract::Listener;
use crate::limits::{BODY_MEMORY_OCTETS_MAX, BODY_SLICE_OCTETS};
use base64ct::{Base64, Encoding};
use std::io::Write;
use std::net::Shutdown;

fn ends_with(message: &[u8], body: &[u8]) -> bool {
    message.len() > body.len() && message.ends_with(body)
}

#[test]
fn a_message_over_plaintext_is_kept_and_read_back() {
    let world = World::start();
    world.deliver("Subject: one\r\n\r\nHello\r\n..dot");
    let mail = world.mail();
    assert_eq!(mail.len(), 1);
    assert!(ends_with(&mail[0], b"Subject: one\r\n\r\nHello\r\n.dot\r\n"), "{}", mail[0].escape_ascii());
    assert!(mail[0].starts_with(b"Return-Path: <you@example.net>\r\n"));
    assert_eq!(world.stop(), 0);
}

#[test]
fn a_message_after_starttls_is_kept() {
    let world = World::start();
    let mut plain = world.smtp();
    plain.asks("EHLO client.example.net", "250");
    plain.asks("STARTTLS", "220");
    let mut client = Client::new(world.encrypt(plain.stream.into_inner()));
    client.delivers("Subject: two\r\n\r\nHello");
    client.asks("QUIT", "221");
    assert_eq!(client.hears_the_end(), "", "close_notify follows the last reply");
    let mail = world.mail();
    assert_eq!(mail.len(), 1);
    assert!(String::from_utf8_lossy(&mail[0]).contains("with ESMTPS"), "{}", mail[0].escape_ascii());
}

pub(super) fn plain(password: &str) -> String {
    Base64::encode_string(format!("\0me@example.org\0{password}").as_bytes())
}

#[test]
fn an_owner_logs_in_over_implicit_tls_and_submits() {
    let mut world = World::start();
    let _worker = world.give_worker();
    let mut client = world.submissions();
    client.asks("EHLO client.example.net", "250");
    client.asks(&format!("AUTH PLAIN {}", plain("wrong")), "535 5.7.8");
    client.asks(&format!("AUTH PLAIN {}", plain("right")), "235 2.7.0");
    client.asks("MAIL FROM:<me@example.org>", "250");
    client.asks("RCPT TO:<info@example.org>", "250");
    client.asks("DATA", "354");
    client.says("Subject: three\r\n\r\nHello\r\n.\r\n");
    client.hears("250 2.0.0");
    assert_eq!(world.mail().len(), 1);
}

#[test]
fn submission_needs_starttls_first_and_then_works() {
    let mut world = World::start();
    let _worker = world.give_worker();
    let mut plain_client = Client::new(world.connect(Listener::Submission));
    plain_client.hears("220");
    plain_client.asks("EHLO client.example.net", "250");
    plain_client.asks(&format!("AUTH PLAIN {}", plain("right")), "530 5.7.0");
    plain_client.asks("STARTTLS", "220");
    let mut client = Client::new(world.encrypt(plain_client.stream.into_inner()));
    client.asks("EHLO client.example.net", "250");
    client.asks(&format!("AUTH PLAIN {}", plain("right")), "235");
}

#[test]
fn a_worker_that_dies_costs_the_attempt_and_the_next_one_works() {
    let mut world = World::start();
    let (ours, theirs) = super::hash_worker::pair().unwrap();
    let parent = world.parent.as_mut().unwrap();
    parent.send_with(&super::ToServer::Worker, &[std::os::fd::AsFd::as_fd(&theirs)]).unwrap();
    drop(theirs);
    let mut client = world.submissions();
    client.asks("EHLO client.example.net", "250");
    client.says(format!("AUTH PLAIN {}\r\n", plain("right")));
    let mut packet = [0; 4_096];
    rustix::io::read(&ours, &mut packet).unwrap();
    drop(ours);
    client.hears("454 4.7.0");
    let _worker = world.give_worker();
    client.asks(&format!("AUTH PLAIN {}", plain("right")), "235");
}

#[test]
fn bodies_of_every_size_around_the_borders_come_back_whole() {
    let world = World::start();
    let mut client = world.smtp();
    client.asks("EHLO client.example.net", "250");
    let sizes = [
        0,
        1,
        BODY_SLICE_OCTETS - 1,
        BODY_SLICE_OCTETS,
        BODY_SLICE_OCTETS + 1,
        BODY_MEMORY_OCTETS_MAX,
        BODY_MEMORY_OCTETS_MAX + 1,
        5 * BODY_SLICE_OCTETS,
        5 * BODY_SLICE_OCTETS + 7,
    ];
    let mut bodies = Vec::new();
    for size in sizes {
        // BDAT takes any octets, so that a size is exactly that size.
        let body: Vec<u8> = (b'a'..=b'z').cycle().take(size).collect();
        client.asks("MAIL FROM:<you@example.net>", "250");
        client.asks("RCPT TO:<me@example.org>", "250");
        client.says(format!("BDAT {size} LAST\r\n"));
        client.says(&body);
        client.hears("250");
        bodies.push(body);
    }
    let mail = world.mail();
    assert_eq!(mail.len(), bodies.len());
    for (message, body) in mail.iter().zip(&bodies) {
        assert!(ends_with(message, body), "{} octets came back changed", body.len());
    }
}

#[test]
fn fifty_mebibytes_pass_through_and_come_back_the_same() {
    let world = World::start();
    let mut client = world.smtp();
    client.begins_message();
    let line = [b'x'; 1_022];
    let mut piece = Vec::new();
    for _ in 0..1_024 {
        piece.extend_from_slice(&line);
        piece.extend_from_slice(b"\r\n");
    }
    for _ in 0..49 {
        client.says(&piece);
    }
    client.says("END\r\n.\r\n");
    // Others are served while the large one is being put away.
    world.deliver("Subject: small\r\n\r\nHello");
    client.hears("250");
    let large = world.mail().into_iter().find(|message| message.len() > 1_000_000).unwrap();
    assert!(ends_with(&large, b"\r\nEND\r\n"));
    let pieces = large.len() / piece.len();
    assert_eq!(pieces, 49);
    let begin = large.len() - 5 - 49 * piece.len();
    assert!((0..49).all(|index| large[begin + index * piece.len()..].starts_with(&piece)));
}

#[test]
fn a_whole_dialogue_in_one_piece_is_answered_in_order() {
    let world = World::start();
    let mut client = world.smtp();
    client.says(
        "EHLO c.example.net\r\nMAIL FROM:<>\r\nRCPT TO:<me@example.org>\r\nRCPT TO:<no@example.org>\r\n\
         DATA\r\nSubject: x\r\n\r\nHello\r\n.\r\nNOOP\r\nQUIT\r\n",
    );
    for code in ["250", "250", "250", "550 5.1.1", "354", "250", "250", "221"] {
        client.hears(code);
    }
    assert_eq!(client.hears_the_end(), "");
}

#[test]
fn a_peer_that_half_closes_still_gets_every_reply() {
    let world = World::start();
    let mut client = world.smtp();
    client.says(
        "EHLO c.example.net\r\nMAIL FROM:<>\r\nRCPT TO:<me@example.org>\r\nDATA\r\nHello: x\r\n\r\n.\r\nNOOP\r\n",
    );
    client.stream.get_ref().shutdown(Shutdown::Write).unwrap();
    for code in ["250", "250", "250", "354", "250", "250"] {
        client.hears(code);
    }
    assert_eq!(client.hears_the_end(), "");
    assert_eq!(world.mail().len(), 1);
}

#[test]
fn octets_one_by_one_make_the_same_message() {
    let world = World::start();
    let mut client = world.smtp();
    let dialogue = "EHLO c.example.net\r\nMAIL FROM:<>\r\nRCPT TO:<me@example.org>\r\nDATA\r\n\
                    A: b\r\n\r\n..\r\n.\r\nQUIT\r\n";
    for octet in dialogue.bytes() {
        client.stream.get_mut().write_all(&[octet]).unwrap();
    }
    for code in ["250", "250", "250", "354", "250", "221"] {
        client.hears(code);
    }
    assert!(ends_with(&world.mail()[0], b"A: b\r\n\r\n.\r\n"));
}

#[test]
fn a_full_disk_is_452_and_touches_nothing() {
    let world = World::start_with(|config| config.disk_reserve_octets = u64::MAX, furnished);
    let mut client = world.smtp();
    client.asks("EHLO client.example.net", "250");
    client.asks("MAIL FROM:<you@example.net>", "452 4.3.1");
    assert!(world.mail().is_empty());
}

#[test]
fn many_clients_at_once_are_all_served() {
    let world = World::start();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut client = world.smtp();
                for _ in 0..10 {
                    client.delivers("Subject: many\r\n\r\nHello");
                }
            });
        }
    });
    assert_eq!(world.mail().len(), 160);
}
