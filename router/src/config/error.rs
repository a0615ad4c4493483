//! Why a configuration cannot be read or written.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A position in a file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a configuration cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no file, and no seed to create it from.
    #[error("there is no configuration {0}: create it, or give --seed FILE to start from")]
    Missing(PathBuf),
    /// The file system has failed.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// The operation, as a verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The text is not a configuration.
    #[error("{path}: {refusal}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        refusal: Refusal,
    },
}

/// What is wrong with a configuration's text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", .position.map(|position| format!("{position}: ")).unwrap_or_default())]
pub struct Refusal {
    /// The position; `None` if several positions contradict each other.
    pub position: Option<Position>,
    /// The field's path and what is wrong with it.
    pub message: String,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { position: None, message: message.into() }
    }
}

impl From<serde_yaml::Error> for Refusal {
    fn from(error: serde_yaml::Error) -> Self {
        let position = error.location().map(|at| Position { line: at.line(), column: at.column() });
        let text = error.to_string();
        let suffix = position.map(|at| format!(" at line {} column {}", at.line, at.column));
        let message = suffix.and_then(|suffix| text.strip_suffix(&suffix).map(str::to_owned)).unwrap_or(text);
        Self { position, message }
    }
}
