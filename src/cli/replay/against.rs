//! Plays files against a server.

use super::card::{Card, Told};
use super::files::{Loaded, Progress, load};
use super::target::Doors;
use crate::cli::arguments::Form;
use crate::cli::arguments::replay::Target;
use crate::cli::failure::{Exit, Failure};
use crate::cli::live::talk::Talk;
use crate::cli::live::wire::Wanted;
use crate::cli::{files as disk, output};
use crate::contract::Listener;
use crate::dialog::live::{Deed, Heard, in_memory_only};
use crate::dialog::parse::parse;
use crate::dialog::visit::{Mapping, Visited, Visitor};
use crate::dialog::{Dialog, Event, HeadKey, Kind};
use crate::limits::{
    PASSWORD_OCTETS_MAX, REPLAY_PATIENCE_MS, REPLAY_QUIET_MS, REPLAY_SLOW_MS, REPLAY_TIMING_SAMPLES_MIN,
};
use base64ct::{Base64, Encoding};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_millis(REPLAY_PATIENCE_MS);

/// Plays all of them and prints the score card.
///
/// # Errors
/// When nobody answers, a file cannot be read, or the output is not taken.
pub fn replay(files: &[PathBuf], form: Form, target: &Target) -> Result<ExitCode, Failure> {
    let mapping = mapping(target)?;
    let mut visits = Visits {
        doors: Doors::find(target)?,
        mapping: mapping.as_ref(),
        pause: Duration::from_secs(1).checked_div(target.rate).unwrap_or_default(),
        sessions_left: target.sessions_max,
        last: None,
        card: Card::default(),
    };
    let progress = Progress::new(files.len());
    for (done, path) in files.iter().enumerate() {
        progress.at(done, path);
        let file = path.display().to_string();
        match load(path)? {
            Loaded::Dialog(dialog) => visits.dialogue(&file, &dialog),
            Loaded::NoDialog(line, what) => visits.card.unread(format!("{file}:{line}: {what}")),
        }
    }
    visits.guess();
    progress.clear();
    let mut card = visits.card;
    card.compare_logins();
    match form {
        Form::Scripts => output::write_out(|out| writeln!(out, "{}", card.json()))?,
        Form::People => output::write_out(|out| out.write_all(output_of(&card).as_bytes()))?,
    }
    Ok(match (card.has_unread(), card.is_clean()) {
        (true, _) => ExitCode::from(Exit::Data.code()),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::from(1),
    })
}

/// What servers say is shown, and steers no terminal.
fn output_of(card: &Card) -> String {
    card.lines().iter().map(|line| format!("{}\n", output::printable(line))).collect()
}

fn mapping(target: &Target) -> Result<Option<Mapping>, Failure> {
    let account = match &target.account {
        None => None,
        Some((account, file)) => {
            let most = PASSWORD_OCTETS_MAX.saturating_add(2);
            let text = disk::read_text(file, most)
                .map_err(|error| Failure::of_path(Exit::Io, "read", file, &error))?;
            Some((account.clone(), text.lines().next().unwrap_or_default().to_owned()))
        }
    };
    // Names of one domain alone can be compared.
    let other = account.as_ref().and_then(|(name, _)| name.rsplit_once('@'));
    let other = other.map(|(_, domain)| format!("gatepost-replay-nobody@{domain}"));
    let unknown = target.unknown.clone().or(other);
    Ok((account.is_some() || unknown.is_some()).then_some(Mapping { account, unknown }))
}

struct Visits<'t> {
    doors: Doors,
    mapping: Option<&'t Mapping>,
    /// Between the beginnings of two sessions.
    pause: Duration,
    sessions_left: u32,
    last: Option<Instant>,
    card: Card,
}

