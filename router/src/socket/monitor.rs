//! Watches connections come and go. A thread of its own: libzmq's own thread would wait for a monitor that is not
//! read.

use std::collections::HashSet;
use std::os::fd::RawFd;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use strum::IntoEnumIterator;
use zmq::SocketEvent;

use super::census::Census;
use super::options::PortKind;
use super::witness::{Admission, Witness};
use super::{Error, Port, Ports};

/// Refused connections are logged no more often.
const QUIET: Duration = Duration::from_secs(10);

/// A connection that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Closed {
    /// By the peer, or by the network.
    Peer,
    /// By the router, before the peer had spoken ZMTP.
    Handshake,
    /// By the router, in the middle of a frame: it is over the limit.
    Oversize,
    /// By the router, at once: too many are open, in total or from its address.
    TooMany,
}

/// The thread that watches.
#[derive(Debug)]
pub struct Monitor(Vec<JoinHandle<()>>);

impl Monitor {
    /// Watches the ports, lets `most` connections in at each, and half of them from one address; `closed` hears of
    /// every connection that ends. Ends when the ports are closed.
    ///
    /// # Errors
    /// If a monitor cannot be set up.
    pub fn start(
        context: &zmq::Context,
        ports: &Ports,
        most: usize,
        closed: impl Fn(PortKind, Closed) + Clone + Send + 'static,
    ) -> Result<Self, Error> {
        let mut threads = Vec::new();
        for kind in PortKind::iter() {
            let Some(port) = ports.of(kind) else { continue };
            let socket = attach(context, kind, port)?;
            let closed = closed.clone();
            let name = format!("monitor-{}", <&str>::from(kind));
            let watch = Watch::new(kind, port.number(), most);
            let run = move || watch.follow(&socket, |how| closed(kind, how));
            threads.push(std::thread::Builder::new().name(name).spawn(run).map_err(Error::Thread)?);
        }
        Ok(Self(threads))
    }

    /// Waits for the threads' end, which comes once the ports are closed.
    pub fn join(self) {
        for thread in self.0 {
            let _ = thread.join();
        }
    }
}

const EVENTS: [SocketEvent; 5] = [
    SocketEvent::ACCEPTED,
    SocketEvent::DISCONNECTED,
    SocketEvent::HANDSHAKE_FAILED_NO_DETAIL,
    SocketEvent::HANDSHAKE_FAILED_PROTOCOL,
    SocketEvent::HANDSHAKE_FAILED_AUTH,
];

fn attach(context: &zmq::Context, kind: PortKind, port: &Port) -> Result<zmq::Socket, Error> {
    let address = format!("inproc://monitor-{}", <&str>::from(kind));
    let mask = EVENTS.iter().fold(SocketEvent::MONITOR_STOPPED.to_raw(), |mask, e| mask | e.to_raw());
    port.socket().monitor(&address, i32::from(mask))?;
    let socket = context.socket(zmq::PAIR)?;
    socket.set_linger(0)?;
    socket.connect(&address)?;
    Ok(socket)
}

/// What is known of a port's connections.
struct Watch {
    kind: PortKind,
    port: u16,
    witness: Witness,
    census: Census,
    refused: HashSet<RawFd>,
    /// When somebody was last told of a refusal.
    told: Option<Instant>,
}

impl Watch {
    fn new(kind: PortKind, port: u16, most: usize) -> Self {
        let (witness, census) = (Witness::new(), Census::new(most));
        Self { kind, port, witness, census, refused: HashSet::new(), told: None }
    }

    fn follow(mut self, socket: &zmq::Socket, closed: impl Fn(Closed)) {
        let mut failed_handshake = false;
        loop {
            match next(socket) {
                Ok(Some((SocketEvent::MONITOR_STOPPED, _))) | Err(zmq::Error::ETERM) => return,
                Ok(Some((SocketEvent::ACCEPTED, fd))) => self.accepted(fd),
                // It follows a failed handshake of the same connection: one thread of libzmq reports both.
                Ok(Some((SocketEvent::DISCONNECTED, fd))) => {
                    closed(self.ended(fd, std::mem::take(&mut failed_handshake)));
                }
                Ok(Some(_)) => failed_handshake = true,
                Ok(None) | Err(_) => {}
            }
        }
    }

    fn accepted(&mut self, fd: RawFd) {
        self.refused.remove(&fd);
        let census = &mut self.census;
        let admission = self.witness.accepted(fd, self.port, |from| census.arrives(fd, from));
        let Some(Admission::Refused(from)) = admission else { return };
        self.refused.insert(fd);
        if self.told.is_none_or(|told| told.elapsed() > QUIET) {
            self.told = Some(Instant::now());
            tracing::warn!(port = <&str>::from(self.kind), %from, "too many connections: new ones are closed");
        }
    }

    fn ended(&mut self, fd: RawFd, failed_handshake: bool) -> Closed {
        self.census.leaves(fd);
        if self.refused.remove(&fd) {
            Closed::TooMany
        } else if failed_handshake {
            self.witness.forget(fd);
            Closed::Handshake
        } else if self.witness.closed_unread(fd) {
            Closed::Oversize
        } else {
            Closed::Peer
        }
    }
}

/// The next event and its value: a frame of two bytes for the event and four for the value, here a descriptor, then
/// a frame with the address.
fn next(socket: &zmq::Socket) -> zmq::Result<Option<(SocketEvent, i32)>> {
    let frames = socket.recv_multipart(0)?;
    let [low, high, value @ ..] = frames.first().map(Vec::as_slice).unwrap_or_default() else {
        return Ok(None);
    };
    let value = value.try_into().map_or(-1, i32::from_ne_bytes);
    Ok(known(u16::from_ne_bytes([*low, *high])).map(|event| (event, value)))
}

fn known(raw: u16) -> Option<SocketEvent> {
    EVENTS.into_iter().chain([SocketEvent::MONITOR_STOPPED]).find(|event| event.to_raw() == raw)
}
