//! The S3 API on loopback, in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::LocalError;
use crate::submit::Bucket;

/// The only bucket.
pub(super) const BUCKET: &str = "submissions";

/// Wait after a connection could not be accepted.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// A running S3 API with random keys. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Storage {
    address: SocketAddr,
    access_key: String,
    secret_key: String,
    server: AbortHandle,
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Storage {
    /// Starts serving `dir`, in which each bucket is a directory.
    pub(super) async fn start(dir: &Path) -> Result<Self, LocalError> {
        let bucket = dir.join(BUCKET);
        std::fs::create_dir_all(&bucket).map_err(LocalError::file("create the directory", &bucket))?;
        let files = FileSystem::new(dir).map_err(|error| LocalError::Storage(format!("{error:?}")))?;
        let access_key = random_hex(10);
        let secret_key = random_hex(20);
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(access_key.clone(), secret_key.clone()));
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = bound.map_err(LocalError::system("find a free port for the S3 API"))?;
        let address = listener.local_addr().map_err(LocalError::system("find a free port for the S3 API"))?;
        let server = tokio::spawn(serve(listener, service.build())).abort_handle();
        Ok(Self { address, access_key, secret_key, server })
    }

    /// Returns the endpoint's URL.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the environment variables with which a process can read and write the bucket.
    pub(super) fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ACCESS_KEY_ID", self.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_key.clone()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    /// Opens the bucket.
    pub(super) fn bucket(&self) -> Bucket {
        Bucket::local(BUCKET, &self.endpoint(), &self.access_key, &self.secret_key)
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    loop {
        // Probably out of file descriptors; open connections go on, and free theirs.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_BACKOFF).await;
            continue;
        };
        let service = service.clone();
        tokio::spawn(async move {
            let server = Builder::new(TokioExecutor::new());
            // The client sees that the connection broke; nothing else depends on it.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn random_hex(bytes: usize) -> String {
    (0..bytes).map(|_| format!("{:02x}", rand::random::<u8>())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_uploaded_dir_is_in_the_bucket() {
        let root = tempfile::tempdir().unwrap();
        let submission = tempfile::tempdir().unwrap();
        std::fs::write(submission.path().join("leap.rb"), "class Leap; end").unwrap();
        let storage = Storage::start(root.path()).await.unwrap();
        let uri = storage.bucket().upload(submission.path(), "ruby/1").await.unwrap();
        assert_eq!(uri.to_string(), "s3://submissions/ruby/1");
        let stored = std::fs::read_to_string(root.path().join("submissions/ruby/1/leap.rb")).unwrap();
        assert_eq!(stored, "class Leap; end");
    }

    #[tokio::test]
    async fn a_wrong_key_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let submission = tempfile::tempdir().unwrap();
        std::fs::write(submission.path().join("leap.rb"), "").unwrap();
        let storage = Storage::start(root.path()).await.unwrap();
        let intruder = Bucket::local(BUCKET, &storage.endpoint(), &storage.access_key, "wrong");
        assert!(intruder.upload(submission.path(), "ruby/1").await.is_err());
    }
}
