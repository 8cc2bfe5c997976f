//! Computes argon2id for the loop: a process with one thread, no files, no network.
//!
//! Its socket keeps packets apart: one packet is one job, one packet is one answer, nothing is ever split
//! or merged. What cannot be a job ends the process, and so does a job it cannot compute: then the attempt
//! in flight is answered 454, and the parent starts another worker.

pub mod packet;

pub use packet::{Answer, Outcome};

use crate::auth::password::{PasswordHash, normalise};
use crate::auth::scram::keys::derive_salted;
use crate::auth::verifier::{DeriveJob, HashJob};
use crate::limits::{
    ARGON2_LANES, ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_SALT_OCTETS, ARGON2_TAG_OCTETS,
    HASH_JOB_OCTETS_MAX, HASH_MEMORY_IDLE_MS, HASH_NICE,
};
use crate::server::log_thread::last_words;
use crate::telemetry::line::Line;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use packet::{
    DERIVED_OCTETS, Job, decode, decode_answer, encode_answer, encode_derivation, encode_job, malformed,
};
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

// ---- The loop's side ----

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
    let answer = match job {
        Job::Compare(job, password, hash) => {
            let tag = argon2id(memory, password.reveal(), &hash)?;
            Answer { job, result: Outcome::Compared(tag.ct_eq(&hash.tag).into()) }
        }
        Job::Derive(job, password, salt) => {
            Answer { job, result: Outcome::Derived(derive_salted(password.reveal(), &salt)) }
        }
    };
    Ok(encode_answer(&answer))
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
