//! Standard error behind a bounded queue: a reader that stalls never stops mail.
//!
//! [`log`] goes through a gate, where what libraries say, and what peers cause in other threads than the one that
//! decides, has its budget; then through `env_logger`, which formats a record to one line and hands it over here.
//! Handing over takes a lock that is never held while anything is written. One thread writes. What does not fit
//! into the queue is counted, and the count is written when there is room again.
#![expect(clippy::disallowed_methods, reason = "this room starts the thread and reads the clock")]

use crate::limits::LOG_QUEUE_OCTETS_MAX;
use crate::telemetry::direct::{DirectLines, PEER_CAUSED};
use crate::telemetry::line::{Line, sanitise, word};
use crate::types::Moment;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::PanicHookInfo;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Lines on their way.
#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    octets: usize,
    /// What found no room since the last line about that.
    lost_lines: u64,
    lost_octets: u64,
    /// Whether the thread has taken lines that are not written yet.
    writing: bool,
    /// Budgets of the lines that nobody else has judged.
    direct: DirectLines,
}

impl Waiting {
    /// Takes a whole line, or counts it.
    fn push(&mut self, line: &[u8]) {
        let octets = self.octets.saturating_add(line.len());
        if octets > LOG_QUEUE_OCTETS_MAX {
            self.lost_lines = self.lost_lines.saturating_add(1);
            self.lost_octets = self.lost_octets.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
            return;
        }
        self.octets = octets;
        self.lines.push_back(line.to_vec());
    }

    fn push_all(&mut self, lines: Vec<Line>) {
        for line in lines {
            let mut text = line.finish().into_bytes();
            text.push(b'\n');
            self.push(&text);
        }
    }
}

/// The queue between those who log and the one who writes.
#[derive(Debug)]
struct LogQueue {
    waiting: Mutex<Waiting>,
    /// Told when there is something to write, and when something was written.
    changed: Condvar,
    /// What budgets count time from.
    began: Instant,
}

impl LogQueue {
    fn new() -> Self {
        Self { waiting: Mutex::default(), changed: Condvar::new(), began: Instant::now() }
    }

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Whether a record has a place in its budget. If not, it is counted, and the thread tells of it in time.
    fn admit(&self, now: Moment, target: &str, octets: usize) -> bool {
        let admitted = self.lock().direct.admit(now, target, octets);
        if !admitted {
            self.changed.notify_all();
        }
        admitted
    }

    /// The state, also after a panic of somebody who held it: every change of it is whole.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a whole line, or counts it. Never waits for a reader.
    fn push(&self, line: &[u8]) {
        self.lock().push(line);
        self.changed.notify_all();
    }

