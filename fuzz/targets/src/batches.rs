//! A batch of words, packed.

use trackyard_protocol::worker::{BATCH, Batch, Messages};

/// There is at most one error, the last; the words before it, packed again, are what they were unpacked from.
pub fn run(bytes: &[u8]) {
    let frames = [BATCH.as_bytes(), bytes];
    let (mut batch, mut words, mut broken) = (Batch::default(), 0, false);
    for word in Messages::of(&frames) {
        assert!(!broken, "nothing follows an error");
        match word {
            Ok(word) => {
                assert!((1..=4).contains(&word.frames().len()));
                assert!(batch.push(word.frames()), "it was in a batch before");
                words += 1;
            }
            Err(_) => broken = true,
        }
    }
    if words > 1 {
        let message = batch.messages(true).next().expect("there are words");
        let [_, packed] = message.frames() else { panic!("a batch has two frames") };
        assert!(bytes.starts_with(packed) && (broken || bytes.len() == packed.len()));
    }
}
