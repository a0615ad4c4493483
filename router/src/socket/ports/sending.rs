//! Sends messages, and closes connections.

use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};

use super::Ports;
use crate::dispatch::Peer;
use crate::socket::connection::{Connection, Input, SendError};
use crate::socket::{CloseReason, PortKind};

/// Maximum number of unread bytes of a worker: many jobs, and the versions to prepare.
const MAX_WORKER_UNREAD: usize = 16 << 20;

/// Sums up what connections hold, and finds the largest.
#[derive(Default)]
struct Holders {
    /// The sum.
    bytes: usize,
    largest_bytes: usize,
    largest: Option<Peer>,
}

impl Holders {
    fn add(&mut self, peer: Peer, bytes: usize) {
        self.bytes += bytes;
        if bytes > self.largest_bytes {
            self.largest_bytes = bytes;
            self.largest = Some(peer);
        }
    }
}

impl Ports {
    /// Queues a message until [`flush`](Self::flush).
    ///
    /// # Errors
    /// If the peer is not connected or does not read its messages.
    pub fn send(&mut self, peer: Peer, frames: &[&[u8]]) -> Result<(), SendError> {
        let connection = self.connections.get_mut(&peer).filter(|connection| connection.is_ready());
        let connection = connection.ok_or(SendError::Gone)?;
        if connection.origin.port == PortKind::Workers && connection.unsent() > MAX_WORKER_UNREAD {
            return Err(SendError::Full);
        }
        connection.write(frames);
        self.mark_unsent(peer);
        Ok(())
    }

    pub(super) fn mark_unsent(&mut self, peer: Peer) {
        let Some(connection) = self.connections.get_mut(&peer) else { return };
        if !std::mem::replace(&mut connection.is_listed, true) {
            self.unsent.push(peer);
        }
    }

    /// Sends as many bytes as the sockets take.
    pub fn flush(&mut self, on_input: &mut dyn FnMut(Input<'_>)) {
        for peer in std::mem::take(&mut self.unsent) {
            let Some(connection) = self.connections.get_mut(&peer) else { continue };
            connection.is_listed = false;
            match connection.flush() {
                Ok(()) => self.update_interest(peer),
                Err(reason) => self.close(peer, reason, on_input),
            }
            self.resume(peer);
        }
        while !self.closing
            && self.unread_bytes > self.limits.unread.saturating_mul(2)
            && let Some(largest) = self.largest_holder(|connection| connection.counted_unsent)
        {
            self.close_if_stalled(largest, on_input);
        }
    }

    /// Closes a connection, unless its peer has read something since the last flush.
    fn close_if_stalled(&mut self, peer: Peer, on_input: &mut dyn FnMut(Input<'_>)) {
        let Some(connection) = self.connections.get_mut(&peer) else { return };
        let before = connection.counted_unsent;
        if connection.flush().is_ok() && connection.unsent() < before {
            self.update_interest(peer);
        } else {
            self.close(peer, CloseReason::Unread, on_input);
        }
    }

    /// Returns the connection that holds the most by `of`: a worker if workers hold more than clients together. This visits
    /// all connections, but only after enough traffic to fill the memory.
    pub(super) fn largest_holder(&self, of: impl Fn(&Connection) -> usize) -> Option<Peer> {
        let mut workers = Holders::default();
        let mut clients = Holders::default();
        for (peer, connection) in &self.connections {
            let side = if connection.origin.port == PortKind::Workers { &mut workers } else { &mut clients };
            side.add(*peer, of(connection));
        }
        if workers.bytes > clients.bytes { workers.largest } else { clients.largest }
    }

    fn update_interest(&mut self, peer: Peer) {
        let Some(connection) = self.connections.get_mut(&peer) else { return };
        let unread = connection.unsent();
        self.unread_bytes =
            self.unread_bytes + unread - std::mem::replace(&mut connection.counted_unsent, unread);
        let interest = connection.interest(self.closing || self.unread_bytes > self.limits.unread);
        if interest == connection.polled {
            return;
        }
        connection.polled = interest;
        let _ = epoll::modify(&self.epoll, connection.stream(), EventData::new_u64(peer.0), interest);
    }

    /// Closes the connection of a peer that the router no longer serves.
    pub fn disconnect(&mut self, peer: Peer, on_input: &mut dyn FnMut(Input<'_>)) {
        self.close(peer, CloseReason::Ended, on_input);
    }

    pub(super) fn close(&mut self, peer: Peer, reason: CloseReason, on_input: &mut dyn FnMut(Input<'_>)) {
        let Some(mut connection) = self.connections.remove(&peer) else { return };
        self.partial_bytes -= connection.partial_bytes();
        self.unread_bytes -= connection.counted_unsent;
        // The last bytes of a failed handshake say why it failed.
        let _ = connection.flush();
        let is_unfinished = reason == CloseReason::Peer && !connection.is_ready();
        let reason = if is_unfinished { CloseReason::Handshake } else { reason };
        let kind = connection.origin.port;
        if let Some(port) = self.ports.iter_mut().find(|port| port.kind() == kind) {
            port.release(peer);
        }
        on_input(Input::Closed(&connection.origin, reason));
    }

    /// Closes all connections, after at most `linger` for the bytes that wait to be sent.
    pub fn finish(mut self, linger: Duration) {
        let until = Instant::now() + linger;
        self.poll_ports(EventFlags::empty());
        // Nothing more is read, or else the bytes that peers still send would end each wait immediately.
        self.closing = true;
        loop {
            self.unsent = self.connections.keys().copied().collect();
            self.flush(&mut |_| {});
            let sent = self.connections.extract_if(|_, connection| connection.unsent() == 0);
            sent.for_each(|(_, mut connection)| connection.finish(&mut self.buffer));
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
