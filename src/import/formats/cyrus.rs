//! Cyrus IMAP: imapd, pop3d, lmtpd, nntpd, timsieved, httpd.
//!
//! Until 3.12 `badlogin: NAME [ADDRESS] MECHANISM ...`, later `event=login.bad r.clienthost=...`. What is counted
//! is decided by libsasl's number: a saslauthd that is away is no attempt.

use super::ends::{Sasl, client_first, door_named, sasl};
use crate::import::{Finding, Heard, Line, Reader, Server, What, Why, scan};

/// See the module.
#[derive(Debug, Default)]
pub struct Cyrus;

impl Reader for Cyrus {
    fn server(&self) -> Server {
        Server::Cyrus
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        let program = line.prefix.program.unwrap_or_default();
        let read = if let Some(rest) = line.text.strip_prefix("badlogin: ") {
            badlogin(line, rest)
        } else if let Some(rest) = line.text.strip_prefix("event=login.bad ") {
            event(line, rest)
        } else if program.starts_with("cyrus/") || program == "cyrus" {
            return Heard::Understood;
        } else {
            return Heard::NotMine;
        };
        match read {
            Ok(Some(mut finding)) => {
                finding.door = door_named(program);
                found.push(finding);
                Heard::Understood
            }
            Ok(None) => Heard::Understood,
            Err(why) => Heard::Damaged(why),
        }
    }

    fn end(&mut self, _found: &mut Vec<Finding>) {}
}

/// `NAME [ADDRESS] plaintext LOGIN SASL(-13): ...`, `NAME [ADDRESS] MECHANISM [SASL(-13): ...]`.
fn badlogin(line: &Line<'_>, rest: &str) -> Result<Option<Finding>, Why> {
    let (source, rest) = client_first(rest).ok_or(Why::NoAddress)?;
    let rest = rest.strip_prefix(' ').ok_or(Why::Cut)?;
    let (mechanism, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let plaintext = mechanism == "plaintext";
    let (login, error) = match split_error(rest, plaintext) {
        Some((login, error)) => (login, Some(error)),
        None => (rest, None),
    };
    let Some(what) = error.map_or(Some(What::Login), refused) else { return Ok(None) };
    let mut finding = Finding::new(line, Server::Cyrus, what);
    finding.source = Some(source);
    finding.mechanism = scan::mechanism(mechanism);
    let login = login.strip_suffix(" invalid user").unwrap_or(login);
    finding.login = if plaintext { scan::login(login) } else { error.and_then(name_in_error) };
    Ok(Some(finding))
}

/// The text before libsasl's, and libsasl's from its number on. A login is before it (so the last place counts),
/// a mechanism has nothing of the client's before it (so the first does).
fn split_error(rest: &str, plaintext: bool) -> Option<(&str, &str)> {
    let (before, error) = if plaintext { rest.rsplit_once("SASL(")? } else { rest.split_once("SASL(")? };
    Some((before.trim_end_matches('[').trim_end(), error))
}

/// What the text `-13): ...` means.
fn refused(error: &str) -> Option<What> {
    let code = error.split_once(')').and_then(|(code, _)| code.parse::<i32>().ok())?;
    match sasl(code) {
        Sasl::Refused => Some(What::Login),
        Sasl::Mechanism => Some(What::AuthCommand),
        Sasl::Cancelled | Sasl::Failure => None,
    }
}

/// sasldb says whom it did not find.
fn name_in_error(error: &str) -> Option<String> {
    let (_, rest) = error.split_once("): user not found: user: ")?;
    scan::login(rest.rsplit_once(" property: ")?.0)
}

/// `r.clienthost="NAME [ADDRESS]" u.username=NAME login.mech=PLAIN error="..."`.
fn event(line: &Line<'_>, rest: &str) -> Result<Option<Finding>, Why> {
    let mut finding = Finding::new(line, Server::Cyrus, What::Login);
    let mut rest = rest;
    while let Some((key, value, after)) = scan::logfmt(rest) {
        match key {
            "r.clienthost" => finding.source = client_first(&value).map(|(source, _)| source),
            "u.username" => finding.login = scan::login(&value),
            "login.mech" => finding.mechanism = scan::mechanism(&value),
            "error" => {
                if let Some((_, error)) = value.split_once("SASL(") {
                    let Some(what) = refused(error) else { return Ok(None) };
                    finding.what = what;
                }
            }
            _ => {}
        }
        rest = after;
    }
    if finding.source.is_none() { Err(Why::NoAddress) } else { Ok(Some(finding)) }
}

#[cfg(test)]
mod tests {
    use super::super::harness::{brief, read};
    use super::*;

    fn one(text: &str) -> Option<(What, String, String)> {
        let found = read(Server::Cyrus, &format!("Nov  3 10:00:00 mx {text}"));
        brief(&found).into_iter().next().map(|(_, what, source, login)| (what, source, login))
    }

    #[test]
    fn every_layout_of_badlogin_is_read() {
        for (text, source, login) in [
            (
                "cyrus/imap[5]: badlogin: h.example [192.0.2.7] plaintext info SASL(-13): authentication failure: checkpass failed",
                "192.0.2.7",
                "info",
            ),
            (
                "imaps[5]: badlogin: [2001:db8::7] DIGEST-MD5 [SASL(-13): authentication failure: client response doesn't match]",
                "2001:db8::7",
                "",
            ),
            (
                "pop3[5]: badlogin: h.example[192.0.2.7] OTP [SASL(-13): authentication failure: x]",
                "192.0.2.7",
                "",
            ),
            (
                "cyrus/imaps[5]: badlogin: h.example [192.0.2.7] plain [SASL(-13): user not found: user: web@mx property: cmusaslsecretPLAIN not found in sasldb]",
                "192.0.2.7",
                "web@mx",
            ),
            ("lmtpunix[5]: badlogin: [::1] PLAIN authentication failure", "::1", ""),
            ("imap[5]: badlogin: h.example [192.0.2.7] plaintext nobody invalid user", "192.0.2.7", "nobody"),
            (
                "imap[5]: event=login.bad r.clienthost=\"h.example [192.0.2.7]\" u.username=info login.mech=PLAIN error=\"SASL(-13): authentication failure\"",
                "192.0.2.7",
                "info",
            ),
        ] {
            assert_eq!(one(text), Some((What::Login, source.into(), login.into())), "{text}");
        }
    }

    #[test]
    fn a_login_that_holds_a_client_stays_a_login() {
        let text = "imap[5]: badlogin: h.example [192.0.2.7] plaintext x [203.0.113.9] plaintext y SASL(-1): z SASL(-13): authentication failure: checkpass failed";
        assert_eq!(
            one(text),
            Some((What::Login, "192.0.2.7".into(), "x [203.0.113.9] plaintext y SASL(-1): z".into()))
        );
    }

    #[test]
    fn a_failing_back_end_is_no_attempt() {
        for text in [
            "imap[5]: badlogin: h.example [192.0.2.7] plaintext info SASL(-1): generic failure: checkpass failed",
            "imap[5]: badlogin: h.example [192.0.2.7] PLAIN [SASL(-5): bad protocol / cancel: x]",
            "cyrus/imap[5]: login: h.example [192.0.2.7] info plaintext User logged in",
            "cyrus/master[5]: process type:SERVICE name:imap exited, status 0",
        ] {
            assert_eq!(one(text), None, "{text}");
        }
    }
}
