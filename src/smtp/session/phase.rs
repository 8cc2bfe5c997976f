//! What a session waits for. Each case owns what belongs to it.

use super::body::{ChunkBody, DataBody, Pending};
use super::transaction::{AskedMail, Envelope};
use crate::auth::sasl::{Exchange, Mechanism};
use crate::contract::Ticket;
use crate::frame::chunk::ChunkCutter;
use crate::smtp::command::ClientName;
use crate::types::{ForwardPath, Reply};

/// Who the client says it is.
#[derive(Debug)]
pub(super) struct Client {
    /// The argument of HELO or EHLO.
    pub(super) name: ClientName,
    /// Whether it was EHLO.
    pub(super) esmtp: bool,
}

/// What belongs to a message that comes in chunks.
pub(super) type Chunking = (Box<Client>, Box<Envelope>, Box<ChunkBody>);

/// The phases.
#[derive(Debug)]
pub(super) enum Phase {
    /// Not greeted yet; on `submissions` the handshake comes first.
    Unopened,
    /// A command, outside a transaction; no client before HELO or EHLO.
    Idle(Option<Box<Client>>),
    /// The answers that MAIL needs.
    Mail(Box<Client>, Box<AskedMail>, Ticket),
    /// A command, inside a transaction.
    Envelope(Box<Client>, Box<Envelope>),
    /// The answer that RCPT needs.
    Recipient(Box<Client>, Box<Envelope>, Box<ForwardPath>, Ticket),
    /// The octets of a message, to CRLF . CRLF.
    Data(Box<Client>, Box<Envelope>, Box<DataBody>),
    /// A command between two chunks.
    Chunks(Box<Client>, Box<Envelope>, Box<ChunkBody>),
    /// The octets of a chunk; the flag says it is the last.
    Chunk(Box<Client>, Box<Envelope>, Box<ChunkBody>, ChunkCutter, bool),
    /// The octets of a chunk that was refused, the reply, and what comes after.
    RefusedChunk(ChunkCutter, Reply, Box<Phase>),
    /// The answer that the end of a message needs.
    Commit(Box<Client>, Box<Pending>, Ticket),
    /// A line of an AUTH exchange.
    Auth(Box<Client>, Mechanism, Exchange),
    /// The answer that an AUTH exchange needs: a salt, or whether a proof is right.
    AuthAsked(Box<Client>, Mechanism, Exchange, String, Ticket),
    /// The verdict on a login; the name is for the log.
    Login(Box<Client>, Mechanism, String, Ticket),
    /// A handshake.
    Tls,
    /// Nothing.
    Over,
}

impl Phase {
    /// Whether octets would be taken.
    pub(super) fn reads(&self) -> bool {
        match self {
            Self::Idle(_)
            | Self::Envelope(..)
            | Self::Data(..)
            | Self::Chunks(..)
            | Self::Chunk(..)
            | Self::RefusedChunk(..)
            | Self::Auth(..) => true,
            Self::Unopened
            | Self::Mail(..)
            | Self::Recipient(..)
            | Self::Commit(..)
            | Self::AuthAsked(..)
            | Self::Login(..)
            | Self::Tls
            | Self::Over => false,
        }
    }

    /// Whether a question is open.
    pub(super) fn awaits_answer(&self) -> bool {
        match self {
            Self::Mail(..)
            | Self::Recipient(..)
            | Self::Commit(..)
            | Self::AuthAsked(..)
            | Self::Login(..) => true,
            Self::Unopened
            | Self::Idle(_)
            | Self::Envelope(..)
            | Self::Data(..)
            | Self::Chunks(..)
            | Self::Chunk(..)
            | Self::RefusedChunk(..)
            | Self::Auth(..)
            | Self::Tls
            | Self::Over => false,
        }
    }

    /// Whether a transaction is under way.
    pub(super) fn is_transaction(&self) -> bool {
        match self {
            Self::Mail(..)
            | Self::Envelope(..)
            | Self::Recipient(..)
            | Self::Data(..)
            | Self::Chunks(..)
            | Self::Chunk(..)
            | Self::Commit(..) => true,
            Self::RefusedChunk(_, _, after) => after.is_transaction(),
            Self::Unopened
            | Self::Idle(_)
            | Self::Auth(..)
            | Self::AuthAsked(..)
            | Self::Login(..)
            | Self::Tls
            | Self::Over => false,
        }
    }

    /// A client outside a transaction, for the commands that may only come there; else the phase unchanged.
    #[expect(clippy::wildcard_enum_match_arm, reason = "in every other phase the command is refused")]
    pub(super) fn into_idle(self) -> Result<Box<Client>, Self> {
        match self {
            Self::Idle(Some(client)) => Ok(client),
            other => Err(other),
        }
    }

    /// The same for a client inside a transaction whose body has not begun.
    #[expect(clippy::wildcard_enum_match_arm, reason = "in every other phase the command is refused")]
    pub(super) fn into_envelope(self) -> Result<(Box<Client>, Box<Envelope>), Self> {
        match self {
            Self::Envelope(client, envelope) => Ok((client, envelope)),
            other => Err(other),
        }
    }

    /// The same for a client between two chunks.
    #[expect(clippy::wildcard_enum_match_arm, reason = "in every other phase the command is refused")]
    pub(super) fn into_chunks(self) -> Result<Chunking, Self> {
        match self {
            Self::Chunks(client, envelope, body) => Ok((client, envelope, body)),
            other => Err(other),
        }
    }
}
