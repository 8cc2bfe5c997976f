//! Jobs and answers as packets: what passes between the loop and its hash worker.
//!
//! Neither end trusts the other with more than its work: whatever arrives is a job or an answer of a known size, or
//! nothing.

use crate::auth::password::PasswordHash;
use crate::auth::verifier::{DeriveJob, HashJob, JobId};
use crate::limits::{HASH_JOB_OCTETS_MAX, PASSWORD_OCTETS_MAX, SCRAM_ITERATIONS_MAX, SCRAM_SALT_OCTETS};
use crate::types::scram::SHA256_OCTETS;
use crate::types::{ScramKeys, ScramSalt, Secret};
use std::io::{self, ErrorKind};
use zeroize::Zeroizing;

/// The first octet of a job: compare a password with a hash.
const COMPARE: u8 = 1;
/// The first octet of a job: make SCRAM keys of a password.
const DERIVE: u8 = 2;
/// Octets of an answer to [`COMPARE`]: the job's number, then 1 for right or 0 for wrong.
const COMPARED_OCTETS: usize = 9;
/// Octets of an answer to [`DERIVE`]: the job's number, then both keys.
pub const DERIVED_OCTETS: usize = 8 + 2 * SHA256_OCTETS;

/// What the worker is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Job {
    /// Compare a password with a hash.
    Compare(JobId, Secret, PasswordHash),
    /// Make SCRAM keys of a password.
    Derive(JobId, Secret, ScramSalt),
}

/// [`DERIVE`] as a packet: its octet, number (8), rounds (4), salt, and the password to the end.
///
/// # Errors
/// For a password longer than any.
pub fn encode_derivation(job: &DeriveJob) -> io::Result<Zeroizing<Vec<u8>>> {
    let password = job.password.reveal();
    if password.len() > PASSWORD_OCTETS_MAX {
        return Err(malformed());
    }
    let mut packet = Zeroizing::new(Vec::with_capacity(HASH_JOB_OCTETS_MAX));
    packet.push(DERIVE);
    packet.extend_from_slice(&job.id.0.to_be_bytes());
    packet.extend_from_slice(&job.salt.iterations.to_be_bytes());
    packet.extend_from_slice(&job.salt.salt);
    packet.extend_from_slice(password);
    Ok(packet)
}

/// What [`encode_job`] or [`encode_derivation`] wrote; `None` if neither can have written it, or if it asks for
/// more than there is ever to do.
#[must_use]
pub fn decode(packet: &[u8]) -> Option<Job> {
    match packet.split_first()? {
        (&COMPARE, rest) => decode_job(rest).map(|(id, password, hash)| Job::Compare(id, password, hash)),
        (&DERIVE, rest) => {
            let (id, rest) = rest.split_first_chunk::<8>()?;
            let (iterations, rest) = rest.split_first_chunk::<4>()?;
            let (salt, password) = rest.split_first_chunk::<SCRAM_SALT_OCTETS>()?;
            let salt = ScramSalt { salt: *salt, iterations: u32::from_be_bytes(*iterations) };
            let in_range = salt.iterations <= SCRAM_ITERATIONS_MAX && password.len() <= PASSWORD_OCTETS_MAX;
            let id = JobId(u64::from_be_bytes(*id));
            in_range.then(|| Job::Derive(id, Secret::new(password.to_vec()), salt))
        }
        (_, _) => None,
    }
}

