//! One connection: its socket, its side of the protocol, and the bytes that wait in either direction.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, TcpStream};

use rustix::event::epoll::EventFlags;
use trackyard_protocol::keys::PublicKey;
use trackyard_zmtp::{Message, MessageLimits, Security, Session, SessionEvent};

use super::admission::Admission;
use super::output::Output;
use super::{Closed, PortKind};
use crate::dispatch::Peer;

/// Bytes of a whole message. Above what is answered with 502, so that it can be.
const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// Memory for the beginning of a message that may be more than the beginning takes.
const SPARE: usize = 4 << 10;
/// Reads from a peer that goes on sending while the ports close.
const LAST_READS: usize = 64;
/// Bytes of a frame for which a system call costs less than its copy.
const LARGE: usize = 16 << 10;
/// Bytes of what the protocol itself says at a time.
const COMMAND: usize = 256;
/// Bytes that a frame has beside its own, encrypted too.
const FRAMING: usize = 64;

/// Messages after which others have their turn: some thousand fit into one read, and an answer may be a thousand times as
/// large and as dear.
const MESSAGES: usize = 128;

/// Who is at the other end.
#[derive(Debug)]
pub struct Origin {
    /// The connection; its number is never another's.
    pub peer: Peer,
    /// The port that it came by.
    pub port: PortKind,
    /// The address that it came from.
    pub address: IpAddr,
    /// The key that it proved, on a port with a key.
    pub key: Option<PublicKey>,
}

/// Something came from outside.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// A message.
    Message(&'a Origin, Message<'a>),
    /// A connection ended.
    Closed(&'a Origin, Closed),
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The peer is not connected.
    #[error("the peer is gone")]
    Gone,
    /// The peer does not read what it was sent before.
    #[error("the peer takes nothing more")]
    Full,
}

/// What a connection reads with: its port's, and everybody's.
pub(super) struct Reader<'a> {
    pub(super) security: &'a Security,
    pub(super) admission: &'a mut Admission,
    /// Memory to read to.
    pub(super) memory: &'a mut [u8],
    pub(super) take: &'a mut dyn FnMut(Input<'_>),
}

/// A connection.
pub(super) struct Connection {
    pub(super) origin: Origin,
    stream: TcpStream,
    session: Session,
    /// The beginning of a message that is not whole yet; while it is paused, whole ones too.
    begun: Vec<u8>,
    /// True while there may be messages that were read and not taken.
    paused: bool,
    output: Output,
    /// True from when it was told that there is something to read or write until that is attended to.
    pub(super) told: bool,
    /// What its descriptor is watched for.
    pub(super) watched: EventFlags,
    /// True while it is in the list of those with something to send.
    pub(super) listed: bool,
    /// Bytes unsent when they were last counted.
    pub(super) counted: usize,
}

impl Connection {
    /// A new connection, with the greeting of its port to be sent.
    pub(super) fn greet(origin: Origin, stream: TcpStream, security: Option<&Security>) -> Self {
        let limits =
            MessageLimits { max_message_bytes: MAX_MESSAGE_BYTES, max_frame_bytes: MAX_MESSAGE_BYTES };
        let (mut session, mut output) = (Session::new(limits), Output::default());
        if let Some(security) = security {
            // Of no bytes nothing can be wrong.
            let _ = session.next(&[], security, output.room(COMMAND));
        }
        Self {
            origin,
            stream,
            session,
            begun: Vec::new(),
            paused: false,
            output,
            told: false,
            watched: EventFlags::empty(),
            listed: false,
            counted: 0,
        }
    }

    pub(super) const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn is_ready(&self) -> bool {
        self.session.is_ready()
    }

    /// Bytes of memory for a message that is not whole yet.
    pub(super) fn begun(&self) -> usize {
        self.begun.capacity() + self.session.held_bytes()
    }

    /// Whether messages may be there that were read and not taken.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Bytes that the peer has not read yet.
    pub(super) fn unsent(&self) -> usize {
        self.output.len()
    }

    /// Reads once, unless enough is there already, and hands over what is whole.
    pub(super) fn receive(&mut self, reader: Reader<'_>) -> Result<(), Closed> {
        let Reader { security, admission, memory, take } = reader;
        let begun = self.begun.len();
        if self.paused {
            return self.go_on(security, admission, take);
        }
        if begun >= memory.len() / 2 {
            // Much of a message is there already: it is not copied with each read.
            let read = self.read(memory)?;
            self.append(memory.get(..read).unwrap_or_default());
            return self.go_on(security, admission, take);
        }
        let (before, room) = memory.split_at_mut(begun);
        let read = self.read(room)?;
        before.copy_from_slice(&self.begun);
        let input = memory.get(..begun + read).unwrap_or_default();
        let used = self.walk(input, security, admission, take)?;
        self.begun.clear();
        self.begun.extend_from_slice(input.get(used..).unwrap_or_default());
        self.begun.shrink_to(SPARE);
        Ok(())
    }

