//! The journal of a process: tapes hand their recordings over to a writer that is slow, full, failing or dead, and
//! nobody waits for it. `server/recordings.rs` and `server/journal_writer.rs` in small, around the real arena,
//! groups and maker of files.
//!
//! A file is held against what its sessions said, and searched for what somebody typed. Not modelled: the ring of
//! files, which is old at another pace than a world, and the ceiling of files in a second.

use super::Law;
use super::census::Fault;
use super::desk::{Desk, Happening};
use super::planted::PlantedBug;
use crate::contract::PeerFacts;
use crate::dialog::parse::parse;
use crate::dialog::play::play;
use crate::dialog::{Entry as Line, Event as Entry, Kind};
use crate::journal::{Arena, Events, Groups, Recording, Tape, write};
use crate::limits::{JOURNAL_ARENA_OCTETS, JOURNAL_QUEUE_MAX, JOURNAL_SESSION_OCTETS_MAX};
use crate::smtp::session::Settings;
use crate::types::{Moment, SessionId};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

/// How often the loop looks after recordings that wait.
const LOOK_MS: u64 = 1_000;

/// What a session said while its tape could hear it.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) began: Moment,
    /// The code of each reply.
    pub(super) codes: Vec<u16>,
}

/// What the administrator and the machine give the journal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shelf {
    pub(super) arena_octets: usize,
    pub(super) queue_max: usize,
}

/// What goes wrong where files are written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    /// No file may be written: what is left of the disk is for mail.
    pub(super) is_full: bool,
    /// Every write fails.
    pub(super) fails: bool,
}

/// What became of what was handed over.
#[derive(Debug, Default)]
struct Counts {
    handed: u64,
    written: u64,
    failed: u64,
    dropped: u64,
    /// It was in the writer's hands when the writer died.
    lost: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Archive {
    arena: Arc<Arena>,
    shelf: Shelf,
    groups: Groups,
    /// What waits, what is being written in front.
    queue: VecDeque<Vec<Recording>>,
    said: BTreeMap<SessionId, Said>,
    is_busy: bool,
    is_dead: bool,
    looks_at: Option<Moment>,
    counts: Counts,
}

impl Shelf {
    /// As it is by default, or so narrow that it is felt.
    pub(super) fn any(desk: &mut Desk) -> Self {
        let arena_octets = desk.pick(&[JOURNAL_ARENA_OCTETS, 96 * 1_024, 24 * 1_024]);
        let queue_max = desk.pick(&[JOURNAL_QUEUE_MAX, 4, 1]);
        Self {
            arena_octets: arena_octets.unwrap_or(JOURNAL_ARENA_OCTETS),
            queue_max: queue_max.unwrap_or(JOURNAL_QUEUE_MAX),
        }
    }
}

impl Archive {
    pub(super) fn new(shelf: Shelf) -> Self {
        Self {
            arena: Arc::new(Arena::new(shelf.arena_octets)),
            shelf,
            groups: Groups::default(),
            queue: VecDeque::new(),
            said: BTreeMap::new(),
            is_busy: false,
            is_dead: false,
            looks_at: None,
            counts: Counts::default(),
        }
    }

    /// What tapes take their memory of.
    pub(super) fn arena(&self) -> Arc<Arena> {
        Arc::clone(&self.arena)
    }

    // ---- the loop's side ----

    /// A session has ended; `others`: more of its source are open.
    pub(super) fn ended(
        &mut self,
        source: IpAddr,
        recording: Option<(Recording, Said)>,
        others: bool,
        desk: &mut Desk,
    ) {
        let recording = recording.map(|(recording, said)| {
            self.said.insert(recording.peer().session, said);
            recording
        });
        if recording.is_some() {
            self.looks_at.get_or_insert(desk.now.moment.plus_ms(LOOK_MS));
        }
        for complete in self.groups.ended(desk.now.moment, source, recording, others) {
            self.hand_over(complete, desk);
        }
    }

    /// When it wants to look after those that wait.
    pub(super) fn next_look(&self) -> Option<Moment> {
        self.looks_at
    }

