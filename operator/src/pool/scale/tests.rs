//! Pools, figures, and what they come to.

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

fn report(busy: &[(&str, &str, u32)], waiting: u32) -> Report {
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
fn what_waits_counts_for_the_tracks_own_pool_until_that_is_at_its_maximum() {
    let pools = [pool("any", "*", 10), pool("ruby", "ruby", 2)];
    let scaler = Scaler::default();
    let report = report(&[], 10);
    let desired = |pool: &WorkerPool| scaler.desired(pool, 0, &pools, Some(&report));
    assert_eq!((desired(&pools[1]), desired(&pools[0])), (Some(2), Some(3)));
}

#[test]
fn without_figures_nothing_is_decided() {
    let pools = [pool("any", "*", 10)];
    assert_eq!(Scaler::default().desired(&pools[0], 3, &pools, None), None);
}

#[test]
fn a_pool_keeps_its_pods_for_a_while() {
    let pools = [pool("any", "*", 10)];
    let scaler = Scaler::default();
    assert_eq!(scaler.desired(&pools[0], 3, &pools, Some(&report(&[], 0))), Some(3));
}

#[test]
fn the_idle_go_first_and_of_those_that_nothing_is_known_of_too() {
    let report = report(&[("a", "any", 2), ("b", "any", 0), ("c", "any", 1)], 0);
    assert_eq!(idlest(&["a", "b", "c", "new"], &report, 2), ["b", "new"]);
    assert_eq!(idlest(&["a", "b", "c"], &report, 0), [""; 0]);
}
