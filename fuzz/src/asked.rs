//! What sessions ask, carried to the verifier and to the model.

use super::Hall;
use crate::clients::truth;
use crate::verdicts::{Kind, Pending, State};
use gatepost::auth::scram::ScramProof;
use gatepost::auth::throttle::LoginOutcome;
use gatepost::auth::verifier::{Attempt, ProofAttempt, canonical};
use gatepost::contract::{Answer, Event, Question, Ticket};
use gatepost::fuzz::login::{APP_LOGIN, APP_PASSWORD};
use gatepost::limits::HASH_QUEUE_PER_PREFIX_MAX;
use gatepost::types::{AccountId, Prefix, SessionId};

impl Hall {
    pub(super) fn ask(
        &mut self,
        session: SessionId,
        ticket: Ticket,
        question: Question,
    ) -> Result<(), String> {
        let (login, password, authorize_as) = match question {
            Question::Login { login, password, authorize_as } => (login, password, authorize_as),
            Question::Salt(login) => {
                let salt = self.verifier.salts().of(&login);
                return self.event(session, Event::Answered(ticket, Answer::Salt(salt))).map(drop);
            }
            Question::Proof(proof) => return self.ask_proof(session, ticket, proof),
            Question::Room(_) | Question::Sender(..) | Question::Recipient(_) | Question::Commit(_) => {
                return Err("it asks for what no login needs".to_owned());
            }
        };
        let Some(source) = self.seats.get(&session).map(|seat| seat.source) else { return Ok(()) };
        let name = canonical(&login);
        let outcome = truth(&name, password.reveal(), authorize_as.is_some());
        let by_app =
            name == APP_LOGIN.as_bytes() && authorize_as.is_none() && password.reveal() == APP_PASSWORD;
        let mut pending = Pending {
            session,
            ticket,
            source,
            asked: self.now.moment,
            outcome: if by_app { LoginOutcome::Accepted(AccountId(4)) } else { outcome },
            expected: None,
            number: None,
            state: State::Waits,
        };
        if let Some(naive) = &mut self.naive {
            if by_app {
                naive.proven(self.now, source, &name);
                pending.state = State::Decided(Kind::Accepted, self.now.moment);
            } else {
                self.foretell(&mut pending, &name, password.reveal());
            }
        } else {
            pending.state = State::Unknown;
        }
        self.pending.push(pending);
        let attempt = Attempt { session, ticket, source, login, password, authorize_as };
        self.verifier.submit_through(self.now, &mut self.throttle, Some(&self.directory), attempt);
        self.settle();
        Ok(())
    }

    /// A proof, which is always wrong: nobody here has keys. It is judged at once and needs no worker.
    fn ask_proof(
        &mut self,
        session: SessionId,
        ticket: Ticket,
        proof: Box<ScramProof>,
    ) -> Result<(), String> {
        let Some(source) = self.seats.get(&session).map(|seat| seat.source) else { return Ok(()) };
        self.tally.proofs += 1;
        let (outcome, asked) = (LoginOutcome::Refused, self.now.moment);
        let (expected, number, state) = (None, None, State::Unknown);
        let mut pending = Pending { session, ticket, source, asked, outcome, expected, number, state };
        if let Some(naive) = &mut self.naive
            && let Some((expected, number)) = naive.at_login(self.now, source, &canonical(&proof.login), None)
        {
            number.into_iter().for_each(|number| naive.decided(self.now, number, outcome));
            let kind = if number.is_some() { Kind::Refused } else { Kind::Throttled };
            (pending.state, pending.expected) = (State::Decided(kind, asked), Some(expected));
        }
        self.pending.push(pending);
        let attempt = ProofAttempt { session, ticket, source, proof };
        let directory = Some(&self.directory);
        self.verifier.submit_proof_through(self.now, &mut self.throttle, directory, &attempt);
        self.settle();
        Ok(())
    }

    /// What the model says of a login, and whether the queue takes it.
    fn foretell(&mut self, pending: &mut Pending, name: &[u8], password: &[u8]) {
        let Some(naive) = &mut self.naive else { return };
        let Some((expected, number)) = naive.at_login(self.now, pending.source, name, Some(password)) else {
            return;
        };
        let net = Prefix::net(pending.source);
        let same_line = |other: &&Pending| {
            other.state == State::Waits
                && Prefix::net(other.source) == net
                && other.expected.as_ref().map(|expected| expected.class) == Some(expected.class)
        };
        let is_full = self.pending.iter().filter(same_line).count() >= HASH_QUEUE_PER_PREFIX_MAX;
        pending.state = match number {
            None => State::Decided(Kind::Throttled, self.now.moment),
            Some(number) if is_full => {
                naive.decided(self.now, number, LoginOutcome::Unavailable);
                State::Decided(Kind::QueueFull, self.now.moment)
            }
            Some(_) => State::Waits,
        };
        pending.number = number;
        pending.expected = Some(expected);
    }
}
