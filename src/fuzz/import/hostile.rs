//! Names that speak the language of logs: whatever a client calls itself, the attempt stays its own.

use super::super::{Verdict, promise};
use crate::import::importer::read_all;
use std::net::{IpAddr, Ipv4Addr};

/// The only client of every log here.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 200));

/// How a server writes what a client chose.
#[derive(Clone, Copy)]
enum Written {
    /// As it came.
    Raw,
    /// Control octets and backslashes as numbers or letters behind a backslash, quotes as they came.
    Printable,
    /// As a JSON string, which is also what Go's `%q` makes of it.
    Quoted,
    /// As it came, but a server lets no space and no parenthesis in.
    Word,
}

/// Lines in the shape of each server's, with `{}` where the name stands.
const LOGS: [(&str, Written); 25] = [
    (
        "Nov  3 10:00:00 mx postfix/smtpd[7]: warning: unknown[192.0.2.200]: SASL LOGIN authentication failed: x, sasl_username={}",
        Written::Printable,
    ),
    (
        "Nov  3 10:00:00 mx postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[192.0.2.200]: 554 5.7.1 <a@b>: Relay access denied; from=<c@d> to=<a@b> proto=ESMTP helo=<{}>",
        Written::Printable,
    ),
    (
        "Nov  3 10:00:00 mx postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[192.0.2.200]: 554 5.7.1 <{}>: Relay access denied; from=<c@d> to=<a@b> proto=ESMTP helo=<x>",
        Written::Printable,
    ),
    (
        "Nov  3 10:00:00 mx postfix/smtpd[7]: improper command pipelining after EHLO from unknown[192.0.2.200]: {}",
        Written::Printable,
    ),
    (
        "Nov  3 10:00:00 mx postfix/postscreen[7]: PREGREET 11 after 0.1 from [192.0.2.200]:4444: EHLO {}\\r\\n",
        Written::Printable,
    ),
    (
        "Nov  3 10:00:00 mx dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<{}>, method=PLAIN, rip=192.0.2.200, lip=10.0.0.1, TLS, session=<abc>",
        Written::Printable,
    ),
    ("Nov 03 10:00:00 auth: Info: passwd-file({},192.0.2.200,<abc>): unknown user", Written::Printable),
    (
        "Nov  3 10:00:00 mx dovecot: auth({},192.0.2.200,sasl:plain)<abc>: passwd-file: unknown user",
        Written::Printable,
    ),
    (
        "Nov  3 10:00:00 mx auth: pam_unix(dovecot:auth): authentication failure; logname= uid=0 euid=0 tty=dovecot ruser={} rhost=192.0.2.200",
        Written::Printable,
    ),
    (
        "2026-11-03 10:00:00 plain authenticator failed for (User) [192.0.2.200]:5: 535 Incorrect authentication data (set_id={})",
        Written::Printable,
    ),
    (
        "2026-11-03 10:00:00 plain authenticator failed for ({}) [192.0.2.200]:5: 535 Incorrect authentication data",
        Written::Word,
    ),
    (
        "2026-11-03 10:00:00 H=({}) [192.0.2.200]:5 F=<a@b> rejected RCPT <c@d>: relay not permitted",
        Written::Word,
    ),
    (
        "Nov  3 10:00:00 mx smtpd[9]: 0000000000000001 smtp connected address=192.0.2.200 host=x\nNov  3 10:00:00 mx smtpd[9]: 0000000000000001 smtp authentication user={} result=permfail",
        Written::Printable,
    ),
    (
        "Nov  3 10:00:00 mx smtpd[9]: 0000000000000001 smtp connected address=192.0.2.200 host=x\nNov  3 10:00:00 mx smtpd[9]: 0000000000000001 smtp failed-command command=\"{}\" result=\"500 5.5.1 Invalid command\"",
        Written::Printable,
    ),
    (
        "2026/11/03 10:00:00 [info] 12#0: *5 client login failed: \"no\" while in http auth state, client: 192.0.2.200, server: 0.0.0.0:587, login: \"{}\"",
        Written::Raw,
    ),
    (
        "2026/11/03 10:00:00 [info] 12#0: *5 client was rejected: \"RCPT {}\" while in auth state, client: 192.0.2.200, server: 0.0.0.0:25",
        Written::Raw,
    ),
    (
        "2026-11-03T10:00:00Z INFO Authentication failed (auth.failed) listenerId = \"smtp\", localPort = 25, remoteIp = 192.0.2.200, remotePort = 4, accountName = \"{}\"",
        Written::Printable,
    ),
    (
        "Nov  3 10:00:00 mx sm-mta[9]: AUTH failure (LOGIN): authentication failure (-13) SASL(-13): authentication failure: checkpass failed, user={}, relay=host [192.0.2.200]",
        Written::Printable,
    ),
    ("Nov  3 10:00:00 mx imapd: LOGIN FAILED, user={}, ip=[::ffff:192.0.2.200]", Written::Printable),
    (
        "Nov  3 10:00:00 mx courieresmtpd: error,relay=::ffff:192.0.2.200,port=33,msg=\"535 Authentication failed.\",cmd: {}",
        Written::Printable,
    ),
    (
        "Nov  3 10:00:00 mx cyrus/imap[5]: badlogin: host.example [192.0.2.200] plaintext {} SASL(-13): authentication failure: checkpass failed",
        Written::Printable,
    ),
    (
        "2026-11-03T10:00:00.000Z submission: authentication failed\t{\"reason\":\"unknown user\",\"src_ip\":\"192.0.2.200:4444\",\"username\":{}}",
        Written::Quoted,
    ),
    (
        "l=info m=\"failed authentication attempt\" username={} remote=192.0.2.200 pkg=smtpserver cid=1a",
        Written::Quoted,
    ),
    (
        "[NOTICE] [11111111-2222-3333-4444-555555555555] [core] connect ip=192.0.2.200 port=4444\n[PROTOCOL] [11111111-2222-3333-4444-555555555555] [core] C: EHLO {} state=1\n[NOTICE] [11111111-2222-3333-4444-555555555555] [auth/flat_file] delaying for 1 seconds",
        Written::Printable,
    ),
    (
        "[smtp.1:20] [2026-02-01T20:04:02.653] DEBUG -- : [AAAAAA]    Connection opened from 192.0.2.200\n[smtp.1:20] [2026-02-01T20:04:02.653] DEBUG -- : [AAAAAA] <= EHLO {}\n[smtp.1:20] [2026-02-01T20:04:02.653] DEBUG -- : [AAAAAA] => 250 x\n[smtp.1:20] [2026-02-01T20:04:02.653] DEBUG -- : [AAAAAA] <= AUTH PLAIN\n[smtp.1:20] [2026-02-01T20:04:02.653] DEBUG -- : [AAAAAA] => 535 no",
        Written::Printable,
    ),
];

