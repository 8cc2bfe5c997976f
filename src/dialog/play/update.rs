//! What a dialogue would have to say so that it agrees with what happens.

use super::{Cuts, Difference, Player, World, matches};
use crate::dialog::{Dialog, Entry, Event, Kind, ReplyLine};
use crate::types::Reply;
use std::collections::BTreeMap;

/// A line of a dialogue, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It stays.
    Same(Entry),
    /// It is not what happens.
    Gone(Entry),
    /// It is what happens, and is not written down. Its line is that of the line it stands in front of or
    /// replaces.
    Came(Entry),
}

/// What each line becomes.
///
/// # Errors
/// A difference that no other expectation mends: a law that was broken, an answer to what nobody asked, a world
/// that contradicts itself.
pub fn changes(dialog: &Dialog) -> Result<Vec<Change>, Difference> {
    let world = World::of(dialog).map_err(|(line, what)| Difference { line, what, is_law: false })?;
    let mut cuts = Cuts::Whole;
    let player = Player::new(dialog, &world, &mut cuts, true);
    let mut updater =
        Updater { player, changes: Vec::new(), blocks: BTreeMap::new(), counts: false, is_over: false };
    updater.run(dialog)?;
    Ok(updater.changes)
}

/// The dialogue with its changes made; its lines are numbered as they stand then.
#[must_use]
pub fn changed(dialog: &Dialog, changes: &[Change]) -> Dialog {
    let stays = changes.iter().filter_map(|change| match change {
        Change::Same(entry) | Change::Came(entry) => Some(&entry.kind),
        Change::Gone(_) => None,
    });
    let entries = stays.zip(2usize..).map(|(kind, line)| Entry { line, kind: kind.clone() });
    Dialog { head: dialog.head.clone(), entries: entries.collect() }
}

struct Updater<'p, 'c> {
    player: Player<'p, 'c>,
    changes: Vec<Change>,
    /// The lines of replies whose every line is given, so far.
    blocks: BTreeMap<u8, Vec<Entry>>,
    /// Whether counters are written down.
    counts: bool,
    /// Whether all that follows says what was counted.
    is_over: bool,
}

type Step = Result<(), Difference>;

