//! Who logged in, who tried, and what of it is new.

use super::access::{Access, Intent, unexpected};
use super::arguments::{Form, Since};
use super::failure::Failure;
use super::output::{json, printable, table, write_out};
use crate::auth::report::summary::{Missed, Summary, Unusual};
use crate::auth::report::{Day, DayNumber, day};
use crate::control::{Request, Response};
use crate::limits::REPORT_PERIOD_DAYS;
use crate::mail::date::rfc3339;
use crate::server::clock::Clock;
use crate::types::UnixTime;
use serde::Serialize;
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Counts {
    attempts: u64,
    accepted: u64,
    refused: u64,
    unavailable: u64,
    turned_away: u64,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct UnusualRow {
    kind: &'static str,
    login: Option<String>,
    source: Option<String>,
    /// Logins that succeeded.
    accepted: u64,
    /// Logins that did not; for a success from a place, those before it.
    failures: u64,
    last: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct SuccessRow {
    login: String,
    source: String,
    count: u64,
    failures_before: u64,
    first: String,
    last: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct SourceRow {
    source: String,
    #[serde(flatten)]
    counts: Counts,
    sessions: u64,
    first: String,
    last: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct LoginRow {
    login: String,
    is_account: bool,
    #[serde(flatten)]
    counts: Counts,
    last: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct MechanismRow {
    mechanism: String,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct ReasonRow {
    reason: String,
    count: u64,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct MissedRow {
    sources: u64,
    logins: u64,
    successes: u64,
}

/// The report as scripts see it; people see the same in tables.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Report {
    from: String,
    to: String,
    compared_days: usize,
    total: Counts,
    unusual: Vec<UnusualRow>,
    successes: Vec<SuccessRow>,
    sources: Vec<SourceRow>,
    logins: Vec<LoginRow>,
    mechanisms: Vec<MechanismRow>,
    reasons: Vec<ReasonRow>,
    missed_at_most: MissedRow,
}

/// Writes the report.
///
/// # Errors
/// When it cannot be read or written out.
pub fn report(dir: &Path, since: Option<Since>, form: Form) -> Result<(), Failure> {
    let today = DayNumber::of(Clock::start().now().unix);
    let from = match since.unwrap_or(Since::Days(REPORT_PERIOD_DAYS)) {
        Since::Days(days) => today.minus(days.saturating_sub(1)),
        Since::Date(day) => day,
    };
    let days = days(&mut Access::open(dir, Intent::Read)?)?;
    let report = of(&Summary::of(&days, from), from, today.max(from));
    match form {
        Form::Scripts => json(&[report]),
        Form::People => {
            let text = words(&report);
            write_out(|out| out.write_all(text.as_bytes()))
        }
    }
}

/// Every day there is, one answer each.
fn days(access: &mut Access) -> Result<Vec<Day>, Failure> {
    let (mut days, mut from) = (Vec::new(), DayNumber(0));
    loop {
        match access.ask(&Request::AuthReport(from))? {
            // A day before the one asked for would come for ever.
            Response::ReportDay(Some(day)) if day.day >= from => {
                let Some(next) = day.day.0.checked_add(1) else { return Ok(days) };
                from = DayNumber(next);
                days.push(*day);
            }
            Response::ReportDay(_) => return Ok(days),
            Response::Changed { .. }
            | Response::Directory(_)
            | Response::ScramSalts(..)
            | Response::Messages { .. }
            | Response::Message(_)
            | Response::Explained(_)
            | Response::Verified(_)
            | Response::NoThrottle
            | Response::Status(_)
            | Response::Refused(..) => return Err(unexpected()),
        }
    }
}

fn counts(tally: &day::Tally) -> Counts {
    let day::Tally { accepted, refused, unavailable, turned_away } = *tally;
    Counts { attempts: tally.attempts(), accepted, refused, unavailable, turned_away }
}

fn date(day: DayNumber) -> String {
    rfc3339(day.begins()).chars().take(10).collect()
}

fn of(summary: &Summary, from: DayNumber, to: DayNumber) -> Report {
    let Missed { sources, logins, successes } = summary.missed;
    Report {
        from: date(from),
        to: date(to),
        compared_days: summary.compared_days,
        total: counts(&summary.total),
        unusual: summary.unusual.iter().map(unusual).collect(),
        successes: summary
            .successes
            .iter()
            .map(|(visit, row)| SuccessRow {
                login: visit.login.clone(),
                source: visit.source.to_string(),
                count: row.count,
                failures_before: row.failures_before,
                first: rfc3339(row.first),
                last: rfc3339(row.last),
            })
            .collect(),
        sources: summary
            .sources
            .iter()
            .map(|(source, row)| SourceRow {
                source: source.to_string(),
                counts: counts(&row.tally),
                sessions: row.sessions,
                first: rfc3339(row.first),
                last: rfc3339(row.last),
            })
            .collect(),
        logins: summary
            .logins
            .iter()
            .map(|(login, row)| LoginRow {
                login: login.clone(),
                is_account: row.account.is_some(),
                counts: counts(&row.tally),
                last: rfc3339(row.last),
            })
            .collect(),
        mechanisms: summary
            .mechanisms
            .iter()
            .map(|(name, tally)| MechanismRow { mechanism: name.clone(), counts: counts(tally) })
            .collect(),
        reasons: summary
            .reasons
            .iter()
            .map(|(name, count)| ReasonRow { reason: name.clone(), count: *count })
            .collect(),
        missed_at_most: MissedRow { sources, logins, successes },
    }
}

fn unusual(row: &Unusual) -> UnusualRow {
    let visit = |kind, visit: &day::Visit, row: &day::SuccessCounts| UnusualRow {
        kind,
        login: Some(visit.login.clone()),
        source: Some(visit.source.to_string()),
        accepted: row.count,
        failures: row.failures_before,
        last: rfc3339(row.last),
    };
    let other = |kind, login, source, tally: &day::Tally, last: UnixTime| UnusualRow {
        kind,
        login,
        source,
        accepted: tally.accepted,
        failures: tally.failures(),
        last: rfc3339(last),
    };
    match row {
        Unusual::NewPlace(place, row) => visit("success-from-new-place", place, row),
        Unusual::SuccessAfterFailures(place, row) => visit("success-after-failures", place, row),
        Unusual::AccountUnderAttack(login, row) => {
            other("account-under-attack", Some(login.clone()), None, &row.tally, row.last)
        }
        Unusual::NewSource(source, row) => {
            other("new-source", None, Some(source.to_string()), &row.tally, row.last)
        }
        Unusual::NewLogin(login, row) => other("new-login", Some(login.clone()), None, &row.tally, row.last),
    }
}

/// One line about something unusual.
fn sentence(row: &UnusualRow) -> String {
    let login = row.login.as_deref().unwrap_or_default();
    let source = row.source.as_deref().unwrap_or_default();
    let (accepted, failures, last) = (row.accepted, row.failures, &row.last);
    printable(&match row.kind {
        "success-from-new-place" => {
            format!("{login} logged in from {source}, a new place: {accepted} times, last {last}")
        }
        "success-after-failures" => {
            format!("{login} logged in from {source} after {failures} failures there, last {last}")
        }
        "account-under-attack" => format!("{failures} logins as {login} failed, last {last}"),
        _ => format!("new: {login}{source}, {accepted} accepted, {failures} failed, last {last}"),
    })
}

fn words(report: &Report) -> String {
    let Counts { attempts, accepted, refused, unavailable, turned_away } = report.total;
    let mut out = format!(
        "Logins from {} to {} (UTC): {attempts}\n{accepted} accepted, {refused} refused, {unavailable} \
         could not be checked, {turned_away} turned away\n\nNEW AND UNUSUAL\n",
        report.from, report.to
    );
    for row in &report.unusual {
        out.push_str(&format!("  {}\n", sentence(row)));
    }
    if report.unusual.is_empty() {
        out.push_str("  nothing\n");
    }
    if report.compared_days == 0 {
        out.push_str("  no earlier day is known, so nothing is called new\n");
    }
    tables(&mut out, report);
    let MissedRow { sources, logins, successes } = report.missed_at_most;
    for (what, missed) in [("a source", sources), ("a login", logins), ("a success", successes)] {
        if missed > 0 {
            out.push_str(&format!(
                "\nThere were more than fit: the counts of {what} may be too low by up to {missed}.\n"
            ));
        }
    }
    out
}

fn tables(out: &mut String, report: &Report) {
    let numbers = |counts: &Counts| {
        let Counts { attempts, accepted, refused, unavailable, turned_away } = *counts;
        [attempts, accepted, refused, unavailable, turned_away].map(|number| number.to_string())
    };
    let row = |name: &str, counts: &Counts, more: &[String]| {
        let mut cells = vec![name.to_owned()];
        cells.extend(numbers(counts));
        cells.extend_from_slice(more);
        cells
    };
    let mut put = |head: &[&str], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            out.push('\n');
            out.push_str(&table(head, &rows));
        }
    };
    put(
        &["LOGGED IN", "FROM", "TIMES", "FAILED BEFORE", "FIRST", "LAST"],
        report
            .successes
            .iter()
            .map(|one| {
                let numbers = (one.count.to_string(), one.failures_before.to_string());
                let times = (one.first.clone(), one.last.clone());
                vec![one.login.clone(), one.source.clone(), numbers.0, numbers.1, times.0, times.1]
            })
            .collect(),
    );
    put(
        &["SOURCE", "LOGINS", "ACCEPTED", "REFUSED", "UNCHECKED", "TURNED AWAY", "SESSIONS", "FIRST", "LAST"],
        report
            .sources
            .iter()
            .map(|one| {
                let more = [one.sessions.to_string(), one.first.clone(), one.last.clone()];
                row(&one.source, &one.counts, &more)
            })
            .collect(),
    );
    put(
        &["LOGIN", "LOGINS", "ACCEPTED", "REFUSED", "UNCHECKED", "TURNED AWAY", "ACCOUNT", "LAST"],
        report
            .logins
            .iter()
            .map(|one| {
                let account = if one.is_account { "yes" } else { "no" };
                row(&one.login, &one.counts, &[account.to_owned(), one.last.clone()])
            })
            .collect(),
    );
    put(
        &["MECHANISM", "LOGINS", "ACCEPTED", "REFUSED", "UNCHECKED", "TURNED AWAY"],
        report.mechanisms.iter().map(|one| row(&one.mechanism, &one.counts, &[])).collect(),
    );
    put(
        &["REASON", "LOGINS"],
        report.reasons.iter().map(|one| vec![one.reason.clone(), one.count.to_string()]).collect(),
    );
}
