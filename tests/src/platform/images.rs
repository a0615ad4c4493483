//! The images: those of the product, those of the examples, and tooling images in the registry.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Platform, Release, SHELL};
use crate::cluster;
use crate::image::Image;
use crate::layout::Layout;
use crate::request::version;
use crate::stage::RUN_SUBMISSION;

impl Platform {
    /// Pushes the examples' images, and one for [`SHELL`].
    pub(super) fn push_images(&self) {
        for repository in fs::read_dir(examples()).expect("the examples' images").flatten() {
            let name = repository.file_name().to_string_lossy().into_owned();
            for tag in tags(&repository.path()) {
                self.registry.push(&repository.path(), &tag, &name);
            }
        }
        self.publish(SHELL, &version('a'));
    }

    /// Pushes a test runner for a track that runs the submission's `do.sh`.
    pub fn publish(&self, track: &str, tag: &str) {
        let layout = Layout::at(&self.dir.path().join("images"));
        let repository = format!("{track}-test-runner");
        layout.add(&repository, tag, &Image::tooling("test_runners", RUN_SUBMISSION));
        self.registry.push(&layout.dir().join(&repository), tag, &repository);
    }

    /// Returns the tag of an example's image.
    #[must_use]
    pub fn example_tag(&self, repository: &str) -> String {
        tags(&examples().join(repository)).into_iter().min().expect("a tag")
    }
}

/// Returns the product's images and the client's, as `docker save` writes them.
///
/// # Panics
/// When they are not built.
#[must_use]
pub fn images() -> Vec<PathBuf> {
    Release::this().images().into_iter().chain([cluster::archive("client")]).collect()
}

fn examples() -> PathBuf {
    let dir = std::env::var_os("TRACKYARD_TEST_IMAGES").map(PathBuf::from);
    dir.expect("TRACKYARD_TEST_IMAGES names the directory of the examples' images; run `make test`")
}

fn tags(layout: &Path) -> Vec<String> {
    let index = fs::read(layout.join("index.json")).expect("a layout's index");
    let index: Value = serde_json::from_slice(&index).expect("a layout's index in JSON");
    let manifests = index.get("manifests").and_then(Value::as_array).cloned().unwrap_or_default();
    let tag = |manifest: &Value| {
        Some(manifest.get("annotations")?.get("org.opencontainers.image.ref.name")?.as_str()?.to_owned())
    };
    manifests.iter().filter_map(tag).collect()
}
