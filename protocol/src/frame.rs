//! The frames of a client's message. Those before the first empty frame are the route back to the client.

/// Maximum number of frames before the first empty one, without the routing id of the socket.
pub const MAX_ROUTE_FRAMES: usize = 8;
/// Maximum bytes of a frame of the route.
pub const MAX_ROUTE_FRAME_BYTES: usize = 255;
/// Maximum bytes of a request's JSON.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// The parts of a client's message.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientFrames<'a> {
    /// The frames before the empty one; usually none.
    pub route: Vec<&'a [u8]>,
    /// The JSON of the request, or why the message has none.
    pub request: Result<&'a [u8], Error>,
}

/// Why a client's message has no request. The router answers each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No frame is empty.
    #[error("no empty frame before the JSON: send [empty, JSON], as a REQ socket does")]
    NoDelimiter,
    /// Not exactly one frame follows the empty one.
    #[error("{0} frames after the empty one: exactly one holds the JSON")]
    BodyFrames(usize),
    /// Too many frames before the empty one.
    #[error("more than {MAX_ROUTE_FRAMES} frames before the empty one")]
    RouteFrames,
    /// A frame before the empty one is too long.
    #[error("a frame of more than {MAX_ROUTE_FRAME_BYTES} bytes before the empty one")]
    RouteFrameBytes,
    /// The JSON is too long.
    #[error("a request of {0} bytes; at most {MAX_BODY_BYTES} are taken")]
    BodyBytes(usize),
}

/// Splits a client's message into its parts.
pub fn split<'a>(mut frames: impl ExactSizeIterator<Item = &'a [u8]>) -> ClientFrames<'a> {
    let mut route = Vec::new();
    let mut problem = Error::NoDelimiter;
    while let Some(frame) = frames.next() {
        if frame.is_empty() {
            return ClientFrames { route, request: body(frames) };
        }
        if route.len() == MAX_ROUTE_FRAMES {
            problem = Error::RouteFrames;
            break;
        }
        if frame.len() > MAX_ROUTE_FRAME_BYTES {
            // This may also be a request without a delimiter, which is far more likely.
            let alone = route.is_empty() && frames.len() == 0;
            problem = if alone { Error::NoDelimiter } else { Error::RouteFrameBytes };
            break;
        }
        route.push(frame);
    }
    // Without a delimiter the route cannot be told from the request.
    ClientFrames { route: Vec::new(), request: Err(problem) }
}

fn body<'a>(mut frames: impl ExactSizeIterator<Item = &'a [u8]>) -> Result<&'a [u8], Error> {
    let count = frames.len();
    match frames.next() {
        Some(body) if count == 1 && body.len() > MAX_BODY_BYTES => Err(Error::BodyBytes(body.len())),
        Some(body) if count == 1 => Ok(body),
        _ => Err(Error::BodyFrames(count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const TOO_LONG: &str = match std::str::from_utf8(&[b'x'; MAX_ROUTE_FRAME_BYTES + 1]) {
        Ok(text) => text,
        Err(_) => "",
    };

    #[rstest]
    #[case(&["", "{}"], 0, Ok("{}"))]
    #[case(&["hop", "", "{}"], 1, Ok("{}"))]
    #[case(&["{}"], 0, Err(Error::NoDelimiter))]
    #[case(&[], 0, Err(Error::NoDelimiter))]
    #[case(&[""], 0, Err(Error::BodyFrames(0)))]
    #[case(&["", "a", "b"], 0, Err(Error::BodyFrames(2)))]
    #[case(&["", ""], 0, Ok(""))]
    #[case(&["1", "2", "3", "4", "5", "6", "7", "8", "", "{}"], 8, Ok("{}"))]
    #[case(&["1", "2", "3", "4", "5", "6", "7", "8", "9", "", "{}"], 0, Err(Error::RouteFrames))]
    #[case(&[TOO_LONG], 0, Err(Error::NoDelimiter))]
    #[case(&[TOO_LONG, "", "{}"], 0, Err(Error::RouteFrameBytes))]
    fn messages_are_split(#[case] parts: &[&str], #[case] route: usize, #[case] body: Result<&str, Error>) {
        let split = split(parts.iter().map(|part| part.as_bytes()));
        assert_eq!((split.route.len(), split.request), (route, body.map(str::as_bytes)));
    }

    proptest! {
        #[test]
        fn no_frame_is_lost(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..14)) {
            let frames: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let split = split(frames.iter().copied());
            if let Ok(body) = split.request {
                prop_assert_eq!([split.route.as_slice(), &[b"", body]].concat(), frames);
            }
        }
    }
}
