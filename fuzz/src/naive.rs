//! A throttle that is written to be obvious: it keeps everything that ever happened and works every answer out
//! from the beginning, by the rules as the documentation states them. No tables, no hashes, nothing evicted.

#[path = "restart.rs"]
mod restart;

use gatepost::auth::throttle::{Because, LoginOutcome, MailOffence, Mode, Pace, QueueClass, Rule, Rules};
use gatepost::contract::Listener;
use gatepost::limits::{
    CHANCES_PER_LOGIN_MAX, EVIDENCE_PER_HOST_MAX, EVIDENCE_PER_LOGIN_MAX, GUESSES_PER_PLACE_MAX,
    HOME_SECONDS, LEVEL_PER_LIMIT_MAX, LOGIN_DELAY_MS_MAX, MAIL_ACCEPTED_POINTS, MAIL_BANNER_MS,
    MAIL_CONNECTIONS, MAIL_REPLY_MS_MAX, MAIL_REPLY_MS_PER_POINT, MAIL_SCORE_PER_HOUR, MAIL_SLOW_POINTS,
    REFUSAL_TICK_MS, REPEATS_KNOWN,
};
use gatepost::types::{Moment, Now, Prefix, UnixTime};
use std::net::IpAddr;

/// A guess as levels count it: one drains within an hour where the limit is one an hour.
const GUESS: u64 = 3_600_000;
/// The same wrong password again: a hundredth of a guess.
const REPEAT: u64 = GUESS / 100;

/// Whatever a level is kept for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    /// A host, a network or a /48.
    Range(Prefix),
    Login(Vec<u8>),
    /// A login at a place where it succeeded before.
    Place(Vec<u8>, Prefix),
    /// The chances of a login over its limit.
    Chances(Vec<u8>),
    /// A host in the mail book.
    Mail(Prefix),
}

/// What happened.
#[derive(Debug, Clone)]
enum Event {
    /// So much is added to these.
    Add(Vec<Key>, u64),
    /// So much is taken away.
    PayBack(Key, u64),
    /// Nothing is held against these any more.
    Forgive(Vec<Key>),
    /// A level that was kept over a restart, and since when it refuses.
    Restored(Key, u64, Option<Moment>),
    /// A login with this password passed at this host.
    Tried(Prefix, Word),
    /// This password of this host is no wrong one, as far as we know.
    Unlearned(Prefix, Word),
    /// A login failed, for the eyes of an administrator.
    Failed(Prefix, Vec<u8>),
    Succeeded(Vec<u8>, Prefix),
    /// The places of this login are forgotten.
    Forgotten(Vec<u8>),
}

/// A login and a password.
type Word = (Vec<u8>, Vec<u8>);

/// A login that passed and is not decided.
#[derive(Debug, Clone)]
struct Open {
    number: u64,
    source: IpAddr,
    login: Vec<u8>,
    password: Option<Vec<u8>>,
    charge: u64,
    /// What is charged.
    keys: Vec<Key>,
}

/// How a level stands.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    settled: u64,
    /// What is reserved for logins that are not decided.
    reserved: u64,
    refusing: Option<Moment>,
}

impl Standing {
    fn weight(self) -> u64 {
        self.settled + self.reserved
    }

    fn fits(self, charge: u64, limit: u32) -> bool {
        self.refusing.is_none() && self.weight() + charge <= u64::from(limit) * GUESS
    }
}

/// What the model says of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Why it is turned away, if it is.
    pub refused: Option<Because>,
    /// Its part of the queue.
    pub class: QueueClass,
    /// How much later its refusal leaves.
    pub delay_ms: u64,
    /// Whether it is a login at a place where it succeeded before.
    pub known: bool,
}

/// What the model says of a host, a network, a /48 or a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Failures that count, rounded up.
    pub level: u64,
    /// What of that is decided, in parts of a guess.
    pub settled: u64,
    /// Why it refuses, if it does.
    pub refuses: Option<Because>,
}

/// The model.
#[derive(Debug)]
pub struct Naive {
    rules: Rules,
    log: Vec<(Now, Event)>,
    open: Vec<Open>,
    next: u64,
}

impl Naive {
    /// Nothing has happened.
    pub fn new(rules: Rules) -> Self {
        Self { rules, log: Vec::new(), open: Vec::new(), next: 0 }
    }

    fn note(&mut self, now: Now, event: Event) {
        self.log.push((now, event));
    }

    // ---- Levels ----

