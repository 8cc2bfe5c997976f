//! Plays the dialogues under `tests/dialogs/` over the loopback with the built binary: once with every octet
//! as it is written, once in pieces of chance. What only a player in memory can do is left to `dialogs.rs`.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test has doors to the world and may fail loudly"
)]

mod drive;
mod server;
mod wire;

use drive::{Cut, play};
use gatepost::dialog::Dialog;
use gatepost::dialog::live::in_memory_only;
use gatepost::dialog::parse::parse;
use server::{Server, Setting};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Servers at the same time.
const SERVERS: usize = 2;
/// Dialogues at the same time with one server: a refused login takes half a second, and most of it is waiting.
const LANES: usize = 8;
/// Fewer dialogues than this must never be played: a rule that skips more would go unnoticed.
const PLAYED_MIN: usize = 150;

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Every dialogue, and the name to call it by.
fn dialogs() -> Vec<(String, Dialog)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    files(&root.join("tests/dialogs"), &mut found);
    found.sort();
    let load = |path: PathBuf| {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let dialog =
            parse(&std::fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, dialog)
    };
    found.into_iter().map(load).collect()
}

/// A dialogue to be played with its server.
struct Task {
    name: String,
    dialog: Dialog,
    cut: Cut,
}

/// Takes tasks until none is left, in several threads at once.
fn in_lanes<T: Send>(lanes: usize, tasks: Vec<T>, work: impl Fn(T) + Sync) {
    let tasks = Mutex::new(VecDeque::from(tasks));
    let next = || tasks.lock().unwrap().pop_front();
    std::thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                while let Some(task) = next() {
                    work(task);
                }
            });
        }
    });
}

/// Plays tasks with one server, and returns what differs.
fn play_all(setting: &Setting, tasks: Vec<Task>) -> Vec<String> {
    let server = Server::start(setting);
    let different = Mutex::new(Vec::new());
    in_lanes(LANES, tasks, |task| {
        if let Err(difference) = play(&server, &task.dialog, task.cut) {
            different.lock().unwrap().push(format!("{} ({:?}): {difference}", task.name, task.cut));
        }
    });
    server.stop();
    different.into_inner().unwrap()
}

#[test]
fn a_server_says_what_every_dialogue_says_however_octets_are_cut() {
    let mut groups: Vec<(Setting, Vec<Task>)> = Vec::new();
    let mut skipped: BTreeMap<&str, usize> = BTreeMap::new();
    let mut played = 0;
    for (at, (name, dialog)) in dialogs().into_iter().enumerate() {
        if let Some((_, why)) = in_memory_only(&dialog) {
            *skipped.entry(why.reason()).or_default() += 1;
            continue;
        }
        played += 1;
        let setting = Setting::of(&dialog);
        let seed = u8::try_from(at % 256).unwrap();
        let tasks = [Cut::Whole, Cut::Chance(seed)].map(|cut| Task {
            name: name.clone(),
            dialog: dialog.clone(),
            cut,
        });
        match groups.iter_mut().find(|(other, _)| *other == setting) {
            Some((_, group)) => group.extend(tasks),
            None => groups.push((setting, tasks.into())),
        }
    }
    println!("{played} dialogues played with {} servers; skipped: {skipped:?}", groups.len());
    // The longest first, so that no server is waited for alone at the end.
    groups.sort_by_key(|(_, tasks)| std::cmp::Reverse(tasks.len()));
    let different = Mutex::new(Vec::new());
    in_lanes(SERVERS, groups, |(setting, tasks)| {
        let found = play_all(&setting, tasks);
        different.lock().unwrap().extend(found);
    });
    let different = different.into_inner().unwrap();
    assert!(different.is_empty(), "\n{}", different.join("\n"));
    assert!(played >= PLAYED_MIN, "only {played} dialogues were played");
}
