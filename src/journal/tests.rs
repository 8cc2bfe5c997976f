//! What is recorded plays as it was recorded, and holds nothing that was typed.

use super::write::{File, file};
use super::*;
use crate::dialog::Dialog;
use crate::dialog::parse::parse;
use crate::dialog::play::{Cuts, play, play_recorded};
use crate::limits::{JOURNAL_SESSION_FIXED_OCTETS, JOURNAL_SESSION_OCTETS_MAX, JOURNAL_STEP_OCTETS};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn arena() -> Arc<Arena> {
    Arc::new(Arena::new(64 * 1024 * 1024))
}

/// Every dialogue that a test plays.
fn dialogs() -> Vec<(String, Dialog)> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogs")];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    let load = |path: PathBuf| {
        let dialog = parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        (path.file_name().unwrap().display().to_string(), dialog)
    };
    found.into_iter().map(load).collect()
}

/// A file for each session of a dialogue.
fn recorded(dialog: &Dialog, cuts: &mut Cuts<'_>) -> Vec<Result<File, String>> {
    let (recordings, settings) = play_recorded(dialog, cuts, arena());
    recordings.into_iter().map(|recording| file(vec![recording], &settings)).collect()
}

#[test]
fn every_session_of_every_dialogue_plays_from_its_recording() {
    let (mut whole, mut bad) = (0, Vec::new());
    for (name, dialog) in dialogs() {
        for made in recorded(&dialog, &mut Cuts::Whole) {
            match made {
                Ok(File { shortened: None, .. }) => whole += 1,
                Ok(made) => bad.push(format!("{name}: {:?}\n{}", made.shortened, made.text)),
                Err(why) => bad.push(format!("{name}: {why}")),
            }
        }
    }
    let shown: Vec<&str> = bad.iter().map(String::as_str).take(4).collect();
    let names: Vec<&str> = bad.iter().map(|text| text.lines().next().unwrap()).collect();
    assert!(bad.is_empty(), "{} of {}: {names:#?}\n{}", bad.len(), whole + bad.len(), shown.join("\n---\n"));
    assert!(whole > 100, "{whole}");
}

#[test]
fn every_dialogue_is_recorded_alike_however_its_octets_are_cut() {
    for (name, dialog) in dialogs() {
        let (whole, cut) = (recorded(&dialog, &mut Cuts::Whole), recorded(&dialog, &mut Cuts::Every(7)));
        for (whole, cut) in whole.into_iter().zip(cut) {
            let (Ok(whole), Ok(cut)) = (whole, cut) else { panic!("{name}") };
            // Where a body is divided says how much of its shape is kept.
            let same = |text: &str| -> Vec<String> {
                text.lines().filter(|line| !line.starts_with("C-:")).map(str::to_owned).collect()
            };
            assert_eq!(same(&whole.text), same(&cut.text), "{name}");
            assert_eq!(cut.shortened, None, "{name}");
        }
    }
}

/// A session that goes on for so many deliveries, and a second one beside it.
fn long(deliveries: usize) -> Dialog {
    let one = "C: MAIL FROM:<you@client.example>\nC: RCPT TO:<me@example.org>\nC: DATA\nS: 250\nC: x\nC: .\n";
    let head = "gatepost-dialog 1\nlistener: smtp\nW: domain example.org\nW: account me@example.org\n";
    let lines = format!(
        "{head}C: EHLO a.example\nS: 250\n{}C2: MUMBLE\nS2: 500\nC2: QUIT\nS2: 221\nCLOSE2: quit\n",
        one.repeat(deliveries)
    );
    parse(&lines).unwrap()
}

#[test]
fn a_session_beyond_its_share_is_cut_says_so_and_plays_up_to_there() {
    let arena = arena();
    let (recordings, settings) = play_recorded(&long(400), &mut Cuts::Whole, Arc::clone(&arena));
    let most = JOURNAL_SESSION_OCTETS_MAX + JOURNAL_SESSION_FIXED_OCTETS;
    let short = JOURNAL_STEP_OCTETS + JOURNAL_SESSION_FIXED_OCTETS;
    let octets = arena.used();
    assert!((most / 2..=most + short).contains(&octets), "{octets}");
    let made: Vec<File> = recordings.into_iter().map(|one| file(vec![one], &settings).unwrap()).collect();
    let [long, other] = made.as_slice() else { panic!("{made:?}") };
    assert_eq!((&long.shortened, &other.shortened), (&None, &None));
    assert!(long.text.lines().any(|line| line == "CUT:") && long.text.len() > most / 2, "{}", long.text);
    assert!(!other.text.contains("CUT:"), "the other one is whole: {}", other.text);
    assert_eq!(play(&parse(&long.text).unwrap()).difference, None);
    assert_eq!(arena.used(), 0, "what is written or dropped is given back");
}

#[test]
fn when_the_arena_is_exhausted_sessions_are_cut_and_later_ones_are_not_recorded() {
    let least = JOURNAL_STEP_OCTETS + JOURNAL_SESSION_FIXED_OCTETS;
    let arena = Arc::new(Arena::new(least));
    let (recordings, settings) = play_recorded(&long(40), &mut Cuts::Whole, Arc::clone(&arena));
    assert_eq!((recordings.len(), arena.used()), (1, least));
    let made = file(recordings, &settings).unwrap();
    assert_eq!(made.shortened, None);
    assert!(made.text.lines().any(|line| line == "CUT:"), "{}", made.text);
    assert_eq!(play(&parse(&made.text).unwrap()).difference, None);
    assert_eq!(arena.used(), 0);
    // There is room again.
    assert_eq!(play_recorded(&long(1), &mut Cuts::Whole, arena).0.len(), 1);
}
