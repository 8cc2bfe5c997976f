//! Computes argon2id for the loop: a process with one thread, no files, no network.
//!
//! Its socket keeps packets apart: one packet is one job, one packet is one answer, nothing is ever split
//! or merged. What cannot be a job ends the process, and so does a job it cannot compute: then the attempt
//! in flight is answered 454, and the parent starts another worker.

use crate::auth::password::{PasswordHash, normalise};
use crate::auth::scram::keys::derive_salted;
use crate::auth::verifier::{DeriveJob, HashJob, JobId};
use crate::limits::{
    ARGON2_LANES, ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_SALT_OCTETS, ARGON2_TAG_OCTETS,
    HASH_JOB_OCTETS_MAX, HASH_MEMORY_IDLE_MS, HASH_NICE, PASSWORD_OCTETS_MAX, SCRAM_ITERATIONS_MAX,
    SCRAM_SALT_OCTETS,
};
use crate::server::log_thread::last_words;
use crate::telemetry::line::Line;
use crate::types::scram::SHA256_OCTETS;
use crate::types::{ScramKeys, ScramSalt, Secret};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Two connected ends for a worker and the loop, closed on exec.
///
/// # Errors
/// What the operating system says.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

// ---- argon2id ----

/// Why a hash was not computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashError {
    /// There is not enough memory.
    Memory,
    /// The parameters are none that argon2id allows.
    Parameters,
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => {
                write!(f, "there is not enough free memory to hash a password ({ARGON2_MEMORY_KIB} KiB)")
            }
            Self::Parameters => f.write_str("the parameters of the password hash are not possible"),
        }
    }
}

impl std::error::Error for HashError {}

/// Hashes a password that is being set, after bringing it into its normal form, and gives the PHC string.
/// Takes some 30 ms and the memory that `limits` says. `salt` must come from the operating system.
///
/// # Errors
/// See [`HashError`].
pub fn hash_password(password: &[u8], salt: &[u8; ARGON2_SALT_OCTETS]) -> Result<String, HashError> {
    let password = normalise(password);
    let mut hash = PasswordHash {
        memory_kib: ARGON2_MEMORY_KIB,
        passes: ARGON2_PASSES,
        lanes: ARGON2_LANES,
        salt: salt.to_vec(),
        tag: vec![0; ARGON2_TAG_OCTETS],
    };
    let tag = argon2id(&mut Vec::new(), password.reveal(), &hash)?;
    hash.tag = tag.to_vec();
    Ok(hash.to_string())
}

/// The tag of a password under the salt and parameters of `like`, as long as the one of `like`. `memory`
/// grows as needed and may be used again.
fn argon2id(
    memory: &mut Vec<Block>,
    password: &[u8],
    like: &PasswordHash,
) -> Result<Zeroizing<Vec<u8>>, HashError> {
    let length = like.tag.len();
    let params = Params::new(like.memory_kib, like.passes, like.lanes, Some(length))
        .map_err(|_| HashError::Parameters)?;
    let blocks = params.block_count();
    let missing = blocks.saturating_sub(memory.len());
    memory.try_reserve_exact(missing).map_err(|_| HashError::Memory)?;
    memory.resize(memory.len().max(blocks), Block::new());
    let memory = memory.get_mut(..blocks).ok_or(HashError::Memory)?;
    let mut tag = Zeroizing::new(vec![0; length]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password, &like.salt, &mut tag, memory)
        .map_err(|_| HashError::Parameters)?;
    Ok(tag)
}

// ---- Packets ----

/// The first octet of a job: compare a password with a hash.
const COMPARE: u8 = 1;
/// The first octet of a job: make SCRAM keys of a password.
const DERIVE: u8 = 2;
/// Octets of an answer to [`COMPARE`]: the job's number, then 1 for right or 0 for wrong.
const COMPARED_OCTETS: usize = 9;
/// Octets of an answer to [`DERIVE`]: the job's number, then both keys.
const DERIVED_OCTETS: usize = 8 + 2 * SHA256_OCTETS;

/// What the worker is asked for.
enum Job {
    Compare(JobId, Secret, PasswordHash),
    Derive(JobId, Secret, ScramSalt),
}

