//! Laws of the log as a whole: what it costs, whom it tells of, and that no peer writes into it.

use super::note::{Note, Noted};
use super::read::fields;
use super::recorder::Recorder;
use crate::auth::verdict::{LoginVerdict, ProvenBy, Refusal, ThrottleRule, Unavailability};
use crate::contract::{Cause, Listener, PeerFacts};
use crate::directory::credential::CredentialId;
use crate::limits::{
    LOG_FIRST_SIGHT_OCTETS_PER_MINUTE_MAX, LOG_HOSTILE_OCTETS_PER_MINUTE_MAX, LOG_LINE_OCTETS_MAX,
    LOG_MINUTE_MS, LOG_PEERS_OCTETS_PER_MINUTE_MAX,
};
use crate::smtp::outcome::RecipientReason;
use crate::types::{AccountId, Chance, MailId, Moment, Now, SessionId};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

fn noted(address: &str, note: Note) -> Noted {
    let address = address.parse().unwrap();
    let peer = PeerFacts { session: SessionId(0xabc), address, listener: Listener::Submissions };
    Noted { peer, note, app_password: String::new() }
}

fn login(verdict: LoginVerdict) -> Note {
    Note::Login { mechanism: "PLAIN", login: "info@example.org".into(), verdict }
}

fn guess() -> Note {
    login(LoginVerdict::Refused(Refusal::WrongPassword))
}

fn taken() -> Note {
    Note::Accepted { id: MailId([1; 16]), octets: 9, deliveries: 1, sender: "<a@example.net>".into() }
}

/// One note of every kind that a peer can cause.
fn all_that_peers_cause() -> Vec<Note> {
    let closed = |cause| Note::Closed { cause, errors: 1, offence: "unknown-command" };
    let refused = |reason, code| Note::RecipientRefused { recipient: "<b@example.org>".into(), reason, code };
    vec![
        guess(),
        login(LoginVerdict::Unavailable(Unavailability::Throttled(ThrottleRule::Host))),
        login(LoginVerdict::Unavailable(Unavailability::QueueFull)),
        login(LoginVerdict::Unavailable(Unavailability::Worker)),
        login(LoginVerdict::Unavailable(Unavailability::Directory)),
        login(LoginVerdict::Accepted(AccountId(1), ProvenBy::MainPassword)),
        login(LoginVerdict::Disabled(AccountId(1))),
        taken(),
        refused(RecipientReason::NoSuchAddress, 550),
        refused(RecipientReason::TooManyRecipients, 452),
        refused(RecipientReason::DirectoryUnavailable, 451),
        Note::MessageRefused { reason: "disk-full", code: 452 },
        Note::MessageRefused { reason: "bare-lf", code: 554 },
        Note::TurnedAway { rule: ThrottleRule::Host, enforced: true },
        Note::TurnedAway { rule: ThrottleRule::Host, enforced: false },
        closed(Cause::NotSmtp),
        closed(Cause::TooManyErrors),
        closed(Cause::TooManyRefusedRecipients),
        closed(Cause::TooManyAuthFailures),
        closed(Cause::Crowded),
        closed(Cause::TlsFailed),
        closed(Cause::Quit),
        closed(Cause::Fault),
    ]
}

fn octets_of(lines: &[(log::Level, String)]) -> usize {
    lines.iter().map(|(_, line)| line.len() + 1).sum()
}

/// What was suppressed by a kind, as the rollups say it.
fn told_suppressed(lines: &[(log::Level, String)], sums: &mut BTreeMap<String, u64>) {
    for (_, line) in lines {
        let read = fields(line).unwrap();
        if read[0].1 == "suppressed" {
            *sums.entry(read[1].1.clone()).or_default() += read[2].1.parse::<u64>().unwrap();
        }
    }
}

#[test]
fn whatever_peers_do_no_minute_costs_more_than_the_ceiling_wherever_it_begins() {
    let mut recorder = Recorder::new();
    let mut chance = Chance::from_seed([3; 32]);
    let notes = all_that_peers_cause();
    // A flood, silence until budgets are full again, and a flood that begins at the end of a minute.
    let (mut written, mut now) = (Vec::new(), 0);
    for step in 0..60_000_u64 {
        now += match step {
            20_000 => 5 * LOG_MINUTE_MS,
            40_000 => LOG_MINUTE_MS - 1,
            _ => chance.below(12),
        };
        let source = Ipv4Addr::from_bits(u32::try_from(chance.below(1 << 32)).unwrap()).to_string();
        let note = notes[usize::try_from(chance.below(notes.len() as u64)).unwrap()].clone();
        let lines = recorder.judge(Moment(now), &noted(&source, note));
        if !lines.is_empty() {
            written.push((now, octets_of(&lines)));
        }
    }
    for (start, _) in &written {
        let minute = written.iter().filter(|(at, _)| (*start..*start + LOG_MINUTE_MS).contains(at));
        let octets: usize = minute.map(|(_, octets)| octets).sum();
        assert!(octets < LOG_PEERS_OCTETS_PER_MINUTE_MAX, "{octets} in the minute from {start}");
    }
}

