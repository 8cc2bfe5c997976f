//! Who is turned away, and who is served slowly.

use super::mail::plain;
use super::{Client, World, furnished};
use crate::auth::throttle::Entrance;
use crate::contract::Listener;
use crate::control::{AuthSubject, Request, Response};
use crate::limits::{FRUITLESS_VISITS_MAX, HELD_MS, SIDE_DOOR_PER_HOST};
use crate::types::Prefix;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn here() -> Vec<Prefix> {
    vec![Prefix::host("127.0.0.1".parse().unwrap())]
}

#[test]
fn who_guessed_too_often_is_turned_away_at_auth_and_then_at_connect() {
    let mut world = World::start_with(|config| config.throttle.guesses_per_host = 2, furnished);
    let _worker = world.give_worker();
    let mut client = world.submissions();
    client.asks("EHLO client.example.net", "250");
    client.asks(&format!("AUTH PLAIN {}", plain("wrong one")), "535 5.7.8");
    client.asks(&format!("AUTH PLAIN {}", plain("wrong two")), "535 5.7.8");
    client.asks(&format!("AUTH PLAIN {}", plain("right")), "454 4.7.0");
    client.hears("421 4.7.0");
    let explained = world.control().ask(&Request::AuthExplain(AuthSubject::Source([127, 0, 0, 1].into())));
    assert!(
        matches!(explained, Response::Explained(told) if told.entrance == Some(Entrance::AppPasswordsOnly))
    );
    world.deliver("Subject: mail still comes\r\n\r\nHello");
}

#[test]
fn where_a_login_succeeded_nobody_is_refused_at_connect_and_the_owner_gets_in() {
    let mut world = World::start_with(|config| config.throttle.guesses_per_host = 2, furnished);
    let _worker = world.give_worker();
    let mut client = world.submissions();
    client.asks("EHLO client.example.net", "250");
    client.asks(&format!("AUTH PLAIN {}", plain("right")), "235 2.7.0");
    for _ in 0..2 {
        let mut guesser = world.submissions();
        guesser.asks("EHLO client.example.net", "250");
        guesser.asks(&format!("AUTH PLAIN {}", plain("wrong one")), "535 5.7.8");
        guesser.asks(&format!("AUTH PLAIN {}", plain("wrong two")), "535 5.7.8");
    }
    let mut owner = world.submissions();
    owner.asks("EHLO client.example.net", "250");
    owner.asks(&format!("AUTH PLAIN {}", plain("right")), "235 2.7.0");
}

#[test]
fn in_a_dry_run_nobody_is_turned_away() {
    let strict = |config: &mut crate::config::checked::Config| {
        config.throttle.guesses_per_host = 1;
        config.throttle.deny = here();
        config.throttle.dry_run = true;
    };
    let mut world = World::start_with(strict, furnished);
    let _worker = world.give_worker();
    let mut client = world.submissions();
    client.asks("EHLO client.example.net", "250");
    client.asks(&format!("AUTH PLAIN {}", plain("wrong one")), "535 5.7.8");
    client.asks(&format!("AUTH PLAIN {}", plain("right")), "235 2.7.0");
}

#[test]
fn who_is_on_the_deny_list_hears_554_and_who_is_on_the_allow_list_too_is_served() {
    let world = World::start_with(|config| config.throttle.deny = here(), furnished);
    let mut said = String::new();
    world.connect(Listener::Smtp).read_to_string(&mut said).unwrap();
    assert_eq!(said, "554 5.7.1 No service for your address\r\n");

    let both = |config: &mut crate::config::checked::Config| {
        config.throttle.deny = vec!["127.0.0.0/8".parse().unwrap()];
        config.throttle.allow = here();
    };
    World::start_with(both, furnished).deliver("Subject: x\r\n\r\nHello");
}

#[test]
fn who_asked_for_many_that_are_not_there_waits_for_the_next_greeting_and_still_delivers() {
    let world = World::start();
    let mut prober = world.smtp();
    prober.asks("EHLO prober.example.net", "250");
    prober.asks("MAIL FROM:<>", "250");
    for guess in 0..6 {
        prober.asks(&format!("RCPT TO:<guess{guess}@example.org>"), "550 5.1.1");
    }
    let asked = Instant::now();
    let mut again = Client::new(world.connect(Listener::Smtp));
    again.hears("220");
    // A lower bound is no race: no timer fires early.
    assert!(asked.elapsed() >= Duration::from_millis(crate::limits::MAIL_BANNER_MS - 100));
    again.delivers("Subject: after\r\n\r\nHello");
}

/// Uses up the guesses of this host.
fn guess_too_often(world: &World) {
    let mut guesser = world.submissions();
    guesser.asks("EHLO client.example.net", "250");
    guesser.asks(&format!("AUTH PLAIN {}", plain("wrong one")), "535 5.7.8");
    guesser.asks(&format!("AUTH PLAIN {}", plain("wrong two")), "535 5.7.8");
    guesser.asks("QUIT", "221");
}

fn strict() -> World {
    World::start_with(|config| config.throttle.guesses_per_host = 2, furnished)
}

