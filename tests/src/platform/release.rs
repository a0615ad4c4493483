//! A release of Trackyard: its charts and its images.

use std::path::{Path, PathBuf};

/// A release.
pub struct Release {
    charts: PathBuf,
    /// The environment variable that names the directory of its images.
    images: &'static str,
    /// The images' tag, if it is not the chart's version.
    pub(super) tag: Option<&'static str>,
    /// The worker namespace that its chart creates by default.
    pub(super) worker_namespace: &'static str,
}

impl Release {
    /// Returns the release that is tested.
    #[must_use]
    pub fn this() -> Self {
        Self {
            charts: root("../charts"),
            images: "TRACKYARD_PRODUCT_IMAGES",
            tag: None,
            worker_namespace: super::WORKER_NAMESPACE,
        }
    }

    /// Returns an earlier release, kept by `tools/freeze.sh`.
    #[must_use]
    pub fn frozen() -> Self {
        let charts = root("fixtures/releases/0");
        Self {
            charts,
            images: "TRACKYARD_FROZEN_IMAGES",
            tag: Some("frozen"),
            worker_namespace: "trackyard-yard",
        }
    }

    /// Returns true for the earlier release, whose chart has other names for some values.
    pub(super) const fn is_frozen(&self) -> bool {
        self.tag.is_some()
    }

    /// Returns the directory of a chart.
    ///
    /// # Panics
    /// When the chart does not exist.
    #[must_use]
    pub fn chart(&self, name: &str) -> String {
        self.charts.join(name).canonicalize().expect("a chart").display().to_string()
    }

    /// Returns the images, as `docker save` writes them.
    ///
    /// # Panics
    /// When they are not built.
    #[must_use]
    pub fn images(&self) -> Vec<PathBuf> {
        let dir = std::env::var_os(self.images).map(PathBuf::from);
        let dir =
            dir.unwrap_or_else(|| panic!("{} names a directory of images; run `make test`", self.images));
        let image = |name: &str| dir.join(format!("trackyard-{name}.tar"));
        ["operator", "router", "worker", "cli"].map(image).to_vec()
    }
}

fn root(dir: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)
}
