//! `audit`: tries a server as a stranger would, and says in bits what it tells about who exists.
//!
//! [`crate::audit`] plans and judges; here are the sockets, the clock and the threads.
#![expect(
    clippy::disallowed_methods,
    reason = "the command line has sockets, files and the clock, and visits from several threads"
)]

mod facts;
mod own;
mod run;
mod site;
mod tell;
mod visits;
mod wire;

use super::arguments::audit::Order;
use super::failure::{Exit, Failure, reason};
use super::output::tell as say;
use super::password;
use crate::audit::channel::Probe;
use crate::audit::judge::{Finding, Judgement};
use crate::audit::plan::{Subject, subjects};
use crate::audit::score::Score;
use crate::audit::visit::Heard;
use crate::limits::{AUDIT_JITTER_US_DEFAULT, AUDIT_RATE_DEFAULT, AUDIT_VISITS_AT_ONCE};
use crate::types::Chance;
use own::Own;
use run::{Manner, Runner};
use site::{Entrance, Secure, Session, Shut, Site, is_loopback};
use std::net::ToSocketAddrs;
use std::process::ExitCode;

/// Audits, and says what came of it: exit code 1 above the threshold.
///
/// # Errors
/// When there is nothing to audit, or it may not be.
pub fn audit(order: &Order) -> Result<ExitCode, Failure> {
    let mut chance = password::chance()?;
    // Declared first, so that it ends last.
    let own;
    let (mail, login, accounts, aliases) = match &order.to {
        Some(to) => {
            let (mail, login) = entrances(to, order)?;
            let accounts = match order.accounts.as_slice() {
                [] => vec![postmaster(&mail)?],
                some => some.to_vec(),
            };
            (mail, login, accounts, order.aliases.clone())
        }
        None => {
            own = Own::start(&mut chance)?;
            let [mail, login] = own.entrances();
            let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
            (mail, login, names(&own::ACCOUNTS), names(&own::ALIASES))
        }
    };
    let word = format!("{:016x}", chance.u64());
    let seed = u32::try_from(chance.below(1 << 32)).unwrap_or(0);
    let site = Site::new(mail, login, word, seed);
    reachable(&site)?;
    let subjects = subjects(&accounts, &aliases, &mut chance);
    let findings = measure(&site, order, &subjects, &mut chance);
    let score = Score::of(findings, order.threshold_bits);
    tell::tell(&score, &site, order.form)?;
    Ok(if score.is_above_threshold() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn measure(site: &Site, order: &Order, subjects: &[Subject], chance: &mut Chance) -> Vec<Finding> {
    let is_near = is_near(site);
    let jitter_us = order.jitter_us.unwrap_or(if is_near { AUDIT_JITTER_US_DEFAULT } else { 0 });
    let manner = Manner {
        rounds: order.rounds,
        rate: order.rate.or((!is_near).then_some(AUDIT_RATE_DEFAULT)),
        at_once: if site.has_many_sources() { AUDIT_VISITS_AT_ONCE } else { 1 },
        jitter_nanos: jitter_us.saturating_mul(1_000),
    };
    let probes: Vec<Probe> = match order.only.as_slice() {
        [] => Probe::ALL.to_vec(),
        some => Probe::ALL.into_iter().filter(|probe| some.contains(&Some(*probe))).collect(),
    };
    let mut findings = Runner::new(site, subjects, manner).all(&probes, chance);
    if order.only.is_empty() || order.only.contains(&None) {
        let known = subjects.first().map_or("postmaster", |subject| subject.name.as_str());
        findings.extend(facts::all(site, known));
    }
    if subjects.iter().all(|subject| subject.kind == crate::audit::plan::Kind::Account) {
        let why = "no --alias was given, so nothing is known of those".to_owned();
        findings.push(Finding::plain("aliases", Judgement::NotTried, vec![why]));
    }
    findings
}

fn is_near(site: &Site) -> bool {
    is_loopback(site.mail.address.ip()) && is_loopback(site.login.address.ip())
}

/// Both doors as they were given: one that users log in at, or the one for mail if no other was named.
fn entrances(to: &str, order: &Order) -> Result<(Entrance, Entrance), Failure> {
    let may = order.is_own_host;
    let mail = entrance(to, Secure::IfOffered, may)?;
    let login = match (&order.submissions, &order.submission) {
        (Some(at), _) => entrance(at, Secure::AtOnce, may)?,
        (None, Some(at)) => entrance(at, Secure::IfOffered, may)?,
        (None, None) => mail.clone(),
    };
    Ok((mail, login))
}

fn entrance(text: &str, secure: Secure, may: bool) -> Result<Entrance, Failure> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(Failure::new(Exit::Usage, format!("{text:?}: HOST:PORT is wanted")));
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let Ok(port) = port.parse::<u16>() else {
        return Err(Failure::new(Exit::Usage, format!("{text:?}: the port is no number up to 65535")));
    };
    let found: Vec<_> = (host, port)
        .to_socket_addrs()
        .map_err(|error| {
            Failure::new(Exit::Unavailable, format!("cannot find the host {host:?}: {}", reason(&error)))
        })?
        .collect();
    if !may && !found.iter().all(|address| is_loopback(address.ip())) {
        return Err(Failure::new(
            Exit::Usage,
            format!("{host} is not this machine: an audit tries logins, so give --i-own-this-host if you do"),
        ));
    }
    // A name of this machine often has an address of IPv6 at which nothing listens.
    let address = found
        .iter()
        .find(|address| wire::Wire::connect(None, **address).is_ok())
        .or(found.first())
        .ok_or_else(|| Failure::new(Exit::Unavailable, format!("the host {host:?} has no address")))?;
    let secure = if port == 465 { Secure::AtOnce } else { secure };
    Ok(Entrance { host: host.to_owned(), address: *address, secure })
}

/// Both doors open once before anything is measured.
fn reachable(site: &Site) -> Result<(), Failure> {
    for entrance in [&site.mail, &site.login] {
        let why = match Session::open(entrance, Secure::IfOffered, site.source()) {
            Ok(_) => continue,
            Err(Shut::Unreachable(error)) => reason(&error),
            Err(Shut::Refused(Heard::Reply(text))) => format!("it says {text}"),
            Err(Shut::Refused(_)) => "it takes no SMTP session; is it TLS at once, or not?".to_owned(),
        };
        return Err(Failure::new(Exit::Unavailable, format!("cannot audit {}: {why}", entrance.address)));
    }
    Ok(())
}

/// The one address that has to exist (RFC 5321 section 4.5.1), where none was given.
fn postmaster(mail: &Entrance) -> Result<String, Failure> {
    let session = Session::open(mail, Secure::Never, None).map_err(|shut| {
        let why = match shut {
            Shut::Unreachable(error) => reason(&error),
            Shut::Refused(heard) => heard.masked(""),
        };
        Failure::new(Exit::Unavailable, format!("cannot audit {}: {why}", mail.address))
    })?;
    let domain = session.greeting.text().split_whitespace().next().unwrap_or("localhost").to_owned();
    let name = format!("postmaster@{domain}");
    say(&format!("no --known ADDRESS was given, so {name} is taken for one that exists"));
    Ok(name)
}
