//! A packed batch of messages.

use trackyard_protocol::worker::{BATCH, Batch, Messages};

/// Only the last message can be an error. Packing the messages before it again gives the bytes from which they were
/// unpacked.
pub fn run(bytes: &[u8]) {
    let frames = [BATCH.as_bytes(), bytes];
    let mut batch = Batch::default();
    let mut messages = 0;
    let mut is_broken = false;
    for message in Messages::of(&frames) {
        assert!(!is_broken, "nothing follows an error");
        match message {
            Ok(message) => {
                assert!((1..=4).contains(&message.frames().len()));
                assert!(batch.push(message.frames()), "it was in a batch before");
                messages += 1;
            }
            Err(_) => is_broken = true,
        }
    }
    if messages > 1 {
        let message = batch.messages(true).next().expect("the batch has messages");
        let [_, packed] = message.frames() else { panic!("a batch has two frames") };
        assert!(bytes.starts_with(packed) && (is_broken || bytes.len() == packed.len()));
    }
}
