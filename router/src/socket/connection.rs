//! A connection: its socket, its session of the protocol, and the bytes that wait in either direction.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, TcpStream};

use rustix::event::epoll::EventFlags;
use trackyard_protocol::keys::PublicKey;
use trackyard_zmtp::{Message, MessageLimits, Security, Session, SessionEvent};

use super::admission::Admission;
use super::output::Output;
use super::{CloseReason, PortKind};
use crate::dispatch::Peer;

/// Maximum size of a message. It is larger than the limit of a request, so that a request above that limit is answered.
const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// Maximum unused memory of the buffer for a partial message.
const MAX_SPARE_BYTES: usize = 4 << 10;
/// Maximum number of reads from a peer that still sends while the ports close.
const MAX_FINAL_READS: usize = 64;
/// Minimum size of a frame for which a system call costs less than a copy.
const MIN_UNCOPIED_FRAME: usize = 16 << 10;
/// Maximum size of a command of the protocol.
const MAX_COMMAND_BYTES: usize = 256;
/// Maximum overhead of a frame, encryption included.
const MAX_FRAME_OVERHEAD: usize = 64;

/// Number of messages after which a connection pauses, so that others are served. A read may hold thousands of messages, and
/// an answer may be a thousand times as large and as expensive.
const MAX_MESSAGES_AT_A_TIME: usize = 128;

/// The peer of a connection.
#[derive(Debug)]
pub struct Origin {
    /// The number of the connection, which is unique.
    pub peer: Peer,
    /// The port that it is connected to.
    pub port: PortKind,
    /// The address of the peer.
    pub address: IpAddr,
    /// The key that the peer proved, on a port with a key.
    pub key: Option<PublicKey>,
}

/// An event of a connection.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// A message was received.
    Message(&'a Origin, Message<'a>),
    /// The connection ended.
    Closed(&'a Origin, CloseReason),
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The peer is not connected.
    #[error("the peer is not connected")]
    Gone,
    /// The peer has too many unread messages.
    #[error("the peer does not read its messages")]
    Full,
}

/// What a connection needs to receive.
pub(super) struct Receiver<'a> {
    pub(super) security: &'a Security,
    pub(super) admission: &'a mut Admission,
    /// The buffer to read into, which all connections share.
    pub(super) buffer: &'a mut [u8],
    pub(super) on_input: &'a mut dyn FnMut(Input<'_>),
}

/// A connection.
pub(super) struct Connection {
    pub(super) origin: Origin,
    stream: TcpStream,
    session: Session,
    /// The beginning of a partial message; while the connection is paused, also complete messages.
    received: Vec<u8>,
    /// True while `received` may hold complete messages.
    paused: bool,
    output: Output,
    /// True while the connection is in the queue of ready connections.
    pub(super) is_queued: bool,
    /// The events that its descriptor is polled for.
    pub(super) polled: EventFlags,
    /// True while the connection is in the list of those with bytes to send.
    pub(super) is_listed: bool,
    /// Number of unsent bytes when they were last counted.
    pub(super) counted_unsent: usize,
}

impl Connection {
    /// Creates a connection, and queues the greeting of its port.
    pub(super) fn new(origin: Origin, stream: TcpStream, security: Option<&Security>) -> Self {
        let limits =
            MessageLimits { max_message_bytes: MAX_MESSAGE_BYTES, max_frame_bytes: MAX_MESSAGE_BYTES };
        let mut session = Session::new(limits);
        let mut output = Output::default();
        if let Some(security) = security {
            // Empty input cannot fail.
            let _ = session.next(&[], security, output.reserve(MAX_COMMAND_BYTES));
        }
        Self {
            origin,
            stream,
            session,
            received: Vec::new(),
            paused: false,
            output,
            is_queued: false,
            polled: EventFlags::empty(),
            is_listed: false,
            counted_unsent: 0,
        }
    }

    pub(super) const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn is_ready(&self) -> bool {
        self.session.is_ready()
    }

    /// Returns the bytes of memory that a partial message takes.
    pub(super) fn partial_bytes(&self) -> usize {
        self.received.capacity() + self.session.held_bytes()
    }

    /// Returns true if messages may wait that were read and not handled.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Returns the number of bytes that are not sent yet.
    pub(super) fn unsent(&self) -> usize {
        self.output.len()
    }

    /// Reads once, unless messages wait already, and passes on complete messages.
    pub(super) fn receive(&mut self, receiver: Receiver<'_>) -> Result<(), CloseReason> {
        let Receiver { security, admission, buffer, on_input } = receiver;
        let partial = self.received.len();
        if self.paused {
            return self.process_received(security, admission, on_input);
        }
        if partial >= buffer.len() / 2 {
            // Much of the message is there already, and should not be copied again with each read.
            let read = self.read(buffer)?;
            self.append(buffer.get(..read).unwrap_or_default());
            return self.process_received(security, admission, on_input);
        }
        let (start, free) = buffer.split_at_mut(partial);
        let read = self.read(free)?;
        start.copy_from_slice(&self.received);
        let input = buffer.get(..partial + read).unwrap_or_default();
        let used = self.process(input, security, admission, on_input)?;
        self.received.clear();
        self.received.extend_from_slice(input.get(used..).unwrap_or_default());
        self.received.shrink_to(MAX_SPARE_BYTES);
        Ok(())
    }

