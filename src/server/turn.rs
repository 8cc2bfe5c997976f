//! The loop: one thread that decides.
//!
//! A turn: collect readiness, take the store's answers, feed sessions in rotating order within a budget
//! each, hand the store what must be kept, flush, sleep until the nearest deadline. mio is edge-triggered:
//! what is unfinished stays on the ready list, and while that is not empty the poll does not sleep.

mod relatives;

use super::bodies::Bodies;
use super::channel::{Channel, ToParent, ToServer};
use super::clock::Clock;
use super::connection::Connection;
use super::control_server::{ControlServer, Gauges, Office};
use super::desk::{Deed, Desk, Room};
use super::entrance::{self, TurnedAway};
use super::hash_worker::WorkerLink;
use super::listener::{Door, Spare};
use super::logins::{load_places, take_up_offenders};
use super::recordings::Recordings;
use super::store_link::StoreLink;
use super::store_thread::{Opened, StoreThread, ToStore, WakerSlot};
use super::timers::Timers;
use super::tls::Tls;
use crate::auth::report::Ledger;
use crate::auth::scram::salts::Salts;
use crate::auth::throttle::Throttle;
use crate::auth::verifier::Verifier;
use crate::config::checked::Config;
use crate::directory::Directory;
use crate::limits::{HEARTBEAT_MS, JOURNAL_CLOSE_MS, LINGER_MS, READ_OCTETS_PER_TURN, STORE_MS_MAX};
use crate::policy::admission::{Admission, Ceilings};
use crate::policy::side_door::SideDoor;
use crate::policy::tarpit::Tarpit;
use crate::smtp::session::Settings;
use crate::store::count::Lost;
use crate::telemetry::Recorder;
use crate::telemetry::disk::DiskWatch;
use crate::telemetry::line::Line;
use crate::telemetry::turns::Turns;
use crate::types::{Chance, Moment, Now, SessionId};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use signal_hook_mio::v1_0::Signals;
use slab::Slab;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

const PARENT: usize = 0;
const WAKER: usize = 1;
const SIGNALS: usize = 2;
const WORKER: usize = 3;
/// The administrator's socket; its clients follow.
const CONTROL: usize = 1_024;
const DOORS: usize = 2_048;
const CONNECTIONS: usize = 65_536;
/// Events taken in one turn.
const EVENTS_PER_TURN: usize = 1_024;

/// What a loop is made of.
pub struct Parts {
    /// The socket to the parent.
    pub channel: Channel<ToServer, ToParent>,
    /// Signals that ask the process to leave, if it listens to any.
    pub signals: Option<Signals>,
    /// The configuration.
    pub config: Config,
    /// How handshakes are made, if there is a certificate.
    pub tls: Option<Arc<Tls>>,
    /// One listening socket for each listener of the configuration.
    pub sockets: Vec<OwnedFd>,
    /// The store thread.
    pub thread: StoreThread,
    /// What it said when the store was open.
    pub opened: Opened,
    /// Where the store thread finds the waker.
    pub waker: WakerSlot,
    /// Refused connections that may be held: as many as there are descriptors for.
    pub held_max: usize,
    /// The clocks.
    pub clock: Clock,
}

/// How a loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was asked to.
    Clean,
    /// Something failed that a new process can do better.
    Again,
}

/// A loop on its way out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    pub(super) until: Moment,
    pub(super) ending: Ending,
}

/// The server.
pub struct Loop {
    poll: Poll,
    /// Held here too: with the last holder the waker goes, and with it a wake that was not yet seen.
    _waker: WakerSlot,
    clock: Clock,
    channel: Channel<ToServer, ToParent>,
    signals: Option<Signals>,
    control: ControlServer,
    next_beat: Moment,
    pub(super) now: Now,
    pub(super) config: Config,
    pub(super) settings: Arc<Settings>,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) chance: Chance,
    pub(super) doors: Vec<Door>,
    pub(super) spare: Spare,
    pub(super) no_descriptor_told: Option<Moment>,
    pub(super) connections: Slab<Box<Connection>>,
    pub(super) by_session: BTreeMap<SessionId, usize>,
    pub(super) last_session: u64,
    /// Connections with unfinished work, each once, in the order of their turns.
    pub(super) ready: VecDeque<usize>,
    pub(super) timers: Timers,
    pub(super) admission: Admission,
    pub(super) tarpit: Tarpit<TurnedAway>,
    pub(super) side_door: SideDoor,
    pub(super) directory: Directory,
    pub(super) bodies: Bodies,
    pub(super) store: StoreLink,
    pub(super) store_is_down: bool,
    pub(super) throttle: Throttle,
    pub(super) verifier: Verifier,
    pub(super) worker: Option<WorkerLink>,
    pub(super) recorder: Recorder,
    pub(super) disk: DiskWatch,
    turns: Turns,
    pub(super) ledger: Ledger,
    pub(super) recordings: Recordings,
    /// Acknowledged mail that was missing when the store was opened.
    lost: Vec<Lost>,
    pub(super) scratch: Vec<u8>,
    pub(super) leaving: Option<Leaving>,
}

