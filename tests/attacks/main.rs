//! Replays the hostile dialogues of `corpus/dialogs/` in memory: as written, and with the client's octets cut
//! apart. Holds besides that each of them adds something, and that together they leave nothing out.
//!
//! `tests/dialogs/` says how every rule of the protocol is kept; these say what came, or may come, from outside.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test reads its files and may fail loudly"
)]

use gatepost::contract::Cause;
use gatepost::dialog::parse::parse;
use gatepost::dialog::play::{Cuts, Report, play, play_cut, play_with};
use gatepost::dialog::print::print;
use gatepost::dialog::{Dialog, Event, Kind};
use gatepost::telemetry::note::{Note, login_reason};
use gatepost::types::{Chance, Enhanced};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

mod reached;

/// Dialogues there are at the least.
const DIALOGS_MIN: usize = 330;
/// Files of all kinds in `corpus/` there are at the least.
const FILES_MIN: usize = 580;
/// Dialogues whose clients send more than this are played whole only.
const LONG_OCTETS: usize = 8_000;
/// Plays of each other dialogue with cuts of chance.
const CHANCE_PLAYS: usize = 3;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn files_below(directory: PathBuf) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// A dialogue, what it is called, how it is written, and what comes of it.
struct File {
    name: String,
    source: String,
    dialog: Dialog,
    report: Report,
}

/// All of them, each played once.
fn dialogs() -> &'static [File] {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    let load = |path: PathBuf| {
        let source = std::fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(corpus()).unwrap().display().to_string();
        let dialog = parse(&source).unwrap_or_else(|error| panic!("{name}: {error}"));
        let report = play(&dialog);
        File { name, source, dialog, report }
    };
    FILES.get_or_init(|| files_below(corpus().join("dialogs")).into_iter().map(load).collect())
}

fn client_octets(dialog: &Dialog) -> usize {
    let sent = dialog.entries.iter().map(|entry| match &entry.kind {
        Kind::Session(_, Event::Client(text, crlf)) => text.octets_len() + if *crlf { 2 } else { 0 },
        _ => 0,
    });
    sent.sum()
}

#[test]
fn every_attack_is_answered_as_it_is_written() {
    let differences: Vec<String> = dialogs()
        .iter()
        .filter_map(|file| {
            file.report.difference.as_ref().map(|difference| format!("{}: {difference}", file.name))
        })
        .collect();
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

#[test]
fn how_an_attack_is_divided_into_reads_changes_nothing() {
    let mut chance = Chance::from_seed([17; 32]);
    for File { name, dialog, report, .. } in dialogs() {
        if client_octets(dialog) > LONG_OCTETS {
            continue;
        }
        assert_eq!(&play_with(dialog, &mut Cuts::Every(1)), report, "{name}: octet by octet");
        for round in 0..CHANCE_PLAYS {
            assert_eq!(&play_cut(dialog, &mut chance), report, "{name}: cut {round} of chance");
        }
    }
}

#[test]
fn every_attack_is_written_the_canonical_way_and_says_what_it_shows_and_where_it_comes_from() {
    for File { name, source, dialog, .. } in dialogs() {
        assert_eq!(&print(dialog), source, "{name}");
        let mut lines = source.lines().skip(1);
        assert!(lines.next().is_some_and(|line| line.starts_with("# ")), "{name}: what does it show?");
        let origin = lines.next().unwrap_or_default();
        let is_given = ["# Source: ", "# Reason: "].iter().any(|word| origin.starts_with(word));
        assert!(
            is_given,
            "{name}: the third line is \"# Source: \" or \"# Reason: \" and where it comes from"
        );
    }
}

#[test]
fn the_corpus_does_not_shrink() {
    assert!(dialogs().len() >= DIALOGS_MIN, "there were more dialogues before: {}", dialogs().len());
    let files = files_below(corpus()).len();
    assert!(files >= FILES_MIN, "there were more files before: {files}");
}

/// What a dialogue adds: the door, and of each session the replies with their codes, what was counted, how it
/// ended; of each message its copies and its size. Two dialogues that agree in all of this show the same thing.
fn behaviour(dialog: &Dialog, report: &Report) -> String {
    let mut key = dialog.head.listener.name().to_owned();
    for (number, transcript) in &report.sessions {
        key += &format!(" | {number}:");
        for reply in &transcript.replies {
            key += &format!(" {}", reply.code);
            if let Some(Enhanced(class, subject, detail)) = reply.enhanced {
                key += &format!("/{class}.{subject}.{detail}");
            }
        }
        for note in &transcript.notes {
            key += &format!(" {}", word(note));
        }
        key += &format!(" {}", transcript.end.map_or("open", Cause::name));
    }
    for message in &report.messages {
        let commit = &message.commit;
        key += &format!(" | message {} {}", commit.deliveries.len(), commit.body_octets);
    }
    if report.sessions.values().any(|session| session.end == Some(Cause::NotSmtp)) {
        key += &format!(" | {}", first_words(dialog));
    }
    key
}

/// By what another protocol was known: the first word of each session, or its first octet.
fn first_words(dialog: &Dialog) -> String {
    let mut words = BTreeMap::new();
    for entry in &dialog.entries {
        if let Kind::Session(number, Event::Client(text, _)) = &entry.kind {
            words.entry(*number).or_insert_with(|| {
                let mut octets = Vec::new();
                text.expand(&mut octets);
                let end = octets.iter().position(|octet| !octet.is_ascii_alphabetic()).unwrap_or(0).max(1);
                octets[..end.min(octets.len())].escape_ascii().to_string()
            });
        }
    }
    words.into_values().collect::<Vec<_>>().join(" ")
}

fn word(note: &Note) -> String {
    match note {
        Note::Login { mechanism, verdict, .. } => format!("{mechanism}={}", login_reason(*verdict)),
        Note::Accepted { .. } => "accepted".to_owned(),
        Note::RecipientRefused { reason, .. } => reason.name().to_owned(),
        Note::MessageRefused { reason, .. } => (*reason).to_owned(),
        Note::Encrypted => "encrypted".to_owned(),
        Note::Offence(offence) => offence.name().to_owned(),
        Note::TurnedAway { rule, .. } => rule.name().to_owned(),
        Note::Verify => "verify".to_owned(),
        Note::EarlyTalk => "early-talk".to_owned(),
        Note::Closed { cause, offence, .. } => format!("{}:{offence}", cause.name()),
    }
}

#[test]
fn no_two_attacks_show_the_same() {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut doubles = Vec::new();
    for File { name, dialog, report, .. } in dialogs() {
        let key = behaviour(dialog, report);
        match seen.get(&key) {
            Some(other) => doubles.push(format!("{name} and {other}: {key}")),
            None => drop(seen.insert(key, name)),
        }
    }
    assert!(doubles.is_empty(), "these add nothing to one another:\n{}", doubles.join("\n"));
}
