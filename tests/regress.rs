//! What was once answered wrongly, or taken further than it should have been: one test for each find, named for
//! what must hold, and the file of `corpus/` that shows it.
#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reads its file and may fail loudly"
)]

use gatepost::dialog::parse::parse;
use gatepost::dialog::play::{Cuts, play, play_with};
use std::path::Path;

/// Plays one dialogue of the corpus, whole and octet by octet.
fn holds(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/dialogs").join(name);
    let dialog = parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    for cuts in [Cuts::Whole, Cuts::Every(1)] {
        let how = format!("{cuts:?}");
        if let Some(difference) = play_with(&dialog, &mut { cuts }).difference {
            panic!("{name}, {how}: {difference}");
        }
    }
    assert!(play(&dialog).sessions.values().any(|session| !session.replies.is_empty()), "{name} is empty");
}

#[test]
fn a_login_as_an_alias_is_a_wrong_login_like_any_other() {
    holds("login/an-alias-on-465.txt");
}

#[test]
fn a_login_as_an_alias_is_not_opened_by_the_password_of_its_member() {
    holds("login/an-alias-by-plain.txt");
}

#[test]
fn empty_chunks_keep_no_session_alive_for_nothing() {
    holds("sizes/zero-chunks-without-end.txt");
}

#[test]
fn a_telephone_scanner_is_sent_away_at_its_first_line() {
    holds("protocols/sip.txt");
}

#[test]
fn camera_share_and_content_scanners_are_sent_away_at_their_first_line() {
    holds("protocols/rtsp-and-webdav-and-icap.txt");
}

#[test]
fn the_tail_of_an_overlong_line_is_no_command() {
    holds("smuggling/a-long-line-split-at-the-cut.txt");
}

#[test]
fn what_is_pipelined_behind_a_refused_sender_is_not_held_against_the_client() {
    holds("pipelining/behind-a-refused-sender.txt");
}

#[test]
fn a_lone_line_end_is_told_before_the_size_however_octets_are_cut() {
    holds("smuggling/a-lone-line-feed-in-a-message-too-big.txt");
}
