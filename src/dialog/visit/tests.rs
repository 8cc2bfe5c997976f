use super::score::{by_reply, timings};
use super::*;
use crate::dialog::parse::parse;

const HEAD: &str = "gatepost-dialog 1\nlistener: submissions\nW: domain example.org\n\
                    W: account me@example.org password=\"right\"\n";

/// Plays a dialogue against replies that come in this order; none where the server is gone.
fn visit(source: &str, mapping: Option<&Mapping>, replies: &[&str]) -> (Visited, Vec<String>) {
    let dialog = parse(source).unwrap();
    let mut visitor = Visitor::new(&dialog, mapping, 1_000).unwrap();
    let mut replies = replies.iter();
    let mut sent = Vec::new();
    while let Some(deed) = visitor.next() {
        match deed {
            Deed::Send(_, octets) => sent.push(String::from_utf8(octets).unwrap()),
            Deed::Handshake(..) => visitor.heard(Heard::Secured, 1),
            Deed::AwaitReply(_) => {
                let heard = match replies.next() {
                    Some(text) => {
                        let (code, text) = text.split_at(3);
                        Heard::Reply(Reply::plain(code.parse().unwrap(), text.trim().to_owned()))
                    }
                    None => Heard::Ended(Vec::new()),
                };
                visitor.heard(heard, 1);
            }
            Deed::AwaitEnd(_) => visitor.heard(Heard::Ended(Vec::new()), 1),
            // Nothing is owed, and nothing comes.
            Deed::AwaitSilence(_) => {
                let heard = match replies.as_slice().first() {
                    Some(&"") => Heard::Silence,
                    Some(text) => {
                        Heard::Reply(Reply::plain(text[..3].parse().unwrap(), text[3..].to_owned()))
                    }
                    None => Heard::Ended(Vec::new()),
                };
                replies.next();
                visitor.heard(heard, 60);
            }
            Deed::Connect(..) | Deed::CloseSending(_) | Deed::Break(_) => {}
            Deed::ListMessages => panic!("{deed:?}"),
        }
    }
    (visitor.finish(), sent)
}

fn sorts(visited: &Visited) -> Vec<(usize, Sort)> {
    visited.findings.iter().map(|finding| (finding.line, finding.sort)).collect()
}

fn talk(lines: &str) -> String {
    format!("{HEAD}S: 220\nC: EHLO a\nS: 250\n{lines}")
}

/// `AUTH PLAIN` of me@example.org with a password.
fn plain(login: &str, password: &str) -> String {
    use base64ct::{Base64, Encoding};
    format!("AUTH PLAIN {}", Base64::encode_string(format!("\0{login}\0{password}").as_bytes()))
}

#[test]
fn replies_of_the_same_class_agree_whatever_they_say() {
    let source =
        talk("C: VRFY x\nS: 252 2.1.5 Perhaps\nC: MUMBLE\nS: 500 5.5.2\nC: QUIT\nS: 221\nCLOSE: quit\n");
    let (visited, _) = visit(&source, None, &["220", "250", "250", "421 no", "221"]);
    assert_eq!(visited.findings, []);
}

#[test]
fn a_lost_connection_is_a_crash_unless_the_server_said_good_bye() {
    let (visited, _) = visit(&talk("C: NOOP\nS: 250\nC: NOOP\nS: 250\n"), None, &["220", "250"]);
    assert_eq!(sorts(&visited), [(9, Sort::Crash)]);
    let (visited, _) = visit(&talk("C: MUMBLE\nS: 500\nC: NOOP\nS: 250\n"), None, &["220", "250", "421"]);
    assert_eq!(visited.findings, []);
}

#[test]
fn a_yes_where_a_no_is_written_is_found_and_a_no_for_want_of_a_world_is_not() {
    let source = talk("C: RCPT TO:<x@other.example>\nS: 550\nC: NOOP\nS: 250\n");
    let (visited, _) = visit(&source, None, &["220", "250", "250"]);
    assert_eq!(sorts(&visited), [(9, Sort::WrongClass)]);
    let source = talk("C: RCPT TO:<me@example.org>\nS: 250\nC: DATA\nS: 354\n");
    let (visited, _) = visit(&source, None, &["220", "250", "550"]);
    assert_eq!((visited.findings, visited.left_out), (Vec::new(), 1));
    let (visited, _) = visit(&talk("C: NOOP\nS: 250\n"), None, &["220", "250", "500"]);
    assert_eq!(sorts(&visited), [(9, Sort::WrongClass)]);
}

