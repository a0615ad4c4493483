//! The operator's metrics, except for the idle times of watches, which are in [`crate::watch_health`].

mod missing_pods;

use std::borrow::Cow;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::runtime::reflector::Store;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use self::missing_pods::MissingPods;

/// Histogram buckets, in seconds.
const BUCKETS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: Cow<'static, str>,
}

/// Labels of a failure; the reasons are a closed list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    kind: Cow<'static, str>,
    reason: &'static str,
}

/// The metrics. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    reconcile_seconds: Family<KindLabel, Histogram>,
    reconcile_failures: Family<FailureLabels, Counter>,
    unreadable_objects: Family<KindLabel, Counter>,
    leader: Gauge,
    missing_pods: MissingPods,
}

impl Metrics {
    /// Registers all metrics.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            reconcile_seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            reconcile_failures: Family::default(),
            unreadable_objects: Family::default(),
            leader: Gauge::default(),
            missing_pods: MissingPods::default(),
        };
        let m = metrics.clone();
        let help = "Duration of a reconciliation";
        registry.register("operator_reconcile_seconds", help, m.reconcile_seconds);
        let help = "Failed reconciliations, by reason";
        registry.register("operator_reconcile_failures", help, m.reconcile_failures);
        let help = "Stored objects that could not be decoded";
        registry.register("operator_unreadable_objects", help, m.unreadable_objects);
        let help = "1 while this operator holds the lease and writes";
        registry.register("operator_leader", help, m.leader);
        registry.register_collector(Box::new(m.missing_pods));
        metrics
    }

    /// Records that this operator writes.
    pub fn on_leading(&self) {
        self.leader.set(1);
    }

    /// Records a reconciliation of an object of a kind, with the reason if it failed.
    pub fn on_reconciled(
        &self,
        kind: impl Into<Cow<'static, str>>,
        duration: Duration,
        failure: Option<&'static str>,
    ) {
        let kind = kind.into();
        let label = KindLabel { kind: kind.clone() };
        self.reconcile_seconds.get_or_create(&label).observe(duration.as_secs_f64());
        if let Some(reason) = failure {
            self.reconcile_failures.get_or_create(&FailureLabels { kind, reason }).inc();
        }
    }

    /// Records an object of a kind that could not be decoded.
    pub fn on_unreadable_object(&self, kind: impl Into<Cow<'static, str>>) {
        self.unreadable_objects.get_or_create(&KindLabel { kind: kind.into() }).inc();
    }

    /// Sets the Deployments of pools, from which the missing pods are computed.
    pub fn set_deployments(&self, deployments: &Store<Deployment>) {
        self.missing_pods.set_store(deployments);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch_health::WatchHealth;

    #[test]
    fn every_metric_is_in_the_reference() {
        let reference = include_str!("../../docs/reference.md");
        let mut registry = trackyard_daemon::metrics::Metrics::registry("operator", "0");
        let metrics = Metrics::register(&mut registry);
        registry.register_collector(Box::new(WatchHealth::default()));
        metrics.on_reconciled("WorkerPool", Duration::ZERO, Some("NameConflict"));
        metrics.on_unreadable_object("WorkerPool");
        let names = trackyard_daemon::metrics::Metrics::new(registry).names().unwrap();
        assert_eq!(names.len(), 6, "{names:?}");
        for name in names {
            assert!(reference.contains(&format!("\n| `{name}` | ")), "{name}");
        }
    }
}