    fn limit(&self, key: &Key) -> u32 {
        let limits = self.rules.limits;
        match key {
            Key::Range(range) => match (range.first(), range.length()) {
                (IpAddr::V4(_), 32) | (IpAddr::V6(_), 64) => limits.host,
                (IpAddr::V6(_), 48) => limits.wide,
                (IpAddr::V4(_) | IpAddr::V6(_), _) => limits.net,
            },
            Key::Login(_) => limits.login,
            Key::Place(..) => GUESSES_PER_PLACE_MAX,
            Key::Chances(_) => CHANCES_PER_LOGIN_MAX,
            Key::Mail(_) => MAIL_SCORE_PER_HOUR,
        }
    }

    /// From the beginning: what is added, less what drains, never below nothing nor above twice the limit. It
    /// refuses from the moment when no guess fits any more until half of the limit is left.
    fn standing(&self, now: Now, key: &Key) -> Standing {
        let limit = u64::from(self.limit(key));
        let full = limit * GUESS;
        let (mut settled, mut refusing, mut at) = (0_u64, None, Moment(0));
        let drain = |settled: &mut u64, refusing: &mut Option<Moment>, at: &mut Moment, to: Moment| {
            *settled = settled.saturating_sub(limit.saturating_mul(to.since_ms(*at)));
            if *settled <= full / 2 {
                *refusing = None;
            }
            *at = to;
        };
        for (when, event) in &self.log {
            drain(&mut settled, &mut refusing, &mut at, when.moment);
            match event {
                Event::Add(keys, amount) if keys.contains(key) => {
                    settled = (settled + amount).min(full * LEVEL_PER_LIMIT_MAX);
                    if settled + GUESS > full && refusing.is_none() {
                        refusing = Some(at);
                    }
                }
                Event::PayBack(whose, amount) if whose == key => settled = settled.saturating_sub(*amount),
                Event::Forgive(keys) if keys.contains(key) => (settled, refusing) = (0, None),
                Event::Restored(whose, amount, since) if whose == key => {
                    (settled, refusing) = (*amount, *since)
                }
                _ => {}
            }
        }
        drain(&mut settled, &mut refusing, &mut at, now.moment);
        let reserved = self.open.iter().filter(|open| open.keys.contains(key)).map(|open| open.charge).sum();
        Standing { settled, reserved, refusing }
    }

    fn because(&self, now: Now, rule: Rule, key: &Key) -> Because {
        let (standing, limit) = (self.standing(now, key), self.limit(key));
        let full = u64::from(limit) * GUESS;
        let wait_ms = (standing.settled.saturating_sub(full / 2)).div_ceil(u64::from(limit));
        let (since, until) = match standing.refusing {
            Some(since) => (
                UnixTime(now.unix.0.saturating_sub(now.moment.since_ms(since) / 1_000)),
                UnixTime(now.unix.0.saturating_add(wait_ms.div_ceil(1_000))),
            ),
            None => (now.unix, now.unix),
        };
        Because { rule, level: standing.weight().div_ceil(GUESS), limit, since, until: Some(until) }
    }

    fn rule(range: Prefix) -> Rule {
        match (range.first(), range.length()) {
            (IpAddr::V4(_), 32) | (IpAddr::V6(_), 64) => Rule::Host(range),
            (IpAddr::V6(_), 48) => Rule::Wide(range),
            (IpAddr::V4(_) | IpAddr::V6(_), _) => Rule::Net(range),
        }
    }

    /// Host, network, and the /48 of an IPv6 address.
    fn ranges(source: IpAddr) -> Vec<Prefix> {
        let mut ranges = vec![Prefix::host(source), Prefix::net(source)];
        ranges.extend(Prefix::wide(source));
        ranges
    }

    // ---- Places ----

    /// Whether this login succeeded in this network before.
    fn knows(&self, login: &[u8], net: Prefix) -> bool {
        let mut known = false;
        for (_, event) in &self.log {
            match event {
                Event::Succeeded(who, place) if who == login && *place == net => known = true,
                Event::Forgotten(who) if who == login => known = false,
                _ => {}
            }
        }
        known
    }

    /// When the last login of anybody succeeded in this network.
    fn last_success(&self, net: Prefix) -> Option<UnixTime> {
        let here = |(when, event): &(Now, Event)| match event {
            Event::Succeeded(_, place) if *place == net => Some(when.unix),
            _ => None,
        };
        self.log.iter().filter_map(here).max()
    }

    fn is_home(&self, now: Now, net: Prefix) -> bool {
        self.last_success(net).is_some_and(|last| now.unix.0.saturating_sub(last.0) < HOME_SECONDS)
    }

