//! mox.

use super::{NOTHING, one, told};

#[test]
fn info_debug_and_trace_tell_of_one_try() {
    let log = r#"
l=info m="new connection" pkg=smtpserver remote=198.51.100.7:4711 local=192.0.2.1:465 submission=true tls=true listener=public cid=1a delta=1ms
l=trace m="RC: EHLO User\r\n" pkg=smtpserver cid=1a delta=1ms
l=trace m="RC: AUTH PLAIN\r\n" pkg=smtpserver cid=1a delta=1ms
l=trace m="LS: 334 \r\n" pkg=smtpserver cid=1a delta=1ms
l=trace m="RC: ***" pkg=smtpserver cid=1a delta=1ms
l=info m="failed authentication attempt" pkg=smtpserver username="a b remote=192.0.2.9" remote=198.51.100.7 cid=1a delta=1ms
l=debug m="smtp command result" err="bad user/pass" pkg=smtpserver kind=submission cmd=auth code=535 ecode=5.7.8 duration=1s cid=1a delta=1ms
l=trace m="LS: 535 5.7.8 bad user/pass\r\n" pkg=smtpserver cid=1a delta=1ms
l=info m="connection closed" pkg=smtpserver cid=1a delta=1ms
"#;
    assert_eq!(told(log), ["7 mox 198.51.100.7 a b remote=192.0.2.9 PLAIN"]);
}

#[test]
fn an_exchange_that_is_taken_back_or_left_is_no_attempt() {
    let log = r#"
l=trace m="RC: AUTH PLAIN\r\n" pkg=smtpserver cid=1a delta=1ms
l=trace m="LS: 334 \r\n" pkg=smtpserver cid=1a delta=1ms
l=trace m="RC: *\r\n" pkg=smtpserver cid=1a delta=1ms
l=debug m="smtp command result" err="authentication aborted" pkg=smtpserver kind=submission cmd=auth code=501 ecode=5.5.0 duration=1s cid=1a delta=1ms
l=trace m="LS: 501 5.5.0 authentication aborted\r\n" pkg=smtpserver cid=1a delta=1ms
l=trace m="RC: AUTH PLAIN\r\n" pkg=smtpserver cid=1a delta=1ms
l=info m="connection closed" err="read: EOF" pkg=smtpserver cid=1a delta=1ms
l=debug m="smtp command result" pkg=smtpserver kind=submission cmd=auth code=454 ecode=4.7.0 duration=1s cid=2b delta=1ms
"#;
    assert_eq!(told(log), NOTHING);
}

#[test]
fn a_quote_that_never_closes_is_a_damaged_line() {
    assert_eq!(
        one(r#"l=info m="failed authentication attempt" pkg=smtpserver username="a remote=198.51.100.7"#),
        "1 skipped: cut or spliced line"
    );
}

#[test]
fn a_refusal_of_a_login_that_was_right_or_garbled_is_one_too() {
    let log = "l=info m=\"new connection\" remote=192.0.2.9:1234 local=10.0.0.1:465 pkg=smtpserver cid=1a\n\
               l=info m=\"account login disabled\" username=bob pkg=smtpserver cid=1a\n\
               l=info m=\"bad scram protocol message\" err=x username=bob remote=192.0.2.7 pkg=imapserver cid=21\n";
    assert_eq!(told(log), ["2 mox 192.0.2.9 bob -", "3 mox 192.0.2.7 bob -"]);
}
