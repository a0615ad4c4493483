//! What a router says to its workers. The frames are the input's lines.

use trackyard_protocol::limits::Limits;
use trackyard_protocol::worker::FromRouter;

/// What was understood is understood in the same way when it is said again, and a job's limits can be worked with.
pub fn run(bytes: &[u8]) {
    let frames: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    for word in FromRouter::decode_each(&frames).map_while(Result::ok) {
        let again = FromRouter::decode(&word.encode()).expect("what is written is read");
        assert_eq!(again, word);
        if let FromRouter::Job(job) = &word {
            let (ceiling, asked) = (Limits::default(), &*job.limits);
            let lowered = asked.at_most(&ceiling);
            assert_eq!(lowered.at_most(&ceiling), lowered);
            assert!(lowered.cpu_time() <= asked.cpu_time());
        }
    }
}
