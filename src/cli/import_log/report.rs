//! What was read, for scripts and for people.

use crate::cli::output::{printable, table};
use crate::import::dialogues::Book;
use crate::import::importer::Importer;
use crate::import::{Finding, Server, Why};
use crate::limits::{IMPORT_DISTINCT_MAX, IMPORT_SKIPPED_MAX, IMPORT_SKIPPED_SHOWN};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;

#[derive(Debug, Serialize)]
struct Attempt<'a> {
    file: &'a str,
    line: u64,
    server: &'static str,
    source: Option<IpAddr>,
    login: Option<&'a str>,
    mechanism: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Skipped {
    file: String,
    line: u64,
    why: &'static str,
}

/// Writes an attempt as an object.
pub(super) fn attempt(file: &str, finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    let attempt = Attempt {
        file,
        line: finding.line,
        server: finding.server.name(),
        source: finding.source,
        login: finding.login.as_deref(),
        mechanism: finding.mechanism.as_deref(),
    };
    serde_json::to_writer(out, &attempt).map_err(io::Error::from)
}

/// Everything that was counted.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Dialogues written.
    pub(super) dialogues: u64,
    /// Whether a file could not be read to its end.
    pub(super) damaged: bool,
    attempts: u64,
    sources: BTreeSet<IpAddr>,
    logins: BTreeSet<String>,
    mechanisms: BTreeMap<String, u64>,
    formats: BTreeMap<Server, u64>,
    lines: u64,
    others: u64,
    not_understood: u64,
    skipped: Vec<Skipped>,
}

impl Report {
    /// Counts an attempt. Beyond [`IMPORT_DISTINCT_MAX`] different names or addresses no new ones are remembered.
    pub(super) fn count(&mut self, finding: &Finding) {
        self.attempts = self.attempts.saturating_add(1);
        if let Some(source) = finding.source.filter(|_| self.sources.len() < IMPORT_DISTINCT_MAX) {
            self.sources.insert(source);
        }
        if let Some(login) = finding.login.as_ref().filter(|_| self.logins.len() < IMPORT_DISTINCT_MAX)
            && !self.logins.contains(login)
        {
            self.logins.insert(login.clone());
        }
        let name = finding.mechanism.as_deref().unwrap_or("not said");
        if let Some(count) = self.mechanisms.get_mut(name) {
            *count = count.saturating_add(1);
        } else if self.mechanisms.len() < IMPORT_DISTINCT_MAX {
            self.mechanisms.insert(name.to_owned(), 1);
        }
    }

    /// Takes over what a file held.
    pub(super) fn file(&mut self, name: &str, importer: &Importer) {
        let counts = importer.counts();
        self.lines = self.lines.saturating_add(counts.lines);
        self.others = self.others.saturating_add(counts.others);
        self.not_understood = self.not_understood.saturating_add(counts.skipped);
        for (server, lines) in &counts.understood {
            let count = self.formats.entry(*server).or_default();
            *count = count.saturating_add(*lines);
        }
        let room = IMPORT_SKIPPED_MAX.saturating_sub(self.skipped.len());
        let listed = importer.skipped().iter().take(room);
        let why = |why: Why| why.text();
        self.skipped.extend(listed.map(|one| Skipped {
            file: name.to_owned(),
            line: one.line,
            why: why(one.why),
        }));
    }

    /// Writes the skipped lines as objects.
    pub(super) fn skipped(&self, out: &mut dyn Write) -> io::Result<()> {
        for (at, skipped) in self.skipped.iter().enumerate() {
            out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut *out, skipped)?;
        }
        Ok(())
    }

    /// The summary for people.
    pub(super) fn people(&self, book: &Book, dir: Option<&Path>, out: &mut dyn Write) -> io::Result<()> {
        let mut mechanisms: Vec<(&String, &u64)> = self.mechanisms.iter().collect();
        mechanisms.sort_by(|one, other| other.1.cmp(one.1));
        let mechanisms: Vec<String> =
            mechanisms.iter().take(10).map(|(name, count)| format!("{name} {count}")).collect();
        let formats: Vec<String> =
            self.formats.iter().map(|(server, lines)| format!("{} {lines}", server.name())).collect();
        let dialogues = match dir {
            Some(dir) => format!(
                "{} written to {}, {} sessions did what another had done",
                self.dialogues,
                dir.display(),
                book.doubled()
            ),
            None => "none written: give --out DIR".to_owned(),
        };
        let distinct = |count: usize| {
            if count < IMPORT_DISTINCT_MAX { count.to_string() } else { format!("at least {count}") }
        };
        let said = |list: Vec<String>| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        let rows = [
            ("attempts", self.attempts.to_string()),
            ("sources", distinct(self.sources.len())),
            ("logins", distinct(self.logins.len())),
            ("mechanisms", said(mechanisms)),
            ("formats", said(formats)),
            ("lines", format!("{}, {} of them of other programs", self.lines, self.others)),
            ("not understood", self.not_understood.to_string()),
            ("dialogues", dialogues),
        ];
        for (name, value) in rows {
            writeln!(out, "{name:<15} {}", printable(&value))?;
        }
        if book.beyond() > 0 {
            writeln!(out, "{:<15} {} further behaviours were not written", "", book.beyond())?;
        }
        if !self.skipped.is_empty() {
            let row = |one: &Skipped| vec![one.file.clone(), one.line.to_string(), one.why.to_owned()];
            let rows: Vec<Vec<String>> = self.skipped.iter().take(IMPORT_SKIPPED_SHOWN).map(row).collect();
            write!(out, "\n{}", table(&["FILE", "LINE", "NOT UNDERSTOOD"], &rows))?;
        }
        Ok(())
    }
}
