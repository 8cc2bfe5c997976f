//! What the grammar takes and what it refuses.

use super::*;
use crate::types::{Host, Mailbox};

fn strict(line: &str) -> Result<Command, Offence> {
    parse(line.as_bytes(), Dialect::Strict)
}

fn sender(line: &str) -> Mailbox {
    match strict(line) {
        Ok(Command::Mail(ReversePath::Mailbox(mailbox), ..)) => mailbox,
        other => panic!("{line}: {other:?}"),
    }
}

fn recipient(line: &str) -> Mailbox {
    match strict(line) {
        Ok(Command::Rcpt(ForwardPath::Mailbox(mailbox), _)) => mailbox,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn verbs_and_keywords_are_read_in_any_case() {
    assert_eq!(strict("qUiT"), Ok(Command::Quit));
    assert_eq!(sender("mail from:<a@b.example> size=1").to_string(), "a@b.example");
    assert_eq!(recipient("Rcpt To:<a@b.example>").to_string(), "a@b.example");
}

#[test]
fn trailing_spaces_are_borne() {
    assert_eq!(strict("DATA  "), Ok(Command::Data));
    assert!(strict("MAIL FROM:<> ").is_ok());
    assert!(strict("EHLO a.example ").is_ok());
}

#[test]
fn an_argument_where_none_belongs_is_refused() {
    for line in ["DATA now", "RSET x", "QUIT x", "STARTTLS x", "VRFY", "VRFY ", "EHLO", "HELO ", "EHLO a b"] {
        assert_eq!(strict(line), Err(Offence::BadArgument), "{line}");
    }
}

#[test]
fn a_control_character_is_refused_wherever_it_stands() {
    for line in ["NO\0OP", "NOOP\r", "NOOP a\nb", "MAIL FROM:<a\tb@c.example>", "EHLO a\x7f"] {
        assert_eq!(strict(line), Err(Offence::ControlCharacter), "{line:?}");
    }
}

#[test]
fn verbs_nobody_knows_and_verbs_nobody_offers_are_told_apart() {
    assert_eq!(strict("FROB"), Err(Offence::UnknownCommand));
    assert_eq!(strict(""), Err(Offence::UnknownCommand));
    assert_eq!(strict(" NOOP"), Err(Offence::UnknownCommand));
    assert_eq!(strict("expn list"), Err(Offence::NotImplemented));
    assert_eq!(strict("TURN"), Err(Offence::NotImplemented));
}

#[test]
fn http_and_sip_are_known_when_they_are_seen() {
    assert_eq!(strict("GET / HTTP/1.1"), Err(Offence::OtherProtocol));
    assert_eq!(strict("OPTIONS sip:a SIP/2.0"), Err(Offence::OtherProtocol));
    assert_eq!(strict("CONNECT a:443 HTTP/1.1"), Err(Offence::OtherProtocol));
    assert_eq!(strict("GET"), Err(Offence::UnknownCommand));
}

#[test]
fn paths_are_read_as_the_rfc_has_them() {
    assert!(matches!(strict("MAIL FROM:<>"), Ok(Command::Mail(ReversePath::Null, ..))));
    assert!(matches!(strict("RCPT TO:<postMASTER>"), Ok(Command::Rcpt(ForwardPath::Postmaster, _))));
    assert_eq!(sender(r#"MAIL FROM:<"a b\"c\\d"@e.example>"#).local.as_str(), r#"a b"c\d"#);
    assert_eq!(sender(r#"MAIL FROM:<"a>b@c"@d.example>"#).local.as_str(), "a>b@c");
    assert_eq!(sender("MAIL FROM:<a!b%c+d=e@f.example>").local.as_str(), "a!b%c+d=e");
    assert_eq!(sender("MAIL FROM:<a@Bücher.example> SMTPUTF8").host.to_string(), "xn--bcher-kva.example");
}

#[test]
fn a_source_route_is_read_and_forgotten() {
    assert_eq!(recipient("RCPT TO:<@a.example,@b.example:c@d.example>").to_string(), "c@d.example");
}

#[test]
fn address_literals_are_addresses() {
    assert_eq!(recipient("RCPT TO:<a@[127.0.0.1]>").host, Host::Literal("127.0.0.1".parse().unwrap()));
    assert_eq!(recipient("RCPT TO:<a@[IPv6:::1]>").host, Host::Literal("::1".parse().unwrap()));
    assert_eq!(strict("RCPT TO:<a@[::1]>"), Err(Offence::RecipientSyntax));
    assert_eq!(strict("RCPT TO:<a@[256.1.1.1]>"), Err(Offence::RecipientSyntax));
}

#[test]
fn what_is_no_path_is_refused_with_the_code_of_its_side() {
    for path in [
        "a@b.example",
        "<a@b.example",
        "<a>",
        "<@b.example>",
        "<a@>",
        "<a@b..example>",
        "<.a@b.example>",
        "<a.@b.example>",
        "<a..b@c.example>",
        "<a b@c.example>",
        "<a@-b.example>",
        "<a@b_c.example>",
        "<\"a@b.example>",
        "<<a@b.example>>",
        "<a@b@c.example>",
        "",
    ] {
        assert_eq!(strict(&format!("MAIL FROM:{path}")), Err(Offence::SenderSyntax), "{path}");
        assert_eq!(strict(&format!("RCPT TO:{path}")), Err(Offence::RecipientSyntax), "{path}");
    }
    assert_eq!(strict("RCPT TO:<>"), Err(Offence::RecipientSyntax));
    assert_eq!(strict("MAIL FROM:<postmaster>"), Err(Offence::SenderSyntax));
}

#[test]
fn octets_that_are_no_utf8_are_refused() {
    assert_eq!(parse(b"MAIL FROM:<\xff@a.example>", Dialect::Strict), Err(Offence::SenderSyntax));
    assert_eq!(parse(b"EHLO \xff", Dialect::Strict), Err(Offence::BadArgument));
}

#[test]
fn a_path_that_is_not_ascii_needs_smtputf8() {
    assert!(matches!(strict("MAIL FROM:<ä@b.example>"), Ok(Command::Mail(_, _, NeedsUtf8(true)))));
    assert!(matches!(strict("MAIL FROM:<a@b.example>"), Ok(Command::Mail(_, _, NeedsUtf8(false)))));
}

#[test]
fn a_space_behind_the_colon_is_borne_on_submission_only() {
    assert_eq!(strict("MAIL FROM: <a@b.example>"), Err(Offence::SenderSyntax));
    assert!(parse(b"MAIL FROM: <a@b.example>", Dialect::Submission).is_ok());
    assert!(parse(b"RCPT TO: <a@b.example>", Dialect::Submission).is_ok());
    assert!(parse(b"RCPT TO:  <a@b.example>", Dialect::Submission).is_err());
}

#[test]
fn lengths_have_their_ceilings() {
    let local = |n: usize| strict(&format!("MAIL FROM:<{}@b.example>", "a".repeat(n)));
    assert!(local(64).is_ok());
    assert_eq!(local(65), Err(Offence::SenderSyntax));
    let host = |n: usize| {
        let labels = format!("{}.", "d".repeat(60)).repeat(3);
        strict(&format!("RCPT TO:<a@{labels}{}>", "e".repeat(n)))
    };
    assert!(host(63).is_ok());
    let path = format!("RCPT TO:<@{0}.example:{0}@{0}.{0}.{0}>", "p".repeat(60));
    assert_eq!(strict(&path), Err(Offence::PathTooLong));
}

#[test]
fn parameters_of_mail_are_read() {
    let Ok(Command::Mail(_, parameters, _)) =
        strict("MAIL FROM:<a@b.example> SIZE=12345 body=8bitmime SMTPUTF8 AUTH=<>")
    else {
        panic!("refused");
    };
    assert_eq!(parameters, MailParameters { size: Some(12_345), body: BodyType::EightBitMime, utf8: true });
}

#[test]
fn parameters_that_are_wrong_unknown_or_twice_are_told_apart() {
    let mail = |parameters: &str| strict(&format!("MAIL FROM:<a@b.example> {parameters}"));
    for text in [
        "SIZE",
        "SIZE=x",
        "SIZE=123456789012345678901",
        "BODY=9BIT",
        "BODY",
        "SMTPUTF8=1",
        "AUTH",
        "SIZE=1 SIZE=2",
    ] {
        assert_eq!(mail(text), Err(Offence::BadParameter), "{text}");
    }
    for text in ["RET=FULL", "FROB", "X-Y=1", "HOLDFOR=5"] {
        assert_eq!(mail(text), Err(Offence::UnknownParameter), "{text}");
    }
    for text in ["=1", "-X=1", "SIZE==1", "SIZE="] {
        assert_eq!(mail(text), Err(Offence::BadArgument), "{text}");
    }
    assert_eq!(strict("RCPT TO:<a@b.example> NOTIFY=NEVER"), Err(Offence::UnknownParameter));
}

#[test]
fn a_size_beyond_every_number_is_the_largest_number() {
    let Ok(Command::Mail(_, parameters, _)) = strict("MAIL FROM:<> SIZE=99999999999999999999") else {
        panic!("refused");
    };
    assert_eq!(parameters.size, Some(u64::MAX));
    assert_eq!(strict("BDAT 99999999999999999999"), Ok(Command::Bdat { octets: u64::MAX, last: false }));
}

#[test]
fn chunks_are_read() {
    assert_eq!(strict("BDAT 10 LAST"), Ok(Command::Bdat { octets: 10, last: true }));
    assert_eq!(strict("bdat 0 last "), Ok(Command::Bdat { octets: 0, last: true }));
    for line in ["BDAT", "BDAT x", "BDAT -1", "BDAT 1 LASTX", "BDAT 1 2", "BDAT 1LAST", "BDAT 0x10"] {
        assert_eq!(strict(line), Err(Offence::BadChunk), "{line}");
    }
}

#[test]
fn auth_takes_a_mechanism_and_at_most_one_response() {
    assert_eq!(
        strict("AUTH PLAIN AGEAYg=="),
        Ok(Command::Auth { mechanism: b"PLAIN".to_vec(), initial: Some(b"AGEAYg==".to_vec()) })
    );
    assert_eq!(strict("AUTH LOGIN"), Ok(Command::Auth { mechanism: b"LOGIN".to_vec(), initial: None }));
    assert_eq!(strict("AUTH PLAIN a b"), Err(Offence::AuthMalformed));
    assert_eq!(strict("AUTH"), Err(Offence::AuthMalformed));
}