    /// What is to be written next: all that waits. Blocks until there is something.
    fn take(&self) -> Vec<u8> {
        let mut waiting = self.lock();
        waiting.writing = false;
        self.changed.notify_all();
        loop {
            let now = self.now();
            let due = waiting.direct.turn(now);
            waiting.push_all(due);
            if !waiting.lines.is_empty() || waiting.lost_lines > 0 {
                break;
            }
            waiting = match waiting.direct.next_deadline() {
                None => self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let left = Duration::from_millis(at.since_ms(now).saturating_add(1));
                    self.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        waiting.writing = true;
        let mut out = Vec::with_capacity(waiting.octets);
        for line in std::mem::take(&mut waiting.lines) {
            out.extend_from_slice(&line);
        }
        waiting.octets = 0;
        let (lines, octets) =
            (std::mem::take(&mut waiting.lost_lines), std::mem::take(&mut waiting.lost_octets));
        if lines > 0 {
            let lost = Line::new("log-overflow").field("lines", lines).field("octets", octets);
            out.extend_from_slice(lost.finish().as_bytes());
            out.push(b'\n');
        }
        out
    }

    /// Writes for ever.
    fn drain(&self, out: impl AsFd) {
        loop {
            let octets = self.take();
            write_all(&out, &octets);
        }
    }

    /// Waits until all is written, for so long at the most; what was held back is told first.
    fn flush(&self, timeout: Duration) {
        let Some(until) = Instant::now().checked_add(timeout) else { return };
        let mut waiting = self.lock();
        let held_back = waiting.direct.close();
        waiting.push_all(held_back);
        self.changed.notify_all();
        while !waiting.lines.is_empty() || waiting.writing || waiting.lost_lines > 0 {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return };
            waiting = self.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Writes, waiting as long as it takes. If nobody will ever read again, there is nobody to tell.
fn write_all(out: &impl AsFd, octets: &[u8]) {
    let mut rest = octets;
    while !rest.is_empty() {
        match rustix::io::write(out, rest) {
            Ok(0) => return,
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            // Whoever shares it made it non-blocking.
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(out, PollFlags::OUT)], None);
            }
            Err(_) => return,
        }
    }
}

/// What `env_logger` writes to: it hands over one whole record at a time.
#[derive(Debug)]
struct Target(Arc<LogQueue>);

impl Write for Target {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The queue of this process, once [`init`] was called.
static QUEUE: OnceLock<Arc<LogQueue>> = OnceLock::new();

/// Sends what is logged to standard error through the queue, and installs a panic hook that logs the place
/// of a panic and nothing of what it says. Call it once, before any other thread starts; again does nothing.
///
/// # Errors
/// When the thread cannot be started or somebody else has installed a logger.
pub fn init() -> io::Result<()> {
    let queue = Arc::new(LogQueue::new());
    if QUEUE.set(Arc::clone(&queue)).is_err() {
        return Ok(());
    }
    let writer = Arc::clone(&queue);
    std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.drain(io::stderr()))?;
    let gate = Gate::new(queue);
    log::set_max_level(gate.logger.filter());
    log::set_boxed_logger(Box::new(gate)).map_err(io::Error::other)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// What records pass before they are formatted: they must be of a level that is wanted, and have a place in their
/// budget.
struct Gate {
    logger: env_logger::Logger,
    queue: Arc<LogQueue>,
}

impl Gate {
    fn new(queue: Arc<LogQueue>) -> Self {
        Self { logger: logger(Arc::clone(&queue)).build(), queue }
    }
}

impl log::Log for Gate {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        self.logger.enabled(metadata)
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.logger.matches(record) {
            return;
        }
        let octets = one_line(record).len().saturating_add(1);
        if self.queue.admit(self.queue.now(), record.target(), octets) {
            self.logger.log(record);
        }
    }

