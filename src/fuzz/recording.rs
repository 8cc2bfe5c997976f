//! Nothing that was typed is in a recording, and a recording plays as it was recorded.

use super::Verdict;
use crate::contract::Listener;
use crate::dialog::play::{Cuts, play_recorded};
use crate::dialog::text::Text;
use crate::dialog::{Dialog, Entry, Event, GIVEN, Head, Kind, parse};
use crate::journal::Arena;
use crate::journal::write::file;
use crate::types::Chance;
use base64ct::{Base64, Encoding};
use std::sync::Arc;

/// What people typed where it does not belong: in no recording, whatever way it is written.
const SECRETS: [&str; 4] = ["Tr0ub4dor&Zq7", "GeheimesWort99", "ehlo-Kennwort42", "0f5dQz8-Wq.Ab7Yx"];

/// The world; its passwords are secrets too.
const WORLD: &str = "gatepost-dialog 1\nlistener: smtp\n\
    W: domain example.org\n\
    W: domain all.example catch-all=me@example.org\n\
    W: account me@example.org password=\"Tr0ub4dor&Zq7\" app-password=\"0f5dQz8-Wq.Ab7Yx\" address=myself@all.example\n\
    W: account off@example.org password=\"Tr0ub4dor&Zq7\" state=disabled\n\
    W: account away@example.org state=suspended\n\
    W: account main@example.org password=\"Tr0ub4dor&Zq7\" main-password=forbidden\n\
    W: alias info@example.org to=me@example.org to=off@example.org\n\
    W: alias dead@example.org to=nobody@example.org\n";

/// What a client may do next, where `$1` to `$4` are the secrets, `{…}` is written in base64, and what begins with
/// `@` happens to the session. Lines that begin with `-` have no CRLF.
const PHRASES: [&str; 112] = [
    "EHLO client.example",
    "HELO x",
    "EHLO $3",
    "EHLO [192.0.2.7]",
    "EHLO [IPv6:2001:db8::9]",
    "EHLO",
    "ehlo $1 $2",
    "MAIL FROM:<>",
    "MAIL FROM:<you@client.example>",
    "MAIL FROM:<me@example.org>",
    "MAIL FROM:<$1@example.org>",
    "MAIL FROM:<a@b.example> SIZE=99999999",
    "MAIL FROM:<a@b.example> BODY=BINARYMIME SMTPUTF8",
    "MAIL FROM:<a@b.example> $2=$1",
    "MAIL FROM:$1",
    "MAIL FROM:<$1",
    "MAIL TO:<$1>",
    "MAIL FROM:<\u{fc}$1@b.example>",
    "MAIL FROM:<\u{fc}$1@b.example> SMTPUTF8",
    "MAIL FROM:<a@b.example> SIZE=$1",
    "RCPT TO:<me@example.org>",
    "RCPT TO:<ME+$2@Example.ORG>",
    "RCPT TO:<$1@example.org>",
    "RCPT TO:<$1@all.example>",
    "RCPT TO:<$2@$3>",
    "RCPT TO:<info@example.org>",
    "RCPT TO:<dead@example.org>",
    "RCPT TO:<away@example.org>",
    "RCPT TO:<postmaster>",
    "RCPT TO:<abuse@all.example>",
    "RCPT TO:<$1%other.example@example.org>",
    "RCPT TO:<@relay.example,@$3:me@example.org>",
    "RCPT TO:<\"$1 $2\"@example.org>",
    "RCPT TO:<$1@[192.0.2.1]>",
    "RCPT TO:$1",
    "RCPT TO:<me@example.org> NOTIFY=$2",
    "RCPT TO:<$1@example.org> X",
    "rcpt $1",
    "DATA",
    "DATA $1",
    "Subject: $1",
    "Received: from $2",
    "$1\n.\nMAIL FROM:<$2@x.example>",
    "$1\r.\r",
    ".",
    "..$1",
    "-.\n",
    "-\r\n.\n",
    "-\n.\r\n",
    "BDAT 20",
    "BDAT 5 LAST",
    "BDAT 0 LAST",
    "BDAT $1",
    "BDAT 999999999",
    "-$1$2",
    "RSET",
    "NOOP",
    "NOOP $1",
    "HELP $2",
    "VRFY $1",
    "VRFY",
    "EXPN $1",
    "QUIT",
    "QUIT $1",
    "$1",
    "$2 $1",
    "PASS $1",
    "-$1",
    "-$2\r",
    "GET /$1 HTTP/1.1",
    "Host: $2",
    "\u{1}$1",
    "$1\0",
    "MAILX $1",
    "RCPT$1",
    "AUTH",
    "AUTH $1",
    "AUTH PLAIN",
    "AUTH LOGIN",
    "AUTH CRAM-MD5",
    "AUTH PLAIN $1",
    "AUTH LOGIN $1",
    "AUTH PLAIN {\0$3\0$2}",
    "AUTH PLAIN {\0me@example.org\0$1}",
    "AUTH PLAIN {\0me@example.org\0$4}",
    "AUTH PLAIN {\0me@example.org\0$2}",
    "AUTH PLAIN {$3\0me@example.org\0$1}",
    "AUTH PLAIN {me@example.org\0ME@example.org\0$1}",
    "AUTH PLAIN {\0off@example.org\0$1}",
    "AUTH PLAIN {\0main@example.org\0$1}",
    "AUTH PLAIN {\0info@example.org\0$2}",
    "AUTH PLAIN {\0$2@all.example\0$1}",
    "AUTH PLAIN {$1}",
    "AUTH PLAIN =",
    "AUTH LOGIN {me@example.org}",
    "AUTH LOGIN {$1}",
    "{$1}",
    "{$2}",
    "{me@example.org}",
    "{\0$3\0$1}",
    "*",
    "",
    "AUTH SCRAM-SHA-256 {n,,n=$3,r=$1}",
    "AUTH SCRAM-SHA-256 {n,,n=me@example.org,r=abc$1}",
    "AUTH SCRAM-SHA-256-PLUS {p=tls-exporter,,n=$3,r=$1}",
    "{c=biws,r=$1,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=}",
    "{c=biws,r=$1,p=$2}",
    "STARTTLS",
    "STARTTLS $1",
    "@tls",
    "@tls",
    "@eof",
];

