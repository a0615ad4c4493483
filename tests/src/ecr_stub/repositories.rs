//! Repositories, and which of their tags are immutable.

use std::collections::BTreeMap;

use serde_json::Value;

/// The settings with which a repository was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositorySettings {
    /// `MUTABLE`, `IMMUTABLE`, `MUTABLE_WITH_EXCLUSION` or `IMMUTABLE_WITH_EXCLUSION`.
    pub mutability: String,
    /// Wildcard patterns of the tags for which the opposite holds.
    pub exclusions: Vec<String>,
}

impl RepositorySettings {
    /// Creates settings without exclusions.
    #[must_use]
    pub fn with_mutability(mutability: &str) -> Self {
        Self { mutability: mutability.to_owned(), exclusions: Vec::new() }
    }

    /// Parses the settings of a request.
    pub(super) fn parse(request: &Value) -> Self {
        let mutability = request.get("imageTagMutability").and_then(Value::as_str).unwrap_or("MUTABLE");
        let filters = request.get("imageTagMutabilityExclusionFilters").and_then(Value::as_array);
        let pattern = |filter: &Value| {
            let is_wildcard = filter.get("filterType").and_then(Value::as_str) == Some("WILDCARD");
            filter.get("filter").and_then(Value::as_str).filter(|_| is_wildcard).map(str::to_owned)
        };
        let exclusions = filters.into_iter().flatten().filter_map(pattern).collect();
        Self { mutability: mutability.to_owned(), exclusions }
    }

    fn is_immutable(&self, tag: &str) -> bool {
        let is_excluded = self.exclusions.iter().any(|pattern| matches(pattern, tag));
        match self.mutability.as_str() {
            "IMMUTABLE" => true,
            "IMMUTABLE_WITH_EXCLUSION" => !is_excluded,
            "MUTABLE_WITH_EXCLUSION" => is_excluded,
            _ => false,
        }
    }
}

/// All repositories that were created.
#[derive(Debug, Default)]
pub(crate) struct Repositories(BTreeMap<String, RepositorySettings>);

impl Repositories {
    pub(super) fn create(&mut self, name: &str, settings: RepositorySettings) -> Result<(), ()> {
        if self.0.contains_key(name) {
            return Err(());
        }
        self.0.insert(name.to_owned(), settings);
        Ok(())
    }

    pub(super) fn settings(&self, name: &str) -> Option<&RepositorySettings> {
        self.0.get(name)
    }

    /// Returns true if a repository's tag is immutable.
    pub(super) fn is_immutable(&self, name: &str, tag: &str) -> bool {
        self.0.get(name).is_some_and(|settings| settings.is_immutable(tag))
    }
}

/// Returns true if a tag matches a pattern with at most one `*`.
fn matches(pattern: &str, tag: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => {
            tag.len() >= start.len() + end.len() && tag.starts_with(start) && tag.ends_with(end)
        }
        None => pattern == tag,
    }
}
