//! Other servers' logs: whatever stands in one, the same is found however it is cut, and what is written replays.

mod hostile;

use super::{Verdict, pieces, promise};
use crate::dialog::parse::parse;
use crate::dialog::play::play;
use crate::import::Finding;
use crate::import::dialogues::{Book, Written};
use crate::import::importer::{Importer, Skipped};
use crate::import::series::Series;
use crate::import::shape::Sessions;
use crate::limits;

/// Dialogues that one input plays; each is played once for each of its lines, so that few inputs would be tried.
const PLAYED_MAX: usize = 1;

/// Characters of an input that are tried as a name.
const NAME_CHARS_MAX: usize = 200;

/// No octets make the import forget its bounds, and none of what it writes fails to replay.
pub(super) fn import(data: &[u8]) -> Verdict {
    let (whole, cut) = pieces(data);
    let (findings, skipped) = read(&[whole]);
    promise((findings.clone(), skipped.clone()) == read(&cut), "a cut changed what a log tells")?;
    let lines = whole.split(|octet| *octet == b'\n').count();
    // A collector may say that a line was said again; it counts so often.
    let again: Vec<bool> = whole.split(|octet| *octet == b'\n').map(says_again).collect();
    let once = |finding: &&Finding| {
        let place = usize::try_from(finding.line.saturating_sub(1)).unwrap_or(usize::MAX);
        !again.get(place).copied().unwrap_or(false)
    };
    promise(findings.iter().filter(once).count() <= lines, "more was found than there are lines")?;
    promise(skipped.len() <= lines.saturating_add(1), "more was skipped than there are lines")?;
    for finding in &findings {
        let number = usize::try_from(finding.line).unwrap_or(usize::MAX);
        promise((1..=lines).contains(&number), "a finding is of no line")?;
        let login = finding.login.as_deref().map_or(0, |login| login.chars().count());
        promise(login <= limits::IMPORT_VALUE_CHARS_MAX, "a login is longer than its ceiling")?;
        promise(finding.steps.len() <= limits::IMPORT_STEPS_MAX, "a session has more steps than are kept")?;
    }
    dialogues(&findings)?;
    let name: String = String::from_utf8_lossy(whole).chars().take(NAME_CHARS_MAX).collect();
    hostile::hostile(&name)
}

fn says_again(line: &[u8]) -> bool {
    String::from_utf8_lossy(line).contains("message repeated ")
}

fn read(pieces: &[&[u8]]) -> (Vec<Finding>, Vec<Skipped>) {
    let mut importer = Importer::new(None);
    pieces.iter().for_each(|piece| importer.push(piece));
    importer.end();
    (importer.take(), importer.skipped().to_vec())
}

fn dialogues(findings: &[Finding]) -> Verdict {
    let mut sessions = Sessions::default();
    let mut shapes: Vec<_> = findings.iter().filter_map(|finding| sessions.add(finding)).collect();
    while let Some(shape) = sessions.take_next() {
        shapes.push(shape);
    }
    let mut book = Book::default();
    for shape in shapes.iter().take(PLAYED_MAX) {
        let known = book.doubled();
        match book.add(shape) {
            Some(written) => replays(&written)?,
            None => promise(book.doubled() > known, "a new behaviour was not written")?,
        }
    }
    let mut series = Series::default();
    let mut ended: Vec<_> = shapes.into_iter().flat_map(|shape| series.add(shape)).collect();
    ended.extend(std::iter::from_fn(|| series.take_next()));
    for sessions in ended.iter().take(PLAYED_MAX) {
        let written = book.add_series(sessions);
        replays(&written.ok_or("a new series was not written")?)?;
    }
    Ok(())
}

fn replays(written: &Written) -> Verdict {
    let dialog = parse(&written.text).map_err(|error| error.to_string())?;
    promise(play(&dialog).difference.is_none(), "a written dialogue does not replay")
}
