//! The session as its drivers see it. What is better said as a conversation stands in `tests/dialogs`.

use super::*;
use crate::contract::{Action, CommitAnswer, Listener, Question, RoomAnswer, TlsFacts};
use crate::policy::recipient::RecipientLookup;
use crate::types::{AccountId, Moment, SessionId, UnixTime};

fn session(listener: Listener) -> Session {
    let facts = PeerFacts { session: SessionId(1), address: "203.0.113.9".parse().unwrap(), listener };
    let settings = Settings {
        hostname: Domain::parse("mx.example.org").unwrap(),
        message_octets_max: 1_000,
        tls_available: true,
        scram: crate::types::ScramUse::All,
        idle_ms: 300_000,
    };
    Session::new(facts, Arc::new(settings), Chance::from_seed([7; 32]))
}

/// Plays a whole stream, answering every question at once, and writes down what happened.
struct Driver {
    session: Session,
    now: Now,
    wire: Vec<u8>,
    kept: Vec<u8>,
    commits: Vec<Vec<u8>>,
    prefixes: Vec<Vec<u8>>,
    story: Vec<String>,
    pending: Vec<u8>,
    commit_answer: CommitAnswer,
}

impl Driver {
    fn new(listener: Listener) -> Self {
        let now = Now { moment: Moment(1_000), unix: UnixTime(1_700_000_000) };
        let mut driver = Self {
            session: session(listener),
            now,
            wire: Vec::new(),
            kept: Vec::new(),
            commits: Vec::new(),
            prefixes: Vec::new(),
            story: Vec::new(),
            pending: Vec::new(),
            commit_answer: CommitAnswer::Durable,
        };
        driver.event(Event::Opened);
        driver
    }

    fn event(&mut self, event: Event<'_>) -> usize {
        let mut out = Actions::new();
        let taken = self.session.step(self.now, event, &mut out);
        self.perform(out);
        taken
    }

    fn perform(&mut self, mut out: Actions) {
        let actions = out.take();
        assert!(actions.len() <= limits::ACTIONS_PER_STEP_MAX);
        for action in actions {
            match action {
                Action::Say(reply) => reply.encode(&mut self.wire),
                Action::Keep(piece) => self.kept.extend(piece),
                Action::Forget => self.kept.clear(),
                Action::Ask(ticket, question) => {
                    let answer = self.answer(question);
                    self.event(Event::Answered(ticket, answer));
                }
                Action::StartTls => self.story.push("tls".into()),
                Action::Close(cause) => self.story.push(cause.name().into()),
                Action::Arm(..) => {}
                // Counted and never a line.
                Action::Note(Note::Offence(_) | Note::Verify | Note::EarlyTalk) => {}
                Action::Note(note) => self.story.push(format!("{note:?}")),
            }
        }
    }

    fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Room(_) => Answer::Room(RoomAnswer::Enough),
            Question::Sender(..) => Answer::Sender(crate::policy::sender::SenderLookup::Own),
            Question::Recipient(path) if path.to_string().contains("nobody") => {
                Answer::Recipient(RecipientLookup::NoSuchAddress)
            }
            Question::Recipient(_) => Answer::Recipient(RecipientLookup::Account(AccountId(1))),
            Question::Login { .. } => Answer::Login(crate::auth::verdict::LoginVerdict::Accepted(
                AccountId(1),
                crate::auth::verdict::ProvenBy::MainPassword,
            )),
            Question::Salt(_) | Question::Proof(_) => panic!("no test here uses SCRAM"),
            Question::Commit(commit) => {
                assert_eq!(commit.body_octets, u64::try_from(self.kept.len()).unwrap());
                self.commits.push(std::mem::take(&mut self.kept));
                self.prefixes.push(commit.prefix);
                Answer::Commit(self.commit_answer)
            }
        }
    }

    /// Gives octets as one read, as often as the session takes some.
    fn read(&mut self, octets: &[u8]) {
        self.pending.extend_from_slice(octets);
        while self.session.wants_read() && !self.pending.is_empty() {
            let input = std::mem::take(&mut self.pending);
            let taken = self.event(Event::Bytes(&input));
            assert!(taken > 0, "a session that wants to read takes something");
            self.pending = input[taken..].to_vec();
        }
    }

    fn outcome(mut self) -> (String, Vec<Vec<u8>>, Vec<String>, Vec<u8>) {
        let wire = String::from_utf8(std::mem::take(&mut self.wire)).unwrap();
        (wire, self.commits, self.story, self.pending)
    }
}

