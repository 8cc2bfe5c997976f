//! Short messages that this server itself writes into the mailbox of an account.

use super::date;
use crate::types::{Address, Domain, MailId, UnixTime};
use std::net::IpAddr;

/// A login from a place where the account was never seen.
#[derive(Debug, Clone, Copy)]
pub struct NewPlace<'a> {
    /// The account's name.
    pub account: &'a Address,
    /// The name of this server.
    pub hostname: &'a Domain,
    /// The message's name.
    pub id: MailId,
    /// When.
    pub time: UnixTime,
    /// From where.
    pub source: IpAddr,
    /// `PLAIN` and so on.
    pub mechanism: &'a str,
    /// The number and the name of the application password that was used.
    pub app_password: Option<(u32, &'a str)>,
}

/// The message, with CRLF. Its header says that no person wrote it (RFC 3834 section 5), so that nothing
/// answers it.
#[must_use]
pub fn new_place(facts: &NewPlace<'_>) -> Vec<u8> {
    let NewPlace { account, hostname, id, time, source, mechanism, app_password } = *facts;
    let date = date::rfc5322(time);
    let (with, undo) = match app_password {
        None => (
            "the password of the account".to_owned(),
            format!("gatepost account passwd {account}                    (another password)"),
        ),
        Some((number, name)) => (
            if name.is_empty() {
                format!("application password {number}")
            } else {
                format!("application password {number} ({name})")
            },
            format!("gatepost account credential revoke {account} {number}   (takes it back)"),
        ),
    };
    let lines = [
        format!("From: postmaster@{}", account.domain),
        format!("To: {account}"),
        format!("Subject: A login from a new place: {source}"),
        format!("Date: {date}"),
        format!("Message-ID: <{id}@{hostname}>"),
        "Auto-Submitted: auto-generated".to_owned(),
        "MIME-Version: 1.0".to_owned(),
        "Content-Type: text/plain; charset=utf-8".to_owned(),
        "Content-Transfer-Encoding: 8bit".to_owned(),
        String::new(),
        format!("Somebody logged in as {account} from a network where nobody had before."),
        String::new(),
        format!("  when   {date}"),
        format!("  from   {source}"),
        format!("  with   {with}, by {mechanism}"),
        format!("  server {hostname}"),
        String::new(),
        "If that was you, on a journey or with another line, there is nothing to do.".to_owned(),
        "If it was not, the password is known to somebody else. The administrator's".to_owned(),
        "remedy is:".to_owned(),
        String::new(),
        format!("  {undo}"),
        format!("  gatepost auth explain {source}"),
        String::new(),
    ];
    lines.join("\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(app_password: Option<(u32, &str)>) -> String {
        let account: Address = "me@example.org".parse().unwrap();
        let hostname = Domain::parse("mx.example.org").unwrap();
        let facts = NewPlace {
            account: &account,
            hostname: &hostname,
            id: MailId([1; 16]),
            time: UnixTime(1_700_000_000),
            source: "192.0.2.7".parse().unwrap(),
            mechanism: "PLAIN",
            app_password,
        };
        String::from_utf8(new_place(&facts)).unwrap()
    }

    #[test]
    fn it_says_when_from_where_with_what_and_what_to_do() {
        let text = notice(None);
        for part in [
            "From: postmaster@example.org\r\n",
            "To: me@example.org\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Tue, 14 Nov 2023 22:13:20 +0000",
            "192.0.2.7",
            "the password of the account, by PLAIN",
            "gatepost account passwd me@example.org",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let text = notice(Some((3, "phone")));
        assert!(text.contains("application password 3 (phone)") && text.contains("revoke me@example.org 3"));
    }

    #[test]
    fn every_line_ends_in_crlf_and_fits_into_a_message() {
        let name = "é".repeat(64);
        for text in [notice(None), notice(Some((7, &name)))] {
            assert!(text.ends_with("\r\n") && !text.replace("\r\n", "").contains(['\r', '\n']));
            assert!(text.lines().all(|line| line.len() < 998));
            assert_eq!(text.split("\r\n\r\n").next().unwrap().lines().count(), 9);
        }
    }
}
