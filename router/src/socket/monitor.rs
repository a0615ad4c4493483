//! Watches connections come and go. A thread of its own: libzmq's own thread would wait for a monitor that is not
//! read.

use std::thread::JoinHandle;

use super::options::PortKind;
use super::{Error, Port};

/// A connection that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Closed {
    /// By the peer, or by the network.
    Peer,
    /// By the router, before the peer had spoken ZMTP.
    Handshake,
}

/// The thread that watches.
#[derive(Debug)]
pub struct Monitor(Vec<JoinHandle<()>>);

impl Monitor {
    /// Watches both ports; `closed` hears of every connection that ends. Ends when the ports are closed.
    ///
    /// # Errors
    /// If a monitor cannot be set up.
    pub fn start(
        context: &zmq::Context,
        ports: [(PortKind, &Port); 2],
        closed: impl Fn(PortKind, Closed) + Clone + Send + 'static,
    ) -> Result<Self, Error> {
        let mut threads = Vec::new();
        for (kind, port) in ports {
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

const EVENTS: [zmq::SocketEvent; 4] = [
    zmq::SocketEvent::DISCONNECTED,
    zmq::SocketEvent::HANDSHAKE_FAILED_NO_DETAIL,
    zmq::SocketEvent::HANDSHAKE_FAILED_PROTOCOL,
    zmq::SocketEvent::HANDSHAKE_FAILED_AUTH,
];

fn attach(context: &zmq::Context, kind: PortKind, port: &Port) -> Result<zmq::Socket, Error> {
    let address = format!("inproc://monitor-{}", <&str>::from(kind));
    let mask = EVENTS.iter().fold(zmq::SocketEvent::MONITOR_STOPPED.to_raw(), |mask, e| mask | e.to_raw());
    port.socket().monitor(&address, i32::from(mask))?;
    let socket = context.socket(zmq::PAIR)?;
    socket.set_linger(0)?;
    socket.connect(&address)?;
    Ok(socket)
}

fn follow(socket: &zmq::Socket, closed: impl Fn(Closed)) {
    let mut failed_handshake = false;
    loop {
        match next(socket) {
            Ok(Some(zmq::SocketEvent::MONITOR_STOPPED)) | Err(zmq::Error::ETERM) => return,
            // A disconnect follows; it is the same connection's, for one thread of libzmq reports both.
            Ok(Some(zmq::SocketEvent::DISCONNECTED)) => {
                closed(if failed_handshake { Closed::Handshake } else { Closed::Peer });
                failed_handshake = false;
            }
            Ok(Some(_)) => failed_handshake = true,
            Ok(None) | Err(_) => {}
        }
    }
}

/// The next event: a frame of two bytes for its kind and four for its value, then a frame with the address.
fn next(socket: &zmq::Socket) -> zmq::Result<Option<zmq::SocketEvent>> {
    let frames = socket.recv_multipart(0)?;
    let kind = frames.first().and_then(|frame| frame.first_chunk::<2>()).copied();
    Ok(kind.map(u16::from_ne_bytes).and_then(known))
}

fn known(raw: u16) -> Option<zmq::SocketEvent> {
    EVENTS.into_iter().chain([zmq::SocketEvent::MONITOR_STOPPED]).find(|event| event.to_raw() == raw)
}
