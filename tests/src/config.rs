//! A router's configuration, built field by field.

use std::path::Path;

use serde_json::{Value, json};

/// A configuration file's content.
#[derive(Clone)]
pub struct Config(Value);

impl Config {
    /// Images in layout directories below `dir`.
    #[must_use]
    pub fn layout(dir: &Path) -> Self {
        Self(json!({"images": {"kind": "layout", "location": dir}}))
    }

    /// Images in a registry.
    #[must_use]
    pub fn registry(location: &str) -> Self {
        Self(json!({"images": {"kind": "registry", "location": location}}))
    }

    /// Lets submissions come from below `dir`.
    #[must_use]
    pub fn dir(self, dir: &Path) -> Self {
        self.set(&["inputs", "allowed_folders"], json!([dir]))
    }

    /// Lets submissions come from `bucket` at `endpoint`.
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
    /// When a field on the way is not an object.
    #[must_use]
    pub fn set(mut self, path: &[&str], value: Value) -> Self {
        let mut place = &mut self.0;
        for name in path {
            if place.is_null() {
                *place = json!({});
            }
            place = place.as_object_mut().expect("an object").entry(*name).or_insert(Value::Null);
        }
        *place = value;
        self
    }

    /// The file's text.
    ///
    /// # Panics
    /// Never: every JSON value is YAML.
    #[must_use]
    pub fn yaml(&self) -> String {
        serde_yaml::to_string(&self.0).expect("JSON as YAML")
    }
}
