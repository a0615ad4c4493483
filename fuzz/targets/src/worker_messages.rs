//! A worker's messages to the router. The frames are the input's lines.

use trackyard_protocol::worker::{Batch, FromWorker};

/// A decoded message is the same after it was encoded and decoded again, alone or in a batch.
pub fn run(bytes: &[u8]) {
    let frames: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let messages: Vec<FromWorker> = FromWorker::decode_each(&frames).map_while(Result::ok).collect();
    let mut batch = Batch::default();
    let mut memory = Vec::new();
    for message in &messages {
        let again =
            FromWorker::decode(&message.clone().encode()).expect("an encoded message can be decoded");
        assert_eq!(again, *message);
        // Twice, because a message alone is not sent as a batch.
        if message.pack(&mut batch, &mut memory) && message.pack(&mut batch, &mut memory) {
            let packed = batch.messages(true).next().expect("the batch has two messages").frames().to_vec();
            let again: Vec<FromWorker> = FromWorker::decode_each(&packed).map_while(Result::ok).collect();
            assert_eq!(again, [message.clone(), message.clone()]);
        }
        batch.clear();
    }
}
