//! The input of a ZMTP connection: any bytes, or any bytes after a valid handshake.

use trackyard_zmtp::{Message, MessageLimits, Security, Session, SessionEvent, ZmtpError, curve};

const LIMITS: MessageLimits = MessageLimits { max_message_bytes: 600, max_frame_bytes: 400 };
const HANDSHAKE: &[u8] = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03REQ";

#[derive(Debug, PartialEq)]
enum Seen {
    Consumed(usize),
    Message(Vec<Vec<u8>>),
    Ready(usize),
    Failed(ZmtpError),
}

/// The first byte chooses the security and whether a valid handshake comes first, the second the length of the pieces in
/// which the others arrive. Checks that the pieces do not change the events, that messages are within the limits, and that
/// a message can be written and read back.
pub fn run(bytes: &[u8]) {
    let Some((&[kind, length], rest)) = bytes.split_first_chunk() else { return };
    let security = match kind & 1 {
        0 => Security::Null,
        _ => Security::Curve(curve::ServerKeys::new([1; 32], [2; 32])),
    };
    let handshake = if kind & 2 == 0 { HANDSHAKE } else { &[] };
    let input = [handshake, rest].concat();
    let whole = events(&security, input.chunks(input.len().max(1)));
    assert_eq!(whole, events(&security, input.chunks(usize::from(length.max(1)))));
    for seen in whole {
        if let Seen::Message(frames) = seen {
            assert_eq!(written(&frames), [Seen::Consumed(64), Seen::Ready(27), Seen::Message(frames)]);
        }
    }
}

/// Writes a message in one session and reads it in another.
fn written(frames: &[Vec<u8>]) -> Vec<Seen> {
    let mut session = Session::new(LIMITS);
    let mut output = Vec::new();
    let mut input = HANDSHAKE;
    while !session.is_ready() {
        match session.next(input, &Security::Null, &mut output) {
            Ok(SessionEvent::Consumed(consumed) | SessionEvent::Ready { consumed }) => {
                input = input.get(consumed..).unwrap_or_default();
            }
            other => panic!("a valid handshake: {other:?}"),
        }
    }
    output.clear();
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    session.write(&frames, &mut output);
    events(&Security::Null, [HANDSHAKE, &output].into_iter())
}

/// Returns all events up to the first failure.
fn events<'a>(security: &Security, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Seen> {
    let mut session = Session::new(LIMITS);
    let mut input = Vec::new();
    let mut output = Vec::new();
    let mut all = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            let (consumed, seen) = match session.next(&input, security, &mut output) {
                Ok(SessionEvent::Incomplete) => break,
                Ok(SessionEvent::Consumed(consumed)) => (consumed, Seen::Consumed(consumed)),
                Ok(SessionEvent::Ready { consumed }) => (consumed, Seen::Ready(consumed)),
                Ok(SessionEvent::Message { consumed, message }) => (consumed, Seen::Message(checked(message))),
                Ok(SessionEvent::KeyVerified { .. }) => panic!("no input can prove a key"),
                Err(error) => {
                    all.push(Seen::Failed(error));
                    return all;
                }
            };
            input.drain(..consumed);
            all.push(seen);
        }
    }
    all
}

fn checked(message: Message<'_>) -> Vec<Vec<u8>> {
    let frames: Vec<Vec<u8>> = message.into_iter().map(<[u8]>::to_vec).collect();
    let bytes: usize = frames.iter().map(Vec::len).sum();
    assert_eq!((frames.len(), bytes), (message.len(), message.bytes()));
    assert!(bytes + 9 * frames.len() <= LIMITS.max_message_bytes);
    assert!(frames.iter().all(|frame| frame.len() <= LIMITS.max_frame_bytes));
    frames
}
