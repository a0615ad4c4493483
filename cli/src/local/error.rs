//! Why `local` failed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::exit_code::Code;

/// Why `local` failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Containers need root.
    #[error(
        "`trackyard local` must run as root: its workers make namespaces, mounts and cgroups for each job; \
         nothing was started"
    )]
    NotRoot,
    /// The other binaries are not where they should be.
    #[error("{} is missing; `trackyard local` starts the binaries that lie beside it", .0.display())]
    NoBinary(PathBuf),
    /// There are no images to run.
    #[error("{} has no image layouts of tooling (directories such as ruby-test-runner with an index.json)", .0.display())]
    NoImages(PathBuf),
    /// An image layout cannot be read.
    #[error("{} is not an image layout's index: {why}", path.display())]
    BadLayout {
        /// The index.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file or directory.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Anything else of the system.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A part cannot be started.
    #[error("cannot start {name}: {source}")]
    Start {
        /// The part.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// A part ended by itself.
    #[error("{name} ended by itself ({how}); the end of {}:\n{tail}", log.display())]
    PartDied {
        /// The part.
        name: String,
        /// Its exit status.
        how: String,
        /// Its log.
        log: PathBuf,
        /// The log's end.
        tail: String,
    },
    /// A part did not become ready in time.
    #[error("{name} is not ready after {} s: {missing}; the end of {}:\n{tail}", waited.as_secs(), log.display())]
    NotReady {
        /// The part.
        name: String,
        /// How long was waited.
        waited: Duration,
        /// What it says is missing.
        missing: String,
        /// Its log.
        log: PathBuf,
        /// The log's end.
        tail: String,
    },
    /// The user, or the system, ended it.
    #[error("stopped before it was done")]
    Interrupted,
    /// The S3 API on this machine failed.
    #[error("the S3 API on loopback failed: {0}")]
    Storage(String),
    /// The expectations of a demo cannot be used.
    #[error("the demo's examples cannot be used: {0}")]
    Examples(String),
}

impl Error {
    pub(super) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }

    pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    /// The exit code.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::LocalFailed
    }

    /// What to type next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotRoot => {
                let words: Vec<String> = std::env::args().collect();
                Some(format!("sudo {}", words.join(" ")))
            }
            Self::NoBinary(_) => {
                Some("cargo build -p trackyard -p trackyard-router -p trackyard-worker".to_owned())
            }
            Self::NoImages(dir) => Some(format!("examples/build.sh {}", dir.display())),
            Self::PartDied { name, .. } | Self::NotReady { name, .. } if name != "router" => {
                Some("trackyard-worker doctor".to_owned())
            }
            _ => None,
        }
    }
}
