//! The other processes: the parent, and the hash worker with those who wait for it.

use super::super::channel::{Received, ToParent, ToServer};
use super::super::hash_worker::{Answer, Outcome, WorkerLink};
use super::{Loop, WORKER};
use crate::telemetry::line::Line;
use mio::unix::SourceFd;
use mio::{Interest, Token};
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

impl Loop {
    // ---- Parent ----

    pub(super) fn hear_parent(&mut self) {
        loop {
            match self.channel.try_recv() {
                Ok(Some(Received { message, descriptors })) => match message {
                    ToServer::Worker => self.meet_worker(descriptors),
                    ToServer::Stop => self.leave_cleanly(),
                    // It is said once, before the loop.
                    ToServer::Start { .. } => {}
                },
                Ok(None) => return,
                Err(error) => {
                    if self.leaving.is_none() && error.kind() != ErrorKind::UnexpectedEof {
                        let line = Line::new("parent-lost").text("reason", &error.to_string());
                        log::error!("{}", line.finish());
                    }
                    return self.leave_cleanly();
                }
            }
        }
    }

    // ---- Hash worker ----

    pub(super) fn meet_worker(&mut self, descriptors: Vec<OwnedFd>) {
        self.drop_worker();
        let Some(link) = descriptors.into_iter().next().map(WorkerLink::from_fd) else { return };
        let registered = link.and_then(|link| {
            let fd = link.as_fd().as_raw_fd();
            self.poll.registry().register(&mut SourceFd(&fd), Token(WORKER), Interest::READABLE)?;
            Ok(link)
        });
        match registered {
            Ok(link) => {
                self.worker = Some(link);
                self.verifier.worker_up(self.now.moment);
            }
            Err(error) => {
                let line = Line::new("worker-not-reached").text("reason", &error.to_string());
                log::error!("{}", line.finish());
            }
        }
    }

    pub(super) fn drop_worker(&mut self) {
        if let Some(worker) = self.worker.take() {
            // The parent may hold the same socket, and then closing ours does not end the registration.
            let _ = self.registry().deregister(&mut SourceFd(&worker.as_fd().as_raw_fd()));
            self.verifier.worker_lost(self.now.moment);
        }
    }

    pub(super) fn hear_worker(&mut self) {
        while let Some(worker) = &self.worker {
            match worker.try_recv() {
                Ok(Some(Answer { job, result: Outcome::Compared(matched) })) => {
                    self.verifier.hashed(self.now.moment, job, matched);
                }
                Ok(Some(Answer { job, result: Outcome::Derived(keys) })) => {
                    if let Some(enrolled) = self.verifier.derived(job, keys) {
                        self.keep_scram_keys(enrolled);
                    }
                }
                Ok(None) => return,
                Err(_) => self.drop_worker(),
            }
        }
    }

    /// Gives the worker its next job, and sessions their verdicts.
    pub(super) fn check_passwords(&mut self) {
        let now = self.now.moment;
        if self.verifier.worker_is_late(now) {
            log::warn!("{}", Line::new("worker-late").finish());
            self.drop_worker();
            if self.channel.send(&ToParent::WorkerLate).is_err() {
                self.leave_cleanly();
            }
        }
        self.give_worker_its_job();
        for decided in self.verifier.due(now) {
            self.bring_verdict(&decided);
        }
        self.verifier.settle(self.now, &mut self.throttle);
        self.verifier.enrol(now, &self.directory);
        self.give_worker_keys_to_make();
    }

    /// What the worker does when no login waits for it.
    fn give_worker_keys_to_make(&mut self) {
        while let Some(worker) = &self.worker {
            let Some(job) = self.verifier.next_derivation(self.now.moment) else { return };
            if worker.try_send_derivation(&job).is_err() {
                self.drop_worker();
            }
        }
    }

    pub(in crate::server) fn give_worker_its_job(&mut self) {
        while let Some(worker) = &self.worker {
            let Some(job) = self.verifier.next_job(self.now.moment) else { return };
            if worker.try_send(&job).is_err() {
                self.drop_worker();
            }
        }
    }
}
