//! All measurements, one after the other, with several visits at once.

use super::site::Site;
use super::visits;
use crate::audit::channel::{Aspect, Probe};
use crate::audit::judge::{Eye, Finding, Judgement, findings};
use crate::audit::plan::{Subject, errands};
use crate::audit::statistics::Doubt;
use crate::audit::visit::Visit;
use crate::limits::{AUDIT_CHEAP_FACTOR, AUDIT_LOOKS_MAX, AUDIT_ROUNDS_MIN};
use crate::types::Chance;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Makes visits.
pub struct Runner<'a> {
    site: &'a Site,
    subjects: &'a [Subject],
    rounds: usize,
    /// Between the beginnings of two visits.
    pause: Duration,
    at_once: usize,
    jitter_nanos: u64,
    shows_progress: bool,
}

/// How visits are made and judged.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Rounds of a measurement.
    pub rounds: usize,
    /// Visits a second; as many as go if there is none.
    pub rate: Option<u32>,
    /// Visits at once.
    pub at_once: usize,
    /// See [`Eye::jitter_nanos`].
    pub jitter_nanos: u64,
}

impl<'a> Runner<'a> {
    /// A runner for this site and these names.
    #[must_use]
    pub fn new(site: &'a Site, subjects: &'a [Subject], manner: Manner) -> Self {
        let Manner { rounds, rate, at_once, jitter_nanos } = manner;
        let pause = rate.and_then(|rate| Duration::from_secs(1).checked_div(rate)).unwrap_or_default();
        let shows_progress = std::io::stderr().is_terminal();
        Self { site, subjects, rounds, pause, at_once, jitter_nanos, shows_progress }
    }

    /// Every channel that visits of these probes tell about.
    pub fn all(&self, probes: &[Probe], chance: &mut Chance) -> Vec<Finding> {
        let mut all = Vec::new();
        for probe in probes.iter().copied() {
            match self.why_not(probe) {
                None => all.extend(self.probe(probe, chance)),
                Some(why) => {
                    all.push(Finding::plain(probe.name(), Judgement::NotTried, vec![why.to_owned()]));
                }
            }
        }
        all
    }

    fn why_not(&self, probe: Probe) -> Option<&'static str> {
        match probe {
            Probe::RcptAtSubmission | Probe::AuthAtMail => {
                (!self.site.has_two_doors()).then_some("mail and logins have the same door")
            }
            Probe::AuthSeries => {
                let why =
                    "a series for each name needs as many source addresses, which 127.0.0.0/8 alone has";
                (!self.site.has_many_sources()).then_some(why)
            }
            Probe::AuthPlain
            | Probe::AuthLogin
            | Probe::AuthScram
            | Probe::Rcpt
            | Probe::Vrfy
            | Probe::Expn
            | Probe::Mail => None,
        }
    }

    fn probe(&self, probe: Probe, chance: &mut Chance) -> Vec<Finding> {
        let rounds = match (probe, probe.is_dear()) {
            (Probe::AuthSeries, _) => (self.rounds / 2).max(AUDIT_ROUNDS_MIN),
            (_, true) => self.rounds,
            (_, false) if self.site.has_many_sources() => self.rounds.saturating_mul(AUDIT_CHEAP_FACTOR),
            (_, false) => self.rounds,
        };
        let mut findings = self.judged(probe, rounds, Doubt::First, chance);
        for _ in 1..AUDIT_LOOKS_MAX {
            if !findings.iter().any(needs_another_look) {
                break;
            }
            let again = self.judged(probe, rounds, Doubt::Again, chance);
            findings =
                findings.into_iter().zip(again).map(|(before, again)| settled(before, again)).collect();
        }
        findings
    }

    fn judged(&self, probe: Probe, rounds: usize, doubt: Doubt, chance: &mut Chance) -> Vec<Finding> {
        let visits = self.visits(probe, rounds, chance);
        findings(probe, &visits, Eye { doubt, jitter_nanos: self.jitter_nanos }, chance)
    }

    /// In the order of the plan.
    fn visits(&self, probe: Probe, rounds: usize, chance: &mut Chance) -> Vec<Visit> {
        let errands = errands(self.subjects, rounds, chance);
        let count = errands.len();
        let waiting = Mutex::new((errands.into_iter().enumerate(), Instant::now()));
        let made: Mutex<Vec<(usize, Visit)>> = Mutex::new(Vec::with_capacity(count));
        // One visit at a time where times are of microseconds: others beside it would be what is measured.
        let threads = if probe.is_dear() { self.at_once } else { 1 };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some((index, errand)) = self.next(&waiting) {
                        let visit = visits::make(self.site, probe, errand);
                        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
                        made.push((index, visit));
                        self.show(probe, made.len(), count);
                    }
                });
            }
        });
        self.show_end();
        let mut made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
        made.sort_by_key(|(index, _)| *index);
        made.into_iter().map(|(_, visit)| visit).collect()
    }

    /// The next errand, when it is time for it.
    fn next<T>(&self, waiting: &Mutex<(impl Iterator<Item = T>, Instant)>) -> Option<T> {
        let (next, wait) = {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let next = waiting.0.next()?;
            let now = Instant::now();
            let due = waiting.1.max(now);
            waiting.1 = due.checked_add(self.pause).unwrap_or(due);
            (next, due.saturating_duration_since(now))
        };
        std::thread::sleep(wait);
        Some(next)
    }

    fn show(&self, probe: Probe, made: usize, count: usize) {
        if self.shows_progress {
            // It may be lost: it is only for the eye.
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K{}: {made} of {count} visits", probe.name());
        }
    }

    fn show_end(&self) {
        if self.shows_progress {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// Whether it is about times and tells more than it must.
fn needs_another_look(finding: &Finding) -> bool {
    let is_of_time = |aspect: Aspect| finding.channel.ends_with(aspect.name());
    finding.bits > 0.0 && (is_of_time(Aspect::Time) || is_of_time(Aspect::Kind))
}

/// What counts of two looks.
fn settled(before: Finding, mut again: Finding) -> Finding {
    if !needs_another_look(&before) {
        return before;
    }
    if again.bits == 0.0 {
        again.evidence.push("it seemed to tell, and did not when it was measured again".to_owned());
    }
    again
}
