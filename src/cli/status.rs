//! How the running server does.

use super::access::unexpected;
use super::arguments::Form;
use super::failure::{Exit, Failure};
use super::output::{json, printable, table, write_out};
use super::remote::Remote;
use super::{identity, place};
use crate::control::{EventCount, Request, Response, Status, StoreState};
use crate::mail::date::rfc3339;
use crate::telemetry::turns::Summary;
use std::path::Path;

/// Tells how the server of a data directory does. Only that server can: the store is not opened.
///
/// # Errors
/// Exit 69 when none runs; when it cannot be asked; when standard output takes no more.
pub fn status(dir: &Path, form: Form) -> Result<(), Failure> {
    identity::become_owner_of(dir)?;
    place::must_be_ours(dir)?;
    let Some(mut remote) = Remote::connect(dir)? else {
        let why = format!(
            "no server runs on {}: `gatepost serve --config FILE` starts one; one that is just starting answers soon",
            dir.display()
        );
        return Err(Failure::new(Exit::Unavailable, why));
    };
    let status = match remote.ask(&Request::Status)? {
        Response::Status(status) => *status,
        Response::Refused(refusal, why) => return Err(Failure::of_refusal(refusal, why)),
        Response::Changed { .. }
        | Response::Directory(_)
        | Response::ScramSalts(..)
        | Response::ReportDay(_)
        | Response::Messages { .. }
        | Response::Message(_)
        | Response::Explained(_)
        | Response::Verified(_)
        | Response::NoThrottle => return Err(unexpected()),
    };
    match form {
        Form::Scripts => json(&[status]),
        Form::People => write_out(|out| out.write_all(text(&status).as_bytes())),
    }
}

fn text(status: &Status) -> String {
    let Status { version, started, uptime_seconds, connections, connections_max, accepted, .. } = status;
    let store = match status.store {
        StoreState::Working => "working",
        StoreState::Behind => "behind: new mail waits until it has caught up",
        StoreState::Full => "full: new mail is answered 452 until there is room",
        StoreState::Down => "failed: the server starts anew in a moment",
    };
    let free = format!("{} MiB free, {} MiB stay so", mib(status.free_octets), mib(status.reserve_octets));
    let mut lines = [
        format!("gatepost {version}, up {} since {}", duration(*uptime_seconds), rfc3339(*started)),
        format!("messages     {accepted} accepted"),
        format!("connections  {connections} of {connections_max}"),
        format!("store        {store}; {free}"),
        format!("turns        {}", turns(&status.turns)),
        format!("  processor  {}", turns(&status.turns_processor)),
    ]
    .iter()
    .map(|line| printable(line))
    .collect::<Vec<_>>()
    .join("\n");
    lines.push('\n');
    for lost in &status.lost {
        lines.push_str(&format!("missing      {lost}: see `gatepost verify`\n"));
    }
    if !status.events.is_empty() {
        let row = |EventCount { event, kind, count }: &EventCount| {
            vec![event.clone(), kind.clone(), count.to_string()]
        };
        let rows: Vec<_> = status.events.iter().map(row).collect();
        lines.push('\n');
        lines.push_str(&table(&["EVENT", "KIND", "COUNT"], &rows));
    }
    lines
}

fn mib(octets: u64) -> u64 {
    octets >> 20
}

/// `3d 04:05:06`, without the days if there is none.
fn duration(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3_600, rest % 3_600 / 60, rest % 60);
    if days == 0 { clock } else { format!("{days}d {clock}") }
}

fn turns(summary: &Summary) -> String {
    let Summary { count, p50_us, p99_us, p999_us, max_us } = *summary;
    format!(
        "{count}: p50 {}, p99 {}, p99.9 {}, longest {} ms",
        ms(p50_us),
        ms(p99_us),
        ms(p999_us),
        ms(max_us)
    )
}

/// Microseconds as milliseconds with two decimals.
fn ms(us: u64) -> String {
    let hundredths = us.saturating_add(5) / 10;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::count::{Lost, LostPart};
    use crate::types::UnixTime;

    #[test]
    fn the_text_is_short_and_says_what_the_store_takes() {
        let turns = Summary { count: 9, p50_us: 4, p99_us: 90, p999_us: 1_234, max_us: 12_345 };
        let status = Status {
            version: "1.2.3".to_owned(),
            started: UnixTime(1_795_495_657),
            uptime_seconds: 3 * 86_400 + 4 * 3_600 + 5 * 60 + 6,
            connections: 7,
            connections_max: 4_096,
            accepted: 12,
            store: StoreState::Full,
            free_octets: 63 << 20,
            reserve_octets: 64 << 20,
            turns,
            turns_processor: Summary::default(),
            lost: vec![Lost {
                part: LostPart::Commits,
                first: 7,
                last: 8,
                messages: Some(3),
                after: Some(UnixTime(1_795_495_657)),
                until: None,
            }],
            events: vec![EventCount {
                event: "login".to_owned(),
                kind: "wrong-password".to_owned(),
                count: 3,
            }],
        };
        assert_eq!(
            text(&status),
            "gatepost 1.2.3, up 3d 04:05:06 since 2026-11-24T04:47:37Z\n\
             messages     12 accepted\n\
             connections  7 of 4096\n\
             store        full: new mail is answered 452 until there is room; 63 MiB free, 64 MiB stay so\n\
             turns        9: p50 0.00, p99 0.09, p99.9 1.23, longest 12.35 ms\n\
             \u{20} processor  0: p50 0.00, p99 0.00, p99.9 0.00, longest 0.00 ms\n\
             missing      3 messages and all else of 2 acknowledged commits (7 to 8), after 2026-11-24T04:47:37Z: see \
             `gatepost verify`\n\
             \nEVENT  KIND            COUNT\nlogin  wrong-password  3\n"
        );
    }
}
