//! `gatepost verify`: looks at everything that is kept, in steps, through the running server or without one.
#![expect(
    clippy::disallowed_methods,
    reason = "it waits for a server that is just starting, and shows progress"
)]

use super::access::unexpected;
use super::arguments::Form;
use super::failure::{Exit, Failure};
use super::output::{printable, write_out};
use super::remote::Remote;
use super::{identity, place};
use crate::control::{Request, Response};
use crate::limits::{CONTROL_RETRY_MS_MAX, VERIFY_FINDINGS_PER_KIND};
use crate::store::fjall::FjallStore;
use crate::store::place::{OpenMode, UNFINISHED_NAME, torn_path};
use crate::store::verify::{Checked, Cursor, Finding, Kind, Page, Severity};
use crate::store::{Store, StoreError};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Milliseconds between two lines of progress.
const PROGRESS_MS: u64 = 200;

/// The way to the store.
enum Way {
    Running(Remote),
    Direct(Box<FjallStore>),
    /// It cannot be opened, and that is what was found.
    Closed(Finding),
}

/// Looks at everything and says what is wrong.
///
/// # Errors
/// Exit 65 if something is; 75 when another program has the directory; when standard output takes no more.
pub fn verify(dir: &Path, form: Form) -> Result<(), Failure> {
    identity::become_owner_of(dir)?;
    place::must_be_ours(dir)?;
    let mut report = Report::default();
    match open(dir)? {
        Way::Closed(finding) => report.add(finding),
        Way::Running(mut remote) => {
            report.is_live = true;
            report.run(|from| match remote.ask(&Request::Verify(from))? {
                Response::Verified(page) => Ok(*page),
                Response::Refused(refusal, why) => Err(Failure::of_refusal(refusal, why)),
                Response::Changed { .. }
                | Response::Directory(_)
                | Response::ScramSalts(..)
                | Response::ReportDay(_)
                | Response::Messages { .. }
                | Response::Message(_)
                | Response::Explained(_)
                | Response::NoThrottle
                | Response::Status(_) => Err(unexpected()),
            })?;
        }
        Way::Direct(store) => report.run(|from| Ok(store.verify(&from)))?,
    }
    leftovers(dir, &mut report);
    match form {
        Form::People => write_out(|out| out.write_all(report.text().as_bytes()))?,
        Form::Scripts => {
            let text = serde_json::to_string_pretty(&report.shown())
                .map_err(|error| Failure::new(Exit::Software, format!("cannot write JSON: {error}")))?;
            write_out(|out| writeln!(out, "{text}"))?;
        }
    }
    // The sum is the last line; there is nothing to add to it.
    if report.count(Severity::Damage) > 0 { Err(Failure::Told(Exit::Data, Vec::new())) } else { Ok(()) }
}

/// Lets the store tell no more of what is missing now.
///
/// # Errors
/// Exit 75 while a server or another program has the directory; when the store cannot be opened.
pub fn accept_losses(dir: &Path) -> Result<(), Failure> {
    identity::become_owner_of(dir)?;
    place::must_be_ours(dir)?;
    let failed = |error: StoreError| Failure::of_store(dir, &error);
    if Remote::connect(dir)?.is_some() {
        let why = "a server runs on the directory: stop it, accept the losses, and start it again";
        return Err(Failure::new(Exit::Temporary, format!("{}: {why}", dir.display())));
    }
    let (mut store, _) = FjallStore::open(dir, OpenMode::Write).map_err(failed)?;
    let accepted = store.accept_losses().map_err(failed)?;
    write_out(|out| {
        for lost in &accepted {
            writeln!(out, "accepted as lost: {lost}")?;
        }
        if accepted.is_empty() { writeln!(out, "no acknowledged mail is missing") } else { Ok(()) }
    })
}

fn open(dir: &Path) -> Result<Way, Failure> {
    let deadline = Instant::now().checked_add(Duration::from_millis(CONTROL_RETRY_MS_MAX));
    loop {
        if let Some(remote) = Remote::connect(dir)? {
            return Ok(Way::Running(remote));
        }
        match FjallStore::open(dir, OpenMode::Read) {
            Ok((store, _)) => return Ok(Way::Direct(Box::new(store))),
            // A server that is starting has the store before the socket; one that stops has it after.
            Err(StoreError::Locked) if deadline.is_some_and(|deadline| Instant::now() < deadline) => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(StoreError::Damaged(what)) => {
                return Ok(Way::Closed(Finding::new(Kind::StoreDamaged, dir.display().to_string(), what)));
            }
            Err(StoreError::Torn(what)) => {
                return Ok(Way::Closed(Finding::new(Kind::StoreTorn, dir.display().to_string(), what)));
            }
            Err(error) => return Err(Failure::of_store(dir, &error)),
        }
    }
}

/// What crashes left beside the store.
fn leftovers(dir: &Path, report: &mut Report) {
    let unfinished = dir.join(UNFINISHED_NAME);
    if unfinished.exists() {
        let what = "a store that was being made and never was";
        report.add(Finding::new(Kind::UnfinishedStore, unfinished.display().to_string(), what));
    }
    let Ok(entries) = std::fs::read_dir(torn_path(dir)) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let what = "the journal before its torn end was cut off";
        report.add(Finding::new(Kind::TornJournalKept, path.display().to_string(), what));
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct Report {
    is_live: bool,
    checked: Checked,
    counts: BTreeMap<Kind, u64>,
    /// The first few of each kind.
    findings: BTreeMap<Kind, Vec<Finding>>,
}

/// A finding as scripts see it.
#[derive(Debug, Serialize)]
struct ShownFinding<'r> {
    #[serde(flatten)]
    finding: &'r Finding,
    severity: Severity,
    advice: &'static str,
}

