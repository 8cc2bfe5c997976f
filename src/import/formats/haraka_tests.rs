use super::super::harness::{brief, read};
use super::*;

const ID: &str = "0352218B-595C-4B97-B998-1C1C0DDC6803";

fn told(lines: &[String]) -> Vec<(u64, What, String, String)> {
    brief(&read(Server::Haraka, &lines.join("\n")))
}

fn core(level: &str, message: &str) -> String {
    format!("[{level}] [{ID}] [core] {message}")
}

fn opened() -> String {
    core("NOTICE", "connect ip=192.0.2.7 port=54753 local_ip=198.51.100.1 local_port=25")
}

#[test]
fn auth_that_was_not_offered_counts_without_a_reply() {
    let log = [
        opened(),
        core("PROTOCOL", "S: 220 mx.example ESMTP Haraka ready"),
        core("PROTOCOL", "C: EHLO x.local state=1"),
        core("PROTOCOL", "S: 250-mx.example Hello"),
        core("PROTOCOL", "S: 250 SIZE 500000"),
        core("PROTOCOL", "C: AUTH PLAIN AGluZm8AcGFzcw== state=1"),
    ];
    assert_eq!(told(&log), [(6, What::AuthCommand, "192.0.2.7".into(), "info".into())]);
    assert_eq!(read(Server::Haraka, &log.join("\n"))[0].helo.as_deref(), Some("x.local"));
}

#[test]
fn the_delay_and_the_reply_of_a_refused_login_are_one_attempt() {
    let delay = format!("[NOTICE] [{ID}] [auth/flat_file] delaying for 1 seconds");
    let log = [
        opened(),
        core("PROTOCOL", "C: AUTH PLAIN AGluZm8AcGFzcw== state=1"),
        delay.clone(),
        core("PROTOCOL", "S: 535 5.7.8 Authentication failed"),
        core(
            "NOTICE",
            "disconnect ip=192.0.2.7 rdns=\"\" helo=x lr=\"535 5.7.8 Authentication failed\" time=2",
        ),
    ];
    assert_eq!(told(&log), [(4, What::Login, "192.0.2.7".into(), "info".into())]);
    let quiet = [opened(), delay.clone(), delay, core("NOTICE", "disconnect ip=192.0.2.7 lr=\"535 no\"")];
    let wanted = |line| (line, What::Login, "192.0.2.7".to_owned(), String::new());
    assert_eq!(told(&quiet), [wanted(2), wanted(3)]);
}

#[test]
fn plugins_that_ask_another_server_tell_the_login() {
    let log = [
        opened(),
        format!(
            "[INFO] [{ID}] [auth/auth_proxy] AUTH user=\"a\" host=\"b@mx.example\" host=\"in.example\" success=false"
        ),
        format!("[NOTICE] [{ID}] [auth/auth_proxy] delaying for 1 seconds"),
        format!("[INFO] [{ID}] [auth/auth_proxy] AUTH user=\"a\" host=\"in.example\" success=true"),
    ];
    assert_eq!(told(&log), [(2, What::Login, "192.0.2.7".into(), "a\" host=\"b@mx.example".into())]);
}

#[test]
fn denied_recipients_count_and_soft_refusals_do_not() {
    let rcpt = |code: &str| {
        format!(
            "[NOTICE] [{ID}.1] [core] recipient <a@mx.example> code={code} msg=\"no\" sender=\"b@c.example\""
        )
    };
    let log = [opened(), rcpt("DENY"), rcpt("DENYSOFT"), rcpt("OK")];
    assert_eq!(told(&log), [(2, What::Recipient, "192.0.2.7".into(), String::new())]);
}

#[test]
fn a_client_line_that_looks_like_haraka_s_own_fields_stays_its_line() {
    let log = [
        opened(),
        core("PROTOCOL", "C: EHLO x state=9 ip=203.0.113.9 state=1"),
        core("PROTOCOL", "S: 250 AUTH PLAIN"),
        core("PROTOCOL", "C: AUTH PLAIN AGluZm8AcGFzcw== state=1"),
        core("PROTOCOL", "S: 535 no"),
    ];
    assert_eq!(told(&log), [(5, What::Login, "192.0.2.7".into(), "info".into())]);
}

#[test]
fn the_same_fields_as_logfmt_and_json_are_read() {
    let logfmt = |message: &str| format!("level=PROTOCOL uuid={ID} origin=core message=\"{message}\"");
    let log = [
        format!("level=NOTICE uuid={ID} origin=core message=connect ip=192.0.2.7 port=1"),
        logfmt("C: AUTH PLAIN AGluZm8AcGFzcw=="),
        logfmt("S: 535 no"),
    ];
    assert_eq!(told(&log), [(3, What::Login, "192.0.2.7".into(), "info".into())]);
    let log = [
        format!(
            "{{\"level\":\"NOTICE\",\"uuid\":\"{ID}\",\"origin\":\"core\",\"message\":\"connect\",\"ip\":\"192.0.2.7\"}}"
        ),
        format!(
            "{{\"level\":\"NOTICE\",\"uuid\":\"{ID}\",\"origin\":\"auth/flat_file\",\"message\":\"delaying for 2 seconds\"}}"
        ),
    ];
    assert_eq!(told(&log), [(2, What::Login, "192.0.2.7".into(), String::new())]);
}
