//! What is written against what came: replies and durable messages.

use super::text::Text;
use super::{MessageExpected, ReplyLine, print};
use crate::types::Reply;

/// Whether a reply is the expected one.
pub(super) fn matches(block: &[ReplyLine], reply: &Reply) -> bool {
    let same = |line: &ReplyLine| {
        line.code == reply.code && (line.enhanced.is_none() || line.enhanced == reply.enhanced)
    };
    if !block.iter().all(same) {
        return false;
    }
    match block {
        [one] => match &one.text {
            Some(text) => matches!(reply.lines.as_slice(), [line] if line == text),
            None => true,
        },
        lines => {
            lines.len() == reply.lines.len()
                && lines
                    .iter()
                    .zip(&reply.lines)
                    .all(|(one, line)| one.text.as_deref().unwrap_or_default() == line)
        }
    }
}

/// An expected reply, for people.
pub(super) fn shown(block: &[ReplyLine]) -> String {
    block.iter().map(print::reply_line).collect::<Vec<_>>().join(" | ")
}

/// A reply that came, for people.
pub(super) fn wire(reply: &Reply) -> String {
    let mut octets = Vec::new();
    reply.encode(&mut octets);
    String::from_utf8_lossy(&octets).trim_end().replace("\r\n", " | ")
}

/// A message as it is compared, wherever it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen<'m> {
    /// The sender, with angle brackets.
    pub sender: String,
    /// The name of the account of each copy.
    pub copies: Vec<String>,
    /// The fields put in front of it.
    pub prefix: &'m [u8],
    /// Its body.
    pub body: &'m [u8],
}

/// How far the check of durable messages has come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Claimed {
    /// Messages named by an `M:` line.
    messages: usize,
    /// Octets of the last one's body that `B:` lines matched; `None` if there were none.
    body: Option<usize>,
}

/// What differs, in words.
type Check = Result<(), String>;

impl Claimed {
    /// Checks a line about messages.
    pub(super) fn check(&mut self, messages: &[Seen<'_>], expected: &MessageExpected) -> Check {
        match expected {
            MessageExpected::Envelope(sender, recipients) => self.envelope(messages, sender, recipients),
            MessageExpected::NoneLeft => {
                self.body_is_whole(messages)?;
                match messages.get(self.messages) {
                    Some(message) => Err(format!("a message from {} became durable", message.sender)),
                    None => Ok(()),
                }
            }
            MessageExpected::Field(text) => self.field(messages, text, true),
            MessageExpected::NoField(text) => self.field(messages, text, false),
            MessageExpected::Body(text, crlf) => self.body(messages, text, *crlf),
        }
    }

    fn envelope(&mut self, messages: &[Seen<'_>], sender: &str, recipients: &[String]) -> Check {
        self.body_is_whole(messages)?;
        let message = messages.get(self.messages).ok_or("no further message became durable")?;
        if message.sender != sender || message.copies != recipients {
            return Err(format!("the message is {} -> {}", message.sender, message.copies.join(", ")));
        }
        *self = Self { messages: self.messages.saturating_add(1), body: None };
        Ok(())
    }

    /// The message named last.
    fn named<'s, 'm>(&self, messages: &'s [Seen<'m>]) -> Result<&'s Seen<'m>, String> {
        let index = self.messages.checked_sub(1);
        let message = index.and_then(|index| messages.get(index));
        message.ok_or_else(|| "no message was named by an \"M:\" line yet".to_owned())
    }

    fn field(&self, messages: &[Seen<'_>], text: &str, wanted: bool) -> Check {
        let prefix = String::from_utf8_lossy(self.named(messages)?.prefix).replace("\r\n\t", " ");
        if prefix.split("\r\n").any(|field| field.starts_with(text)) == wanted {
            return Ok(());
        }
        Err(format!("the fields in front of the message are: {}", prefix.replace("\r\n", " | ")))
    }

    fn body(&mut self, messages: &[Seen<'_>], text: &Text, crlf: bool) -> Check {
        let mut expected = Vec::new();
        text.expand(&mut expected);
        if crlf {
            expected.extend_from_slice(b"\r\n");
        }
        let from = self.body.unwrap_or_default();
        let rest = self.named(messages)?.body.get(from..).unwrap_or_default();
        if !rest.starts_with(&expected) {
            let came = rest.get(..expected.len()).unwrap_or(rest);
            return Err(format!("the body has here: {}", Text::from_octets(came)));
        }
        self.body = Some(from.saturating_add(expected.len()));
        Ok(())
    }

    /// Where `B:` lines began, they must have reached the end.
    pub(super) fn body_is_whole(&self, messages: &[Seen<'_>]) -> Check {
        let Some(matched) = self.body else { return Ok(()) };
        let rest = self.named(messages)?.body.get(matched..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        Err(format!("the body goes on: {}", Text::from_octets(rest)))
    }
}
