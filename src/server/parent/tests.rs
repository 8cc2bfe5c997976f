//! The parent with real processes: the children are this test program again, told by a variable what to be.
#![expect(clippy::disallowed_methods, reason = "these tests start processes and wait for them")]

use super::*;
use crate::auth::password::PasswordHash;
use crate::auth::verifier::{HashJob, JobId};
use crate::config::checked::ListenerConfig;
use crate::contract::Listener;
use crate::limits::FAILED_STARTS_MAX;
use crate::server::hash_worker::{self, Answer, Outcome, WorkerLink};
use crate::types::Secret;
use rustix::event::{PollFd, PollFlags, poll};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;

const ROLE: &str = "GATEPOST_TEST_CHILD";

/// Not a test of its own: what the children of the tests below run.
#[test]
#[ignore = "the child process of other tests"]
fn child() {
    let code = match std::env::var(ROLE).unwrap_or_default().as_str() {
        "worker" => i32::from(hash_worker::run() != ExitCode::SUCCESS),
        "crash" => 1,
        "bad-config" => 78,
        "silent" => serve(OnStop::Nothing),
        "lingering" => serve(OnStop::CloseDoors),
        "good" => serve(OnStop::Leave),
        _ => return,
    };
    std::process::exit(code);
}

/// What a server of these tests does when it is asked to leave.
enum OnStop {
    Leave,
    /// It closes its doors and has something to finish.
    CloseDoors,
    Nothing,
}

/// A server that answers each connection with what it knows: its number, its listeners, and whether its
/// worker takes a right password for right.
fn serve(on_stop: OnStop) -> i32 {
    let socket = io::stdin().as_fd().try_clone_to_owned().unwrap();
    let mut channel: Channel<ToServer, ToParent> = Channel::from_fd(socket).unwrap();
    let mut listeners = Vec::new();
    let mut link = None;
    loop {
        match channel.try_recv() {
            Ok(Some(received)) => match received.message {
                ToServer::Start { config, key_pem, .. } => {
                    assert_eq!(received.descriptors.len(), config.listeners.len());
                    assert_eq!(key_pem.as_deref(), Some("a key"));
                    listeners = received.descriptors.into_iter().map(TcpListener::from).collect();
                    channel.send(&ToParent::Ready).unwrap();
                }
                ToServer::Worker => {
                    link = received.descriptors.into_iter().next().map(|fd| WorkerLink::from_fd(fd).unwrap());
                }
                ToServer::Stop => match on_stop {
                    OnStop::Leave => return 0,
                    OnStop::CloseDoors => listeners.clear(),
                    OnStop::Nothing => {}
                },
            },
            Ok(None) => {}
            Err(_) => return 0,
        }
        for listener in &listeners {
            if let Ok((mut peer, _)) = listener.accept() {
                let mut wish = [0];
                peer.set_nonblocking(false).unwrap();
                peer.read_exact(&mut wish).unwrap();
                match wish {
                    [b'l'] => channel.send(&ToParent::WorkerLate).unwrap(),
                    [b'h'] => link = link.filter(right_password),
                    _ => {}
                }
                let worker = link.is_some();
                write!(peer, "{} {} {worker}", std::process::id(), listeners.len()).unwrap();
            }
        }
        let wait = rustix::event::Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        poll(&mut [PollFd::new(&channel, PollFlags::IN)], Some(&wait)).unwrap();
    }
}

/// What argon2id makes of "password" and "somesalt" with little memory (see the tests of the worker).
const SMALL_HASH: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

/// Whether the worker behind the link still finds the right password right.
fn right_password(link: &WorkerLink) -> bool {
    let PasswordHash { memory_kib, passes, lanes, salt, tag } = PasswordHash::parse(SMALL_HASH).unwrap();
    let password = Secret::new(b"password".to_vec());
    if link.try_send(&HashJob { id: JobId(7), password, salt, memory_kib, passes, lanes, tag }).is_err() {
        return false;
    }
    loop {
        match link.try_recv() {
            Ok(Some(answer)) => return answer == Answer { job: JobId(7), result: Outcome::Compared(true) },
            Ok(None) => {
                poll(&mut [PollFd::new(link, PollFlags::IN)], None).unwrap();
            }
            Err(_) => return false,
        }
    }
}

