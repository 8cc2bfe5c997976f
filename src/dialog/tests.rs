use super::parse::parse;
use super::play::play;
use super::play::update::{changed, changes};
use super::print::print;
use super::world::World;
use super::*;
use base64ct::{Base64, Encoding};

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
throttle: on

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
OPEN2:
OPEN3: smtp
OPEN4: 2001:db8::1
OPEN99: submissions 198.51.100.7
A: login too-many-from-host
CUT:
CUT99:
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
COUNT: closed/quit 1
# The end.
COUNT: login/wrong-password 20
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
        ("throttle: perhaps", "\"on\" or \"off\""),
        ("OPEN: smtp", "as the head says"),
        ("OPEN2: 192.0.2.1 smtp", "either may be left out"),
        ("OPEN2: smtp smtp", "either may be left out"),
        ("OPEN2: pop3", "either may be left out"),
        ("CUT: here", "no line of a dialogue"),
        ("COUNT: login 3", "only once"),
        ("COUNT: login/x 0", "only once"),
        ("COUNT: login/x 03", "decimal"),
        ("COUNT: login/X 3", "only once"),
        ("Q: x", "no line of a dialogue"),
        ("C", "a tag and a colon"),
        ("C:x", "a space must follow"),
        ("C: ", "nothing follows"),
        ("C1: x", "numbered 2 to"),
        ("C02: x", "numbered 2 to"),
        ("C100: x", "numbered 2 to"),
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
        ("T: +05m", "time passes"),
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

/// What differs when this is played, and what was counted.
fn played(source: &str) -> (Option<String>, Vec<String>) {
    let report = play(&parse(source).unwrap());
    let counters = report.counters.iter().map(|(name, count)| format!("{name} {count}"));
    (report.difference.map(|difference| difference.to_string()), counters.collect())
}

/// Sessions on port 465 that each try one password of their own for one name, all at the same time.
fn guesses(names: &[&str], outcome: impl Fn(usize) -> &'static str) -> String {
    let mut source = format!(
        "{MAGIC}\nlistener: submissions\nthrottle: on\nW: domain example.org\n\
         W: account me@example.org password=\"right one\" app-password=\"key one\"\n"
    );
    for (at, name) in names.iter().enumerate() {
        let number = if at == 0 { String::new() } else { (at + 1).to_string() };
        let password = format!("wrong {at}");
        let text = Base64::encode_string(format!("\0{name}\0{password}").as_bytes());
        source.push_str(&format!(
            "S{number}: 220\nC{number}: EHLO a\nS{number}: 250\nC{number}: AUTH PLAIN {text}\nT: +3600ms\n"
        ));
        source.push_str(&format!("S{number}: {}\n", outcome(at)));
    }
    source
}

#[test]
fn the_throttle_judges_the_logins_of_several_sessions_of_one_source() {
    let names = ["me@example.org"; 22];
    let source = guesses(&names, |at| if at < 20 { "535 5.7.8" } else { "454 4.7.0" });
    let (difference, counters) = played(&source);
    assert_eq!(difference, None);
    assert_eq!(counters, ["login/too-many-from-host 2", "login/wrong-password 20", "tls/up 22"]);
    let (difference, _) = played(&source.replace("throttle: on", "throttle: off"));
    assert!(difference.unwrap().contains("454"), "without the throttle nobody is turned away");
}

#[test]
fn with_a_throttle_a_refusal_leaves_on_the_grid_and_a_right_password_at_once() {
    let refused = guesses(&["me@example.org"], |_| "535");
    assert_eq!(played(&refused).0, None);
    let early = played(&refused.replace("+3600ms", "+499ms")).0.unwrap();
    assert!(early.contains("no reply came"), "{early}");
    assert_eq!(played(&refused.replace("+3600ms", "+500ms")).0, None);
    for password in ["right one", "key one"] {
        let text = |password| Base64::encode_string(format!("\0me@example.org\0{password}").as_bytes());
        let right = refused.replace(&text("wrong 0"), &text(password)).replace("535", "235");
        assert_eq!(played(&right.replace("T: +3600ms\n", "")).0, None, "{password}");
    }
}

#[test]
fn a_password_that_opens_is_accepted_whatever_the_throttle_holds_only_if_it_is_for_an_application() {
    let names = ["me@example.org"; 21];
    let source = guesses(&names, |at| if at < 20 { "535" } else { "235" });
    let with = |password| {
        let text = |password: &str| Base64::encode_string(format!("\0me@example.org\0{password}").as_bytes());
        played(&source.replace(&text("wrong 20"), &text(password))).0
    };
    assert_eq!(with("key one"), None);
    assert!(with("right one").unwrap().contains("454"));
}

