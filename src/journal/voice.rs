//! How what happened is written down: the text of one entry.

use crate::auth::verdict::LoginVerdict;
use crate::contract::{Answer, CommitAnswer, Pace, RoomAnswer};
use crate::dialog::ReplyLine;
use crate::dialog::print::reply_line;
use crate::dialog::text::Text;
use crate::policy::recipient::{Expansion, RecipientLookup};
use crate::policy::sender::SenderLookup;
use crate::types::Reply;

/// What LOGIN asks, and the challenge that is empty: the only ones that chance has no part in.
const CHALLENGES: [&str; 3] = ["", "VXNlcm5hbWU6", "UGFzc3dvcmQ6"];

/// `C:` or, without CRLF, `C-:`.
pub(super) fn client(octets: &[u8], crlf: bool) -> String {
    let tag = if crlf { "C:" } else { "C-:" };
    if octets.is_empty() {
        return tag.to_owned();
    }
    let plain = |octet: &u8| matches!(octet, b' '..=b'~') && *octet != b'\\';
    match std::str::from_utf8(octets) {
        Ok(text) if octets.len() < 64 && octets.iter().all(plain) && !text.ends_with(' ') => {
            format!("{tag} {text}")
        }
        Ok(_) | Err(_) => format!("{tag} {}", Text::from_octets(octets)),
    }
}

/// `S:` for each line; `varies`: its text has chance in it.
pub(super) fn reply(reply: &Reply, varies: bool) -> Vec<String> {
    let first = reply.lines.first().map_or("", |line| line);
    if varies || (reply.code == 334 && !CHALLENGES.contains(&first)) {
        let line = ReplyLine { code: reply.code, more: false, enhanced: reply.enhanced, text: None };
        return vec![format!("S: {}", reply_line(&line))];
    }
    let last = reply.lines.len().saturating_sub(1);
    let one = |(at, text): (usize, &std::borrow::Cow<'static, str>)| {
        let text = (!text.is_empty()).then(|| text.to_string());
        let line = ReplyLine { code: reply.code, more: at < last, enhanced: reply.enhanced, text };
        format!("S: {}", reply_line(&line))
    };
    reply.lines.iter().enumerate().map(one).collect()
}

/// `PACE:`
pub(super) fn pace(pace: Pace) -> String {
    format!("PACE: greeting={}ms refusal={}ms", pace.greeting_ms, pace.refusal_ms)
}

/// What follows `A:` for an answer that does not follow from the world. `expected`: what the directory says of the
/// sender, if that was asked.
pub(super) fn answer(answer: &Answer, expected: Option<SenderLookup>) -> Option<String> {
    Some(match answer {
        Answer::Sender(SenderLookup::Own) if expected != Some(SenderLookup::Own) => "sender own".to_owned(),
        Answer::Sender(SenderLookup::NotOwn) if expected != Some(SenderLookup::NotOwn) => {
            "sender not-own".to_owned()
        }
        Answer::Room(RoomAnswer::Enough)
        | Answer::Sender(SenderLookup::Null | SenderLookup::Own | SenderLookup::NotOwn)
        | Answer::Commit(CommitAnswer::Durable)
        | Answer::Salt(_)
        | Answer::Recipient(
            RecipientLookup::Account(_)
            | RecipientLookup::SuspendedAccount(_)
            | RecipientLookup::Alias(Expansion::Members(_))
            | RecipientLookup::CatchAll(_)
            | RecipientLookup::NoSuchAddress
            | RecipientLookup::NotOurDomain,
        ) => return None,
        Answer::Room(RoomAnswer::DiskFull) => "room disk-full".to_owned(),
        Answer::Room(RoomAnswer::Unavailable) => "room unavailable".to_owned(),
        Answer::Sender(SenderLookup::AccountStopped) => "sender account-stopped".to_owned(),
        Answer::Sender(SenderLookup::Unavailable) => "sender unavailable".to_owned(),
        Answer::Recipient(RecipientLookup::Unavailable) => "recipient unavailable".to_owned(),
        Answer::Recipient(RecipientLookup::Alias(Expansion::NoLivingMember)) => {
            "recipient no-living-member".to_owned()
        }
        Answer::Recipient(RecipientLookup::Alias(Expansion::TooDeep)) => "recipient too-deep".to_owned(),
        Answer::Recipient(RecipientLookup::Alias(Expansion::TooMany)) => "recipient too-many".to_owned(),
        Answer::Commit(CommitAnswer::DiskFull) => "commit disk-full".to_owned(),
        Answer::Commit(CommitAnswer::Failed) => "commit failed".to_owned(),
        Answer::Login(verdict) | Answer::Proof(verdict, _) => match verdict {
            LoginVerdict::Unavailable(why) => format!("login {}", why.name()),
            LoginVerdict::Accepted(..) | LoginVerdict::Refused(_) | LoginVerdict::Disabled(_) => return None,
        },
    })
}
