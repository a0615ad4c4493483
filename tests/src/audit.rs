//! What service accounts may do, and what they have done.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::cluster::Cluster;

/// A service account, a resource (with its subresource) and a verb.
pub type AccessRight = (String, String, String);

/// A request that an account sent to the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiRequest {
    /// The right that it used or needed.
    pub right: AccessRight,
    /// The HTTP status of the answer.
    pub code: u64,
}

/// Returns all requests of a namespace's accounts.
#[must_use]
pub fn api_requests(cluster: &Cluster, namespace: &str) -> Vec<ApiRequest> {
    let prefix = format!("system:serviceaccount:{namespace}:");
    let read = |line: &str| {
        let entry: Value = serde_json::from_str(line).ok()?;
        let text = |path: &str| entry.pointer(path).and_then(Value::as_str).map(ToOwned::to_owned);
        let account = text("/user/username")?.strip_prefix(&prefix)?.to_owned();
        let resource = with_subresource(text("/objectRef/resource")?, text("/objectRef/subresource"));
        let code = entry.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or(0);
        Some(ApiRequest { right: (account, resource, text("/verb")?), code })
    };
    cluster.audit_log().lines().filter_map(read).collect()
}

fn with_subresource(resource: String, subresource: Option<String>) -> String {
    match subresource {
        Some(subresource) => format!("{resource}/{subresource}"),
        None => resource,
    }
}

/// Returns all rights that Roles grant to a namespace's accounts.
///
/// # Panics
/// When the cluster does not list its Roles.
#[must_use]
pub fn granted(cluster: &Cluster, namespace: &str) -> BTreeSet<AccessRight> {
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
        let role = roles.iter().find(|role| {
            let field = |path: &str| role.pointer(path).and_then(Value::as_str).unwrap_or_default();
            field("/metadata/name") == subject("/roleRef/name")
                && field("/metadata/namespace") == subject("/metadata/namespace")
        });
        let rules = role.and_then(|role| role.get("rules")?.as_array());
        for rule in rules.into_iter().flatten() {
            let list = |name: &str| -> Vec<String> {
                let items = rule.get(name).and_then(Value::as_array).into_iter().flatten();
                items.filter_map(|item| Some(item.as_str()?.to_owned())).collect()
            };
            for resource in list("resources") {
                let rights = list("verbs")
                    .into_iter()
                    .map(|verb| (subject("/subjects/0/name").to_owned(), resource.clone(), verb));
                granted.extend(rights);
            }
        }
    }
    granted
}
