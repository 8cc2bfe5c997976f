//! Reads a dialogue.

use super::text::{Text, TextError};
use super::{
    About, AccountFact, CAUSES, DEFAULT_HOSTNAME, Dialog, Entry, Event, GIVEN, Given, Head, HeadKey, Kind,
    MAGIC, MessageExpected, ReplyLine, TLS_VERSIONS, WorldFact,
};
use crate::contract::{Listener, Pace, TlsFacts};
use crate::directory::AccountState;
use crate::directory::credential::MainPassword;
use crate::limits::{DIALOG_FILE_OCTETS_MAX, DIALOG_PASS_MS_MAX, DIALOG_SESSIONS_MAX};
use crate::mail::date;
use crate::types::{Address, Domain, Enhanced};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Why a text is no dialogue, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialogError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it and how it should be.
    pub what: String,
}

impl std::fmt::Display for DialogError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for DialogError {}

/// What a line's reader says when it cannot.
type Read<T> = Result<T, String>;

/// Reads a dialogue.
///
/// # Errors
/// The first line that is none, and why.
pub fn parse(source: &str) -> Result<Dialog, DialogError> {
    if source.len() > DIALOG_FILE_OCTETS_MAX {
        let what = format!("the file is longer than {DIALOG_FILE_OCTETS_MAX} octets");
        return Err(DialogError { line: 1, what });
    }
    let source = source.strip_suffix('\n').unwrap_or(source);
    let mut lines = (1usize..).zip(source.split('\n'));
    if lines.next().map(|(_, text)| text) != Some(MAGIC) {
        return Err(DialogError { line: 1, what: format!("the first line must be \"{MAGIC}\"") });
    }
    let mut reader = Reader::new()?;
    for (line, text) in lines {
        let kind = reader.line(text).map_err(|what| DialogError { line, what })?;
        reader.entries.push(Entry { line, kind });
    }
    if reader.last_key.is_none() {
        return Err(DialogError { line: 1, what: "no line says which listener it is".into() });
    }
    Ok(Dialog { head: reader.head, entries: reader.entries })
}

struct Reader {
    head: Head,
    last_key: Option<HeadKey>,
    head_over: bool,
    counts: BTreeSet<String>,
    entries: Vec<Entry>,
}

impl Reader {
    fn new() -> Result<Self, DialogError> {
        let hostname = Domain::parse(DEFAULT_HOSTNAME)
            .map_err(|error| DialogError { line: 1, what: format!("{DEFAULT_HOSTNAME}: {error}") })?;
        let head = Head::new(Listener::Smtp, hostname);
        Ok(Self { head, last_key: None, head_over: false, counts: BTreeSet::new(), entries: Vec::new() })
    }

    fn line(&mut self, text: &str) -> Read<Kind> {
        if let Some(comment) = text.strip_prefix('#') {
            no_control(comment)?;
            return Ok(Kind::Comment(comment.to_owned()));
        }
        if text.is_empty() {
            return Ok(Kind::Blank);
        }
        let (tag, rest) = text.split_once(':').ok_or("a line begins with a tag and a colon")?;
        let rest = match rest.strip_prefix(' ') {
            Some("") => return Err("nothing follows the space after the colon".into()),
            Some(rest) => rest,
            None if rest.is_empty() => "",
            None => return Err("a space must follow the colon".into()),
        };
        if let Some(key) = HeadKey::ALL.into_iter().find(|key| key.name() == tag) {
            return self.head_line(key, rest);
        }
        if self.last_key.is_none() {
            return Err(
                "the head must begin with \"listener: smtp\", \"submission\" or \"submissions\"".into()
            );
        }
        self.head_over = true;
        if tag == "COUNT" {
            return self.count(rest);
        }
        if !self.counts.is_empty() {
            return Err("only \"COUNT:\" lines and comments follow a \"COUNT:\" line".into());
        }
        event_line(tag, rest)
    }

    /// A counter, and what it came to.
    fn count(&mut self, rest: &str) -> Read<Kind> {
        let wrong =
            || "what was counted is written like \"login/wrong-password 3\", and only once".to_owned();
        let (name, count) = rest.split_once(' ').ok_or_else(wrong)?;
        let is_word = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let (event, kind) = name.split_once('/').ok_or_else(wrong)?;
        let count = number(count)?;
        if !is_word(event) || !is_word(kind) || count == 0 || !self.counts.insert(name.to_owned()) {
            return Err(wrong());
        }
        Ok(Kind::Count(name.to_owned(), count))
    }

