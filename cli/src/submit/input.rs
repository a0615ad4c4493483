//! The location of a submission's files.

use std::io;
use std::path::{Path, PathBuf};

use trackyard_protocol::channel::Channel;
use trackyard_protocol::name;
use trackyard_protocol::uri::InputUri;

use crate::error::Failure;
use crate::exit_code::Code;

/// Why a submission cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The path is not a readable directory.
    #[error(
        "cannot read the directory {path}: {why}; give a directory, s3://bucket/prefix or file:///directory"
    )]
    NotADirectory {
        /// The path on the command line.
        path: String,
        /// The system's error.
        why: String,
    },
    /// The router, and so perhaps its workers, are on another machine.
    #[error(
        "the router {router} is not on this machine, so its workers cannot read {}; \
         give --bucket (and --s3-endpoint) to upload the files to a bucket",
        dir.display()
    )]
    RouterElsewhere {
        /// The router's address.
        router: String,
        /// The directory.
        dir: PathBuf,
    },
    /// The directory's path is not valid in a URI.
    #[error(
        "cannot send the directory's path: {0}; move the directory, or give --bucket to upload the files"
    )]
    Path(name::Error),
    /// No version was given, and none is deployed.
    #[error(
        "no version of {track} is deployed for {channel}; \
         see `trackyard versions --available --track {track} --channel {channel}`, then `trackyard deploy`"
    )]
    NothingDeployed {
        /// The channel.
        channel: Channel,
        /// The track.
        track: String,
    },
    /// The URI is not valid.
    #[error(transparent)]
    Uri(name::Error),
}

impl Failure for InputError {
    fn code(&self) -> Code {
        Code::Usage
    }
}

/// A submission on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submission {
    /// The canonical path of a directory on this machine.
    Dir(PathBuf),
    /// A URI that workers read.
    Uri(InputUri),
}

impl Submission {
    /// Parses a URI, or finds a directory.
    ///
    /// # Errors
    /// If the URI is not valid, or the path is not a directory.
    pub fn find(given: &str) -> Result<Self, InputError> {
        if given.contains("://") {
            return given.parse().map(Self::Uri).map_err(InputError::Uri);
        }
        let path = std::fs::canonicalize(given)
            .and_then(|path| if path.is_dir() { Ok(path) } else { Err(io::ErrorKind::NotADirectory.into()) });
        path.map(Self::Dir)
            .map_err(|error| InputError::NotADirectory { path: given.to_owned(), why: error.to_string() })
    }
}

/// Returns the `file://` URI of a directory, if the router and so its workers are on this machine.
///
/// # Errors
/// If they are not, or the path is not valid in a URI.
pub(super) fn file_uri(dir: &Path, router: &str) -> Result<InputUri, InputError> {
    if !is_loopback(router) {
        return Err(InputError::RouterElsewhere { router: router.to_owned(), dir: dir.to_owned() });
    }
    format!("file://{}", dir.display()).parse().map_err(InputError::Path)
}

/// True if an address can only be reached on this machine.
fn is_loopback(router: &str) -> bool {
    let Some(address) = router.strip_prefix("tcp://") else { return router.starts_with("ipc://") };
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("tcp://127.0.0.1:5555", true)]
    #[case("tcp://localhost:5555", true)]
    #[case("tcp://[::1]:5555", true)]
    #[case("ipc:///run/router", true)]
    #[case("tcp://10.0.0.1:5555", false)]
    #[case("tcp://localhost.example.org:5555", false)]
    #[case("127.0.0.1", false)]
    fn only_a_local_router_gets_a_file_uri(#[case] router: &str, #[case] is_local: bool) {
        assert_eq!(file_uri(Path::new("/srv/in"), router).is_ok(), is_local);
    }

    #[test]
    fn a_dir_is_canonicalized() {
        let dir = tempfile::tempdir().unwrap();
        let roundabout = format!("{}/./", dir.path().display());
        let canonical = dir.path().canonicalize().unwrap();
        assert_eq!(Submission::find(&roundabout).unwrap(), Submission::Dir(canonical));
    }

    #[test]
    fn a_path_without_a_dir_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for given in [file.path().to_str().unwrap(), "/no/such/directory"] {
            assert!(matches!(Submission::find(given), Err(InputError::NotADirectory { .. })));
        }
        assert!(matches!(Submission::find("s3://x"), Err(InputError::Uri(_))));
    }

    #[test]
    fn a_path_invalid_in_a_uri_suggests_a_bucket() {
        let error = file_uri(Path::new("/srv/a\nb"), "tcp://127.0.0.1:1").unwrap_err();
        assert!(error.to_string().contains("--bucket"));
    }
}