impl Loop {
    /// Registers everything and tells the parent that connections are accepted.
    ///
    /// # Errors
    /// When the poll, the doors or the administrator's socket cannot be set up.
    pub fn new(parts: Parts, mut chance: Chance) -> io::Result<Self> {
        let Parts { channel, mut signals, config, tls, sockets, thread, opened, waker, held_max, clock } =
            parts;
        let poll = Poll::new()?;
        let registry = poll.registry();
        *waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(Waker::new(registry, Token(WAKER))?);
        registry.register(&mut SourceFd(&channel.as_fd().as_raw_fd()), Token(PARENT), Interest::READABLE)?;
        if let Some(signals) = &mut signals {
            registry.register(signals, Token(SIGNALS), Interest::READABLE)?;
        }
        let control =
            ControlServer::bind(&config.data_dir, registry, CONTROL, opened.server_key, config.scram)?;
        let doors = open_doors(sockets, &config, registry)?;
        let now = clock.now();
        let settings = Settings {
            hostname: config.hostname.clone(),
            message_octets_max: config.message_octets_max,
            tls_available: tls.is_some(),
            scram: config.scram,
            idle_ms: config.idle_ms,
        };
        let ceilings = Ceilings {
            per_host: config.connections_per_host_max,
            per_net: config.connections_per_net_max,
            total: config.connections_max,
        };
        // A process that follows another within a second must not use its numbers again soon.
        let last_session = now.unix.0.wrapping_shl(20);
        let mut throttle = Throttle::new(config.throttle.rules(), chance.octets());
        load_places(&mut throttle, &opened.directory);
        take_up_offenders(&mut throttle, now, opened.throttle.as_ref());
        let settings = Arc::new(settings);
        let recordings = Recordings::start(&config, &settings);
        channel.send(&ToParent::Ready)?;
        Ok(Self {
            poll,
            _waker: waker,
            clock,
            channel,
            signals,
            control,
            next_beat: now.moment,
            now,
            settings,
            recordings,
            tls,
            doors,
            spare: Spare::new(),
            no_descriptor_told: None,
            connections: Slab::new(),
            by_session: BTreeMap::new(),
            last_session,
            ready: VecDeque::new(),
            timers: Timers::default(),
            admission: Admission::new(ceilings),
            tarpit: entrance::tarpit(held_max),
            side_door: entrance::side_door(),
            directory: opened.directory,
            bodies: Bodies::default(),
            store: StoreLink::new(thread),
            store_is_down: false,
            throttle,
            verifier: Verifier::new(opened.server_key, chance.fork())
                .with_scram(config.scram, Salts::new(&opened.server_key)),
            worker: None,
            recorder: Recorder::new(),
            disk: DiskWatch::default(),
            turns: Turns::default(),
            ledger: Ledger::load(opened.report, config.auth_report_days, now),
            lost: opened.lost,
            scratch: vec![0; READ_OCTETS_PER_TURN],
            leaving: None,
            config,
            chance,
        })
    }

