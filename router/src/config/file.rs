//! The configuration file: created from a seed, read at once, replaced atomically.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use trackyard_daemon::durable;

use super::error::Refusal;
use super::{Config, ConfigError, Read, read};

/// Maximum size of the file.
const MAX_BYTES: u64 = 16 << 20;
const HEADER: &str = "\
# The configuration of trackyard-router. It may be edited while the router runs: a change is read within seconds.
# A deploy, unload or update by a client writes this file again: comments are not kept then.
";

/// The configuration file.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    path: PathBuf,
}

/// Metadata of a file that differs when its content does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl ConfigFile {
    /// Opens the file at `path`, which is created from `seed` if it is missing.
    ///
    /// # Errors
    /// If the file is missing and there is no seed, or the seed is not a valid configuration or cannot be copied.
    pub fn open(path: &Path, seed: Option<&Path>) -> Result<Self, ConfigError> {
        let file = Self { path: path.to_owned() };
        if path.exists() {
            return Ok(file);
        }
        let seed = seed.ok_or_else(|| ConfigError::Missing(path.to_owned()))?;
        let text = read_text(seed)?;
        read(&text).map_err(|refusal| refused(seed, refusal))?;
        file.replace(text.as_bytes())?;
        tracing::info!(config = %path.display(), seed = %seed.display(), "created the configuration from its seed");
        Ok(file)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// If the file cannot be read or is not a valid configuration.
    pub fn load(&self) -> Result<Read, ConfigError> {
        read(&read_text(&self.path)?).map_err(|refusal| refused(&self.path, refusal))
    }

    /// Replaces the file atomically, even if the machine crashes.
    ///
    /// # Errors
    /// If the file cannot be written. The old file stays.
    pub fn save(&self, config: &Config) -> Result<(), ConfigError> {
        let body = serde_yaml::to_string(config).map_err(|error| refused(&self.path, error.into()))?;
        self.replace(format!("{HEADER}{body}").as_bytes())
    }

    /// Returns the metadata that shows whether the file has changed; `None` if it cannot be read.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        let meta = fs::metadata(&self.path).ok()?;
        Some(Stamp {
            inode: meta.ino(),
            size: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }

    fn replace(&self, bytes: &[u8]) -> Result<(), ConfigError> {
        // The target of a symbolic link is replaced, not the link.
        let target = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let mode = fs::metadata(&target).map_or(0o644, |meta| meta.permissions().mode() & 0o777);
        durable::replace(&target, bytes, mode).map_err(|source| ConfigError::Io {
            doing: "write",
            path: target,
            source,
        })
    }
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Io { doing: "read", path: path.to_owned(), source };
    let mut text = String::new();
    File::open(path).map_err(failed)?.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= MAX_BYTES) {
        Ok(text)
    } else {
        Err(refused(path, Refusal::new(format!("more than {} MiB", MAX_BYTES >> 20))))
    }
}

fn refused(path: &Path, refusal: Refusal) -> ConfigError {
    ConfigError::Refused { path: path.to_owned(), refusal }
}
