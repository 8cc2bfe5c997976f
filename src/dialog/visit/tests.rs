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
            Deed::Connect(..) | Deed::CloseSending(_) | Deed::Break(_) => {}
            Deed::AwaitSilence(_) | Deed::ListMessages => panic!("{deed:?}"),
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
