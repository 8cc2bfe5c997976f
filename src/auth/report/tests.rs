use super::day::{LoginCounts, SourceCounts, SuccessCounts, Tally, Visit};
use super::names::{self, KeptName};
use super::summary::{Summary, Unusual};
use super::*;
use crate::auth::verdict::{LoginVerdict, ProvenBy, Refusal};
use crate::directory::Directory;
use crate::directory::plan::{self, Request};
use crate::limits::{
    DAY_SECONDS, REPORT_DAY_OCTETS_MAX, REPORT_LOGINS_PER_DAY, REPORT_NAME_OCTETS_MAX, REPORT_SAVE_MS,
    REPORT_SOURCES_PER_DAY, REPORT_SUCCESSES_PER_DAY, REPORT_WORDS_PER_DAY,
};
use crate::types::{AccountId, Domain, Moment, Now, Prefix, SessionId, UnixTime};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const TODAY: u64 = 20_000;

fn at(day: u64, ms: u64) -> Now {
    Now { moment: Moment(ms), unix: UnixTime(day.saturating_mul(DAY_SECONDS)) }
}

fn attempt(source: IpAddr, session: u64, login: &str, accepted: bool) -> Attempt {
    let verdict = if accepted {
        LoginVerdict::Accepted(AccountId(1), ProvenBy::MainPassword)
    } else {
        LoginVerdict::Refused(Refusal::WrongPassword)
    };
    let name = KeptName { text: login.to_owned(), account: accepted.then_some(AccountId(1)) };
    Attempt { source, session: SessionId(session), mechanism: "PLAIN", name, verdict }
}

fn ledger() -> Ledger {
    Ledger::load([], 30, at(TODAY, 0))
}

fn host(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(number))
}

#[test]
fn a_million_sources_do_not_grow_the_ledger_hide_nobody_who_comes_often_and_are_counted_exactly() {
    let (mut ledger, loud, mut session) = (ledger(), host(0xc000_0201), 0);
    for number in 0..1_000_000_u32 {
        session += 1;
        ledger.login(at(TODAY, 0), attempt(host(number << 8), session, &format!("x{number}"), false));
        if number % 50 == 0 {
            session += 1;
            ledger.login(at(TODAY, 0), attempt(loud, session, "loud", false));
        }
    }
    let day = ledger.day_from(DayNumber(0)).unwrap();
    assert_eq!(day.total, Tally { refused: 1_020_000, ..Tally::default() });
    assert_eq!(day.reasons["wrong-password"], 1_020_000);
    assert_eq!(day.mechanisms["PLAIN"].refused, 1_020_000);
    assert!(day.sources.len() <= REPORT_SOURCES_PER_DAY && day.logins.len() <= REPORT_LOGINS_PER_DAY);
    assert!(serde_json::to_vec(day).unwrap().len() <= REPORT_DAY_OCTETS_MAX);
    let (_, found) = day.sources.iter().find(|(source, _)| source.contains(loud)).unwrap();
    let low = 20_000 - found.tally.refused;
    assert!(low <= day.sources.missed_at_most(), "{low} of {}", day.sources.missed_at_most());
    assert!(day.logins.iter().any(|(login, _)| login == "loud"));
}

#[test]
fn a_day_with_every_table_full_and_huge_counts_is_within_its_octets() {
    let tally = Tally { accepted: 1 << 40, refused: 1 << 40, unavailable: 1 << 40, turned_away: 1 << 40 };
    let time = UnixTime(1 << 36);
    let name = |number: usize| format!("{number:0>width$}", width = REPORT_NAME_OCTETS_MAX);
    let net = |number: usize| {
        Prefix::net(IpAddr::V6(Ipv6Addr::from_bits(u128::MAX - (u128::try_from(number).unwrap() << 72))))
    };
    let mut day = Day::new(DayNumber(u32::MAX));
    day.total = tally;
    for number in 0..REPORT_WORDS_PER_DAY {
        day.mechanisms.insert(format!("SCRAM-SHA-256-PLUS-{number}"), tally);
        day.reasons.insert(format!("wrong-password-disabled-account-{number}"), 1 << 40);
    }
    let source = SourceCounts { tally, first: time, last: time, sessions: 1 << 40, last_session: 1 };
    for number in 0..REPORT_SOURCES_PER_DAY {
        day.sources.come(net(number), REPORT_SOURCES_PER_DAY, || source).unwrap();
    }
    let login = LoginCounts { tally, account: Some(AccountId(u32::MAX)), last: time };
    for number in 0..REPORT_LOGINS_PER_DAY {
        day.logins.come(name(number), REPORT_LOGINS_PER_DAY, || login).unwrap();
    }
    let success = SuccessCounts { count: 1 << 40, first: time, last: time, failures_before: 1 << 40 };
    for number in 0..REPORT_SUCCESSES_PER_DAY {
        let visit = Visit { login: name(number), source: net(number) };
        day.successes.come(visit, REPORT_SUCCESSES_PER_DAY, || success).unwrap();
    }
    let octets = serde_json::to_vec(&day).unwrap().len();
    // The weights take what is left.
    let weights = 13 * (REPORT_SOURCES_PER_DAY + REPORT_LOGINS_PER_DAY + REPORT_SUCCESSES_PER_DAY);
    assert!(octets + weights <= REPORT_DAY_OCTETS_MAX, "{octets} and {weights}");
}

