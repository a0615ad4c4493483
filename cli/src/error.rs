//! Why a command failed, with its exit code and what to type next.

use trackyard_protocol::{client, keys, name};

use crate::exit_code::Code;

/// An error that belongs to one command.
pub trait Failure: std::error::Error + Send + Sync {
    /// Returns the exit code of this failure.
    fn code(&self) -> Code;

    /// Returns what to type next, if that is known.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The router cannot be reached, or does not answer.
    #[error(transparent)]
    Unreachable(#[from] client::Error),
    /// A name on the command line is not valid.
    #[error(transparent)]
    Name(#[from] name::Error),
    /// A key cannot be read, or made.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// The result could not be written.
    #[error("cannot write the result: {0}")]
    Output(#[from] std::io::Error),
    /// The user or the system stopped the command.
    #[error("stopped before it was done")]
    Interrupted,
    /// The command failed for a reason of its own.
    #[error("{0}")]
    Command(Box<dyn Failure>),
}

impl<F: Failure + 'static> From<F> for CommandError {
    fn from(failure: F) -> Self {
        Self::Command(Box::new(failure))
    }
}

impl CommandError {
    /// Returns the exit code of this failure.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unreachable(_) => Code::Unreachable,
            Self::Name(_) | Self::Keys(_) => Code::Usage,
            Self::Output(_) => Code::Machine,
            Self::Interrupted => Code::LocalFailed,
            Self::Command(failure) => failure.code(),
        }
    }

    /// Returns what to type next, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable(_) => Some(
                "start one with `trackyard local up --images DIRECTORY`, or name another with --router tcp://HOST:5555"
                    .to_owned(),
            ),
            Self::Command(failure) => failure.hint(),
            _ => None,
        }
    }

    /// True if the reader of standard output has gone away, as `head` does. This is not a failure.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}