fn play(listener: Listener, pieces: &[&[u8]]) -> (String, Vec<Vec<u8>>, Vec<String>, Vec<u8>) {
    let mut driver = Driver::new(listener);
    pieces.iter().for_each(|piece| driver.read(piece));
    driver.outcome()
}

fn codes(wire: &str) -> Vec<&str> {
    wire.lines().filter(|line| line.as_bytes().get(3) == Some(&b' ')).map(|line| &line[..3]).collect()
}

const MESSAGE: &[u8] = b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<me@example.org>\r\n\
    RCPT TO:<nobody@example.org>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nMAIL FROM:<>\r\n\
    RCPT TO:<me@example.org>\r\nBDAT 3\r\nabcBDAT 2 LAST\r\n\r\nNOOP\nx\r\nQUIT\r\n";

#[test]
fn a_pipelined_session_is_answered_in_order() {
    let (wire, commits, ..) = play(Listener::Smtp, &[MESSAGE]);
    assert_eq!(
        codes(&wire),
        ["220", "250", "250", "250", "550", "354", "250", "250", "250", "250", "250", "500", "221"]
    );
    assert_eq!(commits, [b"Subject: x\r\n\r\n.dot\r\n".to_vec(), b"abc\r\n".to_vec()]);
}

#[test]
fn how_octets_are_divided_into_reads_changes_nothing() {
    for input in [
        MESSAGE,
        b"EHLO a\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<a@b.example>\r\nDATA\r\nx\n.\r\nMAIL\r\n.\r\nQUIT\r\n",
        b"EHLO a\r\nBDAT 10 LAST\r\nRSET\r\nQUITNOOP\r\nSTARTTLS\r\nEHLO b\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let whole = play(Listener::Smtp, &[input]);
        for first in 0..=input.len() {
            let pieces = [&input[..first], &input[first..]];
            let mut cut = play(Listener::Smtp, &pieces);
            if whole.2.iter().any(|line| line.contains("not-smtp") || line.contains("NotSmtp")) {
                // Behind the end of a session nothing is read, so what is left over differs.
                cut.3.clone_from(&whole.3);
            }
            assert_eq!(cut, whole, "cut at {first} of {}", input.escape_ascii());
        }
        let single: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(play(Listener::Smtp, &single).0, whole.0);
    }
}

#[test]
fn what_follows_starttls_is_not_taken() {
    let (wire, _, story, rest) =
        play(Listener::Smtp, &[b"EHLO a\r\nSTARTTLS\r\nMAIL FROM:<x@y.example>\r\n"]);
    assert_eq!(codes(&wire), ["220", "250", "220"]);
    assert_eq!(story, ["tls"]);
    assert_eq!(rest, b"MAIL FROM:<x@y.example>\r\n");
}

#[test]
fn starttls_forgets_the_ehlo_and_the_envelope() {
    let mut driver = Driver::new(Listener::Smtp);
    driver.read(b"EHLO a\r\nMAIL FROM:<a@b.example>\r\nSTARTTLS\r\n");
    driver.event(Event::TlsUp(TlsFacts {
        version: "TLSv1.3",
        cipher: "X".into(),
        bindings: Default::default(),
    }));
    driver.read(b"RCPT TO:<me@example.org>\r\nMAIL FROM:<a@b.example>\r\nEHLO a\r\n");
    let (wire, ..) = driver.outcome();
    assert_eq!(codes(&wire)[4..], ["503", "503", "250"]);
    assert!(!wire.rsplit("250-mx").next().unwrap().contains("STARTTLS"));
}

