//! Images that are not as they should be, and crashes.

use std::fs;
use std::path::Path;

use rstest::rstest;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::version::Digest;

use super::registry::{Packed, REPOSITORY, Registry, digest, gzip, packed};
use crate::store::unpack::tests::maker::Tar;
use crate::store::{LayerLimits, Store};

fn good() -> Packed {
    packed(Tar::default().file("good", &"content ".repeat(9999)))
}

/// Work that was given up removes its directory on its own thread.
async fn nothing_is_left(dir: &Path, kept: usize) {
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
async fn damage_on_the_way_is_never_ready(#[case] damage: fn(Vec<u8>) -> Vec<u8>, #[case] reason: Reason) {
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::start().await);
    let bad = packed(Tar::default().file("bad", "content"));
    let image = registry.image(&[good(), bad.clone()]);
    registry.replace(&digest(&bad.bytes), damage(bad.bytes.clone()));
    let store = Store::open(dir.path()).unwrap();
    let error = store.prepare(&registry.images, REPOSITORY, &image).await.unwrap_err();
    assert_eq!(error.reason(), reason, "{error}");
    assert!(store.get(&image).is_none());
    let kept = fs::read_dir(dir.path().join("layers")).unwrap().count();
    nothing_is_left(dir.path(), kept).await;

    registry.replace(&digest(&bad.bytes), bad.bytes);
    store.prepare(&registry.images, REPOSITORY, &image).await.unwrap();
    assert_eq!(registry.asked(&digest(&good().bytes)), 1 + usize::from(kept == 0));
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
async fn a_bad_layer_is_never_ready(#[case] layer: Packed, #[case] words: &str) {
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::start().await);
    let image = registry.image(&[layer]);
    let limits = LayerLimits { ratio: 200, ratio_from: 1 << 20, ..LayerLimits::default() };
    let store = Store::open_with(dir.path(), limits).unwrap();
    let error = store.prepare(&registry.images, REPOSITORY, &image).await.unwrap_err();
    assert_eq!(error.reason(), Reason::UnpackRejected, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    nothing_is_left(dir.path(), 0).await;
}

#[tokio::test]
async fn an_image_over_the_limit_is_refused_before_it_is_pulled() {
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::start().await);
    let image = registry.image(&[good()]);
    let store = Store::open_with(dir.path(), LayerLimits { bytes: 10, ..LayerLimits::default() }).unwrap();
    let error = store.prepare(&registry.images, REPOSITORY, &image).await.unwrap_err();
    assert!(error.to_string().contains("more than 10"), "{error}");
    assert_eq!(registry.asked(&digest(&good().bytes)), 0);
}

#[tokio::test]
async fn what_a_crash_leaves_is_wiped_and_half_an_image_is_not_ready() {
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::start().await);
    let image = registry.image(&[good(), packed(Tar::default().file("a", "1"))]);
    let store = Store::open(dir.path()).unwrap();
    let prepared = store.prepare(&registry.images, REPOSITORY, &image).await.unwrap();
    drop(store);
    // Before the rename: all is in staging. After it: the record is there, and a layer is not.
    fs::create_dir_all(dir.path().join("staging/0/half")).unwrap();
    fs::write(dir.path().join("staging/1"), "{").unwrap();
    fs::remove_dir_all(&prepared.layers[0]).unwrap();

    let store = Store::open(dir.path()).unwrap();
    assert_eq!(fs::read_dir(dir.path().join("staging")).unwrap().count(), 0);
    assert!(store.get(&image).is_none() && store.complete().unwrap().is_empty());
    store.prepare(&registry.images, REPOSITORY, &image).await.unwrap();
    assert_eq!(store.complete().unwrap(), [image]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preparation_given_up_leaves_nothing_and_blocks_nobody() {
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::start().await);
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
    store.collect(&[]).await.unwrap();
    nothing_is_left(dir.path(), 0).await;
}
