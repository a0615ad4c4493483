//! The cache of repositories, and what is asked of them.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::git::{Bound, Git, serving};
use super::listing::{self, Kind, Resolved};
use super::reference::{Commit, GitReference, is_short_sha};
use super::url::RepositoryUrl;

/// How repositories are fetched.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long one git command may take.
    pub time: Duration,
    /// Bytes of one repository's fetched history.
    pub repository_bytes: u64,
    /// Bytes of one commit's files.
    pub tree_bytes: u64,
    /// Files of one commit.
    pub tree_files: usize,
    /// Bytes that the cache may keep between fetches.
    pub cache_bytes: u64,
    /// A file in the form of git's `store` helper, with user and password for `https://` hosts.
    pub credentials: Option<PathBuf>,
    /// The private key for `ssh://`.
    pub ssh_key: Option<PathBuf>,
    /// The known hosts for `ssh://`.
    pub known_hosts: Option<PathBuf>,
    /// A PEM file of certificate authorities to trust beside the system's, for `https://`.
    pub authorities: Option<PathBuf>,
    /// The directories below which `file://` repositories may be.
    pub dirs: Vec<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(300),
            repository_bytes: 2 << 30,
            tree_bytes: 1 << 30,
            tree_files: 100_000,
            cache_bytes: 4 << 30,
            credentials: None,
            ssh_key: None,
            known_hosts: None,
            authorities: None,
            dirs: Vec::new(),
        }
    }
}

impl Options {
    /// Refuses paths that git or the shell that it starts for ssh could misread.
    fn check(&self) -> Result<(), Error> {
        let plain = |path: &PathBuf| {
            let text = path.to_str().unwrap_or_default();
            text.starts_with('/') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b))
        };
        let all = [&self.credentials, &self.ssh_key, &self.known_hosts];
        match all.into_iter().flatten().find(|path| !plain(path)) {
            None => Ok(()),
            Some(path) => Err(Error::BadUrl {
                url: path.display().to_string(),
                why: "a path of a key or credentials file must be absolute, of a-z A-Z 0-9 . _ - and /",
            }),
        }
    }

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

/// The repositories that were fetched, each in a directory named by a hash of its URL.
#[derive(Debug)]
pub struct Repositories {
    dir: PathBuf,
    options: Options,
}

/// A repository's directory, while nobody else uses it.
pub(super) struct Locked {
    pub(super) dir: PathBuf,
    _lock: File,
}

impl Repositories {
    /// Opens the cache.
    ///
    /// # Errors
    /// When the directory cannot be made, or a path in `options` is not plain.
    pub fn open(dir: PathBuf, options: Options) -> Result<Self, Error> {
        options.check()?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(Error::io("make the cache of repositories"))?;
        Ok(Self { dir, options })
    }

    pub(super) const fn options(&self) -> &Options {
        &self.options
    }

    /// Finds a reference's commit. Nothing is fetched, and nobody is asked about a whole sha.
    ///
    /// # Errors
    /// When the repository cannot be asked, or has no such branch or tag.
    pub async fn resolve(
        &self,
        url: &RepositoryUrl,
        reference: &GitReference,
        stop: &CancellationToken,
    ) -> Result<Resolved, Error> {
        url.check_dir(&self.options.dirs)?;
        if let Some(resolved) = listing::of_sha(reference) {
            return Ok(resolved);
        }
        let name = reference.to_string();
        let mut arguments = vec!["ls-remote".to_owned(), "--symref".to_owned()];
        arguments.extend(serving(url.protocol()).map(str::to_owned));
        arguments.extend(["--".to_owned(), url.as_str().to_owned()]);
        arguments.extend(listing::patterns(&name));
        let git = Git { options: &self.options, protocol: Some(url.protocol()), stop, bound: None };
        let listing = git.must("ls-remote", &arguments).await?;
        listing::find(&String::from_utf8_lossy(&listing), &name).ok_or_else(|| {
            if is_short_sha(&name) {
                return Error::ShortSha { reference: name };
            }
            Error::NoReference { url: url.to_string(), reference: name }
        })
    }

    /// The repository's directory, made if it is new. Builds of one repository take turns.
    pub(super) async fn lock(&self, url: &RepositoryUrl, stop: &CancellationToken) -> Result<Locked, Error> {
        let name: String =
            Sha256::digest(url.as_str()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let dir = self.dir.join(format!("{name}.git"));
        let file = File::create(self.dir.join(format!("{name}.lock")));
        let lock = file.map_err(Error::io("make a repository's lock"))?;
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Locked { dir, _lock: lock }),
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(error) => return Err(Error::io("lock a repository")(error.into())),
            }
            tokio::select! {
                () = stop.cancelled() => return Err(Error::Cancelled),
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    }