    /// Turns until it is time to leave.
    ///
    /// # Errors
    /// When the poll itself fails.
    pub fn run(mut self) -> io::Result<Ending> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        // What came together with the first message was read with it, and no readiness will tell of it.
        self.hear_parent();
        let ending = loop {
            let patience = self.patience();
            self.turns.finish(self.clock.elapsed(), self.clock.processor());
            match self.poll.poll(&mut events, patience) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            self.turns.begin(self.clock.elapsed());
            self.now = self.clock.now();
            for event in &events {
                self.signalled(event);
            }
            self.take_answers();
            self.check_passwords();
            self.fire_timers();
            self.accept_some();
            self.work_some();
            self.save_records();
            self.store.pump();
            self.beat();
            self.admit_administrators();
            if let Some(ending) = self.ended() {
                break ending;
            }
        };
        self.recorder.close();
        match ending {
            Ending::Clean => {
                self.close_recordings(Duration::from_millis(JOURNAL_CLOSE_MS));
                if let Some(save) = self.ledger.save_now() {
                    self.store.send(self.now.moment, ToStore::Report(Box::new(save)));
                }
                self.verifier.settle(self.now, &mut self.throttle);
                if let Some(snapshot) = self.throttle.save_now(self.now) {
                    self.store.send(self.now.moment, ToStore::Throttle(Box::new(snapshot)));
                }
                if !self.store.close(Duration::from_millis(STORE_MS_MAX)) {
                    log::warn!("{}", Line::new("store-not-closed").finish());
                }
            }
            // It may hang for ever; nothing is owed to anybody any more.
            Ending::Again => {}
        }
        Ok(ending)
    }

    /// How long the poll may sleep.
    fn patience(&self) -> Option<Duration> {
        let now = self.now.moment;
        if !self.ready.is_empty() || self.doors.iter().any(|door| door.is_ready(now)) {
            return Some(Duration::ZERO);
        }
        let doors = self.doors.iter().filter_map(Door::retry_at).min();
        let leaving = self.leaving.map(|leaving| leaving.until);
        let next = [
            Some(self.next_beat),
            self.timers.next(),
            self.tarpit.next_deadline(),
            self.verifier.next_deadline(),
            self.recorder.next_deadline(),
            self.ledger.next_deadline().filter(|_| !self.store_is_down),
            self.throttle.next_save().filter(|_| !self.store_is_down),
            doors,
            leaving,
        ];
        // The clock counts whole milliseconds and rounds down, so one is added: no spinning before a deadline.
        next.into_iter()
            .flatten()
            .min()
            .map(|at| Duration::from_millis(at.since_ms(self.clock.now().moment).saturating_add(1)))
    }

    fn signalled(&mut self, event: &mio::event::Event) {
        match event.token().0 {
            PARENT => self.hear_parent(),
            // What woke the loop is looked for in every turn.
            WAKER => {}
            SIGNALS => {
                if self.signals.as_mut().is_some_and(|signals| signals.pending().count() > 0) {
                    self.leave_cleanly();
                }
            }
            WORKER => self.hear_worker(),
            CONTROL => self.at_the_office(|control, registry, office| control.accept(registry, office)),
            token if self.control.has_token(token) => {
                self.with_control(|control, office| control.signalled(event, office));
            }
            token if token < CONNECTIONS => {
                if let Some(door) = self.doors.get_mut(token.saturating_sub(DOORS)) {
                    door.signalled();
                }
            }
            token => {
                let key = token.saturating_sub(CONNECTIONS);
                if let Some(connection) = self.connections.get_mut(key) {
                    connection.wire_mut().signalled(event);
                    self.list_if_useful(key);
                }
            }
        }
    }

    /// Hands the store what the report has counted and whom the throttle must not forget, each no more often than
    /// its limit says.
    fn save_records(&mut self) {
        if self.store_is_down {
            return;
        }
        if let Some(save) = self.ledger.save(self.now.moment) {
            self.store.send(self.now.moment, ToStore::Report(Box::new(save)));
        }
        if let Some(snapshot) = self.throttle.save(self.now) {
            self.store.send(self.now.moment, ToStore::Throttle(Box::new(snapshot)));
        }
    }

    fn beat(&mut self) {
        let now = self.now.moment;
        if now < self.next_beat {
            return;
        }
        self.next_beat = now.plus_ms(HEARTBEAT_MS);
        if self.channel.send(&ToParent::Alive).is_err() {
            self.leave_cleanly();
        }
        self.look_at_disk();
        self.look_at_recordings();
        self.recorder.due(self.now);
        self.control.drop_silent(now);
        self.send_silent_away();
        if let Some(why) = self.store.trouble(now).filter(|_| !self.store_is_down) {
            self.store_failed(&why);
        }
    }

    // ---- Control ----

    /// Lets the administrator's socket do something.
    pub(super) fn with_control(&mut self, act: impl FnOnce(&mut ControlServer, &mut Office<'_>)) {
        self.at_the_office(|control, _, office| act(control, office));
    }

    /// Takes commands that wait for a place, if one became free in this turn.
    fn admit_administrators(&mut self) {
        self.at_the_office(|control, registry, office| control.accept_late(registry, office));
    }

    fn at_the_office(&mut self, act: impl FnOnce(&mut ControlServer, &Registry, &mut Office<'_>)) {
        let journal = self.recordings.counts();
        let Self { control, poll, directory, ledger, store, throttle, now, recorder, turns, .. } = self;
        let gauges = Gauges {
            recorder,
            turns,
            connections: self.connections.len(),
            connections_max: self.config.connections_max,
            store_is_down: self.store_is_down,
            reserve_octets: self.config.disk_reserve_octets,
            journal: &journal,
            lost: &self.lost,
        };
        let mut office = Office { now: now.moment, directory, ledger, store, throttle, clocks: *now, gauges };
        act(control, poll.registry(), &mut office);
    }

    // ---- Leaving ----

    /// No new connections; running transactions have a grace period.
    fn leave_cleanly(&mut self) {
        let until = self.now.moment.plus_ms(self.config.stop_grace_ms);
        self.leave(Leaving { until, ending: Ending::Clean });
    }

    pub(super) fn leave(&mut self, leaving: Leaving) {
        if self.leaving.is_some() {
            return;
        }
        let line = Line::new("stopping").field("connections", self.connections.len());
        log::info!("{}", line.finish());
        self.leaving = Some(leaving);
        for mut door in std::mem::take(&mut self.doors) {
            // As with the worker: the parent has the same socket.
            let _ = self.registry().deregister(door.listener_mut());
        }
        self.send_all_waiting_away();
        for key in self.keys() {
            self.with(key, |connection, desk, _, deeds| connection.stop(desk, deeds));
        }
    }

    /// The store is not to be used any more: those who wait for it hear 451, everybody else 421.
    pub(super) fn store_failed(&mut self, why: &str) {
        log::error!("{}", Line::new("store-failed").text("reason", why).finish());
        self.store_is_down = true;
        self.fail_commits();
        let until = self.now.moment.plus_ms(LINGER_MS);
        if let Some(leaving) = &mut self.leaving {
            leaving.ending = Ending::Again;
            leaving.until = leaving.until.min(until);
        }
        self.leave(Leaving { until, ending: Ending::Again });
    }

    fn ended(&mut self) -> Option<Ending> {
        let Leaving { until, ending } = self.leaving?;
        let late = until <= self.now.moment;
        if late {
            for key in self.keys() {
                self.with(key, |connection, desk, _, deeds| {
                    connection.turn_out(crate::contract::Cause::Stopping, desk, deeds);
                });
            }
        }
        (self.connections.is_empty() || late).then_some(ending)
    }

    pub(super) fn keys(&self) -> Vec<usize> {
        self.connections.iter().map(|(key, _)| key).collect()
    }

    // ---- Shared ----

    pub(super) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// The token of a connection.
    pub(super) fn token(key: usize) -> Token {
        Token(key.saturating_add(CONNECTIONS))
    }
}

/// What a connection may look at in this turn.
pub(super) fn desk<'a>(
    now: Now,
    directory: &'a Directory,
    tls: Option<&'a Tls>,
    salts: &'a Salts,
    room: Room,
    bodies: &Bodies,
    settings: &'a Settings,
) -> Desk<'a> {
    Desk { now, directory, room, tls, salts, spools_are_behind: bodies.are_behind(), settings }
}

