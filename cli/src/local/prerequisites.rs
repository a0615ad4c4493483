//! Checks the prerequisites of `local`: root, and the binaries.

use std::path::{Path, PathBuf};

use super::LocalError;

/// Fails unless this process runs as root.
pub(super) fn check_root() -> Result<(), LocalError> {
    require(rustix::process::geteuid().is_root())
}

const fn require(is_root: bool) -> Result<(), LocalError> {
    if is_root { Ok(()) } else { Err(LocalError::NotRoot) }
}

/// The binaries of the processes to start.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    /// `trackyard`: this process's own.
    pub(super) own: PathBuf,
    /// `trackyard-router`.
    pub(super) router: PathBuf,
    /// `trackyard-worker`.
    pub(super) worker: PathBuf,
}

impl Binaries {
    /// Finds the binaries beside this process's own.
    pub(super) fn find() -> Result<Self, LocalError> {
        let own = std::env::current_exe().map_err(LocalError::system("find this binary"))?;
        Self::beside(&own)
    }

    fn beside(own: &Path) -> Result<Self, LocalError> {
        Ok(Self {
            own: own.to_owned(),
            router: existing(own.with_file_name("trackyard-router"))?,
            worker: existing(own.with_file_name("trackyard-worker"))?,
        })
    }
}

fn existing(path: PathBuf) -> Result<PathBuf, LocalError> {
    if path.is_file() { Ok(path) } else { Err(LocalError::NoBinary(path)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Failure;

    #[test]
    fn without_root_the_hint_is_sudo() {
        assert!(require(true).is_ok());
        let error = require(false).unwrap_err();
        assert!(error.to_string().contains("nothing was started"));
        assert!(error.hint().unwrap().starts_with("sudo "));
    }

    #[test]
    fn a_missing_binary_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("trackyard-router"), "").unwrap();
        let error = Binaries::beside(&dir.path().join("trackyard")).unwrap_err();
        assert!(matches!(error, LocalError::NoBinary(path) if path == dir.path().join("trackyard-worker")));
    }
}
