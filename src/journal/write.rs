//! From recordings to a file that plays as it was recorded.

use super::events::Events;
use super::names::Facts;
use super::reel::{PROVEN_PASSWORD, Proof, ProofOutcome};
use super::tape::Recording;
use crate::contract::PeerFacts;
use crate::dialog::parse::parse;
use crate::dialog::play::play;
use crate::dialog::print::print;
use crate::dialog::{Dialog, Entry, Event, Kind, WorldFact};
use crate::limits::IDLE_MS;
use crate::mail::date;
use crate::smtp::session::Settings;
use crate::telemetry::note::Counter;
use crate::types::{Moment, UnixTime};
use base64ct::{Base64, Encoding};
use std::collections::BTreeMap;

/// A file of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name: when the first session began, and its number.
    pub name: String,
    /// The dialogue.
    pub text: String,
    /// Why it is shorter than what was recorded, if it is.
    pub shortened: Option<String>,
}

/// An entry on its way: when, whose, what.
#[derive(Debug, Clone)]
struct Step {
    at: Moment,
    number: u8,
    line: String,
}

/// Why nothing could be made of recordings.
pub type Unplayable = String;

/// Makes a file of recordings of one source, each a session of it. What does not play as it was recorded is cut
/// off.
///
/// # Errors
/// When not even the beginning plays.
pub fn file(recordings: Vec<Recording>, settings: &Settings) -> Result<File, Unplayable> {
    let mut recordings = recordings;
    recordings.sort_by_key(|recording| (recording.began.moment, recording.facts.session));
    let Some(first) = recordings.first() else { return Err("there is no session".to_owned()) };
    let (peer, unix) = (first.facts, first.began.unix);
    let name = format!("{}-{}.txt", stamp(unix), peer.session);
    let head = head(&recordings, peer, unix, settings);
    let steps = steps(&recordings);
    let lines = lines(&head, &steps, &recordings)?;
    let mut text = format!("{head}{}", lines.join("\n"));
    text.push('\n');
    let is_cut = recordings.iter().any(|recording| recording.reel.is_cut);
    let counts = if is_cut { String::new() } else { counts(&recordings) };
    let whole = format!("{text}{counts}");
    // What it counts once the fault is mended nobody knows.
    let is_fault = recordings.iter().any(|recording| recording.events.has(super::events::Event::Fault));
    match played(&whole, !is_fault) {
        Ok(text) => Ok(File { name, text, shortened: None }),
        Err(why) => {
            let text = shortened(&text, !is_fault)?;
            Ok(File { name, text, shortened: Some(why) })
        }
    }
}

/// The text in its canonical form, if it plays as it is written. Where it says nothing of counters, what the
/// player counted stands for what was counted until then.
fn played(text: &str, counts: bool) -> Result<String, String> {
    let mut dialog = parse(text).map_err(|error| error.to_string())?;
    let report = play(&dialog);
    match report.difference {
        None => {
            if counts {
                add_counts(&mut dialog, report.counters);
            }
            Ok(print(&dialog))
        }
        Some(difference) => Err(difference.to_string()),
    }
}

fn add_counts(dialog: &mut Dialog, counters: BTreeMap<String, u64>) {
    let has_some = dialog.entries.iter().any(|entry| matches!(entry.kind, Kind::Count(..)));
    if !has_some {
        let lines =
            counters.into_iter().map(|(name, count)| Entry { line: 0, kind: Kind::Count(name, count) });
        dialog.entries.extend(lines);
    }
}

/// The longest beginning of each session that plays as it is written.
fn shortened(text: &str, counts: bool) -> Result<String, Unplayable> {
    let mut dialog = parse(text).map_err(|error| error.to_string())?;
    for _ in 0..64 {
        let report = play(&dialog);
        match report.difference {
            None if has_replies(&dialog) => {
                if counts {
                    add_counts(&mut dialog, report.counters);
                }
                return Ok(print(&dialog));
            }
            None => return Err("nothing of it plays".to_owned()),
            Some(difference) if !cut_before(&mut dialog, difference.line) => {
                return Err(format!("it does not play: {difference}"));
            }
            Some(_) => {}
        }
    }
    Err("it does not play in any length".to_owned())
}

fn has_replies(dialog: &Dialog) -> bool {
    dialog.entries.iter().any(|entry| matches!(entry.kind, Kind::Session(_, Event::Reply(_))))
}

