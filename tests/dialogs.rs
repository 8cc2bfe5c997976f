//! Replays every dialogue under `tests/dialogs/` in memory: as written, and with the client's octets cut in
//! every way that is affordable. See the documentation of `gatepost::dialog` for the format.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test reads its files and may fail loudly"
)]

use gatepost::dialog::parse::parse;
use gatepost::dialog::play::{Cuts, play, play_cut, play_with};
use gatepost::dialog::print::print;
use gatepost::dialog::{Dialog, Event, Kind};
use gatepost::types::Chance;
use std::path::{Path, PathBuf};

/// Dialogues with no more client octets than this are cut at every place; longer ones at places of chance.
const EVERY_PLACE_OCTETS: usize = 600;
/// Dialogues with more client octets than this are not sent octet by octet, since each play is long.
const LONG_OCTETS: usize = 100_000;
/// Octets that a long dialogue may send in all its plays cut by chance.
const PLAYED_OCTETS: usize = 250_000;

fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogs")];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            match path.extension().and_then(|name| name.to_str()) {
                _ if path.is_dir() => open.push(path),
                Some("txt") => found.push(path),
                _ => panic!("{}: a dialogue file ends in .txt", path.display()),
            }
        }
    }
    found.sort();
    found
}

/// Every dialogue, and the name to call it by.
fn dialogs() -> Vec<(String, String, Dialog)> {
    let load = |path: PathBuf| {
        let source = std::fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string();
        let dialog = parse(&source).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, source, dialog)
    };
    files().into_iter().map(load).collect()
}

/// Octets that the clients of a dialogue send.
fn client_octets(dialog: &Dialog) -> usize {
    let sent = dialog.entries.iter().map(|entry| match &entry.kind {
        Kind::Session(_, Event::Client(text, crlf)) => text.octets_len() + if *crlf { 2 } else { 0 },
        _ => 0,
    });
    sent.sum()
}

#[test]
fn every_dialogue_plays_as_it_is_written() {
    let different: Vec<String> = dialogs()
        .iter()
        .filter_map(|(name, _, dialog)| {
            play(dialog).difference.map(|difference| format!("{name}: {difference}"))
        })
        .collect();
    assert!(different.is_empty(), "\n{}", different.join("\n"));
}

#[test]
fn every_dialogue_is_written_the_canonical_way_and_says_what_it_shows() {
    let dialogs = dialogs();
    for (name, source, dialog) in &dialogs {
        assert_eq!(&print(dialog), source, "{name}");
        assert!(
            source.lines().nth(1).is_some_and(|line| line.starts_with("# ")),
            "{name}: what does it show?"
        );
    }
    assert!(dialogs.len() >= 80, "there were more dialogues before: {}", dialogs.len());
}

#[test]
fn how_octets_are_divided_into_reads_changes_nothing() {
    let mut chance = Chance::from_seed([42; 32]);
    for (name, _, dialog) in dialogs() {
        let whole = play(&dialog);
        let same = |cuts: &mut Cuts<'_>| {
            let how = format!("{cuts:?}");
            assert_eq!(play_with(&dialog, cuts), whole, "{name}: {how}");
        };
        let octets = client_octets(&dialog);
        if octets <= LONG_OCTETS {
            (1..=3).for_each(|size| same(&mut Cuts::Every(size)));
        }
        if octets <= EVERY_PLACE_OCTETS {
            (1..octets).for_each(|behind| same(&mut Cuts::Behind(behind)));
        }
        // A play cut by chance has many cuts, so long dialogues need fewer plays.
        let random = if octets <= EVERY_PLACE_OCTETS { 20 } else { (PLAYED_OCTETS / octets).clamp(2, 200) };
        for round in 0..random {
            assert_eq!(play_cut(&dialog, &mut chance), whole, "{name}: cut {round} of chance");
        }
    }
}

/// A dialogue that differs in one expected reply must be found to differ: otherwise the test above proves
/// nothing.
#[test]
fn a_wrong_expectation_is_found_in_every_dialogue() {
    for (name, _, dialog) in dialogs() {
        let replies: Vec<usize> = (0..dialog.entries.len())
            .filter(|at| {
                matches!(dialog.entries[*at].kind, Kind::Session(_, Event::Reply(_) | Event::Replies(..)))
            })
            .collect();
        // The first, the last, and one between them.
        for at in [replies.first(), replies.last(), replies.get(replies.len() / 2)].into_iter().flatten() {
            let mut wrong = dialog.clone();
            if let Kind::Session(_, Event::Reply(line) | Event::Replies(_, line)) =
                &mut wrong.entries[*at].kind
            {
                line.code = 299;
            }
            let difference = play(&wrong).difference.unwrap_or_else(|| panic!("{name}: nothing was found"));
            assert!(difference.line >= dialog.entries[*at].line, "{name}: {difference}");
        }
    }
}

/// A dialogue that ends early leaves replies or an end unmentioned, and that is found too.
#[test]
fn a_reply_that_is_not_written_down_is_found() {
    for (name, _, dialog) in dialogs() {
        let expectation = |kind: &Kind| {
            matches!(kind, Kind::Session(_, Event::Reply(_) | Event::Replies(..) | Event::Closed(_)))
        };
        let Some(last) = dialog.entries.iter().rposition(|entry| expectation(&entry.kind)) else { continue };
        let mut short = dialog.clone();
        short.entries.truncate(last);
        assert!(play(&short).difference.is_some(), "{name}: nothing was found");
    }
}
