//! Good images.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use futures_util::future::join_all;
use rstest::rstest;

use super::registry::{Packed, REPOSITORY, Registry, digest, gzip, packed};
use crate::store::unpack::tests::fixtures::{Tar, show};
use crate::store::{Store, StoreError};

fn tar(name: &str, content: &str) -> Tar {
    Tar::default().file(name, content)
}

#[tokio::test]
async fn only_missing_layers_are_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start().await;
    let [base, one, two] = [tar("base", "b"), tar("app", "1"), tar("app", "2")].map(packed);
    let first = registry.image(&[base.clone(), one]);
    let second = registry.image(&[base.clone(), two]);
    let store = Store::open(dir.path()).unwrap();
    assert!(store.get(&first).is_none());

    let prepared = store.prepare(&registry.images, REPOSITORY, &first).await.unwrap();
    assert_eq!(
        (show(&prepared.layers[0]), show(&prepared.layers[1])),
        (vec!["base: b".into()], vec!["app: 1".into()])
    );
    assert_eq!(prepared.env, ["LANG=C"]);
    store.prepare(&registry.images, REPOSITORY, &second).await.unwrap();
    assert_eq!(registry.requests(&digest(&base.bytes)), 1);

    let before = registry.total_requests();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let again = store.prepare(&registry.images, REPOSITORY, &first).await.unwrap();
    assert_eq!((again.layers, again.env), (prepared.layers, prepared.env));
    assert_eq!(registry.total_requests(), before);
    let mut complete = store.complete_images().unwrap();
    complete.sort();
    let mut expected = [first, second];
    expected.sort();
    assert_eq!(complete, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_layer_is_fetched_once() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start().await;
    let base = packed(tar("base", &"b".repeat(1 << 20)));
    let image = |n: usize| registry.image(&[base.clone(), packed(tar("app", &n.to_string()))]);
    let digests: Vec<_> = (0..8).map(|n| image(n / 2)).collect();
    let store = Store::open(dir.path()).unwrap();
    let all = digests.iter().map(|digest| store.prepare(&registry.images, REPOSITORY, digest));
    let prepared: Result<Vec<_>, StoreError> = join_all(all).await.into_iter().collect();
    assert_eq!(prepared.unwrap().len(), 8);
    assert_eq!(registry.requests(&digest(&base.bytes)), 1);
    assert_eq!(fs::read_dir(dir.path().join("staging")).unwrap().count(), 0);
}

#[rstest]
#[case::plain("tar", |tar: &[u8]| tar.to_vec())]
#[case::gzip("tar+gzip", gzip)]
#[case::gzip_members("tar+gzip", |tar: &[u8]| [gzip(&tar[..700]), gzip(&tar[700..])].concat())]
#[case::zstd("tar+zstd", |tar: &[u8]| zstd::encode_all(tar, 19).unwrap())]
#[case::zstd_frames("tar+zstd", |tar: &[u8]| {
    [zstd::encode_all(&tar[..700], 3).unwrap(), zstd::encode_all(&tar[700..], 3).unwrap()].concat()
})]
#[tokio::test]
async fn every_compression_is_read(#[case] media_type: &'static str, #[case] pack: fn(&[u8]) -> Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start().await;
    let tar = tar("a", "content").finish();
    let image = registry.image(&[Packed { media_type, bytes: pack(&tar), diff_id: digest(&tar) }]);
    let store = Store::open(dir.path()).unwrap();
    let prepared = store.prepare(&registry.images, REPOSITORY, &image).await.unwrap();
    assert_eq!(show(&prepared.layers[0]), ["a: content"]);
}

#[tokio::test]
async fn repeated_and_opaque_layers_are_mounted() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start().await;
    let [a, b] = [tar("a", "1"), tar("b", "1")].map(packed);
    let hiding = packed(tar("c", "1").file(".wh..wh..opq", ""));
    let twice = registry.image(&[a.clone(), b.clone(), a.clone()]);
    let hidden = registry.image(&[a, hiding, b]);
    let store = Store::open(dir.path()).unwrap();
    let shown = async |digest| {
        let prepared = store.prepare(&registry.images, REPOSITORY, digest).await.unwrap();
        prepared.layers.iter().flat_map(|layer| show(layer)).collect::<Vec<_>>()
    };
    assert_eq!(shown(&twice).await, ["b: 1", "a: 1"]);
    assert_eq!(shown(&hidden).await, ["c: 1", "b: 1"]);
}

#[test]
fn two_workers_may_not_share_a_dir() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path()).unwrap();
    let refused = Store::open(dir.path()).unwrap_err();
    assert!(refused.to_string().contains(&format!("process id {}", std::process::id())), "{refused}");
    drop(first);
    Store::open(dir.path()).unwrap();
}

#[test]
fn only_root_reaches_layers() {
    let dir = tempfile::tempdir().unwrap();
    let workdir = dir.path().join("a/b");
    drop(Store::open(&workdir).unwrap());
    // An earlier version left this mode.
    fs::set_permissions(workdir.join("layers"), fs::Permissions::from_mode(0o711)).unwrap();
    let _store = Store::open(&workdir).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&workdir), 0o711);
    for name in ["layers", "chained", "images", "staging"] {
        assert_eq!(mode(&workdir.join(name)), 0o700, "{name}");
    }
    assert_eq!(mode(&workdir.join("lock")), 0o600);
}