    fn head_line(&mut self, key: HeadKey, value: &str) -> Read<Kind> {
        if self.head_over {
            return Err("a line of the head stands before all others".into());
        }
        match self.last_key {
            None if key != HeadKey::Listener => {
                return Err("\"listener:\" is the first line of the head".into());
            }
            Some(last) if key <= last => {
                return Err(format!(
                    "\"{}:\" stands before \"{}:\", and each only once",
                    key.name(),
                    last.name()
                ));
            }
            None | Some(_) => {}
        }
        self.last_key = Some(key);
        let head = &mut self.head;
        match key {
            HeadKey::Listener => {
                head.listener = listener(value).ok_or("a listener is smtp, submission or submissions")?;
            }
            HeadKey::Peer => {
                head.peer = value.parse().map_err(|_| "a peer is an IP address without a port")?
            }
            HeadKey::Clock => {
                head.clock =
                    date::from_rfc3339(value).ok_or("a time is written like 2026-11-24T04:47:37Z, in UTC")?;
            }
            HeadKey::Hostname => head.hostname = domain(value)?,
            HeadKey::Size => head.message_octets_max = number(value)?,
            HeadKey::Tls => {
                head.tls_available = match value {
                    "available" => true,
                    "none" => false,
                    _ => return Err("tls is \"available\" or \"none\"".into()),
                };
            }
            HeadKey::Seed => head.seed = number(value)?,
            HeadKey::Throttle => head.throttle = on_or_off(key, value)?,
            HeadKey::Scram => head.scram_offered = on_or_off(key, value)?,
        }
        Ok(Kind::Head(key))
    }
}

/// A line after the head.
fn event_line(tag: &str, rest: &str) -> Read<Kind> {
    match tag {
        "W" => return Ok(Kind::World(world(rest)?)),
        "T" => return pass(rest).map(Kind::Pass),
        "STOP" if rest.is_empty() => return Ok(Kind::Stop),
        "M" => return message(rest).map(Kind::Message),
        "P" => return words(rest).map(|text| Kind::Message(MessageExpected::Field(text))),
        "P!" => return words(rest).map(|text| Kind::Message(MessageExpected::NoField(text))),
        "B" => return Ok(Kind::Message(MessageExpected::Body(octets(rest)?, true))),
        "B-" => return Ok(Kind::Message(MessageExpected::Body(octets(rest)?, false))),
        _ => {}
    }
    let letters = tag.trim_end_matches(['+', '!', '-', '*']);
    let mark = tag.strip_prefix(letters).unwrap_or_default();
    let name = letters.trim_end_matches(|c: char| c.is_ascii_digit());
    let session = match letters.strip_prefix(name).unwrap_or_default() {
        "" => 1,
        digits => match digits.parse::<u8>() {
            Ok(number) if (2..=DIALOG_SESSIONS_MAX).contains(&number) && !digits.starts_with('0') => number,
            Ok(_) | Err(_) => {
                return Err(format!("sessions after the first are numbered 2 to {DIALOG_SESSIONS_MAX}"));
            }
        },
    };
    let event = match (name, mark, rest) {
        ("OPEN", "", _) if session > 1 => open(rest)?,
        ("OPEN", "", _) => return Err("the first session opens as the head says".into()),
        ("CUT", "", "") => Event::Cut,
        ("C", "", _) => Event::Client(octets(rest)?, true),
        ("C", "-", _) => Event::Client(octets(rest)?, false),
        ("S", "", _) => Event::Reply(reply(rest)?),
        ("S", "*", _) => {
            let (count, one) = replies(rest)?;
            Event::Replies(count, one)
        }
        ("S", "+", _) => Event::ReplyHas(words(rest)?),
        ("S", "!", _) => Event::ReplyLacks(words(rest)?),
        ("A", "", _) => {
            let (about, given) = answer(rest)?;
            Event::Answer(about, given)
        }
        ("TLS", "", "failed") => Event::TlsFailed,
        ("TLS", "", _) => Event::TlsUp(tls(rest)?),
        ("PACE", "", _) => Event::Paced(pace(rest)?),
        ("EOF", "", "") => Event::PeerClosed,
        ("RST", "", "") => Event::Broken,
        ("CLOSE", "", _) => Event::Closed(
            CAUSES.into_iter().find(|cause| cause.name() == rest).ok_or("no session ends for this cause")?,
        ),
        _ => {
            return Err(format!(
                "\"{tag}:\" is no line of a dialogue, or something is missing or too much in it"
            ));
        }
    };
    Ok(Kind::Session(session, event))
}

