//! Fetches with the real git, from repositories that each test makes.
#![cfg(test)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use trackyard_builder::fetch::{
    Checkout, FetchError, FetchOptions, GitReference, Repositories, RepositoryUrl, ResolvedCommit,
};

/// A repository, a cache, and a directory for checkouts.
struct Fixture {
    temp: TempDir,
    repositories: Repositories,
}

impl Fixture {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut FetchOptions)) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let mut options =
            FetchOptions { allowed_dirs: vec![temp.path().to_owned()], ..FetchOptions::default() };
        change(&mut options);
        let repositories = Repositories::open(temp.path().join("cache"), options).unwrap();
        let fixture = Self { temp, repositories };
        fs::create_dir(fixture.origin()).unwrap();
        fixture.git(&["init", "--quiet", "--initial-branch=main"]);
        fixture.commit("run.sh", "#!/bin/sh\necho one\n");
        fixture
    }

    fn origin(&self) -> PathBuf {
        self.temp.path().join("origin")
    }

    fn url(&self) -> RepositoryUrl {
        format!("file://{}", self.origin().display()).parse().unwrap()
    }

    fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "protocol.file.allow=always"]);
        command.arg("-C").arg(self.origin()).args(args);
        command.env("GIT_AUTHOR_DATE", "1700000000 +0000").env("GIT_COMMITTER_DATE", "1700000000 +0000");
        let output = command.output().expect("git is missing; `make setup` installs it");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Writes a file and commits everything. Returns the sha.
    fn commit(&self, name: &str, text: &str) -> String {
        fs::write(self.origin().join(name), text).unwrap();
        fs::set_permissions(self.origin().join(name), fs::Permissions::from_mode(0o755)).unwrap();
        self.commit_all()
    }

    fn commit_all(&self) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message=x"]);
        self.git(&["rev-parse", "HEAD"])
    }

    async fn resolve(&self, reference: &str) -> Result<ResolvedCommit, FetchError> {
        let reference: GitReference = reference.parse()?;
        self.repositories.resolve(&self.url(), &reference, &CancellationToken::new()).await
    }

    async fn check_out(&self, resolved: &ResolvedCommit, name: &str) -> Result<Checkout, FetchError> {
        let into = self.temp.path().join(name);
        self.repositories.checkout(&self.url(), resolved, &into, &CancellationToken::new()).await
    }

    async fn get(&self, reference: &str) -> Result<Checkout, FetchError> {
        let resolved = self.resolve(reference).await?;
        self.check_out(&resolved, "tree").await
    }

    fn cached(&self) -> PathBuf {
        let entries = fs::read_dir(self.temp.path().join("cache")).unwrap();
        entries
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|e| e == "git"))
            .unwrap()
    }

    fn objects(&self) -> String {
        let output = Command::new("git").arg("-C").arg(self.cached()).args(["count-objects", "-v"]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }
}

#[tokio::test]
async fn commits_are_found_by_sha_branch_and_tag() {
    let fixture = Fixture::new();
    let first = fixture.git(&["rev-parse", "HEAD"]);
    fixture.git(&["tag", "light"]);
    fixture.git(&["tag", "--annotate", "heavy", "--message=x"]);
    let second = fixture.commit("run.sh", "two");
    fixture.git(&["branch", "feature/x"]);
    for (reference, commit, default) in [
        (first.as_str(), &first, false),
        ("light", &first, false),
        ("heavy", &first, false),
        ("refs/tags/heavy", &first, false),
        ("main", &second, true),
        ("feature/x", &second, false),
    ] {
        let resolved = fixture.resolve(reference).await.unwrap();
        assert_eq!(
            (resolved.commit.as_str(), resolved.is_default_branch),
            (commit.as_str(), default),
            "{reference}"
        );
    }
    let checkout = fixture.get("heavy").await.unwrap();
    let file = checkout.tree.join("run.sh");
    let metadata = fs::metadata(&file).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "#!/bin/sh\necho one\n");
    assert_eq!(
        (metadata.mode() & 0o777, metadata.mtime(), checkout.commit_time),
        (0o755, 1_700_000_000, 1_700_000_000)
    );
    assert!(!checkout.tree.join(".git").exists());
}