    /// Hands over what has waited long enough, and lets the writer begin.
    pub(super) fn turn(&mut self, epoch: u32, desk: &mut Desk) {
        if self.looks_at.is_some_and(|at| at <= desk.now.moment) {
            for complete in self.groups.due(desk.now.moment, self.arena.is_scarce()) {
                self.hand_over(complete, desk);
            }
            self.looks_at = (!self.groups.is_empty()).then(|| desk.now.moment.plus_ms(LOOK_MS));
        }
        if !self.is_busy && !self.is_dead && !self.queue.is_empty() {
            self.is_busy = true;
            let slow = desk.one_in(10);
            let ms = if slow { desk.between(1_000, 30_000) } else { desk.between(1, 50) };
            if slow {
                desk.fault(Fault::JournalSlow);
            }
            desk.later(ms, Happening::JournalDone(epoch));
        }
        self.judge(desk);
    }

    fn hand_over(&mut self, recordings: Vec<Recording>, desk: &mut Desk) {
        self.counts.handed += 1;
        if self.is_dead || self.queue.len() > self.shelf.queue_max {
            desk.fault(if self.is_dead { Fault::JournalDead } else { Fault::JournalOverflow });
            if !desk.has(PlantedBug::OverflowIsNotCounted) {
                self.counts.dropped += 1;
            }
            self.forget(&recordings);
            if desk.has(PlantedBug::KeepsRecordings) {
                std::mem::forget(recordings);
            }
            return;
        }
        self.queue.push_back(recordings);
    }

    fn forget(&mut self, recordings: &[Recording]) -> Vec<Said> {
        let said = recordings.iter().map(|recording| self.said.remove(&recording.peer().session));
        said.map(Option::unwrap_or_default).collect()
    }

    /// Whether the writer takes nothing.
    pub(super) fn is_stuck(&self) -> bool {
        self.is_dead || !self.queue.is_empty()
    }

    // ---- the writer's side ----

    /// The writer is gone, and what it had with it.
    pub(super) fn writer_dies(&mut self, desk: &mut Desk) {
        desk.tell("the writer of the journal is gone");
        self.is_dead = true;
        let lost = std::mem::take(&mut self.queue);
        self.counts.lost += u64::try_from(lost.len()).unwrap_or(u64::MAX);
        lost.iter().for_each(|recordings| drop(self.forget(recordings)));
    }

    /// The writer is done with what is in front.
    pub(super) fn written(&mut self, settings: &Settings, weather: Weather, typed: &[u8], desk: &mut Desk) {
        self.is_busy = false;
        let Some(mut recordings) = self.queue.pop_front() else { return };
        // As they stand in the file.
        let began = |session| self.said.get(&session).map_or(Moment(0), |said| said.began);
        recordings.sort_by_key(|recording| (began(recording.peer().session), recording.peer().session));
        let said = self.forget(&recordings);
        let peers: Vec<PeerFacts> = recordings.iter().map(Recording::peer).collect();
        let made = write::file(recordings, settings);
        let outcome = match made {
            Err(why) => {
                let peers: Vec<String> = peers
                    .iter()
                    .map(|peer| format!("C{} at {}", peer.session.0, peer.listener.name()))
                    .collect();
                desk.check(Law::RecordingsPlay, false, || format!("{}: {why}", peers.join(", ")));
                false
            }
            Ok(_) if weather.is_full => {
                desk.fault(Fault::JournalFull);
                false
            }
            Ok(_) if weather.fails => {
                desk.fault(Fault::JournalFailed);
                false
            }
            Ok(mut file) => {
                if desk.has(PlantedBug::RecordsPassword) {
                    file.text.push_str(&format!("# {}\n", String::from_utf8_lossy(typed)));
                }
                judge_file(&file, &said, desk);
                true
            }
        };
        if outcome {
            self.counts.written += 1;
        } else {
            self.counts.failed += 1;
        }
    }

    // ---- laws ----

