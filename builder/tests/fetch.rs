//! Fetching with the real git, from repositories made on the spot.
#![cfg(test)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use trackyard_builder::fetch::{
    Checkout, Error, GitReference, Options, Repositories, RepositoryUrl, Resolved,
};

/// A repository, a cache, and a directory for files.
struct Yard {
    temp: TempDir,
    repositories: Repositories,
}

impl Yard {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Options)) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let mut options = Options { dirs: vec![temp.path().to_owned()], ..Options::default() };
        change(&mut options);
        let repositories = Repositories::open(temp.path().join("cache"), options).unwrap();
        let yard = Self { temp, repositories };
        fs::create_dir(yard.origin()).unwrap();
        yard.git(&["init", "--quiet", "--initial-branch=main"]);
        yard.commit("run.sh", "#!/bin/sh\necho one\n");
        yard
    }

    fn origin(&self) -> PathBuf {
        self.temp.path().join("origin")
    }

    fn url(&self) -> RepositoryUrl {
        format!("file://{}", self.origin().display()).parse().unwrap()
    }

    fn git(&self, words: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "protocol.file.allow=always"]);
        command.arg("-C").arg(self.origin()).args(words);
        command.env("GIT_AUTHOR_DATE", "1700000000 +0000").env("GIT_COMMITTER_DATE", "1700000000 +0000");
        let output = command.output().expect("git is missing; `make setup` installs it");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Writes a file and commits everything; gives the sha.
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

    async fn resolve(&self, reference: &str) -> Result<Resolved, Error> {
        let reference: GitReference = reference.parse()?;
        self.repositories.resolve(&self.url(), &reference, &CancellationToken::new()).await
    }

    async fn check_out(&self, resolved: &Resolved, name: &str) -> Result<Checkout, Error> {
        let into = self.temp.path().join(name);
        self.repositories.checkout(&self.url(), resolved, &into, &CancellationToken::new()).await
    }

    async fn get(&self, reference: &str) -> Result<Checkout, Error> {
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
async fn a_commit_is_found_by_sha_branch_and_tag() {
    let yard = Yard::new();
    let first = yard.git(&["rev-parse", "HEAD"]);
    yard.git(&["tag", "light"]);
    yard.git(&["tag", "--annotate", "heavy", "--message=x"]);
    let second = yard.commit("run.sh", "two");
    yard.git(&["branch", "feature/x"]);
    for (reference, commit, default) in [
        (first.as_str(), &first, false),
        ("light", &first, false),
        ("heavy", &first, false),
        ("refs/tags/heavy", &first, false),
        ("main", &second, true),
        ("feature/x", &second, false),
    ] {
        let resolved = yard.resolve(reference).await.unwrap();
        assert_eq!(
            (resolved.commit.as_str(), resolved.is_default_branch),
            (commit.as_str(), default),
            "{reference}"
        );
    }
    let checkout = yard.get("heavy").await.unwrap();
    let file = checkout.tree.join("run.sh");
    let about = fs::metadata(&file).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "#!/bin/sh\necho one\n");
    assert_eq!(
        (about.mode() & 0o777, about.mtime(), checkout.commit_time),
        (0o755, 1_700_000_000, 1_700_000_000)
    );
    assert!(!checkout.tree.join(".git").exists());
}

/// A repository of a user is served to a worker that runs as root, which git refuses by itself.
#[tokio::test]
async fn repository_of_another_user_is_fetched() {
    assert!(rustix::process::geteuid().is_root(), "giving files away needs root; run `make test`");
    let yard = Yard::new();
    let commit = yard.git(&["rev-parse", "HEAD"]);
    let output = Command::new("chown").args(["-R", "12345:12345"]).arg(yard.origin()).output().unwrap();
    assert!(output.status.success());
    for reference in ["main", &commit] {
        assert_eq!(yard.get(reference).await.unwrap().commit.as_str(), commit, "{reference}");
        fs::remove_dir_all(yard.temp.path().join("tree")).unwrap();
    }
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let yard = Yard::new();
    let first = yard.git(&["rev-parse", "HEAD"]);
    assert!(matches!(yard.get("missing").await, Err(Error::NoReference { .. })));
    assert!(matches!(yard.get(&first[..8]).await, Err(Error::ShortSha { .. })));
    assert!(matches!(yard.get(&"0".repeat(40)).await, Err(Error::NoReference { .. })));
    assert!(matches!(yard.get("a..b").await, Err(Error::BadReference { .. })));
    let elsewhere: RepositoryUrl = "file:///etc".parse().unwrap();
    let main: GitReference = "main".parse().unwrap();
    let refused = yard.repositories.resolve(&elsewhere, &main, &CancellationToken::new()).await;
    assert!(matches!(refused, Err(Error::BadUrl { .. })));
}

#[tokio::test]
async fn a_branch_that_was_overwritten_meanwhile_is_never_another_commit() {
    let yard = Yard::new();
    yard.commit("run.sh", "lost");
    let resolved = yard.resolve("main").await.unwrap();
    yard.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    yard.git(&["reflog", "expire", "--expire=now", "--all"]);
    yard.git(&["gc", "--quiet", "--prune=now"]);
    assert!(matches!(yard.check_out(&resolved, "tree").await, Err(Error::Moved { .. })));
}

