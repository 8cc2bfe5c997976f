//! Several sessions of one client in one dialogue: what a throttle sees of it.
//!
//! Sessions of one address belong together while no more than
//! [`IMPORT_SERIES_GAP_SECONDS`](crate::limits::IMPORT_SERIES_GAP_SECONDS) lie between two. Those whose refusals a log
//! tells within a breath are played side by side, the others one after the other with a pause of the same class.
//! The throttle is on, and every session tries another password: logs do not tell passwords, and whoever guesses
//! seldom tries one twice.

use super::Door;
use super::dialogues::{act_lines, code, listener, words};
use super::recent::Recent;
use super::shape::{Act, PASSWORD, Shape};
use crate::contract::Listener;
use crate::dialog::parse::parse;
use crate::dialog::play::{Cuts, play, play_for_laws};
use crate::limits;
use std::collections::BTreeMap;

/// Sessions of clients, put together.
#[derive(Debug)]
pub struct Series {
    open: Recent<Vec<Shape>>,
}

impl Default for Series {
    fn default() -> Self {
        Self { open: Recent::new(limits::IMPORT_SERIES_MAX) }
    }
}

impl Series {
    /// Takes a session; gives out every series that it ends: its client's if it comes too late for that or fills it
    /// up, and another client's if there is no room for both.
    pub fn add(&mut self, shape: Shape) -> Vec<Vec<Shape>> {
        let Some(source) = shape.origin.source.filter(|_| !shape.acts.is_empty()) else { return Vec::new() };
        let key = source.to_string();
        let mut sessions = self.open.take(&key).unwrap_or_default();
        let mut ended = Vec::new();
        let full = sessions.len() >= limits::IMPORT_SERIES_SESSIONS_MAX;
        if full || !sessions.iter().any(|other| belongs(other, &shape)) {
            ended.push(std::mem::take(&mut sessions));
        }
        sessions.push(shape);
        ended.extend(self.open.put(key, sessions));
        ended.retain_mut(|series| is_series(series));
        ended
    }

    /// The file has ended: takes a series out, until there is none.
    pub fn take_next(&mut self) -> Option<Vec<Shape>> {
        loop {
            let mut series = self.open.pop_oldest()?;
            if is_series(&mut series) {
                return Some(series);
            }
        }
    }
}

fn belongs(one: &Shape, other: &Shape) -> bool {
    let apart = |from: Option<i64>, to: Option<i64>| Some(from?.checked_sub(to?)?.saturating_abs());
    let ends = [(one.origin.last, other.origin.first), (other.origin.last, one.origin.first)];
    let known = ends.iter().filter_map(|(from, to)| apart(*from, *to)).min();
    known.is_none_or(|apart| apart <= limits::IMPORT_SERIES_GAP_SECONDS)
}

/// Whether it is more than one session and somebody tried to log in; in the order of time then.
fn is_series(sessions: &mut [Shape]) -> bool {
    sessions.sort_by_key(|shape| shape.origin.first);
    let tries = |shape: &Shape| shape.acts.iter().any(|act| matches!(act, Act::Auth { .. }));
    sessions.len() > 1 && sessions.iter().any(tries)
}

/// How long after the session before it one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pause {
    /// At the same time.
    None,
    /// Seconds.
    Seconds,
    /// About a minute.
    Minute,
    /// Minutes.
    Minutes,
}

impl Pause {
    fn between(one: &Shape, other: &Shape) -> Self {
        let seconds = match (one.origin.first, other.origin.first) {
            (Some(one), Some(other)) => other.saturating_sub(one),
            (None, _) | (_, None) => 10,
        };
        match seconds {
            ..=2 => Self::None,
            3..=30 => Self::Seconds,
            31..=120 => Self::Minute,
            _ => Self::Minutes,
        }
    }

    /// The time that passes.
    fn written(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => "T: +10s\n",
            Self::Minute => "T: +1m\n",
            Self::Minutes => "T: +5m\n",
        }
    }
}

/// One session to be played.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planned<'s> {
    pause: Pause,
    door: Door,
    acts: &'s [Act],
}

/// What makes a series another behaviour: its sessions in order, those that only repeat the one before told by how
/// many there are.
pub(super) type Told = (Pause, Door, Vec<Act>, u32);

/// The sessions as they are played.
pub(super) fn plan(sessions: &[Shape]) -> Vec<Planned<'_>> {
    let mut before: Option<&Shape> = None;
    let mut plan = Vec::new();
    for shape in sessions.iter().take(limits::IMPORT_SERIES_SESSIONS_MAX) {
        let pause = before.map_or(Pause::None, |before| Pause::between(before, shape));
        let acts = shape.acts.get(..limits::IMPORT_SERIES_STEPS_MAX).unwrap_or(&shape.acts);
        plan.push(Planned { pause, door: shape.door, acts });
        before = Some(shape);
    }
    plan
}