/// A session made of phrases, one octet each; those above the phrases are answers, time, and ends.
///
/// # Errors
/// What was found in the recording, or how it differs.
pub(super) fn recording(data: &[u8]) -> Verdict {
    let Some((door, steps)) = data.split_first() else { return Ok(()) };
    let listener = match door % 3 {
        0 => Listener::Smtp,
        1 => Listener::Submission,
        _ => Listener::Submissions,
    };
    let dialog = dialog_of(listener, steps)?;
    let mut chance = Chance::from_seed([*door; 32]);
    for mut cuts in [Cuts::Whole, Cuts::Chance(&mut chance)] {
        let (recordings, settings) = play_recorded(&dialog, &mut cuts, Arc::new(Arena::new(1 << 22)));
        for recording in recordings {
            let shown = || format!("\n{}", crate::dialog::print::print(&dialog));
            let made = file(vec![recording], &settings).map_err(|why| format!("{why}{}", shown()))?;
            if let Some(secret) = leak(&made.text) {
                return Err(format!("a recording has {secret} in it\n{}{}", made.text, shown()));
            }
            if let Some(why) = made.shortened {
                return Err(format!("a recording plays otherwise: {why}\n{}{}", made.text, shown()));
            }
        }
    }
    Ok(())
}

fn dialog_of(listener: Listener, steps: &[u8]) -> Result<Dialog, String> {
    let world = parse::parse(WORLD).map_err(|error| error.to_string())?;
    let mut kinds: Vec<Kind> = world.entries.into_iter().map(|entry| entry.kind).collect();
    for step in steps.iter().take(200) {
        let kind = match (PHRASES.get(usize::from(*step)), step) {
            (Some(&"@tls"), _) => Kind::Session(1, Event::TlsUp(super::login::tls())),
            (Some(&"@eof"), _) => Kind::Session(1, Event::PeerClosed),
            (Some(phrase), _) => {
                let (text, crlf) = phrase.strip_prefix('-').map_or((*phrase, true), |rest| (rest, false));
                Kind::Session(1, Event::Client(Text::from_octets(&said(text)), crlf))
            }
            (None, 250) => Kind::Session(1, Event::Broken),
            (None, 251) => Kind::Session(1, Event::TlsFailed),
            (None, 252) => Kind::Stop,
            (None, 253) => Kind::Pass(301_000),
            (None, 254) => Kind::Pass(1_000),
            (None, other) => {
                let at = usize::from(*other).checked_rem(GIVEN.len()).unwrap_or_default();
                let Some((about, _, given)) = GIVEN.get(at) else { continue };
                Kind::Session(1, Event::Answer(*about, given.clone()))
            }
        };
        kinds.push(kind);
    }
    let head = Head { message_octets_max: 4_096, ..Head::new(listener, super::default_hostname()?) };
    let entries = (2_usize..).zip(kinds).map(|(line, kind)| Entry { line, kind }).collect();
    Ok(Dialog { head, entries })
}