#[test]
fn every_line_is_written_or_counted_by_its_kind() {
    let mut recorder = Recorder::new();
    let mut chance = Chance::from_seed([4; 32]);
    let notes = all_that_peers_cause();
    let (mut caused, mut written, mut sums) = (0, 0, BTreeMap::new());
    for step in 0..20_000 {
        let note = notes[usize::try_from(chance.below(notes.len() as u64)).unwrap()].clone();
        let lines = recorder.judge(Moment(step * 7), &noted("203.0.113.9", note));
        caused += 1;
        written += lines.iter().filter(|(_, line)| !line.starts_with("event=suppressed")).count() as u64;
        told_suppressed(&lines, &mut sums);
    }
    let end = recorder.next_deadline().unwrap();
    told_suppressed(&recorder.judge(end, &noted("203.0.113.9", Note::Encrypted)), &mut sums);
    assert_eq!(caused, written + sums.values().sum::<u64>());
    let kinds: Vec<&str> = sums.keys().map(String::as_str).collect();
    assert_eq!(
        kinds,
        ["connect", "errors", "login", "mail", "other", "probe", "recipient", "success", "trouble"]
    );
}

#[test]
fn a_flood_of_every_kind_leaves_the_administrators_lines_alone() {
    let mut recorder = Recorder::new();
    for _ in 0..1_000 {
        for note in all_that_peers_cause() {
            recorder.judge(Moment(0), &noted("203.0.113.9", note));
        }
    }
    let now = Now::default();
    for _ in 0..100 {
        recorder.operation(now, log::Level::Warn, super::line::Line::new("report-not-kept"));
    }
    let mut sums = BTreeMap::new();
    let end = recorder.next_deadline().unwrap();
    told_suppressed(&recorder.judge(end, &noted("203.0.113.9", Note::Encrypted)), &mut sums);
    assert!(!sums.contains_key("operation") && sums["trouble"] > 0, "{sums:?}");
}

#[test]
fn a_flood_displaces_neither_mail_nor_logins_that_succeed() {
    let mut recorder = Recorder::new();
    let mut octets = 0;
    for _ in 0..10_000 {
        octets += octets_of(&recorder.judge(Moment(1), &noted("203.0.113.9", guess())));
    }
    assert!(octets <= LOG_HOSTILE_OCTETS_PER_MINUTE_MAX / 2, "{octets}");
    let good = login(LoginVerdict::Accepted(AccountId(1), ProvenBy::MainPassword));
    assert_eq!(recorder.judge(Moment(2), &noted("198.51.100.1", good.clone())).len(), 1);
    for _ in 0..10_000 {
        recorder.judge(Moment(2), &noted("203.0.113.9", taken()));
    }
    assert_eq!(recorder.judge(Moment(2), &noted("198.51.100.1", good)).len(), 1);
}

#[test]
fn a_flood_from_one_network_does_not_hide_the_first_line_about_another() {
    let mut recorder = Recorder::new();
    for number in 0..10_000 {
        recorder.judge(Moment(1), &noted(&format!("203.0.113.{}", number % 256), guess()));
    }
    let first = recorder.judge(Moment(2), &noted("198.51.100.7", guess()));
    assert!(first.len() == 1 && first[0].1.contains(" from=198.51.100.7 "), "{first:?}");
    assert_eq!(recorder.judge(Moment(2), &noted("198.51.100.8", guess())), []);
}

#[test]
fn a_spray_of_networks_spends_what_first_sights_have_and_no_more() {
    let mut recorder = Recorder::new();
    let mut octets = 0;
    for number in 0..20_000_u32 {
        let source = Ipv4Addr::from_bits(0x0b00_0000 + (number << 8)).to_string();
        octets += octets_of(&recorder.judge(Moment(1), &noted(&source, guess())));
    }
    let most = (LOG_HOSTILE_OCTETS_PER_MINUTE_MAX + LOG_FIRST_SIGHT_OCTETS_PER_MINUTE_MAX) / 2;
    assert!(octets <= most && octets > most - 2 * LOG_LINE_OCTETS_MAX, "{octets}");
    // Nothing was written about this one yet: it is still new a moment later.
    let late = recorder.judge(Moment(4_000), &noted("11.78.31.1", guess()));
    assert_eq!(late.len(), 1, "{late:?}");
}

