//! Lines the way collectors hand them on: said again, twice wrapped, without anything in front.

use super::{one, told};
use crate::import::Why;
use crate::import::importer::Importer;

const REFUSED: &str = "warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: UGFzc3dvcmQ6";

#[test]
fn what_rsyslog_says_was_said_again_is_so_many_attempts() {
    let log = format!("Nov  3 10:00:00 mx postfix/smtpd[7]: message repeated 3 times: [ {REFUSED}]\n");
    assert_eq!(told(&log), vec!["1 postfix 192.0.2.7 - LOGIN"; 3]);
}

#[test]
fn what_a_syslogd_says_was_said_again_counts_at_the_line_that_says_so() {
    let log = format!(
        "Nov  3 10:00:00 mx postfix/smtpd[7]: {REFUSED}\n\
         Nov  3 10:00:09 mx last message repeated 2 times\n\
         Nov  3 10:00:09 mx postfix/smtpd[7]: disconnect from unknown[192.0.2.7] ehlo=1 auth=0/3 commands=1/4\n"
    );
    assert_eq!(
        told(&log),
        ["1 postfix 192.0.2.7 - LOGIN", "2 postfix 192.0.2.7 - LOGIN", "2 postfix 192.0.2.7 - LOGIN"]
    );
}

#[test]
fn a_login_cannot_say_that_something_was_said_again() {
    let log = format!(
        "Nov  3 10:00:00 mx postfix/smtpd[7]: {REFUSED}, sasl_username=message repeated 9 times: [ x]\n\
         Nov  3 10:00:00 mx postfix/smtpd[7]: {REFUSED}, sasl_username=mx last message repeated 9 times\n"
    );
    assert_eq!(told(&log).len(), 2);
}

#[test]
fn a_refusal_is_found_behind_every_collector() {
    for front in [
        "Nov  3 10:00:00 mx Nov  3 10:00:00 mx postfix/smtpd[7]: ",
        "2026-11-03T10:00:00+00:00 relay 2026-11-03T10:00:00.5+00:00 mx postfix/smtpd[7]: ",
        "<22>1 2026-11-03T10:00:00Z mx postfix/smtpd 7 - [meta seq=\"1\"] ",
        "mail-1  | 2026-11-03T10:00:00.123456789Z Nov  3 10:00:00 mx postfix/smtpd[7]: ",
        "2026-11-03T10:00:00.1Z stdout F Nov  3 10:00:00 mx postfix/smtpd[7]: ",
        "\0\0\0Nov  3 10:00:00 mx postfix/smtpd[7]: ",
        "\u{feff}Nov  3 10:00:00 mx postfix/smtpd[7]: ",
        "",
    ] {
        assert_eq!(one(&format!("{front}{REFUSED}\r")), "1 postfix 192.0.2.7 - LOGIN", "{front}");
    }
    let exported =
        format!("{{\"log\":\"Nov  3 10:00:00 mx postfix/smtpd[7]: {REFUSED}\\n\",\"stream\":\"stdout\"}}");
    assert_eq!(one(&exported), "1 postfix 192.0.2.7 - LOGIN");
}

#[test]
fn a_tab_that_rsyslog_wrote_as_a_number_is_maddy_s_tab() {
    let line = "Nov  3 10:00:00 mx maddy[5]: submission: authentication failed#011\
                {\"reason\":\"unknown user\",\"src_ip\":\"[2001:db8::5]:4444\",\"username\":\"bob\"}";
    assert_eq!(one(line), "1 maddy 2001:db8::5 bob -");
}

#[test]
fn an_event_spread_over_lines_is_read_when_its_keys_are_there() {
    let log = "2026-11-03T10:00:00Z INFO Authentication failed (auth.failed)\n\
               \tlistenerId = \"smtp\"\n\tlocalPort = 25\n\tremoteIp = 192.0.2.12\n\tremotePort = 4445\n\
               \taccountName = \"bob\"\n\
               2026-11-03T10:00:01Z INFO SMTP connection ended (smtp.connection-end)\n\
               \tremoteIp = 192.0.2.12\n\tremotePort = 4445\n";
    assert_eq!(told(log), ["1 stalwart 192.0.2.12 bob -"]);
}

#[test]
fn replies_that_the_log_has_lost_do_not_shift_the_ones_of_auth() {
    let log = "[smtp.1:20] [2026-02-01T20:04:02.653] DEBUG -- : [AAAAAA]    Connection opened from ::ffff:192.0.2.1\n\
               [smtp.1:20] [2026-02-01T20:04:02.653] DEBUG -- : [AAAAAA] <= EHLO x\n\
               [smtp.1:20] [2026-02-01T20:04:02.653] DEBUG -- : [AAAAAA] <= AUTH PLAIN AGJvYgBodW50ZXIy\n\
               [smtp.1:20] [2026-02-01T20:04:02.653] DEBUG -- : [AAAAAA] => 535 Invalid credential\n";
    assert_eq!(told(log), ["4 postal 192.0.2.1 bob PLAIN"]);
}

#[test]
fn a_line_that_damage_cut_short_tells_of_nobody() {
    let mut importer = Importer::new(None);
    importer.push(b"Nov  3 10:00:00 mx imapd: LOGIN FAILED, user=a, ip=[::ffff:192.0.2.7]\n");
    importer.push(b"2026-11-03T10:00:00Z INFO Authentication failed (auth.failed) remoteIp = 192.0.2.1");
    importer.damaged(Why::DamagedGzip);
    importer.end();
    let lines: Vec<u64> = importer.take().iter().map(|finding| finding.line).collect();
    assert_eq!(lines, [1]);
    assert_eq!(
        importer.skipped().iter().map(|skipped| (skipped.line, skipped.why)).collect::<Vec<_>>(),
        [(2, Why::DamagedGzip)]
    );
}
