#![expect(clippy::disallowed_methods, reason = "the worker runs in a thread of the test")]

use super::*;
use crate::auth::verifier::JobId;
use crate::limits::{HASH_JOB_OCTETS_MAX, PASSWORD_OCTETS_MAX, SCRAM_ITERATIONS_MAX, SCRAM_SALT_OCTETS};
use crate::types::Chance;
use crate::types::{ScramSalt, Secret};
use std::thread::{JoinHandle, spawn};

/// The smallest argon2id there is, so that tests are quick.
fn small(salt: u8) -> PasswordHash {
    PasswordHash { memory_kib: 8, passes: 1, lanes: 1, salt: vec![salt; 16], tag: vec![0; 32] }
}

fn job(id: u64, password: &[u8], hash: PasswordHash) -> HashJob {
    let PasswordHash { memory_kib, passes, lanes, salt, tag } = hash;
    let password = Secret::new(password.to_vec());
    HashJob { id: JobId(id), password, salt, memory_kib, passes, lanes, tag }
}

fn worker() -> (WorkerLink, JoinHandle<Result<(), Failure>>) {
    let (ours, theirs) = pair().unwrap();
    (WorkerLink::from_fd(ours).unwrap(), spawn(move || serve(theirs.as_fd())))
}

fn answer(link: &WorkerLink) -> io::Result<(JobId, bool)> {
    let Answer { job, result } = any_answer(link)?;
    let Outcome::Compared(matched) = result else { panic!("another answer") };
    Ok((job, matched))
}

fn any_answer(link: &WorkerLink) -> io::Result<Answer> {
    loop {
        match link.try_recv() {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => {
                poll(&mut [PollFd::new(link, PollFlags::IN)], None).unwrap();
            }
            Err(error) => return Err(error),
        }
    }
}

#[test]
fn the_published_test_vector_comes_out() {
    // From the tests of the reference implementation: argon2id, version 19, t=2, m=256, p=1.
    let like =
        PasswordHash { memory_kib: 256, passes: 2, lanes: 1, salt: b"somesalt".to_vec(), tag: vec![0; 32] };
    let tag = argon2id(&mut Vec::new(), b"password", &like).unwrap();
    let hex: String = tag.iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(hex, "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe");
}

#[test]
fn memory_used_before_changes_no_tag() {
    let mut memory = vec![Block::new(); 4];
    let first = argon2id(&mut memory, b"a", &small(1)).unwrap();
    argon2id(&mut memory, b"other", &PasswordHash { memory_kib: 64, ..small(2) }).unwrap();
    assert_eq!(argon2id(&mut memory, b"a", &small(1)).unwrap(), first);
}

#[test]
fn a_hash_that_was_set_is_matched_by_its_password_in_any_composition() {
    let hash = hash_password("übermut am abend".as_bytes(), &[7; ARGON2_SALT_OCTETS]).unwrap();
    let again = PasswordHash::parse(&hash).unwrap();
    let typed = normalise("u\u{308}bermut am abend".as_bytes());
    assert_eq!(*argon2id(&mut Vec::new(), typed.reveal(), &again).unwrap(), again.tag);
}

#[test]
fn the_worker_tells_right_from_wrong() {
    let (link, thread) = worker();
    let mut right = small(3);
    right.tag = argon2id(&mut Vec::new(), b"secret", &right).unwrap().to_vec();
    for (id, password, expected) in [(1, &b"secret"[..], true), (2, b"secreT", false), (u64::MAX, b"", false)]
    {
        assert!(link.try_recv().unwrap().is_none());
        link.try_send(&job(id, password, right.clone())).unwrap();
        assert_eq!(answer(&link).unwrap(), (JobId(id), expected));
    }
    drop(link);
    assert!(thread.join().unwrap().is_ok());
}

#[test]
fn the_longest_password_there_is_is_hashed() {
    let (link, _thread) = worker();
    let hash = PasswordHash { salt: vec![1; 64], tag: vec![1; 64], ..small(1) };
    link.try_send(&job(1, &[b'x'; PASSWORD_OCTETS_MAX], hash.clone())).unwrap();
    assert_eq!(answer(&link).unwrap(), (JobId(1), false));
    assert!(link.try_send(&job(1, &[b'x'; PASSWORD_OCTETS_MAX + 1], hash)).is_err());
}

