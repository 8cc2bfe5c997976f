//! DATA and BDAT: the body passes, is kept by whoever drives the session, and is committed at its end.

use super::core::{Core, Ctx};
use super::phase::{Client, Phase};
use super::transaction::Envelope;
use crate::contract::{Action, Cause, Commit, CommitAnswer, Listener, Question};
use crate::frame::chunk::{ChunkCutter, LineEnds};
use crate::frame::dot::{DotCut, DotCutter};
use crate::limits::RECEIVED_FIELDS_MAX;
use crate::mail::scan::HeaderScan;
use crate::mail::trace::{self, ReceivedFacts};
use crate::smtp::command::BodyType;
use crate::smtp::offence::Offence;
use crate::smtp::outcome::{self, MessageRefusal};
use crate::telemetry::note::Note;
use crate::types::{MailId, Reply};

/// What is known of a body as it passes.
#[derive(Debug)]
struct Passing {
    scan: HeaderScan,
    octets: u64,
    refused: Option<MessageRefusal>,
}

impl Passing {
    fn new() -> Self {
        Self { scan: HeaderScan::new(), octets: 0, refused: None }
    }

    /// Sees a piece, and keeps it as long as nothing speaks against the message.
    fn piece(&mut self, piece: Vec<u8>, octets_max: u64, ctx: &mut Ctx<'_>) {
        if piece.is_empty() {
            return;
        }
        self.octets = self.octets.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if self.octets > octets_max {
            self.refuse(MessageRefusal::TooBig, ctx);
        }
        if self.refused.is_none() {
            self.scan.feed(&piece);
            ctx.out.push(Action::Keep(piece));
        }
    }

    /// The first reason stands; what was kept is dropped at once.
    fn refuse(&mut self, refusal: MessageRefusal, ctx: &mut Ctx<'_>) {
        if self.refused.is_none() {
            self.refused = Some(refusal);
            ctx.out.push(Action::Forget);
        }
    }

    /// A lone CR or LF outranks every other reason: whether the size or the line end is seen first depends on
    /// how the octets were cut into pieces, and the reply must not.
    fn refuse_line_end(&mut self, ctx: &mut Ctx<'_>) {
        self.refuse(MessageRefusal::LoneLineEnd, ctx);
        self.refused = Some(MessageRefusal::LoneLineEnd);
    }
}

/// A body that ends at CRLF . CRLF.
#[derive(Debug)]
pub(super) struct DataBody {
    cutter: DotCutter,
    passing: Passing,
}

/// A body in chunks.
#[derive(Debug)]
pub(super) struct ChunkBody {
    ends: LineEnds,
    passing: Passing,
}

/// A message that is being committed.
#[derive(Debug)]
pub(super) struct Pending {
    id: MailId,
    octets: u64,
    deliveries: usize,
    sender: String,
}

impl Core {
    pub(super) fn begin_data(&mut self, phase: Phase, ctx: &mut Ctx<'_>) -> Phase {
        let (client, envelope) = match phase.into_envelope() {
            Ok(parts) => parts,
            Err(other) => return self.refuse(Offence::OutOfOrder, other, ctx),
        };
        if let Some(offence) = no_recipients(&envelope) {
            return self.refuse(offence, Phase::Envelope(client, envelope), ctx);
        }
        if envelope.parameters.body == BodyType::BinaryMime {
            return self.refuse(Offence::BinaryNeedsBdat, Phase::Envelope(client, envelope), ctx);
        }
        ctx.say(Reply::plain(354, "Send the message, end with <CRLF>.<CRLF>"));
        let body = DataBody { cutter: DotCutter::new(), passing: Passing::new() };
        Phase::Data(client, envelope, Box::new(body))
    }

