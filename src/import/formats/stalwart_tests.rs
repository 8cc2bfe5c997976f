use super::super::harness::{brief, read};
use super::*;

const SPAN: &str = "listenerId = \"submissions\", localPort = 465, remoteIp = 192.0.2.7, remotePort = 50122";

fn told(log: &str) -> Vec<(u64, What, String, String)> {
    brief(&read(Server::Stalwart, log))
}

fn event(second: u32, text: &str, keys: &str) -> String {
    format!("2026-02-02T20:45:{second:02}Z DEBUG {text} {SPAN}{keys}\n")
}

#[test]
fn a_failed_login_is_an_attempt_and_its_ban_on_the_spot_none() {
    let log = [
        event(10, "SMTP EHLO command (smtp.ehlo)", ", domain = \"User\""),
        event(
            14,
            "Authentication failed (auth.failed)",
            ", remoteIp = 192.0.2.7, accountName = \"web@mx.example\", id = \"1\"",
        ),
        event(20, "Too many authentication attempts (auth.too-many-attempts)", ""),
        event(20, "Banned due to authentication errors (security.authentication-ban)", ""),
        event(31, "Blocked IP address (security.ip-blocked)", ""),
    ]
    .concat();
    assert_eq!(told(&log), [(2, What::Login, "192.0.2.7".into(), "web@mx.example".into())]);
    let found = read(Server::Stalwart, &log);
    assert_eq!((found[0].helo.as_deref(), found[0].door), (Some("User"), Some(Door::Submissions)));
}

#[test]
fn a_ban_that_stands_for_a_refused_login_is_an_attempt() {
    let log = [
        event(10, "Authentication failed (auth.failed)", ", accountName = \"a\""),
        event(
            17,
            "Banned due to authentication errors (security.authentication-ban)",
            ", accountName = \"b\"",
        ),
    ]
    .concat();
    assert_eq!(
        told(&log),
        [(1, What::Login, "192.0.2.7".into(), "a".into()), (2, What::Login, "192.0.2.7".into(), "b".into())]
    );
}

#[test]
fn the_last_refusal_of_an_imap_session_is_told_as_the_cause_of_too_many() {
    let cause = ", causedBy = Authentication failed (auth.failed) { remoteIp = 192.0.2.7, accountName = \"a\" }, id = \"2\"";
    let log = event(10, "Too many authentication attempts (auth.too-many-attempts)", cause);
    assert_eq!(told(&log), [(1, What::Login, "192.0.2.7".into(), "a".into())]);
}

#[test]
fn names_with_quotes_and_keys_in_them_fool_nobody() {
    let name = "x\", remoteIp = 203.0.113.9, accountName = \"y";
    let log =
        event(10, "Authentication failed (auth.failed)", &format!(", accountName = \"{name}\", id = \"1\""));
    assert_eq!(told(&log), [(1, What::Login, "192.0.2.7".into(), name.into())]);
    let ehlo = event(
        10,
        "SMTP EHLO command (smtp.ehlo)",
        ", domain = \"x) Authentication failed (auth.failed) remoteIp = 203.0.113.9\"",
    );
    assert_eq!(told(&ehlo), []);
}

#[test]
fn collectors_put_their_prefix_before_the_stamp() {
    let line = event(14, "Authentication failed (auth.failed)", ", accountName = \"a\"");
    for prefix in ["", "mail-1  | ", "Nov  3 10:00:00 mx stalwart[77]: "] {
        assert_eq!(told(&format!("{prefix}{line}")).len(), 1, "{prefix}");
    }
}

#[test]
fn the_address_may_stand_behind_the_name_as_newer_versions_write_it() {
    let keys = ", accountName = \"a\", reason = \"x\", remoteIp = 192.0.2.7, id = \"2\"";
    assert_eq!(told(&event(14, "Authentication failed (auth.failed)", keys))[0].3, "a");
    let bare = |name: &str| {
        format!(
            "2026-02-02T20:45:14Z DEBUG Authentication failed (auth.failed) accountName = \"{name}\", remoteIp = 192.0.2.7"
        )
    };
    assert_eq!(told(&bare("a")), [(1, What::Login, "192.0.2.7".into(), "a".into())]);
    assert_eq!(told(&bare("a\", remoteIp = 203.0.113.9, x = \"b"))[0].2, "192.0.2.7");
}

