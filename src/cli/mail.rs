//! Commands that read mail.

use super::access::{Access, Intent, unexpected};
use super::arguments::Form;
use super::failure::Failure;
use super::output::{output_failure, printable, write_out};
use crate::control::{MessageRow, Request, Response};
use crate::mail::date::rfc3339;
use crate::types::{Address, Uid};
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

/// A message as scripts see it.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Shown<'r> {
    id: u64,
    size: u64,
    received: String,
    from: &'r str,
    to: &'r str,
    mail: &'r str,
}

impl<'r> Shown<'r> {
    fn of(row: &'r MessageRow) -> Self {
        Self {
            id: row.id.0,
            size: row.size,
            received: rfc3339(row.received),
            from: &row.from,
            to: &row.to,
            mail: &row.mail,
        }
    }
}

/// Lists the messages of an account, page by page: an account may have any number.
///
/// # Errors
/// When they cannot be read or written out.
pub fn list(dir: &Path, address: &Address, form: Form) -> Result<(), Failure> {
    let mut access = Access::open(dir, Intent::Read)?;
    let mut after = Uid(0);
    // Outside of the write, so that what is wrong with the account is told before anything is written.
    let mut page = messages(&mut access, address, after)?;
    let mut failure = None;
    write_out(|out| {
        let mut writer = Writer::start(out, form)?;
        loop {
            let (rows, more) = &page;
            for row in rows {
                writer.row(row)?;
            }
            match rows.last() {
                // A page that goes no further would come for ever.
                Some(last) if *more && last.id > after => after = last.id,
                Some(_) | None => return writer.end(),
            }
            match messages(&mut access, address, after) {
                Ok(next) => page = next,
                Err(error) => {
                    // An array that is not closed shows a script that it is not whole.
                    failure = Some(error);
                    return Ok(());
                }
            }
        }
    })?;
    failure.map_or(Ok(()), Err)
}

fn messages(access: &mut Access, address: &Address, after: Uid) -> Result<(Vec<MessageRow>, bool), Failure> {
    match access.ask(&Request::MailList(address.clone(), after))? {
        Response::Messages { rows, more } => Ok((rows, more)),
        Response::Changed { .. }
        | Response::Directory(_)
        | Response::ReportDay(_)
        | Response::ScramSalts(..)
        | Response::Message(_)
        | Response::Explained(_)
        | Response::Verified(_)
        | Response::NoThrottle
        | Response::Status(_)
        | Response::Refused(..) => Err(unexpected()),
    }
}

/// Writes rows as they come.
struct Writer<'o> {
    out: &'o mut dyn Write,
    form: Form,
    is_first: bool,
}

impl<'o> Writer<'o> {
    fn start(out: &'o mut dyn Write, form: Form) -> io::Result<Self> {
        match form {
            Form::People => writeln!(out, "{:>6}  {:>10}  {:<20}  FROM  TO", "ID", "SIZE", "RECEIVED")?,
            Form::Scripts => out.write_all(b"[")?,
        }
        Ok(Self { out, form, is_first: true })
    }

    fn row(&mut self, row: &MessageRow) -> io::Result<()> {
        let shown = Shown::of(row);
        match self.form {
            Form::People => {
                let (from, to) = (printable(shown.from), printable(shown.to));
                writeln!(
                    self.out,
                    "{:>6}  {:>10}  {:<20}  {from}  {to}",
                    shown.id, shown.size, shown.received
                )
            }
            Form::Scripts => {
                self.out.write_all(if self.is_first { b"\n  " } else { b",\n  " })?;
                self.is_first = false;
                serde_json::to_writer(&mut *self.out, &shown).map_err(io::Error::from)
            }
        }
    }

    fn end(self) -> io::Result<()> {
        match self.form {
            Form::People => Ok(()),
            Form::Scripts => self.out.write_all(if self.is_first { b"]\n" } else { b"\n]\n" }),
        }
    }
}

/// Writes one message out, octet by octet as it is kept.
///
/// # Errors
/// When it is not there, or cannot be read or written out.
pub fn show(dir: &Path, address: &Address, id: Uid) -> Result<(), Failure> {
    let mut access = Access::open(dir, Intent::Read)?;
    match access.ask(&Request::MailShow(address.clone(), id))? {
        Response::Message(octets) => {
            let mut out = raw_stdout().map_err(|error| output_failure(&error))?;
            access.copy_message(octets, &mut out)
        }
        Response::Changed { .. }
        | Response::Directory(_)
        | Response::ReportDay(_)
        | Response::ScramSalts(..)
        | Response::Messages { .. }
        | Response::Explained(_)
        | Response::Verified(_)
        | Response::NoThrottle
        | Response::Status(_)
        | Response::Refused(..) => Err(unexpected()),
    }
}

/// Standard output without the line buffer of the standard library, which would cut a message into lines.
fn raw_stdout() -> io::Result<io::BufWriter<std::fs::File>> {
    use std::os::fd::AsFd;
    let fd = io::stdout().as_fd().try_clone_to_owned()?;
    Ok(io::BufWriter::with_capacity(64 * 1024, std::fs::File::from(fd)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::UnixTime;

    fn row(id: u64) -> MessageRow {
        MessageRow {
            id: Uid(id),
            size: 1_234,
            received: UnixTime(1_795_495_657),
            from: "<a@b.example>".to_owned(),
            to: "me\u{1b}@localhost".to_owned(),
            mail: "0".repeat(32),
        }
    }

    fn written(form: Form, rows: &[MessageRow]) -> String {
        let mut out = Vec::new();
        let mut writer = Writer::start(&mut out, form).unwrap();
        for row in rows {
            writer.row(row).unwrap();
        }
        writer.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn scripts_get_an_array_whatever_its_length() {
        for count in 0..4 {
            let rows: Vec<MessageRow> = (1..=count).map(row).collect();
            let value: serde_json::Value = serde_json::from_str(&written(Form::Scripts, &rows)).unwrap();
            let array = value.as_array().unwrap();
            assert_eq!(array.len(), rows.len());
            for (entry, row) in array.iter().zip(&rows) {
                assert_eq!(entry["id"], row.id.0);
                assert_eq!(entry["size"], 1_234);
                assert_eq!(entry["received"], "2026-11-24T04:47:37Z");
                assert_eq!(entry["from"], "<a@b.example>");
                assert_eq!(entry["to"], "me\u{1b}@localhost");
                assert_eq!(entry["mail"], "0".repeat(32));
            }
        }
    }

    #[test]
    fn people_get_a_line_each_that_steers_no_terminal() {
        let text = written(Form::People, &[row(1), row(2)]);
        assert_eq!(text.lines().count(), 3);
        assert!(!text.contains('\u{1b}'));
    }
}