/// Cuts the session that differs at this line before the last thing its client said until then. False if nothing
/// is left to cut.
fn cut_before(dialog: &mut Dialog, line: usize) -> bool {
    let upto = dialog.entries.iter().rposition(|entry| entry.line <= line);
    let Some(upto) = upto else { return false };
    let speaker =
        dialog.entries.iter().take(upto.saturating_add(1)).rev().find_map(|entry| number(&entry.kind));
    let Some(session) = speaker else { return false };
    let is_own = |entry: &Entry| number(&entry.kind) == Some(session);
    let from = dialog.entries.iter().take(upto.saturating_add(1)).rposition(|entry| {
        is_own(entry) && matches!(entry.kind, Kind::Session(_, Event::Client(..) | Event::Answer(..)))
    });
    let from = from.unwrap_or_else(|| dialog.entries.iter().position(is_own).unwrap_or(upto));
    let cut = Entry { line: 0, kind: Kind::Session(session, Event::Cut) };
    let mut kept: Vec<Entry> = Vec::new();
    for (at, entry) in std::mem::take(&mut dialog.entries).into_iter().enumerate() {
        if at == from {
            kept.push(cut.clone());
        }
        if at < from || number(&entry.kind) != Some(session) {
            kept.push(entry);
        }
    }
    for (at, entry) in kept.iter_mut().enumerate() {
        entry.line = at.saturating_add(2);
    }
    let shorter = kept.iter().filter(|entry| is_own(entry)).count() > 1;
    dialog.entries = kept;
    shorter
}

fn number(kind: &Kind) -> Option<u8> {
    match kind {
        Kind::Session(number, _) => Some(*number),
        Kind::Blank
        | Kind::Comment(_)
        | Kind::Head(_)
        | Kind::World(_)
        | Kind::Pass(_)
        | Kind::Stop
        | Kind::Message(_)
        | Kind::Count(..) => None,
    }
}

/// Everything in front of the first entry.
fn head(recordings: &[Recording], peer: PeerFacts, unix: UnixTime, settings: &Settings) -> String {
    let mut events = Events::default();
    let mut facts = Facts::default();
    for recording in recordings {
        events.join(recording.events);
        facts.join(recording.reel.facts.clone());
    }
    let tls = if settings.tls_available { "available" } else { "none" };
    let scram = if settings.scram.is_offered() { "" } else { "scram: off\n" };
    let world: Vec<Entry> = facts.lines().into_iter().map(fact).collect();
    let lines = print(&Dialog {
        head: crate::dialog::Head::new(peer.listener, settings.hostname.clone()),
        entries: world,
    });
    let world = lines.split_once('\n').map_or("", |(_, world)| world);
    format!(
        "{}\n# Recorded by the journal: {}\nlistener: {}\npeer: {}\nclock: {}\nhostname: {}\nsize: {}\ntls: {tls}\n{scram}{world}",
        crate::dialog::MAGIC,
        events.names(),
        peer.listener.name(),
        peer.address,
        date::rfc3339(unix),
        settings.hostname,
        settings.message_octets_max,
    )
}

fn fact(fact: WorldFact) -> Entry {
    Entry { line: 0, kind: Kind::World(fact) }
}

/// When, as it stands in the name of a file.
fn stamp(unix: UnixTime) -> String {
    date::rfc3339(unix).chars().filter(|c| !matches!(c, '-' | ':')).collect()
}

/// All entries of all sessions in the order in which they happened.
fn steps(recordings: &[Recording]) -> Vec<Step> {
    let mut steps = Vec::new();
    for (recording, number) in recordings.iter().zip(1_u8..=9) {
        let text = String::from_utf8_lossy(&recording.reel.text);
        for entry in text.lines() {
            let Some((ms, line)) = entry.split_once(' ') else { continue };
            let at = recording.began.moment.plus_ms(ms.parse().unwrap_or(0));
            steps.push(Step { at, number, line: line.to_owned() });
        }
    }
    // What was written at an earlier place of its tape keeps it, whatever the clock said.
    let mut latest: BTreeMap<u8, Moment> = BTreeMap::new();
    for step in &mut steps {
        let last = latest.entry(step.number).or_insert(step.at);
        step.at = step.at.max(*last);
        *last = step.at;
    }
    steps.sort_by_key(|step| step.at);
    steps
}

