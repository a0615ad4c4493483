//! S3 servers: s3s-fs with real storage, and a hostile one that lists arbitrary keys.

mod hostile;
mod serve;

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;

pub use hostile::{HostileBucket, HostileS3};
use serve::{HttpServer, loopback};

const KEY: &str = "trackyard-tests";
const SECRET: &str = "not-a-secret";

/// The environment variables that let a worker read from the servers of this module.
pub const CREDENTIALS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_REGION", "eu-west-1")];

/// A running S3 server with a directory of its own.
pub struct S3 {
    serving: HttpServer,
    dir: TempDir,
}

impl S3 {
    /// Starts a server with an empty bucket.
    ///
    /// # Panics
    /// When the server cannot be started.
    #[must_use]
    pub fn start(bucket: &str) -> Self {
        Self::start_on(loopback(), bucket)
    }

    /// Starts a server with an empty bucket on this listener.
    ///
    /// # Panics
    /// When the server cannot be started.
    #[must_use]
    pub fn start_on(listener: TcpListener, bucket: &str) -> Self {
        let dir = TempDir::new().expect("a directory for S3");
        fs::create_dir(dir.path().join(bucket)).expect("a bucket");
        let storage = FileSystem::new(dir.path()).expect("storage in a directory");
        Self { serving: HttpServer::start_on(listener, authenticated(storage)), dir }
    }

    /// Returns the endpoint, `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.serving.endpoint()
    }

    /// Stores an object.
    ///
    /// # Panics
    /// When the key is not a valid file path.
    pub fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let file: PathBuf = self.dir.path().join(bucket).join(key);
        fs::create_dir_all(file.parent().unwrap_or(&file)).expect("the directories of a key");
        fs::write(file, bytes).expect("write an object");
    }
}

fn authenticated(storage: impl s3s::S3) -> s3s::service::S3Service {
    let mut builder = S3ServiceBuilder::new(storage);
    builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
    builder.build()
}