    pub(super) fn data(
        &mut self,
        client: Box<Client>,
        envelope: Box<Envelope>,
        mut body: Box<DataBody>,
        input: &[u8],
        ctx: &mut Ctx<'_>,
    ) -> (usize, Phase) {
        let mut piece = Vec::with_capacity(input.len());
        let (taken, cut) = body.cutter.cut(input, &mut piece);
        if body.cutter.is_clean() {
            body.passing.piece(piece, self.settings.message_octets_max, ctx);
        } else {
            body.passing.refuse_line_end(ctx);
        }
        let next = match cut {
            DotCut::More => Phase::Data(client, envelope, body),
            DotCut::End => self.end_of_message(client, envelope, body.passing, ctx),
        };
        (taken, next)
    }

    pub(super) fn bdat(&mut self, phase: Phase, octets: u64, last: bool, ctx: &mut Ctx<'_>) -> Phase {
        let (client, envelope, body) = match phase.into_chunks() {
            Ok(parts) => parts,
            Err(phase) => match phase.into_envelope() {
                Err(other) => return self.refuse_chunk(Offence::OutOfOrder, octets, other, ctx),
                Ok((client, envelope)) => {
                    if let Some(offence) = no_recipients(&envelope) {
                        return self.refuse_chunk(offence, octets, Phase::Envelope(client, envelope), ctx);
                    }
                    (client, envelope, Box::new(ChunkBody { ends: LineEnds::new(), passing: Passing::new() }))
                }
            },
        };
        if body.passing.octets.saturating_add(octets) > self.settings.message_octets_max {
            ctx.out.push(Action::Forget);
            let refusal = MessageRefusal::TooBig;
            let reply = refusal.reply();
            ctx.note(Note::MessageRefused { reason: refusal.name(), code: reply.code });
            return self.swallow_chunk(octets, reply, Phase::Idle(Some(client)), ctx);
        }
        if octets == 0 && !last {
            // One more way to say NOOP.
            return self.idle_command(outcome::ok(), Phase::Chunks(client, envelope, body), ctx);
        }
        self.chunk_goes_on(client, envelope, body, ChunkCutter::new(octets), last, ctx)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one phase and of one step")]
    pub(super) fn chunk(
        &mut self,
        client: Box<Client>,
        envelope: Box<Envelope>,
        mut body: Box<ChunkBody>,
        mut cutter: ChunkCutter,
        last: bool,
        input: &[u8],
        ctx: &mut Ctx<'_>,
    ) -> (usize, Phase) {
        let piece = cutter.cut(input);
        if envelope.parameters.body != BodyType::BinaryMime {
            body.ends.feed(piece);
        }
        body.passing.piece(piece.to_vec(), self.settings.message_octets_max, ctx);
        (piece.len(), self.chunk_goes_on(client, envelope, body, cutter, last, ctx))
    }

    fn chunk_goes_on(
        &mut self,
        client: Box<Client>,
        envelope: Box<Envelope>,
        mut body: Box<ChunkBody>,
        cutter: ChunkCutter,
        last: bool,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        if !cutter.is_done() {
            return Phase::Chunk(client, envelope, body, cutter, last);
        }
        if !last {
            ctx.say(outcome::ok());
            return Phase::Chunks(client, envelope, body);
        }
        if !body.ends.are_clean() {
            body.passing.refuse_line_end(ctx);
        }
        self.end_of_message(client, envelope, body.passing, ctx)
    }

    /// Refuses a BDAT. Its octets come all the same and are taken before the reply, so that none of them is
    /// read as a command (RFC 3030 section 2).
    pub(super) fn refuse_chunk(
        &mut self,
        offence: Offence,
        octets: u64,
        after: Phase,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        self.count(offence);
        self.swallow_chunk(octets, offence.reply(), after, ctx)
    }

    fn swallow_chunk(&mut self, octets: u64, reply: Reply, after: Phase, ctx: &mut Ctx<'_>) -> Phase {
        if octets > self.settings.message_octets_max.saturating_mul(2) {
            ctx.say(reply);
            return self.close(Cause::TooManyErrors, ctx);
        }
        self.refused_chunk(ChunkCutter::new(octets), reply, Box::new(after), ctx)
    }

    pub(super) fn refused_chunk(
        &mut self,
        cutter: ChunkCutter,
        reply: Reply,
        after: Box<Phase>,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        if !cutter.is_done() {
            return Phase::RefusedChunk(cutter, reply, after);
        }
        ctx.say(reply);
        if self.is_at_error_ceiling() { self.close(Cause::TooManyErrors, ctx) } else { *after }
    }

    fn end_of_message(
        &mut self,
        client: Box<Client>,
        envelope: Box<Envelope>,
        mut passing: Passing,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        if passing.scan.facts().received_fields > RECEIVED_FIELDS_MAX {
            passing.refuse(MessageRefusal::Loop, ctx);
        }
        if let Some(refusal) = passing.refused {
            return self.refuse_message(refusal, Phase::Idle(Some(client)), ctx);
        }
        let prefix = self.prefix(&client, &envelope, &passing, ctx);
        let Envelope { id, sender, deliveries, .. } = *envelope;
        let pending =
            Pending { id, octets: passing.octets, deliveries: deliveries.len(), sender: format!("{sender}") };
        let commit =
            Commit { id, received: ctx.now.unix, sender, deliveries, prefix, body_octets: passing.octets };
        let ticket = self.ask(Question::Commit(Box::new(commit)), ctx);
        Phase::Commit(client, Box::new(pending), ticket)
    }

    /// Return-Path and Received (RFC 5321 section 4.4); on submission Date and Message-ID where they are
    /// missing (RFC 6409 section 8).
    fn prefix(&self, client: &Client, envelope: &Envelope, passing: &Passing, ctx: &Ctx<'_>) -> Vec<u8> {
        let hostname = &self.settings.hostname;
        let mut prefix = trace::return_path(&envelope.sender);
        prefix.extend(trace::received(&ReceivedFacts {
            client_name: &client.name.text,
            address: self.facts.address,
            hostname,
            esmtp: client.esmtp,
            tls: self.tls.as_ref(),
            authenticated: self.account.is_some(),
            utf8: envelope.parameters.utf8,
            id: envelope.id,
            recipient: envelope.first.as_ref().filter(|_| envelope.taken == 1),
            date: ctx.now.unix,
        }));
        let facts = passing.scan.facts();
        if self.facts.listener != Listener::Smtp {
            if !facts.has_date {
                prefix.extend(trace::date_field(ctx.now.unix));
            }
            if !facts.has_message_id {
                prefix.extend(trace::message_id_field(envelope.id, hostname));
            }
        }
        if facts.begins_with_text {
            // Without an empty line the text would be read as more of these fields, and not be shown.
            prefix.extend(b"\r\n");
        }
        prefix
    }

    pub(super) fn commit_answered(
        &mut self,
        client: Box<Client>,
        pending: &Pending,
        answer: CommitAnswer,
        ctx: &mut Ctx<'_>,
    ) -> Phase {
        let after = Phase::Idle(Some(client));
        match outcome::commit(answer) {
            Err(refusal) => self.refuse_message(refusal, after, ctx),
            Ok(()) => {
                ctx.note(Note::Accepted {
                    id: pending.id,
                    octets: pending.octets,
                    deliveries: pending.deliveries,
                    sender: pending.sender.clone(),
                });
                ctx.say(outcome::accepted(pending.id));
                self.delivered(ctx);
                after
            }
        }
    }
}

/// Why a body may not begin, if the envelope has nobody to give it to.
fn no_recipients(envelope: &Envelope) -> Option<Offence> {
    match (envelope.taken, envelope.refused) {
        (0, true) => Some(Offence::NoValidRecipients),
        (0, false) => Some(Offence::OutOfOrder),
        _ => None,
    }
}