    fn places(&self) -> Vec<(Vec<u8>, Prefix, UnixTime)> {
        let mut places: Vec<(Vec<u8>, Prefix, UnixTime)> = Vec::new();
        for (when, event) in &self.log {
            match event {
                Event::Succeeded(who, net) => match places.iter_mut().find(|p| p.0 == *who && p.1 == *net) {
                    Some(place) => place.2 = place.2.max(when.unix),
                    None => places.push((who.clone(), *net, when.unix)),
                },
                Event::Forgotten(who) => places.retain(|place| place.0 != *who),
                _ => {}
            }
        }
        places
    }

    /// The networks where a login succeeded, in order.
    pub fn places_of(&self, login: &[u8]) -> Vec<(Prefix, UnixTime)> {
        let mut of: Vec<_> = self
            .places()
            .into_iter()
            .filter(|place| place.0 == login)
            .map(|place| (place.1, place.2))
            .collect();
        of.sort();
        of
    }

    // ---- Connections and logins ----

    /// What the lists say: the longest entry decides, of two equal ones the deny-list.
    fn listed(&self, source: IpAddr) -> Option<(bool, Prefix)> {
        let allow = self.rules.allow.iter().map(|entry| (entry.length(), false, *entry));
        let deny = self.rules.deny.iter().map(|entry| (entry.length(), true, *entry));
        let entries = allow.chain(deny).filter(|(_, _, entry)| entry.contains(source));
        entries.max_by_key(|(length, denies, _)| (*length, *denies)).map(|(_, denies, entry)| (denies, entry))
    }

    fn denied(now: Now, entry: Prefix) -> Because {
        Because { rule: Rule::DenyList(entry), level: 0, limit: 0, since: now.unix, until: None }
    }

    fn enforces(&self) -> bool {
        self.rules.mode == Mode::Enforce
    }

    /// The pace of a connection that is admitted, and why it is refused if it is (or would be).
    pub fn at_connect(&self, now: Now, source: IpAddr, listener: Listener) -> (Pace, Option<Because>) {
        match self.listed(source) {
            Some((false, _)) => return (Pace::NEUTRAL, None),
            Some((true, entry)) => return (Pace::NEUTRAL, Some(Self::denied(now, entry))),
            None => {}
        }
        let host = Prefix::host(source);
        let key = Key::Range(host);
        let refuses = self.standing(now, &key).refusing.is_some() && !self.is_home(now, Prefix::net(source));
        match listener {
            Listener::Smtp => (self.pace(now, source), None),
            Listener::Submission | Listener::Submissions => {
                (Pace::NEUTRAL, refuses.then(|| self.because(now, Rule::Host(host), &key)))
            }
        }
    }

    /// What becomes of a login; `None` for a source that is exempt. One that passes is open from now on, under
    /// the number that comes with it.
    pub fn at_login(
        &mut self,
        now: Now,
        source: IpAddr,
        login: &[u8],
        password: Option<&[u8]>,
    ) -> Option<(Expected, Option<u64>)> {
        let denied = match self.listed(source) {
            Some((false, _)) => return None,
            Some((true, entry)) => Some(Self::denied(now, entry)),
            None => None,
        };
        let (host, net) = (Prefix::host(source), Prefix::net(source));
        let word = password.map(|password| (login.to_vec(), password.to_vec()));
        let repeats = word.as_ref().is_some_and(|word| self.wrong_passwords(host).contains(word));
        let charge = if repeats { REPEAT } else { GUESS };
        let known = self.knows(login, net);
        let place = Key::Place(login.to_vec(), net);
        let (mut keys, mut refused, mut chance) = (Vec::new(), None, false);
        if known {
            let key = Key::Range(host);
            let over = !self.standing(now, &key).fits(charge, self.limit(&key))
                && !self.standing(now, &place).fits(charge, GUESSES_PER_PLACE_MAX);
            refused = over.then(|| self.because(now, Rule::Host(host), &key));
            keys.push(place.clone());
        } else {
            for range in Self::ranges(source) {
                let key = Key::Range(range);
                if refused.is_none() && !self.standing(now, &key).fits(charge, self.limit(&key)) {
                    refused = Some(self.because(now, Self::rule(range), &key));
                }
            }
            let key = Key::Login(login.to_vec());
            if refused.is_none() && !self.standing(now, &key).fits(charge, self.limit(&key)) {
                chance = self.standing(now, &Key::Range(net)).weight() == 0
                    && self.standing(now, &Key::Chances(login.to_vec())).settled + charge
                        <= u64::from(CHANCES_PER_LOGIN_MAX) * GUESS;
                refused = (!chance).then(|| self.because(now, Rule::Login, &key));
            }
        }
        let expected = Expected {
            refused: denied.or(refused),
            class: self.class(now, net),
            delay_ms: if self.enforces() { self.delay_ms(now, source, &place, known) } else { 0 },
            known,
        };
        if expected.refused.is_some() && self.enforces() {
            return Some((expected, None));
        }
        if chance {
            self.note(now, Event::Add(vec![Key::Chances(login.to_vec())], charge));
        }
        if let Some(word) = word {
            self.note(now, Event::Tried(host, word));
        }
        keys.extend(Self::ranges(source).into_iter().map(Key::Range));
        keys.push(Key::Login(login.to_vec()));
        let number = self.next;
        self.next += 1;
        let (login, password) = (login.to_vec(), password.map(<[u8]>::to_vec));
        self.open.push(Open { number, source, login, password, charge, keys });
        Some((expected, Some(number)))
    }

