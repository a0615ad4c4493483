//! The DEALER socket to the router's workers' port, on a thread of its own with `zmq::poll`. Nothing is decided here:
//! frames go out and come in. Sends never block: what libzmq does not take waits here, and is dropped with the socket
//! when the talk is opened anew.

mod outbox;
mod thread;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use tokio::sync::mpsc;
use trackyard_protocol::keys::Curve;

use outbox::Outbox;

/// Messages that wait for the agent; the rest waits in libzmq, and then on the wire.
const INBOX: usize = 256;

/// Where to connect, and with which keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// `tcp://host:port`.
    pub address: String,
    /// CURVE, if the router has a key.
    pub curve: Option<Curve>,
}

/// A message from the router, with the number of the socket that it came by.
#[derive(Debug)]
pub struct Incoming {
    /// Counts [`Handle::open`].
    pub generation: u64,
    /// The message's frames.
    pub frames: Vec<Vec<u8>>,
}

/// Why there is no socket thread.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The thread or its wake-up descriptor could not be made.
    #[error("cannot start the socket's thread: {0}")]
    Start(#[from] std::io::Error),
}

enum Command {
    Open { peer: Peer, generation: u64 },
    Send(Vec<Vec<u8>>),
    Close,
    Stop,
}

/// The way to the socket's thread. Dropping it closes the socket after what was sent is gone, or a second has passed.
pub struct Handle {
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
    generation: u64,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread.
///
/// # Errors
/// When the machine has no thread or descriptor left.
pub fn start() -> Result<(Handle, mpsc::Receiver<Incoming>), Error> {
    use rustix::event::{EventfdFlags, eventfd};
    let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(std::io::Error::from)?;
    let wake = Arc::new(wake);
    let (commands, orders): (Sender<Command>, Receiver<Command>) = channel();
    let (inbox, incoming) = mpsc::channel(INBOX);
    let thread = thread::Thread::new(orders, Arc::clone(&wake), inbox);
    let thread = std::thread::Builder::new().name("router-socket".to_owned()).spawn(|| thread.run())?;
    Ok((Handle { commands, wake, generation: 0, thread: Some(thread) }, incoming))
}

impl Handle {
    /// Makes a new socket in the place of any other, and connects it. Gives its number.
    pub fn open(&mut self, peer: Peer) -> u64 {
        self.generation += 1;
        self.order(Command::Open { peer, generation: self.generation });
        self.generation
    }

    /// Sends one message.
    pub fn send(&self, frames: Vec<Vec<u8>>) {
        self.order(Command::Send(frames));
    }

    /// Drops the socket with all that it holds.
    pub fn close(&self) {
        self.order(Command::Close);
    }

    fn order(&self, command: Command) {
        // Fails only when the thread is gone, which the closed inbox tells.
        let _ = self.commands.send(command);
        // Fails only when the counter is full, and then the thread is awake.
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.order(Command::Stop);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