/// [`DERIVE`] as a packet: its octet, number (8), rounds (4), salt, and the password to the end.
fn encode_derivation(job: &DeriveJob) -> io::Result<Zeroizing<Vec<u8>>> {
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
fn decode(packet: &[u8]) -> Option<Job> {
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
fn encode_job(job: &HashJob) -> io::Result<Zeroizing<Vec<u8>>> {
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

fn malformed() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "a packet on the hash worker's socket is not one")
}

// ---- The loop's side ----

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

/// The loop's end of a worker's socket. Never blocks.
#[derive(Debug)]
pub struct WorkerLink {
    socket: OwnedFd,
}

impl WorkerLink {
    /// Takes over the end that came with [`ToServer::Worker`](super::channel::ToServer::Worker).
    ///
    /// # Errors
    /// What the operating system says.
    pub fn from_fd(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self { socket })
    }

    /// Hands a job over, all of it or nothing.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] when the worker does not take anything (it cannot happen while at most one
    /// job is in flight), [`ErrorKind::BrokenPipe`] and others when the worker is gone.
    pub fn try_send(&self, job: &HashJob) -> io::Result<()> {
        self.send_packet(&encode_job(job)?)
    }

    /// The same with a password to make SCRAM keys of.
    ///
    /// # Errors
    /// Those of [`WorkerLink::try_send`].
    pub fn try_send_derivation(&self, job: &DeriveJob) -> io::Result<()> {
        self.send_packet(&encode_derivation(job)?)
    }

    fn send_packet(&self, packet: &[u8]) -> io::Result<()> {
        loop {
            match send(&self.socket, packet, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The next answer. `None`: none is there now.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEof`] when the worker is gone, [`ErrorKind::InvalidData`] when what it sent is
    /// no answer; replace it in both cases.
    pub fn try_recv(&self) -> io::Result<Option<Answer>> {
        let mut packet = Zeroizing::new([0; DERIVED_OCTETS]);
        let length = loop {
            match recv(&self.socket, packet.as_mut_slice(), RecvFlags::TRUNC) {
                Ok((_, length)) => break length,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        };
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        packet.get(..length).and_then(decode_answer).map(Some).ok_or_else(malformed)
    }
}

fn decode_answer(packet: &[u8]) -> Option<Answer> {
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

impl AsFd for WorkerLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

// ---- The worker's side ----

/// Why a worker ends before its time.
#[derive(Debug)]
enum Failure {
    /// The socket broke.
    Socket(io::Error),
    /// A packet is no job.
    Malformed,
    /// A job cannot be computed.
    Hash(HashError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(error) => write!(f, "its socket: {error}"),
            Self::Malformed => f.write_str("a packet is no job"),
            Self::Hash(error) => error.fmt(f),
        }
    }
}

/// The hash worker: its socket is standard input, where the parent put it. Ends when the loop's end closes;
/// with 70 (`EX_SOFTWARE`) when it cannot go on.
#[must_use]
pub fn run() -> ExitCode {
    // The parent decides when it ends; a Ctrl-C or a stop of the whole unit must not take the worker from
    // transactions that still run. Signals with a handler do not end a process.
    let signals = [Signal::TERM, Signal::INT].map(Signal::as_raw);
    let handled = signal_hook_mio::v1_0::Signals::new(signals);
    // What a panic says may hold what was being hashed; the place says enough.
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, ToString::to_string);
        last_words(Line::new("hash-worker-panic").text("place", &place));
    }));
    renounce();
    let served = serve(io::stdin().as_fd());
    drop(handled);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            last_words(Line::new("hash-worker-failed").text("error", &failure.to_string()));
            ExitCode::from(70)
        }
    }
}

/// Gives up what hashing does not need. What the kernel refuses here is one wall less against a fault of our
/// own, and no reason not to work.
fn renounce() {
    // No core file ever holds a password.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // No new descriptor can be opened; those it has (0, 1, 2 and the socket) stay. One and not zero, since
    // poll asks for as many as it is given.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(1), maximum: Some(1) });
    let _ = rustix::thread::set_no_new_privs(true);
    let _ = rustix::process::nice(HASH_NICE);
}

/// Answers jobs until the other end closes.
fn serve(socket: BorrowedFd<'_>) -> Result<(), Failure> {
    let mut memory = Vec::new();
    loop {
        if !wait(socket, !memory.is_empty()).map_err(Failure::Socket)? {
            memory = Vec::new();
            continue;
        }
        let mut packet = Zeroizing::new([0; HASH_JOB_OCTETS_MAX]);
        let length = match recv(socket, packet.as_mut_slice(), RecvFlags::TRUNC) {
            Ok((_, length)) => length,
            Err(Errno::INTR | Errno::AGAIN) => continue,
            // The loop's process died with an answer of ours unread.
            Err(Errno::CONNRESET) => 0,
            Err(error) => return Err(Failure::Socket(error.into())),
        };
        if length == 0 {
            return Ok(());
        }
        let job = packet.get(..length).and_then(decode).ok_or(Failure::Malformed)?;
        drop(packet);
        let answer = compute(&mut memory, job).map_err(Failure::Hash)?;
        match send(socket, &answer, SendFlags::NOSIGNAL) {
            Ok(_) => {}
            Err(Errno::PIPE | Errno::CONNRESET) => return Ok(()),
            Err(error) => return Err(Failure::Socket(error.into())),
        }
    }
}

/// Does a job, and gives the answer as a packet.
fn compute(memory: &mut Vec<Block>, job: Job) -> Result<Zeroizing<Vec<u8>>, HashError> {
    let mut answer = Zeroizing::new(Vec::with_capacity(DERIVED_OCTETS));
    match job {
        Job::Compare(id, password, hash) => {
            let tag = argon2id(memory, password.reveal(), &hash)?;
            answer.extend_from_slice(&id.0.to_be_bytes());
            answer.push(tag.ct_eq(&hash.tag).unwrap_u8());
        }
        Job::Derive(id, password, salt) => {
            let keys = derive_salted(password.reveal(), &salt);
            answer.extend_from_slice(&id.0.to_be_bytes());
            answer.extend_from_slice(&keys.stored);
            answer.extend_from_slice(&keys.server);
        }
    }
    Ok(answer)
}

/// A worker in a thread of a test.
#[cfg(test)]
pub(super) fn serve_until_closed(socket: &OwnedFd) {
    serve(socket.as_fd()).unwrap();
}

/// Waits for a packet; false when none came for so long that memory should be given back.
fn wait(socket: BorrowedFd<'_>, holds_memory: bool) -> io::Result<bool> {
    let idle = Timespec::try_from(Duration::from_millis(HASH_MEMORY_IDLE_MS)).ok();
    loop {
        let timeout = idle.as_ref().filter(|_| holds_memory);
        match poll(&mut [PollFd::new(&socket, PollFlags::IN)], timeout) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