    fn class(&self, now: Now, net: Prefix) -> QueueClass {
        if self.is_home(now, net) {
            QueueClass::KnownPlace
        } else if self.standing(now, &Key::Range(net)).weight() == 0 {
            QueueClass::Clean
        } else {
            QueueClass::Others
        }
    }

    fn delay_ms(&self, now: Now, source: IpAddr, place: &Key, known: bool) -> u64 {
        let whole = |key: &Key| self.standing(now, key).weight() / GUESS;
        let failures = if known {
            whole(place)
        } else {
            whole(&Key::Range(Prefix::host(source))).max(whole(&Key::Range(Prefix::net(source))) / 4)
        };
        (failures * failures * REFUSAL_TICK_MS).min(LOGIN_DELAY_MS_MAX)
    }

    /// The last wrong passwords of a host, each once: what passed and was not right since.
    fn wrong_passwords(&self, host: Prefix) -> Vec<Word> {
        let mut words: Vec<Word> = Vec::new();
        for (_, event) in &self.log {
            match event {
                Event::Tried(at, word) if *at == host && !words.contains(word) => {
                    words.push(word.clone());
                    if words.len() > REPEATS_KNOWN {
                        words.remove(0);
                    }
                }
                Event::Unlearned(at, word) if *at == host => words.retain(|known| known != word),
                Event::Forgive(keys) if keys.contains(&Key::Range(host)) => words.clear(),
                _ => {}
            }
        }
        words
    }

    /// A login that passed was decided.
    pub fn decided(&mut self, now: Now, number: u64, outcome: LoginOutcome) {
        let Some(at) = self.open.iter().position(|open| open.number == number) else { return };
        let Open { source, login, password, charge, keys, .. } = self.open.remove(at);
        let host = Prefix::host(source);
        match outcome {
            LoginOutcome::Refused | LoginOutcome::GaveUp => {
                self.note(now, Event::Add(keys, charge));
                self.note(now, Event::Failed(host, login));
            }
            LoginOutcome::Accepted(_) | LoginOutcome::Disabled | LoginOutcome::Unavailable => {
                if let Some(password) = password {
                    self.note(now, Event::Unlearned(host, (login.clone(), password)));
                }
                match outcome {
                    LoginOutcome::Accepted(_) => self.proven(now, source, &login),
                    LoginOutcome::Disabled
                    | LoginOutcome::Unavailable
                    | LoginOutcome::Refused
                    | LoginOutcome::GaveUp => {}
                }
            }
        }
    }

    /// A login succeeded.
    pub fn proven(&mut self, now: Now, source: IpAddr, login: &[u8]) {
        self.note(now, Event::Succeeded(login.to_vec(), Prefix::net(source)));
    }

    // ---- The mail book ----

    /// An offence on port 25.
    pub fn mail_offence(&mut self, now: Now, source: IpAddr, offence: MailOffence) {
        let key = Key::Mail(Prefix::host(source));
        self.note(now, Event::Add(vec![key], offence.points() * GUESS));
    }

    /// A message for so many recipients was taken.
    pub fn mail_accepted(&mut self, now: Now, source: IpAddr, recipients: u64) {
        let key = Key::Mail(Prefix::host(source));
        self.note(now, Event::PayBack(key, recipients * MAIL_ACCEPTED_POINTS * GUESS));
    }

