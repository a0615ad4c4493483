//! The DEALER socket to the router's workers' port, on its own thread with `zmq::poll`. It decides nothing: frames go
//! out and come in. Sends never block: messages that libzmq does not take wait here, and are dropped with the socket.

mod outbox;
mod thread;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use tokio::sync::mpsc;
use trackyard_protocol::keys::Curve;

use outbox::Outbox;

/// Maximum number of messages that wait for the agent. More wait in libzmq, and then on the wire.
const INBOX_CAPACITY: usize = 256;

/// The address and keys of the workers' port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterEndpoint {
    /// `tcp://host:port`.
    pub address: String,
    /// The CURVE keys, if the router has a key.
    pub curve: Option<Curve>,
}

/// A message from the router.
#[derive(Debug)]
pub struct IncomingMessage {
    /// The number of the socket, as returned by [`SocketHandle::open`].
    pub generation: u64,
    /// The message's frames.
    pub frames: Vec<Vec<u8>>,
}

/// Why the socket's thread cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The thread or its wake-up descriptor cannot be created.
    #[error("cannot start the thread of the socket: {0}")]
    Start(#[from] std::io::Error),
}

enum SocketCommand {
    Open { endpoint: RouterEndpoint, generation: u64 },
    Send(Vec<Vec<u8>>),
    Close,
    Stop,
}

/// Controls the socket's thread. Dropping it closes the socket after all messages were sent, or after a second.
pub struct SocketHandle {
    commands: Sender<SocketCommand>,
    wake: Arc<OwnedFd>,
    generation: u64,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread.
///
/// # Errors
/// If the machine has no thread or descriptor left.
pub fn start() -> Result<(SocketHandle, mpsc::Receiver<IncomingMessage>), SocketError> {
    use rustix::event::{EventfdFlags, eventfd};
    let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(std::io::Error::from)?;
    let wake = Arc::new(wake);
    let (commands, received): (Sender<SocketCommand>, Receiver<SocketCommand>) = channel();
    let (inbox, incoming) = mpsc::channel(INBOX_CAPACITY);
    let thread = thread::SocketThread::new(received, Arc::clone(&wake), inbox);
    let thread = std::thread::Builder::new().name("router-socket".to_owned()).spawn(|| thread.run())?;
    Ok((SocketHandle { commands, wake, generation: 0, thread: Some(thread) }, incoming))
}

impl SocketHandle {
    /// Opens a new socket in place of any other and connects it. Returns the number of the socket.
    pub fn open(&mut self, endpoint: RouterEndpoint) -> u64 {
        self.generation += 1;
        self.command(SocketCommand::Open { endpoint, generation: self.generation });
        self.generation
    }

    /// Sends one message.
    pub fn send(&self, frames: Vec<Vec<u8>>) {
        self.command(SocketCommand::Send(frames));
    }

    /// Drops the socket, with the messages that it has not sent yet.
    pub fn close(&self) {
        self.command(SocketCommand::Close);
    }

    fn command(&self, command: SocketCommand) {
        // Fails only if the thread is gone, which the closed inbox shows.
        let _ = self.commands.send(command);
        // Fails only if the counter is full, and then the thread is awake.
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
    }
}

impl Drop for SocketHandle {
    fn drop(&mut self) {
        self.command(SocketCommand::Stop);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
