//! The cache of repositories: resolving references, fetching commits and eviction.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::error::FetchError;
use super::git::{Git, SizeLimit, upload_pack_option};
use super::listing::{self, ReferenceKind, ResolvedCommit};
use super::options::FetchOptions;
use super::reference::{Commit, GitReference, is_short_sha};
use super::url::RepositoryUrl;
use crate::size::disk_usage;

/// Interval between two attempts to lock a repository that another build uses.
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// The fetched repositories, each in a directory named by a hash of its URL.
#[derive(Debug)]
pub struct Repositories {
    dir: PathBuf,
    options: FetchOptions,
}

/// A repository's directory, locked against other builds.
pub(super) struct LockedRepository {
    pub(super) dir: PathBuf,
    _lock: File,
}

impl Repositories {
    /// Opens the cache.
    ///
    /// # Errors
    /// If the directory cannot be created, or a path in `options` has characters that are not allowed.
    pub fn open(dir: PathBuf, options: FetchOptions) -> Result<Self, FetchError> {
        options.check()?;
        let created = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        created.map_err(FetchError::io("create the cache of repositories"))?;
        Ok(Self { dir, options })
    }

    pub(super) const fn options(&self) -> &FetchOptions {
        &self.options
    }

    /// Returns git for commands that use no network.
    pub(super) const fn local_git<'a>(&'a self, stop: &'a CancellationToken) -> Git<'a> {
        Git { options: &self.options, protocol: None, stop, size_limit: None }
    }

    /// Returns a reference's commit. Fetches nothing, and sends no request for a whole sha.
    ///
    /// # Errors
    /// If the repository cannot be reached, or does not have the branch or tag.
    pub async fn resolve(
        &self,
        url: &RepositoryUrl,
        reference: &GitReference,
        stop: &CancellationToken,
    ) -> Result<ResolvedCommit, FetchError> {
        url.check_dir(&self.options.allowed_dirs)?;
        if let Some(resolved) = listing::resolve_sha(reference) {
            return Ok(resolved);
        }
        let name = reference.to_string();
        let mut args = vec!["ls-remote".to_owned(), "--symref".to_owned()];
        args.extend(upload_pack_option(url.protocol()).map(str::to_owned));
        args.extend(["--".to_owned(), url.as_str().to_owned()]);
        args.extend(listing::patterns(&name));
        let git = Git { protocol: Some(url.protocol()), ..self.local_git(stop) };
        let listing = git.run_ok("ls-remote", &args).await?;
        listing::find(&String::from_utf8_lossy(&listing), &name).ok_or_else(|| {
            if is_short_sha(&name) {
                return FetchError::ShortSha { reference: name };
            }
            FetchError::NoReference { url: url.to_string(), reference: name }
        })
    }

    /// Locks the directory of a repository. Builds of one repository take turns.
    pub(super) async fn lock(
        &self,
        url: &RepositoryUrl,
        stop: &CancellationToken,
    ) -> Result<LockedRepository, FetchError> {
        let name: String =
            Sha256::digest(url.as_str()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let dir = self.dir.join(format!("{name}.git"));
        let file = File::create(self.dir.join(format!("{name}.lock")));
        let lock = file.map_err(FetchError::io("create a repository's lock"))?;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(LockedRepository { dir, _lock: lock }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(FetchError::io("lock a repository")(error)),
            }
            tokio::select! {
                () = stop.cancelled() => return Err(FetchError::Cancelled),
                () = tokio::time::sleep(LOCK_INTERVAL) => {}
            }
        }
    }

