//! Listening sockets: bound here, or taken from the service manager that bound them.

use crate::config::checked::ListenerConfig;
use crate::limits::{CHANNEL_DESCRIPTORS_MAX, LISTEN_BACKLOG};
use crate::telemetry::line::Line;
use listenfd::ListenFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

/// Why a listener cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindError {
    /// The door; `None` when there are too many of them.
    pub listener: Option<&'static str>,
    /// Where.
    pub address: SocketAddr,
    /// What the operating system said.
    pub errno: Errno,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(listener) = self.listener else {
            return write!(
                f,
                "there are more than {CHANNEL_DESCRIPTORS_MAX} listeners; {} is one too many, remove it",
                self.address
            );
        };
        write!(f, "cannot listen on {} ({listener}): {}", self.address, self.errno)?;
        match self.errno {
            Errno::ADDRINUSE => f.write_str(
                "; another program has it, stop that one (ss -ltnp shows which) or choose another address",
            ),
            Errno::ACCESS | Errno::PERM if self.address.port() < 1024 => f.write_str(
                "; ports below 1024 need the capability CAP_NET_BIND_SERVICE, a socket from the service \
                 manager, or net.ipv4.ip_unprivileged_port_start set to the port or lower",
            ),
            Errno::ADDRNOTAVAIL => {
                f.write_str("; no interface of this machine has the address, ip addr shows those there are")
            }
            Errno::AFNOSUPPORT => f.write_str("; this machine has no IPv6, remove the listener"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for BindError {}

impl BindError {
    /// The exit code by sysexits: another program may go away (75), permission may be given (77), the rest
    /// is the configuration (78).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.errno {
            Errno::ADDRINUSE | Errno::NFILE | Errno::MFILE | Errno::NOBUFS | Errno::NOMEM => 75,
            Errno::ACCESS | Errno::PERM => 77,
            _ => 78,
        }
    }
}

/// Sockets that were bound before this process started, by their address.
type Passed = BTreeMap<SocketAddr, TcpListener>;

/// One listening socket for each listener, in their order, non-blocking and closed on exec. Sockets that the
/// service manager passed (`LISTEN_FDS`, sd_listen_fds(3)) are used where their address is the configured
/// one; those nobody configured are closed, with a warning.
///
/// # Errors
/// The first listener that cannot be, and why.
pub fn listeners(configured: &[ListenerConfig]) -> Result<Vec<OwnedFd>, BindError> {
    adopt_or_open(passed(), configured)
}

fn adopt_or_open(mut passed: Passed, configured: &[ListenerConfig]) -> Result<Vec<OwnedFd>, BindError> {
    let mut sockets = Vec::with_capacity(configured.len());
    for (index, listener) in configured.iter().enumerate() {
        let name = (index < CHANNEL_DESCRIPTORS_MAX).then(|| listener.kind.name());
        let error = |errno| BindError { listener: name, address: listener.address, errno };
        if name.is_none() {
            return Err(error(Errno::TOOBIG));
        }
        let socket = match passed.remove(&listener.address) {
            Some(socket) => adopt(socket),
            None => open(listener.address),
        };
        sockets.push(socket.map_err(error)?);
    }
    for address in passed.into_keys() {
        let line = Line::new("socket-unused").field("address", address).text(
            "message",
            "the service manager passed a socket for an address that no listener has; it is closed",
        );
        log::warn!("{}", line.finish());
    }
    Ok(sockets)
}

/// What the service manager passed, with its address. Called once: the descriptors belong to the first who
/// asks.
fn passed() -> Passed {
    let mut manager = ListenFd::from_env();
    (0..manager.len())
        .filter_map(|index| match manager.take_tcp_listener(index) {
            Ok(Some(socket)) => socket.local_addr().ok().map(|address| (address, socket)),
            Ok(None) => None,
            Err(error) => {
                let line = Line::new("socket-unused").text("message", &error.to_string());
                log::warn!("{}", line.finish());
                None
            }
        })
        .collect()
}

