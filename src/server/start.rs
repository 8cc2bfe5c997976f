//! How the server process begins: what the parent passes becomes a loop.
#![expect(clippy::disallowed_methods, reason = "chance comes in here, and a start waits")]

use super::channel::{Channel, Received, ToParent, ToServer};
use super::clock::Clock;
use super::log_thread;
use super::store_thread::{self, Opened, Opener, StoreThread, WakerSlot};
use super::tls;
use super::turn::{Ending, Loop, Parts};
use crate::config::checked::Config;
use crate::directory::Directory;
use crate::limits::{
    ARGON2_MEMORY_KIB, CONNECTION_OCTETS_MAX, DELIVERIES_PER_MESSAGE_MAX, DELIVERY_OCTETS_MAX,
    DESCRIPTORS_RESERVED, HEARTBEAT_MS, HELD_MAX, LOST_TOLD_MAX, SHARED_OCTETS_MAX, STORE_LOCK_MS_MAX,
    STORE_LOCK_RETRY_MS, STORE_OPEN_MS_MAX,
};
use crate::store::counter::CounterState;
use crate::store::fjall::{FjallStore, OpenReport};
use crate::store::place::OpenMode;
use crate::store::{Store, StoreError};
use crate::telemetry::line::Line;
use crate::types::Chance;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use signal_hook_mio::v1_0::Signals;
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// Time for the last log lines.
const LOG_FLUSH_MS_MAX: u64 = 1_000;
/// Everything went well.
const EX_OK: u8 = 0;
/// Try again later (sysexits).
const EX_TEMPFAIL: u8 = 75;
/// What was configured cannot work (sysexits).
const EX_CONFIG: u8 = 78;

/// Why a server did not begin, or stopped.
#[derive(Debug)]
struct Failure {
    code: u8,
    why: String,
}

impl Failure {
    fn config(why: impl Display) -> Self {
        Self { code: EX_CONFIG, why: why.to_string() }
    }

    fn temporary(why: impl Display) -> Self {
        Self { code: EX_TEMPFAIL, why: why.to_string() }
    }
}

/// The server process: standard input is the socket to the parent. Returns 0 after a clean end, 75 when it
/// should be started again, 78 when that would not help.
#[must_use]
pub fn run() -> ExitCode {
    if let Err(error) = log_thread::init() {
        log_thread::last_words(Line::new("start-failed").text("reason", &error.to_string()));
        return ExitCode::from(EX_TEMPFAIL);
    }
    let code = run_logged();
    log_thread::flush(Duration::from_millis(LOG_FLUSH_MS_MAX));
    ExitCode::from(code)
}

fn run_logged() -> u8 {
    let channel = match io::stdin().as_fd().try_clone_to_owned() {
        Ok(channel) => channel,
        Err(error) => {
            let why = format!("standard input is no socket to the parent: {error}");
            log::error!("{}", Line::new("start-failed").text("reason", &why).finish());
            return EX_TEMPFAIL;
        }
    };
    let signals = Signals::new([Signal::TERM.as_raw(), Signal::INT.as_raw()]);
    serve(channel, signals.ok(), Box::new(open_store))
}

/// Opens the store for writing, and says what was found and mended.
fn open_store(dir: &Path) -> Result<Box<dyn Store>, StoreError> {
    let (store, report) = open_when_free(dir)?;
    if let Some(torn) = &report.torn {
        log::error!("{}", Line::new("store-repaired").text("reason", &torn.to_string()).finish());
    }
    for line in lost_lines(&report) {
        log::error!("{line}");
    }
    let line = Line::new("store-open")
        .field("created", if report.created { "yes" } else { "no" })
        .field("unfinished-bodies-removed", report.unfinished_bodies)
        .field("removed-accounts-to-empty", report.accounts_to_empty);
    log::info!("{}", line.finish());
    Ok(Box::new(store))
}