    /// Memory, and that nothing is gone without being counted.
    fn judge(&self, desk: &mut Desk) {
        let (used, most) = (self.arena.used(), self.shelf.arena_octets);
        desk.check(Law::BoundedRecordings, used <= most, || format!("{used} octets are taken of {most}"));
        let Counts { handed, written, failed, dropped, lost } = self.counts;
        let waiting = u64::try_from(self.queue.len()).unwrap_or(u64::MAX);
        let sum = written + failed + dropped + lost + waiting;
        desk.check(Law::RecordingsCounted, handed == sum, || {
            format!(
                "{handed} were handed over; {written} written, {failed} failed, {dropped} dropped, {lost} lost, \
                 {waiting} wait"
            )
        });
    }

    /// Nobody is connected any more, and the writer had all the time it wanted.
    pub(super) fn judge_rest(&self, desk: &mut Desk) {
        let used = self.arena.used();
        let idle = self.queue.is_empty() && self.groups.is_empty();
        desk.check(Law::BoundedRecordings, !idle || used == 0, || {
            format!("{used} octets are still taken, and nothing is recorded")
        });
    }
}

/// A tape, held against its share.
pub(super) fn judge_tape(tape: &Tape, desk: &mut Desk) {
    let octets = tape.octets();
    desk.check(Law::BoundedRecordings, octets <= JOURNAL_SESSION_OCTETS_MAX, || {
        format!("a recording takes {octets} octets")
    });
}

/// Which sessions are worth recording: any of them, as by default.
pub(super) fn wanted() -> Events {
    Events::all()
}

fn judge_file(file: &write::File, said: &[Said], desk: &mut Desk) {
    if file.text.lines().any(|line| line.starts_with("CUT")) {
        desk.fault(Fault::RecordingCut);
    }
    if let Some(why) = &file.shortened {
        desk.tell(&format!("{} plays up to {why}", file.name));
    }
    let secret =
        desk.town.secret_in(&file.text).or_else(|| desk.town.typed_in(&file.text)).map(str::to_owned);
    desk.check(Law::NoSecret, secret.is_none(), || {
        format!("{} holds {}", file.name, secret.unwrap_or_default())
    });
    let found = difference(file, said);
    desk.check(Law::RecordingsPlay, found.is_none(), || {
        format!("{}: {}", file.name, found.unwrap_or_default())
    });
}

/// Plays a file as anybody would, and compares what its sessions say with what they said.
fn difference(file: &write::File, said: &[Said]) -> Option<String> {
    let dialog = match parse(&file.text) {
        Ok(dialog) => dialog,
        Err(error) => return Some(error.to_string()),
    };
    let report = play(&dialog);
    if let Some(difference) = report.difference {
        return Some(difference.to_string());
    }
    for (number, said) in (1_u8..).zip(said) {
        let own = |entry: &Line| match &entry.kind {
            Kind::Session(of, event) if *of == number => Some(event.clone()),
            Kind::Session(..)
            | Kind::Blank
            | Kind::Comment(_)
            | Kind::Head(_)
            | Kind::World(_)
            | Kind::Pass(_)
            | Kind::Stop
            | Kind::Message(_)
            | Kind::Count(..) => None,
        };
        let events: Vec<Entry> = dialog.entries.iter().filter_map(own).collect();
        let is_cut = file.shortened.is_some() || events.contains(&Entry::Cut);
        // Behind a cut a player goes on as it likes; what is written was compared by it.
        let codes: Vec<u16> = if is_cut {
            events.iter().flat_map(codes_of).collect()
        } else {
            let replies = report.sessions.get(&number).map_or(&[][..], |session| &session.replies);
            replies.iter().map(|reply| reply.code).collect()
        };
        let agrees = if is_cut { said.codes.starts_with(&codes) } else { said.codes == codes };
        if !agrees {
            return Some(format!("session {number} said {:?}, and {codes:?} when it is played", said.codes));
        }
    }
    None
}

/// The code of the reply that ends here, as often as it is written down.
fn codes_of(event: &Entry) -> Vec<u16> {
    let (times, line) = if let Entry::Reply(line) = event {
        (1, line)
    } else if let Entry::Replies(times, line) = event {
        (*times, line)
    } else {
        return Vec::new();
    };
    if line.more { Vec::new() } else { (0..times).map(|_| line.code).collect() }
}