#[test]
fn what_is_no_job_ends_the_worker_and_the_loop_sees_it() {
    let good = encode_job(&job(1, b"secret", small(1))).unwrap();
    let mut dear = good.to_vec();
    dear[8..12].fill(0xff);
    let mut longer = good.to_vec();
    longer.push(0);
    for packet in [&good[..20], &dear, &longer, &[0; HASH_JOB_OCTETS_MAX + 1], b"x"] {
        let (link, thread) = worker();
        send(&link, packet, SendFlags::empty()).unwrap();
        assert_eq!(answer(&link).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert!(matches!(thread.join().unwrap(), Err(Failure::Malformed)));
    }
}

#[test]
fn what_is_no_answer_is_an_error() {
    for packet in [&[0; 8][..], &[0; 10], &[2; 9], &[0; 2_000]] {
        let (ours, theirs) = pair().unwrap();
        let link = WorkerLink::from_fd(ours).unwrap();
        send(&theirs, packet, SendFlags::empty()).unwrap();
        assert_eq!(link.try_recv().unwrap_err().kind(), ErrorKind::InvalidData);
    }
}

#[test]
fn a_job_for_a_dead_worker_is_an_error_and_no_signal() {
    let (ours, theirs) = pair().unwrap();
    drop(theirs);
    let link = WorkerLink::from_fd(ours).unwrap();
    assert_eq!(link.try_send(&job(1, b"x", small(1))).unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(link.try_recv().unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_worker_that_takes_nothing_never_blocks_the_loop() {
    let (ours, _theirs) = pair().unwrap();
    let link = WorkerLink::from_fd(ours).unwrap();
    let error = (0..100_000).find_map(|id| link.try_send(&job(id, b"x", small(1))).err()).unwrap();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_packet_reads_back_as_the_job_and_no_packet_panics() {
    let packet = encode_job(&job(77, b"secret", small(9))).unwrap();
    let Some(Job::Compare(id, password, hash)) = decode(&packet) else { panic!("no job") };
    assert_eq!((id, password.reveal()), (JobId(77), &b"secret"[..]));
    assert!(hash == small(9));
    let mut chance = Chance::from_seed([6; 32]);
    for _ in 0..5_000 {
        let mut other = packet.to_vec();
        let place = usize::try_from(chance.below(packet.len().try_into().unwrap())).unwrap();
        other[place] = chance.octets()[0];
        other.truncate(usize::try_from(chance.below(100)).unwrap());
        if let Some(Job::Compare(_, _, hash)) = decode(&other) {
            assert!(hash.in_range());
        }
    }
}

#[test]
fn keys_are_made_as_the_command_line_makes_them() {
    let (link, worker) = worker();
    let salt = ScramSalt { salt: [3; SCRAM_SALT_OCTETS], iterations: 4_096 };
    let password = || Secret::new("übermut".as_bytes().to_vec());
    link.try_send_derivation(&DeriveJob { id: JobId(5), password: password(), salt }).unwrap();
    let keys = derive_salted(password().reveal(), &salt);
    assert_eq!(any_answer(&link).unwrap(), Answer { job: JobId(5), result: Outcome::Derived(keys) });
    drop(link);
    assert!(worker.join().unwrap().is_ok());
}

#[test]
fn keys_of_more_rounds_than_there_may_be_are_no_job() {
    let salt = ScramSalt { salt: [3; SCRAM_SALT_OCTETS], iterations: SCRAM_ITERATIONS_MAX };
    let job = |salt| DeriveJob { id: JobId(5), password: Secret::new(vec![b'x'; PASSWORD_OCTETS_MAX]), salt };
    let good = encode_derivation(&job(salt)).unwrap();
    assert!(decode(&good).is_some());
    let more = ScramSalt { iterations: SCRAM_ITERATIONS_MAX + 1, ..salt };
    assert!(decode(&encode_derivation(&job(more)).unwrap()).is_none());
    assert!(decode(&[&good[..], b"x"].concat()).is_none());
    for end in 0..13 + SCRAM_SALT_OCTETS {
        assert!(decode(&good[..end]).is_none(), "cut at {end}");
    }
}
