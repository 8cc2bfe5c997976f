//! MAIL and RCPT.

use super::core::{Core, Ctx};
use super::phase::{Client, Phase};
use crate::contract::{Cause, Delivery, Listener, Question, RoomAnswer};
use crate::limits::{DELIVERIES_PER_MESSAGE_MAX, RECIPIENTS_MAX};
use crate::policy::recipient::RecipientLookup;
use crate::policy::sender::SenderLookup;
use crate::smtp::command::{MailParameters, NeedsUtf8};
use crate::smtp::offence::Offence;
use crate::smtp::outcome::{self, MessageRefusal, RecipientRefusal};
use crate::telemetry::note::Note;
use crate::types::{AccountId, Enhanced, ForwardPath, MailId, Reply, ReversePath};
use std::collections::BTreeSet;

/// A MAIL command whose answers are awaited.
#[derive(Debug)]
pub(super) struct AskedMail {
    sender: ReversePath,
    parameters: MailParameters,
}

/// A transaction.
#[derive(Debug)]
pub(super) struct Envelope {
    /// The name of the message.
    pub(super) id: MailId,
    pub(super) sender: ReversePath,
    pub(super) parameters: MailParameters,
    /// Recipients taken; the first of them, for the Received field.
    pub(super) taken: usize,
    pub(super) first: Option<ForwardPath>,
    /// Whether a recipient was refused.
    pub(super) refused: bool,
    /// Copies, and who has one already.
    pub(super) deliveries: Vec<Delivery>,
    accounts: BTreeSet<AccountId>,
}

impl Core {
    pub(super) fn mail(
        &mut self,
        phase: Phase,
        sender: ReversePath,
        parameters: MailParameters,
        needs: NeedsUtf8,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        let client = match phase.into_idle() {
            Ok(client) => client,
            Err(other) => return self.refuse(Offence::OutOfOrder, other, ctx),
        };
        let idle = |client| Phase::Idle(Some(client));
        if self.facts.listener != Listener::Smtp && self.account.is_none() {
            return self.refuse(Offence::AuthFirst, idle(client), ctx);
        }
        if needs.0 && !parameters.utf8 {
            return self.refuse(Offence::SenderNeedsUtf8, idle(client), ctx);
        }
        if parameters.size.is_some_and(|octets| octets > self.settings.message_octets_max) {
            let refusal = MessageRefusal::TooBig;
            return self.refuse_sender(refusal.reply(), refusal.name(), client, ctx);
        }
        let question = match self.account {
            Some((account, by)) => Question::Sender(account, by, sender.clone()),
            None => Question::Room(parameters.size.unwrap_or(0)),
        };
        let ticket = self.ask(question, ctx);
        Phase::Mail(client, Box::new(AskedMail { sender, parameters }), ticket)
    }

    pub(super) fn sender_answered(
        &mut self,
        client: Box<Client>,
        asked: Box<AskedMail>,
        lookup: SenderLookup,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        match outcome::sender(lookup) {
            Ok(()) => {
                let ticket = self.ask(Question::Room(asked.parameters.size.unwrap_or(0)), ctx);
                Phase::Mail(client, asked, ticket)
            }
            Err((reply, reason)) => self.refuse_sender(reply, reason, client, ctx),
        }
    }

    /// Refuses MAIL. What is refused for good costs nothing to ask again, so it counts as a command that brings
    /// no message nearer. What is put off does not: the trouble is ours, and no mail may bounce for it.
    fn refuse_sender(
        &mut self,
        reply: Reply,
        reason: &'static str,
        client: Box<Client>,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        ctx.note(Note::MessageRefused { reason, code: reply.code });
        let after = Phase::Idle(Some(client));
        if reply.is_permanent() {
            return self.idle_command(reply, after, ctx);
        }
        ctx.say(reply);
        after
    }