/// What is said of acknowledged mail that is missing: one line for each stretch, and one for those there is no
/// room for.
fn lost_lines(report: &OpenReport) -> Vec<String> {
    let mut lines = Vec::new();
    for lost in report.lost.iter().take(LOST_TOLD_MAX) {
        let line = Line::new("acknowledged-mail-missing").field("commits", lost.commits());
        let line = match lost.messages {
            Some(messages) => line.field("messages", messages),
            None => line.field("messages", "unknown"),
        };
        let what =
            format!("{lost}; `gatepost verify` checks the rest; restore them from a backup if you have one");
        lines.push(line.text("reason", &what).finish());
    }
    let more = report.lost.iter().skip(LOST_TOLD_MAX);
    let more_commits = more.clone().fold(0_u64, |sum, lost| sum.saturating_add(lost.commits()));
    if more_commits > 0 {
        let line = Line::new("acknowledged-mail-missing").field("commits", more_commits);
        lines.push(line.field("further-stretches", more.count()).finish());
    }
    match report.counter {
        CounterState::Good => {}
        CounterState::Missing | CounterState::Unreadable | CounterState::Foreign => {
            let why = format!(
                "the counter of acknowledged commits {}; it is made anew from the store, so mail that the store lost \
                 at its end until now goes unnoticed",
                report.counter.words()
            );
            lines.push(Line::new("commit-counter-made-anew").text("reason", &why).finish());
        }
    }
    lines
}

/// A command of the administrator may have the store open for a moment, just before this process took its place.
fn open_when_free(dir: &Path) -> Result<(FjallStore, OpenReport), StoreError> {
    let mut waited_ms = 0_u64;
    loop {
        match FjallStore::open(dir, OpenMode::Write) {
            Err(StoreError::Locked) if waited_ms < STORE_LOCK_MS_MAX => {
                std::thread::sleep(Duration::from_millis(STORE_LOCK_RETRY_MS));
                waited_ms = waited_ms.saturating_add(STORE_LOCK_RETRY_MS);
            }
            done => return done,
        }
    }
}

/// The same over any socket, signals and store. A panic in what all connections share ends it with 75.
#[must_use]
pub fn serve(channel: OwnedFd, signals: Option<Signals>, open: Opener) -> u8 {
    let work = AssertUnwindSafe(|| begin(channel, signals, open));
    let ended = catch_unwind(work)
        .unwrap_or_else(|_| Err(Failure::temporary("a panic in what all connections share")));
    match ended {
        Ok(Ending::Clean) => EX_OK,
        Ok(Ending::Again) => EX_TEMPFAIL,
        Err(Failure { code, why }) => {
            log::error!("{}", Line::new("server-ended").field("code", code).text("reason", &why).finish());
            code
        }
    }
}

/// The first message of the parent.
struct Start {
    config: Config,
    pem: Option<(String, String)>,
    sockets: Vec<OwnedFd>,
}

fn begin(channel: OwnedFd, signals: Option<Signals>, open: Opener) -> Result<Ending, Failure> {
    let mut channel: Channel<ToServer, ToParent> = Channel::from_fd(channel).map_err(Failure::temporary)?;
    let Some(Start { mut config, pem, sockets }) = first_message(&mut channel)? else {
        return Ok(Ending::Clean);
    };
    if sockets.len() != config.listeners.len() {
        return Err(Failure::temporary("the parent passed another number of sockets than it said"));
    }
    let tls = match &pem {
        Some((certificate, key)) => Some(tls::server_config(certificate, key).map_err(Failure::config)?),
        None => None,
    };
    let held_max = raise_descriptors(&mut config);
    let waker = WakerSlot::default();
    let thread =
        store_thread::start(config.data_dir.clone(), config.disk_reserve_octets, Arc::clone(&waker), open)
            .map_err(Failure::temporary)?;
    let Some(opened) = await_opening(&thread, &channel)? else { return Ok(Ending::Clean) };
    tell_worst_case(&config, &opened.directory);
    let clock = Clock::start();
    let parts = Parts { channel, signals, config, tls, sockets, thread, opened, waker, held_max, clock };
    let server = Loop::new(parts, Chance::from_seed(seed()?)).map_err(Failure::config)?;
    server.run().map_err(|error| Failure::temporary(format!("the poll failed: {error}")))
}

/// Waits for [`ToServer::Start`]; `None` when the parent leaves before.
fn first_message(channel: &mut Channel<ToServer, ToParent>) -> Result<Option<Start>, Failure> {
    loop {
        match channel.try_recv() {
            Ok(Some(Received {
                message: ToServer::Start { config, certificate_pem, key_pem },
                descriptors,
            })) => {
                let pem = certificate_pem.zip(key_pem);
                return Ok(Some(Start { config: *config, pem, sockets: descriptors }));
            }
            Ok(Some(Received { message: ToServer::Stop, .. })) => return Ok(None),
            Ok(Some(Received { message: ToServer::Worker, .. })) => {
                return Err(Failure::temporary("the parent spoke of a worker before it said how to begin"));
            }
            Ok(None) => await_parent(channel)?,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(Failure::temporary(format!("the socket to the parent: {error}"))),
        }
    }
}

