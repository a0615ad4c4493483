//! The router's configuration file. Pure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use trackyard_protocol::limits::LimitOverrides;
use trackyard_protocol::quantity::Bytes;
use trackyard_protocol::source::{
    GitSource, ImageSource, ImageSourceKind, InputPolicy, default_repositories,
};

use super::layouts::LayoutVersions;
use super::storage::BUCKET;

/// The part of the router's configuration that `local` sets.
#[derive(Debug, Serialize)]
pub(super) struct RouterConfig {
    images: ImageSource,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<GitSource>,
    inputs: InputPolicy,
    container_versions: LayoutVersions,
    limits: BTreeMap<&'static str, LimitOverrides>,
}

impl RouterConfig {
    /// Creates a configuration for images in a directory and an S3 API on loopback.
    pub(super) fn new(
        images: &Path,
        endpoint: &str,
        dirs: &[PathBuf],
        versions: &LayoutVersions,
        memory: Bytes,
    ) -> Self {
        Self {
            images: ImageSource {
                kind: ImageSourceKind::Layout,
                location: images.display().to_string(),
                repositories: default_repositories(),
            },
            source: None,
            inputs: InputPolicy {
                buckets: vec![BUCKET.to_owned()],
                endpoint: Some(endpoint.to_owned()),
                path_style: true,
                allowed_folders: dirs.to_vec(),
            },
            container_versions: versions.clone(),
            limits: BTreeMap::from([(
                "default",
                LimitOverrides { memory: Some(memory), ..LimitOverrides::default() },
            )]),
        }
    }

    /// Adds a directory of git repositories to build from.
    pub(super) fn with_repositories(self, repositories: Option<&Path>) -> Self {
        let source =
            repositories.map(|dir| GitSource { url: format!("file://{}/{{repository}}", dir.display()) });
        Self { source, ..self }
    }

    /// Returns the file's text.
    pub(super) fn to_yaml(&self) -> Result<String, serde_yaml::Error> {
        let body = serde_yaml::to_string(self)?;
        Ok(format!("# Written by `trackyard local` at each start; changes are lost.\n{body}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackyard_protocol::channel::Channel;
    use trackyard_protocol::name::TrackSlug;

    #[test]
    fn configuration_file() {
        let version = format!("git-{}", "a".repeat(40)).parse().unwrap();
        let versions = LayoutVersions::from([(
            Channel::TestRunners,
            BTreeMap::from([(TrackSlug::new("ruby").unwrap(), vec![version])]),
        )]);
        let dirs = [PathBuf::from("/home/me/solutions")];
        let config = RouterConfig::new(
            Path::new("/srv/images"),
            "http://127.0.0.1:9000",
            &dirs,
            &versions,
            Bytes(1 << 30),
        );
        insta::assert_snapshot!(config.to_yaml().unwrap());
    }
}