/// A parent under test and the address of its first listener.
struct World {
    parent: Parent<Box<dyn FnOnce()>>,
    address: SocketAddr,
    announced: Rc<Cell<bool>>,
}

fn world(role: &str) -> World {
    let listener = ListenerConfig { kind: Listener::Smtp, address: "127.0.0.1:0".parse().unwrap() };
    let config = Config {
        hostname: "mx.example.org".to_owned().try_into().unwrap(),
        data_dir: "/nonexistent".into(),
        listeners: vec![listener.clone(), listener],
        tls: None,
        message_octets_max: 1,
        connections_max: 1,
        connections_per_host_max: 1,
        connections_per_net_max: 1,
        auth_report_days: 30,
        new_place_notice: true,
        scram: crate::types::ScramUse::All,
        disk_reserve_octets: 1,
        idle_ms: 1,
        stop_grace_ms: 0,
        throttle: crate::config::throttle::ThrottleConfig::default(),
        journal: crate::config::journal::JournalConfig::default(),
    };
    let listeners = bind::listeners(&config.listeners).unwrap();
    let address = TcpListener::from(listeners[0].try_clone().unwrap()).local_addr().unwrap();
    let arguments = ["--exact", "server::parent::tests::child", "--include-ignored", "--test-threads=1"];
    let arguments: Vec<std::ffi::OsString> = arguments.iter().map(Into::into).collect();
    let launcher = Launcher {
        server: arguments.clone(),
        worker: arguments,
        server_environment: vec![(ROLE.into(), role.into())],
        worker_environment: vec![(ROLE.into(), "worker".into())],
    };
    let announced = Rc::new(Cell::new(false));
    let counter = Rc::clone(&announced);
    let announce: Box<dyn FnOnce()> = Box::new(move || counter.set(true));
    let start = Start { config, certificate_pem: None, key_pem: Some("a key".into()) };
    World { parent: Parent::new(start, listeners, launcher, announce).unwrap(), address, announced }
}

impl World {
    /// Turns until something is so; an exit code ends it too.
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) -> Option<u8> {
        let began = Instant::now();
        while !done(self) {
            assert!(began.elapsed() < Duration::from_secs(60), "never came to be: {what}");
            if let Some(code) = self.parent.turn(Some(Duration::from_millis(10))) {
                return Some(code);
            }
        }
        None
    }

    /// Asks the server something and gives its answer: number, listeners, worker.
    fn ask(&mut self, wish: u8) -> (u32, usize, bool) {
        let mut peer = TcpStream::connect(self.address).unwrap();
        peer.write_all(&[wish]).unwrap();
        peer.set_nonblocking(true).unwrap();
        let mut text = String::new();
        self.until("an answer", |_| peer.read_to_string(&mut text).is_ok());
        let mut words = text.split(' ');
        let mut next = || words.next().unwrap();
        (next().parse().unwrap(), next().parse().unwrap(), next().parse().unwrap())
    }

    fn until_ready(&mut self) {
        assert_eq!(self.until("ready", |world| world.announced.get()), None);
    }

    fn until_worker_passed(&mut self) {
        for _ in 0..200 {
            if self.ask(b'?').2 {
                return;
            }
        }
        panic!("the server never got a worker");
    }

    fn server_id(&self) -> Option<u32> {
        self.parent.server.as_ref().map(|server| server.process.id())
    }

    fn worker_id(&self) -> Option<u32> {
        self.parent.worker.as_ref().map(Process::id)
    }
}

/// Ends a child of the parent under test, as an administrator or the kernel would.
fn kill(process: &mut Process) {
    process.kill();
}

#[test]
fn a_server_gets_its_configuration_its_listeners_and_a_worker_that_works() {
    let mut world = world("good");
    world.until_ready();
    world.until_worker_passed();
    let (pid, listeners, right) = world.ask(b'h');
    assert_eq!((Some(pid), listeners, right), (world.server_id(), 2, true));
}

#[test]
fn a_killed_server_is_replaced_and_connections_wait_meanwhile() {
    let mut world = world("good");
    world.until_ready();
    let first = world.ask(b'?').0;
    kill(&mut world.parent.server.as_mut().unwrap().process);
    let (second, listeners, _) = world.ask(b'?');
    assert_ne!(first, second);
    assert_eq!(listeners, 2);
    world.until_worker_passed();
}

