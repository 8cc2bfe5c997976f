//! The report of logins: what is counted of any days of any logins, held against a count that forgets nothing.

use super::{Verdict, login, promise};
use crate::auth::report::names::kept;
use crate::auth::report::summary::Summary;
use crate::auth::report::{Attempt, Day, DayNumber, Ledger};
use crate::auth::sasl::Mechanism;
use crate::auth::verdict::{LoginVerdict, ProvenBy, Refusal, ThrottleRule, Unavailability};
use crate::directory::Directory;
use crate::directory::credential::CredentialId;
use crate::limits::{
    DAY_SECONDS, REPORT_LOGINS_PER_DAY, REPORT_NAME_OCTETS_MAX, REPORT_SAVE_MS, REPORT_SOURCES_PER_DAY,
    REPORT_SUCCESSES_PER_DAY, REPORT_WORDS_PER_DAY,
};
use crate::store::keys;
use crate::types::{AccountId, Moment, Now, SessionId, UnixTime};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Every verdict; an octet picks one.
pub(super) const VERDICTS: [LoginVerdict; 24] = [
    LoginVerdict::Accepted(AccountId(1), ProvenBy::MainPassword),
    LoginVerdict::Accepted(AccountId(1), ProvenBy::AppPassword(CredentialId(1))),
    LoginVerdict::Disabled(AccountId(2)),
    LoginVerdict::Refused(Refusal::WrongPassword),
    LoginVerdict::Refused(Refusal::WrongPasswordOfDisabledAccount),
    LoginVerdict::Refused(Refusal::NoPassword),
    LoginVerdict::Refused(Refusal::MainPasswordForbidden),
    LoginVerdict::Refused(Refusal::Alias),
    LoginVerdict::Refused(Refusal::CatchAll),
    LoginVerdict::Refused(Refusal::NoSuchAddress),
    LoginVerdict::Refused(Refusal::NoSuchDomain),
    LoginVerdict::Refused(Refusal::Malformed),
    LoginVerdict::Refused(Refusal::OtherIdentity),
    LoginVerdict::Refused(Refusal::NoScramKeys),
    LoginVerdict::Refused(Refusal::ChannelBinding),
    LoginVerdict::Refused(Refusal::Nonce),
    LoginVerdict::Unavailable(Unavailability::Directory),
    LoginVerdict::Unavailable(Unavailability::QueueFull),
    LoginVerdict::Unavailable(Unavailability::Worker),
    LoginVerdict::Unavailable(Unavailability::Throttled(ThrottleRule::DenyList)),
    LoginVerdict::Unavailable(Unavailability::Throttled(ThrottleRule::Host)),
    LoginVerdict::Unavailable(Unavailability::Throttled(ThrottleRule::Net)),
    LoginVerdict::Unavailable(Unavailability::Throttled(ThrottleRule::Wide)),
    LoginVerdict::Unavailable(Unavailability::Throttled(ThrottleRule::Login)),
];
/// Days kept in this world.
const DAYS: u32 = 3;

/// The ledger and what is known of it without one.
struct World {
    directory: Directory,
    ledger: Ledger,
    now: Now,
    sessions: u64,
    /// Attempts of each day, for as long as the clock went forward.
    attempts: BTreeMap<DayNumber, u64>,
    clock_went_back: bool,
    last_save: Option<Moment>,
}

/// Lines: three octets (what, from where, how much later) and a login name.
pub(super) fn report(data: &[u8]) -> Verdict {
    let now = Now { moment: Moment(1_000), unix: UnixTime(20_000 * DAY_SECONDS) };
    let mut world = World {
        directory: login::directory()?,
        ledger: Ledger::load([], DAYS, now),
        now,
        sessions: 0,
        attempts: BTreeMap::new(),
        clock_went_back: false,
        last_save: None,
    };
    for line in data.split(|octet| *octet == b'\n') {
        if let [what, from, later, name @ ..] = line {
            world.happens(*what, *from, *later, name)?;
        }
    }
    world.judged()
}

impl World {
    fn happens(&mut self, what: u8, from: u8, later: u8, name: &[u8]) -> Verdict {
        self.time_passes(later);
        let source = source(from);
        let day = self.attempts.entry(DayNumber::of(self.now.unix)).or_default();
        *day = day.saturating_add(1);
        if what == u8::MAX {
            self.ledger.turned_away(self.now, source, ThrottleRule::Host.name());
        } else {
            let name = String::from_utf8_lossy(name);
            let kept = kept(Some(&self.directory), &name);
            promise(kept.text.len() <= REPORT_NAME_OCTETS_MAX, "a name is longer than a name may be")?;
            is_a_stand_in(&self.directory, &name, &kept.text)?;
            self.sessions = self.sessions.saturating_add(u64::from(later & 1));
            let pick = usize::from(what).checked_rem(VERDICTS.len()).unwrap_or_default();
            let verdict = VERDICTS.get(pick).copied().unwrap_or(LoginVerdict::Refused(Refusal::Malformed));
            let mechanism = Mechanism::ALL.get(usize::from(from & 3)).map_or("PLAIN", |known| known.name());
            let session = SessionId(self.sessions);
            self.ledger.login(self.now, Attempt { source, session, mechanism, name: kept, verdict });
        }
        self.saved()
    }

