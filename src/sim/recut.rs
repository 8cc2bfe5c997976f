//! A session again, with the same events, its octets cut into other reads: it must say and keep the same.

use crate::contract::{
    Action, Actions, Answer, Cause, Event, Pace, PeerFacts, Question, Ticket, Timer, TlsFacts,
};
use crate::smtp::session::{Session, Settings};
use crate::types::{Chance, Now};
use std::sync::Arc;

/// An event that can be told again.
#[derive(Debug)]
enum Told {
    Paced(Pace),
    Opened,
    Octets(Vec<u8>),
    /// Octets that were heard and not taken: they came before the greeting.
    Unheard(Vec<u8>),
    TlsUp(TlsFacts),
    Answered(Ticket, Answer),
    Due(Timer),
    PeerClosed,
    Stopping,
    Ended(Cause),
}

/// What a session did that anybody can see, times left out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    said: Vec<u8>,
    kept: Vec<u8>,
    asked: Vec<(Ticket, &'static str)>,
    deeds: Vec<String>,
}

/// All that happened to one session.
#[derive(Debug)]
pub(super) struct Recording {
    facts: PeerFacts,
    settings: Arc<Settings>,
    chance: Chance,
    told: Vec<(Now, Told)>,
    seen: Seen,
}

impl Recording {
    pub(super) fn new(facts: PeerFacts, settings: Arc<Settings>, chance: Chance) -> Self {
        Self { facts, settings, chance, told: Vec::new(), seen: Seen::default() }
    }

    /// Notes an event. Of octets those that were taken.
    pub(super) fn event(&mut self, now: Now, event: &Event<'_>, taken: usize) {
        let told = match event {
            Event::Paced(pace) => Told::Paced(*pace),
            Event::Opened => Told::Opened,
            Event::Bytes(octets) if taken == 0 => Told::Unheard(octets.to_vec()),
            Event::Bytes(octets) => {
                let octets = octets.get(..taken).unwrap_or_default();
                if let Some((last, Told::Octets(before))) = self.told.last_mut() {
                    *last = now;
                    before.extend_from_slice(octets);
                    return;
                }
                Told::Octets(octets.to_vec())
            }
            Event::TlsUp(facts) => Told::TlsUp(facts.clone()),
            Event::Answered(ticket, answer) => Told::Answered(*ticket, copy(answer)),
            Event::Due(timer) => Told::Due(*timer),
            Event::PeerClosed => Told::PeerClosed,
            Event::Stopping => Told::Stopping,
        };
        self.told.push((now, told));
    }

    /// Notes an end from outside.
    pub(super) fn ended(&mut self, now: Now, cause: Cause) {
        self.told.push((now, Told::Ended(cause)));
    }

    /// Notes what a step did.
    pub(super) fn actions(&mut self, actions: &[Action]) {
        self.seen.take(actions);
    }

    /// Plays it again, cut by chance. Says what was different.
    pub(super) fn differs(&self, chance: &mut Chance) -> Option<String> {
        let mut session = Session::new(self.facts, self.settings.clone(), self.chance.clone());
        let mut seen = Seen::default();
        for (now, told) in &self.told {
            let event = match told {
                Told::Octets(octets) => {
                    if !feed(&mut session, *now, octets, chance, &mut seen) {
                        return Some(format!("did not take {} octets again", octets.len()));
                    }
                    continue;
                }
                Told::Ended(cause) => {
                    let mut out = Actions::new();
                    session.end(*now, *cause, &mut out);
                    seen.take(&out.take());
                    continue;
                }
                Told::Unheard(octets) => Event::Bytes(octets),
                Told::Paced(pace) => Event::Paced(*pace),
                Told::Opened => Event::Opened,
                Told::TlsUp(facts) => Event::TlsUp(facts.clone()),
                Told::Answered(ticket, answer) => Event::Answered(*ticket, copy(answer)),
                Told::Due(timer) => Event::Due(*timer),
                Told::PeerClosed => Event::PeerClosed,
                Told::Stopping => Event::Stopping,
            };
            let mut out = Actions::new();
            session.step(*now, event, &mut out);
            seen.take(&out.take());
        }
        self.seen.difference(&seen)
    }
}

/// Feeds octets in pieces. False: the session would not take what it took before.
fn feed(session: &mut Session, now: Now, octets: &[u8], chance: &mut Chance, seen: &mut Seen) -> bool {
    let mut rest = octets;
    let mut held = 0;
    while !rest.is_empty() && !session.is_over() {
        let more = usize::try_from(chance.below(u64::try_from(rest.len()).unwrap_or(1))).unwrap_or(0);
        let piece = rest.get(..held.max(more + 1)).unwrap_or(rest);
        let mut out = Actions::new();
        let taken = session.step(now, Event::Bytes(piece), &mut out);
        seen.take(&out.take());
        if taken == 0 {
            return false;
        }
        // What was offered stays in front.
        held = piece.len() - taken;
        rest = rest.get(taken..).unwrap_or_default();
    }
    true
}