/// Text that a peer might send: pieces that steer terminals, readers and parsers, and anything else.
fn evil(chance: &mut Chance) -> String {
    const PIECES: [&str; 24] = [
        "\"",
        "\\",
        " ",
        "\r\n",
        "\n",
        "\t",
        "\0",
        "\u{1b}[2J",
        "\u{202e}",
        "\u{200b}",
        "\u{3164}",
        "\u{2800}",
        "=",
        " from=192.0.2.66",
        "event=auth-failed",
        "\" reply=535",
        "\\\" x=\"",
        "\u{941}",
        "e\u{301}",
        "אב",
        "{}",
        "%s",
        "\u{85}",
        "...",
    ];
    let mut text = String::new();
    for _ in 0..chance.below(30) {
        if chance.below(3) == 0 {
            let number = u32::try_from(chance.below(0x11_0000)).unwrap();
            text.push(char::from_u32(number).unwrap_or('\n'));
        } else {
            text.push_str(PIECES[usize::try_from(chance.below(24)).unwrap()]);
        }
    }
    text
}

/// Any note in which a peer has a say, and the fields that its line must have, with its text where it may be
/// cut.
fn evil_note(chance: &mut Chance) -> (Note, Vec<(&'static str, String)>) {
    let text = evil(chance);
    let owned = |pairs: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        pairs.iter().map(|(key, value)| (*key, (*value).to_owned())).collect()
    };
    match chance.below(4) {
        0 => {
            let verdict = LoginVerdict::Refused(Refusal::NoSuchAddress);
            let told =
                [("mechanism", "LOGIN"), ("login", &text), ("reason", "no-such-address"), ("reply", "535")];
            (Note::Login { mechanism: "LOGIN", login: text.clone(), verdict }, owned(&told))
        }
        1 => {
            let verdict = LoginVerdict::Accepted(AccountId(1), ProvenBy::AppPassword(CredentialId(3)));
            let mut told = owned(&[("mechanism", "PLAIN"), ("login", &text), ("app-password", "3")]);
            if !text.is_empty() {
                told.push(("app-password-name", text.clone()));
            }
            (Note::Login { mechanism: "PLAIN", login: text.clone(), verdict }, told)
        }
        2 => {
            let (id, id_text) = (MailId([0x11; 16]), "11".repeat(16));
            let told = [("id", id_text.as_str()), ("octets", "7"), ("deliveries", "2"), ("sender", &text)];
            (Note::Accepted { id, octets: 7, deliveries: 2, sender: text.clone() }, owned(&told))
        }
        _ => {
            let reason = RecipientReason::NoSuchAddress;
            let told = [("recipient", text.as_str()), ("reason", reason.name()), ("reply", "550")];
            (Note::RecipientRefused { recipient: text.clone(), reason, code: 550 }, owned(&told))
        }
    }
}

#[test]
fn whatever_a_peer_sends_its_line_is_one_printable_line_with_the_same_fields() {
    let mut chance = Chance::from_seed([5; 32]);
    for _ in 0..20_000 {
        let (note, expected) = evil_note(&mut chance);
        let mut noted = noted("2001:db8::9", note);
        noted.app_password =
            expected.iter().find(|(key, _)| *key == "login").map_or("", |it| &it.1).to_owned();
        let (_, line) = Recorder::new().judge(Moment(0), &noted).pop().unwrap();
        assert!(line.len() < LOG_LINE_OCTETS_MAX, "{line}");
        assert!(
            line.chars().all(|c| ('!'..='~').contains(&c) || c == ' ' || c.is_alphanumeric()),
            "{line:?}"
        );
        let read = fields(&line).unwrap_or_else(|| panic!("{line:?}"));
        let own = [("session", "000000000abc"), ("from", "2001:db8::9"), ("listener", "submissions")];
        for (found, (key, value)) in read[1..].iter().zip(own) {
            assert_eq!((found.0, found.1.as_str()), (key, value), "{line}");
        }
        // A line without room leaves its last field out and says so.
        let rest = &read[4..];
        let whole = rest.len() == expected.len() && rest.last().is_some_and(|last| last.0 != "cut");
        assert!(whole || rest.last() == Some(&("cut", "yes".to_owned())), "{line}");
        for ((key, value), (expected_key, sent)) in
            rest.iter().zip(&expected).filter(|(found, _)| found.0 != "cut")
        {
            assert_eq!(key, expected_key, "{line}");
            let same = value == sent;
            let cut = value.strip_suffix("...").is_some_and(|kept| sent.starts_with(kept));
            assert!(same || cut, "{line}\n{sent:?}");
        }
    }
}
