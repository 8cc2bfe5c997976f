//! Keeps the house in order: which room may name which, who may touch the world, and what may not be left
//! lying about. Every rule is a function from a file's text to complaints, and is itself tested on a planted
//! violation.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test reads its files and may fail loudly"
)]

use std::path::{Path, PathBuf};

/// Which other rooms a room may name. `types` and `limits` are free to all; `contract` is what rooms and the
/// world say to each other, so it may name what stands in its messages.
const ROOMS: [(&str, &[&str]); 23] = [
    ("types", &[]),
    ("limits", &[]),
    ("audit", &[]),
    ("contract", &["auth", "policy", "smtp", "telemetry"]),
    ("control", &["auth", "directory", "store", "telemetry"]),
    ("frame", &[]),
    ("mail", &["contract"]),
    ("directory", &[]),
    ("policy", &["contract", "directory"]),
    ("auth", &["contract", "directory"]),
    ("telemetry", &["auth", "contract", "smtp"]),
    ("smtp", &["auth", "contract", "frame", "mail", "policy", "telemetry"]),
    ("store", &["auth", "contract", "directory", "mail"]),
    ("config", &["auth", "contract", "journal"]),
    ("journal", &["auth", "contract", "dialog", "directory", "frame", "mail", "policy", "smtp", "telemetry"]),
    ("dialog", &["auth", "contract", "directory", "journal", "mail", "policy", "smtp", "telemetry"]),
    ("import", &["dialog", "contract"]),
    (
        "fuzz",
        &[
            "auth",
            "cli",
            "config",
            "contract",
            "control",
            "dialog",
            "directory",
            "frame",
            "import",
            "journal",
            "mail",
            "policy",
            "server",
            "smtp",
            "store",
            "telemetry",
        ],
    ),
    (
        "server",
        &[
            "auth",
            "config",
            "contract",
            "control",
            "dialog",
            "directory",
            "frame",
            "journal",
            "mail",
            "policy",
            "smtp",
            "store",
            "telemetry",
        ],
    ),
    (
        "cli",
        &[
            "audit",
            "auth",
            "config",
            "contract",
            "control",
            "dialog",
            "directory",
            "import",
            "mail",
            "policy",
            "server",
            "store",
            "telemetry",
        ],
    ),
    ("sim", &["auth", "contract", "dialog", "directory", "journal", "policy", "smtp", "store", "telemetry"]),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Files of the store that touch the disk; the rest of it is pure.
const STORE_DOORS: [&str; 5] = ["store/fjall", "store/disk", "store/place", "store/repair", "store/counter"];

/// Doors to the world, and the files (by the beginning of their path in `src/`) that may have them. `store`
/// stands for [`STORE_DOORS`]. Names are looked for in code, not in comments; a test module may open any door.
const DOORS: [(&str, &[&str]); 21] = [
    ("mio::", &["server/"]),
    ("signal_hook", &["server/"]),
    ("rustls::", &["server/", "cli/"]),
    ("rcgen::", &["cli/", "server/"]),
    ("fjall::", &["store"]),
    ("rustix::", &["server/", "cli/", "store"]),
    ("lexopt", &["cli/"]),
    ("env_logger", &["server/", "cli/"]),
    ("argon2::", &["server/hash_worker", "cli/"]),
    ("std::net::Tcp", &["server/", "cli/"]),
    ("std::net::Udp", &["server/"]),
    ("std::os::unix::net", &["server/", "cli/"]),
    ("std::fs", &["server/", "cli/", "store"]),
    ("std::process", &["server/", "cli/", "main.rs"]),
    ("std::env", &["server/", "cli/", "main.rs"]),
    ("std::thread", &["server/", "cli/", "store"]),
    ("std::io::std", &["server/", "cli/"]),
    ("std::time::Instant", &["server/", "cli/", "store"]),
    ("std::time::SystemTime", &["server/", "cli/", "store"]),
    ("aws_lc_rs::rand", &["server/", "cli/", "store"]),
    ("std::collections::hash_map::RandomState", &["server/"]),
];

/// Lines of a file in `src/`, its test module not counted, beyond which it is no longer read in one go.
const FILE_LINES_MAX: usize = 600;
/// Files that are longer already, and how long they may be until they are divided. This list only shrinks.
const LONG_FILES: [(&str, usize); 0] = [];
/// Words that mean something was left undone.
const LEFT_UNDONE: [&str; 7] = ["todo!", "unimplemented!", "dbg!", "TODO", "FIXME", "XXX", "HACK"];
/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 5] = ["/home/", "/Users/", "/tmp/", "/work/", "/root/"];

