//! Where the submission is.

use std::path::{Path, PathBuf};

use trackyard_protocol::channel::Channel;
use trackyard_protocol::name;
use trackyard_protocol::uri::InputUri;

/// Why a submission cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// There is no such directory.
    #[error(
        "{path} is not a directory that can be read: {why}; give a directory, s3://bucket/prefix or file:///directory"
    )]
    NotADirectory {
        /// What was given.
        path: String,
        /// What the system says.
        why: String,
    },
    /// The worker may be on another machine.
    #[error(
        "the router {router} is not on this machine, so its workers cannot read {}; \
         give --bucket (and --s3-endpoint) to store the files where they can",
        dir.display()
    )]
    RouterElsewhere {
        /// The router's address.
        router: String,
        /// The directory.
        dir: PathBuf,
    },
    /// The directory's path does not fit a URI.
    #[error(
        "the directory's path cannot be sent as it is; move it, or give --bucket to store the files: {0}"
    )]
    Path(name::Error),
    /// Nobody said which version, and there is none to choose.
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
    /// What looks like a URI is none.
    #[error(transparent)]
    Uri(name::Error),
}

/// What the command line named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submission {
    /// A directory of this machine; its canonical path.
    Dir(PathBuf),
    /// A place that workers read.
    Elsewhere(InputUri),
}

impl Submission {
    /// Reads what was given; a directory must be there.
    ///
    /// # Errors
    /// For a bad URI, or what is no directory.
    pub fn find(given: &str) -> Result<Self, InputError> {
        if given.contains("://") {
            return given.parse().map(Self::Elsewhere).map_err(InputError::Uri);
        }
        let refused = |why: String| InputError::NotADirectory { path: given.to_owned(), why };
        let path = std::fs::canonicalize(given).map_err(|error| refused(error.to_string()))?;
        if path.is_dir() { Ok(Self::Dir(path)) } else { Err(refused("not a directory".to_owned())) }
    }
}

/// The URI of a directory that the router's workers can read, being on this machine.
///
/// # Errors
/// If they are not, or the path is no URI.
pub(super) fn file_uri(dir: &Path, router: &str) -> Result<InputUri, InputError> {
    if !is_here(router) {
        return Err(InputError::RouterElsewhere { router: router.to_owned(), dir: dir.to_owned() });
    }
    format!("file://{}", dir.display()).parse().map_err(InputError::Path)
}

/// True if an address is this machine's own.
fn is_here(router: &str) -> bool {
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
    fn a_dir_is_read_by_workers_of_this_machine_only(#[case] router: &str, #[case] here: bool) {
        assert_eq!(file_uri(Path::new("/srv/in"), router).is_ok(), here);
    }

    #[test]
    fn a_dir_becomes_its_canonical_path() {
        let dir = tempfile::tempdir().unwrap();
        let roundabout = format!("{}/./", dir.path().display());
        let canonical = dir.path().canonicalize().unwrap();
        assert_eq!(Submission::find(&roundabout).unwrap(), Submission::Dir(canonical));
    }

    #[test]
    fn what_is_no_dir_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for given in [file.path().to_str().unwrap(), "/no/such/directory"] {
            assert!(matches!(Submission::find(given), Err(InputError::NotADirectory { .. })));
        }
        assert!(matches!(Submission::find("s3://x"), Err(InputError::Uri(_))));
    }

    #[test]
    fn a_path_that_is_no_uri_is_refused_with_the_way_out() {
        let error = file_uri(Path::new("/srv/a\nb"), "tcp://127.0.0.1:1").unwrap_err();
        assert!(error.to_string().contains("--bucket"));
    }
}