/// A socket somebody else bound. Its backlog may be smaller than ours; listening again sets it.
fn adopt(socket: TcpListener) -> Result<OwnedFd, Errno> {
    let socket = OwnedFd::from(socket);
    rustix::io::ioctl_fionbio(&socket, true)?;
    listen(&socket, LISTEN_BACKLOG)?;
    Ok(socket)
}

/// A socket of our own.
fn open(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    // Connections of the run before that still wait for their last packets do not keep the port from us.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // So that IPv4 has its own listener and no peer arrives as an IPv4-mapped address.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &address)?;
    listen(&socket, LISTEN_BACKLOG)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Listener;
    use std::net::TcpStream;

    fn listener(address: SocketAddr) -> ListenerConfig {
        ListenerConfig { kind: Listener::Smtp, address }
    }

    fn address_of(socket: &OwnedFd) -> SocketAddr {
        TcpListener::from(socket.try_clone().unwrap()).local_addr().unwrap()
    }

    #[test]
    fn every_listener_gets_its_socket_in_its_order() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let sockets = listeners(&[listener(any), listener(any)]).unwrap();
        assert_eq!(sockets.len(), 2);
        for socket in &sockets {
            TcpStream::connect(address_of(socket)).unwrap();
            assert!(rustix::io::fcntl_getfd(socket).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
            assert!(rustix::fs::fcntl_getfl(socket).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
        }
    }

    #[test]
    fn an_address_in_use_is_named_with_what_to_do() {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = first.local_addr().unwrap();
        let error = listeners(&[listener(address)]).unwrap_err();
        assert_eq!((error.errno, error.exit_code()), (Errno::ADDRINUSE, 75));
        let text = error.to_string();
        assert!(text.starts_with(&format!("cannot listen on {address} (smtp): ")), "{text}");
        assert!(text.contains("another program has it"), "{text}");
    }

    #[test]
    fn an_address_nobody_has_is_an_error_of_the_configuration() {
        let error = listeners(&[listener("192.0.2.1:0".parse().unwrap())]).unwrap_err();
        assert_eq!(error.exit_code(), 78);
        assert!(error.to_string().contains("no interface of this machine"), "{error}");
    }

    #[test]
    fn a_low_port_without_permission_says_how_to_get_it() {
        let error = BindError {
            listener: Some("smtp"),
            address: "0.0.0.0:25".parse().unwrap(),
            errno: Errno::ACCESS,
        };
        assert!(error.to_string().contains("CAP_NET_BIND_SERVICE"), "{error}");
        assert_eq!(error.exit_code(), 77);
    }

    #[test]
    fn a_port_can_be_bound_again_at_once() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let first = listeners(&[listener(any)]).unwrap();
        let address = address_of(&first[0]);
        let client = TcpStream::connect(address).unwrap();
        // The server's side closes first, so that its port is left waiting.
        let accepted = TcpListener::from(first.into_iter().next().unwrap()).accept();
        drop(accepted);
        drop(client);
        assert!(listeners(&[listener(address)]).is_ok());
    }

    #[test]
    fn a_socket_that_was_passed_is_used_for_its_listener_and_others_are_closed() {
        let wanted = TcpListener::bind("127.0.0.1:0").unwrap();
        let unwanted = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, other) = (wanted.local_addr().unwrap(), unwanted.local_addr().unwrap());
        // Bound once already: were it not taken over, binding it would fail.
        let passed = Passed::from([(address, wanted), (other, unwanted)]);
        let any = listener("127.0.0.1:0".parse().unwrap());
        let sockets = adopt_or_open(passed, &[any, listener(address)]).unwrap();
        assert_eq!(address_of(&sockets[1]), address);
        assert_ne!(address_of(&sockets[0]), other);
        assert!(rustix::fs::fcntl_getfl(&sockets[1]).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
        TcpStream::connect(address).unwrap();
        assert!(TcpStream::connect(other).is_err());
    }

    #[test]
    fn more_listeners_than_can_be_passed_are_refused() {
        let many = vec![listener("127.0.0.1:0".parse().unwrap()); CHANNEL_DESCRIPTORS_MAX + 1];
        assert!(listeners(&many).unwrap_err().to_string().contains("one too many"));
    }
}
