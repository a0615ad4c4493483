//! The loop of the socket's thread.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, error::TrySendError};
use trackyard_protocol::worker::MAX_MESSAGE_BYTES;

use super::outbox::SendOutcome;
use super::{IncomingMessage, Outbox, RouterEndpoint, SocketCommand};

/// Time that the last messages have to leave.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
/// Poll timeout while the inbox is full.
const FULL_INBOX_POLL_MS: i64 = 10;

pub(super) struct SocketThread {
    commands: Receiver<SocketCommand>,
    wake: Arc<OwnedFd>,
    inbox: mpsc::Sender<IncomingMessage>,
    context: zmq::Context,
    socket: Option<zmq::Socket>,
    generation: u64,
    outbox: Outbox,
    /// A message for which the inbox had no room.
    undelivered: Option<IncomingMessage>,
}

impl SocketThread {
    pub(super) fn new(
        commands: Receiver<SocketCommand>,
        wake: Arc<OwnedFd>,
        inbox: mpsc::Sender<IncomingMessage>,
    ) -> Self {
        Self {
            commands,
            wake,
            inbox,
            context: zmq::Context::new(),
            socket: None,
            generation: 0,
            outbox: Outbox::default(),
            undelivered: None,
        }
    }

    pub(super) fn run(mut self) {
        while self.run_commands() && !self.inbox.is_closed() {
            self.send();
            self.receive();
            self.wait();
        }
        self.flush_and_linger();
    }

    /// Executes all commands. Returns false when the thread must end.
    fn run_commands(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(SocketCommand::Open { endpoint, generation }) => self.open(&endpoint, generation),
                Ok(SocketCommand::Send(frames)) => self.outbox.push(frames),
                Ok(SocketCommand::Close) => self.close(),
                Ok(SocketCommand::Stop) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => return true,
            }
        }
    }

    fn open(&mut self, endpoint: &RouterEndpoint, generation: u64) {
        self.close();
        self.generation = generation;
        match connect(&self.context, endpoint) {
            Ok(socket) => self.socket = Some(socket),
            Err(error) => tracing::error!(address = endpoint.address, %error, "cannot connect to the router"),
        }
    }

    fn close(&mut self) {
        self.socket = None;
        self.outbox.clear();
    }

    fn send(&mut self) {
        let Some(socket) = &self.socket else { return self.outbox.clear() };
        let sent = self.outbox.flush(|message| match socket.send_multipart(message, zmq::DONTWAIT) {
            Ok(()) => Ok(SendOutcome::Sent),
            Err(zmq::Error::EAGAIN | zmq::Error::EINTR) => Ok(SendOutcome::WouldBlock),
            Err(error) => Err(error),
        });
        if let Err(error) = sent {
            tracing::error!(%error, "the socket to the router failed");
            self.close();
        }
        if self.outbox.dropped > 0 {
            let dropped = std::mem::take(&mut self.outbox.dropped);
            tracing::warn!(dropped, "the router takes no messages");
        }
    }

    fn receive(&mut self) {
        while let Some(incoming) = self.undelivered.take().or_else(|| self.next()) {
            if let Err(TrySendError::Full(incoming)) = self.inbox.try_send(incoming) {
                self.undelivered = Some(incoming);
                return;
            }
        }
    }

    fn next(&self) -> Option<IncomingMessage> {
        let frames = self.socket.as_ref()?.recv_multipart(zmq::DONTWAIT).ok()?;
        Some(IncomingMessage { generation: self.generation, frames })
    }

    fn wait(&self) {
        let mut items = vec![zmq::PollItem::from_fd(self.wake.as_raw_fd(), zmq::POLLIN)];
        if let Some(socket) = &self.socket {
            let mut events = zmq::PollEvents::empty();
            events.set(zmq::POLLIN, self.undelivered.is_none());
            events.set(zmq::POLLOUT, !self.outbox.is_empty());
            if !events.is_empty() {
                items.push(socket.as_poll_item(events));
            }
        }
        let timeout_ms = if self.undelivered.is_some() { FULL_INBOX_POLL_MS } else { -1 };
        // An interrupted poll does no harm: every source is checked again.
        let _ = zmq::poll(&mut items, timeout_ms);
        let _ = rustix::io::read(&*self.wake, &mut [0_u8; 8]);
    }

    /// Sends the last messages, up to `Goodbye`.
    fn flush_and_linger(&mut self) {
        let until = Instant::now() + LINGER_TIMEOUT;
        while !self.outbox.is_empty() && Instant::now() < until {
            self.send();
            if let Some(socket) = self.socket.as_ref().filter(|_| !self.outbox.is_empty()) {
                let _ = socket.poll(zmq::POLLOUT, 50);
            }
        }
        if let Some(socket) = &self.socket {
            let _ = socket.set_linger(i32::try_from(LINGER_TIMEOUT.as_millis()).unwrap_or(1000));
        }
    }
}

