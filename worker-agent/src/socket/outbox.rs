//! The messages that libzmq has not taken yet.

use std::collections::VecDeque;

/// Maximum number of waiting messages. There are more only while the router takes none, and then the socket is replaced
/// within seconds.
const MAX_MESSAGES: usize = 4096;

/// The waiting messages, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Vec<Vec<u8>>>,
    /// Number of messages that were dropped because the outbox was full.
    pub(super) dropped: u64,
}

impl Outbox {
    pub(super) fn push(&mut self, message: Vec<Vec<u8>>) {
        if self.waiting.len() < MAX_MESSAGES {
            self.waiting.push_back(message);
        } else {
            // The next Hello reports the worker's state again.
            self.dropped += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Gives messages to `send` until it takes no more.
    pub(super) fn flush<E>(
        &mut self,
        mut send: impl FnMut(&[Vec<u8>]) -> Result<SendOutcome, E>,
    ) -> Result<(), E> {
        while let Some(message) = self.waiting.front() {
            match send(message)? {
                SendOutcome::Sent => drop(self.waiting.pop_front()),
                SendOutcome::WouldBlock => break,
            }
        }
        Ok(())
    }
}

/// The outcome of sending a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendOutcome {
    Sent,
    WouldBlock,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_messages_stay_in_order() {
        let mut outbox = Outbox::default();
        for n in 0..4_u8 {
            outbox.push(vec![vec![n]]);
        }
        let mut sent = Vec::new();
        let mut room = 2;
        let mut flush = |outbox: &mut Outbox, more: usize| {
            room += more;
            outbox.flush(|message| {
                if room == 0 {
                    return Ok::<_, ()>(SendOutcome::WouldBlock);
                }
                room -= 1;
                sent.push(message[0][0]);
                Ok(SendOutcome::Sent)
            })
        };
        flush(&mut outbox, 0).unwrap();
        assert!(!outbox.is_empty());
        flush(&mut outbox, 9).unwrap();
        assert!(outbox.is_empty());
        assert_eq!(sent, [0, 1, 2, 3]);
    }

    #[test]
    fn outbox_is_bounded() {
        let mut outbox = Outbox::default();
        (0..MAX_MESSAGES + 5).for_each(|_| outbox.push(Vec::new()));
        assert_eq!(outbox.dropped, 5);
    }
}