fn listener(name: &str) -> Option<Listener> {
    [Listener::Smtp, Listener::Submission, Listener::Submissions]
        .into_iter()
        .find(|listener| listener.name() == name)
}

/// What follows `OPEN2:`: a door, an address, both or nothing.
fn open(text: &str) -> Read<Event> {
    let wrong = || {
        "a session opens at a door, from an address, like \"submission 198.51.100.7\"; either may be left out"
            .to_owned()
    };
    let peer = |word: &str| word.parse::<IpAddr>().ok();
    match text.split_once(' ') {
        None if text.is_empty() => Ok(Event::Open(None, None)),
        None => match (listener(text), peer(text)) {
            (None, None) => Err(wrong()),
            (door, peer) => Ok(Event::Open(door, peer)),
        },
        Some((door, from)) => {
            let (door, peer) = listener(door).zip(peer(from)).ok_or_else(wrong)?;
            Ok(Event::Open(Some(door), Some(peer)))
        }
    }
}

/// A text without escapes that is not empty.
fn words(text: &str) -> Read<String> {
    no_control(text)?;
    if text.is_empty() {
        return Err("a text must follow".into());
    }
    Ok(text.to_owned())
}

fn no_control(text: &str) -> Read<()> {
    if text.contains(char::is_control) { Err("a control character cannot stand here".into()) } else { Ok(()) }
}

fn octets(text: &str) -> Read<Text> {
    Text::parse(text).map_err(|error: TextError| error.to_string())
}

/// A decimal number as it would be printed.
fn number(text: &str) -> Read<u64> {
    let value = text.parse::<u64>().ok().filter(|value| value.to_string() == text);
    value.ok_or_else(|| "a number in decimal digits must stand here".into())
}

fn domain(text: &str) -> Read<Domain> {
    Domain::parse(text).map_err(|error| format!("this is no domain: {error}"))
}

fn address(text: &str) -> Read<Address> {
    text.parse().map_err(|error| format!("\"{text}\" is no address: {error}"))
}

/// `+5m`, in milliseconds.
fn pass(text: &str) -> Read<u64> {
    let wrong = || "time passes by +1ms, +1s, +1m or +1h, and not longer than 1000 days".to_owned();
    let amount = text.strip_prefix('+').ok_or_else(wrong)?;
    amount_of_time(amount).ok_or_else(wrong)
}

/// What follows `PACE:`.
fn pace(text: &str) -> Read<Pace> {
    let wrong =
        || "a pace is written like \"greeting=5s refusal=2s\", and is not longer than a day".to_owned();
    let (greeting, refusal) = text.split_once(' ').ok_or_else(wrong)?;
    let amount = |text: &str, key: &str| {
        let ms = text.strip_prefix(key).and_then(amount_of_time);
        ms.filter(|ms| *ms <= 24 * 3_600_000).ok_or_else(wrong)
    };
    Ok(Pace { greeting_ms: amount(greeting, "greeting=")?, refusal_ms: amount(refusal, "refusal=")? })
}

/// A number with a unit.
fn amount_of_time(amount: &str) -> Option<u64> {
    let digits = amount.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (_, ms) = UNITS.into_iter().find(|(name, _)| Some(*name) == amount.strip_prefix(digits))?;
    number(digits).ok()?.checked_mul(ms).filter(|ms| *ms <= DIALOG_PASS_MS_MAX)
}

