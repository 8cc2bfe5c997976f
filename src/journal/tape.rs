//! One session as it goes, seen from outside.

use super::arena::Arena;
use super::events::{Event as Eventful, Events};
use super::reel::Reel;
use super::voice;
use crate::contract::{Action, Cause, Event, Pace, PeerFacts, Timer, TlsFacts};
use crate::directory::Directory;
use crate::smtp::outcome;
use crate::smtp::session::Settings;
use crate::telemetry::note::Note;
use crate::types::{Moment, Now};
use std::sync::Arc;

/// What a tape may look at.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// The time.
    pub now: Moment,
    /// Who is who; `None` while the store is not there.
    pub directory: Option<&'a Directory>,
    /// What all sessions share.
    pub settings: &'a Settings,
}

/// What runs beside a session. It holds nothing of its own until the peer says something.
#[derive(Debug)]
pub struct Tape {
    arena: Option<Arc<Arena>>,
    facts: PeerFacts,
    began: Now,
    pace: Pace,
    tls: Option<TlsFacts>,
    greeted: bool,
    reel: Option<Box<Reel>>,
}

/// What was written down of one session.
#[derive(Debug)]
pub struct Recording {
    pub(super) facts: PeerFacts,
    pub(super) began: Now,
    pub(super) events: Events,
    pub(super) reel: Box<Reel>,
}

impl Recording {
    /// Whose session it was.
    #[must_use]
    pub fn peer(&self) -> PeerFacts {
        self.facts
    }

    /// What made it worth keeping.
    #[must_use]
    pub fn events(&self) -> Events {
        self.events
    }
}

impl Tape {
    /// A tape for a session that begins now; without an arena it records nothing.
    #[must_use]
    pub fn new(arena: Option<Arc<Arena>>, facts: PeerFacts, now: Now) -> Self {
        Self { arena, facts, began: now, pace: Pace::default(), tls: None, greeted: false, reel: None }
    }

    /// Something is about to happen to the session that is not octets.
    pub fn happens(&mut self, sight: &Sight<'_>, event: &Event<'_>) {
        if self.arena.is_none() {
            return;
        }
        let Some(reel) = &mut self.reel else { return self.happens_quietly(sight, event) };
        match event {
            Event::Paced(pace) => {
                reel.pace = *pace;
                reel.entry(sight.now, &voice::pace(*pace));
            }
            Event::TlsUp(facts) => reel.tls_is_up(sight.now, facts),
            Event::Answered(ticket, answer) => reel.answered(sight, *ticket, answer),
            Event::Due(timer) => reel.due = Some(*timer),
            Event::PeerClosed => {
                reel.flush(sight);
                reel.entry(sight.now, "EOF:");
            }
            Event::Stopping => reel.stopping(sight),
            Event::Opened | Event::Bytes(_) => {}
        }
    }

    /// The same while nothing is on the tape: what may be needed later is kept beside it.
    fn happens_quietly(&mut self, sight: &Sight<'_>, event: &Event<'_>) {
        match event {
            Event::Paced(pace) => self.pace = *pace,
            Event::TlsUp(facts) => self.tls = Some(facts.clone()),
            // The greeting that was held back: what is early about the peer is known by now.
            Event::Due(Timer::Pace) | Event::Opened => {
                self.greeted |= self.pace.greeting_ms == 0 || matches!(event, Event::Due(_))
            }
            Event::Stopping | Event::PeerClosed | Event::Due(Timer::Idle | Timer::Session) => {
                if self.wind(sight) {
                    self.happens(sight, event);
                }
            }
            Event::Answered(..) | Event::Bytes(_) => {}
        }
    }

