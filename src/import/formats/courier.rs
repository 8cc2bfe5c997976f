//! Courier: esmtpd, imapd, pop3d and the web mail. `authdaemond` never knows a client, so its lines add nothing.

use super::ends::door_named;
use crate::import::conversation::Verb;
use crate::import::{Finding, Heard, Line, Reader, Server, Step, What, Why, decoded, scan};

/// See the module.
#[derive(Debug, Default)]
pub struct Courier;

/// Programs that log for Courier alone.
const PROGRAMS: [&str; 9] = [
    "imapd-ssl",
    "pop3d",
    "pop3d-ssl",
    "imaplogin",
    "pop3login",
    "courierimaplogin",
    "courierpop3login",
    "sqwebmaild",
    "authdaemond",
];

impl Reader for Courier {
    fn server(&self) -> Server {
        Server::Courier
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        let program = line.prefix.program.unwrap_or_default();
        let text =
            line.text.strip_prefix("INFO: ").or_else(|| line.text.strip_prefix("ERR: ")).unwrap_or(line.text);
        if program.starts_with("courieresmtpd") || program.starts_with("esmtpd") {
            return text
                .strip_prefix("error,relay=")
                .map_or(Heard::Understood, |rest| smtp(line, rest, found));
        }
        if let Some(rest) = text.strip_prefix("LOGIN FAILED, ") {
            return login_failed(line, program, rest, found);
        }
        // `imapd` may be Cyrus's as well.
        if PROGRAMS.contains(&program) || program.starts_with("courier") {
            Heard::Understood
        } else {
            Heard::NotMine
        }
    }

    fn end(&mut self, _found: &mut Vec<Finding>) {}
}

/// `user=NAME, ip=[ADDRESS]`, `method=PLAIN, ip=[ADDRESS], port=[PORT]`.
fn login_failed(line: &Line<'_>, program: &str, rest: &str, found: &mut Vec<Finding>) -> Heard {
    let Some(rest) = rest.strip_suffix(']') else { return Heard::Damaged(Why::Cut) };
    let rest = match rest.rsplit_once("], port=[") {
        Some((before, port)) if !port.is_empty() && port.bytes().all(|octet| octet.is_ascii_digit()) => {
            before
        }
        Some(_) | None => rest,
    };
    let whole = || rest.strip_prefix("ip=[").map(|ip| ("", ip));
    let Some((who, ip)) = rest.rsplit_once(", ip=[").or_else(whole) else {
        return Heard::Damaged(Why::NoAddress);
    };
    let Some(source) = scan::address(ip) else { return Heard::Damaged(Why::NoAddress) };
    let mut finding = Finding::new(line, Server::Courier, What::Login);
    finding.source = Some(source);
    finding.door = door_named(program);
    if let Some(name) = who.strip_prefix("user=") {
        finding.login = scan::login(name);
    } else if let Some(mechanism) = who.strip_prefix("method=") {
        finding.mechanism = scan::mechanism(mechanism);
    }
    found.push(finding);
    Heard::Understood
}

/// `ADDRESS,port=PORT,ident="...",` and then `msg="REPLY",cmd: LINE` or `from=<...>,to=<...>: REPLY`.
fn smtp(line: &Line<'_>, rest: &str, found: &mut Vec<Finding>) -> Heard {
    let Some((ip, rest)) = rest.split_once(',') else { return Heard::Damaged(Why::Cut) };
    let Some(source) = scan::address(ip) else { return Heard::Damaged(Why::NoAddress) };
    let rest = without_port(rest);
    let mut finding = Finding::new(line, Server::Courier, What::Login);
    finding.source = Some(source);
    let message = rest.strip_prefix("msg=\"").or_else(|| rest.split_once(",msg=\"").map(|(_, after)| after));
    let envelope = rest.starts_with("from=") || rest.split_once(",from=").is_some();
    let what = match (message, envelope) {
        (Some(message), _) => {
            let Some((reply, command)) = message.split_once("\",cmd:") else {
                return Heard::Damaged(Why::Cut);
            };
            command_refused(reply, command.trim_start(), &mut finding)
        }
        // The octets `<`, `>` and `:` of the addresses have been made spaces, so the first colon is the server's.
        (None, true) => rest
            .split_once(",from=")
            .map_or(rest, |(_, after)| after)
            .split_once(": ")
            .and_then(|(addresses, reply)| envelope_refused(addresses, reply)),
        (None, false) => return Heard::Understood,
    };
    if let Some(what) = what {
        finding.what = what;
        found.push(finding);
    }
    Heard::Understood
}

fn without_port(rest: &str) -> &str {
    let after = rest.strip_prefix("port=").and_then(|rest| rest.split_once(','));
    match after {
        Some((port, after)) if port.bytes().all(|octet| octet.is_ascii_digit()) => after,
        Some(_) | None => rest,
    }
}

