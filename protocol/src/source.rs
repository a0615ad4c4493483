//! What the router tells its workers about the world: where tooling images and submissions are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::channel::Channel;
use crate::name::TrackSlug;

/// The kind of place that holds tooling images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ImageSourceKind {
    /// Amazon ECR: an OCI registry whose token and listing come from the ECR API.
    Ecr,
    /// Any OCI registry.
    Registry,
    /// A directory: `<location>/<repository>` is an OCI image layout.
    Layout,
}

/// Where tooling images live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSource {
    /// The kind of place.
    pub kind: ImageSourceKind,
    /// `host[:port]` of a registry, or the absolute path of a layout directory.
    pub location: String,
    /// Per channel, the repository's name with `{track}` in the track's place.
    #[serde(default = "default_repositories")]
    pub repositories: BTreeMap<Channel, String>,
}

impl ImageSource {
    /// The repository of a channel's track; `None` if the channel has no template.
    #[must_use]
    pub fn repository(&self, channel: Channel, track: &TrackSlug) -> Option<String> {
        self.repositories.get(&channel).map(|template| template.replace("{track}", track.as_str()))
    }
}

/// The original platform's repository names.
#[must_use]
pub fn default_repositories() -> BTreeMap<Channel, String> {
    BTreeMap::from([
        (Channel::TestRunners, "{track}-test-runner".to_owned()),
        (Channel::StaticAnalyzers, "{track}-analyzer".to_owned()),
        (Channel::Representers, "{track}-representer".to_owned()),
    ])
}

/// Where tooling is built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitSource {
    /// A git URL with `{repository}` in the place of the repository's name.
    pub url: String,
}

impl GitSource {
    /// The URL of a repository.
    #[must_use]
    pub fn repository(&self, name: &str) -> String {
        self.url.replace("{repository}", name)
    }
}

/// Where submissions may come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputPolicy {
    /// The buckets that `s3://` may name; no other is read.
    pub buckets: Vec<String>,
    /// An S3 endpoint other than Amazon's, such as `http://127.0.0.1:9000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The bucket goes into the path, not into the host name: what most other S3 servers need.
    pub path_style: bool,
    /// The directories below which `file://` may name one.
    pub allowed_folders: Vec<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_named_by_its_template() {
        let source: ImageSource =
            serde_json::from_str(r#"{"kind": "registry", "location": "127.0.0.1:5000"}"#).unwrap();
        let ruby = TrackSlug::new("ruby").unwrap();
        assert_eq!(source.repository(Channel::StaticAnalyzers, &ruby).as_deref(), Some("ruby-analyzer"));
        assert_eq!(source.repository(Channel::Builders, &ruby), None);
    }
}
