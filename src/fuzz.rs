//! The bodies of the fuzz targets: octets in, and a complaint if a promise was broken.
//!
//! They live here so that a test can read the whole corpus again on every run, without a fuzzer. `fuzz/` has a
//! line for each of them.

mod administration;
mod enrol;
mod gates;
mod import;
pub mod login;
mod noted;
mod processes;
mod recording;
mod report;
mod scram;
mod stored;
mod verify;

use crate::auth::sasl::{Exchange, Mechanism, Step, Surroundings};
use crate::auth::scram::keys::ServerSignature;
use crate::auth::verdict::ProvenBy;
use crate::contract::{Listener, TlsFacts};
use crate::dialog::play::{Cuts, Report, play_for_laws};
use crate::dialog::text::Text;
use crate::dialog::{DEFAULT_HOSTNAME, Dialog, Entry, Event, Head, Kind, parse, print};
use crate::frame::chunk::{ChunkCutter, LineEnds};
use crate::frame::dot::{DotCut, DotCutter};
use crate::frame::line::{Cut, LineCutter};
use crate::mail::date;
use crate::mail::notice::{self, NewPlace};
use crate::mail::scan::HeaderScan;
use crate::mail::trace::{self, ReceivedFacts};
use crate::smtp::command::{self, Command, Dialect};
use crate::types::{AccountId, Chance, ChannelBindings, Domain, MailId, ScramSalt, UnixTime};
use std::net::{IpAddr, Ipv6Addr};

/// A broken promise, in words.
pub type Verdict = Result<(), String>;

/// A target that takes octets.
pub type Target = fn(&[u8]) -> Verdict;

/// Every target that takes octets, by the name of its folder in `corpus/`.
pub const TARGETS: [(&str, Target); 29] = [
    ("address", administration::address),
    ("arguments", processes::arguments),
    ("certificate", scram::certificate),
    ("chunk", chunk),
    ("command", command),
    ("config", administration::config),
    ("control", administration::control),
    ("dialog", dialog),
    ("dot", dot),
    ("enrol", enrol::enrol),
    ("gates", gates::gates),
    ("header", header),
    ("heard", processes::heard),
    ("import", import::import),
    ("journal", stored::journal),
    ("line", line),
    ("login", login::login),
    ("noted", noted::noted),
    ("packet", processes::packet),
    ("password", administration::password),
    ("phc", stored::phc),
    ("record", stored::record),
    ("recording", recording::recording),
    ("report", report::report),
    ("sasl", sasl),
    ("scram", scram::scram),
    ("timers", gates::timers),
    ("verify", verify::verify),
    ("wire", wire),
];

fn promise(kept: bool, promise: &str) -> Verdict {
    if kept { Ok(()) } else { Err(promise.to_owned()) }
}

/// Octets cut into pieces; the first octet of the input says how.
fn pieces(data: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let Some((how, octets)) = data.split_first() else { return (data, Vec::new()) };
    let mut chance = Chance::from_seed([*how; 32]);
    let mut list = Vec::new();
    let mut rest = octets;
    while !rest.is_empty() {
        let size = usize::try_from(chance.below(9)).unwrap_or_default().saturating_add(1);
        let (piece, after) = rest.split_at_checked(size).unwrap_or((rest, &[]));
        list.push(piece);
        rest = after;
    }
    (octets, list)
}

/// A path that was read is written so that it is read as the same path.
fn command(data: &[u8]) -> Verdict {
    for dialect in [Dialect::Strict, Dialect::Submission] {
        let again = match command::parse(data, dialect) {
            Ok(Command::Mail(path, ..)) => {
                let text = format!("MAIL FROM:{path} SMTPUTF8");
                matches!(command::parse(text.as_bytes(), dialect), Ok(Command::Mail(second, ..)) if second == path)
            }
            Ok(Command::Rcpt(path, _)) => {
                let text = format!("RCPT TO:{path}");
                matches!(command::parse(text.as_bytes(), dialect), Ok(Command::Rcpt(second, _)) if second == path)
            }
            Ok(_) | Err(_) => true,
        };
        promise(again, "a path is not read as it was written")?;
    }
    Ok(())
}

/// Cuts change no line.
fn line(data: &[u8]) -> Verdict {
    const CEILING: usize = 16;
    let lines = |pieces: &[&[u8]]| {
        let mut cutter = LineCutter::new();
        let mut found = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let (taken, cut) = cutter.cut(rest, CEILING);
                match cut {
                    Cut::More => {}
                    Cut::Line(line) => found.push(Ok(line.to_vec())),
                    Cut::TooLong(head) => found.push(Err(head)),
                }
                rest = rest.get(taken.max(1)..).unwrap_or_default();
            }
        }
        found
    };
    let (whole, cut) = pieces(data);
    let found = lines(&[whole]);
    promise(found == lines(&cut), "a cut changed a line")?;
    let clean = |line: &Result<Vec<u8>, _>| {
        line.as_ref().map_or(true, |line| line.len().saturating_add(2) <= CEILING && !holds_crlf(line))
    };
    promise(found.iter().all(clean), "a line is too long, or holds a CRLF")
}

