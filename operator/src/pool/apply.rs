//! Applies the children and the status that differ from the existing ones.

use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use trackyard_crds::WorkerPool;
use trackyard_crds::worker_pool::WorkerPoolStatus;

use super::build::Children;
use super::dereference::ExistingChildren;
use crate::writer::{WriteError, Writer};

/// Applies the children. The ServiceAccount comes first: without it no pod can be created.
pub(super) async fn apply_children(
    writer: &Writer,
    children: &Children,
    existing: &ExistingChildren,
) -> Result<(), WriteError> {
    if let Some(account) = &children.account {
        apply(writer, "ServiceAccount", account, existing.account.as_deref()).await?;
    }
    apply(writer, "PodDisruptionBudget", &children.budget, existing.budget.as_deref()).await?;
    apply(writer, "Deployment", &children.deployment, existing.deployment.as_deref()).await
}

async fn apply<K>(
    writer: &Writer,
    what: &'static str,
    desired: &K,
    existing: Option<&K>,
) -> Result<(), WriteError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Serialize,
{
    let value = |object: &K| serde_json::to_value(object).unwrap_or_default();
    if existing.is_some_and(|existing| contains(&value(existing), &value(desired))) {
        return Ok(());
    }
    writer.apply(what, desired).await
}

/// Returns whether `existing` has all fields of `desired`, whatever others have added.
fn contains(existing: &Value, desired: &Value) -> bool {
    match (existing, desired) {
        (Value::Object(existing), Value::Object(desired)) => {
            desired.iter().all(|(name, value)| existing.get(name).is_some_and(|found| contains(found, value)))
        }
        (Value::Array(existing), Value::Array(desired)) => {
            existing.len() == desired.len()
                && existing.iter().zip(desired).all(|(existing, desired)| contains(existing, desired))
        }
        _ => existing == desired,
    }
}

/// Writes the status if it has changed.
pub(super) async fn apply_status(
    writer: &Writer,
    pool: &WorkerPool,
    status: &WorkerPoolStatus,
) -> Result<(), WriteError> {
    if pool.status.as_ref() == Some(status) {
        return Ok(());
    }
    writer.apply_status(pool, status).await
}

#[cfg(test)]
mod tests {
    use super::contains;
    use rstest::rstest;
    use serde_json::{Value, json};

    #[rstest]
    #[case::defaulted(json!({"a": 1, "b": 2}), json!({"a": 1}), true)]
    #[case::changed(json!({"a": 1}), json!({"a": 2}), false)]
    #[case::removed(json!({"a": 1}), json!({"a": 1, "b": 2}), false)]
    #[case::nested(json!({"l": [{"a": 1, "b": 2}]}), json!({"l": [{"a": 1}]}), true)]
    #[case::longer_list(json!({"l": [1, 2]}), json!({"l": [1]}), false)]
    fn contains_ignores_added_fields(
        #[case] existing: Value,
        #[case] desired: Value,
        #[case] expected: bool,
    ) {
        assert_eq!(contains(&existing, &desired), expected);
    }
}
