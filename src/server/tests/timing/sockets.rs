//! The same question asked over real sockets of the whole server, with a real hash worker behind it.

use super::super::{Client, World};
use super::nanos;
use super::subjects::{Class, KEY, everybody, last_line};
use crate::auth::sasl::Mechanism;
use crate::auth::verifier::Tuning;
use crate::contract::Listener;
use crate::limits::SESSION_AUTH_FAILURES_MAX;
use crate::server::channel::ToServer;
use crate::server::hash_worker;
use crate::store::memory::MemoryStore;
use crate::store::{Operation, Store};
use crate::types::Chance;
use rustls::{ClientConnection, StreamOwned};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::thread::JoinHandle;
use std::time::Instant;

/// A server, its hash worker, and a client that logs in again and again.
pub(super) struct Loopback {
    world: World,
    _worker: JoinHandle<()>,
    chance: Chance,
}

impl Loopback {
    pub(super) fn new(tuning: Tuning) -> Self {
        let store = move || {
            let mut store = MemoryStore::new(KEY);
            store.commit(&[Operation::Change(everybody(tuning.memory_kib, tuning.passes))]).unwrap();
            store
        };
        // The throttle has tests of its own; here every guess comes from one address.
        let exempt = |config: &mut crate::config::checked::Config| {
            config.throttle.allow = vec!["127.0.0.0/8".parse().unwrap()];
        };
        let mut world = World::start_tuned(tuning, exempt, store);
        let (ours, theirs) = hash_worker::pair().unwrap();
        world.parent.as_mut().unwrap().send_with(&ToServer::Worker, &[theirs.as_fd()]).unwrap();
        drop(theirs);
        let worker = std::thread::spawn(move || hash_worker::serve_until_closed(&ours));
        Self { world, _worker: worker, chance: Chance::from_seed([8; 32]) }
    }

    fn client(&self) -> Client<StreamOwned<ClientConnection, TcpStream>> {
        let mut client = Client::new(self.world.encrypt(self.world.connect(Listener::Submissions)));
        client.hears("220");
        client.asks("EHLO client.example.net", "250");
        client
    }

    /// Nanoseconds from writing the last line of each login to reading its refusal.
    pub(super) fn one_by_one(&mut self, mechanism: Mechanism, plan: &[Class]) -> Vec<f64> {
        let mut times = Vec::new();
        // The last refusal that a session may hear has a farewell behind it, so a client leaves before.
        for some in plan.chunks(usize::try_from(SESSION_AUTH_FAILURES_MAX - 1).unwrap()) {
            let mut client = self.client();
            for class in some {
                let claim = class.claim(&mut self.chance);
                let last = last_line(mechanism, &claim, |line| client.asks(line, "334"));
                let begin = Instant::now();
                client.asks(&last, "535 5.7.8");
                times.push(nanos(begin.elapsed()));
            }
        }
        times
    }
}
