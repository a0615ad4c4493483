//! Releases to ECR: a stub of its control plane and rules, with the images in a real docker-registry.

#![cfg(test)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use e2e::ecr_stub::{EcrStub, LOCATION, RepositorySettings};
use e2e::registry::{BuiltImage, FaultyRegistry, Registry, RegistryFault};
use futures_util::TryStreamExt;
use rstest::rstest;
use tokio_util::sync::CancellationToken;
use trackyard_images::{
    ImageError, ImageOptions, Images, ReleaseControl, ReleaseError, ReleaseOutcome, ReleaseProgress,
    ReleaseTags,
};
use trackyard_protocol::source::{ImageSource, ImageSourceKind, default_repositories};
use trackyard_protocol::version::Digest;

const REPOSITORY: &str = "ruby-test-runner";
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const VERSION: &str = "git-0123456789abcdef0123456789abcdef01234567";

struct Target {
    registry: Registry,
    ecr: EcrStub,
}

impl Target {
    fn new() -> Self {
        let registry = Registry::start(true);
        let ecr = EcrStub::start(&registry);
        Self { registry, ecr }
    }

    async fn images(&self) -> Images {
        let options = ImageOptions {
            ecr_endpoint: Some(self.ecr.endpoint()),
            ecr_credentials: Some(EcrStub::credentials()),
            max_attempts: 4,
            first_backoff: Duration::from_millis(5),
            ..ImageOptions::default()
        };
        let source = ImageSource {
            kind: ImageSourceKind::Ecr,
            location: LOCATION.to_owned(),
            repositories: default_repositories(),
        };
        Images::connect(&source, &options).await.unwrap()
    }
}