/// No name makes any server's log tell of another client.
pub(super) fn hostile(name: &str) -> Verdict {
    let logs: Vec<String> =
        LOGS.iter().map(|(log, written)| log.replace("{}", &as_written(name, *written))).collect();
    let (findings, _, _) = read_all(None, logs.join("\n").as_bytes());
    let own = |source: IpAddr| source == CLIENT;
    promise(
        findings.iter().all(|finding| finding.source.is_none_or(own)),
        "a name made another client's attempt",
    )
}

fn as_written(name: &str, written: Written) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        match (written, letter) {
            // No server lets the end of a line into a name.
            (_, '\r' | '\n') => {}
            (Written::Raw, letter) => text.push(letter),
            (Written::Printable, letter) if letter.is_control() => text.push('?'),
            (Written::Printable, letter) => text.push(letter),
            (Written::Word, ' ' | '(' | ')') => {}
            (Written::Word, letter) if letter.is_control() || letter.is_whitespace() => {}
            (Written::Word, letter) => text.push(letter),
            (Written::Quoted, '"' | '\\') => text.extend(['\\', letter]),
            (Written::Quoted, letter) if letter.is_control() => text.push('?'),
            (Written::Quoted, letter) => text.push(letter),
        }
    }
    match written {
        Written::Quoted => format!("\"{text}\""),
        Written::Raw | Written::Printable | Written::Word => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a line of some server's has around a client.
    const PIECES: [&str; 44] = [
        "203.0.113.66",
        "[203.0.113.66]",
        "x",
        " ",
        "\"",
        ">",
        "<",
        "(",
        ")",
        ": ",
        ", ",
        ",",
        "): ",
        "]: ",
        "unknown[203.0.113.66]",
        "unknown[203.0.113.66]: SASL LOGIN authentication failed: y, sasl_username=z",
        "rip=203.0.113.66, lip=10.0.0.2",
        ">, method=PLAIN, rip=203.0.113.66, lip=10.0.0.2, session=<z>",
        "imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<",
        ",203.0.113.66,<s>): unknown user",
        ",203.0.113.66): Password mismatch",
        ",203.0.113.66,sasl:plain)<s>: sql: Password mismatch",
        " rhost=203.0.113.66",
        "  user=z",
        ") [203.0.113.66]:9: 535 Incorrect authentication data (set_id=z",
        "\" H=h [203.0.113.66] ",
        " rejected RCPT <c@d>: no",
        " address=203.0.113.66 host=h",
        " result=permfail",
        "0000000000000002 smtp connected address=203.0.113.66 host=x",
        ", client: 203.0.113.66, server: 0.0.0.0:25",
        "\" while in http auth state, client: 203.0.113.66, server: 0.0.0.0:25, login: \"z",
        ", remoteIp = 203.0.113.66",
        "\", remoteIp = 203.0.113.66, remotePort = 9, accountName = \"z",
        ", relay=h [203.0.113.66]",
        ", ip=[203.0.113.66]",
        ", port=[9]",
        " SASL(-13): no",
        "\\\" remote=203.0.113.66",
        " remote=203.0.113.66",
        "\",\"src_ip\":\"203.0.113.66:9\",\"username\":\"z",
        " ip=203.0.113.66",
        " state=1",
        "Connection opened from 203.0.113.66",
    ];

    #[test]
    fn an_ordinary_name_is_an_attempt_in_every_log() {
        for (log, written) in LOGS {
            let log = log.replace("{}", &as_written("bob", written));
            let (findings, _, _) = read_all(None, log.as_bytes());
            let sources: Vec<_> = findings.iter().map(|finding| finding.source).collect();
            assert_eq!(sources, [Some(CLIENT)], "{log}");
        }
    }

    #[test]
    fn names_made_of_log_lines_name_nobody_else() {
        for piece in PIECES {
            assert_eq!(hostile(piece), Ok(()), "{piece}");
        }
        let mut at: u64 = 1;
        for _ in 0..400 {
            let mut name = String::new();
            for _ in 0..4 {
                at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                name.push_str(PIECES[usize::try_from(at >> 33).unwrap_or_default() % PIECES.len()]);
            }
            assert_eq!(hostile(&name), Ok(()), "{name}");
        }
    }
}
