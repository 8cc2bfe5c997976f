//! For each server a file of hand-written lines in its shape, each followed by what it tells.
//!
//! What they tell was recorded from the readers and then read through line by line: this holds what was agreed to, and
//! is no judgement by somebody else. The first line of a file says whether the server's source lay beside it.
//!
//! A line that begins with `=> ` is what the line above tells (`SERVER SOURCE LOGIN MECHANISM`, `-` for what is not
//! said, or `skipped: WHY`), one that begins with `# ` is a comment. Every file is one log: its lines know of each
//! other.

use super::told;

fn check(file: &str) {
    let mut log = String::new();
    let mut number = 0_u64;
    let mut expected: Vec<(u64, String)> = Vec::new();
    for line in file.lines().filter(|line| !line.starts_with("# ")) {
        if let Some(tells) = line.strip_prefix("=> ") {
            expected.push((number, tells.to_owned()));
        } else {
            log.push_str(line);
            log.push('\n');
            number += 1;
        }
    }
    let mut found: Vec<(u64, String)> = told(&log)
        .iter()
        .filter_map(|told| told.split_once(' '))
        .filter_map(|(number, tells)| Some((number.parse().ok()?, tells.to_owned())))
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

macro_rules! forms {
    ($($name:ident $file:literal)*) => {
        $(#[test]
        fn $name() {
            check(include_str!(concat!("forms/", $file)));
        })*
    };
}

forms! {
    postfix_is_read_in_every_form "postfix.txt"
    dovecot_is_read_in_every_form "dovecot.txt"
    exim_is_read_in_every_form "exim.txt"
    opensmtpd_is_read_in_every_form "opensmtpd.txt"
    postal_is_read_in_every_form "postal.txt"
    nginx_is_read_in_every_form "nginx.txt"
    stalwart_is_read_in_every_form "stalwart.txt"
    sendmail_is_read_in_every_form "sendmail.txt"
    courier_is_read_in_every_form "courier.txt"
    cyrus_is_read_in_every_form "cyrus.txt"
    maddy_is_read_in_every_form "maddy.txt"
    haraka_is_read_in_every_form "haraka.txt"
    mox_is_read_in_every_form "mox.txt"
}