pub(super) fn key(plan: &[Planned<'_>]) -> Vec<Told> {
    let mut key: Vec<Told> = Vec::new();
    for one in plan {
        // The logins of a dictionary differ; the behaviour is one.
        let acts: Vec<Act> = one.acts.iter().map(nameless).collect();
        match key.last_mut() {
            Some((pause, door, last, count))
                if *door == one.door && *last == acts && (*pause == one.pause || *count == 1) =>
            {
                *pause = one.pause;
                *count = count.saturating_add(1);
            }
            Some(_) | None => key.push((one.pause, one.door, acts, 1)),
        }
    }
    // Two, a few, or as many as there is room for.
    for (_, _, _, count) in &mut key {
        *count = match *count {
            ..=2 => *count,
            3..=4 => 3,
            _ => 5,
        };
    }
    key
}

fn nameless(act: &Act) -> Act {
    match act {
        Act::Auth { mechanism, initial, .. } => {
            Act::Auth { mechanism: mechanism.clone(), login: String::new(), initial: *initial }
        }
        Act::Say(_) | Act::Send(_) | Act::StartTls => act.clone(),
    }
}

/// The dialogue, if it replays.
pub(super) fn dialogue(plan: &[Planned<'_>], last: &Shape) -> Option<String> {
    let first = plan.first()?;
    let mut writer = Writer {
        text: format!(
            "gatepost-dialog 1\n# Made from a log of {}: {} sessions of one client; it refused {}. Names and passwords are \
             stand-ins.\nlistener: {}\nthrottle: on\nW: domain example.org\n\
             W: account me@example.org password=\"correct horse\"\n",
            last.server.name(),
            plan.len(),
            words(last.what),
            listener(first.door).name()
        ),
        told: BTreeMap::new(),
    };
    let mut seats: Vec<Seat<'_>> = Vec::new();
    for one in plan {
        if one.pause != Pause::None {
            writer.play_out(&mut seats)?;
            writer.text.push_str(one.pause.written());
            writer.answers()?;
        }
        let number = u8::try_from(seats.len().checked_add(2)?).ok()?;
        let ours = listener(one.door);
        seats.push(Seat {
            number,
            acts: one.acts.iter(),
            encrypted: ours == Listener::Submissions,
            over: false,
        });
        writer.text.push_str(&format!("OPEN{number}: {}\n", ours.name()));
        writer.answers()?;
    }
    writer.play_out(&mut seats)?;
    let dialog = parse(&writer.text).ok()?;
    play(&dialog).difference.is_none().then_some(writer.text)
}

/// A session that is being played.
struct Seat<'s> {
    number: u8,
    acts: std::slice::Iter<'s, Act>,
    encrypted: bool,
    over: bool,
}

/// What is written, and what each session was heard to say of it.
struct Writer {
    text: String,
    /// Replies written down, and whether the end was.
    told: BTreeMap<u8, (usize, bool)>,
}

impl Writer {
    /// Plays the sessions that are open side by side to their ends, a step of each in turn.
    fn play_out(&mut self, seats: &mut [Seat<'_>]) -> Option<()> {
        loop {
            let mut waits = false;
            let mut said = false;
            for seat in seats.iter_mut().filter(|seat| !seat.over) {
                if self.ended(seat.number) {
                    seat.over = true;
                    continue;
                }
                let Some(act) = seat.acts.next() else { continue };
                said = true;
                waits |= matches!(act, Act::Auth { .. });
                self.step(seat, act)?;
            }
            if !said {
                break;
            }
            if waits {
                self.wait()?;
            }
        }
        for seat in seats.iter_mut().filter(|seat| !seat.over) {
            seat.over = true;
            if !self.ended(seat.number) {
                self.text.push_str(&format!("EOF{}:\n", seat.number));
                self.answers()?;
            }
        }
        Some(())
    }

    fn step(&mut self, seat: &mut Seat<'_>, act: &Act) -> Option<()> {
        let password = format!("{PASSWORD}-{}", seat.number);
        let mut lines = Vec::new();
        act_lines(act, &password, &mut seat.encrypted, &mut lines);
        for line in lines {
            if self.ended(seat.number) {
                return Some(());
            }
            let letters = line.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (tag, rest) = line.split_at_checked(letters)?;
            self.text.push_str(&format!("{tag}{}{rest}\n", seat.number));
            self.answers()?;
        }
        Some(())
    }

    /// Lets the time pass that a refusal takes.
    fn wait(&mut self) -> Option<()> {
        self.text.push_str("T: +3s\n");
        self.answers()
    }

    fn ended(&self, number: u8) -> bool {
        self.told.get(&number).is_some_and(|(_, ended)| *ended)
    }

    /// Plays what is written so far and writes down what came since.
    fn answers(&mut self) -> Option<()> {
        let dialog = parse(&self.text).ok()?;
        for (number, transcript) in play_for_laws(&dialog, &mut Cuts::Whole).sessions {
            let (heard, ended) = self.told.entry(number).or_default();
            // The first is the head's own, which no line of ours opens.
            if number == 1 {
                continue;
            }
            for reply in transcript.replies.iter().skip(*heard) {
                self.text.push_str(&format!("S{number}: {}\n", code(reply)));
            }
            *heard = transcript.replies.len();
            if let (Some(cause), false) = (transcript.end, *ended) {
                self.text.push_str(&format!("CLOSE{number}: {}\n", cause.name()));
                *ended = true;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
