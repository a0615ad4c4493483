//! Images from ECR: a stub of its control plane, with data from a real docker-registry.

#![cfg(test)]

use std::time::Duration;

use e2e::ecr_stub::{EcrStub, LOCATION, TagAlreadyExists};
use e2e::image::Image;
use e2e::layout::Layout;
use e2e::registry::Registry;
use futures_util::TryStreamExt;
use rstest::rstest;
use tempfile::TempDir;
use trackyard_images::{ImageError, ImageOptions, Images};
use trackyard_protocol::source::{ImageSource, ImageSourceKind, default_repositories};
use trackyard_protocol::version::{ContainerVersion, Digest};

const REPOSITORY: &str = "ruby-test-runner";
const TAG: &str = "git-0123456789abcdef0123456789abcdef01234567";

struct Served {
    _dir: TempDir,
    _registry: Registry,
    ecr: EcrStub,
    digest: Digest,
}

fn serve() -> Served {
    let dir = TempDir::new().unwrap();
    let layout = Layout::at(dir.path());
    let digest = layout.add(REPOSITORY, TAG, &Image::tooling("test_runners", "true"));
    let registry = Registry::start(true);
    registry.push(&dir.path().join(REPOSITORY), TAG, REPOSITORY);
    let ecr = EcrStub::start(&registry);
    ecr.put_tag(REPOSITORY, TAG, &digest).unwrap();
    Served { _dir: dir, _registry: registry, ecr, digest: digest.parse().unwrap() }
}

fn source() -> ImageSource {
    ImageSource {
        kind: ImageSourceKind::Ecr,
        location: LOCATION.to_owned(),
        repositories: default_repositories(),
    }
}

async fn connect(endpoint: String) -> Images {
    let options = ImageOptions {
        ecr_endpoint: Some(endpoint),
        ecr_credentials: Some(EcrStub::credentials()),
        max_attempts: 3,
        first_backoff: Duration::from_millis(5),
        ..ImageOptions::default()
    };
    Images::connect(&source(), &options).await.unwrap()
}

async fn pull(images: &Images, digest: &Digest) -> Result<(), ImageError> {
    let image = images.manifest(REPOSITORY, digest).await?;
    for layer in &image.layers {
        images.blob(REPOSITORY, layer)?.try_for_each(|_| async { Ok(()) }).await?;
    }
    Ok(())
}

fn version() -> ContainerVersion {
    TAG.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn image_is_pulled_with_one_token_kept_from_blob_host() {
    let served = serve();
    let images = connect(served.ecr.endpoint()).await;
    assert_eq!(images.resolve(REPOSITORY, &version()).await.unwrap(), served.digest);
    pull(&images, &served.digest).await.unwrap();
    assert_eq!(served.ecr.tokens_given(), 1);
    let seen = served.ecr.front().seen();
    assert_eq!((seen.blobs, seen.leaked), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_250_images_are_listed() {
    let served = serve();
    for number in 1..250_u8 {
        let digest = Digest::from_sha256(&[number; 32]);
        served.ecr.put_tag(REPOSITORY, &format!("git-{number:040}"), digest.as_str()).unwrap();
    }
    served.ecr.put_tag(REPOSITORY, "latest", served.digest.as_str()).unwrap();
    let list = connect(served.ecr.endpoint()).await.list(REPOSITORY).await.unwrap();
    assert_eq!((list.len(), served.ecr.pages_given()), (250, 3));
    assert_eq!(list.get(&served.digest).unwrap(), &[TAG, "latest"]);
    assert_eq!(served.ecr.tokens_given(), 0, "listing needs no token");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_token_is_renewed() {
    let served = serve();
    let images = connect(served.ecr.endpoint()).await;
    pull(&images, &served.digest).await.unwrap();
    served.ecr.expire_tokens();
    assert_eq!(pull(&images, &served.digest).await.unwrap_err().as_str(), "unauthorized");
    served.ecr.renew_tokens();
    pull(&images, &served.digest).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn token_is_used_until_refused() {
    let served = serve();
    served.ecr.set_expiry_in_the_past();
    let images = connect(served.ecr.endpoint()).await;
    for _ in 0..3 {
        pull(&images, &served.digest).await.unwrap();
    }
    assert_eq!(served.ecr.tokens_given(), 1);
}

#[rstest]
#[case::for_a_while(2, None)]
#[case::for_good(1000, Some("throttled"))]
#[tokio::test(flavor = "multi_thread")]
async fn throttling_is_retried_a_bounded_number_of_times(#[case] count: u32, #[case] error: Option<&str>) {
    let served = serve();
    served.ecr.throttle(count);
    let resolved = connect(served.ecr.endpoint()).await.resolve(REPOSITORY, &version()).await;
    assert_eq!(resolved.as_ref().err().map(ImageError::as_str), error);
    assert!(resolved.map_or_else(|error| error.is_transient(), |digest| digest == served.digest));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_image_is_named_and_tags_are_immutable() {
    let served = serve();
    let images = connect(served.ecr.endpoint()).await;
    let other: ContainerVersion = TAG.replace('0', "9").parse().unwrap();
    assert_eq!(images.resolve(REPOSITORY, &other).await.unwrap_err().as_str(), "not_found");
    assert_eq!(images.list("csharp-test-runner").await.unwrap_err().as_str(), "not_found");
    let digest = Digest::from_sha256(&[1; 32]);
    assert_eq!(served.ecr.put_tag(REPOSITORY, TAG, digest.as_str()), Err(TagAlreadyExists));
}

#[tokio::test]
async fn foreign_location_is_refused() {
    let source = ImageSource { location: "registry.example".to_owned(), ..source() };
    assert_eq!(
        Images::connect(&source, &ImageOptions::default()).await.unwrap_err().as_str(),
        "configuration"
    );
}
