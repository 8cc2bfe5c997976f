//! Data to standard output, talk to standard error.

use super::failure::{Exit, Failure, reason};
use std::io::{self, Write};

/// One line of talk. It may be lost: nobody is there to be told about that.
pub fn tell(line: &str) {
    let _ = writeln!(io::stderr().lock(), "gatepost: {}", printable(line));
}

/// Writes to standard output and sees it through. A reader that is gone is no fault; anything else is.
///
/// # Errors
/// [`Failure::OutputClosed`], or that writing failed.
pub fn write_out(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = io::BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    write(&mut out).and_then(|()| out.flush()).map_err(|error| output_failure(&error))
}

/// What a failed write to standard output is.
#[must_use]
pub fn output_failure(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::OutputClosed;
    }
    Failure::new(Exit::Io, format!("cannot write to standard output: {}", reason(error)))
}

/// The text with what could steer a terminal, or start a new line, made visible.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_direction(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Characters that turn the direction of writing, so that a line reads as another (Unicode Standard Annex 9).
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A table for people: a head, then rows, in columns as wide as their widest cell.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|name| name.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut out = String::new();
    line(&mut out, &widths, head.iter().copied());
    for row in &rows {
        line(&mut out, &widths, row.iter().map(String::as_str));
    }
    out
}

fn line<'c>(out: &mut String, widths: &[usize], cells: impl Iterator<Item = &'c str>) {
    let mut text = String::new();
    for (cell, width) in cells.zip(widths) {
        text.push_str(&format!("{cell:<width$}  "));
    }
    out.push_str(text.trim_end());
    out.push('\n');
}

/// Rows as JSON, one array for scripts.
///
/// # Errors
/// See [`write_out`].
pub fn json<T: serde::Serialize>(rows: &[T]) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(rows)
        .map_err(|error| Failure::new(Exit::Software, format!("cannot write JSON: {error}")))?;
    write_out(|out| writeln!(out, "{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_as_wide_as_its_widest_cell_and_has_no_trailing_space() {
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["lönger".to_owned(), String::new()]];
        assert_eq!(table(&["ONE", "TWO"], &rows), "ONE     TWO\na       b\nlönger\n");
    }

    #[test]
    fn nothing_in_a_cell_steers_the_terminal() {
        assert_eq!(printable("a\x1b[2J\r\nb\u{9b}\u{202e}"), "a\\u{1b}[2J\\u{d}\\u{a}b\\u{9b}\\u{202e}");
        assert_eq!(printable("Jörg"), "Jörg");
    }

    #[test]
    fn a_reader_that_is_gone_is_no_fault() {
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(output_failure(&broken), Failure::OutputClosed);
        assert!(matches!(output_failure(&io::Error::other("x")), Failure::Told(Exit::Io, _)));
    }
}
