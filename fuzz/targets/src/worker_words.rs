//! What workers say to the router. The frames are the input's lines.

use trackyard_protocol::worker::{Batch, FromWorker};

/// What was understood is understood in the same way when it is said again, alone or in a batch.
pub fn run(bytes: &[u8]) {
    let frames: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let words: Vec<FromWorker> = FromWorker::decode_each(&frames).map_while(Result::ok).collect();
    let (mut batch, mut memory) = (Batch::default(), Vec::new());
    for word in &words {
        let again = FromWorker::decode(&word.clone().encode()).expect("what is written is read");
        assert_eq!(again, *word);
        // Twice, because one word alone is no batch.
        if word.pack(&mut batch, &mut memory) && word.pack(&mut batch, &mut memory) {
            let message = batch.messages(true).next().expect("two words are in it").frames().to_vec();
            let again: Vec<FromWorker> = FromWorker::decode_each(&message).map_while(Result::ok).collect();
            assert_eq!(again, [word.clone(), word.clone()]);
        }
        batch.clear();
    }
}
