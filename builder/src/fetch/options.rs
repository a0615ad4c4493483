//! How repositories are fetched.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::FetchError;

/// How repositories are fetched.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Timeout of one git command.
    pub command_timeout: Duration,
    /// Maximum size of a repository's fetched history in bytes.
    pub max_repository_bytes: u64,
    /// Maximum size of a commit's files in bytes.
    pub max_tree_bytes: u64,
    /// Maximum number of a commit's files.
    pub max_tree_files: usize,
    /// Maximum size of the cache between fetches in bytes.
    pub max_cache_bytes: u64,
    /// A file in the format of git's `store` helper, with user and password for `https://` hosts.
    pub credentials: Option<PathBuf>,
    /// The private key for `ssh://`.
    pub ssh_key: Option<PathBuf>,
    /// The known hosts for `ssh://`.
    pub known_hosts: Option<PathBuf>,
    /// A PEM file of certificate authorities to trust beside the system's, for `https://`.
    pub ca_file: Option<PathBuf>,
    /// The directories below which `file://` repositories are allowed.
    pub allowed_dirs: Vec<PathBuf>,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            command_timeout: Duration::from_secs(300),
            max_repository_bytes: 2 << 30,
            max_tree_bytes: 1 << 30,
            max_tree_files: 100_000,
            max_cache_bytes: 4 << 30,
            credentials: None,
            ssh_key: None,
            known_hosts: None,
            ca_file: None,
            allowed_dirs: Vec::new(),
        }
    }
}

impl FetchOptions {
    /// Refuses paths that git, or the shell that it starts for ssh, could misread.
    pub(super) fn check(&self) -> Result<(), FetchError> {
        let all = [&self.credentials, &self.ssh_key, &self.known_hosts];
        match all.into_iter().flatten().find(|path| !is_plain(path)) {
            None => Ok(()),
            Some(path) => Err(FetchError::BadUrl {
                url: path.display().to_string(),
                why: "a path of a key or credentials file must be absolute, of a-z A-Z 0-9 . _ - and /",
            }),
        }
    }

    /// Returns the value of `GIT_SSH_COMMAND`.
    pub(super) fn ssh_command(&self) -> String {
        let mut command =
            "ssh -F /dev/null -oBatchMode=yes -oStrictHostKeyChecking=yes -oIdentitiesOnly=yes".to_owned();
        let files = [("-i ", &self.ssh_key), ("-oUserKnownHostsFile=", &self.known_hosts)];
        for (flag, file) in files {
            if let Some(file) = file {
                command += &format!(" {flag}{}", file.display());
            }
        }
        command
    }
}

fn is_plain(path: &Path) -> bool {
    let text = path.to_str().unwrap_or_default();
    text.starts_with('/') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b))
}
