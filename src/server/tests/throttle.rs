//! Who is turned away, and who is served slowly.

use super::mail::plain;
use super::{Client, World, furnished};
use crate::contract::Listener;
use crate::types::Prefix;
use std::io::Read;
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
    let mut late = world.connect(Listener::Submission);
    let mut said = String::new();
    late.read_to_string(&mut said).unwrap();
    assert_eq!(said, "421 4.7.0 Too many failed logins, try again later\r\n");
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
