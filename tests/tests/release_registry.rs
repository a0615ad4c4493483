//! Releases to a real docker-registry: with a password, with TLS, and through a proxy that drops, freezes and refuses.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, UNIX_EPOCH};

use e2e::registry::{BuiltImage, FaultyRegistry, PASSWORD, Registry, RegistryFault, USER};
use futures_util::TryStreamExt;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use trackyard_images::{
    ImageOptions, Images, ReleaseControl, ReleaseError, ReleaseOutcome, ReleaseProgress, ReleaseTags,
};
use trackyard_protocol::source::{ImageSource, ImageSourceKind, default_repositories};
use trackyard_protocol::version::Digest;

const REPOSITORY: &str = "exercism/ruby-test-runner";
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const VERSION: &str = "git-0123456789abcdef0123456789abcdef01234567";

/// A registry to release to.
struct Target {
    dir: TempDir,
    registry: Registry,
}

impl Target {
    fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), registry: Registry::start(true) }
    }

    async fn images(&self) -> Images {
        self.at(&self.registry.location(), PASSWORD).await
    }

    async fn at(&self, location: &str, password: &str) -> Images {
        connect(location, &options(self.dir.path(), location, password)).await
    }
}

fn options(dir: &Path, location: &str, password: &str) -> ImageOptions {
    let path = dir.join("config.json");
    let config = json!({"auths": {location: {"username": USER, "password": password}}});
    fs::write(&path, config.to_string()).unwrap();
    ImageOptions {
        docker_config: Some(path),
        max_attempts: 4,
        first_backoff: Duration::from_millis(5),
        stall_timeout: Duration::from_secs(1),
        store_timeout: Duration::from_secs(2),
        ..ImageOptions::default()
    }
}

async fn connect(location: &str, options: &ImageOptions) -> Images {
    let source = ImageSource {
        kind: ImageSourceKind::Registry,
        location: location.to_owned(),
        repositories: default_repositories(),
    };
    Images::connect(&source, options).await.unwrap()
}

/// Returns the tags of a build at a second of the year 2023.
fn tags(second: u64) -> ReleaseTags {
    ReleaseTags::new(SHA, UNIX_EPOCH + Duration::from_secs(1_700_000_000 + second)).unwrap()
}

fn all_tags(second: u64) -> ReleaseTags {
    tags(second).git_reference("refs/heads/feature/x").latest(true)
}

async fn release(
    images: &Images,
    built: &BuiltImage,
    tags: &ReleaseTags,
) -> Result<ReleaseOutcome, ReleaseError> {
    images.release(REPOSITORY, &built.path(), tags, &ReleaseControl::default()).await
}

/// Returns a release control, and the progress that it records.
fn recorded_control() -> (ReleaseControl, Arc<Mutex<Vec<ReleaseProgress>>>) {
    let progress = Arc::<Mutex<Vec<ReleaseProgress>>>::default();
    let recording = Arc::clone(&progress);
    (
        ReleaseControl::new(CancellationToken::new(), move |event| recording.lock().unwrap().push(event)),
        progress,
    )
}

fn sha(digest: &str) -> Digest {
    digest.parse().unwrap()
}

/// Pulls all layers, which verifies them.
async fn pull(images: &Images, digest: &Digest) {
    let image = images.manifest(REPOSITORY, digest).await.unwrap();
    for layer in &image.layers {
        images.blob(REPOSITORY, layer).unwrap().try_for_each(|_| async { Ok(()) }).await.unwrap();
    }
}

async fn listed(images: &Images) -> BTreeMap<String, Vec<String>> {
    let all = images.list(REPOSITORY).await.unwrap();
    all.into_iter().map(|(digest, tags)| (digest.to_string(), tags)).collect()
}

