//! A router's messages to its workers. The frames are the input's lines.

use trackyard_protocol::limits::Limits;
use trackyard_protocol::worker::FromRouter;

/// A decoded message is the same after it was encoded and decoded again. The limits of a job can be lowered.
pub fn run(bytes: &[u8]) {
    let frames: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    for message in FromRouter::decode_each(&frames).map_while(Result::ok) {
        let again = FromRouter::decode(&message.encode()).expect("an encoded message can be decoded");
        assert_eq!(again, message);
        if let FromRouter::Job(job) = &message {
            let ceiling = Limits::default();
            let lowered = job.limits.at_most(&ceiling);
            assert_eq!(lowered.at_most(&ceiling), lowered);
            assert!(lowered.cpu_time() <= job.limits.cpu_time());
        }
    }
}
