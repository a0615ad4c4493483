//! Storing a directory's files in a bucket.

use std::path::{Path, PathBuf};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::primitives::ByteStream;
use trackyard_protocol::name;
use trackyard_protocol::uri::{InputUri, is_plain_path};

/// Why a submission could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// A directory or file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// There are no files.
    #[error("{} has no files; nothing was sent", .0.display())]
    Empty(PathBuf),
    /// A symlink, a socket, or a name that cannot be a key.
    #[error("{} is not a regular file with a plain name; remove it, or submit another directory", .0.display())]
    NotPlain(PathBuf),
    /// The store refused.
    #[error("cannot store {key} in the bucket {bucket}: {why}")]
    Store {
        /// The bucket.
        bucket: String,
        /// The object.
        key: String,
        /// What the store says.
        why: String,
    },
    /// The bucket's name or the prefix is not valid.
    #[error(transparent)]
    Uri(#[from] name::Error),
}

/// A bucket to store submissions in.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// A bucket, with the credentials that the AWS tools would find. Any endpoint but Amazon's gets the bucket's name
    /// in the path.
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

    /// A bucket of an S3 API on this machine.
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

    /// Stores all files below `dir` under `prefix`.
    ///
    /// # Errors
    /// For the first file that cannot be read or stored.
    pub async fn store(&self, dir: &Path, prefix: &str) -> Result<InputUri, UploadError> {
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
        sent.map(drop).map_err(|error| UploadError::Store {
            bucket: self.name.clone(),
            key: key.to_owned(),
            why: DisplayErrorContext(error).to_string(),
        })
    }
}

/// The regular files below a directory, by their paths in it, sorted.
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
                found.push(key_of(dir, &entry.path(), kind.is_file())?);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn key_of(dir: &Path, file: &Path, regular: bool) -> Result<String, UploadError> {
    let key = file.strip_prefix(dir).ok().and_then(Path::to_str).filter(|key| is_plain_path(key));
    key.filter(|_| regular).map(str::to_owned).ok_or_else(|| UploadError::NotPlain(file.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_all_dirs() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("lib/deep")).unwrap();
        std::fs::create_dir(dir.path().join("empty")).unwrap();
        std::fs::write(dir.path().join("lib/deep/b.rb"), "").unwrap();
        std::fs::write(dir.path().join("a.rb"), "").unwrap();
        assert_eq!(files_below(dir.path()).unwrap(), ["a.rb", "lib/deep/b.rb"]);
    }

    #[test]
    fn a_symlink_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let error = files_below(dir.path()).unwrap_err();
        assert!(error.to_string().contains("link is not a regular file"));
    }
}
