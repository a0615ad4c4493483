//! A blob as a stream of verified bytes.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use backon::BackoffBuilder;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout};
use trackyard_protocol::version::Digest;

use crate::error::ImageError;
use crate::options::ImageOptions;
use crate::source::{ByteStream, Source};

/// A blob's bytes. The stream ends without an error only if size and digest are those declared, so nothing made of
/// the bytes may be used before its end. It never yields more than the declared size.
pub type Blob = Pin<Box<dyn Stream<Item = Result<Bytes, ImageError>> + Send>>;

/// The size and digest that a blob must have, and its name for errors.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) what: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// A slower transfer is restarted on a new connection, which may be faster.
const MIN_BYTES_PER_SECOND: u64 = 16 << 10;
/// After this much progress the retry budget is reset.
const RETRY_RESET_BYTES: u64 = 4 << 20;

struct BlobReader {
    source: Arc<dyn Source>,
    repository: String,
    expected: Expected,
    stall_timeout: Duration,
    backoff: backon::ExponentialBuilder,
    delays: backon::ExponentialBackoff,
    stream: Option<ByteStream>,
    offset: u64,
    /// The offset of the last failure.
    failed_at: u64,
    throughput: Throughput,
    hasher: Sha256,
}

/// Bytes received and time spent waiting for them; time that the consumer spends elsewhere is not counted.
#[derive(Debug, Default)]
struct Throughput {
    waited: Duration,
    bytes: u64,
}

impl Throughput {
    /// Adds `bytes` that arrived after `waited`. Returns false if those of the last `window` were too few.
    fn record(&mut self, waited: Duration, bytes: usize, window: Duration) -> bool {
        self.waited += waited;
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.waited < window {
            return true;
        }
        let is_sufficient = self.bytes >= MIN_BYTES_PER_SECOND.saturating_mul(window.as_secs());
        *self = Self::default();
        is_sufficient
    }
}

/// Streams a blob. A transfer that breaks or becomes too slow resumes at its offset, a bounded number of times without
/// progress. Wrong bytes are not retried.
pub(crate) fn stream(
    source: Arc<dyn Source>,
    repository: &str,
    expected: Expected,
    options: &ImageOptions,
) -> Blob {
    let backoff = options.backoff();
    let reader = BlobReader {
        source,
        repository: repository.to_owned(),
        expected,
        stall_timeout: options.stall_timeout,
        backoff,
        delays: backoff.build(),
        stream: None,
        offset: 0,
        failed_at: 0,
        throughput: Throughput::default(),
        hasher: Sha256::new(),
    };
    stream::try_unfold(
        reader,
        |mut reader| async move { Ok(reader.next().await?.map(|bytes| (bytes, reader))) },
    )
    .boxed()
}

/// Reads a whole blob into memory.
pub(crate) async fn collect(blob: Blob) -> Result<Vec<u8>, ImageError> {
    blob.try_fold(Vec::new(), |mut all, bytes| async move {
        all.extend_from_slice(&bytes);
        Ok(all)
    })
    .await
}

