//! A bucket in memory that lists arbitrary keys, in pages, and may stall within an object or send it byte by byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use s3s::dto::{
    GetObjectInput, GetObjectOutput, ListObjectsV2Input, ListObjectsV2Output, Object, StreamingBlob,
};
use s3s::{S3Request, S3Response, S3Result};

use super::authenticated;
use super::serve::HttpServer;

/// The content of a [`HostileS3`] server.
#[derive(Clone, Default)]
pub struct HostileBucket {
    keys: Vec<(String, i64)>,
    stalls: bool,
    trickles: bool,
    fetched: Arc<AtomicUsize>,
}

impl HostileBucket {
    /// Adds a key whose object has `size` bytes of `x`.
    #[must_use]
    pub fn key(mut self, key: &str, size: i64) -> Self {
        self.keys.push((key.to_owned(), size));
        self
    }

    /// Makes every object stall before its end.
    #[must_use]
    pub fn stalling(mut self) -> Self {
        self.stalls = true;
        self
    }

    /// Makes objects arrive at one byte a second.
    #[must_use]
    pub fn trickling(mut self) -> Self {
        self.trickles = true;
        self
    }
}

/// A running hostile server.
pub struct HostileS3 {
    serving: HttpServer,
    fetched: Arc<AtomicUsize>,
}

impl HostileS3 {
    /// Serves the bucket under every name.
    #[must_use]
    pub fn start(bucket: HostileBucket) -> Self {
        let fetched = Arc::clone(&bucket.fetched);
        Self { serving: HttpServer::start(authenticated(bucket)), fetched }
    }

    /// Returns the endpoint, `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.serving.endpoint()
    }

    /// Returns the number of objects that were requested.
    #[must_use]
    pub fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl s3s::S3 for HostileBucket {
    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let from: usize = request
            .input
            .continuation_token
            .as_deref()
            .and_then(|token| token.parse().ok())
            .unwrap_or_default();
        let page = usize::try_from(request.input.max_keys.unwrap_or(1000)).unwrap_or(1000).clamp(1, 1000);
        let objects: Vec<Object> = self
            .keys
            .iter()
            .skip(from)
            .take(page)
            .map(|(key, size)| Object { key: Some(key.clone()), size: Some(*size), ..Object::default() })
            .collect();
        let next = from + objects.len();
        let more = next < self.keys.len();
        Ok(S3Response::new(ListObjectsV2Output {
            key_count: i32::try_from(objects.len()).ok(),
            contents: Some(objects),
            is_truncated: Some(more),
            next_continuation_token: more.then(|| next.to_string()),
            ..ListObjectsV2Output::default()
        }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        let size = self
            .keys
            .iter()
            .find(|(key, _)| *key == request.input.key)
            .map(|(_, size)| *size)
            .ok_or_else(|| s3s::s3_error!(NoSuchKey))?;
        if self.trickles {
            return Ok(S3Response::new(GetObjectOutput {
                body: Some(StreamingBlob::wrap(byte_by_byte())),
                content_length: Some(size),
                ..GetObjectOutput::default()
            }));
        }
        let bytes = Bytes::from(vec![b'x'; usize::try_from(size).unwrap_or_default()]);
        let body = stream::iter([Ok::<_, std::io::Error>(bytes)]);
        let body = if self.stalls {
            StreamingBlob::wrap(body.chain(stream::pending()))
        } else {
            StreamingBlob::wrap(body)
        };
        let length = if self.stalls { size + 1 } else { size };
        Ok(S3Response::new(GetObjectOutput {
            body: Some(body),
            content_length: Some(length),
            ..GetObjectOutput::default()
        }))
    }
}

fn byte_by_byte() -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send + Sync + 'static {
    stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok(Bytes::from_static(b"x")), ()))
    })
}
