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

use crate::error::Error;
use crate::options::Options;
use crate::source::{ByteStream, Source};

/// A blob's bytes. The stream ends without an error only if size and digest are those declared, so nothing made of
/// the bytes may be used before its end. It never gives more than the declared size.
pub type Blob = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// What a blob must be.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) what: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// Bytes a second below which a new connection is tried: where one has gone bad, the next need not be.
const LEAST_SPEED: u64 = 16 << 10;
/// Bytes after which a break is no more of those before: all attempts are left again.
const PROGRESS: u64 = 4 << 20;

struct Reader {
    source: Arc<dyn Source>,
    repository: String,
    expected: Expected,
    stall: Duration,
    backoff: backon::ExponentialBuilder,
    waits: backon::ExponentialBackoff,
    stream: Option<ByteStream>,
    offset: u64,
    /// Where the last break was.
    broke_at: u64,
    pace: Pace,
    hasher: Sha256,
}

/// What came lately, and how long was waited for it. Not for how long whoever takes the bytes had others to do.
#[derive(Debug, Default)]
struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// So many bytes came after `waited`; false if those of the last `span` were too few.
    fn suffices(&mut self, waited: Duration, bytes: usize, span: Duration) -> bool {
        self.waited += waited;
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.waited < span {
            return true;
        }
        let suffices = self.bytes >= LEAST_SPEED.saturating_mul(span.as_secs());
        *self = Self::default();
        suffices
    }
}

/// Streams a blob. A transfer that breaks, or becomes too slow, goes on where it was, a bounded number of times without
/// progress; wrong bytes are final.
pub(crate) fn stream(
    source: Arc<dyn Source>,
    repository: &str,
    expected: Expected,
    options: &Options,
) -> Blob {
    let backoff = options.backoff();
    let reader = Reader {
        source,
        repository: repository.to_owned(),
        expected,
        stall: options.stall,
        backoff,
        waits: backoff.build(),
        stream: None,
        offset: 0,
        broke_at: 0,
        pace: Pace::default(),
        hasher: Sha256::new(),
    };
    stream::try_unfold(
        reader,
        |mut reader| async move { Ok(reader.next().await?.map(|bytes| (bytes, reader))) },
    )
    .boxed()
}

