//! Releases to a directory of layouts.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::binaries::system;
use e2e::registry::BuiltImage;
use e2e::wait::{seconds, wait_until};
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;
use trackyard_images::{ImageOptions, Images, ReleaseControl, ReleaseError, ReleaseOutcome, ReleaseTags};
use trackyard_protocol::source::{ImageSource, ImageSourceKind, default_repositories};
use trackyard_protocol::version::Digest;

const REPOSITORY: &str = "exercism/ruby-test-runner";
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const VERSION: &str = "git-0123456789abcdef0123456789abcdef01234567";

struct Target {
    dir: TempDir,
    images: Images,
}

impl Target {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let images = connect(dir.path()).await;
        Self { dir, images }
    }

    fn repository(&self) -> PathBuf {
        self.dir.path().join(REPOSITORY)
    }

    /// Returns the names of the files in the blobs' directory.
    fn blobs(&self) -> BTreeSet<String> {
        let entries = self.repository().join("blobs/sha256").read_dir().unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

async fn connect(dir: &Path) -> Images {
    let source = ImageSource {
        kind: ImageSourceKind::Layout,
        location: dir.to_str().unwrap().to_owned(),
        repositories: default_repositories(),
    };
    let options = ImageOptions { stall_timeout: Duration::from_millis(300), ..ImageOptions::default() };
    Images::connect(&source, &options).await.unwrap()
}

fn tags(sha: &str) -> ReleaseTags {
    let tags = ReleaseTags::new(sha, UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
    tags.git_reference("main").latest(true)
}

async fn release(images: &Images, built: &BuiltImage, sha: &str) -> Result<ReleaseOutcome, ReleaseError> {
    images.release(REPOSITORY, &built.path(), &tags(sha), &ReleaseControl::default()).await
}

fn digest_of(built: &BuiltImage) -> Digest {
    built.digest().parse().unwrap()
}

async fn pull(images: &Images, digest: &Digest) {
    let image = images.manifest(REPOSITORY, digest).await.unwrap();
    for layer in &image.layers {
        images.blob(REPOSITORY, layer).unwrap().try_for_each(|_| async { Ok(()) }).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn released_image_is_pulled_by_other_programs() {
    let target = Target::new().await;
    let built = BuiltImage::large(3 << 20);
    assert_eq!(target.images.resolve_tag(REPOSITORY, VERSION).await, Ok(None));
    let released = release(&target.images, &built, SHA).await.unwrap();
    assert!(matches!(released, ReleaseOutcome::Done { tags, .. } if tags.len() == 4));
    for tag in [VERSION, "main", "latest"] {
        assert_eq!(target.images.resolve_tag(REPOSITORY, tag).await, Ok(Some(digest_of(&built))));
    }
    pull(&target.images, &target.images.resolve(REPOSITORY, tags(SHA).version()).await.unwrap()).await;
    let copy = target.dir.path().join("copy");
    let output = Command::new(system("skopeo", "skopeo"))
        .args(["copy", "--quiet"])
        .arg(format!("oci:{}:{VERSION}", target.repository().display()))
        .arg(format!("dir:{}", copy.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "skopeo: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(e2e::image::digest(&fs::read(copy.join("manifest.json")).unwrap()), built.digest());
}

#[tokio::test(flavor = "multi_thread")]
async fn version_tags_stay_and_branch_tags_move() {
    let target = Target::new().await;
    let first = BuiltImage::small("a");
    let second = BuiltImage::small("b");
    release(&target.images, &first, SHA).await.unwrap();
    let before = fs::read(target.repository().join("index.json")).unwrap();
    let ignored = release(&target.images, &second, SHA).await;
    assert_eq!(ignored, Ok(ReleaseOutcome::Ignored { digest: digest_of(&first) }));
    assert!(matches!(release(&target.images, &first, SHA).await, Ok(ReleaseOutcome::Done { .. })));
    assert_eq!(fs::read(target.repository().join("index.json")).unwrap(), before);
    release(&target.images, &second, &"1".repeat(40)).await.unwrap();
    assert_eq!(target.images.resolve_tag(REPOSITORY, VERSION).await, Ok(Some(digest_of(&first))));
    assert_eq!(target.images.resolve_tag(REPOSITORY, "latest").await, Ok(Some(digest_of(&second))));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_releases_keep_all_tags() {
    let target = Target::new().await;
    let built = BuiltImage::small("a");
    release(&target.images, &built, SHA).await.unwrap();
    let shas: Vec<String> = (0..20_u64).map(|number| format!("{number:040}")).collect();
    let releases = join_all(shas.iter().map(|sha| release(&target.images, &built, sha)));
    let reads = async {
        for _ in 0..200 {
            target.images.list(REPOSITORY).await.unwrap();
        }
    };
    let (released, ()) = tokio::join!(releases, reads);
    assert!(
        released.iter().all(|released| matches!(released, Ok(ReleaseOutcome::Done { .. }))),
        "{released:?}"
    );
    // Two tags of each release, the branch and `latest`.
    assert_eq!(target.images.list(REPOSITORY).await.unwrap()[&digest_of(&built)].len(), 2 * 21 + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_concurrent_releases_wins() {
    for _ in 0..20 {
        let target = Target::new().await;
        let first = BuiltImage::small("a");
        let second = BuiltImage::small("b");
        let other = connect(target.dir.path()).await;
        let (a, b) = tokio::join!(release(&target.images, &first, SHA), release(&other, &second, SHA));
        let named = target.images.resolve_tag(REPOSITORY, VERSION).await.unwrap().unwrap();
        let (winner, loser) = if named == digest_of(&first) { (a, b) } else { (b, a) };
        assert!(matches!(winner, Ok(ReleaseOutcome::Done { digest, .. }) if digest == named));
        assert_eq!(loser, Ok(ReleaseOutcome::Ignored { digest: named }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_blob_is_written_again() {
    let target = Target::new().await;
    let built = BuiltImage::small("a");
    release(&target.images, &built, SHA).await.unwrap();
    for blob in target.blobs() {
        let file = target.repository().join("blobs/sha256").join(blob);
        if file.metadata().unwrap().len() > 100_000 {
            fs::write(file, "damaged").unwrap();
        }
    }
    release(&target.images, &built, SHA).await.unwrap();
    pull(&target.images, &digest_of(&built)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn incomplete_image_leaves_nothing_behind() {
    let target = Target::new().await;
    let built = BuiltImage::small("a");
    let layer = built.blobs()[0].clone();
    let mut bytes = fs::read(&layer).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&layer, bytes).unwrap();
    let error = release(&target.images, &built, SHA).await.unwrap_err();
    assert_eq!(error.as_str(), "digest_mismatch");
    // Incomplete files of other layers are removed too.
    let is_whole = |name: &String| name.len() == 64;
    wait_until(seconds(5), "incomplete blobs are removed", || target.blobs().iter().all(is_whole));
    assert_eq!(target.images.resolve_tag(REPOSITORY, VERSION).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_temporary_files_are_removed() {
    let target = Target::new().await;
    let built = BuiltImage::small("a");
    let dir = target.repository().join("blobs/sha256");
    fs::create_dir_all(&dir).unwrap();
    let old = fs::File::create(dir.join(".incoming-old")).unwrap();
    old.set_modified(SystemTime::now() - Duration::from_secs(25 * 3600)).unwrap();
    fs::File::create(dir.join(".incoming-new")).unwrap();
    release(&target.images, &built, SHA).await.unwrap();
    let left: Vec<String> = target.blobs().into_iter().filter(|name| name.len() != 64).collect();
    assert_eq!(left, [".incoming-new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_outside_the_directory() {
    for part in ["exercism", REPOSITORY] {
        let target = Target::new().await;
        let outside = TempDir::new().unwrap();
        let built = BuiltImage::small("a");
        let link = target.dir.path().join(part);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(outside.path(), link).unwrap();
        let error = release(&target.images, &built, SHA).await.unwrap_err();
        assert!(error.to_string().contains("symlink"), "{error}");
        assert_eq!(outside.path().read_dir().unwrap().count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_held_lock_times_out() {
    let target = Target::new().await;
    let built = BuiltImage::small("a");
    release(&target.images, &built, SHA).await.unwrap();
    let dir = fs::File::open(target.repository()).unwrap();
    flock(&dir, FlockOperation::LockExclusive).unwrap();
    let error = release(&target.images, &built, &"1".repeat(40)).await.unwrap_err();
    assert_eq!((error.as_str(), error.is_transient()), ("stalled", true));
    drop(dir);
    release(&target.images, &built, &"1".repeat(40)).await.unwrap();
}