/// By default git refuses to serve another user's repository to root.
#[tokio::test]
async fn repository_of_another_user_is_fetched() {
    assert!(rustix::process::geteuid().is_root(), "giving files away needs root; run `make test`");
    let fixture = Fixture::new();
    let commit = fixture.git(&["rev-parse", "HEAD"]);
    let output = Command::new("chown").args(["-R", "12345:12345"]).arg(fixture.origin()).output().unwrap();
    assert!(output.status.success());
    for reference in ["main", &commit] {
        assert_eq!(fixture.get(reference).await.unwrap().commit.as_str(), commit, "{reference}");
        fs::remove_dir_all(fixture.temp.path().join("tree")).unwrap();
    }
}

#[tokio::test]
async fn missing_references_are_reported() {
    let fixture = Fixture::new();
    let first = fixture.git(&["rev-parse", "HEAD"]);
    assert!(matches!(fixture.get("missing").await, Err(FetchError::NoReference { .. })));
    assert!(matches!(fixture.get(&first[..8]).await, Err(FetchError::ShortSha { .. })));
    assert!(matches!(fixture.get(&"0".repeat(40)).await, Err(FetchError::NoReference { .. })));
    assert!(matches!(fixture.get("a..b").await, Err(FetchError::BadReference { .. })));
    let elsewhere: RepositoryUrl = "file:///etc".parse().unwrap();
    let main: GitReference = "main".parse().unwrap();
    let refused = fixture.repositories.resolve(&elsewhere, &main, &CancellationToken::new()).await;
    assert!(matches!(refused, Err(FetchError::BadUrl { .. })));
}

#[tokio::test]
async fn force_pushed_branch_is_an_error() {
    let fixture = Fixture::new();
    fixture.commit("run.sh", "lost");
    let resolved = fixture.resolve("main").await.unwrap();
    fixture.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    fixture.git(&["reflog", "expire", "--expire=now", "--all"]);
    fixture.git(&["gc", "--quiet", "--prune=now"]);
    assert!(matches!(fixture.check_out(&resolved, "tree").await, Err(FetchError::Moved { .. })));
}

