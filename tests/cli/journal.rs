//! What the journal of one server holds plays in another process, away from that server's data.

use crate::running::Server;
use crate::world::World;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn says(reader: &mut BufReader<TcpStream>, line: &str, code: &str) {
    reader.get_mut().write_all(line.as_bytes()).unwrap();
    hears(reader, code);
}

fn hears(reader: &mut BufReader<TcpStream>, code: &str) {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.starts_with(code), "{code} was awaited: {line:?}");
        if line.as_bytes().get(3) != Some(&b'-') {
            return;
        }
    }
}

fn recorded(world: &World, count: usize) -> Vec<PathBuf> {
    let since = Instant::now();
    loop {
        let entries = std::fs::read_dir(world.dir().join("journal")).into_iter().flatten().flatten();
        let found: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "txt"))
            .collect();
        if found.len() >= count {
            return found;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "{found:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_hostile_session_is_recorded_and_replayed_elsewhere() {
    let world = World::small();
    let server =
        Server::start(&world, |port| format!("listener=[{{kind=\"smtp\",address=\"127.0.0.1:{port}\"}}]"));
    let connect = || {
        let mut reader = BufReader::new(TcpStream::connect(("127.0.0.1", server.port)).unwrap());
        hears(&mut reader, "220");
        reader
    };
    let (mut one, mut two) = (connect(), connect());
    says(&mut one, "EHLO erikas-laptop\r\n", "250");
    says(&mut one, "kennwort99\r\n", "500");
    says(&mut two, "HELO x\r\n", "250");
    says(&mut one, "MAIL FROM:<geheim@example.org>\r\n", "250");
    says(&mut one, "RCPT TO:<kennwort99@example.org>\r\n", "550");
    says(&mut one, "RCPT TO:<Ann@Example.Org>\r\n", "250");
    says(&mut two, "AUTH LOGIN\r\n", "503");
    says(&mut two, "a2VubndvcnQ5OQ==\r\n", "500");
    says(&mut one, "DATA\r\n", "354");
    says(&mut one, "Subject: geheim\n\r\n.\r\n", "5");
    says(&mut one, "QUIT\r\n", "221");
    says(&mut two, "QUIT\r\n", "221");
    drop((one, two));
    let found = recorded(&world, 1);
    let status = world.run("status --json").json();
    assert!(status.to_string().contains(r#"{"count":1,"event":"journal","kind":"written"}"#), "{status}");
    server.stop();
    let text = std::fs::read_to_string(&found[0]).unwrap();
    for typed in ["erika", "kennwort", "geheim", "a2VubndvcnQ5OQ"] {
        assert!(!text.contains(typed), "{typed} in {text}");
    }
    assert!(text.contains("RCPT TO:<ann@example.org>") && text.contains("\nC2: "), "{text}");
    let elsewhere = World::new();
    let copy = elsewhere.write("recorded.txt", &text);
    let run = elsewhere.bare(&format!("replay {}", copy.display()));
    assert_eq!(run.code, 0, "{run:?}\n{text}");
    assert!(run.text().ends_with("1 passed, 0 failed\n"), "{run:?}");
    let other = elsewhere.write("other.txt", &text.replace("S: 550 5.1.1", "S: 551 5.1.1"));
    assert_eq!(elsewhere.bare(&format!("replay {}", other.display())).code, 1);
}