/// A source file: its path in `src/`, and its text.
struct Source {
    path: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn walk(directory: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, extension, found);
        } else if path.extension().is_some_and(|name| name == extension) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let base = root().join("src");
    let mut files = Vec::new();
    walk(&base, "rs", &mut files);
    files.sort();
    let read = |file: &PathBuf| Source {
        path: file.strip_prefix(&base).unwrap().display().to_string(),
        text: std::fs::read_to_string(file).unwrap(),
    };
    files.iter().map(read).collect()
}

/// Whether a whole file is a test module.
fn is_test_file(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/")
}

/// The lines of code of a file with their numbers: comments are cut off, and what follows the first
/// `#[cfg(test)] mod` with a body is left out.
fn code(source: &Source) -> Vec<(usize, &str)> {
    if is_test_file(&source.path) {
        return Vec::new();
    }
    let lines: Vec<&str> = source.text.lines().collect();
    let tests = lines.iter().enumerate().position(|(at, line)| {
        line.trim() == "#[cfg(test)]"
            && lines
                .get(at + 1)
                .is_some_and(|next| next.trim_start().starts_with("mod ") && next.ends_with('{'))
    });
    let end = tests.unwrap_or(lines.len());
    lines[..end]
        .iter()
        .enumerate()
        .map(|(at, line)| (at + 1, line.split_once("//").map_or(*line, |(code, _)| code)))
        .collect()
}

/// The room a file belongs to.
fn room(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap_or(path)
}

/// Every room that a text names, and where: `crate::room` and each of `crate::{room, room::{…}}`.
fn rooms_named(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (at, marker) in text.match_indices("crate::") {
        // `mycrate::` is another word.
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &text[at + marker.len()..];
        let names = rest.strip_prefix('{').map_or_else(|| vec![rest], members);
        let end = |name: &str| name.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(name.len());
        let words = names.into_iter().map(str::trim_start).map(|name| &name[..end(name)]);
        found.extend(words.filter(|name| !name.is_empty()).map(|name| (at, name)));
    }
    found
}