/// A whole blob, for small ones.
pub(crate) async fn collect(blob: Blob) -> Result<Vec<u8>, Error> {
    blob.try_fold(Vec::new(), |mut all, bytes| async move {
        all.extend_from_slice(&bytes);
        Ok(all)
    })
    .await
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.attempt().await {
                Ok(Some(bytes)) => return self.accept(bytes).map(Some),
                Ok(None) if self.offset == self.expected.size => return self.finish().map(|()| None),
                Ok(None) => self.wait_or(self.truncated()).await?,
                Err(error) if error.is_transient() => self.wait_or(error).await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn attempt(&mut self) -> Result<Option<Bytes>, Error> {
        let begun = Instant::now();
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
        let Ok(next) = timeout(self.stall, next).await else { return Err(self.stalled()) };
        let next = next?;
        match &next {
            Some(bytes) if !self.pace.suffices(begun.elapsed(), bytes.len(), self.stall) => {
                Err(self.stalled())
            }
            _ => Ok(next),
        }
    }

    fn stalled(&self) -> Error {
        Error::Stalled { what: self.expected.what.clone(), after: self.stall }
    }

    fn accept(&mut self, bytes: Bytes) -> Result<Bytes, Error> {
        let offset = u64::try_from(bytes.len()).ok().and_then(|length| self.offset.checked_add(length));
        match offset.filter(|offset| *offset <= self.expected.size) {
            Some(offset) => self.offset = offset,
            None => {
                let what = self.expected.what.clone();
                return Err(Error::TooLarge { what, limit: self.expected.size });
            }
        }
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    fn finish(&self) -> Result<(), Error> {
        let found = Digest::from_sha256(&self.hasher.clone().finalize().into());
        if found == self.expected.digest {
            return Ok(());
        }
        Err(Error::DigestMismatch {
            what: self.expected.what.clone(),
            expected: self.expected.digest.to_string(),
            found: found.to_string(),
        })
    }

    /// Drops the broken stream and waits for the next attempt; when there is none left, the error stands.
    async fn wait_or(&mut self, error: Error) -> Result<(), Error> {
        self.stream = None;
        self.pace = Pace::default();
        if self.offset - self.broke_at >= PROGRESS {
            self.waits = self.backoff.build();
        }
        self.broke_at = self.offset;
        let wait = self.waits.next().ok_or(error)?;
        tokio::time::sleep(wait).await;
        Ok(())
    }

    fn truncated(&self) -> Error {
        Error::Truncated {
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

    /// Plays one script per attempt, from the asked offset: how many bytes to give and how to end.
    struct Scripted {
        bytes: Vec<u8>,
        scripts: Mutex<Vec<(usize, End)>>,
    }

    #[derive(Clone, Copy)]
    enum End {
        Clean,
        Broken,
        Silent,
        /// Gives the rest with three bytes every other second.
        Trickling,
    }

    #[async_trait]
    impl Source for Scripted {
        async fn tagged(&self, _: &str, _: &str) -> Result<Document, Error> {
            unreachable!("not asked for");
        }
        async fn list(&self, _: &str) -> Result<BTreeMap<Digest, Vec<String>>, Error> {
            unreachable!("not asked for");
        }
        async fn document(&self, _: &str, _: &Digest) -> Result<Document, Error> {
            unreachable!("not asked for");
        }
        async fn blob(&self, _: &str, _: &Digest, offset: u64) -> Result<ByteStream, Error> {
            let (count, end) = self.scripts.lock().unwrap().remove(0);
            let from = usize::try_from(offset).unwrap();
            let given: Vec<_> = self.bytes[from..].iter().take(count).copied().collect();
            let pieces = |bytes: &[u8], size| -> Vec<_> {
                bytes.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect()
            };
            let head = stream::iter(pieces(&given, given.len() / 3 + 1));
            let error = Error::Unreachable { place: "it".to_owned(), detail: "broken".to_owned() };
            Ok(match end {
                End::Clean => head.boxed(),
                End::Broken => head.chain(stream::iter([Err(error)])).boxed(),
                End::Silent => head.chain(stream::pending()).boxed(),
                End::Trickling => {
                    let rest = pieces(&self.bytes[from + given.len()..], 3);
                    let slowly = |bytes| async {
                        tokio::time::sleep(Duration::from_secs(2)).await;
                        bytes
                    };
                    head.chain(stream::iter(rest).then(slowly)).boxed()
                }
            })
        }
    }

    async fn read(declared: u64, scripts: Vec<(usize, End)>) -> Result<Vec<u8>, Error> {
        read_of(b"0123456789".to_vec(), declared, scripts).await
    }

    async fn read_of(bytes: Vec<u8>, declared: u64, scripts: Vec<(usize, End)>) -> Result<Vec<u8>, Error> {
        let digest = Digest::from_sha256(&Sha256::digest(&bytes).into());
        let source = Arc::new(Scripted { bytes, scripts: Mutex::new(scripts) });
        let options = Options { attempts: 3, stall: Duration::from_secs(5), ..Options::default() };
        let expected = Expected { what: "it".to_owned(), digest, size: declared };
        collect(stream(source, "repository", expected, &options)).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_or_silent_transfer_goes_on_where_it_broke() {
        let read = read(10, vec![(4, End::Broken), (5, End::Silent), (9, End::Clean)]).await;
        assert_eq!(read.unwrap(), b"0123456789");
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_bounded() {
        let stalled = read(10, vec![(1, End::Silent), (1, End::Silent), (1, End::Silent)]).await;
        assert_eq!(stalled.unwrap_err().as_str(), "stalled");
        let short = read(10, vec![(9, End::Clean), (0, End::Clean), (0, End::Clean)]).await;
        assert_eq!(short.unwrap_err().as_str(), "truncated");
    }

    #[tokio::test(start_paused = true)]
    async fn a_transfer_that_trickles_is_begun_anew_where_it_is() {
        let bytes = vec![7; 100];
        let read = read_of(bytes.clone(), 100, vec![(10, End::Trickling), (100, End::Clean)]).await;
        assert_eq!(read.unwrap(), bytes);
        let slow = (1, End::Trickling);
        assert_eq!(read_of(bytes, 100, vec![slow, slow, slow]).await.unwrap_err().as_str(), "stalled");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_ends_before_it_is_known_to_be_slow_is_whole() {
        assert_eq!(read(10, vec![(7, End::Trickling)]).await.unwrap(), b"0123456789");
    }

    #[tokio::test(start_paused = true)]
    async fn progress_gives_all_attempts_back() {
        let part = usize::try_from(PROGRESS).unwrap();
        let bytes = vec![7; 6 * part];
        let size = u64::try_from(bytes.len()).unwrap();
        let scripts = (0..6).map(|_| (part, End::Broken)).chain([(0, End::Clean)]).collect();
        assert_eq!(read_of(bytes.clone(), size, scripts).await.unwrap().len(), bytes.len());
        let scripts = (0..3).map(|_| (part - 3, End::Broken)).collect();
        assert_eq!(read_of(bytes, size, scripts).await.unwrap_err().as_str(), "unreachable");
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_bytes_are_final() {
        assert_eq!(read(9, vec![(9, End::Clean)]).await.unwrap_err().as_str(), "digest_mismatch");
        assert_eq!(read(8, vec![(10, End::Clean)]).await.unwrap_err().as_str(), "too_large");
    }
}
