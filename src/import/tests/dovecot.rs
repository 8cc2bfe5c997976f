//! Dovecot.

use super::{NOTHING, one, told};

#[test]
fn every_layout_of_a_failed_login_names_client_login_and_mechanism() {
    for line in [
        "Nov  3 10:00:00 mx dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<scan>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1, TLS, session=<abc>",
        "Nov 03 10:00:00 imap-login: Info: Disconnected: Connection closed (auth failed, 2 attempts in 9 secs): user=<scan>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1",
        "2025-11-03T10:00:00.5+01:00 mx dovecot: imap-login: Login aborted: Connection closed (auth failed, 1 attempts in 2 secs) (auth_failed): user=<scan>, method=PLAIN, rip=::ffff:198.51.100.7, lip=192.0.2.1, session=<abc>",
        "@4000000068f0c0de12345678 imap-login: Info: Aborted login (auth failed, 1 attempts): user=<scan>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1, TLS",
        "3.11.2025, 10:00:00 | info | imap-login: Aborted login (auth failed, 1 attempts in 0 secs): user=<scan>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1",
        "dovecot-1  | Nov  3 10:00:00 d81f dovecot: imap-login: Aborted login (auth failed, 1 attempts in 0 secs): user=<scan>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1",
    ] {
        assert_eq!(one(line), "1 dovecot 198.51.100.7 scan PLAIN", "{line}");
    }
}

#[test]
fn ends_of_connections_and_trouble_of_ours_are_no_attempts() {
    for line in [
        "imap-login: Login: user=<a>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1, mpid=7, TLS, session=<abc>",
        "imap-login: Disconnected (no auth attempts in 3 secs): user=<>, rip=198.51.100.7, lip=192.0.2.1, session=<abc>",
        "imap-login: Disconnected: Inactivity (no auth attempts in 180 secs): user=<>, rip=198.51.100.7, lip=192.0.2.1",
        "imap-login: Aborted login (client didn't finish SASL auth, waited 2 secs): user=<>, method=LOGIN, rip=198.51.100.7, lip=192.0.2.1",
        "imap-login: Disconnected (auth service reported temporary failure): user=<a>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1",
        "imap-login: Disconnected (internal failure, 1 successful auths): user=<a>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1",
        "imap-login: Disconnected (auth process communication failure): user=<>, rip=198.51.100.7, lip=192.0.2.1",
        "auth-worker(7): sql(a,198.51.100.7): Password query failed: lost connection",
        "auth: ldap(a,198.51.100.7,<x>): ldap_bind() failed: Can't contact LDAP server",
        "auth-worker(7): pam(a,198.51.100.7): pam_authenticate() failed: System error",
        "imap(a)<7><abc>: Logged out in=1 out=2",
        "auth: Error: auth worker: Aborted PASSV request for a: Lookup timed out",
    ] {
        assert_eq!(told(&format!("Nov  3 10:00:00 mx dovecot: {line}")), NOTHING, "{line}");
    }
}

#[test]
fn what_a_client_writes_never_names_the_source() {
    let front =
        "Nov  3 10:00:00 mx dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<";
    let back = ">, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1, session=<abc>";
    for user in [
        "x>, method=LOGIN, rip=192.0.2.9, lip=192.0.2.8, session=<z",
        "rip=192.0.2.9",
        "a): user=<b>, rip=192.0.2.9",
    ] {
        assert_eq!(one(&format!("{front}{user}{back}")), format!("1 dovecot 198.51.100.7 {user} PLAIN"));
    }
    let auth = "Nov  3 10:00:00 mx dovecot: auth: passwd-file(";
    assert_eq!(
        one(&format!("{auth}x,192.0.2.9): unknown user,198.51.100.7): unknown user")),
        "1 skipped: the client can be read in two ways"
    );
    assert_eq!(
        one(&format!(
            "{auth}x,198.51.100.7,<abc>): Password mismatch (given password: a,192.0.2.9): unknown user)"
        )),
        "1 dovecot 198.51.100.7 x -"
    );
    let pam = "Nov  3 10:00:00 mx auth: pam_unix(dovecot:auth): authentication failure; logname= uid=0 euid=0 tty=dovecot ruser=";
    assert_eq!(
        one(&format!("{pam}x rhost=192.0.2.9 rhost=198.51.100.7  user=x rhost=192.0.2.9")),
        "1 dovecot 198.51.100.7 x rhost=192.0.2.9 -"
    );
}

