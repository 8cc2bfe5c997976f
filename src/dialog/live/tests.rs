use super::*;
use crate::dialog::parse::parse;
use crate::types::{Enhanced, MailId, UnixTime};

const HEAD: &str = "gatepost-dialog 1\nlistener: smtp\nW: domain example.org\nW: account me@example.org\n";
const SUBMISSIONS: &str = "gatepost-dialog 1\nlistener: submissions\n";

fn dialog(head: &str, lines: &str) -> Dialog {
    parse(&format!("{head}{lines}")).unwrap()
}

fn peer() -> IpAddr {
    "192.0.2.7".parse().unwrap()
}

fn reply(code: u16) -> Heard {
    Heard::Reply(Reply::plain(code, "text"))
}

/// Does what a dialogue says and hears this, in order; returns the deeds and how it ended.
fn call(dialog: &Dialog, heard: impl IntoIterator<Item = Heard>) -> (Vec<Deed>, Step) {
    let mut caller = Caller::new(dialog, peer());
    let mut heard = heard.into_iter();
    let mut deeds = Vec::new();
    loop {
        let deed = match caller.next() {
            Ok(Some(deed)) => deed,
            Ok(None) => return (deeds, Ok(())),
            Err(difference) => return (deeds, Err(difference)),
        };
        deeds.push(deed);
        if caller.awaited.is_some()
            && let Err(difference) = caller.heard(heard.next().unwrap_or(Heard::Silence))
        {
            return (deeds, Err(difference));
        }
    }
}

/// The line and the words of a difference.
fn found(dialog: &Dialog, heard: impl IntoIterator<Item = Heard>) -> (usize, String) {
    let difference = call(dialog, heard).1.unwrap_err();
    (difference.line, difference.what)
}

fn tls(cipher: &str) -> TlsFacts {
    TlsFacts { version: "TLSv1.3", cipher: cipher.to_owned(), bindings: usual_tls().bindings }
}

fn message(sender: &str, octets: &str) -> LiveMessage {
    LiveMessage {
        sender: sender.to_owned(),
        copies: vec!["me@example.org".to_owned()],
        id: MailId::new(UnixTime(1_795_495_657), 7),
        received: UnixTime(1_795_495_657),
        octets: octets.as_bytes().to_vec(),
    }
}

#[test]
fn what_a_client_says_in_a_row_is_sent_at_once_and_replies_are_awaited_one_by_one() {
    let dialog = dialog(
        HEAD,
        "S: 220\nC: NOOP\n# A comment is no pause.\nC-: NO\nC: OP\nS*: 2 250\nC: QUIT\nS: 221\n",
    );
    let (deeds, ended) = call(&dialog, [reply(220), reply(250), reply(250), reply(221), Heard::Silence]);
    assert_eq!(ended, Ok(()));
    let expected = [
        Deed::Connect(1, Listener::Smtp),
        Deed::AwaitReply(1),
        Deed::Send(1, b"NOOP\r\nNOOP\r\n".to_vec()),
        Deed::AwaitReply(1),
        Deed::AwaitReply(1),
        Deed::Send(1, b"QUIT\r\n".to_vec()),
        Deed::AwaitReply(1),
        Deed::AwaitSilence(1),
    ];
    assert_eq!(deeds, expected);
}

#[test]
fn each_session_has_a_connection_of_its_own() {
    let dialog = dialog(HEAD, "S: 220\nS2: 220\nC: NOOP\nC2: NOOP\nS: 250\nS2: 251\n");
    let (deeds, ended) = call(&dialog, [reply(220), reply(220), reply(250), reply(250)]);
    assert_eq!(deeds.iter().filter(|deed| matches!(deed, Deed::Connect(..))).count(), 2);
    assert_eq!(deeds.last(), Some(&Deed::AwaitReply(2)));
    assert!(ended.unwrap_err().what.contains("expected 251"));
}

#[test]
fn another_reply_and_none_are_found_on_their_line() {
    let dialog = dialog(HEAD, "S: 220\nC: NOOP\nS: 250 2.0.0\n");
    let wrong = Reply::new(250, Enhanced(2, 1, 0), "OK");
    assert_eq!(found(&dialog, [reply(220), Heard::Reply(wrong)]).0, 7);
    assert_eq!(found(&dialog, [reply(220), Heard::Silence]).0, 7);
    assert_eq!(found(&dialog, [reply(220), Heard::Ended(Vec::new())]).0, 7);
    assert_eq!(found(&dialog, [reply(220), Heard::NoReply("x".to_owned())]).0, 7);
}