    /// Puts on the tape what was so far. False if there is no room for it.
    fn wind(&mut self, sight: &Sight<'_>) -> bool {
        if self.reel.is_some() {
            return true;
        }
        let Some(arena) = &self.arena else { return false };
        let Some(mut reel) = Reel::new(arena, self.began.moment) else {
            // Too much is recorded already: this session is not.
            self.arena = None;
            return false;
        };
        reel.pace = self.pace;
        if self.pace != Pace::default() {
            reel.entry(self.began.moment, &voice::pace(self.pace));
        }
        if let Some(tls) = self.tls.take() {
            reel.handshake = true;
            reel.tls_is_up(self.began.moment, &tls);
            reel.count(&Note::Encrypted);
        }
        if self.greeted {
            if self.pace.greeting_ms > 0 {
                reel.entry(sight.now, &format!("@T pace {}", self.pace.greeting_ms));
            }
            reel.reply(self.began.moment, &outcome::greeting(sight.settings));
        }
        self.reel = Some(Box::new(reel));
        true
    }

    /// The session was offered octets, took these, and answered with these actions.
    pub fn took(&mut self, sight: &Sight<'_>, octets: &[u8], actions: &[Action]) {
        if self.arena.is_none() || (octets.is_empty() && actions.is_empty()) || !self.wind(sight) {
            return;
        }
        let listener = self.facts.listener;
        if let Some(reel) = &mut self.reel {
            reel.took(sight, listener, octets, actions);
        }
    }

    /// The session answered what happened with these actions.
    pub fn did(&mut self, sight: &Sight<'_>, actions: &[Action]) {
        if let Some(reel) = &mut self.reel {
            reel.did(sight, actions);
        } else if self.arena.is_some() {
            // Nothing is on the tape, so what is said is the greeting, or nothing.
            self.greeted |= actions.iter().any(|action| matches!(action, Action::Say(_)));
        }
    }

    /// The session panicked over these octets.
    pub fn lost(&mut self, sight: &Sight<'_>, octets: &[u8]) {
        if !self.wind(sight) {
            return;
        }
        let listener = self.facts.listener;
        if let Some(reel) = &mut self.reel {
            reel.took(sight, listener, octets, &[]);
            reel.flush(sight);
            reel.events.add(Eventful::Fault);
            reel.cut(sight.now);
        }
    }

    /// The session ended for a reason that it did not see.
    pub fn gone(&mut self, sight: &Sight<'_>, cause: Cause) {
        let Some(reel) = &mut self.reel else { return };
        if reel.over {
            return;
        }
        match cause {
            Cause::TlsFailed if reel.handshake => {
                reel.entry(sight.now, "TLS: failed");
                reel.entry(sight.now, "CLOSE: tls-failed");
                reel.count(&Note::Closed { cause, errors: 0, offence: "tls" });
                reel.over = true;
            }
            Cause::Broken => {
                reel.flush(sight);
                reel.entry(sight.now, "RST:");
                reel.entry(sight.now, "CLOSE: broken");
                reel.count(&Note::Closed { cause, errors: 0, offence: "" });
                reel.over = true;
            }
            Cause::Fault => {
                reel.events.add(Eventful::Fault);
                reel.cut(sight.now);
            }
            Cause::Quit
            | Cause::PeerClosed
            | Cause::TooManyErrors
            | Cause::TooManyRefusedRecipients
            | Cause::TooManyAuthFailures
            | Cause::NotSmtp
            | Cause::Idle
            | Cause::TooLong
            | Cause::TlsFailed
            | Cause::Stopping
            | Cause::Crowded => reel.cut(sight.now),
        }
    }

    /// What follows cannot be played again.
    pub fn cut(&mut self, now: Moment) {
        if let Some(reel) = &mut self.reel {
            reel.cut(now);
        }
    }

    /// The recording, if the session did any of these.
    #[must_use]
    pub fn finish(&mut self, now: Moment, wanted: Events) -> Option<Recording> {
        self.whole(now).filter(|recording| !recording.events.common(wanted).is_empty())
    }

    /// The recording, whatever the session did.
    #[must_use]
    pub fn whole(&mut self, now: Moment) -> Option<Recording> {
        let mut reel = self.reel.take()?;
        reel.close(now);
        Some(Recording { facts: self.facts, began: self.began, events: reel.events, reel })
    }

    /// Octets it takes of the arena.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.reel.as_ref().map_or(0, |reel| reel.charged)
    }
}