/// A reply, and the command it answered. For AUTH, Courier writes the mechanism and what it has of the login.
fn command_refused(reply: &str, command: &str, finding: &mut Finding) -> Option<What> {
    let (verb, arguments) = Verb::of(command);
    if verb == Verb::Http || verb == Verb::Tls {
        finding.steps = verb.step(arguments).into_iter().collect();
        return reply.starts_with('5').then_some(What::Garbage);
    }
    if reply == "535 Authentication required." {
        return (verb == Verb::Rcpt || verb == Verb::Mail).then_some(What::Relay);
    }
    if !reply.starts_with("535 Authentication") {
        return None;
    }
    if verb != Verb::Auth {
        return Some(What::Login);
    }
    let mut words = arguments.split_ascii_whitespace();
    finding.mechanism = words.next().and_then(scan::mechanism);
    let initial = words.next();
    let mechanism = finding.mechanism.clone().unwrap_or_default();
    finding.login = match (words.next(), initial) {
        (Some(name), _) => scan::login(name),
        (None, Some(word)) if mechanism == "PLAIN" => decoded::login("PLAIN", word)
            .or_else(|| decoded::perhaps_base64(word).filter(|name| name == word)),
        (None, Some(word)) => decoded::perhaps_base64(word),
        (None, None) => None,
    };
    finding.steps = vec![Step::Auth(mechanism, initial.is_some())];
    Some(What::Login)
}

fn envelope_refused(addresses: &str, reply: &str) -> Option<What> {
    if !reply.starts_with('5') {
        return None;
    }
    let recipient = addresses.starts_with("to=") || addresses.contains(",to=");
    Some(match recipient {
        true if reply.starts_with("513") || reply.contains("elay") => What::Relay,
        true => What::Recipient,
        false => What::Sender,
    })
}

#[cfg(test)]
mod tests {
    use super::super::harness::{brief, read};
    use super::*;

    fn one(text: &str) -> Option<(What, String, String)> {
        let found = read(Server::Courier, &format!("Nov  3 10:00:00 mx {text}"));
        brief(&found).into_iter().next().map(|(_, what, source, login)| (what, source, login))
    }

    #[test]
    fn a_failed_login_is_read_from_its_end() {
        for (text, source, login) in [
            (
                "imapd: LOGIN FAILED, user=info@mx.example, ip=[::ffff:192.0.2.7]",
                "192.0.2.7",
                "info@mx.example",
            ),
            ("imapd-ssl: LOGIN FAILED, method=PLAIN, ip=[2001:db8::7]", "2001:db8::7", ""),
            ("pop3d: LOGIN FAILED, user=a, ip=[::ffff:192.0.2.7], port=[255]", "192.0.2.7", "a"),
            ("courierpop3login: LOGIN FAILED, ip=[::ffff:192.0.2.7]", "192.0.2.7", ""),
            ("pop3d[7]: INFO: LOGIN FAILED, user=a, ip=[::ffff:192.0.2.7]", "192.0.2.7", "a"),
            (
                "pop3d: LOGIN FAILED, user=a, ip=[203.0.113.9], port=[1], ip=[::ffff:192.0.2.7]",
                "192.0.2.7",
                "a, ip=[203.0.113.9], port=[1]",
            ),
        ] {
            assert_eq!(one(text), Some((What::Login, source.into(), login.into())), "{text}");
        }
        assert_eq!(one("imapd: LOGIN, user=info, ip=[::ffff:192.0.2.7], port=[1], protocol=IMAP"), None);
        assert_eq!(one("pop3d: DISCONNECTED, user=info, ip=[::ffff:192.0.2.7], top=0, retr=0"), None);
    }

    #[test]
    fn esmtpd_tells_the_login_in_three_shapes() {
        for (command, login) in [
            ("AUTH LOGIN web@mx.example", "web@mx.example"),
            ("AUTH PLAIN AGluZm8AcGFzcw==", "info"),
            ("AUTH PLAIN AGluZm8AcGFzcw== info", "info"),
            ("aHVudGVyMg==", ""),
        ] {
            let text = format!(
                "courieresmtpd[9]: error,relay=::ffff:192.0.2.7,port=4711,msg=\"535 Authentication failed.\",cmd: {command}"
            );
            assert_eq!(one(&text), Some((What::Login, "192.0.2.7".into(), login.into())), "{command}");
        }
    }

    #[test]
    fn refused_envelopes_are_told_apart() {
        for (text, what) in [
            ("from=<a@b.example>,to=<c@mx.example>: 550 User unknown.", Some(What::Recipient)),
            ("ident=x,from=<>,to=<c@d.example>: 513 Relaying denied.", Some(What::Relay)),
            ("from=<a@b.example>: 517 Domain does not exist: b.example.", Some(What::Sender)),
            ("from=<a@b.example>,to=<c@mx.example>: 450 Try again.", None),
            ("msg=\"502 ESMTP command error\",cmd: XYZZY", None),
            ("msg=\"502 ESMTP command error\",cmd: GET / HTTP/1.1", Some(What::Garbage)),
        ] {
            let read = one(&format!("courieresmtpd: error,relay=::ffff:192.0.2.7,{text}"));
            assert_eq!(read.map(|(what, ..)| what), what, "{text}");
        }
    }
}
