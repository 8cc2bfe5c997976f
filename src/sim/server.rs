//! The loop in small: carries questions to whoever answers them, and answers and deadlines back.

mod entrance;
mod logins;
mod office;

use super::Law;
use super::archive::Archive;
use super::census::Fault;
use super::conn::{Conn, Stepped};
use super::desk::{Desk, Happening, Parcel};
use super::gate::{Config, Gate};
use super::hasher::{Hasher, Outcome};
use super::keeper::{Disk, Done, Keeper, Record};
use super::planted::PlantedBug;
use super::town::ROUNDS;
use crate::auth::scram::salts::Salts;
use crate::auth::throttle::{Pace, load_places};
use crate::auth::verdict::{LoginVerdict, Refusal, Unavailability};
use crate::auth::verifier::{Attempt, Decided, JobId, ProofAttempt, Verifier};
use crate::contract::{Answer, Cause, CommitAnswer, Listener, PeerFacts, Question, RoomAnswer, Ticket};
use crate::directory::Directory;
use crate::limits::{
    CONNECTION_OCTETS_MAX, HASH_MS_MAX, HASH_QUEUE_OTHERS_MAX, HASH_QUEUE_PER_PREFIX_MAX, IDLE_MS,
    REFUSAL_MS_MIN, REFUSAL_TICK_MS, SIDE_DOOR_MAX, SIDE_DOOR_MS, STOP_GRACE_MS,
};
use crate::policy;
use crate::policy::recipient::RecipientLookup;
use crate::policy::sender::SenderLookup;
use crate::smtp::session::Settings;
use crate::store::Store;
use crate::types::{AccountId, Domain, Moment, ScramUse, SessionId};
use office::Order;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Octets of the largest message here.
pub(super) const MESSAGE_OCTETS_MAX: usize = 16_000;

/// How the process goes on after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Goes,
    /// It ends itself, since the store failed; those who waited were told.
    Ends,
    /// It died in a write.
    Dies,
}

/// See the module.
pub(super) struct Server {
    epoch: u32,
    settings: Arc<Settings>,
    directory: Option<Directory>,
    config: Config,
    server_key: [u8; 32],
    gate: Gate,
    verifier: Verifier,
    hasher: Hasher,
    keeper: Keeper,
    pub(super) archive: Archive,
    /// The last password that was tried, for a planted bug.
    typed: Vec<u8>,
    orders: BTreeMap<u64, Order>,
    orders_given: u64,
    /// In boxes, since each turn takes each of them out and puts it back.
    conns: BTreeMap<usize, Box<Conn>>,
    stops_by: Option<Moment>,
}

