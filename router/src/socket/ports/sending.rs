//! What leaves: messages, and connections.

use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};

use super::Ports;
use crate::dispatch::Peer;
use crate::socket::connection::{Connection, Input, SendError};
use crate::socket::{Closed, PortKind};

/// Bytes that a worker may leave unread: many jobs, and the versions to have ready.
const UNREAD_WORKER: usize = 16 << 20;

/// Who holds something.
#[derive(Default)]
struct Holders {
    /// All together.
    bytes: usize,
    most: usize,
    largest: Option<Peer>,
}

impl Holders {
    fn add(&mut self, peer: Peer, bytes: usize) {
        self.bytes += bytes;
        if bytes > self.most {
            self.most = bytes;
            self.largest = Some(peer);
        }
    }
}

impl Ports {
    /// Lets a message wait for [`flush`](Self::flush).
    ///
    /// # Errors
    /// If the peer is gone or takes nothing more.
    pub fn send(&mut self, peer: Peer, frames: &[&[u8]]) -> Result<(), SendError> {
        let connection = self.connections.get_mut(&peer).filter(|connection| connection.is_ready());
        let connection = connection.ok_or(SendError::Gone)?;
        if connection.origin.port == PortKind::Workers && connection.unsent() > UNREAD_WORKER {
            return Err(SendError::Full);
        }
        connection.write(frames);
        self.list(peer);
        Ok(())
    }

    pub(super) fn list(&mut self, peer: Peer) {
        let Some(connection) = self.connections.get_mut(&peer) else { return };
        if !std::mem::replace(&mut connection.listed, true) {
            self.unsent.push(peer);
        }
    }

    /// Sends what waits, as far as it goes.
    pub fn flush(&mut self, take: &mut dyn FnMut(Input<'_>)) {
        for peer in std::mem::take(&mut self.unsent) {
            let Some(connection) = self.connections.get_mut(&peer) else { continue };
            connection.listed = false;
            match connection.flush() {
                Ok(()) => self.rewatch(peer),
                Err(how) => self.close(peer, how, take),
            }
            self.resume(peer);
        }
        while !self.closing
            && self.unread > self.bounds.unread.saturating_mul(2)
            && let Some(most) = self.most(|connection| connection.counted)
        {
            self.relieve(most, take);
        }
    }

    /// Closes a connection, unless its peer has read something since it was last looked at.
    fn relieve(&mut self, peer: Peer, take: &mut dyn FnMut(Input<'_>)) {
        let Some(connection) = self.connections.get_mut(&peer) else { return };
        let before = connection.counted;
        if connection.flush().is_ok() && connection.unsent() < before {
            self.rewatch(peer);
        } else {
            self.close(peer, Closed::Unread, take);
        }
    }

    /// Whose connection holds most of something, among workers if they together hold more than clients. That all are
    /// looked at is rare, and little beside what it takes to fill the memory.
    pub(super) fn most(&self, of: impl Fn(&Connection) -> usize) -> Option<Peer> {
        let (mut workers, mut clients) = (Holders::default(), Holders::default());
        for (peer, connection) in &self.connections {
            let side = if connection.origin.port == PortKind::Workers { &mut workers } else { &mut clients };
            side.add(*peer, of(connection));
        }
        if workers.bytes > clients.bytes { workers.largest } else { clients.largest }
    }

    fn rewatch(&mut self, peer: Peer) {
        let Some(connection) = self.connections.get_mut(&peer) else { return };
        let unread = connection.unsent();
        self.unread = self.unread + unread - std::mem::replace(&mut connection.counted, unread);
        let wants = connection.wants(self.closing || self.unread > self.bounds.unread);
        if wants == connection.watched {
            return;
        }
        connection.watched = wants;
        let _ = epoll::modify(&self.epoll, connection.stream(), EventData::new_u64(peer.0), wants);
    }

    /// Ends a connection.
    pub fn end(&mut self, peer: Peer, take: &mut dyn FnMut(Input<'_>)) {
        self.close(peer, Closed::Ended, take);
    }

    pub(super) fn close(&mut self, peer: Peer, how: Closed, take: &mut dyn FnMut(Input<'_>)) {
        let Some(mut connection) = self.connections.remove(&peer) else { return };
        self.begun -= connection.begun();
        self.unread -= connection.counted;
        // A handshake that fails ends with the reason.
        let _ = connection.flush();
        let how = if how == Closed::Peer && !connection.is_ready() { Closed::Handshake } else { how };
        let kind = connection.origin.port;
        if let Some(port) = self.ports.iter_mut().find(|port| port.kind() == kind) {
            port.leaves(peer);
        }
        take(Input::Closed(&connection.origin, how));
    }

    /// Closes all; what waits to be sent has until then `linger`.
    pub fn finish(mut self, linger: Duration) {
        let until = Instant::now() + linger;
        self.watch_ports(EventFlags::empty());
        // Nobody is read from any more: what peers send meanwhile would end each wait at once.
        self.closing = true;
        loop {
            self.unsent = self.connections.keys().copied().collect();
            self.flush(&mut |_| {});
            let sent = self.connections.extract_if(|_, connection| connection.unsent() == 0);
            sent.for_each(|(_, mut connection)| connection.finish(&mut self.memory));
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.connections.is_empty() {
                return;
            }
            self.ready.clear();
            self.wait(left);
            self.waker.reset();
        }
    }
}
