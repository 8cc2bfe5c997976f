//! What sources, logins and the clock do to the throttle, made from octets; every answer is compared with that
//! of [`Naive`].

use crate::naive::{Expected, Naive};
use arbitrary::{Arbitrary, Unstructured};
use gatepost::auth::throttle::{
    ConnectVerdict, Explanation, Limits, LoginGate, LoginOutcome, MailOffence, Mode, Pace, Reservation, Rule,
    Rules, Subject, Throttle, Try,
};
use gatepost::contract::Listener;
use gatepost::types::{AccountId, Moment, Now, Prefix, SessionId, UnixTime};
use std::net::IpAddr;

/// Neighbours of every degree, and strangers. The third is the first in IPv6 clothes.
const SOURCES: [&str; 12] = [
    "192.0.2.1",
    "192.0.2.2",
    "::ffff:192.0.2.1",
    "198.51.100.7",
    "203.0.113.9",
    "2001:db8:0:1::1",
    "2001:db8:0:1::2",
    "2001:db8:0:2::1",
    "2001:db8:0:100::1",
    "2001:db8:1::1",
    "10.0.0.1",
    "10.0.0.2",
];
const LOGINS: [&str; 4] = ["info@example.org", "me@example.org", "no\u{7}body", ""];

/// A story.
#[derive(Debug)]
pub struct Story {
    dry_run: bool,
    lists: Lists,
    limits: Ceilings,
    steps: Vec<Step>,
}

/// Steps of one story; the model looks at all of them for each answer.
const STEPS_MAX: usize = 250;

/// As many steps as the octets give: the derived way stops after every second step.
impl<'a> Arbitrary<'a> for Story {
    fn arbitrary(octets: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let (lists, limits) = (octets.arbitrary()?, octets.arbitrary()?);
        let dry_run = octets.ratio(1, 8)?;
        let mut steps = Vec::new();
        while !octets.is_empty() && steps.len() < STEPS_MAX {
            steps.push(octets.arbitrary()?);
        }
        Ok(Self { dry_run, lists, limits, steps })
    }
}

