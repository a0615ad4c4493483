//! Layers that depend on the layers below.

use super::registry::{REPOSITORY, Registry, digest, packed};
use crate::store::Store;
use crate::store::unpack::tests::fixtures::{Tar, show};

#[tokio::test]
async fn dependent_layers_are_stored_by_chain() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start().await;
    let linked = packed(Tar::default().dir("usr").dir("usr/bin").symlink("bin", "usr/bin"));
    let plain = packed(Tar::default().dir("bin"));
    let tool = packed(Tar::default().file("bin/tool", "x"));
    let app = packed(Tar::default().dir("app"));
    let images = [
        registry.image(&[linked.clone(), app.clone(), tool.clone()]),
        registry.image(&[plain, app.clone(), tool.clone()]),
        registry.image(&[linked, app.clone(), tool.clone(), packed(Tar::default().file("version", "2"))]),
    ];
    let store = Store::open(dir.path()).unwrap();
    let mut shown = Vec::new();
    let mut layers = Vec::new();
    for image in &images {
        let prepared = store.prepare(&registry.images, REPOSITORY, image).await.unwrap();
        shown.push(show(&prepared.layers[2]));
        layers.push(prepared.layers);
    }
    assert_eq!(shown[0], ["usr/", "usr/bin/", "usr/bin/tool: x"]);
    assert_eq!(shown[1], ["bin/", "bin/tool: x"]);
    assert_eq!(layers[0][1], layers[1][1], "a layer that depends on no other is shared");
    assert_eq!(layers[0][2], layers[2][2], "the same chain is shared");
    assert_ne!(layers[0][2], layers[1][2]);
    // For each chain it is tried on its own first, then with the layers below.
    assert_eq!(registry.requests(&digest(&tool.bytes)), 4);
    assert_eq!(registry.requests(&digest(&app.bytes)), 1);
}