/// A phrase as octets.
fn said(phrase: &str) -> Vec<u8> {
    let mut text = phrase.to_owned();
    for (at, secret) in SECRETS.iter().enumerate() {
        text = text.replace(&format!("${}", at.saturating_add(1)), secret);
    }
    match text.split_once('{') {
        Some((before, inside)) => {
            let inside = inside.strip_suffix('}').unwrap_or(inside);
            format!("{before}{}", Base64::encode_string(inside.as_bytes())).into_bytes()
        }
        None => text.into_bytes(),
    }
}

/// A secret that is in a text: as it is, in any case, in base64 at any place of a longer text, in hexadecimal.
fn leak(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    for secret in SECRETS {
        let hex: String = secret.bytes().map(|octet| format!("{octet:02x}")).collect();
        if lower.contains(&secret.to_ascii_lowercase()) || lower.contains(&hex) {
            return Some(secret.to_owned());
        }
        for lead in 0..3_usize {
            let mut octets = vec![0; lead];
            octets.extend_from_slice(secret.as_bytes());
            let encoded = Base64::encode_string(&octets);
            // The first and the last letters depend on what stands beside it.
            let from = [0, 2, 3].get(lead).copied().unwrap_or_default();
            let whole = secret.len().saturating_add(lead) / 3;
            let inside = encoded.get(from..whole.saturating_mul(4)).unwrap_or_default();
            if inside.len() > 8 && text.contains(inside) {
                return Some(format!("{secret} in base64"));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_is_found_however_it_is_written() {
        for (at, secret) in SECRETS.iter().enumerate() {
            for lead in ["", "x", "xy"] {
                let text = format!("{lead}{secret}tail");
                assert!(leak(&text).is_some(), "{at}");
                assert!(leak(&Base64::encode_string(text.as_bytes())).is_some(), "{at} {lead}");
            }
        }
        assert_eq!(leak("C: AUTH PLAIN AHVua25vd24tMQBzdGFuZC1pbi0x"), None);
    }

    #[test]
    fn random_hostile_sessions_play_from_their_recordings_and_keep_what_was_typed() {
        let mut chance = Chance::from_seed([77; 32]);
        for round in 0..1_500 {
            let mut data = vec![u8::try_from(chance.below(3)).unwrap()];
            // Most sessions get somewhere first.
            let starts: [&[&str]; 6] = [
                &[],
                &["EHLO client.example"],
                &["EHLO client.example", "STARTTLS", "@tls", "EHLO client.example"],
                &["EHLO client.example", "MAIL FROM:<>", "RCPT TO:<me@example.org>"],
                &["EHLO client.example", "MAIL FROM:<>", "RCPT TO:<me@example.org>", "DATA"],
                &[
                    "EHLO client.example",
                    "STARTTLS",
                    "@tls",
                    "EHLO client.example",
                    "AUTH PLAIN {\0me@example.org\0$1}",
                ],
            ];
            let start = usize::try_from(chance.below(6)).unwrap();
            for phrase in starts[start] {
                data.push(u8::try_from(PHRASES.iter().position(|known| known == phrase).unwrap()).unwrap());
            }
            for _ in 0..chance.below(25) {
                let most = if chance.below(4) == 0 { 256 } else { 112 };
                data.push(u8::try_from(chance.below(most)).unwrap());
            }
            if let Err(why) = recording(&data) {
                panic!("round {round}, {data:?}: {why}");
            }
        }
    }
}