#[test]
fn what_is_written_is_read_again() {
    let mut ledger = ledger();
    ledger.login(at(TODAY, 0), attempt(host(1), 1, "ann@example.org", true));
    let save = ledger.save_now().unwrap();
    let text = serde_json::to_vec(&save.put[0]).unwrap();
    let mut again = Ledger::load([serde_json::from_slice::<Day>(&text).unwrap()], 30, at(TODAY, 0));
    again.login(at(TODAY, 0), attempt(host(1), 1, "ann@example.org", true));
    assert_eq!(again.days().next().unwrap().total.accepted, 2);
}

#[test]
fn changes_are_given_to_the_store_at_most_once_a_minute() {
    let mut ledger = ledger();
    assert_eq!(ledger.save(Moment(0)), None);
    ledger.login(at(TODAY, 0), attempt(host(1), 1, "x", false));
    assert_eq!(ledger.save(Moment(0)).unwrap().put.len(), 1);
    ledger.login(at(TODAY, 1), attempt(host(1), 2, "x", false));
    assert_eq!(ledger.save(Moment(REPORT_SAVE_MS - 1)), None);
    assert_eq!(ledger.next_deadline(), Some(Moment(REPORT_SAVE_MS)));
    assert!(ledger.save(Moment(REPORT_SAVE_MS)).is_some());
    assert_eq!(ledger.next_deadline(), None);
}

#[test]
fn days_that_are_too_old_go_from_memory_and_from_the_store() {
    let mut ledger = Ledger::load([], 2, at(TODAY, 0));
    for day in [TODAY, TODAY + 1, TODAY + 2] {
        ledger.login(at(day, 0), attempt(host(1), day, "x", false));
    }
    assert_eq!(ledger.days().count(), 2);
    assert_eq!(ledger.save_now().unwrap().remove, [DayNumber(20_000)]);
}

#[test]
fn a_name_that_names_nothing_is_kept_as_its_shape_and_well_known_words_stay() {
    let mut directory = Directory::default();
    for request in [
        Request::DomainAdd(Domain::parse("example.org").unwrap()),
        Request::AccountAdd("ann@example.org".parse().unwrap(), None),
    ] {
        plan::plan(&directory, &request).unwrap().changes.iter().for_each(|change| directory.apply(change));
    }
    for (login, kept) in [
        ("Ann@Example.org", "ann@example.org"),
        ("Admin@example.org", "admin@example.org"),
        ("secret7@example.org", "xxxxxx0@example.org"),
        ("info@other.example", "info@xxxxx.xxxxxxx"),
        ("Tr0ub4dor&3", "xx0xx0xxx?0"),
        ("root", "root"),
        ("a\u{1b}[2J", "x??0x"),
    ] {
        assert_eq!(names::kept(Some(&directory), login).text, kept, "{login:?}");
    }
    assert!(names::kept(Some(&directory), "Ann@example.org").account.is_some());
    assert!(names::kept(None, &"a".repeat(999)).text.len() <= REPORT_NAME_OCTETS_MAX);
}

fn summary(ledger: &Ledger) -> Summary {
    let days: Vec<Day> = ledger.days().cloned().collect();
    Summary::of(&days, DayNumber(20_000))
}

fn kinds(summary: &Summary) -> Vec<&'static str> {
    let kind = |unusual: &Unusual| match unusual {
        Unusual::NewPlace(..) => "place",
        Unusual::SuccessAfterFailures(..) => "after",
        Unusual::AccountUnderAttack(..) => "attack",
        Unusual::NewSource(..) => "source",
        Unusual::NewLogin(..) => "login",
    };
    summary.unusual.iter().map(kind).collect()
}

#[test]
fn what_was_not_there_before_is_on_top_with_successes_first() {
    let mut ledger = Ledger::load([], 30, at(TODAY - 3, 0));
    ledger.login(at(TODAY - 3, 0), attempt(host(1), 1, "ann@example.org", true));
    ledger.login(at(TODAY, 0), attempt(host(1), 2, "ann@example.org", true));
    assert_eq!(kinds(&summary(&ledger)), Vec::<&str>::new());
    ledger.login(at(TODAY, 0), attempt(host(0x0a00_0001), 3, "x", false));
    ledger.login(at(TODAY, 0), attempt(host(0x0a00_0001), 4, "ann@example.org", true));
    assert_eq!(kinds(&summary(&ledger)), ["place", "source", "login"]);
    assert_eq!(summary(&ledger).total, Tally { accepted: 2, refused: 1, ..Tally::default() });
}

#[test]
fn without_an_earlier_day_nothing_is_new_but_a_success_after_failures_is_told() {
    let mut ledger = ledger();
    for session in 1..=25 {
        let mut failed = attempt(host(1), session, "ann@example.org", false);
        failed.name.account = Some(AccountId(1));
        ledger.login(at(TODAY, 0), failed);
    }
    assert_eq!(kinds(&summary(&ledger)), ["attack"]);
    ledger.login(at(TODAY, 0), attempt(host(1), 26, "ann@example.org", true));
    assert_eq!(kinds(&summary(&ledger)), ["after", "attack"]);
}