/// [`COMPARE`] as a packet: its octet, number (8 octets), memory, passes, lanes (4 each), length of the password (2), of salt
/// and tag (1 each), all big-endian; then the three.
///
/// # Errors
/// For a job larger than any.
pub fn encode_job(job: &HashJob) -> io::Result<Zeroizing<Vec<u8>>> {
    let password = job.password.reveal();
    let lengths = (u16::try_from(password.len()), u8::try_from(job.salt.len()), u8::try_from(job.tag.len()));
    let (Ok(password_length), Ok(salt_length), Ok(tag_length)) = lengths else { return Err(malformed()) };
    let mut packet = Zeroizing::new(Vec::with_capacity(HASH_JOB_OCTETS_MAX));
    packet.push(COMPARE);
    packet.extend_from_slice(&job.id.0.to_be_bytes());
    for number in [job.memory_kib, job.passes, job.lanes] {
        packet.extend_from_slice(&number.to_be_bytes());
    }
    packet.extend_from_slice(&password_length.to_be_bytes());
    packet.extend_from_slice(&[salt_length, tag_length]);
    if packet
        .len()
        .saturating_add(password.len())
        .saturating_add(job.salt.len())
        .saturating_add(job.tag.len())
        > HASH_JOB_OCTETS_MAX
    {
        return Err(malformed());
    }
    for part in [password, &job.salt, &job.tag] {
        packet.extend_from_slice(part);
    }
    Ok(packet)
}

/// What [`encode_job`] wrote behind the first octet; `None` if it cannot have written it, or if it asks for more
/// than any stored hash may.
fn decode_job(packet: &[u8]) -> Option<(JobId, Secret, PasswordHash)> {
    let (id, rest) = packet.split_first_chunk::<8>()?;
    let (memory_kib, rest) = rest.split_first_chunk::<4>()?;
    let (passes, rest) = rest.split_first_chunk::<4>()?;
    let (lanes, rest) = rest.split_first_chunk::<4>()?;
    let (password_length, rest) = rest.split_first_chunk::<2>()?;
    let ([salt_length, tag_length], rest) = rest.split_first_chunk::<2>()?;
    let (password, rest) = rest.split_at_checked(u16::from_be_bytes(*password_length).into())?;
    let (salt, tag) = rest.split_at_checked((*salt_length).into())?;
    let hash = PasswordHash {
        memory_kib: u32::from_be_bytes(*memory_kib),
        passes: u32::from_be_bytes(*passes),
        lanes: u32::from_be_bytes(*lanes),
        salt: salt.to_vec(),
        tag: tag.to_vec(),
    };
    let whole = tag.len() == usize::from(*tag_length) && password.len() <= PASSWORD_OCTETS_MAX;
    (whole && hash.in_range()).then(|| (JobId(u64::from_be_bytes(*id)), Secret::new(password.to_vec()), hash))
}

/// The error of what is no packet.
#[must_use]
pub fn malformed() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "a packet on the hash worker's socket is not one")
}

/// What the worker found out.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// For which job.
    pub job: JobId,
    /// What.
    pub result: Outcome,
}

/// The outcome of a job.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Whether the password was right.
    Compared(bool),
    /// The keys of the password.
    Derived(ScramKeys),
}

/// What the worker sent as an answer; `None` if it is none.
#[must_use]
pub fn decode_answer(packet: &[u8]) -> Option<Answer> {
    let (id, rest) = packet.split_first_chunk::<8>()?;
    let result = match (packet.len(), rest) {
        (COMPARED_OCTETS, [0]) => Outcome::Compared(false),
        (COMPARED_OCTETS, [1]) => Outcome::Compared(true),
        (DERIVED_OCTETS, keys) => {
            let (stored, server) = keys.split_first_chunk::<SHA256_OCTETS>()?;
            Outcome::Derived(ScramKeys { stored: *stored, server: server.try_into().ok()? })
        }
        (_, _) => return None,
    };
    Some(Answer { job: JobId(u64::from_be_bytes(*id)), result })
}

/// An answer as a packet.
#[must_use]
pub fn encode_answer(answer: &Answer) -> Zeroizing<Vec<u8>> {
    let mut packet = Zeroizing::new(Vec::with_capacity(DERIVED_OCTETS));
    packet.extend_from_slice(&answer.job.0.to_be_bytes());
    match &answer.result {
        Outcome::Compared(is_right) => packet.push(u8::from(*is_right)),
        Outcome::Derived(keys) => {
            packet.extend_from_slice(&keys.stored);
            packet.extend_from_slice(&keys.server);
        }
    }
    packet
}
