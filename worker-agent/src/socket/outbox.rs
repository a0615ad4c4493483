//! Messages that libzmq did not take yet.

use std::collections::VecDeque;

/// Messages that may wait. More only come while the router takes none, and then the talk is opened anew within
/// seconds.
const MAX_MESSAGES: usize = 4096;

/// In order; nothing overtakes.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Vec<Vec<u8>>>,
    /// What was thrown away.
    pub(super) dropped: u64,
}

impl Outbox {
    pub(super) fn push(&mut self, message: Vec<Vec<u8>>) {
        if self.waiting.len() < MAX_MESSAGES {
            self.waiting.push_back(message);
        } else {
            // Whatever it was, the next Hello tells it again.
            self.dropped += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Hands messages to `send` until it takes no more.
    pub(super) fn flush<E>(&mut self, mut send: impl FnMut(&[Vec<u8>]) -> Result<Taken, E>) -> Result<(), E> {
        while let Some(message) = self.waiting.front() {
            match send(message)? {
                Taken::Yes => drop(self.waiting.pop_front()),
                Taken::NotNow => break,
            }
        }
        Ok(())
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    NotNow,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_stays_in_order() {
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
                    return Ok::<_, ()>(Taken::NotNow);
                }
                room -= 1;
                sent.push(message[0][0]);
                Ok(Taken::Yes)
            })
        };
        flush(&mut outbox, 0).unwrap();
        assert!(!outbox.is_empty());
        flush(&mut outbox, 9).unwrap();
        assert!(outbox.is_empty());
        assert_eq!(sent, [0, 1, 2, 3]);
    }

    #[test]
    fn it_is_bounded() {
        let mut outbox = Outbox::default();
        (0..MAX_MESSAGES + 5).for_each(|_| outbox.push(Vec::new()));
        assert_eq!(outbox.dropped, 5);
    }
}
