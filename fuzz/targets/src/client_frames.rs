//! A client's message, taken apart. The frames are the input's lines.

use trackyard_protocol::frame::{MAX_BODY_BYTES, MAX_ROUTE_FRAME_BYTES, MAX_ROUTE_FRAMES, split};

/// What is kept is within bounds, and of a request no frame is lost.
pub fn run(bytes: &[u8]) {
    let frames: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let message = split(frames.clone()).expect("there is a first frame");
    assert_eq!(message.route.first(), frames.first(), "the routing id is the way back");
    assert!(message.route.len() <= 1 + MAX_ROUTE_FRAMES);
    assert!(message.route.iter().skip(1).all(|frame| (1..=MAX_ROUTE_FRAME_BYTES).contains(&frame.len())));
    if let Ok(request) = message.request {
        assert!(request.delimiter.is_empty() && request.body.len() <= MAX_BODY_BYTES);
        let again = [message.route.as_slice(), &[request.delimiter, request.body]].concat();
        assert_eq!(again, frames);
    }
}
