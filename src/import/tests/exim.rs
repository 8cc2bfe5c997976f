//! Exim.

use super::{NOTHING, one, told};

fn exim(message: &str) -> String {
    one(&format!("2025-11-03 10:00:00 {message}"))
}

#[test]
fn a_refused_login_names_client_login_and_mechanism() {
    for line in [
        "2025-11-03 10:00:00 dovecot_login authenticator failed for (User) [198.51.100.7]: 535 Incorrect authentication data (set_id=scan)",
        "2025-11-03 10:00:00.123 [77] login_server authenticator failed for h.example (User) [198.51.100.7]:4711 I=[192.0.2.1]:587 Ci=77: 535 Incorrect authentication data (set_id=scan)",
        "2025-11-03 10:00:00 +0100 login authenticator failed for [198.51.100.7]: 535 Incorrect authentication data (set_id=scan)",
        "Nov  3 10:00:00 mx exim[77]: login authenticator failed for (a.example) [198.51.100.7] U=root: 535 Incorrect authentication data (set_id=scan)",
    ] {
        assert_eq!(one(line), "1 exim 198.51.100.7 scan LOGIN", "{line}");
    }
}

#[test]
fn what_is_taken_back_deferred_or_only_ends_is_no_attempt() {
    for message in [
        "login authenticator failed for (User) [198.51.100.7]: 435 Unable to authenticate at present (set_id=scan): failed to connect to socket",
        "login authenticator failed for (User) [198.51.100.7]: 501 Authentication cancelled (set_id=scan)",
        "SMTP connection from (User) [198.51.100.7] lost D=3s",
        "SMTP connection from [198.51.100.7]:4711 (TCP/IP connection count = 1)",
        "SMTP connection from (User) [198.51.100.7] closed by QUIT",
        "SMTP command timeout on connection from (User) [198.51.100.7] D=5m",
        "unexpected disconnection while reading SMTP command from (User) [198.51.100.7] D=2s",
        "H=h.example [198.51.100.7] F=<a@b.example> temporarily rejected RCPT <c@d.example>: greylisted",
        "1rAbCd-00000003abc-2xYz <= a@b.example H=h.example [198.51.100.7] P=esmtpsa A=login:me S=812",
        "1rAbCd-00000003abc-2xYz => c@d.example R=dnslookup T=remote_smtp H=mx.d.example [198.51.100.7]",
        "H=h.example [198.51.100.7] sender verify defer for <a@b.example>: host lookup did not complete",
        "H=h.example [198.51.100.7] F=<a@b.example> A=login:me temporarily rejected RCPT <c@d.example>: later",
        "no host name found for IP address 198.51.100.7",
    ] {
        assert_eq!(exim(message), "", "{message}");
    }
}

#[test]
fn what_a_client_writes_never_names_the_source() {
    for (message, expected) in [
        (
            "login authenticator failed for (User) [198.51.100.7]: 535 Incorrect authentication data (set_id=a) [192.0.2.9]: 535 Incorrect (set_id=b)",
            "1 exim 198.51.100.7 a) [192.0.2.9]: 535 Incorrect (set_id=b LOGIN",
        ),
        (
            r#"SMTP protocol error in "AUTH LOGIN" H=(x) [192.0.2.9] AUTH command used when not advertised" H=(User) [198.51.100.7] AUTH command used when not advertised"#,
            "1 exim 198.51.100.7 - -",
        ),
        (
            r#"SMTP protocol synchronization error (next input sent too soon: pipelining was not advertised): rejected "RSET" H=h.example [198.51.100.7] next input="x" H=(y) [192.0.2.9] next input="z\r\n""#,
            "1 skipped: the client can be read in two ways",
        ),
        (
            r#"H=(User) [198.51.100.7] F=<"x H=y [192.0.2.9] rejected RCPT"@b.example> rejected RCPT <c@d.example>: relay not permitted"#,
            "1 exim 198.51.100.7 - -",
        ),
    ] {
        assert_eq!(exim(message), expected, "{message}");
    }
}

#[test]
fn fields_between_client_and_verdict_are_passed_over() {
    for message in [
        r#"H=h.example [198.51.100.7]:4711 I=[192.0.2.1]:25 X=TLS1.3:TLS_AES_256_GCM_SHA384:256 CV=no DN="/CN=a b" SNI="mx" F=<a@b.example> rejected RCPT <c@d.example>: relay not permitted"#,
        "H=(User) [198.51.100.7] rejected EHLO or HELO User: no",
        "H=[198.51.100.7]:4711 rejected connection in \"connect\" ACL: banned",
        "rejected EHLO from [198.51.100.7]: syntactically invalid argument(s): a_b",
        "SMTP syntax error in \"MAIL FROM\" H=(User) [198.51.100.7] malformed address",
    ] {
        assert_eq!(exim(message), "1 exim 198.51.100.7 - -", "{message}");
    }
}

#[test]
fn what_follows_from_a_refusal_is_no_further_attempt() {
    let log = r#"
2025-11-03 10:00:00 SMTP protocol error in "AUTH LOGIN" H=(User) [198.51.100.7]:4711 AUTH command used when not advertised
2025-11-03 10:00:01 no MAIL in SMTP connection from (User) [198.51.100.7]:4711 D=3s C=EHLO,AUTH,QUIT
2025-11-03 10:00:02 login authenticator failed for (User) [198.51.100.8]: 535 Incorrect authentication data
2025-11-03 10:00:03 no MAIL in SMTP connection from (User) [198.51.100.8] D=2s C=EHLO,AUTH
2025-11-03 10:00:04 login authenticator failed for (User) [198.51.100.9]: 435 Unable to authenticate at present
2025-11-03 10:00:05 no MAIL in SMTP connection from (User) [198.51.100.9] D=2s C=EHLO,AUTH
"#;
    assert_eq!(told(log), ["2 exim 198.51.100.7 - LOGIN", "4 exim 198.51.100.8 - LOGIN"]);
    assert_eq!(told(""), NOTHING);
}

#[test]
fn a_reply_that_is_not_exim_s_names_two_clients() {
    let line = "2026-11-03 10:00:00 login authenticator failed for (x) [203.0.113.9]: 535 y) [192.0.2.5]: \
                535 Incorrect authentication data";
    assert_eq!(one(line), "1 skipped: the client can be read in two ways");
}
