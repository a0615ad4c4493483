//! Why a command failed, with the exit code and what to type next.

use trackyard_protocol::{client, keys, name};

use crate::exit_code::Code;
use crate::{lint, local, router, submit, versions};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The router cannot be talked to.
    #[error(transparent)]
    Unreachable(#[from] client::Error),
    /// The router answered with an error.
    #[error(transparent)]
    Refused(#[from] router::Refused),
    /// A name on the command line is not one.
    #[error(transparent)]
    Name(#[from] name::Error),
    /// A deployed version is not ready in time.
    #[error(transparent)]
    NotReady(#[from] versions::NotReady),
    /// The submission cannot be handed over.
    #[error(transparent)]
    Input(#[from] submit::InputError),
    /// The submission could not be stored.
    #[error(transparent)]
    Upload(#[from] submit::UploadError),
    /// A key cannot be used, or made.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// A manifest cannot be judged.
    #[error(transparent)]
    Lint(#[from] lint::LintError),
    /// `local` failed.
    #[error(transparent)]
    Local(#[from] local::Error),
    /// The result could not be written.
    #[error("cannot write the result: {0}")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// The exit code of this kind of failure.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unreachable(_) => Code::Unreachable,
            Self::Refused(_) | Self::NotReady(_) => Code::Refused,
            Self::Name(_) | Self::Keys(_) | Self::Input(_) | Self::Lint(_) => Code::Usage,
            Self::Upload(_) | Self::Output(_) => Code::Machine,
            Self::Local(error) => error.code(),
        }
    }

    /// What to type next, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable(_) => Some(
                "start one with `trackyard local up --images DIRECTORY`, or name another with --router tcp://HOST:5555"
                    .to_owned(),
            ),
            Self::Refused(refused) => refused.hint(),
            Self::NotReady(_) => {
                Some("`trackyard status` shows what each worker has ready, and why not".to_owned())
            }
            Self::Local(error) => error.hint(),
            _ => None,
        }
    }

    /// True if the reader of standard output went away, as `head` does: no failure of ours.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}
