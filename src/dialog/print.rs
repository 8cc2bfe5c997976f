//! Writes a dialogue down, the canonical way.

use super::parse::UNITS;
use super::{
    About, AccountFact, Dialog, Event, GIVEN, Given, Head, HeadKey, Kind, MAGIC, MessageExpected, ReplyLine,
    WorldFact,
};
use crate::directory::AccountState;
use crate::directory::credential::MainPassword;
use crate::mail::date;
use crate::types::{Address, Enhanced};

/// The dialogue as text. What [`parse`](super::parse::parse) makes of it is this dialogue again, its lines
/// numbered as they stand here.
#[must_use]
pub fn print(dialog: &Dialog) -> String {
    let mut out = format!("{MAGIC}\n");
    for entry in &dialog.entries {
        out.push_str(&kind(&dialog.head, &entry.kind));
        out.push('\n');
    }
    out
}

/// One line of a dialogue with this head, without its end.
#[must_use]
pub fn kind(head: &Head, kind: &Kind) -> String {
    match kind {
        Kind::Blank => String::new(),
        Kind::Comment(text) => format!("#{text}"),
        Kind::Head(key) => line(key.name(), &head_value(head, *key)),
        Kind::World(fact) => line("W", &world(fact)),
        Kind::Session(number, event) => session(*number, event),
        Kind::Pass(ms) => line("T", &pass(*ms)),
        Kind::Stop => line("STOP", ""),
        Kind::Message(expected) => message(expected),
        Kind::Count(name, count) => line("COUNT", &format!("{name} {count}")),
    }
}

/// A tag and what follows it.
fn line(tag: &str, rest: &str) -> String {
    if rest.is_empty() { format!("{tag}:") } else { format!("{tag}: {rest}") }
}

fn head_value(head: &Head, key: HeadKey) -> String {
    match key {
        HeadKey::Listener => head.listener.name().to_owned(),
        HeadKey::Peer => head.peer.to_string(),
        HeadKey::Clock => date::rfc3339(head.clock),
        HeadKey::Hostname => head.hostname.to_string(),
        HeadKey::Size => head.message_octets_max.to_string(),
        HeadKey::Tls => if head.tls_available { "available" } else { "none" }.to_owned(),
        HeadKey::Seed => head.seed.to_string(),
        HeadKey::Throttle => on_or_off(head.throttle),
        HeadKey::Scram => on_or_off(head.scram_offered),
    }
}

fn on_or_off(is_on: bool) -> String {
    if is_on { "on" } else { "off" }.to_owned()
}

fn world(fact: &WorldFact) -> String {
    match fact {
        WorldFact::Domain(name, None) => format!("domain {name}"),
        WorldFact::Domain(name, Some(account)) => format!("domain {name} catch-all={account}"),
        WorldFact::Account(fact) => account(fact),
        WorldFact::Alias(address, members) => format!("alias {address}{}", each(" to=", members)),
        WorldFact::Unavailable => "unavailable".to_owned(),
    }
}