#[test]
fn lines_of_a_reply_are_compared() {
    let dialog = dialog(HEAD, "S: 250-mx\nS: 250 SIZE 1\nS+: SIZE 1\nS!: AUTH\n");
    let mut ehlo = Reply::plain(250, "mx");
    ehlo.lines.push("SIZE 1".into());
    assert_eq!(call(&dialog, [Heard::Reply(ehlo.clone()), Heard::Silence]).1, Ok(()));
    ehlo.lines.push("AUTH PLAIN".into());
    assert_eq!(found(&dialog, [Heard::Reply(ehlo.clone())]).0, 6);
    let dialog = self::dialog(HEAD, "S: 250\nS+: SIZE 1\nS!: AUTH\n");
    assert_eq!(found(&dialog, [Heard::Reply(ehlo)]).0, 7);
    assert_eq!(found(&dialog, [reply(250)]).0, 6);
}

#[test]
fn a_reply_or_an_end_that_is_not_written_down_is_found() {
    let silent = dialog(HEAD, "S: 220\n");
    assert_eq!(found(&silent, [reply(220), reply(250)]).0, 6);
    assert_eq!(found(&silent, [reply(220), Heard::Ended(Vec::new())]).0, 6);
    let ended = dialog(HEAD, "S: 220\nCLOSE: quit\n");
    assert_eq!(call(&ended, [reply(220), Heard::Ended(Vec::new())]).1, Ok(()));
    assert!(found(&ended, [reply(220), Heard::Ended(b"250 more\r\n".to_vec())]).1.contains("250 more"));
    assert!(found(&ended, [reply(220), Heard::Silence]).1.contains("ended"));
}

#[test]
fn a_door_within_tls_begins_with_a_handshake_and_a_first_line_says_which() {
    let usual = dialog(SUBMISSIONS, "S: 220\n");
    let (deeds, _) = call(&usual, [Heard::Secured, reply(220)]);
    assert_eq!(deeds.get(1), Some(&Deed::Handshake(1, usual_tls())));
    let said = dialog(SUBMISSIONS, "TLS: up TLSv1.3 TLS_AES_128_GCM_SHA256\nS: 220\n");
    let (deeds, ended) = call(&said, [Heard::Secured, reply(220), Heard::Silence]);
    let expected = [
        Deed::Connect(1, Listener::Submissions),
        Deed::Handshake(1, tls("TLS_AES_128_GCM_SHA256")),
        Deed::AwaitReply(1),
        Deed::AwaitSilence(1),
    ];
    assert_eq!((deeds.as_slice(), ended), (expected.as_slice(), Ok(())));
    let failed = dialog(SUBMISSIONS, "TLS: failed\nCLOSE: tls-failed\n");
    let (deeds, _) = call(&failed, [Heard::Ended(Vec::new())]);
    let expected =
        [Deed::Connect(1, Listener::Submissions), Deed::Send(1, NO_HANDSHAKE.to_vec()), Deed::AwaitEnd(1)];
    assert_eq!(deeds, expected);
    assert!(found(&usual, [Heard::NotSecured("no cipher".to_owned())]).1.contains("no cipher"));
}

#[test]
fn only_a_failed_handshake_may_end_with_an_alert() {
    let alert = [0x15, 3, 3, 0, 2, 2, 10];
    let failed = dialog(HEAD, "S: 220\nCLOSE: tls-failed\n");
    assert_eq!(call(&failed, [reply(220), Heard::Ended(alert.to_vec())]).1, Ok(()));
    for octets in [b"500 no\r\n".to_vec(), [&alert, &alert[..3]].concat(), alert[..6].to_vec()] {
        assert!(call(&failed, [reply(220), Heard::Ended(octets)]).1.is_err());
    }
    let quit = dialog(HEAD, "S: 220\nCLOSE: quit\n");
    assert!(call(&quit, [reply(220), Heard::Ended(alert.to_vec())]).1.is_err());
}

#[test]
fn nothing_is_awaited_of_a_connection_that_the_client_broke() {
    let dialog = dialog(HEAD, "S: 220\nRST:\nCLOSE: broken\nM: none\n");
    let (deeds, ended) = call(&dialog, [reply(220), Heard::Messages(Vec::new())]);
    assert_eq!(ended, Ok(()));
    assert_eq!(
        deeds,
        [Deed::Connect(1, Listener::Smtp), Deed::AwaitReply(1), Deed::Break(1), Deed::ListMessages]
    );
}

