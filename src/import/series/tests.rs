use super::*;
use crate::import::dialogues::Book;
use crate::import::shape::Origin;
use crate::import::{Server, What};

fn session(door: Door, at: i64, acts: Vec<Act>) -> Shape {
    let source = "192.0.2.7".parse().ok();
    let origin = Origin { source, first: Some(at), last: Some(at) };
    Shape { server: Server::Postfix, what: What::Login, door, acts, origin }
}

fn say(line: &str) -> Act {
    Act::Say(line.to_owned())
}

fn login(mechanism: &str, login: &str) -> Act {
    Act::Auth { mechanism: mechanism.to_owned(), login: login.to_owned(), initial: mechanism == "PLAIN" }
}

fn bot(at: i64, name: &str) -> Shape {
    session(Door::Submissions, at, vec![say("EHLO User"), say("RSET"), login("LOGIN", name), say("QUIT")])
}

fn one_series(sessions: Vec<Shape>) -> Vec<Vec<Shape>> {
    let mut series = Series::default();
    let mut all: Vec<Vec<Shape>> = sessions.into_iter().flat_map(|shape| series.add(shape)).collect();
    while let Some(one) = series.take_next() {
        all.push(one);
    }
    all
}

#[test]
fn sessions_of_one_client_become_one_dialogue_that_replays() {
    let sessions = (0..6).map(|number| bot(i64::from(number), "admin@example.org")).collect();
    let all = one_series(sessions);
    assert_eq!(all.len(), 1);
    let written = Book::default().add_series(&all[0]).expect("it is new");
    assert_eq!(written.name, "postfix-series-auth-login-001.txt");
    assert!(written.text.contains("throttle: on\n"), "{}", written.text);
    assert!(written.text.contains("OPEN7: submissions\n"), "{}", written.text);
    assert_eq!(written.text.matches(": 535 5.7.8\n").count(), 6, "{}", written.text);
}

#[test]
fn time_passes_between_sessions_that_came_one_after_the_other() {
    let all = one_series(vec![bot(0, "root"), bot(60, "root"), bot(400, "root")]);
    let written = Book::default().add_series(&all[0]).expect("it is new");
    let (first, rest) =
        written.text.split_once("CLOSE2: quit\nT: +1m\nOPEN3: submissions\n").expect("a minute");
    assert!(first.contains("S2: 535 5.7.8\n"), "{}", written.text);
    assert!(rest.contains("CLOSE3: quit\nT: +5m\nOPEN4: submissions\n"), "{}", written.text);
}

#[test]
fn the_same_dictionary_from_elsewhere_is_no_further_behaviour() {
    let mut book = Book::default();
    let one = one_series(vec![bot(0, "root"), bot(10, "admin"), bot(20, "info")]);
    let other = one_series(vec![bot(0, "scan"), bot(9, "fax"), bot(19, "hr"), bot(30, "root")]);
    let two = one_series(vec![bot(0, "scan"), bot(1, "fax")]);
    assert!(book.add_series(&one[0]).is_some());
    assert_eq!(book.add_series(&other[0]), None);
    assert!(book.add_series(&two[0]).is_some(), "two at once are another behaviour");
}

#[test]
fn a_lone_session_or_one_of_another_hour_makes_no_series() {
    assert!(one_series(vec![bot(0, "root")]).is_empty());
    assert!(one_series(vec![bot(0, "root"), bot(4_000, "root")]).is_empty());
    let probes = vec![
        session(Door::Smtp, 0, vec![say("EHLO a"), say("QUIT")]),
        session(Door::Smtp, 1, vec![say("EHLO a"), say("QUIT")]),
    ];
    assert!(one_series(probes).is_empty(), "nobody tried to log in");
}

#[test]
fn more_sessions_than_one_dialogue_holds_begin_another() {
    let all = one_series((0..20).map(|number| bot(number, "root")).collect());
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [8, 8, 4]);
}

#[test]
fn every_series_replays_whatever_its_clients_did() {
    let acts = [
        say("EHLO host"),
        login("LOGIN", "info"),
        login("PLAIN", "me@example.org"),
        login("SCRAM-SHA-256", "info"),
        login("X-UNKNOWN", "info"),
        Act::StartTls,
        Act::Send("\\x16\\x03\r\n"),
        say("POST / HTTP/1.1"),
        say("RCPT TO:<nobody@example.org>"),
        say("DATA"),
        say("QUIT"),
    ];
    for (at, first) in acts.iter().enumerate() {
        for (place, second) in acts.iter().enumerate() {
            let door = [Door::Smtp, Door::Submission, Door::Submissions, Door::Imap][(at + place) % 4];
            let hello = || vec![say("EHLO host"), first.clone(), second.clone(), login("PLAIN", "root")];
            let sessions =
                vec![session(door, 0, hello()), bot(1, "info"), session(door, 50, hello()), bot(400, "info")];
            assert!(Book::default().add_series(&sessions).is_some(), "{door:?} {first:?} {second:?}");
        }
    }
}
