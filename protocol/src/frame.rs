//! Multipart frames of the client port: what comes before the first empty frame is the way back to the client.

/// Frames before the first empty one that are kept, the socket's own routing id not counted.
pub const MAX_ROUTE_FRAMES: usize = 8;
/// Bytes of such a frame.
pub const MAX_ROUTE_FRAME_BYTES: usize = 255;
/// Bytes of a request's JSON.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// A client's message, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientFrames<F> {
    /// The frames that lead back to the client, the socket's routing id first; without the empty one.
    pub route: Vec<F>,
    /// The request, or why there is none.
    pub request: Result<Request<F>, Error>,
}

/// The part of a client's message that is for the router.
#[derive(Debug, PartialEq, Eq)]
pub struct Request<F> {
    /// The empty frame.
    pub delimiter: F,
    /// The JSON.
    pub body: F,
}

/// Why a client's frames hold no request. Every one is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No frame is empty.
    #[error("no empty frame before the JSON: send [empty, JSON], as a REQ socket does")]
    NoDelimiter,
    /// Nothing, or more than one frame, follows the empty one.
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

/// Takes a client's message apart; `frames` starts with the socket's routing id. `None` if even that is missing.
pub fn split<F: AsRef<[u8]>>(frames: Vec<F>) -> Option<ClientFrames<F>> {
    let mut frames = frames.into_iter();
    let mut route = vec![frames.next()?];
    let mut problem = Error::NoDelimiter;
    while let Some(frame) = frames.next() {
        let bytes = frame.as_ref();
        if bytes.is_empty() {
            let request = body(frames).map(|body| Request { delimiter: frame, body });
            return Some(ClientFrames { route, request });
        }
        if route.len() > MAX_ROUTE_FRAMES {
            problem = Error::RouteFrames;
            break;
        }
        if bytes.len() > MAX_ROUTE_FRAME_BYTES {
            // A request without its delimiter looks like this too, and is far likelier.
            problem = if route.len() == 1 && frames.len() == 0 {
                Error::NoDelimiter
            } else {
                Error::RouteFrameBytes
            };
            break;
        }
        route.push(frame);
    }
    // Without a delimiter nothing tells the way back from the request: only the socket's routing id is sure.
    route.truncate(1);
    Some(ClientFrames { route, request: Err(problem) })
}

fn body<F: AsRef<[u8]>>(mut frames: std::vec::IntoIter<F>) -> Result<F, Error> {
    let count = frames.len();
    match frames.next() {
        Some(body) if count == 1 && body.as_ref().len() > MAX_BODY_BYTES => {
            Err(Error::BodyBytes(body.as_ref().len()))
        }
        Some(body) if count == 1 => Ok(body),
        _ => Err(Error::BodyFrames(count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn frames(parts: &[&str]) -> Vec<Vec<u8>> {
        parts.iter().map(|p| p.as_bytes().to_vec()).collect()
    }

    #[rstest]
    #[case(&["id", "", "{}"], 1, Ok(b"{}".to_vec()))]
    #[case(&["id", "hop", "", "{}"], 2, Ok(b"{}".to_vec()))]
    #[case(&["id", "{}"], 1, Err(Error::NoDelimiter))]
    #[case(&["id"], 1, Err(Error::NoDelimiter))]
    #[case(&["id", ""], 1, Err(Error::BodyFrames(0)))]
    #[case(&["id", "", "a", "b"], 1, Err(Error::BodyFrames(2)))]
    #[case(&["id", "", ""], 1, Ok(Vec::new()))]
    #[case(&["id", "1", "2", "3", "4", "5", "6", "7", "8", "", "{}"], 9, Ok(b"{}".to_vec()))]
    #[case(&["id", "1", "2", "3", "4", "5", "6", "7", "8", "9", "", "{}"], 1, Err(Error::RouteFrames))]
    #[case(&["id", &"x".repeat(256)], 1, Err(Error::NoDelimiter))]
    #[case(&["id", &"x".repeat(256), "", "{}"], 1, Err(Error::RouteFrameBytes))]
    fn splitting(#[case] parts: &[&str], #[case] route: usize, #[case] body: Result<Vec<u8>, Error>) {
        let split = split(frames(parts)).unwrap();
        assert_eq!((split.route.len(), split.request.map(|request| request.body)), (route, body));
    }

    #[test]
    fn nothing_is_no_message() {
        assert_eq!(split(Vec::<Vec<u8>>::new()), None);
    }

    proptest! {
        #[test]
        fn any_frames_keep_the_routing_id(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..14)) {
            let first = parts[0].clone();
            prop_assert_eq!(&split(parts).unwrap().route[0], &first);
        }
    }
}
