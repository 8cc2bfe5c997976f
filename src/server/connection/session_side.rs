//! What a connection does for its session: brings it events, carries out its actions, and answers at once
//! what can be answered from memory.

use super::super::desk::{Deed, Desk};
use super::super::timers::Deadline;
use super::{Connection, State};
use crate::contract::{Action, Actions, Answer, Event, Question, Ticket};
use crate::journal::{Sight, Tape};
use crate::policy::{recipient, sender};
use crate::smtp::session::Session;
use crate::telemetry::note::Note;
use std::collections::VecDeque;

impl Connection {
    pub(super) fn step(&mut self, event: Event<'_>, desk: &Desk<'_>, deeds: &mut Vec<Deed>) -> usize {
        let mut actions = Actions::new();
        let taken = match event {
            Event::Bytes(octets) => offer(&mut self.session, &mut self.tape, octets, desk, &mut actions),
            event @ (Event::Paced(_)
            | Event::Opened
            | Event::TlsUp(_)
            | Event::Answered(..)
            | Event::Due(_)
            | Event::PeerClosed
            | Event::Stopping) => {
                self.happen(event, desk, &mut actions);
                0
            }
        };
        self.carry_out(actions, desk, deeds);
        taken
    }

    /// Gives the session an event that is not octets.
    fn happen(&mut self, event: Event<'_>, desk: &Desk<'_>, actions: &mut Actions) {
        let sight = desk.sight();
        self.tape.happens(&sight, &event);
        self.session.step(desk.now, event, actions);
        self.tape.did(&sight, actions.as_slice());
    }

    /// Carries out what the session wants, and answers at once what can be answered from memory.
    pub(super) fn carry_out(&mut self, mut actions: Actions, desk: &Desk<'_>, deeds: &mut Vec<Deed>) {
        let mut answers = VecDeque::new();
        loop {
            for action in actions.take() {
                if let Some(answer) = self.carry_out_one(action, desk, deeds) {
                    answers.push_back(answer);
                }
            }
            let Some((ticket, answer)) = answers.pop_front() else { return };
            self.happen(Event::Answered(ticket, answer), desk, &mut actions);
        }
    }

    pub(super) fn carry_out_one(
        &mut self,
        action: Action,
        desk: &Desk<'_>,
        deeds: &mut Vec<Deed>,
    ) -> Option<(Ticket, Answer)> {
        match action {
            Action::Say(reply) => reply.encode(self.wire.output_mut()),
            Action::Ask(ticket, question) => return self.ask(ticket, question, desk, deeds),
            Action::Keep(octets) => deeds.push(Deed::Keep(octets)),
            Action::Forget => deeds.push(Deed::Forget),
            Action::StartTls => self.state = State::TlsWanted,
            Action::Arm(timer, at) => self.deadlines.arm(Deadline::Session(timer), at),
            Action::Note(note) => self.note(note, deeds),
            Action::Close(_) => self.begin_close(desk.now),
        }
        None
    }

    pub(super) fn ask(
        &mut self,
        ticket: Ticket,
        question: Question,
        desk: &Desk<'_>,
        deeds: &mut Vec<Deed>,
    ) -> Option<(Ticket, Answer)> {
        match question {
            Question::Room(octets) => Some((ticket, Answer::Room(desk.room.answer(octets)))),
            Question::Sender(account, by, path) => {
                let lookup = sender::look_up(Some(desk.directory), account, by.app_password(), &path);
                Some((ticket, Answer::Sender(lookup)))
            }
            Question::Recipient(path) => {
                Some((ticket, Answer::Recipient(recipient::look_up(Some(desk.directory), &path))))
            }
            Question::Login { login, password, authorize_as } => {
                deeds.push(Deed::Login { ticket, login, password, authorize_as });
                None
            }
            Question::Salt(login) => Some((ticket, Answer::Salt(desk.salts.of(&login)))),
            Question::Proof(proof) => {
                deeds.push(Deed::Proof(ticket, proof));
                None
            }
            Question::Commit(commit) => {
                self.committing = true;
                deeds.push(Deed::Commit(ticket, commit));
                None
            }
        }
    }

    pub(super) fn note(&mut self, note: Note, deeds: &mut Vec<Deed>) {
        if let Note::Closed { .. } = &note {
            if self.noted_end {
                return;
            }
            self.noted_end = true;
        }
        deeds.push(Deed::Note(note));
    }
}

/// Offers a session octets and writes down which it took. Where it panics over them, they are what the journal
/// wants most.
pub(super) fn offer(
    session: &mut Session,
    tape: &mut Tape,
    octets: &[u8],
    desk: &Desk<'_>,
    actions: &mut Actions,
) -> usize {
    let mut offered = Offered { tape, sight: desk.sight(), octets: Some(octets) };
    planted_panic(octets);
    let taken = session.step(desk.now, Event::Bytes(octets), actions);
    offered.octets = None;
    offered.tape.took(&offered.sight, octets.get(..taken).unwrap_or_default(), actions.as_slice());
    taken
}

/// Octets that a session is looking at.
struct Offered<'o> {
    tape: &'o mut Tape,
    sight: Sight<'o>,
    octets: Option<&'o [u8]>,
}

impl Drop for Offered<'_> {
    fn drop(&mut self) {
        if let Some(octets) = self.octets.take() {
            let (tape, sight) = (&mut self.tape, &self.sight);
            let write_down = std::panic::AssertUnwindSafe(|| tape.lost(sight, octets));
            // A second panic within the first would end the process; then there is no recording.
            let _ = std::panic::catch_unwind(write_down);
        }
    }
}

/// Lets tests see that a panic inside the wall stays inside.
#[cfg(test)]
pub(super) fn planted_panic(octets: &[u8]) {
    assert!(!octets.starts_with(b"PANIC NOW\r\n"), "planted by a test");
}

#[cfg(not(test))]
pub(super) fn planted_panic(_: &[u8]) {}
