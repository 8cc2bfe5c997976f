//! How a server leaves: asked to, left alone, or because its store failed.

use super::{World, furnished};
use crate::contract::Listener;
use crate::store::StoreError;
use crate::store::memory::{Fault, MemoryStore};
use std::net::TcpStream;
use std::path::Path;

#[test]
fn idle_sessions_hear_421_and_a_running_transaction_ends_well() {
    let mut world = World::start();
    let mut idle = world.smtp();
    let mut busy = world.smtp();
    busy.begins_message();
    world.parent.as_ref().unwrap().send(&super::ToServer::Stop).unwrap();
    idle.hears("421 4.3.2");
    assert_eq!(idle.hears_the_end(), "");
    busy.says("Subject: last\r\n\r\nHello\r\n.\r\n");
    busy.hears("250");
    busy.hears("421 4.3.2");
    assert_eq!(busy.hears_the_end(), "");
    drop((idle, busy));
    assert_eq!(world.code(), 0);
}

#[test]
fn a_transaction_that_stands_still_ends_with_the_grace_period() {
    let mut world = World::start_with(|config| config.stop_grace_ms = 100, furnished);
    let mut busy = world.smtp();
    busy.begins_message();
    world.parent.as_ref().unwrap().send(&super::ToServer::Stop).unwrap();
    busy.hears("421 4.3.2");
    assert_eq!(world.code(), 0);
}

#[test]
fn no_new_connection_is_taken_after_stop() {
    let mut world = World::start();
    let mut busy = world.smtp();
    busy.begins_message();
    let mut idle = world.smtp();
    let at = world.at(Listener::Smtp);
    world.parent.as_ref().unwrap().send(&super::ToServer::Stop).unwrap();
    idle.hears("421");
    assert!(TcpStream::connect(at).is_err(), "the door is closed");
    drop((busy, idle));
    assert_eq!(world.code(), 0);
}

#[test]
fn a_server_whose_parent_died_leaves() {
    let mut world = World::start();
    let mut idle = world.smtp();
    world.parent = None;
    idle.hears("421 4.3.2");
    drop(idle);
    assert_eq!(world.code(), 0);
}

#[test]
fn a_poisoned_store_is_451_for_those_who_wait_and_exit_75() {
    let mut world = World::start_with(
        |_| {},
        || {
            let mut store = furnished();
            store.script([Fault::Refuse(StoreError::Poisoned("planted".into()))]);
            store
        },
    );
    let mut idle = world.smtp();
    let mut client = world.smtp();
    client.begins_message();
    client.says("Subject: lost\r\n\r\nHello\r\n.\r\n");
    client.hears("451 4.3.0");
    client.hears("421");
    idle.hears("421");
    drop((client, idle));
    assert_eq!(world.code(), 75);
}

#[test]
fn a_store_thread_that_panics_is_451_and_exit_75() {
    let mut world = World::start_with(|_| {}, || Panicking(furnished()));
    let mut client = world.smtp();
    client.begins_message();
    client.says("Subject: lost\r\n\r\nHello\r\n.\r\n");
    client.hears("451 4.3.0");
    drop(client);
    assert_eq!(world.code(), 75);
}

#[test]
fn a_disk_that_fills_up_meanwhile_is_452_and_the_server_goes_on() {
    let world = World::start_with(
        |_| {},
        || {
            let mut store = furnished();
            store.script([Fault::Refuse(StoreError::DiskFull)]);
            store
        },
    );
    let mut client = world.smtp();
    client.begins_message();
    client.says("Subject: refused\r\n\r\nHello\r\n.\r\n");
    client.hears("452 4.3.1");
    client.delivers("Subject: taken\r\n\r\nHello");
    assert_eq!(world.mail().len(), 1);
}

#[test]
fn a_store_that_is_behind_takes_no_new_mail() {
    let world = World::start_with(
        |_| {},
        || {
            let mut store = furnished();
            store.set_intake_must_wait(true);
            store
        },
    );
    let mut client = world.smtp();
    client.asks("EHLO c.example.net", "250");
    client.asks("MAIL FROM:<>", "451 4.3.0");
}

/// A store whose commits panic.
struct Panicking(MemoryStore);

