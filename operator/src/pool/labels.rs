//! The names and labels of a pool's children.

use std::collections::BTreeMap;

use kube::ResourceExt;
use trackyard_crds::WorkerPool;

/// The label that names the pool of a pod.
pub const POOL_LABEL: &str = "trackyard.dev/pool";

/// Returns the name of a pool's children. The suffix keeps it apart from other objects, such as the ServiceAccount `default`.
#[must_use]
pub fn children_name(pool: &WorkerPool) -> String {
    format!("{}-workers", pool.name_any())
}

pub(super) fn labels(pool: &WorkerPool) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name", "trackyard-worker"),
        ("app.kubernetes.io/component", "worker"),
        ("app.kubernetes.io/part-of", "trackyard"),
        ("app.kubernetes.io/managed-by", "trackyard-operator"),
        ("app.kubernetes.io/instance", &pool.name_any()),
        ("trackyard.dev/channel", pool.spec.channel.as_str()),
        (POOL_LABEL, &pool.name_any()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// Returns the labels that select a pool's pods.
pub(super) fn selector(pool: &WorkerPool) -> BTreeMap<String, String> {
    BTreeMap::from([(POOL_LABEL.to_owned(), pool.name_any())])
}