    /// Takes what is there already.
    fn go_on(
        &mut self,
        security: &Security,
        admission: &mut Admission,
        take: &mut dyn FnMut(Input<'_>),
    ) -> Result<(), Closed> {
        let mut input = std::mem::take(&mut self.begun);
        let used = self.walk(&input, security, admission, take)?;
        if used > 0 {
            input.drain(..used);
            input.shrink_to(SPARE);
        }
        self.begun = input;
        Ok(())
    }

    /// Adds to a message that has begun; with a quarter more of room, for few copies and little memory that is not used.
    fn append(&mut self, bytes: &[u8]) {
        if self.begun.capacity() - self.begun.len() < bytes.len() {
            self.begun.reserve_exact(bytes.len().max(self.begun.len() / 4));
        }
        self.begun.extend_from_slice(bytes);
    }

    /// Reads what there is; nothing if there is none.
    fn read(&mut self, memory: &mut [u8]) -> Result<usize, Closed> {
        match self.stream.read(memory) {
            Ok(0) => Err(Closed::Peer),
            Ok(read) => Ok(read),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
            Err(_) => Err(Closed::Peer),
        }
    }

    /// Takes all whole steps of the protocol, or pauses after many messages; how many bytes they had.
    fn walk(
        &mut self,
        input: &[u8],
        security: &Security,
        admission: &mut Admission,
        take: &mut dyn FnMut(Input<'_>),
    ) -> Result<usize, Closed> {
        let (mut used, mut messages) = (0, 0);
        self.paused = false;
        while !self.paused {
            let rest = input.get(used..).unwrap_or_default();
            let is_ready = self.session.is_ready();
            match self.session.next(rest, security, self.output.room(COMMAND)) {
                Err(error) => return Err(self.blame(&error, is_ready)),
                Ok(SessionEvent::Incomplete) => return Ok(used),
                Ok(SessionEvent::Consumed(consumed) | SessionEvent::Ready { consumed }) => used += consumed,
                Ok(SessionEvent::Message { consumed, message }) => {
                    used += consumed;
                    take(Input::Message(&self.origin, message));
                    messages += 1;
                    self.paused = messages == MESSAGES;
                }
                Ok(SessionEvent::KeyVerified { consumed, key }) => {
                    used += consumed;
                    self.origin.key = admission.of(self.origin.port, self.origin.address, key);
                    self.session.admit(self.origin.key.is_some(), self.output.room(COMMAND));
                    if self.origin.key.is_none() {
                        return Err(Closed::Handshake);
                    }
                }
            }
        }
        Ok(used)
    }

    fn blame(&self, error: &trackyard_zmtp::ZmtpError, was_ready: bool) -> Closed {
        let (port, from) = (<&str>::from(self.origin.port), self.origin.address);
        tracing::debug!(port, %from, why = error.as_str(), %error, "closing a connection");
        if was_ready { Closed::from(error) } else { Closed::Handshake }
    }

    /// Lets a message wait to be sent; the end of a large one is sent at once as far as it goes, and not copied.
    pub(super) fn write(&mut self, frames: &[&[u8]]) {
        let bytes: usize = frames.iter().map(|frame| frame.len() + FRAMING).sum();
        match frames.last() {
            Some(last) if last.len() >= LARGE => {
                if self.session.write_head(frames, self.output.room(bytes)) {
                    self.output.send(last, &self.stream);
                }
            }
            _ => self.session.write(frames, self.output.room(bytes)),
        }
    }

    /// Sends what waits, as far as it goes.
    pub(super) fn flush(&mut self) -> Result<(), Closed> {
        self.output.flush(&self.stream)
    }

    /// What its descriptor is to be watched for. Where much is unread, a peer that has not read what it was sent is not
    /// read from.
    pub(super) fn wants(&self, much_is_unread: bool) -> EventFlags {
        let mut wants = EventFlags::RDHUP;
        wants.set(EventFlags::IN, self.unsent() == 0 || !much_is_unread);
        wants.set(EventFlags::OUT, self.unsent() > 0);
        wants
    }

    /// Lets nothing more be sent, and throws away what comes: a connection that is closed with bytes unread takes back
    /// what the peer has not read yet.
    pub(super) fn finish(&mut self, memory: &mut [u8]) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        for _ in 0..LAST_READS {
            if !self.stream.read(memory).is_ok_and(|read| read > 0) {
                return;
            }
        }
    }
}