    pub(super) fn room_answered(
        &mut self,
        client: Box<Client>,
        asked: AskedMail,
        room: RoomAnswer,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        if let Err(refusal) = outcome::room(room) {
            return self.refuse_message(refusal, Phase::Idle(Some(client)), ctx);
        }
        let AskedMail { sender, parameters } = asked;
        self.tally.mail_was_refused = false;
        ctx.say(Reply::new(250, Enhanced(2, 1, 0), "Sender OK"));
        let envelope = Envelope {
            id: MailId::new(ctx.now.unix, self.chance.u64()),
            sender,
            parameters,
            taken: 0,
            first: None,
            refused: false,
            deliveries: Vec::new(),
            accounts: BTreeSet::new(),
        };
        Phase::Envelope(client, Box::new(envelope))
    }

    pub(super) fn rcpt(
        &mut self,
        phase: Phase,
        path: ForwardPath,
        needs: NeedsUtf8,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        let (client, envelope) = match phase.into_envelope() {
            Ok(parts) => parts,
            Err(other) => return self.refuse(Offence::OutOfOrder, other, ctx),
        };
        if needs.0 && !envelope.parameters.utf8 {
            return self.refuse(Offence::RecipientNeedsUtf8, Phase::Envelope(client, envelope), ctx);
        }
        if envelope.taken >= RECIPIENTS_MAX {
            return self.refuse_surplus(client, envelope, &path, ctx);
        }
        let ticket = self.ask(Question::Recipient(path.clone()), ctx);
        Phase::Recipient(client, envelope, Box::new(path), ticket)
    }

    pub(super) fn recipient_answered(
        &mut self,
        client: Box<Client>,
        mut envelope: Box<Envelope>,
        path: &ForwardPath,
        lookup: RecipientLookup,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        let accounts = match outcome::recipient(lookup, self.facts.listener) {
            Ok(accounts) => accounts,
            Err(refusal) => return self.refuse_recipient(client, envelope, path, refusal, ctx),
        };
        let new: Vec<AccountId> =
            accounts.into_iter().filter(|account| !envelope.accounts.contains(account)).collect();
        if envelope.deliveries.len().saturating_add(new.len()) > DELIVERIES_PER_MESSAGE_MAX {
            return self.refuse_surplus(client, envelope, path, ctx);
        }
        let written = format!("{path}");
        let recipient = written.trim_matches(['<', '>']);
        for account in new {
            envelope.accounts.insert(account);
            envelope.deliveries.push(Delivery { account, recipient: recipient.to_owned() });
        }
        envelope.taken = envelope.taken.saturating_add(1);
        envelope.first.get_or_insert_with(|| path.clone());
        ctx.say(Reply::new(250, Enhanced(2, 1, 5), "Recipient OK"));
        Phase::Envelope(client, envelope)
    }

    fn refuse_recipient(
        &mut self,
        client: Box<Client>,
        mut envelope: Box<Envelope>,
        path: &ForwardPath,
        refusal: RecipientRefusal,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        let RecipientRefusal { reply, reason } = refusal;
        ctx.note(Note::RecipientRefused { recipient: format!("{path}"), reason, code: reply.code });
        ctx.say(reply);
        envelope.refused = true;
        self.refused_recipient(Phase::Envelope(client, envelope), ctx)
    }

    /// Refuses a recipient more than a message may have. It is no guess at an address: the client keeps it for
    /// the next message (RFC 5321 section 4.5.3.1.10), so those already taken must not be lost with it.
    fn refuse_surplus(
        &mut self,
        client: Box<Client>,
        mut envelope: Box<Envelope>,
        path: &ForwardPath,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        let RecipientRefusal { reply, reason } = outcome::too_many_recipients();
        if self.count_surplus_recipient() {
            ctx.note(Note::RecipientRefused { recipient: format!("{path}"), reason, code: reply.code });
        }
        ctx.say(reply);
        envelope.refused = true;
        if self.is_at_surplus_ceiling() {
            return self.close(Cause::TooManyRefusedRecipients, ctx);
        }
        Phase::Envelope(client, envelope)
    }

    /// Refuses a message, before or after its data.
    pub(super) fn refuse_message(
        &mut self,
        refusal: MessageRefusal,
        phase: Phase,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        let reply = refusal.reply();
        ctx.note(Note::MessageRefused { reason: refusal.name(), code: reply.code });
        ctx.say(reply);
        phase
    }
}