/// The report as scripts see it.
#[derive(Debug, Serialize)]
struct Shown<'r> {
    /// Whether it was asked of a running server.
    server_running: bool,
    checked: Checked,
    damage: u64,
    notes: u64,
    /// How many of each kind, those not listed included.
    counts: &'r BTreeMap<Kind, u64>,
    findings: Vec<ShownFinding<'r>>,
}

impl Report {
    fn run(&mut self, mut step: impl FnMut(Cursor) -> Result<Page, Failure>) -> Result<(), Failure> {
        let mut progress = Progress::start();
        let mut from = Some(Cursor::default());
        while let Some(cursor) = from {
            let page = step(cursor)?;
            self.checked.add(page.checked);
            page.findings.into_iter().for_each(|finding| self.add(finding));
            progress.show(self.checked);
            from = page.next;
        }
        progress.end();
        Ok(())
    }

    fn add(&mut self, finding: Finding) {
        let count = self.counts.entry(finding.kind).or_default();
        *count = count.saturating_add(1);
        let of_kind = self.findings.entry(finding.kind).or_default();
        if of_kind.len() < VERIFY_FINDINGS_PER_KIND {
            of_kind.push(finding);
        }
    }

    fn count(&self, severity: Severity) -> u64 {
        let counts = self.counts.iter().filter(|(kind, _)| kind.severity() == severity);
        counts.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    fn shown(&self) -> Shown<'_> {
        let shown = |finding| ShownFinding {
            finding,
            severity: finding.kind.severity(),
            advice: finding.kind.advice(),
        };
        Shown {
            server_running: self.is_live,
            checked: self.checked,
            damage: self.count(Severity::Damage),
            notes: self.count(Severity::Note),
            counts: &self.counts,
            findings: self.findings.values().flatten().map(shown).collect(),
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for severity in [Severity::Note, Severity::Damage] {
            for (kind, findings) in self.findings.iter().filter(|(kind, _)| kind.severity() == severity) {
                let count = self.counts.get(kind).copied().unwrap_or(0);
                for Finding { place, what, .. } in findings {
                    out.push_str(&printable(&format!("{}: {place}: {what}", kind.name())));
                    out.push('\n');
                }
                let shown = u64::try_from(findings.len()).unwrap_or(u64::MAX);
                if count > shown {
                    out.push_str(&format!("{}: and {} more\n", kind.name(), count.saturating_sub(shown)));
                }
                out.push_str(&format!("    what to do: {}\n", kind.advice()));
            }
        }
        let damage = match self.count(Severity::Damage) {
            0 => "nothing is wrong".to_owned(),
            1 => "1 thing is wrong".to_owned(),
            count => format!("{count} things are wrong"),
        };
        let notes = match self.count(Severity::Note) {
            0 => String::new(),
            1 => ", 1 note".to_owned(),
            count => format!(", {count} notes"),
        };
        out.push_str(&format!("{}: {damage}{notes}\n", looked_at(self.checked)));
        out
    }
}

fn looked_at(checked: Checked) -> String {
    let Checked { records, messages, bodies, body_octets } = checked;
    format!("{records} records, {messages} messages, {bodies} bodies of {body_octets} octets")
}

/// A line on a terminal that is written over.
struct Progress {
    is_shown: bool,
    last: Instant,
    has_line: bool,
}

impl Progress {
    fn start() -> Self {
        Self { is_shown: std::io::stderr().is_terminal(), last: Instant::now(), has_line: false }
    }

    fn show(&mut self, checked: Checked) {
        if !self.is_shown || self.last.elapsed() < Duration::from_millis(PROGRESS_MS) {
            return;
        }
        self.last = Instant::now();
        self.has_line = true;
        // Talk that may be lost.
        let _ = write!(std::io::stderr().lock(), "\r\x1b[K{} ...", looked_at(checked));
    }

    fn end(&self) {
        if self.has_line {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_stands_with_what_to_do_and_the_last_line_sums() {
        let mut report =
            Report { checked: Checked { records: 9, ..Checked::default() }, ..Report::default() };
        assert_eq!(report.text(), "9 records, 0 messages, 0 bodies of 0 octets: nothing is wrong\n");
        report.add(Finding::new(Kind::BodyMissing, "message 1 of account\x1b 2", "it is gone"));
        report.add(Finding::new(Kind::TornJournalKept, "torn/0001-0.jnl", "kept"));
        let text = report.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[2], "body-missing: message 1 of account\\u{1b} 2: it is gone");
        assert_eq!(lines[4], "9 records, 0 messages, 0 bodies of 0 octets: 1 thing is wrong, 1 note");
    }

    #[test]
    fn findings_beyond_the_first_of_a_kind_are_counted() {
        let mut report = Report::default();
        for _ in 0..VERIFY_FINDINGS_PER_KIND + 7 {
            report.add(Finding::new(Kind::BodyMissing, "here", "gone"));
        }
        assert!(report.text().contains("body-missing: and 7 more\n"));
        assert_eq!(report.shown().damage, u64::try_from(VERIFY_FINDINGS_PER_KIND).unwrap() + 7);
        assert_eq!(report.shown().findings.len(), VERIFY_FINDINGS_PER_KIND);
    }
}
