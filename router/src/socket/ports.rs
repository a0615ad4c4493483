//! All ports and their connections: polls them, and receives.

mod accepting;
mod sending;

use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{CreateFlags, EventData, EventFlags};
use rustix::event::{Timespec, epoll};

use super::admission::{Admission, AdmitFn};
use super::connection::{Connection, Input, Receiver};
use super::handshakes::Handshakes;
use super::port::Port;
use super::{CloseReason, PortKind, SocketError, Waker};
use crate::dispatch::{IdMap, Peer};

/// The first number of a connection. Ports and the waker have the numbers below.
const FIRST_CONNECTION: u64 = 16;
const WAKER: u64 = 0;
const FIRST_PORT: u64 = 1;
/// Maximum number of events of one poll.
const MAX_EVENTS: usize = 256;
/// Bytes that are read from one connection before others are served.
const READ_BUFFER_BYTES: usize = 64 << 10;

/// Limits of the memory that all connections take together, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct MemoryLimits {
    /// Maximum of partial messages. Beyond it, the connection that holds the most is closed.
    pub partial_messages: usize,
    /// Maximum of unread messages. Beyond it, peers with unread messages are not read from; beyond twice as much, the
    /// connection with the most is closed.
    pub unread: usize,
}

/// The ports, their connections and the waker. One thread owns them.
pub struct Ports {
    epoll: OwnedFd,
    waker: Waker,
    ports: Vec<Port>,
    admission: Admission,
    limits: MemoryLimits,
    connections: IdMap<Peer, Connection>,
    last_number: u64,
    handshakes: Handshakes,
    /// Bytes of partial messages.
    partial_bytes: usize,
    /// Bytes that peers have not read.
    unread_bytes: usize,
    /// Connections that are ready and not handled yet. Workers are first, because their messages free slots for clients.
    ready: VecDeque<(Peer, EventFlags)>,
    /// Workers with received messages that are not handled yet. They come first after the next wait.
    paused_workers: Vec<Peer>,
    /// The numbers of the ports with waiting connections, by the last wait.
    ready_ports: Vec<u64>,
    /// True if the waker has ended a wait and was not reset yet.
    woken: bool,
    buffer: Vec<u8>,
    /// Connections with bytes to send.
    unsent: Vec<Peer>,
    /// True while the ports close and nothing more is read.
    closing: bool,
    /// The time to accept again, while no descriptors are left.
    accept_again_at: Option<Instant>,
}

