use super::*;
use crate::auth::phc::PasswordHash;
use crate::auth::verdict::ThrottleRule;
use crate::directory::credential::{AppPasswords, CredentialId, MainPassword};
use crate::directory::{Account, AccountState, Alias, Change, DomainEntry};
use crate::limits::{
    ARGON2_MEMORY_KIB, ARGON2_PASSES, HASH_QUEUE_CLEAN_MAX, HASH_QUEUE_PER_PREFIX_MAX, REFUSAL_MS_MIN,
    REFUSAL_TICK_MS,
};
use crate::types::{AccountId, UnixTime};

const APP_PASSWORD: &[u8] = b"7k2m-x9qd-aaaa-bbbb-cccc-dddd-eeee";
const T0: Moment = Moment(1_000_007);

fn phc(salt: u8) -> String {
    PasswordHash {
        memory_kib: ARGON2_MEMORY_KIB,
        passes: ARGON2_PASSES,
        lanes: ARGON2_LANES,
        salt: vec![salt; ARGON2_SALT_OCTETS],
        tag: vec![salt; 32],
    }
    .to_string()
}

fn directory() -> Directory {
    let account = |id, name: &str, password: Option<String>, state| {
        Change::PutAccount(Account {
            id: AccountId(id),
            addresses: vec![name.parse().unwrap()],
            password,
            state,
            app_passwords: Default::default(),
        })
    };
    let domain = |name: &str, catch_all| {
        Change::PutDomain(DomainEntry { name: name.to_owned().try_into().unwrap(), catch_all })
    };
    Directory::load(
        [
            domain("example.org", None),
            domain("all.example", Some(AccountId(1))),
            account(1, "me@example.org", Some(phc(1)), AccountState::Active),
            account(2, "off@example.org", Some(phc(2)), AccountState::Disabled),
            account(3, "new@example.org", None, AccountState::Active),
            account(4, "odd@example.org", Some("$2y$10$abc".into()), AccountState::Active),
            app_passwords(5, "apps@example.org", AccountState::Active, MainPassword::Forbidden),
            app_passwords(6, "both@example.org", AccountState::Active, MainPassword::Allowed),
            app_passwords(7, "offapps@example.org", AccountState::Disabled, MainPassword::Allowed),
            Change::PutAlias(Alias {
                address: "info@example.org".parse().unwrap(),
                members: vec!["me@example.org".parse().unwrap()],
            }),
        ],
        8,
    )
}

fn attempt(session: u64, login: &[u8]) -> Attempt {
    Attempt {
        session: SessionId(session),
        ticket: Ticket(session),
        source: "192.0.2.1".parse().unwrap(),
        login: login.to_vec(),
        password: Secret::new(b"a password".to_vec()),
        authorize_as: None,
    }
}

fn verifier() -> Verifier {
    let mut verifier = Verifier::new([1; 32], Chance::from_seed([2; 32]));
    verifier.worker_up(T0);
    verifier
}

/// An account with a main password and the application password [`APP_PASSWORD`].
fn app_passwords(id: u32, name: &str, state: AccountState, main: MainPassword) -> Change {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
    let tag = credential::seal(&key, credential::digest(APP_PASSWORD));
    let app_passwords = AppPasswords::default().with("phone", UnixTime(1), tag).unwrap();
    Change::PutAccount(Account {
        id: AccountId(id),
        addresses: vec![name.parse().unwrap()],
        password: Some(phc(3)),
        state,
        app_passwords: AppPasswords { main, ..app_passwords },
    })
}

