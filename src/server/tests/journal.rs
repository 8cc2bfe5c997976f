//! Hostile sessions are in the journal afterwards, and play from there.

use super::{PATIENCE, World};
use crate::dialog::parse::parse;
use crate::dialog::play::play;
use crate::server::journal_writer::DIRECTORY;
use base64ct::{Base64, Encoding};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The files of the journal, once there are so many.
fn files(world: &World, count: usize) -> Vec<(PathBuf, String)> {
    let since = Instant::now();
    let dir = world.dir.join(DIRECTORY);
    loop {
        let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "txt"))
            .collect();
        found.sort();
        if found.len() >= count {
            return found
                .into_iter()
                .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
                .collect();
        }
        assert!(since.elapsed() < PATIENCE, "{} of {count} files", found.len());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn plays(text: &str) {
    let dialog = parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(play(&dialog).difference, None, "{text}");
}

#[test]
fn a_refused_login_is_in_the_journal_without_name_and_password_and_plays_there() {
    let mut world = World::start();
    let worker = world.give_worker();
    let mut client = world.submissions();
    client.asks("EHLO laptop-of-erika", "250");
    for login in ["\0erika.mustermann@example.org\0kennwort-1", "\0me@example.org\0kennwort-2"] {
        client.asks(&format!("AUTH PLAIN {}", Base64::encode_string(login.as_bytes())), "535");
    }
    client.asks("QUIT", "221");
    drop(client);
    let (path, text) = files(&world, 1).pop().unwrap();
    for typed in ["erika", "mustermann", "kennwort", "laptop"] {
        assert!(!text.contains(typed), "{typed} in {text}");
    }
    plays(&text);
    assert!(text.contains("COUNT: login/no-such-address 1\nCOUNT: login/wrong-password 1\n"), "{text}");
    assert!(text.contains("# Recorded by the journal: login\n"), "{text}");
    let mode = |path: &PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&world.dir.join(DIRECTORY))), (0o600, 0o700));
    drop(world);
    worker.join().unwrap();
}

#[test]
fn sessions_of_one_source_that_overlap_are_one_file() {
    let world = World::start();
    let (mut one, mut two) = (world.smtp(), world.smtp());
    one.asks("wp-login", "500");
    two.asks("secret words", "500");
    one.asks("QUIT", "221");
    two.asks("EHLO x", "250");
    two.asks("QUIT", "221");
    drop((one, two));
    let text = files(&world, 1).pop().unwrap().1;
    plays(&text);
    assert!(text.contains("C2: xxxxxx xxxxx\n") && text.contains("CLOSE2: quit"), "{text}");
    assert!(!text.contains("secret") && text.contains("COUNT: offence/unknown-command 2"), "{text}");
}

#[test]
fn a_panic_leaves_what_led_to_it() {
    let world = World::start();
    let mut client = world.smtp();
    client.asks("EHLO x", "250");
    client.says("PANIC NOW\r\n");
    client.hears("421");
    client.hears_the_end();
    let text = files(&world, 1).pop().unwrap().1;
    plays(&text);
    let stand_in = format!("C: {} {}\n", "X".repeat(5), "X".repeat(3));
    assert!(text.contains("# Recorded by the journal: fault\n") && text.contains(&stand_in), "{text}");
    assert!(text.lines().any(|line| line == "CUT:"), "{text}");
    world.deliver("Subject: after\r\n\r\nHello");
}

#[test]
fn a_friendly_session_leaves_nothing_and_a_journal_that_is_off_leaves_nothing_of_any() {
    let world = World::start();
    world.deliver("Subject: hello\r\n\r\nHello");
    world.smtp().asks("nonsense", "500");
    assert_eq!(files(&world, 1).len(), 1);
    let off = World::start_with(|config| config.journal.is_on = false, super::furnished);
    off.smtp().asks("nonsense", "500");
    off.deliver("Subject: hello\r\n\r\nHello");
    assert!(!off.dir.join(DIRECTORY).exists());
}

#[test]
fn talk_before_the_greeting_and_what_is_cut_off_play_too() {
    let world = World::start();
    for octets in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a hello"[..],
        b"GET /admin HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let mut client = world.smtp();
        client.says(octets);
        client.hears("421");
        client.hears_the_end();
    }
    // In one file where the second came before the first was gone, and in two otherwise.
    let since = Instant::now();
    let texts = loop {
        let texts: Vec<String> = files(&world, 1).into_iter().map(|(_, text)| text).collect();
        if texts.concat().matches(": not-smtp\n").count() == 2 {
            break texts;
        }
        assert!(since.elapsed() < PATIENCE, "{texts:?}");
        std::thread::sleep(Duration::from_millis(10));
    };
    for text in texts {
        plays(&text);
        assert!(!text.contains("admin"), "{text}");
    }
}
