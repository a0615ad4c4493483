//! What a peer sends on a connection: any bytes, or any after a handshake that is right.

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

/// The first byte says which security the port has and whether the handshake is given, the second how long the pieces
/// are that the others come in. However they are cut they come to the same, within the bounds, and what was read is
/// read again once it was written.
pub fn run(bytes: &[u8]) {
    let Some((&[kind, length], rest)) = bytes.split_first_chunk() else { return };
    let security = match kind & 1 {
        0 => Security::Null,
        _ => Security::Curve(curve::ServerKeys::new([1; 32], [2; 32])),
    };
    let given = if kind & 2 == 0 { HANDSHAKE } else { &[] };
    let input = [given, rest].concat();
    let whole = steps(&security, input.chunks(input.len().max(1)));
    assert_eq!(whole, steps(&security, input.chunks(usize::from(length.max(1)))));
    for seen in whole {
        if let Seen::Message(frames) = seen {
            assert_eq!(written(&frames), [Seen::Consumed(64), Seen::Ready(27), Seen::Message(frames)]);
        }
    }
}

/// A message as our end writes it, read by another.
fn written(frames: &[Vec<u8>]) -> Vec<Seen> {
    let (mut session, mut output) = (Session::new(LIMITS), Vec::new());
    let mut input = HANDSHAKE;
    while !session.is_ready() {
        match session.next(input, &Security::Null, &mut output) {
            Ok(SessionEvent::Consumed(consumed) | SessionEvent::Ready { consumed }) => {
                input = input.get(consumed..).unwrap_or_default();
            }
            other => panic!("a handshake that is right: {other:?}"),
        }
    }
    output.clear();
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    session.write(&frames, &mut output);
    steps(&Security::Null, [HANDSHAKE, &output].into_iter())
}

/// All steps up to the first failure.
fn steps<'a>(security: &Security, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Seen> {
    let (mut session, mut input, mut output, mut all) = (Session::new(LIMITS), Vec::new(), Vec::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            let (consumed, seen) = match session.next(&input, security, &mut output) {
                Ok(SessionEvent::Incomplete) => break,
                Ok(SessionEvent::Consumed(consumed)) => (consumed, Seen::Consumed(consumed)),
                Ok(SessionEvent::Ready { consumed }) => (consumed, Seen::Ready(consumed)),
                Ok(SessionEvent::Message { consumed, message }) => (consumed, Seen::Message(checked(message))),
                Ok(SessionEvent::KeyVerified { .. }) => panic!("a key that nobody has"),
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
