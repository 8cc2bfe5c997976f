//! The score card of a server.

use crate::dialog::visit::score::{self, Timing};
use crate::dialog::visit::{Finding, LoginSeen, Sort, Visited};
use crate::limits::REPLAY_FINDINGS_SHOWN;
use serde::Serialize;
use std::collections::BTreeMap;

/// A finding and its file.
#[derive(Debug, Clone, Serialize)]
pub struct Told {
    sort: &'static str,
    file: String,
    line: usize,
    what: String,
}

impl Told {
    fn of(file: &str, finding: Finding) -> Self {
        let Finding { line, sort, what } = finding;
        Self { sort: sort.name(), file: file.to_owned(), line, what }
    }

    /// A server that takes no connection any more.
    #[must_use]
    pub fn crash(file: &str, what: String) -> Self {
        Self { sort: Sort::Crash.name(), file: file.to_owned(), line: 1, what }
    }
}

/// What a server did.
#[derive(Debug, Default)]
pub struct Card {
    dialogues: usize,
    sessions: usize,
    left_out: usize,
    skipped: BTreeMap<&'static str, usize>,
    unread: Vec<String>,
    findings: Vec<Told>,
    logins: Vec<(String, LoginSeen)>,
    timings: Vec<Timing>,
}

/// The card for scripts.
#[derive(Debug, Serialize)]
struct Written<'c> {
    dialogues: usize,
    sessions: usize,
    sessions_left_out_in_part: usize,
    skipped: &'c BTreeMap<&'static str, usize>,
    not_read: &'c [String],
    counts: BTreeMap<&'static str, usize>,
    findings: &'c [Told],
    timings: Vec<WrittenTiming<'c>>,
}

#[derive(Debug, Serialize)]
struct WrittenTiming<'c> {
    way: &'c str,
    names: [&'static str; 2],
    samples: [usize; 2],
    median_ms: [u64; 2],
    auc_per_mille: u64,
}

impl Card {
    /// A dialogue was not played, and why.
    pub fn skipped(&mut self, why: &'static str) {
        let count = self.skipped.entry(why).or_default();
        *count = count.saturating_add(1);
    }

    /// A file is no dialogue.
    pub fn unread(&mut self, what: String) {
        self.unread.push(what);
    }

    /// Something the server did.
    pub fn tell(&mut self, told: Told) {
        self.findings.push(told);
    }

    /// A dialogue was played.
    pub fn visited(&mut self, file: &str, visited: Visited) {
        self.dialogues = self.dialogues.saturating_add(1);
        self.sessions = self.sessions.saturating_add(visited.sessions);
        self.left_out = self.left_out.saturating_add(visited.left_out);
        self.findings.extend(visited.findings.into_iter().map(|finding| Told::of(file, finding)));
        self.logins.extend(visited.logins.into_iter().map(|login| (file.to_owned(), login)));
    }

    /// Compares what refused logins heard and how long that took. Once, at the end.
    pub fn compare_logins(&mut self) {
        let logins: Vec<LoginSeen> = self.logins.iter().map(|(_, login)| login.clone()).collect();
        let file_of = |finding: &Finding| {
            let of = self.logins.iter().find(|(_, login)| login.line == finding.line);
            of.map(|(file, _)| file.clone()).unwrap_or_default()
        };
        let mut told: Vec<Told> = Vec::new();
        for finding in score::by_reply(&logins) {
            told.push(Told::of(&file_of(&finding), finding));
        }
        self.timings = score::timings(&logins);
        let timed = self.timings.iter().filter_map(Timing::finding);
        told.extend(timed.map(|finding| Told::of("", finding)));
        self.findings.extend(told);
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether a file was no dialogue.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    fn count(&self, sort: Sort) -> usize {
        self.findings.iter().filter(|told| told.sort == sort.name()).count()
    }

    /// For scripts.
    #[must_use]
    pub fn json(&self) -> String {
        let timings = self.timings.iter().map(|timing| WrittenTiming {
            way: &timing.way,
            names: [timing.kinds.0.name(), timing.kinds.1.name()],
            samples: [timing.samples.0, timing.samples.1],
            median_ms: [timing.median_ms.0, timing.median_ms.1],
            auc_per_mille: timing.auc_per_mille,
        });
        let written = Written {
            dialogues: self.dialogues,
            sessions: self.sessions,
            sessions_left_out_in_part: self.left_out,
            skipped: &self.skipped,
            not_read: &self.unread,
            counts: Sort::ALL.into_iter().map(|sort| (sort.name(), self.count(sort))).collect(),
            findings: &self.findings,
            timings: timings.collect(),
        };
        // It has nothing that JSON cannot say.
        serde_json::to_string_pretty(&written).unwrap_or_default()
    }

    /// For people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{} dialogues played in {} sessions; of {} sessions a part was left out, since the server does not \
             have what it is about",
            self.dialogues, self.sessions, self.left_out
        )];
        lines.extend(self.skipped.iter().map(|(why, count)| format!("{count} dialogues skipped: {why}")));
        lines.extend(self.unread.iter().map(|what| format!("no dialogue: {what}")));
        for sort in Sort::ALL {
            lines.push(format!("{:<24}{}", sort.name(), self.count(sort)));
            let of_sort = || self.findings.iter().filter(|told| told.sort == sort.name());
            for told in of_sort().take(REPLAY_FINDINGS_SHOWN) {
                let place = if told.file.is_empty() {
                    String::new()
                } else {
                    format!("{}:{}: ", told.file, told.line)
                };
                lines.push(format!("  {place}{}", told.what));
            }
            let more = of_sort().skip(REPLAY_FINDINGS_SHOWN).count();
            if more > 0 {
                lines.push(format!("  and {more} more; --json has all"));
            }
        }
        for timing in &self.timings {
            lines.push(format!(
                "{}: {} {} ms, {} {} ms (medians of {} and {}); area under the curve {} of 1000, 500 tells nothing",
                timing.way,
                timing.kinds.0.name(),
                timing.median_ms.0,
                timing.kinds.1.name(),
                timing.median_ms.1,
                timing.samples.0,
                timing.samples.1,
                timing.auc_per_mille
            ));
        }
        lines.push(format!("{} findings", self.findings.len()));
        lines
    }
}
