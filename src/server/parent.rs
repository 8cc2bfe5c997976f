//! The parent: reads nothing from the network; starts, watches and restarts the others.
//!
//! It binds the listeners and keeps them, so that while a server is restarted connections wait in the kernel
//! instead of being refused. What the children do is told over channels or by how they end; nothing else
//! reaches it but signals.
#![expect(clippy::disallowed_methods, reason = "this room reads the clock")]

use super::bind::{self, BindError};
use super::channel::{Channel, ToParent, ToServer};
use super::children::{Ended, Launcher, Process};
use super::log_thread;
use super::restarts::{Decision, Heartbeat, Restarts};
use crate::config::checked::Config;
use crate::limits::{HEARTBEAT_SILENCE_MS_MAX, LOG_FLUSH_MS_MAX, STOP_EXTRA_MS};
use crate::telemetry::line::Line;
use crate::types::Moment;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use signal_hook_mio::v1_0::Signals;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Everything a server is started with.
#[derive(Debug)]
pub struct Start {
    /// The checked configuration.
    pub config: Config,
    /// Contents of the certificate file (PEM).
    pub certificate_pem: Option<String>,
    /// Contents of the key file (PEM).
    pub key_pem: Option<String>,
}

/// Exit codes by sysexits.
const TEMPORARY: u8 = 75;
const CONFIGURATION: u8 = 78;

const SIGNALS: Token = Token(0);
const CHANNEL: Token = Token(1);

/// Runs until it is told to stop. `announce` is called once, when the server is ready for the first time.
///
/// Exit code 0 after a stop that was asked for; 75 when the server cannot be kept running, 78 when it says
/// that the configuration is wrong.
///
/// # Errors
/// When a listener cannot be bound; nothing was started then.
pub fn run(start: Start, announce: impl FnOnce()) -> Result<ExitCode, BindError> {
    // Certificate keys and passwords pass through these processes; none of it ever lands in a core file.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let code = match log_thread::init() {
        Ok(()) => bind::listeners(&start.config.listeners)
            .map(|listeners| run_until_told(start, listeners, announce)),
        Err(error) => {
            let line = Line::new("log-failed").text("error", &error.to_string());
            log_thread::last_words(line);
            Ok(TEMPORARY)
        }
    };
    log_thread::flush(Duration::from_millis(LOG_FLUSH_MS_MAX));
    code.map(ExitCode::from)
}

fn run_until_told(start: Start, listeners: Vec<OwnedFd>, announce: impl FnOnce()) -> u8 {
    let watched = Parent::new(start, listeners, Launcher::default(), announce).and_then(|parent| {
        let numbers = [Signal::TERM, Signal::INT, Signal::HUP, Signal::CHILD].map(Signal::as_raw);
        let mut signals = Signals::new(numbers)?;
        parent.poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        Ok((parent, signals))
    });
    let (mut parent, mut signals) = match watched {
        Ok(watched) => watched,
        Err(error) => {
            log::error!("{}", Line::new("parent-failed").text("error", &error.to_string()).finish());
            return TEMPORARY;
        }
    };
    loop {
        if let Some(code) = parent.turn(None) {
            return code;
        }
        for number in signals.pending() {
            if let Some(code) = Signal::from_named_raw(number).and_then(|signal| parent.signal(signal)) {
                return code;
            }
        }
    }
}

/// A server that runs.
#[derive(Debug)]
struct Server {
    process: Process,
    /// `None` once it is closed or broken: then the end of the process is all there is to wait for.
    channel: Option<Channel<ToParent, ToServer>>,
    heartbeat: Heartbeat,
}

