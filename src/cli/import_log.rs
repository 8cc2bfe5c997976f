//! Other servers' logs: read, counted, made into dialogue files.
#![expect(clippy::disallowed_methods, reason = "the command line reads and writes files")]

mod report;

use super::arguments::{Form, ImportLog};
use super::failure::{Exit, Failure, reason};
use super::output::{tell, write_out};
use crate::import::dialogues::{Book, Written};
use crate::import::importer::Importer;
use crate::import::series::Series;
use crate::import::shape::{Sessions, Shape};
use crate::import::{Finding, Server, Why};
use crate::limits::{IMPORT_PROGRESS_OCTETS, IMPORT_READ_OCTETS};
use flate2::read::MultiGzDecoder;
use report::Report;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Reads the logs and tells what they hold.
///
/// # Errors
/// A file that cannot be opened (66 or 77), before anything is written; a directory or file that cannot be made
/// (73). Data that is damaged on the way is told, and the exit code is 65.
pub fn import_log(what: &ImportLog) -> Result<ExitCode, Failure> {
    for file in what.files.iter().filter(|file| !is_standard_input(file)) {
        look_at(file)?;
    }
    if let Some(dir) = &what.out {
        std::fs::create_dir_all(dir)
            .map_err(|error| Failure::of_path(Exit::CannotCreate, "make", dir, &error))?;
    }
    let mut run = Run {
        server: what.server,
        out: what.out.as_deref(),
        book: Book::default(),
        series: Series::default(),
        report: Report::default(),
        failure: None,
        progress: Progress::new(&what.files),
    };
    let wrote = write_out(|out| match what.form {
        Form::Scripts => run.scripts(&what.files, out),
        Form::People => {
            run.read_all(&what.files, &mut |_, _| Ok(()))?;
            run.progress.clear();
            run.report.people(&run.book, run.out, out)
        }
    });
    run.progress.clear();
    // A file that could not be written is worth more words than a reader of the output that is gone.
    if let Some(failure) = run.failure {
        return Err(failure);
    }
    wrote?;
    Ok(if run.report.damaged { ExitCode::from(Exit::Data.code()) } else { ExitCode::SUCCESS })
}

fn is_standard_input(file: &Path) -> bool {
    file == Path::new("-")
}

fn look_at(file: &Path) -> Result<(), Failure> {
    let opened = File::open(file).and_then(|opened| opened.metadata());
    let metadata = opened.map_err(|error| Failure::of_path(Exit::Io, "read", file, &error))?;
    if metadata.is_dir() {
        let shown = file.display();
        return Err(Failure::new(
            Exit::NoInput,
            format!("{shown} is a directory: name the files in it, {shown}/*"),
        ));
    }
    Ok(())
}

struct Run<'r> {
    server: Option<Server>,
    out: Option<&'r Path>,
    book: Book,
    series: Series,
    report: Report,
    failure: Option<Failure>,
    progress: Progress,
}

type Each<'e> = dyn FnMut(&str, &Finding) -> io::Result<()> + 'e;

impl Run<'_> {
    /// One object, its attempts written as they come: a log may have millions.
    fn scripts(&mut self, files: &[PathBuf], out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"{\"attempts\":[")?;
        let mut first = true;
        self.read_all(files, &mut |file, finding| {
            out.write_all(if std::mem::take(&mut first) { b"\n" } else { b",\n" })?;
            report::attempt(file, finding, out)
        })?;
        out.write_all(b"\n],\"skipped\":[")?;
        self.report.skipped(out)?;
        writeln!(out, "\n],\"dialogues\":{}}}", self.report.dialogues)
    }

    fn read_all(&mut self, files: &[PathBuf], each: &mut Each<'_>) -> io::Result<()> {
        for file in files {
            if self.failure.is_some() {
                return Ok(());
            }
            self.read(file, each)?;
        }
        Ok(())
    }

    fn read(&mut self, file: &Path, each: &mut Each<'_>) -> io::Result<()> {
        let name = file.display().to_string();
        let mut source = match open(file) {
            Ok(source) => source,
            Err(error) => {
                self.failure = Some(Failure::of_path(Exit::Io, "read", file, &error));
                return Ok(());
            }
        };
        let mut importer = Importer::new(self.server);
        let mut sessions = Sessions::default();
        let mut buffer = vec![0; IMPORT_READ_OCTETS];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    importer.push(buffer.get(..length).unwrap_or_default());
                    self.progress.add(length, source.is_compressed());
                    self.settle(&name, &mut importer, &mut sessions, each)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.damaged(&name, &mut importer, &source, &error);
                    break;
                }
            }
        }
        importer.end();
        self.settle(&name, &mut importer, &mut sessions, each)?;
        while let Some(shape) = sessions.take_next() {
            self.write(shape);
        }
        while let Some(series) = self.series.take_next() {
            self.write_series(&series);
        }
        self.report.file(&name, &importer);
        Ok(())
    }

    fn damaged(&mut self, name: &str, importer: &mut Importer, source: &Source, error: &io::Error) {
        self.report.damaged = true;
        self.progress.clear();
        if source.is_compressed() {
            importer.damaged(Why::DamagedGzip);
            tell(&format!("{name}: the gzip data is damaged ({}); what came before is used", reason(error)));
        } else {
            tell(&format!("{name}: cannot read on ({}); what came before is used", reason(error)));
        }
    }

    fn settle(
        &mut self,
        name: &str,
        importer: &mut Importer,
        sessions: &mut Sessions,
        each: &mut Each<'_>,
    ) -> io::Result<()> {
        for finding in importer.take() {
            each(name, &finding)?;
            self.report.count(&finding);
            if self.out.is_some()
                && let Some(shape) = sessions.add(&finding)
            {
                self.write(shape);
            }
        }
        Ok(())
    }

    fn write(&mut self, shape: Shape) {
        let written = self.book.add(&shape);
        self.put(written);
        for series in self.series.add(shape) {
            self.write_series(&series);
        }
    }

    fn write_series(&mut self, series: &[Shape]) {
        let written = self.book.add_series(series);
        self.put(written);
    }

    fn put(&mut self, written: Option<Written>) {
        let (Some(dir), None, Some(Written { name, text })) = (self.out, &self.failure, written) else {
            return;
        };
        let path = dir.join(name);
        match std::fs::write(&path, text) {
            Ok(()) => self.report.dialogues = self.report.dialogues.saturating_add(1),
            Err(error) => self.failure = Some(Failure::of_path(Exit::CannotCreate, "write", &path, &error)),
        }
    }
}

