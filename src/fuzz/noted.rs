//! The log: whatever is noted however fast, what peers cause has a ceiling, is counted exactly, and no octet of
//! theirs begins a line.

use super::report::VERDICTS;
use super::{Verdict, promise};
use crate::contract::{Listener, PeerFacts};
use crate::dialog::CAUSES;
use crate::limits::{LOG_LINE_OCTETS_MAX, LOG_PEERS_OCTETS_PER_MINUTE_MAX};
use crate::smtp::outcome::RecipientReason;
use crate::telemetry::Recorder;
use crate::telemetry::note::{Note, Noted};
use crate::telemetry::read::fields;
use crate::types::{MailId, Moment, SessionId, UnixTime};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};

const MINUTE_MS: u64 = 60_000;
/// So often is each event noted, so that a short input is a flood.
const REPEATED: usize = 40;

/// Lines: three octets (what, from where, how much later) and what the peer says.
pub(super) fn noted(data: &[u8]) -> Verdict {
    let mut recorder = Recorder::new();
    let mut now = Moment(1_000);
    let mut told: VecDeque<(Moment, usize)> = VecDeque::new();
    let (mut notes, mut octets) = (0_u64, 0_usize);
    for line in data.split(|octet| *octet == b'\n').take(200) {
        let [what, from, later, said @ ..] = line else { continue };
        now = now.plus_ms(u64::from(*later).saturating_mul(u64::from(*later)));
        let note = note(*what, &String::from_utf8_lossy(said));
        let address = IpAddr::V4(Ipv4Addr::new(203, 0, from >> 4, *from));
        let peer =
            PeerFacts { session: SessionId(u64::from(*from)), address, listener: Listener::Submission };
        let noted = Noted { peer, note, app_password: String::new() };
        for _ in 0..REPEATED {
            notes = notes.saturating_add(1);
            for (_, text) in recorder.judge(now, &noted) {
                promise(text.len() <= LOG_LINE_OCTETS_MAX, "a line is too long")?;
                promise(fields(&text).is_some(), "a line is not read as it is written")?;
                let length = text.len().saturating_add(1);
                octets = octets.saturating_add(length);
                told.push_back((now, length));
            }
        }
        while let Some((_, length)) = told.pop_front_if(|(at, _)| now.since_ms(*at) >= MINUTE_MS) {
            octets = octets.saturating_sub(length);
        }
        promise(octets <= LOG_PEERS_OCTETS_PER_MINUTE_MAX, "peers cause more log in a minute than they may")?;
    }
    let counted: u64 = recorder.counters().map(|(_, count)| count).sum();
    promise(counted == notes, "something was noted and not counted")
}

fn note(what: u8, said: &str) -> Note {
    let pick = usize::from(what >> 3);
    match what & 7 {
        0 | 1 => {
            let verdict = VERDICTS.get(pick.checked_rem(VERDICTS.len()).unwrap_or_default()).copied();
            match verdict {
                Some(verdict) => Note::Login { mechanism: "PLAIN", login: said.to_owned(), verdict },
                None => Note::Encrypted,
            }
        }
        2 => Note::Accepted {
            id: MailId::new(UnixTime(1), u64::from(what)),
            octets: 1,
            deliveries: 1,
            sender: said.to_owned(),
        },
        3 | 4 => Note::RecipientRefused {
            recipient: said.to_owned(),
            reason: RecipientReason::NoSuchAddress,
            code: 550,
        },
        5 => Note::MessageRefused { reason: "loop", code: 554 },
        6 => Note::EarlyTalk,
        _ => {
            let cause = CAUSES.get(pick.checked_rem(CAUSES.len()).unwrap_or_default()).copied();
            cause.map_or(Note::Verify, |cause| Note::Closed { cause, errors: u32::from(what), offence: "" })
        }
    }
}