/// Every class that is refused, by the attempt that meets it.
fn refused_classes() -> Vec<(Refusal, Attempt)> {
    let mut other = attempt(1, b"me@example.org");
    other.authorize_as = Some(b"root@example.org".to_vec());
    let mut long = attempt(1, b"me@example.org");
    long.password = Secret::new(vec![b'x'; 5_000]);
    vec![
        (Refusal::WrongPassword, attempt(1, b"me@example.org")),
        (Refusal::WrongPassword, long),
        (Refusal::WrongPasswordOfDisabledAccount, attempt(1, b"off@example.org")),
        (Refusal::NoPassword, attempt(1, b"new@example.org")),
        (Refusal::NoPassword, attempt(1, b"odd@example.org")),
        (Refusal::MainPasswordForbidden, attempt(1, b"apps@example.org")),
        (Refusal::Alias, attempt(1, b"info@example.org")),
        (Refusal::Alias, attempt(1, b"postmaster@example.org")),
        (Refusal::CatchAll, attempt(1, b"x@all.example")),
        (Refusal::NoSuchAddress, attempt(1, b"who@example.org")),
        (Refusal::NoSuchDomain, attempt(1, b"me@elsewhere.example")),
        (Refusal::Malformed, attempt(1, b"me")),
        (Refusal::Malformed, attempt(1, b"\xff\r\n")),
        (Refusal::Malformed, attempt(1, &[b'x'; 9_000])),
        (Refusal::OtherIdentity, other),
    ]
}

/// The one verdict that has come by the end of time.
fn verdict(verifier: &mut Verifier) -> LoginVerdict {
    let mut decided = verifier.due(Moment(u64::MAX));
    assert_eq!(decided.len(), 1);
    decided.pop().unwrap().verdict
}

#[test]
fn every_refused_class_costs_exactly_one_hash_of_the_same_size() {
    for (refusal, attempt) in refused_classes() {
        let mut verifier = verifier();
        verifier.submit(T0, Some(&directory()), attempt);
        let job = verifier.next_job(T0).unwrap();
        assert_eq!((job.memory_kib, job.passes, job.lanes), (ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES));
        assert_eq!((job.salt.len(), job.tag.len()), (ARGON2_SALT_OCTETS, 32), "{refusal:?}");
        assert!(job.password.reveal().len() <= PASSWORD_OCTETS_MAX);
        verifier.hashed(T0.plus_ms(30), job.id, false);
        assert!(verifier.next_job(T0).is_none(), "{refusal:?}");
        assert_eq!(verdict(&mut verifier), LoginVerdict::Refused(refusal));
    }
}

#[test]
fn a_tag_that_fits_by_accident_opens_nothing_that_is_not_an_account() {
    for (refusal, attempt) in refused_classes() {
        let can_be_right = attempt.authorize_as.is_none()
            && attempt.password.reveal().len() <= PASSWORD_OCTETS_MAX
            && matches!(refusal, Refusal::WrongPassword | Refusal::WrongPasswordOfDisabledAccount);
        if can_be_right {
            continue;
        }
        let mut verifier = verifier();
        verifier.submit(T0, Some(&directory()), attempt);
        let job = verifier.next_job(T0).unwrap();
        verifier.hashed(T0, job.id, true);
        assert_eq!(verdict(&mut verifier), LoginVerdict::Refused(refusal));
    }
}

#[test]
fn refusals_of_all_classes_leave_at_the_same_moment() {
    let mut moments = std::collections::BTreeSet::new();
    for (wait, (_, attempt)) in (0..).zip(refused_classes()) {
        let mut verifier = verifier();
        verifier.submit(T0, Some(&directory()), attempt);
        let job = verifier.next_job(T0).unwrap();
        verifier.hashed(T0.plus_ms(20 + wait * 30), job.id, false);
        moments.insert(verifier.next_deadline());
    }
    let mut full = verifier();
    for session in 0..=u64::try_from(HASH_QUEUE_PER_PREFIX_MAX).unwrap() {
        full.submit(T0, Some(&directory()), attempt(session, b"me@example.org"));
    }
    moments.insert(full.next_deadline());
    let mut absent = verifier();
    absent.submit(T0, None, attempt(1, b"me@example.org"));
    moments.insert(absent.next_deadline());
    let expected = Moment((T0.0 + REFUSAL_MS_MIN).next_multiple_of(REFUSAL_TICK_MS));
    assert_eq!(moments.into_iter().collect::<Vec<_>>(), [Some(expected)]);
}