fn holds_crlf(text: &[u8]) -> bool {
    text.iter().zip(text.iter().skip(1)).any(|pair| pair == (&b'\r', &b'\n'))
}

/// Cuts change neither the end of a message nor what it means; a clean message says no more than was sent.
fn dot(data: &[u8]) -> Verdict {
    let read = |pieces: &[&[u8]]| {
        let mut cutter = DotCutter::new();
        let (mut out, mut total, mut end) = (Vec::new(), 0usize, DotCut::More);
        for piece in pieces {
            let (taken, cut) = cutter.cut(piece, &mut out);
            total = total.saturating_add(taken);
            end = cut;
            if end == DotCut::End {
                break;
            }
        }
        // What an unclean message means is nothing.
        let clean = cutter.is_clean();
        (clean.then_some(out), total, end)
    };
    let (whole, cut) = pieces(data);
    let found = read(&[whole]);
    let cut = if cut.is_empty() { vec![whole] } else { cut };
    promise(found == read(&cut), "a cut changed a message")?;
    if let (Some(message), total, DotCut::End) = found {
        promise(message.len().saturating_add(3) <= total, "a message grew")?;
        promise(message.is_empty() || message.ends_with(b"\r\n"), "a message ends within a line")?;
        promise(lone_line_ends(&message).is_none(), "a clean message has a lone CR or LF")?;
    }
    Ok(())
}

/// Where a CR or LF stands alone.
fn lone_line_ends(text: &[u8]) -> Option<usize> {
    let before = std::iter::once(&0).chain(text);
    let after = text.iter().skip(1).chain(std::iter::once(&0));
    text.iter().zip(before.zip(after)).position(|(octet, (before, after))| match octet {
        b'\r' => *after != b'\n',
        b'\n' => *before != b'\r',
        _ => false,
    })
}

/// A chunk has its size exactly; lone line ends are seen wherever the text is cut.
fn chunk(data: &[u8]) -> Verdict {
    let (whole, cut) = pieces(data);
    let size = u64::from(whole.first().copied().unwrap_or_default());
    let mut cutter = ChunkCutter::new(size);
    let mut ends = LineEnds::new();
    let mut taken = Vec::new();
    for piece in cut {
        let part = cutter.cut(piece);
        ends.feed(part);
        taken.extend_from_slice(part);
    }
    let expected = whole.get(..usize::try_from(size).unwrap_or(usize::MAX)).unwrap_or(whole);
    promise(taken == expected, "a chunk is not what was sent")?;
    promise(ends.are_clean() == lone_line_ends(&taken).is_none(), "a lone line end was missed or made up")
}

/// Cuts change no fact of a header.
fn header(data: &[u8]) -> Verdict {
    let (whole, cut) = pieces(data);
    let mut one = HeaderScan::new();
    one.feed(whole);
    let mut other = HeaderScan::new();
    cut.iter().for_each(|piece| other.feed(piece));
    promise(one.facts() == other.facts(), "a cut changed a fact")?;
    let octets = u64::try_from(whole.len()).unwrap_or(u64::MAX);
    promise(one.facts().header_octets <= octets, "a header is longer than its message")?;
    trace(data)
}

/// Whatever a client calls itself, the Received field has no line that could be another field.
fn trace(data: &[u8]) -> Verdict {
    let number = data.iter().take(8).fold(0u64, |sum, octet| (sum << 8) | u64::from(*octet));
    let hostname = default_hostname()?;
    let name = String::from_utf8_lossy(data);
    let tls =
        TlsFacts { version: "TLSv1.3", cipher: name.clone().into_owned(), bindings: Default::default() };
    let field = trace::received(&ReceivedFacts {
        client_name: &name,
        address: IpAddr::V6(Ipv6Addr::from(u128::from(number))),
        hostname: &hostname,
        esmtp: number & 1 == 0,
        tls: (number & 2 == 0).then_some(&tls),
        authenticated: number & 4 == 0,
        utf8: number & 8 == 0,
        id: MailId::new(UnixTime(number), number),
        recipient: None,
        date: UnixTime(number),
    });
    let body = field.strip_suffix(b"\r\n").ok_or("a field does not end its line")?;
    let text = std::str::from_utf8(body).map_err(|_| "a field is no UTF-8")?;
    let folded = text.split("\r\n").skip(1).all(|line| line.starts_with('\t'));
    promise(folded, "a folded line does not begin with a tab")?;
    promise(!text.replace("\r\n", "").contains(['\r', '\n', '\0']), "a field has a lone line end")?;
    promise(text.split("\r\n").all(|line| line.len() <= 998), "a line is over 998 octets")?;
    warning(number, &name)?;
    let written = date::rfc3339(UnixTime(number));
    let read = date::from_rfc3339(&written).ok_or("a time is not read back")?;
    promise(date::rfc3339(read) == written, "a time is read as another")
}

