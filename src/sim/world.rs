//! What happens when, from the first client to the last restart.

use super::actors;
use super::archive::{Shelf, Weather};
use super::bots;
use super::census::Fault;
use super::client::Client;
use super::desk::{Desk, Disaster, Happening, Parcel, START};
use super::gate::Config;
use super::keeper::Disk;
use super::ledger::Ledger;
use super::model::Heard;
use super::planted::PlantedBug;
use super::platter::{Cut, Platter};
use super::reading::HeardReply;
use super::script::Script;
use super::server::{Life, Server};
use super::{Law, Report};
use crate::auth::throttle::{Limits, Rules};
use crate::policy::admission::Ceilings;
use crate::store::memory::Fault as StoreFault;
use crate::store::{Operation, Store, StoreError};
use crate::types::{AccountId, Moment, Prefix};
use std::collections::BTreeSet;

/// Clients come, and things go wrong, within this time.
const BUSY_MS: u64 = 120_000;
/// By then every client has stopped.
const CLIENTS_STOP: Moment = Moment(START.0 + 2 * 3_600_000);
/// So long after that every session has ended: the longest silence, the longest wait for an answer, and the
/// time a peer has to take its last reply.
const GRACE_MS: u64 = 700_000;
/// So far back a truth may lie when its answer is heard: the longest login, and the slowest network.
const TRUTH_MS: u64 = 60_000;
/// The wall clock is off by so many seconds at the most: ten days.
const SKEW_SECONDS: u64 = 10 * 86_400;
/// Happenings after which a world is stuck. Far more than any has.
const HAPPENINGS_MAX: u64 = 200_000;

/// See the module.
struct World {
    desk: Desk,
    disk: Disk,
    server: Option<Server>,
    epoch: u32,
    clients: Vec<Client>,
    scripts: Vec<(Moment, Script)>,
    ledger: Ledger,
    first_refusal: Option<Vec<u8>>,
    first_delay: Option<Vec<u8>>,
    happenings: u64,
}

/// See [`super::run`] and [`super::run_and_die`].
pub(super) fn run(seed: u64, planted: Option<PlantedBug>, dies_at: Option<(u64, Cut)>) -> (Report, u64) {
    let mut world = World::new(seed, planted);
    if let Some((write, cut)) = dies_at {
        world.disk.store.die_at(write, cut);
    }
    world.goes_on_until(CLIENTS_STOP);
    world.clients_stop();
    world.goes_on_until(CLIENTS_STOP.plus_ms(GRACE_MS));
    world.sessions_have_ended();
    world.fresh_mail_is_delivered();
    world.ends();
    let writes = world.disk.store.writes();
    (world.desk.into_report(), writes)
}

/// What the administrator wrote: by chance as it is by default, or so narrow that it is felt.
fn config(desk: &mut Desk) -> Config {
    let limits = match desk.below(3) {
        0 => Limits::default(),
        1 => Limits { host: 6, net: 15, wide: 20, login: 30 },
        _ => Limits { host: 3, net: 6, wide: 8, login: 10 },
    };
    let ceilings = match desk.below(3) {
        0 => Ceilings { per_host: 50, per_net: 100, total: 500 },
        1 => Ceilings { per_host: 6, per_net: 12, total: 16 },
        _ => Ceilings { per_host: 4, per_net: 6, total: 8 },
    };
    let deny = vec![Prefix::host(bots::DENIED)];
    let held_max = desk.pick(&[1, 4, 100]).unwrap_or(4);
    let shelf = Shelf::any(desk);
    Config { rules: Rules { limits, deny, ..Rules::default() }, ceilings, held_max, shelf }
}

impl World {
    fn new(seed: u64, planted: Option<PlantedBug>) -> Self {
        let mut desk = Desk::new(seed, planted);
        let mut disk = Disk {
            store: Platter::new(desk.chance.octets()),
            config: config(&mut desk),
            is_full: false,
            is_behind: false,
            weather: Weather::default(),
            next_commit: None,
        };
        let changes = desk.town.changes(&disk.store.server_key());
        if let Err(error) = disk.store.commit(&[Operation::Change(changes)]) {
            desk.break_law(Law::FreshDelivery, format!("the directory could not be stored: {error}"));
        }
        let mut world = Self {
            desk,
            disk,
            server: None,
            epoch: 0,
            clients: Vec::new(),
            scripts: Vec::new(),
            ledger: Ledger::default(),
            first_refusal: None,
            first_delay: None,
            happenings: 0,
        };
        world.start_server();
        world.plan_clients();
        world.plan_disasters();
        world
    }