#[test]
fn no_250_leaves_before_the_commit_is_answered() {
    let mut driver = Driver::new(Listener::Smtp);
    driver.commit_answer = CommitAnswer::Failed;
    driver.read(b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<me@example.org>\r\nDATA\r\nx\r\n.\r\n");
    let (wire, ..) = driver.outcome();
    assert_eq!(codes(&wire).last(), Some(&"451"));
}

#[test]
fn an_answer_with_another_ticket_changes_nothing() {
    let mut session = session(Listener::Smtp);
    let now = Now::default();
    let mut out = Actions::new();
    session.step(now, Event::Opened, &mut out);
    session.step(now, Event::Bytes(b"EHLO a\r\nMAIL FROM:<>\r\n"), &mut out);
    out.take();
    session.step(now, Event::Answered(Ticket(99), Answer::Room(RoomAnswer::Enough)), &mut out);
    assert!(out.take().iter().all(|action| matches!(action, Action::Arm(..))));
    assert!(!session.wants_read());
}

#[test]
fn a_hundred_thousand_noops_are_ended_by_a_limit() {
    let flood = b"NOOP\r\n".repeat(100_000);
    let (wire, _, story, _) = play(Listener::Smtp, &[&flood]);
    assert_eq!(codes(&wire).last(), Some(&"421"));
    assert_eq!(story.last().map(String::as_str), Some("too-many-errors"));
    assert_eq!(story.len(), 2, "one note and the end");
}

#[test]
fn ten_megabytes_without_a_line_end_are_answered_once_and_the_session_is_in_step() {
    let mut driver = Driver::new(Listener::Smtp);
    let block = vec![b'x'; 1 << 16];
    (0..160).for_each(|_| driver.read(&block));
    driver.read(b"\r\nNOOP\r\n");
    let (wire, ..) = driver.outcome();
    assert_eq!(codes(&wire), ["220", "500", "250"]);
}

#[test]
fn silence_ends_a_session_and_our_own_slowness_does_not() {
    let mut session = session(Listener::Smtp);
    let mut out = Actions::new();
    session.step(Now::default(), Event::Opened, &mut out);
    session.step(Now::default(), Event::Bytes(b"EHLO a\r\nMAIL FROM:<>\r\n"), &mut out);
    session.step(Now::default(), Event::Due(Timer::Idle), &mut out);
    assert!(!session.is_over(), "MAIL waits for us");
    session.step(Now::default(), Event::Answered(Ticket(0), Answer::Room(RoomAnswer::Enough)), &mut out);
    session.step(Now::default(), Event::Due(Timer::Idle), &mut out);
    assert!(session.is_over());
    let mut wire = Vec::new();
    for action in out.take() {
        if let Action::Say(reply) = action {
            reply.encode(&mut wire);
        }
    }
    assert!(String::from_utf8(wire).unwrap().ends_with("421 4.4.2 Timeout, closing connection\r\n"));
}

#[test]
fn a_stopping_server_says_nothing_in_the_clear_behind_the_220_to_starttls() {
    let mut driver = Driver::new(Listener::Smtp);
    driver.read(b"EHLO a\r\nMAIL FROM:<a@b.example>\r\n");
    driver.event(Event::Stopping);
    driver.read(b"STARTTLS\r\n");
    assert!(driver.wire.ends_with(b"220 2.0.0 Ready to start TLS\r\n"));
    assert!(!driver.session.is_over());
    driver.event(Event::TlsUp(TlsFacts {
        version: "TLSv1.3",
        cipher: "X".into(),
        bindings: Default::default(),
    }));
    assert!(driver.wire.ends_with(b"421 4.3.2 Server is stopping, try again later\r\n"));
    assert!(driver.session.is_over());
}

#[test]
fn when_the_server_stops_an_idle_session_leaves_and_a_transaction_may_end() {
    let mut idle = Driver::new(Listener::Smtp);
    idle.event(Event::Stopping);
    assert!(idle.wire.ends_with(b"421 4.3.2 Server is stopping, try again later\r\n"));

    let mut busy = Driver::new(Listener::Smtp);
    busy.read(b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<me@example.org>\r\nDATA\r\n");
    busy.event(Event::Stopping);
    assert!(!busy.session.is_over());
    busy.read(b"x\r\n.\r\nMAIL FROM:<>\r\n");
    let (wire, commits, ..) = busy.outcome();
    assert_eq!(codes(&wire)[5..], ["250", "421"]);
    assert_eq!(commits.len(), 1);
}

#[test]
fn a_message_over_the_ceiling_is_read_to_its_end_and_refused() {
    let mut input = b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<me@example.org>\r\nDATA\r\n".to_vec();
    input.extend(b"x\r\n".repeat(1_000));
    input.extend(b".\r\nNOOP\r\n");
    let (wire, commits, ..) = play(Listener::Smtp, &[&input]);
    assert_eq!(codes(&wire)[5..], ["552", "250"]);
    assert!(commits.is_empty());
}

#[test]
fn octets_of_a_refused_chunk_are_never_commands() {
    let (wire, ..) = play(Listener::Smtp, &[b"EHLO a\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"]);
    assert_eq!(codes(&wire), ["220", "250", "503", "250"]);
}

#[test]
fn a_chunk_that_would_wrap_the_sum_is_refused() {
    let (wire, _, story, _) = play(
        Listener::Smtp,
        &[b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<me@example.org>\r\nBDAT 5\r\nabcdeBDAT 18446744073709551615 LAST\r\n"],
    );
    assert_eq!(codes(&wire)[4..], ["250", "552", "421"]);
    assert_eq!(story.last().map(String::as_str), Some("too-many-errors"));
}

#[test]
fn submission_gives_nothing_away_before_tls_and_auth() {
    let (wire, ..) = play(
        Listener::Submission,
        &[b"EHLO a\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<>\r\nRSET\r\nBDAT 3 LAST\r\nabcNOOP\r\nQUIT\r\n"],
    );
    assert_eq!(codes(&wire), ["220", "250", "530", "530", "530", "530", "250", "221"]);
    assert!(!wire.contains("AUTH"));
}

#[test]
fn three_refused_logins_end_the_session() {
    let mut session = session(Listener::Submissions);
    let now = Now::default();
    let mut wire = Vec::new();
    let mut out = Actions::new();
    session.step(
        now,
        Event::TlsUp(TlsFacts { version: "TLSv1.3", cipher: "X".into(), bindings: Default::default() }),
        &mut out,
    );
    session.step(now, Event::Opened, &mut out);
    session.step(now, Event::Bytes(b"EHLO a\r\n"), &mut out);
    for ticket in 0..3 {
        session.step(now, Event::Bytes(b"AUTH PLAIN AGEAYg==\r\n"), &mut out);
        let verdict =
            crate::auth::verdict::LoginVerdict::Refused(crate::auth::verdict::Refusal::NoSuchAddress);
        session.step(now, Event::Answered(Ticket(ticket), Answer::Login(verdict)), &mut out);
        for action in out.take() {
            if let Action::Say(reply) = action {
                reply.encode(&mut wire);
            }
        }
    }
    let wire = String::from_utf8(wire).unwrap();
    assert_eq!(codes(&wire), ["220", "250", "535", "535", "535", "421"]);
    assert!(session.is_over());
}

#[test]
fn an_empty_line_parts_our_fields_from_text_without_a_header_and_from_nothing_else() {
    let mut driver = Driver::new(Listener::Smtp);
    driver.read(b"EHLO c.example\r\n");
    for body in [&b"It works.\r\n"[..], b" Subject: x\r\n", b"Subject: x\r\n", b"\r\ntext\r\n", b""] {
        driver.read(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<me@example.org>\r\nDATA\r\n");
        driver.read(body);
        driver.read(b".\r\n");
    }
    let parted: Vec<bool> = driver.prefixes.iter().map(|prefix| prefix.ends_with(b"\r\n\r\n")).collect();
    assert_eq!(parted, [true, true, false, false, false]);
}

/// A session that is served at a pace, and has just been opened.
fn paced(pace: Pace) -> (Session, Actions) {
    let mut session = session(Listener::Smtp);
    let mut out = Actions::new();
    session.step(Now::default(), Event::Paced(pace), &mut out);
    session.step(Now::default(), Event::Opened, &mut out);
    (session, out)
}

fn said(out: &mut Actions) -> String {
    let mut wire = Vec::new();
    for action in out.take() {
        if let Action::Say(reply) = action {
            reply.encode(&mut wire);
        }
    }
    String::from_utf8(wire).unwrap()
}

#[test]
fn who_has_a_record_waits_for_the_greeting_and_is_caught_talking_into_the_silence() {
    let (mut session, mut out) = paced(Pace { greeting_ms: 2_000, refusal_ms: 0 });
    assert!(session.wants_read(), "it listens for early talk");
    assert_eq!(session.step(Now::default(), Event::Bytes(b"EHLO a\r\n"), &mut out), 0);
    assert!(!session.wants_read());
    let notes: Vec<&Action> =
        out.as_slice().iter().filter(|action| matches!(action, Action::Note(Note::EarlyTalk))).collect();
    assert_eq!(notes.len(), 1);
    assert_eq!(said(&mut out), "");
    session.step(Now::default(), Event::Due(Timer::Pace), &mut out);
    assert!(session.wants_read());
    session.step(Now::default(), Event::Bytes(b"NOOP\r\n"), &mut out);
    assert_eq!(codes(&said(&mut out)), ["220", "250"]);
}

#[test]
fn who_waits_for_the_greeting_is_not_said_to_talk_early() {
    let (mut session, mut out) = paced(Pace { greeting_ms: 2_000, refusal_ms: 0 });
    session.step(Now::default(), Event::Due(Timer::Pace), &mut out);
    session.step(Now::default(), Event::Bytes(b"EHLO a\r\n"), &mut out);
    assert!(out.as_slice().iter().all(|action| !matches!(action, Action::Note(_))));
}

#[test]
fn after_a_refusal_a_peer_with_a_record_is_not_heard_for_a_while() {
    let (mut session, mut out) = paced(Pace { greeting_ms: 0, refusal_ms: 1_000 });
    let input = b"NOOP\r\nWHAT\r\nNOOP\r\n";
    let taken = session.step(Now::default(), Event::Bytes(input), &mut out);
    assert_eq!(taken, b"NOOP\r\nWHAT\r\n".len());
    assert!(!session.wants_read());
    assert_eq!(codes(&said(&mut out)), ["220", "250", "500"]);
    session.step(Now::default(), Event::Due(Timer::Pace), &mut out);
    assert!(session.wants_read());
    session.step(Now::default(), Event::Bytes(b"NOOP\r\n"), &mut out);
    assert_eq!(codes(&said(&mut out)), ["250"]);
}

#[test]
fn a_stopping_server_sends_away_who_still_waits_for_the_greeting() {
    let (mut session, mut out) = paced(Pace { greeting_ms: 2_000, refusal_ms: 0 });
    session.step(Now::default(), Event::Stopping, &mut out);
    assert!(session.is_over());
    assert_eq!(codes(&said(&mut out)), ["421"]);
}
