//! What accounts of pods may do, and what they have done.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::cluster::Cluster;

/// Who, what (with its subresource), how.
pub type Right = (String, String, String);

/// What was asked of the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Who, what, how.
    pub right: Right,
    /// The HTTP status.
    pub code: u64,
}

/// All that the accounts of a namespace have asked.
#[must_use]
pub fn asked(cluster: &Cluster, namespace: &str) -> Vec<Asked> {
    let prefix = format!("system:serviceaccount:{namespace}:");
    let read = |line: &str| {
        let entry: Value = serde_json::from_str(line).ok()?;
        let text = |path: &str| entry.pointer(path).and_then(Value::as_str).map(ToOwned::to_owned);
        let who = text("/user/username")?.strip_prefix(&prefix)?.to_owned();
        let what = with_subresource(text("/objectRef/resource")?, text("/objectRef/subresource"));
        let code = entry.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or(0);
        Some(Asked { right: (who, what, text("/verb")?), code })
    };
    cluster.audit().lines().filter_map(read).collect()
}

fn with_subresource(resource: String, subresource: Option<String>) -> String {
    match subresource {
        Some(subresource) => format!("{resource}/{subresource}"),
        None => resource,
    }
}

/// All that Roles grant to the accounts of a namespace.
///
/// # Panics
/// When the cluster does not list its Roles.
#[must_use]
pub fn granted(cluster: &Cluster, namespace: &str) -> BTreeSet<Right> {
    let items = |kind: &str| -> Vec<Value> {
        let all = cluster.kubectl(&["get", kind, "--all-namespaces", "-o=json"]);
        let all: Value = serde_json::from_str(&all).expect("a list in JSON");
        all.get("items").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let roles = items("roles");
    let mut granted = BTreeSet::new();
    for binding in items("rolebindings") {
        let subject = |path: &str| binding.pointer(path).and_then(Value::as_str).unwrap_or_default();
        if subject("/subjects/0/kind") != "ServiceAccount" || subject("/subjects/0/namespace") != namespace {
            continue;
        }
        let is_its = |role: &&Value| {
            let of = |path: &str| role.pointer(path).and_then(Value::as_str).unwrap_or_default();
            of("/metadata/name") == subject("/roleRef/name")
                && of("/metadata/namespace") == subject("/metadata/namespace")
        };
        let rules = roles.iter().find(is_its).and_then(|role| role.get("rules")?.as_array());
        for rule in rules.into_iter().flatten() {
            let words = |name: &str| -> Vec<String> {
                let words = rule.get(name).and_then(Value::as_array).into_iter().flatten();
                words.filter_map(|word| Some(word.as_str()?.to_owned())).collect()
            };
            for resource in words("resources") {
                let rights = words("verbs")
                    .into_iter()
                    .map(|verb| (subject("/subjects/0/name").to_owned(), resource.clone(), verb));
                granted.extend(rights);
            }
        }
    }
    granted
}
