//! Writes a commit's files to a directory.

use std::fs;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::error::FetchError;
use super::listing::ResolvedCommit;
use super::reference::Commit;
use super::repositories::{LockedRepository, Repositories};
use super::times::set_times;
use super::url::RepositoryUrl;

/// The files of a commit, written to a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The commit.
    pub commit: Commit,
    /// The time of the commit in seconds since 1970.
    pub commit_time: u64,
    /// The directory with the files of the commit, without `.git`. Their times are the time of the commit. Links may lead
    /// anywhere.
    pub tree: PathBuf,
}

impl Repositories {
    /// Writes a commit's files to the directory `into`, which must not exist.
    ///
    /// # Errors
    /// If the commit cannot be fetched, is too large, or has submodules.
    pub async fn checkout(
        &self,
        url: &RepositoryUrl,
        resolved: &ResolvedCommit,
        into: &Path,
        stop: &CancellationToken,
    ) -> Result<Checkout, FetchError> {
        url.check_dir(&self.options().allowed_dirs)?;
        let repository = self.lock(url, stop).await?;
        let fetched = self.ensure_fetched(url, resolved, &repository, stop).await;
        if let Err(FetchError::Git { .. }) = &fetched {
            // The cache may be damaged: fetch again into an empty directory.
            let _ = fs::remove_dir_all(&repository.dir);
            self.ensure_fetched(url, resolved, &repository, stop).await?;
        } else {
            fetched?;
        }
        let commit_time = self.commit_time(&resolved.commit, &repository, stop).await?;
        self.check_size(url, &resolved.commit, &repository, stop).await?;
        self.write_out(&resolved.commit, &repository, into, stop).await?;
        let tree = into.to_owned();
        let timed = tokio::task::spawn_blocking(move || set_times(&tree, commit_time)).await;
        timed.unwrap_or_else(|error| Err(error.into())).map_err(FetchError::io("set the files' times"))?;
        drop(repository);
        self.evict().await;
        Ok(Checkout { commit: resolved.commit.clone(), commit_time, tree: into.to_owned() })
    }

    async fn commit_time(
        &self,
        commit: &Commit,
        repository: &LockedRepository,
        stop: &CancellationToken,
    ) -> Result<u64, FetchError> {
        let args = ["show", "--no-patch", "--no-show-signature", "--format=%ct", commit.as_str(), "--"];
        let output = self.local_git(stop).run_ok("show", &repository.args(&args)).await?;
        let text = String::from_utf8_lossy(&output);
        text.trim().parse().map_err(|_| FetchError::Malformed { what: "show" })
    }

    /// Checks the size before anything is written: a file of 5 GB may be packed into a few kilobytes.
    async fn check_size(
        &self,
        url: &RepositoryUrl,
        commit: &Commit,
        repository: &LockedRepository,
        stop: &CancellationToken,
    ) -> Result<(), FetchError> {
        let args = ["ls-tree", "-r", "-l", "-z", "--full-tree", commit.as_str()];
        let listing = self.local_git(stop).run_ok("ls-tree", &repository.args(&args)).await?;
        let total = total_bytes(&String::from_utf8_lossy(&listing), self.options().max_tree_files)?;
        let limit = self.options().max_tree_bytes;
        if total > limit {
            return Err(FetchError::TooLarge { what: "the commit's files", url: url.to_string(), limit });
        }
        Ok(())
    }

    async fn write_out(
        &self,
        commit: &Commit,
        repository: &LockedRepository,
        into: &Path,
        stop: &CancellationToken,
    ) -> Result<(), FetchError> {
        fs::create_dir_all(into).map_err(FetchError::io("create the directory for the files"))?;
        // The attributes of the repository do not apply and no filter is configured: files are written unchanged.
        let index = repository.dir.join("index");
        let _ = fs::remove_file(&index);
        let git = self.local_git(stop);
        git.run_ok("read-tree", &repository.args(&["read-tree", commit.as_str()])).await?;
        let work = format!("--work-tree={}", into.display());
        let args = ["-c", "core.symlinks=true", "-c", "core.autocrlf=false", "-c", "core.bare=false", &work];
        let args =
            args.into_iter().chain(["checkout-index", "--all", "--force", "--quiet"]).collect::<Vec<_>>();
        git.run_ok("checkout-index", &repository.args(&args)).await?;
        let _ = fs::remove_file(&index);
        Ok(())
    }
}

/// Returns the bytes of all files in the output of `ls-tree -r -l -z`.
fn total_bytes(listing: &str, max_files: usize) -> Result<u64, FetchError> {
    let mut total: u64 = 0;
    for (index, entry) in listing.split_terminator('\0').enumerate() {
        if index >= max_files {
            return Err(FetchError::TooMany { limit: max_files });
        }
        let malformed = || FetchError::Malformed { what: "ls-tree" };
        let (attributes, path) = entry.split_once('\t').ok_or_else(malformed)?;
        let mut fields = attributes.split_ascii_whitespace();
        let kind = fields.nth(1);
        let size = fields.nth(1);
        match (kind, size.and_then(|size| size.parse::<u64>().ok())) {
            (Some("blob"), Some(size)) => total = total.saturating_add(size),
            (Some("commit"), _) => {
                return Err(FetchError::Submodule { path: path.chars().take(200).collect() });
            }
            _ => return Err(malformed()),
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_summed_and_submodules_refused() {
        let sha = "a".repeat(40);
        let listing = format!("100644 blob {sha}      12\ta\0100755 blob {sha}       3\tb c\0");
        assert_eq!(total_bytes(&listing, 2).unwrap(), 15);
        assert!(matches!(total_bytes(&listing, 1), Err(FetchError::TooMany { limit: 1 })));
        let submodule = format!("160000 commit {sha}       -\tlib\0");
        assert!(matches!(total_bytes(&submodule, 9), Err(FetchError::Submodule { path }) if path == "lib"));
        assert!(matches!(total_bytes("nonsense\0", 9), Err(FetchError::Malformed { .. })));
    }
}