#[tokio::test]
async fn next_build_fetches_only_new_objects() {
    let fixture = Fixture::new();
    let random: Vec<u8> =
        (0..1_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    fs::write(fixture.origin().join("large"), &random).unwrap();
    fixture.commit_all();
    fixture.get("main").await.unwrap();
    let size = |text: &str| {
        let sizes = text.lines().filter(|line| line.starts_with("size"));
        sizes.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    let before = size(&fixture.objects());
    fixture.commit("small", "x");
    let resolved = fixture.resolve("main").await.unwrap();
    fixture.check_out(&resolved, "tree2").await.unwrap();
    let after = size(&fixture.objects());
    assert!(before > 1000 && after < before + 100, "{before} KiB, then {after} KiB");
    // A commit that was fetched before is not fetched again.
    fs::rename(fixture.origin(), fixture.temp.path().join("gone")).unwrap();
    fixture.check_out(&resolved, "tree3").await.unwrap();
}

#[tokio::test]
async fn damaged_cache_is_rebuilt() {
    let fixture = Fixture::new();
    fixture.get("main").await.unwrap();
    let cached = fixture.cached();
    fs::remove_dir_all(cached.join("objects")).unwrap();
    fs::write(cached.join("config"), "[nonsense").unwrap();
    let resolved = fixture.resolve("main").await.unwrap();
    fixture.check_out(&resolved, "again").await.unwrap();
}

#[tokio::test]
async fn hooks_filters_and_links_are_ignored() {
    let fixture = Fixture::new();
    let witness = fixture.temp.path().join("witness");
    let touch = format!("touch {}", witness.display());
    fs::write(fixture.origin().join(".gitattributes"), "* filter=evil diff=evil export-ignore\n").unwrap();
    fs::write(fixture.origin().join(".gitconfig"), format!("[filter \"evil\"]\nsmudge = {touch}\n")).unwrap();
    symlink("/etc", fixture.origin().join("out")).unwrap();
    fixture.git(&["config", "filter.evil.smudge", &touch]);
    fixture.git(&["config", "uploadpack.packObjectsHook", &touch]);
    for hook in ["post-checkout", "pre-receive", "reference-transaction"] {
        let path = fixture.origin().join(".git/hooks").join(hook);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{touch}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let _ = fs::remove_file(&witness);
    fixture.commit_all();
    let _ = fs::remove_file(&witness);
    let checkout = fixture.get("main").await.unwrap();
    assert!(!witness.exists());
    assert_eq!(fs::read_link(checkout.tree.join("out")).unwrap(), Path::new("/etc"));
    assert!(checkout.tree.join("run.sh").exists());
}

#[tokio::test]
async fn submodule_with_an_option_url_is_refused() {
    let fixture = Fixture::new();
    let sha = fixture.git(&["rev-parse", "HEAD"]);
    let text = "[submodule \"x\"]\npath = x\nurl = --upload-pack=touch /tmp/x\n";
    fs::write(fixture.origin().join(".gitmodules"), text).unwrap();
    fixture.git(&["add", ".gitmodules"]);
    fixture.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{sha},x")]);
    fixture.git(&["commit", "--quiet", "--message=x"]);
    let error = fixture.get("main").await.unwrap_err();
    // Either git's check of fetched objects refuses it, or ours.
    assert!(matches!(error, FetchError::Submodule { .. } | FetchError::Git { .. }), "{error}");
}

#[tokio::test]
async fn large_commits_are_refused_before_writing() {
    let fixture = Fixture::with(|options| options.max_tree_bytes = 1 << 20);
    let huge = fs::File::create(fixture.origin().join("huge")).unwrap();
    huge.set_len(5 << 20).unwrap();
    fixture.commit_all();
    assert!(matches!(fixture.get("main").await, Err(FetchError::TooLarge { .. })));
    assert!(!fixture.temp.path().join("tree").exists());
    let many = Fixture::with(|options| options.max_tree_files = 2);
    (0..3).for_each(|number| fs::write(many.origin().join(number.to_string()), "").unwrap());
    many.commit_all();
    assert!(matches!(many.get("main").await, Err(FetchError::TooMany { .. })));
}

#[tokio::test]
async fn stop_and_timeout_end_git_and_helpers() {
    let fixture = Fixture::with(|options| options.command_timeout = Duration::from_millis(300));
    // This server accepts the connection and never answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url: RepositoryUrl = format!("https://{}/x", listener.local_addr().unwrap()).parse().unwrap();
    let main: GitReference = "main".parse().unwrap();
    let stop = CancellationToken::new();
    let late = fixture.repositories.resolve(&url, &main, &stop).await;
    assert!(matches!(late, Err(FetchError::TimedOut { .. })), "{late:?}");
    stop.cancel();
    let stopped = fixture.repositories.resolve(&url, &main, &stop).await;
    assert!(matches!(stopped, Err(FetchError::Cancelled)));
    let left = || {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let command_lines = entries.map(|entry| fs::read(entry.path().join("cmdline")).unwrap_or_default());
        command_lines.filter(|line| String::from_utf8_lossy(line).contains(url.as_str())).count()
    };
    // On a busy machine a killed helper takes a moment to disappear.
    for _ in 0..100 {
        if left() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} processes are left", left());
}

#[tokio::test]
async fn builds_of_one_repository_take_turns() {
    let fixture = Fixture::new();
    let resolved = fixture.resolve("main").await.unwrap();
    let both = tokio::join!(fixture.check_out(&resolved, "one"), fixture.check_out(&resolved, "two"));
    assert!(both.0.is_ok() && both.1.is_ok());
}

#[tokio::test]
async fn errors_do_not_show_credentials() {
    let credentials = tempfile::NamedTempFile::new().unwrap();
    fs::write(credentials.path(), "https://user:planted-secret@127.0.0.1\n").unwrap();
    let path = credentials.path().with_file_name("credentials-file");
    fs::rename(credentials.path(), &path).unwrap();
    let fixture = Fixture::with(|options| options.credentials = Some(path.clone()));
    let url: RepositoryUrl = "https://127.0.0.1:1/x".parse().unwrap();
    let main: GitReference = "main".parse().unwrap();
    let error = fixture.repositories.resolve(&url, &main, &CancellationToken::new()).await.unwrap_err();
    let _ = fs::remove_file(path);
    assert!(
        matches!(error, FetchError::Git { .. }) && !error.to_string().contains("planted-secret"),
        "{error}"
    );
}

#[tokio::test]
async fn cache_over_its_limit_is_evicted() {
    let fixture = Fixture::with(|options| options.max_cache_bytes = 0);
    fixture.get("main").await.unwrap();
    let entries = fs::read_dir(fixture.temp.path().join("cache")).unwrap();
    let left = entries.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(left, 0);
}
