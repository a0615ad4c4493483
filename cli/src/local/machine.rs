//! What must be there before anything is started.

use std::path::{Path, PathBuf};

use super::Error;

/// Refuses to go on without root.
pub(super) fn check_root() -> Result<(), Error> {
    only_if(rustix::process::geteuid().is_root())
}

const fn only_if(root: bool) -> Result<(), Error> {
    if root { Ok(()) } else { Err(Error::NotRoot) }
}

/// The binaries of the parts.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    /// This one.
    pub(super) own: PathBuf,
    /// `trackyard-router`.
    pub(super) router: PathBuf,
    /// `trackyard-worker`.
    pub(super) worker: PathBuf,
}

impl Binaries {
    /// The binaries beside this process's own.
    pub(super) fn find() -> Result<Self, Error> {
        let own = std::env::current_exe().map_err(Error::system("find this binary"))?;
        Self::beside(&own)
    }

    fn beside(own: &Path) -> Result<Self, Error> {
        let sibling = |name: &str| {
            let path = own.with_file_name(name);
            if path.is_file() { Ok(path) } else { Err(Error::NoBinary(path)) }
        };
        Ok(Self {
            own: own.to_owned(),
            router: sibling("trackyard-router")?,
            worker: sibling("trackyard-worker")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_root_the_remedy_is_named() {
        assert!(only_if(true).is_ok());
        let error = only_if(false).unwrap_err();
        assert!(error.to_string().contains("nothing was started"));
        assert!(error.hint().unwrap().starts_with("sudo "));
    }

    #[test]
    fn a_missing_binary_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("trackyard-router"), "").unwrap();
        let error = Binaries::beside(&dir.path().join("trackyard")).unwrap_err();
        assert!(matches!(error, Error::NoBinary(path) if path == dir.path().join("trackyard-worker")));
    }
}