#[test]
fn messages_are_listed_again_only_after_something_happened() {
    let one = || message("<a@b.example>", "Return-Path: <a@b.example>\r\nReceived: x\r\nbody\r\n");
    let dialog = dialog(
        HEAD,
        "M: none\nS: 220\nM: <a@b.example> -> me@example.org\nP: Return-Path:\nB: body\nM: none\n",
    );
    let heard = || [Heard::Messages(Vec::new()), reply(220), Heard::Messages(vec![one()]), Heard::Silence];
    let (deeds, ended) = call(&dialog, heard());
    assert_eq!(ended, Ok(()));
    let expected = [
        Deed::ListMessages,
        Deed::Connect(1, Listener::Smtp),
        Deed::AwaitReply(1),
        Deed::ListMessages,
        Deed::AwaitSilence(1),
    ];
    assert_eq!(deeds, expected);
    let another = [Heard::Messages(vec![one()])];
    assert_eq!(found(&dialog, another).0, 5);
    let mut longer = one();
    longer.octets.extend_from_slice(b"more\r\n");
    let (line, what) = found(&dialog, [Heard::Messages(vec![]), reply(220), Heard::Messages(vec![longer])]);
    assert!(line == 10 && what.contains("goes on"), "{line}: {what}");
}

#[test]
fn the_copies_of_a_message_are_taken_in_any_order() {
    let dialog = dialog(HEAD, "M: <> -> me@example.org, b@example.org\n");
    let mut one = message("<>", "");
    one.copies = vec!["b@example.org".to_owned(), "me@example.org".to_owned()];
    assert_eq!(call(&dialog, [Heard::Messages(vec![one.clone()])]).1, Ok(()));
    one.copies.pop();
    assert!(call(&dialog, [Heard::Messages(vec![one])]).1.is_err());
}

#[test]
fn address_and_time_are_those_of_the_dialogue() {
    let id = message("<>", "").id;
    let octets = &format!(
        "Return-Path: <>\r\nReceived: from [192.0.2.7] ([192.0.2.7])\r\n\tby mail.example.org;\r\n\t\
                  Tue, 24 Nov 2026 04:47:37 +0000\r\nDate: Tue, 24 Nov 2026 04:47:37 +0000\r\n\
                  Message-ID: <{id}@mail.example.org>\r\nSubject: x\r\n"
    );
    assert!(message("<>", octets).came_from(peer()));
    assert!(!message("<>", octets).came_from("192.0.2.8".parse().unwrap()));
    let fields = "M: <> -> me@example.org\n\
                  P: Received: from [203.0.113.9] ([203.0.113.9]) by mail.example.org; Tue, 24 Nov 2026 00:00:00\n";
    let submitted = dialog(
        SUBMISSIONS,
        &format!("{fields}P: Date: Tue, 24 Nov 2026 00:00:00\nP: Message-ID: <\nB: Subject: x\n"),
    );
    assert_eq!(call(&submitted, [Heard::Messages(vec![message("<>", octets)])]).1, Ok(()));
    // On port 25 nothing is added, so what looks so came with the message.
    let strange = dialog(HEAD, &format!("{fields}P!: Date:\nB: Date: Tue, 24 Nov 2026 04:47:37 +0000\n"));
    let (line, what) = found(&strange, [Heard::Messages(vec![message("<>", octets)])]);
    assert!(line == 9 && what.contains("the body goes on: Message-ID"), "{line}: {what}");
}

#[test]
fn what_no_server_can_be_made_to_do_is_named_with_its_line() {
    for (lines, why) in [
        ("A: commit failed\n", InMemoryOnly::AnswerGiven),
        ("T: +1s\n", InMemoryOnly::TimePasses),
        ("STOP:\n", InMemoryOnly::ServerLeaves),
        ("W: unavailable\n", InMemoryOnly::DirectoryUnavailable),
        ("W: alias all@example.org\n", InMemoryOnly::AliasWithoutMembers),
    ] {
        assert_eq!(in_memory_only(&dialog(HEAD, lines)), Some((5, why)));
    }
    let rest = "W: alias all@example.org to=me@example.org\nS: 220\nC: NOOP\nS*: 2 250\nS+: x\nS!: x\n\
                TLS: up TLSv1.2 X\nTLS: failed\nEOF:\nRST:\nCLOSE: quit\nM: none\n";
    assert_eq!(in_memory_only(&dialog(HEAD, rest)), None);
    assert_eq!(found(&dialog(HEAD, "S: 220\nSTOP:\n"), [reply(220)]).0, 6);
}

#[test]
fn whoever_does_not_tell_what_came_is_told_so() {
    let dialog = dialog(HEAD, "S: 220\n");
    let mut caller = Caller::new(&dialog, peer());
    assert!(caller.heard(Heard::Silence).is_err());
    assert_eq!(caller.next().unwrap(), Some(Deed::Connect(1, Listener::Smtp)));
    assert_eq!(caller.next().unwrap(), Some(Deed::AwaitReply(1)));
    assert!(caller.next().is_err());
}
