//! Postfix.

use super::{NOTHING, one, told};

const SMTPD: &str = "Nov  3 10:00:00 mx postfix/submission/smtpd[71]: ";

fn smtpd(message: &str) -> String {
    one(&format!("{SMTPD}{message}"))
}

#[test]
fn a_refused_login_is_one_attempt_however_the_session_ends() {
    let log = "\
Nov  3 10:00:00 mx postfix/submission/smtpd[71]: connect from unknown[198.51.100.7]
Nov  3 10:00:01 mx postfix/submission/smtpd[71]: warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username=scan
Nov  3 10:00:01 mx postfix/submission/smtpd[71]: lost connection after AUTH from unknown[198.51.100.7]
Nov  3 10:00:01 mx postfix/submission/smtpd[71]: disconnect from unknown[198.51.100.7] ehlo=1 auth=0/1 rset=1 commands=2/3
";
    assert_eq!(told(log), ["2 postfix 198.51.100.7 scan LOGIN"]);
}

#[test]
fn the_summary_counts_where_nothing_else_tells_of_the_refused_auth() {
    assert_eq!(
        smtpd("disconnect from h.example[198.51.100.7] ehlo=1 auth=0/2 quit=1 commands=2/4"),
        "1 postfix 198.51.100.7 - -"
    );
    assert_eq!(smtpd("disconnect from h.example[198.51.100.7] ehlo=1 auth=1 quit=1 commands=3"), "");
    assert_eq!(smtpd("disconnect from h.example[198.51.100.7] ehlo=1 quit=1 commands=2"), "");
}

#[test]
fn our_own_trouble_and_what_a_client_takes_back_is_no_attempt() {
    for reason in [
        "Connection lost to authentication server",
        "Can't connect to authentication server",
        "Internal authentication failure",
        "Temporary authentication failure",
        "generic failure",
    ] {
        assert_eq!(
            smtpd(&format!("warning: unknown[198.51.100.7]: SASL PLAIN authentication failed: {reason}")),
            "",
            "{reason}"
        );
    }
    for message in [
        "warning: unknown[198.51.100.7]: SASL PLAIN authentication aborted",
        "fatal: no SASL authentication mechanisms",
        "warning: SASL: Connect to private/auth failed: Connection refused",
        "connect from unknown[198.51.100.7]",
        "lost connection after DATA (81 bytes) from unknown[198.51.100.7]",
        "NOQUEUE: reject: RCPT from h.example[198.51.100.7]: 451 4.3.0 <a@b.example>: Temporary lookup failure; from=<> to=<a@b.example> proto=ESMTP helo=<h.example>",
        "NOQUEUE: reject: RCPT from h.example[198.51.100.7]: 450 4.2.0 <a@b.example>: Recipient address rejected: Greylisted; from=<> to=<a@b.example> proto=ESMTP helo=<h.example>",
    ] {
        assert_eq!(smtpd(message), "", "{message}");
    }
}

#[test]
fn a_summary_after_trouble_of_ours_is_no_attempt() {
    let log = "\
Nov  3 10:00:00 mx postfix/smtpd[71]: connect from unknown[198.51.100.7]
Nov  3 10:00:01 mx postfix/smtpd[71]: warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: Connection lost to authentication server
Nov  3 10:00:01 mx postfix/smtpd[71]: disconnect from unknown[198.51.100.7] ehlo=1 auth=0/1 commands=1/2
Nov  3 10:00:02 mx postfix/smtpd[71]: connect from unknown[198.51.100.7]
Nov  3 10:00:03 mx postfix/smtpd[71]: warning: unknown[198.51.100.7]: SASL LOGIN authentication aborted
Nov  3 10:00:03 mx postfix/smtpd[71]: disconnect from unknown[198.51.100.7] ehlo=1 auth=0/1 commands=1/2
Nov  3 10:00:04 mx postfix/smtpd[72]: connect from unknown[198.51.100.7]
Nov  3 10:05:04 mx postfix/smtpd[72]: timeout after AUTH from unknown[198.51.100.7]
Nov  3 10:05:04 mx postfix/smtpd[72]: disconnect from unknown[198.51.100.7] ehlo=1 auth=0/1 commands=1/2
";
    assert_eq!(told(log), NOTHING);
}