    fn plan_clients(&mut self) {
        let many = self.desk.between(8, 30);
        for number in 0..many {
            let at = self.busy_moment();
            let script = actors::any(&mut self.desk, number);
            self.scripts.push((at, script));
        }
        for _ in 0..self.desk.below(7) {
            let Some(gang) = self.desk.pick(&bots::GANGS) else { break };
            let mut at = self.busy_moment();
            let pause = self.desk.pick(&[0, 50, 2_000]).unwrap_or(0);
            for script in gang(&mut self.desk) {
                self.scripts.push((at, script));
                at = at.plus_ms(pause);
            }
        }
        self.scripts.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    }

    fn busy_moment(&mut self) -> Moment {
        START.plus_ms(self.desk.below_u64(BUSY_MS))
    }

    fn plan_disasters(&mut self) {
        let desk = &mut self.desk;
        let in_write = |desk: &mut Desk| {
            let cuts = [Cut::Before, Cut::BeforeSync, Cut::BeforeSync, Cut::BeforeAnswer];
            let cut = desk.pick(&cuts).unwrap_or(Cut::Before);
            Disaster::KillInWrite(desk.between(1, 6), cut)
        };
        let skew = i64::try_from(desk.below_u64(2 * SKEW_SECONDS)).unwrap_or(0)
            - i64::try_from(SKEW_SECONDS).unwrap_or(0);
        let sorts = [
            Disaster::Kill,
            Disaster::PowerCut,
            Disaster::PowerCut,
            in_write(desk),
            in_write(desk),
            in_write(desk),
            Disaster::Stop,
            Disaster::ClockJumps(skew),
            Disaster::ClockJumps(skew / 300),
            Disaster::GroupRefused,
            Disaster::GroupKeptAndFails,
            Disaster::WorkerDies,
            Disaster::WorkerHangs,
            Disaster::DiskFills(true),
            Disaster::StoreFallsBehind(true),
            Disaster::DirectoryGoes(true),
        ];
        for _ in 0..desk.below(10) {
            let Some(sort) = desk.pick(&sorts) else { return };
            let at = START.plus_ms(desk.below_u64(BUSY_MS));
            desk.at(at, Happening::Disaster(sort));
        }
        for _ in 0..desk.below(5) {
            let at = START.plus_ms(desk.below_u64(BUSY_MS));
            desk.at(at, Happening::Disaster(Disaster::Order));
        }
        for _ in 0..10 {
            let at = START.plus_ms(desk.below_u64(BUSY_MS));
            desk.at(at, Happening::Disaster(Disaster::StaleAnswer));
        }
        for _ in 0..desk.below(3) {
            let sorts =
                [Disaster::JournalFails(true), Disaster::JournalFails(true), Disaster::JournalWriterDies];
            let Some(sort) = desk.pick(&sorts) else { return };
            let at = START.plus_ms(desk.below_u64(BUSY_MS));
            desk.at(at, Happening::Disaster(sort));
        }
    }

    // ---- time ----

