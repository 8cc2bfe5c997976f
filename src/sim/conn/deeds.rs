//! What a session wants done, done and judged.

use super::{Conn, Open, Stepped};
use crate::contract::{Action, Actions, Cause, Commit, Question, Ticket, Timer};
use crate::limits::{ACTIONS_PER_STEP_MAX, IDLE_MS, LINGER_MS, SESSION_MS_MAX, SIDE_DOOR_MS};
use crate::sim::Law;
use crate::sim::desk::Desk;
use crate::sim::planted::PlantedBug;
use crate::telemetry::note::{Note, Noted};
use crate::types::{MailId, Moment, Reply};

impl Conn {
    pub(super) fn perform(&mut self, mut out: Actions, desk: &mut Desk) -> Stepped {
        let mut actions = out.take();
        desk.check(Law::BoundedStep, actions.len() <= ACTIONS_PER_STEP_MAX, || {
            format!("{} actions", actions.len())
        });
        self.recording.actions(&actions);
        self.meddle(&mut actions, desk);
        let mut stepped = Stepped::default();
        let mut closed = false;
        for action in actions {
            desk.check(Law::BoundedStep, !closed, || format!("{action:?} behind the end"));
            match action {
                Action::Say(reply) => self.say(&reply, &mut stepped, desk),
                Action::Ask(ticket, question) => self.ask(ticket, question, &mut stepped, desk),
                Action::Keep(piece) => self.kept.extend(piece),
                Action::Forget if desk.has(PlantedBug::KeepsForgotten) => {}
                Action::Forget => self.kept.clear(),
                Action::StartTls => self.wants_tls = true,
                Action::Arm(timer, when) => self.arm(timer, when, desk),
                Action::Note(note) => self.note(note, desk),
                Action::Close(cause) => {
                    closed = true;
                    self.closed(cause, desk);
                }
            }
        }
        desk.check(
            Law::EverySessionEnds,
            closed == self.session.is_over() || self.linger_by.is_some(),
            || "a session was over without a word".into(),
        );
        stepped
    }

    /// Planted bugs between the session and its peer.
    fn meddle(&mut self, actions: &mut Vec<Action>, desk: &Desk) {
        let says = actions.iter().filter(|action| matches!(action, Action::Say(_))).count();
        self.says += u64::try_from(says).unwrap_or(0);
        if desk.has(PlantedBug::DropsReply) && says > 0 && (4..8).contains(&self.says) {
            actions.retain(|action| !matches!(action, Action::Say(_)));
        }
        if desk.has(PlantedBug::ClosesBeforeReply) {
            // A stable order: the end first, everything else as it was.
            actions.sort_by_key(|action| !matches!(action, Action::Close(_)));
        }
        if desk.has(PlantedBug::SwapsReplies) && says > 1 {
            let places: Vec<usize> = actions
                .iter()
                .enumerate()
                .filter(|(_, action)| matches!(action, Action::Say(_)))
                .map(|(place, _)| place)
                .collect();
            if let [.., one, other] = places.as_slice() {
                actions.swap(*one, *other);
            }
        }
    }

    fn say(&mut self, reply: &Reply, stepped: &mut Stepped, desk: &mut Desk) {
        let text = reply.lines.first().map(AsRef::as_ref).unwrap_or_default();
        if reply.code == 250
            && let Some(id) = text.strip_prefix("OK ").and_then(MailId::parse)
        {
            let committed = self.committing.take();
            let right = committed.as_ref().is_some_and(|(committed, _)| *committed == id);
            desk.check(Law::HonestYes, right, || {
                format!("said yes to {id}, which was never to be committed")
            });
            stepped.yes = committed;
            self.earned_at = desk.now.moment;
        }
        let mut octets = Vec::new();
        reply.encode(&mut octets);
        self.output.extend(self.layer.seal(&octets));
    }