/// Units of time, longest first.
pub(super) const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// What follows `S:`: a code, a hyphen where another line follows, an enhanced status code, a text.
fn reply(text: &str) -> Read<ReplyLine> {
    let wrong = || "a reply is written like 250, 250 2.1.0 or 250-text".to_owned();
    let (digits, rest) = text.split_at_checked(3).ok_or_else(wrong)?;
    let code = digits.parse::<u16>().ok().filter(|code| (200..600).contains(code)).ok_or_else(wrong)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    no_control(rest)?;
    let (more, rest) = match (rest.strip_prefix('-'), rest.strip_prefix(' ')) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) if !rest.is_empty() => (false, rest),
        (None, Some(_)) => return Err(wrong()),
        (None, None) if rest.is_empty() => (false, ""),
        (None, None) => return Err(wrong()),
    };
    let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
    let (enhanced, text) = match enhanced(first) {
        Some(enhanced) => (Some(enhanced), after),
        None => (None, rest),
    };
    Ok(ReplyLine { code, more, enhanced, text: (!text.is_empty()).then(|| text.to_owned()) })
}

/// What follows `S*:`: how many, and what each is.
fn replies(text: &str) -> Read<(u32, ReplyLine)> {
    let wrong = || "several replies are written like \"3 250 2.1.5\"".to_owned();
    let (count, one) = text.split_once(' ').ok_or_else(wrong)?;
    let count = u32::try_from(number(count)?).ok().filter(|count| *count > 0).ok_or_else(wrong)?;
    let one = reply(one)?;
    if one.more { Err(wrong()) } else { Ok((count, one)) }
}

/// An enhanced status code (RFC 3463 section 2).
pub(super) fn enhanced(text: &str) -> Option<Enhanced> {
    let mut parts = text.split('.');
    let class = number(parts.next()?).ok().and_then(|class| u8::try_from(class).ok())?;
    let mut part =
        || number(parts.next()?).ok().and_then(|part| u16::try_from(part).ok()).filter(|part| *part < 1000);
    let (subject, detail) = (part()?, part()?);
    (matches!(class, 2 | 4 | 5) && parts.next().is_none()).then_some(Enhanced(class, subject, detail))
}

/// What follows `A:`: what the question is about, and the answer.
fn answer(text: &str) -> Read<(About, Given)> {
    let (about, word) = text.split_once(' ').ok_or("an answer names its question and what is answered")?;
    let about = About::ALL
        .into_iter()
        .find(|candidate| candidate.name() == about)
        .ok_or("questions are about room, sender, recipient, login or commit")?;
    let given = match word {
        "wait" => Given::Wait,
        "world" => Given::World,
        _ => GIVEN
            .into_iter()
            .find_map(|(of, name, given)| (of == about && name == word).then_some(given))
            .ok_or_else(|| {
            let known = GIVEN.iter().filter(|(of, ..)| *of == about).map(|(_, name, _)| *name);
            format!("the answer is one of wait, world, {}", known.collect::<Vec<_>>().join(", "))
        })?,
    };
    Ok((about, given))
}

fn on_or_off(key: HeadKey, value: &str) -> Read<bool> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("{} is \"on\" or \"off\"", key.name())),
    }
}

/// What follows `TLS:`, but `failed`.
fn tls(text: &str) -> Read<TlsFacts> {
    let wrong = || {
        "TLS is \"failed\", or \"up VERSION CIPHER\" like \"up TLSv1.3 TLS_AES_128_GCM_SHA256\"".to_owned()
    };
    let (version, cipher) =
        text.strip_prefix("up ").and_then(|rest| rest.split_once(' ')).ok_or_else(wrong)?;
    let version = TLS_VERSIONS.into_iter().find(|known| *known == version).ok_or_else(wrong)?;
    let plain = cipher.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if cipher.is_empty() || !plain {
        return Err(wrong());
    }
    Ok(TlsFacts { version, cipher: cipher.to_owned(), bindings: super::play::usual_tls().bindings })
}

/// What follows `M:`.
fn message(text: &str) -> Read<MessageExpected> {
    if text == "none" {
        return Ok(MessageExpected::NoneLeft);
    }
    let (sender, recipients) =
        text.split_once(" -> ").ok_or("a message is written <SENDER> -> RECIPIENT, RECIPIENT")?;
    no_control(text)?;
    if !sender.starts_with('<') || !sender.ends_with('>') {
        return Err("the sender has angle brackets".into());
    }
    let recipients: Vec<String> = recipients.split(", ").map(str::to_owned).collect();
    if recipients.iter().any(String::is_empty) {
        return Err("a recipient is missing".into());
    }
    Ok(MessageExpected::Envelope(sender.to_owned(), recipients))
}

