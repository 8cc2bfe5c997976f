use super::super::harness::{brief, read};
use crate::import::{Server, What};

fn told(log: &str) -> Vec<(u64, What, String, String)> {
    brief(&read(Server::Sendmail, log))
}

fn one(line: &str) -> Option<(What, String, String)> {
    told(line).into_iter().next().map(|(_, what, source, login)| (what, source, login))
}

const HEAD: &str = "Nov  3 10:00:00 mx sm-mta[77]: x3Q000aa000077: ";

#[test]
fn a_failed_login_has_its_client_at_the_end() {
    let line = format!(
        "{HEAD}AUTH failure (LOGIN): authentication failure (-13) SASL(-13): authentication failure: checkpass failed, user=info, relay=a.example [192.0.2.7] (may be forged)"
    );
    assert_eq!(one(&line), Some((What::Login, "192.0.2.7".into(), "info".into())));
}

#[test]
fn a_login_that_looks_like_the_end_of_the_line_is_a_login() {
    let line = format!(
        "{HEAD}AUTH failure (PLAIN): user not found (-20) SASL(-13): user not found: x, user=bad, relay=[192.0.2.100] (may be forged), relay=[198.51.100.7]"
    );
    assert_eq!(
        one(&line),
        Some((What::Login, "198.51.100.7".into(), "bad, relay=[192.0.2.100] (may be forged)".into()))
    );
}

#[test]
fn octal_escapes_of_a_login_are_undone() {
    let line = format!(
        r"{HEAD}AUTH failure (LOGIN): authentication failure (-13) SASL(-13): x, user=a\015\012b, relay=[192.0.2.7]"
    );
    assert_eq!(one(&line), Some((What::Login, "192.0.2.7".into(), "a\r\nb".into())));
}

#[test]
fn a_back_end_that_is_away_and_a_cancelled_exchange_are_no_attempts() {
    for reason in [
        "generic failure (-1) SASL(-1): generic failure: cannot connect to saslauthd server: No such file",
        "remote authentication server unavailable (-24) SASL(-24): x",
        "bad protocol / cancel (-5) SASL(-5): bad protocol / cancel: x",
    ] {
        assert_eq!(
            one(&format!("{HEAD}AUTH failure (LOGIN): {reason}, user=a, relay=[192.0.2.7]")),
            None,
            "{reason}"
        );
    }
}

#[test]
fn the_count_of_auth_commands_is_an_attempt_only_where_no_refusal_was_told() {
    let count = format!("{HEAD}[192.0.2.7]: possible SMTP attack: command=AUTH, count=5");
    assert_eq!(one(&count), Some((What::AuthCommand, "192.0.2.7".into(), String::new())));
    let failure = format!(
        "{HEAD}AUTH failure (LOGIN): authentication failure (-13) SASL(-13): x, user=a, relay=[192.0.2.7]"
    );
    assert_eq!(told(&format!("{failure}\n{count}")).len(), 1);
    assert_eq!(one(&format!("{HEAD}[192.0.2.7]: possible SMTP attack: command=HELO/EHLO, count=3")), None);
}

#[test]
fn a_ruleset_s_refusal_is_told_by_what_was_refused() {
    for (text, what) in [
        (
            "ruleset=check_rcpt, arg1=<a@far.example>, relay=h.example [192.0.2.7], reject=550 5.7.1 <a@far.example>... Relaying denied. Proper authentication required.",
            What::Relay,
        ),
        (
            "ruleset=check_rcpt, arg1=<a@mx.example>, relay=[192.0.2.7] (may be forged), reject=451 4.1.8 Domain of sender address b@c.example does not resolve",
            What::Sender,
        ),
        (
            "ruleset=check_rcpt, arg1=<a@mx.example>, relay=[192.0.2.7], reject=550 5.1.1 <a@mx.example>... User unknown",
            What::Recipient,
        ),
        (
            "ruleset=check_relay, arg1=h.example, arg2=192.0.2.7, relay=h.example [192.0.2.7], reject=421 4.3.2 Connection rate limit exceeded.",
            What::Rate,
        ),
        (
            "ruleset=check_mail, arg1=<x@y.example>, relay=[192.0.2.7], reject=553 5.1.8 <x@y.example>... Domain of sender address x@y.example does not exist",
            What::Sender,
        ),
    ] {
        assert_eq!(one(&format!("{HEAD}{text}")), Some((what, "192.0.2.7".into(), String::new())), "{text}");
    }
}