/// A message of our own has whole lines, and a header that nothing in its text reaches into.
fn warning(number: u64, name: &str) -> Verdict {
    let account = "me@example.org".parse().map_err(|error| format!("{error}"))?;
    // An administrator may call a password anything but a control character.
    let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    let octets = notice::new_place(&NewPlace {
        account: &account,
        hostname: &default_hostname()?,
        id: MailId::new(UnixTime(number), number),
        time: UnixTime(number),
        source: IpAddr::V6(Ipv6Addr::from(u128::from(number))),
        mechanism: "PLAIN",
        app_password: (number & 8 == 0).then_some((7, name.as_str())),
    });
    let text = String::from_utf8(octets).map_err(|error| error.to_string())?;
    promise(text.ends_with("\r\n"), "a warning ends within a line")?;
    promise(!text.replace("\r\n", "").contains(['\r', '\n', '\0']), "a warning has a lone line end")?;
    promise(text.split("\r\n").take_while(|line| !line.is_empty()).count() == 9, "a field was put in")
}

/// An exchange ends after at most four lines, with a claim or without.
fn sasl(data: &[u8]) -> Verdict {
    for mechanism in Mechanism::ALL {
        let mut lines = data.split(|octet| *octet == b'\n');
        let bindings = ChannelBindings { exporter: Some([b'E'; 32]), end_point: None };
        let mut chance = Chance::from_seed([1; 32]);
        let around = &mut Surroundings { bindings: &bindings, chance: &mut chance };
        let mut exchange = Exchange::new(mechanism, around);
        let initial = lines.next().filter(|line| !line.is_empty());
        let mut step = exchange.start(initial);
        let mut challenges = 0u8;
        loop {
            step = match step {
                Step::Challenge(text) => {
                    challenges = challenges.saturating_add(1);
                    promise(challenges <= 3, "an exchange goes on and on")?;
                    promise(text.is_ascii(), "a challenge is not ASCII")?;
                    exchange.respond(lines.next().unwrap_or_default())
                }
                Step::AskSalt(_) => exchange.salted(&ScramSalt { salt: [1; 16], iterations: 4_096 }),
                Step::AskProof(_) => {
                    exchange.proved(AccountId(1), ProvenBy::MainPassword, ServerSignature([1; 32]))
                }
                Step::Proven(..) | Step::Credentials { .. } | Step::Cancelled | Step::Malformed => break,
            }
        }
    }
    Ok(())
}

/// What is a dialogue is printed as a dialogue that prints the same.
fn dialog(data: &[u8]) -> Verdict {
    let Ok(source) = std::str::from_utf8(data) else { return Ok(()) };
    let Ok(dialog) = parse::parse(source) else { return Ok(()) };
    let printed = print::print(&dialog);
    let again =
        parse::parse(&printed).map_err(|error| format!("what was printed cannot be read: {error}"))?;
    promise(again == dialog, "a dialogue is read as another")?;
    promise(print::print(&again) == printed, "a dialogue is printed in two ways")
}

/// A client that sends these octets, to the door the first of them says.
fn wire(data: &[u8]) -> Verdict {
    let Some((door, octets)) = data.split_first() else { return Ok(()) };
    let listener = match door % 3 {
        0 => Listener::Smtp,
        1 => Listener::Submission,
        _ => Listener::Submissions,
    };
    let mut entries = world()?;
    entries.push(Kind::Session(1, Event::Client(Text::from_octets(octets), false)));
    story(listener, entries).map(|_| ())
}

/// A world of one account, with a catch-all and an alias.
///
/// # Errors
/// Never: what it is read from stands here.
pub fn world() -> Result<Vec<Kind>, String> {
    let source = "gatepost-dialog 1\nlistener: smtp\n\
        W: domain example.org catch-all=me@example.org\n\
        W: account me@example.org password=\"correct horse\"\n\
        W: alias sales@example.org to=me@example.org\n";
    let dialog = parse::parse(source).map_err(|error| error.to_string())?;
    Ok(dialog.entries.into_iter().map(|entry| entry.kind).collect())
}

/// Plays what clients and the world do, and looks whether every law is kept, however the octets are cut.
///
/// # Errors
/// The law that was broken, with the dialogue that shows it.
pub fn story(listener: Listener, kinds: Vec<Kind>) -> Result<Report, String> {
    let head = Head { message_octets_max: 4_096, ..Head::new(listener, default_hostname()?) };
    let entries = (2usize..).zip(kinds).map(|(line, kind)| Entry { line, kind }).collect();
    let dialog = Dialog { head, entries };
    let shown = |what: &str| format!("{what}\n{}", print::print(&dialog));
    let whole = play_for_laws(&dialog, &mut Cuts::Whole);
    if let Some(difference) = &whole.difference {
        return Err(shown(&difference.to_string()));
    }
    let mut chance = Chance::from_seed([1; 32]);
    for mut cuts in [Cuts::Every(1), Cuts::Chance(&mut chance)] {
        let cut = play_for_laws(&dialog, &mut cuts);
        promise(cut == whole, &shown("a cut changed what a session did"))?;
    }
    Ok(whole)
}

fn default_hostname() -> Result<Domain, String> {
    Domain::parse(DEFAULT_HOSTNAME).map_err(|error| error.to_string())
}
