//! All ports and their connections: what is polled, and what came.

mod arrivals;
mod sending;

use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{CreateFlags, EventData, EventFlags};
use rustix::event::{Timespec, epoll};

use super::admission::{Admission, Admits};
use super::connection::{Connection, Input, Reader};
use super::handshakes::Handshakes;
use super::port::Port;
use super::{Closed, Error, PortKind, Waker};
use crate::dispatch::{Map, Peer};

/// The descriptors that are no connections have numbers below this, and connections those from it on.
const FIRST_CONNECTION: u64 = 16;
const WAKER: u64 = 0;
const FIRST_PORT: u64 = 1;
/// What one poll tells of.
const MOST_EVENTS: usize = 256;
/// Bytes read from one connection before the others have their turn.
const READ: usize = 64 << 10;

/// How much memory connections may take, all together. In bytes.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Of messages that are not whole yet: beyond it whoever holds most of it is closed.
    pub begun: usize,
    /// That peers have not read: beyond it nobody is read from who leaves something unread, and beyond twice as much
    /// whoever leaves most is closed.
    pub unread: usize,
}

/// The ports, their connections and the waker, of one thread.
pub struct Ports {
    epoll: OwnedFd,
    waker: Waker,
    ports: Vec<Port>,
    admission: Admission,
    bounds: Bounds,
    connections: Map<Peer, Connection>,
    last: u64,
    handshakes: Handshakes,
    /// Bytes of messages that are not whole yet.
    begun: usize,
    /// Bytes that peers have not read.
    unread: usize,
    /// What polls told of and was not attended to yet, by connections: what workers say first, because it makes room
    /// for what clients want.
    ready: VecDeque<(Peer, EventFlags)>,
    /// Workers whose messages were read and not all taken: they are first after the next wait.
    paused_workers: Vec<Peer>,
    /// The ports at which somebody waits, by the last wait.
    own: Vec<u64>,
    /// True once a wait was ended by the waker, until that is heeded.
    woken: bool,
    memory: Vec<u8>,
    /// Connections with something to send.
    unsent: Vec<Peer>,
    /// True once the ports close: nobody is read from any more.
    closing: bool,
    /// Set while nobody is let in for want of descriptors: when to try again.
    full_until: Option<Instant>,
}

impl Ports {
    /// Serves `ports`; on those with a key, whom `admits` lets in.
    ///
    /// # Errors
    /// If there is no descriptor left.
    pub fn new(ports: Vec<Port>, admits: Admits, bounds: Bounds) -> Result<Self, Error> {
        let (epoll, waker) = (epoll::create(CreateFlags::CLOEXEC)?, Waker::new()?);
        epoll::add(&epoll, &waker, EventData::new_u64(WAKER), EventFlags::IN)?;
        for (number, port) in (FIRST_PORT..).zip(&ports) {
            epoll::add(&epoll, port.listener(), EventData::new_u64(number), EventFlags::IN)?;
        }
        Ok(Self {
            epoll,
            waker,
            ports,
            admission: Admission::new(admits),
            bounds,
            connections: Map::default(),
            last: FIRST_CONNECTION,
            handshakes: Handshakes::default(),
            begun: 0,
            unread: 0,
            ready: VecDeque::with_capacity(MOST_EVENTS),
            paused_workers: Vec::new(),
            own: Vec::new(),
            woken: false,
            memory: vec![0; READ],
            unsent: Vec::new(),
            closing: false,
            full_until: None,
        })
    }

    /// The port of a kind.
    #[must_use]
    pub fn of(&self, kind: PortKind) -> Option<&Port> {
        self.ports.iter().find(|port| port.kind() == kind)
    }

    /// How other threads end a wait.
    #[must_use]
    pub const fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Heeds the waker: whoever wakes this thread from now on wants another turn.
    pub fn heed_waker(&mut self) {
        if std::mem::take(&mut self.woken) {
            self.waker.reset();
        }
    }

    /// Waits until there is something to take, somebody wakes this thread, or `timeout` has passed.
    pub fn wait(&mut self, timeout: Duration) {
        let now = Instant::now();
        let is_idle = self.ready.is_empty() && self.paused_workers.is_empty();
        let timeout = if is_idle { timeout } else { Duration::ZERO };
        let full = self.full_until.map(|until| until.saturating_duration_since(now));
        let timeout = [Some(timeout), self.handshakes.next(now), full].into_iter().flatten().min();
        self.own.clear();
        for peer in std::mem::take(&mut self.paused_workers) {
            self.ready.push_front((peer, EventFlags::IN));
        }
        // Where more is ready than one poll tells, the next tells of others.
        let mut more = self.poll(timeout);
        for _ in 0..self.connections.len() / MOST_EVENTS {
            more = more && self.poll(Some(Duration::ZERO));
        }
    }