#[derive(Debug, Arbitrary)]
enum Lists {
    None,
    /// Ranges of both lists within each other, and the same range in both.
    Nested,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Ceilings {
    Default,
    Low,
    One,
    /// Only the limit of a /48 is ever reached.
    Wide,
    /// Only the limit of a login is ever reached.
    Login,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
struct Who(u8);

impl Who {
    fn address(self) -> Result<IpAddr, String> {
        let text = SOURCES.get(usize::from(self.0) % SOURCES.len()).ok_or("no source")?;
        text.parse().map_err(|_| format!("{text} is no address"))
    }
}

#[derive(Debug, Clone, Copy, Arbitrary)]
struct Login(u8);

impl Login {
    fn name(self) -> &'static str {
        LOGINS.get(usize::from(self.0) % LOGINS.len()).copied().unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum End {
    Accepted,
    Disabled,
    Refused,
    Unavailable,
    GaveUp,
}

impl End {
    fn outcome(self) -> LoginOutcome {
        match self {
            Self::Accepted => LoginOutcome::Accepted(AccountId(1)),
            Self::Disabled => LoginOutcome::Disabled,
            Self::Refused => LoginOutcome::Refused,
            Self::Unavailable => LoginOutcome::Unavailable,
            Self::GaveUp => LoginOutcome::GaveUp,
        }
    }
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Sin {
    UnknownRecipient,
    Vrfy,
    AuthOnSmtp,
    EarlyTalk,
    OtherProtocol,
    Garbage,
    RelayAttempt,
}

impl Sin {
    fn offence(self) -> MailOffence {
        match self {
            Self::UnknownRecipient => MailOffence::UnknownRecipient,
            Self::Vrfy => MailOffence::Vrfy,
            Self::AuthOnSmtp => MailOffence::AuthOnSmtp,
            Self::EarlyTalk => MailOffence::EarlyTalk,
            Self::OtherProtocol => MailOffence::OtherProtocol,
            Self::Garbage => MailOffence::Garbage,
            Self::RelayAttempt => MailOffence::RelayAttempt,
        }
    }
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Door {
    Smtp,
    Submission,
    Submissions,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Step {
    Connect(Who, Door),
    /// A login that stays open.
    Begin(Who, Login, Option<u8>),
    /// One of those that are open is decided.
    Decide(u8, End),
    /// Its reservation is lost for ever.
    Lose(u8),
    /// Logins one after the other, each decided at once, with the same password or one after the other.
    Guess {
        who: Who,
        login: Login,
        times: u8,
        password: u8,
        same: bool,
        end: End,
    },
    /// Two programs take turns, each with a password that stays, and each time with the same end.
    Alternate {
        who: Who,
        login: Login,
        times: u8,
        passwords: (u8, u8),
        ends: (End, End),
    },
    /// An application password.
    Proven(Who, Login),
    Offend(Who, Sin, u8),
    Deliver(Who, u8),
    Milliseconds(u16),
    Seconds(u16),
    Hours(u8),
    Days(u8),
    /// The wall clock is set, the other runs on.
    ClockSet(i16),
    Forgive(Who),
    ForgiveLogin(Login),
    ForgetLogin(Login),
    /// The process is replaced; so many seconds pass, the wall clock may be set meanwhile.
    Restart(u16, i16),
    Explain(Who),
    ExplainLogin(Login),
}

/// What a story came to, so that a test sees whether it got anywhere.
#[derive(Debug, Default)]
pub struct Tally {
    /// Logins that passed.
    pub passed: u32,
    /// Logins that were turned away, by each rule in the order of [`Rule`].
    pub turned_away: [u32; 5],
    /// Connections that were refused.
    pub refused: u32,
    /// Restarts that kept something.
    pub restarts: u32,
}

/// The throttle and its model, side by side.
struct Pair {
    rules: Rules,
    real: Throttle,
    naive: Naive,
    now: Now,
    open: Vec<(Reservation, u64)>,
    restarts: u8,
    tally: Tally,
}

impl Story {
    /// Plays it.
    ///
    /// # Errors
    /// Where the throttle and its model differ.
    pub fn play(&self) -> Result<Tally, String> {
        let mut pair = Pair::new(self.rules()?);
        for (number, step) in self.steps.iter().enumerate() {
            pair.step(*step).map_err(|why| format!("step {number}, {step:?}: {why}\n{self:?}"))?;
        }
        Ok(pair.tally)
    }

    fn rules(&self) -> Result<Rules, String> {
        let list = |texts: &[&str]| -> Result<Vec<Prefix>, String> {
            texts.iter().map(|text| text.parse().map_err(|_| format!("{text} is no range"))).collect()
        };
        let (allow, deny) = match self.lists {
            Lists::None => (Vec::new(), Vec::new()),
            Lists::Nested => (
                list(&["198.51.100.0/24", "203.0.113.9", "2001:db8:1::/48"])?,
                list(&["198.51.100.7", "203.0.113.9", "2001:db8:1:2::/64", "10.0.0.2"])?,
            ),
        };
        let limits = match self.limits {
            Ceilings::Default => Limits::default(),
            Ceilings::Low => Limits { host: 4, net: 6, wide: 9, login: 11 },
            Ceilings::Wide => Limits { host: 50, net: 50, wide: 5, login: 500 },
            Ceilings::Login => Limits { host: 50, net: 50, wide: 50, login: 5 },
            Ceilings::One => Limits { host: 1, net: 1, wide: 1, login: 1 },
        };
        let mode = if self.dry_run { Mode::DryRun } else { Mode::Enforce };
        Ok(Rules { mode, allow, deny, limits })
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, real: &T, naive: &T) -> Result<(), String> {
    if real == naive { Ok(()) } else { Err(format!("{what}: {real:?}, and by the rules {naive:?}")) }
}

impl Pair {
    fn new(rules: Rules) -> Self {
        Self {
            real: Throttle::new(rules.clone(), [7; 32]),
            naive: Naive::new(rules.clone()),
            rules,
            now: Now { moment: Moment(500_000), unix: UnixTime(1_700_000_000) },
            open: Vec::new(),
            restarts: 0,
            tally: Tally::default(),
        }
    }

    fn pass(&mut self, ms: u64) {
        let before = self.now.moment.0;
        self.now.moment = self.now.moment.plus_ms(ms);
        // The wall clock shows whole seconds.
        self.now.unix.0 += self.now.moment.0 / 1_000 - before / 1_000;
    }

    fn step(&mut self, step: Step) -> Result<(), String> {
        let now = self.now;
        match step {
            Step::Connect(who, door) => self.connect(who.address()?, door)?,
            Step::Begin(who, login, password) => {
                let password = password.map(|password| vec![password % 8]);
                self.begin(who.address()?, login, password.as_deref())?;
            }
            Step::Decide(which, end) => {
                if let Some(at) = usize::from(which).checked_rem(self.open.len()) {
                    self.decide(at, end);
                }
            }
            Step::Lose(which) => {
                if let Some(at) = usize::from(which).checked_rem(self.open.len()) {
                    // The model keeps it open for ever.
                    drop(self.open.swap_remove(at));
                }
            }
            Step::Guess { who, login, times, password, same, end } => {
                for time in 0..=times % 32 {
                    let password = if same { password % 8 } else { password.wrapping_add(time) };
                    if self.begin(who.address()?, login, Some(&[password]))? {
                        self.decide(self.open.len() - 1, end);
                    }
                }
            }
            Step::Alternate { who, login, times, passwords, ends } => {
                for _ in 0..=times % 8 {
                    for (password, end) in [(passwords.0, ends.0), (passwords.1, ends.1)] {
                        if self.begin(who.address()?, login, Some(&[password % 8]))? {
                            self.decide(self.open.len() - 1, end);
                        }
                    }
                }
            }
            Step::Proven(who, login) => {
                self.real.login_proven(now, who.address()?, login.name().as_bytes());
                self.naive.proven(now, who.address()?, login.name().as_bytes());
            }
            Step::Offend(who, sin, times) => {
                for _ in 0..=times % 32 {
                    self.real.mail_offence(now, who.address()?, sin.offence());
                    self.naive.mail_offence(now, who.address()?, sin.offence());
                }
            }
            Step::Deliver(who, recipients) => {
                self.real.mail_accepted(now, who.address()?, u64::from(recipients));
                self.naive.mail_accepted(now, who.address()?, u64::from(recipients));
            }
            Step::Milliseconds(count) => self.pass(u64::from(count)),
            Step::Seconds(count) => self.pass(u64::from(count) * 1_000),
            Step::Hours(count) => self.pass(u64::from(count) * 3_600_000),
            Step::Days(count) => self.pass(u64::from(count) * 86_400_000),
            Step::ClockSet(by) => self.now.unix.0 = self.now.unix.0.saturating_add_signed(i64::from(by) * 60),
            Step::Forgive(who) => {
                self.real.forgive(who.address()?);
                self.naive.forgive(now, who.address()?);
            }
            Step::ForgiveLogin(login) => {
                self.real.forgive_login(login.name().as_bytes());
                self.naive.forgive_login(now, login.name().as_bytes());
            }
            Step::ForgetLogin(login) => {
                self.real.forget_login(login.name().as_bytes());
                self.naive.forget_login(now, login.name().as_bytes());
            }
            Step::Restart(seconds, set) => self.restart(u64::from(seconds), i64::from(set))?,
            Step::Explain(who) => self.explain(who.address()?)?,
            Step::ExplainLogin(login) => self.explain_login(login.name())?,
        }
        Ok(())
    }

    fn connect(&mut self, source: IpAddr, door: Door) -> Result<(), String> {
        let listener = match door {
            Door::Smtp => Listener::Smtp,
            Door::Submission => Listener::Submission,
            Door::Submissions => Listener::Submissions,
        };
        let naive = self.naive.at_connect(self.now, source, listener);
        let real = self.real.at_connect(self.now, source, listener);
        let told = match real {
            ConnectVerdict::Admit(pace, because) => (pace, because),
            ConnectVerdict::Denied(because) | ConnectVerdict::Refused(because) => {
                (Pace::NEUTRAL, Some(because))
            }
        };
        same("connection", &told, &naive)?;
        let is_refused = match real {
            ConnectVerdict::Admit(..) => false,
            ConnectVerdict::Denied(_) | ConnectVerdict::Refused(_) => true,
        };
        self.tally.refused += u32::from(is_refused);
        same("refused", &is_refused, &(naive.1.is_some() && self.rules.mode == Mode::Enforce))?;
        same("pace", &self.real.pace(self.now, source), &self.naive.pace(self.now, source))
    }

    /// Whether it passed and is open.
    fn begin(&mut self, source: IpAddr, login: Login, password: Option<&[u8]>) -> Result<bool, String> {
        let name = login.name().as_bytes();
        let naive = self.naive.at_login(self.now, source, name, password);
        let wanted = Try { session: SessionId(1), source, login: name, password };
        match (self.real.at_login(self.now, wanted), naive) {
            (LoginGate::Pass { reservation: None, would_refuse: None, .. }, None) => Ok(false),
            (
                LoginGate::Pass { class, delay_ms, reservation: Some(reservation), would_refuse },
                Some((expected, Some(number))),
            ) => {
                self.tally.passed += 1;
                self.open.push((reservation, number));
                let told = Expected { refused: would_refuse, class, delay_ms, known: expected.known };
                same("login", &told, &expected).map(|()| true)
            }
            (LoginGate::TooMany(because), Some((expected, None))) => {
                let at = match because.rule {
                    Rule::DenyList(_) => 0,
                    Rule::Host(_) => 1,
                    Rule::Net(_) => 2,
                    Rule::Wide(_) => 3,
                    Rule::Login => 4,
                };
                self.tally.turned_away[at] += 1;
                same("login", &Some(because), &expected.refused).map(|()| false)
            }
            (real, naive) => Err(format!("login: {real:?}, and by the rules {naive:?}")),
        }
    }

    fn decide(&mut self, at: usize, end: End) {
        let (reservation, number) = self.open.swap_remove(at);
        self.real.login_decided(self.now, reservation, end.outcome());
        self.naive.decided(self.now, number, end.outcome());
    }

    fn restart(&mut self, seconds: u64, set: i64) -> Result<(), String> {
        let kept = self.naive.keep(self.now);
        let text = serde_json::to_string(&self.real.snapshot(self.now)).map_err(|error| error.to_string())?;
        let snapshot = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        self.restarts = self.restarts.wrapping_add(1);
        self.tally.restarts += u32::from(text.contains("units"));
        let unix = UnixTime((self.now.unix.0 + seconds).saturating_add_signed(set * 60));
        // Its monotonic clock has an origin of its own.
        self.now = Now { moment: Moment(seconds), unix };
        self.real = Throttle::new(self.rules.clone(), [self.restarts; 32]);
        for (login, net, last) in kept.places() {
            self.real.load_place(login, *net, *last);
        }
        same("restored", &self.real.restore(self.now, &snapshot), &true)?;
        self.naive = Naive::restart(self.rules.clone(), self.now, &kept);
        self.open.clear();
        Ok(())
    }

    fn explain(&self, source: IpAddr) -> Result<(), String> {
        let Explanation { standings, evidence, mail_score, mail_pace, .. } =
            self.real.explain(self.now, &Subject::Source(source));
        same("score", &mail_score, &self.naive.mail_score(self.now, source))?;
        same("pace", &mail_pace, &self.naive.pace(self.now, source))?;
        for (rule, held) in self.naive.held(self.now, source) {
            match standings.iter().find(|standing| standing.rule == rule) {
                Some(standing) => {
                    same("level", &standing.level, &held.level)?;
                    same("refusal", &standing.refuses, &held.refuses)?;
                }
                None => same("what is held", &(0, None), &(held.settled, held.refuses))?,
            }
        }
        let real: Vec<_> = evidence.iter().map(|failure| (failure.at, failure.source)).collect();
        same("evidence", &real, &self.naive.evidence(Prefix::host(source)))
    }

    fn explain_login(&self, login: &str) -> Result<(), String> {
        let Explanation { standings, evidence, places, .. } =
            self.real.explain(self.now, &Subject::Login(login.as_bytes().to_vec()));
        let held = self.naive.held_login(self.now, login.as_bytes());
        match standings.first() {
            Some(standing) => {
                same("level", &standing.level, &held.level)?;
                same("refusal", &standing.refuses, &held.refuses)?;
            }
            None => same("what is held", &(0, None), &(held.settled, held.refuses))?,
        }
        let real: Vec<_> = evidence.iter().map(|failure| (failure.at, failure.source)).collect();
        same("evidence", &real, &self.naive.evidence_of_login(login.as_bytes()))?;
        let real: Vec<_> = places.iter().map(|place| (place.net, place.last)).collect();
        same("places", &real, &self.naive.places_of(login.as_bytes()))
    }
}