#[test]
fn an_account_of_the_server_stands_in_for_the_first_of_the_dialogue() {
    let mapping = Mapping {
        account: Some(("real@server.example".to_owned(), "secret".to_owned())),
        unknown: Some("ghost@server.example".to_owned()),
    };
    let lines = [
        format!("C: {}\nS: 235\n", plain("me@example.org", "right")),
        format!("C: {}\nS: 535\n", plain("who@example.org", "right")),
        "C: AUTH LOGIN\nS: 334\nC: bWVAZXhhbXBsZS5vcmc=\nS: 334\nC: cmlnaHQ=\nS: 235\n".to_owned(),
    ];
    let replies = ["220", "250", "235", "535", "334", "334", "235"];
    let (visited, sent) = visit(&talk(&lines.concat()), Some(&mapping), &replies);
    assert_eq!(visited.findings, []);
    let expected = [plain("real@server.example", "secret"), plain("ghost@server.example", "secret")];
    assert_eq!(sent[1].trim(), expected[0]);
    assert_eq!(sent[2].trim(), expected[1]);
    assert_eq!(sent[4].trim(), "cmVhbEBzZXJ2ZXIuZXhhbXBsZQ==");
    assert_eq!(sent[5].trim(), "c2VjcmV0");
}

#[test]
fn refused_logins_that_hear_different_things_tell_names_apart() {
    let lines = format!(
        "C: {}\nS: 535\nC: {}\nS: 535\n",
        plain("me@example.org", "wrong"),
        plain("who@example.org", "wrong")
    );
    let (visited, _) = visit(&talk(&lines), None, &["220", "250", "535 no", "550 who is that"]);
    let found = by_reply(&visited.logins);
    assert_eq!(found.len(), 1);
    assert!(found[0].what.contains("an account hears 535 no, nobody hears 550 who is that"), "{found:?}");
    let (visited, _) = visit(&talk(&lines), None, &["220", "250", "535 no", "535 no"]);
    assert_eq!(by_reply(&visited.logins), []);
}

#[test]
fn times_that_differ_tell_names_apart_and_times_that_mix_do_not() {
    let seen = |kind, took_ms| LoginSeen {
        line: 1,
        way: "AUTH PLAIN".to_owned(),
        kind,
        reply: String::new(),
        took_ms,
    };
    let logins = |slow: u64| -> Vec<LoginSeen> {
        let of = |at: u64| [seen(NameKind::Account, at + slow), seen(NameKind::Unknown, at)];
        (0..20).flat_map(of).collect()
    };
    let apart = timings(&logins(40));
    assert_eq!(apart[0].median_ms, (50, 10));
    assert_eq!(apart[0].auc_per_mille, 1_000);
    assert!(apart[0].finding().is_some());
    assert_eq!(timings(&logins(0))[0].auc_per_mille, 500);
    assert_eq!(timings(&logins(0))[0].finding(), None);
    assert_eq!(timings(&logins(40)[..38]), []);
}

/// What is found in a talk with these replies, and how many sessions are left out in part.
fn judged(lines: &str, replies: &[&str]) -> (Vec<(usize, Sort)>, usize) {
    let replies: Vec<&str> = ["220", "250"].into_iter().chain(replies.iter().copied()).collect();
    let (visited, _) = visit(&talk(lines), None, &replies);
    (sorts(&visited), visited.left_out)
}

#[test]
fn a_server_that_takes_noop_rset_and_a_second_hello_where_gatepost_has_a_limit_is_right() {
    for line in ["NOOP", "NOOP with words", "RSET", "HELP", "EHLO again.example", "HELO again.example"] {
        assert_eq!(
            judged(&format!("C: {line}\nS: 503\nC: QUIT\nS: 221\n"), &["250", "221"]),
            (vec![], 0),
            "{line}"
        );
    }
    let flood = "C-: \\{3:NOOP\\r\\n}\nS: 250\nS: 503\nS: 503\n";
    assert_eq!(judged(flood, &["250", "250", "250"]), (vec![], 0));
    for line in ["NOOP\\n", "EHLO", "NOOP \\x01", "MAIL FROM:<a@b.example>"] {
        assert_eq!(judged(&format!("C: {line}\nS: 500\n"), &["250"]).0, [(9, Sort::WrongClass)], "{line}");
    }
}

#[test]
fn a_server_need_not_have_help_vrfy_and_expn() {
    assert_eq!(judged("C: HELP\nS: 214\nC: NOOP\nS: 250\n", &["502", "250"]), (vec![], 0));
    assert_eq!(judged("C: HELP\nC: HELP me\nS: 214\nS: 214\n", &["502", "502"]), (vec![], 0));
    assert_eq!(judged("C: VRFY me\nS: 252\nC: NOOP\nS: 250\n", &["500", "451"]).0, [(11, Sort::WrongClass)]);
}

