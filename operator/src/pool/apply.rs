//! The fourth step: what differs from what there is, is applied.

use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use trackyard_crds::WorkerPool;
use trackyard_crds::worker_pool::WorkerPoolStatus;

use super::build::Children;
use super::dereference::Found;
use crate::writer::{Error, Writer};

/// The account first: without it no pod can be made.
pub(super) async fn children(writer: &Writer, children: &Children, found: &Found) -> Result<(), Error> {
    if let Some(account) = &children.account {
        apply(writer, "ServiceAccount", account, found.account.as_deref()).await?;
    }
    apply(writer, "PodDisruptionBudget", &children.budget, found.budget.as_deref()).await?;
    apply(writer, "Deployment", &children.deployment, found.deployment.as_deref()).await
}

async fn apply<K>(writer: &Writer, what: &'static str, wanted: &K, there: Option<&K>) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Serialize,
{
    let value = |object: &K| serde_json::to_value(object).unwrap_or_default();
    if there.is_some_and(|there| contains(&value(there), &value(wanted))) {
        return Ok(());
    }
    writer.apply(what, wanted).await
}

/// True if all that is wanted is there; what the API server or others have added does not matter.
fn contains(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => {
            wanted.iter().all(|(name, value)| there.get(name).is_some_and(|found| contains(found, value)))
        }
        (Value::Array(there), Value::Array(wanted)) => {
            there.len() == wanted.len()
                && there.iter().zip(wanted).all(|(there, wanted)| contains(there, wanted))
        }
        _ => there == wanted,
    }
}

/// Writes the status, unless it is what it was.
pub(super) async fn status(
    writer: &Writer,
    pool: &WorkerPool,
    status: &WorkerPoolStatus,
) -> Result<(), Error> {
    if pool.status.as_ref() == Some(status) {
        return Ok(());
    }
    writer.status(pool, status).await
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
    #[case::deep(json!({"l": [{"a": 1, "b": 2}]}), json!({"l": [{"a": 1}]}), true)]
    #[case::one_more(json!({"l": [1, 2]}), json!({"l": [1]}), false)]
    fn what_is_there(#[case] there: Value, #[case] wanted: Value, #[case] expected: bool) {
        assert_eq!(contains(&there, &wanted), expected);
    }
}
