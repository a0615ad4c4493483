//! Tests of whole connections, without a network.

mod curve;
mod null;

use super::*;

const LIMITS: MessageLimits = MessageLimits { max_message_bytes: 2_000, max_frame_bytes: 1_200 };

/// An event, with owned messages.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Consumed(usize),
    Message(Vec<Vec<u8>>),
    KeyVerified([u8; 32]),
    Ready,
    Failed(ZmtpError),
}

/// A session with its input, its events and its output.
struct Run<'a> {
    session: Session,
    security: &'a Security,
    input: Vec<u8>,
    seen: Vec<Seen>,
    output: Vec<u8>,
}

impl<'a> Run<'a> {
    fn new(security: &'a Security) -> Self {
        let mut session = Session::new(LIMITS);
        session.random = || Ok(HandshakeRandom::fixed(7));
        Self { session, security, input: Vec::new(), seen: Vec::new(), output: Vec::new() }
    }

    /// Takes all events of the input, up to the first failure.
    fn feed(&mut self, input: &[u8]) -> &mut Self {
        self.input.extend_from_slice(input);
        while !matches!(self.seen.last(), Some(Seen::Failed(_))) {
            let (consumed, seen) = match self.session.next(&self.input, self.security, &mut self.output) {
                Ok(SessionEvent::Incomplete) => break,
                Ok(SessionEvent::Consumed(consumed)) => (consumed, Seen::Consumed(consumed)),
                Ok(SessionEvent::Message { consumed, message }) => (consumed, Seen::Message(owned(message))),
                Ok(SessionEvent::KeyVerified { consumed, key }) => (consumed, Seen::KeyVerified(key)),
                Ok(SessionEvent::Ready { consumed }) => (consumed, Seen::Ready),
                Err(error) => (0, Seen::Failed(error)),
            };
            self.input.drain(..consumed);
            if matches!(seen, Seen::KeyVerified(_)) {
                self.session.admit(true, &mut self.output);
            }
            self.seen.push(seen);
        }
        self
    }

    /// Feeds the input in pieces that end at `cuts`.
    fn in_pieces(security: &'a Security, input: &[u8], mut cuts: Vec<usize>) -> Self {
        let mut run = Self::new(security);
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        for piece in cuts.windows(2) {
            run.feed(&input[piece[0]..piece[1]]);
        }
        run
    }

    /// Returns the output since the last call.
    fn sent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    fn messages(&self) -> Vec<Vec<Vec<u8>>> {
        self.seen
            .iter()
            .filter_map(|seen| match seen {
                Seen::Message(frames) => Some(frames.clone()),
                _ => None,
            })
            .collect()
    }

    fn failure(&self) -> Option<ZmtpError> {
        match self.seen.last() {
            Some(Seen::Failed(error)) => Some(*error),
            _ => None,
        }
    }
}

/// Copies a message, and checks its sizes against each other and the limits.
fn owned(message: Message<'_>) -> Vec<Vec<u8>> {
    let frames: Vec<Vec<u8>> = message.iter().map(<[u8]>::to_vec).collect();
    let bytes = frames.iter().map(Vec::len).sum::<usize>();
    assert_eq!((frames.len(), bytes), (message.len(), message.bytes()));
    assert!(!message.is_empty() && bytes + 9 * frames.len() <= LIMITS.max_message_bytes);
    assert!(frames.iter().all(|frame| frame.len() <= LIMITS.max_frame_bytes));
    frames
}

/// Splits off the first frame: its header, its body, and the rest.
fn split(output: &[u8]) -> (frame::Header, &[u8], &[u8]) {
    let header = frame::Header::read(output).unwrap().unwrap();
    let (frame, rest) = output.split_at(header.frame_size());
    (header, &frame[header.size..], rest)
}

/// Checks that the pieces of the input do not change the events. The output may differ if the greeting fails, which may
/// have been answered before.
fn pieces_do_not_matter(security: &Security, input: &[u8], cuts: Vec<usize>) {
    let whole = Run::in_pieces(security, input, Vec::new());
    let pieces = Run::in_pieces(security, input, cuts);
    assert_eq!(whole.seen, pieces.seen);
    if whole.seen.len() > 1 {
        assert_eq!(whole.output, pieces.output);
    }
}