impl Visits<'_> {
    fn dialogue(&mut self, file: &str, dialog: &Dialog) {
        if let Some((_, why)) = in_memory_only(dialog) {
            return self.card.skipped(why.reason());
        }
        let is_set_up =
            |kind: &Kind| matches!(kind, Kind::Head(HeadKey::Size | HeadKey::Tls | HeadKey::Scram));
        if dialog.entries.iter().any(|entry| is_set_up(&entry.kind)) {
            return self.card.skipped("it is about a server that is set up in another way");
        }
        let listeners = listeners(dialog);
        if listeners.iter().any(|listener| self.doors.of(*listener).is_none()) {
            return self.card.skipped("no address of this door was given");
        }
        let sessions = u32::try_from(listeners.len()).unwrap_or(u32::MAX);
        let Some(left) = self.sessions_left.checked_sub(sessions) else {
            return self.card.skipped("no more sessions are allowed (--count)");
        };
        self.sessions_left = left;
        match Visitor::new(dialog, self.mapping, REPLAY_SLOW_MS) {
            Ok(visitor) => {
                let (visited, lost) = self.visit(visitor);
                if let Some(why) = lost {
                    self.card.tell(Told::crash(file, why));
                }
                self.card.visited(file, visited);
            }
            Err((line, what)) => self.card.unread(format!("{file}:{line}: {what}")),
        }
    }

    /// Does what the visitor says. With why a connection could not be made, if one could not.
    fn visit(&mut self, mut visitor: Visitor<'_>) -> (Visited, Option<String>) {
        let mut talks: BTreeMap<u8, Talk> = BTreeMap::new();
        while let Some(deed) = visitor.next() {
            if let Deed::Connect(number, listener) = deed {
                match self.connect(listener) {
                    Ok(talk) => talks.insert(number, talk),
                    Err(why) => return (visitor.finish(), Some(why)),
                };
                continue;
            }
            let begun = Instant::now();
            let heard = done(&mut talks, deed);
            if let Some(heard) = heard {
                let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                visitor.heard(heard, took);
            }
        }
        (visitor.finish(), None)
    }

    fn connect(&mut self, listener: Listener) -> Result<Talk, String> {
        if let Some(last) = self.last {
            std::thread::sleep(self.pause.saturating_sub(last.elapsed()));
        }
        self.last = Some(Instant::now());
        let to = self.doors.of(listener).ok_or("no address of this door was given")?;
        Talk::connect(to, PATIENCE).map_err(|error| format!("cannot connect to {to}: {error}"))
    }

    /// Wrong passwords for an account and for nobody, in turns, so that replies and times can be compared.
    fn guess(&mut self) {
        let Some(Mapping { account: Some(_), .. }) = self.mapping else { return };
        let all = [Listener::Submissions, Listener::Submission, Listener::Smtp];
        let Some(listener) = all.into_iter().find(|listener| self.doors.of(*listener).is_some()) else {
            return;
        };
        for round in 0..REPLAY_TIMING_SAMPLES_MIN {
            for name in ["account", "nobody"] {
                match parse(&guess(listener, name, round)) {
                    Ok(dialog) => self.dialogue("(guesses)", &dialog),
                    // No name and number makes it another.
                    Err(_) => return,
                }
            }
        }
    }
}

/// What came of a deed, if anything is to be heard.
fn done(talks: &mut BTreeMap<u8, Talk>, deed: Deed) -> Option<Heard> {
    match deed {
        Deed::Connect(..) => None,
        Deed::Handshake(number, _) => {
            let secured = talks.get_mut(&number)?.secure(&Wanted::ANY, PATIENCE);
            Some(secured.map_or_else(Heard::NotSecured, |()| Heard::Secured))
        }
        Deed::Send(number, octets) => {
            talks.get_mut(&number)?.send(&octets);
            None
        }
        Deed::CloseSending(number) => {
            talks.get_mut(&number)?.close_sending();
            None
        }
        Deed::Break(number) => {
            talks.remove(&number)?.reset();
            None
        }
        Deed::AwaitReply(number) => Some(talks.get_mut(&number)?.listen(PATIENCE)),
        Deed::AwaitEnd(number) => Some(talks.get_mut(&number)?.end(PATIENCE)),
        Deed::AwaitSilence(number) => {
            Some(talks.get_mut(&number)?.listen(Duration::from_millis(REPLAY_QUIET_MS)))
        }
        Deed::ListMessages => Some(Heard::Messages(Vec::new())),
    }
}

/// The doors of a dialogue, one for each session.
fn listeners(dialog: &Dialog) -> Vec<Listener> {
    let mut doors: BTreeMap<u8, Listener> = BTreeMap::new();
    for entry in &dialog.entries {
        if let Kind::Session(number, event) = &entry.kind {
            let door = if let Event::Open(Some(door), _) = event { *door } else { dialog.head.listener };
            doors.entry(*number).or_insert(door);
        }
    }
    doors.into_values().collect()
}

/// One wrong password at this door.
fn guess(listener: Listener, name: &str, round: usize) -> String {
    let response = Base64::encode_string(format!("\0{name}@example.org\0wrong-{round}").as_bytes());
    let tls = match listener {
        Listener::Submissions => "",
        Listener::Smtp | Listener::Submission => {
            "C: STARTTLS\nS: 220\nTLS: up TLSv1.3 TLS_AES_128_GCM_SHA256\nC: EHLO replay.example\nS: 250\n"
        }
    };
    format!(
        "gatepost-dialog 1\nlistener: {}\nW: domain example.org\nW: account account@example.org\nS: 220\n\
         C: EHLO replay.example\nS: 250\n{tls}C: AUTH PLAIN {response}\nS: 535\nC: QUIT\nS: 221\nCLOSE: quit\n",
        listener.name()
    )
}
