//! A server that answers on the socket is asked; the store is left to it.

use crate::world::{World, files};
use gatepost::control::{Request, Response, SOCKET_NAME};
use gatepost::directory::plan;
use gatepost::types::Uid;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

/// Answers each line on one connection with the next of these, and returns the lines.
fn serve(world: &World, answers: Vec<Vec<u8>>) -> JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(world.dir().join(SOCKET_NAME)).unwrap();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut lines = Vec::new();
        let mut reader = BufReader::new(stream);
        for answer in answers {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            lines.push(line);
            reader.get_mut().write_all(&answer).unwrap();
        }
        lines
    })
}

fn line(response: &Response) -> Vec<u8> {
    let mut line = serde_json::to_vec(response).unwrap();
    line.push(b'\n');
    line
}

#[test]
fn a_change_goes_to_the_server_and_not_to_the_store() {
    let world = World::small();
    let before = files(&world.dir().join("store"));
    let answer = Response::Changed { anything: true, warnings: vec!["mind the step".to_owned()] };
    let server = serve(&world, vec![line(&answer)]);
    let run = world.run("domain add other.example");
    assert_eq!((run.code, run.told.as_str()), (0, "gatepost: warning: mind the step\n"));
    let asked: Request = serde_json::from_str(&server.join().unwrap()[0]).unwrap();
    let other = gatepost::types::Domain::parse("other.example").unwrap();
    assert_eq!(asked, Request::Change(plan::Request::DomainAdd(other)));
    assert_eq!(files(&world.dir().join("store")), before);
}

#[test]
fn a_refusal_of_the_server_is_the_commands() {
    use gatepost::control::Refusal;
    for (refusal, code) in [(Refusal::Data, 65), (Refusal::Temporary, 75)] {
        let world = World::small();
        let server = serve(&world, vec![line(&Response::Refused(refusal, "not now".to_owned()))]);
        world.run("domain add other.example").failed(code, &["not now"]);
        server.join().unwrap();
    }
}

#[test]
fn a_message_comes_through_the_server_to_the_octet() {
    let world = World::small();
    let mut answer = line(&Response::Message(6));
    answer.extend(b"\0\r\n\xff\n.");
    let server = serve(&world, vec![answer]);
    let run = world.run("mail show ann@example.org 9");
    run.silent();
    assert_eq!(run.out, b"\0\r\n\xff\n.");
    let asked: Request = serde_json::from_str(&server.join().unwrap()[0]).unwrap();
    assert_eq!(asked, Request::MailShow("ann@example.org".parse().unwrap(), Uid(9)));
}

#[test]
fn a_socket_nobody_listens_on_is_passed_by() {
    let world = World::small();
    drop(UnixListener::bind(world.dir().join(SOCKET_NAME)).unwrap());
    world.run("domain list").silent();
}

#[test]
fn localserve_does_not_start_beside_a_running_server() {
    let world = World::small();
    let server = serve(&world, Vec::new());
    world.run("localserve").failed(75, &["a server runs on", "already"]);
    server.join().unwrap();
}

#[test]
fn a_store_that_is_just_being_closed_is_waited_for() {
    use gatepost::store::fjall::FjallStore;
    use gatepost::store::place::OpenMode;
    let world = World::small();
    let held = FjallStore::open(&world.dir(), OpenMode::Write).unwrap();
    let holder = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        drop(held);
    });
    world.run("domain list").silent();
    holder.join().unwrap();
}