    /// Processes the bytes that were received before.
    fn process_received(
        &mut self,
        security: &Security,
        admission: &mut Admission,
        on_input: &mut dyn FnMut(Input<'_>),
    ) -> Result<(), CloseReason> {
        let mut input = std::mem::take(&mut self.received);
        let used = self.process(&input, security, admission, on_input)?;
        if used > 0 {
            input.drain(..used);
            input.shrink_to(MAX_SPARE_BYTES);
        }
        self.received = input;
        Ok(())
    }

    /// Appends to a partial message. The buffer grows by a quarter, for few copies and little unused memory.
    fn append(&mut self, bytes: &[u8]) {
        if self.received.capacity() - self.received.len() < bytes.len() {
            self.received.reserve_exact(bytes.len().max(self.received.len() / 4));
        }
        self.received.extend_from_slice(bytes);
    }

    /// Reads once. Returns 0 if no bytes wait.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, CloseReason> {
        match self.stream.read(buffer) {
            Ok(0) => Err(CloseReason::Peer),
            Ok(read) => Ok(read),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
            Err(_) => Err(CloseReason::Peer),
        }
    }

    /// Processes all complete steps of the protocol, or pauses after `MAX_MESSAGES_AT_A_TIME` messages. Returns the number of
    /// bytes that were processed.
    fn process(
        &mut self,
        input: &[u8],
        security: &Security,
        admission: &mut Admission,
        on_input: &mut dyn FnMut(Input<'_>),
    ) -> Result<usize, CloseReason> {
        let mut used = 0;
        let mut messages = 0;
        self.paused = false;
        while !self.paused {
            let rest = input.get(used..).unwrap_or_default();
            let is_ready = self.session.is_ready();
            match self.session.next(rest, security, self.output.reserve(MAX_COMMAND_BYTES)) {
                Err(error) => return Err(self.close_reason(&error, is_ready)),
                Ok(SessionEvent::Incomplete) => return Ok(used),
                Ok(SessionEvent::Consumed(consumed) | SessionEvent::Ready { consumed }) => used += consumed,
                Ok(SessionEvent::Message { consumed, message }) => {
                    used += consumed;
                    on_input(Input::Message(&self.origin, message));
                    messages += 1;
                    self.paused = messages == MAX_MESSAGES_AT_A_TIME;
                }
                Ok(SessionEvent::KeyVerified { consumed, key }) => {
                    used += consumed;
                    self.origin.key = admission.check(self.origin.port, self.origin.address, key);
                    self.session.admit(self.origin.key.is_some(), self.output.reserve(MAX_COMMAND_BYTES));
                    if self.origin.key.is_none() {
                        return Err(CloseReason::Handshake);
                    }
                }
            }
        }
        Ok(used)
    }

    fn close_reason(&self, error: &trackyard_zmtp::ZmtpError, was_ready: bool) -> CloseReason {
        let port = <&str>::from(self.origin.port);
        let from = self.origin.address;
        tracing::debug!(port, %from, why = error.as_str(), %error, "closing a connection");
        if was_ready { CloseReason::from(error) } else { CloseReason::Handshake }
    }

    /// Queues a message. The last frame of a large one is sent immediately, as far as the socket takes it, and not copied.
    pub(super) fn write(&mut self, frames: &[&[u8]]) {
        let bytes: usize = frames.iter().map(|frame| frame.len() + MAX_FRAME_OVERHEAD).sum();
        match frames.last() {
            Some(last) if last.len() >= MIN_UNCOPIED_FRAME => {
                if self.session.write_head(frames, self.output.reserve(bytes)) {
                    self.output.send(last, &self.stream);
                }
            }
            _ => self.session.write(frames, self.output.reserve(bytes)),
        }
    }

    /// Sends as many bytes as the socket takes.
    pub(super) fn flush(&mut self) -> Result<(), CloseReason> {
        self.output.flush(&self.stream)
    }

    /// Returns the events to poll the descriptor for. If `over_limit`, a peer that has not read its messages is not read
    /// from.
    pub(super) fn interest(&self, over_limit: bool) -> EventFlags {
        let mut interest = EventFlags::RDHUP;
        interest.set(EventFlags::IN, self.unsent() == 0 || !over_limit);
        interest.set(EventFlags::OUT, self.unsent() > 0);
        interest
    }

    /// Shuts down sending, and discards what is received: a connection that is closed with unread bytes is reset, and the
    /// peer loses what it has not read yet.
    pub(super) fn finish(&mut self, buffer: &mut [u8]) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        for _ in 0..MAX_FINAL_READS {
            if !self.stream.read(buffer).is_ok_and(|read| read > 0) {
                return;
            }
        }
    }
}