fn tags() -> ReleaseTags {
    let tags = ReleaseTags::new(SHA, UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
    tags.git_reference("main").latest(true)
}

async fn release(images: &Images, built: &BuiltImage) -> Result<ReleaseOutcome, ReleaseError> {
    images.release(REPOSITORY, &built.path(), &tags(), &ReleaseControl::default()).await
}

fn recorded_control() -> (ReleaseControl, Arc<Mutex<Vec<ReleaseProgress>>>) {
    let progress = Arc::<Mutex<Vec<ReleaseProgress>>>::default();
    let recording = Arc::clone(&progress);
    (
        ReleaseControl::new(CancellationToken::new(), move |event| recording.lock().unwrap().push(event)),
        progress,
    )
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

fn is_done(released: &Result<ReleaseOutcome, ReleaseError>, built: &BuiltImage) -> bool {
    matches!(released, Ok(ReleaseOutcome::Done { digest, .. }) if *digest == digest_of(built))
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_repository_is_created_with_immutable_tags() {
    let target = Target::new();
    let built = BuiltImage::large(2 << 20);
    let images = target.images().await;
    assert_eq!(images.resolve_tag(REPOSITORY, VERSION).await, Ok(None));
    assert_eq!(target.ecr.tokens_given(), 0, "looking needs no token");
    assert!(is_done(&release(&images, &built).await, &built));
    let exclusions = ["git-*", "build-*"].map(str::to_owned).to_vec();
    let expected = RepositorySettings { mutability: "MUTABLE_WITH_EXCLUSION".to_owned(), exclusions };
    assert_eq!(target.ecr.settings(REPOSITORY), Some(expected));
    for tag in [VERSION, "main", "latest"] {
        assert_eq!(images.resolve_tag(REPOSITORY, tag).await, Ok(Some(digest_of(&built))));
    }
    pull(&images, &digest_of(&built)).await;
    assert_eq!((target.ecr.tokens_given(), target.ecr.front().seen().leaked), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_tag_is_found_with_one_request() {
    let target = Target::new();
    let built = BuiltImage::small("a");
    let images = target.images().await;
    for number in 0..250_u8 {
        let digest = Digest::from_sha256(&[number; 32]);
        target.ecr.put_tag(REPOSITORY, &format!("git-{number:040}"), digest.as_str()).unwrap();
    }
    assert_eq!(images.resolve_tag(REPOSITORY, VERSION).await, Ok(None));
    release(&images, &built).await.unwrap();
    let before = target.ecr.pages_given();
    assert_eq!(images.resolve_tag(REPOSITORY, VERSION).await, Ok(Some(digest_of(&built))));
    assert_eq!(target.ecr.pages_given() - before, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn second_image_of_a_commit_is_ignored() {
    let target = Target::new();
    let first = BuiltImage::small("a");
    let second = BuiltImage::small("b");
    let images = target.images().await;
    release(&images, &first).await.unwrap();
    assert_eq!(release(&images, &second).await, Ok(ReleaseOutcome::Ignored { digest: digest_of(&first) }));
    assert!(is_done(&release(&images, &first).await, &first));
    assert_eq!(images.resolve_tag(REPOSITORY, "latest").await, Ok(Some(digest_of(&first))));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_concurrent_releases_wins() {
    for _ in 0..5 {
        let target = Target::new();
        let first = BuiltImage::small("a");
        let second = BuiltImage::small("b");
        let images = target.images().await;
        let (a, b) = tokio::join!(release(&images, &first), release(&images, &second));
        let (winner, loser, digest) = if is_done(&a, &first) {
            (&first, b, digest_of(&first))
        } else {
            (&second, a, digest_of(&second))
        };
        assert_eq!(loser, Ok(ReleaseOutcome::Ignored { digest: digest.clone() }));
        assert_eq!(images.resolve_tag(REPOSITORY, VERSION).await, Ok(Some(digest)));
        pull(&images, &digest_of(winner)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn immutable_repository_gets_only_new_tags() {
    let target = Target::new();
    let first = BuiltImage::small("a");
    let second = BuiltImage::small("b");
    target.ecr.create(REPOSITORY, RepositorySettings::with_mutability("IMMUTABLE"));
    let images = target.images().await;
    release(&images, &first).await.unwrap();
    let next = ReleaseTags::new(&"1".repeat(40), UNIX_EPOCH).unwrap().latest(true);
    let (control, progress) = recorded_control();
    let released = images.release(REPOSITORY, &second.path(), &next, &control).await.unwrap();
    assert!(matches!(released, ReleaseOutcome::Done { tags, .. } if tags.len() == 2));
    let kept = ReleaseProgress::Kept { tag: "latest".to_owned(), digest: digest_of(&first) };
    assert_eq!(progress.lock().unwrap().last(), Some(&kept));
}

#[rstest]
#[case(401)]
#[case(403)]
#[tokio::test(flavor = "multi_thread")]
async fn token_expiring_within_a_layer_is_renewed(#[case] status: u16) {
    let target = Target::new();
    let built = BuiltImage::large(8 << 20);
    let images = target.images().await;
    target.ecr.expire_tokens_after(3 << 20, status);
    let (control, progress) = recorded_control();
    let released = images.release(REPOSITORY, &built.path(), &tags(), &control).await;
    assert!(is_done(&released, &built), "{released:?} {:?}", progress.lock().unwrap());
    assert_eq!(target.ecr.tokens_given(), 2);
    let shown = format!("{:?}", progress.lock().unwrap());
    assert!(!shown.contains("token-"), "{shown}");
    pull(&images, &digest_of(&built)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_upload_is_resumed() {
    let target = Target::new();
    let built = BuiltImage::large(8 << 20);
    let proxy = FaultyRegistry::start(&target.ecr.front().location());
    target.ecr.set_registry(&proxy.location());
    let images = target.images().await;
    proxy.set(Some(RegistryFault::Drop { after: 6 << 20 }));
    let (control, progress) = recorded_control();
    let released = images.release(REPOSITORY, &built.path(), &tags(), &control).await;
    assert!(is_done(&released, &built), "{released:?}");
    let sent = proxy.forwarded_bytes();
    assert!((8 << 20..11 << 20).contains(&sent), "{sent} bytes: {:?}", progress.lock().unwrap());
    assert_eq!(proxy.faults_met(), 1);
    pull(&images, &digest_of(&built)).await;
}

#[rstest]
#[case::of_the_control_plane(2, 0, None)]
#[case::of_the_registry(0, 2, None)]
#[case::for_good(0, 1000, Some("throttled"))]
#[case::of_the_control_plane_for_good(1000, 0, Some("throttled"))]
#[tokio::test(flavor = "multi_thread")]
async fn throttling_is_retried_a_bounded_number_of_times(
    #[case] control: u32,
    #[case] registry: u32,
    #[case] error: Option<&str>,
) {
    let target = Target::new();
    let built = BuiltImage::small("a");
    let images = target.images().await;
    target.ecr.throttle(control);
    target.ecr.throttle_registry(registry);
    let released = release(&images, &built).await;
    assert_eq!(released.as_ref().err().map(ReleaseError::as_str), error);
    assert!(released.as_ref().err().is_none_or(ReleaseError::is_transient));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_not_in_errors_or_logs() {
    let target = Target::new();
    let built = BuiltImage::small("a");
    let images = target.images().await;
    release(&images, &built).await.unwrap();
    target.ecr.expire_tokens();
    let (control, progress) = recorded_control();
    let other = ReleaseTags::new(&"1".repeat(40), UNIX_EPOCH).unwrap();
    let error = images.release(REPOSITORY, &built.path(), &other, &control).await.unwrap_err();
    assert_eq!(error.as_str(), "unauthorized");
    let shown =
        format!("{error} {error:?} {images:?} {:?} {}", progress.lock().unwrap(), target.registry.log());
    assert!(!shown.contains("token-"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_tag_is_not_requested() {
    let images = Target::new().images().await;
    for tag in ["", "../x", "a b", "-x"] {
        assert_eq!(
            images.resolve_tag(REPOSITORY, tag).await.as_ref().map_err(ImageError::as_str),
            Err("configuration")
        );
    }
}
