//! Whole connections, without a network.

mod curve;
mod null;

use super::*;

const BOUNDS: Bounds = Bounds { message_bytes: 2_000, frame_bytes: 1_200 };

/// A step, with what it borrowed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Consumed(usize),
    Message(Vec<Vec<u8>>),
    Proved([u8; 32]),
    Ready,
    Failed(Error),
}

/// A session, what came of its input and what it sent.
struct Run<'a> {
    session: Session,
    security: &'a Security,
    input: Vec<u8>,
    seen: Vec<Seen>,
    output: Vec<u8>,
}

impl<'a> Run<'a> {
    fn new(security: &'a Security) -> Self {
        let mut session = Session::new(BOUNDS);
        session.random = || Ok(Random::fixed(7));
        Self { session, security, input: Vec::new(), seen: Vec::new(), output: Vec::new() }
    }

    /// All steps that the input is enough for, up to the first failure.
    fn feed(&mut self, input: &[u8]) -> &mut Self {
        self.input.extend_from_slice(input);
        while !matches!(self.seen.last(), Some(Seen::Failed(_))) {
            let (consumed, seen) = match self.session.next(&self.input, self.security, &mut self.output) {
                Ok(Step::Incomplete) => break,
                Ok(Step::Consumed(consumed)) => (consumed, Seen::Consumed(consumed)),
                Ok(Step::Message { consumed, message }) => (consumed, Seen::Message(owned(message))),
                Ok(Step::Proved { consumed, key }) => (consumed, Seen::Proved(key)),
                Ok(Step::Ready { consumed }) => (consumed, Seen::Ready),
                Err(error) => (0, Seen::Failed(error)),
            };
            self.input.drain(..consumed);
            if matches!(seen, Seen::Proved(_)) {
                self.session.admit(true, &mut self.output);
            }
            self.seen.push(seen);
        }
        self
    }

    fn cut(security: &'a Security, input: &[u8], mut cuts: Vec<usize>) -> Self {
        let mut run = Self::new(security);
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        for piece in cuts.windows(2) {
            run.feed(&input[piece[0]..piece[1]]);
        }
        run
    }

    /// What was sent since the last call.
    fn sent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    fn messages(&self) -> Vec<Vec<Vec<u8>>> {
        let message = |seen: &Seen| match seen {
            Seen::Message(frames) => Some(frames.clone()),
            _ => None,
        };
        self.seen.iter().filter_map(message).collect()
    }

    fn failure(&self) -> Option<Error> {
        match self.seen.last() {
            Some(Seen::Failed(error)) => Some(*error),
            _ => None,
        }
    }
}

/// All that is told of the message agrees, and is within the bounds.
fn owned(message: Message<'_>) -> Vec<Vec<u8>> {
    let frames: Vec<Vec<u8>> = message.iter().map(<[u8]>::to_vec).collect();
    let bytes = frames.iter().map(Vec::len).sum::<usize>();
    assert_eq!((frames.len(), bytes), (message.len(), message.bytes()));
    assert!(!message.is_empty() && bytes + 9 * frames.len() <= BOUNDS.message_bytes);
    assert!(frames.iter().all(|frame| frame.len() <= BOUNDS.frame_bytes));
    frames
}

/// A frame as its header says, and the rest.
fn split(output: &[u8]) -> (frame::Header, &[u8], &[u8]) {
    let header = frame::Header::read(output).unwrap().unwrap();
    let (frame, rest) = output.split_at(header.whole());
    (header, &frame[header.size..], rest)
}

/// However the input is cut, it comes to the same. A greeting that fails may have been answered before.
fn cuts_change_nothing(security: &Security, input: &[u8], cuts: Vec<usize>) {
    let (whole, cut) = (Run::cut(security, input, Vec::new()), Run::cut(security, input, cuts));
    assert_eq!(whole.seen, cut.seen);
    if whole.seen.len() > 1 {
        assert_eq!(whole.output, cut.output);
    }
}
