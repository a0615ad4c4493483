//! The messages of one iteration of the agent's loop. They leave at its end, as one message if the router reads
//! batches.

use trackyard_protocol::worker::{Batch, FromWorker};

/// Messages that wait for the end of the iteration, in order.
#[derive(Debug, Default)]
pub struct Outgoing {
    batch: Batch,
    memory: Vec<u8>,
}

impl Outgoing {
    /// Adds a message. What cannot wait goes to `send`, message by message.
    pub fn push(&mut self, message: FromWorker, reads_batches: bool, mut send: impl FnMut(Vec<Vec<u8>>)) {
        if matches!(message, FromWorker::Hello(_)) {
            // The router that gets it may be another one, and may not read batches.
            self.flush(reads_batches, &mut send);
            return send(message.encode());
        }
        if !message.pack(&mut self.batch, &mut self.memory) {
            self.flush(reads_batches, &mut send);
            message.pack(&mut self.batch, &mut self.memory);
        }
    }

    /// Gives all messages to `send`.
    pub fn flush(&mut self, reads_batches: bool, mut send: impl FnMut(Vec<Vec<u8>>)) {
        for message in self.batch.messages(reads_batches) {
            send(message.frames().iter().map(|frame| frame.to_vec()).collect());
        }
        self.batch.clear();
    }

    /// Drops all messages, because their socket is closed.
    pub fn clear(&mut self) {
        self.batch.clear();
    }
}