#[test]
fn other_refusals_are_told_and_successes_are_not() {
    for (text, what) in [
        ("Mailbox does not exist (smtp.mailbox-does-not-exist)", Some(What::Recipient)),
        ("Relay not allowed (smtp.relay-not-allowed)", Some(What::Relay)),
        ("Authentication not allowed (smtp.auth-not-allowed)", Some(What::AuthCommand)),
        ("Authentication successful (auth.success)", None),
        ("Authentication error (auth.error)", None),
        ("SMTP connection started (smtp.connection-start)", None),
        ("RCPT TO greylisted (smtp.rcpt-to-greylisted)", None),
    ] {
        let read = told(&event(10, text, ""));
        assert_eq!(read.first().map(|(_, what, ..)| *what), what, "{text}");
    }
}

fn trace(level: &str, target: &str, fields: &str) -> String {
    format!(
        "2026-12-16T09:42:03.830292Z {level} session{{instance=\"submission\" protocol=Smtp remote.ip=\"192.0.2.7\" remote.port=4711}}: {target}: {fields}\n"
    )
}

fn traffic(event: &str, data: &str) -> String {
    trace("TRACE", "smtp::inbound::session", &format!("event=\"{event}\" data=\"{data}\\r\\n\" size=9"))
}

const FAILED: &str = "context=\"auth\" event=\"authenticate\" result=\"failed\"";

#[test]
fn the_tracing_log_tells_a_refusal_once_whatever_its_level() {
    let quiet = trace("DEBUG", "smtp::inbound::auth", FAILED);
    assert_eq!(told(&quiet), [(1, What::Login, "192.0.2.7".into(), String::new())]);
    let loud = [
        traffic("read", "EHLO x"),
        traffic("write", "250 AUTH PLAIN"),
        traffic("read", "AUTH PLAIN AGluZm8AcGFzcw=="),
        trace("DEBUG", "smtp::inbound::auth", FAILED),
        traffic("write", "535 5.7.8 Authentication credentials invalid."),
        traffic("read", "RSET"),
        traffic("write", "250 2.0.0 OK"),
        traffic("read", "AUTH PLAIN AGluZm8AcGFzcw=="),
        trace("DEBUG", "smtp::inbound::auth", FAILED),
        traffic("write", "535 5.7.8 Authentication credentials invalid."),
    ]
    .concat();
    let wanted = |line| (line, What::Login, "192.0.2.7".to_owned(), "info".to_owned());
    assert_eq!(told(&loud), [wanted(4), wanted(9)]);
}

#[test]
fn a_line_with_many_replies_is_one_attempt_at_most() {
    assert_eq!(told(&traffic("write", "535 a\\r\\n535 b\\r\\n535 c")).len(), 1);
}

#[test]
fn a_refused_recipient_of_the_tracing_log_counts_once() {
    let log = [
        traffic("read", "RCPT TO:<a@mx.example>"),
        trace(
            "DEBUG",
            "smtp::inbound::rcpt",
            "Mailbox does not exist. context=\"rcpt\" event=\"error\" address=\"a@mx.example\"",
        ),
        traffic("write", "550 5.1.2 Mailbox does not exist."),
    ]
    .concat();
    assert_eq!(told(&log), [(2, What::Recipient, "192.0.2.7".into(), String::new())]);
}

#[test]
fn a_name_before_keys_we_do_not_know_is_still_read() {
    let log = event(10, "Authentication failed (auth.failed)", ", accountName = \"a\", tenantName = \"t\"");
    assert_eq!(told(&log)[0].3, "a");
}

#[test]
fn what_a_client_says_in_the_tracing_log_is_not_the_server_s() {
    let hostile = traffic("read", "EHLO x\\\" event=\\\"authenticate\\\" result=\\\"failed\\\" y=\\\"");
    assert_eq!(told(&hostile), []);
    let closed = trace(
        "DEBUG",
        "smtp::inbound::spawn",
        "Connection closed by peer. event=\"disconnect\" reason=\"peer\"",
    );
    assert_eq!(told(&closed), []);
}
