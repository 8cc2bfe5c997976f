use super::*;
use crate::limits::*;
use crate::types::{AccountId, Moment, SessionId};

fn now(seconds: u64) -> Now {
    let moment = Moment(1_000_000).plus_ms(seconds.saturating_mul(1_000));
    Now { moment, unix: UnixTime(seconds.saturating_add(1_700_000_000)) }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn throttle() -> Throttle {
    Throttle::new(Rules::default(), [5; 32])
}

fn ask(throttle: &mut Throttle, at: Now, source: IpAddr, login: &str, password: &str) -> LoginGate {
    let wanted =
        Try { session: SessionId(1), source, login: login.as_bytes(), password: Some(password.as_bytes()) };
    throttle.at_login(at, wanted)
}

/// Tries once; whether it was checked.
fn attempt(
    throttle: &mut Throttle,
    at: Now,
    source: IpAddr,
    login: &str,
    password: &str,
    outcome: LoginOutcome,
) -> bool {
    match ask(throttle, at, source, login, password) {
        LoginGate::Pass { reservation, .. } => {
            if let Some(reservation) = reservation {
                throttle.login_decided(at, reservation, outcome);
            }
            true
        }
        LoginGate::TooMany(_) => false,
    }
}

fn guess(throttle: &mut Throttle, at: Now, source: IpAddr, login: &str, password: &str) -> bool {
    attempt(throttle, at, source, login, password, LoginOutcome::Refused)
}

fn is_refused(throttle: &mut Throttle, at: Now, source: IpAddr) -> bool {
    match throttle.at_connect(at, source, Listener::Submissions) {
        ConnectVerdict::Admit(..) => false,
        ConnectVerdict::Refused(_) | ConnectVerdict::Denied(_) => true,
    }
}

fn exhaust(throttle: &mut Throttle, at: Now, source: IpAddr) {
    for n in 0..GUESSES_PER_HOST_DEFAULT {
        assert!(guess(throttle, at, source, "info@example.org", &format!("pw{n}")));
    }
}

#[test]
fn a_host_has_its_guesses_and_is_refused_until_half_has_drained() {
    let mut t = throttle();
    let (bad, neighbour) = (ip("192.0.2.1"), ip("192.0.2.2"));
    exhaust(&mut t, now(0), bad);
    assert!(!guess(&mut t, now(0), bad, "other@example.org", "x"));
    assert!(is_refused(&mut t, now(1_799), bad));
    assert!(!is_refused(&mut t, now(1_800), bad));
    assert!(!is_refused(&mut t, now(0), neighbour));
    assert!(guess(&mut t, now(0), neighbour, "other@example.org", "x"));
}

#[test]
fn sessions_side_by_side_share_one_budget() {
    let mut t = throttle();
    let source = ip("192.0.2.1");
    let passed = (0..100)
        .filter(|n| match ask(&mut t, now(0), source, "a@example.org", &format!("pw{n}")) {
            // Held on to: none of them is decided.
            LoginGate::Pass { .. } => true,
            LoginGate::TooMany(_) => false,
        })
        .count();
    assert_eq!(passed, 20);
}

#[test]
fn the_same_wrong_password_again_does_not_escalate_and_guessing_does() {
    let mut t = throttle();
    let source = ip("192.0.2.1");
    for n in 0..1_000 {
        assert!(guess(&mut t, now(n), source, "me@example.org", "the old one"), "try {n}");
    }
    let guesses = (0..100).filter(|n| guess(&mut t, now(1_000), source, "me@example.org", &n.to_string()));
    assert!(guesses.count() <= 20);
}

#[test]
fn successes_in_between_do_not_make_an_old_password_a_guess_again() {
    let mut t = throttle();
    let source = ip("192.0.2.1");
    // A telephone with the old password beside a laptop with the right one.
    for n in 0..1_000 {
        let login = "me@example.org";
        assert!(guess(&mut t, now(n), source, login, "the old one"));
        assert!(attempt(&mut t, now(n), source, login, "right", LoginOutcome::Accepted(AccountId(1))));
    }
    let told = t.explain(now(1_000), &Subject::Source(source));
    assert!(told.standings[0].level < 10, "{told:?}");
}

#[test]
fn one_success_does_not_wipe_a_record() {
    let mut t = throttle();
    let source = ip("192.0.2.1");
    for n in 0..19 {
        assert!(guess(&mut t, now(0), source, "victim@example.org", &n.to_string()));
    }
    assert!(attempt(
        &mut t,
        now(0),
        source,
        "own@example.org",
        "right",
        LoginOutcome::Accepted(AccountId(1))
    ));
    assert!(guess(&mut t, now(0), source, "victim@example.org", "20th"));
    assert!(!guess(&mut t, now(0), source, "victim@example.org", "21st"));
}

#[test]
fn an_attack_on_one_login_from_everywhere_leaves_its_owner_in() {
    let mut t = throttle();
    let (home, hotel) = (ip("198.51.100.7"), ip("203.0.113.9"));
    let login = "owner@example.org";
    assert!(attempt(&mut t, now(0), home, login, "right", LoginOutcome::Accepted(AccountId(1))));
    for n in 0..10_000_u32 {
        let source = IpAddr::from([10, n.to_be_bytes()[2], n.to_be_bytes()[3], 1]);
        guess(&mut t, now(1), source, login, &n.to_string());
    }
    let verdict = ask(&mut t, now(1), home, login, "right");
    assert!(
        matches!(verdict, LoginGate::Pass { class: QueueClass::KnownPlace, delay_ms: 0, .. }),
        "{verdict:?}"
    );
    // The chances are used up for the moment, and come back one by one.
    assert!(!guess(&mut t, now(1), hotel, login, "right"));
    assert!(guess(&mut t, now(8), hotel, login, "right"));
}

#[test]
fn all_that_strangers_can_fill_fits_into_three_mebibytes() {
    let t = throttle();
    let sum = t.logins.octets_max().saturating_add(t.mail.octets_max());
    assert!(sum < 3 * 1024 * 1024, "{sum}");
}

#[test]
fn a_provider_that_meets_unknown_recipients_all_day_is_slowed_at_the_most() {
    let mut t = throttle();
    let source = ip("192.0.2.1");
    for n in 0..10_000 {
        t.mail_offence(now(n), source, MailOffence::UnknownRecipient);
        let verdict = t.at_connect(now(n), source, Listener::Smtp);
        let ConnectVerdict::Admit(pace, None) = verdict else { panic!("{verdict:?}") };
        assert!(pace.reply_ms <= MAIL_REPLY_MS_MAX && pace.connections_max.is_none_or(|most| most >= 2));
    }
    assert_ne!(t.pace(now(10_000), source), Pace::NEUTRAL);
    t.mail_accepted(now(10_000), source, 100);
    assert_eq!(t.pace(now(10_000), source), Pace::NEUTRAL);
    assert!(!is_refused(&mut t, now(10_000), source), "neither book reads the other");
}

#[test]
fn the_longest_entry_of_the_lists_decides_and_of_two_equal_ones_the_deny_list() {
    let list = |text: &[&str]| text.iter().map(|one| one.parse().unwrap()).collect::<Vec<Prefix>>();
    let rules = Rules {
        allow: list(&["192.0.2.0/24", "198.51.100.1"]),
        deny: list(&["192.0.2.7", "198.51.100.1", "0.0.0.0/0"]),
        ..Rules::default()
    };
    assert!(matches!(rules.listed(ip("192.0.2.1")), Listed::Allowed(_)));
    assert!(matches!(rules.listed(ip("192.0.2.7")), Listed::Denied(_)));
    assert!(matches!(rules.listed(ip("198.51.100.1")), Listed::Denied(_)));
    assert_eq!(rules.listed(ip("2001:db8::1")), Listed::No);
}

#[test]
fn a_dry_run_says_what_it_would_do_and_refuses_nobody() {
    let mut t = Throttle::new(Rules { mode: Mode::DryRun, ..Rules::default() }, [5; 32]);
    let source = ip("192.0.2.1");
    exhaust(&mut t, now(0), source);
    let verdict = t.at_connect(now(0), source, Listener::Submissions);
    assert!(matches!(verdict, ConnectVerdict::Admit(Pace::NEUTRAL, Some(_))), "{verdict:?}");
    let verdict = ask(&mut t, now(0), source, "a@example.org", "x");
    assert!(matches!(verdict, LoginGate::Pass { would_refuse: Some(_), delay_ms: 0, .. }), "{verdict:?}");
}

#[test]
fn an_explanation_names_rule_times_and_evidence_and_forgiving_ends_it() {
    let mut t = throttle();
    let source = ip("192.0.2.1");
    exhaust(&mut t, now(10), source);
    let told = t.explain(now(20), &Subject::Source(source));
    let refuses = told.standings[0].refuses.unwrap();
    assert_eq!(refuses.rule, Rule::Host(Prefix::host(source)));
    assert_eq!((refuses.since, refuses.until), (now(10).unix, Some(now(1_810).unix)));
    assert_eq!(told.evidence.len(), EVIDENCE_PER_HOST_MAX);
    assert_eq!(told.evidence[0].login, "info@example.org");
    assert_eq!(told.entrance, Some(Entrance::AppPasswordsOnly));
    t.forgive(source);
    assert!(!is_refused(&mut t, now(20), source));
    let told = t.explain(now(20), &Subject::Source(source));
    assert!(told.standings.is_empty());
    assert_eq!(told.entrance, Some(Entrance::AtOnce));
}

#[test]
fn a_restart_frees_no_heavy_offender_and_a_clock_set_back_holds_nobody_longer() {
    let mut t = throttle();
    let source = ip("192.0.2.1");
    exhaust(&mut t, now(0), source);
    let json = serde_json::to_string(&t.snapshot(now(600))).unwrap();
    let kept: Snapshot = serde_json::from_str(&json).unwrap();
    let at =
        |moment: u64, seconds| Now { moment: Moment(moment.saturating_mul(1_000)), unix: now(seconds).unix };
    // A new monotonic clock, ten minutes later.
    let mut again = throttle();
    again.restore(at(5, 1_200), &kept);
    assert!(is_refused(&mut again, at(5, 1_200), source));
    assert!(!is_refused(&mut again, at(606, 1_801), source));
    // The wall clock jumped back by half an hour: what was left when it was kept, 1,200 seconds.
    let mut back = throttle();
    let early = Now { moment: Moment(5_000), unix: UnixTime(1_699_998_200) };
    back.restore(early, &kept);
    let later = |seconds: u64| Now { moment: early.moment.plus_ms(seconds.saturating_mul(1_000)), ..early };
    assert!(is_refused(&mut back, later(1_199), source));
    assert!(!is_refused(&mut back, later(1_200), source));
}

/// Logins with guesses of their own that pass, held on to undecided.
fn hold(
    throttle: &mut Throttle,
    source: IpAddr,
    login: &str,
    tries: std::ops::Range<u32>,
) -> Vec<Reservation> {
    tries
        .filter_map(|n| match ask(throttle, now(0), source, login, &format!("held {n}")) {
            LoginGate::Pass { reservation, .. } => reservation,
            LoginGate::TooMany(_) => None,
        })
        .collect()
}

#[test]
fn forgiving_does_not_lose_what_logins_in_flight_have_reserved() {
    let mut t = throttle();
    let source = ip("192.0.2.1");
    let early = hold(&mut t, source, "a@example.org", 0..1).pop().unwrap();
    t.forgive(source);
    t.forgive_login(b"a@example.org");
    let mut held = hold(&mut t, source, "a@example.org", 1..50);
    t.login_decided(now(0), early, LoginOutcome::Unavailable);
    held.extend(hold(&mut t, source, "a@example.org", 50..100));
    assert_eq!(held.len(), usize::try_from(GUESSES_PER_HOST_DEFAULT).unwrap());
}

#[test]
fn at_a_known_place_too_sessions_side_by_side_share_one_budget() {
    let mut t = throttle();
    let source = ip("192.0.2.1");
    assert!(attempt(&mut t, now(0), source, "a@example.org", "right", LoginOutcome::Accepted(AccountId(1))));
    exhaust(&mut t, now(0), source);
    let held = hold(&mut t, source, "a@example.org", 0..300);
    assert_eq!(held.len(), usize::try_from(GUESSES_PER_PLACE_MAX).unwrap());
}

#[test]
fn forgiving_an_address_forgives_the_known_places_in_its_network() {
    let mut t = throttle();
    let source = ip("192.0.2.1");
    assert!(attempt(&mut t, now(0), source, "a@example.org", "right", LoginOutcome::Accepted(AccountId(1))));
    for n in 0..9 {
        guess(&mut t, now(0), source, "a@example.org", &format!("old {n}"));
    }
    let delay = |t: &mut Throttle| match ask(t, now(0), source, "a@example.org", "new") {
        LoginGate::Pass { delay_ms, reservation, .. } => {
            t.login_decided(now(0), reservation.unwrap(), LoginOutcome::Unavailable);
            delay_ms
        }
        LoginGate::TooMany(because) => panic!("{because:?}"),
    };
    assert!(delay(&mut t) > 0);
    t.forgive(source);
    assert_eq!(delay(&mut t), 0);
}

#[test]
fn what_must_be_kept_is_given_at_once_and_then_seldom() {
    let mut t = throttle();
    let refused = |t: &mut Throttle, seconds, number: u8| {
        for n in 0..GUESSES_PER_HOST_DEFAULT {
            guess(t, now(seconds), IpAddr::from([192, 0, number, 1]), "a@example.org", &n.to_string());
        }
    };
    assert!(guess(&mut t, now(0), ip("192.0.2.1"), "a@example.org", "x"));
    assert_eq!(t.next_save(), None, "one failure is forgotten by a restart");
    refused(&mut t, 0, 3);
    assert!(t.save(now(0)).is_some());
    assert_eq!(t.next_save(), None, "nothing changed since");
    refused(&mut t, 1, 4);
    let soon = THROTTLE_SAVE_SOON_MS / 1_000;
    assert!(t.save(now(soon - 1)).is_none() && t.save(now(soon)).is_some());
    for n in 0..GUESSES_PER_HOST_DEFAULT / 2 {
        guess(&mut t, now(soon), ip("192.0.5.1"), "a@example.org", &n.to_string());
    }
    let late = soon + THROTTLE_SAVE_MS / 1_000;
    assert!(t.save(now(late - 1)).is_none() && t.save(now(late)).is_some());
    t.forgive(ip("192.0.3.1"));
    assert!(t.save_now(now(late)).is_some(), "who was forgiven stays so");
}

#[test]
fn a_record_in_another_form_changes_nothing() {
    let mut t = throttle();
    exhaust(&mut t, now(0), ip("192.0.2.1"));
    let mut json = serde_json::to_value(t.snapshot(now(0))).unwrap();
    json["version"] = 2.into();
    let mut again = throttle();
    assert!(!again.restore(now(0), &serde_json::from_value(json).unwrap()));
    assert!(!is_refused(&mut again, now(0), ip("192.0.2.1")));
}

#[test]
fn visits_that_bring_nothing_make_the_next_wait_and_the_explanation_says_so() {
    let mut t = throttle();
    let (source, here) = (ip("192.0.2.1"), ip("127.0.0.1"));
    for _ in 0..FRUITLESS_VISITS_MAX {
        t.fruitless_visit(now(0), source);
        t.fruitless_visit(now(0), here);
    }
    assert!(t.is_restless(now(1), source) && !t.is_restless(now(1), here));
    assert_eq!(t.explain(now(1), &Subject::Source(source)).entrance, Some(Entrance::AfterAWait));
    t.forgive(source);
    assert!(!t.is_restless(now(1), source));
}

#[test]
fn who_is_exempt_never_waits() {
    let source = ip("192.0.2.1");
    let dry = Rules { mode: Mode::DryRun, ..Rules::default() };
    let allowed = Rules { allow: vec![Prefix::net(source)], ..Rules::default() };
    for rules in [dry, allowed] {
        let mut t = Throttle::new(rules, [5; 32]);
        for _ in 0..FRUITLESS_VISITS_MAX {
            t.fruitless_visit(now(0), source);
        }
        assert!(!t.is_restless(now(0), source));
    }
}
