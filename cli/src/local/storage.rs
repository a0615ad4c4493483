//! The S3 API on loopback, in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::Error;
use crate::submit::Bucket;

/// The one bucket.
pub(super) const BUCKET: &str = "submissions";

const RETRY: std::time::Duration = std::time::Duration::from_millis(50);

/// A running S3 API with keys of its own; it ends when this is dropped.
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
    /// Serves `dir`, in which the bucket is a directory.
    pub(super) async fn start(dir: &Path) -> Result<Self, Error> {
        let bucket = dir.join(BUCKET);
        std::fs::create_dir_all(&bucket).map_err(Error::file("make the directory", &bucket))?;
        let files = FileSystem::new(dir).map_err(|error| Error::Storage(format!("{error:?}")))?;
        let (access_key, secret_key) = (random_hex(10), random_hex(20));
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(access_key.clone(), secret_key.clone()));
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = bound.map_err(Error::system("find a free port for the S3 API"))?;
        let address = listener.local_addr().map_err(Error::system("find a free port for the S3 API"))?;
        let server = tokio::spawn(serve(listener, service.build())).abort_handle();
        Ok(Self { address, access_key, secret_key, server })
    }

    /// The endpoint's URL.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a process needs in its environment to read and write the bucket.
    pub(super) fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ACCESS_KEY_ID", self.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_key.clone()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    /// The bucket, to write to.
    pub(super) fn bucket(&self) -> Bucket {
        Bucket::local(BUCKET, &self.endpoint(), &self.access_key, &self.secret_key)
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    loop {
        // Out of descriptors, perhaps: those in use go on, and come free.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(RETRY).await;
            continue;
        };
        let service = service.clone();
        tokio::spawn(async move {
            let server = Builder::new(TokioExecutor::new());
            // The client sees the broken connection; there is nobody else to tell.
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
    async fn a_stored_dir_is_in_the_bucket() {
        let (root, submission) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(submission.path().join("leap.rb"), "class Leap; end").unwrap();
        let storage = Storage::start(root.path()).await.unwrap();
        let uri = storage.bucket().store(submission.path(), "ruby/1").await.unwrap();
        assert_eq!(uri.to_string(), "s3://submissions/ruby/1");
        let stored = std::fs::read_to_string(root.path().join("submissions/ruby/1/leap.rb")).unwrap();
        assert_eq!(stored, "class Leap; end");
    }

    #[tokio::test]
    async fn other_keys_are_refused() {
        let (root, submission) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(submission.path().join("leap.rb"), "").unwrap();
        let storage = Storage::start(root.path()).await.unwrap();
        let stranger = Bucket::local(BUCKET, &storage.endpoint(), &storage.access_key, "wrong");
        assert!(stranger.store(submission.path(), "ruby/1").await.is_err());
    }
}