#[rstest]
#[case::plain(false)]
#[case::tls(true)]
#[tokio::test(flavor = "multi_thread")]
async fn released_image_is_pulled_by_each_tag(#[case] tls: bool) {
    let dir = TempDir::new().unwrap();
    let registry = if tls { Registry::start_tls() } else { Registry::start(true) };
    let location = if tls { format!("https://{}", registry.location()) } else { registry.location() };
    let mut options = options(dir.path(), &registry.location(), PASSWORD);
    options.ca_file = tls.then(|| registry.authority());
    let images = connect(&location, &options).await;
    assert_eq!(images.resolve_tag(REPOSITORY, VERSION).await, Ok(None));

    let built = BuiltImage::large(3 << 20);
    let names = [VERSION, &format!("build-{SHA}-20231114T221320Z"), "feature-x", "latest"].map(str::to_owned);
    let done = ReleaseOutcome::Done { digest: sha(built.digest()), tags: names.to_vec() };
    assert_eq!(release(&images, &built, &all_tags(0)).await, Ok(done));

    assert_eq!(images.resolve_tag(REPOSITORY, VERSION).await, Ok(Some(sha(built.digest()))));
    let mut sorted = names.to_vec();
    sorted.sort();
    assert_eq!(listed(&images).await, BTreeMap::from([(built.digest().to_owned(), sorted)]));
    pull(&images, &images.resolve(REPOSITORY, tags(0).version()).await.unwrap()).await;
    if tls {
        let untrusting = connect(&location, &ImageOptions { ca_file: None, ..options }).await;
        assert_eq!(untrusting.resolve_tag(REPOSITORY, VERSION).await.unwrap_err().as_str(), "unreachable");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_release_sends_only_new_tags() {
    let target = Target::new();
    let built = BuiltImage::small("a");
    let images = target.images().await;
    release(&images, &built, &tags(0)).await.unwrap();
    let (control, progress) = recorded_control();
    let again = images.release(REPOSITORY, &built.path(), &all_tags(1), &control).await.unwrap();
    assert!(matches!(again, ReleaseOutcome::Done { tags, .. } if tags.len() == 4));
    let progress = progress.lock().unwrap().clone();
    assert!(!progress.iter().any(|event| matches!(event, ReleaseProgress::Sent { .. })), "{progress:?}");
    assert_eq!(progress.iter().filter(|event| matches!(event, ReleaseProgress::Present { .. })).count(), 3);
    assert_eq!(listed(&images).await[built.digest()].len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn second_image_of_a_commit_is_ignored_among_250_tags() {
    let target = Target::new();
    let first = BuiltImage::small("a");
    let second = BuiltImage::small("b");
    let images = target.images().await;
    for number in 0..125_u64 {
        let tags = ReleaseTags::new(&format!("{number:040}"), UNIX_EPOCH).unwrap();
        release(&images, &second, &tags).await.unwrap();
    }
    release(&images, &first, &all_tags(0)).await.unwrap();
    let before = listed(&images).await;
    let ignored = release(&images, &second, &all_tags(1)).await;
    assert_eq!(ignored, Ok(ReleaseOutcome::Ignored { digest: sha(first.digest()) }));
    assert_eq!(listed(&images).await, before);
    assert_eq!(images.resolve_tag(REPOSITORY, VERSION).await, Ok(Some(sha(first.digest()))));
}

#[tokio::test(flavor = "multi_thread")]
async fn branch_and_latest_tags_move() {
    let target = Target::new();
    let first = BuiltImage::small("a");
    let second = BuiltImage::small("b");
    let images = target.images().await;
    release(&images, &first, &all_tags(0)).await.unwrap();
    let next = ReleaseTags::new(&"1".repeat(40), UNIX_EPOCH).unwrap().git_reference("feature/x").latest(true);
    release(&images, &second, &next).await.unwrap();
    for tag in ["feature-x", "latest"] {
        assert_eq!(images.resolve_tag(REPOSITORY, tag).await, Ok(Some(sha(second.digest()))));
    }
    assert_eq!(listed(&images).await[first.digest()].len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_releases_leave_one_winner() {
    for _ in 0..5 {
        let target = Target::new();
        let first = BuiltImage::small("a");
        let second = BuiltImage::small("b");
        let images = target.images().await;
        let tags_a = all_tags(0);
        let tags_b = all_tags(1);
        let (a, b) = tokio::join!(release(&images, &first, &tags_a), release(&images, &second, &tags_b));
        let named = images.resolve_tag(REPOSITORY, VERSION).await.unwrap().unwrap();
        let a = a.unwrap();
        let b = b.unwrap();
        let done = [&a, &b]
            .into_iter()
            .any(|released| matches!(released, ReleaseOutcome::Done { digest, .. } if *digest == named));
        assert!(done, "{named}: {a:?}, {b:?}");
        for released in [&a, &b] {
            assert!(
                !matches!(released, ReleaseOutcome::Ignored { digest } if *digest != named),
                "{a:?}, {b:?}"
            );
        }
        pull(&images, &named).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_connection_is_made_again() {
    let target = Target::new();
    let built = BuiltImage::large(8 << 20);
    let proxy = FaultyRegistry::start(&target.registry.location());
    let images = target.at(&proxy.location(), PASSWORD).await;
    proxy.set(Some(RegistryFault::Drop { after: 4 << 20 }));
    let (control, progress) = recorded_control();
    images.release(REPOSITORY, &built.path(), &tags(0), &control).await.unwrap();
    assert_eq!(proxy.faults_met(), 1);
    let progress = progress.lock().unwrap().clone();
    let again = |event: &&ReleaseProgress| {
        matches!(event, ReleaseProgress::Retrying { error: ReleaseError::Dropped { .. } })
    };
    assert_eq!(progress.iter().filter(again).count(), 1, "{progress:?}");
    pull(&images, &sha(built.digest())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_registry_times_out() {
    let target = Target::new();
    let built = BuiltImage::large(24 << 20);
    let proxy = FaultyRegistry::start(&target.registry.location());
    let mut options = options(target.dir.path(), &proxy.location(), PASSWORD);
    (options.max_attempts, options.stall_timeout) = (1, Duration::from_millis(300));
    let images = connect(&proxy.location(), &options).await;
    proxy.set(Some(RegistryFault::Freeze { after: 1 << 20 }));
    let started = Instant::now();
    let error = release(&images, &built, &tags(0)).await.unwrap_err();
    assert_eq!((error.as_str(), error.is_transient()), ("stalled", true));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[rstest]
#[case::no_rights("POST", 403, "refused")]
#[case::no_uploads("POST", 405, "refused")]
#[case::in_a_layer("PATCH", 403, "refused")]
#[case::full("PATCH", 507, "full")]
#[case::too_large("PUT", 413, "full")]
#[case::at_the_end("PUT", 405, "refused")]
#[case::busy("POST", 429, "throttled")]
#[case::down("PUT", 503, "unreachable")]
#[tokio::test(flavor = "multi_thread")]
async fn refused_release_is_reported(
    #[case] method: &'static str,
    #[case] status: u16,
    #[case] error_name: &str,
) {
    let target = Target::new();
    let built = BuiltImage::small("a");
    let proxy = FaultyRegistry::start(&target.registry.location());
    let images = target.at(&proxy.location(), PASSWORD).await;
    proxy.set(Some(RegistryFault::Refuse { method, status, times: 1000 }));
    let error = release(&images, &built, &tags(0)).await.unwrap_err();
    assert_eq!(error.as_str(), error_name, "{error}");
    let attempts = if error.is_transient() { 4 } else { 1 };
    assert!(proxy.faults_met() >= attempts, "{} of {attempts}", proxy.faults_met());
    assert!(error.to_string().contains(&proxy.location()), "{error}");
    proxy.set(None);
    assert_eq!(images.resolve_tag(REPOSITORY, VERSION).await, Ok(None));
    release(&images, &built, &tags(0)).await.unwrap();
}

#[rstest]
#[case("POST", 429)]
#[case("PATCH", 500)]
#[case("PATCH", 404)]
#[case("PUT", 503)]
#[case("PUT", 404)]
#[tokio::test(flavor = "multi_thread")]
async fn transient_refusal_is_retried(#[case] method: &'static str, #[case] status: u16) {
    let target = Target::new();
    let built = BuiltImage::small("a");
    let proxy = FaultyRegistry::start(&target.registry.location());
    let images = target.at(&proxy.location(), PASSWORD).await;
    proxy.set(Some(RegistryFault::Refuse { method, status, times: 2 }));
    release(&images, &built, &tags(0)).await.unwrap();
    assert_eq!(proxy.faults_met(), 2);
    pull(&images, &sha(built.digest())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_password_is_refused_and_not_shown() {
    let target = Target::new();
    let built = BuiltImage::small("a");
    let location = target.registry.location();
    let images = target.at(&location, "hunter2").await;
    let (control, progress) = recorded_control();
    let error = images.release(REPOSITORY, &built.path(), &tags(0), &control).await.unwrap_err();
    assert_eq!(error.as_str(), "unauthorized");
    let shown = format!("{error} {error:?} {images:?} {control:?} {:?}", progress.lock().unwrap());
    let log = target.registry.log();
    assert!(!shown.contains("hunter2") && !log.contains("hunter2"), "{shown} {log}");
}

/// Damages a layout.
fn damage(built: &BuiltImage, kind: &str) {
    let index = built.path().join("index.json");
    let edit = |change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
        change(&mut value);
        fs::write(&index, value.to_string()).unwrap();
    };
    let layer = built.blobs()[0].clone();
    match kind {
        "a wrong byte" => {
            let mut bytes = fs::read(&layer).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(&layer, bytes).unwrap();
        }
        "a byte too few" => {
            let bytes = fs::read(&layer).unwrap();
            fs::write(&layer, &bytes[1..]).unwrap();
        }
        "a byte too many" => fs::write(&layer, [fs::read(&layer).unwrap(), vec![0]].concat()).unwrap(),
        "a symlink" => {
            let aside = built.path().join("aside");
            fs::rename(&layer, &aside).unwrap();
            std::os::unix::fs::symlink(aside, &layer).unwrap();
        }
        "a directory" => {
            fs::remove_file(&layer).unwrap();
            fs::create_dir(&layer).unwrap();
        }
        "a missing layer" => fs::remove_file(&layer).unwrap(),
        "a missing manifest" => fs::remove_file(built.blob(built.digest())).unwrap(),
        "a wrong manifest" => fs::write(built.blob(built.digest()), "{}").unwrap(),
        "no index" => fs::remove_file(&index).unwrap(),
        "an empty index" => edit(&|index| index["manifests"] = json!([])),
        "two platforms" => edit(&|index| {
            let mut other = index["manifests"][0].clone();
            other["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
            index["manifests"].as_array_mut().unwrap().push(other);
        }),
        "a name that leads out" => edit(&|index| index["manifests"][0]["digest"] = json!("sha256:../../x")),
        "no mark" => fs::remove_file(built.path().join("oci-layout")).unwrap(),
        "no directory" => fs::remove_dir_all(built.path()).unwrap(),
        other => panic!("{other}"),
    }
}

#[rstest]
#[case("a wrong byte", "digest_mismatch")]
#[case("a byte too few", "bad_layout")]
#[case("a byte too many", "too_large")]
#[case("a symlink", "bad_layout")]
#[case("a directory", "bad_layout")]
#[case("a missing layer", "bad_layout")]
#[case("a missing manifest", "bad_layout")]
#[case("a wrong manifest", "digest_mismatch")]
#[case("no index", "bad_layout")]
#[case("an empty index", "bad_layout")]
#[case("two platforms", "bad_layout")]
#[case("a name that leads out", "bad_layout")]
#[case("no mark", "bad_layout")]
#[case("no directory", "bad_layout")]
#[tokio::test(flavor = "multi_thread")]
async fn incomplete_image_is_not_released(#[case] damage_kind: &str, #[case] error_name: &str) {
    let target = Target::new();
    let built = BuiltImage::small("a");
    damage(&built, damage_kind);
    let images = target.images().await;
    let error = release(&images, &built, &tags(0)).await.unwrap_err();
    assert_eq!((error.as_str(), error.is_transient()), (error_name, false), "{error}");
    assert_eq!(images.resolve_tag(REPOSITORY, VERSION).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn image_is_taken_from_index_with_attestation() {
    let target = Target::new();
    let built = BuiltImage::small("a");
    let index = built.path().join("index.json");
    let mut value: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    let mut attestation = value["manifests"][0].clone();
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    attestation["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    value["manifests"].as_array_mut().unwrap().push(attestation);
    let inner = value.to_string();
    let digest = e2e::image::digest(inner.as_bytes());
    fs::write(built.blob(&digest), &inner).unwrap();
    let entry = json!({"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest, "size": inner.len()});
    fs::write(&index, json!({"schemaVersion": 2, "manifests": [entry]}).to_string()).unwrap();
    let images = target.images().await;
    release(&images, &built, &tags(0)).await.unwrap();
    assert_eq!(images.resolve_tag(REPOSITORY, VERSION).await, Ok(Some(sha(built.digest()))));
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_release_ends_at_once() {
    let target = Target::new();
    let built = BuiltImage::large(24 << 20);
    let proxy = FaultyRegistry::start(&target.registry.location());
    let mut options = options(target.dir.path(), &proxy.location(), PASSWORD);
    options.stall_timeout = Duration::from_secs(600);
    let images = connect(&proxy.location(), &options).await;
    proxy.set(Some(RegistryFault::Freeze { after: 1 << 20 }));
    let cancel = CancellationToken::new();
    let control = ReleaseControl::new(cancel.clone(), |_| {});
    let path = built.path();
    let tags = tags(0);
    let (ended, ()) = tokio::join!(images.release(REPOSITORY, &path, &tags, &control), async {
        while proxy.faults_met() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.cancel();
    });
    assert_eq!(ended, Err(ReleaseError::Cancelled));
    release(&target.images().await, &built, &tags).await.unwrap();
}