/// What follows `W:`.
fn world(text: &str) -> Read<WorldFact> {
    let mut words = split_words(text)?.into_iter();
    match (words.next().as_deref(), words.next()) {
        (Some("unavailable"), None) => Ok(WorldFact::Unavailable),
        (Some("domain"), Some(name)) => {
            let catch_all = match (words.next(), words.next()) {
                (None, _) => None,
                (Some(word), None) => {
                    let value = word.strip_prefix("catch-all=").ok_or("only catch-all= follows a domain")?;
                    Some(address(value)?)
                }
                (Some(_), Some(_)) => return Err("only catch-all= follows a domain, once".into()),
            };
            Ok(WorldFact::Domain(domain(&name)?, catch_all))
        }
        (Some("account"), Some(name)) => account(address(&name)?, words).map(WorldFact::Account),
        (Some("alias"), Some(name)) => {
            let members =
                words.map(|word| address(word.strip_prefix("to=").ok_or("only to= follows an alias")?));
            Ok(WorldFact::Alias(address(&name)?, members.collect::<Read<Vec<_>>>()?))
        }
        _ => Err("the world has \"domain NAME\", \"account ADDRESS\", \"alias ADDRESS\" and \"unavailable\""
            .into()),
    }
}

/// What follows `W: account NAME`: passwords, addresses, state, in this order.
fn account(name: Address, words: impl Iterator<Item = String>) -> Read<AccountFact> {
    let mut fact = AccountFact {
        name,
        password: None,
        app_passwords: Vec::new(),
        main_password: MainPassword::Allowed,
        addresses: Vec::new(),
        state: AccountState::Active,
    };
    let mut state = None;
    for word in words {
        match word.split_once('=') {
            Some(("password", value))
                if fact.password.is_none()
                    && fact.app_passwords.is_empty()
                    && may_be_password(&fact)
                    && state.is_none() =>
            {
                fact.password = Some(unquote(value)?);
            }
            Some(("app-password", value)) if may_be_password(&fact) && state.is_none() => {
                fact.app_passwords.push(unquote(value)?);
            }
            Some(("main-password", "forbidden")) if may_be_password(&fact) && state.is_none() => {
                fact.main_password = MainPassword::Forbidden;
            }
            Some(("address", value)) if state.is_none() => fact.addresses.push(address(value)?),
            Some(("state", "disabled")) if state.is_none() => state = Some(AccountState::Disabled),
            Some(("state", "suspended")) if state.is_none() => state = Some(AccountState::Suspended),
            Some(_) | None => {
                return Err("an account has password=\"…\", app-password=\"…\" (any number), main-password=forbidden, \
                            address=… (any number) and state=disabled or state=suspended, in this order"
                    .into());
            }
        }
    }
    fact.state = state.unwrap_or(AccountState::Active);
    Ok(fact)
}

/// Whether what comes after passwords has not begun yet.
fn may_be_password(fact: &AccountFact) -> bool {
    fact.addresses.is_empty() && fact.main_password == MainPassword::Allowed
}

/// Words between single spaces; a space inside double quotes does not count, nor does what follows a
/// backslash there.
fn split_words(text: &str) -> Read<Vec<String>> {
    no_control(text)?;
    let mut words = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        match (c, quoted) {
            (' ', false) => {
                words.push(String::new());
                continue;
            }
            ('"', _) if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    if quoted {
        return Err("a double quote is never closed".into());
    }
    if words.iter().any(String::is_empty) {
        return Err("words stand one space apart".into());
    }
    Ok(words)
}

/// Undoes the quoting of a password.
fn unquote(text: &str) -> Read<String> {
    let wrong = || "a password stands in double quotes, with \\\" and \\\\ inside".to_owned();
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(wrong)?;
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Err(wrong()),
            '\\' => match chars.next() {
                Some(c @ ('"' | '\\')) => out.push(c),
                Some(_) | None => return Err(wrong()),
            },
            c => out.push(c),
        }
    }
    Ok(out)
}
