//! What a turn of the worker wants said: it leaves at the turn's end, as one message if the router reads batches.

use trackyard_protocol::worker::{Batch, FromWorker};

/// Words that wait for the end of the turn, in order.
#[derive(Debug, Default)]
pub struct Outgoing {
    batch: Batch,
    memory: Vec<u8>,
}

impl Outgoing {
    /// Takes a word. What cannot wait goes to `send`, message by message.
    pub fn say(&mut self, word: FromWorker, reads_batches: bool, mut send: impl FnMut(Vec<Vec<u8>>)) {
        if matches!(word, FromWorker::Hello(_)) {
            // Who hears it may be another router than before, of which nothing is known.
            self.flush(reads_batches, &mut send);
            return send(word.encode());
        }
        if !word.pack(&mut self.batch, &mut self.memory) {
            self.flush(reads_batches, &mut send);
            word.pack(&mut self.batch, &mut self.memory);
        }
    }

    /// Ends the turn.
    pub fn flush(&mut self, reads_batches: bool, mut send: impl FnMut(Vec<Vec<u8>>)) {
        for message in self.batch.messages(reads_batches) {
            send(message.frames().iter().map(|frame| frame.to_vec()).collect());
        }
        self.batch.clear();
    }

    /// Forgets what was said: the socket for which it was is dropped.
    pub fn clear(&mut self) {
        self.batch.clear();
    }
}