    /// Notes what is ready; true if there may be more.
    fn poll(&mut self, timeout: Option<Duration>) -> bool {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut events = [MaybeUninit::uninit(); MOST_EVENTS];
        let events = match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok((events, _)) => events,
            Err(rustix::io::Errno::INTR) => return false,
            Err(error) => {
                tracing::error!(%error, "cannot poll the connections");
                return false;
            }
        };
        events.iter().for_each(|event| self.note(event.data.u64(), event.flags));
        events.len() == MOST_EVENTS
    }

    fn note(&mut self, number: u64, flags: EventFlags) {
        let peer = Peer(number);
        let Some(connection) = self.connections.get_mut(&peer) else { return self.note_own(number) };
        if std::mem::replace(&mut connection.told, true) {
            return;
        }
        match connection.origin.port {
            PortKind::Workers => self.ready.push_front((peer, flags)),
            _ => self.ready.push_back((peer, flags)),
        }
    }

    fn note_own(&mut self, number: u64) {
        if number == WAKER {
            self.woken = true;
        } else if !self.own.contains(&number) {
            self.own.push(number);
        }
    }

    /// Hands over what came by one connection, and gives its port; nothing once all was taken of which waits have told.
    /// What is not taken is first the next time.
    pub fn take(&mut self, take: &mut dyn FnMut(Input<'_>)) -> Option<PortKind> {
        while let Some((peer, flags)) = self.ready.pop_front() {
            if let Some(connection) = self.connections.get_mut(&peer) {
                connection.told = false;
                let port = connection.origin.port;
                self.attend(peer, flags, take);
                return Some(port);
            }
        }
        None
    }

    /// Lets in those who connect, and ends who did not shake hands in time.
    pub fn receive_new(&mut self, take: &mut dyn FnMut(Input<'_>)) {
        for number in std::mem::take(&mut self.own) {
            self.attend_own(number, take);
        }
        self.end_late(take);
    }

    fn attend(&mut self, peer: Peer, flags: EventFlags, take: &mut dyn FnMut(Input<'_>)) {
        match self.exchange(peer, flags, take) {
            Ok(()) => {
                self.list(peer);
                self.resume(peer);
            }
            Err(how) => self.close(peer, how, take),
        }
        while self.begun > self.bounds.begun
            && let Some(most) = self.most(Connection::begun)
        {
            self.close(most, Closed::Crowded, take);
        }
    }

    /// Lets a connection that is paused have another turn, once it is to be read from.
    fn resume(&mut self, peer: Peer) {
        let Some(connection) = self.connections.get_mut(&peer) else { return };
        let wants = connection.wants(self.closing || self.unread > self.bounds.unread);
        if !connection.is_paused() || connection.told || !wants.contains(EventFlags::IN) {
            return;
        }
        connection.told = true;
        match connection.origin.port {
            PortKind::Workers => self.paused_workers.push(peer),
            _ => self.ready.push_back((peer, EventFlags::IN)),
        }
    }

    fn exchange(
        &mut self,
        peer: Peer,
        flags: EventFlags,
        take: &mut dyn FnMut(Input<'_>),
    ) -> Result<(), Closed> {
        if let Some(connection) = self.connections.get_mut(&peer).filter(|_| flags.contains(EventFlags::OUT))
        {
            connection.flush()?;
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return self.receive(peer, take);
        }
        // Who left without reading what it was sent is not read from, and not waited for.
        if flags.contains(EventFlags::RDHUP) { Err(Closed::Peer) } else { Ok(()) }
    }

    fn receive(&mut self, peer: Peer, take: &mut dyn FnMut(Input<'_>)) -> Result<(), Closed> {
        let Some(connection) = self.connections.get_mut(&peer) else { return Ok(()) };
        let kind = connection.origin.port;
        let Some(port) = self.ports.iter().find(|port| port.kind() == kind) else { return Ok(()) };
        let before = connection.begun();
        let (security, admission, memory) = (port.security(), &mut self.admission, &mut self.memory);
        let received = connection.receive(Reader { security, admission, memory, take });
        self.begun = self.begun + connection.begun() - before;
        received
    }
}
