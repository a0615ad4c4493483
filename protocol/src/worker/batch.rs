//! Several messages in one: `[Batch, packed]`. What a message costs either end hardly
//! depends on its size, so under load fewer and larger messages carry more in the same time.
//!
//! `packed` holds the frames of all messages, one after the other: four bytes with the frame's length, big-endian, and its bytes. The
//! highest bit of the length is set if another frame of the same message follows.

use super::{DecodeError, message_name};

/// The first version of the messages whose peers read batches.
pub const BATCHES_SINCE: u32 = 2;

/// The name of a batch.
pub const BATCH: &str = "Batch";
const BATCH_NAME: &[u8] = BATCH.as_bytes();

/// Maximum bytes of a batch; a larger message is sent alone. Beyond this size the bytes cost more than the messages.
const MAX_BYTES: usize = 64 << 10;
/// Maximum number of frames of a message.
const MAX_FRAMES: usize = 4;
const MORE: u32 = 1 << 31;
const PREFIX: usize = 4;

/// Messages for one peer that leave together.
#[derive(Debug, Default)]
pub struct Batch {
    packed: Vec<u8>,
    messages: usize,
}

impl Batch {
    /// Adds a message and returns true; returns false if the batch would become too large, and must be sent first.
    pub fn push<F: AsRef<[u8]>>(&mut self, frames: &[F]) -> bool {
        let bytes: usize = frames.iter().map(|frame| PREFIX + frame.as_ref().len()).sum();
        if self.messages > 0 && self.packed.len() + bytes > MAX_BYTES {
            return false;
        }
        self.packed.reserve(bytes);
        for (index, frame) in frames.iter().enumerate() {
            let frame = frame.as_ref();
            let more = if index + 1 < frames.len() { MORE } else { 0 };
            self.packed.extend_from_slice(&(length(frame.len()) | more).to_be_bytes());
            self.packed.extend_from_slice(frame);
        }
        self.messages += 1;
        true
    }

    /// Adds a message of two frames, the second of which `write` appends to its argument, unless the batch would become
    /// too large by it: then it is to be sent first. Gives whether it was added.
    pub(super) fn push_written(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let before = self.packed.len();
        self.packed.extend_from_slice(&(length(name.len()) | MORE).to_be_bytes());
        self.packed.extend_from_slice(name.as_bytes());
        let prefix = self.packed.len();
        self.packed.extend_from_slice(&[0; PREFIX]);
        write(&mut self.packed);
        if self.messages > 0 && self.packed.len() > MAX_BYTES {
            self.packed.truncate(before);
            return false;
        }
        let body = length(self.packed.len() - prefix - PREFIX);
        if let Some(bytes) = self.packed.get_mut(prefix..prefix + PREFIX) {
            bytes.copy_from_slice(&body.to_be_bytes());
        }
        self.messages += 1;
        true
    }

    /// Returns whether the batch holds no message.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Returns the messages to send, packed as one if the peer reads batches and there are several.
    pub fn messages(&self, reads_batches: bool) -> impl Iterator<Item = Message<'_>> {
        let as_one = reads_batches && self.messages > 1;
        let frames = [BATCH_NAME, &self.packed, &[], &[], &[]];
        let one = as_one.then_some(Message { frames, count: 2 });
        let each: &[u8] = if as_one { &[] } else { &self.packed };
        one.into_iter().chain(Messages::packed(each).filter_map(Result::ok))
    }

    /// Removes all messages. The memory is kept for the next ones, except what a large message took.
    pub fn clear(&mut self) {
        self.packed.clear();
        self.packed.shrink_to(MAX_BYTES);
        self.messages = 0;
    }
}

/// No frame of two gigabytes exists: what a message may have in all is checked long before.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(MORE - 1)
}

/// The frames of a message, borrowed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Message<'a> {
    /// One more than any message has, so that a longer message is recognised.
    frames: [&'a [u8]; MAX_FRAMES + 1],
    count: usize,
}

impl<'a> Message<'a> {
    fn of<F: AsRef<[u8]>>(frames: &'a [F]) -> Self {
        let mut message = Self::default();
        for (place, frame) in message.frames.iter_mut().zip(frames) {
            *place = frame.as_ref();
            message.count += 1;
        }
        message
    }

    /// The frames.
    #[must_use]
    pub fn frames(&self) -> &[&'a [u8]] {
        self.frames.get(..self.count).unwrap_or_default()
    }
}

/// Iterates over the messages of a batch, or over the one message. Ends after the first error.
#[derive(Debug)]
pub struct Messages<'a> {
    one: Option<Result<Message<'a>, DecodeError>>,
    packed: &'a [u8],
}

