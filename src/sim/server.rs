//! The loop in small: carries questions to whoever answers them, and answers and deadlines back.

use super::Law;
use super::census::Fault;
use super::conn::{Conn, Stepped};
use super::desk::{Desk, Happening, Parcel};
use super::hasher::Hasher;
use super::keeper::{Disk, Keeper};
use super::planted::PlantedBug;
use crate::auth::verdict::{LoginVerdict, Refusal, Unavailability};
use crate::auth::verifier::{Attempt, Decided, JobId, ProofAttempt, Verifier};
use crate::contract::{Answer, Cause, CommitAnswer, Listener, PeerFacts, Question, RoomAnswer, Ticket};
use crate::directory::Directory;
use crate::limits::{
    HASH_MS_MAX, HASH_QUEUE_MAX, HASH_QUEUE_PER_PREFIX_MAX, IDLE_MS, REFUSAL_MS_MIN, REFUSAL_TICK_MS,
    STOP_GRACE_MS,
};
use crate::policy;
use crate::policy::recipient::RecipientLookup;
use crate::policy::sender::SenderLookup;
use crate::smtp::session::Settings;
use crate::store::Store;
use crate::types::{AccountId, Domain, Moment, SessionId};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Octets of the largest message here.
pub(super) const MESSAGE_OCTETS_MAX: usize = 16_000;

/// How the process goes on after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Goes,
    /// It ends itself, since the store failed; those who waited were told.
    Ends,
}

/// See the module.
pub(super) struct Server {
    epoch: u32,
    settings: Arc<Settings>,
    directory: Option<Directory>,
    verifier: Verifier,
    hasher: Hasher,
    keeper: Keeper,
    /// In boxes, since each turn takes each of them out and puts it back.
    conns: BTreeMap<usize, Box<Conn>>,
    stops_by: Option<Moment>,
}

