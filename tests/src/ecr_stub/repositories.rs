//! Repositories, and which of their tags may move.

use std::collections::BTreeMap;

use serde_json::Value;

/// How a repository was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `MUTABLE`, `IMMUTABLE`, or one of both `_WITH_EXCLUSION`.
    pub mutability: String,
    /// Wildcards of the tags for which the opposite holds.
    pub exclusions: Vec<String>,
}

impl Settings {
    /// Without exclusions.
    #[must_use]
    pub fn of(mutability: &str) -> Self {
        Self { mutability: mutability.to_owned(), exclusions: Vec::new() }
    }

    /// As a request asks for.
    pub(super) fn read(request: &Value) -> Self {
        let mutability = request.get("imageTagMutability").and_then(Value::as_str).unwrap_or("MUTABLE");
        let filters = request.get("imageTagMutabilityExclusionFilters").and_then(Value::as_array);
        let pattern = |filter: &Value| {
            let is_wildcard = filter.get("filterType").and_then(Value::as_str) == Some("WILDCARD");
            filter.get("filter").and_then(Value::as_str).filter(|_| is_wildcard).map(str::to_owned)
        };
        let exclusions = filters.into_iter().flatten().filter_map(pattern).collect();
        Self { mutability: mutability.to_owned(), exclusions }
    }

    fn is_fixed(&self, tag: &str) -> bool {
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
pub(crate) struct Repositories(BTreeMap<String, Settings>);

impl Repositories {
    pub(super) fn create(&mut self, name: &str, settings: Settings) -> Result<(), ()> {
        if self.0.contains_key(name) {
            return Err(());
        }
        self.0.insert(name.to_owned(), settings);
        Ok(())
    }

    pub(super) fn settings(&self, name: &str) -> Option<&Settings> {
        self.0.get(name)
    }

    /// Whether a tag of a repository can never move.
    pub(super) fn is_fixed(&self, name: &str, tag: &str) -> bool {
        self.0.get(name).is_some_and(|settings| settings.is_fixed(tag))
    }
}

/// A pattern with at most one `*`.
fn matches(pattern: &str, tag: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => {
            tag.len() >= start.len() + end.len() && tag.starts_with(start) && tag.ends_with(end)
        }
        None => pattern == tag,
    }
}