#[test]
fn a_killed_worker_is_replaced_and_its_server_stays() {
    let mut world = world("good");
    world.until_ready();
    world.until_worker_passed();
    let server = world.server_id();
    let first = world.worker_id();
    kill(world.parent.worker.as_mut().unwrap());
    world.until("another worker", |world| world.worker_id().is_some() && world.worker_id() != first);
    // The old link fails once; then the new one is there.
    world.ask(b'h');
    world.until_worker_passed();
    assert!(world.ask(b'h').2);
    assert_eq!(world.server_id(), server);
}

#[test]
fn a_worker_the_server_calls_late_is_ended_and_replaced() {
    let mut world = world("good");
    world.until_ready();
    world.until_worker_passed();
    let first = world.worker_id();
    world.ask(b'l');
    world.until("another worker", |world| world.worker_id().is_some() && world.worker_id() != first);
}

#[test]
fn a_stop_is_passed_on_and_ends_with_zero() {
    let mut world = world("good");
    world.until_ready();
    assert_eq!(world.parent.signal(Signal::TERM), None);
    assert_eq!(world.until("the end", |_| false), Some(0));
    assert_eq!((world.server_id(), world.worker_id()), (None, None));
}

#[test]
fn a_parent_that_stops_waits_for_one_deadline_and_does_not_spin() {
    let mut world = world("silent");
    world.until_ready();
    world.parent.signal(Signal::TERM);
    let now = world.parent.now();
    world.parent.server.as_mut().unwrap().heartbeat.closing(now, 0);
    world.parent.worker = None;
    world.parent.worker_due = Moment(0);
    assert!(world.parent.next_deadline() >= now.plus_ms(STOP_EXTRA_MS / 2));
    assert_eq!(world.parent.turn(Some(Duration::from_millis(10))), None);
    assert!(world.server_id().is_some() && world.worker_id().is_none());
}

#[test]
fn while_the_server_finishes_what_it_began_new_connections_are_refused() {
    let mut world = world("lingering");
    world.until_ready();
    world.ask(b'?');
    world.parent.signal(Signal::TERM);
    let address = world.address;
    world.until("a refusal", |_| TcpStream::connect(address).is_err());
    assert!(world.server_id().is_some(), "it is still there");
}

#[test]
fn a_second_signal_ends_all_at_once() {
    let mut world = world("silent");
    world.until_ready();
    assert_eq!(world.parent.signal(Signal::INT), None);
    assert_eq!(world.parent.signal(Signal::INT), Some(130));
}

#[test]
fn a_server_that_does_not_leave_is_ended() {
    let mut world = world("silent");
    world.until_ready();
    world.parent.signal(Signal::TERM);
    // Its time is over as soon as the clock says so; the test does not wait for that.
    world.parent.stopping = Some(Moment(0));
    assert_eq!(world.until("the end", |_| false), Some(0));
}

#[test]
fn a_silent_server_is_ended_and_replaced() {
    let mut world = world("silent");
    world.until_ready();
    let first = world.server_id();
    let now = world.parent.now();
    world.parent.server.as_mut().unwrap().heartbeat.closing(now, 0);
    world.until("another server", |world| world.server_id().is_some() && world.server_id() != first);
}

#[test]
fn a_configuration_the_server_refuses_is_not_tried_again() {
    let mut world = world("bad-config");
    assert_eq!(world.until("the end", |_| false), Some(78));
    assert!(!world.announced.get());
}

#[test]
fn a_server_that_crashes_at_every_start_is_given_up() {
    let mut world = world("crash");
    let mut starts = 0;
    let code = loop {
        // Waits between starts are tested where they are decided; here they are skipped.
        world.parent.server_due = Moment(0);
        let had = world.parent.server.is_some();
        if let Some(code) = world.parent.turn(Some(Duration::from_millis(10))) {
            break code;
        }
        starts += u32::from(!had);
    };
    assert_eq!(code, 75);
    assert!(starts >= FAILED_STARTS_MAX - 1, "{starts}");
}

#[test]
fn a_hangup_changes_nothing() {
    let mut world = world("good");
    world.until_ready();
    assert_eq!(world.parent.signal(Signal::HUP), None);
    let before = world.server_id();
    assert_eq!(Some(world.ask(b'?').0), before);
}