#[test]
fn a_refusal_leaves_on_the_first_tick_after_the_least_wait_and_the_decision() {
    for (asked, took, leaves) in [(0, 1, 500), (1, 1, 600), (100, 499, 600), (100, 500, 600), (100, 501, 700)]
    {
        let mut verifier = verifier();
        verifier.submit(Moment(asked), Some(&directory()), attempt(1, b"who@example.org"));
        let job = verifier.next_job(Moment(asked)).unwrap();
        verifier.hashed(Moment(asked + took), job.id, false);
        assert_eq!(verifier.next_deadline(), Some(Moment(leaves)));
        assert_eq!(verifier.due(Moment(leaves - 1)), []);
        assert_eq!(verifier.due(Moment(leaves)).len(), 1);
        assert_eq!(verifier.next_deadline(), None);
    }
}

#[test]
fn the_right_password_is_answered_at_once() {
    for (login, verdict) in [
        ("me@example.org", LoginVerdict::Accepted(AccountId(1), ProvenBy::MainPassword)),
        ("ME@EXAMPLE.ORG", LoginVerdict::Accepted(AccountId(1), ProvenBy::MainPassword)),
        ("off@example.org", LoginVerdict::Disabled(AccountId(2))),
    ] {
        let mut verifier = verifier();
        let mut attempt = attempt(1, login.as_bytes());
        attempt.authorize_as = Some(login.to_lowercase().into_bytes());
        verifier.submit(T0, Some(&directory()), attempt);
        let job = verifier.next_job(T0).unwrap();
        verifier.hashed(T0.plus_ms(40), job.id, true);
        let decided = Decided { session: SessionId(1), ticket: Ticket(1), verdict, signature: None };
        assert_eq!(verifier.due(T0.plus_ms(40)), [decided]);
    }
}

#[test]
fn a_password_is_normalised_before_it_is_hashed() {
    let mut verifier = verifier();
    let mut decomposed = attempt(1, b"me@example.org");
    decomposed.password = Secret::new("u\u{308}ber".into());
    verifier.submit(T0, Some(&directory()), decomposed);
    assert_eq!(verifier.next_job(T0).unwrap().password.reveal(), "über".as_bytes());
}

#[test]
fn an_overlong_password_is_never_right() {
    let mut verifier = verifier();
    let mut long = attempt(1, b"me@example.org");
    long.password = Secret::new(vec![b'x'; PASSWORD_OCTETS_MAX + 1]);
    verifier.submit(T0, Some(&directory()), long);
    let job = verifier.next_job(T0).unwrap();
    assert_eq!(job.password.reveal().len(), PASSWORD_OCTETS_MAX);
    verifier.hashed(T0, job.id, true);
    assert_eq!(verdict(&mut verifier), LoginVerdict::Refused(Refusal::WrongPassword));
}

#[test]
fn a_decoy_belongs_to_its_name_and_to_this_server() {
    let salt = |key: u8, login: &[u8]| {
        let mut verifier = Verifier::new([key; 32], Chance::from_seed([2; 32]));
        verifier.worker_up(T0);
        verifier.submit(T0, Some(&directory()), attempt(1, login));
        verifier.next_job(T0).unwrap().salt
    };
    assert_eq!(salt(1, b"who@example.org"), salt(1, b"WHO@example.org"));
    assert_ne!(salt(1, b"who@example.org"), salt(1, b"whom@example.org"));
    assert_ne!(salt(1, b"who@example.org"), salt(2, b"who@example.org"));
}

#[test]
fn without_a_directory_nothing_is_hashed() {
    let mut verifier = verifier();
    verifier.submit(T0, None, attempt(1, b"me@example.org"));
    assert!(verifier.next_job(T0).is_none());
    assert_eq!(verdict(&mut verifier), LoginVerdict::Unavailable(Unavailability::Directory));
}

#[test]
fn the_order_of_one_tick_says_nothing_about_who_asked_first() {
    let mut firsts = [0_u32; 4];
    for seed in 0..=255 {
        let mut verifier = Verifier::new([1; 32], Chance::from_seed([seed; 32]));
        verifier.worker_up(T0);
        for session in 0..4 {
            verifier.submit(T0, Some(&directory()), attempt(session, b"who@example.org"));
            let job = verifier.next_job(T0).unwrap();
            verifier.hashed(T0, job.id, false);
        }
        let order = verifier.due(Moment(u64::MAX));
        assert_eq!(order.len(), 4);
        firsts[usize::try_from(order[0].session.0).unwrap()] += 1;
    }
    assert!(firsts.iter().all(|count| (40..=90).contains(count)), "{firsts:?}");
}

