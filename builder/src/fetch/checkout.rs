//! A commit's files, written out.

use std::fs;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::git::Git;
use super::listing::Resolved;
use super::reference::Commit;
use super::repositories::{Locked, Repositories};
use super::times::set_times;
use super::url::RepositoryUrl;

/// A commit's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The commit.
    pub commit: Commit,
    /// When it was committed: seconds since 1970.
    pub commit_time: u64,
    /// The directory with its files: as they are in the commit, with its time; no `.git`. Links in it lead anywhere.
    pub tree: PathBuf,
}

impl Repositories {
    /// Writes a commit's files to the directory `into`, which must not be there.
    ///
    /// # Errors
    /// When the commit cannot be fetched, is too large, or has submodules.
    pub async fn checkout(
        &self,
        url: &RepositoryUrl,
        resolved: &Resolved,
        into: &Path,
        stop: &CancellationToken,
    ) -> Result<Checkout, Error> {
        url.check_dir(&self.options().dirs)?;
        let at = self.lock(url, stop).await?;
        let brought = self.bring(url, resolved, &at, stop).await;
        if let Err(Error::Git { .. }) = &brought {
            // It may be that only the cache is damaged: once more, from nothing.
            let _ = fs::remove_dir_all(&at.dir);
            self.bring(url, resolved, &at, stop).await?;
        } else {
            brought?;
        }
        let commit_time = self.commit_time(&resolved.commit, &at, stop).await?;
        self.check_size(url, &resolved.commit, &at, stop).await?;
        self.write_out(&resolved.commit, &at, into, stop).await?;
        let tree = into.to_owned();
        let timed = tokio::task::spawn_blocking(move || set_times(&tree, commit_time)).await;
        timed.unwrap_or_else(|error| Err(error.into())).map_err(Error::io("set the files' times"))?;
        drop(at);
        self.shrink();
        Ok(Checkout { commit: resolved.commit.clone(), commit_time, tree: into.to_owned() })
    }

    async fn commit_time(
        &self,
        commit: &Commit,
        at: &Locked,
        stop: &CancellationToken,
    ) -> Result<u64, Error> {
        let git = Git { options: self.options(), protocol: None, stop, bound: None };
        let words = ["show", "--no-patch", "--no-show-signature", "--format=%ct", commit.as_str(), "--"];
        let printed = git.must("show", &at.arguments(&words)).await?;
        let text = String::from_utf8_lossy(&printed);
        text.trim().parse().map_err(|_| Error::Malformed { what: "show" })
    }

    /// Before anything is written: a file of 5 GB packs to nothing.
    async fn check_size(
        &self,
        url: &RepositoryUrl,
        commit: &Commit,
        at: &Locked,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let git = Git { options: self.options(), protocol: None, stop, bound: None };
        let words = ["ls-tree", "-r", "-l", "-z", "--full-tree", commit.as_str()];
        let listing = git.must("ls-tree", &at.arguments(&words)).await?;
        let total = total(&String::from_utf8_lossy(&listing), self.options().tree_files)?;
        let limit = self.options().tree_bytes;
        if total > limit {
            return Err(Error::TooLarge { what: "the commit's files", url: url.to_string(), limit });
        }
        Ok(())
    }

    async fn write_out(
        &self,
        commit: &Commit,
        at: &Locked,
        into: &Path,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        fs::create_dir_all(into).map_err(Error::io("make the directory for the files"))?;
        // No attributes of the repository apply, and no filter is configured: files are written as they are.
        let index = at.dir.join("index");
        let _ = fs::remove_file(&index);
        let git = Git { options: self.options(), protocol: None, stop, bound: None };
        git.must("read-tree", &at.arguments(&["read-tree", commit.as_str()])).await?;
        let work = format!("--work-tree={}", into.display());
        let words = ["-c", "core.symlinks=true", "-c", "core.autocrlf=false", "-c", "core.bare=false", &work];
        let words =
            words.into_iter().chain(["checkout-index", "--all", "--force", "--quiet"]).collect::<Vec<_>>();
        git.must("checkout-index", &at.arguments(&words)).await?;
        let _ = fs::remove_file(&index);
        Ok(())
    }
}

/// The bytes of all files of a listing by `ls-tree -r -l -z`.
fn total(listing: &str, most_files: usize) -> Result<u64, Error> {
    let mut total: u64 = 0;
    for (number, entry) in listing.split_terminator('\0').enumerate() {
        if number >= most_files {
            return Err(Error::TooMany { limit: most_files });
        }
        let malformed = || Error::Malformed { what: "ls-tree" };
        let (about, path) = entry.split_once('\t').ok_or_else(malformed)?;
        let mut words = about.split_ascii_whitespace();
        let (kind, size) = (words.nth(1), words.nth(1));
        match (kind, size.and_then(|size| size.parse::<u64>().ok())) {
            (Some("blob"), Some(size)) => total = total.saturating_add(size),
            (Some("commit"), _) => return Err(Error::Submodule { path: path.chars().take(200).collect() }),
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
        assert_eq!(total(&listing, 2).unwrap(), 15);
        assert!(matches!(total(&listing, 1), Err(Error::TooMany { limit: 1 })));
        let submodule = format!("160000 commit {sha}       -\tlib\0");
        assert!(matches!(total(&submodule, 9), Err(Error::Submodule { path }) if path == "lib"));
        assert!(matches!(total("nonsense\0", 9), Err(Error::Malformed { .. })));
    }
}
