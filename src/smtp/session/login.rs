//! AUTH (RFC 4954).

use super::core::{Core, Ctx};
use super::phase::{Client, Phase};
use crate::auth::sasl::{Exchange, Mechanism, Step, Surroundings};
use crate::auth::scram::keys::ServerSignature;
use crate::auth::verdict::{LoginVerdict, Unavailability};
use crate::contract::{Cause, Listener, Question};
use crate::limits::{LOG_LOGIN_CHARS_MAX, SESSION_AUTH_FAILURES_MAX};
use crate::smtp::offence::Offence;
use crate::telemetry::note::Note;
use crate::types::{ChannelBindings, Reply, ScramSalt};

impl Core {
    pub(super) fn auth(
        &mut self,
        phase: Phase,
        mechanism: &[u8],
        initial: Option<&[u8]>,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        let client = match phase.into_idle() {
            Ok(client) => client,
            Err(other) => return self.refuse(Offence::AuthNotNow, other, ctx),
        };
        if !client.esmtp || self.account.is_some() || self.facts.listener == Listener::Smtp {
            return self.refuse(Offence::AuthNotNow, Phase::Idle(Some(client)), ctx);
        }
        let offered = Mechanism::parse(mechanism).filter(|mechanism| self.offers(*mechanism));
        let Some(mechanism) = offered else {
            return self.refuse(Offence::UnknownMechanism, Phase::Idle(Some(client)), ctx);
        };
        let unbound = ChannelBindings::default();
        let bindings = self.tls.as_ref().map_or(&unbound, |tls| &tls.bindings);
        let around = &mut Surroundings { bindings, chance: &mut self.chance };
        let mut exchange = Exchange::new(mechanism, around);
        let step = exchange.start(initial);
        self.exchanged(client, mechanism, exchange, step, ctx)
    }

    /// Whether a mechanism is on offer on this connection.
    pub(super) fn offers(&self, mechanism: Mechanism) -> bool {
        let unbound = ChannelBindings::default();
        let bindings = self.tls.as_ref().map_or(&unbound, |tls| &tls.bindings);
        mechanism.is_offered(self.settings.scram, bindings)
    }

    pub(super) fn auth_line(
        &mut self,
        client: Box<Client>,
        mechanism: Mechanism,
        mut exchange: Exchange,
        line: &[u8],
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        let step = exchange.respond(line);
        self.exchanged(client, mechanism, exchange, step, ctx)
    }

    fn exchanged(
        &mut self,
        client: Box<Client>,
        mechanism: Mechanism,
        exchange: Exchange,
        step: Step,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        match step {
            Step::Challenge(text) => {
                ctx.say(Reply::plain(334, text));
                Phase::Auth(client, mechanism, exchange)
            }
            Step::Cancelled => self.refuse(Offence::AuthCancelled, Phase::Idle(Some(client)), ctx),
            Step::Malformed => self.refuse(Offence::AuthMalformed, Phase::Idle(Some(client)), ctx),
            Step::AskSalt(login) => {
                let shown = shown(&login);
                let ticket = self.ask(Question::Salt(login), ctx);
                Phase::AuthAsked(client, mechanism, exchange, shown, ticket)
            }
            Step::AskProof(proof) => {
                let shown = shown(&proof.login);
                let ticket = self.ask(Question::Proof(proof), ctx);
                Phase::AuthAsked(client, mechanism, exchange, shown, ticket)
            }
            Step::Proven(account, by) => {
                let login = shown(exchange.login());
                self.login_answered(client, mechanism, login, LoginVerdict::Accepted(account, by), ctx)
            }
            Step::Credentials { login, password, authorize_as } => {
                let shown = shown(&login);
                let ticket = self.ask(Question::Login { login, password, authorize_as }, ctx);
                Phase::Login(client, mechanism, shown, ticket)
            }
        }
    }

    pub(super) fn salt_answered(
        &mut self,
        client: Box<Client>,
        mechanism: Mechanism,
        mut exchange: Exchange,
        salt: &ScramSalt,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        let step = exchange.salted(salt);
        self.exchanged(client, mechanism, exchange, step, ctx)
    }

    /// A proof that is right is answered with the server's own; the login is over when the client has seen it.
    pub(super) fn proof_answered(
        &mut self,
        client: Box<Client>,
        mechanism: Mechanism,
        mut exchange: Exchange,
        login: String,
        (verdict, signature): (LoginVerdict, ServerSignature),
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        match verdict {
            LoginVerdict::Accepted(account, by) => {
                let step = exchange.proved(account, by, signature);
                self.exchanged(client, mechanism, exchange, step, ctx)
            }
            LoginVerdict::Refused(_) | LoginVerdict::Disabled(_) | LoginVerdict::Unavailable(_) => {
                self.login_answered(client, mechanism, login, verdict, ctx)
            }
        }
    }

    pub(super) fn login_answered(
        &mut self,
        client: Box<Client>,
        mechanism: Mechanism,
        login: String,
        verdict: LoginVerdict,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        ctx.note(Note::Login { mechanism: mechanism.name(), login, verdict });
        ctx.say(verdict.reply());
        let after = Phase::Idle(Some(client));
        match verdict {
            LoginVerdict::Accepted(account, by) => {
                self.account = Some((account, by));
                after
            }
            LoginVerdict::Refused(_)
            | LoginVerdict::Disabled(_)
            | LoginVerdict::Unavailable(Unavailability::Throttled(_)) => {
                self.tally.auth_failures = self.tally.auth_failures.saturating_add(1);
                if self.tally.auth_failures >= SESSION_AUTH_FAILURES_MAX {
                    return self.close(Cause::TooManyAuthFailures, ctx);
                }
                after
            }
            LoginVerdict::Unavailable(
                Unavailability::Directory | Unavailability::QueueFull | Unavailability::Worker,
            ) => after,
        }
    }
}

/// A login name for the log.
fn shown(login: &[u8]) -> String {
    String::from_utf8_lossy(login).chars().take(LOG_LOGIN_CHARS_MAX).collect()
}
