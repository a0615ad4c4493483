//! Uploads a directory's files to a bucket.

use std::path::{Path, PathBuf};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::primitives::ByteStream;
use trackyard_protocol::name;
use trackyard_protocol::uri::{InputUri, is_plain_path};

use crate::error::Failure;
use crate::exit_code::Code;

/// Why a submission could not be uploaded.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// A directory or file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The directory or file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The directory has no files.
    #[error("{} has no files; nothing was sent", .0.display())]
    Empty(PathBuf),
    /// The file is not a regular one, or its name is not valid in an object key.
    #[error("{} is not a regular file with a plain name; remove it, or submit another directory", .0.display())]
    NotPlain(PathBuf),
    /// The object store refused the object.
    #[error("cannot upload {key} to the bucket {bucket}: {why}")]
    Upload {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
        /// The object store's error.
        why: String,
    },
    /// The bucket's name or the prefix is not valid.
    #[error(transparent)]
    Uri(#[from] name::Error),
}

impl Failure for UploadError {
    fn code(&self) -> Code {
        Code::Machine
    }
}

/// A bucket for submissions.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// Opens a bucket with the credentials that the AWS tools would find. If an endpoint is given, the bucket's name goes
    /// into the URL's path.
    pub async fn from_environment(name: &str, endpoint: Option<&str>) -> Self {
        let found = aws_config::defaults(BehaviorVersion::latest()).load().await;
        let mut config = aws_sdk_s3::config::Builder::from(&found);
        if found.region().is_none() {
            config = config.region(Region::from_static("us-east-1"));
        }
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint).force_path_style(true);
        }
        Self { client: Client::from_conf(config.build()), name: name.to_owned() }
    }

    /// Opens a bucket of an S3 API on this machine.
    #[must_use]
    pub fn local(name: &str, endpoint: &str, access_key: &str, secret_key: &str) -> Self {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new(access_key, secret_key, None, None, "trackyard local"))
            .endpoint_url(endpoint)
            .force_path_style(true)
            .build();
        Self { client: Client::from_conf(config), name: name.to_owned() }
    }

    /// Uploads all files below `dir`, under `prefix`. Returns their URI.
    ///
    /// # Errors
    /// On the first file that cannot be read or uploaded.
    pub async fn upload(&self, dir: &Path, prefix: &str) -> Result<InputUri, UploadError> {
        let files = files_below(dir)?;
        if files.is_empty() {
            return Err(UploadError::Empty(dir.to_owned()));
        }
        let uri = format!("s3://{}/{prefix}", self.name).parse()?;
        for file in files {
            self.put(dir, &file, &format!("{prefix}/{file}")).await?;
        }
        Ok(uri)
    }

    async fn put(&self, dir: &Path, file: &str, key: &str) -> Result<(), UploadError> {
        let path = dir.join(file);
        let body = ByteStream::from_path(&path)
            .await
            .map_err(|error| UploadError::Read { path, source: std::io::Error::other(error) })?;
        let sent = self.client.put_object().bucket(&self.name).key(key).body(body).send().await;
        sent.map(drop).map_err(|error| UploadError::Upload {
            bucket: self.name.clone(),
            key: key.to_owned(),
            why: DisplayErrorContext(error).to_string(),
        })
    }
}

/// Returns the paths of the files below a directory, relative to it and sorted.
fn files_below(dir: &Path) -> Result<Vec<String>, UploadError> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        let unreadable = |source| UploadError::Read { path: next.clone(), source };
        for entry in std::fs::read_dir(&next).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() {
                dirs.push(entry.path());
            } else {
                found.push(object_key(dir, &entry.path(), kind.is_file())?);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn object_key(dir: &Path, file: &Path, is_regular: bool) -> Result<String, UploadError> {
    let key = file.strip_prefix(dir).ok().and_then(Path::to_str).filter(|key| is_plain_path(key));
    key.filter(|_| is_regular).map(str::to_owned).ok_or_else(|| UploadError::NotPlain(file.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_at_any_depth() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("lib/deep")).unwrap();
        std::fs::create_dir(dir.path().join("empty")).unwrap();
        std::fs::write(dir.path().join("lib/deep/b.rb"), "").unwrap();
        std::fs::write(dir.path().join("a.rb"), "").unwrap();
        assert_eq!(files_below(dir.path()).unwrap(), ["a.rb", "lib/deep/b.rb"]);
    }

    #[test]
    fn a_symlink_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let error = files_below(dir.path()).unwrap_err();
        assert!(error.to_string().contains("link is not a regular file"));
    }
}
