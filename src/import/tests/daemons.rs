//! Several daemons, several servers, damaged lines.

use super::{NOTHING, told};
use crate::import::importer::{Importer, read_all};
use crate::import::octets::Lines;

#[test]
fn postfix_and_the_auth_process_behind_it_tell_of_one_try() {
    let log = "\
Nov  3 10:00:00 mx dovecot: auth: passwd-file(scan,198.51.100.7): unknown user
Nov  3 10:00:02 mx postfix/smtps/smtpd[7]: warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: UGFzc3dvcmQ6
Nov  3 10:00:03 mx postfix/smtps/smtpd[7]: warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: UGFzc3dvcmQ6
Nov  3 10:00:04 mx dovecot: auth: passwd-file(admin,198.51.100.7): unknown user
Nov  3 10:05:00 mx dovecot: auth: passwd-file(scan,198.51.100.7): unknown user
Nov  3 10:05:01 mx postfix/smtps/smtpd[8]: warning: unknown[198.51.100.8]: SASL LOGIN authentication failed: UGFzc3dvcmQ6
";
    assert_eq!(
        told(log),
        [
            "2 postfix 198.51.100.7 scan LOGIN",
            "3 postfix 198.51.100.7 admin LOGIN",
            "5 dovecot 198.51.100.7 scan -",
            "6 postfix 198.51.100.8 - LOGIN",
        ]
    );
}

#[test]
fn other_programs_lines_are_counted_and_not_listed() {
    let log = "Nov  3 10:00:00 mx sshd[7]: Failed password for root from 198.51.100.7 port 22 ssh2\nplain words\n\nNov  3 10:00:00 mx CRON[9]: (root) CMD (true)\n";
    let (findings, skipped, counts) = read_all(None, log.as_bytes());
    assert_eq!((findings.len(), skipped.len(), counts.others, counts.lines), (0, 0, 3, 4));
}

#[test]
fn colours_of_a_container_s_log_are_no_part_of_a_line() {
    let log = "\u{1b}[36mmail-1  |\u{1b}[0m Nov  3 10:00:00 mx postfix/smtpd[7]: warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: x\n";
    assert_eq!(told(log), ["1 postfix 198.51.100.7 - LOGIN"]);
    assert_eq!(told("\u{1b}[\u{1b}[31"), NOTHING);
}

#[test]
fn octets_that_are_no_text_are_no_reason_to_skip_a_line() {
    let mut log = b"Nov  3 10:00:00 mx postfix/smtpd[7]: warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: x, sasl_username=a\xff\xfeb\n".to_vec();
    log.extend_from_slice(b"\0\x01\xff\n");
    let (findings, _, _) = read_all(None, &log);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].login.as_deref(), Some("a\u{fffd}\u{fffd}b"));
}

#[test]
fn one_format_alone_leaves_the_others_lines() {
    let log = "Nov  3 10:00:02 mx postfix/smtpd[7]: warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: x\n";
    let (findings, _, counts) = read_all(Some(crate::import::Server::Exim), log.as_bytes());
    assert_eq!((findings.len(), counts.others), (0, 1));
}

#[test]
fn findings_do_not_depend_on_how_octets_are_cut() {
    let log = "Nov  3 10:00:02 mx postfix/smtpd[7]: warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: x\n".repeat(5);
    let (whole, _, _) = read_all(None, log.as_bytes());
    for size in [1, 3, 100, 101] {
        let mut importer = Importer::new(None);
        log.as_bytes().chunks(size).for_each(|piece| importer.push(piece));
        importer.end();
        assert_eq!(importer.take(), whole, "pieces of {size}");
    }
    assert_eq!(Lines::new().next_number(), 1);
}
