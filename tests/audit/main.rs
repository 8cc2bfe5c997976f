//! `gatepost audit` through the binary, against servers with planted faults: each is found, by the name of its
//! channel, and a server without one is silent.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail loudly, and has doors to the world"
)]

mod planted;

use planted::{ACCOUNT, ALIAS, Fault};
use serde_json::Value;
use std::process::{Command, Output};

/// The probes that give passwords.
const LOGINS: [&str; 3] = ["auth-plain", "auth-login", "auth-scram"];

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    command.env_remove("GATEPOST_DIR").arg("audit").args(arguments).output().unwrap()
}

/// The exit code and what was found about a server with this fault.
fn audit(fault: Fault, more: &[&str]) -> (Option<i32>, Value) {
    let to = planted::start(fault).to_string();
    let mut arguments = vec!["--to", &to, "--known", ACCOUNT, "--alias", ALIAS, "--samples", "20", "--json"];
    arguments.extend_from_slice(more);
    let output = run(&arguments);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.is_empty(), "{told}");
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

/// The channels with this judgement.
fn channels(found: &Value, judgement: &str) -> Vec<String> {
    let all = found["channels"].as_array().unwrap().iter();
    let of = all.filter(|channel| channel["judgement"] == judgement);
    of.map(|channel| channel["channel"].as_str().unwrap().to_owned()).collect()
}

/// The fault is found in these channels, tried with these probes; other channels of them may show it too.
fn is_found(fault: Fault, probes: &[&str], expected: &[&str]) {
    let only: Vec<&str> = probes.iter().flat_map(|probe| ["--only", *probe]).collect();
    let (code, found) = audit(fault, &only);
    let leaks = channels(&found, "leaks");
    for channel in expected {
        assert!(
            leaks.iter().any(|leak| leak == channel),
            "{fault:?}: {channel} is not in {leaks:?}: {found:#}"
        );
    }
    assert_eq!(code, Some(1), "{found:#}");
    assert!(found["max_bits"].as_f64().unwrap() > 0.5, "{found:#}");
}

#[test]
fn a_server_without_a_fault_is_below_the_threshold() {
    let (code, found) = audit(Fault::None, &[]);
    assert_eq!(channels(&found, "leaks"), [""; 0], "{found:#}");
    assert_eq!(code, Some(0));
    assert_eq!(found["max_bits"], 0.0);
    let inherent = channels(&found, "inherent");
    assert!(inherent.contains(&"rcpt-reply".to_owned()), "{inherent:?}");
    // It takes passwords in the clear, which is no word about who exists.
    assert_eq!(channels(&found, "notice"), ["auth-offer"]);
}

#[test]
fn another_reply_for_unknown_logins_is_found_in_every_mechanism() {
    is_found(
        Fault::LoginReply,
        &["auth-plain", "auth-login", "auth-scram", "auth-throttle"],
        &["auth-plain-reply", "auth-login-reply", "auth-scram-reply", "auth-throttle-reply"],
    );
}

#[test]
fn another_reply_for_an_alias_is_found() {
    is_found(Fault::AliasReply, &LOGINS, &["auth-plain-reply", "auth-login-reply", "auth-scram-reply"]);
}

#[test]
fn a_hash_that_is_skipped_for_unknown_logins_is_found_by_time() {
    is_found(Fault::LoginTime, &LOGINS, &["auth-plain-time", "auth-login-time", "auth-scram-time"]);
}

#[test]
fn a_reply_of_another_size_is_found_by_its_size() {
    is_found(Fault::LoginSize, &LOGINS, &["auth-plain-size", "auth-login-size"]);
}

#[test]
fn a_connection_that_is_dropped_for_unknown_logins_is_found() {
    is_found(Fault::Drop, &LOGINS, &["auth-plain-connection", "auth-login-connection", "auth-plain-reply"]);
}

#[test]
fn a_throttle_that_counts_only_what_exists_is_found() {
    let (_, found) = audit(Fault::Throttle, &["--only", "auth-throttle"]);
    assert_eq!(channels(&found, "leaks"), ["auth-throttle-reply"], "{found:#}");
}

#[test]
fn a_salt_that_changes_for_unknown_logins_is_found() {
    let (_, found) = audit(Fault::Salt, &["--only", "auth-scram"]);
    assert_eq!(channels(&found, "leaks"), ["auth-scram-salt"], "{found:#}");
}

#[test]
fn vrfy_expn_and_mail_that_tell_are_found() {
    is_found(Fault::Vrfy, &["vrfy"], &["vrfy-reply"]);
    is_found(Fault::Expn, &["expn"], &["expn-reply"]);
    is_found(Fault::Sender, &["mail"], &["mail-reply"]);
}

#[test]
fn an_alias_that_takes_longer_at_rcpt_is_found_and_is_not_inherent() {
    is_found(Fault::AliasTime, &["rcpt"], &["rcpt-kind"]);
}

#[test]
fn what_is_obeyed_or_remembered_across_starttls_is_found() {
    is_found(Fault::Injection, &["starttls"], &["starttls-injection"]);
    is_found(Fault::State, &["starttls"], &["starttls-state"]);
}

#[test]
fn a_threshold_of_one_bit_lets_everything_pass() {
    let (code, found) = audit(Fault::Vrfy, &["--threshold", "1", "--only", "vrfy"]);
    assert_eq!((code, channels(&found, "leaks").contains(&"vrfy-reply".to_owned())), (Some(0), true));
}

#[test]
fn a_server_that_turns_everybody_away_is_said_to_do_so_and_is_not_called_silent() {
    let (_, found) = audit(Fault::Busy, &["--only", "auth-plain"]);
    assert!(channels(&found, "throttled").contains(&"auth-plain-reply".to_owned()), "{found:#}");
    assert!(!channels(&found, "silent").contains(&"auth-plain-reply".to_owned()), "{found:#}");
}

fn fails(arguments: &[&str], code: i32, part: &str) {
    let output = run(arguments);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(told.contains(part) && output.stdout.is_empty(), "{told}");
}

#[test]
fn where_nothing_listens_it_says_so_with_69() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    fails(&["--to", &format!("127.0.0.1:{port}"), "--known", ACCOUNT], 69, "cannot audit 127.0.0.1:");
}

#[test]
fn a_host_that_is_not_this_machine_is_not_tried_before_somebody_says_that_it_is_theirs() {
    fails(&["--to", "192.0.2.1:25", "--known", ACCOUNT], 64, "--i-own-this-host");
    fails(&["--to", "127.0.0.1:1", "--submission", "192.0.2.1:587"], 64, "--i-own-this-host");
}

#[test]
fn arguments_that_cannot_be_meant_are_refused() {
    fails(&["--known", ACCOUNT], 64, "--to HOST:PORT");
    fails(&["--to", "127.0.0.1"], 64, "HOST:PORT");
    fails(&["--samples", "3"], 64, "20");
    fails(&["--only", "rcpt-reply"], 64, "auth-plain");
    fails(&["--threshold", "7"], 64, "0 to 1");
    fails(&["--to", "127.0.0.1:25", "--known", "a@b\r\nQUIT"], 64, "--known");
}
