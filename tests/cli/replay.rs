//! `gatepost replay`, in memory and against servers good and bad.

use crate::running::Server;
use crate::world::{PASSWORD, Run, World};
use base64ct::{Base64, Encoding};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const GOOD: &str = "gatepost-dialog 1\n# It quits.\nlistener: smtp\nS: 220\nC: QUIT\nS: 221\nCLOSE: quit\nCOUNT: closed/quit 1\n";

fn last_line(run: &Run) -> &str {
    run.text().lines().last().unwrap()
}

#[test]
fn dialogues_that_agree_pass_and_one_that_differs_is_shown_like_a_diff() {
    let world = World::new();
    world.write("one.txt", GOOD);
    std::fs::create_dir(world.root().join("more")).unwrap();
    world.write("more/two.txt", GOOD);
    world.write("more/notes.md", "no dialogue, and not played");
    let run = world.bare("replay .");
    assert_eq!((run.code, run.text()), (0, "2 passed, 0 failed\n"));
    world.write("more/two.txt", &GOOD.replace("S: 221", "S: 250"));
    let run = world.bare("replay one.txt more");
    assert_eq!((run.code, last_line(&run)), (1, "1 passed, 1 failed"), "{run:?}");
    assert!(run.text().contains("more/two.txt:6: expected 250"), "{run:?}");
    assert!(run.text().contains("\n-     6 S: 250\n+       S: 221 2.0.0 Bye\n"), "{run:?}");
    assert!(run.text().contains("# It quits."), "{run:?}");
}

#[test]
fn what_is_no_dialogue_fails_and_what_is_not_there_is_named() {
    let world = World::new();
    world.write("one.txt", GOOD);
    world.write("other.txt", "EHLO\n");
    let run = world.bare("replay one.txt other.txt");
    assert_eq!((run.code, last_line(&run)), (65, "1 passed, 1 failed"), "{run:?}");
    assert!(run.text().contains("other.txt:1: the first line must be"), "{run:?}");
    world.bare("replay one.txt nowhere.txt").failed(66, &["nowhere.txt"]);
    std::fs::create_dir(world.root().join("empty")).unwrap();
    world.bare("replay empty").failed(66, &["nothing to play"]);
}

#[test]
fn an_update_makes_a_bare_dialogue_a_test() {
    let world = World::new();
    let bare = "gatepost-dialog 1\nlistener: smtp\n# From a log.\nC: EHLO a\nC: VRFY me\nC: QUIT\n";
    let file = world.write("one.txt", bare);
    assert_eq!(world.bare("replay one.txt").code, 1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), bare, "only --update writes");
    let run = world.bare("replay --update one.txt");
    assert_eq!((run.code, last_line(&run)), (0, "1 passed, 0 failed"), "{run:?}");
    assert!(std::fs::read_to_string(&file).unwrap().ends_with("S: 221 2.0.0 Bye\nCLOSE: quit\n"));
    assert_eq!(world.bare("replay one.txt").code, 0);
    let json = world.bare("replay one.txt --json").json();
    assert_eq!(json[0]["outcome"], "passed");
}

#[test]
fn the_same_files_play_the_same_on_any_machine_at_any_time() {
    let dialogs = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogs/auth");
    let mut command = crate::world::binary();
    command.args(["replay", dialogs, "--json"]);
    let here = crate::world::run(&mut command, b"");
    command.env_clear().env("TZ", "Pacific/Auckland").env("LC_ALL", "tr_TR.UTF-8").current_dir("/");
    let there = crate::world::run(&mut command, b"");
    assert_eq!((here.code, &here.out), (0, &there.out));
}

/// A command that plays this world's `dialogs` against servers.
fn against(world: &World, more: &str) -> Run {
    world.bare(&format!("replay dialogs --json --rate 1000 {more}"))
}

fn count(card: &Value, sort: &str) -> u64 {
    card["counts"][sort].as_u64().unwrap()
}

/// What a login of a name with some wrong password sends.
fn guess(login: &str, round: usize) -> String {
    format!("AUTH PLAIN {}", Base64::encode_string(format!("\0{login}\0wrong {round}").as_bytes()))
}

/// Wrong passwords for an account and for nobody, in turns.
fn guesses(rounds: usize) -> String {
    let mut source = "gatepost-dialog 1\nlistener: submission\nW: domain example.org\n\
                      W: account ann@example.org password=\"right\"\nS: 220\nC: EHLO a\nS: 250\n"
        .to_owned();
    for round in 0..rounds {
        for login in ["ann@example.org", "nobody@example.org"] {
            source.push_str(&format!("C: {}\nS: 535\n", guess(login, round)));
        }
    }
    source
}