    /// Jumps from one happening or deadline to the next.
    fn goes_on_until(&mut self, end: Moment) {
        while !self.desk.is_broken() {
            let deadline = self.server.as_ref().and_then(|server| server.next_deadline(&self.desk));
            let comes = self.scripts.last().map(|(at, _)| *at);
            let Some(next) = [deadline, comes, self.desk.next_at()].into_iter().flatten().min() else {
                return;
            };
            if next > end {
                return;
            }
            self.happenings += 1;
            if self.happenings > HAPPENINGS_MAX {
                self.desk.break_law(Law::EverySessionEnds, "the world does not come to rest".into());
                return;
            }
            self.desk.jump(next);
            if comes == Some(next) {
                self.client_comes(true);
            } else if self.desk.next_at() == Some(next)
                && let Some(happening) = self.desk.take_next()
            {
                self.happens(happening);
            }
            self.turn();
        }
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Wake(number) => self.with_client(number, |client, desk| {
                client.wake(desk);
                client.read(desk)
            }),
            Happening::ToClient(number, parcel) => {
                self.with_client(number, |client, desk| client.receive(parcel, desk));
            }
            Happening::ToServer(number, parcel) => {
                if let Some(server) = &mut self.server {
                    server.arrived(number, parcel, &self.disk, &mut self.desk);
                }
            }
            Happening::Restart => self.start_server(),
            Happening::Disaster(disaster) => self.disaster(disaster),
            Happening::LateAnswer(epoch, number, ticket, answer) => {
                self.with_server(epoch, |server, disk, desk| {
                    server.answer(number, ticket, answer, disk, desk);
                    Life::Goes
                });
            }
            Happening::GroupDone(epoch) => self.with_server(epoch, Server::group_done),
            Happening::StoreStuck(epoch) => {
                self.with_server(epoch, |server, disk, desk| server.store_failed(disk, desk));
            }
            Happening::HashDone(epoch, id) => self.with_server(epoch, |server, disk, desk| {
                server.hash_done(id, disk, desk);
                Life::Goes
            }),
            Happening::JournalDone(epoch) => self.with_server(epoch, |server, disk, desk| {
                server.journal_written(disk, desk);
                Life::Goes
            }),
            Happening::WorkerBack(epoch) => self.with_server(epoch, |server, _, desk| {
                server.worker_back(desk);
                Life::Goes
            }),
        }
    }

    /// Lets the server do something, if it is still the same.
    fn with_server(&mut self, epoch: u32, deed: impl FnOnce(&mut Server, &mut Disk, &mut Desk) -> Life) {
        let Some(server) = self.server.as_mut().filter(|server| server.epoch() == epoch) else { return };
        match deed(server, &mut self.disk, &mut self.desk) {
            Life::Goes => {}
            Life::Ends => self.server_dies("ends itself", false),
            Life::Dies => {
                self.desk.fault(Fault::KilledInWrite);
                let power_cut = !self.desk.one_in(4);
                self.server_dies("dies in a write", power_cut);
            }
        }
    }

    fn turn(&mut self) {
        self.with_server(self.epoch, Server::turn);
        if self.server.as_ref().is_some_and(Server::has_left) {
            self.server_dies("has left", false);
        }
    }

    // ---- the server ----

    fn start_server(&mut self) {
        if self.server.is_none() {
            self.epoch += 1;
            self.server = Server::start(self.epoch, &self.disk, &mut self.desk);
            self.desk.tell("the server is up");
        }
    }

    fn server_dies(&mut self, how: &str, power_cut: bool) {
        let Some(server) = self.server.take() else { return };
        self.desk.tell(&format!("the server {how}"));
        server.killed(&mut self.disk, power_cut, &mut self.desk);
        self.disk.next_commit = None;
        self.ledger.audit(&self.disk, false, &mut self.desk);
        self.disk.judge_leftovers(&mut self.desk);
        let ms = self.desk.between(100, 5_000);
        self.desk.later(ms, Happening::Restart);
    }

    fn disaster(&mut self, disaster: Disaster) {
        self.desk.tell(&format!("disaster: {disaster:?}"));
        let back = self.desk.between(500, 30_000);
        let (desk, disk) = (&mut self.desk, &mut self.disk);
        match disaster {
            Disaster::Kill => {
                desk.fault(Fault::Killed);
                self.server_dies("is killed", false);
            }
            Disaster::PowerCut => self.server_dies("loses its power", true),
            Disaster::KillInWrite(writes, cut) => {
                let at = disk.store.writes() + writes;
                disk.store.die_at(at, cut);
            }
            Disaster::ClockJumps(seconds) => {
                desk.fault(Fault::ClockJumped);
                desk.skew_clock(seconds);
            }
            Disaster::Order => {
                if let Some(server) = &mut self.server {
                    server.order(desk);
                }
            }
            Disaster::Stop => {
                if let Some(server) = &mut self.server {
                    server.stop(desk);
                }
            }
            Disaster::DiskFills(full) => {
                if full {
                    desk.fault(Fault::DiskFilled);
                    desk.later(back, Happening::Disaster(Disaster::DiskFills(false)));
                }
                // The loop learns of it a little later than the disk does.
                disk.store.set_full(full);
                disk.weather.is_full = full;
                disk.is_full = (full && desk.one_in(2)) || (disk.is_full && desk.has(PlantedBug::StaysFull));
            }
            Disaster::StoreFallsBehind(behind) => {
                if behind {
                    desk.fault(Fault::StoreBehind);
                    desk.later(back, Happening::Disaster(Disaster::StoreFallsBehind(false)));
                }
                disk.is_behind = behind;
            }
            Disaster::DirectoryGoes(gone) => {
                if gone {
                    desk.fault(Fault::DirectoryGone);
                    desk.later(back, Happening::Disaster(Disaster::DirectoryGoes(false)));
                }
                if let Some(server) = &mut self.server {
                    server.directory_goes(disk, gone, desk);
                }
            }
            Disaster::GroupRefused => {
                disk.next_commit = Some(StoreFault::Refuse(StoreError::Poisoned("a write failed".into())));
            }
            Disaster::GroupKeptAndFails => {
                disk.next_commit =
                    Some(StoreFault::KeepAndFail(StoreError::Poisoned("a sync failed".into())));
            }
            Disaster::WorkerDies => {
                desk.fault(Fault::WorkerDied);
                if let Some(server) = &mut self.server {
                    server.worker_dies(desk);
                }
            }
            Disaster::WorkerHangs => {
                if let Some(server) = &mut self.server {
                    server.worker_hangs();
                }
            }
            Disaster::JournalFails(fails) => {
                if fails {
                    desk.later(back, Happening::Disaster(Disaster::JournalFails(false)));
                }
                disk.weather.fails = fails;
            }
            Disaster::JournalWriterDies => {
                if let Some(server) = &mut self.server {
                    server.archive.writer_dies(desk);
                }
            }
            Disaster::StaleAnswer => {
                if let Some(server) = &mut self.server {
                    server.stale_answer(desk);
                }
            }
        }
    }

    // ---- the clients ----

    fn client_comes(&mut self, troubled: bool) {
        let Some((_, script)) = self.scripts.pop() else { return };
        let number = self.clients.len();
        let client = Client::new(number, script, troubled, &mut self.desk);
        let address = client.from.unwrap_or_else(|| actors::address_of(number));
        let listener = client.listener.name();
        self.desk.tell(&format!("{} C{number} connects to {listener} from {address}", client.name));
        match self.server.as_mut().filter(|server| !server.is_stopping()) {
            Some(server) => server.accept(number, client.listener, address, &self.disk, &mut self.desk),
            // Nobody listens.
            None => self.desk.later(1, Happening::ToClient(number, Parcel::Rst)),
        }
        self.clients.push(client);
        self.desk.later(0, Happening::Wake(number));
    }

    /// Lets a client do something, hears what it heard, and lets it go on.
    fn with_client(&mut self, number: usize, deed: impl FnOnce(&mut Client, &mut Desk) -> Vec<Heard>) {
        let Some(client) = self.clients.get_mut(number) else { return };
        let heard = deed(client, &mut self.desk);
        client.go_on(&mut self.desk);
        let more = client.read(&mut self.desk);
        client.go_on(&mut self.desk);
        if client.is_gone() {
            self.settle(number);
        }
        heard.into_iter().chain(more).for_each(|one| self.hear(one));
        if let (Some(server), Some(client)) = (&mut self.server, self.clients.get(number)) {
            server.was_read(number, client.read_octets());
        }
    }

    /// A client is over: what was not answered may have been kept, or not.
    fn settle(&mut self, number: usize) {
        let Some(client) = self.clients.get_mut(number) else { return };
        for (recipients, body) in client.unsettled() {
            let accounts = self.accounts_of(&recipients);
            self.ledger.unanswered(body, accounts);
        }
    }

    fn accounts_of(&self, recipients: &[String]) -> BTreeSet<AccountId> {
        recipients.iter().flat_map(|address| self.desk.town.reached_by(address)).collect()
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Recipient { address, reply } => {
                let leads_somewhere = !self.desk.town.reached_by(&address).is_empty();
                let right = match reply.code {
                    250 => leads_somewhere,
                    550 => !leads_somewhere,
                    _ => true,
                };
                self.desk.check(Law::NoRelay, right, || format!("{} for {address}", reply.code));
            }
            Heard::Sender { address, login: (login, password), reply } => {
                let account = self.desk.town.truth(&login, &password, START, self.desk.now.moment).account;
                let own = address.is_empty()
                    || account.is_some_and(|account| self.desk.town.may_send_as(account, &address));
                self.desk.check(Law::Order, own || reply.code != 250, || {
                    format!("{account:?} sends as {address}")
                });
            }
            Heard::Login { login, password, is_scram, reply } => {
                self.hear_login(&login, &password, is_scram, &reply);
            }
            Heard::Message { recipients, body, reply, id } => {
                let accounts = self.accounts_of(&recipients);
                self.ledger.answered(body, accounts, reply.code, &id, &mut self.desk);
            }
            Heard::StartTls { injected } => {
                self.desk.census.law(Law::CleanStartTls);
                if injected > 0 {
                    self.desk.fault(Fault::PlaintextInjected);
                }
            }
        }
    }

    fn hear_login(&mut self, login: &[u8], password: &[u8], is_scram: bool, reply: &HeardReply) {
        let now = self.desk.now.moment;
        let from = Moment(now.0.saturating_sub(TRUTH_MS).max(START.0));
        let told = self.desk.town.truth(login, password, from, now);
        // A right password has no SCRAM keys before its first login without SCRAM.
        let right = match reply.code {
            454 | 503 => true,
            235 => told.main || told.app,
            525 => told.stopped,
            535 => told.wrong || is_scram,
            501 => told.wrong,
            _ => false,
        };
        self.desk.check(Law::RightPassword, right, || {
            format!("{} for {}, which is {told:?}", reply.code, String::from_utf8_lossy(login))
        });
        if reply.code == 454 {
            let first = self.first_delay.get_or_insert_with(|| reply.raw.clone());
            let same = *first == reply.raw;
            self.desk.check(Law::EqualRefusals, same, || String::from_utf8_lossy(&reply.raw).into_owned());
        }
        if reply.code == 535 {
            let first = self.first_refusal.get_or_insert_with(|| reply.raw.clone());
            let same = *first == reply.raw;
            self.desk.check(Law::EqualRefusals, same, || String::from_utf8_lossy(&reply.raw).into_owned());
        }
    }

    // ---- the end ----

    fn clients_stop(&mut self) {
        self.desk.tell("the clients stop");
        self.clients.iter_mut().for_each(Client::give_up);
    }

    fn sessions_have_ended(&mut self) {
        let sessions = self.server.as_ref().map_or(0, Server::sessions);
        self.desk.check(Law::EverySessionEnds, sessions == 0, || format!("{sessions} sessions never ended"));
        if let Some(server) = &self.server {
            server.archive.judge_rest(&mut self.desk);
        }
        for number in 0..self.clients.len() {
            self.settle(number);
        }
    }

    /// After all of it, one stranger and one owner bring mail.
    fn fresh_mail_is_delivered(&mut self) {
        if self.desk.is_broken() {
            return;
        }
        self.disk.next_commit = None;
        self.disk.store.dies_no_more();
        self.desk.calm = true;
        let before = self.ledger.kept();
        for number in [1_000, 1_001] {
            let script = match number {
                1_000 => actors::fresh_stranger(number),
                _ => actors::fresh_owner(&mut self.desk, number),
            };
            self.scripts.push((self.desk.now.moment, script));
            self.client_comes(false);
        }
        self.goes_on_until(self.desk.now.moment.plus_ms(GRACE_MS));
        let fresh = self.ledger.kept() - before;
        self.desk.check(Law::FreshDelivery, fresh == 2, || format!("{fresh} of 2 fresh messages were taken"));
    }

    /// The last restart, and the last look into the store.
    fn ends(&mut self) {
        if self.desk.is_broken() {
            return;
        }
        for number in 0..self.clients.len() {
            self.settle(number);
        }
        if let Some(server) = self.server.take() {
            server.killed(&mut self.disk, true, &mut self.desk);
        }
        self.ledger.audit(&self.disk, true, &mut self.desk);
        self.disk.judge_leftovers(&mut self.desk);
    }
}