    /// Points of a source.
    pub fn mail_score(&self, now: Now, source: IpAddr) -> u64 {
        self.standing(now, &Key::Mail(Prefix::host(source))).settled / GUESS
    }

    /// How port 25 serves a source.
    pub fn pace(&self, now: Now, source: IpAddr) -> Pace {
        let score = self.mail_score(now, source);
        let exempt = matches!(self.listed(source), Some((false, _)));
        if !self.enforces() || exempt || score < MAIL_SLOW_POINTS {
            return Pace::NEUTRAL;
        }
        let delay = ((score - MAIL_SLOW_POINTS) * MAIL_REPLY_MS_PER_POINT).min(MAIL_REPLY_MS_MAX);
        let ceilings = MAIL_CONNECTIONS.iter().filter(|(from, _)| *from <= score).map(|(_, most)| *most);
        Pace {
            banner_ms: MAIL_BANNER_MS,
            reply_ms: delay.div_ceil(REFUSAL_TICK_MS) * REFUSAL_TICK_MS,
            connections_max: ceilings.min(),
        }
    }

    // ---- Forgiving, telling, restarting ----

    /// Nothing is held against a source.
    pub fn forgive(&mut self, now: Now, source: IpAddr) {
        let net = Prefix::net(source);
        let mut keys: Vec<Key> = Self::ranges(source).into_iter().map(Key::Range).collect();
        keys.push(Key::Mail(Prefix::host(source)));
        keys.extend(self.all_places(|_, place| place == net));
        self.note(now, Event::Forgive(keys));
    }

    /// Nothing is held against a login.
    pub fn forgive_login(&mut self, now: Now, login: &[u8]) {
        let mut keys = vec![Key::Login(login.to_vec()), Key::Chances(login.to_vec())];
        keys.extend(self.all_places(|of, _| of == login));
        self.note(now, Event::Forgive(keys));
    }

    /// Every place there ever was: what is held there outlives that it is forgotten.
    fn all_places(&self, wanted: impl Fn(&[u8], Prefix) -> bool) -> Vec<Key> {
        let place = |(_, event): &(Now, Event)| match event {
            Event::Succeeded(login, net) if wanted(login, *net) => Some(Key::Place(login.clone(), *net)),
            _ => None,
        };
        self.log.iter().filter_map(place).collect()
    }

    /// A login is somebody else's now, or nobody's.
    pub fn forget_login(&mut self, now: Now, login: &[u8]) {
        self.forgive_login(now, login);
        self.note(now, Event::Forgotten(login.to_vec()));
    }

    /// What is held against each range a source lies in, the narrowest first.
    pub fn held(&self, now: Now, source: IpAddr) -> Vec<(Rule, Held)> {
        let held = |range| {
            let (rule, key) = (Self::rule(range), Key::Range(range));
            (rule, self.held_for(now, rule, &key))
        };
        Self::ranges(source).into_iter().map(held).collect()
    }

    /// What is held against a login.
    pub fn held_login(&self, now: Now, login: &[u8]) -> Held {
        self.held_for(now, Rule::Login, &Key::Login(login.to_vec()))
    }

    fn held_for(&self, now: Now, rule: Rule, key: &Key) -> Held {
        let standing = self.standing(now, key);
        let refuses = standing.refusing.map(|_| self.because(now, rule, key));
        Held { level: standing.weight().div_ceil(GUESS), settled: standing.settled, refuses }
    }

    /// When the last failures of a host were, the oldest first, and from which host.
    pub fn evidence(&self, host: Prefix) -> Vec<(UnixTime, Prefix)> {
        self.failures(&Key::Range(host), |at, _| at == host, EVIDENCE_PER_HOST_MAX)
    }

    /// The same for a login.
    pub fn evidence_of_login(&self, login: &[u8]) -> Vec<(UnixTime, Prefix)> {
        self.failures(&Key::Login(login.to_vec()), |_, who| who == login, EVIDENCE_PER_LOGIN_MAX)
    }

    fn failures(
        &self,
        key: &Key,
        is_of: impl Fn(Prefix, &[u8]) -> bool,
        most: usize,
    ) -> Vec<(UnixTime, Prefix)> {
        let mut failures = Vec::new();
        for (when, event) in &self.log {
            match event {
                Event::Failed(at, login) if is_of(*at, login) => failures.push((when.unix, *at)),
                Event::Forgive(keys) if keys.contains(key) => failures.clear(),
                _ => {}
            }
        }
        failures.split_off(failures.len().saturating_sub(most))
    }
}