fn await_parent(channel: &Channel<ToServer, ToParent>) -> Result<(), Failure> {
    let forever: Option<&Timespec> = None;
    match poll(&mut [PollFd::new(channel, PollFlags::IN)], forever) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(Failure::temporary(error)),
    }
}

/// Waits for the store, telling the parent that this process lives. `None` when the parent is gone.
fn await_opening(
    thread: &StoreThread,
    channel: &Channel<ToServer, ToParent>,
) -> Result<Option<Opened>, Failure> {
    for _ in 0..STORE_OPEN_MS_MAX.div_ceil(HEARTBEAT_MS) {
        match thread.opened.recv_timeout(Duration::from_millis(HEARTBEAT_MS)) {
            Ok(Ok(opened)) => return Ok(Some(opened)),
            Ok(Err(error)) => return Err(cannot_open(&error)),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::temporary("the store thread panicked while it opened the store"));
            }
            Err(RecvTimeoutError::Timeout) => {
                if channel.send(&ToParent::Alive).is_err() {
                    return Ok(None);
                }
            }
        }
    }
    Err(Failure::temporary(format!("the store could not be opened within {STORE_OPEN_MS_MAX} ms")))
}

/// Whether another attempt may help decides the exit code.
fn cannot_open(error: &StoreError) -> Failure {
    match error {
        StoreError::Layout(_) | StoreError::Damaged(_) | StoreError::Torn(_) => Failure::config(error),
        StoreError::DiskFull | StoreError::Poisoned(_) | StoreError::Locked | StoreError::Io(_) => {
            Failure::temporary(error)
        }
    }
}

/// Each connection may need a socket and a temporary file, and refused ones that are held a socket. Takes what
/// the system gives, and fewer of both where that is too little. Returns how many may be held.
fn raise_descriptors(config: &mut Config) -> usize {
    let connections = u64::try_from(config.connections_max).unwrap_or(u64::MAX);
    let held = u64::try_from(HELD_MAX).unwrap_or(u64::MAX);
    let wanted = connections.saturating_mul(2).saturating_add(held).saturating_add(DESCRIPTORS_RESERVED);
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let current = limit.current.unwrap_or(u64::MAX);
    let raised = wanted.min(most).max(current);
    if raised > current {
        let new = Rlimit { current: Some(raised), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, new) {
            let line = Line::new("descriptors-not-raised").field("wanted", raised);
            log::warn!("{}", line.text("reason", &error.to_string()).finish());
        }
    }
    let have = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if have >= wanted {
        return HELD_MAX;
    }
    let held = held.min(have / 8);
    let beside = have.saturating_sub(DESCRIPTORS_RESERVED).saturating_sub(held);
    let fits = (beside.max(have / 4) / 2).min(connections);
    let why = format!(
        "the system allows {have} open files and {wanted} are needed; raise LimitNOFILE or ulimit -n"
    );
    let line = Line::new("connections-lowered").field("configured", connections).field("now", fits);
    log::warn!("{}", line.text("reason", &why).finish());
    config.connections_max = usize::try_from(fits.max(1)).unwrap_or(config.connections_max);
    usize::try_from(held).unwrap_or(HELD_MAX)
}

/// Everything has a ceiling, so the sum has one: what this process holds if every peer does its worst at
/// once.
fn tell_worst_case(config: &Config, directory: &Directory) {
    let copies = directory.accounts().take(DELIVERIES_PER_MESSAGE_MAX).count();
    let each = CONNECTION_OCTETS_MAX.saturating_add(copies.saturating_mul(DELIVERY_OCTETS_MAX));
    let all = u64::try_from(config.connections_max.saturating_mul(each)).unwrap_or(u64::MAX);
    let line = Line::new("ceilings")
        .field("connections", config.connections_max)
        .field("memory-mib-at-worst", all.saturating_add(SHARED_OCTETS_MAX) >> 20)
        .field("hash-worker-mib", ARGON2_MEMORY_KIB >> 10);
    log::info!("{}", line.finish());
}

fn seed() -> Result<[u8; 32], Failure> {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed)
        .map_err(|_| Failure::temporary("the operating system gives no randomness"))?;
    Ok(seed)
}