/// A server that drops the connection at AUTH LOGIN, says another thing for those it does not know, thinks about
/// those it knows, and relays.
fn bad_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || bad_session(stream.unwrap()));
        }
    });
    address
}

fn bad_session(stream: TcpStream) {
    let mut reader = BufReader::new(stream);
    let known: Vec<String> = (0..40).map(|round| guess("ann@example.org", round)).collect();
    let mut line = String::new();
    let mut reply = "220 bad.example";
    loop {
        if write!(reader.get_mut(), "{reply}\r\n").is_err() {
            return;
        }
        line.clear();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        reply = match line.trim_end() {
            "AUTH LOGIN" => return,
            line if known.iter().any(|guess| guess == line) => {
                std::thread::sleep(Duration::from_millis(40));
                "535 Wrong password"
            }
            line if line.starts_with("AUTH") => "550 Who is that?",
            "QUIT" => "221 Bye",
            _ => "250 Fine",
        };
    }
}

#[test]
fn the_score_card_of_a_bad_server_names_all_that_is_wrong_with_it() {
    let world = World::new();
    std::fs::create_dir(world.root().join("dialogs")).unwrap();
    world.write("dialogs/guesses.txt", &guesses(24));
    let head = "gatepost-dialog 1\nlistener: smtp\nS: 220\nC: EHLO a\nS: 250\n";
    world.write("dialogs/lost.txt", &format!("{head}C: AUTH LOGIN\nS: 503\n"));
    let relay = "C: MAIL FROM:<a@b.example>\nS: 250\nC: RCPT TO:<c@d.example>\nS: 550\nC: QUIT\nS: 221\n";
    world.write("dialogs/relay.txt", &format!("{head}{relay}"));
    world.write("dialogs/time.txt", &format!("{head}T: +5m\n"));
    let address = bad_server();
    let run = against(&world, &format!("--to {address} --submission {address}"));
    let card = run.json();
    assert_eq!(run.code, 1, "{card}");
    for (sort, found) in [
        ("crash", 1),
        ("wrong-class", 1),
        ("enumeration-by-reply", 1),
        ("enumeration-by-timing", 1),
        ("slow", 0),
    ] {
        assert_eq!(count(&card, sort), found, "{sort}: {card:#}");
    }
    let relay = card["findings"].as_array().unwrap().iter().find(|one| one["sort"] == "wrong-class").unwrap();
    assert!(relay["file"].as_str().unwrap().ends_with("relay.txt"));
    assert_eq!((relay["line"].as_u64(), card["skipped"]["time passes"].as_u64()), (Some(9), Some(1)));
    let people = world.bare(&format!("replay dialogs --to {address}"));
    assert!(people.text().contains("dialogs/lost.txt:7: the connection was lost"), "{people:?}");
}

#[test]
fn the_score_card_of_gatepost_itself_is_clean() {
    let world = World::small();
    world.give_password();
    let doors = |port| {
        format!(
            "listener=[{{kind=\"smtp\",address=\"127.0.0.1:{port}\"}},\
             {{kind=\"submission\",address=\"127.0.0.2:{port}\"}},\
             {{kind=\"submissions\",address=\"127.0.0.3:{port}\"}}]"
        )
    };
    let server = Server::start_with(&world, doors, &["throttle.mode=dry-run"]);
    let port = server.port;
    world.write("password", PASSWORD);
    let dialogs = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogs");
    let run = world.bare(&format!(
        "replay {dialogs}/auth {dialogs}/rfc5321 {dialogs}/starttls {dialogs}/smuggling --json --rate 1000 \
         --to 127.0.0.1:{port} --submission 127.0.0.2:{port} --submissions 127.0.0.3:{port} \
         --account ann@example.org --password-file password"
    ));
    let card = run.json();
    assert_eq!((run.code, card["findings"].as_array().unwrap().len()), (0, 0), "{card:#}");
    assert!(card["dialogues"].as_u64().unwrap() >= 80, "{card:#}");
    assert!(!card["timings"].as_array().unwrap().is_empty(), "{card:#}");
    server.stop();
}

#[test]
fn a_host_that_is_not_this_machine_and_a_door_where_nobody_answers_are_refused() {
    let world = World::new();
    std::fs::create_dir(world.root().join("dialogs")).unwrap();
    world.write("dialogs/one.txt", GOOD);
    against(&world, "--to 192.0.2.1:25").failed(64, &["not this machine", "--i-own-this-host"]);
    against(&world, "--to nowhere").failed(64, &["HOST:PORT"]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    against(&world, &format!("--to {free}")).failed(69, &["cannot connect"]);
    world.bare("replay dialogs --rate 3").failed(64, &["--to HOST:PORT"]);
    world.bare("replay dialogs --update --to 127.0.0.1:25").failed(64, &["without --to"]);
}
