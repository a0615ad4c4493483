//! Removing images and layers that are not needed.

use std::fs;
use std::path::Path;
use std::slice::from_ref;

use super::registry::{REPOSITORY, Registry, packed};
use crate::store::Store;
use crate::store::unpack::tests::fixtures::Tar;

fn count(dir: &Path, name: &str) -> usize {
    fs::read_dir(dir.join(name)).unwrap().count()
}

#[tokio::test]
async fn used_and_deployed_images_stay() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start().await;
    let layer = |name: &str| packed(Tar::default().file(name, "1"));
    let deployed = registry.image(&[layer("base"), layer("deployed")]);
    let in_use = registry.image(&[layer("base"), layer("used")]);
    let old = registry.image(&[layer("base"), layer("old"), packed(Tar::default().file("no/parent", "1"))]);
    let store = Store::open(dir.path()).unwrap();
    let mut prepared = Vec::new();
    for image in [&deployed, &in_use, &old] {
        prepared.push(store.prepare(&registry.images, REPOSITORY, image).await.unwrap());
    }
    assert_eq!((count(dir.path(), "layers"), count(dir.path(), "chained")), (4, 1));
    assert!(store.collect_garbage(from_ref(&deployed)).await.unwrap().is_empty(), "all are in use");

    let clone = prepared[1].clone();
    prepared.clear();
    assert_eq!(store.collect_garbage(from_ref(&deployed)).await.unwrap(), from_ref(&old));
    assert_eq!((count(dir.path(), "layers"), count(dir.path(), "chained")), (3, 0));
    assert!(clone.layers.iter().all(|layer| layer.is_dir()));
    assert!(store.get(&old).is_none() && store.get(&in_use).is_some());

    drop(clone);
    assert_eq!(store.collect_garbage(from_ref(&deployed)).await.unwrap(), [in_use]);
    assert_eq!(count(dir.path(), "layers"), 2);
    assert_eq!(store.collect_garbage(&[]).await.unwrap(), [deployed]);
    for name in ["layers", "images", "staging"] {
        assert_eq!(count(dir.path(), name), 0, "{name}");
    }
}