impl Seen {
    fn take(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Say(reply) => reply.encode(&mut self.said),
                Action::Ask(ticket, question) => self.asked.push((*ticket, kind(question))),
                Action::Keep(octets) => self.kept.extend_from_slice(octets),
                Action::Forget => self.kept.clear(),
                Action::StartTls => self.deeds.push("tls".into()),
                Action::Arm(..) => {}
                Action::Note(note) => self.deeds.push(format!("{note:?}")),
                Action::Close(cause) => self.deeds.push(cause.name().into()),
            }
        }
    }

    fn difference(&self, again: &Self) -> Option<String> {
        if self == again {
            return None;
        }
        let pairs = [
            ("said", super::desk::shown(&self.said), super::desk::shown(&again.said)),
            ("asked", format!("{:?}", self.asked), format!("{:?}", again.asked)),
            ("did", format!("{:?}", self.deeds), format!("{:?}", again.deeds)),
        ];
        let found = pairs.into_iter().find(|(_, one, other)| one != other);
        Some(
            found.map_or("kept other octets".into(), |(what, one, other)| {
                format!("{what} {one}, then {other}")
            }),
        )
    }
}

fn kind(question: &Question) -> &'static str {
    match question {
        Question::Room(_) => "room",
        Question::Sender(..) => "sender",
        Question::Recipient(_) => "recipient",
        Question::Login { .. } => "login",
        Question::Salt(_) => "salt",
        Question::Proof(_) => "proof",
        Question::Commit(_) => "commit",
    }
}

/// The same answer once more.
pub(super) fn copy(answer: &Answer) -> Answer {
    match answer {
        Answer::Room(room) => Answer::Room(*room),
        Answer::Sender(lookup) => Answer::Sender(*lookup),
        Answer::Recipient(lookup) => Answer::Recipient(lookup.clone()),
        Answer::Login(verdict) => Answer::Login(*verdict),
        Answer::Salt(salt) => Answer::Salt(*salt),
        Answer::Proof(verdict, signature) => Answer::Proof(*verdict, *signature),
        Answer::Commit(answer) => Answer::Commit(*answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Listener;
    use crate::types::{Domain, SessionId};

    /// A session that got these octets in one read.
    fn recorded(octets: &[u8]) -> Recording {
        let address = "203.0.113.9".parse().unwrap();
        let facts = PeerFacts { session: SessionId(1), address, listener: Listener::Smtp };
        let settings = Arc::new(Settings {
            hostname: Domain::parse("mx.home.example").unwrap(),
            message_octets_max: 1_000,
            tls_available: true,
            scram: crate::types::ScramUse::All,
            idle_ms: 1_000,
        });
        let chance = Chance::from_seed([1; 32]);
        let mut recording = Recording::new(facts, settings.clone(), chance.clone());
        let mut session = Session::new(facts, settings, chance);
        for event in [Event::Opened, Event::Bytes(octets)] {
            let mut out = Actions::new();
            let told = if let Event::Bytes(octets) = &event { Event::Bytes(octets) } else { Event::Opened };
            let taken = session.step(Now::default(), event, &mut out);
            recording.event(Now::default(), &told, taken);
            recording.actions(out.as_slice());
        }
        recording
    }

    #[test]
    fn a_session_cut_otherwise_is_the_same_session() {
        let recording = recorded(b"EHLO a\r\nNOOP\r\nMAIL FROM:<>\r\n");
        let mut chance = Chance::from_seed([2; 32]);
        assert!((0..50).all(|_| recording.differs(&mut chance).is_none()));
    }

    #[test]
    fn what_a_session_said_before_and_does_not_say_again_is_a_difference() {
        let mut recording = recorded(b"EHLO a\r\nNOOP\r\n");
        recording.seen.said.extend_from_slice(b"250 2.0.0 OK\r\n");
        assert!(recording.differs(&mut Chance::from_seed([2; 32])).unwrap().starts_with("said"));
    }

    #[test]
    fn octets_that_are_not_taken_again_are_a_difference() {
        let mut recording = recorded(b"EHLO a\r\nMAIL FROM:<>\r\n");
        recording.event(Now::default(), &Event::Bytes(b"NOOP\r\n"), 6);
        assert!(recording.differs(&mut Chance::from_seed([2; 32])).unwrap().starts_with("did not take"));
    }
}