/// A file, unpacked on the way if it is gzip.
enum Source {
    Plain(Box<dyn Read>),
    Gzip(Box<MultiGzDecoder<Box<dyn Read>>>),
}

impl Source {
    fn is_compressed(&self) -> bool {
        matches!(self, Self::Gzip(_))
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(inner) => inner.read(buffer),
            Self::Gzip(inner) => inner.read(buffer),
        }
    }
}

/// Opens a file and looks at its first two octets: gzip is known by them (RFC 1952 section 2.3.1), not by a name.
fn open(file: &Path) -> io::Result<Source> {
    let mut inner: Box<dyn Read> =
        if is_standard_input(file) { Box::new(io::stdin()) } else { Box::new(File::open(file)?) };
    let mut head = Vec::new();
    inner.by_ref().take(2).read_to_end(&mut head)?;
    let is_gzip = head == [0x1f, 0x8b];
    let whole: Box<dyn Read> = Box::new(io::Cursor::new(head).chain(inner));
    Ok(if is_gzip { Source::Gzip(Box::new(MultiGzDecoder::new(whole))) } else { Source::Plain(whole) })
}

/// A line on a terminal that says how far it is.
struct Progress {
    shown: bool,
    done: u64,
    next: u64,
    /// Octets of all files, if none of them is compressed or without an end.
    total: Option<u64>,
}

impl Progress {
    fn new(files: &[PathBuf]) -> Self {
        let size = |file: &PathBuf| {
            let known = !is_standard_input(file);
            known
                .then(|| std::fs::metadata(file).ok())
                .flatten()
                .filter(std::fs::Metadata::is_file)
                .map(|data| data.len())
        };
        let total =
            files.iter().map(size).try_fold(0_u64, |sum, size| size.map(|size| sum.saturating_add(size)));
        Self { shown: io::stderr().is_terminal(), done: 0, next: IMPORT_PROGRESS_OCTETS, total }
    }

    fn add(&mut self, octets: usize, is_compressed: bool) {
        if is_compressed {
            self.total = None;
        }
        self.done = self.done.saturating_add(u64::try_from(octets).unwrap_or(u64::MAX));
        if !self.shown || self.done < self.next {
            return;
        }
        self.next = self.done.saturating_add(IMPORT_PROGRESS_OCTETS);
        let mib = self.done.checked_div(1024 * 1024).unwrap_or_default();
        let line = match self.total {
            Some(total) => {
                let percent = self.done.saturating_mul(100).checked_div(total).unwrap_or(100).min(100);
                let filled = usize::try_from(percent.checked_div(4).unwrap_or_default()).unwrap_or_default();
                let open = 25_usize.saturating_sub(filled);
                format!("[{}{}] {percent:>3} % {mib} MiB", "#".repeat(filled), " ".repeat(open))
            }
            None => format!("{mib} MiB"),
        };
        let _ = write!(io::stderr().lock(), "\r{line}");
    }

    /// Takes the line away.
    fn clear(&mut self) {
        if self.shown && self.done >= IMPORT_PROGRESS_OCTETS {
            let _ = write!(io::stderr().lock(), "\r{:60}\r", "");
        }
    }
}
