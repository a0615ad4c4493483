//! A blob on its way out: verified before its last bytes go, and watched.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Body;
use tokio::time::Instant;
use trackyard_protocol::version::Digest;

use crate::blob::Blob;
use crate::error::Error;
use crate::registry::skip_bytes;
use crate::release::{Progress, Watch};

/// How often the watcher is told of a long blob.
const TELL_EVERY: u64 = 32 << 20;

/// What is known of a body while it is sent.
#[derive(Clone)]
pub(super) struct Sending {
    state: Arc<Mutex<State>>,
}

struct State {
    last: Instant,
    at_end: bool,
    sent: u64,
    told: u64,
    error: Option<Error>,
}

impl Sending {
    pub(super) fn from(offset: u64) -> Self {
        let state = State { last: Instant::now(), at_end: false, sent: offset, told: offset, error: None };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The body of a request: `blob` from the offset on. If the blob is not what its digest says, the body breaks
    /// off before its end, so that no registry ever has the wrong bytes whole.
    pub(super) fn body(&self, blob: Blob, digest: &Digest, size: u64, watch: &Watch) -> Body {
        let (all, rest) = (self.clone(), self.clone());
        let (digest, watch) = (digest.clone(), watch.clone());
        let read = blob.inspect(move |_| all.with(|state| state.last = Instant::now()));
        let held = hold_last(skip_bytes(read.boxed(), self.with(|state| state.sent)));
        Body::wrap_stream(held.inspect(move |item| match item {
            Ok(bytes) => {
                if let Some(sent) = rest.count(bytes.len(), size) {
                    watch.tell(Progress::Sending { digest: digest.clone(), sent, size });
                }
            }
            Err(error) => rest.with(|state| state.error = Some(error.clone())),
        }))
    }

    /// What went wrong here, not there.
    pub(super) fn error(&self) -> Option<Error> {
        self.with(|state| state.error.clone())
    }

    /// Ends when nothing moved for `stall`, or, once all was handed to the system, nothing came back for `store`;
    /// with how long it was.
    pub(super) async fn stalled(&self, stall: Duration, store: Duration) -> Duration {
        loop {
            let (last, at_end) = self.with(|state| (state.last, state.at_end));
            let patience = if at_end { stall.max(store) } else { stall };
            if last.elapsed() >= patience {
                return patience;
            }
            tokio::time::sleep_until(last + patience).await;
        }
    }

    /// Counts bytes handed on; the sum, when it is time to tell.
    fn count(&self, bytes: usize, size: u64) -> Option<u64> {
        self.with(|state| {
            state.last = Instant::now();
            state.sent = state.sent.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
            state.at_end = state.sent >= size;
            let is_due = state.sent.saturating_sub(state.told) >= TELL_EVERY && !state.at_end;
            if is_due {
                state.told = state.sent;
            }
            is_due.then_some(state.sent)
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The same bytes, but each piece only when the next one is there, or the end, which says that all are right.
fn hold_last(blob: Blob) -> Blob {
    let next = |(mut blob, mut held): (Blob, Option<Bytes>)| async move {
        while let Some(bytes) = blob.try_next().await? {
            if let Some(ready) = held.replace(bytes) {
                return Ok(Some((ready, (blob, held))));
            }
        }
        Ok(held.take().map(|last| (last, (blob, None))))
    };
    stream::try_unfold((blob, None), next).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(end: Option<Error>) -> Blob {
        let pieces = ["01", "23", "45"].map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
        stream::iter(pieces.into_iter().chain(end.map(Err))).boxed()
    }

    #[tokio::test]
    async fn the_last_piece_goes_only_when_all_are_right() {
        let all: Vec<Bytes> = hold_last(blob(None)).try_collect().await.unwrap();
        assert_eq!(all.concat(), b"012345");
        let wrong = Error::malformed("it", "wrong");
        let mut pieces: Vec<_> = hold_last(blob(Some(wrong.clone()))).collect().await;
        assert_eq!(pieces.pop(), Some(Err(wrong)));
        assert_eq!(pieces.into_iter().map(Result::unwrap).collect::<Vec<_>>().concat(), b"0123");
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_move_is_noticed() {
        let (stall, store) = (Duration::from_secs(5), Duration::from_secs(60));
        let sending = Sending::from(0);
        let started = Instant::now();
        assert_eq!(sending.stalled(stall, store).await, stall);
        assert_eq!(started.elapsed(), stall);
        assert_eq!(sending.count(10, 10), None);
        assert_eq!(sending.stalled(stall, store).await, store);
    }
}
