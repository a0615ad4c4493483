//! Damaged images, and crashes.

use std::fs;
use std::path::Path;

use rstest::rstest;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::version::Digest;

use super::registry::{Packed, REPOSITORY, Registry, digest, gzip, packed};
use crate::store::unpack::tests::fixtures::Tar;
use crate::store::{LayerLimits, Store};

fn good() -> Packed {
    packed(Tar::default().file("good", &"content ".repeat(9999)))
}

/// Asserts that only `kept` layers are left. Aborted work removes its directory on its own thread, so this waits for
/// that.
async fn assert_only_layers_left(dir: &Path, kept: usize) {
    while fs::read_dir(dir.join("staging")).unwrap().count() > 0 {
        tokio::task::yield_now().await;
    }
    for (name, count) in [("layers", kept), ("chained", 0), ("images", 0), ("staging", 0)] {
        assert_eq!(fs::read_dir(dir.join(name)).unwrap().count(), count, "{name}");
    }
}

fn corrupt(mut bytes: Vec<u8>) -> Vec<u8> {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

#[rstest]
#[case::corrupt(corrupt, Reason::PullFailed)]
#[case::truncated(|mut bytes: Vec<u8>| { bytes.truncate(20); bytes }, Reason::PullFailed)]
#[case::empty(|_| Vec::new(), Reason::PullFailed)]
#[case::longer(|mut bytes: Vec<u8>| { bytes.push(0); bytes }, Reason::UnpackRejected)]
#[tokio::test]
async fn a_damaged_transfer_is_never_ready(#[case] damage: fn(Vec<u8>) -> Vec<u8>, #[case] reason: Reason) {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start().await;
    let bad = packed(Tar::default().file("bad", "content"));
    let image = registry.image(&[good(), bad.clone()]);
    registry.replace(&digest(&bad.bytes), damage(bad.bytes.clone()));
    let store = Store::open(dir.path()).unwrap();
    let error = store.prepare(&registry.images, REPOSITORY, &image).await.unwrap_err();
    assert_eq!(error.reason(), reason, "{error}");
    assert!(store.get(&image).is_none());
    let kept = fs::read_dir(dir.path().join("layers")).unwrap().count();
    assert_only_layers_left(dir.path(), kept).await;

    registry.replace(&digest(&bad.bytes), bad.bytes);
    store.prepare(&registry.images, REPOSITORY, &image).await.unwrap();
    assert_eq!(registry.requests(&digest(&good().bytes)), 1 + usize::from(kept == 0));
}

fn lying() -> Packed {
    Packed { diff_id: Digest::from_sha256(&[7; 32]), ..good() }
}

fn trailing() -> Packed {
    let mut packed = good();
    packed.bytes.extend_from_slice(b"and much more behind it");
    packed
}

fn cut() -> Packed {
    let tar = &Tar::default().file("a", "content").finish()[..600];
    Packed { media_type: "tar+gzip", bytes: gzip(tar), diff_id: digest(tar) }
}

fn bomb() -> Packed {
    let tar = Tar::default().file("zeros", &"\0".repeat(4 << 20)).finish();
    Packed {
        media_type: "tar+zstd",
        bytes: zstd::encode_all(tar.as_slice(), 3).unwrap(),
        diff_id: digest(&tar),
    }
}

fn long_distance() -> Packed {
    let tar = Tar::default().file("a", "content").finish();
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(26).unwrap();
    std::io::Write::write_all(&mut encoder, &tar).unwrap();
    Packed { media_type: "tar+zstd", bytes: encoder.finish().unwrap(), diff_id: digest(&tar) }
}

#[rstest]
#[case::wrong_diff_id(lying(), "not sha256:0707")]
#[case::trailing_bytes(trailing(), "decompressed")]
#[case::not_gzip(Packed { media_type: "tar+gzip", bytes: b"this is not gzip".to_vec(), ..good() }, "decompressed")]
#[case::not_zstd(Packed { media_type: "tar+zstd", bytes: b"this is not zstd".to_vec(), ..good() }, "decompressed")]
#[case::cut_tar(cut(), "middle of an entry")]
#[case::bomb(bomb(), "200 times")]
#[case::window(long_distance(), "decompressed")]
#[case::device(packed(Tar::default().entry(b'3', "null", "", b"")), "device")]
#[tokio::test]
async fn a_bad_layer_is_never_ready(#[case] layer: Packed, #[case] message: &str) {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start().await;
    let image = registry.image(&[layer]);
    let limits = LayerLimits { ratio: 200, ratio_from: 1 << 20, ..LayerLimits::default() };
    let store = Store::open_with(dir.path(), limits).unwrap();
    let error = store.prepare(&registry.images, REPOSITORY, &image).await.unwrap_err();
    assert_eq!(error.reason(), Reason::UnpackRejected, "{error}");
    assert!(error.to_string().contains(message), "{error}");
    assert_only_layers_left(dir.path(), 0).await;
}

#[tokio::test]
async fn an_oversized_image_is_never_pulled() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start().await;
    let image = registry.image(&[good()]);
    let store = Store::open_with(dir.path(), LayerLimits { bytes: 10, ..LayerLimits::default() }).unwrap();
    let error = store.prepare(&registry.images, REPOSITORY, &image).await.unwrap_err();
    assert!(error.to_string().contains("more than 10"), "{error}");
    assert_eq!(registry.requests(&digest(&good().bytes)), 0);
}

#[tokio::test]
async fn a_crash_leaves_no_half_image() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start().await;
    let image = registry.image(&[good(), packed(Tar::default().file("a", "1"))]);
    let store = Store::open(dir.path()).unwrap();
    let prepared = store.prepare(&registry.images, REPOSITORY, &image).await.unwrap();
    drop(store);
    // A crash before the rename leaves all in staging. The third case is a record with a missing layer.
    fs::create_dir_all(dir.path().join("staging/0/half")).unwrap();
    fs::write(dir.path().join("staging/1"), "{").unwrap();
    fs::remove_dir_all(&prepared.layers[0]).unwrap();

    let store = Store::open(dir.path()).unwrap();
    assert_eq!(fs::read_dir(dir.path().join("staging")).unwrap().count(), 0);
    assert!(store.get(&image).is_none() && store.complete_images().unwrap().is_empty());
    store.prepare(&registry.images, REPOSITORY, &image).await.unwrap();
    assert_eq!(store.complete_images().unwrap(), [image]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_preparation_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start().await;
    let large = packed(Tar::default().file("large", &"x".repeat(8 << 20)));
    let image = registry.image(&[large]);
    let store = Store::open(dir.path()).unwrap();
    let preparing = tokio::spawn({
        let (store, images, image) = (store.clone(), registry.images.clone(), image.clone());
        async move { store.prepare(&images, REPOSITORY, &image).await.map(drop) }
    });
    while fs::read_dir(dir.path().join("staging")).unwrap().count() == 0 && !preparing.is_finished() {
        tokio::task::yield_now().await;
    }
    preparing.abort();
    drop(preparing.await);
    store.prepare(&registry.images, REPOSITORY, &image).await.unwrap();
    store.collect_garbage(&[]).await.unwrap();
    assert_only_layers_left(dir.path(), 0).await;
}
