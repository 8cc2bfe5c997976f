//! Reads the whole fuzzing corpus again, without a fuzzer: a file the fuzzer once stumbled over is a test from
//! then on. Each file is also mutated a little, by a seed.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reads its files and may fail loudly"
)]

use arbitrary::{Arbitrary, Unstructured};
use gatepost::fuzz::TARGETS;
use gatepost::types::Chance;
use std::path::Path;

#[path = "../fuzz/src/story.rs"]
mod story;

/// Mutants of each file.
const MUTANTS: usize = 60;

/// The files of a target, with their names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        (path.display().to_string(), std::fs::read(&path).unwrap())
    };
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(read).collect();
    files.sort();
    assert!(!files.is_empty(), "{target}: no files");
    files
}

/// An octet changed, removed, doubled or put in, a few times.
fn mutant(original: &[u8], chance: &mut Chance) -> Vec<u8> {
    const OFTEN_SEEN: &[u8] = b"\r\n.\0 <>@:\"\\\xff0";
    let mut octets = original.to_vec();
    for _ in 0..=chance.below(4) {
        let length = u64::try_from(octets.len()).unwrap();
        let at = usize::try_from(chance.below(length.max(1))).unwrap();
        let pick = usize::try_from(chance.below(u64::try_from(OFTEN_SEEN.len()).unwrap())).unwrap();
        let octet = if chance.below(2) == 0 { OFTEN_SEEN[pick] } else { chance.octets()[0] };
        match chance.below(4) {
            0 if !octets.is_empty() => octets[at] = octet,
            1 if !octets.is_empty() => drop(octets.remove(at)),
            2 => octets.extend_from_within(at.min(octets.len())..),
            _ => octets.insert(at.min(octets.len()), octet),
        }
    }
    octets
}

/// Targets whose octets become a story first; their bodies are under `fuzz/src`.
const STORIES: [&str; 3] = ["logins", "story", "throttle"];

#[test]
fn every_target_has_a_program_a_corpus_and_nothing_else_has() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &str, end: &str| {
        let name =
            |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = std::fs::read_dir(root.join(folder)).unwrap().map(name).collect();
        names.iter_mut().for_each(|name| *name = name.strip_suffix(end).unwrap_or(name).to_owned());
        names.sort();
        names
    };
    let mut targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).chain(STORIES).collect();
    targets.sort_unstable();
    assert_eq!(names("fuzz/fuzz_targets", ".rs"), targets);
    // Whole dialogues are replayed by another test.
    let corpus: Vec<String> = names("corpus", "").into_iter().filter(|name| name != "dialogs").collect();
    assert_eq!(corpus, targets);
    let without =
        names("fuzz/dictionaries", ".dict").into_iter().find(|name| !targets.contains(&name.as_str()));
    assert_eq!(without, None, "a dictionary for no target");
}

#[test]
fn every_file_of_the_corpus_keeps_every_promise() {
    for (name, body) in TARGETS {
        for (file, octets) in corpus(name) {
            body(&octets).unwrap_or_else(|complaint| panic!("{file}: {complaint}"));
        }
    }
}

#[test]
fn small_mutations_of_the_corpus_keep_every_promise() {
    let mut chance = Chance::from_seed([9; 32]);
    for (name, body) in TARGETS {
        for (file, octets) in corpus(name).into_iter().filter(|(_, octets)| octets.len() < 2_000) {
            for _ in 0..MUTANTS {
                let mutant = mutant(&octets, &mut chance);
                let shown = mutant.escape_ascii();
                body(&mutant).unwrap_or_else(|complaint| panic!("{file} as {shown}: {complaint}"));
            }
        }
    }
}

#[test]
fn every_story_keeps_every_law() {
    let mut chance = Chance::from_seed([11; 32]);
    for (file, octets) in corpus("story") {
        for round in 0..MUTANTS {
            let data = if round == 0 { octets.clone() } else { mutant(&octets, &mut chance) };
            let story = story::Story::arbitrary_take_rest(Unstructured::new(&data)).unwrap();
            story.play().unwrap_or_else(|complaint| panic!("{file}, round {round}: {complaint}"));
        }
    }
}

/// Stories of chance, which reach where no file points yet.
#[test]
fn stories_of_chance_keep_every_law() {
    let mut chance = Chance::from_seed([13; 32]);
    let (mut messages, mut refusals, mut logins) = (0, 0, 0);
    for round in 0..500 {
        let octets: Vec<u8> = (0..=chance.below(12)).flat_map(|_| chance.octets()).collect();
        let story = story::Story::arbitrary_take_rest(Unstructured::new(&octets)).unwrap();
        let report = story.play().unwrap_or_else(|complaint| panic!("round {round}: {complaint}"));
        let replies = report.sessions.values().flat_map(|session| &session.replies);
        messages += report.messages.len();
        for reply in replies {
            refusals += usize::from(reply.is_refusal());
            logins += usize::from(reply.code == 235);
        }
    }
    // Stories that never get anywhere would keep every law too.
    assert!(
        messages > 20 && refusals > 200 && logins > 20,
        "{messages} messages, {refusals} refusals, {logins} logins"
    );
}