impl<'p> Updater<'p, '_> {
    fn run(&mut self, dialog: &'p Dialog) -> Step {
        let mut speaking = None;
        for entry in &dialog.entries {
            if let Kind::Blank | Kind::Comment(_) | Kind::Head(_) | Kind::World(_) = entry.kind {
                self.changes.push(Change::Same(entry.clone()));
                continue;
            }
            let speaker = speaker(&entry.kind);
            if speaker.is_none() || speaker != speaking {
                self.player.deliver()?;
            }
            let goes_on = speaker.is_some() && speaker == speaking;
            speaking = speaker;
            self.player.line = entry.line;
            if goes_on {
                // What is sent in a row stays together.
                self.changes.push(Change::Same(entry.clone()));
                self.player.entry(&entry.kind)?;
            } else {
                self.greet(dialog, &entry.kind);
                self.entry(entry)?;
            }
        }
        self.player.deliver()?;
        self.player.line = self.player.line.saturating_add(1);
        self.end()
    }

    /// Where no reply of a session is written down, it is greeted before its client speaks.
    fn greet(&mut self, dialog: &Dialog, kind: &'p Kind) {
        let Kind::Session(number, event @ Event::Client(..)) = kind else { return };
        let is_reply = |event: &Event| matches!(event, Event::Reply(_) | Event::Replies(..));
        let mut events = dialog.entries.iter().filter_map(|entry| entry.kind.of_session(*number));
        if !self.player.places.contains_key(number) && !events.any(is_reply) {
            self.player.place(*number, Some(event));
        }
    }

    fn came(&mut self, kind: Kind) {
        self.changes.push(Change::Came(Entry { line: self.player.line, kind }));
    }

    fn entry(&mut self, entry: &'p Entry) -> Step {
        match &entry.kind {
            Kind::Session(number, event) => self.session(entry, *number, event),
            Kind::Message(expected) => {
                let change = match self.player.message(expected) {
                    Ok(()) => Change::Same(entry.clone()),
                    Err(_) => Change::Gone(entry.clone()),
                };
                self.changes.push(change);
                Ok(())
            }
            Kind::Count(name, count) => {
                self.finish()?;
                self.counts = true;
                let change = match self.player.count(name, *count) {
                    Ok(()) => Change::Same(entry.clone()),
                    Err(_) => Change::Gone(entry.clone()),
                };
                if let Change::Gone(_) = change {
                    self.player.counted.remove(name.as_str());
                }
                self.changes.push(change);
                Ok(())
            }
            Kind::Pass(_) | Kind::Stop | Kind::Blank | Kind::Comment(_) | Kind::Head(_) | Kind::World(_) => {
                self.changes.push(Change::Same(entry.clone()));
                self.player.entry(&entry.kind)
            }
        }
    }

    fn session(&mut self, entry: &'p Entry, number: u8, event: &'p Event) -> Step {
        let same = Change::Same(entry.clone());
        match event {
            Event::Reply(line) => {
                // It opens where it is named first.
                self.player.place(number, Some(event));
                self.player.after_step()?;
                let block = self.blocks.entry(number).or_default();
                block.push(entry.clone());
                if !line.more {
                    let block = std::mem::take(block);
                    self.replies(number, &block, 1);
                }
                Ok(())
            }
            Event::Replies(count, _) => {
                self.player.place(number, Some(event));
                self.player.after_step()?;
                self.replies(number, std::slice::from_ref(entry), *count);
                Ok(())
            }
            Event::ReplyHas(_) | Event::ReplyLacks(_) => {
                let holds = self.player.session(number, event).is_ok();
                self.changes.push(if holds { same } else { Change::Gone(entry.clone()) });
                Ok(())
            }
            Event::Closed(expected) => {
                self.unwritten(number);
                let place = self.player.place(number, None);
                let end = place.seat.end();
                place.end_seen = end.is_some();
                match end {
                    Some(end) if end == *expected => self.changes.push(same),
                    Some(end) => {
                        self.changes.push(Change::Gone(entry.clone()));
                        self.came(Kind::Session(number, Event::Closed(end)));
                    }
                    None => self.changes.push(Change::Gone(entry.clone())),
                }
                Ok(())
            }
            Event::Client(..)
            | Event::TlsUp(_)
            | Event::TlsFailed
            | Event::PeerClosed
            | Event::Broken
            | Event::Answer(..)
            | Event::Cut
            | Event::Paced(_)
            | Event::Open(..) => {
                if self.player.places.contains_key(&number) && !matches!(event, Event::Cut) {
                    self.unwritten(number);
                }
                self.changes.push(same);
                self.player.session(number, event)
            }
        }
    }

    /// The next replies against what is written, which is one reply of several lines or several like one line.
    fn replies(&mut self, number: u8, block: &[Entry], count: u32) {
        let lines: Vec<ReplyLine> = block.iter().flat_map(written).collect();
        let mut fits: u32 = 0;
        let mut others: Vec<Reply> = Vec::new();
        for _ in 0..count {
            match self.next_reply(number) {
                Some(reply) if others.is_empty() && matches(&lines, &reply) => fits = fits.saturating_add(1),
                Some(reply) => others.push(reply),
                None => break,
            }
        }
        if fits == count {
            return self.changes.extend(block.iter().cloned().map(Change::Same));
        }
        self.changes.extend(block.iter().cloned().map(Change::Gone));
        match (fits, lines.as_slice()) {
            (0, _) => {}
            (1, [line]) => self.came(Kind::Session(number, Event::Reply(line.clone()))),
            (fits, [line]) => self.came(Kind::Session(number, Event::Replies(fits, line.clone()))),
            // A reply of several lines is expected once.
            (_, _) => {}
        }
        for reply in others {
            self.reply_came(number, &reply);
        }
    }

    fn next_reply(&mut self, number: u8) -> Option<Reply> {
        let place = self.player.place(number, None);
        let reply = place.seat.transcript.replies.get(place.matched).cloned()?;
        place.matched = place.matched.saturating_add(1);
        Some(reply)
    }

    /// Replies that are not written down.
    fn unwritten(&mut self, number: u8) {
        while let Some(reply) = self.next_reply(number) {
            self.reply_came(number, &reply);
        }
    }

    fn reply_came(&mut self, number: u8, reply: &Reply) {
        let last = reply.lines.len().saturating_sub(1);
        for (at, text) in reply.lines.iter().enumerate() {
            let line = ReplyLine {
                code: reply.code,
                more: at < last,
                enhanced: reply.enhanced,
                text: (!text.is_empty()).then(|| text.to_string()),
            };
            self.came(Kind::Session(number, Event::Reply(line)));
        }
    }

    /// What all sessions said and did that is not written down.
    fn finish(&mut self) -> Step {
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(());
        }
        let numbers: Vec<u8> = self.player.places.keys().copied().collect();
        for number in numbers {
            if self.player.place(number, None).cut.is_some() {
                continue;
            }
            self.unwritten(number);
            let place = self.player.place(number, None);
            if let (Some(end), false) = (place.seat.end(), place.end_seen) {
                place.end_seen = true;
                self.came(Kind::Session(number, Event::Closed(end)));
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Step {
        self.finish()?;
        if self.counts {
            let counters = self.player.counters();
            for (name, count) in
                counters.iter().filter(|(name, _)| !self.player.counted.contains(name.as_str()))
            {
                self.changes.push(Change::Came(Entry {
                    line: self.player.line,
                    kind: Kind::Count(name.clone(), *count),
                }));
            }
            // All of them are written now.
            self.player.counted.clear();
        }
        self.player.end()?;
        self.player.afterlife()
    }
}

/// Whose client speaks.
fn speaker(kind: &Kind) -> Option<u8> {
    match kind {
        Kind::Session(number, Event::Client(..)) => Some(*number),
        Kind::Session(..)
        | Kind::Blank
        | Kind::Comment(_)
        | Kind::Head(_)
        | Kind::World(_)
        | Kind::Pass(_)
        | Kind::Stop
        | Kind::Message(_)
        | Kind::Count(..) => None,
    }
}

/// The reply that a line expects.
fn written(entry: &Entry) -> Option<ReplyLine> {
    match &entry.kind {
        Kind::Session(_, Event::Reply(line) | Event::Replies(_, line)) => Some(line.clone()),
        Kind::Session(..)
        | Kind::Blank
        | Kind::Comment(_)
        | Kind::Head(_)
        | Kind::World(_)
        | Kind::Pass(_)
        | Kind::Stop
        | Kind::Message(_)
        | Kind::Count(..) => None,
    }
}