fn account(fact: &AccountFact) -> String {
    let quoted =
        |key: &str, text: &String| format!(" {key}=\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let password: String = fact.password.iter().map(|text| quoted("password", text)).collect();
    let app_passwords: String = fact.app_passwords.iter().map(|text| quoted("app-password", text)).collect();
    let main = match fact.main_password {
        MainPassword::Allowed => "",
        MainPassword::Forbidden => " main-password=forbidden",
    };
    let state = match fact.state {
        AccountState::Active => "",
        AccountState::Disabled => " state=disabled",
        AccountState::Suspended => " state=suspended",
    };
    let addresses = each(" address=", &fact.addresses);
    format!("account {}{password}{app_passwords}{main}{addresses}{state}", fact.name)
}

fn each(key: &str, addresses: &[Address]) -> String {
    addresses.iter().map(|address| format!("{key}{address}")).collect()
}

fn session(number: u8, event: &Event) -> String {
    let (name, mark, rest) = match event {
        Event::Open(door, peer) => {
            let words =
                door.iter().map(|door| door.name().to_owned()).chain(peer.iter().map(ToString::to_string));
            ("OPEN", "", words.collect::<Vec<_>>().join(" "))
        }
        Event::Client(text, true) => ("C", "", text.to_string()),
        Event::Client(text, false) => ("C", "-", text.to_string()),
        Event::Reply(reply) => ("S", "", reply_line(reply)),
        Event::Replies(count, reply) => ("S", "*", format!("{count} {}", reply_line(reply))),
        Event::ReplyHas(text) => ("S", "+", text.clone()),
        Event::ReplyLacks(text) => ("S", "!", text.clone()),
        Event::Answer(about, given) => ("A", "", format!("{} {}", about.name(), given_word(*about, given))),
        Event::TlsUp(facts) => ("TLS", "", format!("up {} {}", facts.version, facts.cipher)),
        Event::TlsFailed => ("TLS", "", "failed".to_owned()),
        Event::Paced(pace) => {
            let (greeting, refusal) = (amount(pace.greeting_ms), amount(pace.refusal_ms));
            ("PACE", "", format!("greeting={greeting} refusal={refusal}"))
        }
        Event::PeerClosed => ("EOF", "", String::new()),
        Event::Broken => ("RST", "", String::new()),
        Event::Closed(cause) => ("CLOSE", "", cause.name().to_owned()),
        Event::Cut => ("CUT", "", String::new()),
    };
    let digits = if number == 1 { String::new() } else { number.to_string() };
    line(&format!("{name}{digits}{mark}"), &rest)
}

/// The word of an answer. One that the table does not have for this question prints as `world`, and is one:
/// the player gives it only to a question it fits.
fn given_word(about: About, given: &Given) -> &'static str {
    match given {
        Given::Wait => "wait",
        Given::World => "world",
        Given::Room(_)
        | Given::Sender(_)
        | Given::RecipientUnavailable
        | Given::RecipientAlias(_)
        | Given::Login(_)
        | Given::Commit(_) => GIVEN
            .iter()
            .find(|(of, _, known)| *of == about && known == given)
            .map_or("world", |(_, word, _)| word),
    }
}

/// An expected reply, or one line of it, as it stands behind its tag.
#[must_use]
pub fn reply_line(reply: &ReplyLine) -> String {
    let mut words = Vec::new();
    if let Some(Enhanced(class, subject, detail)) = reply.enhanced {
        words.push(format!("{class}.{subject}.{detail}"));
    }
    words.extend(reply.text.clone());
    match (reply.more, words.is_empty()) {
        (true, _) => format!("{:03}-{}", reply.code, words.join(" ")),
        (false, false) => format!("{:03} {}", reply.code, words.join(" ")),
        (false, true) => format!("{:03}", reply.code),
    }
}

fn pass(ms: u64) -> String {
    format!("+{}", amount(ms))
}

/// In the largest unit that leaves no rest.
fn amount(ms: u64) -> String {
    let fits = |(_, unit): &&(&str, u64)| ms.checked_rem(*unit) == Some(0);
    let (name, unit) = UNITS.iter().find(fits).copied().unwrap_or(("ms", 1));
    format!("{}{name}", ms.checked_div(unit).unwrap_or_default())
}

fn message(expected: &MessageExpected) -> String {
    match expected {
        MessageExpected::Envelope(sender, recipients) => {
            line("M", &format!("{sender} -> {}", recipients.join(", ")))
        }
        MessageExpected::NoneLeft => line("M", "none"),
        MessageExpected::Field(text) => line("P", text),
        MessageExpected::NoField(text) => line("P!", text),
        MessageExpected::Body(text, true) => line("B", &text.to_string()),
        MessageExpected::Body(text, false) => line("B-", &text.to_string()),
    }
}