impl Ports {
    /// Serves `ports`. On those with a key, `admit` decides who may connect.
    ///
    /// # Errors
    /// If no descriptor is left.
    pub fn new(ports: Vec<Port>, admit: AdmitFn, limits: MemoryLimits) -> Result<Self, SocketError> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let waker = Waker::new()?;
        epoll::add(&epoll, &waker, EventData::new_u64(WAKER), EventFlags::IN)?;
        for (number, port) in (FIRST_PORT..).zip(&ports) {
            epoll::add(&epoll, port.listener(), EventData::new_u64(number), EventFlags::IN)?;
        }
        Ok(Self {
            epoll,
            waker,
            ports,
            admission: Admission::new(admit),
            limits,
            connections: IdMap::default(),
            last_number: FIRST_CONNECTION,
            handshakes: Handshakes::default(),
            partial_bytes: 0,
            unread_bytes: 0,
            ready: VecDeque::with_capacity(MAX_EVENTS),
            paused_workers: Vec::new(),
            ready_ports: Vec::new(),
            woken: false,
            buffer: vec![0; READ_BUFFER_BYTES],
            unsent: Vec::new(),
            closing: false,
            accept_again_at: None,
        })
    }

    /// Returns the port of a kind.
    #[must_use]
    pub fn of(&self, kind: PortKind) -> Option<&Port> {
        self.ports.iter().find(|port| port.kind() == kind)
    }

    /// Returns the waker, with which other threads end a wait.
    #[must_use]
    pub const fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Resets the waker, so that the next wake ends the next wait.
    pub fn clear_wake(&mut self) {
        if std::mem::take(&mut self.woken) {
            self.waker.reset();
        }
    }

    /// Waits until a connection is ready, another thread wakes this one, or `timeout` has passed.
    pub fn wait(&mut self, timeout: Duration) {
        let now = Instant::now();
        let is_idle = self.ready.is_empty() && self.paused_workers.is_empty();
        let timeout = if is_idle { timeout } else { Duration::ZERO };
        let accept = self.accept_again_at.map(|until| until.saturating_duration_since(now));
        let timeout = [Some(timeout), self.handshakes.next(now), accept].into_iter().flatten().min();
        self.ready_ports.clear();
        for peer in std::mem::take(&mut self.paused_workers) {
            self.ready.push_front((peer, EventFlags::IN));
        }
        // If one poll cannot return all ready connections, the next returns others.
        let mut more = self.poll(timeout);
        for _ in 0..self.connections.len() / MAX_EVENTS {
            more = more && self.poll(Some(Duration::ZERO));
        }
    }

    /// Marks connections as ready. Returns true if there may be more.
    fn poll(&mut self, timeout: Option<Duration>) -> bool {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut events = [MaybeUninit::uninit(); MAX_EVENTS];
        let events = match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok((events, _)) => events,
            Err(rustix::io::Errno::INTR) => return false,
            Err(error) => {
                tracing::error!(%error, "cannot poll the connections");
                return false;
            }
        };
        events.iter().for_each(|event| self.mark_ready(event.data.u64(), event.flags));
        events.len() == MAX_EVENTS
    }

    fn mark_ready(&mut self, number: u64, flags: EventFlags) {
        let peer = Peer(number);
        let Some(connection) = self.connections.get_mut(&peer) else { return self.mark_port_ready(number) };
        if std::mem::replace(&mut connection.is_queued, true) {
            return;
        }
        match connection.origin.port {
            PortKind::Workers => self.ready.push_front((peer, flags)),
            _ => self.ready.push_back((peer, flags)),
        }
    }

    fn mark_port_ready(&mut self, number: u64) {
        if number == WAKER {
            self.woken = true;
        } else if !self.ready_ports.contains(&number) {
            self.ready_ports.push(number);
        }
    }

    /// Receives from the next ready connection, and returns its port; `None` if no connection is ready. Connections that
    /// are left come first the next time.
    pub fn receive_next(&mut self, on_input: &mut dyn FnMut(Input<'_>)) -> Option<PortKind> {
        while let Some((peer, flags)) = self.ready.pop_front() {
            if let Some(connection) = self.connections.get_mut(&peer) {
                connection.is_queued = false;
                let port = connection.origin.port;
                self.handle_ready(peer, flags, on_input);
                return Some(port);
            }
        }
        None
    }

    /// Accepts new connections, and closes those with a late handshake.
    pub fn accept(&mut self, on_input: &mut dyn FnMut(Input<'_>)) {
        for number in std::mem::take(&mut self.ready_ports) {
            self.accept_from(number, on_input);
        }
        self.close_late(on_input);
    }

    fn handle_ready(&mut self, peer: Peer, flags: EventFlags, on_input: &mut dyn FnMut(Input<'_>)) {
        match self.read_and_write(peer, flags, on_input) {
            Ok(()) => {
                self.mark_unsent(peer);
                self.resume(peer);
            }
            Err(reason) => self.close(peer, reason, on_input),
        }
        while self.partial_bytes > self.limits.partial_messages
            && let Some(largest) = self.largest_holder(Connection::partial_bytes)
        {
            self.close(largest, CloseReason::Crowded, on_input);
        }
    }

    /// Queues a paused connection again, if it may be read from.
    fn resume(&mut self, peer: Peer) {
        let Some(connection) = self.connections.get_mut(&peer) else { return };
        let interest = connection.interest(self.closing || self.unread_bytes > self.limits.unread);
        if !connection.is_paused() || connection.is_queued || !interest.contains(EventFlags::IN) {
            return;
        }
        connection.is_queued = true;
        match connection.origin.port {
            PortKind::Workers => self.paused_workers.push(peer),
            _ => self.ready.push_back((peer, EventFlags::IN)),
        }
    }

    fn read_and_write(
        &mut self,
        peer: Peer,
        flags: EventFlags,
        on_input: &mut dyn FnMut(Input<'_>),
    ) -> Result<(), CloseReason> {
        if let Some(connection) = self.connections.get_mut(&peer).filter(|_| flags.contains(EventFlags::OUT))
        {
            connection.flush()?;
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return self.receive(peer, on_input);
        }
        // The peer has closed its side and does not read either.
        if flags.contains(EventFlags::RDHUP) { Err(CloseReason::Peer) } else { Ok(()) }
    }

    fn receive(&mut self, peer: Peer, on_input: &mut dyn FnMut(Input<'_>)) -> Result<(), CloseReason> {
        let Some(connection) = self.connections.get_mut(&peer) else { return Ok(()) };
        let kind = connection.origin.port;
        let Some(port) = self.ports.iter().find(|port| port.kind() == kind) else { return Ok(()) };
        let before = connection.partial_bytes();
        let result = connection.receive(Receiver {
            security: port.security(),
            admission: &mut self.admission,
            buffer: &mut self.buffer,
            on_input,
        });
        self.partial_bytes = self.partial_bytes + connection.partial_bytes() - before;
        result
    }
}
