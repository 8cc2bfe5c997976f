//! What one look shows: whether STARTTLS can be spoilt, where logins are offered, what the server says of itself.

use super::site::{Entrance, Secure, Session, Site, parameters};
use super::wire::Answer;
use crate::audit::judge::{Finding, Judgement};
use crate::audit::visit::Heard;
use crate::limits::AUDIT_SILENCE_MS;

/// All of them. `name` is an address that exists.
#[must_use]
pub fn all(site: &Site, name: &str) -> Vec<Finding> {
    vec![injection(site), kept_state(site, name), mechanisms(site), versions(site)]
}

/// The first door that has STARTTLS, and a session there that has not said it.
fn plain_session(site: &Site) -> Option<(&Entrance, Session)> {
    [&site.mail, &site.login].into_iter().find_map(|entrance| {
        let session = Session::open(entrance, Secure::Never, site.source()).ok()?;
        (!session.wire.is_secure() && session.offers_line("STARTTLS").is_some())
            .then_some((entrance, session))
    })
}

fn not_offered(channel: &str) -> Finding {
    Finding::plain(channel, Judgement::NotTried, vec!["the server offers no STARTTLS".to_owned()])
}

/// Whether a command that came behind STARTTLS in the clear is obeyed within TLS (CVE-2011-0411).
fn injection(site: &Site) -> Finding {
    let channel = "starttls-injection";
    let Some((entrance, mut session)) = plain_session(site) else { return not_offered(channel) };
    let found = |judgement, line: String| Finding::plain(channel, judgement, vec![line]);
    let Answer { heard, .. } = session.wire.ask(b"STARTTLS\r\nNOOP\r\n");
    if heard.code() != 220 {
        return found(Judgement::Silent, format!("STARTTLS with a command behind it: {}", heard.masked("")));
    }
    if session.wire.secure(&entrance.host).is_err() {
        return found(Judgement::Silent, "a command behind STARTTLS spoils the handshake".to_owned());
    }
    match session.wire.reply(AUDIT_SILENCE_MS) {
        Heard::Reply(text) => found(
            Judgement::Leaks,
            format!("a command sent in the clear behind STARTTLS was answered within TLS: {text}"),
        ),
        Heard::Closed | Heard::Broken | Heard::Silence => {
            found(Judgement::Silent, "a command behind STARTTLS was forgotten".to_owned())
        }
    }
}

/// Whether an envelope from before TLS is still there.
fn kept_state(site: &Site, name: &str) -> Finding {
    let channel = "starttls-state";
    let Some((entrance, mut session)) = plain_session(site) else { return not_offered(channel) };
    let found = |judgement, line: String| Finding::plain(channel, judgement, vec![line]);
    let before = session.wire.ask(b"MAIL FROM:<>\r\n").heard;
    let heard = session.wire.ask(b"STARTTLS\r\n").heard;
    if heard.code() != 220 {
        return found(Judgement::Silent, format!("STARTTLS behind MAIL: {}", heard.masked("")));
    }
    if session.wire.secure(&entrance.host).is_err() {
        return found(Judgement::Silent, "no TLS behind MAIL".to_owned());
    }
    let after = session.wire.ask(format!("RCPT TO:<{name}>\r\n").as_bytes()).heard;
    let line = format!("MAIL in the clear: {}; RCPT within TLS: {}", before.masked(name), after.masked(name));
    let kept = before.code() == 250 && (after.code() == 250 || after.code() == 251);
    found(if kept { Judgement::Leaks } else { Judgement::Silent }, line)
}

/// Where which mechanisms are offered. It tells of no address; a login in the clear shows its password to whoever
/// listens.
fn mechanisms(site: &Site) -> Finding {
    let mut lines = Vec::new();
    let mut judgement = Judgement::Silent;
    let doors = [("mail", &site.mail), ("login", &site.login)];
    for (what, entrance) in doors.into_iter().take(if site.has_two_doors() { 2 } else { 1 }) {
        let Ok(session) = Session::open(entrance, Secure::IfOffered, site.source()) else { continue };
        let was_secure = entrance.secure == Secure::AtOnce;
        for (index, offer) in session.offers.iter().enumerate() {
            let in_clear = index == 0 && !was_secure;
            let offered = parameters(offer, "AUTH");
            if offered.is_some() && (in_clear || (what == "mail" && site.has_two_doors())) {
                judgement = Judgement::Notice;
            }
            let how = if in_clear { "in the clear" } else { "within TLS" };
            lines.push(format!("{what} door {how}: {}", offered.unwrap_or_else(|| "no AUTH".to_owned())));
        }
    }
    Finding::plain("auth-offer", judgement, lines)
}

/// Whether greeting, EHLO or HELP name a version.
fn versions(site: &Site) -> Finding {
    let Ok(mut session) = Session::open(&site.mail, Secure::Never, site.source()) else {
        return Finding::plain("version", Judgement::NotTried, vec!["no session".to_owned()]);
    };
    let help = session.wire.ask(b"HELP\r\n").heard;
    let nonsense = session.wire.ask(b"XYZZY\r\n").heard;
    let said = [("the greeting", &session.greeting), ("HELP", &help), ("an unknown command", &nonsense)];
    let told: Vec<String> = said
        .into_iter()
        .filter(|(_, heard)| {
            heard.text().split(|c: char| c.is_whitespace() || "()/,;".contains(c)).any(is_version)
        })
        .map(|(what, heard)| format!("{what} names a version: {}", heard.text()))
        .collect();
    if told.is_empty() {
        let line = format!("the greeting: {}", session.greeting.text());
        return Finding::plain("version", Judgement::Silent, vec![line]);
    }
    Finding::plain("version", Judgement::Notice, told)
}

/// `3.7.11` and `4.96-15` are; `5.5.2` at the beginning of a reply is an enhanced code, and an address has four numbers.
fn is_version(word: &str) -> bool {
    let word = word.trim_start_matches(['v', 'V', '-', '<', '[']);
    let end = word.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(word.len());
    let numbers = word.get(..end).unwrap_or_default().split('.').filter(|part| !part.is_empty());
    let numbers: Vec<&str> = numbers.collect();
    let is_status = numbers.len() == 3 && matches!(numbers.first(), Some(&("2" | "4" | "5")));
    (2..=3).contains(&numbers.len()) && !is_status
}

#[cfg(test)]
mod tests {
    use super::is_version;

    #[test]
    fn versions_are_known_from_codes_and_addresses() {
        for word in ["3.7.11", "4.96-15", "v0.0.13", "8.17.1.9-x"] {
            assert_eq!(is_version(word), word != "8.17.1.9-x", "{word}");
        }
        for word in ["5.5.2", "127.0.0.1", "ESMTP", "mx1.example.org", "2026"] {
            assert!(!is_version(word), "{word}");
        }
    }
}
