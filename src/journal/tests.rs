//! What is recorded plays as it was recorded, and holds nothing that was typed.

use super::write::{File, file};
use super::*;
use crate::dialog::Dialog;
use crate::dialog::parse::parse;
use crate::dialog::play::{Cuts, play_recorded};
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