#[test]
fn what_a_client_writes_never_names_the_source() {
    for (message, expected) in [
        (
            "warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: UGFz, sasl_username=x]: SASL from h[192.0.2.9]: 535",
            "1 postfix 198.51.100.7 x]: SASL from h[192.0.2.9]: 535 LOGIN",
        ),
        (
            "warning: unknown[198.51.100.7]: SASL X from h[192.0.2.9] authentication failed: bad",
            "1 postfix 198.51.100.7 - -",
        ),
        (
            "NOQUEUE: reject: RCPT from h.example[198.51.100.7]: 550 5.1.1 <x from h[192.0.2.9]: 550>: Recipient address rejected: no; from=<> to=<x> proto=SMTP helo=<[192.0.2.9]: 550 from a[192.0.2.8]>",
            "1 postfix 198.51.100.7 - -",
        ),
        (
            "improper command pipelining after EHLO from unknown[198.51.100.7]: QUIT from h[192.0.2.9]",
            "1 postfix 198.51.100.7 - -",
        ),
        (
            "warning: non-SMTP command from unknown[198.51.100.7]: GET / from h[192.0.2.9]",
            "1 postfix 198.51.100.7 - -",
        ),
    ] {
        assert_eq!(smtpd(message), expected, "{message}");
    }
}

#[test]
fn octal_escapes_of_a_login_are_undone() {
    let told = smtpd(
        r"warning: unknown[198.51.100.7]: SASL PLAIN authentication failed: x, sasl_username=a\303\266\015b",
    );
    assert_eq!(told, "1 postfix 198.51.100.7 a\u{f6}\rb PLAIN");
}

#[test]
fn cut_lines_are_skipped_with_a_reason() {
    assert_eq!(
        smtpd("warning: unknown[198.51.10: SASL LOGIN authentication failed: x"),
        "1 skipped: a refusal without a client address"
    );
    assert_eq!(smtpd("too many errors after AUTH from unknown[198.51.1"), "1 skipped: cut or spliced line");
    assert_eq!(
        smtpd("NOQUEUE: reject: RCPT from unknown[198.51.1"),
        "1 skipped: a refusal without a client address"
    );
}

#[test]
fn errors_told_one_by_one_are_not_told_again_by_their_sum() {
    let log = "\
Nov  3 10:00:00 mx postfix/smtpd[71]: connect from unknown[198.51.100.7]
Nov  3 10:00:01 mx postfix/smtpd[71]: NOQUEUE: reject: RCPT from unknown[198.51.100.7]: 550 5.1.1 <a@b.example>: Recipient address rejected: User unknown; from=<> to=<a@b.example> proto=ESMTP helo=<h>
Nov  3 10:00:02 mx postfix/smtpd[71]: too many errors after RCPT from unknown[198.51.100.7]
Nov  3 10:00:03 mx postfix/smtpd[72]: too many errors after AUTH from unknown[198.51.100.8]
";
    assert_eq!(told(log), ["2 postfix 198.51.100.7 - -", "4 postfix 198.51.100.8 - -"]);
}

#[test]
fn a_name_that_does_not_resolve_belongs_to_the_connection_behind_it() {
    let log = "\
Nov  3 10:00:00 mx postfix/smtpd[71]: warning: hostname h.example does not resolve to address 198.51.100.7: Name or service not known
Nov  3 10:00:00 mx postfix/smtpd[71]: connect from unknown[198.51.100.7]
Nov  3 10:00:00 mx postfix/smtpd[71]: disconnect from unknown[198.51.100.7] ehlo=1 quit=1 commands=2
";
    assert_eq!(told(log), NOTHING);
}

#[test]
fn postscreen_s_hang_up_follows_from_what_it_refused() {
    let log = r"
Nov  3 10:00:00 mx postfix/postscreen[9]: CONNECT from [2001:db8::7]:4711 to [192.0.2.1]:25
Nov  3 10:00:00 mx postfix/postscreen[9]: PREGREET 11 after 0.04 from [2001:db8::7]:4711: EHLO User\r\n
Nov  3 10:00:01 mx postfix/postscreen[9]: HANGUP after 0.6 from [2001:db8::7]:4711 in tests before SMTP handshake
Nov  3 10:00:01 mx postfix/postscreen[9]: DISCONNECT [2001:db8::7]:4711
Nov  3 10:00:02 mx postfix/postscreen[9]: NOQUEUE: reject: CONNECT from [198.51.100.9]:4711: all server ports busy
";
    assert_eq!(told(log), ["3 postfix 2001:db8::7 - -"]);
}
