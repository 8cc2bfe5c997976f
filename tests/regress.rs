//! What was once answered wrongly, or taken further than it should have been: one test for each find, named for
//! what must hold, and the file of `corpus/` that shows it.
#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reads its file and may fail loudly"
)]

use gatepost::dialog::parse::parse;
use gatepost::dialog::play::{Cuts, play_with};
use gatepost::fuzz::TARGETS;
use std::path::{Path, PathBuf};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// Plays a file of `corpus/dialogs/`, whole and octet by octet.
fn is_answered_as_written(name: &str) {
    let source = std::fs::read_to_string(corpus().join("dialogs").join(name)).unwrap();
    let dialog = parse(&source).unwrap();
    for mut cuts in [Cuts::Whole, Cuts::Every(1)] {
        let report = play_with(&dialog, &mut cuts);
        if let Some(difference) = report.difference {
            panic!("{name}, {cuts:?}: {difference}");
        }
        assert!(report.sessions.values().any(|session| !session.replies.is_empty()), "{name} says nothing");
    }
}

/// Gives a file of `corpus/TARGET/` to its fuzz target.
fn keeps_its_promise(target: &str, name: &str) {
    let octets = std::fs::read(corpus().join(target).join(name)).unwrap();
    let (_, body) = TARGETS.iter().find(|(known, _)| *known == target).unwrap();
    body(&octets).unwrap_or_else(|complaint| panic!("{target}/{name}: {complaint}"));
}

#[test]
fn a_login_as_an_alias_is_a_wrong_login_like_any_other() {
    is_answered_as_written("login/an-alias-on-465.txt");
}

#[test]
fn a_login_as_an_alias_is_not_opened_by_the_password_of_its_member() {
    is_answered_as_written("login/an-alias-by-plain.txt");
}

#[test]
fn empty_chunks_keep_no_session_alive_for_nothing() {
    is_answered_as_written("sizes/zero-chunks-without-end.txt");
}

#[test]
fn senders_refused_for_good_keep_no_session_alive_for_nothing() {
    is_answered_as_written("sizes/declared-too-big-without-end.txt");
    is_answered_as_written("login/senders-of-others-without-end.txt");
}

#[test]
fn mail_that_is_put_off_never_turns_into_a_bounce() {
    is_answered_as_written("trouble/no-room-for-a-long-queue.txt");
}

#[test]
fn a_telephone_scanner_is_sent_away_at_its_first_line() {
    is_answered_as_written("protocols/sip.txt");
}

#[test]
fn camera_share_and_content_scanners_are_sent_away_at_their_first_line() {
    is_answered_as_written("protocols/rtsp-and-webdav-and-icap.txt");
}

#[test]
fn the_tail_of_an_overlong_line_is_no_command() {
    is_answered_as_written("smuggling/a-long-line-split-at-the-cut.txt");
}

#[test]
fn what_is_pipelined_behind_a_refused_sender_is_not_held_against_the_client() {
    is_answered_as_written("pipelining/behind-a-refused-sender.txt");
}

#[test]
fn a_lone_line_end_is_told_before_the_size_however_octets_are_cut() {
    is_answered_as_written("smuggling/a-lone-line-feed-in-a-message-too-big.txt");
}

#[test]
fn a_list_longer_than_a_message_may_have_is_not_cut_off_before_its_data() {
    is_answered_as_written("harvest/more-than-a-message-may-have.txt");
}

#[test]
fn an_account_stopped_while_it_is_logged_in_sends_no_more() {
    is_answered_as_written("trouble/the-account-is-stopped-meanwhile.txt");
}

#[test]
fn lone_line_end_after_too_big() {
    keeps_its_promise("wire", "lone-line-end-after-too-big");
}

#[test]
fn a_key_with_a_line_end() {
    keeps_its_promise("config", "a-key-with-a-line-end");
}

#[test]
fn a_reply_beyond_ascii_is_heard_and_said_again_in_question_marks() {
    keeps_its_promise("heard", "text-beyond-ascii");
}
