//! What several daemons say of the same try becomes one finding.
//!
//! The last few findings wait here. A later one of another [`Voice`] about the same try is laid upon the one
//! that waits; of each voice a try takes one. What nobody else tells of leaves as it came, in its order.

use super::{Finding, Voice, What};
use crate::limits;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Held {
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    finding: Finding,
    heard: Voices,
}

/// Which voices have told of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Voices {
    front: bool,
    back_end: bool,
    module: bool,
}

impl Voices {
    fn has(self, voice: Voice) -> bool {
        match voice {
            Voice::Front => self.front,
            Voice::BackEnd => self.back_end,
            Voice::Module => self.module,
        }
    }

    fn with(mut self, voice: Voice) -> Self {
        match voice {
            Voice::Front => self.front = true,
            Voice::BackEnd => self.back_end = true,
            Voice::Module => self.module = true,
        }
        self
    }
}

impl Held {
    /// Takes a finding; gives out the one that has waited longest when there are too many.
    pub(super) fn add(&mut self, finding: Finding) -> Option<Finding> {
        let same = self
            .waiting
            .iter_mut()
            .rev()
            .find(|waiting| !waiting.heard.has(finding.voice) && same_try(&waiting.finding, &finding));
        if let Some(waiting) = same {
            waiting.heard = waiting.heard.with(finding.voice);
            join(&mut waiting.finding, finding);
            return None;
        }
        let heard = Voices::default().with(finding.voice);
        self.waiting.push_back(Waiting { finding, heard });
        (self.waiting.len() > limits::IMPORT_HELD_MAX).then(|| self.take_next()).flatten()
    }

    /// The one that has waited longest.
    pub(super) fn take_next(&mut self) -> Option<Finding> {
        self.waiting.pop_front().map(|waiting| waiting.finding)
    }
}

fn same_try(one: &Finding, other: &Finding) -> bool {
    if one.what != What::Login || other.what != What::Login || one.voice == other.voice {
        return false;
    }
    if let (true, Some(session), Some(again)) = (one.server == other.server, &one.session, &other.session) {
        return session == again;
    }
    let (front, behind) = if one.voice < other.voice { (one, other) } else { (other, one) };
    let sources_agree = front.source == behind.source || behind.source.is_none();
    sources_agree && logins_agree(front, behind) && near(one, other)
}

fn logins_agree(one: &Finding, other: &Finding) -> bool {
    match (&one.login, &other.login) {
        (Some(one), Some(other)) => {
            let local = |login: &str| login.split_once('@').map_or(login, |(local, _)| local).to_lowercase();
            one.eq_ignore_ascii_case(other)
                || (one.contains('@') != other.contains('@') && local(one) == local(other))
        }
        (None, _) | (_, None) => true,
    }
}

fn near(one: &Finding, other: &Finding) -> bool {
    match (one.time, other.time) {
        (Some(one), Some(other)) => {
            one.checked_sub(other).is_some_and(|apart| apart.saturating_abs() <= limits::IMPORT_JOIN_SECONDS)
        }
        (None, _) | (_, None) => one.line.abs_diff(other.line) <= limits::IMPORT_JOIN_LINES,
    }
}

/// The finding nearer to the client stays, with what the other adds.
fn join(stays: &mut Finding, mut adds: Finding) {
    if adds.voice < stays.voice {
        std::mem::swap(stays, &mut adds);
    }
    stays.source = stays.source.or(adds.source);
    stays.login = stays.login.take().or(adds.login);
    stays.mechanism = stays.mechanism.take().or(adds.mechanism);
    stays.helo = stays.helo.take().or(adds.helo);
}