    fn ask(&mut self, ticket: Ticket, question: Question, stepped: &mut Stepped, desk: &mut Desk) {
        let one_at_a_time = self.open.is_none();
        desk.check(Law::BoundedStep, one_at_a_time, || format!("asks {question:?} while a question is open"));
        let is_login = matches!(question, Question::Login { .. } | Question::Proof(_));
        match &question {
            Question::Commit(commit) => {
                let octets = u64::try_from(self.kept.len()).unwrap_or(u64::MAX);
                desk.check(Law::HonestYes, commit.body_octets == octets, || {
                    format!("{} octets are to be committed, {octets} were kept", commit.body_octets)
                });
                let Commit { id, deliveries, .. } = &**commit;
                self.committing = Some((*id, deliveries.iter().map(|copy| copy.account).collect()));
            }
            Question::Login { password, .. } => self.password = password.reveal().to_vec(),
            Question::Room(_)
            | Question::Sender(..)
            | Question::Recipient(_)
            | Question::Salt(_)
            | Question::Proof(_) => {}
        }
        let kind = match &question {
            Question::Room(_) | Question::Sender(..) => "mail",
            Question::Recipient(_) => "recipient",
            Question::Login { .. } => "login",
            Question::Salt(_) | Question::Proof(_) => "scram",
            Question::Commit(_) => "commit",
        };
        let asked = desk.now.moment;
        self.open = Some(Open { ticket, asked, excused: false, is_login, kind, promised: false });
        stepped.asks.push((ticket, question));
    }

    pub(super) fn arm(&mut self, timer: Timer, when: Option<Moment>, desk: &Desk) {
        let [idle, session, pace] = &mut self.timers;
        let place = match timer {
            Timer::Idle => idle,
            Timer::Session => session,
            Timer::Pace => pace,
        };
        if !(desk.has(PlantedBug::KeepsOldDeadline) && place.is_some()) {
            *place = when;
        }
    }

    fn note(&mut self, mut note: Note, desk: &mut Desk) {
        self.notes.push(note.clone());
        if let Note::Login { login, .. } = &mut note
            && desk.has(PlantedBug::LogsPassword)
        {
            login.push_str(&String::from_utf8_lossy(&self.password));
        }
        let noted = Noted { peer: self.facts, note, app_password: String::new() };
        let lines = desk.recorder.judge(desk.now.moment, &noted);
        let mut texts: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
        texts.push(format!("{noted:?}"));
        for text in texts {
            let found = desk.town.secret_in(&text).is_some();
            desk.check(Law::NoSecret, !found, || format!("a secret is in {text}"));
        }
    }

    fn closed(&mut self, cause: Cause, desk: &mut Desk) {
        desk.tell(&format!("C{} is closed: {}", self.number, cause.name()));
        let silence = desk.now.moment.since_ms(self.heard_at);
        let age = desk.now.moment.since_ms(self.earned_at);
        match cause {
            Cause::Idle
                if self.beside_since.is_some_and(|since| desk.now.moment.since_ms(since) >= SIDE_DOOR_MS) => {
            }
            Cause::Idle => {
                desk.check(Law::FairTimers, silence >= IDLE_MS, || {
                    format!("idle after {silence} ms of silence")
                });
            }
            Cause::TooLong => {
                desk.check(Law::FairTimers, age >= SESSION_MS_MAX, || format!("too long after {age} ms"));
            }
            Cause::Quit
            | Cause::PeerClosed
            | Cause::TooManyErrors
            | Cause::TooManyRefusedRecipients
            | Cause::TooManyAuthFailures
            | Cause::NotSmtp
            | Cause::TlsFailed
            | Cause::Stopping
            | Cause::Crowded
            | Cause::Broken
            | Cause::Fault => {}
        }
        self.timers = [None; 3];
        self.handshake_by = None;
        self.linger_by = Some(desk.now.moment.plus_ms(LINGER_MS));
    }
}