#[test]
fn a_server_that_counts_lone_line_ends_otherwise_is_left_out_from_there() {
    let lines = "C-: NO\\nOP\\r\\n\nS: 500\nC: NOOP\nS: 250\n";
    assert_eq!(judged(lines, &["500", "500"]), (vec![], 1));
    let lines = "C-: NOOP\\n\nC: NOOP\nS: 500\n";
    assert_eq!(judged(lines, &["250"]).0, [(10, Sort::WrongClass)], "to take them for line ends is told");
    assert_eq!(judged("C: NOOP \\xc3\\xbc\nS: 250\n", &["500"]), (vec![], 1), "eight bits need not be taken");
}

#[test]
fn an_unasked_good_bye_is_a_no() {
    assert_eq!(judged("C: MUMBLE\nS: 500\nC: NOOP\nS: 250\n", &["221"]), (vec![], 0));
    assert_eq!(judged("C: NOOP\nS: 250\n", &["221"]).0, [(9, Sort::WrongClass)]);
}

#[test]
fn what_no_server_owes_is_no_slow_answer_when_it_does_not_come() {
    for (lines, replies) in [
        ("C-: half a line\nS: 421\n", &[""][..]),
        ("C: BDAT 4294967296 LAST\nS: 552\n", &[""]),
        ("C: BDAT 5\nC-: abc\nS: 503\n", &[""]),
        ("C: BDAT +3\nS: 501\n", &[""]),
        ("C: MUMBLE\nS: 500\nS: 421\nCLOSE: too-many-errors\n", &["500", ""]),
    ] {
        assert_eq!(judged(lines, replies), (vec![], 1), "{lines}");
    }
    assert_eq!(judged("C: BDAT 3\nC-: abc\nS: 503\nC: NOOP\nS: 250\n", &["503", "250"]), (vec![], 0));
}

#[test]
fn a_reply_that_is_owed_and_does_not_come_is_slow() {
    let source = talk("C: NOOP\nS: 250\n");
    let dialog = parse(&source).unwrap();
    let mut visitor = Visitor::new(&dialog, None, 1_000).unwrap();
    let mut awaited = 0;
    while let Some(deed) = visitor.next() {
        match deed {
            Deed::AwaitReply(_) => {
                awaited += 1;
                let heard = if awaited < 3 { Heard::Reply(Reply::plain(250, "")) } else { Heard::Silence };
                visitor.heard(heard, 1);
            }
            Deed::Handshake(..) => visitor.heard(Heard::Secured, 1),
            Deed::AwaitSilence(_) | Deed::ListMessages => panic!("{deed:?}"),
            Deed::Connect(..)
            | Deed::Send(..)
            | Deed::CloseSending(_)
            | Deed::Break(_)
            | Deed::AwaitEnd(_) => {}
        }
    }
    assert_eq!((awaited, sorts(&visitor.finish())), (3, vec![(9, Sort::Slow)]));
}

#[test]
fn a_server_that_had_enough_may_leave_without_a_word() {
    let nine = "C: MUMBLE\nS: 500\n".repeat(9);
    let noes = vec!["500"; 10];
    let end = "C: NOOP\nS: 250\n";
    assert_eq!(judged(&format!("{nine}{end}"), &noes[..9]).0.last(), Some(&(27, Sort::Crash)));
    assert_eq!(judged(&format!("{nine}C: MUMBLE\nS: 500\n{end}"), &noes), (vec![], 1));
    assert_eq!(judged("C: MUMBLE\nS: 500\nS: 421\nCLOSE: too-many-errors\n", &["500"]), (vec![], 1));
    // Exim ends a session after three errors, and says so with the code of the third.
    let said = "500 Too many unrecognized commands";
    assert_eq!(judged(&format!("C: MUMBLE\nS: 500\n{end}"), &[said]), (vec![], 1));
    assert_eq!(judged(&format!("{end}{end}"), &["250", "554 Too many nonmail commands"]), (vec![], 1));
}

#[test]
fn a_name_that_is_no_host_may_be_refused() {
    assert_eq!(judged("C: EHLO a_b\nS: 250\n", &["501"]), (vec![], 1));
    for name in ["a.example", "[192.0.2.1]", "[IPv6:2001:db8::1]"] {
        assert_eq!(
            judged(&format!("C: EHLO {name}\nS: 250\n"), &["501"]).0,
            [(9, Sort::WrongClass)],
            "{name}"
        );
    }
}