/// The parent's state. One [`Parent::turn`] after the other, it never blocks but in its poll.
struct Parent<A: FnOnce()> {
    start: ToServer,
    stop_grace_ms: u64,
    listeners: Vec<OwnedFd>,
    launcher: Launcher,
    /// Called and gone when the server was ready once.
    announce: Option<A>,
    poll: Poll,
    events: Events,
    origin: Instant,
    server: Option<Server>,
    server_restarts: Restarts,
    /// When to start a server, if none runs.
    server_due: Moment,
    worker: Option<Process>,
    worker_restarts: Restarts,
    /// When to start a worker, if none runs but a server does.
    worker_due: Moment,
    /// When the server is ended if it has not left by then; `None` while nobody asked it to leave.
    stopping: Option<Moment>,
}

impl<A: FnOnce()> Parent<A> {
    fn new(start: Start, listeners: Vec<OwnedFd>, launcher: Launcher, announce: A) -> io::Result<Self> {
        let Start { config, certificate_pem, key_pem } = start;
        Ok(Self {
            stop_grace_ms: config.stop_grace_ms,
            start: ToServer::Start { config: Box::new(config), certificate_pem, key_pem },
            listeners,
            launcher,
            announce: Some(announce),
            poll: Poll::new()?,
            events: Events::with_capacity(16),
            origin: Instant::now(),
            server: None,
            server_restarts: Restarts::default(),
            server_due: Moment::default(),
            worker: None,
            worker_restarts: Restarts::default(),
            worker_due: Moment::default(),
            stopping: None,
        })
    }

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Starts what is due, waits until something happens or is due, and deals with it. Gives an exit code
    /// when the parent is done. `longest` is for tests, which have no SIGCHLD.
    fn turn(&mut self, longest: Option<Duration>) -> Option<u8> {
        self.start_what_is_due();
        let before = self.now();
        let deadline = self.next_deadline();
        let timeout = Duration::from_millis(deadline.since_ms(before));
        let timeout = longest.map_or(timeout, |longest| longest.min(timeout));
        if let Err(error) = self.poll.poll(&mut self.events, Some(timeout))
            && error.kind() != ErrorKind::Interrupted
        {
            log::error!("{}", Line::new("parent-failed").text("error", &error.to_string()).finish());
            return Some(TEMPORARY);
        }
        let now = self.now();
        if now.since_ms(deadline) > HEARTBEAT_SILENCE_MS_MAX
            && let Some(server) = &mut self.server
        {
            server.heartbeat.overslept(now);
        }
        self.listen(now);
        self.end_what_is_late(now);
        self.reap_worker(now);
        self.reap_server(now)
    }

    /// What a signal asks for. Gives an exit code when there is nothing left to wait for.
    fn signal(&mut self, signal: Signal) -> Option<u8> {
        match signal {
            Signal::TERM | Signal::INT => self.stop(signal),
            Signal::HUP => {
                let line = Line::new("reload-refused").text(
                    "message",
                    "this version reads configuration and certificates only when it starts: restart it",
                );
                log::warn!("{}", line.finish());
                None
            }
            // A child ended; the next turn reaps it.
            _ => None,
        }
    }

    /// The first time: the server is asked to leave. The second time everything is ended at once.
    fn stop(&mut self, signal: Signal) -> Option<u8> {
        let now = self.now();
        if self.stopping.is_some() {
            log::warn!("{}", Line::new("stopping-at-once").finish());
            // Dropping the parent ends the children. 128 and the number is what a shell would say.
            return Some(u8::try_from(signal.as_raw().saturating_add(128)).unwrap_or(TEMPORARY));
        }
        log::info!("{}", Line::new("stop-requested").finish());
        self.stopping = Some(now.plus_ms(self.stop_grace_ms).plus_ms(STOP_EXTRA_MS));
        // Nobody will accept from them any more: a new connection is refused by the kernel instead of waiting
        // without a greeting. (What systemd holds is its own and waits for the next start.)
        self.listeners.clear();
        let Some(server) = &mut self.server else { return Some(0) };
        let told = server.channel.as_ref().is_some_and(|channel| channel.send(&ToServer::Stop).is_ok());
        if !told {
            server.process.kill();
        }
        None
    }

    // ---- Starting ----