impl Loop {
    /// How much can be kept, as far as is known.
    pub(super) fn room(&self) -> Room {
        Room {
            free_octets: self.store.free_octets().saturating_sub(self.store.octets_in_flight()),
            reserve_octets: self.config.disk_reserve_octets,
            store_is_behind: self.store_is_down || self.store.is_behind(),
        }
    }

    /// Does work of one connection behind the wall: a panic in it ends this connection and nothing else.
    /// Then carries out what concerns others.
    pub(super) fn with(
        &mut self,
        key: usize,
        act: impl FnOnce(&mut Connection, &Desk<'_>, &mut [u8], &mut Vec<Deed>),
    ) {
        let room = self.room();
        let Some(connection) = self.connections.get_mut(key) else { return };
        let desk = desk(
            self.now,
            &self.directory,
            self.tls.as_deref(),
            self.verifier.salts(),
            room,
            &self.bodies,
            &self.settings,
        );
        let mut deeds = Vec::new();
        let scratch = &mut self.scratch;
        let work = std::panic::AssertUnwindSafe(|| {
            act(connection, &desk, scratch, &mut deeds);
            connection.has_work(&desk)
        });
        match std::panic::catch_unwind(work) {
            Ok(more) => self.settle(key, deeds, more),
            Err(_) => self.caught(key, deeds),
        }
    }
}

fn open_doors(sockets: Vec<OwnedFd>, config: &Config, registry: &Registry) -> io::Result<Vec<Door>> {
    let mut doors = Vec::new();
    for (index, (socket, listener)) in sockets.into_iter().zip(&config.listeners).enumerate() {
        let mut door = Door::new(socket, listener.kind)?;
        let token = Token(DOORS.saturating_add(index));
        registry.register(door.listener_mut(), token, Interest::READABLE)?;
        doors.push(door);
    }
    Ok(doors)
}
