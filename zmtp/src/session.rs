//! The state of one connection.

mod frame_scanner;
mod handshake;

use frame_scanner::{FrameScanner, Scanned};

use crate::curve::{BoxKey, CurveCodec, HandshakeRandom, Opened};
use crate::message_limits::MessageSize;
use crate::{Message, MessageLimits, Security, SessionEvent, ZmtpError, frame};

/// The server's end of one connection, from the peer's greeting on.
pub struct Session {
    limits: MessageLimits,
    stage: Stage,
    scanner: FrameScanner,
    /// Set under CURVE, once the peer has proved its key.
    codec: Option<Box<CurveCodec>>,
    random: fn() -> Result<HandshakeRandom, ZmtpError>,
}

/// What the session waits for.
enum Stage {
    /// The first call, which sends the start of our greeting.
    New,
    /// The peer's greeting; `answered` once our whole greeting was sent.
    Greeting { answered: bool },
    /// NULL: the peer's READY.
    Ready,
    /// CURVE: the peer's HELLO.
    Hello,
    /// CURVE: the peer's INITIATE, with the cookie that this key opens.
    Initiate(BoxKey),
    /// CURVE: the caller's decision whether the verified key is admitted.
    KeyVerified,
    /// CURVE: the next call, which reports that the session is ready.
    Admitted,
    /// Messages.
    Open,
    /// Nothing more.
    Failed(ZmtpError),
}

/// An event that does not borrow the message yet.
enum OwnedEvent {
    Event(SessionEvent<'static>),
    /// A message in the first bytes of the input: their number, and the size of the message.
    Plain(usize, MessageSize),
    /// A decrypted message: the number of processed bytes, and the size of the message.
    Decrypted(usize, MessageSize),
}

impl Session {
    /// Makes the session of a new connection.
    pub fn new(limits: MessageLimits) -> Self {
        Self {
            limits,
            stage: Stage::New,
            scanner: FrameScanner::default(),
            codec: None,
            random: HandshakeRandom::new,
        }
    }

    /// Returns the next event. `input` is everything received and not consumed yet: after [`SessionEvent::Incomplete`],
    /// the same bytes and more. Bytes for the peer are appended to `output`; the first are the start of our greeting, for
    /// which the input may be empty.
    ///
    /// # Errors
    ///
    /// If the peer violates the protocol. Every later call returns the same error. `output` may have a command that tells
    /// the peer why.
    pub fn next<'a>(
        &'a mut self,
        input: &'a [u8],
        security: &Security,
        output: &mut Vec<u8>,
    ) -> Result<SessionEvent<'a>, ZmtpError> {
        let event =
            self.advance(input, security, output).inspect_err(|error| self.stage = Stage::Failed(*error))?;
        Ok(match event {
            OwnedEvent::Event(event) => event,
            OwnedEvent::Plain(consumed, size) => {
                let message = Message::new(input.get(..consumed).unwrap_or_default(), size);
                SessionEvent::Message { consumed, message }
            }
            OwnedEvent::Decrypted(consumed, size) => {
                let frames = self.codec.as_ref().map(|codec| codec.frames()).unwrap_or_default();
                SessionEvent::Message { consumed, message: Message::new(frames, size) }
            }
        })
    }

    fn advance(
        &mut self,
        input: &[u8],
        security: &Security,
        output: &mut Vec<u8>,
    ) -> Result<OwnedEvent, ZmtpError> {
        match (&self.stage, self.codec.as_mut()) {
            (Stage::Open, None) => Ok(match self.scanner.scan(input, &self.limits, output)? {
                Scanned::Incomplete => OwnedEvent::Event(SessionEvent::Incomplete),
                Scanned::Command(consumed) => OwnedEvent::Event(SessionEvent::Consumed(consumed)),
                Scanned::Message(consumed, size) => OwnedEvent::Plain(consumed, size),
            }),
            (Stage::Open, Some(codec)) => {
                codec.clear_complete();
                Ok(match codec.open(input, &self.limits, output)? {
                    Opened::Incomplete => OwnedEvent::Event(SessionEvent::Incomplete),
                    Opened::Part(consumed) => OwnedEvent::Event(SessionEvent::Consumed(consumed)),
                    Opened::Last(consumed, size) => OwnedEvent::Decrypted(consumed, size),
                })
            }
            _ => self.handshake(input, security, output).map(OwnedEvent::Event),
        }
    }

    /// Appends a message of these frames, encrypted under CURVE. Appends nothing before [`SessionEvent::Ready`], or if
    /// there are no frames.
    pub fn write(&mut self, frames: &[&[u8]], output: &mut Vec<u8>) {
        if self.write_head(frames, output) {
            output.extend_from_slice(frames.last().copied().unwrap_or_default());
        }
    }

    /// Appends a message like [`write`](Self::write), but under NULL without the body of its last frame. Returns true if
    /// the caller must send that body next.
    pub fn write_head(&mut self, frames: &[&[u8]], output: &mut Vec<u8>) -> bool {
        if !self.is_ready() {
            return false;
        }
        let last = frames.len().saturating_sub(1);
        for (index, body) in frames.iter().enumerate() {
            let more = index < last;
            match &mut self.codec {
                Some(codec) => codec.write(more, body, output),
                None => {
                    output.extend_from_slice(&frame::header(more, body.len()));
                    output.extend_from_slice(if more { body } else { &[] });
                }
            }
        }
        self.codec.is_none()
    }

    /// Whether messages may be written.
    pub const fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// Returns the key that the peer has proved, from [`SessionEvent::KeyVerified`] on. There is none under NULL.
    pub fn key(&self) -> Option<&[u8; 32]> {
        self.codec.as_ref().map(|codec| &codec.peer)
    }

    /// Returns the bytes of memory, beside input and output, for a message that is decrypted frame by frame: at most about
    /// twice [`MessageLimits::max_message_bytes`]. After the event that follows a message it is at most 16 KiB; under NULL
    /// it is 0.
    pub fn held_bytes(&self) -> usize {
        self.codec.as_ref().map_or(0, |codec| codec.buffer_bytes())
    }
}

#[cfg(test)]
mod tests;
