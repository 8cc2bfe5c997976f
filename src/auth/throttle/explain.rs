//! What an administrator is told about an address or a login.

use super::Throttle;
use super::because::{Because, Rule};
use super::evidence::{Failure, shown};
use super::login_book::{Record, Spot};
use super::mail_book::Pace;
use super::rules::Listed;
use crate::types::{Now, Prefix, UnixTime};
use std::net::IpAddr;

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An address.
    Source(IpAddr),
    /// A login in canonical form, whether or not it exists.
    Login(Vec<u8>),
}

/// One rule and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Standing {
    /// Which.
    pub rule: Rule,
    /// Failures that count now, rounded up.
    pub level: u64,
    /// How many there may be in an hour.
    pub limit: u32,
    /// Present if it refuses.
    pub refuses: Option<Because>,
    /// Failures since the record began.
    pub failures: u32,
    /// Logins turned away unchecked since the record began.
    pub turned_away: u32,
    /// First failure of the record.
    pub first: UnixTime,
    /// Last failure of the record.
    pub last: UnixTime,
}

/// A network where a login succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KnownPlace {
    /// Which.
    pub net: Prefix,
    /// When last.
    pub last: UnixTime,
}

/// How a connection is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entrance {
    /// It is served at once.
    AtOnce,
    /// It waits and is then served: too many before it brought nothing.
    AfterAWait,
    /// It waits; a few at a time are let in then, and only an application password opens anything.
    AppPasswordsOnly,
    /// It waits and is closed: the deny-list.
    Closed,
}

/// All that both books know.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Explanation {
    /// What the lists say.
    pub listed: Listed,
    /// False in a dry run: nobody is refused.
    pub enforced: bool,
    /// How connections of an address are received on 587 and 465; `None` for a login.
    pub entrance: Option<Entrance>,
    /// The rules that hold failures against it, the narrowest first.
    pub standings: Vec<Standing>,
    /// Its last failures, the oldest first.
    pub evidence: Vec<Failure>,
    /// Where the login succeeded; for an address, its own network if any login did.
    pub places: Vec<KnownPlace>,
    /// Points in the mail book.
    pub mail_score: u64,
    /// What they come to on port 25.
    pub mail_pace: Pace,
}

impl Throttle {
    /// Which rule refuses whom, since when, until when, on what evidence.
    #[must_use]
    pub fn explain(&self, now: Now, subject: &Subject) -> Explanation {
        match subject {
            Subject::Source(source) => self.explain_source(now, *source),
            Subject::Login(login) => self.explain_login(now, login),
        }
    }

    fn explain_source(&self, now: Now, source: IpAddr) -> Explanation {
        let Spot { host, net, wide } = Spot::of(source);
        let (book, limits) = (&self.logins, self.logins.limits);
        let rows = [
            (Rule::Host(host), book.hosts.get(&host), limits.host),
            (Rule::Net(net), book.nets.get(&net), limits.net),
        ];
        let wide = wide.map(|prefix| (Rule::Wide(prefix), book.wides.get(&prefix), limits.wide));
        let rows = rows.into_iter().chain(wide);
        let place = book.places.last_success(net).map(|last| KnownPlace { net, last });
        Explanation {
            listed: self.rules.listed(source),
            enforced: self.enforces(),
            entrance: Some(self.entrance(now, source)),
            standings: rows.filter_map(|(rule, record, limit)| standing(now, rule, record?, limit)).collect(),
            evidence: book.evidence.of_host(host),
            places: place.into_iter().collect(),
            mail_score: self.mail.score(now.moment, host),
            mail_pace: self.pace(now, source),
        }
    }

    fn entrance(&self, now: Now, source: IpAddr) -> Entrance {
        let refused = || self.enforces() && self.logins.at_connect(now, Spot::of(source)).is_some();
        match self.rules.listed(source) {
            Listed::Denied(_) if self.enforces() => Entrance::Closed,
            Listed::No if refused() => Entrance::AppPasswordsOnly,
            Listed::No | Listed::Allowed(_) | Listed::Denied(_) if self.is_restless(now, source) => {
                Entrance::AfterAWait
            }
            Listed::No | Listed::Allowed(_) | Listed::Denied(_) => Entrance::AtOnce,
        }
    }

    fn explain_login(&self, now: Now, login: &[u8]) -> Explanation {
        let (book, key) = (&self.logins, self.logins.login(login));
        let record = book.logins.get(&key);
        Explanation {
            listed: Listed::No,
            enforced: self.enforces(),
            entrance: None,
            standings: record
                .and_then(|record| standing(now, Rule::Login, record, book.limits.login))
                .into_iter()
                .collect(),
            evidence: book.evidence.of_login(key, &shown(login)),
            places: book.places.of(key).map(|(net, last)| KnownPlace { net, last }).collect(),
            mail_score: 0,
            mail_pace: Pace::NEUTRAL,
        }
    }
}

/// How a record stands, if there is anything in it: one without failures was made for a login that succeeded,
/// and one with nothing but a login under way holds nothing against anybody yet.
fn standing(now: Now, rule: Rule, record: &Record, limit: u32) -> Option<Standing> {
    let level = record.level.drained(now.moment, limit);
    let refuses = level.refusing().map(|_| Because::new(now, rule, &level, limit));
    let Record { failures, turned_away, first, last, .. } = *record;
    (failures > 0 || level.settled() > 0).then(|| Standing {
        rule,
        level: level.points_told(),
        limit,
        refuses,
        failures,
        turned_away,
        first,
        last,
    })
}
