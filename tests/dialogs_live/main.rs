//! Plays the dialogues under `tests/dialogs/` and `corpus/dialogs/` over the loopback with the built binary: once
//! with every octet as it is written, once in pieces of chance. What only a player in memory can do is left to
//! `dialogs.rs` and `attacks/`.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test has doors to the world and may fail loudly"
)]

mod drive;
mod server;

use drive::{Cut, play};
use gatepost::contract::Cause;
use gatepost::dialog::live::in_memory_only;
use gatepost::dialog::parse::parse;
use gatepost::dialog::text::Text;
use gatepost::dialog::{Dialog, Entry, Event, Kind, MessageExpected};
use server::{Server, Setting};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Servers at the same time.
const SERVERS: usize = 2;
/// Dialogues at the same time with one server: a refused login takes half a second, and most of it is waiting.
const LANES: usize = 8;
/// Fewer dialogues than this must never be played: a rule that skips more would go unnoticed.
const PLAYED_MIN: usize = 370;

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

/// Every dialogue in these folders, and the name to call it by.
fn dialogs(folders: &[&str]) -> Vec<(String, Dialog)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    folders.iter().for_each(|folder| files(&root.join(folder), &mut found));
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
    for (at, (name, dialog)) in dialogs(&["tests/dialogs", "corpus/dialogs"]).into_iter().enumerate() {
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

/// How a dialogue is spoiled so that it differs from what any server does.
#[derive(Debug, Clone, Copy)]
enum Spoiled {
    /// Its first expected reply has another code.
    FirstReply,
    /// Its last expected reply has another code.
    LastReply,
    /// It ends before the end of its session is written down.
    EndLeftOut,
    /// Its last reply and all that follows is left out.
    LastReplyLeftOut,
    /// Its last reply is expected twice.
    ReplyTooMany,
    /// Its first message has another recipient.
    Recipient,
    /// Its first message is said not to be there.
    MessageLeftOut,
    /// Its first message goes on.
    Body,
    /// Its first message has a field that nobody puts there.
    Field,
}

impl Spoiled {
    const ALL: [Self; 9] = [
        Self::FirstReply,
        Self::LastReply,
        Self::EndLeftOut,
        Self::LastReplyLeftOut,
        Self::ReplyTooMany,
        Self::Recipient,
        Self::MessageLeftOut,
        Self::Body,
        Self::Field,
    ];
}

/// The dialogue spoiled, and the first line at which that can be found; nothing where it has nothing to spoil.
fn spoil(dialog: &Dialog, how: Spoiled) -> Option<(Dialog, usize)> {
    let mut wrong = dialog.clone();
    let entries = &mut wrong.entries;
    let is_reply = |entry: &Entry| matches!(entry.kind, Kind::Session(_, Event::Reply(_)));
    let envelope = |entry: &Entry| matches!(entry.kind, Kind::Message(MessageExpected::Envelope(..)));
    let first_reply = entries.iter().position(is_reply)?;
    let last_reply = entries.iter().rposition(is_reply)?;
    let behind = |at: usize, kind: MessageExpected| Entry { line: at + 1, kind: Kind::Message(kind) };
    let at = match how {
        Spoiled::FirstReply | Spoiled::LastReply => {
            let at = if matches!(how, Spoiled::FirstReply) { first_reply } else { last_reply };
            let Kind::Session(_, Event::Reply(line)) = &mut entries[at].kind else { return None };
            line.code = 299;
            at
        }
        Spoiled::EndLeftOut => {
            let at = entries.iter().rposition(|entry| {
                matches!(entry.kind, Kind::Session(_, Event::Closed(cause)) if cause != Cause::Broken)
            })?;
            entries.remove(at);
            at
        }
        Spoiled::LastReplyLeftOut => {
            entries.truncate(last_reply);
            last_reply
        }
        Spoiled::ReplyTooMany => {
            let again = entries[last_reply].clone();
            entries.insert(last_reply, again);
            last_reply
        }
        Spoiled::Recipient => {
            let at = entries.iter().position(envelope)?;
            let Kind::Message(MessageExpected::Envelope(_, to)) = &mut entries[at].kind else { return None };
            to[0] = "nobody@example.org".to_owned();
            at
        }
        Spoiled::MessageLeftOut => {
            let at = entries.iter().position(envelope)?;
            entries[at].kind = Kind::Message(MessageExpected::NoneLeft);
            at
        }
        Spoiled::Body => {
            let at = entries.iter().position(envelope)?;
            entries
                .insert(at + 1, behind(at + 1, MessageExpected::Body(Text::from_octets(b"\x00 no"), true)));
            at + 1
        }
        Spoiled::Field => {
            let at = entries.iter().position(envelope)?;
            entries.insert(at + 1, behind(at + 1, MessageExpected::Field("X-Nobody: ".to_owned())));
            at + 1
        }
    };
    let line = wrong.entries.get(at).or(wrong.entries.last())?.line;
    Some((wrong, line))
}

/// Whatever is written wrongly must be found with a server too: otherwise the test above proves nothing.
#[test]
fn a_wrong_expectation_is_found_with_a_server() {
    let mut all = dialogs(&["tests/dialogs"]);
    all.retain(|(_, dialog)| in_memory_only(dialog).is_none());
    let setting = Setting::of(&all.iter().find(|(name, _)| name.ends_with("dot-stuffing.txt")).unwrap().1);
    all.retain(|(_, dialog)| Setting::of(dialog) == setting);
    let mut tasks = Vec::new();
    for (at, how) in Spoiled::ALL.into_iter().enumerate() {
        // A few of each kind, from all over the list; what has nothing to spoil is passed over.
        let spoiled = all.iter().skip(at).filter_map(|(name, dialog)| {
            spoil(dialog, how).map(|(wrong, line)| (name.clone(), how, wrong, line))
        });
        let before = tasks.len();
        tasks.extend(spoiled.step_by(7).take(5));
        assert!(tasks.len() >= before + 3, "{how:?}: too few dialogues can be spoiled so");
    }
    let server = Server::start(&setting);
    let missed = Mutex::new(Vec::new());
    in_lanes(LANES, tasks, |(name, how, dialog, line)| {
        let miss = match play(&server, &dialog, Cut::Whole) {
            Err(difference) if difference.line >= line => return,
            Err(difference) => format!("{name}: {how:?}: found before line {line}: {difference}"),
            Ok(()) => format!("{name}: {how:?}: nothing was found"),
        };
        missed.lock().unwrap().push(miss);
    });
    server.stop();
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "\n{}", missed.join("\n"));
}
