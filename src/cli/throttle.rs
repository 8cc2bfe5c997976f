//! What the throttle of the running server holds against somebody, and forgetting it.

use super::access::{Access, Intent, unexpected};
use super::arguments::Form;
use super::failure::Failure;
use super::output::{json, printable, tell, write_out};
use crate::auth::throttle::{self, Entrance, Explanation, Listed, Rule, Standing};
use crate::control::{AuthSubject, Request, Response};
use crate::limits::{HELD_MS, SIDE_DOOR_PER_HOST};
use crate::mail::date::rfc3339;
use std::path::Path;

/// Explains an address or a login.
///
/// # Errors
/// When the server cannot be asked, or standard output takes no more.
pub fn explain(dir: &Path, subject: &AuthSubject, form: Form) -> Result<(), Failure> {
    let explanation = match Access::open(dir, Intent::Read)?.ask(&Request::AuthExplain(subject.clone()))? {
        Response::Explained(explanation) => Some(*explanation),
        Response::NoThrottle => None,
        Response::Changed { .. }
        | Response::Directory(_)
        | Response::ReportDay(_)
        | Response::ScramSalts(..)
        | Response::Messages { .. }
        | Response::Message(_)
        | Response::Status(_)
        | Response::Verified(_)
        | Response::Refused(..) => return Err(unexpected()),
    };
    match (form, explanation) {
        (Form::Scripts, explanation) => json(&explanation.into_iter().collect::<Vec<_>>()),
        (Form::People, None) => no_server(),
        (Form::People, Some(explanation)) => {
            let lines = sentences(&named(subject), &explanation);
            write_out(|out| lines.iter().try_for_each(|line| writeln!(out, "{}", printable(line))))
        }
    }
}

/// Forgives an address, with its networks, or a login.
///
/// # Errors
/// When the server cannot be asked.
pub fn forgive(dir: &Path, subject: &AuthSubject) -> Result<(), Failure> {
    match Access::open(dir, Intent::Read)?.ask(&Request::AuthForgive(subject.clone()))? {
        Response::Changed { anything: true, .. } => {
            tell(&format!("nothing is held against {} any more", named(subject)));
            Ok(())
        }
        Response::Changed { anything: false, .. } => {
            tell(&format!("nothing was held against {}", named(subject)));
            Ok(())
        }
        Response::NoThrottle => no_server(),
        Response::Directory(_)
        | Response::ReportDay(_)
        | Response::ScramSalts(..)
        | Response::Messages { .. }
        | Response::Message(_)
        | Response::Status(_)
        | Response::Verified(_)
        | Response::Explained(_)
        | Response::Refused(..) => Err(unexpected()),
    }
}

fn no_server() -> Result<(), Failure> {
    tell(
        "no server runs here, so nobody is refused now; addresses and networks with many failures are remembered \
         for the next start: ask again when it runs",
    );
    Ok(())
}

fn named(subject: &AuthSubject) -> String {
    match subject {
        AuthSubject::Source(source) => source.to_string(),
        AuthSubject::Login(login) => login.clone(),
    }
}

fn rule_name(rule: Rule) -> String {
    match rule {
        Rule::DenyList(entry) => format!("the deny-list entry {entry}"),
        Rule::Host(prefix) => format!("the limit for the address {prefix}"),
        Rule::Net(prefix) => format!("the limit for the network {prefix}"),
        Rule::Wide(prefix) => format!("the limit for the site {prefix}"),
        Rule::Login => "the limit for this login".to_owned(),
    }
}

/// The explanation in sentences, the most important first.
fn sentences(name: &str, explanation: &Explanation) -> Vec<String> {
    let Explanation { listed, enforced, entrance, standings, evidence, places, mail_score, mail_pace } =
        explanation;
    let mut lines = Vec::new();
    match listed {
        Listed::Allowed(entry) => lines.push(format!("{name} is exempt: {entry} is on the allow-list")),
        Listed::Denied(entry) => lines.push(format!("{name} is refused: {entry} is on the deny-list")),
        Listed::No => {}
    }
    if !enforced {
        lines.push("dry run: nobody is refused or slowed, whatever follows".to_owned());
    }
    if standings.is_empty() && *mail_score == 0 {
        lines.push(format!("nothing is held against {name}"));
    }
    for standing in standings {
        lines.push(standing_line(standing));
    }
    lines.extend(entrance.and_then(|entrance| entrance_line(name, entrance)));
    for failure in evidence {
        let throttle::Failure { at, session, source, login } = failure;
        lines
            .push(format!("  failed at {}, from {source}, session {session}, login {login:?}", rfc3339(*at)));
    }
    for place in places {
        lines.push(format!("a login succeeded in {}, last at {}", place.net, rfc3339(place.last)));
    }
    if *mail_score > 0 {
        lines.push(format!(
            "port 25: {mail_score} points; the greeting waits {} ms, a refusal is followed by {} ms",
            mail_pace.banner_ms, mail_pace.reply_ms
        ));
    }
    lines
}

fn entrance_line(name: &str, entrance: Entrance) -> Option<String> {
    match entrance {
        // The lines above say it.
        Entrance::AtOnce | Entrance::Closed => None,
        Entrance::AfterAWait => Some(format!(
            "connections from {name} wait {} s before they are served: many ended without a message or a login",
            HELD_MS / 1_000
        )),
        Entrance::AppPasswordsOnly => Some(format!(
            "connections from {name} to 587 and 465 wait {} s, then {SIDE_DOOR_PER_HOST} at a time are let in, \
             where only an application password opens anything",
            HELD_MS / 1_000
        )),
    }
}

fn standing_line(standing: &Standing) -> String {
    let Standing { rule, level, limit, refuses, failures, turned_away, first, last } = standing;
    let rule = rule_name(*rule);
    let verdict = match refuses {
        Some(because) => {
            let until =
                because.until.map_or_else(|| "for good".to_owned(), |at| format!("until {}", rfc3339(at)));
            format!("{rule} refuses since {} and {until}", rfc3339(because.since))
        }
        None => format!("{rule} refuses nothing"),
    };
    format!(
        "{verdict}: {level} of {limit} an hour count now, {failures} failures from {} to {}, {turned_away} turned away",
        rfc3339(*first),
        rfc3339(*last)
    )
}