/// The members of a group whose opening brace is gone, groups within it left whole.
fn members(group: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut depth, mut from) = (0_usize, 0_usize);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(&group[from..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&group[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    found
}

fn wrong_rooms(source: &Source) -> Vec<String> {
    let own = room(&source.path);
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == own) else {
        return vec![format!("{}: the room \"{own}\" is not in the table of this test", source.path)];
    };
    let free = |name: &str| name == own || name == "types" || name == "limits" || allowed.contains(&name);
    let lines: Vec<&str> = code(source).into_iter().map(|(_, text)| text).collect();
    let text = lines.join("\n");
    let mut complaints = Vec::new();
    for (at, name) in rooms_named(&text).into_iter().filter(|(_, name)| !free(name)) {
        let line = text[..at].matches('\n').count() + 1;
        complaints.push(format!("{}:{line}: \"{own}\" may not name \"{name}\"", source.path));
    }
    complaints
}

fn wrong_doors(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = code(source).into_iter().map(|(_, text)| text).collect();
    let text = lines.join("\n");
    let mut complaints = Vec::new();
    for (at, path) in paths_named(&text) {
        for (door, holders) in DOORS.iter().filter(|(door, _)| path.starts_with(door)) {
            let opens = |holder: &&str| match *holder {
                "store" => STORE_DOORS.iter().any(|file| source.path.starts_with(file)),
                other => source.path.starts_with(other),
            };
            if !holders.iter().any(opens) {
                let line = text[..at].matches('\n').count() + 1;
                complaints.push(format!(
                    "{}:{line}: only {} may name {door}",
                    source.path,
                    holders.join(", ")
                ));
            }
        }
    }
    complaints
}

/// Every path that a text names from its root, groups written out: `std::{fs, io::Write}` is `std::fs` and
/// `std::io::Write`.
fn paths_named(text: &str) -> Vec<(usize, String)> {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = text[from..].find(|c: char| c.is_alphabetic() || c == '_').map(|at| from + at) {
        let end = text[start..].find(|c: char| !part_of_word(c)).map_or(text.len(), |at| start + at);
        let word = &text[start..end];
        // `use` of a group: the members count as if they were written out.
        match (word.ends_with("::"), text[end..].strip_prefix('{')) {
            (true, Some(group)) => {
                found.extend(written_out(word, group).into_iter().map(|path| (start, path)))
            }
            _ => found.push((start, word.to_owned())),
        }
        from = end.max(start + 1);
    }
    found
}

/// The members of a group behind a prefix, groups within it written out too.
fn written_out(prefix: &str, group: &str) -> Vec<String> {
    let mut found = Vec::new();
    for member in members(group).into_iter().map(str::trim) {
        match member.split_once('{') {
            Some((inner, rest)) => found.extend(written_out(&format!("{prefix}{inner}"), rest)),
            None => found.push(format!("{prefix}{member}")),
        }
    }
    found
}

fn too_long(source: &Source) -> Vec<String> {
    let lines = code(source).len();
    let known = LONG_FILES.iter().find(|(path, _)| *path == source.path).map(|(_, lines)| *lines);
    match known {
        Some(_) if lines <= FILE_LINES_MAX => {
            vec![format!("{}: take it off the list of this test", source.path)]
        }
        Some(most) if lines > most => vec![format!("{}: {lines} lines: divide it", source.path)],
        None if lines > FILE_LINES_MAX => {
            vec![format!("{}: {lines} lines are more than {FILE_LINES_MAX}: divide it", source.path)]
        }
        Some(_) | None => Vec::new(),
    }
}

fn left_undone(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for (at, line) in source.text.lines().enumerate() {
        for word in LEFT_UNDONE.iter().filter(|word| line.contains(*word)) {
            complaints.push(format!("{}:{}: {word}", source.path, at + 1));
        }
    }
    complaints
}

/// In code and comments; a test may make paths up.
fn machine_paths(source: &Source) -> Vec<String> {
    let lines = code(source).len();
    let mut complaints = Vec::new();
    for (at, line) in source.text.lines().take(lines).enumerate() {
        for path in MACHINE_PATHS.iter().filter(|path| line.contains(*path)) {
            complaints.push(format!("{}:{}: a path of one machine: {path}", source.path, at + 1));
        }
    }
    complaints
}

/// Whether the line above this one (attributes passed over) is a doc comment.
fn is_documented(lines: &[&str], at: usize) -> bool {
    let above = lines[..at].iter().rev().map(|line| line.trim_start()).find(|line| !line.starts_with("#["));
    above.is_some_and(|line| line.starts_with("///"))
}

fn undocumented_limits(source: &Source) -> Vec<String> {
    if source.path != "limits.rs" {
        return Vec::new();
    }
    let lines: Vec<&str> = source.text.lines().collect();
    let bare = |at: &usize| {
        let line = lines[*at];
        let constant =
            line.starts_with("pub const ") || (line.starts_with("const ") && !line.starts_with("const _"));
        constant && !is_documented(&lines, *at)
    };
    (0..lines.len()).filter(bare).map(|at| format!("limits.rs:{}: what is this number?", at + 1)).collect()
}

/// Every file that is a module begins with what it is for.
fn undocumented_modules(source: &Source) -> Vec<String> {
    if is_test_file(&source.path) || source.text.lines().next().is_some_and(|line| line.starts_with("//!")) {
        return Vec::new();
    }
    vec![format!("{}: the first line does not say what the module is for", source.path)]
}

/// The text of an attribute that begins at `from`, up to the bracket that closes it.
fn attribute(text: &str, from: usize) -> &str {
    let mut depth = 0_usize;
    for (at, c) in text[from..].char_indices() {
        match c {
            '[' => depth += 1,
            ']' if depth == 1 => return &text[from..from + at],
            ']' => depth -= 1,
            _ => {}
        }
    }
    &text[from..]
}

fn exceptions_without_reason(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for marker in ["#[expect(", "#![expect(", "#[allow(", "#![allow("] {
        for (at, _) in source.text.match_indices(marker) {
            if !attribute(&source.text, at).contains("reason = ") {
                let line = source.text[..at].lines().count().max(1);
                complaints.push(format!("{}:{line}: an exception without a reason", source.path));
            }
        }
    }
    complaints
}

/// From a file to complaints.
type Rule = fn(&Source) -> Vec<String>;

fn check(rule: Rule) {
    let sources = sources();
    assert!(sources.len() > 20, "the sources were not found");
    let complaints: Vec<String> = sources.iter().flat_map(rule).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn rooms_name_only_the_rooms_they_may() {
    check(wrong_rooms);
}

#[test]
fn only_rooms_with_a_door_touch_the_world() {
    check(wrong_doors);
}

#[test]
fn no_file_is_too_long() {
    check(too_long);
}

#[test]
fn nothing_is_left_undone() {
    check(left_undone);
}

#[test]
fn no_source_names_a_path_of_one_machine() {
    check(machine_paths);
}

#[test]
fn every_number_says_what_it_is() {
    check(undocumented_limits);
}

#[test]
fn every_module_says_what_it_is_for() {
    check(undocumented_modules);
}

#[test]
fn every_exception_has_a_reason() {
    check(exceptions_without_reason);
}

/// `#![forbid(unsafe_code)]` stands in Cargo.toml for the whole crate; it must not be weakened there.
#[test]
fn the_lints_that_carry_promises_stand() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for line in [
        "unsafe_code = \"forbid\"",
        "unwrap_used = \"deny\"",
        "expect_used = \"deny\"",
        "panic = \"deny\"",
        "indexing_slicing = \"deny\"",
        "string_slice = \"deny\"",
        "arithmetic_side_effects = \"deny\"",
        "wildcard_enum_match_arm = \"deny\"",
        "panic = \"unwind\"",
    ] {
        assert!(manifest.lines().any(|own| own == line), "Cargo.toml no longer has: {line}");
    }
}

/// Every dependency says why it is there: in a comment on the line above it, or above the neighbour it
/// belongs to.
#[test]
fn every_dependency_has_its_reason() {
    const BELONG_TO_THE_ONE_ABOVE: [&str; 3] = ["env_logger", "serde_json", "toml"];
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (mut section, mut above, mut seen) = ("", "", 0);
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.contains("dependencies") && line.contains('=') {
            let name = line.split_once(' ').map_or(line, |(name, _)| name);
            let has_reason = above.starts_with("# ") || BELONG_TO_THE_ONE_ABOVE.contains(&name);
            assert!(has_reason, "Cargo.toml: why is {name} here?");
            seen += 1;
        }
        above = line;
    }
    assert!(seen > 10, "the dependencies were not found");
}