impl Server {
    /// Starts, with what the disk has. `None` if that is not to be read.
    pub(super) fn start(epoch: u32, disk: &Disk, desk: &mut Desk) -> Option<Self> {
        let directory = match disk.store.directory() {
            Ok(directory) => directory,
            Err(error) => {
                desk.break_law(Law::ChangesLast, format!("the directory cannot be read: {error}"));
                return None;
            }
        };
        for strange in desk.town.was_read(&directory, desk.now.moment) {
            desk.break_law(Law::ChangesLast, strange);
        }
        desk.census.law(Law::ChangesLast);
        let settings = Settings {
            hostname: Domain::parse("mx.home.example").ok()?,
            message_octets_max: u64::try_from(MESSAGE_OCTETS_MAX).ok()?,
            tls_available: true,
            scram: ScramUse::All,
            idle_ms: IDLE_MS,
        };
        let server_key = disk.store.server_key();
        let mut verifier = Verifier::new(server_key, desk.chance.fork())
            .with_scram(ScramUse::All, Salts::with_iterations(&server_key, ROUNDS));
        verifier.worker_up(desk.now.moment);
        let mut gate = Gate::new(&disk.config, desk);
        if !desk.has(PlantedBug::ForgetsPlaces) {
            load_places(&mut gate.throttle, &directory);
        }
        match disk.store.throttle() {
            Ok(Some(snapshot)) => {
                let taken = gate.throttle.restore(desk.now, &snapshot);
                desk.check(Law::ChangesLast, taken, || "the record of the throttle was not taken up".into());
            }
            Ok(None) => {}
            Err(error) => desk.break_law(Law::ChangesLast, error.to_string()),
        }
        desk.book = Some(Arc::new(directory.clone()));
        Some(Self {
            epoch,
            settings: Arc::new(settings),
            directory: Some(directory),
            config: disk.config.clone(),
            server_key,
            gate,
            verifier,
            hasher: Hasher::default(),
            keeper: Keeper::default(),
            archive: Archive::new(disk.config.shelf),
            typed: Vec::new(),
            orders: BTreeMap::new(),
            orders_given: 0,
            conns: BTreeMap::new(),
            stops_by: None,
        })
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    // ---- from outside ----

    pub(super) fn arrived(&mut self, number: usize, parcel: Parcel, disk: &Disk, desk: &mut Desk) {
        if let Some(sent) = self.gate.sent.get_mut(&number) {
            sent.push(parcel);
        } else if matches!(parcel, Parcel::Rst) {
            if let Some(mut conn) = self.conns.remove(&number) {
                conn.broke(desk);
                self.gone(&mut conn, disk, desk);
            }
        } else if let Some(conn) = self.conns.get_mut(&number) {
            conn.arrived(parcel);
        }
    }

    pub(super) fn was_read(&mut self, number: usize, octets: usize) {
        if let Some(conn) = self.conns.get_mut(&number) {
            conn.was_read(octets);
        }
    }

    pub(super) fn stop(&mut self, desk: &mut Desk) {
        if self.stops_by.is_none() {
            desk.fault(Fault::Stopped);
            self.stops_by = Some(desk.now.moment.plus_ms(STOP_GRACE_MS));
            self.send_all_waiting_away(desk);
            self.conns.values_mut().for_each(|conn| conn.tell_stopping(desk));
            if let Some(snapshot) = self.gate.throttle.save_now(desk.now) {
                self.keeper.push_record(Record::Throttle(Box::new(snapshot)));
            }
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stops_by.is_some()
    }

    /// Whether it was asked to leave, and nobody is left.
    pub(super) fn has_left(&self) -> bool {
        self.is_stopping() && self.conns.is_empty() && self.keeper.requests() == 0
    }

    /// The process ends here and now.
    pub(super) fn killed(mut self, disk: &mut Disk, power_cut: bool, desk: &mut Desk) {
        for number in std::mem::take(&mut self.gate.sent).into_keys() {
            desk.later(0, Happening::ToClient(number, Parcel::Rst));
        }
        self.conns.into_values().for_each(|conn| conn.cut_off(desk));
        self.keeper.killed(disk, power_cut, desk);
        desk.promises.restarted();
    }

    pub(super) fn directory_goes(&mut self, disk: &Disk, gone: bool, desk: &mut Desk) {
        self.directory = if gone { None } else { disk.store.directory().ok() };
        self.publish(desk);
        if gone {
            self.excuse_logins();
        }
    }

    // ---- the hash worker ----

    pub(super) fn worker_dies(&mut self, desk: &mut Desk) {
        desk.tell("the hash worker is gone");
        self.verifier.worker_lost(desk.now.moment);
        self.hasher.dies(self.epoch, desk);
        self.excuse_logins();
    }

    pub(super) fn worker_hangs(&mut self) {
        self.hasher.hang();
    }

    pub(super) fn worker_back(&mut self, desk: &Desk) {
        self.verifier.worker_up(desk.now.moment);
    }

    pub(super) fn hash_done(&mut self, id: JobId, disk: &Disk, desk: &mut Desk) {
        let matched = match self.hasher.result(id) {
            None => return,
            Some(Outcome::Compared(matched)) => matched,
            Some(Outcome::Derived(keys)) => {
                if let Some(enrolled) = self.verifier.derived(id, keys) {
                    desk.fault(Fault::KeysMade);
                    self.keep_scram_keys(enrolled, desk);
                }
                return;
            }
        };
        self.verifier.hashed(desk.now.moment, id, matched);
        // The worker's word counts once.
        self.verifier.hashed(desk.now.moment, id, !matched);
        if desk.has(PlantedBug::RefusesAtOnce) {
            let leaving = self.verifier.due(desk.now.moment.plus_ms(REFUSAL_MS_MIN + REFUSAL_TICK_MS));
            leaving.into_iter().for_each(|decided| self.decided(decided, disk, desk));
        }
    }

    /// Whoever waits for a login now may be told 454.
    fn excuse_logins(&mut self) {
        let logins =
            self.conns.values_mut().filter_map(|conn| conn.open.as_mut()).filter(|open| open.is_login);
        logins.for_each(|open| open.excused = true);
    }

    // ---- the store ----

    pub(super) fn group_done(&mut self, disk: &mut Disk, desk: &mut Desk) -> Life {
        let Done { answers, records, failed, died } = self.keeper.finish(disk, desk);
        if died {
            return Life::Dies;
        }
        records.into_iter().for_each(|(record, kept)| self.record_done(record, kept, desk));
        self.tell_committed(answers, disk, desk);
        if failed { self.store_failed(disk, desk) } else { Life::Goes }
    }

    /// Everybody who waits for the store is told, and the process ends.
    pub(super) fn store_failed(&mut self, disk: &Disk, desk: &mut Desk) -> Life {
        desk.tell("the store failed, the server ends");
        let answers = self.keeper.give_up();
        self.tell_committed(answers, disk, desk);
        self.conns.values_mut().for_each(|conn| conn.flush(desk));
        Life::Ends
    }

    fn tell_committed(&mut self, answers: Vec<(usize, Ticket, CommitAnswer)>, disk: &Disk, desk: &mut Desk) {
        for (number, ticket, answer) in answers {
            self.answer(number, ticket, Answer::Commit(answer), disk, desk);
        }
    }

    // ---- questions and answers ----

    /// Brings an answer to a session, and whatever comes of it.
    pub(super) fn answer(
        &mut self,
        number: usize,
        ticket: Ticket,
        answer: Answer,
        disk: &Disk,
        desk: &mut Desk,
    ) {
        let Some(mut conn) = self.conns.remove(&number) else { return };
        if desk.one_in(6) {
            stale_answer(&mut conn, desk);
        }
        if conn.open.as_ref().is_some_and(|open| open.ticket == ticket) {
            let stepped = conn.answer(ticket, answer, desk);
            self.carry(&mut conn, stepped, disk, desk);
        }
        self.conns.insert(number, conn);
    }

    /// Gives some session an answer that nobody waits for.
    pub(super) fn stale_answer(&mut self, desk: &mut Desk) {
        let numbers: Vec<usize> = self.conns.keys().copied().collect();
        if let Some(conn) = desk.pick(&numbers).and_then(|number| self.conns.get_mut(&number)) {
            stale_answer(conn, desk);
        }
    }

    fn carry(&mut self, conn: &mut Conn, stepped: Stepped, disk: &Disk, desk: &mut Desk) {
        let mut steps = vec![stepped];
        while let Some(Stepped { asks, yes, .. }) = steps.pop() {
            self.hear_notes(conn, disk, desk);
            if let Some((id, accounts)) = yes {
                desk.check(Law::HonestYes, disk.holds(id, &accounts), || format!("{id} is not in the store"));
            }
            for (ticket, question) in asks {
                if let Some(answer) = self.ask(conn, ticket, question, disk, desk) {
                    if desk.one_in(8) {
                        desk.fault(Fault::AnswerDelayed);
                        let ms = desk.between(1, 200);
                        desk.later(ms, Happening::LateAnswer(self.epoch, conn.number, ticket, answer));
                    } else {
                        steps.push(conn.answer(ticket, answer, desk));
                    }
                }
            }
        }
    }

    /// Answers a question, or sends it to whoever will.
    fn ask(
        &mut self,
        conn: &mut Conn,
        ticket: Ticket,
        question: Question,
        disk: &Disk,
        desk: &mut Desk,
    ) -> Option<Answer> {
        let directory = self.directory.as_ref();
        match question {
            Question::Room(_) => Some(Answer::Room(match (disk.is_full, disk.is_behind) {
                (true, _) => RoomAnswer::DiskFull,
                (false, true) => RoomAnswer::Unavailable,
                (false, false) => RoomAnswer::Enough,
            })),
            Question::Sender(..) if desk.has(PlantedBug::AnybodyIsAnySender) => {
                Some(Answer::Sender(SenderLookup::Own))
            }
            Question::Sender(account, by, path) => {
                Some(Answer::Sender(policy::sender::look_up(directory, account, by.app_password(), &path)))
            }
            Question::Recipient(path) => {
                let mut lookup = policy::recipient::look_up(directory, &path);
                if lookup == RecipientLookup::NotOurDomain && desk.has(PlantedBug::RelaysForAnybody) {
                    lookup = RecipientLookup::Account(AccountId(1));
                }
                Some(Answer::Recipient(lookup))
            }
            Question::Login { login, password, authorize_as } => {
                self.ask_login(conn, ticket, (login, password, authorize_as), desk);
                None
            }
            Question::Salt(login) => {
                let mut salt = self.verifier.salts().of(&login);
                if desk.has(PlantedBug::SaltOfChance) {
                    salt.salt = desk.chance.octets().first_chunk().copied().unwrap_or(salt.salt);
                }
                let known = *desk.salts.entry(login.to_ascii_lowercase()).or_insert(salt);
                desk.check(Law::EqualRefusals, known == salt, || "a name has two salts".into());
                Some(Answer::Salt(salt))
            }
            Question::Proof(proof) => {
                self.ask_proof(conn, ticket, proof, desk);
                None
            }
            Question::Commit(commit) => {
                let body = std::mem::take(&mut conn.kept);
                self.keeper.push(conn.number, ticket, *commit, body);
                desk.has(PlantedBug::DurableBeforeSync).then_some(Answer::Commit(CommitAnswer::Durable))
            }
        }
    }

    // ---- a turn ----

    /// When something is due by itself.
    pub(super) fn next_deadline(&self, desk: &Desk) -> Option<Moment> {
        let conns = self.conns.values().filter_map(|conn| conn.next_deadline(desk)).min();
        let mut verifier = self.verifier.next_deadline();
        if desk.has(PlantedBug::WaitsForHungWorker) && verifier.is_some_and(|when| when <= desk.now.moment) {
            // The deadline of the late worker does not go away; what leaves on the grid must not wait for it.
            let next_tick = (desk.now.moment.0 / REFUSAL_TICK_MS + 1) * REFUSAL_TICK_MS;
            verifier = Some(Moment(next_tick));
        }
        let stops_by = self.stops_by.filter(|by| *by > desk.now.moment);
        let save = self.gate.throttle.next_save().map(|at| at.max(desk.now.moment));
        let save = save.filter(|_| !self.is_stopping());
        let look = self.archive.next_look();
        [conns, verifier, stops_by, self.next_wait(), save, look].into_iter().flatten().min()
    }

    /// One turn of the loop: deadlines, what came, what is to be kept, what is to be sent.
    pub(super) fn turn(&mut self, disk: &mut Disk, desk: &mut Desk) -> Life {
        if self.verifier.worker_is_late(desk.now.moment) && !desk.has(PlantedBug::WaitsForHungWorker) {
            self.worker_dies(desk);
        }
        self.check_passwords(disk, desk);
        if !desk.has(PlantedBug::HoldsForEver) {
            self.end_waits(disk, desk);
        }
        let out_of_grace = self.stops_by.is_some_and(|by| by <= desk.now.moment);
        let busy = self.conns.iter().filter(|(_, conn)| out_of_grace || !conn.is_quiet(desk));
        let numbers: Vec<usize> = busy.map(|(number, _)| *number).collect();
        for number in numbers {
            let Some(mut conn) = self.conns.remove(&number) else { continue };
            conn.fire(desk);
            if out_of_grace && !conn.is_over() {
                conn.end(Cause::Stopping, desk);
            }
            self.serve(&mut conn, disk, desk);
            let waits = desk.has(PlantedBug::WaitsForJournal) && self.archive.is_stuck();
            if !waits && conn.is_finished(desk) {
                self.gone(&mut conn, disk, desk);
            } else {
                self.conns.insert(number, conn);
            }
        }
        self.give_worker_its_job(desk);
        if let Some(snapshot) = self.gate.throttle.save(desk.now) {
            self.keeper.push_record(Record::Throttle(Box::new(snapshot)));
        }
        self.archive.turn(self.epoch, desk);
        self.judge_memory(desk);
        match self.keeper.begin(self.epoch, disk, desk) {
            false => Life::Goes,
            true if disk.store.has_died() => Life::Dies,
            true => self.store_failed(disk, desk),
        }
    }

    fn serve(&mut self, conn: &mut Conn, disk: &Disk, desk: &mut Desk) {
        loop {
            let stepped = conn.pump(desk);
            let asked = !stepped.asks.is_empty();
            self.carry(conn, stepped, disk, desk);
            conn.flush(desk);
            if !asked || desk.is_broken() {
                return;
            }
        }
    }

    fn gone(&mut self, conn: &mut Conn, disk: &Disk, desk: &mut Desk) {
        self.hear_notes(conn, disk, desk);
        let PeerFacts { session, address, .. } = conn.facts;
        self.gate.admission.leave(session, address);
        self.gate.side_door.leave(session);
        if !conn.fruitful {
            self.gate.throttle.fruitless_visit(desk.now, address);
        }
        self.verifier.forget(session);
        conn.judge_cuts(desk);
        let recording = conn.recording(desk);
        let others = self.gate.admission.connections_of_host(address) > 0;
        self.archive.ended(address, recording, others, desk);
    }

    /// The writer of the journal is done with a file.
    pub(super) fn journal_written(&mut self, disk: &Disk, desk: &mut Desk) {
        self.archive.written(&self.settings, disk.weather, &self.typed, desk);
    }

    /// Lets tapes see who is who by now.
    fn publish(&self, desk: &mut Desk) {
        desk.book = self.directory.clone().map(Arc::new);
    }

    /// Sessions that have not ended.
    pub(super) fn sessions(&self) -> usize {
        self.conns.len() + self.gate.tarpit.len()
    }
}

/// An answer for a question answered before, never asked, or of another kind.
fn stale_answer(conn: &mut Conn, desk: &mut Desk) {
    if conn.is_over() {
        return;
    }
    let open = conn.open.as_ref().map(|open| open.ticket);
    let (ticket, answer) = match (desk.below(3), &conn.last_answer, open) {
        (0, Some((ticket, answer)), _) => (*ticket, super::recut::copy(answer)),
        (1, _, open) => (Ticket(open.map_or(7, |open| open.0 + 1)), Answer::Commit(CommitAnswer::Durable)),
        (_, Some((_, answer)), Some(open)) if is_of_other_kind(conn, answer) => {
            (open, super::recut::copy(answer))
        }
        (_, Some((ticket, answer)), _) => (*ticket, super::recut::copy(answer)),
        (_, None, _) => (Ticket(u64::MAX), Answer::Room(RoomAnswer::Enough)),
    };
    desk.fault(Fault::StaleAnswer);
    conn.stale_answer(ticket, answer, desk);
}

/// Whether it answers another question than the open one. Sender and room are two steps of MAIL, salt and proof
/// two of AUTH; a session does not tell those two apart.
fn is_of_other_kind(conn: &Conn, answer: &Answer) -> bool {
    let kind = match answer {
        Answer::Room(_) | Answer::Sender(_) => "mail",
        Answer::Recipient(_) => "recipient",
        Answer::Login(_) => "login",
        Answer::Salt(_) | Answer::Proof(..) => "scram",
        Answer::Commit(_) => "commit",
    };
    conn.open.as_ref().is_some_and(|open| open.kind != kind)
}