#[test]
fn a_lookup_that_failed_is_no_refusal_unless_the_client_says_so() {
    let line = |address: &str, reply: &str| {
        format!("{HEAD}ruleset=check_rcpt, arg1=<{address}>, relay=[192.0.2.7], reject={reply}")
    };
    for reply in [
        "451 4.7.1 Greylisting in action, please come back later",
        "451 4.3.0 Temporary system failure. Please try again later.",
        "450 4.7.1 <a@b.example>... Temporary lookup failure of [192.0.2.7] at bl.example",
    ] {
        assert_eq!(one(&line("a@b.example", reply)), None, "{reply}");
    }
    let hostile = "greylist@b.example";
    let reply = format!("450 4.4.0 <{hostile}>... Relaying temporarily denied. Cannot resolve PTR record");
    assert!(one(&line(hostile, &reply)).is_some());
}

#[test]
fn an_address_that_holds_a_whole_refusal_fools_nobody() {
    let hostile = r#"<"x>, relay=[203.0.113.9], reject=550 5.7.1 "@d.example>"#;
    let line = format!(
        "{HEAD}ruleset=check_rcpt, arg1={hostile}, relay=[192.0.2.7], reject=550 5.7.1 {hostile}... Relaying denied"
    );
    assert_eq!(one(&line), Some((What::Relay, "192.0.2.7".into(), String::new())));
}

#[test]
fn unknown_recipients_count_once_when_their_client_is_named() {
    let log = format!(
        "{HEAD}<a@mx.example>... User unknown\n{HEAD}<b@mx.example>... User unknown\n{HEAD}from=<c@d.example>, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=[192.0.2.7]"
    );
    assert_eq!(told(&log), [(3, What::Recipient, "192.0.2.7".into(), String::new())]);
    assert_eq!(told(&format!("{HEAD}<a@mx.example>... User unknown")), []);
    assert_eq!(told(&format!("{HEAD}from=<c@d.example>, size=9, nrcpts=1, relay=[192.0.2.7]")), []);
}

#[test]
fn a_milter_s_refusal_gets_the_client_of_its_queue_id() {
    let log = format!(
        "{HEAD}Milter: to=<a@mx.example>, reject=550 5.7.1 Blocked\n{HEAD}Milter: to=<b@mx.example>, reject=451 4.7.1 Greylisting in action\n{HEAD}from=<c@d.example>, size=0, nrcpts=0, relay=h.example [192.0.2.7]"
    );
    assert_eq!(told(&log), [(1, What::Recipient, "192.0.2.7".into(), String::new())]);
}

#[test]
fn saslauthd_has_the_name_and_sendmail_the_address() {
    let sasl = "Nov  3 10:00:00 mx saslauthd[11]: do_auth         : auth failure: [user=info] [service=smtp] [realm=] [mech=pam] [reason=PAM auth error]";
    let left = format!("{HEAD}[192.0.2.7] did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA");
    assert_eq!(told(&format!("{sasl}\n{left}")), [(1, What::Login, "192.0.2.7".into(), "info".into())]);
    assert_eq!(told(sasl), [(1, What::Login, String::new(), "info".into())]);
    let failed = sasl.replace("PAM auth error", "PAM start error");
    assert_eq!(told(&failed), []);
}

#[test]
fn a_name_that_holds_saslauthd_s_fields_stays_a_name() {
    let line = "Nov  3 10:00:00 mx saslauthd[11]: do_auth: auth failure: [user=a] [service=imap] [realm=b] [mech=c] [reason=d] [service=smtp] [realm=] [mech=pam] [reason=PAM auth error]";
    assert_eq!(told(line)[0].3, "a] [service=imap] [realm=b] [mech=c] [reason=d");
}

#[test]
fn connects_and_ordinary_mail_are_no_attempts() {
    for text in [
        "NOQUEUE: connect from a.example [192.0.2.7]",
        "from=<a@b.example>, size=10, class=0, nrcpts=1, msgid=<x@y>, proto=ESMTP, daemon=MTA, relay=a.example [192.0.2.7]",
        "to=<a@b.example>, delay=00:00:01, mailer=esmtp, relay=mx.b.example. [192.0.2.9], dsn=5.1.1, stat=User unknown",
        "lost input channel from a.example [192.0.2.7] to MTA after startup",
    ] {
        assert_eq!(told(&format!("Nov  3 10:00:00 mx sendmail[77]: {text}")), [], "{text}");
    }
}