impl Server {
    /// Starts, with what the disk has. `None` if that is not to be read.
    pub(super) fn start(epoch: u32, disk: &Disk, desk: &mut Desk) -> Option<Self> {
        let directory = disk.store.directory().ok()?;
        let settings = Settings {
            hostname: Domain::parse("mx.home.example").ok()?,
            message_octets_max: u64::try_from(MESSAGE_OCTETS_MAX).ok()?,
            tls_available: true,
            scram: crate::types::ScramUse::All,
            idle_ms: IDLE_MS,
        };
        let mut verifier = Verifier::new(disk.store.server_key(), desk.chance.fork());
        verifier.worker_up(desk.now.moment);
        Some(Self {
            epoch,
            settings: Arc::new(settings),
            directory: Some(directory),
            verifier,
            hasher: Hasher::default(),
            keeper: Keeper::default(),
            conns: BTreeMap::new(),
            stops_by: None,
        })
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    // ---- from outside ----

    pub(super) fn accept(&mut self, number: usize, listener: Listener, desk: &mut Desk) {
        let facts = PeerFacts {
            session: SessionId(u64::try_from(number).unwrap_or(u64::MAX)),
            address: address_of(number),
            listener,
        };
        let conn = Conn::new(number, facts, &self.settings, desk);
        self.conns.insert(number, Box::new(conn));
    }

    pub(super) fn arrived(&mut self, number: usize, parcel: Parcel, desk: &mut Desk) {
        if matches!(parcel, Parcel::Rst) {
            if let Some(conn) = self.conns.remove(&number) {
                self.gone(&conn, desk);
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
            self.conns.values_mut().for_each(|conn| conn.tell_stopping(desk));
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stops_by.is_some()
    }

    /// Whether it was asked to leave, and nobody is left.
    pub(super) fn has_left(&self) -> bool {
        self.is_stopping() && self.conns.is_empty()
    }

    /// The process ends here and now.
    pub(super) fn killed(self, disk: &mut Disk, desk: &mut Desk) {
        self.conns.into_values().for_each(|conn| conn.cut_off(desk));
        self.keeper.killed(disk, desk);
    }

    pub(super) fn directory_goes(&mut self, disk: &Disk, gone: bool) {
        self.directory = if gone { None } else { disk.store.directory().ok() };
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
        let Some(matched) = self.hasher.result(id) else { return };
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
        let done = self.keeper.finish(disk, desk);
        self.tell_committed(done.answers, disk, desk);
        if done.failed { self.store_failed(disk, desk) } else { Life::Goes }
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
                let excused = directory.is_none() || self.is_crowded(conn);
                if let Some(open) = &mut conn.open {
                    open.excused = excused;
                }
                let (session, source) = (conn.facts.session, conn.facts.address);
                let attempt = Attempt { session, ticket, source, login, password, authorize_as };
                self.verifier.submit(desk.now.moment, directory, attempt);
                None
            }
            Question::Salt(login) => Some(Answer::Salt(self.verifier.salts().of(&login))),
            Question::Proof(proof) => {
                if let Some(open) = &mut conn.open {
                    open.excused = directory.is_none();
                }
                let (session, source) = (conn.facts.session, conn.facts.address);
                let attempt = ProofAttempt { session, ticket, source, proof };
                self.verifier.submit_proof(desk.now.moment, directory, &attempt);
                None
            }
            Question::Commit(commit) => {
                let body = std::mem::take(&mut conn.kept);
                self.keeper.push(conn.number, ticket, *commit, body);
                desk.has(PlantedBug::DurableBeforeSync).then_some(Answer::Commit(CommitAnswer::Durable))
            }
        }
    }

    /// Whether so many logins wait that one more may be turned away.
    fn is_crowded(&self, conn: &Conn) -> bool {
        let waits = |other: &&Conn| other.open.as_ref().is_some_and(|open| open.is_login);
        let waiting = self.conns.values().map(Box::as_ref).filter(waits);
        let near = waiting.clone().filter(|other| same_prefix(other.facts.address, conn.facts.address));
        near.count() >= HASH_QUEUE_PER_PREFIX_MAX || waiting.count() >= HASH_QUEUE_MAX
    }

    fn decided(&mut self, decided: Decided, disk: &Disk, desk: &mut Desk) {
        let Decided { session, ticket, mut verdict, signature } = decided;
        let Ok(number) = usize::try_from(session.0) else { return };
        if desk.has(PlantedBug::AliasIsAnError) && verdict == LoginVerdict::Refused(Refusal::Alias) {
            verdict = LoginVerdict::Unavailable(Unavailability::Directory);
        }
        if let Some(open) = self.conns.get(&number).and_then(|conn| conn.open.as_ref()) {
            let now = desk.now.moment;
            let waited = now.since_ms(open.asked);
            match verdict {
                LoginVerdict::Accepted(..) | LoginVerdict::Disabled(_) => {}
                LoginVerdict::Refused(_) | LoginVerdict::Unavailable(_) => {
                    let on_grid = now.0.is_multiple_of(REFUSAL_TICK_MS) && waited >= REFUSAL_MS_MIN;
                    desk.check(Law::EqualRefusals, on_grid, || format!("{verdict:?} left after {waited} ms"));
                }
            }
            if matches!(verdict, LoginVerdict::Unavailable(_)) {
                let excused = open.excused || waited >= HASH_MS_MAX;
                desk.check(Law::EqualRefusals, excused, || format!("{verdict:?}, and nothing was missing"));
            }
        }
        let answer = match signature {
            None => Answer::Login(verdict),
            Some(signature) => Answer::Proof(verdict, signature),
        };
        self.answer(number, ticket, answer, disk, desk);
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
        [conns, verifier, stops_by].into_iter().flatten().min()
    }

    /// One turn of the loop: deadlines, what came, what is to be kept, what is to be sent.
    pub(super) fn turn(&mut self, disk: &mut Disk, desk: &mut Desk) -> Life {
        if self.verifier.worker_is_late(desk.now.moment) && !desk.has(PlantedBug::WaitsForHungWorker) {
            self.worker_dies(desk);
        }
        let due = self.verifier.due(desk.now.moment);
        due.into_iter().for_each(|decided| self.decided(decided, disk, desk));
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
            if conn.is_finished(desk) {
                self.gone(&conn, desk);
            } else {
                self.conns.insert(number, conn);
            }
        }
        if let Some(job) = self.verifier.next_job(desk.now.moment) {
            self.hasher.take(self.epoch, &job, desk);
        }
        if self.keeper.begin(self.epoch, disk, desk) { self.store_failed(disk, desk) } else { Life::Goes }
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

    fn gone(&mut self, conn: &Conn, desk: &mut Desk) {
        self.verifier.forget(conn.facts.session);
        conn.judge_cuts(desk);
    }

    /// Sessions that have not ended.
    pub(super) fn sessions(&self) -> usize {
        self.conns.len()
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

/// A login's verdict answers no question but a login's, and nothing else answers one.
fn is_of_other_kind(conn: &Conn, answer: &Answer) -> bool {
    let asks_login = conn.open.as_ref().is_some_and(|open| open.is_login);
    matches!(answer, Answer::Login(_)) != asks_login
}

/// Addresses of few networks, so that some neighbours crowd each other.
fn address_of(number: usize) -> IpAddr {
    let host = u8::try_from(number % 200).unwrap_or(0);
    match number % 3 {
        0 => IpAddr::V4(Ipv4Addr::new(203, 0, 113, host)),
        1 => IpAddr::V4(Ipv4Addr::new(198, 51, 100, host)),
        _ => IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(host))),
    }
}

fn same_prefix(one: IpAddr, other: IpAddr) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => one.octets().get(..3) == other.octets().get(..3),
        (IpAddr::V6(one), IpAddr::V6(other)) => one.octets().get(..7) == other.octets().get(..7),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}
