//! What arrives from another process of ours, which may be taken over, and from a server that is not ours.

use super::{Verdict, pieces, promise};
use crate::auth::verifier::{DeriveJob, HashJob};
use crate::cli::arguments;
use crate::dialog::heard::Ear;
use crate::limits::{HEARD_REPLY_LINES_MAX, PASSWORD_OCTETS_MAX};
use crate::server::hash_worker::packet::{
    Job, decode, decode_answer, encode_answer, encode_derivation, encode_job,
};
use crate::types::Reply;
use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// A packet is a job or an answer of a known size, or nothing; what is read is written as it was.
pub(super) fn packet(data: &[u8]) -> Verdict {
    let written = match decode(data) {
        None => None,
        Some(Job::Compare(id, password, hash)) => {
            promise(hash.in_range(), "a job costs more than a hash may")?;
            promise(password.reveal().len() <= PASSWORD_OCTETS_MAX, "a password is longer than any")?;
            let crate::auth::phc::PasswordHash { memory_kib, passes, lanes, salt, tag } = hash;
            Some(encode_job(&HashJob { id, password, salt, memory_kib, passes, lanes, tag }))
        }
        Some(Job::Derive(id, password, salt)) => Some(encode_derivation(&DeriveJob { id, password, salt })),
    };
    if let Some(written) = written {
        let written = written.map_err(|error| error.to_string())?;
        promise(written.as_slice() == data, "a job is written as another")?;
    }
    if let Some(answer) = decode_answer(data) {
        promise(encode_answer(&answer).as_slice() == data, "an answer is written as another")?;
    }
    Ok(())
}

/// Replies of a server are the same however they are cut, and each is written as a reply that reads the same.
pub(super) fn heard(data: &[u8]) -> Verdict {
    let listen = |pieces: &[&[u8]]| {
        let mut ear = Ear::default();
        let mut replies = Vec::new();
        for piece in pieces {
            ear.hear(piece);
            loop {
                match ear.reply() {
                    Ok(Some(reply)) => replies.push(reply),
                    Ok(None) => break,
                    Err(_) => return (replies, false),
                }
            }
        }
        (replies, true)
    };
    let (whole, cut) = pieces(data);
    let (replies, is_clean) = listen(&[whole]);
    promise((replies.clone(), is_clean) == listen(&cut), "a cut changed what is heard")?;
    for reply in replies {
        promise(!reply.lines.is_empty() && reply.lines.len() <= HEARD_REPLY_LINES_MAX, "a reply has no end")?;
        let mut octets = Vec::new();
        reply.encode(&mut octets);
        let mut ear = Ear::default();
        ear.hear(&octets);
        // What is not printable ASCII is never said again: each octet of it becomes a question mark.
        let shown = |line: &Cow<'static, str>| -> Cow<'static, str> {
            let shown = |octet: u8| if matches!(octet, b' '..=b'~') { char::from(octet) } else { '?' };
            line.bytes().map(shown).collect::<String>().into()
        };
        let expected = Reply { lines: reply.lines.iter().map(shown).collect(), ..reply };
        promise(ear.reply() == Ok(Some(expected)), "a reply is heard as another")?;
    }
    Ok(())
}

/// A command line, its words parted by NUL: it is understood, or refused in one line that says what to do.
pub(super) fn arguments(data: &[u8]) -> Verdict {
    let words = data.split(|octet| *octet == 0).map(|word| OsString::from_vec(word.to_vec()));
    let words = std::iter::once(OsString::from("gatepost")).chain(words);
    match arguments::parse(words) {
        Ok(_) => Ok(()),
        Err(failure) => {
            let said = failure.to_string();
            promise(!said.is_empty(), "a command line is refused without a word")?;
            promise(
                !said.contains(|c: char| c.is_control() && c != '\n'),
                "a refusal has a control character",
            )
        }
    }
}
