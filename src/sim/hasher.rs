//! The hash worker: answers after a while, or dies, or hangs, and comes back.

use super::census::Fault;
use super::desk::{Desk, Happening};
use super::planted::PlantedBug;
use super::town::toy_hash;
use crate::auth::scram::keys::derive_salted;
use crate::auth::verifier::{DeriveJob, HashJob, JobId};
use crate::types::ScramKeys;

/// What a job came to.
#[derive(Debug)]
pub(super) enum Outcome {
    Compared(bool),
    Derived(ScramKeys),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Hasher {
    job: Option<(JobId, Outcome)>,
    hangs: bool,
}

impl Hasher {
    /// Takes a job.
    pub(super) fn take(&mut self, epoch: u32, job: &HashJob, desk: &mut Desk) {
        let right = toy_hash(job.password.reveal(), &job.salt) == job.tag;
        let right = right || desk.has(PlantedBug::EveryPasswordIsRight);
        self.works(epoch, job.id, Outcome::Compared(right), desk);
    }

    /// Makes SCRAM keys.
    pub(super) fn derive(&mut self, epoch: u32, job: &DeriveJob, desk: &mut Desk) {
        let keys = derive_salted(job.password.reveal(), &job.salt);
        self.works(epoch, job.id, Outcome::Derived(keys), desk);
    }

    fn works(&mut self, epoch: u32, id: JobId, outcome: Outcome, desk: &mut Desk) {
        self.job = Some((id, outcome));
        if std::mem::take(&mut self.hangs) && !desk.calm {
            desk.fault(Fault::WorkerHung);
            desk.tell("the hash worker hangs");
            return;
        }
        let ms = desk.between(20, 300);
        desk.later(ms, Happening::HashDone(epoch, id));
    }

    /// The result, if this is the job.
    pub(super) fn result(&mut self, id: JobId) -> Option<Outcome> {
        self.job.take_if(|(job, _)| *job == id).map(|(_, outcome)| outcome)
    }

    /// It will not answer its next job.
    pub(super) fn hang(&mut self) {
        self.hangs = true;
    }

    /// It is gone, and another one will come.
    pub(super) fn dies(&mut self, epoch: u32, desk: &mut Desk) {
        self.job = None;
        let ms = desk.between(10, 3_000);
        desk.later(ms, Happening::WorkerBack(epoch));
    }
}