    /// Brings a commit into the directory, if it is not there; what is there already is not fetched again.
    pub(super) async fn bring(
        &self,
        url: &RepositoryUrl,
        resolved: &Resolved,
        at: &Locked,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        if !at.dir.join("HEAD").exists() {
            self.init(at, stop).await?;
        }
        if self.has(&resolved.commit, at, stop).await? {
            return Ok(());
        }
        let commit = resolved.commit.as_str();
        let failed = match self.fetch(url, &format!("{commit}:refs/trackyard/{commit}"), at, stop).await {
            Ok(()) => None,
            Err(error @ Error::Git { .. }) => Some(error),
            Err(error) => return Err(error),
        };
        if failed.is_some()
            && let Kind::Name(name) = &resolved.kind
        {
            // A server that gives out no commit by its id gives out the branch.
            self.fetch(url, &format!("+{name}:refs/trackyard/{commit}"), at, stop).await?;
        }
        if self.has(&resolved.commit, at, stop).await? {
            return Ok(());
        }
        let (url, commit) = (url.to_string(), commit.to_owned());
        Err(match (&resolved.kind, failed) {
            (Kind::Name(_), _) => Error::Moved { url, commit },
            (Kind::Sha, Some(Error::Git { said, .. })) if !said.contains("not our ref") => {
                Error::Git { what: "fetch", status: "an error".to_owned(), said }
            }
            (Kind::Sha, _) => Error::NoReference { url, reference: commit },
        })
    }

    async fn init(&self, at: &Locked, stop: &CancellationToken) -> Result<(), Error> {
        let _ = fs::remove_dir_all(&at.dir);
        let git = Git { options: &self.options, protocol: None, stop, bound: None };
        let words = ["init", "--quiet", "--bare", "--template=", "--"].map(Path::new);
        git.must("init", &[&words[..], &[at.dir.as_path()]].concat()).await?;
        Ok(())
    }

    async fn has(&self, commit: &Commit, at: &Locked, stop: &CancellationToken) -> Result<bool, Error> {
        let git = Git { options: &self.options, protocol: None, stop, bound: None };
        let ended = git.run("cat-file", &at.arguments(&["cat-file", "-t", commit.as_str()])).await?;
        Ok(ended.failed.is_none() && ended.output == b"commit\n")
    }

    async fn fetch(
        &self,
        url: &RepositoryUrl,
        what: &str,
        at: &Locked,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let bound = Some(Bound { dir: at.dir.clone(), limit: self.options.repository_bytes, url });
        let git = Git { options: &self.options, protocol: Some(url.protocol()), stop, bound };
        let words = ["fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head"];
        let mut arguments = at.arguments(&words);
        arguments.extend(serving(url.protocol()).map(str::to_owned));
        arguments.extend(["--", url.as_str(), what].map(str::to_owned));
        let fetched = git.must("fetch", &arguments).await;
        if matches!(fetched, Err(Error::TooLarge { .. })) {
            // What was fetched so far is of no use, and would be in the way for ever.
            let _ = fs::remove_dir_all(&at.dir);
        }
        fetched.map(drop)
    }

    /// Removes the repositories that were not used for longest, until the cache fits. Those in use stay.
    pub(super) fn shrink(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        let git = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "git");
        let used = |path: &Path| fs::metadata(path.with_extension("lock")).and_then(|m| m.modified());
        let mut all: Vec<(SystemTime, u64, PathBuf)> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(git)
            .map(|path| (used(&path).unwrap_or(SystemTime::UNIX_EPOCH), crate::size::of(&path), path))
            .collect();
        all.sort();
        let mut total: u64 = all.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in all {
            if total <= self.options.cache_bytes {
                return;
            }
            let lock = File::create(path.with_extension("lock"));
            let free = lock.is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok());
            if free && fs::remove_dir_all(&path).is_ok() {
                total -= size;
            }
        }
    }
}

impl Locked {
    pub(super) fn arguments(&self, words: &[&str]) -> Vec<String> {
        let dir = format!("--git-dir={}", self.dir.display());
        std::iter::once(dir).chain(words.iter().map(|word| (*word).to_owned())).collect()
    }
}
