//! Where tooling images, tooling repositories and submissions are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::channel::Channel;
use crate::name::TrackSlug;

/// The kind of image source.
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

/// The source of tooling images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSource {
    /// The kind of source.
    pub kind: ImageSourceKind,
    /// `host[:port]` of a registry, or the absolute path of a layout directory.
    pub location: String,
    /// The name of the repository for each channel; `{track}` stands for the track.
    #[serde(default = "default_repositories")]
    pub repositories: BTreeMap<Channel, String>,
}

impl ImageSource {
    /// Returns the repository of a track's images; `None` if the channel has no repositories.
    #[must_use]
    pub fn repository(&self, channel: Channel, track: &TrackSlug) -> Option<String> {
        self.repositories.get(&channel).map(|template| template.replace("{track}", track.as_str()))
    }
}

/// Returns the repository names of the original platform.
#[must_use]
pub fn default_repositories() -> BTreeMap<Channel, String> {
    BTreeMap::from([
        (Channel::TestRunners, "{track}-test-runner".to_owned()),
        (Channel::StaticAnalyzers, "{track}-analyzer".to_owned()),
        (Channel::Representers, "{track}-representer".to_owned()),
    ])
}

/// The source of tooling repositories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitSource {
    /// A git URL; `{repository}` stands for the name of the repository.
    pub url: String,
}

impl GitSource {
    /// Returns the URL of a repository.
    #[must_use]
    pub fn repository(&self, name: &str) -> String {
        self.url.replace("{repository}", name)
    }
}

/// The sources from which submissions may come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputPolicy {
    /// The buckets that `s3://` may name.
    pub buckets: Vec<String>,
    /// An S3 endpoint other than Amazon's, such as `http://127.0.0.1:9000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Whether the bucket is part of the path instead of the host name, as most other S3 servers need.
    pub path_style: bool,
    /// The directories whose subdirectories `file://` may name.
    pub allowed_folders: Vec<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_follows_template() {
        let source: ImageSource =
            serde_json::from_str(r#"{"kind": "registry", "location": "127.0.0.1:5000"}"#).unwrap();
        let ruby = TrackSlug::new("ruby").unwrap();
        assert_eq!(source.repository(Channel::StaticAnalyzers, &ruby).as_deref(), Some("ruby-analyzer"));
        assert_eq!(source.repository(Channel::Builders, &ruby), None);
    }
}
