//! The body of an upload: verified before its last bytes are sent, and watched for stalls.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Body;
use tokio::time::Instant;
use trackyard_protocol::version::Digest;

use crate::blob::Blob;
use crate::error::ImageError;
use crate::release::{ReleaseControl, ReleaseProgress};
use crate::source::registry::skip_bytes;

/// Bytes between two progress reports of a large blob.
const REPORT_INTERVAL_BYTES: u64 = 32 << 20;

/// The state of a body while it is sent.
#[derive(Clone)]
pub(super) struct UploadBody {
    state: Arc<Mutex<State>>,
}

struct State {
    last_progress: Instant,
    at_end: bool,
    sent: u64,
    reported: u64,
    error: Option<ImageError>,
}

impl UploadBody {
    pub(super) fn starting_at(offset: u64) -> Self {
        let state = State {
            last_progress: Instant::now(),
            at_end: false,
            sent: offset,
            reported: offset,
            error: None,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Makes the body of a request: `blob` from the offset on. If the blob does not match its digest, the body breaks off
    /// before its end, so that no registry ever stores wrong bytes.
    pub(super) fn request_body(
        &self,
        blob: Blob,
        digest: &Digest,
        size: u64,
        control: &ReleaseControl,
    ) -> Body {
        let on_read = self.clone();
        let on_send = self.clone();
        let digest = digest.clone();
        let control = control.clone();
        let read = blob.inspect(move |_| on_read.with(|state| state.last_progress = Instant::now()));
        let held = delay_last_chunk(skip_bytes(read.boxed(), self.with(|state| state.sent)));
        Body::wrap_stream(held.inspect(move |item| match item {
            Ok(bytes) => {
                if let Some(sent) = on_send.count(bytes.len(), size) {
                    control.report(ReleaseProgress::Sending { digest: digest.clone(), sent, size });
                }
            }
            Err(error) => on_send.with(|state| state.error = Some(error.clone())),
        }))
    }

    /// Returns the error of reading the blob, if there was one.
    pub(super) fn read_error(&self) -> Option<ImageError> {
        self.with(|state| state.error.clone())
    }

    /// Waits until there was no progress for `stall`, or no response for `store` once all bytes were sent. Returns the
    /// timeout that applied.
    pub(super) async fn wait_for_stall(&self, stall: Duration, store: Duration) -> Duration {
        loop {
            let (last_progress, at_end) = self.with(|state| (state.last_progress, state.at_end));
            let timeout = if at_end { stall.max(store) } else { stall };
            if last_progress.elapsed() >= timeout {
                return timeout;
            }
            tokio::time::sleep_until(last_progress + timeout).await;
        }
    }

    /// Counts sent bytes. Returns the sum when a progress report is due.
    fn count(&self, bytes: usize, size: u64) -> Option<u64> {
        self.with(|state| {
            state.last_progress = Instant::now();
            state.sent = state.sent.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
            state.at_end = state.sent >= size;
            let is_due = state.sent.saturating_sub(state.reported) >= REPORT_INTERVAL_BYTES && !state.at_end;
            if is_due {
                state.reported = state.sent;
            }
            is_due.then_some(state.sent)
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Delays each chunk until the next one, or the end that confirms the digest, has arrived.
fn delay_last_chunk(blob: Blob) -> Blob {
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

    fn blob(end: Option<ImageError>) -> Blob {
        let chunks = ["01", "23", "45"].map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())));
        stream::iter(chunks.into_iter().chain(end.map(Err))).boxed()
    }

    #[tokio::test]
    async fn last_chunk_waits_for_verification() {
        let all: Vec<Bytes> = delay_last_chunk(blob(None)).try_collect().await.unwrap();
        assert_eq!(all.concat(), b"012345");
        let wrong = ImageError::malformed("it", "wrong");
        let mut chunks: Vec<_> = delay_last_chunk(blob(Some(wrong.clone()))).collect().await;
        assert_eq!(chunks.pop(), Some(Err(wrong)));
        assert_eq!(chunks.into_iter().map(Result::unwrap).collect::<Vec<_>>().concat(), b"0123");
    }

    #[tokio::test(start_paused = true)]
    async fn stalls_are_noticed() {
        let stall = Duration::from_secs(5);
        let store = Duration::from_secs(60);
        let body = UploadBody::starting_at(0);
        let started = Instant::now();
        assert_eq!(body.wait_for_stall(stall, store).await, stall);
        assert_eq!(started.elapsed(), stall);
        assert_eq!(body.count(10, 10), None);
        assert_eq!(body.wait_for_stall(stall, store).await, store);
    }
}