/// The lines of a file behind its head.
fn lines(head: &str, steps: &[Step], recordings: &[Recording]) -> Result<Vec<String>, Unplayable> {
    let timers = steps.iter().filter(|step| step.line.starts_with("@T ")).count();
    let long = steps.iter().any(|step| step.line.starts_with("@T session"));
    // One session needs no more time than its timers; several need the time that was.
    let is_timed = long || (timers > 0 && recordings.len() > 1);
    let mut out: Vec<String> = Vec::new();
    let mut clock = steps.first().map_or(Moment(0), |step| step.at);
    let mut stopped = false;
    for step in steps {
        let gone = step.at.since_ms(clock);
        if is_timed && gone > 0 {
            out.push(format!("T: +{gone}ms"));
            clock = step.at;
        }
        if let Some(timer) = step.line.strip_prefix("@T ") {
            if !is_timed {
                let pace = timer.strip_prefix("pace ").and_then(|ms| ms.parse::<u64>().ok());
                out.push(format!("T: +{}ms", pace.unwrap_or(IDLE_MS).max(1)));
            }
        } else if let Some(proof) = step.line.strip_prefix("@P ") {
            out.push(proof_line(head, &out, step.number, proof, recordings)?);
        } else if step.line == "STOP:" {
            if !std::mem::replace(&mut stopped, true) {
                out.push(step.line.clone());
            }
        } else {
            out.push(numbered(step.number, &step.line));
        }
    }
    Ok(out)
}

/// A line with the number of its session behind the letters of its tag.
fn numbered(number: u8, line: &str) -> String {
    if number == 1 {
        return line.to_owned();
    }
    let letters = line.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(line.len());
    let (tag, rest) = line.split_at_checked(letters).unwrap_or((line, ""));
    format!("{tag}{number}{rest}")
}

/// The last message of a SCRAM client, which answers what the server says in the player.
fn proof_line(
    head: &str,
    before: &[String],
    number: u8,
    proof: &str,
    recordings: &[Recording],
) -> Result<String, Unplayable> {
    let cut = || Ok(numbered(number, "CUT:"));
    let recording = recordings.get(usize::from(number).saturating_sub(1));
    let found = proof.parse::<usize>().ok().and_then(|at| recording?.reel.proofs.get(at).cloned());
    let Some(Proof { mut client, outcome: Some(outcome) }) = found else { return cut() };
    let dialog = parse(&format!("{head}{}\n", before.join("\n"))).map_err(|error| error.to_string())?;
    let report = play(&dialog);
    let said = report.sessions.get(&number).and_then(|session| session.replies.last());
    let challenge = said.and_then(|reply| reply.lines.first());
    let first = challenge.and_then(|text| Base64::decode_vec(text).ok());
    let Some(first) = first.and_then(|octets| String::from_utf8(octets).ok()) else { return cut() };
    let password = match outcome {
        ProofOutcome::Right => PROVEN_PASSWORD,
        ProofOutcome::Wrong | ProofOutcome::OtherNonce | ProofOutcome::OtherBinding => "stand-in-wrong",
    };
    let Some(last) = client.last(&first, password.as_bytes()) else { return cut() };
    let last = match outcome {
        ProofOutcome::OtherNonce => last.replacen(",r=", ",r=x", 1),
        ProofOutcome::OtherBinding => {
            // The header of the first message and the channel's data behind it, with one octet more.
            let (binding, rest) = last.split_once(',').unwrap_or((&last, ""));
            let mut octets =
                Base64::decode_vec(binding.strip_prefix("c=").unwrap_or_default()).unwrap_or_default();
            octets.push(b'x');
            format!("c={},{rest}", Base64::encode_string(&octets))
        }
        ProofOutcome::Right | ProofOutcome::Wrong => last,
    };
    Ok(numbered(number, &format!("C: {}", Base64::encode_string(last.as_bytes()))))
}

/// What all sessions counted.
fn counts(recordings: &[Recording]) -> String {
    let mut all: BTreeMap<Counter, u64> = BTreeMap::new();
    for (name, count) in recordings.iter().flat_map(|recording| &recording.reel.counters) {
        let sum = all.entry(*name).or_default();
        *sum = sum.saturating_add(*count);
    }
    all.iter().map(|((what, which), count)| format!("COUNT: {what}/{which} {count}\n")).collect()
}
