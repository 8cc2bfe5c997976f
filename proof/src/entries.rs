//! The ways in.

use crate::auth::lookup::{LoginLookup, look_up};
use crate::auth::phc::{PasswordHash, PhcError};
use crate::auth::sasl::{Exchange, Step};
use crate::auth::scram::message::{ClientFinal, ClientFirst};
use crate::auth::scram::{Binding, Scram, ScramStep, keys::ServerSignature};
use crate::auth::throttle::{ConnectVerdict, LoginGate, LoginOutcome, MailOffence, Pace, Reservation, Seen, Throttle, Try};
use crate::auth::verdict::LoginVerdict;
use crate::auth::verifier::{Attempt, Decided, HashJob, JobId, Verifier, canonical};
use crate::auth::throttle::Because;
use crate::contract::Listener;
use crate::directory::Directory;
use crate::frame::chunk::{ChunkCutter, LineEnds};
use crate::frame::dot::{DotCut, DotCutter};
use crate::frame::line::{Cut, LineCutter};
use crate::policy::recipient::RecipientLookup;
use crate::policy::sender::SenderLookup;
use crate::smtp::command::{Command, Dialect};
use crate::smtp::offence::Offence;
use crate::types::{AccountId, Chance, ChannelBindings, ForwardPath, Moment, Now, Reply, ReversePath, ScramSalt, SessionId};
use std::net::IpAddr;

/// Functions that are kept as they are, with a symbol each; their names and how to get their addresses.
macro_rules! entries {
    ($($(#[$doc:meta])* fn $name:ident $(<$life:lifetime>)? ($($argument:ident: $type:ty),* $(,)?) -> $result:ty $body:block)*) => {
        $(
            $(#[$doc])*
            #[inline(never)]
            pub fn $name $(<$life>)? ($($argument: $type),*) -> $result $body
        )*

        /// All of them.
        pub const ALL: &[(&str, fn() -> *const ())] = &[$((stringify!($name), || $name as *const ())),*];
    };
}

entries! {
    fn frame_line<'a>(cutter: &'a mut LineCutter, input: &'a [u8], ceiling: usize) -> (usize, Cut<'a>) {
        cutter.cut(input, ceiling)
    }
    fn frame_line_dropped(cutter: LineCutter) -> () { drop(cutter) }
    fn frame_dot(cutter: &mut DotCutter, input: &[u8], out: &mut Vec<u8>) -> (usize, DotCut) { cutter.cut(input, out) }
    fn frame_chunk<'a>(cutter: &mut ChunkCutter, input: &'a [u8]) -> &'a [u8] { cutter.cut(input) }
    fn frame_chunk_line_ends(ends: &mut LineEnds, input: &[u8]) -> () { ends.feed(input) }
    fn smtp_command(line: &[u8], dialect: Dialect) -> Result<Command, Offence> { crate::smtp::command::parse(line, dialect) }
    fn sasl_start(exchange: &mut Exchange, initial: Option<&[u8]>) -> Step { exchange.start(initial) }
    fn sasl_respond(exchange: &mut Exchange, line: &[u8]) -> Step { exchange.respond(line) }
    fn scram_first(message: &[u8]) -> Option<ClientFirst> { ClientFirst::parse(message) }
    fn scram_final(message: &[u8]) -> Option<ClientFinal> { ClientFinal::parse(message) }
    fn scram_new(binding: Binding, bindings: &ChannelBindings, chance: &mut Chance) -> Scram { Scram::new(binding, bindings, chance) }
    fn scram_take(scram: &mut Scram, response: &[u8]) -> ScramStep { scram.take(response) }
    fn scram_salted(scram: &mut Scram, salt: &ScramSalt) -> ScramStep { scram.salted(salt) }
    fn scram_proved(scram: &mut Scram, account: AccountId, signature: ServerSignature) -> ScramStep { scram.proved(account, signature) }
    fn lookup_login(directory: Option<&Directory>, login: &[u8]) -> LoginLookup { look_up(directory, login) }
    fn lookup_canonical(login: &[u8]) -> Vec<u8> { canonical(login) }
    fn lookup_recipient(directory: Option<&Directory>, path: &ForwardPath) -> RecipientLookup { crate::policy::recipient::look_up(directory, path) }
    fn lookup_sender(directory: Option<&Directory>, account: AccountId, path: &ReversePath) -> SenderLookup { crate::policy::sender::look_up(directory, account, path) }
    fn hash_parse(text: &str) -> Result<PasswordHash, PhcError> { PasswordHash::parse(text) }
    fn reply_encode(reply: &Reply, out: &mut Vec<u8>) -> () { reply.encode(out) }
    fn verdict_reply(verdict: LoginVerdict) -> Reply { verdict.reply() }
    fn verifier_submit(verifier: &mut Verifier, now: Now, throttle: &mut Throttle, directory: Option<&Directory>, attempt: Attempt) -> Option<Because> {
        verifier.submit_through(now, throttle, directory, attempt)
    }
    fn verifier_settle(verifier: &mut Verifier, now: Now, throttle: &mut Throttle) -> () { verifier.settle(now, throttle) }
    fn verifier_next_job(verifier: &mut Verifier, now: Moment) -> Option<HashJob> { verifier.next_job(now) }
    fn verifier_hashed(verifier: &mut Verifier, now: Moment, job: JobId, matched: bool) -> () { verifier.hashed(now, job, matched) }
    fn verifier_worker_lost(verifier: &mut Verifier, now: Moment) -> () { verifier.worker_lost(now) }
    fn verifier_due(verifier: &mut Verifier, now: Moment) -> Vec<Decided> { verifier.due(now) }
    fn verifier_next_deadline(verifier: &Verifier) -> Option<Moment> { verifier.next_deadline() }
    fn verifier_forget(verifier: &mut Verifier, session: SessionId) -> () { verifier.forget(session) }
    fn throttle_connect(throttle: &mut Throttle, now: Now, source: IpAddr, listener: Listener) -> ConnectVerdict { throttle.at_connect(now, source, listener) }
    fn throttle_login(throttle: &mut Throttle, now: Now, wanted: Try<'_>) -> LoginGate { throttle.at_login(now, wanted) }
    fn throttle_decided(throttle: &mut Throttle, now: Now, reservation: Reservation, outcome: LoginOutcome) -> Option<Seen> {
        throttle.login_decided(now, reservation, outcome)
    }
    fn throttle_proven(throttle: &mut Throttle, now: Now, source: IpAddr, login: &[u8]) -> Seen { throttle.login_proven(now, source, login) }
    fn throttle_offence(throttle: &mut Throttle, now: Now, source: IpAddr, offence: MailOffence) -> () { throttle.mail_offence(now, source, offence) }
    fn throttle_accepted(throttle: &mut Throttle, now: Now, source: IpAddr, recipients: u64) -> () { throttle.mail_accepted(now, source, recipients) }
    fn throttle_pace(throttle: &Throttle, now: Now, source: IpAddr) -> Pace { throttle.pace(now, source) }
}
