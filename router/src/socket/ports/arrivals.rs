//! Who connects, and who has not shaken hands in time.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};

use super::{FIRST_CONNECTION, FIRST_PORT, Ports};
use crate::dispatch::Peer;
use crate::socket::Closed;
use crate::socket::connection::{Connection, Input, Origin};
use crate::socket::port::{Arrival, Port};

/// Connections accepted at a time.
const ACCEPTED: usize = 64;
/// Without descriptors nobody can be let in; so long later it is tried again.
const BREATHER: Duration = Duration::from_secs(1);

impl Ports {
    /// Somebody connects.
    pub(super) fn attend_own(&mut self, number: u64, take: &mut dyn FnMut(Input<'_>)) {
        let index = number.checked_sub(FIRST_PORT).and_then(|index| usize::try_from(index).ok());
        let Some(index) = index.filter(|_| number < FIRST_CONNECTION) else { return };
        for _ in 0..ACCEPTED {
            let peer = Peer(self.last + 1);
            let Some(port) = self.ports.get_mut(index) else { return };
            let kind = port.kind();
            match port.accept(peer) {
                Ok(Arrival::Admitted(stream, address)) => {
                    self.last += 1;
                    let origin = Origin { peer, port: kind, address, key: None };
                    self.open(origin, stream, take);
                }
                Ok(Arrival::Refused(address)) => {
                    let origin = Origin { peer, port: kind, address, key: None };
                    take(Input::Closed(&origin, Closed::TooMany));
                }
                Ok(Arrival::Vanished) => {}
                Ok(Arrival::None) => return,
                Err(error) => return self.pause(error),
            }
        }
    }

    fn open(&mut self, origin: Origin, stream: TcpStream, take: &mut dyn FnMut(Input<'_>)) {
        let peer = origin.peer;
        self.handshakes.begin(peer, Instant::now());
        let added = epoll::add(&self.epoll, &stream, EventData::new_u64(peer.0), EventFlags::empty());
        let security = self.of(origin.port).map(Port::security);
        let connection = Connection::greet(origin, stream, security);
        self.connections.insert(peer, connection);
        match added {
            Ok(()) => self.list(peer),
            Err(_) => self.close(peer, Closed::TooMany, take),
        }
    }

    /// Lets nobody in for a moment: a port that is polled would spin.
    fn pause(&mut self, error: rustix::io::Errno) {
        tracing::error!(%error, "cannot accept connections");
        self.full_until = Some(Instant::now() + BREATHER);
        self.watch_ports(EventFlags::empty());
    }

    pub(super) fn watch_ports(&self, flags: EventFlags) {
        for (number, port) in (FIRST_PORT..).zip(&self.ports) {
            let _ = epoll::modify(&self.epoll, port.listener(), EventData::new_u64(number), flags);
        }
    }

    pub(super) fn end_late(&mut self, take: &mut dyn FnMut(Input<'_>)) {
        let now = Instant::now();
        while let Some(peer) = self.handshakes.take_late(now) {
            if self.connections.get(&peer).is_some_and(|connection| !connection.is_ready()) {
                self.close(peer, Closed::Handshake, take);
            }
        }
        if self.full_until.take_if(|until| *until <= now).is_some() {
            self.watch_ports(EventFlags::IN);
        }
    }
}