    /// Fetches a commit unless the directory contains it.
    pub(super) async fn ensure_fetched(
        &self,
        url: &RepositoryUrl,
        resolved: &ResolvedCommit,
        repository: &LockedRepository,
        stop: &CancellationToken,
    ) -> Result<(), FetchError> {
        if !repository.dir.join("HEAD").exists() {
            self.init(repository, stop).await?;
        }
        if self.contains(&resolved.commit, repository, stop).await? {
            return Ok(());
        }
        let commit = resolved.commit.as_str();
        let refspec = format!("{commit}:refs/trackyard/{commit}");
        let failed = match self.fetch(url, &refspec, repository, stop).await {
            Ok(()) => None,
            Err(error @ FetchError::Git { .. }) => Some(error),
            Err(error) => return Err(error),
        };
        if failed.is_some()
            && let ReferenceKind::Name(name) = &resolved.kind
        {
            // Some servers refuse to send a commit by its id, but send the branch.
            self.fetch(url, &format!("+{name}:refs/trackyard/{commit}"), repository, stop).await?;
        }
        if self.contains(&resolved.commit, repository, stop).await? {
            return Ok(());
        }
        let url = url.to_string();
        let commit = commit.to_owned();
        Err(match (&resolved.kind, failed) {
            (ReferenceKind::Name(_), _) => FetchError::Moved { url, commit },
            (ReferenceKind::Sha, Some(FetchError::Git { message, .. }))
                if !message.contains("not our ref") =>
            {
                FetchError::Git { what: "fetch", status: "an error".to_owned(), message }
            }
            (ReferenceKind::Sha, _) => FetchError::NoReference { url, reference: commit },
        })
    }

    async fn init(&self, repository: &LockedRepository, stop: &CancellationToken) -> Result<(), FetchError> {
        let _ = fs::remove_dir_all(&repository.dir);
        let args = ["init", "--quiet", "--bare", "--template=", "--"].map(Path::new);
        let args = [&args[..], &[repository.dir.as_path()]].concat();
        self.local_git(stop).run_ok("init", &args).await?;
        Ok(())
    }

    async fn contains(
        &self,
        commit: &Commit,
        repository: &LockedRepository,
        stop: &CancellationToken,
    ) -> Result<bool, FetchError> {
        let args = repository.args(&["cat-file", "-t", commit.as_str()]);
        let exit = self.local_git(stop).run("cat-file", &args).await?;
        Ok(exit.failure.is_none() && exit.output == b"commit\n")
    }

    async fn fetch(
        &self,
        url: &RepositoryUrl,
        refspec: &str,
        repository: &LockedRepository,
        stop: &CancellationToken,
    ) -> Result<(), FetchError> {
        let limit = self.options.max_repository_bytes;
        let size_limit = Some(SizeLimit { dir: &repository.dir, limit, url });
        let git = Git { options: &self.options, protocol: Some(url.protocol()), stop, size_limit };
        let mut args =
            repository.args(&["fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head"]);
        args.extend(upload_pack_option(url.protocol()).map(str::to_owned));
        args.extend(["--", url.as_str(), refspec].map(str::to_owned));
        let fetched = git.run_ok("fetch", &args).await;
        if matches!(fetched, Err(FetchError::TooLarge { .. })) {
            // The partial fetch is useless, and would make every later fetch fail too.
            let _ = fs::remove_dir_all(&repository.dir);
        }
        fetched.map(drop)
    }

    /// Removes the least recently used repositories until the cache fits its limit. Those in use stay. Runs on a blocking
    /// thread, because it measures the whole cache.
    pub(super) async fn evict(&self) {
        let dir = self.dir.clone();
        let max_bytes = self.options.max_cache_bytes;
        let evicted = tokio::task::spawn_blocking(move || evict(&dir, max_bytes)).await;
        if let Err(error) = evicted {
            tracing::error!(%error, "cannot evict repositories from the cache");
        }
    }
}

fn evict(dir: &Path, max_bytes: u64) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let last_use = |path: &Path| fs::metadata(path.with_extension("lock")).and_then(|m| m.modified());
    let mut all: Vec<(SystemTime, u64, PathBuf)> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "git"))
        .map(|path| (last_use(&path).unwrap_or(SystemTime::UNIX_EPOCH), disk_usage(&path), path))
        .collect();
    all.sort();
    let mut total: u64 = all.iter().map(|(_, size, _)| size).sum();
    for (_, size, path) in all {
        if total <= max_bytes {
            return;
        }
        let Ok(lock) = File::create(path.with_extension("lock")) else { continue };
        let is_free = lock.try_lock().is_ok();
        if is_free && fs::remove_dir_all(&path).is_ok() {
            total -= size;
        }
    }
}

impl LockedRepository {
    /// Returns the arguments of a git command in this repository.
    pub(super) fn args(&self, args: &[&str]) -> Vec<String> {
        let dir = format!("--git-dir={}", self.dir.display());
        std::iter::once(dir).chain(args.iter().map(|arg| (*arg).to_owned())).collect()
    }
}
