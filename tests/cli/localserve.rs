//! `localserve` from start to stop, more than once on the same directory.

use crate::running::Server;
use crate::world::{PASSWORD, World, binary, files};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;

/// A server with the doors for mail from strangers and for submission, on one port of two addresses.
fn start(world: &World) -> Server {
    Server::start(world, |port| {
        format!(
            "listener=[{{kind=\"smtp\",address=\"127.0.0.1:{port}\"}},\
             {{kind=\"submission\",address=\"127.0.0.2:{port}\"}}]"
        )
    })
}

/// Delivers a mail to me@localhost.
fn deliver(server: &Server) {
    let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let mut reader = BufReader::new(stream);
    let mut say = |text: &str, code: &str| {
        reader.get_mut().write_all(text.as_bytes()).unwrap();
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.starts_with(code), "{text:?}: {line:?}");
    };
    say("", "220 ");
    say("HELO client.example\r\n", "250 ");
    say("MAIL FROM:<you@example.org>\r\n", "250 ");
    say("RCPT TO:<me@localhost>\r\n", "250 ");
    say("DATA\r\n", "354 ");
    say("Subject: Hello\r\n\r\nIt works.\r\n.\r\n", "250 ");
    say("QUIT\r\n", "221 ");
}

#[test]
fn a_first_start_makes_all_that_is_needed_and_mail_is_read_back_before_and_after_the_end() {
    let world = World::new();
    let server = start(&world);
    assert_eq!(server.shown("account"), "me@localhost");
    for name in ["localserve-password", "tls/key.pem"] {
        let mode = std::fs::metadata(world.dir().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    deliver(&server);
    let running = world.run("mail show me@localhost 1");
    assert!(running.text().ends_with("Subject: Hello\r\n\r\nIt works.\r\n"), "{running:?}");
    let listed = world.run("mail list me@localhost --json").json();
    assert_eq!(listed[0]["size"], running.out.len());
    server.stop();
    assert_eq!(world.run("mail show me@localhost 1").out, running.out);
    assert_eq!(world.run("mail list me@localhost --json").json(), listed);
}

#[test]
fn a_port_that_is_taken_is_named_with_what_to_do() {
    let world = World::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let listeners = format!("listener=[{{kind=\"smtp\",address=\"{address}\"}}]");
    let mut command = binary();
    command.args(["localserve", "--set", &listeners, "--dir"]).arg(world.dir());
    let first = crate::world::run(&mut command, b"");
    // The first start says too that it made the directory.
    assert_eq!(first.code, 75, "{first:?}");
    crate::world::run(&mut command, b"").failed(75, &[&address.to_string(), "--port-base 2000"]);
}

#[test]
fn many_commands_at_once_all_get_their_turn() {
    let world = World::new();
    let server = start(&world);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..30)
            .map(|number| {
                let world = &world;
                scope.spawn(move || world.run(&format!("domain add d{number}.example")))
            })
            .collect();
        for run in runs {
            run.join().unwrap().silent();
        }
    });
    assert_eq!(world.run("domain list --json").json().as_array().unwrap().len(), 31);
    server.stop();
}

#[test]
fn a_further_start_keeps_password_certificate_and_changes() {
    let world = World::new();
    let server = start(&world);
    let password = server.shown("password").to_owned();
    assert!(server.text.contains(&format!("--user 'me@localhost:{password}'")), "{}", server.text);
    world.run("domain add example.org").silent();
    server.stop();
    let tls = files(&world.dir().join("tls"));
    let server = start(&world);
    assert_eq!(server.shown("password"), password);
    assert_eq!(files(&world.dir().join("tls")), tls);
    world.run_with("account passwd me@localhost --password-stdin", PASSWORD.as_bytes()).silent();
    server.stop();
    let server = start(&world);
    assert!(!server.text.contains(&password), "{}", server.text);
    world.run("account remove me@localhost");
    server.stop();
    let server = start(&world);
    assert!(server.text.contains("me@localhost was removed"), "{}", server.text);
    assert_eq!(world.run("account list --json").text(), "[]\n");
    assert_eq!(world.run("domain list --json").json().as_array().unwrap().len(), 2);
    server.stop();
}

#[test]
fn changes_made_while_it_runs_are_there_when_it_does_not() {
    let world = World::new();
    let server = start(&world);
    world.run("domain add example.org").silent();
    world.run("account add ann@example.org");
    world.run("alias add info@example.org --to ann@example.org").silent();
    world.run("account add ann@example.org").failed(65, &["already"]);
    let explained = world.run("address explain info@example.org --json").json();
    let accounts = world.run("account list --json").json();
    assert_eq!(accounts[1]["account"], "ann@example.org");
    server.stop();
    assert_eq!(world.run("address explain info@example.org --json").json(), explained);
    assert_eq!(world.run("account list --json").json(), accounts);
}

/// Asks port 25 for addresses that are not there.
fn probe(port: u16, count: usize) {
    use std::io::Write;
    let stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut replies = BufReader::new(stream.try_clone().unwrap()).lines().map(|line| line.unwrap());
    let mut ask = |command: &str| {
        (&stream).write_all(command.as_bytes()).unwrap();
        replies.find(|line| line.as_bytes().get(3) == Some(&b' ')).unwrap()
    };
    ask("");
    ask("EHLO prober.example\r\n");
    ask("MAIL FROM:<>\r\n");
    for guess in 0..count {
        assert!(ask(&format!("RCPT TO:<guess{guess}@localhost>\r\n")).starts_with("550 5.1.1"));
    }
}

#[test]
fn what_the_throttle_holds_against_an_address_is_explained_and_forgiven() {
    let world = World::new();
    let server = start(&world);
    probe(server.port, 4);
    let run = world.run("auth explain 127.0.0.1");
    // What has drained meanwhile is not counted as a whole point.
    assert!(run.text().starts_with("port 25: 3 points; the greeting waits 0 ms"), "{}", run.text());
    assert_eq!(world.run("auth explain 127.0.0.1 --json").json()[0]["mail_score"], 3);
    let run = world.run("auth forgive 127.0.0.1");
    assert_eq!((run.code, run.told.as_str()), (0, "gatepost: nothing is held against 127.0.0.1 any more\n"));
    assert_eq!(world.run("auth explain 127.0.0.1").text(), "nothing is held against 127.0.0.1\n");
    assert_eq!(world.run("auth forgive 127.0.0.1").told, "gatepost: nothing was held against 127.0.0.1\n");
    let run = world.run("auth explain me@localhost");
    assert_eq!(run.text(), "nothing is held against me@localhost\n");
    world.run("auth explain nobody").failed(65, &["\"nobody\" is not an address"]);
    server.stop();
    let run = world.run("auth explain 127.0.0.1");
    assert!(run.code == 0 && run.told.contains("no server runs here"), "{run:?}");
}
