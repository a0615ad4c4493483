//! Marks the least busy pods of a pool to be deleted first, before the pool is scaled down.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};
use trackyard_protocol::load_report::LoadReport;

use super::scale::least_busy;
use crate::writer::{WriteError, Writer};

/// The annotation by which the ReplicaSet controller chooses the pods to delete; the lowest cost first.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// Lower than the default cost, which is zero.
const LOW_COST: &str = "-1";

/// Marks the `count` least busy pods, and removes the mark from other pods.
pub(super) async fn mark_for_deletion(
    writer: &Writer,
    pods: &[Pod],
    count: u32,
    report: &LoadReport,
) -> Result<(), WriteError> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    for (pod, cost) in changed_marks(pods, count, report) {
        let patch = json!({"metadata": {"annotations": {DELETION_COST: cost}}});
        writer.merge("Pod", pod, patch).await?;
    }
    Ok(())
}

/// Returns the pods whose mark changes, with the new one.
fn changed_marks<'a>(pods: &'a [Pod], count: usize, report: &LoadReport) -> Vec<(&'a Pod, Value)> {
    let living: Vec<&Pod> = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
    let names: Vec<&str> = living.iter().filter_map(|pod| pod.metadata.name.as_deref()).collect();
    let chosen = least_busy(&names, report, count);
    living.iter().filter_map(|pod| Some((*pod, changed_mark(pod, &chosen)?))).collect()
}

fn changed_mark(pod: &Pod, chosen: &[&str]) -> Option<Value> {
    let is_chosen = pod.metadata.name.as_deref().is_some_and(|name| chosen.contains(&name));
    let is_marked = pod.annotations().get(DELETION_COST).is_some_and(|cost| cost == LOW_COST);
    match (is_chosen, is_marked) {
        (true, false) => Some(json!(LOW_COST)),
        (false, true) => Some(Value::Null),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changed_marks_are_written() {
        let pod = |name: &str, cost: Option<&str>| -> Pod {
            let annotations = cost.map(|cost| json!({DELETION_COST: cost}));
            serde_json::from_value(json!({"metadata": {"name": name, "annotations": annotations}})).unwrap()
        };
        let pods = [pod("a", None), pod("b", Some(LOW_COST)), pod("c", Some(LOW_COST)), pod("d", None)];
        let worker = |name: &str, busy: u32| {
            json!({"name": name, "pool": "any", "channel": "test_runners", "topics": ["*"], "slots": 4, "busy": busy,
                   "draining": false, "mean_run_ms": 0})
        };
        let report = json!({"workers": [worker("a", 3), worker("b", 0), worker("c", 4), worker("d", 1)]});
        let marks = changed_marks(&pods, 2, &serde_json::from_value(report).unwrap());
        let marks: Vec<(String, Value)> =
            marks.into_iter().map(|(pod, cost)| (pod.name_any(), cost)).collect();
        assert_eq!(marks, [("c".to_owned(), Value::Null), ("d".to_owned(), json!("-1"))]);
    }
}
