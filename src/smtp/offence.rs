//! The catalogue of what a peer can do wrong: the one place from offence to reply, name and weight.

use crate::types::{Enhanced, Reply};

/// What a peer did wrong with a command. Refused recipients, senders, logins and messages have lookups and
/// verdicts of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offence {
    /// A line over its ceiling; it was consumed.
    LineTooLong,
    /// A NUL, a lone CR or LF, or another control character in a command.
    ControlCharacter,
    /// No command of that name.
    UnknownCommand,
    /// A command that exists and is not offered.
    NotImplemented,
    /// Another protocol: the session ends.
    OtherProtocol,
    /// An argument that is missing, too much, or not of the command's form.
    BadArgument,
    /// The reverse-path is not one.
    SenderSyntax,
    /// The forward-path is not one.
    RecipientSyntax,
    /// A path over 256 octets.
    PathTooLong,
    /// A parameter of no extension that is offered.
    UnknownParameter,
    /// A parameter given twice, without its value, or with a value it cannot have.
    BadParameter,
    /// The reverse-path is not ASCII and SMTPUTF8 was not said.
    SenderNeedsUtf8,
    /// The forward-path is not ASCII and SMTPUTF8 was not said.
    RecipientNeedsUtf8,
    /// `BDAT` whose size cannot be read: what follows cannot be told from commands, so the session ends.
    BadChunk,
    /// A command that may not come now.
    OutOfOrder,
    /// `DATA` or `BDAT` after every recipient was refused.
    NoValidRecipients,
    /// `DATA` for a body that only `BDAT` can carry (RFC 3030 section 3).
    BinaryNeedsBdat,
    /// The listener wants TLS first (RFC 3207 section 4).
    TlsFirst,
    /// The listener wants AUTH first (RFC 6409 section 4.3).
    AuthFirst,
    /// `STARTTLS` where it is not offered.
    TlsNotOffered,
    /// `AUTH` on port 25, twice, in a transaction, or before EHLO.
    AuthNotNow,
    /// A mechanism that is not offered.
    UnknownMechanism,
    /// Not base64, or not the mechanism's form.
    AuthMalformed,
    /// `*`.
    AuthCancelled,
    /// A line of an AUTH exchange over its ceiling.
    AuthLineTooLong,
    /// Too many commands that bring no message nearer.
    TooManyIdleCommands,
}

impl Offence {
    /// The reply.
    #[must_use]
    pub fn reply(self) -> Reply {
        let (code, enhanced, text) = match self {
            Self::LineTooLong => (500, Enhanced(5, 5, 2), "Line too long"),
            Self::ControlCharacter => (500, Enhanced(5, 5, 2), "Syntax error: control character in command"),
            Self::UnknownCommand => (500, Enhanced(5, 5, 1), "Command not recognized"),
            Self::NotImplemented => (502, Enhanced(5, 5, 1), "Command not implemented"),
            Self::OtherProtocol => (421, Enhanced(4, 7, 0), "This is a mail server, closing connection"),
            Self::BadArgument => (501, Enhanced(5, 5, 4), "Syntax error in arguments"),
            Self::SenderSyntax => (501, Enhanced(5, 1, 7), "Syntax error in sender address"),
            Self::RecipientSyntax => (501, Enhanced(5, 1, 3), "Syntax error in recipient address"),
            Self::PathTooLong => (501, Enhanced(5, 5, 4), "Path too long"),
            Self::UnknownParameter => (555, Enhanced(5, 5, 4), "Parameter not recognized"),
            Self::BadParameter => (501, Enhanced(5, 5, 4), "Bad parameter value"),
            Self::SenderNeedsUtf8 => (550, Enhanced(5, 6, 7), "Sender address needs SMTPUTF8"),
            Self::RecipientNeedsUtf8 => (553, Enhanced(5, 6, 7), "Recipient address needs SMTPUTF8"),
            Self::BadChunk => (501, Enhanced(5, 5, 4), "Chunk size not understood, closing connection"),
            Self::OutOfOrder => (503, Enhanced(5, 5, 1), "Bad sequence of commands"),
            Self::NoValidRecipients => (554, Enhanced(5, 5, 1), "No valid recipients"),
            Self::BinaryNeedsBdat => (503, Enhanced(5, 5, 1), "BINARYMIME needs BDAT"),
            Self::TlsFirst => (530, Enhanced(5, 7, 0), "Must issue a STARTTLS command first"),
            Self::AuthFirst => (530, Enhanced(5, 7, 0), "Authentication required"),
            Self::TlsNotOffered => (503, Enhanced(5, 5, 1), "TLS not offered now"),
            Self::AuthNotNow => (503, Enhanced(5, 5, 1), "AUTH not allowed now"),
            Self::UnknownMechanism => (504, Enhanced(5, 5, 4), "Authentication mechanism not offered"),
            Self::AuthMalformed => (501, Enhanced(5, 5, 2), "Authentication response not understood"),
            Self::AuthCancelled => (501, Enhanced(5, 7, 0), "Authentication cancelled"),
            Self::AuthLineTooLong => (500, Enhanced(5, 5, 6), "Authentication line too long"),
            Self::TooManyIdleCommands => (503, Enhanced(5, 5, 1), "Too many commands without a message"),
        };
        Reply::new(code, enhanced, text)
    }

    /// The word in log lines and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LineTooLong => "line-too-long",
            Self::ControlCharacter => "control-character",
            Self::UnknownCommand => "unknown-command",
            Self::NotImplemented => "not-implemented",
            Self::OtherProtocol => "other-protocol",
            Self::BadArgument => "bad-argument",
            Self::SenderSyntax => "sender-syntax",
            Self::RecipientSyntax => "recipient-syntax",
            Self::PathTooLong => "path-too-long",
            Self::UnknownParameter => "unknown-parameter",
            Self::BadParameter => "bad-parameter",
            Self::SenderNeedsUtf8 => "sender-needs-utf8",
            Self::RecipientNeedsUtf8 => "recipient-needs-utf8",
            Self::BadChunk => "bad-chunk",
            Self::OutOfOrder => "out-of-order",
            Self::NoValidRecipients => "no-valid-recipients",
            Self::BinaryNeedsBdat => "binary-needs-bdat",
            Self::TlsFirst => "tls-first",
            Self::AuthFirst => "auth-first",
            Self::TlsNotOffered => "tls-not-offered",
            Self::AuthNotNow => "auth-not-now",
            Self::UnknownMechanism => "unknown-mechanism",
            Self::AuthMalformed => "auth-malformed",
            Self::AuthCancelled => "auth-cancelled",
            Self::AuthLineTooLong => "auth-line-too-long",
            Self::TooManyIdleCommands => "too-many-idle-commands",
        }
    }
}