impl<'a> Messages<'a> {
    /// Reads received frames.
    pub fn of<F: AsRef<[u8]>>(frames: &'a [F]) -> Self {
        match (message_name(frames), frames) {
            // A peer that keeps to the bound never packs more: it sends a larger message alone.
            (Ok(BATCH_NAME), [_, packed]) if packed.as_ref().len() > MAX_BYTES => {
                Self { one: Some(Err(DecodeError::Packed)), packed: &[] }
            }
            (Ok(BATCH_NAME), [_, packed]) => Self::packed(packed.as_ref()),
            (Ok(_), _) => Self { one: Some(Ok(Message::of(frames))), packed: &[] },
            (Err(error), _) => Self { one: Some(Err(error)), packed: &[] },
        }
    }

    const fn packed(packed: &'a [u8]) -> Self {
        Self { one: None, packed }
    }

    fn unpack(&mut self) -> Option<Message<'a>> {
        let mut message = Message::default();
        for place in message.frames.iter_mut().take(MAX_FRAMES) {
            let (prefix, rest) = self.packed.split_first_chunk()?;
            let prefix = u32::from_be_bytes(*prefix);
            let length = usize::try_from(prefix & !MORE).ok()?;
            (*place, self.packed) = rest.split_at_checked(length)?;
            message.count += 1;
            if prefix & MORE == 0 {
                return Some(message);
            }
        }
        None
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.one.is_some() || self.packed.is_empty() {
            return self.one.take();
        }
        let message = self.unpack();
        if message.is_none() {
            self.packed = &[];
        }
        Some(message.ok_or(DecodeError::Packed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Frames = Vec<Vec<u8>>;

    fn packed(messages: &[Frames]) -> Batch {
        let mut batch = Batch::default();
        assert!(messages.iter().all(|message| batch.push(message)));
        batch
    }

    fn frames(message: &Message<'_>) -> Frames {
        message.frames().iter().map(|frame| frame.to_vec()).collect()
    }

    fn unpacked(bytes: &[u8]) -> Vec<Frames> {
        Messages::packed(bytes).map(|message| frames(&message.unwrap())).collect()
    }

    #[test]
    fn one_word_is_its_own_message_and_so_is_each_for_a_peer_that_reads_no_batches() {
        let message = |text: &str| vec![text.as_bytes().to_vec(), b"{}".to_vec()];
        let (one, two) = (packed(&[message("a")]), packed(&[message("a"), message("b")]));
        let messages = |batch: &Batch, reads| batch.messages(reads).map(|m| frames(&m)).collect::<Vec<_>>();
        assert_eq!(messages(&one, true), [message("a")]);
        assert_eq!(messages(&two, false), [message("a"), message("b")]);
        let [only] = messages(&two, true).try_into().unwrap();
        assert_eq!(
            (only[0].as_slice(), unpacked(&only[1])),
            (b"Batch".as_slice(), vec![message("a"), message("b")])
        );
    }

    #[test]
    fn a_batch_is_bounded_and_a_large_word_goes_alone() {
        let large = vec![vec![b'x'; MAX_BYTES]];
        let small = vec![b"small".to_vec()];
        let mut batch = Batch::default();
        assert!(batch.push(&large) && !batch.push(&small));
        batch.clear();
        assert!(batch.is_empty() && batch.push(&small) && !batch.push(&large) && batch.push(&small));
    }

    #[test]
    fn a_word_that_is_written_in_place_is_as_one_that_is_pushed() {
        let (mut pushed, mut written) = (Batch::default(), Batch::default());
        for size in [0, 1, 300, MAX_BYTES - 400, 200] {
            let body = vec![b'x'; size];
            let added = pushed.push(&[b"name".as_slice(), &body]);
            assert_eq!(written.push_written("name", |out| out.extend_from_slice(&body)), added);
        }
        assert_eq!((pushed.packed, pushed.messages, written.messages), (written.packed, 4, 4));
    }

    #[test]
    fn a_batch_beyond_the_bound_is_refused_as_a_whole() {
        let messages = |bytes: usize| {
            let frames = [BATCH_NAME.to_vec(), vec![0; bytes]];
            Messages::of(&frames).map(|message| message.is_ok()).collect::<Vec<_>>()
        };
        assert_eq!(messages(MAX_BYTES).len(), MAX_BYTES / PREFIX);
        assert_eq!(messages(MAX_BYTES + PREFIX), [false]);
    }

    proptest! {
        #[test]
        fn batches_round_trip(
            messages in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..=MAX_FRAMES), 0..20),
        ) {
            prop_assert_eq!(unpacked(&packed(&messages).packed), messages);
        }

        #[test]
        fn any_bytes_end_with_at_most_one_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let messages: Vec<_> = Messages::packed(&bytes).collect();
            let good = messages.iter().take_while(|message| message.is_ok()).count();
            prop_assert!(messages.len() - good <= 1);
        }

        #[test]
        fn truncated_batch_keeps_the_messages_before(
            messages in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 1..=MAX_FRAMES), 1..9),
            cut: prop::sample::Index,
        ) {
            let batch = packed(&messages);
            let part = &batch.packed[..cut.index(batch.packed.len())];
            let whole: Vec<_> = Messages::packed(part).map_while(Result::ok).map(|message| frames(&message)).collect();
            prop_assert_eq!(whole.as_slice(), &messages[..whole.len()]);
        }
    }
}