    fn flush(&self) {
        self.logger.flush();
    }
}

/// Everything of our own from `info` on; from libraries warnings and errors. The environment has no say.
fn logger(queue: Arc<LogQueue>) -> env_logger::Builder {
    let mut builder = env_logger::Builder::new();
    builder
        .filter_level(log::LevelFilter::Warn)
        .filter_module("gatepost", log::LevelFilter::Info)
        .write_style(env_logger::WriteStyle::Never)
        .target(env_logger::Target::Pipe(Box::new(Target(queue))))
        .format(|out, record| writeln!(out, "{}", one_line(record)));
    builder
}

/// A record as one line. Our own records are logfmt already; what a library says becomes a value, since it
/// may repeat what a peer sent.
fn one_line(record: &log::Record<'_>) -> String {
    let message = record.args().to_string();
    if record.target().split("::").next() == Some("gatepost") {
        return sanitise(&message);
    }
    Line::new("library").field("target", word(record.target())).text("message", &message).finish()
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let line = Line::new("panic").field("thread", thread_name());
    let line = match info.location() {
        Some(place) => line.text("place", &place.to_string()),
        None => line,
    };
    log::error!(target: PEER_CAUSED, "{}", line.finish());
}

fn thread_name() -> String {
    std::thread::current().name().unwrap_or("unnamed").replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// Waits until what was logged is written, for so long at the most. Call it before the process ends.
pub fn flush(timeout: Duration) {
    if let Some(queue) = QUEUE.get() {
        queue.flush(timeout);
    }
}

/// Writes one line to standard error at once if that is possible without waiting: for a process that ends
/// and has no queue. A pipe that is ready takes a line this short as a whole.
pub fn last_words(line: Line) {
    let mut text = line.finish().into_bytes();
    text.push(b'\n');
    let stderr = io::stderr();
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&at_once)) == Ok(1) {
        let _ = rustix::io::write(&stderr, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{LOG_LIBRARY_OCTETS_PER_MINUTE_MAX, LOG_LINE_OCTETS_MAX};
    use log::Log;
    use std::io::{BufRead, BufReader};

    fn line(number: u32) -> Vec<u8> {
        format!("event=test number={number:06} {}\n", "x".repeat(100)).into_bytes()
    }

    #[test]
    fn a_reader_that_stalls_costs_lines_and_never_time_or_memory() {
        let (read, write) = std::io::pipe().unwrap();
        let queue = Arc::new(LogQueue::new());
        let writer = Arc::clone(&queue);
        std::thread::spawn(move || writer.drain(write));
        let began = Instant::now();
        for number in 0..20_000 {
            queue.push(&line(number));
        }
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(queue.lock().octets <= LOG_QUEUE_OCTETS_MAX);
        queue.flush(Duration::from_millis(20));
        assert!(queue.lock().lost_lines > 0, "nobody read, so something must be lost");

        // The reader comes back: what was kept is whole and in order, and the rest was counted exactly.
        let (mut seen, mut lost, mut last) = (0, 0, None);
        for text in BufReader::new(read).lines().map(Result::unwrap) {
            if let Some(rest) = text.strip_prefix("event=log-overflow lines=") {
                lost += rest.split(' ').next().unwrap().parse::<u32>().unwrap();
            } else {
                let number: u32 = text.split(['=', ' ']).nth(3).unwrap().parse().unwrap();
                assert!(last < Some(number));
                last = Some(number);
                seen += 1;
            }
            if seen + lost == 20_000 {
                break;
            }
        }
        assert!(seen > 0 && lost > 0);
    }

    #[test]
    fn flush_waits_until_all_is_written() {
        let (read, write) = std::io::pipe().unwrap();
        let queue = Arc::new(LogQueue::new());
        let writer = Arc::clone(&queue);
        std::thread::spawn(move || writer.drain(write));
        queue.push(b"last words\n");
        queue.flush(Duration::from_secs(10));
        let ready = poll(&mut [PollFd::new(&read, PollFlags::IN)], Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        assert_eq!(ready, Ok(1));
        let mut text = String::new();
        BufReader::new(read).read_line(&mut text).unwrap();
        assert_eq!(text, "last words\n");
    }

    #[test]
    fn flush_does_not_wait_for_ever() {
        let queue = LogQueue::new();
        queue.push(b"nobody writes this\n");
        queue.flush(Duration::from_millis(10));
        assert_eq!(queue.lock().lines.len(), 1);
    }

    /// What one record becomes on its way through the real logger.
    fn logged(target: &str, level: log::Level, message: &str) -> String {
        let queue = Arc::new(LogQueue::new());
        Gate::new(Arc::clone(&queue))
            .log(&log::Record::builder().target(target).level(level).args(format_args!("{message}")).build());
        queue.lock().lines.iter().map(|line| String::from_utf8(line.clone()).unwrap()).collect()
    }

    #[test]
    fn our_own_lines_pass_unchanged() {
        assert_eq!(logged("gatepost", log::Level::Info, "event=x a=\"b\""), "event=x a=\"b\"\n");
        assert_eq!(logged("gatepost::server::turn", log::Level::Info, "event=x"), "event=x\n");
        assert_eq!(logged("gatepost", log::Level::Debug, "event=x"), "");
    }

    #[test]
    fn what_a_library_says_is_one_quoted_line() {
        assert_eq!(
            logged("rustls::conn", log::Level::Warn, "bad \"thing\"\r\nevent=auth-failed"),
            "event=library target=rustls::conn message=\"bad \\\"thing\\\"\\r\\nevent\\u{3d}auth-failed\"\n"
        );
        assert_eq!(logged("fjall", log::Level::Info, "chatter"), "");
    }

    #[test]
    fn a_library_that_talks_without_end_costs_its_budget_and_what_is_over_is_told_exactly() {
        let (read, write) = std::io::pipe().unwrap();
        let queue = Arc::new(LogQueue::new());
        let gate = Gate::new(Arc::clone(&queue));
        for number in 0..5_000 {
            let alert = format_args!("received warning alert {number}");
            let record =
                log::Record::builder().target("rustls::conn").level(log::Level::Warn).args(alert).build();
            gate.log(&record);
        }
        gate.log(
            &log::Record::builder().target("gatepost::server::turn").args(format_args!("event=x")).build(),
        );
        let writer = Arc::clone(&queue);
        std::thread::spawn(move || writer.drain(write));
        queue.flush(Duration::from_secs(10));
        let mut octets = 0;
        for (written, text) in BufReader::new(read).lines().map(Result::unwrap).enumerate() {
            octets += text.len() + 1;
            if let Some(rest) = text.strip_prefix("event=suppressed kind=library lines=") {
                let held_back: usize = rest.split(' ').next().unwrap().parse().unwrap();
                assert_eq!(written + held_back, 5_001);
                break;
            }
            assert!(text == "event=x" || text.starts_with("event=library target=rustls::conn "), "{text}");
        }
        assert!(octets < LOG_LIBRARY_OCTETS_PER_MINUTE_MAX, "{octets}");
    }

    #[test]
    fn what_was_held_back_is_told_although_nothing_else_is_logged() {
        let queue = LogQueue::new();
        while queue.admit(Moment(0), "rustls::conn", 100) {}
        let Some(began) = queue.began.checked_sub(Duration::from_secs(61)) else { return };
        let queue = LogQueue { began, ..queue };
        assert_eq!(queue.take(), b"event=suppressed kind=library lines=1 octets=100\n");
    }

    #[test]
    fn no_record_is_longer_than_a_line_may_be() {
        for target in ["gatepost", "fjall"] {
            let text = logged(target, log::Level::Error, &"\n é".repeat(2_000));
            assert!(text.len() <= LOG_LINE_OCTETS_MAX, "{}", text.len());
            assert_eq!(text.matches('\n').count(), 1);
        }
    }

    /// Not a test of its own: what the child of the test below runs.
    #[test]
    #[ignore = "the child process of another test"]
    fn panicking_child() {
        if std::env::var_os("GATEPOST_TEST_PANIC").is_none() {
            return;
        }
        init().unwrap();
        let thread = std::thread::Builder::new().name("some thread".to_owned());
        let panicked = thread.spawn(|| panic!("hunter2\r\nevent=auth-failed")).unwrap().join();
        assert!(panicked.is_err());
        log::info!("event=after");
        flush(Duration::from_secs(10));
    }

    #[test]
    fn a_panic_is_one_line_with_its_place_and_without_what_it_says() {
        let child = std::process::Command::new("/proc/self/exe")
            .args(["--exact", "server::log_thread::tests::panicking_child", "--include-ignored"])
            .env("GATEPOST_TEST_PANIC", "yes")
            .output()
            .unwrap();
        let text = String::from_utf8(child.stderr).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].starts_with("event=panic thread=some-thread place=\""), "{text}");
        assert!(lines[0].contains("log_thread.rs:") && !text.contains("hunter2"), "{text}");
        assert_eq!(lines[1], "event=after");
    }
}