impl BlobReader {
    async fn next(&mut self) -> Result<Option<Bytes>, ImageError> {
        loop {
            match self.attempt().await {
                Ok(Some(bytes)) => return self.accept(bytes).map(Some),
                Ok(None) if self.offset == self.expected.size => return self.finish().map(|()| None),
                Ok(None) => self.back_off(self.truncated()).await?,
                Err(error) if error.is_transient() => self.back_off(error).await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn attempt(&mut self) -> Result<Option<Bytes>, ImageError> {
        let started = Instant::now();
        let next = async {
            if self.stream.is_none() {
                let blob = self.source.blob(&self.repository, &self.expected.digest, self.offset);
                self.stream = Some(blob.await?);
            }
            match &mut self.stream {
                Some(stream) => stream.try_next().await,
                None => Ok(None),
            }
        };
        let Ok(next) = timeout(self.stall_timeout, next).await else { return Err(self.stalled()) };
        let next = next?;
        match &next {
            Some(bytes) if !self.throughput.record(started.elapsed(), bytes.len(), self.stall_timeout) => {
                Err(self.stalled())
            }
            _ => Ok(next),
        }
    }

    fn stalled(&self) -> ImageError {
        ImageError::Stalled { what: self.expected.what.clone(), after: self.stall_timeout }
    }

    fn accept(&mut self, bytes: Bytes) -> Result<Bytes, ImageError> {
        let offset = u64::try_from(bytes.len()).ok().and_then(|length| self.offset.checked_add(length));
        match offset.filter(|offset| *offset <= self.expected.size) {
            Some(offset) => self.offset = offset,
            None => {
                let what = self.expected.what.clone();
                return Err(ImageError::TooLarge { what, limit: self.expected.size });
            }
        }
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    fn finish(&self) -> Result<(), ImageError> {
        let found = Digest::from_sha256(&self.hasher.clone().finalize().into());
        if found == self.expected.digest {
            return Ok(());
        }
        Err(ImageError::DigestMismatch {
            what: self.expected.what.clone(),
            expected: self.expected.digest.to_string(),
            found: found.to_string(),
        })
    }

    /// Drops the broken stream and waits for the next attempt, or returns the error if none is left.
    async fn back_off(&mut self, error: ImageError) -> Result<(), ImageError> {
        self.stream = None;
        self.throughput = Throughput::default();
        if self.offset - self.failed_at >= RETRY_RESET_BYTES {
            self.delays = self.backoff.build();
        }
        self.failed_at = self.offset;
        let delay = self.delays.next().ok_or(error)?;
        tokio::time::sleep(delay).await;
        Ok(())
    }

    fn truncated(&self) -> ImageError {
        ImageError::Truncated {
            what: self.expected.what.clone(),
            expected: self.expected.size,
            found: self.offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;
    use async_trait::async_trait;
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    /// Plays one script per attempt, from the requested offset: how many bytes to send and how to end.
    struct Scripted {
        bytes: Vec<u8>,
        scripts: Mutex<Vec<(usize, End)>>,
    }

    #[derive(Clone, Copy)]
    enum End {
        Clean,
        Broken,
        Silent,
        /// Sends the rest, three bytes every two seconds.
        Trickling,
    }

    #[async_trait]
    impl Source for Scripted {
        async fn tagged_document(&self, _: &str, _: &str) -> Result<Document, ImageError> {
            unreachable!("not called");
        }
        async fn list(&self, _: &str) -> Result<BTreeMap<Digest, Vec<String>>, ImageError> {
            unreachable!("not called");
        }
        async fn document(&self, _: &str, _: &Digest) -> Result<Document, ImageError> {
            unreachable!("not called");
        }
        async fn blob(&self, _: &str, _: &Digest, offset: u64) -> Result<ByteStream, ImageError> {
            let (count, end) = self.scripts.lock().unwrap().remove(0);
            let from = usize::try_from(offset).unwrap();
            let given: Vec<_> = self.bytes[from..].iter().take(count).copied().collect();
            let chunks = |bytes: &[u8], size| -> Vec<_> {
                bytes.chunks(size).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect()
            };
            let head = stream::iter(chunks(&given, given.len() / 3 + 1));
            let error = ImageError::Unreachable { location: "it".to_owned(), detail: "broken".to_owned() };
            Ok(match end {
                End::Clean => head.boxed(),
                End::Broken => head.chain(stream::iter([Err(error)])).boxed(),
                End::Silent => head.chain(stream::pending()).boxed(),
                End::Trickling => {
                    let rest = chunks(&self.bytes[from + given.len()..], 3);
                    let slowly = |bytes| async {
                        tokio::time::sleep(Duration::from_secs(2)).await;
                        bytes
                    };
                    head.chain(stream::iter(rest).then(slowly)).boxed()
                }
            })
        }
    }

    async fn read(declared: u64, scripts: Vec<(usize, End)>) -> Result<Vec<u8>, ImageError> {
        read_bytes(b"0123456789".to_vec(), declared, scripts).await
    }

    async fn read_bytes(
        bytes: Vec<u8>,
        declared: u64,
        scripts: Vec<(usize, End)>,
    ) -> Result<Vec<u8>, ImageError> {
        let digest = Digest::from_sha256(&Sha256::digest(&bytes).into());
        let source = Arc::new(Scripted { bytes, scripts: Mutex::new(scripts) });
        let options = ImageOptions {
            max_attempts: 3,
            stall_timeout: Duration::from_secs(5),
            ..ImageOptions::default()
        };
        let expected = Expected { what: "it".to_owned(), digest, size: declared };
        collect(stream(source, "repository", expected, &options)).await
    }

    #[tokio::test(start_paused = true)]
    async fn broken_or_silent_transfer_resumes() {
        let read = read(10, vec![(4, End::Broken), (5, End::Silent), (9, End::Clean)]).await;
        assert_eq!(read.unwrap(), b"0123456789");
    }

    #[tokio::test(start_paused = true)]
    async fn transfer_attempts_are_bounded() {
        let stalled = read(10, vec![(1, End::Silent), (1, End::Silent), (1, End::Silent)]).await;
        assert_eq!(stalled.unwrap_err().as_str(), "stalled");
        let short = read(10, vec![(9, End::Clean), (0, End::Clean), (0, End::Clean)]).await;
        assert_eq!(short.unwrap_err().as_str(), "truncated");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_transfer_is_resumed_then_fails() {
        let bytes = vec![7; 100];
        let read = read_bytes(bytes.clone(), 100, vec![(10, End::Trickling), (100, End::Clean)]).await;
        assert_eq!(read.unwrap(), bytes);
        let slow = (1, End::Trickling);
        assert_eq!(read_bytes(bytes, 100, vec![slow, slow, slow]).await.unwrap_err().as_str(), "stalled");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_transfer_may_end_in_time() {
        assert_eq!(read(10, vec![(7, End::Trickling)]).await.unwrap(), b"0123456789");
    }

    #[tokio::test(start_paused = true)]
    async fn progress_resets_the_retry_budget() {
        let part = usize::try_from(RETRY_RESET_BYTES).unwrap();
        let bytes = vec![7; 6 * part];
        let size = u64::try_from(bytes.len()).unwrap();
        let scripts = (0..6).map(|_| (part, End::Broken)).chain([(0, End::Clean)]).collect();
        assert_eq!(read_bytes(bytes.clone(), size, scripts).await.unwrap().len(), bytes.len());
        let scripts = (0..3).map(|_| (part - 3, End::Broken)).collect();
        assert_eq!(read_bytes(bytes, size, scripts).await.unwrap_err().as_str(), "unreachable");
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_bytes_are_not_retried() {
        assert_eq!(read(9, vec![(9, End::Clean)]).await.unwrap_err().as_str(), "digest_mismatch");
        assert_eq!(read(8, vec![(10, End::Clean)]).await.unwrap_err().as_str(), "too_large");
    }
}