#[test]
fn a_full_queue_is_unavailable_and_prefixes_are_served_in_turn() {
    let mut verifier = verifier();
    let directory = directory();
    for session in 0..8 {
        verifier.submit(T0, Some(&directory), attempt(session, b"who@example.org"));
    }
    let mut owner = attempt(100, b"me@example.org");
    owner.source = "198.51.100.7".parse().unwrap();
    verifier.submit(T0, Some(&directory), owner);
    let refused = verifier.due(Moment(T0.0 + 1_000));
    assert_eq!(refused.len(), 8 - HASH_QUEUE_PER_PREFIX_MAX);
    assert!(refused.iter().all(|one| one.verdict == LoginVerdict::Unavailable(Unavailability::QueueFull)));
    let first = verifier.next_job(T0).unwrap();
    verifier.hashed(T0, first.id, false);
    let second = verifier.next_job(T0).unwrap();
    verifier.hashed(T0, second.id, true);
    assert_eq!(verifier.due(T0)[0].session, SessionId(100));
}

#[test]
fn the_queue_never_holds_more_than_its_ceiling() {
    let mut verifier = verifier();
    let directory = directory();
    for session in 0..200 {
        let mut attempt = attempt(session, b"who@example.org");
        attempt.source = std::net::Ipv4Addr::from_bits(u32::try_from(session << 8).unwrap()).into();
        verifier.submit(T0, Some(&directory), attempt);
    }
    assert_eq!(verifier.due(Moment(T0.0 + 1_000)).len(), 200 - HASH_QUEUE_CLEAN_MAX);
}

#[test]
fn only_one_job_is_in_flight() {
    let mut verifier = verifier();
    verifier.submit(T0, Some(&directory()), attempt(1, b"me@example.org"));
    verifier.submit(T0, Some(&directory()), attempt(2, b"me@example.org"));
    let job = verifier.next_job(T0).unwrap();
    assert!(verifier.next_job(T0).is_none());
    verifier.hashed(T0, JobId(job.id.0 + 1), true);
    assert!(verifier.next_job(T0).is_none(), "an answer to another question changes nothing");
    verifier.hashed(T0, job.id, false);
    assert!(verifier.next_job(T0).is_some());
}

#[test]
fn a_dead_worker_costs_the_attempt_in_flight_and_no_other() {
    let mut verifier = verifier();
    verifier.submit(T0, Some(&directory()), attempt(1, b"me@example.org"));
    verifier.submit(T0, Some(&directory()), attempt(2, b"me@example.org"));
    let lost = verifier.next_job(T0).unwrap();
    verifier.worker_lost(T0);
    assert!(verifier.next_job(T0).is_none());
    verifier.worker_up(T0.plus_ms(50));
    verifier.hashed(T0.plus_ms(51), lost.id, true);
    let job = verifier.next_job(T0.plus_ms(60)).unwrap();
    verifier.hashed(T0.plus_ms(90), job.id, true);
    let first = verifier.due(T0.plus_ms(90));
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].verdict, LoginVerdict::Accepted(AccountId(1), ProvenBy::MainPassword));
    assert_eq!(verdict(&mut verifier), LoginVerdict::Unavailable(Unavailability::Worker));
}

#[test]
fn nobody_waits_for_ever_when_no_worker_comes() {
    let mut verifier = Verifier::new([1; 32], Chance::from_seed([2; 32]));
    verifier.submit(T0, Some(&directory()), attempt(1, b"me@example.org"));
    assert_eq!(verifier.next_deadline(), Some(T0.plus_ms(HASH_MS_MAX)));
    assert_eq!(verifier.due(T0.plus_ms(HASH_MS_MAX - 1)), []);
    verifier.due(T0.plus_ms(HASH_MS_MAX));
    assert_eq!(verdict(&mut verifier), LoginVerdict::Unavailable(Unavailability::Worker));
    assert_eq!(verifier.next_deadline(), None);
}