#[test]
fn the_prefix_of_2_4_is_read_in_every_dress() {
    for (line, expected) in [
        (
            "auth(scan,198.51.100.7,sasl:plain)<abc>: Info: sql: Password mismatch",
            "1 dovecot 198.51.100.7 scan PLAIN",
        ),
        (
            "auth(scan,198.51.100.7,sasl:login): Info: passwd-file: unknown user",
            "1 dovecot 198.51.100.7 scan LOGIN",
        ),
        (
            "auth-worker(scan,198.51.100.7,sasl:login)<77><abc>: Info: request [3]: pam: pam_authenticate() failed: Authentication failure (Password mismatch?)",
            "1 dovecot 198.51.100.7 scan LOGIN",
        ),
        (
            "auth(scan,198.51.100.7,master)<abc>: Info: sql: Password mismatch",
            "1 dovecot 198.51.100.7 scan -",
        ),
        ("auth(scan,198.51.100.7,sasl:plain)<abc>: Error: sql: User query failed: gone", ""),
        (
            "auth(x,192.0.2.9,sasl:plain)<z>: Info: sql: Password mismatch,198.51.100.7,sasl:plain)<abc>: Info: sql: Password mismatch",
            "1 skipped: the client can be read in two ways",
        ),
    ] {
        let told = one(&format!("Nov  3 10:00:00 mx dovecot: {line}"));
        assert_eq!(told, expected, "{line}");
        if !line.contains("192.0.2.9") {
            assert_eq!(one(&format!("Nov 03 10:00:00 {line}")), expected, "{line}");
        }
    }
}

#[test]
fn a_refusal_without_an_address_is_skipped_with_a_reason() {
    let line = "Nov  3 10:00:00 mx dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<scan>, method=PLAIN, ri";
    assert_eq!(one(line), "1 skipped: a refusal without a client address");
}

#[test]
fn the_auth_process_and_the_login_process_tell_of_one_try() {
    let log = "\
Nov  3 10:00:00 mx auth: pam_unix(dovecot:auth): authentication failure; logname= uid=0 euid=0 tty=dovecot ruser=scan rhost=198.51.100.7
Nov  3 10:00:02 mx dovecot: auth-worker(5): pam(scan,198.51.100.7,<abc>): pam_authenticate() failed: Authentication failure (Password mismatch?)
Nov  3 10:00:50 mx dovecot: imap-login: Disconnected (auth failed, 1 attempts in 50 secs): user=<scan>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1, session=<abc>
";
    assert_eq!(told(log), ["3 dovecot 198.51.100.7 scan PLAIN"]);
}

#[test]
fn three_failures_in_one_connection_are_three_attempts() {
    let log = "\
Nov  3 10:00:00 mx dovecot: auth: sql(scan,198.51.100.7,<abc>): Password mismatch
Nov  3 10:00:03 mx dovecot: auth: sql(scan,198.51.100.7,<abc>): Password mismatch
Nov  3 10:00:06 mx dovecot: auth: sql(scan,198.51.100.7,<abc>): Password mismatch
Nov  3 10:00:09 mx dovecot: imap-login: Disconnected (auth failed, 3 attempts in 9 secs): user=<scan>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1, session=<abc>
";
    assert_eq!(told(log).len(), 3);
}

#[test]
fn a_worker_s_process_number_is_no_part_of_the_login() {
    let line = "Nov 03 10:00:01 auth-worker(22401): Info: sql(bob,192.0.2.25): Password mismatch";
    assert_eq!(one(line), "1 dovecot 192.0.2.25 bob -");
}

#[test]
fn an_auth_process_that_broke_is_nobody_s_try() {
    let line = "Nov  3 10:00:00 mx dovecot: imap-login: Disconnected: Auth process broken \
                (auth failed, 1 attempts in 2 secs): user=<bob>, method=PLAIN, rip=192.0.2.11, lip=10.0.0.1, TLS";
    assert_eq!(one(line), "");
}