impl crate::store::Store for Panicking {
    fn put_slice(&mut self, body: crate::types::MailId, index: u32, octets: &[u8]) -> Result<(), StoreError> {
        self.0.put_slice(body, index, octets)
    }
    fn drop_slices(&mut self, body: crate::types::MailId, count: u32) -> Result<(), StoreError> {
        self.0.drop_slices(body, count)
    }
    fn commit(&mut self, _: &[crate::store::Operation]) -> Result<(), StoreError> {
        panic!("planted by a test")
    }
    fn directory(&self) -> Result<crate::directory::Directory, StoreError> {
        self.0.directory()
    }
    fn report(&self) -> Result<Vec<crate::auth::report::Day>, StoreError> {
        self.0.report()
    }
    fn throttle(&self) -> Result<Option<crate::auth::throttle::Snapshot>, StoreError> {
        self.0.throttle()
    }
    fn server_key(&self) -> [u8; 32] {
        self.0.server_key()
    }
    fn list(
        &self,
        account: crate::types::AccountId,
        after: crate::types::Uid,
        rows: usize,
    ) -> Result<Vec<crate::store::MessageRecord>, StoreError> {
        self.0.list(account, after, rows)
    }
    fn message(
        &self,
        account: crate::types::AccountId,
        uid: crate::types::Uid,
    ) -> Result<Option<crate::store::MessageRecord>, StoreError> {
        self.0.message(account, uid)
    }
    fn slice(&self, body: crate::types::MailId, index: u32) -> Result<Vec<u8>, StoreError> {
        self.0.slice(body, index)
    }
    fn tidy(&mut self) -> Result<bool, StoreError> {
        self.0.tidy()
    }
    fn write_buffer_octets(&self) -> u64 {
        self.0.write_buffer_octets()
    }
    fn intake_must_wait(&self) -> bool {
        self.0.intake_must_wait()
    }
    fn is_poisoned(&self) -> bool {
        self.0.is_poisoned()
    }
}

/// How a server ends that is begun with this certificate and this store, and perhaps stopped at once.
fn code_of_a_start(
    certificate_pem: &str,
    opened: Result<MemoryStore, StoreError>,
    dir: &Path,
    stopped: bool,
) -> u8 {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (ours, theirs) = super::channel::pair().unwrap();
    let parent: super::ParentEnd = super::Channel::from_fd(ours).unwrap();
    let config = super::Config {
        hostname: super::Domain::parse("mx.example.org").unwrap(),
        data_dir: dir.to_path_buf(),
        listeners: Vec::new(),
        tls: None,
        message_octets_max: 1_000_000,
        connections_max: 10,
        connections_per_host_max: 10,
        connections_per_net_max: 10,
        auth_report_days: 30,
        new_place_notice: true,
        scram: crate::types::ScramUse::All,
        disk_reserve_octets: 0,
        idle_ms: 1_000,
        stop_grace_ms: 1_000,
        throttle: crate::config::throttle::ThrottleConfig::default(),
        journal: crate::config::journal::JournalConfig::default(),
    };
    let begin = super::ToServer::Start {
        config: Box::new(config),
        certificate_pem: Some(if certificate_pem.is_empty() {
            made.cert.pem()
        } else {
            certificate_pem.into()
        }),
        key_pem: Some(made.signing_key.serialize_pem()),
    };
    parent.send_with(&begin, &[] as &[std::os::fd::BorrowedFd<'_>; 0]).unwrap();
    if stopped {
        parent.send(&super::ToServer::Stop).unwrap();
    }
    let open = move |_: &Path| opened.map(|store| Box::new(store) as Box<dyn crate::store::Store>);
    super::start::serve(theirs, None, Box::new(open))
}

#[test]
fn what_another_start_cannot_mend_is_78_and_what_it_can_is_75() {
    let nowhere = Path::new("/no/such/directory");
    let code = |certificate, opened| code_of_a_start(certificate, opened, nowhere, false);
    assert_eq!(code("no certificate", Ok(furnished())), 78);
    assert_eq!(code("", Err(StoreError::Layout("newer".into()))), 78);
    assert_eq!(code("", Err(StoreError::Locked)), 75);
    assert_eq!(code("", Ok(furnished())), 78, "no place for the administrator's socket");
}

#[test]
fn what_the_parent_sends_together_with_the_first_message_is_heard() {
    let dir = super::fresh_dir();
    // Read in one piece with the message before it, so that no readiness tells of it.
    assert_eq!(code_of_a_start("", Ok(furnished()), &dir, true), 0);
    let _ = std::fs::remove_dir_all(&dir);
}
