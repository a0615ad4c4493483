//! Tells a connection that libzmq closed for a frame over the limit from one that its peer closed. libzmq says
//! nothing of it; but a connection that is closed in the middle of a frame has bytes that nobody read. To see them,
//! a second descriptor of each connection is held. By it a connection can also be ended, which libzmq offers to nobody.

use std::collections::HashMap;
use std::net::{IpAddr, Shutdown, TcpStream};
use std::os::fd::{OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use rustix::net::sockopt::set_tcp_user_timeout;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// Connections watched at a time; those beyond count as closed by their peers.
const MAX_HELD: usize = 2048;

/// Milliseconds that a peer may leave unread what it was sent, before the kernel ends the connection (`TCP_USER_TIMEOUT`
/// of tcp(7), which counts a closed window too).
const UNREAD: u32 = 30_000;

/// What becomes of a new connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It may stay.
    Admitted,
    /// It was ended; who made it.
    Refused(IpAddr),
}

/// Second descriptors of open connections, by the number of the first.
#[derive(Debug, Default)]
pub(super) struct Witness {
    myself: Option<OwnedFd>,
    held: HashMap<RawFd, TcpStream>,
}

impl Witness {
    /// A witness; it sees nothing where the kernel forbids it.
    pub(super) fn new() -> Self {
        Self { myself: pidfd_open(getpid(), PidfdFlags::empty()).ok(), held: HashMap::new() }
    }

    /// A connection to `port` was accepted: its peer's address. It is held if `admits` says so, or else ended.
    pub(super) fn accepted(
        &mut self,
        fd: RawFd,
        port: u16,
        admits: impl FnOnce(IpAddr) -> bool,
    ) -> Option<Admission> {
        let second = pidfd_getfd(self.myself.as_ref()?, fd, PidfdGetfdFlags::empty()).ok()?;
        let second = TcpStream::from(second);
        // By now the number may be another descriptor's.
        let is_ours = second.local_addr().is_ok_and(|own| own.port() == port);
        let from = second.peer_addr().ok().filter(|_| is_ours)?.ip();
        if !admits(from) {
            let _ = second.shutdown(Shutdown::Both);
            return Some(Admission::Refused(from));
        }
        // If it fails, the connection has ended already.
        let _ = set_tcp_user_timeout(&second, UNREAD);
        if self.held.len() < MAX_HELD {
            self.held.insert(fd, second);
        }
        Some(Admission::Admitted)
    }

    /// A connection was closed for a reason that is known: nothing is waited for.
    pub(super) fn forget(&mut self, fd: RawFd) {
        self.held.remove(&fd);
    }

    /// A connection was closed; true if bytes of it were left unread.
    pub(super) fn closed_unread(&mut self, fd: RawFd) -> bool {
        self.held.remove(&fd).is_some_and(|second| has_unread(&second))
    }
}

/// Waits a moment for bytes on their way, which a busy machine may hold up; the end that a peer sends comes at once.
fn has_unread(connection: &TcpStream) -> bool {
    let moment = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };
    let _ = poll(&mut [PollFd::new(connection, PollFlags::IN)], Some(&moment));
    ioctl_fionread(connection).is_ok_and(|unread| unread > 0)
}
