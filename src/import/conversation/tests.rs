use super::*;
use crate::import::Prefix;

/// Plays a written session and gives what was found, and the numbers of their lines.
fn heard(script: &[&str]) -> Vec<Finding> {
    let mut conversation = Conversation::new(Server::Transcript);
    let mut found = Vec::new();
    for (index, text) in script.iter().enumerate() {
        let number = u64::try_from(index).expect("small") + 1;
        let line = Line { number, text, whole: text, prefix: Prefix::default() };
        match text.split_at(3) {
            ("C: ", said) => conversation.client(&line, said, &mut found),
            (_, said) => assert!(conversation.server(&line, said, &mut found), "{said}"),
        }
    }
    conversation.end(&mut found);
    found
}

fn short(found: &[Finding]) -> Vec<(u64, What, Option<&str>, Option<&str>)> {
    found
        .iter()
        .map(|finding| (finding.line, finding.what, finding.mechanism.as_deref(), finding.login.as_deref()))
        .collect()
}

#[test]
fn a_refused_login_is_one_attempt_at_its_reply() {
    let found = heard(&[
        "S: 220 mx.example ESMTP",
        "C: EHLO User",
        "S: 250-mx.example",
        "S: 250 AUTH PLAIN LOGIN",
        "C: RSET",
        "S: 250 OK",
        "C: AUTH LOGIN",
        "S: 334 VXNlcm5hbWU6",
        "C: aW5mbw==",
        "S: 334 UGFzc3dvcmQ6",
        "C: cGFzcw==",
        "S: 535 Invalid credential",
        "C: QUIT",
        "S: 221 bye",
    ]);
    assert_eq!(short(&found), [(12, What::Login, Some("LOGIN"), Some("info"))]);
    assert_eq!(found[0].helo.as_deref(), Some("User"));
    assert_eq!(
        found[0].steps,
        [
            Step::Ehlo("User".into()),
            Step::Rset,
            Step::Auth("LOGIN".into(), false),
            Step::LoginName,
            Step::Password
        ]
    );
}

#[test]
fn several_tries_of_a_session_are_told_apart() {
    let found = heard(&[
        "C: AUTH PLAIN AGluZm8AcGFzcw==",
        "S: 535 no",
        "C: AUTH LOGIN d2Vi",
        "S: 334 UGFzc3dvcmQ6",
        "C: cGFzcw==",
        "S: 535 no",
    ]);
    assert_eq!(
        short(&found),
        [(2, What::Login, Some("PLAIN"), Some("info")), (6, What::Login, Some("LOGIN"), Some("web"))]
    );
}

#[test]
fn an_aborted_exchange_and_a_success_and_a_temporary_failure_are_no_attempts() {
    let found = heard(&[
        "C: AUTH LOGIN",
        "S: 334 VXNlcm5hbWU6",
        "C: *",
        "S: 501 5.7.0 Authentication aborted",
        "C: AUTH PLAIN AGluZm8AcGFzcw==",
        "S: 454 4.7.0 Temporary authentication failure",
        "C: AUTH PLAIN AGluZm8AcGFzcw==",
        "S: 235 2.7.0 OK",
        "C: AUTH PLAIN AGluZm8AcGFzcw==",
        "S: 503 5.5.1 Already authenticated",
    ]);
    assert_eq!(found, []);
}

#[test]
fn hearing_may_begin_within_an_exchange() {
    let found = heard(&["C: aW5mbw==", "S: 334 UGFzc3dvcmQ6", "C: cGFzcw==", "S: 535 no"]);
    assert_eq!(short(&found), [(4, What::Login, Some("LOGIN"), Some("info"))]);
    assert_eq!(found[0].steps, [Step::Auth("LOGIN".into(), false), Step::LoginName, Step::Password]);
    let found = heard(&["S: 535 no", "C: QUIT", "S: 221 bye"]);
    assert_eq!(short(&found), [(1, What::Login, None, None)]);
}

#[test]
fn auth_that_was_not_offered_is_refused_even_if_the_log_ends_there() {
    let script = ["C: EHLO x", "S: 250-mx", "S: 250 SIZE 1000", "C: AUTH PLAIN AGluZm8AcGFzcw=="];
    assert_eq!(short(&heard(&script)), [(4, What::AuthCommand, Some("PLAIN"), Some("info"))]);
    let offered = ["C: EHLO x", "S: 250-mx", "S: 250 AUTH PLAIN", "C: AUTH PLAIN AGluZm8AcGFzcw=="];
    assert_eq!(heard(&offered), []);
    let refused = ["C: EHLO x", "S: 250 mx", "C: AUTH LOGIN", "S: 503 5.5.1 AUTH not available"];
    assert_eq!(short(&heard(&refused)), [(4, What::AuthCommand, Some("LOGIN"), None)]);
}

#[test]
fn another_protocol_is_one_attempt_whatever_it_says_afterwards() {
    let found = heard(&[
        "C: POST / HTTP/1.0",
        "S: 502 no",
        "C: Host: mx.example",
        "S: 502 no",
        "C: MAIL FROM:<a@b.example>",
        "S: 250 ok",
        "C: RCPT TO:<c@d.example>",
        "S: 554 blocked",
    ]);
    assert_eq!(short(&found), [(2, What::Garbage, None, None)]);
}

#[test]
fn pipelined_commands_get_their_own_replies() {
    let found = heard(&[
        "C: MAIL FROM:<a@b.example>",
        "C: RCPT TO:<c@d.example>",
        "C: RCPT TO:<e@d.example>",
        "C: DATA",
        "S: 250 ok",
        "S: 550 5.1.1 no such user",
        "S: 554 5.7.1 Relay access denied",
        "S: 554 no valid recipients",
    ]);
    assert_eq!(short(&found), [(6, What::Recipient, None, None), (7, What::Relay, None, None)]);
}

#[test]
fn what_stands_in_a_message_is_no_command() {
    let found = heard(&[
        "C: DATA",
        "S: 354 go",
        "C: AUTH PLAIN AGluZm8AcGFzcw==",
        "C: .",
        "S: 250 ok",
        "C: QUIT",
        "S: 221 bye",
    ]);
    assert_eq!(found, []);
}
