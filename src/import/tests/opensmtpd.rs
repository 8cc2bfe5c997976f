//! OpenSMTPD.

use super::{NOTHING, told};

#[test]
fn a_refused_login_is_joined_by_the_session_s_id() {
    let log = r#"
Nov  3 10:00:00 mx smtpd[9]: 0123456789abcdef smtp connected address=198.51.100.7 host=h.example
Nov  3 10:00:00 mx smtpd[9]: 00000000deadbeef smtp connected address=[2001:db8::7] host=<unknown>
Nov  3 10:00:01 mx smtpd[9]: 0123456789abcdef smtp authentication user=scan result=ok address=192.0.2.9 result=permfail
Nov  3 10:00:01 mx smtpd[9]: 00000000deadbeef smtp authentication user=me result=permfail
Nov  3 10:00:01 mx smtpd[9]: 0123456789abcdef smtp failed-command command="AUTH LOGIN (password)" result="535 Authentication failed"
Nov  3 10:00:01 mx smtpd[9]: 00000000deadbeef smtp failed-command command="AUTH PLAIN (...)" result="535 Authentication failed"
Nov  3 10:00:02 mx smtpd[9]: 0123456789abcdef smtp disconnected reason=quit
"#;
    let told = told(log);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("4 opensmtpd 198.51.100.7 scan"), "{told:?}");
    assert_eq!(told[1], "5 opensmtpd 2001:db8::7 me PLAIN");
}

#[test]
fn the_older_forms_tell_the_same() {
    let log = r#"
Nov  3 10:00:00 mx smtpd[9]: 0123456789abcdef smtp event=connected address=198.51.100.7 host=h.example
Nov  3 10:00:01 mx smtpd[9]: 0123456789abcdef smtp event=authentication user=scan address=198.51.100.7 host=h.example result=permfail
Nov  3 10:00:01 mx smtpd[9]: 0123456789abcdef smtp event=failed-command address=198.51.100.7 host=h.example command="AUTH LOGIN (password)" result="535 Authentication failed"
Nov  3 10:00:02 mx smtpd[9]: 0123456789abcdef smtp event=closed address=198.51.100.7 host=h.example reason=quit
Nov  3 10:00:03 mx smtpd[9]: smtp-in: New session 00000000deadbeef from host h.example [198.51.100.8]
Nov  3 10:00:04 mx smtpd[9]: smtp-in: Failed command on session 00000000deadbeef: "AUTH LOGIN (password)" => 535 Authentication failed
"#;
    assert_eq!(told(log), ["3 opensmtpd 198.51.100.7 scan LOGIN", "7 opensmtpd 198.51.100.8 - LOGIN"]);
}

#[test]
fn temporary_failures_successes_and_ends_are_no_attempts() {
    let log = r#"
Nov  3 10:00:00 mx smtpd[9]: 0123456789abcdef smtp connected address=198.51.100.7 host=h.example
Nov  3 10:00:01 mx smtpd[9]: 0123456789abcdef smtp authentication user=scan result=tempfail
Nov  3 10:00:01 mx smtpd[9]: 0123456789abcdef smtp failed-command command="AUTH LOGIN (password)" result="421 Temporary failure"
Nov  3 10:00:02 mx smtpd[9]: 0123456789abcdef smtp authentication user=scan result=ok
Nov  3 10:00:02 mx smtpd[9]: 0123456789abcdef smtp failed-command command="AUTH LOGIN (username)" result="501 Syntax error"
Nov  3 10:00:02 mx smtpd[9]: 0123456789abcdef smtp disconnected reason="io-error: handshake failed"
"#;
    assert_eq!(told(log), NOTHING);
}