#[test]
fn a_session_opens_where_it_says_from_where_it_says() {
    let source = format!(
        "{MAGIC}\nlistener: smtp\nW: domain example.org\nS: 220\nOPEN2: submission 198.51.100.7\nS2: 220\n\
         C2: EHLO a\nS2: 250\nC: EHLO a\nS: 250\nS!: AUTH\nOPEN3: submissions\n\
         TLS3: up TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256\nS3: 220\nC3: EHLO a\nS3: 250\nS3+: SMTPUTF8\n"
    );
    assert_eq!(played(&source).0, None);
    let twice = played(&source.replace("OPEN2: submission 198.51.100.7\nS2: 220\n", "S2: 220\nOPEN2:\n"));
    assert!(twice.0.unwrap().contains("open already"));
    let late = played(&source.replace("TLS3: up", "S3: 220\nTLS3: up"));
    assert!(late.0.unwrap().contains("no handshake was asked for"));
}

#[test]
fn what_a_session_does_after_its_cut_is_neither_compared_nor_counted() {
    let source = format!("{MAGIC}\nlistener: smtp\nS: 220\nC: VRFY me\nCUT:\nT: +1h\n");
    assert_eq!(played(&source), (None, vec!["probe/vrfy 1".to_owned()]));
    let more = played(&format!("{source}C: QUIT\n")).0.unwrap();
    assert!(more.starts_with("line 7") && more.contains("cut above"), "{more}");
}

#[test]
fn where_one_counter_is_written_down_all_are_compared() {
    let source =
        format!("{MAGIC}\nlistener: smtp\nS: 220\nC: VRFY me\nS: 252\nC: QUIT\nS: 221\nCLOSE: quit\n");
    assert_eq!(played(&source).0, None);
    let all = format!("{source}COUNT: closed/quit 1\nCOUNT: probe/vrfy 1\n");
    assert_eq!(played(&all).0, None);
    let other = played(&all.replace("vrfy 1", "vrfy 2")).0.unwrap();
    assert!(other.starts_with("line 10") && other.contains("1 were counted"), "{other}");
    let less = played(&all.replace("COUNT: probe/vrfy 1\n", "")).0.unwrap();
    assert!(less.contains("not written down: COUNT: probe/vrfy 1"), "{less}");
    let error = parse(&format!("{all}C: QUIT\n")).unwrap_err();
    assert!(error.what.contains("follow a \"COUNT:\""), "{error}");
}

/// The dialogue as it would have to be.
fn updated(source: &str) -> String {
    let dialog = parse(source).unwrap();
    let agreed = changed(&dialog, &changes(&dialog).unwrap());
    assert_eq!(play(&agreed).difference, None, "{}", print(&agreed));
    print(&agreed)
}

#[test]
fn a_dialogue_that_agrees_needs_no_change() {
    let source = guesses(&["me@example.org"; 21], |at| if at < 20 { "535" } else { "454" });
    assert_eq!(updated(&source), source);
}

#[test]
fn a_dialogue_without_replies_gets_those_that_come() {
    let source = format!(
        "{MAGIC}\nlistener: smtp\n# Bare.\nW: domain example.org\nC: EHLO a\nC: NOOP\nC: MAIL FROM:<a@b.example>\n\
         # The end.\nC: QUIT\nCOUNT: probe/vrfy 4\n"
    );
    let source = updated(&source);
    let greeted = "S: 220 mail.example.org ESMTP\nC: EHLO a\nC: NOOP\nC: MAIL";
    assert!(source.contains(greeted), "what is sent in a row stays so: {source}");
    assert!(source.ends_with("CLOSE: quit\nCOUNT: closed/quit 1\n"), "{source}");
    assert_eq!(updated(&source), source);
}

#[test]
fn what_does_not_come_is_taken_out_and_what_comes_instead_is_put_there() {
    let head = format!("{MAGIC}\nlistener: smtp\nS: 220\n");
    let source = updated(&format!("{head}C: HELO a\nS: 500\nS+: x\nC: QUIT\nS*: 3 221\nCLOSE: idle\n"));
    assert_eq!(source, format!("{head}C: HELO a\nS: 250 mail.example.org\nC: QUIT\nS: 221\nCLOSE: quit\n"));
    let more = updated(&format!("{head}S: 220\nC: QUIT\nS: 250-x\nS: 250 y\nCLOSE: quit\nM: none\n"));
    assert!(more.starts_with(&format!("{head}C: QUIT\nS: 221 2.0.0 ")), "{more}");
}

#[test]
fn what_no_expectation_mends_is_told() {
    let dialog = parse(&format!("{MAGIC}\nlistener: smtp\nS: 220\nTLS: failed\n")).unwrap();
    assert!(changes(&dialog).unwrap_err().what.contains("no handshake"));
}