    fn start_what_is_due(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        let now = self.now();
        if self.server.is_none() && now >= self.server_due {
            self.start_server(now);
        }
        if self.server.is_some() && self.worker.is_none() && now >= self.worker_due {
            self.start_worker(now);
        }
    }

    fn start_server(&mut self, now: Moment) {
        self.server_restarts.started(now);
        let started = self.launcher.server().and_then(|(process, channel)| {
            let registry = self.poll.registry();
            registry.register(&mut SourceFd(&channel.as_fd().as_raw_fd()), CHANNEL, Interest::READABLE)?;
            let listeners: Vec<BorrowedFd<'_>> = self.listeners.iter().map(AsFd::as_fd).collect();
            channel.send_with(&self.start, &listeners)?;
            Ok(Server { process, channel: Some(channel), heartbeat: Heartbeat::new(now) })
        });
        match started {
            Ok(server) => {
                log::info!("{}", Line::new("server-started").field("pid", server.process.id()).finish());
                self.server = Some(server);
                self.worker_due = now;
            }
            // The system has no process or memory to give: that passes, so it is tried for ever.
            Err(error) => {
                let next = match self.server_restarts.ended(now) {
                    Decision::Start(next) | Decision::TooOften(next) => next,
                };
                self.server_due = next;
                let line = Line::new("server-not-started")
                    .field("failures", self.server_restarts.failures())
                    .field("retry-ms", next.since_ms(now))
                    .text("error", &error.to_string());
                log::error!("{}", line.finish());
            }
        }
    }

    fn start_worker(&mut self, now: Moment) {
        self.worker_restarts.started(now);
        match self.launcher.worker() {
            Ok((process, loops_end)) => {
                log::info!("{}", Line::new("hash-worker-started").field("pid", process.id()).finish());
                self.worker = Some(process);
                self.tell_server(&ToServer::Worker, &[loops_end.as_fd()]);
                // The loop has its own copy now. Were this one kept, the worker would not see the loop die.
                drop(loops_end);
            }
            Err(error) => {
                self.worker_due = self.worker_restart(now);
                let line = Line::new("hash-worker-not-started")
                    .field("retry-ms", self.worker_due.since_ms(now))
                    .text("error", &error.to_string());
                log::error!("{}", line.finish());
            }
        }
    }

    /// Without a worker nobody can log in, but mail is still taken: so it is tried for ever.
    fn worker_restart(&mut self, now: Moment) -> Moment {
        match self.worker_restarts.ended(now) {
            Decision::Start(next) | Decision::TooOften(next) => next,
        }
    }