/// A promise in SECURITY.md names the tests that can break it; they must exist.
#[test]
fn every_test_named_in_the_papers_exists() {
    let mut files = Vec::new();
    walk(&root().join("src"), "rs", &mut files);
    walk(&root().join("tests"), "rs", &mut files);
    let code: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let paper = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let mut seen = 0;
    // What stands in backticks is every second part.
    for name in paper.split('`').skip(1).step_by(2) {
        if name.contains('/') {
            assert!(root().join(name).exists(), "SECURITY.md: there is no {name}");
        } else if name.matches('_').count() >= 3 {
            assert!(code.contains(&format!("fn {name}()")), "SECURITY.md: there is no test {name}");
            seen += 1;
        }
    }
    assert!(seen > 8, "the names were not found");
}

/// No paper and no script names a path of one machine.
#[test]
fn no_paper_names_a_path_of_one_machine() {
    for file in ["README.md", "SECURITY.md", "CHANGELOG.md", ".ci/run", "Cargo.toml", "tests/smoke.py"] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let found = MACHINE_PATHS.iter().find(|path| text.contains(*path));
        assert_eq!(found, None, "{file}");
    }
}

fn planted(path: &str, text: &str) -> Source {
    Source { path: path.into(), text: text.into() }
}

/// Each rule finds what it is for. A rule that finds nothing in a planted violation would find nothing at all.
#[test]
fn every_rule_finds_a_planted_violation() {
    let rules: [(&str, Rule, Source); 15] = [
        ("room", wrong_rooms, planted("frame/x.rs", "//! X.\nuse crate::store::Store;\n")),
        ("room in a group", wrong_rooms, planted("frame/x.rs", "use crate::{types::Domain, smtp};\n")),
        (
            "room in a group of several lines",
            wrong_rooms,
            planted("frame/x.rs", "use crate::{\n    types::{Chance, Domain},\n    smtp,\n};\n"),
        ),
        ("room in a path", wrong_rooms, planted("mail/x.rs", "fn f() { crate::server::turn::run() }\n")),
        ("unknown room", wrong_rooms, planted("attic/x.rs", "//! X.\n")),
        ("door", wrong_doors, planted("smtp/x.rs", "use std::time::Instant;\n")),
        (
            "door in a group",
            wrong_doors,
            planted("smtp/x.rs", "use std::{\n    fmt,\n    io::{self, stdin},\n};\n"),
        ),
        ("door of the store", wrong_doors, planted("store/keys.rs", "use std::fs::File;\n")),
        ("door in a path", wrong_doors, planted("store/keys.rs", "fn f(k: fjall::Keyspace) {}\n")),
        ("length", too_long, planted("x.rs", &"\n".repeat(FILE_LINES_MAX + 1))),
        ("undone", left_undone, planted("x.rs", "// TODO: later\n")),
        ("machine", machine_paths, planted("x.rs", "const P: &str = \"/home/me/x\";\n")),
        ("number", undocumented_limits, planted("limits.rs", "//! X.\npub const A: u8 = 1;\n")),
        ("module", undocumented_modules, planted("x.rs", "use std::fmt;\n")),
        (
            "reason",
            exceptions_without_reason,
            planted("x.rs", "#[expect(\n    clippy::panic\n)]\nfn f() {}\n"),
        ),
    ];
    for (name, rule, source) in rules {
        assert!(!rule(&source).is_empty(), "the rule \"{name}\" found nothing");
    }
}

/// … and nothing where there is nothing.
#[test]
fn no_rule_complains_of_what_is_in_order() {
    let text = "//! Not crate::store, and not std::fs.\n#[expect(clippy::x, reason = \"y\")]\n\
        use crate::types::Domain; // std::fs\nuse crate::limits;\nuse crate::frame::fjall::X;\nuse std::{fmt, net::IpAddr};\n\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
    let source = planted("frame/x.rs", text);
    for rule in [wrong_rooms, wrong_doors, too_long, left_undone, machine_paths, undocumented_modules] {
        assert_eq!(rule(&source), Vec::<String>::new());
    }
    assert!(exceptions_without_reason(&source).is_empty());
    assert!(undocumented_limits(&planted("limits.rs", "/// A.\npub const A: u8 = 1;\n")).is_empty());
}
