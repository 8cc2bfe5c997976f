//! The data through a running server: its socket in the data directory.

use super::failure::{Exit, Failure, reason};
use super::output::output_failure;
use crate::control::{Request, Response, SOCKET_NAME};
use crate::limits::{CONTROL_ANSWER_MS_MAX, CONTROL_ANSWER_OCTETS_MAX, CONTROL_REQUEST_OCTETS_MAX};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Longest path of a Unix socket (unix(7), `sun_path` less its NUL): no server has one that is longer.
const SOCKET_PATH_OCTETS_MAX: usize = 107;

/// A connection to a running server.
#[derive(Debug)]
pub struct Remote {
    stream: BufReader<UnixStream>,
}

impl Remote {
    /// Connects. `None`: no server listens there.
    ///
    /// # Errors
    /// When one may listen and we may not ask.
    pub fn connect(dir: &Path) -> Result<Option<Self>, Failure> {
        let path = dir.join(SOCKET_NAME);
        if path.as_os_str().len() > SOCKET_PATH_OCTETS_MAX {
            return Ok(None);
        }
        let stream = match UnixStream::connect(&path) {
            Ok(stream) => stream,
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(Failure::of_path(Exit::Io, "connect to the server at", &path, &error)),
        };
        Self::over(stream).map(Some)
    }

    /// Talks over a connection that stands.
    ///
    /// # Errors
    /// When the operating system does not let it have a deadline.
    pub fn over(stream: UnixStream) -> Result<Self, Failure> {
        let patience = Some(Duration::from_millis(CONTROL_ANSWER_MS_MAX));
        stream
            .set_read_timeout(patience)
            .and_then(|()| stream.set_write_timeout(patience))
            .map_err(|error| lost(&error))?;
        Ok(Self { stream: BufReader::with_capacity(64 * 1024, stream) })
    }

    /// Asks one thing.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn ask(&mut self, request: &Request) -> Result<Response, Failure> {
        let mut line = serde_json::to_vec(request)
            .map_err(|error| Failure::new(Exit::Software, format!("cannot write the request: {error}")))?;
        line.push(b'\n');
        if line.len() > CONTROL_REQUEST_OCTETS_MAX {
            return Err(Failure::new(
                Exit::Data,
                "the request is too long for the server: ask for less at once",
            ));
        }
        self.stream.get_mut().write_all(&line).map_err(|error| lost(&error))?;
        let mut answer = Vec::new();
        (&mut self.stream)
            .take(CONTROL_ANSWER_OCTETS_MAX)
            .read_until(b'\n', &mut answer)
            .map_err(|error| lost(&error))?;
        if answer.last() != Some(&b'\n') {
            return Err(lost(&io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        serde_json::from_slice(&answer).map_err(|_| super::access::unexpected())
    }

    /// Copies so many octets of raw message.
    ///
    /// # Errors
    /// When the server stops in the middle, or `out` takes no more.
    pub fn copy_message(&mut self, octets: u64, out: &mut dyn Write) -> Result<(), Failure> {
        let mut left = octets;
        while left > 0 {
            let read = self.stream.fill_buf().map_err(|error| lost(&error))?;
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            let piece = read.get(..most).unwrap_or(read);
            if piece.is_empty() {
                return Err(lost(&io::Error::from(io::ErrorKind::UnexpectedEof)));
            }
            out.write_all(piece).map_err(|error| output_failure(&error))?;
            let taken = piece.len();
            self.stream.consume(taken);
            left = left.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX));
        }
        out.flush().map_err(|error| output_failure(&error))
    }
}

fn lost(error: &io::Error) -> Failure {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut, UnexpectedEof, WouldBlock};
    let kind = error.kind();
    let why = if matches!(kind, WouldBlock | TimedOut) {
        "it does not answer".to_owned()
    } else if matches!(kind, UnexpectedEof | BrokenPipe | ConnectionReset) {
        "it closed the connection".to_owned()
    } else {
        reason(error)
    };
    Failure::new(
        Exit::Temporary,
        format!(
            "the running server gave no answer ({why}): a change may or may not be done, so look before you try again"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Refusal;

    /// A server that answers the first line with these octets and is gone.
    fn answered(octets: &'static [u8]) -> (Remote, std::thread::JoinHandle<String>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = std::thread::Builder::new()
            .spawn(move || {
                let mut line = String::new();
                let mut reader = BufReader::new(theirs);
                reader.read_line(&mut line).unwrap();
                reader.get_mut().write_all(octets).unwrap();
                line
            })
            .unwrap();
        (Remote::over(ours).unwrap(), server)
    }

    #[test]
    fn one_line_asks_and_one_line_answers() {
        let (mut remote, server) = answered(b"{\"Refused\":[\"Data\",\"no\"]}\n");
        let answer = remote.ask(&Request::Directory).unwrap();
        assert_eq!(answer, Response::Refused(Refusal::Data, "no".to_owned()));
        assert_eq!(server.join().unwrap(), "\"Directory\"\n");
    }

    #[test]
    fn a_message_follows_its_line_to_the_octet() {
        let (mut remote, server) = answered(b"{\"Message\":7}\na\0\xff\r\n.\nmore");
        assert_eq!(remote.ask(&Request::Directory).unwrap(), Response::Message(7));
        let mut out = Vec::new();
        remote.copy_message(7, &mut out).unwrap();
        assert_eq!(out, b"a\0\xff\r\n.\n");
        server.join().unwrap();
    }

    #[test]
    fn a_message_cut_short_is_a_failure() {
        let (mut remote, server) = answered(b"{\"Message\":7}\nabc");
        remote.ask(&Request::Directory).unwrap();
        let mut out = Vec::new();
        let failure = remote.copy_message(7, &mut out).unwrap_err();
        assert!(matches!(failure, Failure::Told(Exit::Temporary, _)), "{failure:?}");
        server.join().unwrap();
    }

    #[test]
    fn a_server_that_leaves_or_talks_otherwise_is_a_reason_to_try_later() {
        for octets in [&b""[..], b"{\"Changed\"", b"{\"Hello\":1}\n", b"\n"] {
            let (mut remote, server) = answered(octets);
            let failure = remote.ask(&Request::Directory).unwrap_err();
            assert!(matches!(failure, Failure::Told(Exit::Temporary, _)), "{failure:?}");
            server.join().unwrap();
        }
    }

    #[test]
    fn nobody_listening_is_no_failure() {
        let dir = std::env::temp_dir().join(format!("gatepost-nobody-{}", std::process::id()));
        assert!(Remote::connect(&dir).unwrap().is_none());
    }
}