    /// A server that cannot be told anything is no longer watched by its words, only by its end.
    fn tell_server(&mut self, message: &ToServer, descriptors: &[BorrowedFd<'_>]) {
        let now = self.now();
        if let Some(server) = &mut self.server
            && let Some(channel) = &server.channel
            && let Err(error) = channel.send_with(message, descriptors)
        {
            log::warn!("{}", Line::new("channel-broken").text("error", &error.to_string()).finish());
            server.channel = None;
            server.heartbeat.closing(now, STOP_EXTRA_MS);
        }
    }

    // ---- Watching ----

    /// The nearest moment at which something must be done. While the server leaves, nothing is started and
    /// its silence does not count: there is one deadline.
    fn next_deadline(&self) -> Moment {
        if let Some(until) = self.stopping {
            return until;
        }
        match &self.server {
            None => self.server_due,
            Some(server) if self.worker.is_none() => server.heartbeat.deadline().min(self.worker_due),
            Some(server) => server.heartbeat.deadline(),
        }
    }

    /// Takes in what the server says.
    fn listen(&mut self, now: Moment) {
        let Some(server) = &mut self.server else { return };
        while let Some(channel) = &mut server.channel {
            let message = match channel.try_recv() {
                Ok(Some(received)) => received.message,
                Ok(None) => return,
                Err(error) => {
                    if error.kind() != ErrorKind::UnexpectedEof {
                        let line = Line::new("channel-broken").text("error", &error.to_string());
                        log::warn!("{}", line.finish());
                    }
                    server.channel = None;
                    server.heartbeat.closing(now, STOP_EXTRA_MS);
                    return;
                }
            };
            match message {
                ToParent::Ready => {
                    server.heartbeat.ready(now);
                    log::info!("{}", Line::new("ready").field("pid", server.process.id()).finish());
                    if let Some(announce) = self.announce.take() {
                        announce();
                    }
                }
                ToParent::Alive => server.heartbeat.heard(now),
                ToParent::WorkerLate => {
                    log::warn!("{}", Line::new("hash-worker-late").finish());
                    if let Some(worker) = &mut self.worker {
                        worker.kill();
                    }
                }
            }
        }
    }

    /// Ends a server that is silent or does not leave.
    fn end_what_is_late(&mut self, now: Moment) {
        let Some(server) = &mut self.server else { return };
        let leaves_late = self.stopping.is_some_and(|until| now >= until);
        // While it leaves, its own deadline counts and not its silence.
        let is_silent = self.stopping.is_none() && now >= server.heartbeat.deadline();
        if leaves_late || is_silent {
            let event = if leaves_late { "server-did-not-leave" } else { "server-silent" };
            log::error!("{}", Line::new(event).field("pid", server.process.id()).finish());
            server.process.kill();
            // It is reaped as soon as it is over; until then there is nothing more to do.
            server.heartbeat.closing(now, STOP_EXTRA_MS);
            self.stopping = self.stopping.map(|_| now.plus_ms(STOP_EXTRA_MS));
        }
    }

    fn reap_worker(&mut self, now: Moment) {
        let Some(ended) = self.worker.as_mut().and_then(Process::ended) else { return };
        self.worker = None;
        self.worker_due = self.worker_restart(now);
        // With its server gone, or both leaving, a worker ends as it should.
        if self.server.as_ref().is_some_and(|server| server.channel.is_some()) && self.stopping.is_none() {
            let line = Line::new("hash-worker-ended")
                .field("status", ended)
                .field("lived-ms", self.worker_restarts.lived_ms(now))
                .field("retry-ms", self.worker_due.since_ms(now));
            log::warn!("{}", line.finish());
        }
    }

    fn reap_server(&mut self, now: Moment) -> Option<u8> {
        let ended = self.server.as_mut().and_then(|server| server.process.ended())?;
        // What it said before it ended is still there: it may have been ready.
        self.listen(now);
        self.server = None;
        // Its worker belongs to nobody now. The next server gets one that has done nothing yet.
        self.worker = None;
        self.worker_restarts = Restarts::default();
        if self.stopping.is_some() {
            log::info!("{}", Line::new("stopped").field("status", ended).finish());
            return Some(0);
        }
        if ended.code() == Some(i32::from(CONFIGURATION)) {
            // It has said itself what is wrong.
            log::error!("{}", self.ended_line("server-refused-configuration", now, ended).finish());
            return Some(CONFIGURATION);
        }
        match self.server_restarts.ended(now) {
            Decision::Start(next) => {
                self.server_due = next;
                let line = self.ended_line("server-ended", now, ended).field("retry-ms", next.since_ms(now));
                log::error!("{}", line.finish());
                None
            }
            Decision::TooOften(_) => {
                let line = self.ended_line("server-given-up", now, ended).text(
                    "message",
                    "the server ended right after its start too often in a row; the lines before this one \
                     say why, mend that and start again",
                );
                log::error!("{}", line.finish());
                Some(TEMPORARY)
            }
        }
    }

    fn ended_line(&self, event: &'static str, now: Moment, ended: Ended) -> Line {
        Line::new(event)
            .field("status", ended)
            .field("lived-ms", self.server_restarts.lived_ms(now))
            .field("failures", self.server_restarts.failures())
    }
}

#[cfg(test)]
mod tests;
