//! Why `local` failed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::TrackSlug;

use crate::error::Failure;
use crate::exit_code::Code;

/// Why `local` failed.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Containers need root.
    #[error(
        "`trackyard local` must run as root: its workers make namespaces, mounts and cgroups for each job; \
         nothing was started"
    )]
    NotRoot,
    /// The binary of the router or of the worker is missing.
    #[error("{} is missing; `trackyard local` starts the binaries in its own directory", .0.display())]
    NoBinary(PathBuf),
    /// The directory has no tooling images.
    #[error("{} has no image layouts of tooling (directories such as ruby-test-runner with an index.json)", .0.display())]
    NoImages(PathBuf),
    /// The directory has no image of the track.
    #[error("{} has no image of {track} for {channel}; it has images of {}", images.display(), list(known))]
    NoImage {
        /// The image directory.
        images: PathBuf,
        /// The channel.
        channel: Channel,
        /// The track.
        track: TrackSlug,
        /// Tracks with an image for the channel.
        known: Vec<TrackSlug>,
    },
    /// An image layout cannot be read.
    #[error("{} is not the index of an image layout: {why}", path.display())]
    BadLayout {
        /// The index.
        path: PathBuf,
        /// Why it cannot be read.
        why: String,
    },
    /// An operation on a file or directory failed.
    #[error("cannot {operation} {}: {source}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another system call failed.
    #[error("cannot {operation}: {source}")]
    System {
        /// What was tried.
        operation: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// A process cannot be started.
    #[error("cannot start {name}: {source}")]
    Start {
        /// The process's name.
        name: String,
        /// The system's error.
        source: io::Error,
    },
    /// A process ended without being told to.
    #[error("{name} ended by itself ({status}); the end of {}:\n{tail}", log.display())]
    UnexpectedExit {
        /// The process's name.
        name: String,
        /// Its exit status.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// A process did not become ready, or did not stop, in time.
    #[error("{name} is {state} after {} s; the end of {}:\n{tail}", waited.as_secs(), log.display())]
    Timeout {
        /// The process's name.
        name: String,
        /// How long it had.
        waited: Duration,
        /// Its state, such as `still running`.
        state: String,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The S3 API on this machine failed.
    #[error("the S3 API on loopback failed: {0}")]
    Storage(String),
    /// The demo's examples do not fit together.
    #[error("cannot use the demo's examples: {0}")]
    Examples(String),
}

impl LocalError {
    pub(super) fn file(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { operation, path, source }
    }

    pub(super) fn system(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { operation, source }
    }
}

impl Failure for LocalError {
    fn code(&self) -> Code {
        Code::LocalFailed
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotRoot => {
                let args: Vec<String> = std::env::args().collect();
                Some(format!("sudo {}", args.join(" ")))
            }
            Self::NoBinary(_) => {
                Some("cargo build -p trackyard -p trackyard-router -p trackyard-worker".to_owned())
            }
            Self::NoImages(dir) => Some(format!("examples/build.sh {}", dir.display())),
            Self::UnexpectedExit { name, .. } | Self::Timeout { name, .. } if name != "router" => {
                Some("trackyard-worker doctor".to_owned())
            }
            _ => None,
        }
    }
}

fn list(tracks: &[TrackSlug]) -> String {
    let names: Vec<&str> = tracks.iter().map(TrackSlug::as_str).collect();
    if names.is_empty() { "no track".to_owned() } else { names.join(", ") }
}