fn connect(context: &zmq::Context, endpoint: &RouterEndpoint) -> Result<zmq::Socket, zmq::Error> {
    let socket = context.socket(zmq::DEALER)?;
    socket.set_linger(0)?;
    socket.set_ipv6(true)?;
    socket.set_sndhwm(1000)?;
    socket.set_rcvhwm(1000)?;
    socket.set_maxmsgsize(i64::try_from(MAX_MESSAGE_BYTES).unwrap_or(i64::MAX))?;
    socket.set_reconnect_ivl(100)?;
    socket.set_reconnect_ivl_max(2_000)?;
    socket.set_tcp_keepalive(1)?;
    if let Some(curve) = &endpoint.curve {
        curve.apply(&socket)?;
    }
    socket.connect(&endpoint.address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::super::{RouterEndpoint, start};

    fn router() -> (zmq::Socket, String) {
        let socket = zmq::Context::new().socket(zmq::ROUTER).unwrap();
        socket.set_rcvtimeo(5_000).unwrap();
        socket.bind("tcp://127.0.0.1:*").unwrap();
        let address = socket.get_last_endpoint().unwrap().unwrap();
        (socket, address)
    }

    fn receive(socket: &zmq::Socket) -> Vec<Vec<u8>> {
        socket.recv_multipart(0).unwrap()
    }

    #[tokio::test]
    async fn messages_go_both_ways_and_a_new_socket_is_a_new_peer() {
        let (router, address) = router();
        let (mut handle, mut incoming) = start().unwrap();
        let first = handle.open(RouterEndpoint { address: address.clone(), curve: None });
        handle.send(vec![b"Hello".to_vec(), b"{}".to_vec()]);
        let hello = receive(&router);
        assert_eq!(hello[1..], [b"Hello".to_vec(), b"{}".to_vec()]);
        router.send_multipart([hello[0].as_slice(), b"Heartbeat", b"{}"], 0).unwrap();
        let message = incoming.recv().await.unwrap();
        assert_eq!((message.generation, message.frames[0].as_slice()), (first, b"Heartbeat".as_slice()));
        let second = handle.open(RouterEndpoint { address, curve: None });
        handle.send(vec![b"Hello".to_vec()]);
        assert_ne!(receive(&router)[0], hello[0]);
        assert_ne!(first, second);
    }

    #[tokio::test]
    async fn last_messages_arrive() {
        let (router, address) = router();
        let (mut handle, _incoming) = start().unwrap();
        handle.open(RouterEndpoint { address, curve: None });
        handle.send(vec![b"Goodbye".to_vec()]);
        drop(handle);
        assert_eq!(receive(&router)[1], b"Goodbye");
    }

    #[tokio::test]
    async fn flood_is_read_without_loss() {
        let (router, address) = router();
        let (mut handle, mut incoming) = start().unwrap();
        handle.open(RouterEndpoint { address, curve: None });
        handle.send(vec![b"Hello".to_vec()]);
        let peer = receive(&router).remove(0);
        for n in 0..1000_u32 {
            router.send_multipart([peer.as_slice(), &n.to_be_bytes()], 0).unwrap();
        }
        for n in 0..1000_u32 {
            assert_eq!(incoming.recv().await.unwrap().frames[0], n.to_be_bytes());
        }
    }
}
