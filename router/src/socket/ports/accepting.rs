//! Accepts connections, and closes those with a late handshake.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};

use super::{FIRST_CONNECTION, FIRST_PORT, Ports};
use crate::dispatch::Peer;
use crate::socket::CloseReason;
use crate::socket::connection::{Connection, Input, Origin};
use crate::socket::port::{Accepted, Port};

/// Maximum number of connections that are accepted from one port at a time.
const MAX_ACCEPTS: usize = 64;
/// Time until connections are accepted again after accepting has failed, for instance without free descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_secs(1);

impl Ports {
    /// Accepts the connections that wait at the port with a number.
    pub(super) fn accept_from(&mut self, number: u64, on_input: &mut dyn FnMut(Input<'_>)) {
        let index = number.checked_sub(FIRST_PORT).and_then(|index| usize::try_from(index).ok());
        let Some(index) = index.filter(|_| number < FIRST_CONNECTION) else { return };
        for _ in 0..MAX_ACCEPTS {
            let peer = Peer(self.last_number + 1);
            let Some(port) = self.ports.get_mut(index) else { return };
            let kind = port.kind();
            match port.accept(peer) {
                Ok(Accepted::Admitted(stream, address)) => {
                    self.last_number += 1;
                    let origin = Origin { peer, port: kind, address, key: None };
                    self.open(origin, stream, on_input);
                }
                Ok(Accepted::Refused(address)) => {
                    let origin = Origin { peer, port: kind, address, key: None };
                    on_input(Input::Closed(&origin, CloseReason::TooMany));
                }
                Ok(Accepted::Disconnected) => {}
                Ok(Accepted::WouldBlock) => return,
                Err(error) => return self.pause_accepting(error),
            }
        }
    }

    fn open(&mut self, origin: Origin, stream: TcpStream, on_input: &mut dyn FnMut(Input<'_>)) {
        let peer = origin.peer;
        self.handshakes.begin(peer, Instant::now());
        let added = epoll::add(&self.epoll, &stream, EventData::new_u64(peer.0), EventFlags::empty());
        let security = self.of(origin.port).map(Port::security);
        let connection = Connection::new(origin, stream, security);
        self.connections.insert(peer, connection);
        match added {
            Ok(()) => self.mark_unsent(peer),
            Err(_) => self.close(peer, CloseReason::TooMany, on_input),
        }
    }

    /// Stops polling the ports for a while: the poll would return immediately each time.
    fn pause_accepting(&mut self, error: rustix::io::Errno) {
        tracing::error!(%error, "cannot accept connections");
        self.accept_again_at = Some(Instant::now() + ACCEPT_BACKOFF);
        self.poll_ports(EventFlags::empty());
    }

    pub(super) fn poll_ports(&self, flags: EventFlags) {
        for (number, port) in (FIRST_PORT..).zip(&self.ports) {
            let _ = epoll::modify(&self.epoll, port.listener(), EventData::new_u64(number), flags);
        }
    }

    pub(super) fn close_late(&mut self, on_input: &mut dyn FnMut(Input<'_>)) {
        let now = Instant::now();
        while let Some(peer) = self.handshakes.pop_expired(now) {
            if self.connections.get(&peer).is_some_and(|connection| !connection.is_ready()) {
                self.close(peer, CloseReason::Handshake, on_input);
            }
        }
        if self.accept_again_at.take_if(|until| *until <= now).is_some() {
            self.poll_ports(EventFlags::IN);
        }
    }
}
