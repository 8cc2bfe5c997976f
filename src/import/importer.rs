//! One file: octets in, findings out, whatever formats it holds.

use super::held::Held;
use super::octets::{Lines, Piece};
use super::{Finding, Heard, Line, Reader, Server, Why, formats, prefix};
use crate::limits;
use std::collections::BTreeMap;

/// A line that was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// Its number, from 1.
    pub line: u64,
    /// Why.
    pub why: Why,
}

/// What a file held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Lines.
    pub lines: u64,
    /// Lines of each server that were understood.
    pub understood: BTreeMap<Server, u64>,
    /// Lines that none of the readers knows.
    pub others: u64,
    /// Lines of a mail server that were not understood, listed or not.
    pub skipped: u64,
}

/// Reads one file.
pub struct Importer {
    lines: Lines,
    desk: Desk,
}

/// What happens to a line.
struct Desk {
    readers: Vec<Box<dyn Reader + Send>>,
    held: Held,
    found: Vec<Finding>,
    settled: Vec<Finding>,
    skipped: Vec<Skipped>,
    counts: Counts,
    /// The line before, for a collector that says it was said again.
    last: String,
}

impl Importer {
    /// For a file of this server's, or of any.
    #[must_use]
    pub fn new(server: Option<Server>) -> Self {
        let mut readers = formats::all();
        readers.retain(|reader| server.is_none_or(|chosen| chosen == reader.server()));
        let desk = Desk {
            readers,
            held: Held::default(),
            found: Vec::new(),
            settled: Vec::new(),
            skipped: Vec::new(),
            counts: Counts::default(),
            last: String::new(),
        };
        Self { lines: Lines::new(), desk }
    }

    /// Takes the next octets of the file.
    pub fn push(&mut self, octets: &[u8]) {
        let desk = &mut self.desk;
        self.lines.push(octets, |number, piece| desk.piece(number, piece));
    }

    /// The file has ended.
    pub fn end(&mut self) {
        let desk = &mut self.desk;
        self.lines.end(|number, piece| desk.piece(number, piece));
        desk.end();
    }

    /// The rest of the file cannot be read. A line of which only the beginning came is dropped: an address cut short
    /// is another client's.
    pub fn damaged(&mut self, why: Why) {
        self.lines.drop_unfinished();
        let line = self.lines.next_number();
        self.desk.skip(line, why);
    }

    /// Takes out the findings that nothing can be added to any more, in the order of the file or nearly so.
    #[must_use]
    pub fn take(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.desk.settled)
    }

    /// The lines that were not understood, the first [`limits::IMPORT_SKIPPED_MAX`] of them.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.desk.skipped
    }

    /// What was counted.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.desk.counts
    }
}

impl Desk {
    fn piece(&mut self, number: u64, piece: Piece<'_>) {
        self.counts.lines = self.counts.lines.saturating_add(1);
        match piece {
            Piece::TooLong => self.skip(number, Why::TooLong),
            Piece::Line(octets) => {
                let text = String::from_utf8_lossy(octets);
                let plain = without_colours(&text);
                self.text(number, plain.as_deref().unwrap_or(&text));
            }
        }
    }

    fn text(&mut self, number: u64, text: &str) {
        // A file cut short under its writer begins with NUL, one from elsewhere with a byte order mark.
        let text = text.trim_start_matches(['\0', '\u{feff}']);
        if text.trim().is_empty() {
            return;
        }
        if let Some(times) = prefix::said_again(text).filter(|_| !self.last.is_empty()) {
            // Each time counts at this line.
            let last = std::mem::take(&mut self.last);
            self.unwrapped(number, &last, times);
            self.last = last;
            return;
        }
        text.clone_into(&mut self.last);
        self.unwrapped(number, text, 1);
    }

    fn unwrapped(&mut self, number: u64, text: &str, times: u32) {
        let line = prefix::cut(number, text);
        if let Some(unwrapped) = prefix::unwrap_json(line.text) {
            self.line(&unwrapped.line(number), times);
        } else {
            self.line(&line, times);
        }
    }

    fn line(&mut self, line: &Line<'_>, times: u32) {
        let times = line.prefix.times.unwrap_or(1).saturating_mul(times).min(limits::IMPORT_REPEATS_MAX);
        let heard = self.heard(line);
        for _ in 1..times {
            let _ = self.heard(line);
        }
        match heard {
            (Some(server), _) => {
                let count = self.counts.understood.entry(server).or_default();
                *count = count.saturating_add(1);
            }
            (None, Some(because)) => self.skip(line.number, because),
            (None, None) => self.counts.others = self.counts.others.saturating_add(1),
        }
        self.settle();
    }

    /// Whose line it is, or else why it was not understood.
    fn heard(&mut self, line: &Line<'_>) -> (Option<Server>, Option<Why>) {
        let mut why = None;
        for reader in &mut self.readers {
            match reader.read(line, &mut self.found) {
                Heard::Understood => return (Some(reader.server()), None),
                Heard::Damaged(because) => why = why.or(Some(because)),
                Heard::NotMine => {}
            }
        }
        (None, why)
    }

    fn skip(&mut self, line: u64, why: Why) {
        self.counts.skipped = self.counts.skipped.saturating_add(1);
        if self.skipped.len() < limits::IMPORT_SKIPPED_MAX {
            self.skipped.push(Skipped { line, why });
        }
    }

    fn settle(&mut self) {
        for finding in std::mem::take(&mut self.found) {
            self.settled.extend(self.held.add(finding));
        }
    }

    fn end(&mut self) {
        for reader in &mut self.readers {
            reader.end(&mut self.found);
        }
        self.settle();
        while let Some(finding) = self.held.take_next() {
            self.settled.push(finding);
        }
    }
}

/// The text without the escapes that colour it, if it has any: containers and some servers write them.
fn without_colours(text: &str) -> Option<String> {
    if !text.contains("\u{1b}[") {
        return None;
    }
    let mut pieces = text.split("\u{1b}[");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let after = piece.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        plain.push_str(after.strip_prefix('m').unwrap_or(piece));
    }
    Some(plain)
}

/// The findings, the skipped lines and the counts of a text, read at once.
#[must_use]
pub fn read_all(server: Option<Server>, octets: &[u8]) -> (Vec<Finding>, Vec<Skipped>, Counts) {
    let mut importer = Importer::new(server);
    importer.push(octets);
    importer.end();
    (importer.take(), importer.skipped().to_vec(), importer.counts().clone())
}
