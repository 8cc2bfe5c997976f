//! What recording costs a session: `cargo bench --bench recording`. The same deliveries and the same guesses through
//! the session machine, with a tape beside it and without; no socket, no disk.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::wildcard_enum_match_arm,
    reason = "a benchmark reads the clock and prints"
)]

use gatepost::contract::{
    Action, Actions, Answer, CommitAnswer, Event, Listener, PeerFacts, Question, RoomAnswer,
};
use gatepost::directory::Directory;
use gatepost::fuzz::login::{directory, settings};
use gatepost::journal::{Arena, Events, Sight, Tape};
use gatepost::policy::recipient;
use gatepost::smtp::session::{Session, Settings};
use gatepost::types::{Chance, Moment, Now, SessionId, UnixTime};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

const ROUNDS: u32 = 20_000;

/// A delivery of a message of so many octets, one command a read.
fn delivery(octets: usize) -> Vec<Vec<u8>> {
    let line = [b"x".repeat(70).as_slice(), b"\r\n"].concat();
    let mut body = b"Subject: hello\r\n\r\n".to_vec();
    while body.len() < octets {
        body.extend_from_slice(&line);
    }
    body.extend_from_slice(b".\r\n");
    let mut reads: Vec<Vec<u8>> = [
        "EHLO client.example\r\n",
        "MAIL FROM:<you@client.example>\r\n",
        "RCPT TO:<me@example.org>\r\n",
        "DATA\r\n",
    ]
    .iter()
    .map(|line| line.as_bytes().to_vec())
    .collect();
    let mut rest = body.as_slice();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at_checked(16 * 1024).unwrap_or((rest, &[]));
        reads.push(piece.to_vec());
        rest = after;
    }
    reads.push(b"QUIT\r\n".to_vec());
    reads
}

/// A session of a bot that guesses commands.
fn garbage() -> Vec<Vec<u8>> {
    let mut reads = vec![b"EHLO x\r\n".to_vec()];
    reads.extend((0..10).map(|_| b"wp-login.php admin\r\n".to_vec()));
    reads.push(b"QUIT\r\n".to_vec());
    reads
}

/// One session from its greeting to its end; a recording if there is one.
fn session(
    reads: &[Vec<u8>],
    settings: &Arc<Settings>,
    directory: &Directory,
    arena: Option<&Arc<Arena>>,
) -> bool {
    let now = Now { moment: Moment(1_000), unix: UnixTime(1_795_478_400) };
    let address = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
    let facts = PeerFacts { session: SessionId(1), address, listener: Listener::Smtp };
    let sight = Sight { now: now.moment, directory: Some(directory), settings };
    let mut tape = Tape::new(arena.cloned(), facts, now);
    let mut machine = Session::new(facts, Arc::clone(settings), Chance::from_seed([0; 32]));
    let happen = |machine: &mut Session, tape: &mut Tape, event: Event<'_>| {
        let mut actions = Actions::new();
        if let Event::Bytes(octets) = event {
            let taken = machine.step(now, Event::Bytes(octets), &mut actions);
            tape.took(&sight, octets.get(..taken).unwrap_or_default(), actions.as_slice());
        } else {
            tape.happens(&sight, &event);
            machine.step(now, event, &mut actions);
            tape.did(&sight, actions.as_slice());
        }
        actions.take()
    };
    let mut todo = happen(&mut machine, &mut tape, Event::Opened);
    for read in reads {
        todo.extend(happen(&mut machine, &mut tape, Event::Bytes(read)));
        while let Some(action) = todo.pop() {
            let Action::Ask(ticket, question) = action else { continue };
            let answer = match question {
                Question::Recipient(path) => Answer::Recipient(recipient::look_up(Some(directory), &path)),
                Question::Commit(_) => Answer::Commit(CommitAnswer::Durable),
                _ => Answer::Room(RoomAnswer::Enough),
            };
            todo.extend(happen(&mut machine, &mut tape, Event::Answered(ticket, answer)));
        }
    }
    tape.finish(now.moment, Events::all()).is_some()
}

fn main() {
    let (Ok(settings), Ok(directory)) = (settings().map(Arc::new), directory()) else { return };
    let arena = Arc::new(Arena::new(4 * 1024 * 1024));
    for (name, reads) in [
        ("delivery of 2 KiB", delivery(2 * 1024)),
        ("delivery of 200 KiB", delivery(200 * 1024)),
        ("garbage", garbage()),
    ] {
        let time = |arena: Option<&Arc<Arena>>| {
            let rounds = ROUNDS / u32::try_from(reads.len()).unwrap_or(1).max(1);
            let since = Instant::now();
            let kept = (0..rounds).filter(|_| session(&reads, &settings, &directory, arena)).count();
            (since.elapsed().as_secs_f64() * 1e6 / f64::from(rounds), kept)
        };
        let _ = time(None);
        let ((without, _), (with, kept)) = (time(None), time(Some(&arena)));
        println!(
            "{name}: {without:.2} us without, {with:.2} us with a tape, {:.2} us more; {kept} kept",
            with - without
        );
    }
}