#[test]
fn a_worker_that_does_not_answer_is_late() {
    let mut verifier = verifier();
    verifier.submit(T0, Some(&directory()), attempt(1, b"me@example.org"));
    assert!(!verifier.worker_is_late(Moment(u64::MAX)), "nothing was asked of it");
    verifier.next_job(T0).unwrap();
    assert_eq!(verifier.next_deadline(), Some(T0.plus_ms(HASH_MS_MAX)));
    assert!(!verifier.worker_is_late(T0.plus_ms(HASH_MS_MAX - 1)));
    assert!(verifier.worker_is_late(T0.plus_ms(HASH_MS_MAX)));
}

#[test]
fn a_session_that_is_over_gets_no_verdict_and_frees_its_place() {
    let mut verifier = verifier();
    for session in 1..=3 {
        verifier.submit(T0, Some(&directory()), attempt(session, b"me@example.org"));
    }
    let first = verifier.next_job(T0).unwrap();
    verifier.hashed(T0, first.id, false);
    let second = verifier.next_job(T0).unwrap();
    for session in 1..=3 {
        verifier.forget(SessionId(session));
    }
    assert!(verifier.next_job(T0).is_none(), "the worker still computes");
    verifier.hashed(T0, second.id, true);
    assert!(verifier.next_job(T0).is_none(), "nobody waits");
    assert_eq!(verifier.due(Moment(u64::MAX)), []);
    assert_eq!(verifier.next_deadline(), None);
}

/// A throttle that lets a host guess twice an hour.
fn strict_throttle() -> Throttle {
    use crate::auth::throttle::{Limits, Rules};
    let limits = Limits { host: 2, ..Limits::default() };
    Throttle::new(Rules { limits, ..Rules::default() }, [5; 32])
}

/// Submits a login through the throttle, lets the worker answer, and returns verdict and time it leaves.
fn through(
    verifier: &mut Verifier,
    throttle: &mut Throttle,
    now: Moment,
    attempt: Attempt,
    right: bool,
) -> (LoginVerdict, Moment) {
    let now = Now { moment: now, unix: crate::types::UnixTime(1_700_000_000) };
    verifier.submit_through(now, throttle, Some(&directory()), attempt);
    if let Some(job) = verifier.next_job(now.moment) {
        verifier.hashed(now.moment, job.id, right);
    }
    verifier.settle(now, throttle);
    let at = verifier.next_deadline().unwrap().max(now.moment);
    (verifier.due(at).pop().unwrap().verdict, at)
}

#[test]
fn guesses_over_the_limit_are_turned_away_unchecked_whether_the_name_exists_or_not() {
    for login in [&b"me@example.org"[..], b"who@example.org", b"info@example.org", b"\xff"] {
        let (mut verifier, mut throttle) = (verifier(), strict_throttle());
        let mut verdicts = Vec::new();
        for session in 0..4 {
            let mut attempt = attempt(session, login);
            attempt.password = Secret::new(format!("guess {session}").into_bytes());
            verdicts.push(through(&mut verifier, &mut throttle, T0, attempt, false).0);
        }
        let throttled = LoginVerdict::Unavailable(Unavailability::Throttled(ThrottleRule::Host));
        assert!(verdicts[..2].iter().all(|one| matches!(one, LoginVerdict::Refused(_))), "{verdicts:?}");
        assert_eq!(verdicts[2..], [throttled, throttled]);
        assert!(verifier.next_job(T0).is_none(), "no work is done for them");
    }
}

#[test]
fn sessions_in_parallel_share_what_is_left_and_one_that_leaves_has_used_it() {
    let (mut verifier, mut throttle) = (verifier(), strict_throttle());
    let now = Now { moment: T0, unix: crate::types::UnixTime(1_700_000_000) };
    for session in 0..4 {
        let mut attempt = attempt(session, b"me@example.org");
        attempt.password = Secret::new(format!("guess {session}").into_bytes());
        verifier.submit_through(now, &mut throttle, Some(&directory()), attempt);
    }
    let waiting = std::iter::from_fn(|| {
        let job = verifier.next_job(T0)?;
        verifier.hashed(T0, job.id, false);
        Some(())
    });
    assert_eq!(waiting.count(), 2);
    (0..4).for_each(|session| verifier.forget(SessionId(session)));
    verifier.settle(now, &mut throttle);
    let (verdict, _) = through(&mut verifier, &mut throttle, T0, attempt(9, b"me@example.org"), true);
    assert_eq!(verdict, LoginVerdict::Unavailable(Unavailability::Throttled(ThrottleRule::Host)));
}

