//! A router's configuration, built field by field.

use std::path::Path;

use serde_json::{Value, json};

/// The content of a configuration file.
#[derive(Clone)]
pub struct Config(Value);

impl Config {
    /// Creates a configuration with images in layout directories below `dir`.
    #[must_use]
    pub fn layout(dir: &Path) -> Self {
        Self(json!({"images": {"kind": "layout", "location": dir}}))
    }

    /// Creates a configuration with images in a registry.
    #[must_use]
    pub fn registry(location: &str) -> Self {
        Self(json!({"images": {"kind": "registry", "location": location}}))
    }

    /// Allows submissions from below `dir`.
    #[must_use]
    pub fn dir(self, dir: &Path) -> Self {
        self.set(&["inputs", "allowed_folders"], json!([dir]))
    }

    /// Allows submissions from `bucket` at `endpoint`.
    #[must_use]
    pub fn bucket(self, bucket: &str, endpoint: &str) -> Self {
        self.set(&["inputs", "buckets"], json!([bucket]))
            .set(&["inputs", "endpoint"], json!(endpoint))
            .set(&["inputs", "path_style"], json!(true))
    }

    /// Deploys versions of a track.
    #[must_use]
    pub fn deployed(self, channel: &str, track: &str, versions: &[&str]) -> Self {
        self.set(&["container_versions", channel, track], json!(versions))
    }

    /// Sets limits of a channel's track.
    #[must_use]
    pub fn limits(self, channel: &str, track: &str, limits: Value) -> Self {
        self.set(&["limits", channel, track], limits)
    }

    /// Sets any field.
    ///
    /// # Panics
    /// When a field on the path is not an object.
    #[must_use]
    pub fn set(mut self, path: &[&str], value: Value) -> Self {
        let mut field = &mut self.0;
        for name in path {
            if field.is_null() {
                *field = json!({});
            }
            field = field.as_object_mut().expect("an object").entry(*name).or_insert(Value::Null);
        }
        *field = value;
        self
    }

    /// Returns the file's text.
    ///
    /// # Panics
    /// Never: every JSON value is YAML.
    #[must_use]
    pub fn yaml(&self) -> String {
        serde_yaml::to_string(&self.0).expect("JSON as YAML")
    }
}
