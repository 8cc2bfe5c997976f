//! Messages between parent and server over a socketpair, with descriptors beside them.
//!
//! A frame is a head of eight octets (length of the text, number of descriptors, both big-endian) and a
//! text of JSON. Descriptors travel with the first octet of their frame. A read may end inside a frame, or
//! bring the end of one and the beginning of another, so what was received says nothing about which frame
//! it belongs to: descriptors wait in line, and each frame takes as many as its head says.
#![expect(clippy::disallowed_methods, reason = "a wait for room has an end by the clock")]

use crate::config::checked::Config;
use crate::limits::{CHANNEL_DESCRIPTORS_MAX, CHANNEL_FRAME_OCTETS_MAX, CHANNEL_SEND_MS_MAX};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// From the parent to the server. Descriptors travel with the message, in the order said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToServer {
    /// The first message: everything to start with. Descriptors: one bound and listening socket for each of
    /// `config.listeners`, in that order.
    Start {
        /// The checked configuration.
        config: Box<Config>,
        /// Contents of the certificate file (PEM).
        certificate_pem: Option<String>,
        /// Contents of the key file (PEM).
        key_pem: Option<String>,
    },
    /// A hash worker is up. Descriptor: the socket to it.
    Worker,
    /// Leave: no new connections, a grace period for running transactions, then exit.
    Stop,
}

/// From the server to the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToParent {
    /// The store is open and connections are accepted.
    Ready,
    /// The loop turns.
    Alive,
    /// The hash worker does not answer: end it and start another.
    WorkerLate,
}

/// A message and the descriptors that came with it.
#[derive(Debug)]
pub struct Received<M> {
    /// What was said.
    pub message: M,
    /// What was passed.
    pub descriptors: Vec<OwnedFd>,
}

/// Octets of a frame before its text.
const HEAD_OCTETS: usize = 8;
/// Octets read at once.
const READ_OCTETS: usize = 16 * 1024;
/// Room for the descriptors of one read. Linux ends a read behind the octets that descriptors came with.
const CONTROL_OCTETS: usize = rustix::cmsg_space!(ScmRights(CHANNEL_DESCRIPTORS_MAX));

/// Two connected ends, closed on exec.
///
/// # Errors
/// What the operating system says.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// One end: takes in messages of type `In` and sends messages of type `Out`. Any error, once returned,
/// leaves the channel without a common place in the stream: drop it.
#[derive(Debug)]
pub struct Channel<In, Out> {
    socket: OwnedFd,
    /// What was read and is not yet a whole frame. It may hold a key, so it is wiped.
    input: Zeroizing<Vec<u8>>,
    /// Descriptors of frames that are not yet whole, oldest first.
    descriptors: VecDeque<OwnedFd>,
    messages: PhantomData<fn(Out) -> In>,
}