#[test]
fn the_refusal_of_a_source_with_a_record_leaves_later_and_on_the_grid_whoever_is_asked_for() {
    let leaving = |login: &[u8]| {
        let (mut verifier, mut throttle) = (verifier(), Throttle::new(Default::default(), [5; 32]));
        (0..5_u64)
            .map(|session| {
                let mut attempt = attempt(session, login);
                attempt.password = Secret::new(format!("guess {session}").into_bytes());
                through(&mut verifier, &mut throttle, T0, attempt, false).1.since_ms(T0)
            })
            .collect::<Vec<u64>>()
    };
    let times = leaving(b"me@example.org");
    assert!(times.is_sorted() && times[4] > times[0], "{times:?}");
    assert!(times.iter().all(|ms| (T0.0 + ms).is_multiple_of(REFUSAL_TICK_MS)));
    assert_eq!(times, leaving(b"who@example.org"));
}

fn with_app_password(login: &[u8]) -> Attempt {
    Attempt { password: Secret::new(APP_PASSWORD.to_vec()), ..attempt(1, login) }
}

#[test]
fn an_application_password_is_accepted_at_once_without_worker_queue_or_hash() {
    let mut verifier = Verifier::new([1; 32], Chance::from_seed([2; 32]));
    for (login, id) in [("apps@example.org", 5), ("BOTH@example.org", 6)] {
        verifier.submit(T0, Some(&directory()), with_app_password(login.as_bytes()));
        let decided = verifier.due(T0);
        let by = ProvenBy::AppPassword(CredentialId(1));
        assert_eq!(decided[0].verdict, LoginVerdict::Accepted(AccountId(id), by));
        assert!(verifier.next_job(T0).is_none());
    }
}

#[test]
fn an_application_password_of_one_account_opens_no_other_and_costs_one_hash_there() {
    let refused: Vec<Attempt> =
        refused_classes().into_iter().map(|(_, attempt)| with_app_password(&attempt.login)).collect();
    for attempt in refused {
        if attempt.login == b"apps@example.org" {
            continue;
        }
        let mut verifier = verifier();
        verifier.submit(T0, Some(&directory()), attempt);
        let job = verifier.next_job(T0).unwrap();
        verifier.hashed(T0, job.id, false);
        assert!(verifier.next_job(T0).is_none());
        assert!(matches!(verdict(&mut verifier), LoginVerdict::Refused(_)));
    }
}

#[test]
fn what_only_looks_like_an_application_password_costs_one_hash() {
    for login in ["apps@example.org", "both@example.org", "me@example.org", "who@example.org"] {
        let mut verifier = verifier();
        let password = Secret::new(b"7k2m-x9qd-aaaa-bbbb-cccc-dddd-eeef".to_vec());
        verifier.submit(T0, Some(&directory()), Attempt { password, ..attempt(1, login.as_bytes()) });
        let job = verifier.next_job(T0).unwrap();
        assert_eq!(job.tag.len(), 32);
        verifier.hashed(T0, job.id, false);
        assert!(verifier.next_job(T0).is_none(), "{login}");
    }
}

#[test]
fn the_owner_of_a_disabled_account_learns_it_by_an_application_password_too() {
    let mut verifier = verifier();
    verifier.submit(T0, Some(&directory()), with_app_password(b"offapps@example.org"));
    assert_eq!(verifier.due(T0)[0].verdict, LoginVerdict::Disabled(AccountId(7)));
}

#[test]
fn an_application_password_acts_for_nobody_else() {
    let mut verifier = verifier();
    let authorize_as = Some(b"me@example.org".to_vec());
    verifier.submit(
        T0,
        Some(&directory()),
        Attempt { authorize_as, ..with_app_password(b"both@example.org") },
    );
    let job = verifier.next_job(T0).unwrap();
    verifier.hashed(T0, job.id, true);
    assert_eq!(verdict(&mut verifier), LoginVerdict::Refused(Refusal::OtherIdentity));
}