/// All that a peer hears who says nothing, and after how long.
fn heard_in_silence(mut stream: TcpStream) -> (String, Duration) {
    let asked = Instant::now();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    (said, asked.elapsed())
}

/// No timer fires early; clocks of the two threads may differ by a little.
fn a_wait() -> Duration {
    Duration::from_millis(HELD_MS - 100)
}

#[test]
fn a_refused_connection_is_held_unanswered_and_meanwhile_mail_comes() {
    let world =
        World::start_with(|config| config.throttle.deny = vec!["127.0.0.9".parse().unwrap()], furnished);
    let asked = Instant::now();
    let mut held = super::credentials::connect_from(&world, Listener::Smtp, "127.0.0.9");
    // What it says is not read, and ends nothing.
    held.write_all(b"EHLO prober.example.net\r\n").unwrap();
    for _ in 0..3 {
        world.deliver("Subject: x\r\n\r\nHello");
    }
    let mut said = [0; 512];
    // A reset behind the reply, for what was never read, is as good an end.
    let count = held.read(&mut said).unwrap();
    assert_eq!(&said[..count], b"554 5.7.1 No service for your address\r\n");
    assert!(asked.elapsed() >= a_wait());
}

#[test]
fn who_is_held_takes_nobodys_place_and_a_stop_ends_the_wait() {
    let crowd = |config: &mut crate::config::checked::Config| {
        config.throttle.deny = vec!["127.0.0.9".parse().unwrap()];
        config.connections_max = 4;
    };
    let world = World::start_with(crowd, furnished);
    let held: Vec<TcpStream> =
        (0..20).map(|_| super::credentials::connect_from(&world, Listener::Smtp, "127.0.0.9")).collect();
    world.deliver("Subject: x\r\n\r\nHello");
    let asked = Instant::now();
    assert_eq!(world.stop(), 0);
    for one in held {
        assert_eq!(heard_in_silence(one).0, "554 5.7.1 No service for your address\r\n");
    }
    assert!(asked.elapsed() < a_wait(), "nobody waited for those who are held");
}

#[test]
fn an_application_password_logs_in_from_an_address_that_is_refused() {
    let mut world = strict();
    let _worker = world.give_worker();
    super::credentials::make(&world);
    guess_too_often(&world);
    let asked = Instant::now();
    let mut owner = world.submissions();
    assert!(asked.elapsed() >= a_wait(), "it waited like everybody else from there");
    owner.asks("EHLO client.example.net", "250");
    // Nothing else opens anything, the right password neither, and no hash is spent on it.
    owner.asks(&format!("AUTH PLAIN {}", plain("right")), "454 4.7.0");
    owner.asks(&format!("AUTH PLAIN {}", super::credentials::app_token()), "235 2.7.0");
    assert!(asked.elapsed() < Duration::from_millis(HELD_MS + 6_000));
}

#[test]
fn of_those_who_guessed_a_few_come_in_at_a_time_and_the_others_hear_421() {
    let mut world = strict();
    let _worker = world.give_worker();
    guess_too_often(&world);
    let waiting: Vec<_> = (0..SIDE_DOOR_PER_HOST + 3).map(|_| world.connect(Listener::Submission)).collect();
    // Who is inside keeps the place for as long as this lives.
    let mut clients: Vec<_> = waiting.into_iter().map(Client::new).collect();
    let firsts: Vec<String> = clients.iter_mut().map(|client| client.hears("")).collect();
    let (inside, outside): (Vec<_>, Vec<_>) = firsts.iter().partition(|first| first.starts_with("220"));
    assert_eq!(inside.len(), SIDE_DOOR_PER_HOST);
    assert!(outside.iter().all(|said| *said == "421 4.7.0 Too many failed logins, try again later\r\n"));
    world.deliver("Subject: mail still comes\r\n\r\nHello");
}

#[test]
fn where_tls_comes_first_a_refused_connection_ends_without_a_word_in_the_clear() {
    let world = World::start_with(|config| config.throttle.deny = here(), furnished);
    let (said, waited) = heard_in_silence(world.connect(Listener::Submissions));
    assert_eq!(said, "");
    assert!(waited >= a_wait());
}

#[test]
fn who_comes_again_and_again_for_nothing_waits_and_is_then_served() {
    let world = World::start();
    let from = |listener| super::credentials::connect_from(&world, listener, "127.0.0.9");
    for _ in 0..FRUITLESS_VISITS_MAX {
        // No TLS where TLS comes first.
        let mut noise = from(Listener::Submissions);
        noise.write_all(b"EHLO prober.example.net\r\n").unwrap();
        let _ = noise.read_to_end(&mut Vec::new());
    }
    // The server notes an end after its peer has seen it.
    std::thread::sleep(Duration::from_millis(200));
    let asked = Instant::now();
    world.deliver("Subject: others do not wait\r\n\r\nHello");
    assert!(asked.elapsed() < a_wait());
    let mut again = Client::new(from(Listener::Smtp));
    again.hears("220");
    again.delivers("Subject: after\r\n\r\nHello");
    assert!(asked.elapsed() >= a_wait());
}
