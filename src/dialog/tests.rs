use super::parse::parse;
use super::print::print;
use super::world::World;
use super::*;

/// One of each line, written the canonical way.
const EVERY_LINE: &str = r#"gatepost-dialog 1
# What it shows.
listener: submission
peer: 2001:db8::9
clock: 2026-11-24T04:47:37Z
hostname: mx.example.org
size: 65536
tls: none
seed: 7

W: domain example.org catch-all=me@example.org
W: account me@example.org password="a \"b\" \\ c" address=you@example.org address="a b"@example.org state=suspended
W: account they@example.org
W: alias all@example.org to=me@example.org to=they@example.org
W: alias nobody@example.org
W: unavailable
S: 220-mx.example.org
S: 220-
S: 220 2.0.0 ready
C: EHLO a\r\nNOOP\x20
C:
C-: \{2000:a}
S: 250
S*: 3 250 2.1.5
S+: SIZE 65536
S!: AUTH
S: 250 2.1.0
S: 250 2.1.0 Sender ok
S: 250 Sender ok
A: room disk-full
A: sender not-own
A: recipient too-deep
A: login hash-queue-full
A: commit wait
A: commit world
T: +5m
T: +1500ms
T: +90s
T: +2h
T: +0h
TLS: up TLSv1.3 TLS_AES_256_GCM_SHA384
TLS: failed
C2: NOOP
C2-: \0\xff
S2: 500
S2+: x
S2!: y
A2: room enough
EOF:
EOF2:
RST:
STOP:
CLOSE: not-smtp
CLOSE9: quit
M: <a@b.example> -> me@example.org, they@example.org
P: Received: from a
P!: Date:
B: text
B:
B-: \{100:x\r\n}
M: <> -> me@example.org
M: none
"#;

#[test]
fn every_kind_of_line_prints_as_it_was_read() {
    let dialog = parse(EVERY_LINE).unwrap();
    assert_eq!(print(&dialog), EVERY_LINE);
    assert_eq!(parse(&print(&dialog)).unwrap(), dialog);
}

#[test]
fn every_answer_that_can_be_given_prints_as_it_was_read() {
    for (about, word, given) in GIVEN {
        let source = format!("{MAGIC}\nlistener: smtp\nA: {} {word}\n", about.name());
        let dialog = parse(&source).unwrap();
        assert_eq!(dialog.entries.last().unwrap().kind, Kind::Session(1, Event::Answer(about, given)));
        assert_eq!(print(&dialog), source);
    }
}

#[test]
fn every_cause_prints_as_it_was_read() {
    for cause in CAUSES {
        let source = format!("{MAGIC}\nlistener: smtp\nCLOSE: {}\n", cause.name());
        assert_eq!(print(&parse(&source).unwrap()), source);
    }
}

#[test]
fn a_missing_first_line_is_named() {
    for source in ["", "# x\n", "gatepost-dialog 2\n", "gatepost-dialog 1 \n"] {
        assert_eq!(parse(source).unwrap_err().line, 1, "{source:?}");
    }
    assert!(parse("gatepost-dialog 1\n").unwrap_err().what.contains("listener"));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (line, part) in [
        ("listener: smtp", "only once"),
        ("peer: 1.2.3.4:25", "without a port"),
        ("clock: today", "2026-11-24T04:47:37Z"),
        ("hostname: a..b", "no domain"),
        ("size: 07", "decimal"),
        ("tls: maybe", "available"),
        ("seed: -1", "decimal"),
        ("Q: x", "no line of a dialogue"),
        ("C", "a tag and a colon"),
        ("C:x", "a space must follow"),
        ("C: ", "nothing follows"),
        ("C1: x", "numbered 2 to"),
        ("C02: x", "numbered 2 to"),
        ("C10: x", "numbered 2 to"),
        ("C+: x", "no line of a dialogue"),
        ("C: \\q", "backslash"),
        ("S: 25", "250 2.1.0"),
        ("S: 2500", "250 2.1.0"),
        ("S: +50", "250 2.1.0"),
        ("S: 600", "250 2.1.0"),
        ("S: 250 ", "250 2.1.0"),
        ("S+:", "a text must follow"),
        ("S*: 250", "3 250 2.1.5"),
        ("S*: 0 250", "3 250 2.1.5"),
        ("S*: 3 250-x", "3 250 2.1.5"),
        ("A: commit", "names its question"),
        ("A: weather fine", "questions are about"),
        ("A: commit own", "durable, disk-full, failed"),
        ("T: 5m", "time passes"),
        ("T: +5d", "time passes"),
        ("T: +05m", "decimal"),
        ("T: +24001h", "time passes"),
        ("TLS: up", "up VERSION CIPHER"),
        ("TLS: up SSLv3 X", "up VERSION CIPHER"),
        ("EOF: now", "no line of a dialogue"),
        ("CLOSE: boredom", "no session ends"),
        ("M: a@b -> c", "angle brackets"),
        ("M: <a@b>", "<SENDER> -> RECIPIENT"),
        ("M: <a@b> -> a, ", "a recipient is missing"),
        ("W: planet mars", "the world has"),
        ("W: domain example.org to=x", "catch-all="),
        ("W: account me", "no address"),
        ("W: account me@example.org colour=red", "in this order"),
        ("W: account me@example.org password=\"a", "never closed"),
        ("W: account me@example.org password=a", "double quotes"),
        ("W: alias a@example.org me@example.org", "only to="),
        ("W: domain  example.org", "one space apart"),
        ("#\u{7}", "control character"),
        ("S: 250 \u{1b}[31m", "control character"),
    ] {
        let error = parse(&format!("{MAGIC}\nlistener: smtp\n# x\n{line}\n")).unwrap_err();
        assert_eq!(error.line, 4, "{line}: {error}");
        assert!(error.what.contains(part), "{line}: {error}");
    }
}

#[test]
fn the_head_stands_before_everything_else_and_in_order() {
    let error = parse("gatepost-dialog 1\npeer: 192.0.2.1\nlistener: smtp\n").unwrap_err();
    assert!(error.what.contains("first line of the head"), "{error}");
    let error = parse("gatepost-dialog 1\nlistener: smtp\nseed: 1\npeer: 192.0.2.1\n").unwrap_err();
    assert!(error.what.contains("stands before"), "{error}");
    let error = parse("gatepost-dialog 1\nlistener: smtp\nS: 220\nseed: 1\n").unwrap_err();
    assert!(error.what.contains("before all others"), "{error}");
}

#[test]
fn a_world_that_contradicts_itself_is_refused_with_its_line() {
    let world =
        |lines: &str| World::of(&parse(&format!("{MAGIC}\nlistener: smtp\n{lines}")).unwrap()).map(|_| ());
    let twice = "W: account me@example.org\nW: alias me@example.org\n";
    assert!(matches!(world(twice), Err((4, what)) if what.contains("taken")));
    let nobody = "W: domain example.org catch-all=me@example.org\n";
    assert!(matches!(world(nobody), Err((3, what)) if what.contains("no account")));
    assert_eq!(world(&format!("{nobody}W: account me@example.org\n")), Ok(()));
}
