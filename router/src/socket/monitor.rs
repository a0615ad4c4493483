//! Watches connections come and go. A thread of its own: libzmq's own thread would wait for a monitor that is not
//! read.

use std::thread::JoinHandle;

use strum::IntoEnumIterator;
use zmq::SocketEvent;

use super::options::PortKind;
use super::witness::Witness;
use super::{Error, Port, Ports};

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
}

/// The thread that watches.
#[derive(Debug)]
pub struct Monitor(Vec<JoinHandle<()>>);

impl Monitor {
    /// Watches the ports; `closed` hears of every connection that ends. Ends when the ports are closed.
    ///
    /// # Errors
    /// If a monitor cannot be set up.
    pub fn start(
        context: &zmq::Context,
        ports: &Ports,
        closed: impl Fn(PortKind, Closed) + Clone + Send + 'static,
    ) -> Result<Self, Error> {
        let mut threads = Vec::new();
        for kind in PortKind::iter() {
            let Some(port) = ports.of(kind) else { continue };
            let socket = attach(context, kind, port)?;
            let closed = closed.clone();
            let name = format!("monitor-{}", <&str>::from(kind));
            let run = move || follow(&socket, |how| closed(kind, how));
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

fn follow(socket: &zmq::Socket, closed: impl Fn(Closed)) {
    let mut witness = Witness::new();
    let mut failed_handshake = false;
    loop {
        match next(socket) {
            Ok(Some((SocketEvent::MONITOR_STOPPED, _))) | Err(zmq::Error::ETERM) => return,
            Ok(Some((SocketEvent::ACCEPTED, fd))) => witness.accepted(fd),
            // It follows a failed handshake of the same connection: one thread of libzmq reports both.
            Ok(Some((SocketEvent::DISCONNECTED, fd))) => {
                closed(if std::mem::take(&mut failed_handshake) {
                    witness.forget(fd);
                    Closed::Handshake
                } else if witness.closed_unread(fd) {
                    Closed::Oversize
                } else {
                    Closed::Peer
                });
            }
            Ok(Some(_)) => failed_handshake = true,
            Ok(None) | Err(_) => {}
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
