//! Load reports, and the pods that they lead to.

use std::sync::Arc;

use serde_json::json;

use super::*;

fn pool(name: &str, topic: &str, max: u32) -> Arc<WorkerPool> {
    let pool = json!({
        "apiVersion": "trackyard.dev/v1alpha1", "kind": "WorkerPool", "metadata": {"name": name, "uid": name},
        "spec": {"channel": "test_runners", "topics": [topic], "slots": 2, "autoscale": {"min": 0, "max": max}},
    });
    Arc::new(serde_json::from_value(pool).unwrap())
}

fn report(busy: &[(&str, &str, u32)], waiting: u32) -> LoadReport {
    let worker = |(name, pool, busy): &(&str, &str, u32)| {
        json!({"name": name, "pool": pool, "channel": "test_runners", "topics": ["*"], "slots": 2, "busy": busy,
               "draining": false, "mean_run_ms": 2000})
    };
    let report = json!({
        "workers": busy.iter().map(worker).collect::<Vec<_>>(),
        "queues": [{"channel": "test_runners", "track": "ruby", "jobs": waiting}],
    });
    serde_json::from_value(report).unwrap()
}

#[test]
fn waiting_jobs_fill_track_pool_first() {
    let pools = [pool("any", "*", 10), pool("ruby", "ruby", 2)];
    let scaler = Scaler::default();
    let report = report(&[], 10);
    let desired = |pool: &WorkerPool| scaler.desired(pool, 0, &pools, Some(&report));
    assert_eq!((desired(&pools[1]), desired(&pools[0])), (Some(2), Some(3)));
}

#[test]
fn no_report_means_no_decision() {
    let pools = [pool("any", "*", 10)];
    assert_eq!(Scaler::default().desired(&pools[0], 3, &pools, None), None);
}

#[test]
fn new_operator_keeps_pods() {
    let pools = [pool("any", "*", 10)];
    let scaler = Scaler::default();
    assert_eq!(scaler.desired(&pools[0], 3, &pools, Some(&report(&[], 0))), Some(3));
}

#[test]
fn idle_and_unknown_pods_are_least_busy() {
    let report = report(&[("a", "any", 2), ("b", "any", 0), ("c", "any", 1)], 0);
    assert_eq!(least_busy(&["a", "b", "c", "new"], &report, 2), ["b", "new"]);
    assert_eq!(least_busy(&["a", "b", "c"], &report, 0), [""; 0]);
}