#[tokio::test]
async fn the_next_build_fetches_only_what_is_new() {
    let yard = Yard::new();
    let random: Vec<u8> =
        (0..1_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    fs::write(yard.origin().join("large"), &random).unwrap();
    yard.commit_all();
    yard.get("main").await.unwrap();
    let size = |text: &str| {
        let sizes = text.lines().filter(|line| line.starts_with("size"));
        sizes.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    let before = size(&yard.objects());
    yard.commit("small", "x");
    let resolved = yard.resolve("main").await.unwrap();
    yard.check_out(&resolved, "tree2").await.unwrap();
    let after = size(&yard.objects());
    assert!(before > 1000 && after < before + 100, "{before} KiB, then {after} KiB");
    // And nothing at all for a commit that is there.
    fs::rename(yard.origin(), yard.temp.path().join("gone")).unwrap();
    yard.check_out(&resolved, "tree3").await.unwrap();
}

#[tokio::test]
async fn a_damaged_cache_is_made_anew() {
    let yard = Yard::new();
    yard.get("main").await.unwrap();
    let cached = yard.cached();
    fs::remove_dir_all(cached.join("objects")).unwrap();
    fs::write(cached.join("config"), "[nonsense").unwrap();
    let resolved = yard.resolve("main").await.unwrap();
    yard.check_out(&resolved, "again").await.unwrap();
}

#[tokio::test]
async fn nothing_of_the_repository_is_run_or_followed() {
    let yard = Yard::new();
    let witness = yard.temp.path().join("witness");
    let touch = format!("touch {}", witness.display());
    fs::write(yard.origin().join(".gitattributes"), "* filter=evil diff=evil export-ignore\n").unwrap();
    fs::write(yard.origin().join(".gitconfig"), format!("[filter \"evil\"]\nsmudge = {touch}\n")).unwrap();
    symlink("/etc", yard.origin().join("out")).unwrap();
    yard.git(&["config", "filter.evil.smudge", &touch]);
    yard.git(&["config", "uploadpack.packObjectsHook", &touch]);
    for hook in ["post-checkout", "pre-receive", "reference-transaction"] {
        let path = yard.origin().join(".git/hooks").join(hook);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{touch}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let _ = fs::remove_file(&witness);
    yard.commit_all();
    let _ = fs::remove_file(&witness);
    let checkout = yard.get("main").await.unwrap();
    assert!(!witness.exists());
    assert_eq!(fs::read_link(checkout.tree.join("out")).unwrap(), Path::new("/etc"));
    assert!(checkout.tree.join("run.sh").exists());
}

#[tokio::test]
async fn a_submodule_with_an_option_for_a_url_is_refused() {
    let yard = Yard::new();
    let sha = yard.git(&["rev-parse", "HEAD"]);
    let text = "[submodule \"x\"]\npath = x\nurl = --upload-pack=touch /tmp/x\n";
    fs::write(yard.origin().join(".gitmodules"), text).unwrap();
    yard.git(&["add", ".gitmodules"]);
    yard.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{sha},x")]);
    yard.git(&["commit", "--quiet", "--message=x"]);
    let error = yard.get("main").await.unwrap_err();
    // git's own check of what it fetches, or ours.
    assert!(matches!(error, Error::Submodule { .. } | Error::Git { .. }), "{error}");
}

#[tokio::test]
async fn too_much_is_refused_before_it_is_written() {
    let yard = Yard::with(|options| options.tree_bytes = 1 << 20);
    let huge = fs::File::create(yard.origin().join("huge")).unwrap();
    huge.set_len(5 << 20).unwrap();
    yard.commit_all();
    assert!(matches!(yard.get("main").await, Err(Error::TooLarge { .. })));
    assert!(!yard.temp.path().join("tree").exists());
    let many = Yard::with(|options| options.tree_files = 2);
    (0..3).for_each(|number| fs::write(many.origin().join(number.to_string()), "").unwrap());
    many.commit_all();
    assert!(matches!(many.get("main").await, Err(Error::TooMany { .. })));
}

#[tokio::test]
async fn a_stop_or_a_limit_ends_git_and_its_helpers() {
    let yard = Yard::with(|options| options.time = Duration::from_millis(300));
    // A server that never answers: the port takes the connection, and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url: RepositoryUrl = format!("https://{}/x", listener.local_addr().unwrap()).parse().unwrap();
    let main: GitReference = "main".parse().unwrap();
    let stop = CancellationToken::new();
    let late = yard.repositories.resolve(&url, &main, &stop).await;
    assert!(matches!(late, Err(Error::TimedOut { .. })), "{late:?}");
    stop.cancel();
    let stopped = yard.repositories.resolve(&url, &main, &stop).await;
    assert!(matches!(stopped, Err(Error::Cancelled)));
    let left = || {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let words = entries.map(|entry| fs::read(entry.path().join("cmdline")).unwrap_or_default());
        words.filter(|words| String::from_utf8_lossy(words).contains(url.as_str())).count()
    };
    // On a busy machine a helper that was killed takes a moment to be gone.
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
    let yard = Yard::new();
    let resolved = yard.resolve("main").await.unwrap();
    let both = tokio::join!(yard.check_out(&resolved, "one"), yard.check_out(&resolved, "two"));
    assert!(both.0.is_ok() && both.1.is_ok());
}

#[tokio::test]
async fn no_credential_is_said() {
    let credentials = tempfile::NamedTempFile::new().unwrap();
    fs::write(credentials.path(), "https://user:planted-secret@127.0.0.1\n").unwrap();
    let path = credentials.path().with_file_name("credentials-file");
    fs::rename(credentials.path(), &path).unwrap();
    let yard = Yard::with(|options| options.credentials = Some(path.clone()));
    let url: RepositoryUrl = "https://127.0.0.1:1/x".parse().unwrap();
    let main: GitReference = "main".parse().unwrap();
    let error = yard.repositories.resolve(&url, &main, &CancellationToken::new()).await.unwrap_err();
    let _ = fs::remove_file(path);
    assert!(matches!(error, Error::Git { .. }) && !error.to_string().contains("planted-secret"), "{error}");
}