    /// Seconds or, for the upper half, hours; the highest sets the wall clock back.
    fn time_passes(&mut self, later: u8) {
        let seconds = match later {
            0..=0x7f => u64::from(later),
            _ => u64::from(later & 0x7f).saturating_mul(3_600),
        };
        self.now.moment = self.now.moment.plus_ms(seconds.saturating_mul(1_000));
        self.now.unix = UnixTime(self.now.unix.0.saturating_add(seconds));
        if later == u8::MAX {
            self.now.unix = UnixTime(self.now.unix.0.saturating_sub(10 * DAY_SECONDS));
            self.clock_went_back = true;
        }
    }

    /// What is written is read as the same, and is not written more often than its limit says.
    fn saved(&mut self) -> Verdict {
        let Some(save) = self.ledger.save(self.now.moment) else { return Ok(()) };
        let moment = self.now.moment;
        let soon = self.last_save.is_some_and(|last| moment < last.plus_ms(REPORT_SAVE_MS));
        promise(!soon, "days are written more often than they may be")?;
        self.last_save = Some(moment);
        promise(!save.put.is_empty() || !save.remove.is_empty(), "nothing is written")?;
        for day in &save.put {
            let written = keys::encode_report(day).map_err(|error| error.to_string())?;
            let key = keys::report_key(day.day);
            let read = keys::decode_report(&key, &written).map_err(|error| error.to_string())?;
            // Which session came last is of this process alone.
            let again = keys::encode_report(&read).map_err(|error| error.to_string())?;
            promise(again == written, "a day is read as another")?;
        }
        Ok(())
    }

    fn judged(&mut self) -> Verdict {
        let days: Vec<Day> = self.ledger.days().cloned().collect();
        if !self.clock_went_back {
            let kept = u32::try_from(days.len()).unwrap_or(u32::MAX);
            promise(kept <= DAYS, "more days are kept than may be")?;
        }
        for day in &days {
            let rows = [
                (day.sources.len(), REPORT_SOURCES_PER_DAY),
                (day.logins.len(), REPORT_LOGINS_PER_DAY),
                (day.successes.len(), REPORT_SUCCESSES_PER_DAY),
                (day.mechanisms.len(), REPORT_WORDS_PER_DAY),
                (day.reasons.len(), REPORT_WORDS_PER_DAY),
            ];
            promise(rows.iter().all(|(rows, max)| rows <= max), "a day has more rows than it may")?;
            let sources: u64 = day.sources.iter().map(|(_, counts)| counts.tally.attempts()).sum();
            let reasons: u64 = day.reasons.values().sum();
            let total = day.total.attempts();
            promise(sources <= total && reasons == total, "the parts of a day are more than the day")?;
            if !self.clock_went_back {
                promise(self.attempts.get(&day.day) == Some(&total), "an attempt was not counted")?;
            }
        }
        let from = days.first().map_or(DayNumber(0), |day| day.day);
        let whole = Summary::of(&days, from);
        let total: u64 = days.iter().map(|day| day.total.attempts()).sum();
        promise(whole.total.attempts() == total, "a report sums up what did not happen")?;
        let later = Summary::of(&days, DayNumber(from.0.saturating_add(1)));
        promise(later.total.attempts() <= total, "a part of the days has more than all days")?;
        self.starts_again(days)
    }

    /// The next process finds the same days, and hands nothing over that it has not counted.
    fn starts_again(&mut self, days: Vec<Day>) -> Verdict {
        let last = self.ledger.save_now();
        promise(
            last.is_none_or(|save| !save.put.is_empty() || !save.remove.is_empty()),
            "nothing is written",
        )?;
        promise(self.ledger.next_deadline().is_none(), "what was written is to be written again")?;
        let again = Ledger::load(days.clone(), DAYS, self.now);
        let kept: Vec<&Day> = again.days().collect();
        promise(kept.iter().all(|day| days.contains(day)), "a day changes when it is loaded")?;
        promise(self.clock_went_back || kept.len() == days.len(), "a day is gone when it is loaded")?;
        promise(again.day_from(DayNumber(0)) == kept.first().copied(), "the first day is another")
    }
}

fn source(from: u8) -> IpAddr {
    match from {
        0..=0xbf => IpAddr::V4(Ipv4Addr::new(192, 0, from >> 4, from)),
        _ => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, u16::from(from), 0, 0, 0, 0, 1)),
    }
}

/// What names nobody here is kept as its shape, so that a password typed there is not.
fn is_a_stand_in(directory: &Directory, name: &str, kept: &str) -> Verdict {
    promise(!kept.contains(char::is_control), "a name has a control character")?;
    let is_address_here = name.parse().is_ok_and(|address| directory.target(&address).is_some());
    let secret = name.chars().any(|c| c.is_ascii_digit() && c != '0');
    // Digits are never kept; in a name of ours they may stand.
    let shown = kept.chars().any(|c| c.is_ascii_digit() && c != '0');
    promise(is_address_here || !secret || !shown, "a name that is nobody's is kept as it was sent")
}