impl<In: DeserializeOwned, Out: Serialize> Channel<In, Out> {
    /// Takes over one end and makes it non-blocking.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn from_fd(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self { socket, input: Zeroizing::default(), descriptors: VecDeque::new(), messages: PhantomData })
    }

    /// The next message, or `None` if it is not there yet. Readiness is only told once (mio is
    /// edge-triggered): call this until it says `None`.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEof`] when the other side closed, [`ErrorKind::InvalidData`] when it does not
    /// speak this language, or what the operating system says.
    pub fn try_recv(&mut self) -> io::Result<Option<Received<In>>> {
        loop {
            if let Some(received) = self.take_frame()? {
                return Ok(Some(received));
            }
            if !self.read()? {
                return Ok(None);
            }
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// See [`Channel::send_with`].
    pub fn send(&self, message: &Out) -> io::Result<()> {
        self.send_with(message, &[])
    }

    /// Sends a message and copies of descriptors. Waits while the channel is full, but not for ever.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the message or the number of descriptors is too large,
    /// [`ErrorKind::TimedOut`] when the other side does not read for [`CHANNEL_SEND_MS_MAX`], or what the
    /// operating system says.
    pub fn send_with(&self, message: &Out, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let frame = encode(message, descriptors.len())?;
        let until = Instant::now().checked_add(Duration::from_millis(CHANNEL_SEND_MS_MAX));
        let mut space = [MaybeUninit::uninit(); CONTROL_OCTETS];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "too many descriptors for one message"));
        }
        let mut rest = frame.as_slice();
        while !rest.is_empty() {
            match sendmsg(&self.socket, &[IoSlice::new(rest)], &mut control, SendFlags::NOSIGNAL) {
                Ok(sent) => {
                    rest = rest.get(sent..).unwrap_or_default();
                    // They went with the first octet.
                    control.clear();
                }
                Err(Errno::AGAIN) => self.wait_for_room(until)?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn wait_for_room(&self, until: Option<Instant>) -> io::Result<()> {
        let left = until.and_then(|until| until.checked_duration_since(Instant::now()));
        let late = || io::Error::new(ErrorKind::TimedOut, "the other side does not read");
        let timeout = Timespec::try_from(left.ok_or_else(late)?).map_err(|_| late())?;
        match poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], Some(&timeout)) {
            Ok(0) => Err(late()),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads once. False: nothing is there now.
    fn read(&mut self) -> io::Result<bool> {
        let mut octets = Zeroizing::new([0; READ_OCTETS]);
        let mut space = [MaybeUninit::uninit(); CONTROL_OCTETS];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut buffers = [IoSliceMut::new(octets.as_mut_slice())];
            match recvmsg(&self.socket, &mut buffers, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Ok(received) => break received,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        if received.bytes == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(invalid("descriptors were lost: too many in one message, or too many files open"));
        }
        self.input.extend_from_slice(octets.get(..received.bytes).unwrap_or_default());
        Ok(true)
    }

    /// Takes one whole frame out of what was read.
    fn take_frame(&mut self) -> io::Result<Option<Received<In>>> {
        let Some((head, rest)) = self.input.split_first_chunk::<HEAD_OCTETS>() else { return Ok(None) };
        let [a, b, c, d, e, f, g, h] = *head;
        let (length, count) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if length > CHANNEL_FRAME_OCTETS_MAX || count > CHANNEL_DESCRIPTORS_MAX {
            return Err(invalid("a message is too large"));
        }
        let Some((text, rest)) = rest.split_at_checked(length) else {
            // Grown once to the whole frame: a vector that grows leaves copies of its contents behind.
            let missing = length.saturating_sub(rest.len());
            self.input.reserve_exact(missing.max(READ_OCTETS));
            return Ok(None);
        };
        let message = serde_json::from_slice(text).map_err(|_| invalid("a message cannot be read"))?;
        let descriptors: Vec<OwnedFd> =
            std::iter::from_fn(|| self.descriptors.pop_front()).take(count).collect();
        if descriptors.len() < count {
            return Err(invalid("a message came without its descriptors"));
        }
        self.input = Zeroizing::new(rest.to_vec());
        Ok(Some(Received { message, descriptors }))
    }
}

impl<In, Out> AsFd for Channel<In, Out> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

/// A whole frame. It may hold a key, so it is wiped.
fn encode<M: Serialize>(message: &M, descriptors: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let text = Zeroizing::new(serde_json::to_vec(message)?);
    if text.len() > CHANNEL_FRAME_OCTETS_MAX || descriptors > CHANNEL_DESCRIPTORS_MAX {
        let what = format!(
            "a message of {} octets with {descriptors} descriptors; at most {CHANNEL_FRAME_OCTETS_MAX} and \
             {CHANNEL_DESCRIPTORS_MAX} can be sent",
            text.len()
        );
        return Err(io::Error::new(ErrorKind::InvalidInput, what));
    }
    let (length, count) = (u32::try_from(text.len()), u32::try_from(descriptors));
    let (Ok(length), Ok(count)) = (length, count) else { return Err(ErrorKind::InvalidInput.into()) };
    let mut frame = Zeroizing::new(Vec::with_capacity(text.len().saturating_add(HEAD_OCTETS)));
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&count.to_be_bytes());
    frame.extend_from_slice(&text);
    Ok(frame)
}

#[cfg(test)]
mod tests;
