//! Before a pool gets fewer pods, its idlest are marked to go first.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};
use trackyard_protocol::pools::Report;

use super::scale::idlest;
use crate::writer::{Error, Writer};

/// What the ReplicaSet controller looks at: the lowest goes first.
const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const FIRST: &str = "-1";

/// Marks `fewer` of the pods, and takes the mark from those that have it from an earlier time.
pub(super) async fn mark(writer: &Writer, pods: &[Pod], fewer: u32, report: &Report) -> Result<(), Error> {
    let fewer = usize::try_from(fewer).unwrap_or(usize::MAX);
    for (pod, cost) in marks(pods, fewer, report) {
        let patch = json!({"metadata": {"annotations": {COST: cost}}});
        writer.merge("Pod", pod, patch).await?;
    }
    Ok(())
}

/// The pods whose mark changes, with the new one.
fn marks<'a>(pods: &'a [Pod], fewer: usize, report: &Report) -> Vec<(&'a Pod, Value)> {
    let living: Vec<&Pod> = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
    let names: Vec<&str> = living.iter().filter_map(|pod| pod.metadata.name.as_deref()).collect();
    let chosen = idlest(&names, report, fewer);
    let change = |pod: &&'a Pod| {
        let is_chosen = pod.metadata.name.as_deref().is_some_and(|name| chosen.contains(&name));
        let is_marked = pod.annotations().get(COST).is_some_and(|cost| cost == FIRST);
        match (is_chosen, is_marked) {
            (true, false) => Some((*pod, json!(FIRST))),
            (false, true) => Some((*pod, Value::Null)),
            _ => None,
        }
    };
    living.iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_written() {
        let pod = |name: &str, cost: Option<&str>| -> Pod {
            let annotations = cost.map(|cost| json!({COST: cost}));
            serde_json::from_value(json!({"metadata": {"name": name, "annotations": annotations}})).unwrap()
        };
        let pods = [pod("a", None), pod("b", Some(FIRST)), pod("c", Some(FIRST)), pod("d", None)];
        let worker = |name: &str, busy: u32| {
            json!({"name": name, "pool": "any", "channel": "test_runners", "topics": ["*"], "slots": 4, "busy": busy,
                   "draining": false, "mean_run_ms": 0})
        };
        let report = json!({"workers": [worker("a", 3), worker("b", 0), worker("c", 4), worker("d", 1)]});
        let marks = marks(&pods, 2, &serde_json::from_value(report).unwrap());
        let marks: Vec<(String, Value)> =
            marks.into_iter().map(|(pod, cost)| (pod.name_any(), cost)).collect();
        assert_eq!(marks, [("c".to_owned(), Value::Null), ("d".to_owned(), json!("-1"))]);
    }
}
