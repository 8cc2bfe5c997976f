//! Plays files in memory, and shows what differs.

use super::files::{Loaded, Progress, load, replace};
use crate::cli::arguments::Form;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output;
use crate::dialog::play::update::{Change, changed, changes};
use crate::dialog::play::{Difference, play};
use crate::dialog::{Dialog, Entry, Kind, print};
use crate::limits::REPLAY_CONTEXT_LINES;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What came of a file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Passed,
    Failed,
    NoDialogue,
}

/// A file and what came of it.
#[derive(Debug, Serialize)]
struct Played {
    file: String,
    outcome: Outcome,
    /// Whether the file was changed so that it agrees from now on.
    updated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<String>,
    /// The lines around the difference.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    diff: Vec<String>,
}

/// Plays all of them.
///
/// # Errors
/// When a file cannot be read or written, or the output is not taken.
pub fn replay(files: &[PathBuf], form: Form, update: bool) -> Result<ExitCode, Failure> {
    let progress = Progress::new(files.len());
    let (mut passed, mut failed, mut unread) = (0usize, 0usize, false);
    let mut rows = Vec::new();
    for (done, path) in files.iter().enumerate() {
        progress.at(done, path);
        let played = one(path, update)?;
        match played.outcome {
            Outcome::Passed => passed = passed.saturating_add(1),
            Outcome::Failed => failed = failed.saturating_add(1),
            Outcome::NoDialogue => {
                failed = failed.saturating_add(1);
                unread = true;
            }
        }
        match form {
            Form::Scripts => rows.push(played),
            Form::People => {
                progress.clear();
                shown(&played)?;
            }
        }
    }
    progress.clear();
    match form {
        Form::Scripts => output::json(&rows)?,
        Form::People => output::write_out(|out| writeln!(out, "{passed} passed, {failed} failed"))?,
    }
    Ok(match (unread, failed) {
        (true, _) => ExitCode::from(Exit::Data.code()),
        (false, 0) => ExitCode::SUCCESS,
        (false, _) => ExitCode::from(1),
    })
}

fn shown(played: &Played) -> Result<(), Failure> {
    let file = output::printable(&played.file);
    output::write_out(|out| {
        if let (Some(line), Some(what)) = (played.line, &played.what) {
            writeln!(out, "{file}:{line}: {}", output::printable(what))?;
        }
        for line in &played.diff {
            writeln!(out, "{}", output::printable(line))?;
        }
        if played.updated {
            writeln!(out, "{file}: it says now what happens; look at it with your tool for differences")?;
        }
        Ok(())
    })
}

fn one(path: &Path, update: bool) -> Result<Played, Failure> {
    let file = path.display().to_string();
    let mut played =
        Played { file, outcome: Outcome::Passed, updated: false, line: None, what: None, diff: Vec::new() };
    let dialog = match load(path)? {
        Loaded::Dialog(dialog) => dialog,
        Loaded::NoDialog(line, what) => {
            return Ok(Played { outcome: Outcome::NoDialogue, line: Some(line), what: Some(what), ..played });
        }
    };
    let Some(difference) = play(&dialog).difference else { return Ok(played) };
    let changes = changes(&dialog).unwrap_or_default();
    if update {
        let agreed = changed(&dialog, &changes);
        if !changes.is_empty() && play(&agreed).difference.is_none() {
            replace(path, &print::print(&agreed))?;
            played.updated = true;
            return Ok(played);
        }
    }
    played.outcome = Outcome::Failed;
    played.diff = diff(&dialog, &changes, &difference);
    played.line = Some(difference.line);
    played.what = Some(difference.what);
    Ok(played)
}

/// A line of a diff: a mark, the number in the file, the text.
fn row(mark: char, number: Option<usize>, text: &str) -> String {
    let number = number.map(|number| number.to_string()).unwrap_or_default();
    format!("{mark} {number:>5} {text}").trim_end().to_owned()
}

/// The first place where the dialogue changes, with the lines around it and the comment that says what it shows.
fn diff(dialog: &Dialog, changes: &[Change], difference: &Difference) -> Vec<String> {
    let text = |entry: &Entry| print::kind(&dialog.head, &entry.kind);
    let mut rows: Vec<String> = Vec::new();
    let comment = dialog.entries.iter().find(|entry| matches!(entry.kind, Kind::Comment(_)));
    let Some(first) = changes.iter().position(|change| !matches!(change, Change::Same(_))) else {
        return around(dialog, difference, &text);
    };
    let from = first.saturating_sub(REPLAY_CONTEXT_LINES);
    let is_changed = |change: &&Change| !matches!(change, Change::Same(_));
    let length = changes.iter().skip(first).take_while(is_changed).count();
    let count = first.saturating_sub(from).saturating_add(length).saturating_add(REPLAY_CONTEXT_LINES);
    let shown: Vec<&Change> = changes.iter().skip(from).take(count).collect();
    let is_shown = |line: usize| {
        shown
            .iter()
            .any(|change| matches!(change, Change::Same(entry) | Change::Gone(entry) if entry.line == line))
    };
    if let Some(comment) = comment.filter(|comment| !is_shown(comment.line)) {
        rows.push(row(' ', Some(comment.line), &text(comment)));
        rows.push("  …".to_owned());
    }
    rows.extend(shown.into_iter().map(|change| match change {
        Change::Same(entry) => row(' ', Some(entry.line), &text(entry)),
        Change::Gone(entry) => row('-', Some(entry.line), &text(entry)),
        Change::Came(entry) => row('+', None, &text(entry)),
    }));
    rows
}

/// The lines around a difference that no other line mends.
fn around(dialog: &Dialog, difference: &Difference, text: &impl Fn(&Entry) -> String) -> Vec<String> {
    let least = difference.line.saturating_sub(REPLAY_CONTEXT_LINES);
    let most = difference.line.saturating_add(REPLAY_CONTEXT_LINES);
    let near = dialog.entries.iter().filter(|entry| (least..=most).contains(&entry.line));
    let mark = |entry: &Entry| if entry.line == difference.line { '!' } else { ' ' };
    near.map(|entry| row(mark(entry), Some(entry.line), &text(entry))).collect()
}
